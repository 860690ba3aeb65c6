/* The small ledger of tests/golden/receipts, written with the product's own writers: 13 records,
 * four accounts, three institutions of which ville has two nodes and sigra an old key. */
#ifndef TESTS_UNIT_VERIFY_SAMPLE_H
#define TESTS_UNIT_VERIFY_SAMPLE_H

#include "crypto/account.h"
#include "crypto/merkle.h"
#include "crypto/note.h"
#include "proto/record.h"
#include "verify/verify.h"

enum {
    SAMPLE_SIZE = 13,
    SAMPLE_OLD = 6,
    SAMPLE_NODES = 5,
    SAMPLE_ACCOUNTS = 4,
    SAMPLE_POSTINGS = 16,
    SAMPLE_TEXT_MAX = 64 << 10,
};

/* Accounts, by number. */
enum { SAMPLE_A, SAMPLE_B, SAMPLE_FUND, SAMPLE_NOBODY };

/* Nodes, by number: ville/1, enedis/2, sigra/3, ville/4, sigra/3 with its key until size 5. */
enum { SAMPLE_VILLE, SAMPLE_ENEDIS, SAMPLE_SIGRA, SAMPLE_VILLE_2, SAMPLE_SIGRA_OLD };

struct sample_account {
    struct bytes name;
    struct account_head head;
    int64_t balance;
    struct account_posting postings[SAMPLE_POSTINGS];
    struct account_head heads[SAMPLE_POSTINGS]; /* after each posting */
    size_t count;
};

struct sample {
    struct sign_key *keys[SAMPLE_NODES];
    struct note_key logs[SAMPLE_NODES], witnesses[SAMPLE_NODES];
    struct sign_key *signer;
    uint8_t ledger_id[32];
    struct sample_account accounts[SAMPLE_ACCOUNTS];
    struct buf records[SAMPLE_SIZE];
    struct merkle_hash leaves[SAMPLE_SIZE];
    struct merkle_hash touched[SAMPLE_SIZE][SAMPLE_ACCOUNTS]; /* leaves of accounts_root */
    size_t touched_count[SAMPLE_SIZE];
    struct buf request;
};

void sample_make(struct sample *s);
void sample_done(struct sample *s);

void sample_policy(const struct sample *s, struct buf *ret);

/* A checkpoint at a size that these nodes have signed, as log and as witness. */
struct sample_signers {
    const int *nodes;
    size_t count;
    uint64_t time_s; /* of the first; one more for each */
};
void sample_note(const struct sample *s, uint64_t size, const struct sample_signers *by,
                 struct buf *ret);

/* The receipt of record `index`, under that note. */
void sample_receipt(const struct sample *s, size_t index, struct bytes note, struct buf *ret);

/* An entry of a statement; hold owns its postings. */
struct sample_hold {
    struct account_posting postings[SAMPLE_POSTINGS];
};
void sample_entry(const struct sample *s, int account, size_t position, struct sample_hold *hold,
                  struct statement_entry *ret);

/* The chain of an account before a position. */
struct account_head sample_before(const struct sample *s, int account, size_t position);

/* End marks of these nodes over that head, sorted as they must be. */
size_t sample_marks(const struct sample *s, int account, const struct account_head *head,
                    const struct sample_signers *by,
                    struct statement_mark ret[STATEMENT_MARKS_MAX]);

/* The whole statement of an account over records `first` to `last`. */
struct sample_range {
    int account;
    size_t first, last;
    bool marked; /* by ville and enedis */
};
void sample_statement(const struct sample *s, const struct sample_range *range, struct bytes note,
                      struct buf *ret);

/* The consistency proof from SAMPLE_OLD. */
void sample_consistency(const struct sample *s, struct bytes note, struct buf *ret);

/* A file of tests/golden/receipts; the caller frees it with buf_done. */
void sample_golden(const char *name, struct buf *ret);

#endif
