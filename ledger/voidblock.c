/* Committed entries that are no block of this ledger. A faulty or hostile leader can have anything
 * committed; every node then finds the same (docs/adr/0005-void-blocks.md): the entry takes no
 * height and has no effect, and is counted. */
#include "base/cursor.h"
#include "base/require.h"
#include "ledger/state.h"

enum { VOID_BLOCKS_VERSION = 1 };

/* Local: u8 version | u64 count | u64 Raft index of the last one. */
static void count_put(struct ledger *l, const struct ledger_void_blocks *v)
{
    buf_clear(&l->value);
    buf_put_u8(&l->value, VOID_BLOCKS_VERSION);
    buf_put_u64(&l->value, v->count);
    buf_put_u64(&l->value, v->last_index);
    kv_batch_put(l->batch, l->kv, FAMILY_LOCAL, bytes_text(VOID_BLOCKS_KEY), buf_bytes(&l->value));
}

err void_blocks_load(struct ledger *l, struct errtext *reterr)
{
    require(l != NULL);
    buf_clear(&l->value);
    err e = kv_get(l->kv, FAMILY_LOCAL, bytes_text(VOID_BLOCKS_KEY), &l->value, reterr);
    if (err_is(e, ERR_NOT_FOUND)) {
        l->void_blocks = (struct ledger_void_blocks){0};
        return err_ok();
    }
    TRY(e);
    struct cursor c = cursor_of(buf_bytes(&l->value));
    struct ledger_void_blocks v = {0};
    uint8_t version = cursor_u8(&c);
    v.count = cursor_u64(&c);
    v.last_index = cursor_u64(&c);
    if (!cursor_done(&c) || version != VOID_BLOCKS_VERSION) {
        return err_fail(reterr, ERR_CORRUPT, "the count of void blocks does not decode");
    }
    l->void_blocks = v;
    return err_ok();
}

bool ledger_apply_void(struct ledger *l, uint64_t raft_index)
{
    require(l != NULL);
    require(l->apply.phase == APPLY_IDLE);
    require(raft_index > l->applied_index);
    struct ledger_void_blocks v = {l->void_blocks.count + 1, raft_index};
    head_put(l, &l->head, raft_index);
    count_put(l, &v);
    if (failed(kv_commit(l->kv, l->batch, false, &l->failure))) {
        return false;
    }
    kv_batch_clear(l->batch);
    l->applied_index = raft_index;
    l->void_blocks = v;
    return true;
}

const char *ledger_failure(const struct ledger *l)
{
    require(l != NULL);
    return l->failure.text;
}

struct ledger_void_blocks ledger_void_blocks(const struct ledger *l)
{
    require(l != NULL);
    return l->void_blocks;
}
