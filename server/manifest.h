/* What is written, sent and agreed of a checkpoint (docs/formats/checkpoint.md).
 *
 *   id        which state it is: the same on every node; travels in Raft's InstallSnapshot
 *   manifest  the id, Raft's configuration there, and the files of one node's checkpoint: the files
 *             of another node's checkpoint of the same state differ
 *   record    what the log keeps: configuration, id, and whether the state has to be switched
 *
 * Decoders take hostile bytes: pure, bounded, and they write only on success. */
#ifndef SERVER_MANIFEST_H
#define SERVER_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"

struct checkpoint_id {
    uint64_t index, term;      /* of the last entry of the log that it contains */
    uint64_t height, position; /* of the ledger */
    uint8_t digest[32];        /* of the ledger: the chain over its records */
    uint8_t state_digest[32];  /* of everything replicated */
};

enum { CHECKPOINT_ID_BYTES = 1 + 4 * 8 + 2 * 32 };
void checkpoint_id_encode(const struct checkpoint_id *id, struct buf *ret);
bool checkpoint_id_decode(struct bytes wire, struct checkpoint_id *ret);
bool checkpoint_id_equal(const struct checkpoint_id *a, const struct checkpoint_id *b);

struct manifest_file {
    char name[TREE_NAME_BYTES_MAX + 1]; /* letters, digits, - _ and dots, the first not a dot */
    uint64_t size;
    uint8_t hash[32]; /* SHA-256 */
};

struct manifest {
    struct checkpoint_id id;
    uint64_t conf_index;
    struct bytes conf;           /* view into wire */
    struct manifest_file *files; /* owned; ascending by name */
    uint32_t file_count;
    uint64_t total_bytes; /* of the files */
    struct bytes wire;    /* owned: the encoded form */
};

/* A file name that may be used inside a directory of ours. */
bool manifest_name_valid(struct bytes name);

/* Encodes the manifest (wire is not read). Overflow of ret: too many files. */
void manifest_encode(const struct manifest *m, struct buf *ret);

/* A manifest of its own memory; freed with manifest_free. INVALID, or CORRUPT when the checksum
 * does not fit; UNSUPPORTED: another version. */
err manifest_decode(struct bytes wire, struct manifest **ret, struct errtext *reterr) ERR_MUST_USE;

/* Accepts NULL. */
void manifest_free(struct manifest *m);

struct checkpoint_record {
    bool installed; /* the state is to be switched to the checkpoint in install/ */
    uint64_t conf_index;
    struct bytes conf; /* view into the wire */
    struct bytes id;   /* view: what Raft carries, an encoded id */
};
void checkpoint_record_encode(const struct checkpoint_record *r, struct buf *ret);
bool checkpoint_record_decode(struct bytes wire, struct checkpoint_record *ret);

#endif
