/* rules_test CONTRACT EVENTS RESULTS: compiles the contract, runs its own tests, and compares what
 * the events give with the expected results, byte for byte. These are consensus bytes. Exit 1 names
 * the first difference; exit 77 when a file is absent. With --print it prints instead. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/sha256.h"
#include "rules/rules.h"

static bool read_file(const char *path, struct buf *ret)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        return false;
    }
    buf_init(ret, (size_t)64 << 20);
    for (;;) {
        uint8_t *room = buf_room(ret, 65536);
        if (room == NULL) {
            break;
        }
        size_t size = fread(room, 1, 65536, f);
        if (size == 0) {
            break;
        }
        buf_added(ret, size);
    }
    (void)fclose(f);
    return true;
}

static struct bytes next_line(struct bytes *rest)
{
    const uint8_t *end = rest->size == 0 ? NULL : memchr(rest->data, '\n', rest->size);
    size_t size = end == NULL ? rest->size : (size_t)(end - rest->data);
    struct bytes line = bytes_of(rest->data, size);
    size_t taken = end == NULL ? size : size + 1;
    *rest = bytes_of(rest->data + taken, rest->size - taken);
    return line;
}

static int run_own_tests(const struct rules_program *p)
{
    int failures = 0;
    for (size_t i = 0; i < rules_program_facts(p)->test_count; i++) {
        struct rules_test_result r;
        rules_test_run(p, i, &r);
        if (!r.passed) {
            printf("test \"%.*s\" fails at line %u: %s\n", (int)r.name.size,
                   (const char *)r.name.data, r.line, r.message);
            failures++;
        }
    }
    return failures;
}

static int compare(struct bytes have, struct bytes want)
{
    for (size_t number = 1; have.size > 0 || want.size > 0; number++) {
        struct bytes a = next_line(&have);
        struct bytes b = next_line(&want);
        if (!bytes_equal(a, b)) {
            printf("result %zu differs:\n have %.*s\n want %.*s\n", number, (int)a.size,
                   (const char *)a.data, (int)b.size, (const char *)b.data);
            return 1;
        }
    }
    return 0;
}

static int run_events(const struct rules_program *p, struct bytes events, struct buf *out)
{
    struct rules_run *run = rules_run_new(p);
    int failures = 0;
    for (size_t number = 1; events.size > 0 && failures == 0; number++) {
        struct errtext why;
        struct bytes line = next_line(&events);
        if (failed(rules_run_line(run, line, out, &why))) {
            printf("event line %zu: %s\n", number, why.text);
            failures++;
        }
    }
    rules_run_free(run);
    return failures;
}

int main(int argc, char **argv)
{
    struct buf text = {0};
    struct buf events = {0};
    struct buf want = {0};
    bool print = argc == 4 && strcmp(argv[3], "--print") == 0;
    if (argc != 4) {
        printf("usage: rules_test CONTRACT EVENTS RESULTS\n");
        return 2;
    }
    if (!read_file(argv[1], &text) || !read_file(argv[2], &events) ||
        (!print && !read_file(argv[3], &want))) {
        printf("SKIP: %s, %s or %s is absent\n", argv[1], argv[2], argv[3]);
        return 77;
    }
    struct rules_registry *registry = rules_registry_default();
    struct rules_env env = {registry, sha256};
    struct rules_program *p = NULL;
    struct rules_diag diag;
    struct buf out;
    buf_init(&out, (size_t)64 << 20);
    int failures = 1;
    if (failed(rules_compile(&env, buf_bytes(&text), &p, &diag))) {
        rules_diag_print(&diag, argv[1], &out);
        printf("%.*s", (int)out.size, (const char *)out.data);
    } else {
        failures = run_own_tests(p);
        failures += run_events(p, buf_bytes(&events), &out);
        if (print) {
            (void)fwrite(out.data, 1, out.size, stdout);
            buf_clear(&out);
            rules_check_print(p, &out);
            (void)fwrite(out.data, 1, out.size, stderr);
        } else {
            failures += compare(buf_bytes(&out), buf_bytes(&want));
        }
    }
    rules_program_free(p);
    rules_registry_free(registry);
    buf_done(&text);
    buf_done(&events);
    buf_done(&want);
    buf_done(&out);
    return failures == 0 ? 0 : 1;
}
