#include "server/evidence.h"

#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/cursor.h"
#include "base/require.h"
#include "storage/smallfile.h"

enum { EVIDENCE_VERSION = 1, PATH_BYTES_MAX = 4096 };
static const char FILE_NAME[] = "evidence";

struct evidence *evidence_of(struct evidence_list *l, uint64_t node)
{
    for (size_t i = 0; i < l->count; i++) {
        if (l->items[i].node == node) {
            return &l->items[i];
        }
    }
    return NULL;
}

struct evidence *evidence_place(struct evidence_list *l, uint64_t node, bool two_faced)
{
    struct evidence *old = evidence_of(l, node);
    require(node != 0);
    if (old != NULL) {
        return two_faced && !old->two_faced ? old : NULL;
    }
    return l->count < EVIDENCE_MAX ? &l->items[l->count++] : NULL;
}

void evidence_encode(const struct evidence_list *l, struct buf *ret)
{
    size_t start = ret->size;
    require(l->count <= EVIDENCE_MAX);
    buf_put_u8(ret, EVIDENCE_VERSION);
    buf_put_u8(ret, (uint8_t)l->count);
    for (size_t i = 0; i < l->count; i++) {
        const struct evidence *e = &l->items[i];
        buf_put_u64(ret, e->node);
        buf_put_u8(ret, e->two_faced);
        buf_put_u64(ret, e->since_ns);
        buf_put_u64(ret, e->position);
        buf_put_sized(ret, bytes_of(e->notes[0], e->sizes[0]));
        buf_put_sized(ret, bytes_of(e->notes[1], e->sizes[1]));
    }
    if (!ret->overflow) {
        buf_put_u32(ret, crc32c(0, ret->data + start, ret->size - start));
    }
}

static bool decode_one(struct cursor *c, struct evidence *ret)
{
    ret->node = cursor_u64(c);
    uint8_t two_faced = cursor_u8(c);
    ret->two_faced = two_faced == 1;
    ret->since_ns = cursor_u64(c);
    ret->position = cursor_u64(c);
    for (size_t i = 0; i < 2; i++) {
        struct bytes note = cursor_sized(c, HEAD_NOTE_BYTES_MAX);
        ret->sizes[i] = note.size;
        if (note.size > 0) {
            memcpy(ret->notes[i], note.data, note.size);
        }
    }
    return cursor_ok(c) && ret->node != 0 && two_faced <= 1 && ret->sizes[0] > 0 &&
           ret->sizes[1] > 0;
}

err evidence_decode(struct bytes wire, struct evidence_list *ret, struct errtext *reterr)
{
    struct cursor c = cursor_of(wire);
    uint8_t version = cursor_u8(&c);
    uint8_t count = cursor_u8(&c);
    bool good = count <= EVIDENCE_MAX;
    if (cursor_ok(&c) && version != EVIDENCE_VERSION) {
        return err_fail(reterr, ERR_UNSUPPORTED, "version %u is not known", version);
    }
    ret->count = 0;
    for (uint8_t i = 0; good && i < count; i++) {
        struct evidence *e = &ret->items[i];
        good = decode_one(&c, e) && evidence_of(ret, e->node) == NULL;
        ret->count += good;
    }
    uint32_t crc = cursor_u32(&c);
    if (!good || !cursor_done(&c) || crc != crc32c(0, wire.data, wire.size - 4)) {
        return err_fail(reterr, ERR_CORRUPT,
                        "the file is damaged: move it away (the other nodes have the same "
                        "evidence) and start again");
    }
    return err_ok();
}

err evidence_read(const struct fileops *files, const char *data, struct evidence_list *ret,
                  struct errtext *reterr)
{
    char path[PATH_BYTES_MAX];
    struct buf wire;
    snprintf(path, sizeof path, "%s/%s", data, FILE_NAME);
    buf_init(&wire, EVIDENCE_BYTES_MAX);
    ret->count = 0;
    err e = smallfile_read(files, path, &wire, reterr);
    if (err_is(e, ERR_NOT_FOUND)) {
        e = err_ok();
    } else if (!failed(e)) {
        e = evidence_decode(buf_bytes(&wire), ret, reterr);
        e = failed(e) ? err_wrapf(reterr, e, "%s", path) : e;
    }
    buf_done(&wire);
    return e;
}

err evidence_write(const struct fileops *files, const char *data, const struct evidence_list *l,
                   struct errtext *reterr)
{
    struct buf wire;
    buf_init(&wire, EVIDENCE_BYTES_MAX);
    evidence_encode(l, &wire);
    require(!wire.overflow);
    err e = smallfile_write(files, data, FILE_NAME, buf_bytes(&wire), reterr);
    buf_done(&wire);
    return e;
}
