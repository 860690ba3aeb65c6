/* Target: num_int_parse, num_decimal_parse and their printers; num_convert, num_round_wide and
 * apportion on numbers made of the input. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/require.h"
#include "rules/apportion.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_text(struct bytes input)
{
    char text[NUM_TEXT_MAX];
    int64_t whole, whole_again;
    if (num_int_parse(input, &whole) == NUM_OK) {
        size_t length = num_print(whole, text);
        require(num_int_parse(bytes_of(text, length), &whole_again) == NUM_OK);
        require(whole_again == whole);
    }
    int128 count, count_again;
    unsigned decimals, decimals_again;
    if (num_decimal_parse(input, &count, &decimals) == NUM_OK) {
        size_t length = num_print_decimal(count, 1, decimals, text);
        /* 19 + 9 digits at most, so what is printed is also what may be read */
        require(num_decimal_parse(bytes_of(text, length), &count_again, &decimals_again) == NUM_OK);
        require(count_again == count);
        require(decimals_again == decimals);
    }
}

static void compute(const int128 *v)
{
    char text[NUM_TEXT_MAX];
    int128 r, rounded[NUM_CEILING + 1];
    num_print_decimal(v[0], (uint64_t)v[1], (unsigned)((uint128)v[2] % 10), text);
    struct num_ratio x = {v[0], v[1]};
    uint128 p = num_abs(v[2]) >> 1, q = num_abs(v[3]) >> 1; /* num_scale wants what fits */
    struct num_ratio factor = num_scale((int128)(p + 1), (int128)(q + 1));
    bool all = true;
    for (int m = NUM_HALF_UP; m <= NUM_CEILING; m++) {
        all = num_round_wide(x, factor, (enum num_mode)m, &rounded[m]) == NUM_OK && all;
    }
    if (all) { /* the neighbours enclose the others */
        require(rounded[NUM_CEILING] - rounded[NUM_FLOOR] <= 1);
        for (int m = NUM_HALF_UP; m <= NUM_CEILING; m++) {
            require(rounded[m] >= rounded[NUM_FLOOR]);
            require(rounded[m] <= rounded[NUM_CEILING]);
        }
    }
    if (num_convert(v[0], factor, (struct num_ratio){1, 1000}, &r) == NUM_OK) {
        int128 back;
        require(num_convert(r, (struct num_ratio){1, 1000}, factor, &back) == NUM_OK);
        require(back == v[0]);
    }
}

static void share(const int128 *v, size_t count)
{
    enum { ITEMS_MAX = 32 };
    int128 shares[ITEMS_MAX], sum = 0;
    uint128 remainders[ITEMS_MAX];
    uint32_t heap[ITEMS_MAX];
    count = count < ITEMS_MAX ? count : ITEMS_MAX;
    struct apportion_scratch scratch = {remainders, heap};
    if (apportion(v[0], v + 1, count - 1, scratch, shares) == NUM_OK) {
        for (size_t i = 0; i + 1 < count; i++) {
            require(v[i + 1] != 0 || shares[i] == 0);
            sum += shares[i];
        }
        require(sum == v[0]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int128 numbers[64] = {0};
    read_text(bytes_of(data, size));
    size_t count = size / sizeof numbers[0];
    count = count < 64 ? count : 64;
    if (count >= 4) {
        memcpy(numbers, data, count * sizeof numbers[0]);
        compute(numbers);
        share(numbers, count);
    }
    return 0;
}
