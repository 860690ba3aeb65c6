#include "server/node.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/require.h"
#include "crypto/cert.h"
#include "crypto/random.h"
#include "server/credentials.h"
#include "server/genesis_files.h"
#include "server/parts.h"
#include "storage/dir.h"

enum {
    GENESIS_ARENA = 8 << 20,
    NAME_THREADS = 4,             /* a lookup may hang for seconds; the others go on */
    NAME_LOOKUPS = 4 * NODES_MAX, /* one a peer that is dialled, and those given up meanwhile */
};

void node_fail(struct node *n, const char *fmt, ...)
{
    va_list ap;
    if (n->failure[0] == '\0') {
        va_start(ap, fmt);
        vsnprintf(n->failure, sizeof n->failure, fmt, ap);
        va_end(ap);
        log_error("this node stops: %s", n->failure);
    }
}

/* Nobody else leads yet: every 10 ms another try, until the time is over. */
static void fail_step(struct loop_timer *timer)
{
    struct node *n = timer->ctx;
    if (n->role != CONSENSUS_LEADER || loop_now_ns(n->loop) >= n->fail_at_ns) {
        node_fail(n, "%s", n->failing);
        return;
    }
    (void)handover_begin(n, DISK_ROOM);
}

void node_fail_as_leader(struct node *n, const char *fmt, ...)
{
    va_list ap;
    if (n->failing[0] != '\0' || n->failure[0] != '\0') {
        return;
    }
    va_start(ap, fmt);
    vsnprintf(n->failing, sizeof n->failing, fmt, ap);
    va_end(ap);
    if (n->role != CONSENSUS_LEADER) {
        node_fail(n, "%s", n->failing);
        return;
    }
    log_error("handing leadership over before this node stops: %s", n->failing);
    n->fail_at_ns = loop_now_ns(n->loop) + FAIL_HAND_OVER_NS;
    loop_timer_start(n->loop, &n->fail_timer, 0, FAIL_HAND_OVER_NS / 20);
}

const struct ledger_node *node_row(const struct node *n, uint64_t id)
{
    const struct ledger_node *row = members_find(n, id);
    return row != NULL ? row : ledger_node_find(n->ledger, id);
}

/* ---- timers and frames ---- */

static void on_frame(void *ctx, uint64_t from, uint8_t type, struct bytes bytes)
{
    struct node *n = ctx;
    switch (type) {
    case FRAME_RAFT:
        if (members_hears(n, from)) {
            host_receive(n, from, bytes);
        }
        break;
    case FRAME_FORWARD:
        submit_forwarded(n, from, bytes);
        break;
    case FRAME_REFUSED:
        submit_refused(n, from, bytes);
        break;
    case FRAME_READ:
        reads_asked(n, from, bytes);
        break;
    case FRAME_READY:
        reads_answered(n, from, bytes);
        break;
    case FRAME_GOSSIP:
        gossip_receive(n, from, bytes);
        break;
    case FRAME_CHECKPOINTS:
        checkpoint_heard(n, from, bytes);
        break;
    case FRAME_FETCH:
        serve_asked(n, from, bytes);
        break;
    case FRAME_CHUNK:
        fetch_chunk(n, from, bytes);
        break;
    case FRAME_DISK:
        members_disk(n, from, bytes);
        break;
    case FRAME_STRANGER:
        members_stranger(n, from, bytes);
        break;
    case FRAME_TRANSFER:
        leadership_asked(n, from, bytes);
        break;
    case FRAME_TRANSFERRED:
        leadership_answered(n, from, bytes);
        break;
    case FRAME_HEAD:
        if (members_hears(n, from)) { /* who lost its disk may have lost its mark, too */
            heads_heard(n, from, bytes);
        }
        break;
    case FRAME_EVIDENCE:
        lies_evidence(n, from, bytes);
        break;
    case FRAME_ROOT_ASK:
        lies_root_asked(n, from, bytes);
        break;
    case FRAME_ROOT_IS:
        lies_root_told(n, from, bytes);
        break;
    default:
        log_debug("a frame of unknown type %u of node %llu", type, (unsigned long long)from);
    }
}

static void on_link(void *ctx, uint64_t id, enum peer_direction direction,
                    enum peer_link_state state, enum peer_reason reason)
{
    struct node *n = ctx;
    const struct ledger_node *row = node_row(n, id);
    log_info("link %s %.*s is %s%s%s", direction == PEER_DIRECTION_OUT ? "to" : "from",
             row == NULL ? 0 : (int)row->name.size, row == NULL ? "" : (const char *)row->name.data,
             state == PEER_LINK_UP ? "up" : "down", state == PEER_LINK_UP ? "" : ": ",
             state == PEER_LINK_UP ? "" : peer_reason_text(reason));
    members_link(n, id, direction, state == PEER_LINK_UP);
    if (state == PEER_LINK_UP && direction == PEER_DIRECTION_OUT) {
        lies_link(n, id);
    }
    if (state == PEER_LINK_DOWN && direction == PEER_DIRECTION_OUT) {
        submit_link_lost(n, id);
        reads_link_lost(n, id);
    }
    if (state == PEER_LINK_DOWN && direction == PEER_DIRECTION_IN && reason == PEER_REASON_CLOSED &&
        n->failure[0] == '\0') {
        consensus_peer_gone(n->consensus, id);
    }
}

static void each_second(struct loop_timer *timer)
{
    struct node *n = timer->ctx;
    pace_second(&n->pace);
    disk_sample(n);
    scrub_second(n);
    gossip_send(n);
    checkpoint_tell(n);
    checkpoint_judge(n);
    repair_second(n);
    fetch_watch(n);
    alarm_expire(n);
    submit_sweep(n);
    reads_sweep(n);
    health_wake(n);
    members_second(n);
    leadership_second(n);
    heads_second(n);
    loop_post(n->loop, &n->pump_task); /* a timer of a contract may be due */
}

/* ---- the end ---- */

static void drained(void *ctx)
{
    struct node *n = ctx;
    n->stopping = true;
    loop_stop(n->loop);
}

static void drain_step(struct loop_timer *timer)
{
    struct node *n = timer->ctx;
    bool late = loop_now_ns(n->loop) >= n->drain_until_ns;
    if (n->inflight.count > 0 && !late) {
        return; /* Answers first. */
    }
    if (n->role == CONSENSUS_LEADER && !late && n->failure[0] == '\0') {
        (void)handover_begin(n, DISK_ROOM); /* asks again until somebody is level */
        return;
    }
    loop_timer_stop(n->loop, &n->drain_timer);
    grpc_server_drain(n->grpc, late ? 0 : DRAIN_NS / 10, drained, n);
}

static void on_signal(void *ctx, int number)
{
    struct node *n = ctx;
    if (number == SIGHUP) {
        struct errtext why;
        if (failed(credentials_reload(n, &why))) {
            log_error("the certificate was not reloaded, the old one stays in use: %s", why.text);
        } else {
            log_info("certificate reloaded");
        }
        return;
    }
    if (n->draining) {
        log_warn("second signal: stopping at once");
        drained(n);
        return;
    }
    log_info("stopping: no new requests; %zu are under way", n->inflight.count);
    n->draining = true;
    n->drain_until_ns = loop_now_ns(n->loop) + DRAIN_NS;
    gossip_send(n);
    health_wake(n);
    loop_timer_start(n->loop, &n->drain_timer, 0, 20 * NS_PER_MS);
}

/* ---- opening ---- */

err node_open_state(struct node *n, struct errtext *reterr)
{
    char path[4096];
    struct kv_options kv = {0};
    struct ledger_options options = {0};
    snprintf(path, sizeof path, "%s/state", n->config.data);
    TRY(dir_make(path, reterr));
    ledger_kv_families(&kv);
    TRY(kv_open(path, &kv, &n->kv, reterr));
    random_bytes(options.map_seed, sizeof options.map_seed);
    err e = ledger_open(n->kv, n->genesis, &options, &n->ledger, reterr);
    if (failed(e)) {
        kv_close(n->kv);
        n->kv = NULL;
        return err_wrapf(reterr, e, "%s", path);
    }
    return e;
}

/* Is the state one that the log can go on from? A directory that was lost comes back empty. */
static bool state_fits(const struct node *n)
{
    return ledger_applied_index(n->ledger) + 1 >= n->recovered.first;
}

/* Finishes an install first. A state that is lost or damaged is replaced by the newest checkpoint
 * of this node; the log has what came after it. */
static err open_state(struct node *n, struct errtext *reterr)
{
    const struct logstore_recovered *r = &n->recovered;
    struct errtext why;
    TRY(install_recover(n, r, reterr));
    err e = node_open_state(n, reterr);
    bool lost = !failed(e) && !state_fits(n);
    if (!lost && !err_is(e, ERR_CORRUPT)) {
        return e;
    }
    if (lost) {
        ledger_close(n->ledger);
        kv_close(n->kv);
        n->ledger = NULL;
        n->kv = NULL;
        e = err_fail(reterr, ERR_CORRUPT, "%s/state was lost, and the log begins at entry %llu",
                     n->config.data, (unsigned long long)r->first);
    }
    log_error("%s", reterr->text);
    err restored = install_restore(n, r, &why);
    if (failed(restored)) {
        return err_wrapf(reterr, e,
                         "no checkpoint can replace the state (%s): restore a backup, or "
                         "replace this node",
                         why.text);
    }
    return node_open_state(n, reterr);
}

static err read_genesis(struct node *n, struct errtext *reterr)
{
    struct arena a;
    struct buf wire;
    struct genesis *g = NULL;
    arena_init(&a, GENESIS_ARENA);
    buf_init(&wire, GENESIS_BYTES_MAX);
    err e =
        genesis_files_read(n->config.genesis, n->config.genesis_signatures, &wire, &a, &g, reterr);
    if (!failed(e)) {
        n->genesis = bytes_of(mem_copy(wire.data, wire.size), wire.size);
        n->zone = bytes_of(n->genesis.data + (g->zone.data - wire.data), g->zone.size);
    }
    buf_done(&wire);
    arena_done(&a);
    return e;
}

static err open_server(struct node *n, struct errtext *reterr)
{
    size_t count = 0;
    const struct grpc_method *methods = services_methods(&count);
    const struct grpc_server_options options = {
        .loop = n->loop,
        .methods = methods,
        .method_count = count,
        .ctx = n,
        .on_begin = services_admit,
        .on_get = pages_get,
    };
    TRY(grpc_server_new(&options, &n->grpc, reterr));
    return credentials_listen(n, reterr);
}

static void init_parts(struct node *n)
{
    host_init(n);
    apply_init(n);
    submit_init(n);
    reads_init(n);
    watch_init(n);
    decide_init(n);
    n->checkpoints.files = fileops_system();
    serve_init(n);
    fetch_init(n);
    repair_init(n);
    members_init(n);
    leadership_init(n);
    heads_init(n);
    loop_timer_init(&n->second_timer, each_second, n);
    loop_timer_init(&n->drain_timer, drain_step, n);
    loop_timer_init(&n->fail_timer, fail_step, n);
}

static err open_parts(struct node *n, struct errtext *reterr)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    const struct peer_host host = {.ctx = n, .on_frame = on_frame, .on_link = on_link};
    TRY(read_genesis(n, reterr));
    TRY(dir_make(n->config.data, reterr));
    TRY(loop_new(&n->loop, reterr));
    init_parts(n);
    TRY(verify_new(n->loop, n->config.workers, &n->verify, reterr));
    TRY(pool_new(n->loop, NAME_THREADS, NAME_LOOKUPS, &n->names, reterr));
    TRY(host_open_log(n, reterr));
    TRY(open_state(n, reterr));
    TRY(checkpoint_open(n, reterr));
    TRY(members_open(n, reterr));
    TRY(heads_open(n, reterr));
    TRY(credentials_open_links(n, &host, reterr));
    TRY(host_open(n, reterr));
    TRY(scrub_open(n, reterr));
    TRY(open_server(n, reterr));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        n->signals[i] = loop_signal_new(n->loop, numbers[i], on_signal, n);
    }
    n->started_ns = loop_now_ns(n->loop);
    n->pace = (struct pace){.heartbeat_ns = (uint64_t)n->config.heartbeat_ms * NS_PER_MS};
    members_wake(n);
    loop_timer_start(n->loop, &n->second_timer, 0, GOSSIP_NS);
    return err_ok();
}

err node_open(struct config *config, struct node **ret, struct errtext *reterr)
{
    struct node *n = mem_new(1, sizeof *n);
    n->clock = clock_system();
    n->config = *config;
    err e = open_parts(n, reterr);
    if (failed(e)) {
        n->config = (struct config){0};
        node_close(n);
        return e;
    }
    *config = (struct config){0};
    *ret = n;
    log_info("node %llu (%s) of %.*s serves clients on %s and nodes on %s",
             (unsigned long long)n->id, n->config.node, (int)ledger_origin(n->ledger).size,
             (const char *)ledger_origin(n->ledger).data, n->config.listen_client,
             n->config.listen_peer);
    return err_ok();
}

err node_check(const struct config *config, struct errtext *reterr)
{
    struct arena a;
    struct buf wire;
    struct genesis *g = NULL;
    struct cert *cert = NULL;
    struct cert_facts facts;
    arena_init(&a, GENESIS_ARENA);
    buf_init(&wire, GENESIS_BYTES_MAX);
    err e = genesis_files_read(config->genesis, config->genesis_signatures, &wire, &a, &g, reterr);
    if (!failed(e)) {
        e = cert_read(config->certificate, &cert, reterr);
    }
    if (!failed(e)) {
        cert_read_facts(cert, &facts, NULL);
        bool named = facts.has_identity && strcmp(facts.identity.name, config->node) == 0 &&
                     strcmp(facts.identity.institution, config->institution) == 0;
        e = named ? e
                  : err_fail(reterr, ERR_INVALID, "%s does not name node %s of %s",
                             config->certificate, config->node, config->institution);
    }
    cert_free(cert);
    buf_done(&wire);
    arena_done(&a);
    return e;
}

err node_run(struct node *n, struct errtext *reterr)
{
    while (!n->stopping && n->failure[0] == '\0') {
        loop_run(n->loop);
    }
    if (n->failure[0] != '\0') {
        return err_fail(reterr, n->members.removed ? ERR_DENIED : ERR_IO, "%s", n->failure);
    }
    log_info("stopped");
    return err_ok();
}

void node_close(struct node *n)
{
    if (n == NULL) {
        return;
    }
    if (n->loop != NULL) {
        loop_timer_stop(n->loop, &n->second_timer);
        loop_timer_stop(n->loop, &n->drain_timer);
        loop_timer_stop(n->loop, &n->fail_timer);
        repair_done(n);
        members_done(n);
        leadership_done(n);
    }
    for (size_t i = 0; i < sizeof n->signals / sizeof *n->signals; i++) {
        loop_signal_free(n->signals[i]);
    }
    if (n->verify != NULL) {
        verify_drain(n->verify); /* its verdicts still meet a whole node */
    }
    scrub_close(n);
    heads_close(n);
    checkpoint_drain(n);
    grpc_server_free(n->grpc);
    peer_links_free(n->links);
    pool_free(n->names);
    verify_free(n->verify);
    if (n->loop != NULL) {
        reads_done(n);
        submit_done(n);
        host_close(n);
        checkpoint_close(n);
    }
    entry_unref(n->applying.entry);
    ledger_close(n->ledger);
    kv_close(n->kv);
    loop_free(n->loop);
    free((void *)(uintptr_t)n->genesis.data);
    config_done(&n->config);
    free(n);
}
