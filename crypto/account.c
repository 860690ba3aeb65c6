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

/* A component of an account that is a plain text: printable ASCII up to 00 00. */
static bool take_text(struct bytes *rest, struct bytes *ret)
{
    for (size_t i = 0; i + 1 < rest->size; i++) {
        uint8_t c = rest->data[i];
        if (c == 0 && rest->data[i + 1] == 0 && i > 0) {
            *ret = bytes_of(rest->data, i);
            *rest = bytes_of(rest->data + i + 2, rest->size - i - 2);
            return true;
        }
        if (c < ' ' || c > '~') {
            return false;
        }
    }
    return false;
}

void account_print(struct bytes account, struct buf *ret)
{
    size_t contract = 0;
    while (contract < account.size && account.data[contract] > 1) {
        contract++;
    }
    size_t family = contract + 1;
    while (family < account.size && account.data[family] != 0) {
        family++;
    }
    if (family >= account.size) { /* it is no account's key */
        for (size_t i = 0; i < account.size; i++) {
            buf_printf(ret, "%02x", account.data[i]);
        }
        return;
    }
    buf_put(ret, account.data, contract);
    buf_put_u8(ret, '/');
    buf_put(ret, account.data + contract + 1, family - contract - 1);
    if (account.data[contract] == 1) {
        buf_put_text(ret, " (issued)");
    }
    struct bytes rest = bytes_of(account.data + family + 1, account.size - family - 1);
    for (const char *before = "["; rest.size > 0; before = ",") {
        struct bytes text;
        buf_put_text(ret, before);
        if (take_text(&rest, &text)) {
            buf_put_bytes(ret, text);
        } else {
            for (size_t i = 0; i < rest.size; i++) {
                buf_printf(ret, "%02x", rest.data[i]);
            }
            rest.size = 0;
        }
        if (rest.size == 0) {
            buf_put_u8(ret, ']');
        }
    }
}
