/* Every contract that is delivered, given as arguments: it compiles, its own tests pass, its events
 * fit a ledger, and the tables that contracts read of each other agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "crypto/sha256.h"
#include "rules/rules.h"

enum { FILES_MAX = 32, TEXT_MAX = 256 << 10 };

static struct rules_registry *registry;
static struct rules_program *programs[FILES_MAX];
static size_t program_count;

static struct rules_program *compile(const char *path)
{
    struct rules_env env = {registry, sha256};
    struct rules_program *p = NULL;
    struct rules_diag diag;
    uint8_t *text = mem_new(1, TEXT_MAX);
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        fail_msg("%s: absent", path);
    }
    size_t size = fread(text, 1, TEXT_MAX, f);
    assert_int_equal(fclose(f), 0);
    if (failed(rules_compile(&env, bytes_of(text, size), &p, &diag))) {
        fail_msg("%s:%u:%u: %s", path, diag.line, diag.column, diag.message);
    }
    free(text);
    return p;
}

static void check_bounds(const char *path, const struct rules_program *p)
{
    for (size_t i = 0; i < rules_program_facts(p)->event_count; i++) {
        const struct rules_event_facts *e = rules_program_event(p, i);
        if (e->bound.steps <= 0 || e->bound.steps > RULES_STEPS_MAX ||
            e->bound.effects > RULES_EFFECTS_MAX || e->bound.bytes > RULES_BYTES_MAX ||
            e->bound.arena > RULES_ARENA_MAX) {
            fail_msg("%s: event %.*s does not fit a ledger", path, (int)e->name.size,
                     (const char *)e->name.data);
        }
        assert_true(e->clock || e->anyone || e->signer_count > 0);
    }
}

static void contract_passes_its_own_tests(void **state)
{
    const char *path = *state;
    struct rules_program *p = compile(path);
    const struct rules_facts *facts = rules_program_facts(p);
    assert_true(program_count < FILES_MAX);
    programs[program_count++] = p;
    check_bounds(path, p);
    assert_true(facts->event_count > 0);
    assert_true(facts->test_count > 0);
    for (size_t i = 0; i < facts->test_count; i++) {
        struct rules_test_result r;
        rules_test_run(p, i, &r);
        if (!r.passed) {
            fail_msg("%s:%u: test \"%.*s\": %s", path, r.line, (int)r.name.size,
                     (const char *)r.name.data, r.message);
        }
        assert_true(r.checks > 0);
    }
}

/* Deployed on one ledger: a table that one contract reads is as its owner declares it. */
static void contracts_agree_on_what_they_share(void **state)
{
    (void)state;
    size_t shared = 0;
    for (size_t i = 0; i < program_count; i++) {
        const struct rules_facts *user = rules_program_facts(programs[i]);
        for (size_t t = 0; t < user->table_count; t++) {
            struct bytes owner = rules_program_table(programs[i], t)->owner;
            for (size_t j = 0; j < program_count; j++) {
                if (j == i || !bytes_equal(rules_program_facts(programs[j])->contract, owner)) {
                    continue;
                }
                struct errtext why;
                if (failed(rules_uses_check(programs[i], programs[j], &why))) {
                    fail_msg("%s", why.text);
                }
                shared++;
            }
        }
    }
    assert_int_equal(shared, 19); /* care and solar: registers first, then what follows them */
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[FILES_MAX + 1] = {{0}};
    size_t count = 0;
    registry = rules_registry_default();
    for (int i = 1; i < argc && count < FILES_MAX; i++) {
        const char *slash = strrchr(argv[i], '/');
        const char *name = slash == NULL ? argv[i] : slash + 1;
        tests[count++] =
            (struct CMUnitTest){name, contract_passes_its_own_tests, NULL, NULL, argv[i]};
    }
    tests[count++].name = "contracts_agree_on_what_they_share";
    tests[count - 1].test_func = contracts_agree_on_what_they_share;
    int code = _cmocka_run_group_tests("contracts", tests, count, NULL, NULL);
    for (size_t i = 0; i < program_count; i++) {
        rules_program_free(programs[i]);
    }
    rules_registry_free(registry);
    return code;
}
