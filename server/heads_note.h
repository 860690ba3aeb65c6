/* Signed heads as notes: pure. (Apart from heads.c because a checkpoint of the tree and one of the
 * state share their name.) */
#ifndef SERVER_HEADS_NOTE_H
#define SERVER_HEADS_NOTE_H

#include "crypto/merkle.h"
#include "crypto/note.h"

/* The keys under which a node signs: as the log, and as a witness. */
struct heads_key {
    uint64_t node;
    struct note_key log, witness;
};

/* Makes the keys of a node: names ORIGIN and ORIGIN/INSTITUTION/ID. INVALID: too long. */
struct heads_name {
    struct bytes origin, institution;
    uint64_t node;
};
err heads_key_make(const struct heads_name *name, const uint8_t public[SIGN_PUBLIC_SIZE],
                   struct heads_key *ret, struct errtext *reterr) ERR_MUST_USE;

/* Appends the text of a head: origin, size, root. */
void heads_text(struct bytes origin, const struct merkle_head *head, struct buf *ret);

/* Appends the note of a head with these signature lines. */
void heads_note(struct bytes origin, const struct merkle_head *head, struct bytes lines,
                struct buf *ret);

/* Signs a head as log and as witness: appends the two lines. */
void heads_sign(const struct heads_key *key, struct sign_key *private, struct bytes text,
                uint64_t time_s, struct buf *ret);

/* Reads a note that is a checkpoint of this log, of at least one record. The views live as long as
 * wire. Nothing is proved. */
bool heads_note_read(struct bytes origin, struct bytes wire, struct note *ret,
                     struct merkle_head *ret_head);

/* Whether this key has cosigned the note; then its lines (the log's too, if it stands there) are
 * appended to ret. FORGED: one of them is. */
enum note_verdict heads_lines_of(const struct note *note, const struct heads_key *key,
                                 struct verifier *v, struct buf *ret);

/* Whether a policy accepts the note, every line of it. INVALID, DENIED with the reason. */
err heads_accepted(struct bytes policy, struct bytes note, struct verifier *v,
                   struct errtext *reterr) ERR_MUST_USE;

#endif
