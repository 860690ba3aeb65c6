/* Statements from which something was left out, or to which something was done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sample.h"

enum { ENTRIES = 4 }; /* records 1, 6, 7, 11 touch account A */

static const size_t POSITIONS[ENTRIES] = {1, 6, 7, 11};
static const int SIGNERS[] = {SAMPLE_VILLE, SAMPLE_ENEDIS, SAMPLE_SIGRA};

static struct sample sample;
static struct buf policy, note;
static struct verify_trust trust;

/* The parts of a statement of A, to be put together in other ways. */
struct parts {
    struct account_head before;
    struct sample_hold hold[ENTRIES];
    struct statement_entry entries[ENTRIES + 1];
    size_t entry_count;
    struct statement_mark marks[STATEMENT_MARKS_MAX];
    size_t mark_count;
};

static int set_up(void **state)
{
    const struct sample_signers by = {SIGNERS, 3, 1780001000};
    (void)state;
    sample_make(&sample);
    sample_golden("policy", &policy);
    buf_init(&note, SAMPLE_TEXT_MAX);
    sample_note(&sample, SAMPLE_SIZE, &by, &note);
    return failed(verify_trust(buf_bytes(&policy), true, &trust, NULL));
}

static int tear_down(void **state)
{
    (void)state;
    verify_trust_done(&trust);
    sample_done(&sample);
    buf_done(&policy);
    buf_done(&note);
    return 0;
}

static void take_all(struct parts *p)
{
    const struct sample_signers by = {SIGNERS, 2, 0};
    const struct account_head end = sample_before(&sample, SAMPLE_A, SAMPLE_SIZE);
    memset(p, 0, sizeof *p);
    for (size_t i = 0; i < ENTRIES; i++) {
        sample_entry(&sample, SAMPLE_A, POSITIONS[i], &p->hold[i], &p->entries[i]);
    }
    p->entry_count = ENTRIES;
    p->mark_count = sample_marks(&sample, SAMPLE_A, &end, &by, p->marks);
}

static err check(const struct parts *p, struct verify_statement *ret, struct errtext *why)
{
    struct buf b;
    struct arena a;
    buf_init(&b, SAMPLE_TEXT_MAX);
    arena_init(&a, 1 << 20);
    statement_put_head(sample.accounts[SAMPLE_A].name, &p->before, &b);
    for (size_t i = 0; i < p->entry_count; i++) {
        statement_put_entry(&p->entries[i], &b);
    }
    statement_put_end(sample.ledger_id, p->marks, p->mark_count, &b);
    statement_put_note(buf_bytes(&note), &b);
    assert_false(b.overflow);
    err e = verify_statement(&trust, buf_bytes(&b), NULL, &a, ret, why);
    arena_done(&a);
    buf_done(&b);
    return e;
}

static void is_refused(const struct parts *p, const char *words)
{
    struct verify_statement s;
    struct errtext why = {""};
    assert_true(failed(check(p, &s, &why)));
    if (strstr(why.text, words) == NULL) {
        fail_msg("'%s' does not tell of '%s'", why.text, words);
    }
}

static void a_whole_statement_tells_all(void **state)
{
    struct parts p;
    struct verify_statement s;
    struct errtext why;
    (void)state;
    take_all(&p);
    assert_false(failed(check(&p, &s, &why)));
    assert_true(s.ended);
    assert_int_equal(s.records, ENTRIES);
    assert_int_equal(s.postings, 6);
    assert_int_equal(s.before, 0);
    assert_int_equal(s.opening, 0);
    assert_int_equal(s.closing, 11);
    assert_int_equal(s.last.position, 11);
    assert_int_equal(s.enders.count, 2);
    p.mark_count = 0;
    assert_false(failed(check(&p, &s, &why)));
    assert_false(s.ended);
}

static void a_part_begins_where_it_says(void **state)
{
    struct parts p;
    struct verify_statement s;
    (void)state;
    take_all(&p);
    p.before = sample_before(&sample, SAMPLE_A, 6);
    memmove(p.entries, p.entries + 1, 3 * sizeof *p.entries);
    p.entry_count = 3;
    assert_false(failed(check(&p, &s, NULL)));
    assert_int_equal(s.before, 1);
    assert_int_equal(s.opening, -500);
    p.before.count = 2;
    is_refused(&p, "record 6: the account's postings do not lead to");
    p.before.count = 0;
    is_refused(&p, "an account without postings has no chain");
    memset(p.before.chain, 0, 32); /* as if nothing had been before */
    is_refused(&p, "a balance is not the one before it");
}

static void no_record_can_be_left_out_doubled_or_swapped(void **state)
{
    struct parts p;
    (void)state;
    for (size_t i = 0; i < ENTRIES; i++) {
        take_all(&p);
        memmove(&p.entries[i], &p.entries[i + 1], (ENTRIES - i) * sizeof *p.entries);
        p.entry_count = ENTRIES - 1;
        is_refused(&p, i == ENTRIES - 1 ? "is of another end" : "balance");
        take_all(&p);
        memmove(&p.entries[i + 1], &p.entries[i], (ENTRIES - i) * sizeof *p.entries);
        p.entry_count = ENTRIES + 1;
        is_refused(&p, "stands twice, or out of order");
    }
    for (size_t i = 0; i + 1 < ENTRIES; i++) {
        take_all(&p);
        struct statement_entry first = p.entries[i];
        p.entries[i] = p.entries[i + 1];
        p.entries[i + 1] = first;
        is_refused(&p, "balance");
    }
}

static void no_posting_can_be_left_out_doubled_swapped_or_changed(void **state)
{
    struct parts p;
    (void)state;
    take_all(&p);
    p.entries[1].posting_count = 1;
    is_refused(&p, "record 6: the account's postings do not lead to");
    take_all(&p);
    p.hold[1].postings[2] = p.hold[1].postings[1];
    p.hold[1].postings[2].balance -= 50;
    p.entries[1].posting_count = 3;
    is_refused(&p, "record 6: the account's postings do not lead to");
    take_all(&p);
    struct account_posting first = p.hold[1].postings[0];
    p.hold[1].postings[0] = p.hold[1].postings[1];
    p.hold[1].postings[1] = first;
    is_refused(&p, "balance");
    take_all(&p); /* the sum stays the same: 1250 - 50 becomes 1300 - 100 */
    p.hold[1].postings[0].quanta += 50;
    p.hold[1].postings[0].balance += 50;
    p.hold[1].postings[1].quanta -= 50;
    is_refused(&p, "record 6: the account's postings do not lead to");
    take_all(&p);
    p.hold[3].postings[0].counter = sample.accounts[SAMPLE_B].name;
    is_refused(&p, "record 11: the account's postings do not lead to");
    take_all(&p);
    p.hold[3].postings[0].ordinal = 7;
    is_refused(&p, "record 11: the account's postings do not lead to");
    take_all(&p);
    p.hold[0].postings[0].quanta = INT64_MAX;
    p.hold[0].postings[0].balance = INT64_MIN;
    is_refused(&p, "balance");
}

static void no_other_record_or_account_will_do(void **state)
{
    struct parts p;
    (void)state;
    take_all(&p);
    p.entries[2].record = buf_bytes(&sample.records[9]); /* with the path of 7 */
    is_refused(&p, "record 9: it does not stand at its position");
    take_all(&p);
    p.entries[1].steps[0].left = !p.entries[1].steps[0].left;
    is_refused(&p, "record 6: the account's postings do not lead to");
    take_all(&p);
    p.entries[1].step_count--;
    is_refused(&p, "record 6: the account's postings do not lead to");
}

static void marks_must_be_of_a_majority_and_of_this_end(void **state)
{
    static const int ONE[] = {SAMPLE_ENEDIS};
    static const int SAME[] = {SAMPLE_VILLE, SAMPLE_VILLE_2};
    static const int REVOKED[] = {SAMPLE_ENEDIS, SAMPLE_SIGRA_OLD};
    const struct sample_signers by[] = {{ONE, 1, 0}, {SAME, 2, 0}, {REVOKED, 2, 0}};
    static const char *const MISSING[] = {"missing: sigra ville", "missing: enedis sigra",
                                          "missing: sigra ville"};
    const struct account_head end = sample_before(&sample, SAMPLE_A, SAMPLE_SIZE);
    struct account_head other = end;
    struct parts p;
    (void)state;
    take_all(&p);
    for (int i = 0; i < 3; i++) {
        p.mark_count = sample_marks(&sample, SAMPLE_A, &end, &by[i], p.marks);
        is_refused(&p, MISSING[i]);
    }
    other.count++;
    const struct sample_signers two = {SIGNERS, 2, 0};
    p.mark_count = sample_marks(&sample, SAMPLE_A, &other, &two, p.marks);
    is_refused(&p, "is of another end than this one");
    p.mark_count = sample_marks(&sample, SAMPLE_B, &end, &two, p.marks);
    is_refused(&p, "is of another end than this one");
    take_all(&p);
    p.marks[1].id[0] ^= 1;
    is_refused(&p, "end mark 2 is of no witness of the policy");
    take_all(&p); /* a log's key is no witness */
    memcpy(p.marks[1].id, sample.logs[SAMPLE_VILLE].id, NOTE_KEY_ID_SIZE);
    p.marks[1].name = bytes_text("concordat.example/roquefort");
    struct statement_mark mark = p.marks[0];
    p.marks[0] = p.marks[1];
    p.marks[1] = mark;
    is_refused(&p, "end mark 1 is of no witness of the policy");
}

static void something_must_be_proved(void **state)
{
    struct parts p;
    struct verify_statement s;
    (void)state;
    take_all(&p);
    p.entry_count = 0;
    is_refused(&p, "is of another end");
    p.mark_count = 0;
    is_refused(&p, "neither a record nor an end mark");
    take_all(&p);
    p.entry_count = 0;
    p.before = sample_before(&sample, SAMPLE_A, SAMPLE_SIZE);
    assert_false(failed(check(&p, &s, NULL)));
    assert_false(s.has_opening); /* six postings, of which nothing is told */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_statement_tells_all),
        cmocka_unit_test(a_part_begins_where_it_says),
        cmocka_unit_test(no_record_can_be_left_out_doubled_or_swapped),
        cmocka_unit_test(no_posting_can_be_left_out_doubled_swapped_or_changed),
        cmocka_unit_test(no_other_record_or_account_will_do),
        cmocka_unit_test(marks_must_be_of_a_majority_and_of_this_end),
        cmocka_unit_test(something_must_be_proved),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
