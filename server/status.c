/* Operator.Status and the health service: facts that this node has at hand, no proposal, no lock.
 * They answer without quorum, while catching up and while draining. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/require.h"
#include "proto/service.h"
#include "server/parts.h"

enum { ALARMS_MAX = ALARMS_RAISED_MAX + 4 * NODES_MAX + 4, CERTIFICATE_WARN_DAYS = 30 };

/* A status under construction. */
struct report {
    struct node *n;
    struct arena *a;
    struct consensus_status s;
    struct status_reply *r;
    uint64_t leader_height;
};

static void add_alarm(struct report *p, uint64_t node, const char *code, const char *text,
                      const char *remedy)
{
    struct status_reply *r = p->r;
    if (r->alarm_count == ALARMS_MAX) {
        return;
    }
    const struct ledger_node *row = node_row(p->n, node);
    r->alarms[r->alarm_count++] = (struct alarm_status){
        .code = bytes_text(code),
        .text = bytes_text(text),
        .remedy = bytes_text(remedy),
        .institution = row == NULL ? bytes_text("") : row->institution,
        .node = row == NULL ? bytes_text("") : row->name,
        .since_ns = clock_wall_ns(&p->n->clock),
    };
}

/* Heard of within two election timeouts, by whatever came from it. */
static bool reachable(struct report *p, uint64_t id, uint64_t *ret_ms)
{
    struct peer_status link;
    uint64_t now = loop_now_ns(p->n->loop);
    *ret_ms = UINT64_MAX;
    if (failed(peer_status(p->n->links, id, &link)) || link.received_ns == 0) {
        return false;
    }
    *ret_ms = now > link.received_ns ? (now - link.received_ns) / NS_PER_MS : 0;
    return link.in_up && *ret_ms < 2 * (uint64_t)p->n->config.election_timeout_ms + 1000;
}

static enum consensus_member member_of(const struct report *p, uint64_t id)
{
    if (id == p->n->id) {
        return p->s.member;
    }
    for (uint32_t i = 0; i < p->s.peer_count; i++) {
        if (p->s.peers[i].id == id) {
            return p->s.peers[i].member;
        }
    }
    return CONSENSUS_STRANGER;
}

static enum node_role role_of(const struct report *p, uint64_t id, bool up, const struct told *t)
{
    enum consensus_member member = member_of(p, id);
    /* What this node follows counts before the other's own word has come. */
    bool leads =
        id == p->s.leader || (t != NULL && t->role == CONSENSUS_LEADER && t->term == p->r->term);
    if (!up || member == CONSENSUS_STRANGER) {
        return NODE_ROLE_UNKNOWN;
    }
    if (leads) {
        return NODE_ROLE_LEADER;
    }
    if (t != NULL && t->height + CATCH_UP_BLOCKS < p->leader_height) {
        return NODE_ROLE_CATCHING_UP;
    }
    return member == CONSENSUS_VOTER ? NODE_ROLE_VOTER : NODE_ROLE_STANDBY;
}

static void describe_node(struct report *p, const struct ledger_node *row, struct node_status *ret)
{
    struct node *n = p->n;
    struct told *t = gossip_of(n, row->id);
    t = t != NULL && t->id == row->id ? t : NULL;
    uint64_t ms = 0;
    bool self = row->id == n->id;
    bool up = self || reachable(p, row->id, &ms);
    *ret = (struct node_status){
        .id = row->id,
        .institution = row->institution,
        .name = row->name,
        .peer_address = row->peer_address,
        .client_address = row->client_address,
        .self = self,
        .connected = up,
        .has_last_contact = ms != UINT64_MAX,
        .last_contact_ms = ms,
        .role = role_of(p, row->id, up, t),
    };
    if (t != NULL) {
        ret->term = t->term;
        ret->height = t->height;
        ret->lag = t->height < p->leader_height ? p->leader_height - t->height : 0;
        ret->software_version = bytes_text(arena_printf(p->a, "%s", t->version));
        ret->disk_free_bytes = t->disk_free_bytes;
        ret->sync_p99_us = t->sync_p99_us;
        ret->cosigned_size = t->cosigned_size;
        ret->cosigned_ns = t->cosigned_ns;
        ret->has_certificate = true;
        ret->certificate_days_left = t->certificate_days_left;
    }
    if (member_of(p, row->id) == CONSENSUS_VOTER) {
        p->r->voters++;
        p->r->voters_reachable += up;
    }
}

static void alarm_node(struct report *p, const struct node_status *s)
{
    char *name = arena_printf(p->a, "%.*s", (int)s->name.size, (const char *)s->name.data);
    if (!s->connected) {
        struct peer_status link = {.last_error = ""};
        err e = peer_status(p->n->links, s->id, &link);
        bool said = !failed(e) && link.last_error[0] != '\0';
        add_alarm(p, s->id, "node-unreachable",
                  arena_printf(p->a, "node %s does not answer%s%s%s", name, said ? " (" : "",
                               said ? link.last_error : "", said ? ")" : ""),
                  arena_printf(p->a, "start concordatd on %s, or look at its log", name));
    }
    if (s->has_certificate && s->certificate_days_left < CERTIFICATE_WARN_DAYS) {
        add_alarm(p, s->id, "certificate-expiring",
                  arena_printf(p->a, "the certificate of %s has %lld days left", name,
                               (long long)s->certificate_days_left),
                  "issue a new one with `concordat keygen node --renew` and send SIGHUP");
    }
    const struct told *t = gossip_of(p->n, s->id);
    if (t != NULL && t->id == s->id && t->disk_level != DISK_ROOM && s->connected) {
        add_alarm(p, s->id, "disk-low",
                  arena_printf(p->a, "%s has %llu MiB of disk left%s", name,
                               (unsigned long long)(s->disk_free_bytes >> 20),
                               t->disk_level == DISK_STOP ? ": as leader it takes nothing" : ""),
                  "give its data directory more room");
    }
    if (t != NULL && t->id == s->id && t->disk_slow && s->connected) {
        add_alarm(p, s->id, "disk-slow",
                  arena_printf(p->a, "the disk of %s is much slower than others are", name),
                  "look for what else uses it, or replace it; as leader this node hands over");
    }
    if (s->role == NODE_ROLE_CATCHING_UP) {
        add_alarm(p, s->id, "catching-up",
                  arena_printf(p->a, "%s is %llu blocks behind", name, (unsigned long long)s->lag),
                  "wait; look at its disk if it does not get closer");
    }
}

/* This node is too far behind, and what becomes of that. */
static void alarm_installing(struct report *p)
{
    const struct fetch *f = &p->n->checkpoints.fetch;
    unsigned long long height = f->id.height;
    if (f->phase == FETCH_IDLE) {
        return;
    }
    if (f->repair) {
        add_alarm(p, p->n->id, "repairing",
                  arena_printf(p->a,
                               "the damaged state is replaced by the checkpoint at height %llu: "
                               "%llu of %llu bytes",
                               height, (unsigned long long)f->bytes, (unsigned long long)f->total),
                  "wait, and examine the disk meanwhile (smartctl, dmesg)");
        return;
    }
    bool waits = f->phase == FETCH_AGREE;
    const char *text =
        waits ? arena_printf(p->a, "the checkpoint at height %llu is here and not confirmed yet",
                             height)
              : arena_printf(p->a, "installing the checkpoint at height %llu: %llu of %llu bytes",
                             height, (unsigned long long)f->bytes, (unsigned long long)f->total);
    add_alarm(p, p->n->id, "installing", text,
              waits ? "start the other nodes: a majority of the voters has to confirm it"
                    : "wait: until it is done this node does not vote");
}

/* Records that no complete checkpoint covers, for longer than a node or two may be away. */
static void alarm_heads(struct report *p)
{
    const struct heads *h = &p->n->heads;
    uint64_t now = loop_now_ns(p->n->loop);
    uint64_t late_ns = HEADS_STALE_NS + HEADS_STALE_INTERVALS * h->plan.interval_ns;
    if (!h->able) {
        add_alarm(p, p->n->id, "head-key-unknown",
                  "this node's key for heads of the tree is not the one in the ledger: it signs "
                  "none",
                  "name the right file with `head_key:`, or register the new key with `concordat "
                  "node update --head-key`");
    }
    if (h->uncovered_ns != 0 && now - h->uncovered_ns > late_ns) {
        add_alarm(p, 0, "heads-stale",
                  arena_printf(p->a,
                               "for %llu s no checkpoint was cosigned by a majority of "
                               "institutions: %llu of %llu records have receipts",
                               (unsigned long long)((now - h->uncovered_ns) / NS_PER_S),
                               (unsigned long long)h->newest_size,
                               (unsigned long long)h->plan.reached),
                  "bring back the nodes that do not answer, and look at the alarms about heads and "
                  "keys of the others");
    }
}

static void alarm_raised(struct report *p)
{
    for (size_t i = 0; i < ALARMS_RAISED_MAX; i++) {
        const struct raised *r = &p->n->raised[i];
        if (r->since_ns != 0 && p->r->alarm_count < ALARMS_MAX) {
            add_alarm(p, r->node, alarm_name(r->code), r->text, alarm_remedy(r->code));
            p->r->alarms[p->r->alarm_count - 1].since_ns = r->since_ns;
        }
    }
}

/* A leader that has a majority, as this node sees it. */
static bool has_quorum(const struct report *p)
{
    return p->r->voters_reachable >= p->r->quorum && p->s.leader != 0;
}

static void judge(struct report *p)
{
    struct status_reply *r = p->r;
    r->quorum = r->voters / 2 + 1;
    bool quorum = has_quorum(p);
    r->failures_survived = quorum ? r->voters_reachable - r->quorum : 0;
    if (!quorum) {
        add_alarm(p, 0, "no-quorum",
                  arena_printf(p->a,
                               "%u of %u voters answer and %u are needed: nothing can be "
                               "committed",
                               r->voters_reachable, r->voters, r->quorum),
                  "bring back the nodes that do not answer");
    }
    if (p->n->disks_short != DISK_ROOM) {
        add_alarm(
            p, 0, "disks-short",
            arena_printf(p->a, "too few voters have room on their disks: %s are refused",
                         p->n->disks_short == DISK_LOW ? "business requests" : "all new requests"),
            "give the data directories named under disk-low more room; it clears by itself");
    }
    for (size_t i = 0; i < r->node_count; i++) {
        alarm_node(p, &r->nodes[i]);
    }
    alarm_raised(p);
    alarm_heads(p);
    alarm_installing(p);
    r->health = !quorum ? HEALTH_NO_QUORUM : r->alarm_count > 0 ? HEALTH_DEGRADED : HEALTH_GOOD;
}

static void make_status(struct node *n, struct arena *a, struct status_reply *r)
{
    struct report p = {.n = n, .a = a, .r = r};
    struct ledger_head head = ledger_head(n->ledger);
    size_t count = n->members.count;
    const struct ledger_node *rows = n->members.rows;
    consensus_status(n->consensus, &p.s);
    *r = (struct status_reply){
        .at = {.height = head.height, .time_ns = head.time_ns, .size = head.position},
        .origin = ledger_origin(n->ledger),
        .zone = n->zone,
        .leader_id = p.s.leader,
        .term = p.s.term,
        .nodes = arena_new(a, count, sizeof *r->nodes),
        .node_count = count,
        .alarms = arena_new(a, ALARMS_MAX, sizeof *r->alarms),
        .clock_ns = clock_wall_ns(&n->clock),
        .uptime_ms = (loop_now_ns(n->loop) - n->started_ns) / NS_PER_MS,
        .draining = n->draining,
    };
    memcpy(r->at.digest, head.digest, 32);
    memcpy(r->ledger_id, ledger_id(n->ledger), 32);
    gossip_describe_self(n);
    p.leader_height = gossip_height(n, &p.s);
    r->void_blocks = ledger_void_blocks(n->ledger).count;
    struct scrub_facts scrub = scrub_facts(n);
    r->scrub_last_ns = scrub.last_ns;
    r->scrub_bytes = scrub.bytes;
    r->scrub_findings = scrub.findings;
    r->scrub_running = scrub.running;
    r->stall_us = pace_minute(&n->pace.stall);
    r->stall_worst_us = n->pace.stall.ever;
    r->heartbeat_late_us = pace_minute(&n->pace.heartbeat);
    r->heartbeat_late_worst_us = n->pace.heartbeat.ever;
    for (size_t i = 0; i < count; i++) {
        describe_node(&p, &rows[i], &r->nodes[i]);
    }
    r->pending = members_pending(n, a, &r->pending_count);
    judge(&p);
}

void status_call(struct grpc_call *call, struct bytes message)
{
    struct node *n = grpc_call_server_ctx(call);
    struct arena a;
    struct buf reply;
    struct status_request *request;
    struct errtext why;
    arena_init(&a, (1 << 20) + message.size * 4);
    buf_init(&reply, GRPC_MESSAGE_BYTES_MAX);
    err e = status_request_decode(message, &a, &request, &why);
    if (failed(e)) {
        struct refusal no = refusal_of(REASON_BAD_REQUEST, "%s", why.text);
        refusal_send(call, &no);
    } else {
        struct status_reply r;
        make_status(n, &a, &r);
        status_reply_encode(&r, &reply);
        require(!reply.overflow);
        grpc_call_reply(call, buf_bytes(&reply));
    }
    buf_done(&reply);
    arena_done(&a);
}

/* ---- grpc.health.v1 ---- */

static const char LEDGER_SERVICE[] = "concordat.v1.Ledger";

/* "" is the process; Ledger can commit; the readers can read. */
static enum serving_status serving(struct node *n, struct bytes service)
{
    struct arena a;
    struct status_reply r;
    bool ledger = bytes_equal(service, bytes_text(LEDGER_SERVICE));
    bool reads = bytes_equal(service, bytes_text("concordat.v1.Query")) ||
                 bytes_equal(service, bytes_text("concordat.v1.Contracts")) ||
                 bytes_equal(service, bytes_text("concordat.v1.Operator"));
    if (service.size != 0 && !ledger && !reads) {
        return SERVICE_UNKNOWN;
    }
    if (n->draining || n->failing[0] != '\0') {
        return NOT_SERVING;
    }
    if (!ledger) {
        return SERVING;
    }
    arena_init(&a, 1 << 20);
    make_status(n, &a, &r);
    bool quorum = r.health != HEALTH_NO_QUORUM;
    arena_done(&a);
    return quorum ? SERVING : NOT_SERVING;
}

static void encode_serving(enum serving_status status, struct buf *ret)
{
    struct health_check_response r = {.status = status};
    buf_init(ret, 64);
    health_check_response_encode(&r, ret);
}

/* The name asked for, at most NAME_BYTES_MAX; a longer one is no service. */
static bool decode_name(struct grpc_call *call, struct bytes message, struct arena *a,
                        struct bytes *ret)
{
    struct health_check_request *request;
    struct errtext why;
    err e = health_check_request_decode(message, a, &request, &why);
    if (failed(e)) {
        struct refusal no = refusal_of(REASON_BAD_REQUEST, "%s", why.text);
        refusal_send(call, &no);
        return false;
    }
    *ret = request->service;
    return true;
}

void health_check_call(struct grpc_call *call, struct bytes message)
{
    struct node *n = grpc_call_server_ctx(call);
    struct arena a;
    struct bytes service;
    struct buf reply;
    arena_init(&a, (1 << 20) + message.size * 4);
    if (decode_name(call, message, &a, &service)) {
        enum serving_status status = serving(n, service);
        if (status == SERVICE_UNKNOWN) {
            grpc_call_finish(call, GRPC_NOT_FOUND, "no such service");
        } else {
            encode_serving(status, &reply);
            grpc_call_reply(call, buf_bytes(&reply));
            buf_done(&reply);
        }
    }
    arena_done(&a);
}

struct health_watch {
    struct health_watch *next, **prev;
    struct grpc_call_ref ref;
    enum serving_status last;
    size_t size;
    char service[NAME_BYTES_MAX];
};

static void health_tell(struct grpc_call *call, struct health_watch *w, enum serving_status now)
{
    struct buf reply;
    encode_serving(now, &reply);
    if (!failed(grpc_call_send(call, buf_bytes(&reply)))) {
        w->last = now;
    }
    buf_done(&reply);
}

void health_watch_call(struct grpc_call *call, struct bytes message)
{
    struct node *n = grpc_call_server_ctx(call);
    struct arena a;
    struct bytes service;
    arena_init(&a, (1 << 20) + message.size * 4);
    if (decode_name(call, message, &a, &service)) {
        struct health_watch *w = mem_new(1, sizeof *w);
        w->ref = grpc_call_ref_of(call);
        w->size = service.size < sizeof w->service ? service.size : sizeof w->service;
        memcpy(w->service, service.data, w->size);
        w->next = n->health_watches;
        w->prev = &n->health_watches;
        if (w->next != NULL) {
            w->next->prev = &w->next;
        }
        n->health_watches = w;
        grpc_call_set_user(call, w);
        health_tell(call, w, serving(n, bytes_of(w->service, w->size)));
    }
    arena_done(&a);
}

void health_watch_cancel(struct grpc_call *call)
{
    struct health_watch *w = grpc_call_user(call);
    if (w != NULL) {
        *w->prev = w->next;
        if (w->next != NULL) {
            w->next->prev = w->prev;
        }
        free(w);
    }
}

void health_wake(struct node *n)
{
    if (n->health_watches == NULL) {
        return;
    }
    const enum serving_status ledger = serving(n, bytes_text(LEDGER_SERVICE)); /* once for all */
    for (struct health_watch *w = n->health_watches; w != NULL; w = w->next) {
        struct bytes service = bytes_of(w->service, w->size);
        enum serving_status now =
            bytes_equal(service, bytes_text(LEDGER_SERVICE)) ? ledger : serving(n, service);
        struct grpc_call *call = grpc_server_find(n->grpc, w->ref);
        if (call != NULL && now != w->last) {
            health_tell(call, w, now);
        }
    }
}
