/* The node table: who takes part, and what the institutions want each node to be. All rows are in
 * memory, the removed ones as history, so that no id is given twice.
 *
 * A block changes `rows`; readers see `live` and `ever`, which nodes_publish makes anew when the
 * block is finished. Loop only. */
#ifndef LEDGER_NODES_H
#define LEDGER_NODES_H

#include "ledger/headkeys.h"
#include "ledger/ledger.h"
#include "proto/genesis.h"
#include "storage/kv.h"

/* One row, without pointers. */
struct node_row {
    uint64_t id, added_height, changed_height;
    uint64_t successor; /* 0: none */
    enum ledger_wish wish;
    char institution[NAME_BYTES_MAX + 1], name[NAME_BYTES_MAX + 1];
    char peer_address[ADDRESS_BYTES_MAX + 1], client_address[ADDRESS_BYTES_MAX + 1];
    uint8_t transport[SPKI_BYTES_MAX], transport_next[SPKI_BYTES_MAX];
    size_t transport_size, transport_next_size; /* next: 0: none */
    uint8_t head[32], head_next[32];            /* next: zeros: none */
};

struct nodes {
    struct kv *kv;         /* not owned */
    struct node_row *rows; /* all ever, ascending by id, with the block so far */
    size_t count;
    bool changed;             /* rows differ from what is shown */
    struct node_row *shown;   /* copy of rows as of the last finished block */
    struct ledger_node *ever; /* views into shown, by id */
    struct ledger_node *live; /* those that are not removed */
    size_t ever_count, live_count;
    struct head_keys *head_keys; /* owned; with the block so far */
};

/* No rows. kv must outlive it. */
void nodes_init(struct nodes *n, struct kv *kv);

/* Frees; accepts an all-zero struct. */
void nodes_done(struct nodes *n);

/* The rows of genesis, all voters; into the batch too, and shown. */
void nodes_found(struct nodes *n, const struct genesis *genesis, struct kv_batch *batch);

/* Reads the stored rows and shows them. CORRUPT, IO. */
err nodes_load(struct nodes *n, struct errtext *reterr) ERR_MUST_USE;

/* The row with the block so far, or NULL; valid until the next nodes_add. */
struct node_row *nodes_find(const struct nodes *n, uint64_t id);

/* Appends a row whose id is above all others; there are fewer than NODES_EVER_MAX. */
void nodes_add(struct nodes *n, const struct node_row *row);

/* Writes a row that was added or changed into the batch. */
void nodes_put(struct nodes *n, struct kv_batch *batch, const struct node_row *row);

/* Rows that are not removed; those of them that shall vote. */
size_t nodes_live_count(const struct nodes *n);
size_t nodes_voter_count(const struct nodes *n);

/* The block is finished: shows its changes. True if there were any. */
bool nodes_publish(struct nodes *n);

#endif
