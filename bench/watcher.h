/* Streams of records: how fast a node gives out what is recorded, and how far behind the present a
 * watcher is.
 *
 * Thread: one, that of the loop. */
#ifndef BENCH_WATCHER_H
#define BENCH_WATCHER_H

#include "base/err.h"
#include "bench/histogram.h"
#include "bench/options.h"
#include "net/loop.h"
#include "net/tls.h"

struct watched {
    uint64_t records, bytes; /* of all streams; bytes of messages */
    uint64_t took_ns;        /* from the first call to the last record */
    struct histogram behind; /* a record's arrival after its block's stamp, by this machine's clock;
                              * says something when the records are made meanwhile */
};

/* Opens options->clients streams, each on a connection of its own, and reads options->watch records
 * on each from position options->watch_from on, without a gap. CORRUPT: a position was left out or
 * came twice; IO, TIMEOUT: a stream ended or nothing came for long. */
err watcher_run(const struct options *options, struct loop *loop, struct tls_ctx *tls,
                struct watched *ret, struct errtext *reterr) ERR_MUST_USE;

#endif
