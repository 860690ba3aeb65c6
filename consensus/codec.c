#include "consensus/codec.h"

#include "base/cursor.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"
#include "consensus/conf.h"

enum {
    FRAME_VERSION = 1,
    FRAME_HEAD_BYTES = 2,
    FLAG_DISRUPT = 1, /* vote */
    FLAG_GRANTED = 1, /* vote result */
    FLAG_PRE_VOTE = 2,
    ENTRY_HEAD_BYTES = 8 + 1 + 4,
    APPEND_HEAD_BYTES = FRAME_HEAD_BYTES + 1 + 5 * 8 + 4,
    BARRIER_BYTES_MAX = 8,
    /* What libraft 0.22.1 writes. */
    VERSION_APPEND = 0,
    VERSION_APPEND_RESULT = 2,
    VERSION_VOTE = 2,
    VERSION_VOTE_RESULT = 2,
    VERSION_INSTALL = 0,
    VERSION_TIMEOUT_NOW = 0,
};

static_assert(APPEND_HEAD_BYTES + ENTRY_HEAD_BYTES <= (int)APPEND_FRAME_HEAD_BYTES_MAX,
              "the head that limits.h allows for");

size_t codec_entry_bytes(const struct entry *e)
{
    return ENTRY_HEAD_BYTES + (size_t)e->size;
}

size_t codec_append_bytes_max(void)
{
    return PEER_FRAME_BYTES_MAX - APPEND_HEAD_BYTES;
}

uint32_t codec_append_room(uint64_t count)
{
    return count < APPEND_ENTRIES_MAX ? (uint32_t)count : (uint32_t)APPEND_ENTRIES_MAX;
}

/* ---- encoding ---- */

static void encode_append(const struct packet *p, struct buf *ret)
{
    const struct raft_append_entries *m = &p->m.append_entries;
    buf_put_u8(ret, m->version);
    buf_put_u64(ret, m->term);
    buf_put_u64(ret, m->prev_log_index);
    buf_put_u64(ret, m->prev_log_term);
    buf_put_u64(ret, m->leader_commit);
    buf_put_u64(ret, p->clock_ns);
    buf_put_u32(ret, m->n_entries);
    for (uint32_t i = 0; i < m->n_entries; i++) {
        buf_put_u64(ret, p->entries[i]->term);
        buf_put_u8(ret, (uint8_t)p->entries[i]->type);
        buf_put_sized(ret, entry_bytes(p->entries[i]));
    }
}

static void encode_append_result(const struct packet *p, struct buf *ret)
{
    const struct raft_append_entries_result *m = &p->m.append_entries_result;
    buf_put_u8(ret, m->version);
    buf_put_u64(ret, m->term);
    buf_put_u64(ret, m->rejected);
    buf_put_u64(ret, m->last_log_index);
    buf_put_u16(ret, m->features);
    buf_put_u16(ret, m->capacity);
    buf_put_u64(ret, p->clock_ns);
}

static void encode_vote(const struct packet *p, struct buf *ret)
{
    const struct raft_request_vote *m = &p->m.request_vote;
    require(m->candidate_id == p->from); /* not written: the receiver knows who asks */
    buf_put_u8(ret, m->version);
    buf_put_u64(ret, m->term);
    buf_put_u64(ret, m->last_log_index);
    buf_put_u64(ret, m->last_log_term);
    buf_put_u8(
        ret, (uint8_t)((m->disrupt_leader ? FLAG_DISRUPT : 0) | (m->pre_vote ? FLAG_PRE_VOTE : 0)));
}

static void encode_vote_result(const struct packet *p, struct buf *ret)
{
    const struct raft_request_vote_result *m = &p->m.request_vote_result;
    buf_put_u8(ret, m->version);
    buf_put_u64(ret, m->term);
    buf_put_u8(ret,
               (uint8_t)((m->vote_granted ? FLAG_GRANTED : 0) | (m->pre_vote ? FLAG_PRE_VOTE : 0)));
    buf_put_u16(ret, m->features);
    buf_put_u16(ret, m->capacity);
}

static void encode_install(const struct packet *p, struct buf *ret)
{
    const struct raft_install_snapshot *m = &p->m.install_snapshot;
    const struct entry *manifest = p->snapshot.manifest;
    require(p->snapshot.conf != NULL);
    require(m->last_index == p->snapshot.index && m->last_term == p->snapshot.term);
    buf_put_u8(ret, m->version);
    buf_put_u64(ret, m->term);
    buf_put_u64(ret, m->last_index);
    buf_put_u64(ret, m->last_term);
    buf_put_u64(ret, p->snapshot.conf_index);
    buf_put_sized(ret, entry_bytes(p->snapshot.conf));
    buf_put_sized(ret, manifest != NULL ? entry_bytes(manifest) : bytes_of(NULL, 0));
}

static void encode_timeout_now(const struct packet *p, struct buf *ret)
{
    const struct raft_timeout_now *m = &p->m.timeout_now;
    buf_put_u8(ret, m->version);
    buf_put_u64(ret, m->term);
    buf_put_u64(ret, m->last_log_index);
    buf_put_u64(ret, m->last_log_term);
}

void packet_encode(const struct packet *p, struct buf *ret)
{
    size_t start = ret->size;
    buf_put_u8(ret, FRAME_VERSION);
    buf_put_u8(ret, (uint8_t)p->kind);
    switch (p->kind) {
    case PACKET_APPEND:
        encode_append(p, ret);
        break;
    case PACKET_APPEND_RESULT:
        encode_append_result(p, ret);
        break;
    case PACKET_VOTE:
        encode_vote(p, ret);
        break;
    case PACKET_VOTE_RESULT:
        encode_vote_result(p, ret);
        break;
    case PACKET_INSTALL:
        encode_install(p, ret);
        break;
    case PACKET_TIMEOUT_NOW:
        encode_timeout_now(p, ret);
        break;
    case PACKET_READ:
    case PACKET_READ_ACK:
        buf_put_u64(ret, p->term);
        buf_put_u64(ret, p->seq);
        break;
    }
    require(!ret->overflow);
    require(ret->size - start == packet_size(p));
    require(ret->size - start <= PEER_FRAME_BYTES_MAX);
}

size_t packet_size(const struct packet *p)
{
    size_t size = FRAME_HEAD_BYTES;
    switch (p->kind) {
    case PACKET_APPEND:
        size = APPEND_HEAD_BYTES;
        for (uint32_t i = 0; i < packet_entry_count(p); i++) {
            size += codec_entry_bytes(p->entries[i]);
        }
        return size;
    case PACKET_APPEND_RESULT:
        return size + 1 + 3 * 8 + 2 * 2 + 8;
    case PACKET_VOTE:
        return size + 1 + 3 * 8 + 1;
    case PACKET_VOTE_RESULT:
        return size + 1 + 8 + 1 + 2 * 2;
    case PACKET_INSTALL:
        return size + 1 + 4 * 8 + 4 + p->snapshot.conf->size + 4 +
               (p->snapshot.manifest != NULL ? p->snapshot.manifest->size : 0);
    case PACKET_TIMEOUT_NOW:
        return size + 1 + 3 * 8;
    case PACKET_READ:
    case PACKET_READ_ACK:
        return size + 2 * 8;
    }
    return size;
}

/* ---- decoding: what a frame says must make sense by itself ---- */

static err bad(struct errtext *reterr, const char *what)
{
    return err_fail(reterr, ERR_INVALID, "a frame of a peer has %s", what);
}

/* A term, index or round: they start at 1 and never come near the end of 64 bits. */
static bool number_ok(uint64_t n)
{
    return n > 0 && n < RAFT_NUMBER_MAX;
}

static bool number_or_zero_ok(uint64_t n)
{
    return n < RAFT_NUMBER_MAX;
}

static err check_version(uint8_t version, uint8_t expected, struct errtext *reterr)
{
    return version == expected
               ? err_ok()
               : err_fail(reterr, ERR_UNSUPPORTED,
                          "a frame of a peer has message version %u, not %u", version, expected);
}

/* One entry: known type, size of its type, terms that do not fall and do not pass the message's. */
static err decode_entry(struct cursor *c, struct packet *p, uint64_t term_min,
                        struct errtext *reterr)
{
    struct raft_append_entries *m = &p->m.append_entries;
    struct conf conf;
    uint64_t term = cursor_u64(c);
    uint8_t type = cursor_u8(c);
    struct bytes data = cursor_sized(c, BLOCK_BYTES_MAX);
    if (!cursor_ok(c)) {
        return bad(reterr, "an entry that is cut off or too large");
    }
    if (!number_ok(term) || term < term_min || term > m->term) {
        return bad(reterr, "entries whose terms are out of order");
    }
    if (type == ENTRY_COMMAND) {
        if (data.size == 0) {
            return bad(reterr, "an empty command");
        }
    } else if (type == ENTRY_BARRIER) {
        if (data.size > BARRIER_BYTES_MAX) {
            return bad(reterr, "a barrier with content");
        }
    } else if (type == ENTRY_CHANGE) {
        if (failed(conf_decode(data, &conf))) {
            return bad(reterr, "a malformed configuration");
        }
    } else {
        return bad(reterr, "an entry of unknown type");
    }
    p->entries[m->n_entries++] = entry_new(term, (enum entry_type)type, data);
    return err_ok();
}

static err decode_append(struct cursor *c, struct packet *p, struct errtext *reterr)
{
    struct raft_append_entries *m = &p->m.append_entries;
    m->version = cursor_u8(c);
    m->term = cursor_u64(c);
    m->prev_log_index = cursor_u64(c);
    m->prev_log_term = cursor_u64(c);
    m->leader_commit = cursor_u64(c);
    p->clock_ns = cursor_u64(c);
    uint32_t count = cursor_u32(c);
    if (!cursor_ok(c)) {
        return bad(reterr, "too few bytes");
    }
    TRY(check_version(m->version, VERSION_APPEND, reterr));
    if (!number_ok(m->term) || !number_or_zero_ok(m->leader_commit) ||
        !number_or_zero_ok(m->prev_log_index) || m->prev_log_term > m->term) {
        return bad(reterr, "a number out of range");
    }
    if ((m->prev_log_index == 0) != (m->prev_log_term == 0)) {
        return bad(reterr, "a previous index and a term that do not go together");
    }
    if (count > APPEND_ENTRIES_MAX || count > cursor_left(c) / ENTRY_HEAD_BYTES) {
        return bad(reterr, "too many entries");
    }
    p->entries = count > 0 ? mem_new(count, sizeof *p->entries) : NULL;
    uint64_t term_min = m->prev_log_term;
    for (uint32_t i = 0; i < count; i++) {
        TRY(decode_entry(c, p, term_min, reterr));
        term_min = p->entries[i]->term;
    }
    require(m->n_entries == count);
    return err_ok();
}

static err decode_append_result(struct cursor *c, struct packet *p, struct errtext *reterr)
{
    struct raft_append_entries_result *m = &p->m.append_entries_result;
    m->version = cursor_u8(c);
    m->term = cursor_u64(c);
    m->rejected = cursor_u64(c);
    m->last_log_index = cursor_u64(c);
    m->features = cursor_u16(c);
    m->capacity = cursor_u16(c);
    p->clock_ns = cursor_u64(c);
    if (!cursor_ok(c)) {
        return bad(reterr, "too few bytes");
    }
    TRY(check_version(m->version, VERSION_APPEND_RESULT, reterr));
    if (!number_ok(m->term) || !number_or_zero_ok(m->rejected) ||
        !number_or_zero_ok(m->last_log_index)) {
        return bad(reterr, "a number out of range");
    }
    return err_ok();
}

static err decode_vote(struct cursor *c, struct packet *p, struct errtext *reterr)
{
    struct raft_request_vote *m = &p->m.request_vote;
    m->version = cursor_u8(c);
    m->term = cursor_u64(c);
    m->last_log_index = cursor_u64(c);
    m->last_log_term = cursor_u64(c);
    uint8_t flags = cursor_u8(c);
    if (!cursor_ok(c)) {
        return bad(reterr, "too few bytes");
    }
    TRY(check_version(m->version, VERSION_VOTE, reterr));
    if (!number_ok(m->term) || !number_ok(m->last_log_index) || !number_ok(m->last_log_term) ||
        m->last_log_term > m->term) {
        return bad(reterr, "a number out of range");
    }
    if ((flags & ~(FLAG_DISRUPT | FLAG_PRE_VOTE)) != 0) {
        return bad(reterr, "unknown flags");
    }
    m->candidate_id = p->from;
    m->disrupt_leader = (flags & FLAG_DISRUPT) != 0;
    m->pre_vote = (flags & FLAG_PRE_VOTE) != 0;
    return err_ok();
}

static err decode_vote_result(struct cursor *c, struct packet *p, struct errtext *reterr)
{
    struct raft_request_vote_result *m = &p->m.request_vote_result;
    m->version = cursor_u8(c);
    m->term = cursor_u64(c);
    uint8_t flags = cursor_u8(c);
    m->features = cursor_u16(c);
    m->capacity = cursor_u16(c);
    if (!cursor_ok(c)) {
        return bad(reterr, "too few bytes");
    }
    TRY(check_version(m->version, VERSION_VOTE_RESULT, reterr));
    if (!number_ok(m->term)) {
        return bad(reterr, "a number out of range");
    }
    if ((flags & ~(FLAG_GRANTED | FLAG_PRE_VOTE)) != 0) {
        return bad(reterr, "unknown flags");
    }
    m->vote_granted = (flags & FLAG_GRANTED) != 0;
    m->pre_vote = (flags & FLAG_PRE_VOTE) != 0;
    return err_ok();
}

static err decode_install(struct cursor *c, struct packet *p, struct errtext *reterr)
{
    struct raft_install_snapshot *m = &p->m.install_snapshot;
    struct consensus_snapshot *s = &p->snapshot;
    struct conf conf;
    m->version = cursor_u8(c);
    m->term = cursor_u64(c);
    m->last_index = cursor_u64(c);
    m->last_term = cursor_u64(c);
    m->conf_index = cursor_u64(c);
    struct bytes bytes = cursor_sized(c, CONF_BYTES_MAX);
    struct bytes manifest = cursor_sized(c, MANIFEST_BYTES_MAX);
    if (!cursor_ok(c)) {
        return bad(reterr, "too few bytes");
    }
    TRY(check_version(m->version, VERSION_INSTALL, reterr));
    if (!number_ok(m->term) || !number_ok(m->last_index) || !number_ok(m->last_term) ||
        m->last_term > m->term || m->conf_index == 0 || m->conf_index > m->last_index) {
        return bad(reterr, "a number out of range");
    }
    if (failed(conf_decode(bytes, &conf))) {
        return bad(reterr, "a malformed configuration");
    }
    *s = (struct consensus_snapshot){.index = m->last_index,
                                     .term = m->last_term,
                                     .conf_index = m->conf_index,
                                     .source = p->from};
    s->conf = entry_new(m->last_term, ENTRY_CHANGE, bytes);
    s->manifest = manifest.size > 0 ? entry_new(m->last_term, ENTRY_COMMAND, manifest) : NULL;
    return err_ok();
}

static err decode_timeout_now(struct cursor *c, struct packet *p, struct errtext *reterr)
{
    struct raft_timeout_now *m = &p->m.timeout_now;
    m->version = cursor_u8(c);
    m->term = cursor_u64(c);
    m->last_log_index = cursor_u64(c);
    m->last_log_term = cursor_u64(c);
    if (!cursor_ok(c)) {
        return bad(reterr, "too few bytes");
    }
    TRY(check_version(m->version, VERSION_TIMEOUT_NOW, reterr));
    if (!number_ok(m->term) || !number_ok(m->last_log_index) || !number_ok(m->last_log_term) ||
        m->last_log_term > m->term) {
        return bad(reterr, "a number out of range");
    }
    return err_ok();
}

static err decode_read(struct cursor *c, struct packet *p, struct errtext *reterr)
{
    p->term = cursor_u64(c);
    p->seq = cursor_u64(c);
    if (!cursor_ok(c)) {
        return bad(reterr, "too few bytes");
    }
    return number_ok(p->term) && number_ok(p->seq) ? err_ok()
                                                   : bad(reterr, "a number out of range");
}

static err decode_body(struct cursor *c, struct packet *p, struct errtext *reterr)
{
    switch (p->kind) {
    case PACKET_APPEND:
        return decode_append(c, p, reterr);
    case PACKET_APPEND_RESULT:
        return decode_append_result(c, p, reterr);
    case PACKET_VOTE:
        return decode_vote(c, p, reterr);
    case PACKET_VOTE_RESULT:
        return decode_vote_result(c, p, reterr);
    case PACKET_INSTALL:
        return decode_install(c, p, reterr);
    case PACKET_TIMEOUT_NOW:
        return decode_timeout_now(c, p, reterr);
    case PACKET_READ:
    case PACKET_READ_ACK:
        return decode_read(c, p, reterr);
    }
    return err_fail(reterr, ERR_UNSUPPORTED, "a frame of a peer is of unknown kind %u",
                    (unsigned)p->kind);
}

err packet_decode(struct bytes frame, uint64_t from, struct packet **ret, struct errtext *reterr)
{
    require(from > 0);
    require(ret != NULL);
    struct cursor c = cursor_of(frame);
    uint8_t version = cursor_u8(&c);
    uint8_t kind = cursor_u8(&c);
    if (!cursor_ok(&c) || frame.size > PEER_FRAME_BYTES_MAX) {
        return bad(reterr, "a size out of range");
    }
    if (version != FRAME_VERSION) {
        return err_fail(reterr, ERR_UNSUPPORTED, "a frame of a peer has version %u, not %u",
                        version, FRAME_VERSION);
    }
    struct packet *p = packet_new((enum packet_kind)kind);
    p->from = from;
    if (kind <= PACKET_TIMEOUT_NOW) {
        p->m.type = (enum raft_message_type)kind;
        p->m.server_id = from;
    }
    err e = decode_body(&c, p, reterr);
    if (!failed(e) && !cursor_done(&c)) {
        e = bad(reterr, "bytes too many");
    }
    if (failed(e)) {
        packet_free(p);
        return e;
    }
    *ret = p;
    return err_ok();
}
