/* Requests: bodies, signatures, salts, and how answers are counted. */
#ifndef CLI_REQUEST_H
#define CLI_REQUEST_H

#include "cli/profile.h"
#include "crypto/sign.h"
#include "proto/envelope.h"
#include "proto/service.h"
#include "rules/rules.h"

#define SALT_TAG "concordat/salt/v1\n"

struct signer {
    const char *party;
    struct sign_key *key; /* owned */
};

struct signers {
    struct signer list[SIGNATURES_MAX];
    size_t count;
};

/* Adds a party by its key file. LIMIT, and what reading the key may say. */
err signers_add(struct signers *s, const char *party, const char *path,
                struct errtext *reterr) ERR_MUST_USE;

/* The same, by the profile. INVALID: the profile has no key of that party. */
err signers_add_party(struct signers *s, const struct profile *p, const char *party,
                      struct errtext *reterr) ERR_MUST_USE;

/* Wipes the keys; accepts an all-zero struct. */
void signers_done(struct signers *s);

/* The salt of a body that must come out the same when the command is run again: an answered id with
 * other bytes would be a conflict. SHA-256 of a signature over (tag, hash of the body with an empty
 * salt): Ed25519 signatures are deterministic, and nobody without the key can compute them, so the
 * salt hides what random bytes would hide. */
void request_salt(struct sign_key *key, struct body *body);

/* Encodes the body and adds all signatures: appends an envelope. */
void request_sign(const struct body *body, const struct signers *signers, struct buf *ret);

/* Adds the signers' signatures to those of an envelope; one of a key that is there already is
 * replaced. LIMIT. */
err request_add(const struct envelope *e, const struct signers *signers, struct buf *ret,
                struct errtext *reterr) ERR_MUST_USE;

/* How full a request is: what its events cost, by static bound. */
struct request_fill {
    uint32_t events;
    size_t size; /* encoded bytes of the events */
    int64_t steps, effects, bytes;
};

/* Adds an event; false, and no change, when a request holds no more with it. One event alone always
 * counts as fitting: the ledger then says what is too large about it. */
bool request_fill_add(struct request_fill *fill, const struct event *event,
                      const struct rules_bound *bound);

/* Exit code of an answer: 1 when any event was not accepted. */
int request_code(const struct submit_reply *r);

#endif
