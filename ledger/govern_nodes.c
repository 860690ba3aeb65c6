/* Which nodes take part. The actions change the table alone; the leader's Raft configuration
 * follows it, one change at a time. */
#include <stdio.h>
#include <string.h>

#include "base/name.h"
#include "base/require.h"
#include "ledger/govern_deed.h"
#include "ledger/outcome.h"

static const char *wish_name(enum ledger_wish wish)
{
    switch (wish) {
    case LEDGER_WISH_STANDBY:
        return "standby";
    case LEDGER_WISH_VOTER:
        return "voter";
    case LEDGER_WISH_REMOVED:
        return "removed";
    }
    require(false);
    return "?";
}

/* ---- checks ---- */

/* The row of args.node, which is in force; NULL: rejected. */
static struct node_row *live_row(struct deed *d)
{
    struct node_row *row = d->node <= 0 ? NULL : nodes_find(&d->l->nodes, (uint64_t)d->node);
    if (row == NULL) {
        deed_reject(d, "6.1", "there is no node %lld", (long long)d->node);
        return NULL;
    }
    if (row->wish == LEDGER_WISH_REMOVED) {
        deed_reject(d, "6.2", "node %lld (%s of %s) was removed in block %llu", (long long)d->node,
                    row->name, row->institution, (unsigned long long)row->changed_height);
        return NULL;
    }
    return row;
}

static bool institution_known(const struct ledger *l, struct bytes name)
{
    for (uint32_t i = 0; i < l->genesis->institution_count; i++) {
        if (bytes_equal(l->genesis->institutions[i].name, name)) {
            return true;
        }
    }
    return false;
}

static bool addresses_good(struct deed *d)
{
    static const enum govern_arg ARGS[] = {ARG_PEER, ARG_CLIENT};
    for (size_t i = 0; i < 2; i++) {
        struct bytes address = d->args[ARGS[i]];
        if (address.data != NULL && !name_address_valid(address)) {
            deed_reject(d, "5.4", "args.%s: host:port expected", i == 0 ? "peer" : "client");
            return false;
        }
    }
    return true;
}

/* Whether any node, of whatever time, has or had this transport key. */
static bool transport_taken(const struct nodes *n, struct bytes key)
{
    for (size_t i = 0; i < n->count; i++) {
        const struct node_row *r = &n->rows[i];
        if (bytes_equal(bytes_of(r->transport, r->transport_size), key) ||
            bytes_equal(bytes_of(r->transport_next, r->transport_next_size), key)) {
            return true;
        }
    }
    return false;
}

/* A key stands for one node, for ever: that of a removed one would open the door to its disk. */
static bool keys_good(struct deed *d, struct bytes transport, struct bytes head)
{
    static const uint8_t ZEROS[32];
    bool has_transport = transport.data != NULL;
    bool has_head = head.data != NULL;
    if (has_transport && (transport.size == 0 || transport.size > SPKI_BYTES_MAX)) {
        deed_reject(d, "5.5", "the transport key has 1 to %d bytes", SPKI_BYTES_MAX);
        return false;
    }
    if (has_head && memcmp(head.data, ZEROS, sizeof(ZEROS)) == 0) {
        deed_reject(d, "5.5", "the tree-head key is zero");
        return false;
    }
    if (has_transport && transport_taken(&d->l->nodes, transport)) {
        deed_reject(d, "5.6", "the transport key is or was a node's; a new node has a new key");
        return false;
    }
    if (has_head &&
        (headkeys_taken(d->l->nodes.head_keys, head.data) || deed_key_taken(d, head.data))) {
        deed_reject(d, "5.6", "the tree-head key is or was somebody's; a new node has a new key");
        return false;
    }
    return true;
}

/* What a new node of this institution must satisfy; `but` is the node that it replaces, or NULL. */
static void new_check(struct deed *d, struct bytes institution, const struct node_row *but)
{
    const struct nodes *n = &d->l->nodes;
    if (!institution_known(d->l, institution)) {
        deed_reject(d, "5.1", "there is no such institution");
        return;
    }
    if (!name_party_valid(d->args[ARG_NAME])) {
        deed_reject(d, "5.2", "args.name: not the name of a node");
        return;
    }
    for (size_t i = 0; i < n->count; i++) {
        const struct node_row *r = &n->rows[i];
        if (r->wish != LEDGER_WISH_REMOVED && r != but &&
            bytes_equal(bytes_text(r->institution), institution) &&
            bytes_equal(bytes_text(r->name), d->args[ARG_NAME])) {
            deed_reject(d, "5.3", "%s has a node %s: node %llu", r->institution, r->name,
                        (unsigned long long)r->id);
            return;
        }
    }
    if (!addresses_good(d) || !keys_good(d, d->args[ARG_TRANSPORT], d->args[ARG_HEAD])) {
        return;
    }
    if (but == NULL && nodes_live_count(n) >= NODES_LIVE_MAX) {
        deed_reject(d, "5.7", "the ledger has %d nodes; remove one first", NODES_LIVE_MAX);
        return;
    }
    if (n->count == NODES_EVER_MAX) {
        deed_reject(d, "5.8", "the ledger has given out its %d node ids", NODES_EVER_MAX);
    }
}

static void wish_check(struct deed *d, const struct node_row *row, enum ledger_wish wish)
{
    size_t voters = nodes_voter_count(&d->l->nodes);
    if (row->wish == wish) {
        deed_reject(d, "6.3", "node %lld (%s) is a %s already", (long long)d->node, row->name,
                    wish_name(wish));
    } else if (row->wish == LEDGER_WISH_VOTER && voters <= VOTERS_MIN) {
        deed_reject(d, "6.4",
                    "%zu voters would be left and %d are needed: two survive no failure; replace "
                    "node %lld, or promote another one first",
                    voters - 1, (int)VOTERS_MIN, (long long)d->node);
    } else if (wish == LEDGER_WISH_VOTER && voters >= VOTERS_MAX) {
        deed_reject(d, "6.5", "the ledger has %zu voters; demote one first", voters);
    }
}

static void update_check(struct deed *d)
{
    bool any = d->args[ARG_PEER].data != NULL || d->args[ARG_CLIENT].data != NULL ||
               d->args[ARG_TRANSPORT_NEXT].data != NULL || d->args[ARG_HEAD_NEXT].data != NULL;
    if (!any) {
        deed_reject(d, "6.6", "nothing to update is given");
        return;
    }
    if (addresses_good(d)) {
        (void)keys_good(d, d->args[ARG_TRANSPORT_NEXT], d->args[ARG_HEAD_NEXT]);
    }
}

void govern_node_check(struct deed *d)
{
    if (d->action == ACTION_NODE_ADD) {
        new_check(d, d->args[ARG_INSTITUTION], NULL);
        return;
    }
    const struct node_row *row = live_row(d);
    if (row == NULL) {
        return;
    }
    switch (d->action) {
    case ACTION_NODE_PROMOTE:
        wish_check(d, row, LEDGER_WISH_VOTER);
        break;
    case ACTION_NODE_DEMOTE:
        wish_check(d, row, LEDGER_WISH_STANDBY);
        break;
    case ACTION_NODE_REMOVE:
        wish_check(d, row, LEDGER_WISH_REMOVED);
        break;
    case ACTION_NODE_REPLACE:
        new_check(d, bytes_text(row->institution), row);
        break;
    case ACTION_NODE_UPDATE:
        update_check(d);
        break;
    case ACTION_NODE_ADD:
    case ACTION_NONE:
    case ACTION_DEPLOY:
    case ACTION_PARTY_ADD:
    case ACTION_KEY_ADD:
    case ACTION_KEY_REVOKE:
        require(false);
        break;
    }
}

/* ---- changes ---- */

static void text_set(char *to, size_t room, struct bytes from)
{
    require(from.size < room);
    memcpy(to, from.data, from.size);
    to[from.size] = '\0';
}

/* ["node_add","5",0,4,"ville","ville2","standby",peer,client,transport key,head key,...] */
static void effect(struct deed *d, const char *name, const char *clause, const struct node_row *row)
{
    buf_put_text(&d->effects, d->effects.size == 0 ? "[" : ",");
    buf_printf(&d->effects, "[\"%s\",\"%s\",0,%llu,", name, clause, (unsigned long long)row->id);
    json_put_string(&d->effects, bytes_text(row->institution));
    buf_put_u8(&d->effects, ',');
    json_put_string(&d->effects, bytes_text(row->name));
    buf_printf(&d->effects, ",\"%s\",", wish_name(row->wish));
    json_put_string(&d->effects, bytes_text(row->peer_address));
    buf_put_u8(&d->effects, ',');
    json_put_string(&d->effects, bytes_text(row->client_address));
    const struct bytes keys[] = {bytes_of(row->transport, row->transport_size),
                                 bytes_of(row->head, sizeof(row->head)),
                                 bytes_of(row->transport_next, row->transport_next_size),
                                 bytes_of(row->head_next, sizeof(row->head_next))};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        buf_put_u8(&d->effects, ',');
        json_put_hex(&d->effects, keys[i]);
    }
    buf_put_u8(&d->effects, ']');
}

static uint64_t node_new(struct deed *d, struct bytes institution, enum ledger_wish wish)
{
    struct nodes *n = &d->l->nodes;
    require(n->count > 0);
    uint64_t height = d->l->apply.head.height;
    struct node_row row = {.id = n->rows[n->count - 1].id + 1,
                           .wish = wish,
                           .added_height = height,
                           .changed_height = height};
    text_set(row.institution, sizeof(row.institution), institution);
    text_set(row.name, sizeof(row.name), d->args[ARG_NAME]);
    text_set(row.peer_address, sizeof(row.peer_address), d->args[ARG_PEER]);
    text_set(row.client_address, sizeof(row.client_address), d->args[ARG_CLIENT]);
    row.transport_size = d->args[ARG_TRANSPORT].size;
    memcpy(row.transport, d->args[ARG_TRANSPORT].data, row.transport_size);
    memcpy(row.head, d->args[ARG_HEAD].data, sizeof(row.head));
    nodes_add(n, &row);
    nodes_put(n, d->l->batch, &row);
    bool replaces = d->action == ACTION_NODE_REPLACE;
    effect(d, replaces ? "node_replace" : "node_add", replaces ? "9" : "5", &row);
    return row.id;
}

static void wish_set(struct deed *d, enum ledger_wish wish, const char *name, const char *clause)
{
    struct node_row *row = live_row(d);
    require(row != NULL);
    row->wish = wish;
    row->changed_height = d->l->apply.head.height;
    nodes_put(&d->l->nodes, d->l->batch, row);
    effect(d, name, clause, row);
}

static void replace(struct deed *d)
{
    struct node_row old = *live_row(d);
    uint64_t id = node_new(d, bytes_text(old.institution), old.wish);
    struct node_row *row = live_row(d);
    require(row != NULL);
    row->successor = id;
    wish_set(d, LEDGER_WISH_REMOVED, "node_remove", "9");
}

static void update(struct deed *d)
{
    struct node_row *row = live_row(d);
    require(row != NULL);
    if (d->args[ARG_PEER].data != NULL) {
        text_set(row->peer_address, sizeof(row->peer_address), d->args[ARG_PEER]);
    }
    if (d->args[ARG_CLIENT].data != NULL) {
        text_set(row->client_address, sizeof(row->client_address), d->args[ARG_CLIENT]);
    }
    /* A key that comes after another next one makes that one the current: a node rotates by giving
     * its next key, changing its certificate, and giving the one after it some day. */
    struct bytes next = d->args[ARG_TRANSPORT_NEXT];
    if (next.data != NULL) {
        if (row->transport_next_size > 0) {
            memcpy(row->transport, row->transport_next, row->transport_next_size);
            row->transport_size = row->transport_next_size;
        }
        memcpy(row->transport_next, next.data, next.size);
        row->transport_next_size = next.size;
    }
    if (d->args[ARG_HEAD_NEXT].data != NULL) {
        static const uint8_t NONE[32];
        if (memcmp(row->head_next, NONE, sizeof(NONE)) != 0) {
            memcpy(row->head, row->head_next, sizeof(row->head));
        }
        memcpy(row->head_next, d->args[ARG_HEAD_NEXT].data, sizeof(row->head_next));
    }
    row->changed_height = d->l->apply.head.height;
    nodes_put(&d->l->nodes, d->l->batch, row);
    effect(d, "node_update", "10", row);
}

void govern_node_make(struct deed *d)
{
    require(d->clause == NULL);
    switch (d->action) {
    case ACTION_NODE_ADD:
        (void)node_new(d, d->args[ARG_INSTITUTION], LEDGER_WISH_STANDBY);
        break;
    case ACTION_NODE_PROMOTE:
        wish_set(d, LEDGER_WISH_VOTER, "node_promote", "6");
        break;
    case ACTION_NODE_DEMOTE:
        wish_set(d, LEDGER_WISH_STANDBY, "node_demote", "7");
        break;
    case ACTION_NODE_REMOVE:
        wish_set(d, LEDGER_WISH_REMOVED, "node_remove", "8");
        break;
    case ACTION_NODE_REPLACE:
        replace(d);
        break;
    case ACTION_NODE_UPDATE:
        update(d);
        break;
    case ACTION_NONE:
    case ACTION_DEPLOY:
    case ACTION_PARTY_ADD:
    case ACTION_KEY_ADD:
    case ACTION_KEY_REVOKE:
        require(false);
        break;
    }
    buf_put_u8(&d->effects, ']');
}

/* ---- what a request asks, for a leader ---- */

static enum ledger_node_deed asked_of(enum govern_action action)
{
    switch (action) {
    case ACTION_NODE_ADD:
        return LEDGER_NODE_ADD;
    case ACTION_NODE_PROMOTE:
        return LEDGER_NODE_PROMOTE;
    case ACTION_NODE_DEMOTE:
        return LEDGER_NODE_DEMOTE;
    case ACTION_NODE_REMOVE:
        return LEDGER_NODE_REMOVE;
    case ACTION_NODE_REPLACE:
        return LEDGER_NODE_REPLACE;
    case ACTION_NODE_UPDATE:
        return LEDGER_NODE_UPDATE;
    case ACTION_NONE:
    case ACTION_DEPLOY:
    case ACTION_PARTY_ADD:
    case ACTION_KEY_ADD:
    case ACTION_KEY_REVOKE:
        break;
    }
    return LEDGER_NODE_NOTHING;
}

void ledger_node_asked(const struct ledger *l, struct bytes envelope, struct arena *a,
                       struct ledger_node_ask *ret)
{
    struct envelope *e = NULL;
    struct errtext why;
    require(l != NULL);
    require(ret != NULL);
    memset(ret, 0, sizeof(*ret));
    if (failed(envelope_decode(envelope, a, &e, &why))) {
        return;
    }
    for (uint32_t i = 0; i < e->body.event_count; i++) {
        const struct event *event = &e->body.events[i];
        bool ours = bytes_equal(event->contract, bytes_text("ledger"));
        struct deed d = {.l = (struct ledger *)(uintptr_t)l, .action = deed_action(event->action)};
        enum ledger_node_deed deed = ours ? asked_of(d.action) : LEDGER_NODE_NOTHING;
        if (deed == LEDGER_NODE_NOTHING) {
            continue;
        }
        if (ret->deed != LEDGER_NODE_NOTHING) {
            *ret = (struct ledger_node_ask){.deed = LEDGER_NODE_SEVERAL};
            return;
        }
        ret->deed = deed;
        if (!deed_arguments(&d, event->args)) {
            continue;
        }
        ret->id = d.args[ARG_NODE].data != NULL && d.node > 0 ? (uint64_t)d.node : 0;
        govern_node_check(&d);
        ret->refused = d.clause != NULL;
        (void)snprintf(ret->why, sizeof(ret->why), "%s%s%s", ret->refused ? "clause " : "",
                       ret->refused ? d.clause : "", ret->refused ? ": " : "");
        size_t at = strlen(ret->why);
        (void)snprintf(ret->why + at, sizeof(ret->why) - at, "%.200s",
                       ret->refused ? d.why.text : "");
    }
}
