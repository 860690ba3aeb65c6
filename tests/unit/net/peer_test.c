/* Peer links between nodes of one process, over loopback with real TLS: what arrives, what is
 * lost, how links come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "peer_world.h"

static struct world w;

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_done(&w);
    return 0;
}

static err send_text(uint64_t from, uint64_t to, const char *text)
{
    struct bytes part = bytes_text(text);
    return peer_send(w.nodes[from].links, to, 1, &part, 1);
}

static void assert_received(const struct node *n, size_t at, uint64_t from, struct bytes bytes)
{
    uint8_t digest[SHA256_SIZE];
    sha256(bytes.data, bytes.size, digest);
    assert_int_equal(n->received[at].from, from);
    assert_int_equal(n->received[at].size, bytes.size);
    assert_memory_equal(n->received[at].digest, digest, sizeof digest);
}

/* 0, 1, some, limit - 1, limit; the limit + 1 is not taken. */
static void frames_arrive_whole_and_in_order(void **state)
{
    (void)state;
    static const size_t sizes[] = {
        0, 1, 5, 1000, 65536, 300000, PEER_FRAME_BYTES_MAX - 1, PEER_FRAME_BYTES_MAX,
    };
    enum { COUNT = sizeof sizes / sizeof *sizes };
    uint8_t *data = mem_new(1, PEER_FRAME_BYTES_MAX + 1);
    for (size_t i = 0; i <= PEER_FRAME_BYTES_MAX; i++) {
        data[i] = (uint8_t)(i * 7 + i / 251);
    }
    world_start_two(&w);
    for (uint64_t from = 1; from <= 2; from++) {
        for (size_t i = 0; i < COUNT; i++) {
            struct bytes parts[3] = {
                {data, sizes[i] / 3},
                {data + sizes[i] / 3, 0},
                {data + sizes[i] / 3, sizes[i] - sizes[i] / 3},
            };
            assert_false(failed(peer_send(w.nodes[from].links, 3 - from, (uint8_t)i, parts, 3)));
        }
        struct bytes too_large = {data, PEER_FRAME_BYTES_MAX + 1};
        assert_true(err_is(peer_send(w.nodes[from].links, 3 - from, 1, &too_large, 1), ERR_LIMIT));
        assert_int_equal(world_status(&w, from, 3 - from).dropped_frames, 1);
    }
    world_until(&w, w.nodes[1].received_count == COUNT && w.nodes[2].received_count == COUNT);
    for (uint64_t to = 1; to <= 2; to++) {
        for (size_t i = 0; i < COUNT; i++) {
            assert_int_equal(w.nodes[to].received[i].type, i);
            assert_received(&w.nodes[to], i, 3 - to, bytes_of(data, sizes[i]));
        }
        struct peer_status s = world_status(&w, to, 3 - to);
        assert_int_equal(s.received_frames, COUNT);
        assert_int_equal(s.sent_frames, COUNT);
        assert_int_equal(s.sent_bytes, s.received_bytes);
        assert_int_equal(s.queued_bytes, 0);
        assert_true(s.received_ns != 0);
        assert_true(s.out_up_ns != 0);
        assert_int_equal(s.certificate_not_after_s, 4000000000);
        assert_false(s.certificate_forgiven);
    }
    free(data);
}

static void three_nodes_link_each_with_each(void **state)
{
    (void)state;
    for (uint64_t id = 1; id <= 3; id++) {
        world_start(&w, id);
    }
    world_set_nodes(&w, 3);
    world_until(&w, world_linked(&w, 1, 2) && world_linked(&w, 1, 3) && world_linked(&w, 2, 3));
    for (uint64_t from = 1; from <= 3; from++) {
        uint64_t ids[NODES_MAX];
        assert_int_equal(peer_ids(w.nodes[from].links, ids), 2);
        assert_true(ids[0] < ids[1]);
        for (size_t i = 0; i < 2; i++) {
            assert_false(failed(send_text(from, ids[i], "hello")));
        }
        assert_int_equal(w.nodes[from].ups[PEER_DIRECTION_OUT], 2);
        assert_int_equal(w.nodes[from].ups[PEER_DIRECTION_IN], 2);
    }
    world_until(&w, w.nodes[1].received_count == 2 && w.nodes[2].received_count == 2 &&
                        w.nodes[3].received_count == 2);
}

static void only_an_open_link_takes_frames(void **state)
{
    (void)state;
    world_start(&w, 1);
    world_set_nodes(&w, 2);
    assert_true(err_is(send_text(1, 1, "to itself"), ERR_NOT_FOUND));
    assert_true(err_is(send_text(1, 3, "to nobody"), ERR_NOT_FOUND));
    assert_true(err_is(send_text(1, 2, "too early"), ERR_AGAIN));
    struct peer_status s;
    assert_true(err_is(peer_status(w.nodes[1].links, 3, &s), ERR_NOT_FOUND));
    world_until(&w, world_status(&w, 1, 2).dial_failures >= 2);
    s = world_status(&w, 1, 2);
    assert_int_equal(s.last_reason, PEER_REASON_UNREACHABLE);
    assert_non_null(strstr(s.last_error, "cannot connect"));
    assert_int_equal(s.dropped_frames, 1);
}

/* A dead node is noticed at once (its kernel closes), and found again at its old address. */
static void links_come_back_after_a_restart(void **state)
{
    (void)state;
    world_start_two(&w);
    for (unsigned round = 1; round <= 3; round++) {
        world_stop(&w, 2);
        world_until(&w, w.nodes[1].downs[0] == round && w.nodes[1].downs[1] == round);
        assert_true(err_is(send_text(1, 2, "lost"), ERR_AGAIN));
        assert_int_equal(world_status(&w, 1, 2).out_up_ns, 0);
        world_run(&w, 150 * NS_PER_MS);
        world_start(&w, 2);
        world_set_nodes(&w, 2);
        world_until(&w, world_linked(&w, 1, 2));
        w.nodes[1].received_count = w.nodes[2].received_count = 0;
        assert_false(failed(send_text(1, 2, "there")));
        assert_false(failed(send_text(2, 1, "back")));
        world_until(&w, w.nodes[2].received_count == 1 && w.nodes[1].received_count == 1);
        assert_received(&w.nodes[2], 0, 1, bytes_text("there"));
        assert_received(&w.nodes[1], 0, 2, bytes_text("back"));
    }
}

/* Without a turn of the loop nothing leaves: the queue fills to its limit and no further. */
static void the_queue_is_bounded_and_drains(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    uint8_t *data = mem_new(1, SIZE);
    size_t taken = 0;
    world_start_two(&w);
    err e = err_ok();
    while (!failed(e) && taken < 100) {
        data[0] = (uint8_t)taken;
        struct bytes part = {data, SIZE};
        e = peer_send(w.nodes[1].links, 2, 1, &part, 1);
        taken += !failed(e);
    }
    assert_true(err_is(e, ERR_FULL));
    struct peer_status s = world_status(&w, 1, 2);
    assert_true(s.queued_bytes <= PEER_QUEUE_BYTES_MAX);
    assert_true(s.queued_bytes > PEER_QUEUE_BYTES_MAX - SIZE - 65536);
    assert_int_equal(s.dropped_frames, 1);
    world_until(&w, w.nodes[2].received_count == taken);
    for (size_t i = 0; i < taken; i++) {
        data[0] = (uint8_t)i;
        assert_received(&w.nodes[2], i, 1, bytes_of(data, SIZE));
    }
    s = world_status(&w, 1, 2);
    assert_true(s.out_up);
    assert_int_equal(s.queued_bytes, 0);
    assert_int_equal(w.nodes[1].downs[PEER_DIRECTION_OUT], 0);
    free(data);
}

/* What waits for a peer that dies is dropped and counted; nothing old comes after it is back. */
static void a_lost_link_drops_its_queue(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    uint8_t *data = mem_new(1, SIZE);
    world_start_two(&w);
    for (size_t i = 0; i < 12; i++) {
        struct bytes part = {data, SIZE};
        assert_false(failed(peer_send(w.nodes[1].links, 2, 1, &part, 1)));
    }
    world_stop(&w, 2);
    world_until(&w, w.nodes[1].downs[PEER_DIRECTION_OUT] == 1);
    struct peer_status s = world_status(&w, 1, 2);
    assert_int_equal(s.queued_bytes, 0);
    assert_true(s.dropped_frames > 0);
    w.nodes[2].received_count = 0;
    world_start(&w, 2);
    world_set_nodes(&w, 2);
    world_until(&w, world_linked(&w, 1, 2));
    assert_false(failed(send_text(1, 2, "new")));
    world_until(&w, w.nodes[2].received_count > 0);
    assert_received(&w.nodes[2], 0, 1, bytes_text("new"));
    free(data);
}

static void idle_links_stay_up(void **state)
{
    (void)state;
    w.silence_ns = 200 * NS_PER_MS;
    world_start_two(&w);
    world_run(&w, 700 * NS_PER_MS);
    assert_true(world_linked(&w, 1, 2));
    assert_int_equal(w.nodes[1].downs[0] + w.nodes[1].downs[1], 0);
    assert_int_equal(w.nodes[1].received_count + w.nodes[2].received_count, 0);
}

static void faults_drop_and_delay(void **state)
{
    (void)state;
    world_start_two(&w);
    w.nodes[1].fault = PEER_FAULT_DROP;
    assert_false(failed(send_text(1, 2, "dropped")));
    assert_int_equal(world_status(&w, 1, 2).dropped_frames, 1);
    w.nodes[1].fault = PEER_FAULT_DELAY;
    w.nodes[1].fault_delay_ns = 100 * NS_PER_MS;
    assert_false(failed(send_text(1, 2, "delayed")));
    w.nodes[1].fault = PEER_FAULT_NONE;
    assert_false(failed(send_text(1, 2, "at once")));
    world_until(&w, w.nodes[2].received_count == 2);
    assert_received(&w.nodes[2], 0, 1, bytes_text("at once"));
    assert_received(&w.nodes[2], 1, 1, bytes_text("delayed"));
    w.nodes[1].fault = PEER_FAULT_DELAY;
    assert_false(failed(send_text(1, 2, "never")));
    world_stop(&w, 1); /* with a frame held back */
}

/* The table is replaced from inside the callbacks, which takes the very link away. */
static void leave_from_inside(struct node *node, bool frame)
{
    (void)frame;
    node->on_event = NULL;
    assert_false(failed(peer_links_set_nodes(node->links, NULL, 0, NULL)));
}

static void leave_on_frame(struct node *node, bool frame)
{
    if (frame) {
        leave_from_inside(node, frame);
    }
}

static void the_table_may_change_inside_callbacks(void **state)
{
    (void)state;
    world_start_two(&w);
    w.nodes[2].on_event = leave_on_frame;
    assert_false(failed(send_text(1, 2, "one")));
    assert_false(failed(send_text(1, 2, "two")));
    world_until(&w, w.nodes[1].downs[0] == 1 && w.nodes[1].downs[1] == 1);
    assert_int_equal(w.nodes[2].received_count, 1);
    world_set_nodes(&w, 2);
    world_until(&w, world_linked(&w, 1, 2));
    w.nodes[1].on_event = leave_from_inside; /* on a link that goes down */
    world_stop(&w, 2);
    world_until(&w, w.nodes[1].on_event == NULL);
    world_start(&w, 2);
    w.nodes[2].on_event = leave_from_inside; /* on a link that comes up */
    world_set_nodes(&w, 2);
    world_until(&w, w.nodes[2].on_event == NULL);
}

static void drop_on_frame(struct node *node, bool frame)
{
    if (frame) {
        node->on_event = NULL;
        assert_false(failed(peer_drop(node->links, 1, PEER_REASON_BAD_FRAME)));
        assert_true(err_is(peer_drop(node->links, 1, PEER_REASON_BAD_FRAME), ERR_AGAIN));
    }
}

/* What follows the bad frame on its connection is not heard; the peer comes again. */
static void a_peer_is_dropped(void **state)
{
    (void)state;
    world_start_two(&w);
    assert_true(err_is(peer_drop(w.nodes[2].links, 3, PEER_REASON_BAD_FRAME), ERR_NOT_FOUND));
    w.nodes[2].on_event = drop_on_frame;
    assert_false(failed(send_text(1, 2, "bad")));
    assert_false(failed(send_text(1, 2, "unheard")));
    world_until(&w, w.nodes[2].downs[PEER_DIRECTION_IN] == 1);
    assert_int_equal(w.nodes[2].down_reason, PEER_REASON_BAD_FRAME);
    assert_int_equal(w.nodes[2].received_count, 1);
    assert_int_equal(world_status(&w, 2, 1).last_reason, PEER_REASON_BAD_FRAME);
    world_until(&w, world_linked(&w, 1, 2));
    assert_false(failed(send_text(1, 2, "good")));
    world_until(&w, w.nodes[2].received_count == 2);
    world_stop(&w, 1);
    world_until(&w, w.nodes[2].downs[PEER_DIRECTION_IN] == 2);
    assert_true(err_is(peer_drop(w.nodes[2].links, 1, PEER_REASON_BAD_FRAME), ERR_AGAIN));
}

static void a_moved_node_is_found(void **state)
{
    (void)state;
    world_start_two(&w);
    world_stop(&w, 2);
    strcpy(w.nodes[2].address, "127.0.0.1:0");
    world_start(&w, 2);
    world_set_nodes(&w, 2);
    world_until(&w, world_linked(&w, 1, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(frames_arrive_whole_and_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(three_nodes_link_each_with_each, setup, teardown),
        cmocka_unit_test_setup_teardown(only_an_open_link_takes_frames, setup, teardown),
        cmocka_unit_test_setup_teardown(links_come_back_after_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(the_queue_is_bounded_and_drains, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lost_link_drops_its_queue, setup, teardown),
        cmocka_unit_test_setup_teardown(idle_links_stay_up, setup, teardown),
        cmocka_unit_test_setup_teardown(faults_drop_and_delay, setup, teardown),
        cmocka_unit_test_setup_teardown(the_table_may_change_inside_callbacks, setup, teardown),
        cmocka_unit_test_setup_teardown(a_peer_is_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(a_moved_node_is_found, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
