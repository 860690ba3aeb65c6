/* Evaluation asks the system for no memory: the arena was reserved before it began. The linker
 * hands every malloc, calloc and realloc of the product's own code to the counters below. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "bench/law.h"

static size_t allocations;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size)
{
    allocations++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    allocations++;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    allocations++;
    return __real_realloc(old, size);
}

static const char *root;

static void open_contract(struct law_host *h, const char *name)
{
    char path[1024];
    size_t size = 0;
    (void)snprintf(path, sizeof path, "%s/contracts/%s", root, name);
    char *text = law_read_file(path, &size);
    law_host_init(h, bytes_of(text, size));
    free(text);
}

/* How many allocations one evaluation makes. */
static size_t allocated(struct law_host *h, const char *line, enum rules_end end)
{
    struct rules_event ev;
    struct rules_out out;
    assert_true(law_host_event(h, bytes_text(line), &ev));
    size_t before = allocations;
    law_host_try(h, &ev, &out);
    size_t after = allocations;
    assert_int_equal(out.end, end);
    return after - before;
}

static void the_counters_count(void **state)
{
    (void)state;
    struct buf b;
    size_t before = allocations;
    buf_init(&b, 100);
    buf_put_u8(&b, 1);
    buf_done(&b);
    assert_true(allocations > before);
}

static void a_full_quarter_hour(void **state)
{
    (void)state;
    struct law_host h;
    open_contract(&h, "solar.rules");
    char *line = law_host_solar(&h);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(allocated(&h, line, RULES_ACCEPTED), 0);
    }
    law_host_do(&h, bytes_text(line));
    assert_int_equal(allocated(&h, line, RULES_REJECTED), 0); /* shared already */
    free(line);
    law_host_done(&h);
}

/* Whatever a line of events does: rows, timers, faults, refusals, malformed arguments. */
static void the_life_of(const char *contract, const char *events, size_t least)
{
    struct law_host h;
    char path[1024];
    size_t size = 0;
    size_t count = 0;
    open_contract(&h, contract);
    (void)snprintf(path, sizeof path, "%s/tests/vectors/contracts_events/%s", root, events);
    char *text = law_read_file(path, &size);
    char *rest = text;
    char *line;
    while ((line = strsep(&rest, "\n")) != NULL) {
        struct rules_event ev;
        struct rules_out out;
        if (line[0] != '\0' && law_host_event(&h, bytes_text(line), &ev)) {
            size_t before = allocations;
            law_host_try(&h, &ev, &out);
            assert_int_equal(allocations - before, 0);
            count++;
        }
        if (line[0] != '\0') {
            law_host_do(&h, bytes_text(line));
        }
    }
    assert_true(count >= least);
    free(text);
    law_host_done(&h);
}

static void the_lives_of_the_contracts(void **state)
{
    (void)state;
    the_life_of("care.rules", "care.events.jsonl", 8);
    the_life_of("mandates.rules", "mandates.events.jsonl", 3);
    the_life_of("solar-shares.rules", "solar-shares.events.jsonl", 3);
    the_life_of("tax.rules", "tax.events.jsonl", 3);
    the_life_of("trigger.rules", "trigger.events.jsonl", 3);
    the_life_of("vote.rules", "vote.events.jsonl", 3);
}

int main(int argc, char **argv)
{
    root = argc > 1 ? argv[1] : ".";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_counters_count),
        cmocka_unit_test(a_full_quarter_hour),
        cmocka_unit_test(the_lives_of_the_contracts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
