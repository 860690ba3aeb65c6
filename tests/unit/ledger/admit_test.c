/* Admission: one case for each refusal, and what a worker is given to verify. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/verifier.h"
#include "world.h"

static const char *const BANK[] = {"tests/unit/ledger/bank.rules"};

#define OPEN(who)                                                                                  \
    {                                                                                              \
        "test.bank", "open", "{\"who\":\"" who "\"}"                                               \
    }

static int up(void **state)
{
    static struct world w;
    world_open(&w, BANK, 1);
    *state = &w;
    return 0;
}

static int down(void **state)
{
    world_close(*state);
    return 0;
}

static struct plan good(void)
{
    return (struct plan){
        .actions = {OPEN("anna")}, .signers = {KEY_TELLER}, .on_behalf = "teller", .id = 1};
}

static void a_good_request_is_admitted_with_its_checks(void **state)
{
    struct world *w = *state;
    struct plan plan = good();
    plan.signers[1] = KEY_ENEDIS;
    plan.signer_count = 2;
    struct ledger_admission a = world_admit(w, world_envelope(w, &plan));
    assert_int_equal(a.end, LEDGER_ADMIT_OK);
    assert_string_equal(world_text(w, a.on_behalf), "teller");
    assert_int_equal(a.request_id[7], 1);
    assert_false(a.governance);
    assert_int_equal(a.cost.events, 1);
    assert_true(a.cost.steps > 0);
    assert_int_equal(a.check_count, 2);
    struct verifier *v = verifier_new();
    for (size_t i = 0; i < a.check_count; i++) {
        assert_true(verifier_check(v, a.checks[i].public_key, bytes_of(a.message, a.message_size),
                                   a.checks[i].signature));
    }
    verifier_free(v);
}

static void refused(struct world *w, struct bytes envelope, enum reason reason, const char *text)
{
    struct ledger_admission a = world_admit(w, envelope);
    assert_int_equal(a.end, LEDGER_ADMIT_REFUSED);
    assert_int_equal(a.refusal.reason, reason);
    assert_string_equal(a.refusal.text, text);
    /* Apply says the same. */
    const struct ledger_result *r = world_apply(w, &envelope, 1);
    assert_int_equal(r->applied[0].reason, reason);
    assert_int_equal(r->head.position, 0);
}

static struct bytes body_of(struct world *w, struct bytes envelope)
{
    struct envelope *e = NULL;
    assert_false(failed(envelope_decode(envelope, &w->arena, &e, NULL)));
    return e->body_bytes;
}

static void malformed_and_unsigned(void **state)
{
    struct world *w = *state;
    struct plan plan = good();
    struct bytes envelope = world_envelope(w, &plan);
    refused(w, bytes_of(NULL, 0), REASON_MALFORMED, "body: missing");
    refused(w, bytes_of(envelope.data, envelope.size / 2), REASON_MALFORMED,
            "envelope: not a protobuf message");
    struct buf bare;
    buf_init(&bare, 4096);
    envelope_encode(body_of(w, envelope), NULL, 0, &bare);
    refused(w, buf_bytes(&bare), REASON_UNSIGNED, "signatures: missing");
    buf_done(&bare);
    uint8_t *large = arena_new(&w->arena, ENVELOPE_BYTES_MAX + 1, 1);
    struct ledger_admission a = world_admit(w, bytes_of(large, ENVELOPE_BYTES_MAX + 1));
    assert_int_equal(a.refusal.reason, REASON_TOO_LARGE);
}

static void of_another_ledger(void **state)
{
    struct world *w = *state;
    struct world other;
    static const char *const CONTRACTS[] = {"tests/unit/ledger/bank.rules",
                                            "tests/unit/ledger/clock.rules"};
    world_open(&other, CONTRACTS, 2);
    struct plan plan = good();
    struct bytes envelope = world_envelope(&other, &plan);
    refused(w, envelope, REASON_WRONG_LEDGER, "body.ledger_id: that is another ledger");
    world_close(&other);
}

static void wrong_signers(void **state)
{
    struct world *w = *state;
    struct plan plan = good();
    plan.signers[0] = KEY_SPARE;
    refused(w, world_envelope(w, &plan), REASON_UNKNOWN_KEY,
            "signatures[0].key_id: no party has this key");
    plan = good();
    plan.on_behalf = "enedis";
    refused(w, world_envelope(w, &plan), REASON_NOT_A_SIGNER,
            "body.on_behalf: 'enedis' did not sign");
    plan = good();
    plan.not_after_ns = WORLD_START_NS;
    refused(w, world_envelope(w, &plan), REASON_EXPIRED, "body.not_after_ns: that time is past");
}

static void governance_travels_alone(void **state)
{
    struct world *w = *state;
    struct plan plan = good();
    plan.actions[1] = (struct action){"ledger", "party_add", NULL};
    refused(w, world_envelope(w, &plan), REASON_MALFORMED,
            "body.events[1].contract: actions of 'ledger' stand in requests of their own");
    plan = good();
    plan.actions[0] = (struct action){"ledger", "party_add", NULL};
    plan.atomic = true;
    refused(w, world_envelope(w, &plan), REASON_MALFORMED,
            "body.atomic: actions of 'ledger' are judged one by one");
}

static void too_costly_names_how_many_fit(void **state)
{
    struct world *w = *state;
    struct plan plan = {.signers = {KEY_GOVERN_VILLE}, .on_behalf = "ledger.ville", .id = 1};
    for (size_t i = 0; i < 6; i++) {
        plan.actions[i] = (struct action){"ledger", "contract_deploy", NULL};
    }
    refused(w, world_envelope(w, &plan), REASON_TOO_COSTLY,
            "body.events: what 6 events may cost is over the limit of a request; the first 5 fit");
}

static void a_follower_gets_checks_even_of_expired_requests(void **state)
{
    struct world *w = *state;
    struct plan plan = good();
    plan.not_after_ns = 5;
    struct ledger_admission a;
    assert_true(ledger_checks_of(w->ledger, world_envelope(w, &plan), &w->arena, &a));
    assert_int_equal(a.check_count, 1);
    plan.signers[0] = KEY_SPARE;
    assert_false(ledger_checks_of(w->ledger, world_envelope(w, &plan), &w->arena, &a));
    assert_false(ledger_checks_of(w->ledger, bytes_text("x"), &w->arena, &a));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, up, down)
    const struct CMUnitTest tests[] = {
        T(a_good_request_is_admitted_with_its_checks),
        T(malformed_and_unsigned),
        T(of_another_ledger),
        T(wrong_signers),
        T(governance_travels_alone),
        T(too_costly_names_how_many_fit),
        T(a_follower_gets_checks_even_of_expired_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
