#include "crypto/checkpoint.h"

#include "base/require.h"
#include "crypto/lines.h"

void checkpoint_print(const struct checkpoint *c, struct buf *ret)
{
    require(c->origin.size > 0 && memchr(c->origin.data, '\n', c->origin.size) == NULL);
    require(c->size <= INT64_MAX);
    buf_put_bytes(ret, c->origin);
    buf_printf(ret, "\n%llu\n", (unsigned long long)c->size);
    lines_put_base64(bytes_of(c->root.bytes, sizeof c->root.bytes), ret);
}

err checkpoint_parse(struct bytes text, struct checkpoint *ret, struct errtext *reterr)
{
    struct bytes rest = text;
    struct bytes size;
    struct bytes root;
    if (!lines_next(&rest, &ret->origin) || ret->origin.size == 0) {
        return err_fail(reterr, ERR_INVALID, "checkpoint: no origin in the first line");
    }
    if (!lines_next(&rest, &size) || !lines_decimal(size, &ret->size)) {
        return err_fail(reterr, ERR_INVALID, "checkpoint: the second line is no tree size");
    }
    if (!lines_next(&rest, &root) || !lines_hash(root, &ret->root)) {
        return err_fail(reterr, ERR_INVALID, "checkpoint: the third line is no root hash");
    }
    if (rest.size > 0) {
        return err_fail(reterr, ERR_INVALID, "checkpoint: more than three lines");
    }
    return err_ok();
}
