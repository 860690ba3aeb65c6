#include "crypto/consistency.h"

#include "base/require.h"
#include "crypto/lines.h"

void consistency_print(const struct consistency *c, struct buf *ret)
{
    require(c->path_count <= MERKLE_DEPTH_MAX);
    require(c->old_size <= INT64_MAX);
    buf_printf(ret, "old %llu\n", (unsigned long long)c->old_size);
    for (size_t i = 0; i < c->path_count; i++) {
        lines_put_base64(bytes_of(c->path[i].bytes, MERKLE_HASH_SIZE), ret);
    }
    buf_put_u8(ret, '\n');
    buf_put_bytes(ret, c->note);
}

err consistency_parse(struct bytes wire, struct consistency *ret, struct errtext *reterr)
{
    struct bytes rest = wire;
    struct bytes line;
    struct bytes old = bytes_text("old ");
    if (wire.size > PROOF_BYTES_MAX) {
        return err_fail(reterr, ERR_LIMIT, "a consistency proof has at most %d bytes",
                        PROOF_BYTES_MAX);
    }
    *ret = (struct consistency){0};
    if (!lines_next(&rest, &line) || !bytes_has_prefix(line, old) ||
        !lines_decimal(bytes_of(line.data + old.size, line.size - old.size), &ret->old_size)) {
        return err_fail(reterr, ERR_INVALID,
                        "this is no consistency proof: the first line is not 'old SIZE'");
    }
    while (lines_next(&rest, &line)) {
        if (line.size == 0) {
            ret->note = rest;
            return err_ok();
        }
        if (ret->path_count == MERKLE_DEPTH_MAX || !lines_hash(line, &ret->path[ret->path_count])) {
            return err_fail(reterr, ERR_INVALID, "consistency proof: line %zu is no hash",
                            ret->path_count + 2);
        }
        ret->path_count++;
    }
    return err_fail(reterr, ERR_INVALID, "consistency proof: it ends before its checkpoint");
}
