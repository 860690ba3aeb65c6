/* The statement of an account as one text that proves itself complete, in the manner of the C2SP
 * formats beside it:
 *
 *     concordat/statement/v1
 *     account BASE64                  contract 00 family 00 components
 *     before COUNT BASE64             postings and chain head before the first record
 *     record BASE64                   for each record that touched the account, ascending:
 *     BASE64                            its inclusion path, from the leaf's sibling up
 *     left BASE64                       the account's leaf up to the record's accounts_root: each
 *     right BASE64                      sibling, and on which side it stands
 *     posting ORDINAL QUANTA BALANCE BASE64   each posting of the account in it; the other account
 *     end BASE64                      ledger_id, when end marks follow:
 *     mark NAME BASE64                  key id and signature of a witness, ascending by name
 *                                     an empty line
 *     checkpoint                      a signed note (crypto/note.h, crypto/checkpoint.h)
 *
 * There is one way to write a statement, and no byte in it that is not proved: numbers that follow
 * from others (of a posting, of a position, the count of an accounts_root) do not stand in it.
 * This file knows the form; verify/statement.h what it proves. */
#ifndef CRYPTO_STATEMENT_H
#define CRYPTO_STATEMENT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "crypto/account.h"
#include "crypto/note.h"

/* A sibling on the way up, and its side. */
struct statement_step {
    struct merkle_hash hash;
    bool left;
};

/* One record and what it did to the account. When read: positions of postings are 0 (the record
 * has it), and everything lives as long as the arena it was read into. */
struct statement_entry {
    struct bytes record;
    struct merkle_hash path[MERKLE_DEPTH_MAX]; /* of the record, at the checkpoint's size */
    size_t path_count;
    struct statement_step steps[MERKLE_DEPTH_MAX]; /* of the account's leaf */
    size_t step_count;
    const struct account_posting *postings; /* at least one */
    size_t posting_count;
};

/* Who says that nothing followed. */
struct statement_mark {
    struct bytes name;
    uint8_t id[NOTE_KEY_ID_SIZE];
    uint8_t signature[SIGN_SIGNATURE_SIZE];
};

/* ---- writing: the pieces in this order; any thread ---- */

/* Everything before the first record. */
void statement_put_head(struct bytes account, const struct account_head *before, struct buf *ret);

/* One record; at least one posting, in the order of the chain. */
void statement_put_entry(const struct statement_entry *e, struct buf *ret);

/* The end marks, sorted by name, at most STATEMENT_MARKS_MAX; nothing without marks. Then comes
 * the checkpoint: statement_put_note. */
void statement_put_end(const uint8_t ledger_id[32], const struct statement_mark marks[],
                       size_t count, struct buf *ret);

/* The empty line and the checkpoint. */
void statement_put_note(struct bytes note, struct buf *ret);

/* Turns an inclusion path of RFC 6962 (leaf index of size leaves) into siblings with sides, for
 * statement_entry.steps. False: the path has another length than this leaf's. */
bool statement_steps(uint64_t index, uint64_t size, const struct merkle_hash path[], size_t count,
                     struct statement_step ret[MERKLE_DEPTH_MAX]);

/* The root that follows from a leaf and its steps. */
void statement_climb(const struct merkle_hash *leaf, const struct statement_step steps[],
                     size_t count, struct merkle_hash *ret);

/* ---- reading, piece by piece: a statement may be larger than memory for all its parts ---- */

struct statement_reader {
    struct bytes rest; /* lines not read yet */
    size_t line;       /* number of the last one read */
    struct bytes note; /* the checkpoint with its signatures */
};

/* Opens a text of at most STATEMENT_BYTES_MAX and reads up to the first record; account is in the
 * arena. wire must outlive the reader. INVALID with the line, LIMIT. Any thread, as all of these.
 */
err statement_open(struct bytes wire, struct arena *a, struct statement_reader *ret,
                   struct bytes *ret_account, struct account_head *ret_before,
                   struct errtext *reterr) ERR_MUST_USE;

/* Reads the next record into the arena, of which STATEMENT_ENTRY_ARENA_MAX may be needed; false in
 * *ret_more when there is none. INVALID with the line, LIMIT. */
err statement_next(struct statement_reader *r, struct arena *a, struct statement_entry *ret,
                   bool *ret_more, struct errtext *reterr) ERR_MUST_USE;

struct statement_end {
    uint8_t ledger_id[32];                            /* zeros without marks */
    struct statement_mark marks[STATEMENT_MARKS_MAX]; /* views into the text */
    size_t mark_count;
};

/* Reads the end marks, after the last record. INVALID with the line, LIMIT. */
err statement_close(struct statement_reader *r, struct statement_end *ret,
                    struct errtext *reterr) ERR_MUST_USE;

#endif
