/* The replicated state machine: the only place that decides. Blocks of signed requests go in, in
 * log order; records, outcomes, balances and rows come out, the same bytes on every node.
 *
 *   request    a signed Body of one or more events; its life ends in exactly one answer
 *   record     one event, timer or governance action that was decided, at a *position* 0, 1, 2, ...
 *   void       a request of a block that failed the checks: no record, no effect, listed with
 * reason height     number of blocks applied; genesis is height 0 digest     the chain of
 * rules 13.4 after a position
 *
 *      envelope --admit--> block builder --raft--> apply begin / step ... / finish --> answers
 *                 |                                   |
 *                 +-- checks to verify in a worker    +-- one overlay, one atomic batch a block
 *
 * Invariants: nothing here reads a clock, a random source, the locale, a float or pointer order;
 * `now` is the block's time, or an argument of admission. A rule's "no" is an outcome, never an
 * err. A state database that cannot be read inside apply stops the process (die), one that takes
 * no batch ends the ledger (ledger_apply_finish): never another answer.
 * Queries see the last finished block only, also while a next one is between begin and finish.
 *
 * Everything here is for the loop thread only. Views that a function returns live in the arena that
 * it was given, or, where that is said, in the ledger until the next finish. */
#ifndef LEDGER_LEDGER_H
#define LEDGER_LEDGER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"
#include "proto/reason.h"
#include "proto/record.h"

struct kv;
struct kv_options;
struct ledger;
struct rules_program;

/* ---- refusals: reasons and their numbers are those of proto/reason.h ------------------------- */

enum { LEDGER_TEXT_MAX = 256 };
struct ledger_refusal {
    enum reason reason;
    char
        text[LEDGER_TEXT_MAX]; /* for people, with the path of the bad field: body.events[3].args */
};

/* ---- answers --------------------------------------------------------------------------------- */

enum ledger_end { LEDGER_ACCEPTED = 1, LEDGER_REJECTED = 2, LEDGER_FAULT = 3 }; /* stored */

/* What was decided about one event, timer or governance action. */
struct ledger_outcome {
    uint64_t position;
    enum ledger_end end;
    uint32_t line;       /* of the contract's text; 0 for clauses 0.x */
    struct bytes clause; /* rejected, fault: "2", "0.3" */
    struct bytes text;   /* rejected: the reason */
    struct bytes kind;   /* fault: "divide", ... */
    struct bytes contract, action;
    uint64_t contract_version; /* 0: no such contract, or no version in force */
};

/* The one answer to a request, for ever. */
struct ledger_answer {
    uint8_t request_hash[32];
    uint64_t height, time_ns;        /* of its block */
    uint8_t digest[32];              /* after its last record */
    struct ledger_outcome *outcomes; /* one an event, in order */
    size_t outcome_count;
};

/* ---- opening --------------------------------------------------------------------------------- */

struct ledger_options {
    uint64_t map_seed[2]; /* from the edge; keeps hostile keys from colliding, never replicated */
    bool keep_traces; /* also of accepted events; those of rejections and faults are kept anyway */
};

/* Fills in the families that the state database must be opened with; the other members of the
 * options stay as they are. The list lives for ever. */
void ledger_kv_families(struct kv_options *options);

/* Opens the ledger on an open state database. The first start writes the state of genesis (height
 * 0); later ones check that the database belongs to these genesis bytes. Contracts are compiled,
 * and the accounts of every contract and measure are
 * summed (they must give zero). The kv stays the caller's and must
 * outlive the ledger; genesis is copied.
 * CONFLICT: another ledger's database. INVALID: malformed genesis, or a contract in it that does
 * not compile or pass its tests. CORRUPT: stored state that contradicts itself. IO: the database.
 */
err ledger_open(struct kv *kv, struct bytes genesis, const struct ledger_options *options,
                struct ledger **ret, struct errtext *reterr) ERR_MUST_USE;

/* Frees the ledger, also between begin and finish (that block is then applied again after the next
 * open); accepts NULL. Writes nothing. */
void ledger_close(struct ledger *l);

/* ---- facts (of the last finished block) -------------------------------------------------------
 */

struct ledger_head {
    uint64_t height;        /* blocks applied; 0 after genesis */
    uint64_t position;      /* number of records, so the next record's position */
    uint64_t time_ns;       /* of the last block; genesis: its creation time */
    uint8_t block_hash[32]; /* of the last block; genesis: zero */
    uint8_t digest[32];     /* after the last record; genesis: zero */
    uint64_t log_bytes;     /* of all blocks so far, as they stood in the log */
    uint8_t root[32];       /* of the tree over the records (RFC 6962); genesis: that of none */
};

struct ledger_head ledger_head(const struct ledger *l);

/* The Raft index of the last block in the batch, 0 after genesis. Whatever else the log holds
 * (barriers, configurations) is not the ledger's and may be seen again after a restart. */
uint64_t ledger_applied_index(const struct ledger *l);

/* Writes everything to durable files and tells the Raft index they reach: the log may be cut up to
 * it. IO. */
err ledger_flush(struct ledger *l, uint64_t *ret_durable_index,
                 struct errtext *reterr) ERR_MUST_USE;

/* SHA-256 of the genesis bytes; lives as long as the ledger. */
const uint8_t *ledger_id(const struct ledger *l);

/* The ledger's name; lives as long as the ledger. */
struct bytes ledger_origin(const struct ledger *l);

/* The least time between two signed heads of the tree, as genesis says. */
uint64_t ledger_head_interval_ns(const struct ledger *l);

/* Block time of the earliest waiting timer, or UINT64_MAX: the leader proposes an empty block then.
 */
uint64_t ledger_timer_next_ns(const struct ledger *l);

/* ---- admission --------------------------------------------------------------------------------
 */

/* Summed static bounds of a request. A block may hold at most EVENTS_MAX events and
 * REQUEST_STEPS_MAX, REQUEST_EFFECTS_MAX, REQUEST_BYTES_MAX in sum; what is beyond becomes void as
 * BLOCK_FULL, so the block builder adds up and stops in time. The limits are those of genesis. */
struct ledger_cost {
    int64_t events, steps, effects, bytes;
};

/* Adds the costs if a block that holds *sum has still room for them; else false, and no change. */
bool ledger_cost_add(const struct ledger *l, struct ledger_cost *sum,
                     const struct ledger_cost *cost);

/* One signature to verify: pure Ed25519 of `message` by `public_key`. */
struct ledger_check {
    uint8_t public_key[32];
    uint8_t signature[64];
};

enum ledger_admit { LEDGER_ADMIT_OK, LEDGER_ADMIT_ANSWERED, LEDGER_ADMIT_REFUSED };

struct ledger_admission {
    enum ledger_admit end;
    struct ledger_refusal refusal; /* REFUSED */
    struct ledger_answer answer;   /* ANSWERED: the first answer again; views in the arena */
    /* OK, and ANSWERED: views of the envelope that was given. */
    struct bytes on_behalf;
    uint8_t request_id[16];
    uint8_t request_hash[32];
    struct ledger_cost cost;
    bool governance; /* every event is of the reserved contract `ledger` */
    /* OK: what a worker has still to verify before the request may be proposed. */
    uint8_t message[64]; /* what was signed: tag and digest of the body; message_size bytes */
    size_t message_size;
    struct ledger_check checks[SIGNATURES_MAX];
    size_t check_count;
};

/* Every check of a request except the mathematics of its signatures, against the state of the last
 * finished block: form and sizes, ledger, signers and their keys, on_behalf, expiry against now_ns,
 * an answer already given, summed static bounds. Arguments are not validated: a wrong argument is a
 * recorded rejection 0.1, as is a contract or action that does not exist (rules 11.3).
 * A request that waits in a block that is not finished counts as not answered; the apply makes the
 * second copy void. An arena of LEDGER_QUERY_ARENA_MAX bytes does. */
void ledger_admit(const struct ledger *l, struct bytes envelope, uint64_t now_ns, struct arena *a,
                  struct ledger_admission *ret);

/* The signatures of one envelope of a block that arrived, for a worker of a follower. False if it
 * does not decode or a key is not known yet: then apply verifies or voids it by itself. */
bool ledger_checks_of(const struct ledger *l, struct bytes envelope, struct arena *a,
                      struct ledger_admission *ret);

/* ---- apply ------------------------------------------------------------------------------------
 */

/* A committed block of the log. */
struct ledger_input {
    uint64_t raft_index;
    struct bytes block;   /* as proposed; must stay readable until finish */
    const bool *verified; /* verified[i]: this node's workers verified all signatures of envelope i;
                             NULL: none; must stay readable until finish */
};

/* What became of one envelope of the block. */
struct ledger_applied {
    struct bytes on_behalf; /* empty if the envelope does not decode */
    uint8_t request_id[16];
    uint8_t request_hash[32];
    enum reason reason;          /* NONE: it is recorded; otherwise it is void */
    struct ledger_answer answer; /* recorded: its answer. DUPLICATE: the first answer if its block
                                    is finished before this one, else no outcomes */
};

struct ledger_result {
    struct ledger_head head;        /* after the block */
    struct ledger_applied *applied; /* one an envelope, in order */
    size_t applied_count;
    uint64_t position_first;                            /* of the block's records */
    uint64_t accepted, rejected, faults, voids, timers; /* counts */
    bool nodes_changed;                                 /* ledger_nodes tells something new */
};

/* Starts applying a block. An err leaves the ledger as it was and means that the entry is a *void
 * block*: it is a function of the entry and the last block alone, so every node finds the same, and
 * ledger_apply_void is due. INVALID, LIMIT, UNSUPPORTED (any version but BLOCK_VERSION): no block.
 * CONFLICT: height, previous hash or time do not follow the last block, or the time is beyond
 * BLOCK_TIME_NS_MAX. Faults of this machine (disk, memory) are never reported here: they die. */
err ledger_apply_begin(struct ledger *l, const struct ledger_input *input,
                       struct errtext *reterr) ERR_MUST_USE;

/* Applies at least one and at most event_budget events; true when all are done and finish is due.
 * Loading a request counts as one, and the events of an atomic request count twice: they are tried
 * as a whole, taken back, and then recorded. A deployment is one event and may take a second. */
bool ledger_apply_step(struct ledger *l, uint32_t event_budget);

/* Writes the block in one batch (not synced: the log is) and makes it visible. The result lives in
 * the ledger until the next begin. NULL: the database refused the batch (a full or failing disk,
 * ledger_failure says why); nothing of the block is stored, and the ledger is only good to be
 * closed: the next start applies the block again. */
const struct ledger_result *ledger_apply_finish(struct ledger *l);

/* Passes over a committed entry that ledger_apply_begin refused: no height, no record, no effect;
 * the Raft index counts as applied, and the entry as a void block. Not synced, like finish.
 * False: as NULL of finish. */
bool ledger_apply_void(struct ledger *l, uint64_t raft_index);

/* Why the database refused a batch, for people; "" while it has not. Lives with the ledger. */
const char *ledger_failure(const struct ledger *l);

/* The committed entries that were void blocks, ever. */
struct ledger_void_blocks {
    uint64_t count, last_index; /* Raft index of the last one */
};
struct ledger_void_blocks ledger_void_blocks(const struct ledger *l);

/* What is cheap to know of an entry of the log before it is applied. */
struct ledger_block_facts {
    uint64_t height, time_ns;
    uint8_t hash[32];
};

/* Is this entry a block that follows the one described by `last`? The same judgement as
 * ledger_apply_begin's, for what is appended and not applied yet. Pure; hashes the whole block. */
err ledger_block_follows(const struct ledger_block_facts *last, struct bytes block,
                         struct ledger_block_facts *ret, struct errtext *reterr) ERR_MUST_USE;

/* begin, all steps, finish. */
err ledger_block_apply(struct ledger *l, const struct ledger_input *input,
                       const struct ledger_result **ret, struct errtext *reterr) ERR_MUST_USE;

/* ---- queries ----------------------------------------------------------------------------------
 */
/* Pure reads of the last finished block. Each can fail with IO or CORRUPT (the database) besides
 * what it says. Everything returned lives in the arena; one of LEDGER_QUERY_ARENA_MAX bytes does.
 * Lists are paged: `limit` items at most (0: LEDGER_PAGE_MAX), and a token to go on from, empty at
 * the start and at the end. */
enum { LEDGER_PAGE_MAX = 1000 };

enum ledger_found { LEDGER_FOUND_NOTHING, LEDGER_FOUND_ANSWER, LEDGER_FOUND_VOID };

struct ledger_request_id {
    struct bytes party; /* on_behalf */
    uint8_t id[16];
};

struct ledger_request_state {
    enum ledger_found found;
    struct ledger_answer answer; /* ANSWER */
    enum reason reason;          /* VOID: the latest reason, and the block that lists it */
    uint8_t request_hash[32];    /* VOID */
    uint64_t height;             /* VOID */
};

/* What became of a request. */
err ledger_query_request(const struct ledger *l, const struct ledger_request_id *request,
                         struct arena *a, struct ledger_request_state *ret,
                         struct errtext *reterr) ERR_MUST_USE;

/* An account or the rows of a table, as people write them: contract "solar.roquefort" and place
 * "wallet[c01]", "supply[2026-07-01]" or "supply". */
struct ledger_place {
    struct bytes contract, place;
};

struct ledger_balance {
    struct bytes key;     /* stored form */
    struct bytes measure; /* "EUR" */
    int64_t quanta;
    struct bytes amount; /* "-7.85 EUR" */
    uint64_t postings;
    uint8_t chain[32]; /* head over its postings; zero if none */
};

/* The balance; an account never posted to stands at zero. NOT_FOUND: contract or family; INVALID: a
 * key that does not read as its type. */
err ledger_query_balance(const struct ledger *l, const struct ledger_place *place, struct arena *a,
                         struct ledger_balance *ret, struct errtext *reterr) ERR_MUST_USE;

struct ledger_posting {
    uint64_t number;                     /* 1, 2, ... in the account */
    uint64_t position;                   /* of the record that posted it */
    uint32_t ordinal;                    /* of the posting in that record */
    uint64_t time_ns;                    /* of the block */
    int64_t quanta;                      /* credits positive */
    int64_t balance;                     /* after it */
    struct bytes amount, balance_amount; /* printed */
    struct bytes counter;                /* the other account: wallet[c01], or origin (issued) */
    struct bytes clause;                 /* of the contract */
};

struct ledger_statement_query {
    struct ledger_place place;
    uint64_t from_position; /* postings of this position and later ones */
    struct bytes token;
    uint32_t limit;
};

struct ledger_statement {
    struct ledger_balance balance; /* now, so at the end of the last page */
    struct ledger_posting *postings;
    size_t count;
    struct bytes token;
};

/* Postings of an account, oldest first, with the running balance. NOT_FOUND, INVALID as above. */
err ledger_query_statement(const struct ledger *l, const struct ledger_statement_query *query,
                           struct arena *a, struct ledger_statement *ret,
                           struct errtext *reterr) ERR_MUST_USE;

struct ledger_rows_query {
    struct ledger_place place; /* the table, with none, the first or all of its keys */
    struct bytes token;
    uint32_t limit;
};

struct ledger_rows {
    struct bytes *json; /* {"key":["2026-07-01","hall"],"row":{"energy":"1.000 Wh"}} */
    size_t count;
    struct bytes token;
};

/* Rows of a table in key order. NOT_FOUND, INVALID as above. */
err ledger_query_rows(const struct ledger *l, const struct ledger_rows_query *query,
                      struct arena *a, struct ledger_rows *ret,
                      struct errtext *reterr) ERR_MUST_USE;

struct ledger_trial_line {
    struct bytes contract, family, measure;
    uint64_t accounts;       /* that were ever posted to, the issuance account included */
    int64_t debits, credits; /* sums of the negative and of the positive balances, in quanta */
    struct bytes debits_amount, credits_amount;
};

struct ledger_trial {
    struct ledger_trial_line *lines; /* by contract, then family */
    size_t count;
};

/* Every family that was ever posted to, computed from all stored accounts. Debits plus credits give
 * zero over the families of one contract and measure (a transfer may go from one family to another,
 * as tax leaves the wallets of solar.rules). LIMIT: a sum beyond int64. */
err ledger_query_trial(const struct ledger *l, struct arena *a, struct ledger_trial *ret,
                       struct errtext *reterr) ERR_MUST_USE;

struct ledger_record {
    struct ledger_outcome outcome;
    struct record record; /* decoded; views into bytes */
    struct bytes bytes;   /* canonical; the Merkle leaf is over these */
    struct bytes outcome_json, effects_json;
    struct bytes leaves; /* under accounts_root, 32 bytes each */
};

struct ledger_records {
    struct ledger_record *records;
    size_t count;
    uint64_t next; /* position to go on from */
};

struct ledger_records_query {
    uint64_t from;
    uint32_t limit;        /* 0: LEDGER_PAGE_MAX */
    struct bytes contract; /* empty: all */
};

/* Records from a position on: fewer than the limit at the end, or when they pass about 1 MiB. */
err ledger_query_records(const struct ledger *l, const struct ledger_records_query *query,
                         struct arena *a, struct ledger_records *ret,
                         struct errtext *reterr) ERR_MUST_USE;

/* ---- decisions: tried, and told again (ledger/simulate.c, ledger/explain.c) ---- */

struct ledger_simulation_query {
    struct bytes envelope;       /* signed by at least one; or empty, and */
    struct bytes body;           /* an encoded Body that nobody has signed yet */
    const struct bytes *signers; /* parties that are assumed to have signed, too */
    size_t signer_count;         /* none at all: on_behalf alone is assumed */
    uint64_t now_ns;             /* block time to assume */
};

struct ledger_simulated {
    bool timer; /* one that would fire first */
    struct ledger_outcome outcome;
    const struct rules_program *program; /* that judged; NULL: none was in force */
    struct bytes outcome_json, effects_json, trace_json;
};

struct ledger_simulation {
    struct ledger_simulated *events; /* timers that would fire first, then one an event */
    size_t count;
    bool accepted; /* all events are; for an atomic request: it would have effects */
    uint64_t now_ns;
};

/* What would become of a request if it were alone in the next block: the same code as apply, on an
 * overlay that is thrown away. Nothing is recorded, no signature is verified, no request id is used
 * up. The events of an atomic request are shown as tried, one after the other, up to the first that
 * is not accepted. True: *ret, in the arena. False: refusal says why not, as Submit would;
 * TOO_COSTLY also when the static bounds, timers included, sum to over SIMULATE_STEPS_MAX; actions
 * of governance are BAD_REQUEST. Cost: at most that many steps, some 100 ms. A database that fails
 * stops the process, as in apply. */
bool ledger_simulate(const struct ledger *l, const struct ledger_simulation_query *query,
                     struct arena *a, struct ledger_simulation *ret,
                     struct ledger_refusal *refusal);

struct ledger_explanation {
    struct ledger_record record;
    const struct rules_program *program; /* that judged; NULL: the event found none */
    struct bytes trace_json;
    bool recomputed;                  /* evaluated again; false: the stored trace */
    struct bytes on_behalf;           /* empty for a timer */
    struct bytes signers[SIGNATURES_MAX];
    size_t signer_count;
};

/* The trace of a recorded event or timer. A refusal's is stored; an accepted one's is evaluated
 * again, by the version that judged, from its arguments (of the block) and from what it read, which
 * each node keeps for itself. Either way it counts only if its salted hash is the record's, and the
 * outcome and effects must come out the same.
 * NOT_FOUND: no such record; an action of governance, which has no trace; or this node does not
 * hold what the event read (it came with a checkpoint, or was over INPUTS_BYTES_MAX). CORRUPT: what
 * is stored does not give the recorded hashes. LIMIT: larger than the arena. */
err ledger_explain(const struct ledger *l, uint64_t position, struct arena *a,
                   struct ledger_explanation *ret, struct errtext *reterr) ERR_MUST_USE;

/* What a record keeps secret by salting it, opened again: the seal is SHA-256(salt || u32 index),
 * and SHA-256(seal || bytes) of the outcome or the effects is the hash in the record. Who holds a
 * record and its seal can check both without the request. */
struct ledger_revealed {
    struct ledger_record record;
    uint8_t seal[32];
    struct bytes on_behalf; /* empty for a timer */
    uint8_t request_id[16];
};

enum { REVEALED_MAX = 4 * EVENTS_MAX }; /* records of one block: its events, and timers */

struct ledger_revelation {
    struct bytes block;              /* as it stood in the log */
    struct ledger_revealed *records; /* all that the block made, in order */
    size_t count;
};

/* A block with its records opened; position is that of its first record. All is in the arena.
 * NOT_FOUND: no such block. */
err ledger_reveal(const struct ledger *l, uint64_t height, uint64_t position, struct arena *a,
                  struct ledger_revelation *ret, struct errtext *reterr) ERR_MUST_USE;

struct ledger_accounts_query {
    struct bytes token;
    uint32_t limit;
};

struct ledger_account_name {
    struct ledger_place place; /* contract and "wallet[c01]", or "wallet (issued)" */
    bool issuance;             /* the latter: no statement is made of it */
    uint64_t postings;
};

struct ledger_accounts {
    struct ledger_account_name *accounts; /* in key order */
    size_t count;
    struct bytes token;
};

/* The accounts that were ever posted to. */
err ledger_query_accounts(const struct ledger *l, const struct ledger_accounts_query *query,
                          struct arena *a, struct ledger_accounts *ret,
                          struct errtext *reterr) ERR_MUST_USE;

/* The block's bytes as applied. NOT_FOUND. */
err ledger_query_block(const struct ledger *l, uint64_t height, struct buf *ret,
                       struct errtext *reterr) ERR_MUST_USE;

struct ledger_void {
    uint8_t request_hash[32];
    enum reason reason;
    uint32_t index; /* of the envelope in the block */
};

struct ledger_voids {
    struct ledger_void *voids;
    size_t count;
};

/* The requests of a block that were void. */
err ledger_query_voids(const struct ledger *l, uint64_t height, struct arena *a,
                       struct ledger_voids *ret, struct errtext *reterr) ERR_MUST_USE;

/* SHA-256 over (u32 key length, key, u32 value length, value) of the replicated families, family by
 * family in key order: equal on all nodes at a height. Reads everything; for tests and audits. */
err ledger_state_digest(const struct ledger *l, uint8_t ret[32],
                        struct errtext *reterr) ERR_MUST_USE;

/* What a state database says of itself, without a ledger opened on it. */
struct ledger_facts {
    uint8_t ledger_id[32];
    struct ledger_head head;
    uint64_t applied_index;   /* Raft index of the last block */
    uint8_t state_digest[32]; /* as above */
};

/* Reads all of a database: of a checkpoint, read-only. Any thread, as long as nobody writes it.
 * CORRUPT: it holds no sound head, or is damaged. IO. Cost: a whole read and its hash. */
err ledger_examine(struct kv *kv, struct ledger_facts *ret, struct errtext *reterr) ERR_MUST_USE;
/* The same, until *stop is true (set by any thread): then AGAIN, soon. */
err ledger_examine_until(struct kv *kv, const atomic_bool *stop, struct ledger_facts *ret,
                         struct errtext *reterr) ERR_MUST_USE;

/* Makes a database that another node has sent this node's own: what the state digest does not cover
 * (traces, inputs, counters) is forgotten, durably; the applied index stays, which ledger_examine
 * told. No ledger is open on it. IO. */
err ledger_adopt(struct kv *kv, struct errtext *reterr) ERR_MUST_USE;

/* ---- contracts and governed tables: in memory, views live as long as the ledger ------------ */

struct ledger_contract {
    struct bytes name;
    uint64_t version;
    struct bytes title, text;
    int32_t effective; /* civil day, days since 1970-01-01 */
    uint8_t text_hash[32], code_hash[32];
    uint64_t height; /* block that deployed it; 0: genesis */
    const struct rules_program *program;
};

/* All versions of all contracts by name, then version. The array is in the arena, what it points to
 * is the ledger's. */
const struct ledger_contract *ledger_contracts(const struct ledger *l, struct arena *a,
                                               size_t *ret_count);

/* One version, or the highest if version is 0. False if there is none. */
bool ledger_contract_find(const struct ledger *l, struct bytes name, uint64_t version,
                          struct ledger_contract *ret);

struct ledger_named_key {
    struct bytes name;
    uint8_t key[32];
};

struct ledger_institution {
    struct bytes name;
    const struct bytes *certificates; /* its CAs, DER */
    size_t certificate_count;
    const uint8_t (*governance_keys)[32];
    size_t governance_key_count;
    const struct ledger_named_key *officers;
    size_t officer_count;
};

const struct ledger_institution *ledger_institutions(const struct ledger *l, size_t *ret_count);

/* What the institutions want a node to be. The Raft configuration follows; numbers are stored. */
enum ledger_wish {
    LEDGER_WISH_STANDBY = 1, /* receives the log, has no vote */
    LEDGER_WISH_VOTER = 2,
    LEDGER_WISH_REMOVED = 3, /* history: takes no part, its id is never given again */
};

struct ledger_node {
    uint64_t id; /* Raft id, never reused */
    struct bytes institution, name;
    struct bytes peer_address, client_address;      /* host:port */
    struct bytes transport_key, transport_key_next; /* SPKI DER; next may be empty */
    struct bytes head_key, head_key_next;           /* Ed25519; next may be empty */
    enum ledger_wish wish;
    uint64_t successor;                     /* removed by a replacement: the new node; else 0 */
    uint64_t added_height, changed_height;  /* blocks; 0: genesis */
};

/* The nodes in force, by id: every row but the removed ones. Views last until the next finish. */
const struct ledger_node *ledger_nodes(const struct ledger *l, size_t *ret_count);

/* All rows, the removed ones included, by id. Views last until the next finish. */
const struct ledger_node *ledger_nodes_ever(const struct ledger *l, size_t *ret_count);

/* The row of an id, also of a removed node, or NULL. The view lasts until the next finish. */
const struct ledger_node *ledger_node_find(const struct ledger *l, uint64_t id);

/* What a request asks of the node table. */
enum ledger_node_deed {
    LEDGER_NODE_NOTHING, /* it is about something else, or does not decode */
    LEDGER_NODE_ADD,
    LEDGER_NODE_PROMOTE,
    LEDGER_NODE_DEMOTE,
    LEDGER_NODE_REMOVE,
    LEDGER_NODE_REPLACE,
    LEDGER_NODE_UPDATE,
    LEDGER_NODE_SEVERAL, /* more than one of these in one request */
};

struct ledger_node_ask {
    enum ledger_node_deed deed;
    uint64_t id;                 /* of the node concerned; ADD: 0 */
    bool refused;                /* by the table as it is; `why` says so */
    char why[LEDGER_TEXT_MAX];
};

/* What the envelope asks of the node table, and whether the table as it is would reject it. For a
 * leader that refuses what would only become a recorded rejection; arguments and signatures are
 * left to the apply. Not between begin and finish of a block that changes nodes: then it may see
 * them already. */
void ledger_node_asked(const struct ledger *l, struct bytes envelope, struct arena *a,
                       struct ledger_node_ask *ret);

struct ledger_key {
    uint8_t public_key[32];
    uint64_t added_height;   /* counts from the next block on; genesis keys: 0, count at once */
    uint64_t revoked_height; /* 0: not revoked; else it counts no more from the next block on (may
                                be that of the block being applied) */
};

struct ledger_party {
    struct bytes name, institution;
    const struct ledger_key *keys;
    size_t key_count;
};

/* The party of that name, `ledger.X` and `ledger.X.NAME` included; false if there is none. */
bool ledger_party_find(const struct ledger *l, struct bytes name, struct ledger_party *ret);

#endif
