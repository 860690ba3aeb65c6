/* A state database as a whole: its digest, and what it says of itself. */
#include "base/require.h"
#include "crypto/sha256.h"
#include "ledger/state.h"
#include "storage/kv.h"

static bool stopped(const atomic_bool *stop)
{
    return stop != NULL && atomic_load_explicit(stop, memory_order_relaxed);
}

static err family_add(struct kv *kv, size_t family, const atomic_bool *stop, struct sha256 *s,
                      struct errtext *reterr)
{
    struct kv_range range = {.family = family};
    struct kv_iter *it = kv_iter_open(kv, &range);
    struct bytes key;
    struct bytes value;
    while (!stopped(stop) && kv_iter_next(it, &key, &value)) {
        sha256_add_u32(s, (uint32_t)key.size);
        sha256_add_bytes(s, key);
        sha256_add_u32(s, (uint32_t)value.size);
        sha256_add_bytes(s, value);
    }
    TRY(kv_iter_close(it, reterr));
    return stopped(stop) ? err_fail(reterr, ERR_AGAIN, "this node stops") : err_ok();
}

static err digest_of(struct kv *kv, const atomic_bool *stop, uint8_t ret[32],
                     struct errtext *reterr)
{
    struct sha256 s;
    sha256_init(&s);
    for (size_t family = 0; family < FAMILIES_REPLICATED; family++) {
        TRY(family_add(kv, family, stop, &s, reterr));
    }
    sha256_end(&s, ret);
    return err_ok();
}

err ledger_state_digest(const struct ledger *l, uint8_t ret[32], struct errtext *reterr)
{
    require(l != NULL);
    require(ret != NULL);
    return digest_of(l->kv, NULL, ret, reterr);
}

err ledger_examine(struct kv *kv, struct ledger_facts *ret, struct errtext *reterr)
{
    return ledger_examine_until(kv, NULL, ret, reterr);
}

err ledger_examine_until(struct kv *kv, const atomic_bool *stop, struct ledger_facts *ret,
                         struct errtext *reterr)
{
    require(kv != NULL);
    require(ret != NULL);
    struct ledger_facts facts;
    struct buf genesis;
    TRY(head_read(kv, &facts.head, &facts.applied_index, reterr));
    buf_init(&genesis, GENESIS_BYTES_MAX);
    err e = kv_get(kv, FAMILY_META, bytes_text(GENESIS_KEY), &genesis, reterr);
    if (!failed(e)) {
        genesis_ledger_id(buf_bytes(&genesis), facts.ledger_id);
    }
    buf_done(&genesis);
    if (failed(e)) {
        return err_is(e, ERR_NOT_FOUND) ? err_fail(reterr, ERR_CORRUPT, "the state has no genesis")
                                        : e;
    }
    TRY(digest_of(kv, stop, facts.state_digest, reterr));
    *ret = facts;
    return err_ok();
}

err ledger_adopt(struct kv *kv, struct errtext *reterr)
{
    static const uint8_t LAST[9] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct kv_batch *b = kv_batch_new();
    for (size_t family = FAMILY_LOCAL + 1; family < FAMILIES_COUNT; family++) {
        /* their keys start with a position, so all of them are below */
        kv_batch_delete_range(b, kv, family, bytes_of(LAST, 0), bytes_of(LAST, sizeof(LAST)));
    }
    kv_batch_delete(b, kv, FAMILY_LOCAL, bytes_text(VOID_BLOCKS_KEY));
    err e = kv_commit(kv, b, true, reterr);
    kv_batch_free(b);
    return e;
}
