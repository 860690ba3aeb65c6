/* Whom one believes (c2sp.org/tlog-policy): log keys, witnesses, groups of them, and the quorum
 * that must have signed a checkpoint. For a ledger an institution is a group of which any key is
 * enough, and the quorum is a majority of institutions.
 *
 *     log concordat.example/roquefort+c74f20a3+ARpc2Q...
 *     witness ville/1 concordat.example/roquefort/ville/1+5f1a9a3c+BMoE...
 *     group ville any ville/1
 *     group majority 2 ville enedis sigra
 *     quorum majority
 *     # valid concordat.example/roquefort/ville/1+5f1a9a3c+BMoE... 0 -
 *
 * The last line is a comment to others. Here it says from which tree size on, and below which, a
 * key counts: a rotated or revoked one does not count for what came after. A key without such a
 * line counts always. */
#ifndef CRYPTO_POLICY_H
#define CRYPTO_POLICY_H

#include "base/arena.h"
#include "crypto/checkpoint.h"
#include "crypto/note.h"

struct policy;

/* Reads a policy of at most POLICY_BYTES_MAX into the arena (1 MiB does). INVALID with the line and
 * the remedy, LIMIT. Any thread. */
err policy_parse(struct bytes text, struct arena *a, struct policy **ret,
                 struct errtext *reterr) ERR_MUST_USE;

/* Whether the note is a checkpoint of one of the logs that the quorum has cosigned: on success
 * *ret is what it says, with views into the note. INVALID: it is no checkpoint. DENIED: not signed
 * as the policy asks, or a signature of a known key is forged; reterr says who is missing. v is
 * used by one thread at a time. */
err policy_check(const struct policy *p, const struct note *note, struct verifier *v,
                 struct checkpoint *ret, struct errtext *reterr) ERR_MUST_USE;

#endif
