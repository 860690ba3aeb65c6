/* What a ledger holds in memory, for the files of this folder alone. */
#ifndef LEDGER_STATE_H
#define LEDGER_STATE_H

#include "crypto/verifier.h"
#include "ledger/accounts.h"
#include "ledger/contracts.h"
#include "ledger/families.h"
#include "ledger/inputs.h"
#include "ledger/ledger.h"
#include "ledger/nodes.h"
#include "ledger/parties.h"
#include "ledger/request.h"
#include "ledger/rows.h"
#include "ledger/tiles.h"
#include "proto/block.h"
#include "proto/genesis.h"
#include "rules/rules.h"

enum apply_phase {
    APPLY_IDLE,
    APPLY_TIMERS, /* those due before the block's own events */
    APPLY_LOAD,   /* the next envelope */
    APPLY_TRIAL,  /* an atomic request, evaluated without recording */
    APPLY_EVENTS, /* its events one by one, each recorded */
    APPLY_DONE,   /* waits for finish */
};

/* Of an atomic request whose event `index` did not succeed: what that event's record will say, and
 * why all others are rejected. */
struct apply_failure {
    bool is;
    uint32_t index;
    struct rules_out out; /* copied into the envelope's arena */
};

struct apply {
    enum apply_phase phase;
    struct ledger_input input;
    struct block *block;
    uint8_t (*hashes)[32];   /* request hash of each envelope */
    struct ledger_head head; /* growing */
    struct ledger_cost cost; /* of the requests so far */
    struct arena arena;      /* of the block: decoded block, results */
    struct arena envelope_arena, event_arena;
    struct ordered requests; /* (party, id) answered in this block */
    struct arena requests_arena;
    uint32_t envelope, event; /* being worked on */
    struct request request;
    struct apply_failure failure;
    uint32_t timers_fired;
    bool timers_due; /* more than may fire before one entry */
    int32_t day;     /* civil day of the block in the ledger's zone */
    struct bytes noted;  /* what the last evaluation read; empty: nothing to keep */
    size_t noted_bytes;  /* kept for this block so far */
    struct ledger_result result;
};

struct ledger {
    struct kv *kv; /* not owned */
    struct kv_batch *batch;
    struct ledger_options options;
    struct arena arena; /* genesis and the tables made of it */
    struct genesis *genesis;
    uint8_t id[32];
    const char *zone;
    struct ledger_institution *institutions;
    struct rules_registry *registry;
    struct verifier *verifier;
    struct ledger_head head;
    uint64_t applied_index;
    struct ledger_void_blocks void_blocks;
    struct errtext failure; /* why the database refused a batch; "" while it has not */
    uint64_t timer_next_ns; /* UINT64_MAX: no timer waits */
    struct accounts accounts;
    struct rows rows, timers;
    struct parties parties;
    struct contracts contracts;
    struct nodes nodes;
    struct tiles *tiles; /* owned: the tree over the records */
    struct rules_store store;
    struct inputs inputs;
    struct buf key, value, record; /* scratch of whoever writes one entry */
    struct apply apply;
};

/* The block being applied, or the next one for admission. */
static inline uint64_t next_height(const struct ledger *l)
{
    return l->head.height + 1;
}

/* The civil day of an instant in the ledger's zone. */
int32_t ledger_day(const struct ledger *l, uint64_t now_ns);

/* Reads of rules on the state, with the effects of the block so far. */
void store_init(struct ledger *l);

/* Applies the effects of an accepted event or timer. */
struct effects_of {
    struct bytes contract;
    uint64_t position;   /* of its record */
    const uint8_t *salt; /* for the timers it schedules */
};
void effects_apply(struct ledger *l, const struct effects_of *of, const struct rules_out *out);

#define GENESIS_KEY "genesis" /* of FAMILY_META */
#define VOID_BLOCKS_KEY "void_blocks" /* of FAMILY_LOCAL */

/* The stored head, and the batch that carries it. */
void head_put(struct ledger *l, const struct ledger_head *head, uint64_t raft_index);
err head_load(struct ledger *l, struct errtext *reterr) ERR_MUST_USE;
err head_read(struct kv *kv, struct ledger_head *ret, uint64_t *ret_applied,
              struct errtext *reterr) ERR_MUST_USE;

/* The stored count of void blocks. */
err void_blocks_load(struct ledger *l, struct errtext *reterr) ERR_MUST_USE;

/* Recomputes timer_next_ns. */
void timer_next_update(struct ledger *l);

/* Void requests: stores the entry of the block and, if by_id, that of the request id. */
struct void_entry {
    uint64_t height;
    uint32_t index;
    enum reason reason;
    const uint8_t *request_hash;
    const struct envelope *envelope; /* NULL: undecodable */
    bool by_id;
};
void void_put(struct ledger *l, const struct void_entry *entry);

/* Key of the entry by request id, and the stored form. */
void void_id_key(struct bytes party, const uint8_t id[16], struct buf *key);
struct void_value {
    enum reason reason;
    uint8_t request_hash[32];
    uint64_t height; /* only in the entry by id */
};
err void_decode(struct bytes value, struct void_value *ret) ERR_MUST_USE;

#endif
