/* Links between the nodes of one ledger: framed messages over mutual TLS.
 *
 * Each node dials every other one. A message to a peer travels on the connection this node
 * dialled, a message from a peer on one it accepted:
 *
 *       node 1 ── dialled by 1, frames 1 -> 2 ──> node 2
 *       node 1 <── dialled by 2, frames 2 -> 1 ── node 2
 *
 * So the order of messages between two nodes is that of one connection. When a peer dials again
 * its older connection is dropped with the bytes that were not delivered yet, so nothing old
 * arrives after something new. Messages may be lost (Raft repeats them), never doubled or altered.
 *
 * Who a peer is, is decided by the node table that the host gives (it comes from the ledger):
 * the certificate must name a node of this ledger's origin, its chain must end in a CA of that
 * node's institution, and its public key must be one of the keys of the table. Expiry alone is
 * forgiven, because certificates must not be able to stop consensus; it is reported in the status.
 *
 * Glossary: *dialled* (out) connection: ours, for sending; *accepted* (in) connection: the peer's,
 * for receiving; *up*: the hello was exchanged and accepted.
 *
 * All functions are for the loop's thread only. The type of a frame means nothing here. */
#ifndef NET_PEER_H
#define NET_PEER_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"
#include "crypto/sha256.h"

struct loop;
struct pool;
struct peer_links; /* all links of one node; opaque */

enum {
    PEER_KEYS_MAX = 2,   /* transport keys of a node: current and next */
    PEER_CAS_MAX = 4,    /* CA certificates of an institution: current, next, and spare */
    PEER_TYPE_MAX = 239, /* frame types 0 to this are the host's; the rest is the link's own */
    PEER_PARTS_MAX = 16, /* pieces of one frame */
};

/* Why a connection ended or was refused; numbers are sent and never reused. */
#define PEER_REASONS(X)                                                                            \
    X(NONE, 0, "none")                                                                             \
    X(CLOSED, 1, "closed by the other side")                                                       \
    X(UNREACHABLE, 2, "cannot connect")                                                            \
    X(TLS, 3, "TLS handshake failed")                                                              \
    X(NO_IDENTITY, 4, "certificate names nobody")                                                  \
    X(NOT_A_NODE, 5, "certificate is not a node's")                                                \
    X(OTHER_ORIGIN, 6, "certificate is for another ledger")                                        \
    X(UNKNOWN_NODE, 7, "node is not in the ledger")                                                \
    X(FOREIGN_CA, 8, "certificate is not by a CA of that institution")                             \
    X(WRONG_KEY, 9, "public key is not the node's")                                                \
    X(WRONG_VERSION, 10, "link version is not ours")                                               \
    X(WRONG_LEDGER, 11, "other ledger")                                                            \
    X(WRONG_PEER, 12, "not the node that was expected")                                            \
    X(BAD_FRAME, 13, "malformed frame")                                                            \
    X(OVERSIZED, 14, "frame too large")                                                            \
    X(TIMEOUT, 15, "timed out")                                                                    \
    X(REPLACED, 16, "replaced by a newer connection")                                              \
    X(REMOVED, 17, "no longer admitted by the node table")

enum peer_reason {
#define PEER_REASON_ENUM(name, number, text) PEER_REASON_##name = number,
    PEER_REASONS(PEER_REASON_ENUM)
#undef PEER_REASON_ENUM
};
enum { PEER_REASON_COUNT = PEER_REASON_REMOVED + 1 };

/* Static text of a reason. Any thread. */
const char *peer_reason_text(enum peer_reason reason);

/* One row of the node table. Views are copied by peer_links_set_nodes. */
struct peer_node {
    uint64_t id; /* Raft id, not 0, never reused */
    const char *institution;
    const char *name;
    const char *address;                      /* host:port */
    uint8_t keys[PEER_KEYS_MAX][SHA256_SIZE]; /* SHA-256 of DER SubjectPublicKeyInfo */
    size_t key_count;
    struct bytes cas[PEER_CAS_MAX]; /* DER CA certificates of the institution */
    size_t ca_count;
};

enum peer_link_state { PEER_LINK_DOWN, PEER_LINK_UP };
enum peer_direction { PEER_DIRECTION_OUT, PEER_DIRECTION_IN };

/* What a test may do to a frame that is about to leave. */
enum peer_fault { PEER_FAULT_NONE, PEER_FAULT_DROP, PEER_FAULT_DELAY };

/* What the host does. Callbacks come from the loop, never from inside a call of this module; they
 * may call anything here but peer_links_free. A node that leaves the table is not reported. */
struct peer_host {
    void *ctx;
    /* A frame of an admitted peer; bytes are valid during the call only. */
    void (*on_frame)(void *ctx, uint64_t from, uint8_t type, struct bytes bytes);
    /* A direction of a link came up or went down, with the reason it went down. */
    void (*on_link)(void *ctx, uint64_t id, enum peer_direction direction,
                    enum peer_link_state state, enum peer_reason reason);
    /* For tests, else NULL: decides over each outgoing frame; a delayed one leaves after
     * *ret_delay_ns, and may then come after later ones. */
    enum peer_fault (*fault)(void *ctx, uint64_t to, uint8_t type, uint64_t *ret_delay_ns);
};

/* Views must live during peer_links_new only. */
struct peer_config {
    uint64_t id; /* this node's Raft id */
    uint8_t ledger_id[SHA256_SIZE];
    const char *origin;           /* of the ledger; certificates must name it */
    const char *listen;           /* host:port; port 0 takes any free one */
    struct bytes certificate_pem; /* own certificate, leaf first */
    struct bytes key_pem;         /* own private key */
    uint64_t jitter_seed;         /* random: spreads redials */
    uint64_t silence_ns;          /* a peer that says nothing so long is gone; 0:
                                     PEER_SILENCE_NS. A living one speaks five times in it */
    struct pool *pool;            /* looks names up; outlives the links; NULL: blocks the loop */
};

/* Facts of one peer for status. Times are of the loop's monotonic clock, 0 for never. */
struct peer_status {
    uint64_t id;
    bool out_up, in_up;
    uint64_t received_ns; /* when the last bytes of an admitted connection came */
    uint64_t out_up_ns;   /* since when the dialled connection is up; 0 when it is not */
    uint64_t sent_frames, sent_bytes, received_frames, received_bytes;
    uint64_t dropped_frames;          /* not sent: queue full, link down, or fault */
    uint64_t queued_bytes;            /* waiting to be sent now */
    uint64_t dial_failures;           /* since the last success */
    uint64_t certificate_not_after_s; /* Unix seconds, of the peer's certificate; 0 unknown */
    bool certificate_forgiven; /* it is outside its validity, or a CRL is stale: raise an alarm */
    enum peer_reason last_reason; /* of the last failure of either direction */
    char last_error[160];         /* the same with details, for people */
};

/* Starts listening; dials and admits nobody before peer_links_set_nodes. The caller owns *ret and
 * frees it with peer_links_free before the loop. INVALID (address, origin), IO (port taken).
 * Whether certificate and key fit each other is found out by peer_links_set_nodes. */
err peer_links_new(struct loop *loop, const struct peer_config *config,
                   const struct peer_host *host, struct peer_links **ret,
                   struct errtext *reterr) ERR_MUST_USE;

/* Closes everything at once; on_link is not called. Accepts NULL. */
void peer_links_free(struct peer_links *links);

/* Replaces the node table (the row of this node itself may be in it and is not dialled). Links of
 * nodes whose keys, CAs, name or institution no longer admit the peer are closed (REMOVED), new
 * nodes are dialled, a new address is used from the next dial. INVALID, with the table unchanged,
 * for doubled ids, id 0, bad names or addresses, rows without key or CA, unreadable CAs, or when
 * the own certificate and key cannot be used; LIMIT beyond NODES_MAX. */
err peer_links_set_nodes(struct peer_links *links, const struct peer_node nodes[], size_t count,
                         struct errtext *reterr) ERR_MUST_USE;

/* Uses another certificate and key for handshakes from now on; open links stay. INVALID, with the
 * old ones in force, when they do not fit each other. */
err peer_links_set_credentials(struct peer_links *links, struct bytes certificate_pem,
                               struct bytes key_pem, struct errtext *reterr) ERR_MUST_USE;

/* Queues one frame {type, parts in order} to a peer; the bytes are copied once, into the frame.
 * NOT_FOUND: no such peer; AGAIN: the link is not up; FULL: PEER_QUEUE_BYTES_MAX are waiting;
 * LIMIT: more than PEER_FRAME_BYTES_MAX. Whatever is not taken is counted and dropped. */
err peer_send(struct peer_links *links, uint64_t to, uint8_t type, const struct bytes parts[],
              size_t count) ERR_MUST_USE;

/* Ends the connection that the peer has dialled, because of what it sent: nothing more of it is
 * delivered, on_link follows with the reason. The peer may dial again, after a pause that doubles.
 * NOT_FOUND: no such peer; AGAIN: it has none. */
err peer_drop(struct peer_links *links, uint64_t id, enum peer_reason reason) ERR_MUST_USE;

/* NOT_FOUND, or the facts of one peer. */
err peer_status(const struct peer_links *links, uint64_t id, struct peer_status *ret) ERR_MUST_USE;

/* The ids of all peers (without this node), ascending; ret has room for NODES_MAX; returns how
 * many. */
size_t peer_ids(const struct peer_links *links, uint64_t ret[]);

/* How many accepted connections were refused for a reason since the start. */
uint64_t peer_refused_count(const struct peer_links *links, enum peer_reason reason);

/* The port that is listened on. */
uint16_t peer_port(const struct peer_links *links);

#endif
