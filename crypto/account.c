#include "crypto/account.h"

#include "base/require.h"
#include "crypto/sha256.h"

void account_chain_add(struct account_head *head, const struct account_posting *p)
{
    struct sha256 s;
    require(head->count < UINT64_MAX);
    head->count++;
    sha256_init(&s);
    sha256_add_bytes(&s, bytes_text(ACCOUNT_POSTING_TAG));
    sha256_add(&s, head->chain, sizeof head->chain);
    sha256_add_u64(&s, head->count);
    sha256_add_u64(&s, p->position);
    sha256_add_u32(&s, p->ordinal);
    sha256_add_u64(&s, (uint64_t)p->quanta);
    sha256_add_u64(&s, (uint64_t)p->balance);
    sha256_add_bytes(&s, p->counter);
    sha256_end(&s, head->chain);
}

void account_leaf(struct bytes account, const struct account_head *head, struct merkle_hash *ret)
{
    struct sha256 s;
    require(account.size <= UINT32_MAX);
    sha256_init(&s);
    sha256_add(&s, "\x00", 1); /* a leaf: RFC 6962 section 2.1 */
    sha256_add_u32(&s, (uint32_t)account.size);
    sha256_add_bytes(&s, account);
    sha256_add_u64(&s, head->count);
    sha256_add(&s, head->chain, sizeof head->chain);
    sha256_end(&s, ret->bytes);
}

void account_mark_put(const uint8_t ledger_id[32], uint64_t size, struct bytes account,
                      const struct account_head *head, struct buf *ret)
{
    require(ledger_id != NULL);
    buf_put_text(ret, ACCOUNT_MARK_TAG);
    buf_put(ret, ledger_id, 32);
    buf_put_u64(ret, size);
    buf_put_sized(ret, account);
    buf_put_u64(ret, head->count);
    buf_put(ret, head->chain, sizeof head->chain);
}
