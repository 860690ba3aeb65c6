/* Configurations: the same bytes as libraft's, and nothing else is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "consensus/conf.h"

static struct buf encoded(const struct conf *conf)
{
    struct buf b;
    buf_init(&b, CONF_BYTES_MAX);
    conf_encode(conf, &b);
    assert_false(b.overflow);
    return b;
}

static const struct conf three = {
    .count = 3,
    .servers = {{1, CONSENSUS_VOTER}, {42, CONSENSUS_STANDBY}, {1000000007, CONSENSUS_VOTER}},
};

static void bytes_are_those_of_libraft(void **state)
{
    (void)state;
    struct raft_configuration core;
    struct raft_buffer theirs;
    struct conf back;
    struct buf ours = encoded(&three);
    assert_false(failed(conf_to_core(&three, &core)));
    assert_int_equal(raft_configuration_encode(&core, &theirs), 0);
    assert_int_equal(ours.size, theirs.len);
    assert_memory_equal(ours.data, theirs.base, theirs.len);
    assert_false(failed(conf_from_core(&core, &back)));
    assert_int_equal(back.count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(back.servers[i].id, three.servers[i].id);
        assert_int_equal(back.servers[i].member, three.servers[i].member);
    }
    raft_configuration_close(&core);
    assert_int_equal(raft_configuration_decode(&theirs, &core), 0);
    assert_int_equal(core.n, 3);
    raft_configuration_close(&core);
    raft_free(theirs.base);
    buf_done(&ours);
}

static void decoding_gives_back_what_was_encoded(void **state)
{
    (void)state;
    struct conf largest = {.count = NODES_MAX};
    for (uint32_t i = 0; i < NODES_MAX; i++) {
        largest.servers[i] = (struct conf_server){UINT64_MAX - i, CONSENSUS_VOTER};
    }
    const struct conf *confs[] = {&three, &largest};
    for (size_t i = 0; i < 2; i++) {
        struct buf b = encoded(confs[i]);
        struct conf back = {0};
        assert_false(failed(conf_decode(buf_bytes(&b), &back)));
        assert_int_equal(back.count, confs[i]->count);
        for (uint32_t k = 0; k < back.count; k++) {
            assert_int_equal(back.servers[k].id, confs[i]->servers[k].id);
            assert_int_equal(back.servers[k].member, confs[i]->servers[k].member);
        }
        assert_int_equal(conf_voters(&back), conf_voters(confs[i]));
        buf_done(&b);
    }
    assert_int_equal(conf_member(&three, 42), CONSENSUS_STANDBY);
    assert_int_equal(conf_member(&three, 43), CONSENSUS_STRANGER);
}

/* Every prefix, every longer form and every change of one bit is either refused or another valid
 * configuration with its own encoding. */
static void there_is_one_encoding(void **state)
{
    (void)state;
    struct buf b = encoded(&three);
    struct conf conf;
    for (size_t size = 0; size < b.size; size++) {
        assert_true(err_is(conf_decode(bytes_of(b.data, size), &conf), ERR_INVALID));
    }
    for (size_t bit = 0; bit < b.size * 8; bit++) {
        b.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (!failed(conf_decode(buf_bytes(&b), &conf))) {
            struct buf again = encoded(&conf);
            assert_true(bytes_equal(buf_bytes(&again), buf_bytes(&b)));
            buf_done(&again);
        }
        b.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    buf_put_u64(&b, 0);
    assert_true(err_is(conf_decode(buf_bytes(&b), &conf), ERR_INVALID));
    buf_done(&b);
}

static void each_defect_is_refused(void **state)
{
    (void)state;
    /* one voter with id 7: 01 | 01.. | 07.. | '7' 0 | 1 | padding */
    const uint8_t good[24] = {1, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, '7', 0, 1};
    const struct {
        size_t at;
        uint8_t value;
    } defects[] = {
        {0, 2},    /* format */
        {1, 0},    /* no server */
        {1, 17},   /* too many */
        {8, 1},    /* far too many */
        {9, 0},    /* id 0 */
        {9, 8},    /* not its address */
        {17, '8'}, /* not its id */
        {18, 1},   /* no end of the text */
        {19, 2},   /* SPARE is not used */
        {23, 1},   /* padding */
    };
    struct conf conf;
    assert_false(failed(conf_decode(bytes_of(good, sizeof good), &conf)));
    for (size_t i = 0; i < sizeof defects / sizeof defects[0]; i++) {
        uint8_t bytes[24];
        for (size_t k = 0; k < sizeof bytes; k++) {
            bytes[k] = k == defects[i].at ? defects[i].value : good[k];
        }
        assert_true(err_is(conf_decode(bytes_of(bytes, sizeof bytes), &conf), ERR_INVALID));
    }
    const struct conf twice = {.count = 2, .servers = {{5, CONSENSUS_VOTER}, {5, CONSENSUS_VOTER}}};
    struct buf b = encoded(&twice);
    assert_true(err_is(conf_decode(buf_bytes(&b), &conf), ERR_INVALID));
    buf_done(&b);
}

static void founders_write_the_same_bytes(void **state)
{
    (void)state;
    const uint64_t up[] = {1, 2, 3, 20, 100};
    const uint64_t down[] = {100, 20, 3, 2, 1};
    struct buf a;
    struct buf b;
    struct conf conf;
    buf_init(&a, CONF_BYTES_MAX);
    buf_init(&b, CONF_BYTES_MAX);
    assert_false(failed(consensus_found(up, 5, &a)));
    assert_false(failed(consensus_found(down, 5, &b)));
    assert_true(bytes_equal(buf_bytes(&a), buf_bytes(&b)));
    assert_false(failed(conf_decode(buf_bytes(&a), &conf)));
    assert_int_equal(conf_voters(&conf), 5);
    assert_int_equal(conf.servers[4].id, 100);
    const uint64_t twice[] = {1, 2, 2};
    const uint64_t zero[] = {1, 0, 2};
    assert_true(failed(consensus_found(twice, 3, &b)));
    assert_true(failed(consensus_found(zero, 3, &b)));
    assert_true(failed(consensus_found(up, 2, &b))); /* could never grow */
    assert_true(failed(consensus_found(up, 0, &b)));
    assert_false(failed(consensus_found(up, 1, &b)));
    buf_done(&a);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_those_of_libraft),
        cmocka_unit_test(decoding_gives_back_what_was_encoded),
        cmocka_unit_test(there_is_one_encoding),
        cmocka_unit_test(each_defect_is_refused),
        cmocka_unit_test(founders_write_the_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
