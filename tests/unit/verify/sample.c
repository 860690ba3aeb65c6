#include "sample.h"

#include <stdio.h>
#include <stdlib.h>

#include "crypto/consistency.h"
#include "crypto/proof.h"
#include "crypto/sha256.h"
#include "crypto/sign.h"

#define CONTRACT "solar.roquefort"
static const char ORIGIN[] = "concordat.example/roquefort";

#define TEXT(literal) bytes_of(literal, sizeof(literal) - 1)

static const struct {
    const char *institution, *name;
    int node;
    uint8_t seed;
    int from, until; /* -1: for ever */
} NODES[SAMPLE_NODES] = {
    {"ville", "ville/1/1", 1, 1, 0, -1}, {"enedis", "enedis/2/2", 2, 2, 0, -1},
    {"sigra", "sigra/3/3", 3, 3, 5, -1}, {"ville", "ville/4/4", 4, 4, 0, -1},
    {"sigra", "sigra/3/5", 3, 5, 0, 5},
};

static const struct {
    size_t position;
    uint32_t ordinal;
    int debit, credit;
    int64_t quanta;
} POSTINGS[] = {
    {1, 0, SAMPLE_A, SAMPLE_FUND, 500},  {3, 0, SAMPLE_B, SAMPLE_FUND, 200},
    {6, 0, SAMPLE_FUND, SAMPLE_A, 1250}, {6, 1, SAMPLE_FUND, SAMPLE_B, 300},
    {6, 2, SAMPLE_A, SAMPLE_B, 50},      {7, 0, SAMPLE_B, SAMPLE_A, 10},
    {9, 0, SAMPLE_FUND, SAMPLE_B, 5},    {11, 0, SAMPLE_A, SAMPLE_FUND, 700},
    {11, 1, SAMPLE_FUND, SAMPLE_A, 1},
};
enum { POSTING_COUNT = sizeof POSTINGS / sizeof *POSTINGS };

static void must(bool fact)
{
    if (!fact) {
        abort();
    }
}

static void hash_of(uint8_t ret[32], const char *what, size_t i)
{
    char text[64];
    (void)snprintf(text, sizeof text, "%s %zu", what, i);
    sha256(text, strlen(text), ret);
}

static struct sign_key *key_of(uint8_t seed)
{
    uint8_t bytes[SIGN_SEED_SIZE] = {seed};
    return sign_key_from_seed(bytes);
}

static void make_keys(struct sample *s)
{
    for (int i = 0; i < SAMPLE_NODES; i++) {
        uint8_t public[SIGN_PUBLIC_SIZE];
        char name[128];
        s->keys[i] = key_of(NODES[i].seed);
        sign_key_public(s->keys[i], public);
        (void)snprintf(name, sizeof name, "%s/%s/%d", ORIGIN, NODES[i].institution, NODES[i].node);
        must(!failed(note_key_make(NOTE_ED25519, ORIGIN, public, &s->logs[i], NULL)));
        must(!failed(note_key_make(NOTE_COSIGNATURE, name, public, &s->witnesses[i], NULL)));
    }
    s->signer = key_of(9);
    sha256("genesis of the sample", 21, s->ledger_id);
}

static void make_request(struct sample *s)
{
    struct event events[2] = {
        {.contract = TEXT(CONTRACT),
         .action = TEXT("join"),
         .has_legal_date = true,
         .legal_date = 20459},
        {.contract = TEXT(CONTRACT),
         .action = TEXT("settle"),
         .has_legal_date = true,
         .legal_date = 20460},
    };
    struct body body = {.events = events, .event_count = 2, .on_behalf = TEXT("pmo.roquefort")};
    struct signature signature;
    struct buf encoded;
    uint8_t public[SIGN_PUBLIC_SIZE];
    uint8_t input[SIGNING_INPUT_SIZE];
    memcpy(body.ledger_id, s->ledger_id, 32);
    for (uint8_t i = 0; i < REQUEST_ID_SIZE; i++) {
        body.request_id[i] = i;
    }
    hash_of(body.salt, "salt", 6);
    buf_init(&encoded, BODY_BYTES_MAX);
    body_encode(&body, &encoded);
    request_signing_input(buf_bytes(&encoded), input);
    sign_key_public(s->signer, public);
    sign_key_id(public, signature.key_id);
    sign_message(s->signer, bytes_of(input, sizeof input), signature.value);
    buf_init(&s->request, ENVELOPE_BYTES_MAX);
    envelope_encode(buf_bytes(&encoded), &signature, 1, &s->request);
    buf_done(&encoded);
}

static void post(struct sample_account *a, size_t n, bool credited, struct bytes counter)
{
    must(a->count < SAMPLE_POSTINGS);
    struct account_posting *p = &a->postings[a->count];
    int64_t quanta = credited ? POSTINGS[n].quanta : -POSTINGS[n].quanta;
    a->balance += quanta;
    *p = (struct account_posting){POSTINGS[n].position, POSTINGS[n].ordinal, quanta, a->balance,
                                  counter};
    account_chain_add(&a->head, p);
    a->heads[a->count] = a->head;
    a->count++;
}

static bool touches(const struct sample_account *a, size_t position)
{
    return a->count > 0 && a->postings[a->count - 1].position == position;
}

/* In the order of the keys: fund, c01, c02. */
static const int BY_KEY[3] = {SAMPLE_FUND, SAMPLE_A, SAMPLE_B};

static void make_postings(struct sample *s, size_t position, uint8_t ret_root[32])
{
    struct merkle_hash root = {{0}};
    for (size_t n = 0; n < POSTING_COUNT; n++) {
        if (POSTINGS[n].position == position) {
            struct sample_account *debit = &s->accounts[POSTINGS[n].debit];
            struct sample_account *credit = &s->accounts[POSTINGS[n].credit];
            post(debit, n, false, credit->name);
            post(credit, n, true, debit->name);
        }
    }
    for (int k = 0; k < 3; k++) {
        const struct sample_account *a = &s->accounts[BY_KEY[k]];
        if (touches(a, position)) {
            account_leaf(a->name, &a->head, &s->touched[position][s->touched_count[position]++]);
        }
    }
    if (s->touched_count[position] > 0) {
        merkle_root_of(s->touched[position], s->touched_count[position], &root);
    }
    memcpy(ret_root, root.bytes, 32);
}

static void make_record(struct sample *s, size_t i)
{
    uint8_t salt[32];
    struct record r = {
        .position = i,
        .height = 1 + i / 2,
        .time_ns = UINT64_C(1780000000000000000) + i * UINT64_C(60000000000),
        .kind = i == 0       ? RECORD_GOVERNANCE
                : i % 5 == 4 ? RECORD_TIMER
                             : RECORD_EVENT,
        .index = i == 6,
        .contract = TEXT(CONTRACT),
        .contract_version = 3,
        .has_legal_date = i % 2 == 0,
        .legal_date = i % 2 == 0 ? 20454 + (int32_t)i : 0,
    };
    struct envelope *e = NULL;
    struct arena a;
    arena_init(&a, ENVELOPE_ARENA_MAX);
    must(!failed(envelope_decode(buf_bytes(&s->request), &a, &e, NULL)));
    hash_of(r.request_hash, "request", i);
    if (i == 6) {
        request_hash(e->body_bytes, r.request_hash);
    }
    r.schedule_position = r.kind == RECORD_TIMER ? i - 1 : 0;
    arena_done(&a);
    hash_of(salt, "salt", i);
    sha256("text", 4, r.text_hash);
    hash_of(r.digest, "digest", i);
    record_salted_hash(salt, r.index, TEXT("[\"accepted\",\"4.2\"]"), r.outcome_hash);
    record_salted_hash(salt, r.index, TEXT("[\"post\",0]"), r.effects_hash);
    record_salted_hash(salt, r.index, TEXT("[]"), r.trace_hash);
    make_postings(s, i, r.accounts_root);
    buf_init(&s->records[i], RECORD_BYTES_MAX);
    record_encode(&r, &s->records[i]);
    merkle_leaf(buf_bytes(&s->records[i]), &s->leaves[i]);
}

void sample_make(struct sample *s)
{
    memset(s, 0, sizeof *s);
    make_keys(s);
    make_request(s);
    s->accounts[SAMPLE_A].name = TEXT(CONTRACT "\0wallet\0c01\0\0");
    s->accounts[SAMPLE_B].name = TEXT(CONTRACT "\0wallet\0c02\0\0");
    s->accounts[SAMPLE_FUND].name = TEXT(CONTRACT "\0fund\0");
    s->accounts[SAMPLE_NOBODY].name = TEXT(CONTRACT "\0wallet\0c99\0\0");
    for (size_t i = 0; i < SAMPLE_SIZE; i++) {
        make_record(s, i);
    }
}

void sample_done(struct sample *s)
{
    for (int i = 0; i < SAMPLE_NODES; i++) {
        sign_key_free(s->keys[i]);
    }
    sign_key_free(s->signer);
    for (size_t i = 0; i < SAMPLE_SIZE; i++) {
        buf_done(&s->records[i]);
    }
    buf_done(&s->request);
}

static void put_valid(const struct note_key *key, int node, struct buf *ret)
{
    buf_put_text(ret, "# valid ");
    note_key_print(key, ret);
    if (NODES[node].until < 0) {
        buf_printf(ret, " %d -\n", NODES[node].from);
    } else {
        buf_printf(ret, " %d %d\n", NODES[node].from, NODES[node].until);
    }
}

void sample_policy(const struct sample *s, struct buf *ret)
{
    for (int i = 0; i < SAMPLE_NODES; i++) {
        buf_put_text(ret, "log ");
        note_key_print(&s->logs[i], ret);
        buf_put_u8(ret, '\n');
    }
    for (int i = 0; i < SAMPLE_NODES; i++) {
        buf_printf(ret, "witness %s ", NODES[i].name);
        note_key_print(&s->witnesses[i], ret);
        buf_put_u8(ret, '\n');
    }
    buf_put_text(ret, "group enedis any enedis/2/2\ngroup sigra any sigra/3/3 sigra/3/5\n"
                      "group ville any ville/1/1 ville/4/4\n"
                      "group institutions 2 enedis sigra ville\nquorum institutions\n");
    for (int i = 0; i < SAMPLE_NODES; i++) {
        put_valid(&s->logs[i], i, ret);
        put_valid(&s->witnesses[i], i, ret);
    }
    policy_seal(ret);
}

void sample_note(const struct sample *s, uint64_t size, const struct sample_signers *by,
                 struct buf *ret)
{
    struct checkpoint c = {.origin = bytes_text(ORIGIN), .size = size};
    struct buf text;
    merkle_root_of(s->leaves, size, &c.root);
    buf_init(&text, SAMPLE_TEXT_MAX);
    checkpoint_print(&c, &text);
    buf_put_bytes(ret, buf_bytes(&text));
    buf_put_u8(ret, '\n');
    for (size_t i = 0; i < by->count; i++) {
        int n = by->nodes[i];
        note_sign(&s->logs[n], s->keys[n], buf_bytes(&text), 0, ret);
    }
    for (size_t i = 0; i < by->count; i++) {
        int n = by->nodes[i];
        note_sign(&s->witnesses[n], s->keys[n], buf_bytes(&text), by->time_s + i, ret);
    }
    buf_done(&text);
}

void sample_receipt(const struct sample *s, size_t index, struct bytes note, struct buf *ret)
{
    struct proof p = {.extra = buf_bytes(&s->records[index]), .index = index, .note = note};
    p.path_count = merkle_path(s->leaves, SAMPLE_SIZE, index, p.path);
    proof_print(&p, ret);
}

void sample_entry(const struct sample *s, int account, size_t position, struct sample_hold *hold,
                  struct statement_entry *ret)
{
    const struct sample_account *a = &s->accounts[account];
    struct merkle_hash path[MERKLE_DEPTH_MAX];
    size_t at = 0;
    *ret = (struct statement_entry){.record = buf_bytes(&s->records[position]),
                                    .postings = hold->postings};
    ret->path_count = merkle_path(s->leaves, SAMPLE_SIZE, position, ret->path);
    for (int k = 0; k < 3 && BY_KEY[k] != account; k++) {
        const struct sample_account *o = &s->accounts[BY_KEY[k]];
        for (size_t i = 0; i < o->count; i++) {
            if (o->postings[i].position == position) {
                at++;
                break;
            }
        }
    }
    size_t count = s->touched_count[position];
    size_t steps = merkle_path(s->touched[position], count, at, path);
    must(statement_steps(at, count, path, steps, ret->steps));
    ret->step_count = steps;
    for (size_t i = 0; i < a->count; i++) {
        if (a->postings[i].position == position) {
            hold->postings[ret->posting_count++] = a->postings[i];
        }
    }
}

struct account_head sample_before(const struct sample *s, int account, size_t position)
{
    const struct sample_account *a = &s->accounts[account];
    struct account_head head = {0};
    for (size_t i = 0; i < a->count && a->postings[i].position < position; i++) {
        head = a->heads[i];
    }
    return head;
}

static int by_name(const void *left, const void *right)
{
    const struct statement_mark *l = left;
    const struct statement_mark *r = right;
    return bytes_compare(l->name, r->name);
}

size_t sample_marks(const struct sample *s, int account, const struct account_head *head,
                    const struct sample_signers *by, struct statement_mark ret[STATEMENT_MARKS_MAX])
{
    struct buf message;
    buf_init(&message, SAMPLE_TEXT_MAX);
    account_mark_put(s->ledger_id, SAMPLE_SIZE, s->accounts[account].name, head, &message);
    for (size_t i = 0; i < by->count; i++) {
        int n = by->nodes[i];
        ret[i].name = bytes_text(s->witnesses[n].name);
        memcpy(ret[i].id, s->witnesses[n].id, NOTE_KEY_ID_SIZE);
        sign_message(s->keys[n], buf_bytes(&message), ret[i].signature);
    }
    qsort(ret, by->count, sizeof *ret, by_name);
    buf_done(&message);
    return by->count;
}

void sample_statement(const struct sample *s, const struct sample_range *range, struct bytes note,
                      struct buf *ret)
{
    static const int ENDERS[] = {SAMPLE_VILLE, SAMPLE_ENEDIS};
    const struct sample_account *a = &s->accounts[range->account];
    const struct sample_signers by = {ENDERS, 2, 0};
    const struct account_head before = sample_before(s, range->account, range->first);
    const struct account_head end = sample_before(s, range->account, range->last + 1);
    struct statement_mark marks[STATEMENT_MARKS_MAX];
    statement_put_head(a->name, &before, ret);
    for (size_t i = 0; i < a->count; i++) {
        size_t position = a->postings[i].position;
        bool again = i > 0 && a->postings[i - 1].position == position;
        if (position >= range->first && position <= range->last && !again) {
            struct sample_hold hold;
            struct statement_entry entry;
            sample_entry(s, range->account, position, &hold, &entry);
            statement_put_entry(&entry, ret);
        }
    }
    size_t count = range->marked ? sample_marks(s, range->account, &end, &by, marks) : 0;
    statement_put_end(s->ledger_id, marks, count, ret);
    statement_put_note(note, ret);
}

static err leaf_of(void *ctx, unsigned level, uint64_t index, struct merkle_hash *ret,
                   struct errtext *reterr)
{
    const struct sample *s = ctx;
    size_t width = (size_t)1 << level;
    must((index + 1) * width <= SAMPLE_SIZE);
    merkle_root_of(s->leaves + index * width, width, ret);
    return err_ok();
}

void sample_consistency(const struct sample *s, struct bytes note, struct buf *ret)
{
    struct consistency c = {.old_size = SAMPLE_OLD, .note = note};
    struct merkle_source source = {(void *)s, leaf_of};
    struct merkle_proof proof;
    must(!failed(merkle_consistency_from(&source, SAMPLE_OLD, SAMPLE_SIZE, &proof, NULL)));
    memcpy(c.path, proof.hashes, sizeof c.path);
    c.path_count = proof.count;
    consistency_print(&c, ret);
}

void sample_golden(const char *name, struct buf *ret)
{
    char path[512];
    uint8_t part[4096];
    (void)snprintf(path, sizeof path, "%s/%s", SAMPLE_GOLDEN, name);
    FILE *f = fopen(path, "rb");
    buf_init(ret, SAMPLE_TEXT_MAX);
    must(f != NULL);
    for (size_t got = 1; got > 0;) {
        got = fread(part, 1, sizeof part, f);
        buf_put(ret, part, got);
    }
    must(!ferror(f) && !ret->overflow);
    (void)fclose(f);
}
