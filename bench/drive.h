/* The closed loop of the load generator: every client has one connection and always as many
 * requests under way as it may; when one is answered the next is made, signed and sent.
 *
 *     slot:  make and sign -> send -> COMMITTED: counted, next
 *                               |  -> REFUSED for good: counted, next
 *                               '- -> no answer: the same bytes again, to the next address
 *
 * What is measured ends with the answer and begins before the request is made, so it holds the
 * client's own work and every repetition. With a rate the loop is open: requests fall due one after
 * the other, a free slot takes the next one, and its time begins when it was due, however late a
 * slot became free. Thread: one, that of the loop. */
#ifndef BENCH_DRIVE_H
#define BENCH_DRIVE_H

#include <stdio.h>

#include "base/err.h"
#include "bench/histogram.h"
#include "bench/maker.h"
#include "bench/options.h"
#include "net/loop.h"
#include "net/tls.h"

/* What happened so far. */
struct drive_counts {
    uint64_t requests, events; /* committed; events of them accepted */
    uint64_t rejected;         /* events that were committed with another end */
    uint64_t refused;          /* requests that will never be committed */
    uint64_t resent;           /* sendings after the first */
    uint64_t make_ns;          /* spent in making and signing */
    uint64_t gap_ns;           /* the longest time between two answers, since drive_measure */
};

struct drive;

struct drive_options {
    const struct options *options;
    struct loop *loop;
    struct tls_ctx *tls;
    struct maker *maker;
    FILE *acks; /* the id of every committed request, in hex, a line each; NULL: none */
};

/* Connects all clients and starts; everything given stays the caller's and outlives the drive.
 * INVALID: a malformed address, or a contract that takes no transfers. */
err drive_start(const struct drive_options *options, struct drive **ret,
                struct errtext *reterr) ERR_MUST_USE;

/* From now on committed requests are measured into the histogram, or no longer (NULL). */
void drive_measure(struct drive *d, struct histogram *h);

/* No request is made any more. */
void drive_stop(struct drive *d);

/* Requests without an answer yet. */
size_t drive_busy(const struct drive *d);

struct drive_counts drive_counts(const struct drive *d);

/* Why a request was last refused, an event last rejected or a sending last failed; "" if none. */
const char *drive_trouble(const struct drive *d);

/* Closes all; requests under way are forgotten. Accepts NULL. */
void drive_free(struct drive *d);

#endif
