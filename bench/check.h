/* Asks the ledger again for requests that it acknowledged. */
#ifndef BENCH_CHECK_H
#define BENCH_CHECK_H

#include "base/err.h"
#include "bench/options.h"
#include "net/loop.h"
#include "net/tls.h"

struct check_counts {
    uint64_t asked, found, accepted; /* requests; found ones of which all events were accepted */
};

/* Asks the node at the first address for the outcome of every id in the file of options->check, one
 * after the other. On success *ret is filled, however many were missing; reterr then says what the
 * node said of the last missing one. IO, NOT_FOUND, INVALID (a line that is no id), TIMEOUT. */
err check_run(const struct options *options, struct loop *loop, struct tls_ctx *tls,
              struct check_counts *ret, struct errtext *reterr) ERR_MUST_USE;

#endif
