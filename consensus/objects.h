/* What passes between the driver and its host: log entries, durable writes, snapshots, packets.
 *
 * Ownership: entries are immutable and counted by reference; whoever keeps one takes a reference.
 * The counter is not atomic: all of this belongs to the loop thread. A worker may read the bytes of
 * an entry while the loop keeps the job that holds it.
 *
 * `index` is a position in Raft's log, from 1. It is never the height of a block: barriers and
 * configurations have an index too. */
#ifndef CONSENSUS_OBJECTS_H
#define CONSENSUS_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"

/* The numbers are written to disk and sent: never change one. */
enum entry_type {
    ENTRY_COMMAND = 1, /* a block: opaque here */
    ENTRY_BARRIER = 2, /* nothing: a new leader's first entry, which commits all before it */
    ENTRY_CHANGE = 3,  /* a configuration (conf.h) */
};

struct entry {
    uint64_t term;
    uint32_t refs;
    uint32_t size; /* of data */
    enum entry_type type;
    uint8_t data[];
};

/* A new entry with one reference and a copy of the bytes. */
struct entry *entry_new(uint64_t term, enum entry_type type, struct bytes data);

/* One reference more; returns e. NULL stays NULL. */
struct entry *entry_ref(struct entry *e);

/* Gives one reference back, the last one frees; accepts NULL. */
void entry_unref(struct entry *e);

static inline struct bytes entry_bytes(const struct entry *e)
{
    return bytes_of(e->data, e->size);
}

/* A checkpoint of the state after applying `index`. Its files travel out of band; only this goes
 * through Raft. */
struct consensus_snapshot {
    uint64_t index, term;   /* of the last entry it contains; index 0: no snapshot */
    uint64_t conf_index;    /* where its configuration stands in the log */
    struct entry *conf;     /* that configuration, encoded; a reference */
    struct entry *manifest; /* the host's own bytes: digest, files; a reference, may be NULL */
    uint64_t source;        /* who holds the checkpoint: the authenticated sender */
};

/* A copy that holds its own references. */
struct consensus_snapshot consensus_snapshot_ref(const struct consensus_snapshot *s);

/* Gives the references back and zeroes the struct. */
void consensus_snapshot_unref(struct consensus_snapshot *s);

enum consensus_job_kind {
    CONSENSUS_JOB_HARD = 1, /* record term and vote */
    CONSENSUS_JOB_ENTRIES,  /* drop every entry from `first` on, then append `entries` */
    CONSENSUS_JOB_SNAPSHOT, /* record `snapshot`, drop the entries below `log_first` */
    CONSENSUS_JOB_INSTALL,  /* record `snapshot`, empty the log (it goes on at snapshot.index + 1),
                               switch the state to the checkpoint that was fetched */
};

/* One durable write. Jobs are executed strictly in order and each one is atomic: after a crash all
 * of it is there or nothing of it. */
struct consensus_job {
    enum consensus_job_kind kind;
    uint64_t seq;                       /* 1, 2, ... in the order of writing */
    uint64_t term, vote;                /* HARD */
    uint64_t first;                     /* ENTRIES: index of entries[0] */
    uint32_t count;                     /* ENTRIES */
    struct entry **entries;             /* ENTRIES: count references */
    struct consensus_snapshot snapshot; /* SNAPSHOT, INSTALL */
    uint64_t log_first;                 /* SNAPSHOT */
    uint64_t ack;                       /* the driver's: what to report, less after a truncation */
    uint32_t trailing;                  /* the driver's */
    struct consensus_job *next;         /* the driver's */
};

/* Frees a job that will not be handed back (after consensus_close); accepts NULL. */
void consensus_job_free(struct consensus_job *job);

/* A message to another node, not encoded yet. Entries are shared, not copied. */
struct packet;

/* Appends the frame of the packet, at most PEER_FRAME_BYTES_MAX bytes, to `ret`, whose limit the
 * caller has chosen so that it fits. Format: codec.h. */
void packet_encode(const struct packet *p, struct buf *ret);

/* Size of its frame in bytes, exactly. */
size_t packet_size(const struct packet *p);

/* Name of the kind, for people: static text. */
const char *packet_name(const struct packet *p);

/* Frees a packet; accepts NULL. */
void packet_free(struct packet *p);

#endif
