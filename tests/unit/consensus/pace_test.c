/* How many heartbeats a leader sends: fewer when nothing is left to say, as many as ever when
 * something is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/consensus/lab.h"

enum { HEARTBEAT_MS = 100, ELECTION_MS = 1000, SPAN_MS = 4000 }; /* as the lab has them */

static struct lab *lab_led(const char *roles)
{
    struct lab *l = mem_new(1, sizeof *l);
    l->inflight = 8;
    l->cache_bytes = 1 << 20;
    lab_init(l, roles);
    lab_campaign(l, 1, LAB_ALL);
    assert_true(lab_leads(l, 1));
    lab_settle(l, 1, LAB_ALL);
    return l;
}

static void lab_free(struct lab *l)
{
    lab_done(l);
    free(l);
}

/* The frames that the leader sends to each peer that is up, within ms in which time passes and all
 * is delivered among the set. */
static uint32_t beats(struct lab *l, uint32_t set, uint64_t ms)
{
    uint32_t count = 0;
    uint64_t term = l->nodes[1].c->term;
    for (uint64_t end = l->now_ms + ms; l->now_ms < end; l->now_ms++) {
        for (uint64_t id = 1; id <= l->size; id++) {
            if (l->nodes[id].up && consensus_timeout_ms(l->nodes[id].c) <= l->now_ms) {
                consensus_tick(l->nodes[id].c);
                count += id == 1 && l->net_count > 0;
            }
        }
        lab_deliver(l, set, 8);
    }
    assert_true(lab_leads(l, 1));
    assert_int_equal(l->nodes[1].c->term, term); /* nobody missed a heartbeat */
    return count;
}

static void a_calm_leader_beats_half_as_often(void **state)
{
    (void)state;
    static const char *const roles[] = {"vvv", "vvvvv", "vvvs"};
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        struct lab *l = lab_led(roles[i]);
        assert_in_range(beats(l, LAB_ALL, SPAN_MS), SPAN_MS / HEARTBEAT_MS / 2 - 1,
                        SPAN_MS / HEARTBEAT_MS / 2 + 1);
        lab_free(l);
    }
}

static void a_peer_that_lacks_something_keeps_the_pace(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv");
    uint32_t most = LAB_ALL & ~LAB_BIT(3);
    lab_down(l, 3);
    assert_int_equal(lab_command(l, 1, 10), CONSENSUS_OK);
    lab_deliver(l, most, 8);
    assert_in_range(beats(l, most, SPAN_MS), SPAN_MS / HEARTBEAT_MS - 2, SPAN_MS / HEARTBEAT_MS);
    lab_up(l, 3);
    (void)beats(l, LAB_ALL, ELECTION_MS); /* it catches up */
    assert_in_range(beats(l, LAB_ALL, SPAN_MS), SPAN_MS / HEARTBEAT_MS / 2 - 1,
                    SPAN_MS / HEARTBEAT_MS / 2 + 1);
    lab_free(l);
}

/* Frames that are lost are repeated as soon as ever, although the leader was calm. */
static void what_is_lost_is_repeated_at_the_full_pace(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv");
    (void)beats(l, LAB_ALL, SPAN_MS);
    lab_timeout(l, 1); /* the next heartbeat is a whole pace away */
    lab_deliver(l, LAB_ALL, 8);
    assert_int_equal(lab_command(l, 1, 10), CONSENSUS_OK);
    lab_sync(l, 1);
    lab_lose_all(l);
    uint64_t before = l->now_ms;
    lab_timeout(l, 1);
    assert_true(l->now_ms - before <= HEARTBEAT_MS);
    lab_deliver(l, LAB_ALL, 8);

    (void)beats(l, LAB_ALL, SPAN_MS);
    lab_timeout(l, 1);
    lab_deliver(l, LAB_ALL, 8);
    assert_int_equal(consensus_read(l->nodes[1].c, 7), CONSENSUS_OK);
    lab_lose_all(l);
    before = l->now_ms;
    lab_timeout(l, 1);
    assert_true(l->now_ms - before <= HEARTBEAT_MS);
    lab_deliver(l, LAB_ALL, 8);
    assert_int_equal(l->nodes[1].read_count, 1);
    assert_true(l->nodes[1].reads[0].ok);
    lab_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_calm_leader_beats_half_as_often),
        cmocka_unit_test(a_peer_that_lacks_something_keeps_the_pace),
        cmocka_unit_test(what_is_lost_is_repeated_at_the_full_pace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
