/* What a network is founded with, made once in a process by the product's own code: keys,
 * certificates, genesis; and the requests that clients send, signed when they are first needed and
 * kept for all histories. */
#ifndef TESTS_SIM_PRODUCT_FIXTURE_H
#define TESTS_SIM_PRODUCT_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct fixture;

#define FIXTURE_ORIGIN "concordat.example/simulation"

enum { FIXTURE_WALLETS = 8 };

enum request_kind { REQUEST_PAY, REQUEST_WAKE, REQUEST_PARTY, REQUEST_DEPLOY };

/* Request number k of a network: the same in every history. */
struct request {
    struct bytes envelope; /* owned by the fixture */
    uint8_t hash[32];
    uint8_t id[16]; /* the number stands in its first 8 bytes */
    enum request_kind kind;
    uint32_t debtor, creditor; /* PAY: wallets; equal ones are rejected */
    int64_t cents;
    uint64_t not_after_ns; /* 0: never */
    const char *party;
};

/* Of this many nodes. Files are in a temporary directory. */
struct fixture *fixture_new(uint32_t nodes);
void fixture_free(struct fixture *f);

const char *fixture_dir(const struct fixture *f);
const char *fixture_genesis_path(const struct fixture *f);
const char *fixture_signatures_path(const struct fixture *f);

/* The request, which the fixture keeps. */
const struct request *fixture_request(struct fixture *f, uint64_t number);

/* The number in a request id. */
uint64_t request_number(const uint8_t id[16]);

/* "member3": the party that holds wallet number 3. */
const char *fixture_wallet(uint32_t wallet);

#endif
