/* Makes what the load generator sends: signed requests of random transfers between accounts, by
 * the way any client goes: JSON arguments checked against the contract's text, a body, a signature.
 *
 * Thread: one. */
#ifndef BENCH_MAKER_H
#define BENCH_MAKER_H

#include "base/buf.h"
#include "base/err.h"
#include "bench/options.h"
#include "proto/envelope.h"

struct maker;

struct transfer {
    uint32_t debtor, creditor; /* numbers of accounts */
    uint32_t cents;
};

/* One request. The owner zeroes it, fills it any number of times, and ends with made_done. */
struct made {
    struct buf message; /* an encoded SubmitRequest */
    uint8_t request_id[REQUEST_ID_SIZE];
    struct transfer *transfers; /* owned; as many as events a request */
};

/* Reads and compiles the contract, reads the key. The maker keeps views of options' texts. IO,
 * NOT_FOUND, INVALID, DENIED, LIMIT with the reason. */
err maker_open(const struct options *options, struct maker **ret,
               struct errtext *reterr) ERR_MUST_USE;

/* Accepts NULL. */
void maker_free(struct maker *m);

/* A new request in the place of the last one. INVALID: the contract takes no such arguments. */
err maker_make(struct maker *m, struct made *ret, struct errtext *reterr) ERR_MUST_USE;

/* The question for the balance of an account, in the place of the last message. The account's
 * number is ret->transfers[0].debtor. */
void maker_ask(struct maker *m, struct made *ret);

/* Accepts an all-zero struct. */
void made_done(struct made *made);

/* Counts a transfer that the ledger accepted; index < events a request. */
void maker_accepted(struct maker *m, const struct made *made, size_t index);

/* Takes the answer to maker_ask: the first one of an account is kept as what it must hold; false: a
 * later one says something else. */
bool maker_told(struct maker *m, const struct made *made, int64_t cents);

/* The name of an account; text has MAKER_NAME_MAX bytes. */
enum { MAKER_NAME_MAX = 65 };
void maker_account(const struct maker *m, uint32_t number, char *ret_text);

/* What an account must hold now, in cents, if nothing was lost or doubled. */
int64_t maker_cents(const struct maker *m, uint32_t number);

/* A whole file of at most size_max bytes into ret, which the caller initialised. NOT_FOUND, IO,
 * LIMIT. */
err maker_read_file(const char *path, struct buf *ret, struct errtext *reterr) ERR_MUST_USE;

#endif
