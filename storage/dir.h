/* Directories of a node: made, measured, made durable, removed. Any thread. */
#ifndef STORAGE_DIR_H
#define STORAGE_DIR_H

#include <stdint.h>

#include "base/err.h"

/* Makes a directory and its missing parents with mode 0700; one that is there is fine. IO. */
err dir_make(const char *path, struct errtext *reterr) ERR_MUST_USE;

/* Bytes that an unprivileged process may still write on the file system of path. IO. */
err dir_free_bytes(const char *path, uint64_t *ret_bytes, struct errtext *reterr) ERR_MUST_USE;

/* Makes creations, renames and removals inside path durable. IO. */
err dir_sync(const char *path, struct errtext *reterr) ERR_MUST_USE;

/* Removes a directory with everything in it; links are removed, not followed. One that is not
 * there is fine. IO. */
err dir_remove(const char *path, struct errtext *reterr) ERR_MUST_USE;

#endif
