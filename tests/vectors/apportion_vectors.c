/* Largest remainder on the 69 cases of data/apportion.csv: total, weights, shares or the fault. */
#include "tests/vectors/vectors.h"

#include <string.h>

#include "rules/apportion.h"

enum { CASES = 69, ITEMS_MAX = 64, FIELDS = 6 };

/* Numbers separated by spaces; returns how many. */
static size_t read_numbers(char *text, int128 *ret)
{
    size_t count = 0;
    char *rest = text;
    for (char *word = strtok_r(rest, " ", &rest); word != NULL; word = strtok_r(rest, " ", &rest)) {
        int64_t v = 0;
        assert_true(count < ITEMS_MAX);
        assert_int_equal(num_int_parse(bytes_text(word), &v), NUM_OK);
        ret[count++] = v;
    }
    return count;
}

static void shares_are_as_expected(void **state)
{
    char *line = *state, *field[FIELDS]; /* id measure total weights shares status */
    for (size_t i = 0; i < FIELDS; i++) {
        field[i] = strsep(&line, ",");
        assert_non_null(line);
    }
    int128 weights[ITEMS_MAX], want[ITEMS_MAX], got[ITEMS_MAX], total[ITEMS_MAX];
    uint128 remainders[ITEMS_MAX];
    uint32_t heap[ITEMS_MAX];
    assert_int_equal(read_numbers(field[2], total), 1);
    size_t count = read_numbers(field[3], weights);
    size_t want_count = read_numbers(field[4], want);
    struct apportion_scratch scratch = {remainders, heap};
    enum num_end end = apportion(total[0], weights, count, scratch, got);
    if (strcmp(field[5], "ok") != 0) {
        bool negative = strcmp(field[5], "fault_negative") == 0;
        assert_true(negative || strcmp(field[5], "fault_zero_weight") == 0);
        assert_int_equal(end, negative ? NUM_NEGATIVE : NUM_WEIGHTS);
        return;
    }
    assert_int_equal(end, NUM_OK);
    assert_int_equal(count, want_count);
    for (size_t i = 0; i < count; i++) {
        assert_true(got[i] == want[i]);
    }
}

int main(int argc, char **argv)
{
    return argc == 2 ? vectors_run_csv(argv[1], CASES, shares_are_as_expected) : 2;
}
