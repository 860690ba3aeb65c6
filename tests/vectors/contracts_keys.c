/* The cases of data/keys.json through contracts/solar-keys.rules, where a key is announced, and
 * contracts/solar-shares.rules, which reads it: each case becomes events, and what the contracts
 * post and write is compared with what the case expects, to the mWh. */
#include "tests/vectors/vectors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/sha256.h"
#include "rules/rules.h"

enum { CASES = 37, MAX = 32, TEXT_MAX = 256 << 10 };

#define SLOT "2026-07-02T10:00:00Z"
#define BEFORE "2026-07-01T12:00:00Z" /* the day before: keys are announced */
#define AFTER "2026-08-02T00:00:00Z"  /* the month is over, the deadline is not */

static struct rules_program *keys_program, *shares_program; /* compiled once */

/* What the events of a case have brought about. */
struct books {
    int64_t produced[MAX], surplus[MAX], supplied[MAX], residual[MAX], local[MAX], pool;
    int64_t cell[MAX][MAX]; /* [producer][member] */
};

struct play {
    struct rules_run *keys, *shares;
    json_t *producers, *members; /* [[id, mWh], ...] ascending by id */
    json_t *result;              /* of the last event */
    struct books books;
};

/* ---- amounts and lines ---- */

static json_t *energy(int64_t mwh)
{
    char text[40];
    snprintf(text, sizeof text, "%" PRId64 ".%03" PRId64 " Wh", mwh / 1000, mwh % 1000);
    return json_string(text);
}

static int64_t energy_of(const json_t *text)
{
    int64_t whole = 0, thousandths = 0;
    assert_non_null(json_string_value(text));
    assert_int_equal(
        sscanf(json_string_value(text), "%" SCNd64 ".%3" SCNd64 " Wh", &whole, &thousandths), 2);
    assert_true(whole >= 0); /* postings and cells are never below zero */
    return whole * 1000 + thousandths;
}

static json_t *coefficient(int64_t ppm)
{
    char text[40];
    snprintf(text, sizeof text, "%" PRId64 ".%04" PRId64 " pct", ppm / 10000, ppm % 10000);
    return json_string(text);
}

/* Takes over the line. */
static void feed(struct play *play, struct rules_run *run, json_t *line)
{
    struct buf out;
    struct errtext why = {""};
    char *text = json_dumps(line, JSON_COMPACT);
    buf_init(&out, (size_t)16 << 20);
    if (failed(rules_run_line(run, bytes_text(text), &out, &why))) {
        fail_msg("%s: %s", text, why.text);
    }
    json_decref(play->result);
    play->result = NULL;
    if (out.size > 0) {
        play->result = json_loadb((const char *)out.data, out.size, 0, NULL);
        assert_non_null(play->result);
    }
    buf_done(&out);
    free(text);
    json_decref(line);
}

static const json_t *outcome(const struct play *play)
{
    return vectors_get(play->result, "outcome");
}

static bool accepted(const struct play *play)
{
    return strcmp(vectors_text(outcome(play), "end"), "accepted") == 0;
}

static void event(struct play *play, struct rules_run *run, const char *name, const char *now,
                  json_t *args)
{
    const char *by = run == play->keys ? "pmo.bourg" : "grid.operator";
    feed(play, run,
         json_pack("{s:s, s:[s], s:s, s:o}", "event", name, "by", by, "now", now, "args", args));
}

static const char *item_text(const json_t *list, size_t i)
{
    const char *text = json_string_value(json_array_get(list, i));
    assert_non_null(text);
    return text;
}

/* The organiser's event; the rows that it wrote are there for whoever uses them. */
static void announce(struct play *play, const char *name, const char *now, json_t *args)
{
    size_t i;
    const json_t *e;
    event(play, play->keys, name, now, args);
    json_t *last = play->result;
    play->result = NULL;
    json_array_foreach(vectors_get(last, "effects"), i, e)
    {
        assert_string_equal(item_text(e, 0), "put");
        feed(play, play->shares,
             json_pack("{s:s, s:O, s:O}", "given", item_text(e, 2), "key", json_array_get(e, 3),
                       "row", json_array_get(e, 4)));
    }
    play->result = last;
}

static void must(const struct play *play)
{
    if (!accepted(play)) {
        char *text = json_dumps(outcome(play), 0);
        fail_msg("%s", text);
    }
}

/* ---- the case as events ---- */

static size_t index_of(const json_t *points, const char *id)
{
    size_t i;
    const json_t *point;
    json_array_foreach(points, i, point)
    {
        if (strcmp(json_string_value(json_array_get(point, 0)), id) == 0) {
            return i;
        }
    }
    fail_msg("no point %s", id);
    return 0;
}

static const char *point_id(const json_t *points, size_t i)
{
    return json_string_value(json_array_get(json_array_get(points, i), 0));
}

static void give_points(struct play *play, const char *side, const json_t *points)
{
    for (size_t i = 0; i < json_array_size(points); i++) {
        json_t *line = json_pack("{s:s, s:[s, s], s:{s:s}}", "given", "point", "key", side,
                                 point_id(points, i), "row", "since", "2026-07-01");
        feed(play, play->keys, json_incref(line));
        feed(play, play->shares, line);
    }
}

/* [{meter, part}] from a list of ppm. */
static json_t *parts_of(const struct play *play, const json_t *ppm)
{
    json_t *list = json_array();
    assert_int_equal(json_array_size(ppm), json_array_size(play->members));
    for (size_t i = 0; i < json_array_size(ppm); i++) {
        json_t *part = coefficient(json_integer_value(json_array_get(ppm, i)));
        json_array_append_new(
            list, json_pack("{s:s, s:o}", "meter", point_id(play->members, i), "part", part));
    }
    return list;
}

static json_t *ranks_of(const struct play *play, const json_t *ranks)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(ranks); i++) {
        json_array_append_new(list, json_pack("{s:s, s:O}", "meter", point_id(play->members, i),
                                              "rank", json_array_get(ranks, i)));
    }
    return list;
}

/* Coefficients of the quarter-hour; rows are taken over. */
static void give_sheet(struct play *play, const char *kind, const char *cap, json_t *rows)
{
    announce(play, "set_kind", BEFORE,
             json_pack("{s:s, s:s}", "since", "2026-07-02", "kind", kind));
    must(play);
    announce(play, "set_slot", AFTER,
             json_pack("{s:s, s:s, s:o}", "start", SLOT, "cap", cap, "rows", rows));
}

static json_t *rows_of(const struct play *play, const json_t *ppm)
{
    json_t *rows = json_array();
    for (size_t j = 0; j < json_array_size(ppm); j++) {
        json_array_append_new(rows,
                              json_pack("{s:s, s:o}", "producer", point_id(play->producers, j),
                                        "parts", parts_of(play, json_array_get(ppm, j))));
    }
    return rows;
}

/* false: the key is refused. */
static bool give_key(struct play *play, const char *key, const json_t *params)
{
    const json_t *ppm = json_object_get(params, "k_ppm");
    if (strcmp(key, "K2") == 0) {
        return true; /* what applies when nothing was chosen */
    }
    if (strcmp(key, "K1") == 0 || strcmp(key, "K1_CASCADE") == 0) {
        announce(play, "set_static", BEFORE,
                 json_pack("{s:s, s:b, s:o}", "since", "2026-07-02", "cascade",
                           strcmp(key, "K1") != 0, "parts", parts_of(play, ppm)));
    } else if (strcmp(key, "PRIORITY") == 0) {
        json_t *ranks = ranks_of(play, vectors_get(params, "rank"));
        announce(play, "set_priority", BEFORE,
                 json_pack("{s:s, s:o}", "since", "2026-07-02", "ranks", ranks));
    } else if (strcmp(key, "K3") == 0) {
        json_t *row = json_pack("{s:s, s:o}", "producer", "all", "parts", parts_of(play, ppm));
        give_sheet(play, "slot", "pro_rata", json_pack("[o]", row));
    } else {
        assert_string_equal(key, "K4");
        give_sheet(play, "full", vectors_text(params, "cap"), rows_of(play, ppm));
    }
    if (!accepted(play)) {
        const char *why = "the coefficients do not add up";
        assert_string_equal(vectors_text(outcome(play), "why"), why);
    }
    return accepted(play);
}

static json_t *readings(const json_t *points)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(points); i++) {
        json_t *mwh = energy(json_integer_value(json_array_get(json_array_get(points, i), 1)));
        json_array_append_new(list,
                              json_pack("{s:s, s:o}", "meter", point_id(points, i), "energy", mwh));
    }
    return list;
}

static void meter(struct play *play, int revision)
{
    event(play, play->shares, "metering", AFTER,
          json_pack("{s:s, s:i, s:o, s:o}", "start", SLOT, "revision", revision, "made",
                    readings(play->producers), "used", readings(play->members)));
}

/* ---- what the contract did ---- */

static int64_t *account(struct play *play, const char *family, const json_t *keys)
{
    struct books *b = &play->books;
    if (strcmp(family, "pool") == 0) {
        return &b->pool;
    }
    const char *id = json_string_value(json_array_get(keys, 0));
    if (strcmp(family, "produced") == 0) {
        return &b->produced[index_of(play->producers, id)];
    }
    if (strcmp(family, "surplus") == 0) {
        return &b->surplus[index_of(play->producers, id)];
    }
    size_t i = index_of(play->members, id);
    if (strcmp(family, "supplied") == 0) {
        return &b->supplied[i];
    }
    if (strcmp(family, "residual") == 0) {
        return &b->residual[i];
    }
    assert_string_equal(family, "local");
    return &b->local[i];
}

/* Books the effects of the last event, which was accepted. */
static void book(struct play *play)
{
    size_t i;
    const json_t *e;
    json_array_foreach(vectors_get(play->result, "effects"), i, e)
    {
        const char *kind = item_text(e, 0);
        if (strcmp(kind, "transfer") == 0) {
            int64_t amount = energy_of(json_array_get(e, 7));
            *account(play, item_text(e, 3), json_array_get(e, 4)) -= amount;
            *account(play, item_text(e, 5), json_array_get(e, 6)) += amount;
        } else if (strcmp(kind, "put") == 0 && strcmp(item_text(e, 2), "cell") == 0) {
            const json_t *keys = json_array_get(e, 3);
            size_t j = index_of(play->producers, item_text(keys, 1));
            size_t m = index_of(play->members, item_text(keys, 2));
            play->books.cell[j][m] = energy_of(vectors_get(json_array_get(e, 4), "energy"));
        }
    }
    assert_int_equal(play->books.pool, 0);
}

static json_t *difference(const int64_t *a, const int64_t *b, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, json_integer(a[i] - b[i]));
    }
    return list;
}

/* The state of the books, or what changed in them since `before`. */
static json_t *result_json(const struct play *play, const struct books *before)
{
    static const struct books nothing;
    const struct books *a = &play->books, *b = before == NULL ? &nothing : before;
    size_t producers = json_array_size(play->producers), members = json_array_size(play->members);
    int64_t used[MAX];
    json_t *matrix = json_array();
    for (size_t j = 0; j < producers; j++) {
        used[j] = -a->produced[j] - a->surplus[j];
        json_array_append_new(matrix, difference(a->cell[j], b->cell[j], members));
    }
    json_t *r =
        json_pack("{s:o, s:o, s:o, s:o}", "q", difference(a->local, b->local, members), "matrix",
                  matrix, "surplus", difference(a->surplus, b->surplus, producers), "residual",
                  difference(a->residual, b->residual, members));
    if (before == NULL) {
        json_object_set_new(r, "used", difference(used, nothing.local, producers));
    }
    return r;
}

/* Redistributions: the apportionments of the clause that says so. */
static int64_t rounds(const struct play *play)
{
    int64_t count = 0;
    size_t i;
    const json_t *t;
    json_array_foreach(vectors_get(play->result, "trace"), i, t)
    {
        bool cascade = strcmp(item_text(t, 0), "6") == 0;
        count += cascade && strcmp(item_text(t, 2), "apportion") == 0 ? 1 : 0;
    }
    return count;
}

/* "local[c01]" as the cases write it. */
static json_t *account_name(const json_t *effect, size_t at)
{
    char text[64];
    const char *family = item_text(effect, at);
    if (strcmp(family, "pool") == 0) {
        return json_string(family);
    }
    const char *name = strcmp(family, "produced") == 0   ? "made"
                       : strcmp(family, "supplied") == 0 ? "supply"
                                                         : family;
    snprintf(text, sizeof text, "%s[%s]", name, item_text(json_array_get(effect, at + 1), 0));
    return json_string(text);
}

/* Each posting of the last event is expected, and each expected one was made, in any order. The
 * producer behind a posting to a member is compared with the matrix, not here. */
static void check_postings(const struct play *play, const json_t *want)
{
    json_t *open = json_deep_copy(want);
    size_t i, k;
    json_t *e, *w;
    json_array_foreach(open, k, w)
    {
        json_object_del(w, "producer");
    }
    json_array_foreach(vectors_get(play->result, "effects"), i, e)
    {
        if (strcmp(item_text(e, 0), "transfer") != 0) {
            continue;
        }
        json_t *got =
            json_pack("{s:o, s:o, s:I}", "from", account_name(e, 3), "to", account_name(e, 5),
                      "mwh", (json_int_t)energy_of(json_array_get(e, 7)));
        bool found = false;
        for (k = 0; k < json_array_size(open) && !found; k++) {
            found = json_equal(json_array_get(open, k), got) != 0;
        }
        if (!found) {
            fail_msg("not expected: %s", json_dumps(got, 0));
        }
        json_array_remove(open, k - 1);
        json_decref(got);
    }
    if (json_array_size(open) > 0) {
        fail_msg("not posted: %s", json_dumps(open, 0));
    }
    json_decref(open);
}

/* ---- the three types of case ---- */

static void begin(struct play *play)
{
    memset(play, 0, sizeof *play);
    play->keys = rules_run_new(keys_program);
    play->shares = rules_run_new(shares_program);
    play->producers = json_array();
    play->members = json_array();
}

static void end(struct play *play)
{
    rules_run_free(play->keys);
    rules_run_free(play->shares);
    json_decref(play->producers);
    json_decref(play->members);
    json_decref(play->result);
}

static void set_points(json_t *points, const char *prefix, const json_t *values)
{
    size_t i;
    const json_t *v;
    json_array_clear(points);
    json_array_foreach(values, i, v)
    {
        char id[32];
        snprintf(id, sizeof id, "%s%02zu", prefix, i + 1);
        const json_t *mwh = json_is_object(v) ? vectors_get(v, "mwh") : v;
        json_array_append_new(points, json_pack("[s, O]", id, mwh));
    }
}

static void check_slot(const json_t *one)
{
    struct play play;
    const char *key = vectors_text(one, "key");
    json_t *got = json_pack("{s:s}", "fault", "key_sum");
    begin(&play);
    set_points(play.producers, "p", vectors_get(one, "producers"));
    set_points(play.members, "c", vectors_get(one, "members"));
    give_points(&play, "made", play.producers);
    give_points(&play, "used", play.members);
    if (give_key(&play, key, vectors_get(one, "params"))) {
        json_decref(got);
        meter(&play, 1);
        must(&play);
        book(&play);
        got = result_json(&play, NULL);
        if (strcmp(key, "K1_CASCADE") == 0) {
            json_object_set_new(got, "rounds", json_integer(rounds(&play)));
        }
    }
    vectors_expect(got, vectors_get(one, "expect"));
    end(&play);
}

static void check_correction(const json_t *one)
{
    struct play play;
    const json_t *first = vectors_get(one, "before"), *second = vectors_get(one, "after");
    const json_t *want = vectors_get(one, "expect");
    begin(&play);
    set_points(play.producers, "p", vectors_get(first, "p"));
    set_points(play.members, "c", vectors_get(first, "c"));
    give_points(&play, "made", play.producers);
    give_points(&play, "used", play.members);
    assert_true(give_key(&play, vectors_text(one, "key"), vectors_get(one, "params")));
    meter(&play, 1);
    must(&play);
    book(&play);
    struct books before = play.books;
    vectors_expect(result_json(&play, NULL), vectors_get(want, "before"));
    set_points(play.producers, "p", vectors_get(second, "p"));
    set_points(play.members, "c", vectors_get(second, "c"));
    meter(&play, 2);
    must(&play);
    book(&play);
    vectors_expect(result_json(&play, NULL), vectors_get(want, "after"));
    vectors_expect(result_json(&play, &before), vectors_get(want, "delta"));
    check_postings(&play, vectors_get(want, "delta_postings"));
    end(&play);
}

/* A reading that the grid operator does not deliver, or what it delivers instead. */
static json_t *delivered(const json_t *one, const json_t *reading)
{
    static const char *const ranks[] = {"MISSING", "ESTIMATED", "RAW", "VALIDATED", "CORRECTED"};
    const json_t *params = vectors_get(one, "params");
    const char *substitute = vectors_text(params, "substitute");
    int have = 0, least = 0;
    for (int i = 0; i < 5; i++) {
        have = strcmp(ranks[i], vectors_text(reading, "status")) == 0 ? i : have;
        least = strcmp(ranks[i], vectors_text(params, "min_status")) == 0 ? i : least;
    }
    if (have >= least) {
        return json_incref(vectors_get(reading, "mwh"));
    }
    if (strcmp(substitute, "zero") == 0) {
        return json_integer(0);
    }
    return strcmp(substitute, "none") == 0
               ? NULL
               : json_incref(vectors_get(reading, "same_slot_last_week_mwh"));
}

/* The contract takes a quarter-hour with a reading of every member of that day, or not at all;
 * replacing one is the grid operator's business. */
static void check_missing(const json_t *one)
{
    struct play play;
    const json_t *reading, *want = vectors_get(one, "expect");
    size_t i;
    begin(&play);
    json_array_foreach(vectors_get(one, "readings"), i, reading)
    {
        const char *id = vectors_text(reading, "point");
        bool made = id[0] == 'p';
        if (strcmp(vectors_text(reading, "status"), "NOT_A_PARTICIPANT") == 0) {
            continue;
        }
        json_t *point = json_pack("[[s]]", id);
        give_points(&play, made ? "made" : "used", point);
        json_decref(point);
        json_t *mwh = delivered(one, reading);
        if (mwh != NULL) {
            json_array_append_new(made ? play.producers : play.members,
                                  json_pack("[s, o]", id, mwh));
        }
    }
    meter(&play, 1);
    assert_int_equal(accepted(&play), json_is_true(vectors_get(want, "computable")));
    if (accepted(&play)) {
        book(&play);
        static const struct books nothing;
        json_t *q = difference(play.books.local, nothing.local, json_array_size(play.members));
        vectors_expect(q, vectors_get(want, "q"));
    } else {
        assert_string_equal(vectors_text(outcome(&play), "clause"), "1");
    }
    end(&play);
}

static void contract_allocates_as_expected(void **state)
{
    const json_t *one = *state;
    const char *type = vectors_text(one, "type");
    if (strcmp(type, "slot") == 0) {
        check_slot(one);
    } else if (strcmp(type, "correction") == 0) {
        check_correction(one);
    } else {
        assert_string_equal(type, "missing");
        check_missing(one);
    }
}

/* NULL, and says why, if it does not compile. */
static struct rules_program *compiled(const struct rules_env *env, const char *path)
{
    struct rules_program *p = NULL;
    struct rules_diag diag = {0};
    char *text = mem_new(1, TEXT_MAX);
    FILE *f = fopen(path, "rb");
    size_t size = f == NULL ? 0 : fread(text, 1, TEXT_MAX, f);
    if (f == NULL || fclose(f) != 0 ||
        failed(rules_compile(env, bytes_of(text, size), &p, &diag))) {
        fprintf(stderr, "%s:%u:%u: %s\n", path, diag.line, diag.column, diag.message);
    }
    free(text);
    return p;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        return 2;
    }
    struct rules_registry *registry = rules_registry_default();
    struct rules_env env = {registry, sha256};
    keys_program = compiled(&env, argv[1]);
    shares_program = compiled(&env, argv[2]);
    int code = keys_program == NULL || shares_program == NULL
                   ? 1
                   : vectors_run_json(argv[3], CASES, contract_allocates_as_expected);
    rules_program_free(keys_program);
    rules_program_free(shares_program);
    rules_registry_free(registry);
    return code;
}
