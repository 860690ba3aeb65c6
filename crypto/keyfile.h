/* Small files that hold keys and certificates. Private ones are mode 0600 from their first byte,
 * are never overwritten, and are refused when others could read them. */
#ifndef CRYPTO_KEYFILE_H
#define CRYPTO_KEYFILE_H

#include "base/buf.h"
#include "base/err.h"

/* Reads a private file into ret (initialised by the caller, who wipes and frees it with
 * keyfile_wipe). DENIED with the remedy when group or others have any access; NOT_FOUND; LIMIT
 * beyond ret's greatest size; IO. On failure ret is empty. */
err keyfile_read_secret(const char *path, struct buf *ret, struct errtext *reterr) ERR_MUST_USE;

/* Reads a public file likewise, whatever its mode. */
err keyfile_read_public(const char *path, struct buf *ret, struct errtext *reterr) ERR_MUST_USE;

/* Writes a new private file, mode 0600, synced with its directory. EXISTS when there is one
 * already (a key is not overwritten); IO, with nothing left behind. */
err keyfile_write_secret(const char *path, struct bytes content,
                         struct errtext *reterr) ERR_MUST_USE;

/* Writes or replaces a public file, mode 0644, in one step (temporary file, sync, rename). IO. */
err keyfile_write_public(const char *path, struct bytes content,
                         struct errtext *reterr) ERR_MUST_USE;

/* Wipes and frees the content. */
void keyfile_wipe(struct buf *b);

#endif
