/* The identity with which the load generator connects, and whom it accepts. */
#ifndef BENCH_CONNECT_H
#define BENCH_CONNECT_H

#include "base/err.h"
#include "bench/options.h"
#include "net/tls.h"

/* Reads certificates and key. The context, freed with tls_ctx_free, accepts the nodes of the
 * options' origin and keeps a view of that text. IO, NOT_FOUND, INVALID, DENIED with the reason. */
err connect_tls(const struct options *options, struct tls_ctx **ret,
                struct errtext *reterr) ERR_MUST_USE;

#endif
