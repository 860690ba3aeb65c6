/* Small files as a whole, and flat directories of files: read, replaced, moved, cloned, removed,
 * each durable on return. For what a node keeps beside its log and its state: checkpoints.
 *
 * A directory here holds files only (a state database is one). A step that is interrupted by a
 * crash has happened or not; nobody sees half of tree_replace or tree_move. Errors: FULL for "no
 * space" and "over quota", else IO; reterr says what failed with which path. Any thread. */
#ifndef STORAGE_TREE_H
#define STORAGE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"
#include "storage/fileops.h"

struct tree_name {
    char text[TREE_NAME_BYTES_MAX + 1];
};

struct tree_names {
    struct tree_name *list; /* owned */
    size_t count;
};

/* Is there anything at path? */
err tree_exists(const struct fileops *ops, const char *path, bool *ret,
                struct errtext *reterr) ERR_MUST_USE;

/* Reads a whole file of at most size_max bytes into ret (initialised by the caller with at least
 * that limit, cleared first). NOT_FOUND, LIMIT. */
err tree_read(const struct fileops *ops, const char *path, size_t size_max, struct buf *ret,
              struct errtext *reterr) ERR_MUST_USE;

/* Size of a file. NOT_FOUND. */
err tree_size(const struct fileops *ops, const char *path, uint64_t *ret,
              struct errtext *reterr) ERR_MUST_USE;

/* Writes dir/name as a whole: beside it, synced, renamed, the directory synced. */
err tree_replace(const struct fileops *ops, const char *dir, const char *name, struct bytes content,
                 struct errtext *reterr) ERR_MUST_USE;

/* The names in dir, ascending by octets; the caller frees them with tree_names_done. LIMIT: more
 * than TREE_FILES_MAX, or a name over TREE_NAME_BYTES_MAX. NOT_FOUND. */
err tree_list(const struct fileops *ops, const char *dir, struct tree_names *ret,
              struct errtext *reterr) ERR_MUST_USE;
void tree_names_done(struct tree_names *names); /* accepts an all-zero struct */

/* Makes one directory; one that is there is fine. Its parent is synced. */
err tree_make(const struct fileops *ops, const char *dir, struct errtext *reterr) ERR_MUST_USE;

/* Syncs every file of dir, then dir. */
err tree_sync(const struct fileops *ops, const char *dir, struct errtext *reterr) ERR_MUST_USE;

/* Removes one file; one that is not there is fine. Not synced: what forgets it is the caller's. */
err tree_unlink(const struct fileops *ops, const char *path, struct errtext *reterr) ERR_MUST_USE;

/* Removes dir with its files and, before, its one subdirectory `sub` (NULL: none). One that is not
 * there is fine. The parent is synced. */
err tree_remove(const struct fileops *ops, const char *dir, const char *sub,
                struct errtext *reterr) ERR_MUST_USE;

/* Renames a file or directory; both parents are synced. */
err tree_move(const struct fileops *ops, const char *from, const char *to,
              struct errtext *reterr) ERR_MUST_USE;

/* Makes dir `to` (which must not exist, or be empty) with the files of `from`. Table files (*.sst)
 * never change and are linked; the others are copied. Synced. */
err tree_clone(const struct fileops *ops, const char *from, const char *to,
               struct errtext *reterr) ERR_MUST_USE;

#endif
