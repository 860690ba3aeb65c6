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

enum request_kind { REQUEST_PAY, REQUEST_WAKE, REQUEST_PARTY, REQUEST_DEPLOY, REQUEST_MEMBER };

/* Changes of the node table have numbers of their own, which say what they ask for: the same
 * question is the same request in every history. */
enum member_what { MEMBER_ADD, MEMBER_PROMOTE, MEMBER_DEMOTE, MEMBER_REMOVE, MEMBER_REPLACE };
struct member_deed {
    enum member_what what;
    uint64_t node;   /* whose; 0 for ADD */
    uint64_t fresh;  /* the id of the node that comes; 0: none does */
    uint64_t serial; /* asked for so many times before */
};
#define MEMBER_NUMBERS (UINT64_C(1) << 40)

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

/* Where the bootstrap table of a machine that joins is put. */
const char *fixture_bootstrap_path(const struct fixture *f);

/* The row of a node, of a founder or of one that may join. */
struct node_entry;
const struct node_entry *fixture_node(const struct fixture *f, uint64_t id);

/* The certificate of a node if it belongs to institution number 1, 2, ...: one that replaces
 * another belongs to that one's. */
void fixture_certificate_path(const struct fixture *f, uint64_t id, uint32_t institution, char *ret,
                              size_t size);

uint64_t member_number(struct member_deed deed);
struct member_deed member_deed_of(uint64_t number);

/* The request, which the fixture keeps. */
const struct request *fixture_request(struct fixture *f, uint64_t number);

/* The number in a request id. */
uint64_t request_number(const uint8_t id[16]);

/* "member3": the party that holds wallet number 3. */
const char *fixture_wallet(uint32_t wallet);

#endif
