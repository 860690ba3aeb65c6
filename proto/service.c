/* The shapes of all messages: fields in ascending order of their numbers in the .proto files. */
#include "proto/service.h"

#include "base/limits.h"
#include "base/require.h"
#include "proto/shape.h"

#include "concordat/v1/archive.pb-c.h"
#include "concordat/v1/contracts.pb-c.h"
#include "concordat/v1/ledger.pb-c.h"
#include "concordat/v1/operator.pb-c.h"
#include "concordat/v1/query.pb-c.h"
#include "grpc/health/v1/health.pb-c.h"

static_assert(sizeof(enum end) == sizeof(int), "enums are copied as int");

#define SHAPE(name, descriptor)                                                                    \
    static const struct shape SHAPE_##name = {&descriptor, FIELDS_##name,                          \
                                              sizeof(FIELDS_##name) / sizeof(FIELDS_##name[0]),    \
                                              sizeof(struct name)}

/* ---- ledger.proto ---- */

static const struct shape_field FIELDS_event_outcome[] = {
    F_VALUE(event_outcome, position),
    F_VALUE(event_outcome, end),
    F_VALUE(event_outcome, contract_version),
    F_VALUE(event_outcome, clause),
    F_VALUE(event_outcome, text),
    F_VALUE(event_outcome, kind),
    F_VALUE(event_outcome, line),
    F_VALUE(event_outcome, contract),
    F_VALUE(event_outcome, action),
};
SHAPE(event_outcome, concordat__v1__event_outcome__descriptor);

static const struct shape_field FIELDS_at[] = {
    F_VALUE(at, height),
    F_VALUE(at, time_ns),
    F_VALUE(at, size),
    F_FIXED(at, digest),
};
SHAPE(at, concordat__v1__at__descriptor);

static const struct shape_field FIELDS_submit_request[] = {
    F_VALUE(submit_request, envelope),
    F_VALUE(submit_request, wait),
};
SHAPE(submit_request, concordat__v1__submit_request__descriptor);

static const struct shape_field FIELDS_submit_reply[] = {
    F_VALUE(submit_reply, height),
    F_VALUE(submit_reply, time_ns),
    F_FIXED(submit_reply, request_hash),
    F_LIST(submit_reply, outcomes, outcome_count, &SHAPE_event_outcome),
    F_FIXED(submit_reply, digest),
    F_VALUE(submit_reply, duplicate),
    F_VALUE(submit_reply, receipt),
};
SHAPE(submit_reply, concordat__v1__submit_reply__descriptor);

static const struct shape_field FIELDS_get_outcome_request[] = {
    F_VALUE(get_outcome_request, party),
    F_EXACT(get_outcome_request, request_id),
    F_VALUE(get_outcome_request, local),
};
SHAPE(get_outcome_request, concordat__v1__get_outcome_request__descriptor);

static const struct shape_field FIELDS_get_receipt_request[] = {
    F_VALUE(get_receipt_request, party),
    F_VALUE(get_receipt_request, request_id),
    F_VALUE(get_receipt_request, index),
    F_OPTION(get_receipt_request, position, has_position),
    F_VALUE(get_receipt_request, local),
};
SHAPE(get_receipt_request, concordat__v1__get_receipt_request__descriptor);

static const struct shape_field FIELDS_get_receipt_reply[] = {
    F_INNER(get_receipt_reply, at, &SHAPE_at),
    F_VALUE(get_receipt_reply, receipt),
    F_VALUE(get_receipt_reply, position),
    F_VALUE(get_receipt_reply, size),
};
SHAPE(get_receipt_reply, concordat__v1__get_receipt_reply__descriptor);

static const struct shape_field FIELDS_get_consistency_request[] = {
    F_VALUE(get_consistency_request, old_size),
    F_VALUE(get_consistency_request, local),
};
SHAPE(get_consistency_request, concordat__v1__get_consistency_request__descriptor);

static const struct shape_field FIELDS_get_consistency_reply[] = {
    F_INNER(get_consistency_reply, at, &SHAPE_at),
    F_VALUE(get_consistency_reply, proof),
    F_VALUE(get_consistency_reply, size),
};
SHAPE(get_consistency_reply, concordat__v1__get_consistency_reply__descriptor);

static const struct shape_field FIELDS_get_policy_request[] = {
    F_OPTION(get_policy_request, size, has_size),
    F_VALUE(get_policy_request, local),
};
SHAPE(get_policy_request, concordat__v1__get_policy_request__descriptor);

static const struct shape_field FIELDS_get_policy_reply[] = {
    F_INNER(get_policy_reply, at, &SHAPE_at),
    F_VALUE(get_policy_reply, policy),
    F_VALUE(get_policy_reply, size),
};
SHAPE(get_policy_reply, concordat__v1__get_policy_reply__descriptor);

static const struct shape_field FIELDS_watch_request[] = {
    F_VALUE(watch_request, from_position),
    F_VALUE(watch_request, contract),
    F_VALUE(watch_request, until_now),
};
SHAPE(watch_request, concordat__v1__watch_request__descriptor);

static const struct shape_field FIELDS_watch_entry[] = {
    F_VALUE(watch_entry, position),
    F_VALUE(watch_entry, record),
    F_VALUE(watch_entry, outcome),
    F_VALUE(watch_entry, effects),
    F_VALUE(watch_entry, height),
    F_VALUE(watch_entry, time_ns),
    F_VALUE(watch_entry, kind),
    F_FIXED(watch_entry, request_hash),
    F_VALUE(watch_entry, event_index),
    F_VALUE(watch_entry, contract),
    F_VALUE(watch_entry, contract_version),
    F_VALUE(watch_entry, action),
    F_VALUE(watch_entry, end),
};
SHAPE(watch_entry, concordat__v1__watch_entry__descriptor);

static const struct shape_field FIELDS_watch_reply[] = {
    F_LIST(watch_reply, entries, entry_count, &SHAPE_watch_entry),
    F_VALUE(watch_reply, next_position),
    F_VALUE(watch_reply, size),
};
SHAPE(watch_reply, concordat__v1__watch_reply__descriptor);

/* ---- query.proto ---- */

static const struct shape_field FIELDS_account[] = {
    F_VALUE(account, contract),
    F_VALUE(account, place),
};
SHAPE(account, concordat__v1__account__descriptor);

static const struct shape_field FIELDS_balance_request[] = {
    F_INNER(balance_request, account, &SHAPE_account),
    F_VALUE(balance_request, local),
};
SHAPE(balance_request, concordat__v1__balance_request__descriptor);

static const struct shape_field FIELDS_balance_reply[] = {
    F_INNER(balance_reply, at, &SHAPE_at), F_VALUE(balance_reply, quanta),
    F_VALUE(balance_reply, amount),        F_VALUE(balance_reply, measure),
    F_VALUE(balance_reply, postings),
};
SHAPE(balance_reply, concordat__v1__balance_reply__descriptor);

static const struct shape_field FIELDS_rows_request[] = {
    F_VALUE(rows_request, contract),  F_VALUE(rows_request, place),
    F_VALUE(rows_request, page_size), F_VALUE(rows_request, page_token),
    F_VALUE(rows_request, local),
};
SHAPE(rows_request, concordat__v1__rows_request__descriptor);

static const struct shape_field FIELDS_row[] = {
    F_VALUE(row, json),
};
SHAPE(row, concordat__v1__row__descriptor);

static const struct shape_field FIELDS_rows_reply[] = {
    F_INNER(rows_reply, at, &SHAPE_at),
    F_LIST(rows_reply, rows, row_count, &SHAPE_row),
    F_VALUE(rows_reply, next_page_token),
};
SHAPE(rows_reply, concordat__v1__rows_reply__descriptor);

static const struct shape_field FIELDS_statement_request[] = {
    F_INNER(statement_request, account, &SHAPE_account),
    F_VALUE(statement_request, from_position),
    F_VALUE(statement_request, page_size),
    F_VALUE(statement_request, page_token),
    F_VALUE(statement_request, local),
};
SHAPE(statement_request, concordat__v1__statement_request__descriptor);

static const struct shape_field FIELDS_posting[] = {
    F_VALUE(posting, number),  F_VALUE(posting, position), F_VALUE(posting, ordinal),
    F_VALUE(posting, time_ns), F_VALUE(posting, quanta),   F_VALUE(posting, balance_quanta),
    F_VALUE(posting, amount),  F_VALUE(posting, balance),  F_VALUE(posting, counter),
    F_VALUE(posting, clause),
};
SHAPE(posting, concordat__v1__posting__descriptor);

static const struct shape_field FIELDS_statement_reply[] = {
    F_INNER(statement_reply, at, &SHAPE_at),
    F_VALUE(statement_reply, measure),
    F_LIST(statement_reply, postings, posting_count, &SHAPE_posting),
    F_VALUE(statement_reply, next_page_token),
    F_VALUE(statement_reply, balance_quanta),
    F_VALUE(statement_reply, balance),
};
SHAPE(statement_reply, concordat__v1__statement_reply__descriptor);

static const struct shape_field FIELDS_prove_statement_request[] = {
    F_INNER(prove_statement_request, account, &SHAPE_account),
    F_VALUE(prove_statement_request, from_position),
    F_VALUE(prove_statement_request, to_position),
    F_VALUE(prove_statement_request, page_size),
    F_VALUE(prove_statement_request, page_token),
    F_VALUE(prove_statement_request, local),
};
SHAPE(prove_statement_request, concordat__v1__prove_statement_request__descriptor);

static const struct shape_field FIELDS_prove_statement_reply[] = {
    F_INNER(prove_statement_reply, at, &SHAPE_at),
    F_VALUE(prove_statement_reply, size),
    F_VALUE(prove_statement_reply, text),
    F_VALUE(prove_statement_reply, next_page_token),
    F_VALUE(prove_statement_reply, marks),
};
SHAPE(prove_statement_reply, concordat__v1__prove_statement_reply__descriptor);

static const struct shape_field FIELDS_trial_balance_request[] = {
    F_VALUE(trial_balance_request, page_size),
    F_VALUE(trial_balance_request, page_token),
    F_VALUE(trial_balance_request, local),
};
SHAPE(trial_balance_request, concordat__v1__trial_balance_request__descriptor);

static const struct shape_field FIELDS_trial_balance_line[] = {
    F_VALUE(trial_balance_line, contract),     F_VALUE(trial_balance_line, family),
    F_VALUE(trial_balance_line, measure),      F_VALUE(trial_balance_line, accounts),
    F_VALUE(trial_balance_line, debit_quanta), F_VALUE(trial_balance_line, credit_quanta),
    F_VALUE(trial_balance_line, debit),        F_VALUE(trial_balance_line, credit),
    F_VALUE(trial_balance_line, sum_quanta),
};
SHAPE(trial_balance_line, concordat__v1__trial_balance_line__descriptor);

static const struct shape_field FIELDS_trial_balance_reply[] = {
    F_INNER(trial_balance_reply, at, &SHAPE_at),
    F_LIST(trial_balance_reply, lines, line_count, &SHAPE_trial_balance_line),
    F_VALUE(trial_balance_reply, next_page_token),
};
SHAPE(trial_balance_reply, concordat__v1__trial_balance_reply__descriptor);

/* ---- contracts.proto ---- */

static const struct shape_field FIELDS_contract_info[] = {
    F_VALUE(contract_info, name),           F_VALUE(contract_info, version),
    F_VALUE(contract_info, effective_date), F_VALUE(contract_info, replaces),
    F_VALUE(contract_info, title),          F_FIXED(contract_info, text_hash),
    F_FIXED(contract_info, code_hash),      F_VALUE(contract_info, text_size),
    F_VALUE(contract_info, height),
};
SHAPE(contract_info, concordat__v1__contract__descriptor);

static const struct shape_field FIELDS_list_contracts_request[] = {
    F_VALUE(list_contracts_request, page_size),
    F_VALUE(list_contracts_request, page_token),
    F_VALUE(list_contracts_request, local),
};
SHAPE(list_contracts_request, concordat__v1__list_contracts_request__descriptor);

static const struct shape_field FIELDS_list_contracts_reply[] = {
    F_INNER(list_contracts_reply, at, &SHAPE_at),
    F_LIST(list_contracts_reply, contracts, contract_count, &SHAPE_contract_info),
    F_VALUE(list_contracts_reply, next_page_token),
};
SHAPE(list_contracts_reply, concordat__v1__list_contracts_reply__descriptor);

static const struct shape_field FIELDS_get_contract_request[] = {
    F_VALUE(get_contract_request, name),
    F_VALUE(get_contract_request, version),
    F_VALUE(get_contract_request, local),
};
SHAPE(get_contract_request, concordat__v1__get_contract_request__descriptor);

static const struct shape_field FIELDS_get_contract_reply[] = {
    F_INNER(get_contract_reply, at, &SHAPE_at),
    F_INNER(get_contract_reply, contract, &SHAPE_contract_info),
    F_VALUE(get_contract_reply, text),
};
SHAPE(get_contract_reply, concordat__v1__get_contract_reply__descriptor);

static const struct shape_field FIELDS_assumed_signer[] = {
    F_VALUE(assumed_signer, party),
};
SHAPE(assumed_signer, concordat__v1__assumed_signer__descriptor);

static const struct shape_field FIELDS_simulate_request[] = {
    F_VALUE(simulate_request, envelope),
    F_VALUE(simulate_request, body),
    F_LIST(simulate_request, signers, signer_count, &SHAPE_assumed_signer),
    F_OPTION(simulate_request, now_ns, has_now),
    F_VALUE(simulate_request, language),
    F_VALUE(simulate_request, local),
};
SHAPE(simulate_request, concordat__v1__simulate_request__descriptor);

static const struct shape_field FIELDS_simulated[] = {
    F_INNER(simulated, outcome, &SHAPE_event_outcome),
    F_VALUE(simulated, timer),
    F_VALUE(simulated, outcome_json),
    F_VALUE(simulated, effects),
    F_VALUE(simulated, trace),
    F_VALUE(simulated, words),
};
SHAPE(simulated, concordat__v1__simulated__descriptor);

static const struct shape_field FIELDS_simulate_reply[] = {
    F_INNER(simulate_reply, at, &SHAPE_at),
    F_VALUE(simulate_reply, now_ns),
    F_VALUE(simulate_reply, accepted),
    F_LIST(simulate_reply, events, event_count, &SHAPE_simulated),
};
SHAPE(simulate_reply, concordat__v1__simulate_reply__descriptor);

static const struct shape_field FIELDS_explain_request[] = {
    F_OPTION(explain_request, position, has_position),
    F_VALUE(explain_request, party),
    F_VALUE(explain_request, request_id),
    F_VALUE(explain_request, event_index),
    F_VALUE(explain_request, language),
    F_VALUE(explain_request, local),
};
SHAPE(explain_request, concordat__v1__explain_request__descriptor);

static const struct shape_field FIELDS_explain_reply[] = {
    F_INNER(explain_reply, at, &SHAPE_at),
    F_INNER(explain_reply, outcome, &SHAPE_event_outcome),
    F_VALUE(explain_reply, height),
    F_VALUE(explain_reply, time_ns),
    F_VALUE(explain_reply, outcome_json),
    F_VALUE(explain_reply, effects),
    F_VALUE(explain_reply, trace),
    F_VALUE(explain_reply, recomputed),
    F_VALUE(explain_reply, words),
};
SHAPE(explain_reply, concordat__v1__explain_reply__descriptor);

/* ---- archive.proto ---- */

static const struct shape_field FIELDS_genesis_request[] = {
    F_VALUE(genesis_request, local),
};
SHAPE(genesis_request, concordat__v1__genesis_request__descriptor);

static const struct shape_field FIELDS_genesis_reply[] = {
    F_INNER(genesis_reply, at, &SHAPE_at),
    F_VALUE(genesis_reply, genesis),
    F_VALUE(genesis_reply, signatures),
};
SHAPE(genesis_reply, concordat__v1__genesis_reply__descriptor);

static const struct shape_field FIELDS_blocks_request[] = {
    F_VALUE(blocks_request, from_height),
    F_VALUE(blocks_request, local),
};
SHAPE(blocks_request, concordat__v1__blocks_request__descriptor);

static const struct shape_field FIELDS_archived_block[] = {
    F_VALUE(archived_block, block),
    F_VALUE(archived_block, records),
};
SHAPE(archived_block, concordat__v1__archived_block__descriptor);

static const struct shape_field FIELDS_blocks_reply[] = {
    F_INNER(blocks_reply, at, &SHAPE_at),
    F_LIST(blocks_reply, blocks, block_count, &SHAPE_archived_block),
};
SHAPE(blocks_reply, concordat__v1__blocks_reply__descriptor);

static const struct shape_field FIELDS_heads_request[] = {
    F_VALUE(heads_request, from_size),
    F_VALUE(heads_request, local),
};
SHAPE(heads_request, concordat__v1__heads_request__descriptor);

static const struct shape_field FIELDS_signed_head[] = {
    F_VALUE(signed_head, size),
    F_VALUE(signed_head, note),
};
SHAPE(signed_head, concordat__v1__signed_head__descriptor);

static const struct shape_field FIELDS_heads_reply[] = {
    F_INNER(heads_reply, at, &SHAPE_at),
    F_LIST(heads_reply, heads, head_count, &SHAPE_signed_head),
};
SHAPE(heads_reply, concordat__v1__heads_reply__descriptor);

/* ---- operator.proto ---- */

static const struct shape_field FIELDS_node_status[] = {
    F_VALUE(node_status, id),
    F_VALUE(node_status, institution),
    F_VALUE(node_status, name),
    F_VALUE(node_status, peer_address),
    F_VALUE(node_status, client_address),
    F_VALUE(node_status, role),
    F_VALUE(node_status, self),
    F_VALUE(node_status, connected),
    F_OPTION(node_status, last_contact_ms, has_last_contact),
    F_VALUE(node_status, term),
    F_VALUE(node_status, height),
    F_VALUE(node_status, lag),
    F_VALUE(node_status, software_version),
    F_VALUE(node_status, disk_free_bytes),
    F_VALUE(node_status, sync_p99_us),
    F_OPTION(node_status, certificate_days_left, has_certificate),
    F_VALUE(node_status, cosigned_size),
    F_VALUE(node_status, cosigned_ns),
};
SHAPE(node_status, concordat__v1__node__descriptor);

static const struct shape_field FIELDS_alarm_status[] = {
    F_VALUE(alarm_status, code),   F_VALUE(alarm_status, text),
    F_VALUE(alarm_status, remedy), F_VALUE(alarm_status, institution),
    F_VALUE(alarm_status, node),   F_VALUE(alarm_status, since_ns),
};
SHAPE(alarm_status, concordat__v1__alarm__descriptor);

static const struct shape_field FIELDS_pending_change[] = {
    F_VALUE(pending_change, node),
    F_VALUE(pending_change, what),
    F_VALUE(pending_change, why),
};
SHAPE(pending_change, concordat__v1__pending__descriptor);

static const struct shape SHAPE_status_request = {&concordat__v1__status_request__descriptor, NULL,
                                                  0, sizeof(struct status_request)};

static const struct shape_field FIELDS_status_reply[] = {
    F_INNER(status_reply, at, &SHAPE_at),
    F_VALUE(status_reply, health),
    F_FIXED(status_reply, ledger_id),
    F_VALUE(status_reply, origin),
    F_VALUE(status_reply, zone),
    F_VALUE(status_reply, voters),
    F_VALUE(status_reply, quorum),
    F_VALUE(status_reply, voters_reachable),
    F_VALUE(status_reply, failures_survived),
    F_VALUE(status_reply, leader_id),
    F_VALUE(status_reply, term),
    F_LIST(status_reply, nodes, node_count, &SHAPE_node_status),
    F_LIST(status_reply, alarms, alarm_count, &SHAPE_alarm_status),
    F_VALUE(status_reply, clock_ns),
    F_VALUE(status_reply, uptime_ms),
    F_VALUE(status_reply, draining),
    F_LIST(status_reply, pending, pending_count, &SHAPE_pending_change),
    F_VALUE(status_reply, void_blocks),
    F_VALUE(status_reply, scrub_last_ns),
    F_VALUE(status_reply, scrub_bytes),
    F_VALUE(status_reply, scrub_findings),
    F_VALUE(status_reply, scrub_running),
    F_VALUE(status_reply, stall_us),
    F_VALUE(status_reply, stall_worst_us),
    F_VALUE(status_reply, heartbeat_late_us),
    F_VALUE(status_reply, heartbeat_late_worst_us),
};
SHAPE(status_reply, concordat__v1__status_reply__descriptor);

static const struct shape_field FIELDS_node_entry_shown[] = {
    F_VALUE(node_entry_shown, id),
    F_VALUE(node_entry_shown, institution),
    F_VALUE(node_entry_shown, name),
    F_VALUE(node_entry_shown, peer_address),
    F_VALUE(node_entry_shown, client_address),
    F_VALUE(node_entry_shown, transport_key),
    F_VALUE(node_entry_shown, next_transport_key),
    F_VALUE(node_entry_shown, head_key),
    F_VALUE(node_entry_shown, next_head_key),
    F_VALUE(node_entry_shown, wish),
    F_VALUE(node_entry_shown, member),
    F_VALUE(node_entry_shown, successor),
    F_VALUE(node_entry_shown, added_height),
    F_VALUE(node_entry_shown, changed_height),
};
SHAPE(node_entry_shown, concordat__v1__node_row__descriptor);

static const struct shape_field FIELDS_nodes_request[] = {
    F_VALUE(nodes_request, ever),
};
SHAPE(nodes_request, concordat__v1__nodes_request__descriptor);

static const struct shape_field FIELDS_nodes_reply[] = {
    F_INNER(nodes_reply, at, &SHAPE_at),
    F_FIXED(nodes_reply, ledger_id),
    F_VALUE(nodes_reply, leader_id),
    F_LIST(nodes_reply, nodes, node_count, &SHAPE_node_entry_shown),
    F_LIST(nodes_reply, pending, pending_count, &SHAPE_pending_change),
};
SHAPE(nodes_reply, concordat__v1__nodes_reply__descriptor);

static const struct shape_field FIELDS_transfer_request[] = {
    F_VALUE(transfer_request, node),
};
SHAPE(transfer_request, concordat__v1__transfer_request__descriptor);

static const struct shape_field FIELDS_transfer_reply[] = {
    F_VALUE(transfer_reply, leader_id),
};
SHAPE(transfer_reply, concordat__v1__transfer_reply__descriptor);

/* ---- grpc/health/v1/health.proto ---- */

static const struct shape_field FIELDS_health_check_request[] = {
    F_VALUE(health_check_request, service),
};
SHAPE(health_check_request, grpc__health__v1__health_check_request__descriptor);

static const struct shape_field FIELDS_health_check_response[] = {
    F_VALUE(health_check_response, status),
};
SHAPE(health_check_response, grpc__health__v1__health_check_response__descriptor);

#define SERVICE_DEFINE(name)                                                                       \
    err name##_decode(struct bytes wire, struct arena *a, struct name **ret,                       \
                      struct errtext *reterr)                                                      \
    {                                                                                              \
        require(ret != NULL);                                                                      \
        void *message = NULL;                                                                      \
        TRY(shape_decode(&SHAPE_##name, wire, a, &message, reterr));                               \
        *ret = message;                                                                            \
        return err_ok();                                                                           \
    }                                                                                              \
    void name##_encode(const struct name *message, struct buf *buf)                                \
    {                                                                                              \
        shape_encode(&SHAPE_##name, message, buf);                                                 \
    }
SERVICE_MESSAGES(SERVICE_DEFINE)
#undef SERVICE_DEFINE

const struct shape *service_shape(unsigned index)
{
#define SERVICE_SHAPE(name) &SHAPE_##name,
    static const struct shape *const SHAPES[] = {SERVICE_MESSAGES(SERVICE_SHAPE)};
#undef SERVICE_SHAPE
    return index < sizeof(SHAPES) / sizeof(SHAPES[0]) ? SHAPES[index] : NULL;
}
