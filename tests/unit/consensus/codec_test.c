/* Frames: what is encoded comes back, each kind; each refusal of the validator. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "consensus/codec.h"
#include "consensus/conf.h"

enum { FROM = 3 };

static struct entry *conf_entry(uint64_t term)
{
    const struct conf conf = {.count = 1, .servers = {{7, CONSENSUS_VOTER}}};
    struct buf b;
    buf_init(&b, CONF_BYTES_MAX);
    conf_encode(&conf, &b);
    struct entry *e = entry_new(term, ENTRY_CHANGE, buf_bytes(&b));
    buf_done(&b);
    return e;
}

static struct packet *sample(enum packet_kind kind)
{
    struct packet *p = packet_new(kind);
    p->from = FROM;
    p->m.type = (enum raft_message_type)kind;
    switch (kind) {
    case PACKET_APPEND:
        p->m.append_entries = (struct raft_append_entries){.version = 0,
                                                           .term = 9,
                                                           .prev_log_index = 41,
                                                           .prev_log_term = 5,
                                                           .leader_commit = 40,
                                                           .n_entries = 3};
        p->entries = mem_new(3, sizeof *p->entries);
        p->entries[0] = entry_new(6, ENTRY_COMMAND, bytes_text("block"));
        p->entries[1] = conf_entry(6);
        p->entries[2] = entry_new(9, ENTRY_BARRIER, bytes_of("\0\0\0\0\0\0\0", 8));
        p->clock_ns = 1234567890123456789;
        break;
    case PACKET_APPEND_RESULT:
        p->m.append_entries_result = (struct raft_append_entries_result){.version = 2,
                                                                         .term = 9,
                                                                         .rejected = 4,
                                                                         .last_log_index = 8,
                                                                         .features = 513,
                                                                         .capacity = 1027};
        p->clock_ns = 77;
        break;
    case PACKET_VOTE:
        p->m.request_vote = (struct raft_request_vote){.version = 2,
                                                       .term = 9,
                                                       .candidate_id = FROM,
                                                       .last_log_index = 8,
                                                       .last_log_term = 7,
                                                       .disrupt_leader = true,
                                                       .pre_vote = true};
        break;
    case PACKET_VOTE_RESULT:
        p->m.request_vote_result = (struct raft_request_vote_result){.version = 2,
                                                                     .term = 9,
                                                                     .vote_granted = true,
                                                                     .pre_vote = true,
                                                                     .features = 513,
                                                                     .capacity = 1027};
        break;
    case PACKET_INSTALL:
        p->m.install_snapshot =
            (struct raft_install_snapshot){.term = 9, .last_index = 8, .last_term = 7};
        p->snapshot = (struct consensus_snapshot){.index = 8, .term = 7, .conf_index = 6};
        p->snapshot.conf = conf_entry(7);
        p->snapshot.manifest = entry_new(7, ENTRY_COMMAND, bytes_text("files"));
        break;
    case PACKET_TIMEOUT_NOW:
        p->m.timeout_now =
            (struct raft_timeout_now){.term = 9, .last_log_index = 8, .last_log_term = 7};
        break;
    case PACKET_READ:
    case PACKET_READ_ACK:
        p->term = 9;
        p->seq = 1u << 20;
        break;
    }
    return p;
}

static const enum packet_kind kinds[] = {
    PACKET_APPEND,  PACKET_APPEND_RESULT, PACKET_VOTE, PACKET_VOTE_RESULT,
    PACKET_INSTALL, PACKET_TIMEOUT_NOW,   PACKET_READ, PACKET_READ_ACK,
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static struct buf encoded(const struct packet *p)
{
    struct buf b;
    buf_init(&b, PEER_FRAME_BYTES_MAX);
    packet_encode(p, &b);
    assert_int_equal(b.size, packet_size(p));
    return b;
}

/* The code of the refusal; OK when it is taken. */
static enum err_code verdict(struct bytes frame)
{
    struct packet *p = NULL;
    err e = packet_decode(frame, FROM, &p, NULL);
    packet_free(p);
    return e.code;
}

static struct packet *round_trip(const struct packet *p)
{
    struct packet *back = NULL;
    struct buf b = encoded(p);
    assert_false(failed(packet_decode(buf_bytes(&b), FROM, &back, NULL)));
    buf_done(&b);
    assert_int_equal(back->kind, p->kind);
    assert_int_equal(back->from, FROM);
    return back;
}

static void entries_come_back(void **state)
{
    (void)state;
    struct packet *p = sample(PACKET_APPEND);
    struct packet *q = round_trip(p);
    assert_int_equal(q->m.type, RAFT_APPEND_ENTRIES);
    assert_int_equal(q->m.server_id, FROM);
    assert_int_equal(q->m.append_entries.term, 9);
    assert_int_equal(q->m.append_entries.prev_log_index, 41);
    assert_int_equal(q->m.append_entries.prev_log_term, 5);
    assert_int_equal(q->m.append_entries.leader_commit, 40);
    assert_int_equal(q->clock_ns, 1234567890123456789);
    assert_int_equal(packet_entry_count(q), 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(q->entries[i]->term, p->entries[i]->term);
        assert_int_equal(q->entries[i]->type, p->entries[i]->type);
        assert_true(bytes_equal(entry_bytes(q->entries[i]), entry_bytes(p->entries[i])));
    }
    packet_free(p);
    packet_free(q);
}

/* Trap T1: every scalar travels. */
static void scalars_come_back(void **state)
{
    (void)state;
    struct packet *p = sample(PACKET_APPEND_RESULT);
    struct packet *q = round_trip(p);
    assert_int_equal(q->m.append_entries_result.version, 2);
    assert_int_equal(q->m.append_entries_result.term, 9);
    assert_int_equal(q->m.append_entries_result.rejected, 4);
    assert_int_equal(q->m.append_entries_result.last_log_index, 8);
    assert_int_equal(q->m.append_entries_result.features, 513);
    assert_int_equal(q->m.append_entries_result.capacity, 1027);
    assert_int_equal(q->clock_ns, 77);
    packet_free(p);
    packet_free(q);
    p = sample(PACKET_VOTE);
    q = round_trip(p);
    assert_int_equal(q->m.request_vote.version, 2);
    assert_int_equal(q->m.request_vote.term, 9);
    assert_int_equal(q->m.request_vote.candidate_id, FROM);
    assert_int_equal(q->m.request_vote.last_log_index, 8);
    assert_int_equal(q->m.request_vote.last_log_term, 7);
    assert_true(q->m.request_vote.disrupt_leader);
    assert_true(q->m.request_vote.pre_vote);
    packet_free(p);
    packet_free(q);
    p = sample(PACKET_TIMEOUT_NOW);
    q = round_trip(p);
    assert_int_equal(q->m.timeout_now.term, 9);
    assert_int_equal(q->m.timeout_now.last_log_index, 8);
    assert_int_equal(q->m.timeout_now.last_log_term, 7);
    packet_free(p);
    packet_free(q);
    p = sample(PACKET_READ_ACK);
    q = round_trip(p);
    assert_int_equal(q->term, 9);
    assert_int_equal(q->seq, 1u << 20);
    packet_free(p);
    packet_free(q);
}

static void each_flag_of_a_vote_comes_back(void **state)
{
    (void)state;
    for (unsigned flags = 0; flags < 4; flags++) {
        struct packet *p = sample(PACKET_VOTE_RESULT);
        p->m.request_vote_result.vote_granted = (flags & 1) != 0;
        p->m.request_vote_result.pre_vote = (flags & 2) != 0;
        struct packet *q = round_trip(p);
        assert_int_equal(q->m.request_vote_result.version, 2);
        assert_int_equal(q->m.request_vote_result.term, 9);
        assert_int_equal(q->m.request_vote_result.vote_granted, (flags & 1) != 0);
        assert_int_equal(q->m.request_vote_result.pre_vote, (flags & 2) != 0);
        assert_int_equal(q->m.request_vote_result.features, 513);
        assert_int_equal(q->m.request_vote_result.capacity, 1027);
        packet_free(p);
        packet_free(q);
    }
}

static void snapshots_come_back(void **state)
{
    (void)state;
    struct packet *p = sample(PACKET_INSTALL);
    struct packet *q = round_trip(p);
    assert_int_equal(q->m.install_snapshot.term, 9);
    assert_int_equal(q->m.install_snapshot.last_index, 8);
    assert_int_equal(q->m.install_snapshot.last_term, 7);
    assert_int_equal(q->m.install_snapshot.conf_index, 6);
    assert_int_equal(q->snapshot.index, 8);
    assert_int_equal(q->snapshot.term, 7);
    assert_int_equal(q->snapshot.conf_index, 6);
    assert_int_equal(q->snapshot.source, FROM); /* who sent it, not what it says */
    assert_true(bytes_equal(entry_bytes(q->snapshot.manifest), bytes_text("files")));
    assert_true(bytes_equal(entry_bytes(q->snapshot.conf), entry_bytes(p->snapshot.conf)));
    packet_free(p);
    packet_free(q);
}

/* The bytes themselves: nodes of different builds must understand each other. */
static void the_format_stays(void **state)
{
    (void)state;
    static const uint8_t vote[] = {1, 3, 2, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0,
                                   0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 7, 3};
    static const uint8_t head[] = {
        1,    1,    0,                                            /* frame, kind, message */
        0,    0,    0,    0,    0,    0,    0,    9,              /* term */
        0,    0,    0,    0,    0,    0,    0,    41,             /* previous index */
        0,    0,    0,    0,    0,    0,    0,    5,              /* previous term */
        0,    0,    0,    0,    0,    0,    0,    40,             /* commit */
        0x11, 0x22, 0x10, 0xf4, 0x7d, 0xe9, 0x81, 0x15,           /* clock */
        0,    0,    0,    3,                                      /* entries */
        0,    0,    0,    0,    0,    0,    0,    6,              /* the first one's term */
        1,    0,    0,    0,    5,    'b',  'l',  'o',  'c', 'k', /* type, size, bytes */
    };
    struct packet *p = sample(PACKET_VOTE);
    struct buf b = encoded(p);
    assert_int_equal(b.size, sizeof vote);
    assert_memory_equal(b.data, vote, sizeof vote);
    buf_done(&b);
    packet_free(p);
    p = sample(PACKET_APPEND);
    b = encoded(p);
    assert_int_equal(b.size, sizeof head + (13 + 24) + (13 + 8));
    assert_memory_equal(b.data, head, sizeof head);
    buf_done(&b);
    packet_free(p);
}

static void every_cut_and_every_addition_is_refused(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        struct packet *p = sample(kinds[k]);
        struct buf b = encoded(p);
        for (size_t size = 0; size < b.size; size++) {
            assert_int_equal(verdict(bytes_of(b.data, size)), ERR_INVALID);
        }
        assert_int_equal(verdict(buf_bytes(&b)), ERR_OK);
        buf_put_u8(&b, 0);
        assert_int_equal(verdict(buf_bytes(&b)), ERR_INVALID);
        buf_done(&b);
        packet_free(p);
    }
}

static void unknown_versions_and_kinds_are_refused(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        struct packet *p = sample(kinds[k]);
        struct buf b = encoded(p);
        b.data[0] = 2; /* frame */
        assert_int_equal(verdict(buf_bytes(&b)), ERR_UNSUPPORTED);
        b.data[0] = 1;
        if (kinds[k] <= PACKET_TIMEOUT_NOW) {
            b.data[2] ^=
                1; /* message; a vote result of version < 2 reads as another kind of vote */
            assert_int_equal(verdict(buf_bytes(&b)), ERR_UNSUPPORTED);
            b.data[2] ^= 1;
        }
        b.data[1] = 99;
        assert_int_equal(verdict(buf_bytes(&b)), ERR_UNSUPPORTED);
        b.data[1] = 0;
        assert_int_equal(verdict(buf_bytes(&b)), ERR_UNSUPPORTED);
        buf_done(&b);
        packet_free(p);
    }
}

/* The frame of `kind` with the big-endian u64 at `at` replaced. */
static enum err_code with_u64(enum packet_kind kind, size_t at, uint64_t value)
{
    struct packet *p = sample(kind);
    struct buf b = encoded(p);
    assert_true(at + 8 <= b.size);
    for (size_t i = 0; i < 8; i++) {
        b.data[at + i] = (uint8_t)(value >> (56 - 8 * i));
    }
    enum err_code code = verdict(buf_bytes(&b));
    buf_done(&b);
    packet_free(p);
    return code;
}

static void numbers_out_of_range_are_refused(void **state)
{
    (void)state;
    const struct {
        enum packet_kind kind;
        size_t at;
        uint64_t value;
    } defects[] = {
        {PACKET_APPEND, 3, 0},                /* term */
        {PACKET_APPEND, 3, RAFT_NUMBER_MAX},  /* term */
        {PACKET_APPEND, 3, 8},                /* below its entries' */
        {PACKET_APPEND, 3, 4},                /* below the previous one's */
        {PACKET_APPEND, 11, 0},               /* previous index without, with a term */
        {PACKET_APPEND, 11, RAFT_NUMBER_MAX}, /* previous index */
        {PACKET_APPEND, 19, 0},               /* previous term without, with an index */
        {PACKET_APPEND, 19, 7},               /* above the first entry's */
        {PACKET_APPEND, 27, RAFT_NUMBER_MAX}, /* commit */
        {PACKET_APPEND, 47, 0},               /* term of entry 1 */
        {PACKET_APPEND, 47, 10},              /* above the message's */
        {PACKET_APPEND, 47, 8},               /* above the next entry's */
        {PACKET_APPEND_RESULT, 3, 0},
        {PACKET_APPEND_RESULT, 11, RAFT_NUMBER_MAX},
        {PACKET_APPEND_RESULT, 19, RAFT_NUMBER_MAX},
        {PACKET_VOTE, 3, 0},
        {PACKET_VOTE, 3, 6}, /* below the term of its log */
        {PACKET_VOTE, 11, 0},
        {PACKET_VOTE, 19, 0},
        {PACKET_VOTE_RESULT, 3, 0},
        {PACKET_INSTALL, 3, 0},
        {PACKET_INSTALL, 3, 6},
        {PACKET_INSTALL, 11, 0},
        {PACKET_INSTALL, 11, 5}, /* below its configuration */
        {PACKET_INSTALL, 19, 0},
        {PACKET_INSTALL, 27, 0},
        {PACKET_TIMEOUT_NOW, 3, 0},
        {PACKET_TIMEOUT_NOW, 11, 0},
        {PACKET_TIMEOUT_NOW, 19, 0},
        {PACKET_READ, 2, 0},
        {PACKET_READ, 10, 0},
        {PACKET_READ_ACK, 2, RAFT_NUMBER_MAX},
        {PACKET_READ_ACK, 10, RAFT_NUMBER_MAX},
    };
    for (size_t i = 0; i < sizeof defects / sizeof defects[0]; i++) {
        assert_int_equal(with_u64(defects[i].kind, defects[i].at, defects[i].value), ERR_INVALID);
    }
    assert_int_equal(with_u64(PACKET_APPEND, 3, RAFT_NUMBER_MAX - 1), ERR_OK);
    assert_int_equal(with_u64(PACKET_READ, 10, RAFT_NUMBER_MAX - 1), ERR_OK);
}

static void unknown_flags_are_refused(void **state)
{
    (void)state;
    struct packet *p = sample(PACKET_VOTE);
    struct buf b = encoded(p);
    b.data[b.size - 1] |= 4;
    assert_int_equal(verdict(buf_bytes(&b)), ERR_INVALID);
    buf_done(&b);
    packet_free(p);
    p = sample(PACKET_VOTE_RESULT);
    b = encoded(p);
    b.data[11] |= 128;
    assert_int_equal(verdict(buf_bytes(&b)), ERR_INVALID);
    buf_done(&b);
    packet_free(p);
}

/* An AppendEntries whose first entry is replaced. */
static enum err_code with_entry(int type, struct bytes data)
{
    struct packet *p = sample(PACKET_APPEND);
    entry_unref(p->entries[0]);
    p->entries[0] = entry_new(6, (enum entry_type)type, data);
    struct buf b = encoded(p);
    enum err_code code = verdict(buf_bytes(&b));
    buf_done(&b);
    packet_free(p);
    return code;
}

static void entries_must_be_of_their_type(void **state)
{
    (void)state;
    static uint8_t block[BLOCK_BYTES_MAX + 1];
    assert_int_equal(with_entry(ENTRY_COMMAND, bytes_of(block, BLOCK_BYTES_MAX)), ERR_OK);
    assert_int_equal(with_entry(ENTRY_COMMAND, bytes_of(block, sizeof block)), ERR_INVALID);
    assert_int_equal(with_entry(ENTRY_COMMAND, bytes_of(NULL, 0)), ERR_INVALID);
    assert_int_equal(with_entry(ENTRY_BARRIER, bytes_of(NULL, 0)), ERR_OK);
    assert_int_equal(with_entry(ENTRY_BARRIER, bytes_of(block, 9)), ERR_INVALID);
    assert_int_equal(with_entry(ENTRY_CHANGE, bytes_of(block, 24)), ERR_INVALID);
    assert_int_equal(with_entry(0, bytes_text("x")), ERR_INVALID);
    assert_int_equal(with_entry(4, bytes_text("x")), ERR_INVALID);
}

static void the_count_of_entries_is_bounded(void **state)
{
    (void)state;
    for (uint32_t count = APPEND_ENTRIES_MAX; count <= APPEND_ENTRIES_MAX + 1; count++) {
        struct packet *p = packet_new(PACKET_APPEND);
        p->from = FROM;
        p->m.type = RAFT_APPEND_ENTRIES;
        p->m.append_entries.term = 9;
        p->m.append_entries.n_entries = count;
        p->entries = mem_new(count, sizeof *p->entries);
        for (uint32_t i = 0; i < count; i++) {
            p->entries[i] = entry_new(1, ENTRY_COMMAND, bytes_text("x"));
        }
        struct buf b = encoded(p);
        assert_int_equal(verdict(buf_bytes(&b)),
                         count <= APPEND_ENTRIES_MAX ? ERR_OK : ERR_INVALID);
        buf_done(&b);
        packet_free(p);
    }
    struct packet *p = sample(PACKET_APPEND); /* a count without the entries allocates nothing */
    struct buf b = encoded(p);
    b.data[43] = 0xff;
    assert_int_equal(verdict(buf_bytes(&b)), ERR_INVALID);
    buf_done(&b);
    packet_free(p);
}

static void manifests_are_bounded(void **state)
{
    (void)state;
    static uint8_t manifest[MANIFEST_BYTES_MAX + 1];
    for (size_t size = MANIFEST_BYTES_MAX; size <= sizeof manifest; size++) {
        struct packet *p = sample(PACKET_INSTALL);
        entry_unref(p->snapshot.manifest);
        p->snapshot.manifest = entry_new(7, ENTRY_COMMAND, bytes_of(manifest, size));
        struct buf b = encoded(p);
        assert_int_equal(verdict(buf_bytes(&b)), size <= MANIFEST_BYTES_MAX ? ERR_OK : ERR_INVALID);
        buf_done(&b);
        packet_free(p);
    }
    struct packet *p = sample(PACKET_INSTALL);
    struct buf b = encoded(p);
    b.data[39] ^= 2; /* the configuration's format */
    assert_int_equal(verdict(buf_bytes(&b)), ERR_INVALID);
    buf_done(&b);
    packet_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_come_back),
        cmocka_unit_test(scalars_come_back),
        cmocka_unit_test(each_flag_of_a_vote_comes_back),
        cmocka_unit_test(snapshots_come_back),
        cmocka_unit_test(the_format_stays),
        cmocka_unit_test(every_cut_and_every_addition_is_refused),
        cmocka_unit_test(unknown_versions_and_kinds_are_refused),
        cmocka_unit_test(numbers_out_of_range_are_refused),
        cmocka_unit_test(unknown_flags_are_refused),
        cmocka_unit_test(entries_must_be_of_their_type),
        cmocka_unit_test(the_count_of_entries_is_bounded),
        cmocka_unit_test(manifests_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
