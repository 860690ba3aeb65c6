/* net/peer.h over wires in memory. A wire is the connection that one node dialled to another: its
 * frames arrive in order or not at all. A wire that is blocked keeps what was sent, as TCP does,
 * and breaks when it is blocked for too long. Each side learns in its own time that one is gone. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/require.h"
#include "crypto/cert.h"
#include "net/loop.h"
#include "server/parts.h"
#include "tests/sim/product/check.h"

#define LATENCY_NS UINT64_C(150000) /* one way, at least */

struct parcel {
    struct parcel *next;
    uint64_t due_ns;
    uint8_t type;
    struct bytes bytes; /* owned */
};

struct wire {
    bool up;
    uint64_t epoch;       /* counts connections */
    uint64_t last_due_ns; /* nothing arrives before what was sent earlier */
    struct parcel *first, **last;
    size_t queued_bytes;
    bool pumping; /* an event will deliver the first */
};

struct net {
    struct wire wires[SIM_NODES_MAX][SIM_NODES_MAX]; /* dialled by, to */
    uint64_t blocked[SIM_NODES_MAX][SIM_NODES_MAX];  /* 0: open; else number of the blockade */
    uint64_t slow_ns[SIM_NODES_MAX][SIM_NODES_MAX];  /* more latency */
    uint64_t blockades;
};

struct seam_peer {
    uint64_t id;
    uint8_t keys[PEER_KEYS_MAX][SHA256_SIZE];
    size_t key_count;
    uint64_t out_epoch, in_epoch; /* 0: down, as this node knows */
    uint64_t refusals;            /* dials that failed in a row */
    struct peer_status status;
};

struct peer_links {
    struct machine *machine;
    struct peer_host host;
    uint64_t id;
    uint8_t own_key[SHA256_SIZE];
    struct seam_peer peers[NODES_MAX];
    size_t count;
    uint64_t refused[PEER_REASON_COUNT];
};

struct net *seam_net_new(void)
{
    struct net *net = mem_new(1, sizeof *net);
    for (size_t a = 0; a < SIM_NODES_MAX; a++) {
        for (size_t b = 0; b < SIM_NODES_MAX; b++) {
            net->wires[a][b].last = &net->wires[a][b].first;
        }
    }
    return net;
}

static void wire_clear(struct world *w, struct wire *wire)
{
    while (wire->first != NULL) {
        struct parcel *p = wire->first;
        wire->first = p->next;
        free((void *)(uintptr_t)p->bytes.data);
        free(p);
        w->counts.frames_lost++;
    }
    wire->last = &wire->first;
    wire->queued_bytes = 0;
}

void seam_net_free(struct world *w)
{
    for (size_t a = 0; a < SIM_NODES_MAX; a++) {
        for (size_t b = 0; b < SIM_NODES_MAX; b++) {
            wire_clear(w, &w->net->wires[a][b]);
        }
    }
    free(w->net);
    w->net = NULL;
}

static struct seam_peer *peer_of(struct peer_links *links, uint64_t id)
{
    for (size_t i = 0; links != NULL && i < links->count; i++) {
        if (links->peers[i].id == id) {
            return &links->peers[i];
        }
    }
    return NULL;
}

const char *peer_reason_text(enum peer_reason reason)
{
    static const char *const TEXTS[] = {
#define TEXT(name, number, text) [number] = text,
        PEER_REASONS(TEXT)
#undef TEXT
    };
    return TEXTS[reason];
}

/* ---- events: something reaches a side of a wire ---- */

enum wire_what { WIRE_DIAL, WIRE_PUMP, WIRE_OUT_DOWN, WIRE_IN_DOWN, WIRE_SILENT };

struct wire_event {
    struct happening event;
    enum wire_what what;
    uint32_t from, to;
    uint64_t epoch; /* DIAL: life of the machine that dials; SILENT: number of the blockade */
    enum peer_reason reason;
};

static void on_wire(struct happening *event);

static void drop_wire(struct happening *event)
{
    free(event);
}

static void wire_after(struct world *w, const struct wire_event *form, uint64_t after_ns)
{
    struct wire_event *e = mem_copy(form, sizeof *form);
    e->event = (struct happening){.run = on_wire, .drop = drop_wire};
    world_after(w, &e->event, after_ns);
}

static void dial_after(struct machine *m, uint32_t to, uint64_t after_ns)
{
    const struct wire_event e = {.what = WIRE_DIAL, .from = m->number, .to = to, .epoch = m->life};
    wire_after(m->world, &e, after_ns);
}

/* Both sides of the wire from a to b hear that it is gone, each after its own time at most. */
static void wire_break(struct world *w, uint32_t a, uint32_t b, uint64_t within_ns,
                       enum peer_reason reason)
{
    struct wire *wire = &w->net->wires[a][b];
    if (!wire->up) {
        return;
    }
    wire->up = false;
    wire_clear(w, wire);
    struct wire_event e = {
        .what = WIRE_OUT_DOWN, .from = a, .to = b, .epoch = wire->epoch, .reason = reason};
    wire_after(w, &e, 1000 + draw_below(&w->random_net, within_ns));
    e.what = WIRE_IN_DOWN;
    wire_after(w, &e, 1000 + draw_below(&w->random_net, within_ns));
}

static bool open_between(const struct net *net, uint32_t a, uint32_t b)
{
    return net->blocked[a][b] == 0 && net->blocked[b][a] == 0;
}

static bool admits(struct peer_links *links, const struct peer_links *other)
{
    const struct seam_peer *row = peer_of(links, other->id);
    for (size_t i = 0; row != NULL && i < row->key_count; i++) {
        if (memcmp(row->keys[i], other->own_key, SHA256_SIZE) == 0) {
            return true;
        }
    }
    return false;
}

static void link_input(struct machine *m, uint32_t peer, enum peer_direction direction,
                       uint64_t epoch, enum peer_reason reason)
{
    machine_input(m, &(struct arrival){
                         .kind = INPUT_LINK,
                         .peer = peer + 1,
                         .direction = direction,
                         .state = reason == PEER_REASON_NONE ? PEER_LINK_UP : PEER_LINK_DOWN,
                         .epoch = epoch,
                         .reason = reason,
                     });
}

static void dial(struct world *w, const struct wire_event *e)
{
    struct machine *from = w->machines[e->from];
    struct machine *to = w->machines[e->to];
    if (!from->up || from->life != e->epoch || from->links == NULL) {
        return;
    }
    struct seam_peer *row = peer_of(from->links, e->to + 1);
    if (row == NULL || row->out_epoch != 0) {
        return;
    }
    bool reached = to != NULL && to->up && to->links != NULL && to->paused_until_ns <= w->now_ns &&
                   open_between(w->net, e->from, e->to);
    if (!reached || !admits(to->links, from->links) || !admits(from->links, to->links)) {
        bool unknown = reached && peer_of(to->links, from->id) == NULL;
        row->status.last_reason = unknown   ? PEER_REASON_UNKNOWN_NODE
                                  : reached ? PEER_REASON_WRONG_KEY
                                            : PEER_REASON_UNREACHABLE;
        row->refusals++;
        uint64_t most_ns = PEER_REDIAL_MIN_NS << (row->refusals < 5 ? row->refusals : 5);
        most_ns = most_ns < PEER_REDIAL_MAX_NS ? most_ns : PEER_REDIAL_MAX_NS;
        dial_after(from, e->to, most_ns / 2 + draw_below(&w->random_net, most_ns / 2));
        return;
    }
    struct wire *wire = &w->net->wires[e->from][e->to];
    const struct seam_peer *back = peer_of(to->links, from->id);
    row->refusals = 0;
    wire_clear(w, wire); /* the older connection is replaced */
    if (back->in_epoch != 0) {
        link_input(to, e->from, PEER_DIRECTION_IN, back->in_epoch, PEER_REASON_REPLACED);
    }
    wire->epoch++;
    wire->up = true;
    wire->last_due_ns = w->now_ns;
    link_input(from, e->to, PEER_DIRECTION_OUT, wire->epoch, PEER_REASON_NONE);
    link_input(to, e->from, PEER_DIRECTION_IN, wire->epoch, PEER_REASON_NONE);
}

static void pump_after(struct world *w, uint32_t from, uint32_t to)
{
    struct wire *wire = &w->net->wires[from][to];
    if (!wire->pumping && wire->first != NULL && w->net->blocked[from][to] == 0) {
        const struct wire_event e = {.what = WIRE_PUMP, .from = from, .to = to};
        uint64_t due_ns = wire->first->due_ns;
        wire->pumping = true;
        wire_after(w, &e, due_ns > w->now_ns ? due_ns - w->now_ns : 0);
    }
}

static void deliver(struct world *w, uint32_t from, uint32_t to)
{
    struct wire *wire = &w->net->wires[from][to];
    struct parcel *p = wire->first;
    wire->first = p->next;
    if (wire->first == NULL) {
        wire->last = &wire->first;
    }
    wire->queued_bytes -= p->bytes.size;
    w->counts.frames++;
    machine_input(w->machines[to], &(struct arrival){.kind = INPUT_FRAME,
                                                     .peer = from + 1,
                                                     .type = p->type,
                                                     .bytes = p->bytes,
                                                     .epoch = wire->epoch});
    free(p);
}

static void pump(struct world *w, uint32_t from, uint32_t to)
{
    struct wire *wire = &w->net->wires[from][to];
    wire->pumping = false;
    if (w->net->blocked[from][to] == 0 && wire->first != NULL && wire->first->due_ns <= w->now_ns) {
        deliver(w, from, to);
    }
    pump_after(w, from, to);
}

static void on_wire(struct happening *event)
{
    struct wire_event *e = (struct wire_event *)event;
    struct world *w = event->world;
    switch (e->what) {
    case WIRE_DIAL:
        dial(w, e);
        break;
    case WIRE_PUMP:
        pump(w, e->from, e->to);
        break;
    case WIRE_OUT_DOWN:
        link_input(w->machines[e->from], e->to, PEER_DIRECTION_OUT, e->epoch, e->reason);
        break;
    case WIRE_IN_DOWN:
        link_input(w->machines[e->to], e->from, PEER_DIRECTION_IN, e->epoch, e->reason);
        break;
    case WIRE_SILENT:
        if (w->net->blocked[e->from][e->to] == e->epoch) {
            seam_peer_reset(w, e->from, e->to);
        }
        break;
    }
    free(e);
}

/* ---- what the world does to wires ---- */

void seam_peer_reset(struct world *w, uint32_t a, uint32_t b)
{
    wire_break(w, a, b, 5 * NS_PER_MS, PEER_REASON_CLOSED);
    wire_break(w, b, a, 5 * NS_PER_MS, PEER_REASON_CLOSED);
}

void seam_peer_block(struct world *w, uint32_t from, uint32_t to, bool blocked)
{
    struct net *net = w->net;
    if (blocked && net->blocked[from][to] == 0) {
        net->blocked[from][to] = ++net->blockades;
        const struct wire_event e = {
            .what = WIRE_SILENT, .from = from, .to = to, .epoch = net->blockades};
        wire_after(w, &e, PEER_SILENCE_NS);
    } else if (!blocked) {
        net->blocked[from][to] = 0;
        pump_after(w, from, to);
    }
}

void seam_peer_slow(struct world *w, uint32_t from, uint32_t to, uint64_t more_ns)
{
    w->net->slow_ns[from][to] = more_ns;
}

/* What a killed process has written is still sent, or part of it; the other sides are told. A
 * machine without power says nothing: they find out by its silence. */
void seam_peer_gone(struct machine *m, bool power)
{
    struct world *w = m->world;
    for (uint32_t k = 0; k < w->nodes; k++) {
        struct wire *out = &w->net->wires[m->number][k];
        while (!power && out->up && out->first != NULL && w->net->blocked[m->number][k] == 0 &&
               draw_below(&w->random_net, 8) != 0) {
            deliver(w, m->number, k);
        }
        uint64_t within_ns = power ? PEER_SILENCE_NS : 2 * NS_PER_MS;
        wire_break(w, m->number, k, within_ns, PEER_REASON_CLOSED);
        wire_break(w, k, m->number, within_ns, PEER_REASON_CLOSED);
    }
}

/* ---- what the node sees ---- */

void seam_peer_link(struct machine *m, const struct arrival *input)
{
    struct peer_links *links = m->links;
    struct seam_peer *peer = peer_of(links, input->peer);
    if (peer == NULL) {
        return;
    }
    bool out = input->direction == PEER_DIRECTION_OUT;
    uint64_t *epoch = out ? &peer->out_epoch : &peer->in_epoch;
    bool up = input->state == PEER_LINK_UP;
    if (up ? *epoch >= input->epoch : *epoch != input->epoch) {
        return;
    }
    *epoch = up ? input->epoch : 0;
    peer->status.out_up = peer->out_epoch != 0;
    peer->status.in_up = peer->in_epoch != 0;
    peer->status.out_up_ns = out && up ? loop_now_ns(m->loop) : peer->status.out_up_ns;
    peer->status.last_reason = up ? peer->status.last_reason : input->reason;
    if (out && !up) {
        dial_after(m, (uint32_t)input->peer - 1,
                   PEER_REDIAL_MIN_NS / 4 + draw_below(&m->world->random_net, PEER_REDIAL_MIN_NS));
    }
    links->host.on_link(links->host.ctx, input->peer, input->direction, input->state,
                        input->reason);
}

void seam_peer_frame(struct machine *m, const struct arrival *input)
{
    struct peer_links *links = m->links;
    struct seam_peer *peer = peer_of(links, input->peer);
    if (peer == NULL || peer->in_epoch != input->epoch) {
        return;
    }
    peer->status.received_ns = loop_now_ns(m->loop);
    peer->status.received_frames++;
    peer->status.received_bytes += input->bytes.size;
    links->host.on_frame(links->host.ctx, input->peer, input->type, input->bytes);
    m->met |= input->type == FRAME_DISK && !m->dead ? UINT32_C(1) << (input->peer - 1) : 0;
}

/* ---- net/peer.h ---- */

err peer_links_new(struct loop *loop, const struct peer_config *config,
                   const struct peer_host *host, struct peer_links **ret, struct errtext *reterr)
{
    struct machine *m = machine_running();
    struct cert *cert = NULL;
    struct cert_facts facts;
    (void)loop;
    require(config->id == m->id);
    TRY(cert_from_pem(config->certificate_pem, &cert, reterr));
    cert_read_facts(cert, &facts, NULL);
    cert_free(cert);
    struct peer_links *links = mem_new(1, sizeof *links);
    links->machine = m;
    links->host = *host;
    links->id = config->id;
    memcpy(links->own_key, facts.spki_sha256, SHA256_SIZE);
    m->links = links;
    *ret = links;
    return err_ok();
}

void peer_links_free(struct peer_links *links)
{
    if (links != NULL) {
        links->machine->links = NULL;
        free(links);
    }
}

static void forget_absent(struct peer_links *links, const struct peer_node nodes[], size_t count)
{
    for (size_t i = links->count; i > 0; i--) {
        struct seam_peer *peer = &links->peers[i - 1];
        bool stays = false;
        for (size_t k = 0; k < count; k++) {
            stays = stays || nodes[k].id == peer->id;
        }
        if (!stays) {
            struct world *w = links->machine->world;
            uint32_t other = (uint32_t)peer->id - 1;
            wire_break(w, links->machine->number, other, 5 * NS_PER_MS, PEER_REASON_REMOVED);
            wire_break(w, other, links->machine->number, 5 * NS_PER_MS, PEER_REASON_REMOVED);
            *peer = links->peers[--links->count];
        }
    }
}

err peer_links_set_nodes(struct peer_links *links, const struct peer_node nodes[], size_t count,
                         struct errtext *reterr)
{
    struct machine *m = links->machine;
    if (count > NODES_MAX) {
        return err_fail(reterr, ERR_LIMIT, "too many nodes");
    }
    forget_absent(links, nodes, count);
    for (size_t i = 0; i < count; i++) {
        if (nodes[i].id == links->id) {
            continue;
        }
        struct seam_peer *peer = peer_of(links, nodes[i].id);
        bool fresh = peer == NULL;
        if (fresh) {
            peer = &links->peers[links->count++];
            *peer = (struct seam_peer){.id = nodes[i].id, .status = {.id = nodes[i].id}};
        }
        memcpy(peer->keys, nodes[i].keys, sizeof peer->keys);
        peer->key_count = nodes[i].key_count;
        if (fresh) {
            dial_after(m, (uint32_t)nodes[i].id - 1,
                       NS_PER_MS + draw_below(&m->world->random_net, 20 * NS_PER_MS));
        }
    }
    return err_ok();
}

err peer_links_set_credentials(struct peer_links *links, struct bytes certificate_pem,
                               struct bytes key_pem, struct errtext *reterr)
{
    (void)links;
    (void)certificate_pem;
    (void)key_pem;
    (void)reterr;
    return err_ok();
}

static struct bytes join(const struct bytes parts[], size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size += parts[i].size;
    }
    uint8_t *data = mem_resize(NULL, size + 1, 1);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].size > 0) {
            memcpy(data + at, parts[i].data, parts[i].size);
            at += parts[i].size;
        }
    }
    return bytes_of(data, size);
}

static uint64_t latency_ns(struct world *w, uint32_t from, uint32_t to)
{
    uint64_t ns = LATENCY_NS + draw_below(&w->random_net, 3 * LATENCY_NS);
    if (draw_chance(&w->random_net, w->healing ? 0 : w->chance[FAULT_DELAY])) {
        ns += draw_below(&w->random_net, 400 * NS_PER_MS);
    }
    return ns + w->net->slow_ns[from][to];
}

static err put_on_wire(struct machine *m, struct seam_peer *peer, uint8_t type, struct bytes frame)
{
    struct world *w = m->world;
    uint32_t to = (uint32_t)peer->id - 1;
    struct wire *wire = &w->net->wires[m->number][to];
    if (!wire->up || wire->epoch != peer->out_epoch) {
        free((void *)(uintptr_t)frame.data); /* it does not know yet */
        if (w->machines[to]->up) { /* a machine that came back answers what it does not know */
            const struct wire_event e = {.what = WIRE_OUT_DOWN,
                                         .from = m->number,
                                         .to = to,
                                         .epoch = peer->out_epoch,
                                         .reason = PEER_REASON_CLOSED};
            wire_after(w, &e, NS_PER_MS);
        }
        return err_ok();
    }
    if (wire->queued_bytes + frame.size > PEER_QUEUE_BYTES_MAX) {
        free((void *)(uintptr_t)frame.data);
        return (err){ERR_FULL};
    }
    struct parcel *p = mem_new(1, sizeof *p);
    uint64_t due_ns = w->now_ns + m->lag_ns + latency_ns(w, m->number, to);
    wire->last_due_ns = due_ns > wire->last_due_ns ? due_ns : wire->last_due_ns;
    *p = (struct parcel){.due_ns = wire->last_due_ns, .type = type, .bytes = frame};
    *wire->last = p;
    wire->last = &p->next;
    wire->queued_bytes += frame.size;
    pump_after(w, m->number, to);
    return err_ok();
}

err peer_send(struct peer_links *links, uint64_t to, uint8_t type, const struct bytes parts[],
              size_t count)
{
    struct machine *m = links->machine;
    struct seam_peer *peer = peer_of(links, to);
    require(count <= PEER_PARTS_MAX);
    if (peer == NULL) {
        return (err){ERR_NOT_FOUND};
    }
    if (!machine_acts(m) || peer->out_epoch == 0) {
        peer->status.dropped_frames++;
        return (err){ERR_AGAIN};
    }
    struct bytes frame = join(parts, count);
    check_sent(m, to, type, frame);
    peer->status.sent_frames++;
    peer->status.sent_bytes += frame.size;
    return put_on_wire(m, peer, type, frame);
}

err peer_drop(struct peer_links *links, uint64_t id, enum peer_reason reason)
{
    struct machine *m = links->machine;
    if (machine_acts(m)) { /* nobody here sends what is malformed */
        violation(m->world, "node %llu cuts off node %llu: %s", (unsigned long long)m->id,
                  (unsigned long long)id, peer_reason_text(reason));
    }
    return (err){ERR_AGAIN};
}

err peer_status(const struct peer_links *links, uint64_t id, struct peer_status *ret)
{
    const struct seam_peer *peer = peer_of((struct peer_links *)(uintptr_t)links, id);
    if (peer == NULL) {
        return (err){ERR_NOT_FOUND};
    }
    *ret = peer->status;
    return err_ok();
}

size_t peer_ids(const struct peer_links *links, uint64_t ret[])
{
    size_t count = 0;
    for (uint64_t id = 1; id <= SIM_NODES_MAX; id++) {
        if (peer_of((struct peer_links *)(uintptr_t)links, id) != NULL) {
            ret[count++] = id;
        }
    }
    return count;
}

uint64_t peer_refused_count(const struct peer_links *links, enum peer_reason reason)
{
    return links->refused[reason];
}

uint16_t peer_port(const struct peer_links *links)
{
    (void)links;
    return 2;
}
