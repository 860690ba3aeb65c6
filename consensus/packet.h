/* A message between two drivers, decoded. */
#ifndef CONSENSUS_PACKET_H
#define CONSENSUS_PACKET_H

#include <raft.h>

#include "consensus/objects.h"

/* Numbers on the wire; 1 to 6 are libraft's message types. */
enum packet_kind {
    PACKET_APPEND = RAFT_APPEND_ENTRIES,
    PACKET_APPEND_RESULT = RAFT_APPEND_ENTRIES_RESULT,
    PACKET_VOTE = RAFT_REQUEST_VOTE,
    PACKET_VOTE_RESULT = RAFT_REQUEST_VOTE_RESULT,
    PACKET_INSTALL = RAFT_INSTALL_SNAPSHOT,
    PACKET_TIMEOUT_NOW = RAFT_TIMEOUT_NOW,
    PACKET_READ = 16,     /* are you still in this term? */
    PACKET_READ_ACK = 17, /* I am */
};

struct packet {
    enum packet_kind kind;
    uint64_t from, to;                  /* never on the wire: the link's business */
    struct raft_message m;              /* kinds 1 to 6; scalars only, no pointer is followed */
    struct entry **entries;             /* APPEND: m.append_entries.n_entries references */
    struct consensus_snapshot snapshot; /* INSTALL */
    uint64_t term, seq;                 /* READ, READ_ACK */
    uint64_t clock_ns;                  /* APPEND, APPEND_RESULT: the sender's wall clock */
};

/* A zeroed packet of the kind. */
struct packet *packet_new(enum packet_kind kind);

/* Number of entries in it, 0 for every kind but APPEND. */
uint32_t packet_entry_count(const struct packet *p);

#endif
