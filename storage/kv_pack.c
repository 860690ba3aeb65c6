#include "storage/kv_pack.h"

#include <assert.h>
#include <string.h>

#include "base/cursor.h"
#include "base/require.h"

enum { PACK_VERSION = 1, SIZE_SIZE = 4 };

static_assert(KV_PACK_VALUES <= UINT16_MAX, "the count has two octets");

void pack_init(struct pack *p)
{
    require(p != NULL);
    *p = (struct pack){0};
    buf_init(&p->head, KV_PACK_HEAD_SIZE + (size_t)KV_PACK_VALUES * SIZE_SIZE);
    buf_init(&p->values, (size_t)UINT32_MAX);
}

void pack_done(struct pack *p)
{
    require(p != NULL);
    buf_done(&p->head);
    buf_done(&p->values);
    p->count = 0;
}

bool pack_takes(const struct pack *p, uint64_t number, size_t size)
{
    require(p != NULL);
    require(p->count <= KV_PACK_VALUES);
    return p->count == 0 || (number == p->first + p->count && p->count < KV_PACK_VALUES &&
                             p->values.size + size <= KV_PACK_BYTES);
}

void pack_add(struct pack *p, uint64_t number, struct bytes value)
{
    require(pack_takes(p, number, value.size));
    require(value.size < UINT32_MAX);
    if (p->count == 0) {
        p->first = number;
        buf_clear(&p->values);
        buf_clear(&p->head);
        buf_put_u8(&p->head, PACK_VERSION);
        buf_put_u16(&p->head, 0); /* the count, by pack_seal */
    }
    buf_put_u32(&p->head, (uint32_t)value.size);
    buf_put_bytes(&p->values, value);
    p->count++;
    require(!p->head.overflow);
    require(!p->values.overflow);
}

void pack_seal(struct pack *p)
{
    require(p != NULL);
    require(p->count > 0);
    p->head.data[1] = (uint8_t)(p->count >> 8);
    p->head.data[2] = (uint8_t)p->count;
}

void pack_clear(struct pack *p)
{
    require(p != NULL);
    p->count = 0;
}

err pack_open(struct bytes key, struct bytes value, struct pack_view *ret)
{
    require(ret != NULL);
    struct pack_view view = {0};
    struct cursor c = cursor_of(value);
    uint8_t version = cursor_u8(&c);
    view.count = cursor_u16(&c);
    view.sizes = cursor_bytes(&c, (size_t)view.count * SIZE_SIZE);
    if (!pack_key_read(key, &view.first) || !cursor_ok(&c) || version != PACK_VERSION ||
        view.count == 0 || view.count > KV_PACK_VALUES || view.first > UINT64_MAX - view.count) {
        return (err){ERR_CORRUPT};
    }
    uint64_t sum = 0;
    struct cursor sizes = cursor_of(view.sizes);
    for (uint32_t i = 0; i < view.count; i++) {
        sum += cursor_u32(&sizes);
    }
    if (sum != cursor_left(&c)) {
        return (err){ERR_CORRUPT};
    }
    view.values = cursor_bytes(&c, cursor_left(&c));
    *ret = view;
    return err_ok();
}

struct bytes pack_value(const struct pack_view *view, uint32_t index)
{
    require(view != NULL);
    require(index < view->count);
    struct cursor sizes = cursor_of(view->sizes);
    size_t at = 0;
    for (uint32_t i = 0; i < index; i++) {
        at += cursor_u32(&sizes);
    }
    size_t size = cursor_u32(&sizes);
    require(size <= view->values.size - at);
    return bytes_of(view->values.data + at, size);
}

void pack_key_put(uint64_t number, uint8_t ret_key[KV_PACK_KEY_SIZE])
{
    uint64_t big = __builtin_bswap64(number);
    static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "bswap makes it big-endian");
    memcpy(ret_key, &big, sizeof big);
}

bool pack_key_read(struct bytes key, uint64_t *ret_number)
{
    struct cursor c = cursor_of(key);
    uint64_t number = cursor_u64(&c);
    if (!cursor_done(&c)) {
        return false;
    }
    *ret_number = number;
    return true;
}
