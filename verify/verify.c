#include "verify/verify.h"

#include <stdlib.h>

#include "base/hex.h"
#include "base/require.h"
#include "crypto/consistency.h"
#include "crypto/proof.h"

enum { TRUST_ARENA_MAX = 1 << 20 }; /* what policy_parse asks for */

err verify_trust(struct bytes text, bool sealed, struct verify_trust *ret, struct errtext *reterr)
{
    struct verify_trust t = {0};
    bool has_seal = !failed(policy_sealed(text, reterr));
    if (sealed && !has_seal) {
        return (err){ERR_INVALID};
    }
    arena_init(&t.arena, TRUST_ARENA_MAX);
    err e = policy_parse(text, &t.arena, &t.policy, reterr);
    if (failed(e)) {
        arena_done(&t.arena);
        return e;
    }
    if (has_seal) { /* its last line ends in the digest and a newline */
        memcpy(t.seal, text.data + text.size - sizeof t.seal, sizeof t.seal - 1);
    }
    t.verifier = verifier_new();
    *ret = t;
    return e;
}

void verify_trust_done(struct verify_trust *t)
{
    verifier_free(t->verifier);
    arena_done(&t->arena);
    *t = (struct verify_trust){0};
}

err verify_head(const struct verify_trust *t, struct bytes wire, struct verify_head *ret,
                struct errtext *reterr)
{
    struct note note;
    require(t->policy != NULL);
    TRY(note_parse(wire, &note, reterr));
    return policy_check_every(t->policy, &note, t->verifier, &ret->checkpoint, &ret->voices,
                              reterr);
}

err verify_claimed(struct bytes wire, struct checkpoint *ret, struct errtext *reterr)
{
    struct note note;
    TRY(note_parse(wire, &note, reterr));
    return checkpoint_parse(note.text, ret, reterr);
}

err verify_receipt(const struct verify_trust *t, struct bytes wire, struct arena *a,
                   struct verify_receipt *ret, struct errtext *reterr)
{
    struct proof proof;
    struct checkpoint c;
    struct merkle_hash leaf;
    TRY(proof_parse(wire, a, &proof, reterr));
    TRY(record_decode(proof.extra, &ret->record, reterr));
    if (ret->record.position != proof.index) {
        return err_fail(reterr, ERR_DENIED, "the record is of position %llu, the proof of %llu",
                        (unsigned long long)ret->record.position, (unsigned long long)proof.index);
    }
    TRY(verify_claimed(proof.note, &c, reterr));
    merkle_leaf(proof.extra, &leaf);
    if (!merkle_path_proves(&leaf, proof.index, c.size, proof.path, proof.path_count, &c.root)) {
        return err_fail(reterr, ERR_DENIED,
                        "this record does not stand at position %llu of the checkpoint's tree",
                        (unsigned long long)proof.index);
    }
    return verify_head(t, proof.note, &ret->head, reterr);
}

/* ---- what the record is about ---- */

/* A request is the record's if its hash is, and then everything in it is. */
static err check_request(const struct record *r, const struct envelope *e, struct errtext *reterr)
{
    uint8_t hash[32];
    if (r->kind == RECORD_TIMER) {
        return err_fail(reterr, ERR_DENIED,
                        "the record is of a timer, which has no request of its own: "
                        "take the receipt of position %llu, which scheduled it",
                        (unsigned long long)r->schedule_position);
    }
    request_hash(e->body_bytes, hash);
    if (memcmp(hash, r->request_hash, sizeof hash) != 0) {
        return err_fail(reterr, ERR_DENIED, "the record is of another request than this one");
    }
    return r->index < e->body.event_count
               ? err_ok()
               : err_fail(reterr, ERR_DENIED, "the request has no event %u", r->index);
}

static err check_key(const struct verify_trust *t, const struct envelope *e,
                     const uint8_t public[SIGN_PUBLIC_SIZE], struct errtext *reterr)
{
    uint8_t id[SIGN_KEY_ID_SIZE];
    uint8_t input[SIGNING_INPUT_SIZE];
    char text[SIGN_PUBLIC_TEXT_SIZE];
    sign_key_id(public, id);
    sign_public_print(public, text);
    request_signing_input(e->body_bytes, input);
    for (uint32_t i = 0; i < e->signature_count; i++) {
        if (memcmp(e->signatures[i].key_id, id, sizeof id) == 0) {
            return verifier_check(t->verifier, public, bytes_of(input, sizeof input),
                                  e->signatures[i].value)
                       ? err_ok()
                       : err_fail(reterr, ERR_DENIED, "the signature of %s is forged", text);
        }
    }
    return err_fail(reterr, ERR_DENIED, "%s has not signed this request", text);
}

static err check_salted(const struct record *r, const uint8_t *salt, struct bytes content,
                        const uint8_t want[32], const char *what, struct errtext *reterr)
{
    uint8_t hash[32];
    if (content.data == NULL) {
        return err_ok();
    }
    if (salt == NULL) {
        return err_fail(reterr, ERR_DENIED,
                        "the %s cannot be checked without the salt: give the request%s", what,
                        r->kind == RECORD_TIMER ? "'s salt" : "");
    }
    record_salted_hash(salt, r->index, content, hash);
    return memcmp(hash, want, sizeof hash) == 0
               ? err_ok()
               : err_fail(reterr, ERR_DENIED, "the %s is not the one that was recorded", what);
}

err verify_claim(const struct verify_trust *t, const struct record *r, const struct verify_claim *c,
                 struct arena *a, const struct envelope **ret_request, struct errtext *reterr)
{
    struct envelope *e = NULL;
    const uint8_t *salt = c->salt;
    if (c->envelope.data != NULL) {
        err read = envelope_decode(c->envelope, a, &e, reterr);
        if (failed(read)) {
            return err_wrapf(reterr, read, "the request cannot be read");
        }
        TRY(check_request(r, e, reterr));
        salt = e->body.salt;
    }
    for (size_t i = 0; i < c->key_count; i++) {
        if (e == NULL) {
            return err_fail(reterr, ERR_DENIED, "whose signature it is: give the request");
        }
        TRY(check_key(t, e, c->keys[i], reterr));
    }
    TRY(check_salted(r, salt, c->outcome, r->outcome_hash, "outcome", reterr));
    TRY(check_salted(r, salt, c->effects, r->effects_hash, "list of effects", reterr));
    TRY(check_salted(r, salt, c->trace, r->trace_hash, "trace", reterr));
    *ret_request = e;
    return err_ok();
}

/* ---- consistency ---- */

err verify_consistency(const struct verify_trust *t, struct bytes wire, struct bytes old_note,
                       struct verify_head *ret_old, struct verify_head *ret_now,
                       struct errtext *reterr)
{
    struct consistency c;
    struct checkpoint claimed[2];
    TRY(consistency_parse(wire, &c, reterr));
    TRY(verify_claimed(old_note, &claimed[0], reterr));
    TRY(verify_claimed(c.note, &claimed[1], reterr));
    const struct merkle_head old = {claimed[0].size, claimed[0].root};
    const struct merkle_head now = {claimed[1].size, claimed[1].root};
    if (!bytes_equal(claimed[0].origin, claimed[1].origin)) {
        return err_fail(reterr, ERR_DENIED, "the checkpoints are of two ledgers");
    }
    if (c.old_size != old.size) {
        return err_fail(reterr, ERR_DENIED,
                        "the proof begins at size %llu, the older checkpoint is of size %llu",
                        (unsigned long long)c.old_size, (unsigned long long)old.size);
    }
    if (!merkle_consistency_proves(&old, &now, c.path, c.path_count)) {
        return err_fail(reterr, ERR_DENIED,
                        "the tree of size %llu does not begin with the one of size %llu",
                        (unsigned long long)now.size, (unsigned long long)old.size);
    }
    err e = verify_head(t, old_note, ret_old, reterr);
    if (failed(e)) {
        return err_wrapf(reterr, e, "the older checkpoint");
    }
    return verify_head(t, c.note, ret_now, reterr);
}
