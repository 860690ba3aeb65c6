/* Histories steered by hand: figure 8 of the Raft paper, and each trap that a guard of the driver
 * stands before (trap_*.c), with the guard and without it. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/sim/driver/trap.h"

/* (a) to (c) of figure 8: an entry of an older term is on a majority; that alone must not commit
 * it, for (d) it may still be replaced. */
static void figure_8_commits_nothing_by_counting(void **state)
{
    (void)state;
    struct lab *l = mem_new(1, sizeof *l);
    l->inflight = 1;
    l->cache_bytes = 1 << 20;
    lab_init(l, "vvvvv");
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

/* ---- traps ---- */

/* Built against a libraft with asserts, any trap may end in one. */
#ifdef RAFT_HAS_ASSERTS
enum { ASSERTS = 1 };
#else
enum { ASSERTS = 0 };
#endif

static void with_the_guard(void **state)
{
    const struct trap *t = *state;
    assert_true(t->holds(0));
}

static void without_the_guard(void **state)
{
    const struct trap *t = *state;
    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        static const int caught[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGSYS};
        for (size_t i = 0; i < sizeof caught / sizeof caught[0]; i++) {
            (void)signal(caught[i], SIG_DFL); /* cmocka would go on with the next test */
        }
        _exit(t->holds(t->guard) ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status) && (t->dies || ASSERTS)) {
        return;
    }
    assert_true(WIFEXITED(status));
    assert_int_not_equal(WEXITSTATUS(status), TRAP_LOST);
    assert_int_equal(WEXITSTATUS(status), 1); /* 0: the guard is not needed, or not tested */
}

enum { TESTS_MAX = 64 };

static size_t add(struct CMUnitTest *tests, const struct trap *traps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct trap *t = &traps[i];
        void *state = (void *)(uintptr_t)t;
        tests[2 * i] = (struct CMUnitTest){t->name, with_the_guard, NULL, NULL, state};
        tests[2 * i + 1] =
            (struct CMUnitTest){"  not without its guard", without_the_guard, NULL, NULL, state};
    }
    return 2 * count;
}

int main(void)
{
    static struct CMUnitTest tests[TESTS_MAX] = {
        cmocka_unit_test(figure_8_commits_nothing_by_counting),
    };
    size_t count = 1;
    count += add(tests + count, trap_elections, trap_elections_count);
    count += add(tests + count, trap_logs, trap_logs_count);
    count += add(tests + count, trap_members, trap_members_count);
    return _cmocka_run_group_tests("traps", tests, count, NULL, NULL);
}
