/* The long work on checkpoints: whole files, whole databases, directories. No node, no loop: paths
 * and bytes in, facts out, each step durable on return. Any thread; one at a time for a directory.
 *
 * Paths are those of server/checkpoint.h below a data directory. */
#ifndef SERVER_CHECKPOINT_WORK_H
#define SERVER_CHECKPOINT_WORK_H

#include <stdatomic.h>

#include "consensus/consensus.h"
#include "server/manifest.h"
#include "storage/fileops.h"

struct checkpoint_paths {
    const struct fileops *files;
    const char *data; /* the data directory; must exist */
    const atomic_bool
        *stop; /* true: hashing and reading through end soon with AGAIN; NULL: never */
};

enum { CHECKPOINT_PATH_BYTES = 4096 };
struct checkpoint_path {
    char text[CHECKPOINT_PATH_BYTES];
};
/* data/NAME, data/NAME/SUB. */
struct checkpoint_path checkpoint_path(const struct checkpoint_paths *p, const char *name,
                                       const char *sub);
/* data/checkpoints/INDEX, .../SUB. */
struct checkpoint_path checkpoint_dir(const struct checkpoint_paths *p, uint64_t index,
                                      const char *sub);

/* Makes room for a copy of the state at data/checkpoints/new/state, which does not exist then. */
err work_clear_new(const struct checkpoint_paths *p, struct errtext *reterr) ERR_MUST_USE;

/* The copy in data/checkpoints/new/state was made at this mark: reads it through, hashes its files,
 * writes its manifest and gives the directory its name. The manifest is the caller's. The hash of a
 * table file is taken from `before` if it is there: the manifest of an earlier copy of the same
 * store, opened once for both, or NULL. A table never changes and its name is never given again;
 * that it can be read is found by reading it through. CONFLICT: the copy is of another index. */
err work_finish(const struct checkpoint_paths *p, const struct consensus_mark *mark,
                const struct manifest *before, struct manifest **ret,
                struct errtext *reterr) ERR_MUST_USE;

/* Reads the manifest of a directory (checkpoints/INDEX, staging, install). NOT_FOUND. */
err work_manifest(const struct checkpoint_paths *p, const char *dir, struct manifest **ret,
                  struct errtext *reterr) ERR_MUST_USE;

/* Are all files there with their sizes? */
err work_whole(const struct checkpoint_paths *p, const char *dir, const struct manifest *m,
               bool *ret, struct errtext *reterr) ERR_MUST_USE;

/* Prepares data/staging for this manifest: if `resume`, what is there was fetched for it; else it
 * is emptied and the manifest written. ret_have[i]: bytes of file i that are there, at most its
 * size.
 */
err work_stage(const struct checkpoint_paths *p, const struct manifest *m, bool resume,
               uint64_t *ret_have, struct errtext *reterr) ERR_MUST_USE;

/* Checks the hash of every file in DIR/state, syncs them, and reads the database through.
 * *ret_damaged: files with another hash; they are removed, ret_have[i] becomes 0 (NULL: nothing is
 * removed), and the database is not read. CONFLICT: the files are sound, and are not the state that
 * the manifest's id names. */
err work_verify(const struct checkpoint_paths *p, const char *dir, const struct manifest *m,
                uint64_t *ret_have, uint32_t *ret_damaged, struct errtext *reterr) ERR_MUST_USE;

/* data/staging, verified, becomes data/install. */
err work_ready(const struct checkpoint_paths *p, struct errtext *reterr) ERR_MUST_USE;

/* Opens a state that came from another node once, and forgets what was that node's own: it is not
 * covered by the state digest, so it is nobody's word but the sender's. */
err work_adopt(const char *state, struct errtext *reterr) ERR_MUST_USE;

/* Finishes an install of that index if data/install is for it: keeps a copy of it as a checkpoint,
 * switches data/state to it, adopts it (work_adopt; tests with other files: another function),
 * removes what is left over. *ret_switched: there was something to do.
 * May be interrupted anywhere and called again. data/state must not be open. */
err work_install(const struct checkpoint_paths *p, uint64_t index,
                 err (*adopt)(const char *state, struct errtext *reterr), bool *ret_switched,
                 struct errtext *reterr) ERR_MUST_USE;

/* Puts the newest checkpoint from index_min to index_max whose files are all sound in the place of
 * data/state, which is kept as data/state.damaged. NOT_FOUND: there is none; nothing was changed.
 * Cost: reads the whole checkpoint. data/state must not be open. */
err work_restore(const struct checkpoint_paths *p, uint64_t index_min, uint64_t index_max,
                 uint64_t *ret_index, struct errtext *reterr) ERR_MUST_USE;

/* Moves data/state to data/state.damaged, which is replaced. data/state must not be open. */
err work_set_aside(const struct checkpoint_paths *p, struct errtext *reterr) ERR_MUST_USE;

/* Removes the files of a checkpoint; its manifest stays. */
err work_drop_files(const struct checkpoint_paths *p, uint64_t index,
                    struct errtext *reterr) ERR_MUST_USE;

/* Removes all of a checkpoint. */
err work_drop(const struct checkpoint_paths *p, uint64_t index,
              struct errtext *reterr) ERR_MUST_USE;

/* The indexes of the checkpoints with a manifest, descending, at most `most`; others, and what a
 * crash left half-made, are removed. */
err work_list(const struct checkpoint_paths *p, uint64_t *ret, size_t most, size_t *ret_count,
              struct errtext *reterr) ERR_MUST_USE;

#endif
