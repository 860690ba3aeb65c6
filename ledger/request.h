/* The checks of a request: the same code at admission and again at apply, where it runs on the
 * state before the block and the block's time. */
#ifndef LEDGER_REQUEST_H
#define LEDGER_REQUEST_H

#include "ledger/ledger.h"
#include "proto/envelope.h"

struct party;

/* A request that decodes. Views into its bytes, its arena and the tables of parties. */
struct request {
    const struct envelope *envelope; /* NULL: it does not decode */
    uint8_t hash[32];
    struct bytes signers[SIGNATURES_MAX]; /* names, in order of the signatures */
    const struct party *parties[SIGNATURES_MAX];
    struct ledger_check checks[SIGNATURES_MAX];
    size_t signer_count; /* all signatures, once their keys are found */
    bool governance;
    struct ledger_cost cost;
};

struct request_input {
    struct bytes wire;
    uint64_t height; /* of the block that it is or would be in */
    uint64_t now_ns;
};

/* Decodes and checks what the request says about itself: form, sizes, ledger. NONE, or why not,
 * with the text in refusal. ret->envelope is set whenever the bytes decode. */
enum reason request_decode(const struct ledger *l, const struct request_input *input,
                           struct arena *a, struct request *ret, struct ledger_refusal *refusal);

/* Then: signers and their keys, on_behalf, expiry, summed bounds. Whether the id was answered
 * before is asked between the two, so that a late retry still gets its answer. */
enum reason request_check(const struct ledger *l, const struct request_input *input,
                          struct request *request, struct ledger_refusal *refusal);

/* The static bound of one event under the version that would apply at that height and time; steps,
 * effects and bytes 0 for one that no contract knows. */
struct ledger_cost request_event_cost(const struct ledger *l, const struct request_input *input,
                                      const struct event *event);

/* Whether every signature is right; the keys must have been found. */
bool request_verify(struct ledger *l, const struct request *request);

/* The stored entry of an answered request. */
struct request_entry {
    uint8_t hash[32];
    uint64_t height, position;
    uint32_t count;
};

/* Key (party 00 id) and value of the entry. */
void request_entry_key(struct bytes party, const uint8_t id[16], struct buf *key);
void request_entry_put(const struct request_entry *entry, struct buf *value);
err request_entry_decode(struct bytes value, struct request_entry *ret) ERR_MUST_USE;

#endif
