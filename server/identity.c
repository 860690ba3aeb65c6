#include "server/identity.h"

#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/cursor.h"
#include "base/require.h"
#include "storage/smallfile.h"

enum { IDENTITY_VERSION = 1, PATH_BYTES_MAX = 4096 };
static const char FILE_NAME[] = "identity";

void identity_encode(const struct disk_identity *id, struct buf *ret)
{
    size_t start = ret->size;
    require(id != NULL);
    require(id->seen_count <= NODES_EVER_MAX);
    buf_put_u8(ret, IDENTITY_VERSION);
    buf_put_u64(ret, id->node);
    buf_put(ret, id->disk, DISK_ID_SIZE);
    buf_put_u32(ret, (uint32_t)id->seen_count);
    for (size_t i = 0; i < id->seen_count; i++) {
        buf_put_u64(ret, id->seen[i].node);
        buf_put(ret, id->seen[i].disk, DISK_ID_SIZE);
    }
    if (!ret->overflow) {
        buf_put_u32(ret, crc32c(0, ret->data + start, ret->size - start));
    }
}

static err damaged(struct errtext *reterr)
{
    return err_fail(reterr, ERR_CORRUPT,
                    "the file is damaged; this node can no longer prove that its disk is the one "
                    "the others know: replace it (`concordat node replace`)");
}

err identity_decode(struct bytes wire, struct disk_identity *ret, struct errtext *reterr)
{
    struct cursor c = cursor_of(wire);
    require(ret != NULL);
    if (wire.size > 0 && wire.data[0] != IDENTITY_VERSION) {
        return err_fail(reterr, ERR_UNSUPPORTED, "version %u is not known", wire.data[0]);
    }
    if (wire.size < 4 ||
        crc32c(0, wire.data, wire.size - 4) !=
            ((uint32_t)wire.data[wire.size - 4] << 24 | (uint32_t)wire.data[wire.size - 3] << 16 |
             (uint32_t)wire.data[wire.size - 2] << 8 | wire.data[wire.size - 1])) {
        return damaged(reterr);
    }
    (void)cursor_u8(&c);
    struct disk_identity id = {.node = cursor_u64(&c)};
    cursor_copy(&c, id.disk, DISK_ID_SIZE);
    uint32_t count = cursor_u32(&c);
    if (!cursor_ok(&c) || id.node == 0 || count > NODES_EVER_MAX) {
        return damaged(reterr);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct seen_disk *s = &id.seen[i];
        s->node = cursor_u64(&c);
        cursor_copy(&c, s->disk, DISK_ID_SIZE);
        if (s->node == 0 || (i > 0 && s[-1].node >= s->node)) {
            return damaged(reterr);
        }
    }
    (void)cursor_u32(&c);
    if (!cursor_done(&c)) {
        return damaged(reterr);
    }
    id.seen_count = count;
    *ret = id;
    return err_ok();
}

static size_t place_of(const struct disk_identity *id, uint64_t node)
{
    size_t at = 0;
    while (at < id->seen_count && id->seen[at].node < node) {
        at++;
    }
    return at;
}

enum identity_judgement identity_judge(const struct disk_identity *id, uint64_t node,
                                       const uint8_t disk[DISK_ID_SIZE])
{
    require(id != NULL);
    size_t at = place_of(id, node);
    if (at == id->seen_count || id->seen[at].node != node) {
        return IDENTITY_NEW;
    }
    return memcmp(id->seen[at].disk, disk, DISK_ID_SIZE) == 0 ? IDENTITY_KNOWN : IDENTITY_OTHER;
}

err identity_add(struct disk_identity *id, uint64_t node, const uint8_t disk[DISK_ID_SIZE])
{
    require(identity_judge(id, node, disk) == IDENTITY_NEW);
    require(node != 0);
    if (id->seen_count == NODES_EVER_MAX) {
        return (err){ERR_FULL};
    }
    size_t at = place_of(id, node);
    memmove(&id->seen[at + 1], &id->seen[at], (id->seen_count - at) * sizeof id->seen[0]);
    id->seen[at].node = node;
    memcpy(id->seen[at].disk, disk, DISK_ID_SIZE);
    id->seen_count++;
    return err_ok();
}

err identity_save(const char *data, const struct disk_identity *id, struct errtext *reterr)
{
    struct fileops files = fileops_system();
    struct buf wire;
    buf_init(&wire, IDENTITY_BYTES_MAX);
    identity_encode(id, &wire);
    require(!wire.overflow);
    err e = smallfile_write(&files, data, FILE_NAME, buf_bytes(&wire), reterr);
    buf_done(&wire);
    return e;
}

err identity_open(const char *data, uint64_t node, const uint8_t fresh[DISK_ID_SIZE],
                  struct disk_identity *ret, struct errtext *reterr)
{
    struct fileops files = fileops_system();
    char path[PATH_BYTES_MAX];
    struct buf wire;
    require(node != 0);
    require(ret != NULL);
    snprintf(path, sizeof path, "%s/%s", data, FILE_NAME);
    buf_init(&wire, IDENTITY_BYTES_MAX);
    err e = smallfile_read(&files, path, &wire, reterr);
    if (err_is(e, ERR_NOT_FOUND)) {
        *ret = (struct disk_identity){.node = node};
        memcpy(ret->disk, fresh, DISK_ID_SIZE);
        e = identity_save(data, ret, reterr);
    } else if (!failed(e)) {
        e = identity_decode(buf_bytes(&wire), ret, reterr);
        if (!failed(e) && ret->node != node) {
            e = err_fail(reterr, ERR_CONFLICT,
                         "this data directory belongs to node %llu, and this is node %llu: a new "
                         "node needs an empty one",
                         (unsigned long long)ret->node, (unsigned long long)node);
        }
        e = failed(e) ? err_wrapf(reterr, e, "%s", path) : e;
    }
    buf_done(&wire);
    return e;
}
