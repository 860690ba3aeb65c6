/* Institutions, nodes and a loop for tests of peer links: everything real, over loopback. */
#ifndef PEER_WORLD_H
#define PEER_WORLD_H

#include "base/buf.h"
#include "crypto/cert.h"
#include "net/loop.h"
#include "net/peer.h"

enum { WORLD_NODES = 4, WORLD_SLOTS = WORLD_NODES + 1, WORLD_RECEIVED_MAX = 64 };

#define WORLD_ORIGIN "concordat.example/test"

struct institution {
    const char *name;
    struct cert_key *ca_key;
    struct cert *ca;
    struct buf ca_der;
};

struct credentials {
    struct cert_key *key;
    struct buf certificate_pem, key_pem;
    uint8_t key_sha256[SHA256_SIZE];
};

struct world;

struct received {
    uint64_t from;
    uint8_t type;
    size_t size;
    uint8_t digest[SHA256_SIZE];
};

/* A node under test. Index in the world = id. */
struct node {
    struct world *world;
    uint64_t id;
    char address[64];
    struct credentials credentials;
    struct peer_links *links;                     /* NULL: not running */
    struct received received[WORLD_RECEIVED_MAX]; /* the first ones */
    size_t received_count;
    unsigned ups[2], downs[2];    /* by direction */
    enum peer_reason down_reason; /* of the last down */
    enum peer_fault fault;
    uint64_t fault_delay_ns;
    void (*on_event)(struct node *node, bool frame); /* may be NULL */
};

/* ville owns nodes 1 and 4, energie 2, social 3. */
struct world {
    struct loop *loop;
    uint8_t ledger_id[SHA256_SIZE];
    struct institution institutions[3];
    struct node nodes[WORLD_SLOTS]; /* from 1 */
    uint64_t silence_ns;
};

void world_init(struct world *w);
void world_done(struct world *w);

const struct institution *world_institution_of(const struct world *w, uint64_t id);

/* Issues a certificate with the URI, by the CA of an institution. */
void credentials_init(struct credentials *c, const struct institution *by, const char *uri,
                      int64_t not_after_s);
void credentials_done(struct credentials *c);

/* Replaces those of a node that does not run, without telling the table. */
void world_set_credentials(struct world *w, uint64_t id, const struct institution *by,
                           const char *uri);

/* Starts a node; its port is kept over restarts. */
void world_start(struct world *w, uint64_t id);
void world_stop(struct world *w, uint64_t id);

/* The true row of a node. */
struct peer_node world_row(const struct world *w, uint64_t id);

/* Gives nodes 1 to count as the table to every running node. */
void world_set_nodes(struct world *w, size_t count);

/* Turns the loop until the fact holds; fails the test after five seconds. */
#define world_until(w, fact)                                                                       \
    do {                                                                                           \
        uint64_t end_ns_ = world_now_ns() + UINT64_C(5000000000);                                  \
        while (!(fact)) {                                                                          \
            if (world_now_ns() > end_ns_) {                                                        \
                fail_msg("not within five seconds: %s", #fact);                                    \
            }                                                                                      \
            loop_turn((w)->loop, 5000000);                                                         \
        }                                                                                          \
    } while (0)

/* Turns the loop for a while. */
void world_run(struct world *w, uint64_t duration_ns);

uint64_t world_now_ns(void);

struct peer_status world_status(const struct world *w, uint64_t at, uint64_t of);

bool world_linked(const struct world *w, uint64_t a, uint64_t b);

/* Two running nodes that know each other, linked. */
void world_start_two(struct world *w);

#endif
