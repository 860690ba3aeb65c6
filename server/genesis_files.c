#include "server/genesis_files.h"

#include "crypto/keyfile.h"
#include "crypto/verifier.h"

static err check_signatures(struct bytes wire, struct bytes sig_wire, const struct genesis *g,
                            struct errtext *reterr)
{
    uint8_t id[32];
    uint8_t input[GENESIS_SIGNING_INPUT_SIZE];
    struct genesis_sig sig;
    TRY(genesis_sig_decode(sig_wire, &sig, reterr));
    genesis_ledger_id(wire, id);
    TRY(genesis_sig_check(&sig, g, id, reterr));
    genesis_signing_input(id, input);
    struct verifier *v = verifier_new();
    err e = err_ok();
    for (uint32_t i = 0; i < sig.count && !failed(e); i++) {
        const struct genesis_signature *s = &sig.signatures[i];
        if (!verifier_check(v, s->key, bytes_of(input, sizeof input), s->value)) {
            e = err_fail(reterr, ERR_DENIED, "the signature of %.*s does not verify",
                         (int)s->institution.size, (const char *)s->institution.data);
        }
    }
    verifier_free(v);
    return e;
}

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
        e = check_signatures(buf_bytes(ret), buf_bytes(&sig), *ret_genesis, reterr);
        if (failed(e)) {
            e = err_wrapf(reterr, e, "%s", signatures_path);
        }
    }
    buf_done(&sig);
    return e;
}
