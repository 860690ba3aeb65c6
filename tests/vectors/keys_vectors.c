/* Repartition keys on the 37 cases of data/keys.json: every key of collective self-consumption
 * built on the product's apportionment, with the invariants of a slot asserted in each case. */
#include "tests/vectors/vectors.h"

#include <stdio.h>
#include <string.h>

#include "rules/apportion.h"

enum { CASES = 37, MAX = 32, PPM = 1000000 };

/* One slot; q, matrix and the rest are results. */
struct slot {
    const char *key;
    const json_t *params;
    size_t producers, members;
    int128 p[MAX], c[MAX];
    int128 q[MAX], used[MAX], matrix[MAX][MAX]; /* matrix[producer][member] */
    int rounds;
};

static void share_out(int128 total, const int128 *weights, size_t count, int128 *ret)
{
    uint128 remainders[MAX];
    uint32_t heap[MAX];
    struct apportion_scratch scratch = {remainders, heap};
    assert_int_equal(apportion(total, weights, count, scratch, ret), NUM_OK);
}

static int128 sum(const int128 *v, size_t count)
{
    int128 r = 0;
    for (size_t i = 0; i < count; i++) {
        r += v[i];
    }
    return r;
}

static int128 least(int128 a, int128 b)
{
    return a < b ? a : b;
}

/* Default dynamic, over the members whose want is in c. */
static void key_dynamic(int128 production, const int128 *c, size_t members, int128 *ret)
{
    if (sum(c, members) <= production) {
        memcpy(ret, c, members * sizeof c[0]);
    } else {
        share_out(production, c, members, ret);
    }
}

/* false: the coefficients sum to more than one. */
static bool key_static(struct slot *s, int128 *ret_k)
{
    assert_int_equal(vectors_list(vectors_get(s->params, "k_ppm"), ret_k, MAX), s->members);
    if (sum(ret_k, s->members) > PPM) {
        return false;
    }
    int128 production = sum(s->p, s->producers);
    for (size_t i = 0; i < s->members; i++) {
        s->q[i] = least(production * ret_k[i] / PPM, s->c[i]);
    }
    return true;
}

/* What members cannot use goes to those who can use more, by their coefficients. */
static bool key_cascade(struct slot *s)
{
    int128 k[MAX], open[MAX], more[MAX];
    if (!key_static(s, k) || sum(k, s->members) != PPM) {
        return false;
    }
    for (s->rounds = 0;; s->rounds++) {
        int128 left = sum(s->p, s->producers) - sum(s->q, s->members);
        for (size_t i = 0; i < s->members; i++) {
            open[i] = s->q[i] < s->c[i] ? k[i] : 0;
        }
        if (left == 0 || sum(open, s->members) == 0) {
            return true;
        }
        share_out(left, open, s->members, more);
        for (size_t i = 0; i < s->members; i++) {
            s->q[i] = least(s->c[i], s->q[i] + more[i]);
        }
    }
}

static void key_priority(struct slot *s)
{
    int128 rank[MAX], left = sum(s->p, s->producers);
    assert_int_equal(vectors_list(vectors_get(s->params, "rank"), rank, MAX), s->members);
    for (int128 r = 1; r <= MAX; r++) {
        int128 wants[MAX], got[MAX];
        for (size_t i = 0; i < s->members; i++) {
            wants[i] = rank[i] == r ? s->c[i] : 0;
        }
        key_dynamic(left, wants, s->members, got);
        for (size_t i = 0; i < s->members; i++) {
            s->q[i] += got[i];
        }
        left -= sum(got, s->members);
    }
}

/* One member's column: what each producer's coefficient gives it, cut to what it used. */
static void cap_member(struct slot *s, size_t i, const int128 *wish)
{
    bool pro_rata = strcmp(vectors_text(s->params, "cap"), "pro_rata") == 0;
    int128 column[MAX], need = s->c[i];
    memcpy(column, wish, s->producers * sizeof wish[0]);
    if (sum(wish, s->producers) > s->c[i] && pro_rata) {
        share_out(s->c[i], wish, s->producers, column);
    } else if (sum(wish, s->producers) > s->c[i]) {
        for (size_t j = 0; j < s->producers; j++) {
            column[j] = least(wish[j], need);
            need -= column[j];
        }
    }
    s->q[i] = sum(column, s->producers);
    for (size_t j = 0; j < s->producers; j++) {
        s->matrix[j][i] = column[j];
    }
}

static bool key_full(struct slot *s)
{
    int128 k[MAX][MAX], wish[MAX];
    const json_t *rows = vectors_get(s->params, "k_ppm");
    assert_int_equal(json_array_size(rows), s->producers);
    for (size_t j = 0; j < s->producers; j++) {
        assert_int_equal(vectors_list(json_array_get(rows, j), k[j], MAX), s->members);
        if (sum(k[j], s->members) > PPM) {
            return false;
        }
    }
    for (size_t i = 0; i < s->members; i++) {
        for (size_t j = 0; j < s->producers; j++) {
            wish[j] = s->p[j] * k[j][i] / PPM;
        }
        cap_member(s, i, wish);
    }
    for (size_t j = 0; j < s->producers; j++) {
        s->used[j] = sum(s->matrix[j], s->members);
    }
    return true;
}

/* Who supplied whom: producer by producer over what each member still lacks. */
static void fill_matrix(struct slot *s)
{
    int128 rest[MAX];
    memcpy(rest, s->q, sizeof rest);
    share_out(sum(s->q, s->members), s->p, s->producers, s->used);
    for (size_t j = 0; j < s->producers; j++) {
        share_out(s->used[j], rest, s->members, s->matrix[j]);
        for (size_t i = 0; i < s->members; i++) {
            rest[i] -= s->matrix[j][i];
        }
    }
    assert_true(sum(rest, s->members) == 0); /* the last producer lands exactly */
}

static void check_slot(const struct slot *s)
{
    int128 surplus = 0;
    for (size_t j = 0; j < s->producers; j++) {
        assert_true(s->used[j] >= 0 && s->used[j] <= s->p[j]);
        assert_true(sum(s->matrix[j], s->members) == s->used[j]);
        surplus += s->p[j] - s->used[j];
    }
    for (size_t i = 0; i < s->members; i++) {
        int128 column = 0;
        for (size_t j = 0; j < s->producers; j++) {
            column += s->matrix[j][i];
        }
        assert_true(s->q[i] >= 0 && s->q[i] <= s->c[i]);
        assert_true(column == s->q[i]);
    }
    assert_true(sum(s->q, s->members) + surplus == sum(s->p, s->producers));
}

/* false: refused, the coefficients do not sum to what the key demands. */
static bool settle(struct slot *s)
{
    int128 k[MAX];
    s->rounds = -1;
    if (strcmp(s->key, "K2") == 0) {
        key_dynamic(sum(s->p, s->producers), s->c, s->members, s->q);
    } else if (strcmp(s->key, "K1") == 0 || strcmp(s->key, "K3") == 0) {
        if (!key_static(s, k)) {
            return false;
        }
    } else if (strcmp(s->key, "K1_CASCADE") == 0) {
        if (!key_cascade(s)) {
            return false;
        }
    } else if (strcmp(s->key, "PRIORITY") == 0) {
        key_priority(s);
    } else {
        assert_string_equal(s->key, "K4");
        if (!key_full(s)) {
            return false;
        }
    }
    if (strcmp(s->key, "K4") != 0) {
        fill_matrix(s);
    }
    check_slot(s);
    return true;
}

/* a - b, element by element; b NULL counts as zero. */
static json_t *difference(const int128 *a, const int128 *b, size_t count)
{
    int128 d[MAX];
    for (size_t i = 0; i < count; i++) {
        d[i] = a[i] - (b == NULL ? 0 : b[i]);
    }
    return vectors_integers(d, count);
}

/* The results of a slot, or what changed since `before`. */
static json_t *result_json(const struct slot *s, const struct slot *before)
{
    static const struct slot nothing;
    const struct slot *b = before == NULL ? &nothing : before;
    int128 surplus[MAX], residual[MAX];
    json_t *matrix = json_array();
    for (size_t j = 0; j < s->producers; j++) {
        surplus[j] = s->p[j] - s->used[j] - (b->p[j] - b->used[j]);
        json_array_append_new(matrix, difference(s->matrix[j], b->matrix[j], s->members));
    }
    for (size_t i = 0; i < s->members; i++) {
        residual[i] = s->c[i] - s->q[i] - (b->c[i] - b->q[i]);
    }
    json_t *r = json_pack("{s:o, s:o, s:o, s:o}", "q", difference(s->q, b->q, s->members), "matrix",
                          matrix, "surplus", vectors_integers(surplus, s->producers), "residual",
                          vectors_integers(residual, s->members));
    if (before == NULL) {
        json_object_set_new(r, "used", vectors_integers(s->used, s->producers));
    }
    return r;
}

static size_t read_points(const json_t *list, int128 *ret)
{
    size_t count = json_array_size(list);
    assert_true(count <= MAX);
    for (size_t i = 0; i < count; i++) {
        ret[i] = vectors_int(json_array_get(list, i), "mwh");
    }
    return count;
}

static void check_plain(const json_t *one)
{
    struct slot s = {.key = vectors_text(one, "key"), .params = vectors_get(one, "params")};
    s.producers = read_points(vectors_get(one, "producers"), s.p);
    s.members = read_points(vectors_get(one, "members"), s.c);
    json_t *got;
    if (!settle(&s)) {
        got = json_pack("{s:s}", "fault", "key_sum");
    } else {
        got = result_json(&s, NULL);
        if (s.rounds >= 0) {
            json_object_set_new(got, "rounds", json_integer(s.rounds));
        }
    }
    vectors_expect(got, vectors_get(one, "expect"));
}

/* A movement between the pool and an account, or between two accounts; its direction is the sign of
 * the amount, and zero moves nothing. Returns what it brings to the pool. */
static int128 put_posting(json_t *list, int128 amount, const char *from, const char *to)
{
    if (amount == 0) {
        return 0;
    }
    bool back = amount < 0;
    json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "from", back ? to : from, "to",
                                          back ? from : to, "mwh",
                                          vectors_integer(back ? -amount : amount)));
    return strcmp(from, "pool") == 0 ? -amount : strcmp(to, "pool") == 0 ? amount : 0;
}

static const char *account(char *text, const char *family, char kind, size_t index)
{
    snprintf(text, 32, "%s[%c%02zu]", family, kind, index + 1);
    return text;
}

/* The postings that move exactly the difference. */
static json_t *delta_postings(const struct slot *a, const struct slot *b)
{
    json_t *list = json_array();
    char x[32], y[32];
    int128 pool = 0;
    for (size_t j = 0; j < a->producers; j++) {
        for (size_t i = 0; i < a->members; i++) {
            size_t before = json_array_size(list);
            pool += put_posting(list, a->matrix[j][i] - b->matrix[j][i], "pool",
                                account(x, "local", 'c', i));
            if (json_array_size(list) > before) {
                snprintf(y, sizeof y, "p%02zu", j + 1);
                json_object_set_new(json_array_get(list, before), "producer", json_string(y));
            }
        }
    }
    for (size_t j = 0; j < a->producers; j++) {
        pool += put_posting(list, a->p[j] - b->p[j], account(x, "made", 'p', j), "pool");
    }
    for (size_t j = 0; j < a->producers; j++) {
        int128 d = a->p[j] - a->used[j] - (b->p[j] - b->used[j]);
        pool += put_posting(list, d, "pool", account(x, "surplus", 'p', j));
    }
    for (size_t i = 0; i < a->members; i++) {
        int128 d = a->c[i] - a->q[i] - (b->c[i] - b->q[i]);
        pool += put_posting(list, d, account(x, "supply", 'c', i), account(y, "residual", 'c', i));
    }
    assert_true(pool == 0);
    return list;
}

static struct slot settle_readings(const json_t *one, const char *name)
{
    const json_t *readings = vectors_get(one, name);
    struct slot s = {.key = vectors_text(one, "key"), .params = vectors_get(one, "params")};
    s.producers = vectors_list(vectors_get(readings, "p"), s.p, MAX);
    s.members = vectors_list(vectors_get(readings, "c"), s.c, MAX);
    assert_true(settle(&s));
    return s;
}

static void check_correction(const json_t *one)
{
    struct slot before = settle_readings(one, "before"), after = settle_readings(one, "after");
    json_t *got = json_pack("{s:o, s:o, s:o, s:o}", "before", result_json(&before, NULL), "after",
                            result_json(&after, NULL), "delta", result_json(&after, &before),
                            "delta_postings", delta_postings(&after, &before));
    vectors_expect(got, vectors_get(one, "expect"));
}

static int status_rank(const char *status)
{
    static const char *const ranks[] = {"MISSING", "ESTIMATED", "RAW", "VALIDATED", "CORRECTED"};
    for (int i = 0; i < 5; i++) {
        if (strcmp(status, ranks[i]) == 0) {
            return i;
        }
    }
    return -1; /* no participant */
}

/* The value to settle with; JSON null if the slot has to wait for it. */
static const json_t *substitute(const json_t *params, const json_t *reading, const json_t *zero)
{
    const char *how = vectors_text(params, "substitute");
    if (strcmp(how, "zero") == 0) {
        return zero;
    }
    if (strcmp(how, "same_slot_last_week") == 0) {
        return vectors_get(reading, "same_slot_last_week_mwh");
    }
    assert_string_equal(how, "none");
    return NULL;
}

static void check_missing(const json_t *one)
{
    const json_t *params = vectors_get(one, "params"), *reading;
    int least_rank = status_rank(vectors_text(params, "min_status"));
    struct slot s = {.key = "K2", .params = params};
    json_t *used = json_object(), *flagged = json_array(), *waiting = json_array();
    json_t *zero = json_integer(0);
    size_t i;
    json_array_foreach(vectors_get(one, "readings"), i, reading)
    {
        const char *point = vectors_text(reading, "point");
        int rank = status_rank(vectors_text(reading, "status"));
        if (rank < 0) {
            continue; /* blank is neither missing nor zero */
        }
        const json_t *value = json_object_get(reading, "mwh");
        if (rank < least_rank) {
            value = substitute(params, reading, zero);
            json_t *list = json_is_integer(value) ? flagged : waiting;
            json_array_append_new(list, json_string(point));
        }
        bool producer = point[0] == 'p';
        assert_true(i < MAX);
        (producer ? s.p : s.c)[producer ? s.producers++ : s.members++] = json_integer_value(value);
        json_object_set_new(used, point, json_integer(json_integer_value(value)));
    }
    json_t *got;
    if (json_array_size(waiting) > 0) {
        got = json_pack("{s:b, s:O}", "computable", 0, "waiting_for", waiting);
    } else {
        assert_true(settle(&s));
        got = json_pack("{s:b, s:O, s:O, s:o}", "computable", 1, "flagged", flagged, "used", used,
                        "q", vectors_integers(s.q, s.members));
    }
    json_decref(zero);
    json_decref(used);
    json_decref(flagged);
    json_decref(waiting);
    vectors_expect(got, vectors_get(one, "expect"));
}

static void key_allocates_as_expected(void **state)
{
    const json_t *one = *state;
    const char *type = vectors_text(one, "type");
    if (strcmp(type, "slot") == 0) {
        check_plain(one);
    } else if (strcmp(type, "correction") == 0) {
        check_correction(one);
    } else {
        assert_string_equal(type, "missing");
        check_missing(one);
    }
}

int main(int argc, char **argv)
{
    return argc == 2 ? vectors_run_json(argv[1], CASES, key_allocates_as_expected) : 2;
}
