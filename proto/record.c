#include "proto/record.h"

#include "base/cursor.h"
#include "base/require.h"
#include "crypto/sha256.h"
#include "proto/wire.h"

enum { SOURCE_ZEROS = 24 }; /* a timer's source: 24 zero bytes, u64 position of its schedule */

static bool zeros(struct bytes b)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < b.size; i++) {
        sum |= b.data[i];
    }
    return sum == 0;
}

static void source_decode(struct cursor *c, struct record *r)
{
    if (r->kind != RECORD_TIMER) {
        cursor_copy(c, r->request_hash, sizeof(r->request_hash));
        return;
    }
    if (!zeros(cursor_bytes(c, SOURCE_ZEROS))) {
        cursor_fail(c);
    }
    r->schedule_position = cursor_u64(c);
}

static void source_encode(const struct record *r, struct buf *buf)
{
    if (r->kind != RECORD_TIMER) {
        buf_put(buf, r->request_hash, sizeof(r->request_hash));
        return;
    }
    static const uint8_t ZEROS[SOURCE_ZEROS];
    buf_put(buf, ZEROS, SOURCE_ZEROS);
    buf_put_u64(buf, r->schedule_position);
}

/* u8 presence and i32 day; the day of an absent date is 0. */
static void legal_date_decode(struct cursor *c, struct record *r)
{
    uint8_t present = cursor_u8(c);
    uint32_t day = cursor_u32(c);
    if (present > 1 || (present == 0 && day != 0)) {
        cursor_fail(c);
    }
    r->has_legal_date = present == 1;
    memcpy(&r->legal_date, &day, sizeof(day));
}

static void hashes_decode(struct cursor *c, struct record *r)
{
    cursor_copy(c, r->outcome_hash, 32);
    cursor_copy(c, r->effects_hash, 32);
    cursor_copy(c, r->trace_hash, 32);
    cursor_copy(c, r->digest, 32);
    cursor_copy(c, r->accounts_root, 32);
}

err record_decode(struct bytes wire, struct record *ret, struct errtext *reterr)
{
    require(ret != NULL);
    struct cursor c = cursor_of(wire);
    uint16_t version = cursor_u16(&c);
    if (cursor_ok(&c) && version != RECORD_VERSION) {
        return err_fail(reterr, ERR_UNSUPPORTED, "record: version %u is not known", version);
    }
    struct record r = {0};
    r.position = cursor_u64(&c);
    r.height = cursor_u64(&c);
    r.time_ns = cursor_u64(&c);
    uint8_t kind = cursor_u8(&c);
    if (kind < RECORD_EVENT || kind > RECORD_GOVERNANCE) {
        cursor_fail(&c);
    }
    r.kind = (enum record_kind)kind;
    source_decode(&c, &r);
    r.index = cursor_u32(&c);
    r.contract = cursor_sized(&c, NAME_BYTES_MAX);
    r.contract_version = cursor_u64(&c);
    cursor_copy(&c, r.text_hash, 32);
    legal_date_decode(&c, &r);
    hashes_decode(&c, &r);
    if (!cursor_done(&c) || !wire_text_valid(r.contract)) {
        return err_fail(reterr, ERR_INVALID, "record: malformed");
    }
    *ret = r;
    return err_ok();
}

void record_encode(const struct record *r, struct buf *buf)
{
    require(r != NULL);
    require(r->contract.size <= NAME_BYTES_MAX);
    require(r->has_legal_date || r->legal_date == 0);
    buf_put_u16(buf, RECORD_VERSION);
    buf_put_u64(buf, r->position);
    buf_put_u64(buf, r->height);
    buf_put_u64(buf, r->time_ns);
    buf_put_u8(buf, (uint8_t)r->kind);
    source_encode(r, buf);
    buf_put_u32(buf, r->index);
    buf_put_sized(buf, r->contract);
    buf_put_u64(buf, r->contract_version);
    buf_put(buf, r->text_hash, 32);
    buf_put_u8(buf, r->has_legal_date);
    buf_put_u32(buf, (uint32_t)r->legal_date);
    buf_put(buf, r->outcome_hash, 32);
    buf_put(buf, r->effects_hash, 32);
    buf_put(buf, r->trace_hash, 32);
    buf_put(buf, r->digest, 32);
    buf_put(buf, r->accounts_root, 32);
}

void record_leaf_hash(struct bytes wire, uint8_t ret[32])
{
    static const uint8_t LEAF = 0x00; /* RFC 6962 section 2.1 */
    struct sha256 s;
    sha256_init(&s);
    sha256_add(&s, &LEAF, 1);
    sha256_add_bytes(&s, wire);
    sha256_end(&s, ret);
}

void record_seal(const uint8_t salt[32], uint32_t index, uint8_t ret[32])
{
    require(salt != NULL);
    struct sha256 s;
    sha256_init(&s);
    sha256_add(&s, salt, 32);
    sha256_add_u32(&s, index);
    sha256_end(&s, ret);
}

void record_sealed_hash(const uint8_t seal[32], struct bytes bytes, uint8_t ret[32])
{
    require(seal != NULL);
    require(ret != NULL);
    struct sha256 s;
    sha256_init(&s);
    sha256_add(&s, seal, 32);
    sha256_add_bytes(&s, bytes);
    sha256_end(&s, ret);
}

void record_salted_hash(const uint8_t salt[32], uint32_t index, struct bytes bytes, uint8_t ret[32])
{
    uint8_t seal[32];
    record_seal(salt, index, seal);
    record_sealed_hash(seal, bytes, ret);
}
