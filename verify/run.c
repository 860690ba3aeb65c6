#include "verify/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/hex.h"
#include "base/require.h"
#include "crypto/proof.h"
#include "verify/report.h"

enum { RUN_ARENA_MAX = 8 << 20 }; /* a request with 4,096 events, or a receipt */

/* Everything that one run owns. */
struct run {
    const struct verify_ask *ask;
    struct verify_trust trust;
    struct arena arena;
    struct buf policy, file, extra[4]; /* contents of files */
    size_t extra_count;
    struct report report;
    struct errtext why;
};

/* ---- files and options ---- */

static bool read_file(struct run *r, const char *path, size_t size_max, struct buf *ret)
{
    FILE *f = fopen(path, "rb");
    size_t got = 1;
    buf_init(ret, size_max);
    while (f != NULL && got > 0) {
        uint8_t part[4096];
        got = fread(part, 1, sizeof part, f);
        buf_put(ret, part, got);
    }
    bool whole = f != NULL && !ferror(f);
    if (!whole) {
        (void)snprintf(r->why.text, sizeof r->why.text, "%s: %s", path, strerror(errno));
    } else if (ret->overflow) {
        (void)snprintf(r->why.text, sizeof r->why.text, "%s: larger than %zu bytes", path,
                       size_max);
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return whole && !ret->overflow;
}

/* A file that may be left out; an empty one is there all the same. */
static bool read_extra(struct run *r, const char *path, size_t size_max, struct bytes *ret)
{
    if (path == NULL) {
        *ret = bytes_of(NULL, 0);
        return true;
    }
    struct buf *b = &r->extra[r->extra_count++];
    bool read = read_file(r, path, size_max, b);
    *ret = bytes_of(b->size > 0 ? b->data : (const uint8_t *)"", b->size);
    return read;
}

static void run_done(struct run *r)
{
    verify_trust_done(&r->trust);
    arena_done(&r->arena);
    buf_done(&r->policy);
    buf_done(&r->file);
    for (size_t i = 0; i < r->extra_count; i++) {
        buf_done(&r->extra[i]);
    }
    buf_done(&r->report.b);
}

/* Says why not and frees everything. */
static int run_fail(struct run *r, int code)
{
    if (r->ask->json && code == VERIFY_NOT_PROVED) {
        struct report no = {.json = true};
        buf_init(&no.b, sizeof r->why + 64 + sizeof r->why.text);
        buf_put_text(&no.b, "{");
        report_fact(&no, "proved", false);
        report_text(&no, NULL, "reason", bytes_text(r->why.text));
        (void)report_write(&no);
        buf_done(&no.b);
    } else {
        (void)fprintf(stderr, "%s%s\n", code == VERIFY_USAGE ? "" : "NOT PROVED: ", r->why.text);
    }
    run_done(r);
    return code;
}

static int run_end(struct run *r)
{
    if (!report_write(&r->report)) {
        (void)snprintf(r->why.text, sizeof r->why.text, "standard output: %s", strerror(errno));
        return run_fail(r, VERIFY_USAGE);
    }
    run_done(r);
    return VERIFY_PROVED;
}

/* Reads the policy and the file. Negative: go on; else the exit code, and everything is freed. */
static int run_open(const struct verify_ask *ask, size_t size_max, struct run *r)
{
    *r = (struct run){.ask = ask};
    arena_init(&r->arena, RUN_ARENA_MAX);
    if (!read_file(r, ask->policy, POLICY_BYTES_MAX, &r->policy) ||
        !read_file(r, ask->file, size_max, &r->file)) {
        return run_fail(r, VERIFY_USAGE);
    }
    if (failed(verify_trust(buf_bytes(&r->policy), !ask->unsealed, &r->trust, &r->why))) {
        return run_fail(r, VERIFY_NOT_PROVED);
    }
    report_init(&r->report, ask->json, true);
    return -1;
}

/* ---- what every report says ---- */

static void say_head(struct run *r, const struct verify_head *h)
{
    report_text(&r->report, "ledger", "origin", h->checkpoint.origin);
    report_text(&r->report, "policy", "policy_sha256",
                bytes_text(r->trust.seal[0] ? r->trust.seal : "not sealed"));
    report_number(&r->report, "tree size", "size", (int64_t)h->checkpoint.size);
    report_hex(&r->report, "tree root", "root", h->checkpoint.root.bytes);
    report_voices(&r->report, "cosigned by", "cosigned", &h->voices);
}

static void say_time(struct run *r, const char *label, const char *key, uint64_t ns)
{
    char time[REPORT_TIME_SIZE];
    report_time(ns, time);
    report_text(&r->report, label, key, bytes_text(time));
}

static const char *kind_name(enum record_kind kind)
{
    switch (kind) {
    case RECORD_EVENT:
        return "event";
    case RECORD_TIMER:
        return "timer";
    case RECORD_GOVERNANCE:
        return "governance";
    }
    return "?";
}

static void say_day(struct run *r, int32_t day)
{
    struct tm tm;
    char text[24] = "";
    time_t s = (time_t)day * 86400;
    if (gmtime_r(&s, &tm) != NULL) {
        (void)strftime(text, sizeof text, "%Y-%m-%d", &tm);
    }
    report_text(&r->report, "legal date", "legal_date", bytes_text(text));
}

static void say_record(struct run *r, const struct record *c)
{
    struct report *o = &r->report;
    report_number(o, "position", "position", (int64_t)c->position);
    report_number(o, "block", "height", (int64_t)c->height);
    say_time(r, "block time", "time", c->time_ns);
    report_words(o, "kind", "kind", "%s", kind_name(c->kind));
    if (c->kind == RECORD_TIMER) {
        report_number(o, "scheduled by", "scheduled_by", (int64_t)c->schedule_position);
    } else {
        report_hex(o, "request hash", "request_hash", c->request_hash);
    }
    report_number(o, "index", "index", c->index);
    report_text(o, "contract", "contract", c->contract);
    report_number(o, "version", "contract_version", (int64_t)c->contract_version);
    report_hex(o, "text hash", "text_hash", c->text_hash);
    if (c->has_legal_date) {
        say_day(r, c->legal_date);
    }
    report_hex(o, "outcome hash", "outcome_hash", c->outcome_hash);
    report_hex(o, "effects hash", "effects_hash", c->effects_hash);
    report_hex(o, "trace hash", "trace_hash", c->trace_hash);
    report_hex(o, "digest", "digest", c->digest);
    report_hex(o, "accounts root", "accounts_root", c->accounts_root);
}

/* ---- receipt ---- */

struct content {
    struct verify_claim claim;
    uint8_t keys[VERIFY_KEYS_MAX][SIGN_PUBLIC_SIZE];
    uint8_t salt[32];
};

static bool read_content(struct run *r, struct content *c)
{
    const struct verify_ask *ask = r->ask;
    c->claim.keys = (const uint8_t(*)[SIGN_PUBLIC_SIZE])c->keys;
    c->claim.key_count = ask->key_count;
    require(ask->key_count <= VERIFY_KEYS_MAX);
    for (size_t i = 0; i < ask->key_count; i++) {
        if (failed(sign_public_parse(bytes_text(ask->keys[i]), c->keys[i], &r->why))) {
            return false;
        }
    }
    if (ask->salt != NULL) {
        if (failed(hex_decode(bytes_text(ask->salt), c->salt, sizeof c->salt))) {
            (void)snprintf(r->why.text, sizeof r->why.text, "a salt is 64 hexadecimal digits");
            return false;
        }
        c->claim.salt = c->salt;
    }
    return read_extra(r, ask->request, ENVELOPE_BYTES_MAX, &c->claim.envelope) &&
           read_extra(r, ask->outcome, RULES_BYTES_MAX, &c->claim.outcome) &&
           read_extra(r, ask->effects, RULES_BYTES_MAX, &c->claim.effects) &&
           read_extra(r, ask->trace, RULES_BYTES_MAX, &c->claim.trace);
}

static void say_content(struct run *r, const struct record *c, const struct content *claim,
                        const struct envelope *e)
{
    struct report *o = &r->report;
    if (e != NULL) {
        char id[2 * REQUEST_ID_SIZE + 1];
        hex_encode(bytes_of(e->body.request_id, REQUEST_ID_SIZE), id);
        report_text(o, "request of", "on_behalf", e->body.on_behalf);
        report_text(o, "request id", "request_id", bytes_text(id));
        report_hex(o, "ledger id", "ledger_id", e->body.ledger_id);
        report_text(o, "action", "action", e->body.events[c->index].action);
    }
    for (size_t i = 0; i < r->ask->key_count; i++) {
        report_words(o, "signed by", "signed_by", "%s", r->ask->keys[i]);
    }
    if (claim->claim.outcome.data != NULL) {
        report_text(o, "outcome", "outcome", claim->claim.outcome);
    }
    if (claim->claim.effects.data != NULL) {
        report_text(o, "effects", "effects", claim->claim.effects);
    }
    if (claim->claim.trace.data != NULL) {
        report_text(o, "trace", "trace", claim->claim.trace);
    }
}

int verify_run_receipt(const struct verify_ask *ask)
{
    struct run r;
    struct content content = {0};
    struct verify_receipt receipt;
    const struct envelope *request = NULL;
    int code = run_open(ask, PROOF_BYTES_MAX, &r);
    if (code >= 0) {
        return code;
    }
    if (!read_content(&r, &content)) {
        return run_fail(&r, VERIFY_USAGE);
    }
    err e = verify_receipt(&r.trust, buf_bytes(&r.file), &r.arena, &receipt, &r.why);
    if (!failed(e)) {
        e = verify_claim(&r.trust, &receipt.record, &content.claim, &r.arena, &request, &r.why);
    }
    if (failed(e)) {
        return run_fail(&r, VERIFY_NOT_PROVED);
    }
    say_head(&r, &receipt.head);
    say_record(&r, &receipt.record);
    say_content(&r, &receipt.record, &content, request);
    return run_end(&r);
}

int verify_run_show(const struct verify_ask *ask)
{
    struct run r = {.ask = ask};
    struct proof proof;
    struct checkpoint c;
    struct record record;
    arena_init(&r.arena, RUN_ARENA_MAX);
    if (!read_file(&r, ask->file, PROOF_BYTES_MAX, &r.file) ||
        failed(proof_parse(buf_bytes(&r.file), &r.arena, &proof, &r.why)) ||
        failed(record_decode(proof.extra, &record, &r.why)) ||
        failed(verify_claimed(proof.note, &c, &r.why))) {
        return run_fail(&r, VERIFY_USAGE);
    }
    report_init(&r.report, ask->json, false);
    report_text(&r.report, "ledger", "origin", c.origin);
    report_number(&r.report, "tree size", "size", (int64_t)c.size);
    say_record(&r, &record);
    return run_end(&r);
}

/* ---- consistency ---- */

int verify_run_consistency(const struct verify_ask *ask)
{
    struct run r;
    struct bytes old;
    struct proof proof;
    struct verify_head before;
    struct verify_head now;
    int code = run_open(ask, PROOF_BYTES_MAX, &r);
    if (code >= 0) {
        return code;
    }
    if (!read_extra(&r, ask->old, PROOF_BYTES_MAX, &old)) {
        return run_fail(&r, VERIFY_USAGE);
    }
    if (!failed(proof_parse(old, &r.arena, &proof, NULL))) {
        old = proof.note; /* a receipt will do: it ends in a checkpoint */
    }
    if (failed(verify_consistency(&r.trust, buf_bytes(&r.file), old, &before, &now, &r.why))) {
        return run_fail(&r, VERIFY_NOT_PROVED);
    }
    say_head(&r, &now);
    report_number(&r.report, "begins with", "old_size", (int64_t)before.checkpoint.size);
    report_hex(&r.report, "its root", "old_root", before.checkpoint.root.bytes);
    report_voices(&r.report, "cosigned by", "old_cosigned", &before.voices);
    return run_end(&r);
}

/* ---- statement ---- */

/* A bound of the range that is asked for: a position, or a moment. */
struct bound {
    bool given, is_time;
    uint64_t value;
};

/* What is listed: postings of records from `from` on and below `to`. */
struct listing {
    struct run *run;
    struct bound from, to;
    int64_t opening, closing; /* of the range */
    uint64_t shown;
    struct buf account; /* room for the other account's name */
};

static bool read_bound(struct run *r, const char *text, struct bound *ret)
{
    struct tm tm = {0};
    char *end = NULL;
    *ret = (struct bound){.given = text != NULL};
    if (text == NULL) {
        return true;
    }
    const char *day_end = strptime(text, "%Y-%m-%d", &tm);
    if (strlen(text) == 10 && day_end != NULL && *day_end == '\0') {
        time_t s = timegm(&tm);
        ret->is_time = true;
        ret->value = s < 0 ? 0 : (uint64_t)s * 1000000000;
        return true;
    }
    errno = 0;
    ret->value = strtoull(text, &end, 10);
    if (errno == 0 && text[0] >= '0' && text[0] <= '9' && *end == '\0') {
        return true;
    }
    (void)snprintf(r->why.text, sizeof r->why.text,
                   "'%.64s' is neither a position nor a day (2026-07-01, UTC)", text);
    return false;
}

static bool below(const struct record *c, const struct bound *b)
{
    return b->given && (b->is_time ? c->time_ns : c->position) < b->value;
}

/* The opening must lie before the range, and the end behind it. */
static bool covers(struct run *r, const struct verify_statement *s, const struct listing *l)
{
    if (l->from.given && s->before > 0 && (s->records == 0 || !below(&s->first, &l->from))) {
        (void)snprintf(r->why.text, sizeof r->why.text,
                       "the statement begins within the range: what was before posting %llu is "
                       "not shown",
                       (unsigned long long)s->before + 1);
        return false;
    }
    if (l->to.given && !s->ended && (s->records == 0 || below(&s->last, &l->to))) {
        (void)snprintf(r->why.text, sizeof r->why.text,
                       "the statement ends within the range, at position %llu, and nobody says "
                       "that nothing followed",
                       (unsigned long long)s->last.position);
        return false;
    }
    return true;
}

static void list_posting(void *ctx, uint64_t number, const struct record *c,
                         const struct account_posting *p)
{
    struct listing *l = ctx;
    struct report *o = &l->run->report;
    char time[REPORT_TIME_SIZE];
    if (below(c, &l->from)) {
        l->opening = p->balance;
        l->closing = p->balance;
        return;
    }
    if (l->to.given && !below(c, &l->to)) {
        return;
    }
    report_time(c->time_ns, time);
    buf_clear(&l->account);
    account_print(p->counter, &l->account);
    report_json(o, l->shown == 0 ? "{" : ",{");
    report_number(o, NULL, "number", (int64_t)number);
    report_number(o, NULL, "position", (int64_t)c->position);
    report_number(o, NULL, "ordinal", p->ordinal);
    report_text(o, NULL, "time", bytes_text(time));
    report_number(o, NULL, "quanta", p->quanta);
    report_number(o, NULL, "balance", p->balance);
    report_text(o, NULL, "counter", buf_bytes(&l->account));
    report_json(o, "}");
    report_line(o, "  %6llu  %-24s %9llu %16lld %16lld  %.*s", (unsigned long long)number, time,
                (unsigned long long)c->position, (long long)p->quanta, (long long)p->balance,
                (int)l->account.size, (const char *)l->account.data);
    l->closing = p->balance;
    l->shown++;
}

static void say_statement(struct run *r, const struct verify_statement *s, struct listing *l)
{
    struct report *o = &r->report;
    report_number(o, "postings", "postings", (int64_t)l->shown);
    if (s->has_opening) { /* an end without any record tells no balance */
        report_number(o, "before them", "opening_quanta", l->opening);
        report_number(o, "after them", "closing_quanta", l->closing);
    }
    report_number(o, NULL, "first_number", (int64_t)s->before + 1);
    if (s->records > 0) {
        report_number(o, NULL, "first_position", (int64_t)s->first.position);
        report_number(o, NULL, "last_position", (int64_t)s->last.position);
    }
    report_fact(o, "ended", s->ended);
    if (s->ended) {
        report_line(o, "  complete       up to size %llu: nothing followed, as is signed by",
                    (unsigned long long)s->head.checkpoint.size);
        report_voices(o, "", "ended_by", &s->enders);
    } else {
        report_line(o, "  complete       up to position %llu; what followed it is not told",
                    (unsigned long long)s->last.position);
    }
}

int verify_run_statement(const struct verify_ask *ask)
{
    struct run r;
    struct verify_statement s;
    struct listing l = {.run = &r};
    struct verify_listing listing = {&l, list_posting};
    int code = run_open(ask, STATEMENT_BYTES_MAX, &r);
    if (code >= 0) {
        return code;
    }
    if (!read_bound(&r, ask->from, &l.from) || !read_bound(&r, ask->to, &l.to)) {
        return run_fail(&r, VERIFY_USAGE);
    }
    struct bytes wire = buf_bytes(&r.file);
    if (failed(verify_statement(&r.trust, wire, NULL, &r.arena, &s, &r.why)) ||
        !covers(&r, &s, &l)) {
        return run_fail(&r, VERIFY_NOT_PROVED);
    }
    say_head(&r, &s.head);
    buf_init(&l.account, 4 * STATEMENT_ACCOUNT_BYTES_MAX);
    account_print(s.account, &l.account);
    report_text(&r.report, "account", "account", buf_bytes(&l.account));
    l.opening = s.opening;
    l.closing = s.opening;
    report_list(&r.report, "list");
    report_line(&r.report, "  %6s  %-24s %9s %16s %16s  %s", "NUMBER", "TIME", "POSITION", "QUANTA",
                "BALANCE", "WITH");
    err e = verify_statement(&r.trust, wire, &listing, &r.arena, &s, &r.why);
    require(!failed(e)); /* the same bytes again, now told */
    report_json(&r.report, "]");
    say_statement(&r, &s, &l);
    buf_done(&l.account);
    return run_end(&r);
}
