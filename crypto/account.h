/* What an account's history is hashed to, so that nothing can be left out of it unseen:
 *
 *   chain     head_n = SHA-256("concordat/posting/v1\n" || head_{n-1} || u64 n || u64 position ||
 *             u32 ordinal || i64 quanta || i64 balance after || other account), from 32 zero bytes
 *   leaf      RFC 6962 leaf hash of (sized account, u64 n, head_n), under a record's accounts_root
 *   end mark  "concordat/account/v1\n" || ledger_id || u64 tree size || sized account || u64 n ||
 *             head_n: what nodes sign to say that nothing followed before that size
 *
 * Any thread. */
#ifndef CRYPTO_ACCOUNT_H
#define CRYPTO_ACCOUNT_H

#include "base/buf.h"
#include "crypto/merkle.h"

#define ACCOUNT_POSTING_TAG "concordat/posting/v1\n"
#define ACCOUNT_MARK_TAG "concordat/account/v1\n"

/* One posting, as the account sees it. */
struct account_posting {
    uint64_t position;    /* of its record */
    uint32_t ordinal;     /* among the record's postings; both sides have the same */
    int64_t quanta;       /* negative: debited */
    int64_t balance;      /* after it */
    struct bytes counter; /* the other account */
};

/* How far a chain has come. */
struct account_head {
    uint64_t count; /* postings */
    uint8_t chain[32];
};

/* Adds a posting. */
void account_chain_add(struct account_head *head, const struct account_posting *p);

/* The account's leaf as it stands. */
void account_leaf(struct bytes account, const struct account_head *head, struct merkle_hash *ret);

/* Appends the bytes that an end mark's signature is over. */
void account_mark_put(const uint8_t ledger_id[32], uint64_t size, struct bytes account,
                      const struct account_head *head, struct buf *ret);

/* Appends "contract/family[key,key]" for people; keys that are no plain text as hexadecimal
 * digits, and so the whole of what is no account. Up to three times as long as the account. */
void account_print(struct bytes account, struct buf *ret);

#endif
