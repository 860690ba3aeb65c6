/* A ledger as a directory that needs no server (docs/formats/export.md): tiles and bundles of
 * records as c2sp.org/tlog-tiles has them, blocks, contracts, policy, cosigned heads, and a page
 * that a browser opens from disk. Everything but the heads is a function of the ledger, so the same
 * code writes a directory and checks one (audit/sink.h). */
#ifndef AUDIT_EXPORT_H
#define AUDIT_EXPORT_H

#include "audit/sink.h"
#include "ledger/ledger.h"

struct export_input {
    struct ledger *ledger; /* at the newest head: its size is the number of records */
    struct bytes genesis, signatures;
    struct bytes checkpoint;   /* the newest head, a note */
    const struct bytes *heads; /* all that are kept, ascending */
    size_t head_count;
    void (*progress)(void *ctx, uint64_t height); /* now and then; may be NULL */
    void *ctx;
};

/* Writes or compares everything. Comparing, the sink's finding tells the first difference. The
 * errors are those of the sink and of the ledger's database; CONFLICT: the checkpoint is not of the
 * ledger's size. Cost: each block and record once; memory: one block, and a buffer a shard. */
err export_run(const struct export_input *in, struct sink *sink,
               struct errtext *reterr) ERR_MUST_USE;

#endif
