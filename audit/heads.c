#include "audit/heads.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"
#include "crypto/checkpoint.h"
#include "crypto/note.h"

bool head_size(struct bytes wire, uint64_t *ret)
{
    struct note note;
    struct checkpoint checkpoint;
    require(ret != NULL);
    if (failed(note_parse(wire, &note, NULL)) ||
        failed(checkpoint_parse(note.text, &checkpoint, NULL))) {
        return false;
    }
    *ret = checkpoint.size;
    return true;
}

static err head_keep(struct heads *h, struct bytes note, struct errtext *reterr)
{
    uint64_t size = 0;
    if (!head_size(note, &size) || size <= h->newest) {
        return err_fail(reterr, ERR_CORRUPT, "the head after size %llu is none, or is not larger",
                        (unsigned long long)h->newest);
    }
    if (h->count == h->capacity) {
        h->capacity = h->capacity == 0 ? 64 : 2 * h->capacity;
        h->notes = mem_resize(h->notes, h->capacity, sizeof(*h->notes));
    }
    h->notes[h->count++] = bytes_of(mem_copy(note.data, note.size), note.size);
    h->newest = size;
    return err_ok();
}

err heads_read(struct source *s, struct heads *ret, struct errtext *reterr)
{
    struct buf note;
    err e = err_ok();
    require(s != NULL);
    buf_init(&note, NOTE_BYTES_MAX);
    while (!failed(e)) {
        buf_clear(&note);
        e = s->head(s, ret->newest + 1, &note, reterr);
        if (!failed(e)) {
            e = head_keep(ret, buf_bytes(&note), reterr);
        }
    }
    buf_done(&note);
    return err_is(e, ERR_NOT_FOUND) ? err_ok() : e;
}

void heads_done(struct heads *h)
{
    for (size_t i = 0; i < h->count; i++) {
        free((void *)(uintptr_t)h->notes[i].data);
    }
    free(h->notes);
    *h = (struct heads){0};
}
