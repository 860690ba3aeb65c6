/* The table of requests under way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "server/inflight.h"

static const uint8_t HASH[32] = {1};

static struct inflight *add(struct inflight_table *t, const char *party, uint8_t id,
                            struct bytes envelope)
{
    uint8_t request_id[16] = {id};
    struct inflight_new n = {
        .party = bytes_text(party),
        .envelope = envelope,
        .request_id = request_id,
        .request_hash = HASH,
        .state = INFLIGHT_VERIFYING,
    };
    return inflight_add(t, &n);
}

static void requests_are_found_by_party_and_id(void **state)
{
    (void)state;
    struct inflight_table t;
    const uint8_t one[16] = {1};
    const uint8_t two[16] = {2};
    inflight_init(&t, 1, 2);
    struct inflight *a = add(&t, "enedis", 1, bytes_text("x"));
    struct inflight *b = add(&t, "enedis", 2, bytes_text("xy"));
    struct inflight *c = add(&t, "pmo", 1, bytes_text("xyz"));
    assert_ptr_equal(inflight_find(&t, bytes_text("enedis"), one), a);
    assert_ptr_equal(inflight_find(&t, bytes_text("enedis"), two), b);
    assert_ptr_equal(inflight_find(&t, bytes_text("pmo"), one), c);
    assert_null(inflight_find(&t, bytes_text("pmo"), two));
    assert_int_equal(t.bytes, 6);
    inflight_take(&t, b);
    assert_null(inflight_find(&t, bytes_text("enedis"), two));
    assert_int_equal(t.count, 2);
    assert_int_equal(t.bytes, 4);
    assert_ptr_equal(t.oldest->next, c);
    inflight_free(b);
    inflight_done(&t);
}

static void waiters_come_and_go(void **state)
{
    (void)state;
    struct inflight_table t;
    inflight_init(&t, 1, 2);
    struct inflight *r = add(&t, "enedis", 1, bytes_text("x"));
    struct waiter *w1 = inflight_wait(r, (struct waiter){.peer = 1});
    struct waiter *w2 = inflight_wait(r, (struct waiter){.peer = 2});
    struct waiter *w3 = inflight_wait(r, (struct waiter){.peer = 3});
    inflight_forget(w2);
    assert_ptr_equal(r->waiters, w3);
    assert_ptr_equal(w3->next, w1);
    assert_null(w1->next);
    inflight_done(&t);
}

static void the_table_is_bounded(void **state)
{
    (void)state;
    struct inflight_table t;
    static uint8_t big[1 << 20];
    inflight_init(&t, 1, 2);
    uint8_t id = 0;
    while (add(&t, "enedis", id, bytes_of(big, sizeof big)) != NULL) {
        id++;
    }
    assert_int_equal(id, INFLIGHT_BYTES_MAX / sizeof big);
    inflight_done(&t);
}

static void states_follow_the_picture(void **state)
{
    (void)state;
    struct inflight_table t;
    inflight_init(&t, 1, 2);
    struct inflight *r = add(&t, "enedis", 1, bytes_text("x"));
    inflight_move(r, INFLIGHT_QUEUED);
    inflight_move(r, INFLIGHT_PROPOSED);
    assert_int_equal(r->state, INFLIGHT_PROPOSED);
    inflight_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_found_by_party_and_id),
        cmocka_unit_test(waiters_come_and_go),
        cmocka_unit_test(the_table_is_bounded),
        cmocka_unit_test(states_follow_the_picture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
