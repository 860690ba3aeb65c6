#include "bench/drive.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"
#include "net/grpc_client.h"
#include "proto/reason.h"
#include "proto/service.h"

enum { PAUSE_MIN_MS = 20, PAUSE_STEPS_MAX = 3, TROUBLE_MAX = 400, REPLY_ARENA = 32 << 20 };
#define ATTEMPT_NS (UINT64_C(10) * NS_PER_S) /* then the request is sent again */

/* One connection. */
struct driver_client {
    struct drive *drive;
    struct grpc_channel *channel;
    size_t at;   /* which address */
    size_t sent; /* calls that have not ended */
    bool leave;  /* this connection is of no use any more */
};

/* One request under way. */
struct slot {
    struct driver_client *client;
    struct made made;
    struct loop_timer again; /* to send it again, or for the first time when it is due */
    bool due;                /* waits until it is due */
    uint64_t started_ns;
    unsigned attempts;
    bool busy;
};

struct drive {
    struct drive_options o;
    struct driver_client *clients;
    struct slot *slots;
    size_t slot_count, busy;
    struct drive_counts counts;
    struct histogram *histogram; /* not owned; NULL: not measuring */
    uint64_t due_ns;             /* with a rate: when the next request is */
    uint64_t answered_ns;        /* when the last answer came, or measuring began */
    struct arena arena;
    char trouble[TROUBLE_MAX];
    bool stopped;
};

static void slot_next(struct slot *s);

/* ---- connections ---- */

static void on_state(void *ctx, struct grpc_channel *channel, bool up, const char *reason)
{
    struct driver_client *c = ctx;
    (void)channel;
    if (!up) {
        c->leave = true;
        snprintf(c->drive->trouble, TROUBLE_MAX, "%s: %.300s",
                 c->drive->o.options->addresses[c->at], reason);
    }
}

/* Never from inside a channel's callback. False: wait until the calls on the old one have ended. */
static bool client_connect(struct driver_client *c, struct errtext *reterr)
{
    const struct options *options = c->drive->o.options;
    if (c->leave && c->sent > 0) {
        return false;
    }
    if (c->leave) {
        grpc_channel_free(c->channel);
        c->channel = NULL;
        c->leave = false;
        c->at = (c->at + 1) % options->address_count;
    }
    if (c->channel != NULL) {
        return true;
    }
    struct grpc_channel_options o = {.loop = c->drive->o.loop,
                                     .address = options->addresses[c->at],
                                     .tls = c->drive->o.tls,
                                     .expect_node = true,
                                     .on_state = on_state,
                                     .ctx = c};
    return !failed(grpc_channel_open(&o, &c->channel, reterr));
}

/* ---- the life of a request ---- */

static void slot_pause(struct slot *s)
{
    struct drive *d = s->client->drive;
    size_t addresses = d->o.options->address_count;
    uint64_t pause_ms = 0;
    s->attempts++;
    d->counts.resent++;
    if (s->attempts >= addresses) { /* every node was asked: they need time */
        size_t steps = s->attempts - addresses;
        pause_ms = (uint64_t)PAUSE_MIN_MS << (steps < PAUSE_STEPS_MAX ? steps : PAUSE_STEPS_MAX);
    }
    loop_timer_start(d->o.loop, &s->again, pause_ms * NS_PER_MS, 0);
}

static void slot_end(struct slot *s)
{
    struct drive *d = s->client->drive;
    require(s->busy);
    require(d->busy > 0);
    s->busy = false;
    d->busy--;
    if (!d->stopped) {
        slot_next(s);
    }
}

static void count_events(struct slot *s, const struct submit_reply *reply)
{
    struct drive *d = s->client->drive;
    for (size_t i = 0; i < reply->outcome_count && i < d->o.options->events; i++) {
        const struct event_outcome *o = &reply->outcomes[i];
        if (o->end == END_ACCEPTED) {
            d->counts.events++;
            maker_accepted(d->o.maker, &s->made, i);
            continue;
        }
        d->counts.rejected++;
        snprintf(d->trouble, TROUBLE_MAX, "clause %.*s: %.*s%.*s", (int)o->clause.size,
                 (const char *)o->clause.data, (int)o->text.size, (const char *)o->text.data,
                 (int)o->kind.size, (const char *)o->kind.data);
    }
    if (reply->outcome_count != d->o.options->events) {
        d->counts.refused++;
        snprintf(d->trouble, TROUBLE_MAX, "an answer with %zu outcomes", reply->outcome_count);
    }
}

static void measure(struct drive *d, uint64_t took_ns, uint64_t now)
{
    if (d->histogram != NULL) {
        histogram_add(d->histogram, took_ns);
        uint64_t gap = now - d->answered_ns;
        d->counts.gap_ns = gap > d->counts.gap_ns ? gap : d->counts.gap_ns;
        d->answered_ns = now;
    }
}

/* The answer to a question for a balance. */
static void slot_told(struct slot *s, struct bytes message)
{
    struct drive *d = s->client->drive;
    struct balance_reply *reply = NULL;
    struct errtext why = {""};
    if (failed(balance_reply_decode(message, &d->arena, &reply, &why))) {
        d->counts.refused++;
        snprintf(d->trouble, TROUBLE_MAX, "an unreadable answer: %.300s", why.text);
        return;
    }
    d->counts.requests++;
    if (maker_told(d->o.maker, &s->made, reply->quanta)) {
        d->counts.events++;
        return;
    }
    d->counts.rejected++;
    snprintf(d->trouble, TROUBLE_MAX, "account %u was told with two balances",
             s->made.transfers[0].debtor);
}

static void slot_committed(struct slot *s, struct bytes message)
{
    struct drive *d = s->client->drive;
    struct submit_reply *reply = NULL;
    struct errtext why = {""};
    char id[2 * REQUEST_ID_SIZE + 1];
    uint64_t now = loop_update_now(d->o.loop);
    measure(d, now - s->started_ns, now);
    arena_reset(&d->arena);
    if (d->o.options->reads) {
        slot_told(s, message);
        return;
    }
    if (failed(submit_reply_decode(message, &d->arena, &reply, &why))) {
        d->counts.refused++;
        snprintf(d->trouble, TROUBLE_MAX, "an unreadable answer: %.300s", why.text);
        return;
    }
    d->counts.requests++;
    count_events(s, reply);
    if (d->o.acks != NULL) {
        hex_encode(bytes_of(s->made.request_id, REQUEST_ID_SIZE), id);
        fprintf(d->o.acks, "%s\n", id);
    }
}

/* Whether the request can never be committed; else the same bytes may succeed elsewhere, later. */
static bool is_final(const struct grpc_result *r, char *text, size_t size)
{
    struct bytes name = {NULL, 0};
    enum reason reason = REASON_NONE;
    bool known = false;
    if (r->from_server && !failed(grpc_client_trailer(r->call, "concordat-reason", &name))) {
        known = reason_parse(name, &reason);
    }
    snprintf(text, size, "%s %.*s: %.200s", grpc_status_name(r->status), (int)name.size,
             name.data == NULL ? "" : (const char *)name.data, r->text);
    return known && reason_retry(reason) == RETRY_NEVER;
}

static void on_end(void *ctx, const struct grpc_result *r)
{
    struct slot *s = ctx;
    struct drive *d = s->client->drive;
    require(s->client->sent > 0);
    s->client->sent--;
    if (r->status == GRPC_OK) {
        slot_committed(s, r->message);
        slot_end(s);
        return;
    }
    if (is_final(r, d->trouble, TROUBLE_MAX)) {
        d->counts.refused++;
        slot_end(s);
        return;
    }
    s->client->leave = true;
    slot_pause(s);
}

static void slot_send(struct slot *s)
{
    struct errtext why = {""};
    struct grpc_client_request q = {.path = s->client->drive->o.options->reads ? METHOD_BALANCE
                                                                               : METHOD_SUBMIT,
                                    .message = buf_bytes(&s->made.message),
                                    .timeout_ns = ATTEMPT_NS,
                                    .on_end = on_end,
                                    .ctx = s};
    if (s->client->leave || s->client->channel == NULL ||
        failed(grpc_client_call(s->client->channel, &q, NULL, &why))) {
        s->client->leave = s->client->channel != NULL;
        slot_pause(s);
        return;
    }
    s->client->sent++;
}

/* Makes what the slot sends. */
static err slot_fill(struct slot *s, struct errtext *reterr)
{
    struct drive *d = s->client->drive;
    uint64_t began = loop_update_now(d->o.loop);
    if (d->o.options->reads) {
        maker_ask(d->o.maker, &s->made);
    } else {
        TRY(maker_make(d->o.maker, &s->made, reterr));
    }
    d->counts.make_ns += loop_update_now(d->o.loop) - began;
    return err_ok();
}

static void on_again(struct loop_timer *timer)
{
    struct slot *s = timer->ctx;
    struct drive *d = s->client->drive;
    struct errtext why = {""};
    if (s->due) {
        s->due = false;
        if (d->stopped) {
            slot_end(s);
        } else if (failed(slot_fill(s, &why))) {
            d->counts.refused++;
            snprintf(d->trouble, TROUBLE_MAX, "%.300s", why.text);
            slot_end(s);
        } else {
            slot_send(s);
        }
        return;
    }
    if (!client_connect(s->client, &why)) {
        loop_timer_start(d->o.loop, timer, PAUSE_MIN_MS * NS_PER_MS, 0);
        return;
    }
    slot_send(s);
}

/* A contract that took the first request takes them all, so a failure here is told once, by
 * drive_start, and later ones end the slot. */
static err slot_begin(struct slot *s, struct errtext *reterr)
{
    struct drive *d = s->client->drive;
    require(!s->busy);
    s->started_ns = loop_update_now(d->o.loop);
    s->attempts = 0;
    if (d->o.options->rate > 0) {
        uint64_t now = s->started_ns;
        s->started_ns = d->due_ns > 0 ? d->due_ns : now;
        d->due_ns = s->started_ns + NS_PER_S / d->o.options->rate;
        s->due = s->started_ns > now;
        if (s->due) {
            s->busy = true;
            d->busy++;
            loop_timer_start(d->o.loop, &s->again, s->started_ns - now, 0);
            return err_ok();
        }
    }
    TRY(slot_fill(s, reterr));
    s->busy = true;
    d->busy++;
    slot_send(s);
    return err_ok();
}

static void slot_next(struct slot *s)
{
    struct errtext why = {""};
    if (failed(slot_begin(s, &why))) {
        s->client->drive->counts.refused++;
        snprintf(s->client->drive->trouble, TROUBLE_MAX, "%.300s", why.text);
    }
}

/* ---- the whole ---- */

err drive_start(const struct drive_options *options, struct drive **ret, struct errtext *reterr)
{
    const struct options *o = options->options;
    struct drive *d = mem_new(1, sizeof *d);
    err e = err_ok();
    d->o = *options;
    arena_init(&d->arena, REPLY_ARENA);
    d->slot_count = (size_t)o->clients * o->in_flight;
    d->clients = mem_new(o->clients, sizeof *d->clients);
    d->slots = mem_new(d->slot_count, sizeof *d->slots);
    for (size_t i = 0; i < o->clients && !failed(e); i++) {
        d->clients[i] = (struct driver_client){.drive = d, .at = i % o->address_count};
        if (!client_connect(&d->clients[i], reterr)) {
            e = (err){ERR_INVALID};
        }
    }
    for (size_t i = 0; i < d->slot_count; i++) {
        d->slots[i].client = &d->clients[i % o->clients];
        loop_timer_init(&d->slots[i].again, on_again, &d->slots[i]);
    }
    for (size_t i = 0; i < d->slot_count && !failed(e); i++) {
        e = slot_begin(&d->slots[i], reterr);
    }
    if (failed(e)) {
        drive_free(d);
        return e;
    }
    *ret = d;
    return err_ok();
}

void drive_measure(struct drive *d, struct histogram *h)
{
    if (h != NULL) {
        d->counts.gap_ns = 0;
        d->answered_ns = loop_update_now(d->o.loop);
    }
    d->histogram = h;
}

void drive_stop(struct drive *d)
{
    d->stopped = true;
}

size_t drive_busy(const struct drive *d)
{
    return d->busy;
}

struct drive_counts drive_counts(const struct drive *d)
{
    return d->counts;
}

const char *drive_trouble(const struct drive *d)
{
    return d->trouble;
}

void drive_free(struct drive *d)
{
    if (d == NULL) {
        return;
    }
    d->stopped = true;
    for (size_t i = 0; i < d->slot_count; i++) {
        loop_timer_stop(d->o.loop, &d->slots[i].again);
    }
    for (size_t i = 0; i < d->o.options->clients; i++) {
        grpc_channel_free(d->clients[i].channel); /* ends calls: slots see CANCELLED */
    }
    for (size_t i = 0; i < d->slot_count; i++) {
        loop_timer_stop(d->o.loop, &d->slots[i].again);
        made_done(&d->slots[i].made);
    }
    arena_done(&d->arena);
    free(d->slots);
    free(d->clients);
    free(d);
}
