#include "ledger/read.h"

#include "base/require.h"

err iter_end(struct kv_iter *it, err e, struct errtext *reterr)
{
    require(it != NULL);
    struct errtext why = {{0}};
    err closed = kv_iter_close(it, &why);
    if (failed(e)) {
        return e;
    }
    return failed(closed) ? err_fail(reterr, closed.code, "%s", why.text) : e;
}

err no_room(struct errtext *reterr)
{
    return err_fail(reterr, ERR_LIMIT, "the answer is larger than a query may hold");
}

bool keep(struct arena *a, struct bytes from, struct bytes *ret)
{
    uint8_t *to = arena_try(a, from.size + 1, 1);
    if (to == NULL) {
        return false;
    }
    if (from.size > 0) {
        memcpy(to, from.data, from.size);
    }
    *ret = bytes_of(to, from.size);
    return true;
}
