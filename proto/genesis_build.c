/* Making a genesis, its rules of decision, and the file of its signatures. */
#include <stdlib.h>

#include "base/cursor.h"
#include "base/require.h"
#include "crypto/verifier.h"
#include "proto/genesis.h"
#include "proto/wire.h"

static int bytes_order(const void *a, const void *b)
{
    return bytes_compare(*(const struct bytes *)a, *(const struct bytes *)b);
}

static int key_order(const void *a, const void *b)
{
    return memcmp(a, b, 32);
}

static int officer_order(const void *a, const void *b)
{
    return bytes_compare(((const struct officer *)a)->name, ((const struct officer *)b)->name);
}

static int institution_order(const void *a, const void *b)
{
    return bytes_compare(((const struct institution *)a)->name,
                         ((const struct institution *)b)->name);
}

static int node_order(const void *a, const void *b)
{
    uint64_t left = ((const struct node_entry *)a)->id;
    uint64_t right = ((const struct node_entry *)b)->id;
    return (left > right) - (left < right);
}

static int party_order(const void *a, const void *b)
{
    return bytes_compare(((const struct party_entry *)a)->name,
                         ((const struct party_entry *)b)->name);
}

static int threshold_order(const void *a, const void *b)
{
    return (int)((const struct threshold *)a)->kind - (int)((const struct threshold *)b)->kind;
}

static void sort(void *list, size_t count, size_t size, int (*order)(const void *, const void *))
{
    if (count > 1) {
        require(list != NULL);
        qsort(list, count, size, order);
    }
}

void genesis_sort(struct genesis *g)
{
    require(g != NULL);
    for (uint32_t i = 0; i < g->institution_count; i++) {
        struct institution *in = &g->institutions[i];
        sort(in->ca_certs, in->ca_cert_count, sizeof(in->ca_certs[0]), bytes_order);
        sort(in->governance_keys, in->governance_key_count, 32, key_order);
        sort(in->officers, in->officer_count, sizeof(in->officers[0]), officer_order);
    }
    for (uint32_t i = 0; i < g->party_count; i++) {
        sort(g->parties[i].keys, g->parties[i].key_count, 32, key_order);
    }
    sort(g->measures, g->measure_count, sizeof(g->measures[0]), bytes_order);
    sort(g->thresholds, g->threshold_count, sizeof(g->thresholds[0]), threshold_order);
    sort(g->institutions, g->institution_count, sizeof(g->institutions[0]), institution_order);
    sort(g->nodes, g->node_count, sizeof(g->nodes[0]), node_order);
    sort(g->parties, g->party_count, sizeof(g->parties[0]), party_order);
    sort(g->contracts, g->contract_count, sizeof(g->contracts[0]), bytes_order);
}

struct genesis_limits genesis_limits_default(void)
{
    return (struct genesis_limits){
        .body_bytes_max = BODY_BYTES_MAX,
        .events_max = EVENTS_MAX,
        .request_steps_max = REQUEST_STEPS_MAX,
        .request_effects_max = REQUEST_EFFECTS_MAX,
        .request_bytes_max = REQUEST_BYTES_MAX,
    };
}

enum threshold_rule genesis_threshold(const struct genesis *genesis, enum proposal_kind kind)
{
    require(genesis != NULL);
    for (uint32_t i = 0; i < genesis->threshold_count; i++) {
        if (genesis->thresholds[i].kind == kind) {
            return genesis->thresholds[i].rule;
        }
    }
    return THRESHOLD_MAJORITY;
}

uint32_t threshold_count(enum threshold_rule rule, uint32_t institutions)
{
    require(institutions >= 1);
    switch (rule) {
    case THRESHOLD_MAJORITY:
        return institutions / 2 + 1;
    case THRESHOLD_TWO_THIRDS:
        return (2 * institutions + 2) / 3;
    case THRESHOLD_ALL_BUT_CONCERNED:
        return institutions > 1 ? institutions - 1 : 1;
    }
    require(false);
    return institutions;
}

/* u16 version | 32 ledger_id | u32 count | count x { sized institution | 32 key | 64 signature } */
err genesis_sig_decode(struct bytes wire, struct genesis_sig *ret, struct errtext *reterr)
{
    require(ret != NULL);
    struct cursor c = cursor_of(wire);
    uint16_t version = cursor_u16(&c);
    if (cursor_ok(&c) && version != GENESIS_SIG_VERSION) {
        return err_fail(reterr, ERR_UNSUPPORTED, "genesis.sig: version %u is not known", version);
    }
    struct genesis_sig sig = {0};
    cursor_copy(&c, sig.ledger_id, sizeof(sig.ledger_id));
    sig.count = cursor_u32(&c);
    if (!cursor_ok(&c) || sig.count > INSTITUTIONS_MAX) {
        return err_fail(reterr, ERR_INVALID, "genesis.sig: malformed");
    }
    for (uint32_t i = 0; i < sig.count; i++) {
        struct genesis_signature *s = &sig.signatures[i];
        s->institution = cursor_sized(&c, NAME_BYTES_MAX);
        cursor_copy(&c, s->key, sizeof(s->key));
        cursor_copy(&c, s->value, sizeof(s->value));
        if (i > 0 && bytes_compare(s[-1].institution, s->institution) >= 0) {
            return err_fail(reterr, ERR_INVALID, "genesis.sig: not in ascending order");
        }
        if (s->institution.size == 0 || !wire_text_valid(s->institution)) {
            return err_fail(reterr, ERR_INVALID, "genesis.sig: not the name of an institution");
        }
    }
    if (!cursor_done(&c)) {
        return err_fail(reterr, ERR_INVALID, "genesis.sig: malformed");
    }
    *ret = sig;
    return err_ok();
}

void genesis_sig_encode(const struct genesis_sig *sig, struct buf *buf)
{
    require(sig != NULL);
    require(sig->count <= INSTITUTIONS_MAX);
    buf_put_u16(buf, GENESIS_SIG_VERSION);
    buf_put(buf, sig->ledger_id, sizeof(sig->ledger_id));
    buf_put_u32(buf, sig->count);
    for (uint32_t i = 0; i < sig->count; i++) {
        const struct genesis_signature *s = &sig->signatures[i];
        require(i == 0 || bytes_compare(s[-1].institution, s->institution) < 0);
        buf_put_sized(buf, s->institution);
        buf_put(buf, s->key, sizeof(s->key));
        buf_put(buf, s->value, sizeof(s->value));
    }
}

err genesis_sig_put(struct genesis_sig *sig, struct genesis_signature signature)
{
    require(sig != NULL);
    require(sig->count <= INSTITUTIONS_MAX);
    uint32_t at = 0;
    while (at < sig->count &&
           bytes_compare(sig->signatures[at].institution, signature.institution) < 0) {
        at++;
    }
    bool replaces =
        at < sig->count && bytes_equal(sig->signatures[at].institution, signature.institution);
    if (!replaces) {
        if (sig->count == INSTITUTIONS_MAX) {
            return (err){ERR_FULL};
        }
        memmove(&sig->signatures[at + 1], &sig->signatures[at],
                (sig->count - at) * sizeof(signature));
        sig->count++;
    }
    sig->signatures[at] = signature;
    return err_ok();
}

static bool governance_key_of(const struct institution *in, const uint8_t key[32])
{
    for (uint32_t i = 0; i < in->governance_key_count; i++) {
        if (memcmp(in->governance_keys[i], key, 32) == 0) {
            return true;
        }
    }
    return false;
}

err genesis_sig_check(const struct genesis_sig *sig, const struct genesis *genesis,
                      const uint8_t ledger_id[32], struct errtext *reterr)
{
    require(sig != NULL);
    require(genesis != NULL);
    if (memcmp(sig->ledger_id, ledger_id, 32) != 0) {
        return err_fail(reterr, ERR_DENIED, "genesis.sig: made for another genesis");
    }
    /* Both lists ascend by name, so they are equal or the first difference names who is at fault.
     */
    for (uint32_t i = 0; i < genesis->institution_count; i++) {
        const struct institution *in = &genesis->institutions[i];
        if (i >= sig->count || !bytes_equal(sig->signatures[i].institution, in->name)) {
            return err_fail(reterr, ERR_DENIED,
                            "genesis.sig: no signature of %.*s, or one of nobody",
                            (int)in->name.size, (const char *)in->name.data);
        }
        if (!governance_key_of(in, sig->signatures[i].key)) {
            return err_fail(reterr, ERR_DENIED,
                            "genesis.sig: %.*s signed with a key that is not "
                            "one of its governance keys",
                            (int)in->name.size, (const char *)in->name.data);
        }
    }
    if (sig->count != genesis->institution_count) {
        return err_fail(reterr, ERR_DENIED, "genesis.sig: a signature of nobody");
    }
    return err_ok();
}

err genesis_sig_verify(struct bytes wire, struct bytes sig_wire, const struct genesis *genesis,
                       struct errtext *reterr)
{
    uint8_t id[32];
    uint8_t input[GENESIS_SIGNING_INPUT_SIZE];
    struct genesis_sig sig;
    TRY(genesis_sig_decode(sig_wire, &sig, reterr));
    genesis_ledger_id(wire, id);
    TRY(genesis_sig_check(&sig, genesis, id, reterr));
    genesis_signing_input(id, input);
    struct verifier *v = verifier_new();
    err e = err_ok();
    for (uint32_t i = 0; i < sig.count && !failed(e); i++) {
        const struct genesis_signature *s = &sig.signatures[i];
        if (!verifier_check(v, s->key, bytes_of(input, sizeof(input)), s->value)) {
            e = err_fail(reterr, ERR_DENIED, "the signature of %.*s does not verify",
                         (int)s->institution.size, (const char *)s->institution.data);
        }
    }
    verifier_free(v);
    return e;
}
