/* Reasons: names read back, statuses and retries are set. */
#include "lib.h"

#include "proto/reason.h"

static void each_name_reads_back(void **state)
{
    (void)state;
#define CHECK(name, number, status, retry)                                                         \
    do {                                                                                           \
        enum reason r = REASON_NONE;                                                               \
        assert_true(reason_parse(bytes_text(#name), &r));                                          \
        assert_int_equal(r, number);                                                               \
        assert_string_equal(reason_name(r), #name);                                                \
        assert_int_equal(reason_grpc_status(r), status);                                           \
        assert_int_equal(reason_retry(r), RETRY_##retry);                                          \
    } while (0);
    REASONS(CHECK)
#undef CHECK
    enum reason r = REASON_BUSY;
    assert_false(reason_parse(bytes_text("NONSENSE"), &r));
    assert_int_equal(r, REASON_BUSY);
    assert_string_equal(retry_name(RETRY_YES), "yes");
    assert_string_equal(retry_name(RETRY_LATER), "later");
    assert_string_equal(retry_name(RETRY_NEVER), "never");
}

/* A refusal that a gRPC status of 0 would turn into a success. */
static void no_reason_means_ok(void **state)
{
    (void)state;
#define CHECK(name, number, status, retry) assert_true((number) == 0 || (status) != 0);
    REASONS(CHECK)
#undef CHECK
}

/* A forwarded refusal may carry the number of a newer node's reason. */
static void a_later_number_is_taken(void **state)
{
    (void)state;
    const enum reason later = (enum reason)60000;
    assert_string_equal(reason_name(later), "?");
    assert_int_equal(reason_grpc_status(later), 2);
    assert_int_equal(reason_retry(later), RETRY_LATER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_name_reads_back),
        cmocka_unit_test(no_reason_means_ok),
        cmocka_unit_test(a_later_number_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
