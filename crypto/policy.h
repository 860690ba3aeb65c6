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
 * line counts always.
 *
 * A ledger seals the policy it writes with a last line "# sha256 HEX" over every byte before it, so
 * that a changed byte is noticed and two people can compare the policies that they hold by this
 * line. Who can write a policy can seal it: a seal is no signature. */
#ifndef CRYPTO_POLICY_H
#define CRYPTO_POLICY_H

#include "base/arena.h"
#include "crypto/checkpoint.h"
#include "crypto/note.h"

struct policy;

/* Appends the line of the seal to a whole policy. Any thread, as all of these. */
void policy_seal(struct buf *text);

/* Whether the text is sealed, and by its own seal. INVALID with the reason. */
err policy_sealed(struct bytes text, struct errtext *reterr) ERR_MUST_USE;

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

/* One signature line of a note, and whose it is. */
struct policy_voice {
    const struct note_key *key; /* the policy's */
    struct bytes group;         /* the witness's institution, or empty */
    uint64_t time_s;            /* of a cosignature, Unix seconds; else 0 */
    bool counts;                /* the key is valid at the checkpoint's size */
};

struct policy_voices {
    struct policy_voice list[NOTE_SIGNATURES_MAX];
    size_t count;
};

/* Like policy_check, and stricter than the specification: a line of a key that the policy does not
 * name is refused (DENIED), where others would pass over it, so that every byte of the note is
 * accounted for. */
err policy_check_every(const struct policy *p, const struct note *note, struct verifier *v,
                       struct checkpoint *ret, struct policy_voices *ret_voices,
                       struct errtext *reterr) ERR_MUST_USE;

/* The key of that name and id, of a witness or a log; NULL: the policy has none. ret_group may be
 * NULL; it is empty if the key is no member of a group. */
const struct note_key *policy_key(const struct policy *p, struct bytes name,
                                  const uint8_t id[NOTE_KEY_ID_SIZE], struct bytes *ret_group);

/* Whether the key counts at a tree size. */
bool policy_key_counts(const struct policy *p, const struct note_key *key, uint64_t size);

/* Whether these keys, which came from policy_key, are a quorum; any that do not count at that size
 * are passed over, and so are keys of logs. DENIED: reterr says who is missing. */
err policy_quorum(const struct policy *p, uint64_t size, const struct note_key *const keys[],
                  size_t count, struct errtext *reterr) ERR_MUST_USE;

#endif
