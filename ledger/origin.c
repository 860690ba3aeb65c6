#include "ledger/origin.h"

#include "base/require.h"
#include "crypto/sha256.h"
#include "ledger/read.h"
#include "ledger/record.h"

/* One stored value, copied into the arena; NOT_FOUND, LIMIT, IO. */
static err load(const struct ledger *l, size_t family, uint64_t number, struct arena *a,
                struct bytes *ret, struct errtext *reterr)
{
    struct buf key;
    struct buf value;
    buf_init(&key, 8);
    buf_init(&value, ROW_BYTES_MAX);
    buf_put_u64(&key, number);
    err e = kv_get(l->kv, family, buf_bytes(&key), &value, reterr);
    if (!failed(e) && !keep(a, buf_bytes(&value), ret)) {
        e = no_room(reterr);
    }
    buf_done(&key);
    buf_done(&value);
    return e;
}

static err envelope_of_hash(const struct block *block, const uint8_t request_hash[32],
                            struct arena *a, struct envelope **ret, struct errtext *reterr)
{
    *ret = NULL;
    for (uint32_t i = 0; i < block->envelope_count && *ret == NULL; i++) {
        uint8_t hash[32];
        envelope_request_hash(block->envelopes[i], hash);
        if (memcmp(hash, request_hash, sizeof(hash)) == 0) {
            TRY(envelope_decode(block->envelopes[i], a, ret, reterr));
        }
    }
    return err_ok();
}

err origin_envelope(const struct ledger *l, const struct record *r, struct arena *a,
                    struct envelope **ret, struct errtext *reterr)
{
    require(l != NULL);
    require(r->kind != RECORD_TIMER);
    struct bytes wire;
    struct block *block = NULL;
    TRY(load(l, FAMILY_BLOCKS, r->height, a, &wire, reterr));
    TRY(block_decode(wire, a, &block, reterr));
    TRY(envelope_of_hash(block, r->request_hash, a, ret, reterr));
    if (*ret == NULL || r->index >= (*ret)->body.event_count) {
        return err_fail(reterr, ERR_CORRUPT, "block %llu does not hold the request of record %llu",
                        (unsigned long long)r->height, (unsigned long long)r->position);
    }
    return err_ok();
}

err origin_salt(const struct ledger *l, const struct record *record, struct arena *a,
                uint8_t ret[32], struct errtext *reterr)
{
    require(l != NULL);
    struct record r = *record;
    struct envelope *envelope = NULL;
    for (uint32_t hops = 0; r.kind == RECORD_TIMER; hops++) {
        struct bytes value;
        struct ledger_record before;
        if (hops == TIMER_CHAIN_MAX) {
            return err_fail(reterr, ERR_LIMIT, "this timer is the last of over %d in a row",
                            TIMER_CHAIN_MAX);
        }
        TRY(load(l, FAMILY_RECORDS, r.schedule_position, a, &value, reterr));
        if (failed(record_read(value, &before))) {
            return err_fail(reterr, ERR_CORRUPT, "record %llu does not decode",
                            (unsigned long long)r.schedule_position);
        }
        r = before.record;
    }
    TRY(origin_envelope(l, &r, a, &envelope, reterr));
    memcpy(ret, envelope->body.salt, 32);
    return err_ok();
}

/* ---- a whole block ---- */

/* The envelope of the record before is mostly that of this one, too. */
struct revealing {
    const struct ledger *l;
    struct arena *arena;
    struct block *block;
    struct envelope *envelope;
    uint8_t request_hash[32]; /* of the envelope at hand */
};

static err reveal_one(struct revealing *v, struct bytes value, struct ledger_revealed *ret,
                      struct errtext *reterr)
{
    uint8_t salt[32];
    if (failed(record_read(value, &ret->record))) {
        return err_fail(reterr, ERR_CORRUPT, "a stored record does not decode");
    }
    const struct record *r = &ret->record.record;
    if (r->kind == RECORD_TIMER) {
        TRY(origin_salt(v->l, r, v->arena, salt, reterr));
    } else {
        if (v->envelope == NULL || memcmp(v->request_hash, r->request_hash, 32) != 0) {
            TRY(envelope_of_hash(v->block, r->request_hash, v->arena, &v->envelope, reterr));
            memcpy(v->request_hash, r->request_hash, 32);
        }
        if (v->envelope == NULL) {
            return err_fail(reterr, ERR_CORRUPT, "block %llu does not hold the request of record "
                            "%llu", (unsigned long long)r->height,
                            (unsigned long long)r->position);
        }
        memcpy(salt, v->envelope->body.salt, sizeof(salt));
        ret->on_behalf = v->envelope->body.on_behalf;
        memcpy(ret->request_id, v->envelope->body.request_id, sizeof(ret->request_id));
    }
    record_seal(salt, r->index, ret->seal);
    return err_ok();
}

err ledger_reveal(const struct ledger *l, uint64_t height, uint64_t position, struct arena *a,
                  struct ledger_revelation *ret, struct errtext *reterr)
{
    require(l != NULL);
    require(ret != NULL);
    struct bytes wire;
    struct revealing v = {.l = l, .arena = a};
    *ret = (struct ledger_revelation){0};
    TRY(load(l, FAMILY_BLOCKS, height, a, &wire, reterr));
    TRY(block_decode(wire, a, &v.block, reterr));
    ret->records = arena_try(a, REVEALED_MAX, sizeof(*ret->records));
    if (ret->records == NULL) {
        return no_room(reterr);
    }
    while (ret->count < REVEALED_MAX) {
        struct bytes value;
        err e = load(l, FAMILY_RECORDS, position + ret->count, a, &value, reterr);
        if (err_is(e, ERR_NOT_FOUND)) {
            break;
        }
        TRY(e);
        struct ledger_revealed *next = &ret->records[ret->count];
        struct ledger_record peek;
        if (!failed(record_read(value, &peek)) && peek.record.height != height) {
            break;
        }
        TRY(reveal_one(&v, value, next, reterr));
        ret->count++;
    }
    ret->block = wire;
    return err_ok();
}
