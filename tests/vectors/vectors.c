#include "tests/vectors/vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int run(const char *path, struct CMUnitTest *tests, size_t found, size_t count)
{
    if (found != count) {
        fprintf(stderr, "%s: %zu cases, but there should be %zu\n", path, found, count);
        return 1;
    }
    return _cmocka_run_group_tests(path, tests, count, NULL, NULL);
}

int vectors_run_json(const char *path, size_t count, CMUnitTestFunction check)
{
    struct CMUnitTest tests[VECTORS_CASES_MAX] = {{0}};
    json_error_t error;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error), *one;
    if (root == NULL) {
        fprintf(stderr, "%s:%d: %s\n", path, error.line, error.text);
        return 1;
    }
    const json_t *cases = vectors_get(root, "cases");
    size_t i;
    json_array_foreach(cases, i, one)
    {
        if (i < VECTORS_CASES_MAX) {
            const char *id = vectors_text(one, "id");
            tests[i] = (struct CMUnitTest){id, check, NULL, NULL, one};
        }
    }
    int code = run(path, tests, json_array_size(cases), count);
    json_decref(root);
    return code;
}

int vectors_run_csv(const char *path, size_t count, CMUnitTestFunction check)
{
    struct CMUnitTest tests[VECTORS_CASES_MAX] = {{0}};
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    char *line = NULL;
    size_t room = 0, found = 0;
    bool head = true;
    while (getline(&line, &room, file) > 0 && found < VECTORS_CASES_MAX) {
        line[strcspn(line, "\n")] = 0;
        if (!head) {
            char *id = strndup(line, strcspn(line, ","));
            tests[found++] = (struct CMUnitTest){id, check, NULL, NULL, strdup(line)};
        }
        head = false;
    }
    free(line);
    fclose(file);
    int code = run(path, tests, found, count);
    for (size_t i = 0; i < found; i++) {
        free((void *)(uintptr_t)tests[i].name);
        free(tests[i].initial_state);
    }
    return code;
}

void vectors_expect(json_t *got, const json_t *want)
{
    if (!json_equal(got, want)) {
        char *g = json_dumps(got, JSON_ENCODE_ANY | JSON_SORT_KEYS);
        char *w = json_dumps(want, JSON_ENCODE_ANY | JSON_SORT_KEYS);
        print_error("got  %s\nwant %s\n", g, w);
        free(g);
        free(w);
        json_decref(got);
        fail();
    }
    json_decref(got);
}

json_t *vectors_get(const json_t *object, const char *name)
{
    json_t *v = json_object_get(object, name);
    if (v == NULL) {
        fail_msg("no member '%s'", name);
    }
    return v;
}

int64_t vectors_int(const json_t *object, const char *name)
{
    json_t *v = vectors_get(object, name);
    assert_true(json_is_integer(v));
    return json_integer_value(v);
}

const char *vectors_text(const json_t *object, const char *name)
{
    json_t *v = vectors_get(object, name);
    assert_true(json_is_string(v));
    return json_string_value(v);
}

json_t *vectors_integer(int128 v)
{
    int64_t small = 0;
    assert_int_equal(num_narrow(v, &small), NUM_OK);
    return json_integer(small);
}

json_t *vectors_integers(const int128 *v, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, vectors_integer(v[i]));
    }
    return list;
}

size_t vectors_list(const json_t *list, int128 *ret, size_t count_max)
{
    assert_true(json_is_array(list));
    size_t count = json_array_size(list);
    assert_true(count <= count_max);
    for (size_t i = 0; i < count; i++) {
        const json_t *v = json_array_get(list, i);
        assert_true(json_is_integer(v));
        ret[i] = json_integer_value(v);
    }
    return count;
}
