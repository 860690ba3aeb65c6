/* The blocks that are not applied yet: pushed, cut, dropped, also while a worker has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "server/chain.h"

static void push(struct chain *c, uint64_t index)
{
    struct entry *e = entry_new(1, ENTRY_COMMAND, bytes_text("block"));
    struct chained *b = chain_push(c, index, 1, e);
    assert_ptr_equal(chain_last(c), b);
    entry_unref(e);
}

static void cut_and_drop(void **state)
{
    (void)state;
    struct chain c = {0};
    assert_null(chain_last(&c));
    for (uint64_t i = 1; i <= 100; i++) {
        push(&c, 2 * i);
    }
    chain_drop(&c, 50);
    assert_int_equal(c.count, 75);
    assert_null(chain_find(&c, 50));
    assert_null(chain_find(&c, 53)); /* a barrier stands there */
    assert_int_equal(chain_find(&c, 52)->index, 52);
    chain_cut(&c, 101);
    assert_int_equal(chain_last(&c)->index, 100);
    for (uint64_t i = 101; i <= 200; i++) {
        push(&c, i);
    }
    chain_cut(&c, 1);
    assert_int_equal(c.count, 0);
    push(&c, 7);
    chain_done(&c);
}

static void a_block_in_a_worker_outlives_its_chain(void **state)
{
    (void)state;
    struct chain c = {0};
    push(&c, 1);
    push(&c, 2);
    struct chained *first = chain_find(&c, 1);
    struct chained *second = chain_find(&c, 2);
    first->checking = second->checking = true;
    chain_cut(&c, 2);
    assert_true(second->gone);
    chain_done(&c);
    assert_true(first->gone);
    chained_free(first); /* as the end of the check does */
    chained_free(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_and_drop),
        cmocka_unit_test(a_block_in_a_worker_outlives_its_chain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
