/* The messages of the gRPC services as plain structs, for the server and for the command line.
 * What each field means is written in concordat/v1/<service>.proto; names are the same.
 *
 * For every message there are
 *   err NAME_decode(wire, arena, &ret, reterr)  INVALID: not such a message, or a text in it is no
 *       UTF-8 or holds a NUL, or a hash has another size than 32; LIMIT: larger than
 *       GRPC_MESSAGE_BYTES_MAX or than the arena allows. On success *ret and everything it points
 *       to live in the arena; on failure nothing is written. Unknown fields are ignored.
 *   void NAME_encode(message, buf)  appends the message; beyond the buffer's limit it sets
 * overflow. Pure; any thread.
 *
 * Texts are `struct bytes`; in a decoded message each is followed by a NUL that its size does not
 * count. To be encoded they must be valid UTF-8 without NUL. Lists are (pointer, count). */
#ifndef PROTO_SERVICE_H
#define PROTO_SERVICE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"

/* Paths of the methods, for the server's table and for clients. */
#define METHOD_SUBMIT "/concordat.v1.Ledger/Submit"
#define METHOD_GET_OUTCOME "/concordat.v1.Ledger/GetOutcome"
#define METHOD_GET_RECEIPT "/concordat.v1.Ledger/GetReceipt"
#define METHOD_GET_CONSISTENCY "/concordat.v1.Ledger/GetConsistency"
#define METHOD_GET_POLICY "/concordat.v1.Ledger/GetPolicy"
#define METHOD_PROVE_STATEMENT "/concordat.v1.Query/ProveStatement"
#define METHOD_WATCH "/concordat.v1.Ledger/Watch"
#define METHOD_BALANCE "/concordat.v1.Query/Balance"
#define METHOD_ROWS "/concordat.v1.Query/Rows"
#define METHOD_STATEMENT "/concordat.v1.Query/Statement"
#define METHOD_TRIAL_BALANCE "/concordat.v1.Query/TrialBalance"
#define METHOD_LIST_CONTRACTS "/concordat.v1.Contracts/List"
#define METHOD_GET_CONTRACT "/concordat.v1.Contracts/Get"
#define METHOD_SIMULATE "/concordat.v1.Contracts/Simulate"
#define METHOD_EXPLAIN "/concordat.v1.Contracts/Explain"
#define METHOD_GENESIS "/concordat.v1.Archive/Genesis"
#define METHOD_BLOCKS "/concordat.v1.Archive/Blocks"
#define METHOD_HEADS "/concordat.v1.Archive/Heads"
#define METHOD_STATUS "/concordat.v1.Operator/Status"
#define METHOD_NODES "/concordat.v1.Operator/Nodes"
#define METHOD_TRANSFER "/concordat.v1.Operator/Transfer"
#define METHOD_HEALTH_CHECK "/grpc.health.v1.Health/Check"
#define METHOD_HEALTH_WATCH "/grpc.health.v1.Health/Watch"

/* ---- ledger.proto ---- */

enum end { END_UNSPECIFIED, END_ACCEPTED, END_REJECTED, END_FAULT };

struct event_outcome {
    uint64_t position;
    enum end end;
    uint64_t contract_version;
    struct bytes clause, text, kind;
    uint32_t line;
    struct bytes contract, action;
};

struct at {
    uint64_t height, time_ns, size;
    uint8_t digest[32];
};

enum wait { WAIT_COMMITTED, WAIT_COSIGNED };

struct submit_request {
    struct bytes envelope;
    enum wait wait; /* or a number that only a newer client knows */
};

struct submit_reply {
    uint64_t height, time_ns;
    uint8_t request_hash[32];
    struct event_outcome *outcomes;
    size_t outcome_count;
    uint8_t digest[32];
    bool duplicate;
    struct bytes receipt;
};

struct get_outcome_request {
    struct bytes party;
    uint8_t request_id[16]; /* must be there */
    bool local;
};

struct get_receipt_request {
    struct bytes party, request_id; /* party empty: by position */
    uint32_t index;
    bool has_position;
    uint64_t position;
    bool local;
};

struct get_receipt_reply {
    struct at at;
    struct bytes receipt;
    uint64_t position, size;
};

struct get_consistency_request {
    uint64_t old_size;
    bool local;
};

struct get_consistency_reply {
    struct at at;
    struct bytes proof;
    uint64_t size;
};

struct get_policy_request {
    bool has_size;
    uint64_t size;
    bool local;
};

struct get_policy_reply {
    struct at at;
    struct bytes policy;
    uint64_t size;
};

struct watch_request {
    uint64_t from_position;
    struct bytes contract;
    bool until_now;
};

struct watch_entry {
    uint64_t position;
    struct bytes record, outcome, effects;
    uint64_t height, time_ns;
    uint32_t kind; /* enum record_kind of proto/record.h */
    uint8_t request_hash[32];
    uint32_t event_index;
    struct bytes contract;
    uint64_t contract_version;
    struct bytes action;
    enum end end;
};

struct watch_reply {
    struct watch_entry *entries;
    size_t entry_count;
    uint64_t next_position, size;
};

/* ---- query.proto ---- */

struct account {
    struct bytes contract, place;
};

struct balance_request {
    struct account account;
    bool local;
};

struct balance_reply {
    struct at at;
    int64_t quanta;
    struct bytes amount, measure;
    uint64_t postings;
};

struct rows_request {
    struct bytes contract, place;
    uint32_t page_size;
    struct bytes page_token;
    bool local;
};

struct row {
    struct bytes json;
};

struct rows_reply {
    struct at at;
    struct row *rows;
    size_t row_count;
    struct bytes next_page_token;
};

struct statement_request {
    struct account account;
    uint64_t from_position;
    uint32_t page_size;
    struct bytes page_token;
    bool local;
};

struct posting {
    uint64_t number, position;
    uint32_t ordinal;
    uint64_t time_ns;
    int64_t quanta, balance_quanta;
    struct bytes amount, balance, counter, clause;
};

struct statement_reply {
    struct at at;
    struct bytes measure;
    struct posting *postings;
    size_t posting_count;
    struct bytes next_page_token;
    int64_t balance_quanta;
    struct bytes balance;
};

struct prove_statement_request {
    struct account account;
    uint64_t from_position, to_position;
    uint32_t page_size;
    struct bytes page_token;
    bool local;
};

struct prove_statement_reply {
    struct at at;
    uint64_t size;
    struct bytes text, next_page_token;
    uint32_t marks;
};

struct trial_balance_request {
    uint32_t page_size;
    struct bytes page_token;
    bool local;
};

struct trial_balance_line {
    struct bytes contract, family, measure;
    uint64_t accounts;
    int64_t debit_quanta, credit_quanta;
    struct bytes debit, credit;
    int64_t sum_quanta;
};

struct trial_balance_reply {
    struct at at;
    struct trial_balance_line *lines;
    size_t line_count;
    struct bytes next_page_token;
};

/* ---- contracts.proto ---- */

struct contract_info {
    struct bytes name;
    uint64_t version;
    int32_t effective_date;
    uint64_t replaces;
    struct bytes title;
    uint8_t text_hash[32], code_hash[32];
    uint32_t text_size;
    uint64_t height;
};

struct list_contracts_request {
    uint32_t page_size;
    struct bytes page_token;
    bool local;
};

struct list_contracts_reply {
    struct at at;
    struct contract_info *contracts;
    size_t contract_count;
    struct bytes next_page_token;
};

struct get_contract_request {
    struct bytes name;
    uint64_t version;
    bool local;
};

struct get_contract_reply {
    struct at at;
    struct contract_info contract;
    struct bytes text;
};

struct assumed_signer {
    struct bytes party;
};

struct simulate_request {
    struct bytes envelope, body;
    struct assumed_signer *signers;
    size_t signer_count;
    bool has_now;
    uint64_t now_ns;
    struct bytes language;
    bool local;
};

struct simulated {
    struct event_outcome outcome;
    bool timer;
    struct bytes outcome_json, effects, trace, words;
};

struct simulate_reply {
    struct at at;
    uint64_t now_ns;
    bool accepted;
    struct simulated *events;
    size_t event_count;
};

struct explain_request {
    bool has_position;
    uint64_t position;
    struct bytes party, request_id;
    uint32_t event_index;
    struct bytes language;
    bool local;
};

struct explain_reply {
    struct at at;
    struct event_outcome outcome;
    uint64_t height, time_ns;
    struct bytes outcome_json, effects, trace;
    bool recomputed;
    struct bytes words;
};

/* ---- archive.proto ---- */

struct genesis_request {
    bool local;
};

struct genesis_reply {
    struct at at;
    struct bytes genesis, signatures;
};

struct blocks_request {
    uint64_t from_height;
    bool local;
};

struct archived_block {
    struct bytes block, records;
};

struct blocks_reply {
    struct at at;
    struct archived_block *blocks;
    size_t block_count;
};

struct heads_request {
    uint64_t from_size;
    bool local;
};

struct signed_head {
    uint64_t size;
    struct bytes note;
};

struct heads_reply {
    struct at at;
    struct signed_head *heads;
    size_t head_count;
};

/* ---- operator.proto ---- */

enum node_role {
    NODE_ROLE_UNKNOWN,
    NODE_ROLE_LEADER,
    NODE_ROLE_VOTER,
    NODE_ROLE_STANDBY,
    NODE_ROLE_CATCHING_UP,
};

struct node_status {
    uint64_t id;
    struct bytes institution, name, peer_address, client_address;
    enum node_role role;
    bool self, connected;
    bool has_last_contact;
    uint64_t last_contact_ms;
    uint64_t term, height, lag;
    struct bytes software_version;
    uint64_t disk_free_bytes, sync_p99_us;
    bool has_certificate;
    int64_t certificate_days_left;
    uint64_t cosigned_size, cosigned_ns;
};

enum health { HEALTH_UNSPECIFIED, HEALTH_GOOD, HEALTH_DEGRADED, HEALTH_NO_QUORUM };

struct alarm_status {
    struct bytes code, text, remedy, institution, node;
    uint64_t since_ns;
};

struct pending_change {
    uint64_t node;
    struct bytes what, why;
};

struct status_request {
    char none; /* the message has no fields */
};

struct status_reply {
    struct at at;
    enum health health;
    uint8_t ledger_id[32];
    struct bytes origin, zone;
    uint32_t voters, quorum, voters_reachable, failures_survived;
    uint64_t leader_id, term;
    struct node_status *nodes;
    size_t node_count;
    struct alarm_status *alarms;
    size_t alarm_count;
    uint64_t clock_ns, uptime_ms;
    bool draining;
    struct pending_change *pending;
    size_t pending_count;
    uint64_t void_blocks;
    uint64_t scrub_last_ns, scrub_bytes, scrub_findings;
    bool scrub_running;
    uint64_t stall_us, stall_worst_us, heartbeat_late_us, heartbeat_late_worst_us;
};

enum node_wish {
    NODE_WISH_UNSPECIFIED,
    NODE_WISH_STANDBY,
    NODE_WISH_VOTER,
    NODE_WISH_REMOVED,
};

enum node_member { NODE_MEMBER_NONE, NODE_MEMBER_STANDBY, NODE_MEMBER_VOTER };

struct node_entry_shown {
    uint64_t id;
    struct bytes institution, name, peer_address, client_address;
    struct bytes transport_key, next_transport_key, head_key, next_head_key;
    enum node_wish wish;
    enum node_member member;
    uint64_t successor, added_height, changed_height;
};

struct nodes_request {
    bool ever;
};

struct nodes_reply {
    struct at at;
    uint8_t ledger_id[32];
    uint64_t leader_id;
    struct node_entry_shown *nodes;
    size_t node_count;
    struct pending_change *pending;
    size_t pending_count;
};

struct transfer_request {
    uint64_t node;
};

struct transfer_reply {
    uint64_t leader_id;
};

/* ---- grpc/health/v1/health.proto ---- */

enum serving_status { SERVING_UNKNOWN, SERVING, NOT_SERVING, SERVICE_UNKNOWN };

struct health_check_request {
    struct bytes service;
};

struct health_check_response {
    enum serving_status status;
};

/* The messages that travel alone: decode and encode for each of them. */
#define SERVICE_MESSAGES(X)                                                                        \
    X(submit_request)                                                                              \
    X(submit_reply)                                                                                \
    X(get_outcome_request)                                                                         \
    X(watch_request)                                                                               \
    X(watch_reply)                                                                                 \
    X(balance_request)                                                                             \
    X(balance_reply)                                                                               \
    X(rows_request)                                                                                \
    X(rows_reply)                                                                                  \
    X(statement_request)                                                                           \
    X(get_receipt_request)                                                                         \
    X(get_receipt_reply)                                                                           \
    X(get_consistency_request)                                                                     \
    X(get_consistency_reply)                                                                       \
    X(get_policy_request)                                                                          \
    X(get_policy_reply)                                                                            \
    X(prove_statement_request)                                                                     \
    X(prove_statement_reply)                                                                       \
    X(statement_reply)                                                                             \
    X(trial_balance_request)                                                                       \
    X(trial_balance_reply)                                                                         \
    X(list_contracts_request)                                                                      \
    X(list_contracts_reply)                                                                        \
    X(get_contract_request)                                                                        \
    X(get_contract_reply)                                                                          \
    X(simulate_request)                                                                            \
    X(simulate_reply)                                                                              \
    X(explain_request)                                                                             \
    X(explain_reply)                                                                               \
    X(genesis_request)                                                                             \
    X(genesis_reply)                                                                               \
    X(blocks_request)                                                                              \
    X(blocks_reply)                                                                                \
    X(heads_request)                                                                               \
    X(heads_reply)                                                                                 \
    X(status_request)                                                                              \
    X(status_reply)                                                                                \
    X(nodes_request)                                                                               \
    X(nodes_reply)                                                                                 \
    X(transfer_request)                                                                            \
    X(transfer_reply)                                                                              \
    X(health_check_request)                                                                        \
    X(health_check_response)

#define SERVICE_DECLARE(name)                                                                      \
    err name##_decode(struct bytes wire, struct arena *a, struct name **ret,                       \
                      struct errtext *reterr) ERR_MUST_USE;                                        \
    void name##_encode(const struct name *message, struct buf *buf);
SERVICE_MESSAGES(SERVICE_DECLARE)
#undef SERVICE_DECLARE

#endif
