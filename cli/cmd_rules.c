/* concordat rules check, test, run, and contract check, test: contract texts without a ledger. */
#include "cli/commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/law.h"
#include "cli/show.h"

enum { LINE_BYTES_MAX = 16 << 20, OUT_BYTES_MAX = 64 << 20 };

static const struct option OPTIONS[] = {REGISTRY_OPTION, {NULL, NULL, NULL, false}};

struct tool {
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

/* ---- check ---- */

static int run_check(const struct given *g)
{
    struct tool t;
    struct buf out;
    int code = tool_open(g, &t);
    if (code != EXIT_DONE) {
        return code;
    }
    buf_init(&out, OUT_BYTES_MAX);
    rules_check_print(t.program, &out);
    fwrite(out.data, 1, out.size, stdout);
    buf_done(&out);
    return tool_close(&t, EXIT_DONE);
}

/* ---- test ---- */

static int run_test(const struct given *g)
{
    struct tool t;
    int code = tool_open(g, &t);
    if (code != EXIT_DONE) {
        return code;
    }
    const struct rules_facts *facts = rules_program_facts(t.program);
    for (size_t i = 0; i < facts->test_count; i++) {
        struct rules_test_result r;
        rules_test_run(t.program, i, &r);
        if (!r.passed) {
            complain(EXIT_REFUSED, "%s:%u: test \"%.*s\": %s", g->arguments[0], r.line,
                     (int)r.name.size, (const char *)r.name.data, r.message);
            return tool_close(&t, EXIT_REFUSED);
        }
        show_json_line(json_pack("{s:o,s:i}", "test", show_text(r.name), "checks", (int)r.checks));
    }
    return tool_close(&t, EXIT_DONE);
}

/* ---- run ---- */

static int run_line(struct rules_run *run, const char *path, size_t number, struct bytes line,
                    struct buf *out)
{
    struct errtext why;
    buf_clear(out);
    err e = rules_run_line(run, line, out, &why);
    if (out->size > 0) { /* a `given` prints nothing */
        fwrite(out->data, 1, out->size, stdout);
    }
    if (failed(e)) {
        fflush(stdout);
        fprintf(stderr, "%s:%zu: %s\n", path, number, why.text);
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

static int run_events(const struct rules_program *program, const char *path)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    char *line = NULL;
    size_t room = 0;
    size_t number = 0;
    ssize_t size;
    int code = EXIT_DONE;
    struct buf out;
    if (f == NULL) {
        return complain(EXIT_USAGE, "%s: %s", path, strerror(errno));
    }
    struct rules_run *run = rules_run_new(program);
    buf_init(&out, OUT_BYTES_MAX);
    while (code == EXIT_DONE && (size = getline(&line, &room, f)) > 0) {
        number++;
        size -= line[size - 1] == '\n';
        code = size > LINE_BYTES_MAX
                   ? complain(EXIT_USAGE, "%s:%zu: a line of over %d bytes", path, number,
                              LINE_BYTES_MAX)
                   : run_line(run, path, number, bytes_of(line, (size_t)size), &out);
    }
    if (ferror(f)) {
        code = complain(EXIT_USAGE, "%s: cannot be read", path);
    }
    free(line);
    if (f != stdin) {
        fclose(f);
    }
    buf_done(&out);
    rules_run_free(run);
    return code;
}

static int run_run(const struct given *g)
{
    struct tool t;
    int code = tool_open(g, &t);
    return code != EXIT_DONE ? code : tool_close(&t, run_events(t.program, g->arguments[1]));
}

const struct command RULES_CHECK = {
    "rules check",
    "FILE",
    1,
    1,
    "Compiles a contract and prints its static bounds, one JSON object a line",
    OPTIONS,
    "  concordat rules check contracts/solar.rules\n",
    run_check};

const struct command RULES_TEST = {"rules test",
                                   "FILE",
                                   1,
                                   1,
                                   "Runs the examples in a contract; stops at the first that fails",
                                   OPTIONS,
                                   "  concordat rules test contracts/solar.rules\n",
                                   run_test};

const struct command RULES_RUN = {
    "rules run",
    "FILE EVENTS",
    2,
    2,
    "Runs a contract over events (JSON lines; - is standard input) from the empty state\n\n"
    "Prints outcome, effects, trace and digest of each: the bytes that nodes agree on.",
    OPTIONS,
    "  concordat rules run contracts/solar.rules events.jsonl\n",
    run_run};

const struct command CONTRACT_CHECK = {
    "contract check",
    "FILE",
    1,
    1,
    "Compiles a contract and prints its static bounds, one JSON object a line",
    OPTIONS,
    "  concordat contract check contracts/solar.rules\n",
    run_check};

const struct command CONTRACT_TEST = {
    "contract test",
    "FILE",
    1,
    1,
    "Runs the examples in a contract; stops at the first that fails",
    OPTIONS,
    "  concordat contract test contracts/solar.rules\n",
    run_test};
