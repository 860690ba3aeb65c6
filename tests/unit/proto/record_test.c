/* Records: golden bytes and hashes, and each way to be malformed. */
#include "lib.h"

#include "golden.h"
#include "proto/record.h"

static void assert_round(const char *hex, struct record *ret)
{
    struct bytes wire = unhex(hex);
    struct record r;
    assert_true(!failed(record_decode(wire, &r, NULL)));
    struct buf out;
    buf_init(&out, RECORD_BYTES_MAX);
    record_encode(&r, &out);
    assert_hex(buf_bytes(&out), hex);
    buf_done(&out);
    assert_true(bytes_equal(r.contract, bytes_text("solar.roquefort")));
    r.contract = bytes_of("", 0);
    *ret = r;
    unhex_done(wire);
}

static void a_golden_event_is_read_and_written(void **state)
{
    (void)state;
    struct record r;
    assert_round(GOLDEN_RECORD, &r);
    assert_int_equal(r.position, 41);
    assert_int_equal(r.height, 7);
    assert_int_equal(r.kind, RECORD_EVENT);
    assert_hex(bytes_of(r.request_hash, 32), GOLDEN_REQUEST_HASH);
    assert_int_equal(r.index, 2);
    assert_int_equal(r.contract_version, 3);
    assert_true(r.has_legal_date);
    assert_int_equal(r.legal_date, -3);
    assert_int_equal(r.text_hash[0], 0x21);
    assert_int_equal(r.outcome_hash[0], 0x22);
    assert_int_equal(r.accounts_root[0], 0x26);
}

static void a_golden_timer_is_read_and_written(void **state)
{
    (void)state;
    struct record r;
    assert_round(GOLDEN_RECORD_TIMER, &r);
    assert_int_equal(r.kind, RECORD_TIMER);
    assert_int_equal(r.schedule_position, 12);
    assert_int_equal(r.index, 5);
}

static void hashes_are_the_golden_ones(void **state)
{
    (void)state;
    struct bytes wire = unhex(GOLDEN_RECORD);
    uint8_t hash[32], salt[32];
    record_leaf_hash(wire, hash);
    assert_hex(bytes_of(hash, 32), GOLDEN_RECORD_LEAF);
    memset(salt, 0x5a, sizeof(salt));
    record_salted_hash(salt, 2, bytes_text("bytes"), hash);
    assert_hex(bytes_of(hash, 32), GOLDEN_SALTED_HASH);
    unhex_done(wire);
}

static void the_greatest_record_fits(void **state)
{
    (void)state;
    static const char NAME[] = "0123456789012345678901234567890123456789012345678901234567890123";
    struct record r = {.kind = RECORD_GOVERNANCE, .contract = bytes_text(NAME)};
    struct buf out;
    buf_init(&out, RECORD_BYTES_MAX);
    record_encode(&r, &out);
    assert_false(out.overflow);
    assert_int_equal(out.size, RECORD_BYTES_MAX);
    assert_true(!failed(record_decode(buf_bytes(&out), &r, NULL)));
    buf_done(&out);
}

static enum err_code decode_changed(const char *hex, size_t at, uint8_t value)
{
    struct bytes wire = unhex(hex);
    struct record r;
    uint8_t *bad = mem_copy(wire.data, wire.size);
    bad[at] = value;
    err e = record_decode(bytes_of(bad, wire.size), &r, NULL);
    free(bad);
    unhex_done(wire);
    return e.code;
}

static void malformed_records_are_refused(void **state)
{
    (void)state;
    struct bytes wire = unhex(GOLDEN_RECORD);
    struct record r;
    for (size_t size = 0; size < wire.size; size++) {
        assert_true(failed(record_decode(bytes_of(wire.data, size), &r, NULL)));
    }
    size_t date = wire.size - 5 * 32 - 5;
    unhex_done(wire);
    assert_int_equal(decode_changed(GOLDEN_RECORD, 1, 2), ERR_UNSUPPORTED);
    assert_int_equal(decode_changed(GOLDEN_RECORD, 26, 0), ERR_INVALID); /* kind */
    assert_int_equal(decode_changed(GOLDEN_RECORD, 26, 4), ERR_INVALID);
    assert_int_equal(decode_changed(GOLDEN_RECORD_TIMER, 27, 1), ERR_INVALID); /* reserved zeros */
    assert_int_equal(decode_changed(GOLDEN_RECORD, 66, 65), ERR_INVALID);      /* name too long */
    assert_int_equal(decode_changed(GOLDEN_RECORD, 67, 0xff), ERR_INVALID);    /* name not UTF-8 */
    assert_int_equal(decode_changed(GOLDEN_RECORD, date, 2), ERR_INVALID);
    assert_int_equal(decode_changed(GOLDEN_RECORD, date, 0), ERR_INVALID); /* absent, yet a day */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_golden_event_is_read_and_written),
        cmocka_unit_test(a_golden_timer_is_read_and_written),
        cmocka_unit_test(hashes_are_the_golden_ones),
        cmocka_unit_test(the_greatest_record_fits),
        cmocka_unit_test(malformed_records_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
