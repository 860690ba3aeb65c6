/* What a genesis must satisfy beyond its form. Internal to proto/. */
#ifndef PROTO_GENESIS_CHECK_H
#define PROTO_GENESIS_CHECK_H

#include "proto/genesis.h"

/* INVALID with the path of the first thing that is wrong; LIMIT if the arena has no room for the
 * working memory. */
err genesis_check(const struct genesis *g, struct arena *a, struct errtext *reterr) ERR_MUST_USE;

#endif
