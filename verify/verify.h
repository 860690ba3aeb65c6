/* What receipts, statements and consistency proofs prove, checked from texts alone: no network, no
 * node, no state. Everything here may come from somebody who wants to deceive; the policy is what
 * the reader believes, and where it came from is the reader's affair (docs/VERIFYING.md).
 *
 *   policy   who the institutions are, and how many of them are enough (crypto/policy.h)
 *   head     size and root of the ledger's Merkle tree, cosigned by a quorum: the one thing signed
 *   receipt  a record and its path to a head
 *
 * Every function: any thread, one trust at a time. INVALID: not of this form, with the place.
 * DENIED: well-formed, and not proved; the reason names what does not hold. */
#ifndef VERIFY_VERIFY_H
#define VERIFY_VERIFY_H

#include "crypto/policy.h"
#include "crypto/statement.h"
#include "proto/envelope.h"
#include "proto/record.h"

/* Whom the reader believes. Opened by verify_trust, closed with verify_trust_done. */
struct verify_trust {
    struct arena arena;
    struct policy *policy;
    struct verifier *verifier;
    char seal[2 * SHA256_SIZE + 1]; /* SHA-256 of the sealed text in hex; "" without a seal */
};

/* Reads a policy. sealed: insist on the seal that a ledger's own policies carry. On failure nothing
 * is owned. text must outlive ret. */
err verify_trust(struct bytes text, bool sealed, struct verify_trust *ret,
                 struct errtext *reterr) ERR_MUST_USE;

/* Accepts an all-zero struct. */
void verify_trust_done(struct verify_trust *t);

/* A checkpoint that the policy's quorum has cosigned; views into the note. */
struct verify_head {
    struct checkpoint checkpoint;
    struct policy_voices voices;
};

/* Checks a signed note: every line must be a valid signature of a key of the policy. */
err verify_head(const struct verify_trust *t, struct bytes note, struct verify_head *ret,
                struct errtext *reterr) ERR_MUST_USE;

/* What a signed note claims, before anybody has checked a signature: hashes are cheaper to check
 * first. */
err verify_claimed(struct bytes note, struct checkpoint *ret, struct errtext *reterr) ERR_MUST_USE;

/* ---- receipts ---- */

struct verify_receipt {
    struct record record; /* contract: in the arena */
    struct verify_head head;
};

/* Checks that the record of a receipt stands in the ledger at its position. */
err verify_receipt(const struct verify_trust *t, struct bytes wire, struct arena *a,
                   struct verify_receipt *ret, struct errtext *reterr) ERR_MUST_USE;

/* What somebody says a record is about. Absent parts have NULL data. */
struct verify_claim {
    struct bytes envelope;                   /* the request as it was sent */
    const uint8_t (*keys)[SIGN_PUBLIC_SIZE]; /* public keys that must have signed it */
    size_t key_count;
    const uint8_t *salt; /* 32 bytes, of a timer's request; NULL: the envelope's */
    struct bytes outcome, effects, trace;
};

/* Checks a claim against a record that was proved. *ret_body is the request's (in the arena), NULL
 * without one. */
err verify_claim(const struct verify_trust *t, const struct record *r, const struct verify_claim *c,
                 struct arena *a, const struct envelope **ret_request,
                 struct errtext *reterr) ERR_MUST_USE;

/* ---- that nothing was rewritten ---- */

/* Checks that the tree of a consistency proof begins with the tree of an older checkpoint (a signed
 * note): both must be cosigned. */
err verify_consistency(const struct verify_trust *t, struct bytes wire, struct bytes old_note,
                       struct verify_head *ret_old, struct verify_head *ret_now,
                       struct errtext *reterr) ERR_MUST_USE;

/* ---- statements ---- */

struct verify_statement {
    struct bytes account; /* in the arena */
    struct verify_head head;
    uint64_t before;             /* postings before the first listed */
    uint64_t records, postings;  /* listed */
    struct record first, last;   /* without contract; of no meaning without records */
    bool has_opening;            /* the balances are known: there are postings, or none at all */
    int64_t opening, closing;    /* balance before the first and after the last posting */
    bool ended;                  /* end marks: nothing followed up to the head's size */
    struct policy_voices enders; /* who says so */
};

/* Called for each posting in order; number counts from 1 over the account's whole life. What it is
 * told is proved only when verify_statement has succeeded. */
struct verify_listing {
    void *ctx; /* the caller's */
    void (*on_posting)(void *ctx, uint64_t number, const struct record *r,
                       const struct account_posting *p);
};

/* Checks a statement; listing may be NULL. Cost: some 30 hashes a record. */
err verify_statement(const struct verify_trust *t, struct bytes wire,
                     const struct verify_listing *listing, struct arena *a,
                     struct verify_statement *ret, struct errtext *reterr) ERR_MUST_USE;

#endif
