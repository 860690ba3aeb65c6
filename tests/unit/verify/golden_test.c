/* Policies, receipts, statements and consistency proofs as two writers make them: this one, and
 * tests/golden/receipts/make.py, which was written from the documents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sample.h"

static const int ALL[] = {SAMPLE_VILLE, SAMPLE_ENEDIS, SAMPLE_SIGRA};

static struct sample sample;
static struct buf note, old_note;

static int set_up(void **state)
{
    const struct sample_signers now = {ALL, 3, 1780001000};
    const struct sample_signers then = {ALL, 2, 1780000500};
    (void)state;
    sample_make(&sample);
    buf_init(&note, SAMPLE_TEXT_MAX);
    buf_init(&old_note, SAMPLE_TEXT_MAX);
    sample_note(&sample, SAMPLE_SIZE, &now, &note);
    sample_note(&sample, SAMPLE_OLD, &then, &old_note);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sample_done(&sample);
    buf_done(&note);
    buf_done(&old_note);
    return 0;
}

static void is_golden(const char *name, struct buf *made)
{
    struct buf golden;
    sample_golden(name, &golden);
    assert_false(made->overflow);
    assert_int_equal(made->size, golden.size);
    assert_memory_equal(made->data, golden.data, golden.size);
    buf_done(&golden);
    buf_done(made);
}

static struct buf *fresh(struct buf *b)
{
    buf_init(b, SAMPLE_TEXT_MAX);
    return b;
}

static void both_writers_agree(void **state)
{
    struct buf b;
    (void)state;
    sample_policy(&sample, fresh(&b));
    is_golden("policy", &b);
    sample_receipt(&sample, 6, buf_bytes(&note), fresh(&b));
    is_golden("receipt", &b);
    sample_receipt(&sample, 9, buf_bytes(&note), fresh(&b));
    is_golden("timer.receipt", &b);
    sample_consistency(&sample, buf_bytes(&note), fresh(&b));
    is_golden("consistency", &b);
    buf_put_bytes(fresh(&b), buf_bytes(&old_note));
    is_golden("checkpoint", &b);
    buf_put_bytes(fresh(&b), buf_bytes(&sample.request));
    is_golden("request", &b);
}

static void both_writers_agree_on_statements(void **state)
{
    const struct sample_range whole = {SAMPLE_A, 0, SAMPLE_SIZE, true};
    const struct sample_range part = {SAMPLE_A, 6, 7, false};
    const struct sample_range none = {SAMPLE_NOBODY, 0, SAMPLE_SIZE, true};
    struct buf b;
    (void)state;
    sample_statement(&sample, &whole, buf_bytes(&note), fresh(&b));
    is_golden("statement", &b);
    sample_statement(&sample, &part, buf_bytes(&note), fresh(&b));
    is_golden("part.statement", &b);
    sample_statement(&sample, &none, buf_bytes(&note), fresh(&b));
    is_golden("none.statement", &b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_writers_agree),
        cmocka_unit_test(both_writers_agree_on_statements),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
