/* The next change of the configuration: each rule of the plan, and what it says while it waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "server/plan.h"

#define V LEDGER_WISH_VOTER
#define R LEDGER_WISH_REMOVED
#define NOBODY CONSENSUS_STRANGER
#define STANDBY CONSENSUS_STANDBY
#define VOTER CONSENSUS_VOTER

static void put(struct plan_view *v, uint64_t id, enum ledger_wish wish,
                enum consensus_member member)
{
    struct plan_node *n = &v->nodes[v->count++];
    *n = (struct plan_node){.id = id, .wish = wish, .member = member, .answers = true};
    snprintf(n->name, sizeof n->name, "n%u (node %u)", (unsigned)id, (unsigned)id);
}

/* Three voters, node 1 leads. */
static struct plan_view three(void)
{
    struct plan_view v = {.self = 1, .leads = true};
    put(&v, 1, V, VOTER);
    put(&v, 2, V, VOTER);
    put(&v, 3, V, VOTER);
    return v;
}

static void silence(struct plan_view *v, size_t at, bool dead)
{
    v->nodes[at].answers = false;
    v->nodes[at].dead = dead;
    v->nodes[at].silent_ms = 12345;
}

static void expect(const struct plan_view *v, enum plan_step step, uint64_t id)
{
    struct plan p;
    plan_make(v, &p);
    if (p.step != step || p.id != id) {
        fail_msg("step %d of node %u, expected %d of %u: %s", (int)p.step, (unsigned)p.id,
                 (int)step, (unsigned)id, p.pending_count > 0 ? p.pending[0].why : "");
    }
}

static void waits(const struct plan_view *v, uint64_t id, const char *words)
{
    struct plan p;
    plan_make(v, &p);
    assert_int_equal(p.step, PLAN_NOTHING);
    for (size_t i = 0; i < p.pending_count; i++) {
        if (p.pending[i].id == id) {
            if (strstr(p.pending[i].why, words) == NULL) {
                fail_msg("'%s' does not say '%s'", p.pending[i].why, words);
            }
            return;
        }
    }
    fail_msg("nothing pends for node %u", (unsigned)id);
}

static void nothing_to_do(void **state)
{
    (void)state;
    struct plan_view v = three();
    struct plan p;
    plan_make(&v, &p);
    assert_true(plan_is_settled(&p));
    put(&v, 4, R, NOBODY);
    plan_make(&v, &p);
    assert_true(plan_is_settled(&p));
    assert_int_equal(p.step, PLAN_NOTHING);
}

static void a_new_node_comes_in_and_gets_its_vote(void **state)
{
    (void)state;
    struct plan_view v = three();
    put(&v, 4, V, NOBODY);
    expect(&v, PLAN_ADD, 4);
    v.changing = true;
    waits(&v, 4, "being committed");
    v.changing = false;
    v.nodes[3].member = STANDBY;
    v.nodes[3].behind = 7;
    expect(&v, PLAN_PROMOTE, 4); /* the driver waits until it is level */
    struct plan p;
    plan_make(&v, &p);
    assert_non_null(strstr(p.pending[0].why, "7 entries behind"));
    silence(&v, 3, false);
    waits(&v, 4, "does not answer");
    v.leads = false;
    v.nodes[3].member = NOBODY;
    plan_make(&v, &p);
    assert_int_equal(p.step, PLAN_NOTHING); /* a follower only shows it */
    assert_int_equal(p.pending_count, 1);
}

static void no_vote_while_too_few_would_answer(void **state)
{
    (void)state;
    struct plan_view v = three();
    put(&v, 4, V, STANDBY);
    silence(&v, 1, true);
    waits(&v, 4, "3 of the 4 voters would have to answer and 2 do: n2 (node 2) is silent for 12 s");
    waits(&v, 4, "concordat node replace 2");
    put(&v, 5, V, VOTER); /* four voters, three answer: five need three */
    expect(&v, PLAN_PROMOTE, 4);
}

static void a_voter_goes_when_enough_answer(void **state)
{
    (void)state;
    struct plan_view v = three();
    put(&v, 4, R, VOTER);
    expect(&v, PLAN_REMOVE, 4);
    v.nodes[3].wish = LEDGER_WISH_STANDBY;
    expect(&v, PLAN_DEMOTE, 4);
    silence(&v, 1, false);
    expect(&v, PLAN_DEMOTE, 4); /* two of three */
    silence(&v, 2, false);
    waits(&v, 4, "2 of the 3 voters would have to answer and 1 do");
    v = three();
    v.nodes[2].wish = LEDGER_WISH_REMOVED;
    waits(&v, 3, "another voter comes first");
}

static void a_leader_hands_over_before_it_goes(void **state)
{
    (void)state;
    struct plan_view v = three();
    put(&v, 4, V, VOTER);
    v.nodes[0].wish = LEDGER_WISH_REMOVED;
    v.nodes[1].behind = 5;
    v.nodes[2].behind = 0;
    v.nodes[3].behind = 9;
    expect(&v, PLAN_TRANSFER, 3);
    v.nodes[2].wish = LEDGER_WISH_REMOVED; /* not to one that goes as well */
    expect(&v, PLAN_TRANSFER, 2);
}

static void a_living_node_stays_until_its_successor_votes(void **state)
{
    (void)state;
    struct plan_view v = three();
    v.nodes[2].wish = LEDGER_WISH_REMOVED;
    v.nodes[2].successor = 4;
    put(&v, 4, V, NOBODY);
    expect(&v, PLAN_ADD, 4);
    v.nodes[3].member = STANDBY;
    expect(&v, PLAN_PROMOTE, 4);
    silence(&v, 3, false);
    waits(&v, 3, "n4 (node 4), which replaces it, gets its vote first");
    v.nodes[3].answers = true;
    v.nodes[3].member = VOTER;
    expect(&v, PLAN_REMOVE, 3);
}

static void a_dead_node_goes_when_its_successor_is_near(void **state)
{
    (void)state;
    struct plan_view v = three();
    silence(&v, 2, true);
    v.nodes[2].wish = LEDGER_WISH_REMOVED;
    v.nodes[2].successor = 4;
    put(&v, 4, V, NOBODY);
    expect(&v, PLAN_ADD, 4);
    v.nodes[3].member = STANDBY;
    v.nodes[3].behind = PLAN_NEAR + 1;
    waits(&v, 3, "entries behind");
    waits(&v, 4, "goes first");
    v.nodes[3].behind = PLAN_NEAR;
    expect(&v, PLAN_REMOVE, 3);
    v.nodes[2].member = NOBODY;
    expect(&v, PLAN_PROMOTE, 4); /* two voters: both know the configuration */
    silence(&v, 1, true);
    waits(&v, 4, "2 of the 3 voters would have to answer and 1 do");
}

static void a_successor_may_be_replaced_before_it_came(void **state)
{
    (void)state;
    struct plan_view v = three();
    silence(&v, 2, true);
    v.nodes[2].wish = LEDGER_WISH_REMOVED;
    v.nodes[2].successor = 4;
    put(&v, 4, R, STANDBY);
    v.nodes[3].successor = 5;
    put(&v, 5, V, STANDBY);
    expect(&v, PLAN_REMOVE, 4); /* no vote, no quorum */
    v.nodes[3].member = NOBODY;
    expect(&v, PLAN_REMOVE, 3);
    v.nodes[2].member = NOBODY;
    expect(&v, PLAN_PROMOTE, 5);
}

static void a_chain_that_leads_nowhere_ends(void **state)
{
    (void)state;
    struct plan_view v = three();
    put(&v, 4, R, VOTER);
    v.nodes[3].successor = 4; /* itself: never written by the ledger */
    expect(&v, PLAN_REMOVE, 4);
    v.nodes[3].successor = 9; /* nobody */
    expect(&v, PLAN_REMOVE, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_to_do),
        cmocka_unit_test(a_new_node_comes_in_and_gets_its_vote),
        cmocka_unit_test(no_vote_while_too_few_would_answer),
        cmocka_unit_test(a_voter_goes_when_enough_answer),
        cmocka_unit_test(a_leader_hands_over_before_it_goes),
        cmocka_unit_test(a_living_node_stays_until_its_successor_votes),
        cmocka_unit_test(a_dead_node_goes_when_its_successor_is_near),
        cmocka_unit_test(a_successor_may_be_replaced_before_it_came),
        cmocka_unit_test(a_chain_that_leads_nowhere_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
