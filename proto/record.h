/* A record: what the ledger says for ever about one event, timer or governance action. Canonical
 * big-endian bytes; docs/formats/records.md shows them. Hash fields that do not apply are 32 zero
 * bytes. */
#ifndef PROTO_RECORD_H
#define PROTO_RECORD_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"

enum {
    RECORD_VERSION = 1,
    RECORD_BYTES_MAX = 2 + 3 * 8 + 1 + 32 + 4 + 4 + NAME_BYTES_MAX + 8 + 32 + 5 + 5 * 32
};

enum record_kind { RECORD_EVENT = 1, RECORD_TIMER = 2, RECORD_GOVERNANCE = 3 };

struct record {
    uint64_t position, height, time_ns;
    enum record_kind kind;
    uint8_t request_hash[32];   /* event, governance; zeros for a timer */
    uint64_t schedule_position; /* timer: the record that scheduled it; else 0 */
    uint32_t index;             /* of the event in its request; timer: ordinal of its schedule */
    struct bytes contract;      /* view; at most NAME_BYTES_MAX */
    uint64_t contract_version;  /* 0: no version was in force */
    uint8_t text_hash[32];
    bool has_legal_date;
    int32_t legal_date; /* days since 1970-01-01; 0 when absent */
    uint8_t outcome_hash[32], effects_hash[32], trace_hash[32]; /* salted: record_salted_hash */
    uint8_t digest[32], accounts_root[32];
};

/* Decodes a record; contract is a view into wire; ret is written only on success. INVALID,
 * UNSUPPORTED (version). */
err record_decode(struct bytes wire, struct record *ret, struct errtext *reterr) ERR_MUST_USE;

/* Appends the bytes of a record: at most RECORD_BYTES_MAX. */
void record_encode(const struct record *record, struct buf *buf);

/* Leaf hash of RFC 6962: SHA-256(0x00 || record bytes). */
void record_leaf_hash(struct bytes wire, uint8_t ret[32]);

/* SHA-256(salt || u32 index): what opens the salted hashes of one record, and of no other. */
void record_seal(const uint8_t salt[32], uint32_t index, uint8_t ret[32]);

/* SHA-256(seal || bytes), where several texts have one seal. */
void record_sealed_hash(const uint8_t seal[32], struct bytes bytes, uint8_t ret[32]);

/* SHA-256(seal || bytes): keeps outcomes of low entropy from being guessed.
 * salt is the body's; for a timer that of the request that led to it; index is the record's. */
void record_salted_hash(const uint8_t salt[32], uint32_t index, struct bytes bytes,
                        uint8_t ret[32]);

#endif
