/* Signed notes (c2sp.org/signed-note) with the two kinds of signature that a ledger uses:
 *
 *   ED25519      over the text, by the log itself: key name = origin
 *   COSIGNATURE  over "cosignature/v1\ntime T\n" and the text (c2sp.org/tlog-cosignature): what a
 *                witness says it has seen at T, Unix seconds
 *
 *     example.org/ledger                    \
 *     20852163                               > text, ends in a newline
 *     CsUYapGGPo4dkMgIAUqom/Xajj7h2f...     /
 *                                             the last empty line
 *     — example.org/ledger Az3grlgtzPICa5...  signature lines: name, base64(key id, signature)
 *
 * Reading is stricter than the specification where that costs nothing: base64 must be the one
 * canonical form, a line may not stand there twice, and NOTE_SIGNATURES_MAX lines are enough. */
#ifndef CRYPTO_NOTE_H
#define CRYPTO_NOTE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/limits.h"
#include "crypto/verifier.h"

enum note_kind { /* signature types of the specification; part of the key id */
                 NOTE_ED25519 = 0x01,
                 NOTE_COSIGNATURE = 0x04,
};

enum {
    NOTE_KEY_ID_SIZE = 4,
    NOTE_TIME_SIZE = 8, /* before a cosignature's signature: u64 Unix seconds */
    NOTE_BLOB_MAX = NOTE_TIME_SIZE + SIGN_SIGNATURE_SIZE,
};

/* Who signs notes: a public key under a name, for one kind of signature. */
struct note_key {
    enum note_kind kind;
    char name[NOTE_NAME_BYTES_MAX + 1];
    uint8_t public[SIGN_PUBLIC_SIZE];
    uint8_t id[NOTE_KEY_ID_SIZE];
};

struct note_signature {
    struct bytes name;
    uint8_t id[NOTE_KEY_ID_SIZE];
    uint8_t blob[NOTE_BLOB_MAX]; /* what follows the id */
    size_t blob_size;            /* of another size than ours: zero, it can be nobody's we know */
};

/* A note that was read; views into its bytes. Nothing in it is proved before note_signed_by. */
struct note {
    struct bytes text; /* with its last newline */
    struct note_signature signatures[NOTE_SIGNATURES_MAX];
    size_t signature_count;
};

/* A key under a name. INVALID: the name is empty, too long, or has a space, a plus, a control
 * character or bytes that are no ASCII. Any thread, as all of these. */
err note_key_make(enum note_kind kind, const char *name, const uint8_t public[SIGN_PUBLIC_SIZE],
                  struct note_key *ret, struct errtext *reterr) ERR_MUST_USE;

/* Reads "name+hex(id)+base64(kind, public)", the vkey form. INVALID with the reason, also when the
 * id is not the one that follows from the rest. UNSUPPORTED: another kind of signature. */
err note_key_parse(struct bytes text, struct note_key *ret, struct errtext *reterr) ERR_MUST_USE;

/* Appends the vkey form, without newline. */
void note_key_print(const struct note_key *key, struct buf *ret);

/* Reads a note of at most NOTE_BYTES_MAX. The views live as long as wire. INVALID, LIMIT. */
err note_parse(struct bytes wire, struct note *ret, struct errtext *reterr) ERR_MUST_USE;

enum note_verdict {
    NOTE_NOT_SIGNED, /* no line of this name and key id */
    NOTE_FORGED,     /* there is one, and it does not verify: reject the whole note */
    NOTE_SIGNED,
};

/* What the note says of a key. SIGNED writes the time of a cosignature to *ret_time_s (may be NULL;
 * 0 for the other kind). v: used by one thread at a time. */
enum note_verdict note_signed_by(const struct note *note, const struct note_key *key,
                                 struct verifier *v, uint64_t *ret_time_s);

/* Appends the line of a signature that was read: the same bytes, for there is one form only. */
void note_signature_print(const struct note_signature *s, struct buf *ret);

/* Appends one signature line over the text (which ends in a newline) to ret. time_s is used by
 * COSIGNATURE only and is below 2^63. The private key must be key's; it belongs to the caller. */
void note_sign(const struct note_key *key, struct sign_key *private, struct bytes text,
               uint64_t time_s, struct buf *ret);

#endif
