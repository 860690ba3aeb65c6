/* Every message of the compiler, word for word: messages.golden holds cases of the form
 * "=== title", a contract, "---", what is printed about it. */
#include "helper.h"

#include "base/limits.h"
#include "base/mem.h"

struct golden {
    const char *title, *text;
    size_t title_size, text_size;
    const char *want;
    size_t want_size;
};

static const char *golden_path;

/* The next case at *at; false at the end. */
static bool next_case(const char **at, struct golden *ret)
{
    const char *p = *at;
    if (strncmp(p, "=== ", 4) != 0) {
        return false;
    }
    ret->title = p + 4;
    ret->title_size = strcspn(ret->title, "\n");
    ret->text = ret->title + ret->title_size + 1;
    const char *rule = strstr(ret->text, "\n---\n");
    if (rule == NULL) {
        return false;
    }
    ret->text_size = (size_t)(rule - ret->text);
    ret->want = rule + 5;
    const char *end = strstr(ret->want, "\n=== ");
    ret->want_size = end == NULL ? strlen(ret->want) : (size_t)(end + 1 - ret->want);
    *at = ret->want + ret->want_size;
    return true;
}

static bool check_case(const struct rules_env *env, const struct golden *g)
{
    struct rules_program *p = NULL;
    struct rules_diag diag;
    struct buf have;
    buf_init(&have, 1 << 20);
    if (failed(rules_compile(env, bytes_of(g->text, g->text_size), &p, &diag))) {
        rules_diag_print(&diag, "x.rules", &have);
    } else {
        buf_put_text(&have, "it compiles\n");
        rules_program_free(p);
    }
    bool same = bytes_equal(buf_bytes(&have), bytes_of(g->want, g->want_size));
    if (!same) {
        print_error("%.*s:\n have %.*s want %.*s", (int)g->title_size, g->title, (int)have.size,
                    (const char *)have.data, (int)g->want_size, g->want);
    }
    buf_done(&have);
    return same;
}

static void test_messages(void **state)
{
    FILE *f = fopen(golden_path, "rb");
    assert_non_null(f);
    char *text = mem_new(1 << 20, 1);
    size_t size = fread(text, 1, (1 << 20) - 1, f);
    (void)fclose(f);
    assert_true(size > 0);
    struct rules_registry *registry = rules_registry_default();
    struct rules_env env = {registry, sha256};
    int failures = 0;
    int cases = 0;
    struct golden g;
    for (const char *at = text; next_case(&at, &g); cases++) {
        failures += !check_case(&env, &g);
    }
    rules_registry_free(registry);
    free(text);
    assert_int_equal(failures, 0);
    assert_true(cases >= 90);
}

/* Larger than the command reads a file: asked of the compiler itself. */
static void test_too_long(void **state)
{
    struct rules_registry *registry = rules_registry_default();
    struct rules_env env = {registry, sha256};
    struct rules_program *p = NULL;
    struct rules_diag diag;
    char *text = mem_new(CONTRACT_BYTES_MAX + 1, 1);
    memset(text, ' ', CONTRACT_BYTES_MAX + 1);
    assert_true(failed(rules_compile(&env, bytes_of(text, CONTRACT_BYTES_MAX + 1), &p, &diag)));
    assert_string_equal(diag.message, "a contract has at most 262144 bytes");
    assert_true(failed(rules_compile(&env, bytes_of(text, CONTRACT_BYTES_MAX), &p, &diag)));
    assert_non_null(strstr(diag.message, "'rules' is expected here"));
    free(text);
    rules_registry_free(registry);
}

int main(int argc, char **argv)
{
    golden_path = argc > 1 ? argv[1] : "messages.golden";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
