/* Requests: the same events make the same bytes, signatures hold, no request is too full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "cli/command.h"
#include "cli/request.h"
#include "crypto/verifier.h"

struct fixture {
    struct signers signers;
    struct event events[2];
    struct body body;
};

static void prepare(struct fixture *f, uint8_t seed)
{
    uint8_t bytes[SIGN_SEED_SIZE];
    memset(bytes, seed, sizeof bytes);
    *f = (struct fixture){.signers = {.count = 1}};
    f->signers.list[0] = (struct signer){"enedis", sign_key_from_seed(bytes)};
    for (size_t i = 0; i < 2; i++) {
        f->events[i] = (struct event){.contract = bytes_text("solar"),
                                      .action = bytes_text("metering"),
                                      .args = bytes_text(i == 0 ? "a" : "b"),
                                      .has_legal_date = true,
                                      .legal_date = 19267};
    }
    f->body = (struct body){
        .events = f->events, .event_count = 2, .on_behalf = bytes_text("enedis")};
    memset(f->body.ledger_id, 7, sizeof f->body.ledger_id);
    import_request_id(f->events, 2, f->body.request_id);
}

static void an_import_repeats_its_bytes(void **state)
{
    (void)state;
    struct fixture f;
    struct buf first;
    struct buf second;
    prepare(&f, 1);
    buf_init(&first, 65536);
    buf_init(&second, 65536);
    request_salt(f.signers.list[0].key, &f.body);
    request_sign(&f.body, &f.signers, &first);
    signers_done(&f.signers);
    prepare(&f, 1);
    request_salt(f.signers.list[0].key, &f.body);
    request_sign(&f.body, &f.signers, &second);
    assert_true(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
    signers_done(&f.signers);
    buf_done(&first);
    buf_done(&second);
}

static void a_salt_depends_on_key_and_events(void **state)
{
    (void)state;
    struct fixture f;
    uint8_t salt[REQUEST_SALT_SIZE];
    prepare(&f, 1);
    request_salt(f.signers.list[0].key, &f.body);
    memcpy(salt, f.body.salt, sizeof salt);
    /* What the salt was before does not matter. */
    request_salt(f.signers.list[0].key, &f.body);
    assert_memory_equal(salt, f.body.salt, sizeof salt);
    f.events[1].args = bytes_text("c");
    request_salt(f.signers.list[0].key, &f.body);
    assert_memory_not_equal(salt, f.body.salt, sizeof salt);
    signers_done(&f.signers);
    prepare(&f, 2);
    request_salt(f.signers.list[0].key, &f.body);
    assert_memory_not_equal(salt, f.body.salt, sizeof salt);
    signers_done(&f.signers);
}

static void check_signatures(const struct envelope *e, struct signers *const sets[], size_t count)
{
    uint8_t input[SIGNING_INPUT_SIZE];
    struct verifier *v = verifier_new();
    size_t found = 0;
    request_signing_input(e->body_bytes, input);
    for (size_t s = 0; s < count; s++) {
        uint8_t key[32];
        uint8_t id[32];
        sign_key_public(sets[s]->list[0].key, key);
        sign_key_id(key, id);
        for (uint32_t i = 0; i < e->signature_count; i++) {
            found += memcmp(id, e->signatures[i].key_id, 32) == 0 &&
                     verifier_check(v, key, bytes_of(input, sizeof input), e->signatures[i].value);
        }
    }
    verifier_free(v);
    assert_int_equal(found, count);
}

static void signatures_are_added(void **state)
{
    (void)state;
    struct fixture f;
    struct fixture other;
    struct envelope *e;
    struct arena a;
    struct buf one;
    struct buf two;
    struct buf again;
    struct errtext why;
    prepare(&f, 1);
    prepare(&other, 2);
    arena_init(&a, (size_t)4 * ENVELOPE_ARENA_MAX);
    buf_init(&one, 65536);
    buf_init(&two, 65536);
    buf_init(&again, 65536);
    request_sign(&f.body, &f.signers, &one);
    assert_false(failed(envelope_decode(buf_bytes(&one), &a, &e, &why)));
    assert_int_equal(e->signature_count, 1);
    assert_false(failed(request_add(e, &other.signers, &two, &why)));
    assert_false(failed(envelope_decode(buf_bytes(&two), &a, &e, &why)));
    assert_int_equal(e->signature_count, 2);
    struct signers *sets[] = {&f.signers, &other.signers};
    check_signatures(e, sets, 2);
    /* Signing twice with one key changes nothing. */
    assert_false(failed(request_add(e, &other.signers, &again, &why)));
    assert_true(bytes_equal(buf_bytes(&two), buf_bytes(&again)));
    signers_done(&f.signers);
    signers_done(&other.signers);
    buf_done(&one);
    buf_done(&two);
    buf_done(&again);
    arena_done(&a);
}

static void a_ninth_signature_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    struct buf out;
    struct errtext why;
    struct envelope e = {.body_bytes = bytes_text("x"), .signature_count = SIGNATURES_MAX};
    for (uint8_t i = 0; i < SIGNATURES_MAX; i++) {
        e.signatures[i].key_id[0] = i;
    }
    prepare(&f, 1);
    buf_init(&out, 65536);
    assert_true(err_is(request_add(&e, &f.signers, &out, &why), ERR_LIMIT));
    signers_done(&f.signers);
    buf_done(&out);
}

static void a_request_is_never_too_full(void **state)
{
    (void)state;
    struct event e = {.contract = bytes_text("a"), .action = bytes_text("b")};
    struct rules_bound small = {.steps = 1, .effects = 1, .bytes = 1};
    struct rules_bound half = {.steps = REQUEST_STEPS_MAX / 2 + 1};
    struct request_fill fill = {0};
    for (int i = 0; i < EVENTS_MAX; i++) {
        assert_true(request_fill_add(&fill, &e, &small));
    }
    assert_false(request_fill_add(&fill, &e, &small));
    assert_int_equal(fill.events, EVENTS_MAX);
    fill = (struct request_fill){0};
    assert_true(request_fill_add(&fill, &e, &half));
    assert_false(request_fill_add(&fill, &e, &half));
    /* By size: five events of the greatest arguments are over a body. */
    static uint8_t args[ARGS_BYTES_MAX];
    e.args = bytes_of(args, sizeof args);
    fill = (struct request_fill){0};
    assert_true(request_fill_add(&fill, &e, &small));
    assert_true(request_fill_add(&fill, &e, &small));
    assert_true(request_fill_add(&fill, &e, &small));
    assert_false(request_fill_add(&fill, &e, &small));
    assert_true(fill.size < BODY_BYTES_MAX);
}

static void one_event_not_accepted_is_a_refusal(void **state)
{
    (void)state;
    struct event_outcome outcomes[2] = {{.end = END_ACCEPTED}, {.end = END_ACCEPTED}};
    struct submit_reply r = {.outcomes = outcomes, .outcome_count = 2};
    assert_int_equal(request_code(&r), EXIT_DONE);
    outcomes[1].end = END_FAULT;
    assert_int_equal(request_code(&r), EXIT_REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_import_repeats_its_bytes),
        cmocka_unit_test(a_salt_depends_on_key_and_events),
        cmocka_unit_test(signatures_are_added),
        cmocka_unit_test(a_ninth_signature_is_refused),
        cmocka_unit_test(a_request_is_never_too_full),
        cmocka_unit_test(one_event_not_accepted_is_a_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
