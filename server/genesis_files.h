/* The founding document on disk: read, decoded, and every signature under it verified. */
#ifndef SERVER_GENESIS_FILES_H
#define SERVER_GENESIS_FILES_H

#include "base/buf.h"
#include "proto/genesis.h"

/* Reads the genesis into ret (initialised, the caller's) and decodes it into the arena; a node
 * starts only with the signature of each founding institution. IO, NOT_FOUND, INVALID; DENIED: who
 * has not signed, or whose signature is false. */
err genesis_files_read(const char *genesis_path, const char *signatures_path, struct buf *ret,
                       struct arena *a, struct genesis **ret_genesis,
                       struct errtext *reterr) ERR_MUST_USE;

#endif
