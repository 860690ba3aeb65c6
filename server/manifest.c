#include "server/manifest.h"

#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/cursor.h"
#include "base/mem.h"
#include "base/require.h"

enum { ID_VERSION = 1, MANIFEST_VERSION = 1, RECORD_VERSION = 1, FILE_BYTES_MIN = 4 + 1 + 8 + 32 };
static const char MAGIC[] = "CCCHECKP";
/* The sum of all sizes: no state is larger, and sums do not wrap. */
#define TOTAL_BYTES_MAX (UINT64_C(1) << 50)

/* ---- the id ---- */

void checkpoint_id_encode(const struct checkpoint_id *id, struct buf *ret)
{
    require(id != NULL);
    buf_put_u8(ret, ID_VERSION);
    buf_put_u64(ret, id->index);
    buf_put_u64(ret, id->term);
    buf_put_u64(ret, id->height);
    buf_put_u64(ret, id->position);
    buf_put(ret, id->digest, sizeof id->digest);
    buf_put(ret, id->state_digest, sizeof id->state_digest);
}

static bool take_id(struct cursor *c, struct checkpoint_id *ret)
{
    uint8_t version = cursor_u8(c);
    struct checkpoint_id id = {.index = cursor_u64(c)};
    id.term = cursor_u64(c);
    id.height = cursor_u64(c);
    id.position = cursor_u64(c);
    cursor_copy(c, id.digest, sizeof id.digest);
    cursor_copy(c, id.state_digest, sizeof id.state_digest);
    if (!cursor_ok(c) || version != ID_VERSION || id.index == 0 || id.index >= RAFT_NUMBER_MAX ||
        id.term == 0 || id.term >= RAFT_NUMBER_MAX || id.height == 0 || id.height > id.index) {
        return false;
    }
    *ret = id;
    return true;
}

bool checkpoint_id_decode(struct bytes wire, struct checkpoint_id *ret)
{
    struct cursor c = cursor_of(wire);
    struct checkpoint_id id;
    if (!take_id(&c, &id) || !cursor_done(&c)) {
        return false;
    }
    *ret = id;
    return true;
}

bool checkpoint_id_equal(const struct checkpoint_id *a, const struct checkpoint_id *b)
{
    require(a != NULL);
    require(b != NULL);
    return a->index == b->index && a->term == b->term && a->height == b->height &&
           a->position == b->position && memcmp(a->digest, b->digest, 32) == 0 &&
           memcmp(a->state_digest, b->state_digest, 32) == 0;
}

/* ---- the manifest ---- */

bool manifest_name_valid(struct bytes name)
{
    if (name.size == 0 || name.size > TREE_NAME_BYTES_MAX || name.data[0] == '.') {
        return false;
    }
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '_' && c != '.') {
            return false;
        }
    }
    return true;
}

void manifest_encode(const struct manifest *m, struct buf *ret)
{
    require(m != NULL);
    size_t start = ret->size;
    buf_put(ret, MAGIC, 8);
    buf_put_u32(ret, MANIFEST_VERSION);
    checkpoint_id_encode(&m->id, ret);
    buf_put_u64(ret, m->conf_index);
    buf_put_sized(ret, m->conf);
    buf_put_u32(ret, m->file_count);
    for (uint32_t i = 0; i < m->file_count; i++) {
        buf_put_sized(ret, bytes_text(m->files[i].name));
        buf_put_u64(ret, m->files[i].size);
        buf_put(ret, m->files[i].hash, sizeof m->files[i].hash);
    }
    if (!ret->overflow) {
        buf_put_u32(ret, crc32c(0, ret->data + start, ret->size - start));
    }
}

static err take_file(struct cursor *c, struct manifest *m, struct errtext *reterr)
{
    struct manifest_file *f = &m->files[m->file_count];
    struct bytes name = cursor_sized(c, TREE_NAME_BYTES_MAX);
    f->size = cursor_u64(c);
    cursor_copy(c, f->hash, sizeof f->hash);
    if (!cursor_ok(c) || !manifest_name_valid(name)) {
        return err_fail(reterr, ERR_INVALID, "manifest: the name of file %u", m->file_count);
    }
    memcpy(f->name, name.data, name.size);
    f->name[name.size] = '\0';
    if (m->file_count > 0 && strcmp(f[-1].name, f->name) >= 0) {
        return err_fail(reterr, ERR_INVALID, "manifest: files are not in order");
    }
    if (f->size > TOTAL_BYTES_MAX - m->total_bytes) {
        return err_fail(reterr, ERR_INVALID, "manifest: the size of file %u", m->file_count);
    }
    m->total_bytes += f->size;
    m->file_count++;
    return err_ok();
}

static err take_manifest(struct manifest *m, struct errtext *reterr)
{
    struct cursor c = cursor_of(bytes_of(m->wire.data, m->wire.size - 4));
    struct bytes magic = cursor_bytes(&c, 8);
    uint32_t version = cursor_u32(&c);
    require(magic.size == 8 && memcmp(magic.data, MAGIC, 8) == 0);
    if (version != MANIFEST_VERSION) {
        return err_fail(reterr, ERR_UNSUPPORTED, "manifest: version %u", version);
    }
    bool known = take_id(&c, &m->id);
    m->conf_index = cursor_u64(&c);
    m->conf = cursor_sized(&c, CHECKPOINT_CONF_BYTES_MAX);
    uint32_t count = cursor_u32(&c);
    if (!known || !cursor_ok(&c) || m->conf_index == 0 || m->conf_index > m->id.index ||
        m->conf.size == 0 || count == 0 || count > cursor_left(&c) / FILE_BYTES_MIN) {
        return err_fail(reterr, ERR_INVALID, "manifest: its head");
    }
    m->files = mem_new(count, sizeof *m->files);
    while (m->file_count < count) {
        TRY(take_file(&c, m, reterr));
    }
    return cursor_done(&c) ? err_ok()
                           : err_fail(reterr, ERR_INVALID, "manifest: something follows it");
}

err manifest_decode(struct bytes wire, struct manifest **ret, struct errtext *reterr)
{
    require(ret != NULL);
    if (wire.size < 16 || wire.size > MANIFEST_BYTES_MAX || memcmp(wire.data, MAGIC, 8) != 0) {
        return err_fail(reterr, ERR_INVALID, "no manifest of a checkpoint");
    }
    struct cursor end = cursor_of(bytes_of(wire.data + wire.size - 4, 4));
    if (cursor_u32(&end) != crc32c(0, wire.data, wire.size - 4)) {
        return err_fail(reterr, ERR_CORRUPT, "the manifest is damaged");
    }
    struct manifest *m = mem_new(1, sizeof *m);
    m->wire = bytes_of(mem_copy(wire.data, wire.size), wire.size);
    err e = take_manifest(m, reterr);
    if (failed(e)) {
        manifest_free(m);
        return e;
    }
    *ret = m;
    return err_ok();
}

void manifest_free(struct manifest *m)
{
    if (m != NULL) {
        free(m->files);
        free((void *)(uintptr_t)m->wire.data);
        free(m);
    }
}

/* ---- the record ---- */

void checkpoint_record_encode(const struct checkpoint_record *r, struct buf *ret)
{
    require(r != NULL);
    buf_put_u8(ret, RECORD_VERSION);
    buf_put_u8(ret, r->installed);
    buf_put_u64(ret, r->conf_index);
    buf_put_sized(ret, r->conf);
    buf_put_sized(ret, r->id);
}

bool checkpoint_record_decode(struct bytes wire, struct checkpoint_record *ret)
{
    struct cursor c = cursor_of(wire);
    uint8_t version = cursor_u8(&c);
    uint8_t installed = cursor_u8(&c);
    struct checkpoint_record r = {.installed = installed == 1, .conf_index = cursor_u64(&c)};
    r.conf = cursor_sized(&c, CHECKPOINT_CONF_BYTES_MAX);
    r.id = cursor_sized(&c, MANIFEST_BYTES_MAX);
    if (!cursor_done(&c) || version != RECORD_VERSION || installed > 1 || r.conf_index == 0 ||
        r.conf.size == 0) {
        return false;
    }
    *ret = r;
    return true;
}
