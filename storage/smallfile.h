/* A small file that is replaced as a whole: after a crash it is the old one or the new one. For
 * facts that a node must not forget and seldom changes. Loop thread; a write costs two syncs. */
#ifndef STORAGE_SMALLFILE_H
#define STORAGE_SMALLFILE_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "storage/fileops.h"

/* Appends the content to ret (the caller's). NOT_FOUND: there is no such file. LIMIT: larger than
 * ret may grow. IO. */
err smallfile_read(const struct fileops *files, const char *path, struct buf *ret,
                   struct errtext *reterr) ERR_MUST_USE;

/* Replaces dir/name, durably. FULL, IO: then it is as before, or the new one. */
err smallfile_write(const struct fileops *files, const char *dir, const char *name,
                    struct bytes content, struct errtext *reterr) ERR_MUST_USE;

#endif
