/* The leader's process is gone: who campaigns when, and when nobody does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/consensus/lab.h"

enum { SLOT_MS = 100 / 2 + 1 }; /* the lab's heartbeat is 100 ms */

static struct lab *lab_led(const char *roles, bool pre_vote)
{
    struct lab *l = mem_new(1, sizeof *l);
    l->inflight = 8;
    l->cache_bytes = 1 << 20;
    l->pre_vote = pre_vote;
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

/* Everybody who runs hears that node 1 is gone; timers fire in order until somebody leads. The time
 * that took, UINT64_MAX when nobody leads within ms. */
static uint64_t time_to_elect(struct lab *l, uint64_t gone, uint64_t ms)
{
    uint64_t start = l->now_ms;
    for (uint64_t id = 1; id <= l->size; id++) {
        if (l->nodes[id].up) {
            consensus_peer_gone(l->nodes[id].c, gone);
        }
    }
    for (; l->now_ms - start <= ms; l->now_ms++) {
        for (uint64_t id = 1; id <= l->size; id++) {
            if (l->nodes[id].up && consensus_timeout_ms(l->nodes[id].c) <= l->now_ms) {
                consensus_tick(l->nodes[id].c);
            }
        }
        lab_deliver(l, LAB_ALL, 4);
        for (uint64_t id = 1; id <= l->size; id++) {
            if (lab_leads(l, id) && id != gone) {
                return l->now_ms - start;
            }
        }
    }
    return UINT64_MAX;
}

static void a_killed_leader_is_replaced_in_slots(void **state)
{
    (void)state;
    static const char *const roles[] = {"vvv", "vvvvv", "vvvvvvv", "vvvs"};
    static const uint64_t slots[] = {1, 2, 3, 1}; /* the turn that completes a majority */
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        struct lab *l = lab_led(roles[i], true);
        uint64_t term = l->nodes[2].c->term;
        lab_down(l, 1);
        assert_int_equal(time_to_elect(l, 1, 1000), slots[i] * SLOT_MS);
        assert_int_equal(l->nodes[2].c->term, term + 1); /* no rivals */
        lab_free(l);
    }
}

/* Node 3 lacks an entry: its turn comes and goes, node 2's comes again. */
static void who_is_behind_does_not_win(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv", true);
    assert_int_equal(lab_command(l, 1, 10), CONSENSUS_OK);
    lab_deliver(l, LAB_BIT(1) | LAB_BIT(2), 6);
    lab_down(l, 1);
    assert_int_equal(time_to_elect(l, 1, 1000), (2 + 2) * SLOT_MS);
    assert_true(lab_leads(l, 2));
    lab_free(l);
}

/* The connections broke, the process lives: it goes on, in its term. */
static void a_living_leader_stays(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv", true);
    uint64_t term = l->nodes[1].c->term;
    consensus_peer_gone(l->nodes[2].c, 1);
    l->now_ms += SLOT_MS;
    consensus_tick(l->nodes[2].c);
    lab_deliver(l, LAB_ALL, 4); /* node 3 still has its leader */
    assert_int_equal(core_role(l->nodes[2].c), CONSENSUS_CANDIDATE);
    lab_timeout(l, 1);
    lab_deliver(l, LAB_ALL, 4);
    assert_int_equal(core_role(l->nodes[2].c), CONSENSUS_FOLLOWER);
    assert_true(consensus_timeout_ms(l->nodes[2].c) > l->now_ms + 500); /* no haste any more */
    assert_true(lab_leads(l, 1));
    assert_int_equal(l->nodes[1].c->term, term);
    consensus_peer_gone(l->nodes[3].c, 1); /* and a heartbeat before the turn ends it, too */
    lab_timeout(l, 1);
    lab_deliver(l, LAB_ALL, 4);
    assert_true(consensus_timeout_ms(l->nodes[3].c) > l->now_ms + 500);
    lab_free(l);
}

/* Without a majority the election timeout takes over again. */
static void haste_ends(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv", true);
    lab_down(l, 1);
    lab_down(l, 3);
    assert_int_equal(time_to_elect(l, 1, 1200), UINT64_MAX);
    assert_true(consensus_timeout_ms(l->nodes[2].c) >= l->now_ms);
    uint64_t steps = l->nodes[2].c->counters.steps;
    l->now_ms += SLOT_MS;
    consensus_tick(l->nodes[2].c);
    assert_int_equal(l->nodes[2].c->counters.steps, steps);
    lab_free(l);
}

static void only_the_leader_is_missed(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct lab *l = lab_led("vvvs", i != 3);
        uint64_t at = i == 1 ? 1 : i == 2 ? 4 : 2; /* the leader itself; a standby; no pre-votes */
        uint64_t gone = i == 0 ? 3 : i == 1 ? 2 : 1;
        uint64_t before = consensus_timeout_ms(l->nodes[at].c);
        consensus_peer_gone(l->nodes[at].c, gone);
        assert_int_equal(consensus_timeout_ms(l->nodes[at].c), before);
        lab_free(l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_leader_is_replaced_in_slots),
        cmocka_unit_test(who_is_behind_does_not_win),
        cmocka_unit_test(a_living_leader_stays),
        cmocka_unit_test(haste_ends),
        cmocka_unit_test(only_the_leader_is_missed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
