#include "bench/maker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"
#include "crypto/keyfile.h"
#include "crypto/random.h"
#include "crypto/sha256.h"
#include "crypto/sign.h"
#include "proto/service.h"
#include "rules/rules.h"

static_assert(OPTIONS_NOTE_MAX % 8 == 0, "a note is made of whole words");

enum { CENTS_MAX = 999, MADE_BYTES_MAX = GRPC_MESSAGE_BYTES_MAX };

struct maker {
    const struct options *options;
    struct rules_registry *registry;
    struct rules_program *program;
    struct bytes contract; /* its name: a view into the program */
    struct sign_key *key;
    uint8_t key_id[SIGN_KEY_ID_SIZE];
    uint64_t random; /* state of the generator of transfers */
    int64_t *cents;  /* of each account, as it must be */
    bool *asked;     /* of each account: cents is what a node said */
    struct event *events;
    struct buf json, args, body, envelope;
};

/* splitmix64: which accounts take part need not be unpredictable, only spread. */
static uint64_t next_random(struct maker *m)
{
    m->random += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = m->random;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint32_t next_below(struct maker *m, uint32_t bound)
{
    return (uint32_t)(next_random(m) % bound);
}

/* ---- opening ---- */

err maker_read_file(const char *path, struct buf *ret, struct errtext *reterr)
{
    return keyfile_read_public(path, ret, reterr);
}

static err compile(struct maker *m, struct errtext *reterr)
{
    struct buf text;
    struct rules_diag diag;
    buf_init(&text, CONTRACT_BYTES_MAX);
    err e = maker_read_file(m->options->contract, &text, reterr);
    if (!failed(e)) {
        struct rules_env env = {m->registry, sha256};
        e = rules_compile(&env, buf_bytes(&text), &m->program, &diag);
        if (failed(e)) {
            (void)err_fail(reterr, e.code, "%s:%u:%u: %s", m->options->contract, diag.line,
                           diag.column, diag.message);
        } else {
            m->contract = rules_program_facts(m->program)->contract;
        }
    }
    buf_done(&text);
    return e;
}

err maker_open(const struct options *options, struct maker **ret, struct errtext *reterr)
{
    struct maker *m = mem_new(1, sizeof *m);
    uint8_t public[SIGN_PUBLIC_SIZE];
    m->options = options;
    m->registry = rules_registry_default();
    m->random = random_u64();
    m->cents = mem_new(options->accounts, sizeof *m->cents);
    m->asked = mem_new(options->accounts, sizeof *m->asked);
    m->events = mem_new(options->events, sizeof *m->events);
    buf_init(&m->json, ARGS_BYTES_MAX);
    buf_init(&m->args, MADE_BYTES_MAX);
    buf_init(&m->body, MADE_BYTES_MAX);
    buf_init(&m->envelope, MADE_BYTES_MAX);
    err e = compile(m, reterr);
    if (!failed(e)) {
        e = sign_key_read(options->party_key, &m->key, reterr);
    }
    if (failed(e)) {
        maker_free(m);
        return e;
    }
    sign_key_public(m->key, public);
    sign_key_id(public, m->key_id);
    *ret = m;
    return err_ok();
}

void maker_free(struct maker *m)
{
    if (m == NULL) {
        return;
    }
    sign_key_free(m->key);
    rules_program_free(m->program);
    rules_registry_free(m->registry);
    buf_done(&m->json);
    buf_done(&m->args);
    buf_done(&m->body);
    buf_done(&m->envelope);
    free(m->events);
    free(m->cents);
    free(m->asked);
    free(m);
}

/* ---- making ---- */

static void choose(struct maker *m, struct transfer *t)
{
    t->debtor = next_below(m, m->options->accounts);
    t->creditor = next_below(m, m->options->accounts - 1);
    t->creditor += t->creditor >= t->debtor ? 1 : 0;
    t->cents = 1 + next_below(m, CENTS_MAX);
    require(t->debtor != t->creditor);
    require(t->creditor < m->options->accounts);
}

/* A note is like a document that somebody enclosed: nothing in it compresses. */
static void put_note(struct maker *m)
{
    uint8_t note[OPTIONS_NOTE_MAX];
    char digits[2 * OPTIONS_NOTE_MAX + 1];
    for (uint32_t i = 0; i < m->options->note; i += 8) {
        uint64_t word = next_random(m);
        memcpy(note + i, &word, sizeof word);
    }
    hex_encode(bytes_of(note, m->options->note), digits);
    buf_put_text(&m->json, ",\"note\":\"");
    buf_put_text(&m->json, digits);
    buf_put_text(&m->json, "\"");
}

/* Appends the arguments of one transfer to m->args. */
static err put_args(struct maker *m, const struct transfer *t, struct errtext *reterr)
{
    char debtor[MAKER_NAME_MAX];
    char creditor[MAKER_NAME_MAX];
    maker_account(m, t->debtor, debtor);
    maker_account(m, t->creditor, creditor);
    buf_clear(&m->json);
    buf_printf(&m->json, "{\"debtor\":\"%s\",\"creditor\":\"%s\",\"amount\":\"%u.%02u EUR\"",
               debtor, creditor, t->cents / 100, t->cents % 100);
    if (m->options->note > 0) {
        put_note(m);
    }
    buf_put_u8(&m->json, '}');
    return rules_args_from_json(m->program, bytes_text("pay"), buf_bytes(&m->json), &m->args,
                                reterr);
}

static err make_events(struct maker *m, struct made *made, struct errtext *reterr)
{
    size_t at = 0;
    buf_clear(&m->args);
    for (uint32_t i = 0; i < m->options->events; i++) {
        choose(m, &made->transfers[i]);
        size_t before = m->args.size;
        TRY(put_args(m, &made->transfers[i], reterr));
        m->events[i] = (struct event){.contract = m->contract,
                                      .action = bytes_text("pay"),
                                      .args = {NULL, m->args.size - before}};
    }
    if (m->args.overflow) {
        return err_fail(reterr, ERR_LIMIT, "the arguments of a request are too large");
    }
    for (uint32_t i = 0; i < m->options->events; i++) {
        m->events[i].args.data = m->args.data + at; /* only now the buffer stays where it is */
        at += m->events[i].args.size;
    }
    return err_ok();
}

static void made_init(const struct maker *m, struct made *ret)
{
    if (ret->transfers == NULL) {
        ret->transfers = mem_new(m->options->events, sizeof *ret->transfers);
        buf_init(&ret->message, MADE_BYTES_MAX);
    }
    buf_clear(&ret->message);
}

void maker_ask(struct maker *m, struct made *ret)
{
    char account[MAKER_NAME_MAX];
    made_init(m, ret);
    ret->transfers[0] = (struct transfer){.debtor = next_below(m, m->options->accounts)};
    maker_account(m, ret->transfers[0].debtor, account);
    buf_clear(&m->json);
    buf_printf(&m->json, "wallet[%s]", account);
    struct balance_request q = {.account = {m->contract, buf_bytes(&m->json)},
                                .local = m->options->local};
    balance_request_encode(&q, &ret->message);
}

bool maker_told(struct maker *m, const struct made *made, int64_t cents)
{
    uint32_t account = made->transfers[0].debtor;
    require(account < m->options->accounts);
    if (!m->asked[account]) {
        m->asked[account] = true;
        m->cents[account] = cents;
    }
    return m->cents[account] == cents;
}

err maker_make(struct maker *m, struct made *ret, struct errtext *reterr)
{
    struct body body = {.event_count = m->options->events,
                        .events = m->events,
                        .on_behalf = bytes_text(m->options->party)};
    struct signature signature;
    uint8_t input[SIGNING_INPUT_SIZE];
    made_init(m, ret);
    TRY(make_events(m, ret, reterr));
    memcpy(body.ledger_id, m->options->ledger_id, sizeof body.ledger_id);
    random_bytes(body.request_id, sizeof body.request_id);
    random_bytes(body.salt, sizeof body.salt);
    memcpy(ret->request_id, body.request_id, sizeof ret->request_id);
    buf_clear(&m->body);
    body_encode(&body, &m->body);
    request_signing_input(buf_bytes(&m->body), input);
    memcpy(signature.key_id, m->key_id, sizeof signature.key_id);
    sign_message(m->key, bytes_of(input, sizeof input), signature.value);
    buf_clear(&m->envelope);
    envelope_encode(buf_bytes(&m->body), &signature, 1, &m->envelope);
    struct submit_request request = {.envelope = buf_bytes(&m->envelope)};
    submit_request_encode(&request, &ret->message);
    return ret->message.overflow
               ? err_fail(reterr, ERR_LIMIT, "a request is larger than a message may be")
               : err_ok();
}

void made_done(struct made *made)
{
    buf_done(&made->message);
    free(made->transfers);
    *made = (struct made){0};
}

/* ---- keeping account ---- */

void maker_accepted(struct maker *m, const struct made *made, size_t index)
{
    require(index < m->options->events);
    const struct transfer *t = &made->transfers[index];
    m->cents[t->debtor] -= t->cents;
    m->cents[t->creditor] += t->cents;
}

void maker_account(const struct maker *m, uint32_t number, char *ret_text)
{
    snprintf(ret_text, MAKER_NAME_MAX, "%.40s.%" PRIu32, m->options->prefix, number);
}

int64_t maker_cents(const struct maker *m, uint32_t number)
{
    require(number < m->options->accounts);
    return m->cents[number];
}
