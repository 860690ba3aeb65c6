/* Where an export goes: into files, or against files. An exported directory is a function of the
 * ledger, so the code that writes it is also the one that checks it: each byte is either written or
 * compared with the one that stands there. One thread. */
#ifndef AUDIT_SINK_H
#define AUDIT_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "audit/layout.h"
#include "audit/replay.h"
#include "base/buf.h"
#include "base/err.h"

struct sink {
    const char *dir;
    bool compare;
    struct finding finding; /* comparing: the first difference */
    uint64_t position;      /* of the record that is being exported, for a finding */
    bool has_position;
    uint64_t files, bytes;
};

/* A file that grows piece by piece. */
struct sink_file {
    char path[LAYOUT_PATH_MAX];
    uint64_t written; /* bytes that have left the buffer */
    struct buf buffer;
};

/* Sets the sink up; writing, dir must exist and hold nothing yet. */
void sink_init(struct sink *s, const char *dir, bool compare);

/* Names the file; nothing is opened. The caller ends it with sink_close, or frees it with
 * sink_drop. */
void sink_begin(struct sink_file *f, const char *path);

/* Appends. IO, FULL. A difference is a finding; what follows it is not looked at. */
err sink_put(struct sink *s, struct sink_file *f, struct bytes bytes,
             struct errtext *reterr) ERR_MUST_USE;

/* Writes or compares the rest; comparing, the file must end here. */
err sink_close(struct sink *s, struct sink_file *f, struct errtext *reterr) ERR_MUST_USE;

/* Frees what a file that was begun holds. */
void sink_drop(struct sink_file *f);

/* A whole file. */
err sink_write(struct sink *s, const char *path, struct bytes content,
               struct errtext *reterr) ERR_MUST_USE;

/* Makes all that was written durable: once, since an export has thousands of files. */
err sink_sync(struct sink *s, struct errtext *reterr) ERR_MUST_USE;

#endif
