/* cel_vectors: the core tests of the public conformance suite of CEL, read in place from
 * CEL_SPEC_DIR, evaluated by the language's own compiler and evaluator. 534 of the 543 give the
 * identical result; the other nine are listed here, and what each gives instead. Exit 1 names every
 * difference; exit 77 (skipped) when the suite is absent. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"
#include "crypto/sha256.h"
#include "rules/expr.h"
#include "tests/vectors/cel_select.h"

enum { NAMES_MAX = 8, VALUE_DEPTH_MAX = 8 };

/* The files, and how many of their tests are core. */
static const struct {
    const char *name;
    unsigned core;
} FILES[] = {
    {"basic", 26},   {"comparisons", 103}, {"conversions", 29}, {"integer_math", 41},
    {"lists", 17},   {"logic", 21},        {"macros", 36},      {"parse", 156},
    {"plumbing", 3}, {"string", 42},       {"timestamps", 69},
};

/* Where the language answers otherwise, on purpose. */
static const struct {
    const char *file, *section, *expr;
    enum expr_end end;
    enum rules_fault fault;
} LISTED[] = {
    {"comparisons", "eq_literal", "[1, 'dos', 3] == [1, 2, 4]", EXPR_REFUSED, RULES_FAULT_NONE},
    {"comparisons", "in_list_literal", "'elem' in [1, 'elem', 2]", EXPR_REFUSED, RULES_FAULT_NONE},
    {"macros", "exists", "[1, 'foo', 3].exists(e, e != '1')", EXPR_REFUSED, RULES_FAULT_NONE},
    {"macros", "exists", "[1, 'foo', 3].exists(e, e == '10')", EXPR_REFUSED, RULES_FAULT_NONE},
    {"macros", "all", "[1, 'foo', 3].all(e, e == 1)", EXPR_REFUSED, RULES_FAULT_NONE},
    {"macros", "all", "[1, 'foo', 3].all(e, e % 2 == 1)", EXPR_REFUSED, RULES_FAULT_NONE},
    {"macros", "all", "[1, 2, 3].all(e, 6 / (2 - e) == 6)", EXPR_FAULT, RULES_FAULT_DIVIDE},
    {"logic", "AND", "(2 / 0 > 3 ? false : true) && false", EXPR_FAULT, RULES_FAULT_DIVIDE},
    {"logic", "OR", "(2 / 0 > 3 ? false : true) || true", EXPR_FAULT, RULES_FAULT_DIVIDE},
};
enum { LISTED_COUNT = sizeof LISTED / sizeof LISTED[0] };

struct suite {
    struct rules_env env;
    const char *file;
    struct bytes section;
    unsigned core, identical, failures;
    bool listed[LISTED_COUNT]; /* met */
};

/* ---- values of the suite ---- */

static int64_t number_of(struct bytes word)
{
    char text[32] = {0};
    char *end = text;
    if (word.size > 0 && word.size < sizeof text) {
        memcpy(text, word.data, word.size);
    }
    errno = 0;
    long long v = strtoll(text, &end, 0);
    require(end != text && *end == '\0' && errno == 0);
    return v;
}

static bool named(const struct proto *f, const char *name)
{
    return bytes_equal(f->name, bytes_text(name));
}

/* seconds and nanos of a Timestamp or Duration; 0 if not there. */
static int64_t part_of(const struct proto *any, const char *name)
{
    const struct proto *f = proto_get(any, name);
    return f == NULL ? 0 : number_of(f->text);
}

static bool is_any(const struct proto *f, const char *type)
{
    return f->first != NULL && f->first->name.size > strlen(type) + 2 &&
           memcmp(f->first->name.data + f->first->name.size - strlen(type) - 1, type,
                  strlen(type)) == 0;
}

static struct civil_time time_of(const struct proto *any)
{
    return (struct civil_time){part_of(any, "seconds"), (uint32_t)part_of(any, "nanos")};
}

static int128 duration_of(const struct proto *any)
{
    return (int128)part_of(any, "seconds") * 1000000000 + part_of(any, "nanos");
}

static bool is_true(const struct proto *f)
{
    return bytes_equal(f->text, bytes_text("true"));
}

/* ---- does a value equal an expected one? ---- */

static bool scalar_equal(const struct type *t, struct value v, const struct proto *want)
{
    switch (t->kind) {
    case TYPE_BOOL:
        return named(want, "bool_value") && v.as.truth == is_true(want);
    case TYPE_INT:
        return named(want, "int64_value") && v.as.number == number_of(want->text);
    case TYPE_STRING:
        return named(want, "string_value") && bytes_equal(v.as.text, want->text);
    case TYPE_BYTES:
        return named(want, "bytes_value") && bytes_equal(v.as.text, want->text);
    case TYPE_TIMESTAMP:
        return named(want, "object_value") && is_any(want, "google.protobuf.Timestamp") &&
               v.as.time.seconds == time_of(want->first).seconds &&
               v.as.time.nanos == time_of(want->first).nanos;
    case TYPE_DURATION:
        return named(want, "object_value") && is_any(want, "google.protobuf.Duration") &&
               v.as.number == duration_of(want->first);
    case TYPE_DATE:
    case TYPE_PARTY:
    case TYPE_AMOUNT:
    case TYPE_RATIO:
    case TYPE_RECORD:
    case TYPE_LIST:
        return false;
    }
    return false;
}

/* Lists in lists by an explicit stack. */
static bool value_is(const struct type *t, struct value v, const struct proto *want)
{
    struct {
        const struct type *item;
        struct value list;
        size_t at;
        const struct proto *want;
    } open[VALUE_DEPTH_MAX];
    size_t depth = 0;
    for (;;) {
        if (t->kind != TYPE_LIST) {
            if (!scalar_equal(t, v, want)) {
                return false;
            }
        } else if (!named(want, "list_value") || depth == VALUE_DEPTH_MAX) {
            return false;
        } else {
            open[depth].item = t->item;
            open[depth].list = v;
            open[depth].at = 0;
            open[depth++].want = want->first;
        }
        while (depth > 0 && open[depth - 1].at == open[depth - 1].list.as.list.count) {
            if (open[depth - 1].want != NULL) {
                return false;
            }
            depth--;
        }
        if (depth == 0) {
            return true;
        }
        if (open[depth - 1].want == NULL || open[depth - 1].want->first == NULL) {
            return false;
        }
        t = open[depth - 1].item;
        v = open[depth - 1].list.as.list.items[open[depth - 1].at++];
        want = open[depth - 1].want->first;
        open[depth - 1].want = open[depth - 1].want->next;
    }
}

/* ---- bindings ---- */

static struct type *new_type(struct arena *arena, enum type_kind kind)
{
    struct type *t = arena_new(arena, 1, sizeof *t);
    t->kind = kind;
    t->by = -1;
    return t;
}

/* A bound value and its type; no core test binds lists in lists. */
static void bind_scalar(struct arena *arena, const struct proto *f, struct expr_name *ret)
{
    struct type *t = NULL;
    ret->value = (struct value){.present = true};
    if (named(f, "int64_value")) {
        t = new_type(arena, TYPE_INT);
        ret->value.as.number = number_of(f->text);
    } else if (named(f, "bool_value")) {
        t = new_type(arena, TYPE_BOOL);
        ret->value.as.truth = is_true(f);
    } else if (named(f, "string_value") || named(f, "bytes_value")) {
        t = new_type(arena, named(f, "string_value") ? TYPE_STRING : TYPE_BYTES);
        t->size_max = (uint32_t)f->text.size;
        ret->value.as.text = f->text;
    } else if (is_any(f, "google.protobuf.Timestamp")) {
        t = new_type(arena, TYPE_TIMESTAMP);
        ret->value.as.time = time_of(f->first);
    } else {
        require(is_any(f, "google.protobuf.Duration"));
        t = new_type(arena, TYPE_DURATION);
        ret->value.as.number = duration_of(f->first);
    }
    ret->type = t;
}

static void bind_value(struct arena *arena, const struct proto *f, struct expr_name *ret)
{
    if (!named(f, "list_value")) {
        bind_scalar(arena, f, ret);
        return;
    }
    size_t count = 0;
    for (const struct proto *i = f->first; i != NULL; i = i->next) {
        count++;
    }
    struct type *t = new_type(arena, TYPE_LIST);
    struct value *items = arena_new(arena, count + 1, sizeof *items);
    size_t at = 0;
    for (const struct proto *i = f->first; i != NULL; i = i->next) {
        struct expr_name item = {0};
        bind_scalar(arena, i->first, &item);
        items[at++] = item.value;
        t->item = item.type;
    }
    t->list_max = (uint32_t)count;
    ret->type = t;
    ret->value = (struct value){.as.list = {items, count}, .present = true};
}

static size_t bind_all(struct arena *arena, const struct proto *test, struct expr_name *names)
{
    size_t count = 0;
    for (const struct proto *f = test->first; f != NULL; f = f->next) {
        const struct proto *outer = named(f, "bindings") ? proto_get(f, "value") : NULL;
        const struct proto *inner = outer == NULL ? NULL : proto_get(outer, "value");
        if (inner != NULL && inner->first != NULL && count < NAMES_MAX) {
            names[count].name = proto_text(f, "key");
            bind_value(arena, inner->first, &names[count++]);
        }
    }
    return count;
}

/* ---- one test ---- */

/* The place in the list of differences, or -1. */
static int listed_index(const struct suite *s, struct bytes expr)
{
    for (int i = 0; i < LISTED_COUNT; i++) {
        if (strcmp(LISTED[i].file, s->file) == 0 &&
            bytes_equal(s->section, bytes_text(LISTED[i].section)) &&
            bytes_equal(expr, bytes_text(LISTED[i].expr))) {
            return i;
        }
    }
    return -1;
}

static bool is_identical(const struct proto *test, const struct expr_result *r)
{
    const struct proto *want = proto_get(test, "value");
    if (proto_get(test, "eval_error") != NULL) {
        return r->end != EXPR_VALUE;
    }
    if (r->end != EXPR_VALUE) {
        return false;
    }
    if (want == NULL) { /* the suite's default */
        return r->type->kind == TYPE_BOOL && r->value.as.truth;
    }
    return want->first != NULL && value_is(r->type, r->value, want->first);
}

static void report(struct suite *s, const struct proto *test, const struct expr_result *r)
{
    static const char *const ends[] = {"another value", "fault ", "refused: "};
    const char *detail = r->end == EXPR_FAULT     ? rules_fault_name(r->fault)
                         : r->end == EXPR_REFUSED ? r->diag.message
                                                  : "";
    struct bytes name = proto_text(test, "name");
    struct bytes expr = proto_text(test, "expr");
    printf("%s/%.*s line %u %.*s: %.*s\n  gives %s%s\n", s->file, (int)s->section.size,
           (const char *)s->section.data, test->line, (int)name.size, (const char *)name.data,
           (int)expr.size, (const char *)expr.data, ends[r->end], detail);
    s->failures++;
}

static void run_test(struct suite *s, const struct proto *test)
{
    struct arena arena;
    struct expr_name names[NAMES_MAX];
    struct expr_result r;
    struct bytes expr = proto_text(test, "expr");
    arena_init(&arena, RULES_COMPILE_ARENA_MAX);
    expr_evaluate(&s->env, expr, names, bind_all(&arena, test, names), &arena, &r);
    int listed = listed_index(s, expr);
    s->core++;
    if (listed >= 0) {
        bool as_listed = !s->listed[listed] && r.end == LISTED[listed].end &&
                         (r.end != EXPR_FAULT || r.fault == LISTED[listed].fault);
        s->listed[listed] = true;
        if (!as_listed) {
            report(s, test, &r);
        }
    } else if (is_identical(test, &r)) {
        s->identical++;
    } else {
        report(s, test, &r);
    }
    arena_done(&arena);
}

/* ---- files ---- */

static bool read_file(const char *path, struct buf *ret)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        return false;
    }
    buf_init(ret, PROTO_BYTES_MAX);
    uint8_t *room = NULL;
    size_t size = 1;
    while (size > 0 && (room = buf_room(ret, 65536)) != NULL) {
        size = fread(room, 1, 65536, f);
        buf_added(ret, size);
    }
    (void)fclose(f);
    return true;
}

static void run_file(struct suite *s, struct bytes text)
{
    struct arena arena;
    struct proto file;
    struct errtext why;
    arena_init(&arena, (size_t)64 << 20);
    if (failed(proto_parse(text, &arena, &file, &why))) {
        printf("%s.textproto: %s\n", s->file, why.text);
        s->failures++;
    }
    for (const struct proto *section = file.first; section != NULL; section = section->next) {
        s->section = named(section, "section") ? proto_text(section, "name") : bytes_text("");
        for (const struct proto *t = section->first; t != NULL; t = t->next) {
            if (named(t, "test") && cel_is_core(s->section, t)) {
                run_test(s, t);
            }
        }
    }
    arena_done(&arena);
}

static void run_files(struct suite *s, const char *folder)
{
    for (size_t i = 0; i < sizeof FILES / sizeof FILES[0]; i++) {
        char path[1024];
        struct buf text = {0};
        unsigned before = s->core;
        (void)snprintf(path, sizeof path, "%s/%s.textproto", folder, FILES[i].name);
        if (!read_file(path, &text)) {
            printf("%s: cannot be read\n", path);
            s->failures++;
            continue;
        }
        s->file = FILES[i].name;
        run_file(s, buf_bytes(&text));
        if (s->core - before != FILES[i].core) {
            printf("%s: %u core tests; %u are expected\n", s->file, s->core - before,
                   FILES[i].core);
            s->failures++;
        }
        buf_done(&text);
    }
}

int main(int argc, char **argv)
{
    const char *folder = getenv("CEL_SPEC_DIR");
    char first[1024];
    folder = folder != NULL && folder[0] != '\0' ? folder : argc > 1 ? argv[1] : ".";
    (void)snprintf(first, sizeof first, "%s/%s.textproto", folder, FILES[0].name);
    FILE *probe = fopen(first, "rb");
    if (probe == NULL) {
        printf("SKIP: %s is absent; set CEL_SPEC_DIR to tests/simple/testdata of cel-spec\n",
               first);
        return 77;
    }
    (void)fclose(probe);
    struct rules_registry *registry = rules_registry_default();
    struct suite s = {.env = {registry, sha256}};
    run_files(&s, folder);
    unsigned met = 0;
    for (size_t i = 0; i < LISTED_COUNT; i++) {
        met += s.listed[i];
    }
    printf("%u core tests, %u identical, %u listed differences, %u failures\n", s.core, s.identical,
           met, s.failures);
    rules_registry_free(registry);
    bool as_stated = s.failures == 0 && s.core == 543 && s.identical == 534 && met == LISTED_COUNT;
    return as_stated ? 0 : 1;
}
