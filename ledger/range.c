#include "ledger/range.h"

#include "base/limits.h"
#include "base/require.h"

void range_upper(struct bytes prefix, struct buf *upper)
{
    require(upper != NULL);
    buf_clear(upper);
    size_t size = prefix.size;
    while (size > 0 && prefix.data[size - 1] == 0xff) {
        size--;
    }
    buf_put(upper, prefix.data, size);
    if (size > 0 && !upper->overflow) {
        upper->data[size - 1]++;
    }
}

struct kv_iter *range_open(struct kv *kv, size_t family, struct bytes prefix, struct bytes from)
{
    require(kv != NULL);
    struct buf upper;
    buf_init(&upper, ROW_BYTES_MAX);
    range_upper(prefix, &upper);
    require(!upper.overflow);
    struct kv_range range = {
        .family = family,
        .lower = from.size > 0 ? from : prefix,
        .upper = buf_bytes(&upper),
        .fill_cache = true,
    };
    struct kv_iter *it = kv_iter_open(kv, &range);
    buf_done(&upper);
    return it;
}

void range_close(struct kv_iter *it)
{
    struct errtext why;
    if (failed(kv_iter_close(it, &why))) {
        die("state database: %s", why.text);
    }
}
