#include "cli/request.h"

#include <string.h>

#include "base/require.h"
#include "cli/command.h"
#include "crypto/sha256.h"

err signers_add(struct signers *s, const char *party, const char *path, struct errtext *reterr)
{
    if (s->count == SIGNATURES_MAX) {
        return err_fail(reterr, ERR_LIMIT, "a request has at most %d signatures", SIGNATURES_MAX);
    }
    TRY(sign_key_read(path, &s->list[s->count].key, reterr));
    s->list[s->count++].party = party;
    return err_ok();
}

err signers_add_party(struct signers *s, const struct profile *p, const char *party,
                      struct errtext *reterr)
{
    const char *path = profile_key_path(p, party);
    if (path == NULL) {
        return err_fail(reterr, ERR_INVALID,
                        "%s: no key of '%s'; add its key file under \"parties\"", p->path, party);
    }
    return signers_add(s, party, path, reterr);
}

void signers_done(struct signers *s)
{
    for (size_t i = 0; i < s->count; i++) {
        sign_key_free(s->list[i].key);
    }
    *s = (struct signers){.count = 0};
}

void request_salt(struct sign_key *key, struct body *body)
{
    struct buf encoded;
    uint8_t message[sizeof(SALT_TAG) - 1 + SHA256_SIZE];
    uint8_t signature[SIGN_SIGNATURE_SIZE];
    memset(body->salt, 0, sizeof body->salt);
    buf_init(&encoded, BODY_BYTES_MAX + 65536);
    body_encode(body, &encoded);
    require(!encoded.overflow);
    memcpy(message, SALT_TAG, sizeof(SALT_TAG) - 1);
    sha256(encoded.data, encoded.size, message + sizeof(SALT_TAG) - 1);
    sign_message(key, bytes_of(message, sizeof message), signature);
    sha256(signature, sizeof signature, body->salt);
    buf_done(&encoded);
}

static void sign_one(struct sign_key *key, const uint8_t input[SIGNING_INPUT_SIZE],
                     struct signature *ret)
{
    uint8_t public[SIGN_PUBLIC_SIZE];
    sign_key_public(key, public);
    sign_key_id(public, ret->key_id);
    sign_message(key, bytes_of(input, SIGNING_INPUT_SIZE), ret->value);
}

void request_sign(const struct body *body, const struct signers *signers, struct buf *ret)
{
    struct buf encoded;
    uint8_t input[SIGNING_INPUT_SIZE];
    struct signature list[SIGNATURES_MAX];
    require(signers->count > 0);
    buf_init(&encoded, BODY_BYTES_MAX + 65536);
    body_encode(body, &encoded);
    require(!encoded.overflow);
    request_signing_input(buf_bytes(&encoded), input);
    for (size_t i = 0; i < signers->count; i++) {
        sign_one(signers->list[i].key, input, &list[i]);
    }
    signatures_sort(list, (uint32_t)signers->count);
    envelope_encode(buf_bytes(&encoded), list, (uint32_t)signers->count, ret);
    buf_done(&encoded);
}

err request_add(const struct envelope *e, const struct signers *signers, struct buf *ret,
                struct errtext *reterr)
{
    uint8_t input[SIGNING_INPUT_SIZE];
    struct signature list[SIGNATURES_MAX];
    uint32_t count = e->signature_count;
    require(count <= SIGNATURES_MAX);
    memcpy(list, e->signatures, count * sizeof *list);
    request_signing_input(e->body_bytes, input);
    for (size_t i = 0; i < signers->count; i++) {
        struct signature one;
        uint32_t k = 0;
        sign_one(signers->list[i].key, input, &one);
        while (k < count && memcmp(list[k].key_id, one.key_id, sizeof one.key_id) != 0) {
            k++;
        }
        if (k == SIGNATURES_MAX) {
            return err_fail(reterr, ERR_LIMIT, "there are %d signatures already", SIGNATURES_MAX);
        }
        list[k] = one;
        count = k == count ? count + 1 : count;
    }
    signatures_sort(list, count);
    envelope_encode(e->body_bytes, list, count, ret);
    return err_ok();
}

bool request_fill_add(struct request_fill *fill, const struct event *event,
                      const struct rules_bound *bound)
{
    enum { BODY_HEAD = 512 }; /* everything of a body but its events */
    size_t size = fill->size + event_encoded_size(event);
    bool fits = fill->events < EVENTS_MAX && size <= BODY_BYTES_MAX - BODY_HEAD &&
                bound->steps <= REQUEST_STEPS_MAX - fill->steps &&
                bound->effects <= REQUEST_EFFECTS_MAX - fill->effects &&
                bound->bytes <= REQUEST_BYTES_MAX - fill->bytes;
    if (!fits && fill->events > 0) {
        return false;
    }
    fill->events++;
    fill->size = size;
    fill->steps += bound->steps;
    fill->effects += bound->effects;
    fill->bytes += bound->bytes;
    return true;
}

int request_code(const struct submit_reply *r)
{
    for (size_t i = 0; i < r->outcome_count; i++) {
        if (r->outcomes[i].end != END_ACCEPTED) {
            return EXIT_REFUSED;
        }
    }
    return EXIT_DONE;
}
