/* concordat rules fmt, mutate, explain: what an author and a reader of a contract need beside its
 * compiler. */
#include "cli/commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "cli/law.h"
#include "cli/show.h"
#include "crypto/keyfile.h"
#include "crypto/sha256.h"
#include "rules/explain.h"
#include "rules/format.h"
#include "rules/mutate.h"

struct tool {
    struct rules_env env;
    struct rules_registry *registry;
    struct rules_program *program;
};

/* Compiles the file of the first argument; otherwise says why and gives the exit code. */
static int tool_open(const struct given *g, struct tool *ret)
{
    struct errtext why;
    *ret = (struct tool){0};
    err e = law_registry(g, &ret->registry, &why);
    if (failed(e)) {
        return complain_err(e, &why);
    }
    ret->env = (struct rules_env){.registry = ret->registry, .sha256 = sha256};
    ret->program = law_compile_file(g->arguments[0], ret->registry);
    if (ret->program == NULL) {
        rules_registry_free(ret->registry);
        return EXIT_REFUSED;
    }
    return EXIT_DONE;
}

static int tool_close(struct tool *t, int code)
{
    rules_program_free(t->program);
    rules_registry_free(t->registry);
    return code;
}

/* ---- fmt ---- */

static const struct option FMT_OPTIONS[] = {
    {"write", NULL, "put the result in the file instead of printing it", false},
    {"check", NULL, "print nothing; exit 1 if the file would change", false},
    REGISTRY_OPTION,
    {NULL, NULL, NULL, false},
};

static int fmt_finish(const struct given *g, struct bytes before, struct bytes after)
{
    const char *path = g->arguments[0];
    bool same = bytes_equal(before, after);
    if (given_has(g, "check")) {
        return same ? EXIT_DONE
                    : complain(EXIT_REFUSED,
                               "%s: not in the common layout; write it with "
                               "'concordat rules fmt --write'",
                               path);
    }
    if (!given_has(g, "write")) {
        return fwrite(after.data, 1, after.size, stdout) == after.size
                   ? EXIT_DONE
                   : complain(EXIT_USAGE, "cannot write: %s", strerror(errno));
    }
    struct errtext why;
    err e = same ? err_ok() : keyfile_write_public(path, after, &why);
    return failed(e) ? complain_err(e, &why) : EXIT_DONE;
}

static int run_fmt(const struct given *g)
{
    struct tool t;
    struct errtext why;
    struct buf out;
    int code = tool_open(g, &t);
    if (code != EXIT_DONE) {
        return code;
    }
    buf_init(&out, 2 * CONTRACT_BYTES_MAX);
    err e = rules_format(t.program, &out, &why);
    code = failed(e) ? complain_err(e, &why)
                     : fmt_finish(g, rules_program_facts(t.program)->text, buf_bytes(&out));
    buf_done(&out);
    return tool_close(&t, code);
}

const struct command RULES_FMT = {
    "rules fmt",
    "FILE",
    1,
    1,
    "Brings a contract into the common layout; its code hash stays the same\n\n"
    "Line breaks and comments stay; indentation, blanks and columns are made uniform.",
    FMT_OPTIONS,
    "  concordat rules fmt contracts/solar.rules\n"
    "  concordat rules fmt --write contracts/solar.rules\n"
    "  concordat rules fmt --check contracts/solar.rules || echo 'not formatted'\n",
    run_fmt};

/* ---- mutate ---- */

static const struct option MUTATE_OPTIONS[] = {
    {"least", "PERCENT", "exit 1 if fewer of the changes are noticed; default 0", false},
    REGISTRY_OPTION,
    {NULL, NULL, NULL, false},
};

static const char *fate_name(enum rules_fate fate)
{
    switch (fate) {
    case RULES_KILLED:
        return "killed";
    case RULES_SURVIVED:
        return "survived";
    case RULES_GUARDED:
        return "guarded";
    }
    return "";
}

static void print_mutant(void *to, const struct rules_mutant *m)
{
    const struct given *g = to;
    if (g->json) {
        json_t *line = json_pack("{s:i,s:i,s:o,s:s,s:o,s:o,s:s}", "line", (int)m->line, "column",
                                 (int)m->column, "clause", show_text(m->clause), "change",
                                 rules_change_name(m->change), "was", show_text(m->was), "now",
                                 show_text(m->now), "fate", fate_name(m->fate));
        if (m->fate == RULES_KILLED) {
            json_object_set_new(line, "test", show_text(m->test));
        }
        show_json_line(line);
    } else if (m->fate == RULES_SURVIVED) {
        printf("%s:%u:%u: no test depends on this %s: '%.*s' could be '%.*s'\n", g->arguments[0],
               m->line, m->column, rules_change_name(m->change), (int)m->was.size,
               (const char *)m->was.data, (int)m->now.size, (const char *)m->now.data);
    }
}

static int run_mutate(const struct given *g)
{
    struct tool t;
    struct errtext why;
    struct rules_mutation m;
    struct given to = *g;
    uint64_t least = 0;
    if (!given_number(g, "least", 0, 100, &least)) {
        return EXIT_USAGE;
    }
    int code = tool_open(g, &t);
    if (code != EXIT_DONE) {
        return code;
    }
    err e = rules_mutate(&t.env, t.program, &to, print_mutant, &m, &why);
    if (failed(e)) {
        return tool_close(&t, complain(EXIT_REFUSED, "%s: %s", g->arguments[0], why.text));
    }
    uint32_t percent = rules_mutation_percent(&m);
    if (g->json) {
        show_json_line(json_pack("{s:i,s:i,s:i,s:i}", "killed", (int)m.killed, "survived",
                                 (int)m.survived, "guarded", (int)m.guarded, "percent",
                                 (int)percent));
    } else {
        printf("%u of %u changes noticed by the tests: %u %%; %u more are refused by the "
               "compiler\n",
               m.killed, m.killed + m.survived, percent, m.guarded);
    }
    return tool_close(&t, percent < least ? EXIT_REFUSED : EXIT_DONE);
}

const struct command RULES_MUTATE = {
    "rules mutate",
    "FILE",
    1,
    1,
    "Finds what no test in a contract depends on\n\n"
    "Changes one way of rounding, comparison, sign or part of a require at a time, runs the\n"
    "tests on each changed text, and prints the places where none of them fails.",
    MUTATE_OPTIONS,
    "  concordat rules mutate contracts/care.rules\n"
    "  concordat rules mutate --least 90 contracts/care.rules\n"
    "  concordat rules mutate --json contracts/care.rules | jq 'select(.fate == \"survived\")'\n",
    run_mutate};

/* ---- explain ---- */

enum { EXPLAIN_LINE_MAX = 16 << 20, EXPLAIN_OUT_MAX = 64 << 20 };

static const struct option EXPLAIN_OPTIONS[] = {
    {"lang", "LANG", "en, fr or nl; default en", false},
    REGISTRY_OPTION,
    {NULL, NULL, NULL, false},
};

/* The result line that begins with {"n":N, among those that one input line caused. */
static bool find_result(struct bytes lines, uint64_t n, struct bytes *ret)
{
    char head[40];
    size_t size = (size_t)snprintf(head, sizeof head, "{\"n\":%llu,", (unsigned long long)n);
    while (lines.size > 0) {
        const uint8_t *end = memchr(lines.data, '\n', lines.size);
        size_t length = end == NULL ? lines.size : (size_t)(end - lines.data);
        if (bytes_has_prefix(lines, bytes_of(head, size))) {
            *ret = bytes_of(lines.data, length);
            return true;
        }
        size_t taken = end == NULL ? length : length + 1;
        lines = bytes_of(lines.data + taken, lines.size - taken);
    }
    return false;
}

/* Runs the events up to result n, which is left in `out`; *ret is empty if there is none. */
static int run_to(const struct rules_program *program, const char *path, uint64_t n,
                  struct buf *out, struct bytes *ret)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    char *line = NULL;
    size_t room = 0;
    size_t number = 0;
    ssize_t size;
    int code = EXIT_DONE;
    bool found = false;
    struct errtext why;
    if (f == NULL) {
        return complain(EXIT_USAGE, "%s: %s", path, strerror(errno));
    }
    struct rules_run *run = rules_run_new(program);
    while (code == EXIT_DONE && !found && (size = getline(&line, &room, f)) > 0) {
        number++;
        size -= line[size - 1] == '\n';
        buf_clear(out);
        if (size > EXPLAIN_LINE_MAX) {
            code = complain(EXIT_USAGE, "%s:%zu: the line is too long", path, number);
        } else if (failed(rules_run_line(run, bytes_of(line, (size_t)size), out, &why))) {
            code = complain(EXIT_USAGE, "%s:%zu: %s", path, number, why.text);
        }
        found = code == EXIT_DONE && find_result(buf_bytes(out), n, ret);
    }
    if (code == EXIT_DONE && !found) {
        code = complain(EXIT_USAGE, "%s: there is no result %llu", path, (unsigned long long)n);
    }
    free(line);
    if (f != stdin) {
        fclose(f);
    }
    rules_run_free(run);
    return code;
}

static void show_explanation(const struct given *g, struct bytes line, struct bytes text)
{
    if (!g->json) {
        fwrite(text.data, 1, text.size, stdout);
        return;
    }
    json_error_t error;
    json_t *result = json_loadb((const char *)line.data, line.size, 0, &error);
    if (result == NULL) {
        result = json_object();
    }
    json_object_set_new(result, "text", show_text(text));
    show_json_line(result);
}

static int run_explain(const struct given *g)
{
    struct tool t;
    struct errtext why;
    struct buf lines;
    struct buf out;
    struct bytes line = {NULL, 0};
    enum rules_language language = RULES_ENGLISH;
    const char *name = given_value(g, "lang");
    char *end = NULL;
    errno = 0;
    unsigned long long n = strtoull(g->arguments[2], &end, 10);
    if (name != NULL && !rules_language_parse(bytes_text(name), &language)) {
        return complain(EXIT_USAGE, "--lang is en, fr or nl");
    }
    if (errno != 0 || *end != '\0' || n == 0 || g->arguments[2][0] == '-') {
        return complain(EXIT_USAGE, "N is the number of a result, from 1");
    }
    int code = tool_open(g, &t);
    if (code != EXIT_DONE) {
        return code;
    }
    buf_init(&lines, EXPLAIN_OUT_MAX);
    buf_init(&out, EXPLAIN_OUT_MAX);
    code = run_to(t.program, g->arguments[1], n, &lines, &line);
    if (code == EXIT_DONE) {
        err e = rules_explain_line(t.program, line, language, &out, &why);
        code = failed(e) ? complain_err(e, &why) : EXIT_DONE;
    }
    if (code == EXIT_DONE) {
        show_explanation(g, line, buf_bytes(&out));
    }
    buf_done(&lines);
    buf_done(&out);
    return tool_close(&t, code);
}

const struct command RULES_EXPLAIN = {
    "rules explain",
    "FILE EVENTS N",
    3,
    3,
    "Runs events as 'rules run' does and tells result N to the person it concerns\n\n"
    "What was decided and why, what was missing, what changed, and what was examined: by the\n"
    "clauses of the contract, with their titles and values. N counts results from 1.",
    EXPLAIN_OPTIONS,
    "  concordat rules explain contracts/care.rules events.jsonl 7\n"
    "  concordat rules explain --lang fr contracts/solar.rules events.jsonl 12\n"
    "  concordat rules explain --lang nl --json contracts/care.rules events.jsonl 7 | jq -r "
    ".text\n",
    run_explain};
