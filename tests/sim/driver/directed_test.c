/* Two histories steered by hand: figure 8 of the Raft paper, and the single-server membership bug
 * (Ongaro, raft-dev, 2015-07-10), which happens when its guard is off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/consensus/lab.h"

static struct lab *lab_of(const char *roles, uint32_t inflight, uint32_t switches_off)
{
    struct lab *l = mem_new(1, sizeof *l);
    l->inflight = inflight;
    l->cache_bytes = 1 << 20;
    l->switches_off = switches_off;
    lab_init(l, roles);
    return l;
}

/* (a) to (c) of figure 8: an entry of an older term is on a majority; that alone must not commit
 * it, for (d) it may still be replaced. */
static void figure_8_commits_nothing_by_counting(void **state)
{
    (void)state;
    struct lab *l = lab_of("vvvvv", 1, 0);
    lab_campaign(l, 1, LAB_ALL);
    lab_settle(l, 1, LAB_ALL);
    assert_int_equal(l->nodes[5].count, 2); /* configuration and barrier */
    assert_int_equal(lab_command(l, 1, 1), CONSENSUS_OK);
    lab_deliver(l, LAB_BIT(1) | LAB_BIT(2), 1); /* (a) S1 replicates entry 3 to S2 only */
    assert_int_equal(l->nodes[2].count, 3);
    lab_down(l, 1);
    lab_campaign(l, 5, LAB_BIT(3) | LAB_BIT(4) | LAB_BIT(5)); /* (b) S5 has its own entry 3 */
    lab_deliver(l, 0, 1);
    assert_true(lab_leads(l, 5));
    lab_down(l, 5);
    lab_up(l, 1);
    lab_campaign(l, 1, LAB_BIT(1) | LAB_BIT(2) | LAB_BIT(3) | LAB_BIT(4));
    lab_deliver(l, 0, 1);
    assert_true(lab_leads(l, 1));
    for (int i = 0; i < 20 && l->nodes[3].count < 3; i++) { /* (c) S3 gets entry 3, not more */
        if (l->net_count == 0) {
            lab_timeout(l, 1);
        }
        lab_deliver_link(l, 1, 3);
        lab_deliver_link(l, 3, 1);
    }
    lab_deliver_link(l, 3, 1);
    lab_deliver(l, 0, 1);
    assert_int_equal(l->nodes[3].count, 3);
    assert_int_equal(l->nodes[3].entries[2]->term, l->nodes[1].entries[2]->term);
    assert_true(l->nodes[1].c->commit < 3);
    lab_down(l, 1);
    lab_up(l, 5);
    lab_campaign(l, 5, LAB_BIT(2) | LAB_BIT(3) | LAB_BIT(4) | LAB_BIT(5)); /* (d) */
    lab_settle(l, 5, LAB_BIT(2) | LAB_BIT(3) | LAB_BIT(4) | LAB_BIT(5));
    lab_up(l, 1);
    lab_settle(l, 5, LAB_ALL);
    lab_settle(l, 5, LAB_ALL);
    assert_int_equal(l->contradictions, 0);
    assert_true(l->nodes[5].applied >= 4);
    for (uint64_t id = 1; id <= 4; id++) {
        assert_int_equal(l->nodes[id].applied, l->nodes[5].applied);
        assert_int_equal(l->nodes[id].entries[2]->term, l->nodes[5].entries[2]->term);
    }
    lab_done(l);
    free(l);
}

/* Number of positions at which two nodes applied different entries. */
static uint32_t change_without_own_commit(uint32_t switches_off)
{
    struct lab *l = lab_of("vvvvs", 32, switches_off);
    lab_campaign(l, 1, LAB_ALL);
    lab_settle(l, 1, LAB_ALL);
    assert_int_equal(consensus_promote(l->nodes[1].c, 5), CONSENSUS_OK);
    lab_deliver(l, LAB_BIT(1) | LAB_BIT(5), 4); /* only S5 gets it */
    lab_campaign(l, 2, LAB_BIT(2) | LAB_BIT(3) | LAB_BIT(4));
    assert_true(lab_leads(l, 2));
    enum consensus_answer answer = consensus_change(l->nodes[2].c, 1, CONSENSUS_STANDBY);
    assert_int_equal(answer, switches_off == 0 ? CONSENSUS_BUSY : CONSENSUS_OK);
    lab_deliver(l, LAB_BIT(2) | LAB_BIT(3), 4);
    for (int i = 0; i < 3; i++) {
        lab_timeout(l, 2);
        lab_deliver(l, LAB_BIT(2) | LAB_BIT(3), 6);
    }
    lab_campaign(l, 1, LAB_BIT(1) | LAB_BIT(4) | LAB_BIT(5));
    lab_settle(l, 1, LAB_BIT(1) | LAB_BIT(4) | LAB_BIT(5));
    uint32_t contradictions = l->contradictions;
    lab_done(l);
    free(l);
    return contradictions;
}

static void change_waits_for_an_own_commit(void **state)
{
    (void)state;
    assert_int_equal(change_without_own_commit(0), 0);
    assert_true(change_without_own_commit(GUARD_OWN_TERM | GUARD_AWARE) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figure_8_commits_nothing_by_counting),
        cmocka_unit_test(change_waits_for_an_own_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
