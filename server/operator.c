/* The node table and what is under way, for operators: from any node, without a quorum. */
#include <string.h>

#include "base/require.h"
#include "proto/service.h"
#include "server/parts.h"

struct pending_change *members_pending(struct node *n, struct arena *a, size_t *ret_count)
{
    struct plan_view view;
    struct plan plan;
    members_view(n, &view);
    plan_make(&view, &plan);
    const struct plan *p = view.leads ? &n->members.plan : &plan;
    struct pending_change *list = arena_new(a, p->pending_count + 1, sizeof *list);
    for (size_t i = 0; i < p->pending_count; i++) {
        list[i] = (struct pending_change){
            .node = p->pending[i].id,
            .what = bytes_text(p->pending[i].what),
            .why = bytes_text(arena_printf(a, "%s", p->pending[i].why)),
        };
    }
    *ret_count = p->pending_count;
    return list;
}

static enum node_member shown_member(enum consensus_member member)
{
    switch (member) {
    case CONSENSUS_STANDBY:
        return NODE_MEMBER_STANDBY;
    case CONSENSUS_VOTER:
        return NODE_MEMBER_VOTER;
    case CONSENSUS_STRANGER:
        break;
    }
    return NODE_MEMBER_NONE;
}

static struct node_entry_shown shown_row(const struct plan_view *v, const struct ledger_node *row)
{
    const struct plan_node *p = plan_find(v, row->id);
    return (struct node_entry_shown){
        .id = row->id,
        .institution = row->institution,
        .name = row->name,
        .peer_address = row->peer_address,
        .client_address = row->client_address,
        .transport_key = row->transport_key,
        .next_transport_key = row->transport_key_next,
        .head_key = row->head_key,
        .next_head_key = row->head_key_next,
        .wish = (enum node_wish)row->wish,
        .member = p == NULL ? NODE_MEMBER_NONE : shown_member(p->member),
        .successor = row->successor,
        .added_height = row->added_height,
        .changed_height = row->changed_height,
    };
}

static void reply_nodes(struct node *n, struct grpc_call *call, struct arena *a, bool ever)
{
    struct ledger_head head = ledger_head(n->ledger);
    struct plan_view view;
    struct buf reply;
    size_t count = n->members.count;
    const struct ledger_node *rows = n->members.rows;
    if (ever) {
        rows = ledger_nodes_ever(n->ledger, &count);
    }
    members_view(n, &view);
    /* One that joins shows the table that it was given: whoever passes that on as a bootstrap table
     * must not say that it is older than it is. */
    bool given = !ever && n->members.bootstrap.count > 0;
    struct nodes_reply r = {
        .at = {.height = given ? n->members.bootstrap.height : head.height,
               .time_ns = head.time_ns,
               .size = head.position},
        .leader_id = host_leader(n),
        .nodes = arena_new(a, count + 1, sizeof *r.nodes),
        .node_count = count,
    };
    memcpy(r.at.digest, head.digest, 32);
    memcpy(r.ledger_id, ledger_id(n->ledger), 32);
    for (size_t i = 0; i < count; i++) {
        r.nodes[i] = shown_row(&view, &rows[i]);
    }
    r.pending = members_pending(n, a, &r.pending_count);
    buf_init(&reply, GRPC_MESSAGE_BYTES_MAX);
    nodes_reply_encode(&r, &reply);
    require(!reply.overflow);
    grpc_call_reply(call, buf_bytes(&reply));
    buf_done(&reply);
}

void nodes_call(struct grpc_call *call, struct bytes message)
{
    struct node *n = grpc_call_server_ctx(call);
    struct arena a;
    struct nodes_request *q;
    struct errtext why;
    arena_init(&a, (2 << 20) + message.size * 4);
    err e = nodes_request_decode(message, &a, &q, &why);
    if (failed(e)) {
        struct refusal no = refusal_of(REASON_BAD_REQUEST, "%s", why.text);
        refusal_send(call, &no);
    } else {
        reply_nodes(n, call, &a, q->ever);
    }
    arena_done(&a);
}
