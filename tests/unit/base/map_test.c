/* The map against a plain array, through random puts and removes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/map.h"

enum { KEYS = 500, STEPS = 50000 };

static void a_map_answers_like_an_array(void **state)
{
    (void)state;
    static int values[KEYS];
    void *model[KEYS] = {NULL};
    size_t count = 0;
    uint64_t random = 1;
    struct map m;
    map_init(&m, 1, 2);
    for (int step = 0; step < STEPS; step++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        uint32_t k = (uint32_t)(random >> 33) % KEYS;
        struct bytes key = bytes_of(&k, k % 3 == 0 ? 2 : 4);
        if (k % 3 == 0 && k > UINT16_MAX) {
            continue;
        }
        if (random >> 63) {
            assert_ptr_equal(map_put(&m, key, &values[k]), model[k]);
            count += model[k] == NULL;
            model[k] = &values[k];
        } else {
            assert_ptr_equal(map_remove(&m, key), model[k]);
            count -= model[k] != NULL;
            model[k] = NULL;
        }
        assert_int_equal(m.count, count);
        assert_ptr_equal(map_get(&m, key), model[k]);
    }
    size_t at = 0;
    size_t seen = 0;
    struct bytes key;
    void *value;
    while (map_next(&m, &at, &key, &value)) {
        seen++;
        assert_ptr_equal(map_get(&m, key), value);
    }
    assert_int_equal(seen, count);
    map_done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_map_answers_like_an_array)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
