/* Decisions tried before they are made, and told again afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/limits.h"
#include "ledger/families.h"
#include "rules/explain.h"
#include "rules/rules.h"
#include "world.h"

static const char *const CONTRACTS[] = {"tests/unit/ledger/bank.rules",
                                        "tests/unit/ledger/clock.rules"};

#define PAY(from, to, euros)                                                                       \
    "{\"giver\":\"" from "\",\"taker\":\"" to "\",\"amount\":\"" euros " EUR\"}"

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

#define assert_text(b, text) assert_string_equal(world_text(w, b), text)

static struct plan bank(uint8_t id, const char *action, const char *json)
{
    return (struct plan){.actions = {{"test.bank", action, json}},
                         .signers = {KEY_TELLER},
                         .on_behalf = "teller",
                         .id = id};
}

static struct plan wake(uint8_t id, const char *json)
{
    return (struct plan){.actions = {{"test.clock", "wake", json}},
                         .signers = {KEY_TELLER},
                         .on_behalf = "teller",
                         .id = id};
}

static uint64_t next_time(const struct world *w)
{
    return w->time_ns + UINT64_C(1000000000); /* as world_block stamps it */
}

static struct ledger_simulation simulate(struct world *w, struct bytes envelope)
{
    const struct ledger_simulation_query q = {.envelope = envelope, .now_ns = next_time(w)};
    struct ledger_simulation s;
    struct ledger_refusal no = {.text = ""};
    if (!ledger_simulate(w->ledger, &q, &w->arena, &s, &no)) {
        fail_msg("refused: %s", no.text);
    }
    return s;
}

static struct ledger_record record_at(struct world *w, uint64_t position)
{
    struct ledger_records_query q = {.from = position, .limit = 1};
    struct ledger_records r;
    struct errtext why;
    assert_false(failed(ledger_query_records(w->ledger, &q, &w->arena, &r, &why)));
    assert_int_equal(r.count, 1);
    return r.records[0];
}

static void digest_of(struct world *w, uint8_t ret[32])
{
    struct errtext why;
    assert_false(failed(ledger_state_digest(w->ledger, ret, &why)));
}

/* ---- dry runs ---- */

static void what_is_tried_is_what_then_happens(void **state)
{
    struct world *w = *state;
    struct plan open = bank(1, "open", "{\"who\":\"anna\"}");
    assert_int_equal(world_do(w, &open).end, LEDGER_ACCEPTED);
    struct plan plan = {.actions = {{"test.bank", "open", "{\"who\":\"ben\"}"},
                                    {"test.bank", "pay", PAY("anna", "ben", "2.50")},
                                    {"test.bank", "pay", PAY("anna", "zoe", "1")},
                                    {"test.bank", "split", "{\"who\":\"anna\",\"parts\":0}"},
                                    {"test.none", "x", NULL}},
                        .signers = {KEY_TELLER},
                        .on_behalf = "teller",
                        .id = 2};
    struct bytes envelope = world_envelope(w, &plan);
    uint8_t before[32];
    uint8_t after[32];
    digest_of(w, before);
    struct ledger_simulation s = simulate(w, envelope);
    digest_of(w, after);
    assert_memory_equal(before, after, 32);
    assert_int_equal(s.count, 5);
    assert_false(s.accepted);
    assert_string_equal(world_balance(w, "test.bank", "purse[anna]"), "10.00 EUR");

    const struct ledger_result *r = world_apply(w, &envelope, 1);
    assert_int_equal(r->applied[0].reason, REASON_NONE);
    const enum ledger_end ends[] = {LEDGER_ACCEPTED, LEDGER_ACCEPTED, LEDGER_REJECTED,
                                    LEDGER_FAULT, LEDGER_REJECTED};
    for (size_t i = 0; i < 5; i++) {
        struct ledger_record truth = record_at(w, s.events[i].outcome.position);
        assert_int_equal(s.events[i].outcome.end, ends[i]);
        assert_true(bytes_equal(truth.outcome_json, s.events[i].outcome_json));
        assert_true(bytes_equal(truth.effects_json, s.events[i].effects_json));
    }
    assert_text(s.events[2].outcome.text, "no such holder");
    assert_text(s.events[3].outcome.kind, "divide");
    assert_null(s.events[4].program);
    assert_string_equal(world_balance(w, "test.bank", "purse[anna]"), "7.50 EUR");
}

static void a_body_without_signatures_is_tried_as_if_signed(void **state)
{
    struct world *w = *state;
    struct plan plan = bank(1, "open", "{\"who\":\"anna\"}");
    struct bytes wire = world_envelope(w, &plan);
    struct envelope *e;
    struct errtext why;
    assert_false(failed(envelope_decode(wire, &w->arena, &e, &why)));
    struct ledger_simulation_query q = {.body = e->body_bytes, .now_ns = next_time(w)};
    struct ledger_simulation s;
    struct ledger_refusal no;
    assert_true(ledger_simulate(w->ledger, &q, &w->arena, &s, &no));
    assert_true(s.accepted); /* on_behalf is assumed */
    const struct bytes other[] = {bytes_text("enedis")};
    q.signers = other;
    q.signer_count = 1;
    assert_true(ledger_simulate(w->ledger, &q, &w->arena, &s, &no));
    assert_false(s.accepted);
    assert_text(s.events[0].outcome.clause, "0.2");
    assert_text(s.events[0].outcome.text, "not signed by teller");
}

static void an_atomic_request_is_tried_up_to_its_failure(void **state)
{
    struct world *w = *state;
    struct plan plan = {.actions = {{"test.bank", "open", "{\"who\":\"anna\"}"},
                                    {"test.bank", "open", "{\"who\":\"anna\"}"},
                                    {"test.bank", "open", "{\"who\":\"ben\"}"}},
                        .signers = {KEY_TELLER},
                        .on_behalf = "teller",
                        .id = 1,
                        .atomic = true};
    struct ledger_simulation s = simulate(w, world_envelope(w, &plan));
    assert_false(s.accepted);
    assert_int_equal(s.count, 2);
    assert_text(s.events[1].outcome.text, "open already");
}

static void due_timers_fire_first_in_a_dry_run(void **state)
{
    struct world *w = *state;
    struct plan set = wake(1, "{\"name\":\"egg\",\"after\":\"90s\"}");
    assert_int_equal(world_do(w, &set).end, LEDGER_ACCEPTED);
    struct plan plan = bank(2, "open", "{\"who\":\"anna\"}");
    struct ledger_simulation_query q = {.envelope = world_envelope(w, &plan),
                                        .now_ns = w->time_ns + UINT64_C(90000000000)};
    struct ledger_simulation s;
    struct ledger_refusal no;
    assert_true(ledger_simulate(w->ledger, &q, &w->arena, &s, &no));
    assert_int_equal(s.count, 2);
    assert_true(s.events[0].timer);
    assert_text(s.events[0].outcome.action, "ring");
    assert_false(s.events[1].timer);
    assert_int_equal(s.events[1].outcome.position, s.events[0].outcome.position + 1);
    assert_string_equal(world_balance(w, "test.clock", "pot"), "0.00 EUR");
}

static void refused(struct world *w, const struct ledger_simulation_query *q, enum reason reason)
{
    struct ledger_simulation s;
    struct ledger_refusal no = {.reason = REASON_NONE};
    assert_false(ledger_simulate(w->ledger, q, &w->arena, &s, &no));
    assert_int_equal(no.reason, reason);
    assert_true(no.text[0] != 0);
}

static void a_dry_run_is_refused_where_submit_would(void **state)
{
    struct world *w = *state;
    struct ledger_simulation_query q = {.envelope = bytes_text("junk"), .now_ns = next_time(w)};
    refused(w, &q, REASON_MALFORMED);
    q.envelope = bytes_text("");
    refused(w, &q, REASON_MALFORMED);
    struct plan plan = bank(1, "open", "{\"who\":\"anna\"}");
    plan.not_after_ns = w->time_ns;
    q.envelope = world_envelope(w, &plan);
    refused(w, &q, REASON_EXPIRED);
    plan.not_after_ns = 0;
    plan.signers[0] = KEY_SPARE;
    q.envelope = world_envelope(w, &plan);
    refused(w, &q, REASON_UNKNOWN_KEY);
    struct plan govern = {.actions = {{"ledger", "party_add", .args = bytes_of("", 0)}},
                          .signers = {KEY_OFFICER_SOCIAL},
                          .on_behalf = "ledger.social.anne"};
    q.envelope = world_envelope(w, &govern);
    refused(w, &q, REASON_BAD_REQUEST);
    plan.signers[0] = KEY_TELLER;
    q.envelope = world_envelope(w, &plan);
    struct bytes many[SIGNATURES_MAX];
    for (size_t i = 0; i < SIGNATURES_MAX; i++) {
        char name[8];
        snprintf(name, sizeof name, "p%zu", i);
        many[i] = arena_copy(&w->arena, bytes_text(name));
    }
    q.signers = many;
    q.signer_count = SIGNATURES_MAX;
    refused(w, &q, REASON_TOO_LARGE);
}

/* The block that is being applied is not seen, and goes on undisturbed. */
static void a_dry_run_between_the_steps_of_a_block(void **state)
{
    struct world *w = *state;
    struct plan a = bank(1, "open", "{\"who\":\"anna\"}");
    struct plan b = bank(2, "open", "{\"who\":\"anna\"}");
    struct bytes first = world_envelope(w, &a);
    struct bytes second = world_envelope(w, &b);
    struct bytes block = world_block(w, &first, 1);
    struct ledger_input input = {.raft_index = ++w->raft_index, .block = block};
    struct errtext why;
    assert_false(failed(ledger_apply_begin(w->ledger, &input, &why)));
    while (!ledger_apply_step(w->ledger, 1)) {
        assert_true(simulate(w, second).accepted);
    }
    assert_true(simulate(w, second).accepted);
    assert_int_equal(ledger_apply_finish(w->ledger)->accepted, 1);
    assert_false(simulate(w, second).accepted);
}

/* ---- explanations ---- */

static struct ledger_explanation explain(struct world *w, uint64_t position)
{
    struct ledger_explanation x;
    struct errtext why = {""};
    if (failed(ledger_explain(w->ledger, position, &w->arena, &x, &why))) {
        fail_msg("record %llu: %s", (unsigned long long)position, why.text);
    }
    return x;
}

static enum err_code explain_fails(struct world *w, uint64_t position)
{
    struct ledger_explanation x;
    struct errtext why = {""};
    err e = ledger_explain(w->ledger, position, &w->arena, &x, &why);
    assert_true(why.text[0] != 0);
    return e.code;
}

static void a_decision_is_told_on_the_state_as_it_was(void **state)
{
    struct world *w = *state;
    struct plan plans[] = {
        bank(1, "open", "{\"who\":\"anna\"}"),
        bank(2, "open", "{\"who\":\"ben\"}"),
        bank(3, "pay", PAY("anna", "ben", "4")),
        bank(4, "pay", PAY("ben", "anna", "14")),
        bank(5, "open", "{\"who\":\"anna\"}"),
        bank(6, "call", "{\"who\":\"anna\",\"n\":1,\"note\":\"first\"}"),
        bank(7, "forget", "{\"who\":\"anna\",\"n\":1}"),
    };
    char *traces[7];
    for (size_t i = 0; i < 7; i++) {
        struct ledger_simulation s = simulate(w, world_envelope(w, &plans[i]));
        traces[i] = arena_text(&w->arena, s.events[0].trace_json);
        (void)world_do(w, &plans[i]);
    }
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < 7; i++) {
            struct ledger_explanation x = explain(w, i);
            assert_text(x.trace_json, traces[i]);
            assert_int_equal(x.recomputed, x.record.outcome.end == LEDGER_ACCEPTED);
            assert_text(x.on_behalf, "teller");
            assert_int_equal(x.signer_count, 1);
        }
        world_restart(w);
    }
    assert_int_equal(explain(w, 4).record.outcome.end, LEDGER_REJECTED);
    struct ledger_explanation x = explain(w, 2);
    struct rules_decision d = {x.record.outcome_json, x.record.effects_json, x.trace_json};
    struct buf text;
    struct errtext why;
    buf_init(&text, 65536);
    assert_false(failed(rules_explain(x.program, &d, RULES_DUTCH, &text, &why)));
    assert_non_null(strstr(world_text(w, buf_bytes(&text)), "Holders pay each other"));
    buf_done(&text);
}

static void atomic_requests_are_told_too(void **state)
{
    struct world *w = *state;
    struct plan plan = {.actions = {{"test.bank", "open", "{\"who\":\"anna\"}"},
                                    {"test.bank", "open", "{\"who\":\"ben\"}"},
                                    {"test.bank", "pay", PAY("anna", "ben", "4")}},
                        .signers = {KEY_TELLER},
                        .on_behalf = "teller",
                        .id = 1,
                        .atomic = true};
    struct bytes envelope = world_envelope(w, &plan);
    (void)world_apply(w, &envelope, 1);
    assert_true(explain(w, 2).recomputed);
    plan.id = 2;
    envelope = world_envelope(w, &plan);
    (void)world_apply(w, &envelope, 1);
    assert_false(explain(w, 3).recomputed);
    assert_text(explain(w, 5).trace_json, "[]");
    assert_text(explain(w, 5).record.outcome.clause, "0.7");
}

static void a_timer_is_told_with_its_own_time(void **state)
{
    struct world *w = *state;
    struct plan plan = wake(1, "{\"name\":\"egg\",\"after\":\"90s\"}");
    (void)world_do(w, &plan);
    w->time_ns += UINT64_C(600000000000);
    assert_int_equal(world_apply(w, NULL, 0)->timers, 1);
    world_restart(w);
    struct ledger_explanation x = explain(w, 1);
    assert_true(x.recomputed);
    assert_int_equal(x.signer_count, 0);
    assert_int_equal(x.on_behalf.size, 0);
    assert_text(x.record.outcome.action, "ring");
}

static void what_cannot_be_told(void **state)
{
    struct world *w = *state;
    assert_int_equal(explain_fails(w, 0), ERR_NOT_FOUND);
    struct plan govern = {.actions = {{"ledger", "party_add",
                                       .args = world_args_key(w, "newcomer", KEY_SPARE)}},
                          .signers = {KEY_OFFICER_SOCIAL},
                          .on_behalf = "ledger.social.anne"};
    (void)world_do(w, &govern);
    struct plan unknown = {.actions = {{"test.none", "x", NULL, bytes_of("", 0)}},
                           .signers = {KEY_TELLER},
                           .on_behalf = "teller",
                           .id = 9};
    (void)world_do(w, &unknown);
    uint64_t last = ledger_head(w->ledger).position - 1;
    struct ledger_explanation x = explain(w, last);
    assert_null(x.program);
    assert_text(x.trace_json, "[]");
    if (last > 0) {
        assert_int_equal(explain_fails(w, 0), ERR_NOT_FOUND);
    }
}

static void change_inputs(struct world *w, uint64_t position, bool flip, size_t from_end)
{
    uint8_t key[8] = {0};
    struct buf value;
    struct errtext why;
    buf_init(&value, INPUTS_BYTES_MAX);
    key[7] = (uint8_t)position;
    assert_false(failed(kv_get(w->kv, FAMILY_INPUTS, bytes_of(key, 8), &value, &why)));
    struct kv_batch *b = kv_batch_new();
    if (flip) {
        value.data[value.size - from_end] ^= 1;
        kv_batch_delete(b, w->kv, FAMILY_INPUTS, bytes_of(key, 8));
        kv_batch_put(b, w->kv, FAMILY_INPUTS, bytes_of(key, 8), buf_bytes(&value));
    } else {
        kv_batch_delete(b, w->kv, FAMILY_INPUTS, bytes_of(key, 8));
    }
    assert_false(failed(kv_commit(w->kv, b, false, &why)));
    kv_batch_free(b);
    buf_done(&value);
}

static void what_a_node_keeps_counts_only_by_its_hashes(void **state)
{
    struct world *w = *state;
    struct plan a = bank(1, "open", "{\"who\":\"anna\"}");
    struct plan b = bank(2, "open", "{\"who\":\"ben\"}");
    struct plan c =
        bank(3, "pay", PAY("anna", "ben", "4"));
    (void)world_do(w, &a);
    (void)world_do(w, &b);
    (void)world_do(w, &c);
    assert_true(explain(w, 2).recomputed);
    for (size_t from_end = 1; from_end <= 30; from_end++) {
        change_inputs(w, 2, true, from_end);
        assert_int_equal(explain_fails(w, 2), ERR_CORRUPT);
        change_inputs(w, 2, true, from_end);
    }
    assert_true(explain(w, 2).recomputed);
    change_inputs(w, 2, false, 0);
    assert_int_equal(explain_fails(w, 2), ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_tried_is_what_then_happens, up, down),
        cmocka_unit_test_setup_teardown(a_body_without_signatures_is_tried_as_if_signed, up, down),
        cmocka_unit_test_setup_teardown(an_atomic_request_is_tried_up_to_its_failure, up, down),
        cmocka_unit_test_setup_teardown(due_timers_fire_first_in_a_dry_run, up, down),
        cmocka_unit_test_setup_teardown(a_dry_run_is_refused_where_submit_would, up, down),
        cmocka_unit_test_setup_teardown(a_dry_run_between_the_steps_of_a_block, up, down),
        cmocka_unit_test_setup_teardown(a_decision_is_told_on_the_state_as_it_was, up, down),
        cmocka_unit_test_setup_teardown(atomic_requests_are_told_too, up, down),
        cmocka_unit_test_setup_teardown(a_timer_is_told_with_its_own_time, up, down),
        cmocka_unit_test_setup_teardown(what_cannot_be_told, up, down),
        cmocka_unit_test_setup_teardown(what_a_node_keeps_counts_only_by_its_hashes, up, down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
