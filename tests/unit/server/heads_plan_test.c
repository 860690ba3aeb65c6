/* Which head is signed when, and what has become of it: each rule alone, then several nodes that
 * talk to each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/clock.h"
#include "server/heads_plan.h"

#define MS NS_PER_MS
#define INTERVAL (1000 * MS)
#define START (5000 * MS)

static struct merkle_head head_of(uint64_t size, uint8_t flavour)
{
    struct merkle_head h = {.size = size};
    memset(h.root.bytes, (int)(size * 7), sizeof h.root.bytes);
    h.root.bytes[0] = flavour;
    return h;
}

/* Nodes 1, 2, 3 of institutions 0, 1, 2; node 1 leads. */
static void begin(struct heads_plan *p, uint64_t self)
{
    static const struct heads_signer ROWS[] = {
        {.id = 1, .institution = 0, .counts = true},
        {.id = 2, .institution = 1, .counts = true},
        {.id = 3, .institution = 2, .counts = true},
    };
    heads_plan_init(p, self, INTERVAL);
    heads_plan_signers(p, ROWS, 3, 3);
    heads_plan_leader(p, 1, START);
}

static enum heads_heard hear(struct heads_plan *p, uint64_t node, uint64_t size, uint8_t flavour,
                             uint64_t now)
{
    const struct heads_said *other = NULL;
    const struct heads_saying s = {node, head_of(size, flavour), bytes_text("lines\n")};
    return heads_plan_hear(p, &s, now, &other);
}

/* Compares all that is due with the root that flavour 0 stands for. */
static void judge(struct heads_plan *p)
{
    uint64_t node = 0;
    struct merkle_head h;
    while (heads_plan_judge(p, &node, &h)) {
        heads_plan_judged(p, node, h.size, h.root.bytes[0] == 0);
    }
}

static uint64_t ask(const struct heads_plan *p, uint64_t now)
{
    uint64_t again = 0;
    return heads_plan_sign(p, now, &again);
}

static uint64_t again(const struct heads_plan *p, uint64_t now)
{
    uint64_t ns = 0;
    assert_int_equal(heads_plan_sign(p, now, &ns), 0);
    return ns;
}

static void sign(struct heads_plan *p, uint64_t size, uint64_t now)
{
    struct merkle_head h = head_of(size, 0);
    heads_plan_signing(p, size, now);
    heads_plan_signed(p, &h, bytes_text("own\n"), now);
}

static void test_leader_signs_at_once_then_each_interval(void **state)
{
    struct heads_plan p;
    (void)state;
    begin(&p, 1);
    assert_int_equal(again(&p, START), UINT64_MAX); /* nothing grew: never */
    heads_plan_reached(&p, 5, START);
    assert_int_equal(ask(&p, START), 5);
    heads_plan_signing(&p, 5, START);
    heads_plan_reached(&p, 6, START);
    assert_int_equal(ask(&p, START + 10 * INTERVAL), 0); /* its mark is not durable yet */
    struct merkle_head h = head_of(5, 0);
    heads_plan_signed(&p, &h, bytes_text("own\n"), START);
    hear(&p, 2, 5, 0, START);
    judge(&p);
    assert_int_equal(heads_plan_ripe(&p), 5);
    heads_plan_completed(&p, 5);
    assert_int_equal(heads_plan_ripe(&p), 0);
    assert_int_equal(again(&p, START + INTERVAL - 1), START + INTERVAL);
    assert_int_equal(ask(&p, START + INTERVAL), 6);
    sign(&p, 6, START + INTERVAL);
    hear(&p, 3, 6, 0, START + INTERVAL);
    judge(&p);
    heads_plan_completed(&p, heads_plan_ripe(&p));
    assert_int_equal(again(&p, START + 100 * INTERVAL), UINT64_MAX); /* idle: nothing more */
}

static void test_leader_is_patient(void **state)
{
    struct heads_plan p;
    (void)state;
    begin(&p, 1);
    heads_plan_reached(&p, 5, START);
    sign(&p, 5, START);
    heads_plan_reached(&p, 9, START);
    assert_int_equal(again(&p, START + INTERVAL), START + 6 * INTERVAL - 3 * INTERVAL);
    sign(&p, 9, START + 3 * INTERVAL);
    heads_plan_reached(&p, 12, START + 4 * INTERVAL);
    assert_int_equal(again(&p, START + 4 * INTERVAL), START + (3 + 6) * INTERVAL);
    for (uint64_t i = 0; i < 10; i++) { /* and never more than HEADS_PATIENCE_MAX */
        uint64_t now = START + (100 + 100 * i) * INTERVAL;
        heads_plan_reached(&p, 20 + i, now);
        sign(&p, 20 + i, now);
        heads_plan_reached(&p, 21 + i, now);
        assert_true(again(&p, now) <= now + HEADS_PATIENCE_MAX * INTERVAL);
    }
}

static void test_follower_signs_the_leaders_sizes(void **state)
{
    struct heads_plan p;
    (void)state;
    begin(&p, 2);
    heads_plan_reached(&p, 4, START);
    assert_int_equal(again(&p, START), START + HEADS_PATIENCE * INTERVAL);
    hear(&p, 1, 7, 0, START);
    assert_int_equal(ask(&p, START), 0); /* not reached */
    heads_plan_reached(&p, 9, START);
    assert_int_equal(ask(&p, START), 7);
    sign(&p, 7, START);
    hear(&p, 1, 8, 0, START + 1);
    assert_int_equal(again(&p, START + 1), START + INTERVAL / 2); /* not for each record */
    assert_int_equal(ask(&p, START + INTERVAL / 2), 8);
    sign(&p, 8, START + INTERVAL / 2);
    hear(&p, 1, 6, 0, START + INTERVAL);
    assert_int_equal(ask(&p, START + INTERVAL), 0); /* never a smaller one */
}

static void test_others_are_not_signed_for_while_the_leader_speaks(void **state)
{
    struct heads_plan p;
    (void)state;
    begin(&p, 2);
    heads_plan_reached(&p, 10, START);
    assert_int_equal(hear(&p, 3, 10, 0, START), HEADS_NEW);
    assert_int_equal(ask(&p, START), 0);
    hear(&p, 1, 9, 0, START + 2 * INTERVAL);
    assert_int_equal(ask(&p, START + 2 * INTERVAL), 9);
    sign(&p, 9, START + 2 * INTERVAL);
    assert_int_equal(ask(&p, START + 4 * INTERVAL), 0);
    assert_int_equal(ask(&p, START + 5 * INTERVAL), 10); /* silent for three */
}

static void test_without_leader_they_take_turns(void **state)
{
    struct heads_plan two, three;
    (void)state;
    begin(&two, 2);
    begin(&three, 3);
    heads_plan_leader(&two, 0, START);
    heads_plan_reached(&two, 10, START);
    heads_plan_reached(&three, 10, START);
    assert_int_equal(ask(&two, START + 3 * INTERVAL), 0);
    assert_int_equal(ask(&two, START + 4 * INTERVAL), 10);
    assert_int_equal(ask(&three, START + 4 * INTERVAL), 0);
    assert_int_equal(ask(&three, START + 5 * INTERVAL), 10);
    hear(&three, 2, 10, 0, START + 4 * INTERVAL);
    assert_int_equal(ask(&three, START + 4 * INTERVAL), 10);
}

static void test_complete_needs_institutions_of_the_same_root(void **state)
{
    struct heads_plan p;
    static const struct heads_signer ROWS[] = {
        {.id = 1, .institution = 0, .counts = true}, {.id = 2, .institution = 0, .counts = true},
        {.id = 3, .institution = 1, .counts = true}, {.id = 4, .institution = 2, .counts = false},
        {.id = 5, .institution = 2, .counts = true},
    };
    (void)state;
    heads_plan_init(&p, 1, INTERVAL);
    heads_plan_signers(&p, ROWS, 5, 3);
    heads_plan_leader(&p, 1, START);
    heads_plan_reached(&p, 5, START);
    sign(&p, 5, START);
    hear(&p, 2, 5, 0, START); /* the same institution */
    hear(&p, 3, 5, 1, START); /* another root */
    hear(&p, 4, 5, 0, START); /* does not count */
    judge(&p);
    assert_int_equal(heads_plan_ripe(&p), 0);
    assert_int_equal(heads_plan_standing(&p), HEADS_DISPUTED);
    hear(&p, 5, 5, 0, START);
    assert_int_equal(heads_plan_ripe(&p), 0); /* not compared yet */
    judge(&p);
    assert_int_equal(heads_plan_ripe(&p), 5);
    assert_int_equal(heads_plan_standing(&p), HEADS_OUTVOTED_OTHERS);
}

static void test_alone(void **state)
{
    struct heads_plan p;
    (void)state;
    begin(&p, 2);
    hear(&p, 1, 5, 1, START);
    judge(&p);
    assert_int_equal(heads_plan_standing(&p), HEADS_AT_ONE); /* not reached: cannot know */
    heads_plan_reached(&p, 5, START);
    judge(&p);
    assert_int_equal(ask(&p, START), 5); /* it says its own root */
    assert_int_equal(heads_plan_standing(&p), HEADS_DISPUTED);
    hear(&p, 3, 5, 1, START);
    judge(&p);
    assert_int_equal(heads_plan_standing(&p), HEADS_ALONE);
    assert_int_equal(heads_plan_ripe(&p), 0);
}

static void test_hearing(void **state)
{
    struct heads_plan p;
    (void)state;
    begin(&p, 2);
    assert_int_equal(hear(&p, 9, 5, 0, START), HEADS_STRANGER);
    assert_int_equal(hear(&p, 1, 0, 0, START), HEADS_STRANGER);
    assert_int_equal(hear(&p, 2, 5, 0, START), HEADS_KNOWN); /* nobody tells us what we said */
    assert_int_equal(hear(&p, 1, 5, 0, START), HEADS_NEW);
    assert_int_equal(hear(&p, 1, 5, 0, START), HEADS_KNOWN);
    assert_int_equal(hear(&p, 1, 5, 1, START), HEADS_TWO_FACED);
    for (uint64_t size = 6; size < 6 + HEADS_KEPT; size++) {
        assert_int_equal(hear(&p, 1, size, 0, START), HEADS_NEW);
    }
    assert_int_equal(hear(&p, 1, 5, 1, START), HEADS_KNOWN); /* too old to be kept */
    assert_null(heads_plan_said(&p, 1, 5));
    assert_int_equal(heads_plan_said(&p, 1, 7)->lines_size, 6);
}

static void test_signers_change(void **state)
{
    struct heads_plan p;
    static const struct heads_signer ROWS[] = {
        {.id = 2, .institution = 1, .counts = true},
        {.id = 3, .institution = 2, .counts = true},
        {.id = 4, .institution = 0, .counts = true},
    };
    (void)state;
    begin(&p, 2);
    heads_plan_reached(&p, 5, START);
    hear(&p, 1, 5, 0, START);
    hear(&p, 3, 5, 0, START);
    sign(&p, 5, START);
    heads_plan_signers(&p, ROWS, 3, 3);
    assert_null(heads_plan_said(&p, 1, 5));
    assert_non_null(heads_plan_said(&p, 3, 5));
    assert_non_null(heads_plan_said(&p, 2, 5));
    assert_null(heads_plan_said(&p, 4, 5));
    judge(&p);
    assert_int_equal(heads_plan_ripe(&p), 5);
}

static void test_resume(void **state)
{
    struct heads_plan p;
    struct merkle_head h = head_of(7, 0);
    (void)state;
    begin(&p, 1);
    heads_plan_resume(&p, &h, bytes_text("own\n"));
    heads_plan_reached(&p, 6, START);
    assert_int_equal(ask(&p, START), 0);
    heads_plan_reached(&p, 7, START);
    assert_int_equal(ask(&p, START), 0); /* signed already; its lines are there to be sent again */
    assert_int_equal(heads_plan_said(&p, 1, 7)->lines_size, 4);
    hear(&p, 3, 7, 0, START);
    judge(&p);
    assert_int_equal(heads_plan_ripe(&p), 7);
    heads_plan_reached(&p, 8, START);
    assert_int_equal(ask(&p, START), 8);
}

/* ---- several nodes ---- */

enum { NODES = 5 };

/* Five nodes that grow at their own pace and hear each other, each tick, with gaps: heads become
 * complete, and nobody ever signs a smaller size. */
static void run(uint64_t leader, const uint64_t pace[NODES], uint64_t ticks, uint64_t *ret_complete)
{
    static struct heads_plan plans[NODES];
    struct heads_signer rows[NODES] = {{.id = 0}};
    for (uint32_t i = 0; i < NODES; i++) {
        rows[i] = (struct heads_signer){.id = i + 1, .institution = i, .counts = true};
    }
    for (uint64_t i = 0; i < NODES; i++) {
        heads_plan_init(&plans[i], i + 1, INTERVAL);
        heads_plan_signers(&plans[i], rows, NODES, NODES);
        heads_plan_leader(&plans[i], leader, START);
    }
    for (uint64_t t = 0; t < ticks; t++) {
        uint64_t now = START + t * 50 * MS;
        for (uint64_t i = 0; i < NODES; i++) {
            heads_plan_reached(&plans[i], t * pace[i] / 10, now);
            uint64_t before = plans[i].signed_size;
            uint64_t size = ask(&plans[i], now);
            if (size == 0) {
                continue;
            }
            assert_true(size > before);
            sign(&plans[i], size, now);
            for (uint64_t k = 0; k < NODES; k++) {
                if (k != i && (t + i + k) % 7 != 0) { /* some are lost */
                    hear(&plans[k], i + 1, size, 0, now);
                }
            }
        }
        for (uint64_t i = 0; i < NODES; i++) {
            judge(&plans[i]);
            uint64_t ripe = heads_plan_ripe(&plans[i]);
            if (ripe > 0) {
                heads_plan_completed(&plans[i], ripe);
            }
        }
    }
    *ret_complete = plans[0].complete;
}

static void test_five_level(void **state)
{
    uint64_t complete = 0;
    (void)state;
    run(1, (const uint64_t[]){1000, 1000, 1000, 1000, 1000}, 2000, &complete);
    assert_true(complete > 1950 * 100);
}

static void test_five_of_whom_three_are_slow(void **state)
{
    uint64_t complete = 0;
    (void)state;
    run(2, (const uint64_t[]){1000, 1000, 700, 700, 700}, 20000, &complete);
    assert_true(complete > 5000 * 100); /* late, and not never */
}

static void test_five_without_leader(void **state)
{
    uint64_t complete = 0;
    (void)state;
    run(0, (const uint64_t[]){1000, 1000, 1000, 1000, 1000}, 2000, &complete);
    assert_true(complete > 1500 * 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leader_signs_at_once_then_each_interval),
        cmocka_unit_test(test_leader_is_patient),
        cmocka_unit_test(test_follower_signs_the_leaders_sizes),
        cmocka_unit_test(test_others_are_not_signed_for_while_the_leader_speaks),
        cmocka_unit_test(test_without_leader_they_take_turns),
        cmocka_unit_test(test_complete_needs_institutions_of_the_same_root),
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_hearing),
        cmocka_unit_test(test_signers_change),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_five_level),
        cmocka_unit_test(test_five_of_whom_three_are_slow),
        cmocka_unit_test(test_five_without_leader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
