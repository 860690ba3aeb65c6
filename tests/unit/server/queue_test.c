/* The order of the block builder: turns between parties, governance first but not alone, what could
 * not be proposed is first again, shares are given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "server/queue.h"

static const uint8_t HASH[32] = {1};

struct desk {
    struct inflight_table table;
    struct block_queue queue;
    uint32_t made;
};

static void open_desk(struct desk *d)
{
    *d = (struct desk){0};
    inflight_init(&d->table, 1, 2);
    queue_init(&d->queue, 3, 4);
}

static void close_desk(struct desk *d)
{
    queue_done(&d->queue);
    inflight_done(&d->table);
}

static struct inflight *add(struct desk *d, const char *party, bool governance)
{
    uint8_t id[16] = {0};
    d->made++;
    memcpy(id, &d->made, sizeof d->made);
    struct inflight_new n = {
        .party = bytes_text(party),
        .source = bytes_text("client"),
        .envelope = bytes_text("x"),
        .request_id = id,
        .request_hash = HASH,
        .state = INFLIGHT_VERIFYING,
        .governance = governance,
    };
    struct inflight *r = inflight_add(&d->table, &n);
    assert_non_null(r);
    r->token = d->made;
    inflight_move(r, INFLIGHT_QUEUED);
    queue_add(&d->queue, r);
    return r;
}

static void answer(struct desk *d, struct inflight *r)
{
    queue_release(&d->queue, r);
    inflight_take(&d->table, r);
    inflight_free(r);
}

/* Pops everything and checks the numbers of the requests; they stay chained. */
static struct inflight *pops(struct desk *d, const uint64_t *wanted, size_t count)
{
    struct inflight *first = NULL;
    struct inflight **end = &first;
    queue_begin(&d->queue);
    for (size_t i = 0; i < count; i++) {
        struct inflight *seen = queue_peek(&d->queue);
        assert_non_null(seen);
        assert_int_equal(seen->token, wanted[i]);
        *end = queue_pop(&d->queue);
        assert_ptr_equal(*end, seen);
        end = &seen->queue_next;
    }
    return first;
}

static void parties_take_turns(void **state)
{
    static const uint64_t order[] = {1, 5, 7, 2, 6, 3, 4};
    struct desk d;
    (void)state;
    open_desk(&d);
    for (int i = 0; i < 4; i++) {
        add(&d, "flood", false);
    }
    add(&d, "enedis", false);
    add(&d, "enedis", false);
    add(&d, "pmo", false);
    struct inflight *all = pops(&d, order, 7);
    assert_null(queue_peek(&d.queue));
    queue_return(&d.queue, all); /* could not be proposed: the same once more */
    (void)pops(&d, order, 6);
    assert_int_equal(d.queue.count, 1);
    close_desk(&d);
}

static void what_is_returned_comes_in_the_same_order(void **state)
{
    static const uint64_t first[] = {1, 3, 2};
    static const uint64_t more[] = {1, 3, 5, 2, 4};
    struct desk d;
    (void)state;
    open_desk(&d);
    add(&d, "a", false);
    add(&d, "a", false);
    add(&d, "b", false);
    queue_return(&d.queue, pops(&d, first, 3));
    assert_int_equal(d.queue.count, 3);
    add(&d, "b", false);
    add(&d, "c", false);
    queue_return(&d.queue, pops(&d, more, 4));
    (void)pops(&d, more, 5);
    close_desk(&d);
}

static void governance_goes_first_but_not_alone(void **state)
{
    struct desk d;
    (void)state;
    open_desk(&d);
    add(&d, "pmo", false);
    for (int i = 0; i < GOVERNANCE_FIRST_MAX + 2; i++) {
        add(&d, "ledger.ville", true);
    }
    queue_begin(&d.queue);
    for (uint64_t i = 0; i < GOVERNANCE_FIRST_MAX; i++) {
        assert_int_equal(queue_pop(&d.queue)->token, 2 + i);
    }
    assert_int_equal(queue_pop(&d.queue)->token, 1);
    assert_int_equal(queue_pop(&d.queue)->token, GOVERNANCE_FIRST_MAX + 2);
    assert_int_equal(d.queue.count, 1);
    queue_clear(&d.queue);
    assert_null(queue_peek(&d.queue));
    close_desk(&d);
}

static void a_party_holds_its_share_until_it_is_answered(void **state)
{
    struct desk d;
    (void)state;
    open_desk(&d);
    struct inflight *one = NULL;
    for (uint32_t i = 0; i < INFLIGHT_PARTY_MAX; i++) {
        assert_true(queue_has_share(&d.queue, bytes_text("flood")));
        one = add(&d, "flood", false);
    }
    assert_false(queue_has_share(&d.queue, bytes_text("flood")));
    assert_true(queue_has_share(&d.queue, bytes_text("pmo")));
    assert_false(inflight_has_share(&d.table, bytes_text("client"), 1));
    assert_true(inflight_has_share(&d.table, bytes_text("other"), 1));
    queue_clear(&d.queue);
    assert_false(queue_has_share(&d.queue, bytes_text("flood")));
    answer(&d, one);
    assert_true(queue_has_share(&d.queue, bytes_text("flood")));
    assert_true(inflight_has_share(&d.table, bytes_text("client"), 1));
    while (d.table.oldest != NULL) {
        answer(&d, d.table.oldest);
    }
    size_t at = 0;
    struct bytes name;
    void *left;
    assert_false(map_next(&d.queue.parties, &at, &name, &left));
    assert_false(map_next(&d.table.sources, &at, &name, &left));
    close_desk(&d);
}

static void bytes_are_shared_too(void **state)
{
    struct desk d;
    (void)state;
    open_desk(&d);
    assert_true(inflight_has_share(&d.table, bytes_text("c"), INFLIGHT_SOURCE_BYTES_MAX));
    add(&d, "pmo", false);
    assert_false(inflight_has_share(&d.table, bytes_text("client"), INFLIGHT_SOURCE_BYTES_MAX));
    assert_true(inflight_has_share(&d.table, bytes_text("client"), INFLIGHT_SOURCE_BYTES_MAX - 1));
    close_desk(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parties_take_turns),
        cmocka_unit_test(what_is_returned_comes_in_the_same_order),
        cmocka_unit_test(governance_goes_first_but_not_alone),
        cmocka_unit_test(a_party_holds_its_share_until_it_is_answered),
        cmocka_unit_test(bytes_are_shared_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
