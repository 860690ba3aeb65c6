/* Followers learn at once what is committed, without a heartbeat; each commit is told once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/consensus/lab.h"

enum { ROUNDS = 20 };

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

/* No timer fires in here. */
static void followers_apply_without_a_heartbeat(void **state)
{
    (void)state;
    static const char *const roles[] = {"vvv", "vvvvv", "vvvs"};
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        struct lab *l = lab_led(roles[i]);
        uint64_t before = l->nodes[1].applied;
        assert_int_equal(lab_command(l, 1, 10), CONSENSUS_OK);
        lab_deliver(l, LAB_ALL, ROUNDS);
        for (uint64_t id = 1; id <= l->size; id++) {
            assert_int_equal(l->nodes[id].applied, before + 1);
        }
        assert_int_equal(l->contradictions, 0);
        lab_free(l);
    }
}

/* The entry is committed by nodes 1 and 2; node 3 stores it later, and is told then. */
static void who_stores_late_is_told_late(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv");
    uint64_t before = l->nodes[1].applied;
    assert_int_equal(lab_command(l, 1, 10), CONSENSUS_OK);
    lab_sync(l, 1);
    lab_carry(l, 1, 3); /* it has the entry, and its disk is slow */
    lab_deliver_link(l, 1, 2);
    lab_deliver_link(l, 2, 1);
    lab_sync(l, 1);
    assert_int_equal(l->nodes[1].applied, before + 1);
    lab_deliver_link(l, 1, 2);
    lab_sync(l, 2);
    assert_int_equal(l->nodes[2].applied, before + 1);
    assert_int_equal(l->nodes[3].applied, before);
    lab_deliver(l, LAB_ALL, ROUNDS); /* syncs node 3 */
    assert_int_equal(l->nodes[3].applied, before + 1);
    lab_free(l);
}

static void each_commit_is_told_once(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv");
    assert_int_equal(lab_command(l, 1, 10), CONSENSUS_OK);
    lab_deliver(l, LAB_ALL, ROUNDS);
    for (int i = 0; i < 3; i++) {
        lab_sync_all(l);
        assert_int_equal(l->net_count, 0);
    }
    lab_timeout(l, 1); /* a heartbeat: two messages, two answers, nothing more */
    assert_int_equal(l->net_count, 2);
    lab_deliver_link(l, 1, 2);
    lab_deliver_link(l, 1, 3);
    assert_int_equal(l->net_count, 2);
    lab_deliver_link(l, 2, 1);
    lab_deliver_link(l, 3, 1);
    assert_int_equal(l->net_count, 0);
    lab_free(l);
}

/* While more is on its way nothing is said: the next entries take the commit index along. */
static void nothing_is_told_while_more_is_under_way(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv");
    assert_int_equal(lab_command(l, 1, 10), CONSENSUS_OK);
    lab_sync(l, 1);
    lab_deliver_link(l, 1, 2);
    assert_int_equal(lab_command(l, 1, 10), CONSENSUS_OK);
    uint32_t before = l->net_count;
    lab_deliver_link(l, 2, 1); /* commits the first; the second is not committed */
    assert_int_equal(l->net_count, before - 1);
    lab_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(followers_apply_without_a_heartbeat),
        cmocka_unit_test(who_stores_late_is_told_late),
        cmocka_unit_test(each_commit_is_told_once),
        cmocka_unit_test(nothing_is_told_while_more_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
