/* The same blocks give the same bytes: after a restart, after a crash, in slices, on another node.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/hex.h"
#include "ledger/accounts.h"
#include "ledger/families.h"
#include "world.h"

static const char *const CONTRACTS[] = {"tests/unit/ledger/bank.rules",
                                        "tests/unit/ledger/clock.rules"};
enum { BLOCKS = 12 };
#define GOLDEN_STATE "bfd957682b5c42dc37759bd5a8d9205f8f5cf1b9f6e85ed02922a441208e27c1"
#define GOLDEN_DIGEST "ace4c11ae18627e5883b1dfe2cd67692be3afc908cc0c209df001f5e9f930eba"

static int up(void **state)
{
    static struct world w;
    world_open(&w, CONTRACTS, 2);
    *state = &w;
    return 0;
}

static int down(void **state)
{
    world_close(*state);
    return 0;
}

/* A block of some of everything; the same one for the same number on the same state. */
static struct bytes busy_block(struct world *w, uint8_t number)
{
    static const char *const NAMES[] = {"anna", "bert", "carl", "dora"};
    struct bytes envelopes[4];
    for (uint8_t i = 0; i < 4; i++) {
        struct plan plan = {.signers = {KEY_TELLER},
                            .on_behalf = "teller",
                            .id = (uint8_t)(number * 4 + i),
                            .atomic = i == 2};
        const char *giver = NAMES[(number + i) % 4];
        const char *taker = NAMES[(number * 3 + i + 1) % 4];
        plan.actions[0] = (struct action){"test.bank", "open",
                                          arena_printf(&w->arena, "{\"who\":\"%s\"}", giver)};
        plan.actions[1] = (struct action){
            "test.bank", "pay",
            arena_printf(&w->arena, "{\"giver\":\"%s\",\"taker\":\"%s\",\"amount\":\"%u.0%u EUR\"}",
                         giver, taker, number % 5, i)};
        plan.actions[2] =
            (struct action){"test.bank", "call",
                            arena_printf(&w->arena, "{\"who\":\"%s\",\"n\":%u,\"note\":\"%u\"}",
                                         giver, number % 5, number)};
        plan.actions[3] =
            (struct action){"test.clock", "wake",
                            arena_printf(&w->arena, "{\"name\":\"%s\",\"after\":\"61s\"}", giver)};
        if (i == 2) {
            plan.actions[0] = plan.actions[2];
        }
        envelopes[i] = world_envelope(w, &plan);
    }
    envelopes[3] = envelopes[number % 4]; /* a duplicate, mostly */
    w->time_ns += number * UINT64_C(20000000000);
    return world_block(w, envelopes, 4);
}

static void digest_of(struct world *w, uint8_t ret[32])
{
    struct errtext why;
    assert_false(failed(ledger_state_digest(w->ledger, ret, &why)));
}

static void same(struct world *a, struct world *b)
{
    struct ledger_head x = ledger_head(a->ledger);
    struct ledger_head y = ledger_head(b->ledger);
    assert_int_equal(x.height, y.height);
    assert_int_equal(x.position, y.position);
    assert_memory_equal(x.digest, y.digest, 32);
    assert_memory_equal(x.block_hash, y.block_hash, 32);
    uint8_t s[32];
    uint8_t t[32];
    digest_of(a, s);
    digest_of(b, t);
    assert_memory_equal(s, t, 32);
}

/* Applies a block one event at a time, its signatures taken as verified. */
static void apply_in_slices(struct world *w, struct bytes block)
{
    const bool verified[4] = {true, true, true, true};
    struct ledger_input input = {w->raft_index + 1, block, verified};
    struct errtext why;
    assert_false(failed(ledger_apply_begin(w->ledger, &input, &why)));
    while (!ledger_apply_step(w->ledger, 1)) {
    }
    w->head = ledger_apply_finish(w->ledger)->head;
    w->time_ns = w->head.time_ns;
    w->raft_index++;
}

static void two_nodes_reach_the_same_bytes(void **state)
{
    struct world *w = *state;
    struct world slow;
    struct world restless;
    world_twin(&slow, w);
    world_twin(&restless, w);
    same(w, &slow);
    for (uint8_t i = 0; i < BLOCKS; i++) {
        struct bytes block = busy_block(w, i);
        world_apply_block(w, block);
        apply_in_slices(&slow, block);
        world_apply_block(&restless, block);
        if (i % 3 == 2) {
            world_restart(&restless);
        }
        if (i % 4 == 3) {
            world_crash(&restless);
        }
        same(w, &slow);
        same(w, &restless);
    }
    assert_true(w->head.position > BLOCKS * 8);
    world_close(&slow);
    world_close(&restless);
}

/* The bytes of the state are a format: whoever changes them writes new versions and this test. */
static void the_state_of_these_blocks_is_golden(void **state)
{
    struct world *w = *state;
    for (uint8_t i = 0; i < BLOCKS; i++) {
        world_apply_block(w, busy_block(w, i));
    }
    uint8_t digest[32];
    char text[65];
    digest_of(w, digest);
    hex_encode(bytes_of(digest, sizeof(digest)), text);
    assert_string_equal(text, GOLDEN_STATE);
    hex_encode(bytes_of(w->head.digest, sizeof(w->head.digest)), text);
    assert_string_equal(text, GOLDEN_DIGEST);
}

static void a_crash_within_a_block_leaves_the_block_before(void **state)
{
    struct world *w = *state;
    struct world whole;
    world_twin(&whole, w);
    for (uint8_t i = 0; i < 3; i++) {
        struct bytes block = busy_block(w, i);
        world_apply_block(w, block);
        world_apply_block(&whole, block);
    }
    struct bytes block = busy_block(w, 3);
    world_apply_block(&whole, block);
    for (int steps = 0; steps < 12; steps++) {
        struct ledger_input input = {w->raft_index + 1, block, NULL};
        struct errtext why;
        assert_false(failed(ledger_apply_begin(w->ledger, &input, &why)));
        for (int i = 0; i < steps; i++) {
            (void)ledger_apply_step(w->ledger, 1);
        }
        world_crash(w);
        assert_int_equal(w->head.height, 3);
        assert_int_equal(w->raft_index, 3);
    }
    world_apply_block(w, block);
    same(w, &whole);
    world_close(&whole);
}

static void the_applied_index_is_durable_after_a_flush(void **state)
{
    struct world *w = *state;
    world_apply_block(w, busy_block(w, 0));
    uint64_t durable = 0;
    struct errtext why;
    assert_false(failed(ledger_flush(w->ledger, &durable, &why)));
    assert_int_equal(durable, 1);
    world_restart(w);
    assert_int_equal(ledger_applied_index(w->ledger), 1);
}

static err reopen(struct world *w, struct bytes genesis, struct errtext *why)
{
    struct ledger_options options = {.map_seed = {1, 2}};
    struct ledger *other = NULL;
    err e = ledger_open(w->kv, genesis, &options, &other, why);
    ledger_close(other);
    return e;
}

static void a_state_of_another_ledger_is_refused(void **state)
{
    struct world *w = *state;
    struct world other;
    world_open(&other, CONTRACTS, 1);
    struct errtext why;
    err e = reopen(w, buf_bytes(&other.genesis), &why);
    assert_int_equal(e.code, ERR_CONFLICT);
    world_close(&other);
    assert_false(failed(reopen(w, buf_bytes(&w->genesis), &why)));
    e = reopen(w, bytes_text("no genesis"), &why);
    assert_true(failed(e));
}

static void an_account_that_was_tampered_with_is_found(void **state)
{
    struct world *w = *state;
    world_apply_block(w, busy_block(w, 0));
    struct ledger_place place = {bytes_text("test.bank"), bytes_text("purse[anna]")};
    struct ledger_balance balance;
    struct errtext why;
    assert_false(failed(ledger_query_balance(w->ledger, &place, &w->arena, &balance, &why)));
    struct buf value;
    buf_init(&value, 256);
    assert_false(failed(kv_get(w->kv, FAMILY_ACCOUNTS, balance.key, &value, &why)));
    value.data[8] ^= 1; /* the lowest octet of the balance */
    struct kv_batch *batch = kv_batch_new();
    kv_batch_put(batch, w->kv, FAMILY_ACCOUNTS, balance.key, buf_bytes(&value));
    assert_false(failed(kv_commit(w->kv, batch, false, &why)));
    err e = reopen(w, buf_bytes(&w->genesis), &why);
    assert_int_equal(e.code, ERR_CORRUPT);
    assert_string_equal(why.text, "the accounts of test.bank in EUR do not sum to zero");
    value.size--;
    kv_batch_clear(batch);
    kv_batch_put(batch, w->kv, FAMILY_ACCOUNTS, balance.key, buf_bytes(&value));
    assert_false(failed(kv_commit(w->kv, batch, false, &why)));
    assert_int_equal(reopen(w, buf_bytes(&w->genesis), &why).code, ERR_CORRUPT);
    kv_batch_free(batch);
    buf_done(&value);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, up, down)
    const struct CMUnitTest tests[] = {
        T(two_nodes_reach_the_same_bytes),
        T(the_state_of_these_blocks_is_golden),
        T(a_crash_within_a_block_leaves_the_block_before),
        T(the_applied_index_is_durable_after_a_flush),
        T(a_state_of_another_ledger_is_refused),
        T(an_account_that_was_tampered_with_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
