/* concordat node list, transfer: the node table, and who leads. */
#include "cli/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/mem.h"
#include "cli/node_table.h"
#include "cli/show.h"

#define TEXT(b) (int)(b).size, (const char *)(b).data

err node_table_ask(struct session *s, bool ever, struct nodes_reply **ret)
{
    struct bytes answer;
    struct nodes_request q = {.ever = ever};
    nodes_request_encode(&q, &s->request);
    TRY(session_ask(s, METHOD_NODES, &answer));
    return nodes_reply_decode(answer, &s->arena, ret, &s->why);
}

static bool is_called(const struct node_entry_shown *n, const char *text)
{
    const char *slash = strchr(text, '/');
    bool institution =
        slash == NULL || bytes_equal(n->institution, bytes_of(text, (size_t)(slash - text)));
    return institution && bytes_equal(n->name, bytes_text(slash == NULL ? text : slash + 1));
}

err node_table_resolve(struct session *s, const char *text, uint64_t *ret)
{
    struct nodes_reply *r = NULL;
    uint64_t found = 0;
    if (text[0] != '\0' && text[strspn(text, "0123456789")] == '\0' && strlen(text) < 19) {
        *ret = strtoull(text, NULL, 10);
        return err_ok();
    }
    TRY(node_table_ask(s, false, &r));
    for (size_t i = 0; i < r->node_count; i++) {
        if (r->nodes[i].wish == NODE_WISH_REMOVED || !is_called(&r->nodes[i], text)) {
            continue;
        }
        if (found != 0) {
            return err_fail(&s->why, ERR_INVALID, "several nodes are called %s: say INSTITUTION/%s",
                            text, text);
        }
        found = r->nodes[i].id;
    }
    if (found == 0) {
        return err_fail(&s->why, ERR_NOT_FOUND, "no node is called %s; see `concordat node list`",
                        text);
    }
    *ret = found;
    return err_ok();
}

static const char *wish_name(enum node_wish wish)
{
    switch (wish) {
    case NODE_WISH_STANDBY:
        return "standby";
    case NODE_WISH_VOTER:
        return "voter";
    case NODE_WISH_REMOVED:
        return "removed";
    case NODE_WISH_UNSPECIFIED:
        break;
    }
    return "unknown";
}

static const char *member_name(enum node_member member)
{
    switch (member) {
    case NODE_MEMBER_STANDBY:
        return "standby";
    case NODE_MEMBER_VOTER:
        return "voter";
    case NODE_MEMBER_NONE:
        break;
    }
    return "none";
}

/* ---- for people, for programs, for a node that joins ---- */

static void print_table(const struct nodes_reply *r)
{
    printf("%4s  %-14s %-16s %-8s %-8s %-22s %-22s %8s\n", "ID", "INSTITUTION", "NODE", "WISH",
           "IS", "PEER", "CLIENT", "SINCE");
    for (size_t i = 0; i < r->node_count; i++) {
        const struct node_entry_shown *n = &r->nodes[i];
        printf("%4llu  %-14.*s %-16.*s %-8s %-8s %-22.*s %-22.*s %8llu%s\n",
               (unsigned long long)n->id, TEXT(n->institution), TEXT(n->name), wish_name(n->wish),
               member_name(n->member), TEXT(n->peer_address), TEXT(n->client_address),
               (unsigned long long)n->added_height, n->id == r->leader_id ? "  leads" : "");
    }
    for (size_t i = 0; i < r->pending_count; i++) {
        const struct pending_change *p = &r->pending[i];
        printf("%s! node %llu (%.*s): %.*s\n", i == 0 ? "\n" : "", (unsigned long long)p->node,
               TEXT(p->what), TEXT(p->why));
    }
}

static json_t *row_json(const struct node_entry_shown *n)
{
    json_t *j =
        json_pack("{s:I,s:o,s:o,s:o,s:o,s:s,s:s,s:I,s:I,s:I}", "id", (json_int_t)n->id,
                  "institution", show_text(n->institution), "name", show_text(n->name),
                  "peer_address", show_text(n->peer_address), "client_address",
                  show_text(n->client_address), "wish", wish_name(n->wish), "member",
                  member_name(n->member), "successor", (json_int_t)n->successor, "added_height",
                  (json_int_t)n->added_height, "changed_height", (json_int_t)n->changed_height);
    json_object_set_new(j, "transport_key", show_hex(n->transport_key));
    json_object_set_new(j, "next_transport_key", show_hex(n->next_transport_key));
    json_object_set_new(j, "head_key", show_hex(n->head_key));
    json_object_set_new(j, "next_head_key", show_hex(n->next_head_key));
    return j;
}

json_t *show_pending(const struct pending_change *list, size_t count)
{
    json_t *all = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(all,
                              json_pack("{s:I,s:o,s:o}", "node", (json_int_t)list[i].node, "what",
                                        show_text(list[i].what), "why", show_text(list[i].why)));
    }
    return all;
}

static void print_json(const struct nodes_reply *r)
{
    json_t *nodes = json_array();
    json_t *j = show_at(&r->at);
    for (size_t i = 0; i < r->node_count; i++) {
        json_array_append_new(nodes, row_json(&r->nodes[i]));
    }
    json_object_set_new(j, "ledger_id", show_hex(bytes_of(r->ledger_id, 32)));
    json_object_set_new(j, "leader_id", json_integer((json_int_t)r->leader_id));
    json_object_set_new(j, "nodes", nodes);
    json_object_set_new(j, "pending", show_pending(r->pending, r->pending_count));
    show_json_line(j);
}

static void print_hex(struct bytes b)
{
    if (b.size == 0) {
        printf(" -");
        return;
    }
    char *text = mem_new(2 * b.size + 1, 1);
    hex_encode(b, text);
    printf(" %s", text);
    free(text);
}

static void print_bootstrap(const struct nodes_reply *r)
{
    char id[65];
    hex_encode(bytes_of(r->ledger_id, 32), id);
    printf("concordat-nodes 1\nledger %s\nheight %llu\n", id, (unsigned long long)r->at.height);
    for (size_t i = 0; i < r->node_count; i++) {
        const struct node_entry_shown *n = &r->nodes[i];
        bool leaves = n->wish == NODE_WISH_REMOVED;
        if (leaves && n->member == NODE_MEMBER_NONE) {
            continue;
        }
        printf("node %llu %s %.*s %.*s %.*s %.*s", (unsigned long long)n->id,
               leaves ? "leaving" : wish_name(n->wish), TEXT(n->institution), TEXT(n->name),
               TEXT(n->peer_address), TEXT(n->client_address));
        print_hex(n->transport_key);
        print_hex(n->next_transport_key);
        print_hex(n->head_key);
        print_hex(n->next_head_key);
        putchar('\n');
    }
}

static const struct option LIST_OPTIONS[] = {
    {"ever", NULL, "also the nodes that were removed", false},
    {"bootstrap", NULL, "as the file that a node which joins starts from", false},
    SESSION_OPTIONS,
    {NULL, NULL, NULL, false},
};

static int run_list(const struct given *g)
{
    struct session s;
    struct nodes_reply *r = NULL;
    int code = session_open(g, &s);
    if (code != EXIT_DONE) {
        return code;
    }
    bool bootstrap = given_has(g, "bootstrap");
    err e = node_table_ask(&s, given_has(g, "ever") && !bootstrap, &r);
    if (failed(e)) {
        return session_fail(&s, e);
    }
    if (bootstrap) {
        print_bootstrap(r);
    } else if (g->json) {
        print_json(r);
    } else {
        print_table(r);
    }
    return session_close(&s, EXIT_DONE);
}

const struct command NODE_LIST = {
    "node list",
    "",
    0,
    0,
    "Lists the nodes: what the institutions want each to be, what it is, what is under way",
    LIST_OPTIONS,
    "  concordat node list\n"
    "  concordat node list --ever --json\n"
    "  concordat node list --bootstrap > nodes.txt\n",
    run_list};

/* ---- transfer ---- */

static const struct option TRANSFER_OPTIONS[] = {SESSION_OPTIONS, {NULL, NULL, NULL, false}};

static int run_transfer(const struct given *g)
{
    struct session s;
    struct bytes answer;
    struct transfer_request q = {.node = 0};
    struct transfer_reply *r = NULL;
    int code = session_open(g, &s);
    if (code != EXIT_DONE) {
        return code;
    }
    err e = g->argument_count == 0 ? err_ok() : node_table_resolve(&s, g->arguments[0], &q.node);
    if (!failed(e)) {
        transfer_request_encode(&q, &s.request);
        e = session_ask(&s, METHOD_TRANSFER, &answer);
    }
    if (!failed(e)) {
        e = transfer_reply_decode(answer, &s.arena, &r, &s.why);
    }
    if (failed(e)) {
        return session_fail(&s, e);
    }
    printf(g->json ? "{\"leader_id\":%llu}\n" : "node %llu leads\n",
           (unsigned long long)r->leader_id);
    return session_close(&s, EXIT_DONE);
}

const struct command NODE_TRANSFER = {
    "node transfer",
    "[NODE]",
    0,
    1,
    "Hands leadership to another voter, or to the one that is level first\n\n"
    "Needs an officer's certificate in the profile (`concordat keygen client NAME --officer`).",
    TRANSFER_OPTIONS,
    "  concordat node transfer\n"
    "  concordat node transfer energie --profile officer.json\n",
    run_transfer};
