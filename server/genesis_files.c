#include "server/genesis_files.h"

#include "crypto/keyfile.h"

err genesis_files_read(const char *genesis_path, const char *signatures_path, struct buf *ret,
                       struct arena *a, struct genesis **ret_genesis, struct errtext *reterr)
{
    struct buf sig;
    TRY(keyfile_read_public(genesis_path, ret, reterr));
    err e = genesis_decode(buf_bytes(ret), a, ret_genesis, reterr);
    if (failed(e)) {
        return err_wrapf(reterr, e, "%s", genesis_path);
    }
    buf_init(&sig, GENESIS_BYTES_MAX);
    e = keyfile_read_public(signatures_path, &sig, reterr);
    if (!failed(e)) {
        e = genesis_sig_verify(buf_bytes(ret), buf_bytes(&sig), *ret_genesis, reterr);
        if (failed(e)) {
            e = err_wrapf(reterr, e, "%s", signatures_path);
        }
    }
    buf_done(&sig);
    return e;
}
