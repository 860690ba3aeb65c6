#include "cli/import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/require.h"

enum { IMPORT_ARENA = 1 << 30, EVENT_JSON_MAX = 1 << 20 };
#define PROGRESS_AFTER_NS (UINT64_C(2) * NS_PER_S)
#define PROGRESS_EVERY_NS (NS_PER_S / 5)

/* ---- events ---- */

static void put_side(struct buf *b, const struct import *im, const struct slot *slot,
                     const struct import_names *names, bool producers)
{
    bool first = true;
    buf_printf(b, ",\"%s\":[", producers ? names->made : names->used);
    for (size_t i = slot->first; i < slot->first + slot->count; i++) {
        const struct reading *r = &im->readings->items[i];
        const char *point = im->readings->points[r->point];
        if (readings_is_producer(point) == producers) {
            buf_printf(b, "%s{\"%s\":\"%s\",\"%s\":\"%lld.%03lld Wh\"}", first ? "" : ",",
                       names->meter, point, names->energy, (long long)(r->mwh / 1000),
                       (long long)(r->mwh % 1000));
            first = false;
        }
    }
    buf_put_u8(b, ']');
}

static void put_json(struct buf *b, const struct import *im, const struct slot *slot,
                     const struct import_names *names)
{
    time_t seconds = (time_t)slot->start_s;
    struct tm tm;
    char start[40] = "";
    if (gmtime_r(&seconds, &tm) != NULL) {
        strftime(start, sizeof start, "%Y-%m-%dT%H:%M:%SZ", &tm);
    }
    buf_printf(b, "{\"%s\":\"%s\"", names->start, start);
    put_side(b, im, slot, names, true);
    put_side(b, im, slot, names, false);
    buf_put_u8(b, '}');
}

err import_prepare(struct import *im, struct law *law, const struct import_names *names,
                   const char *file)
{
    const struct readings *r = im->readings;
    struct buf json;
    err e = err_ok();
    im->events = mem_new(r->slot_count, sizeof *im->events);
    im->bounds = mem_new(r->slot_count, sizeof *im->bounds);
    arena_init(&im->arena, IMPORT_ARENA);
    buf_init(&json, EVENT_JSON_MAX);
    for (size_t i = 0; i < r->slot_count && !failed(e); i++) {
        struct law_event event = {.action = bytes_text(names->event)};
        buf_clear(&json);
        put_json(&json, im, &r->slots[i], names);
        event.json = buf_bytes(&json);
        e = json.overflow ? err_fail(&im->session->why, ERR_LIMIT, "too many readings")
                          : law_type_event(law, &event, &im->arena);
        if (failed(e)) {
            e = err_wrapf(&im->session->why, e, "%s:%zu", file, r->slots[i].line);
        }
        im->events[i] = (struct event){.contract = bytes_text(law->name),
                                       .action = bytes_text(names->event),
                                       .args = event.args,
                                       .has_legal_date = event.has_legal,
                                       .legal_date = event.legal};
        im->bounds[i] = event.bound;
    }
    buf_done(&json);
    im->counts.readings = r->item_count;
    return e;
}

void import_cut(struct import *im)
{
    size_t count = im->readings->slot_count;
    require(im->cuts == NULL);
    im->cuts = mem_new(count + 1, sizeof *im->cuts);
    for (size_t from = 0; from < count;) {
        struct request_fill fill = {0};
        size_t end = from;
        while (end < count && im->events[end].legal_date == im->events[from].legal_date &&
               request_fill_add(&fill, &im->events[end], &im->bounds[end])) {
            end++;
        }
        require(end > from);
        im->cuts[im->cut_count++] = (struct import_cut){from, end - from};
        from = end;
    }
    im->counts.requests = im->cut_count;
}

/* ---- the window ---- */

struct flight {
    struct import *im;
    const struct import_cut *cut;
    struct buf message; /* an encoded SubmitRequest; stays until the answer */
    bool busy;
};

/* The body depends on nothing but the events, the ledger and the key. */
static void make_message(struct flight *f)
{
    struct import *im = f->im;
    struct buf wire;
    struct body body = {.events = im->events + f->cut->from,
                        .event_count = (uint32_t)f->cut->count,
                        .on_behalf = bytes_text(im->signers.list[0].party)};
    memcpy(body.ledger_id, im->session->profile.ledger_id, sizeof body.ledger_id);
    import_request_id(body.events, body.event_count, body.request_id);
    request_salt(im->signers.list[0].key, &body);
    buf_init(&wire, GRPC_MESSAGE_BYTES_MAX);
    request_sign(&body, &im->signers, &wire);
    struct submit_request q = {.envelope = buf_bytes(&wire)};
    buf_clear(&f->message);
    submit_request_encode(&q, &f->message);
    buf_done(&wire);
}

static void count_reason(struct import *im, const struct event_outcome *o, size_t event)
{
    struct import_counts *c = &im->counts;
    struct import_reason one = {.count = 1, .first_start_s = im->readings->slots[event].start_s};
    struct bytes text = o->end == END_FAULT ? o->kind : o->text;
    snprintf(one.clause, sizeof one.clause, "%.*s", (int)o->clause.size,
             (const char *)o->clause.data);
    snprintf(one.text, sizeof one.text, "%.*s", (int)text.size, (const char *)text.data);
    for (size_t i = 0; i < c->reason_count; i++) {
        struct import_reason *r = &c->reasons[i];
        if (strcmp(r->clause, one.clause) == 0 && strcmp(r->text, one.text) == 0) {
            r->count++;
            return;
        }
    }
    if (c->reason_count < IMPORT_REASONS_MAX) {
        c->reasons[c->reason_count++] = one;
    }
}

/* An answer that was there before this run counts as skipped; one that this run asked for again,
 * because a node went away, is this run's. */
static void count_answer(struct flight *f, const struct submit_reply *r, bool before)
{
    struct import *im = f->im;
    struct import_counts *c = &im->counts;
    for (size_t i = 0; i < r->outcome_count; i++) {
        const struct event_outcome *o = &r->outcomes[i];
        c->skipped += before;
        c->accepted += !before && o->end == END_ACCEPTED;
        c->rejected += !before && o->end == END_REJECTED;
        c->faults += !before && o->end == END_FAULT;
        if (o->end != END_ACCEPTED) {
            count_reason(im, o, f->cut->from + i);
        }
    }
    for (size_t i = 0; i < f->cut->count; i++) {
        c->readings_done += im->readings->slots[f->cut->from + i].count;
    }
    c->requests_done++;
}

static void on_done(void *ctx, const struct client_result *r)
{
    struct flight *f = ctx;
    struct import *im = f->im;
    struct arena a;
    struct submit_reply *reply;
    struct errtext why;
    err e = err_ok();
    f->busy = false;
    switch (r->end) {
    case CLIENT_ANSWERED:
        arena_init(&a, (size_t)16 << 20);
        e = submit_reply_decode(r->message, &a, &reply, &why);
        if (!failed(e) && reply->outcome_count != f->cut->count) {
            e = err_fail(&why, ERR_CONFLICT, "%s: %zu outcomes for %zu events", r->node,
                         reply->outcome_count, f->cut->count);
        }
        if (!failed(e)) {
            count_answer(f, reply, reply->duplicate && r->attempts == 1);
        }
        arena_done(&a);
        break;
    case CLIENT_REFUSED:
        e = err_fail(&why, ERR_DENIED, "a request was refused by %s: %s: %.300s", r->node,
                     r->reason, r->text);
        break;
    case CLIENT_UNKNOWN:
        e = err_fail(&why, ERR_TIMEOUT,
                     "no node answers (%.300s); run the same command again: it goes on where it "
                     "stopped",
                     r->text);
        break;
    }
    if (failed(e) && !failed(im->failure)) {
        im->failure = e;
        im->session->why = why;
    }
}

static void show_progress(const struct import *im, uint64_t began_ns, uint64_t now_ns, bool last)
{
    const struct import_counts *c = &im->counts;
    double seconds = (double)(now_ns - began_ns) / 1e9;
    double rate = seconds > 0 ? (double)c->readings_done / seconds : 0;
    double left = rate > 0 ? (double)(c->readings - c->readings_done) / rate : 0;
    fprintf(stderr, "\r%3.0f %%  %zu of %zu readings, %.0f/s, %.0f s left, sent again %llu%s",
            c->readings == 0 ? 100.0 : 100.0 * (double)c->readings_done / (double)c->readings,
            c->readings_done, c->readings, rate, left,
            (unsigned long long)client_resent(im->session->client), last ? "   \n" : "   ");
    fflush(stderr);
}

/* What is under way: the window, the next cut, and how many readings were started since began_ns.
 */
struct sending {
    struct flight flights[IMPORT_WINDOW];
    size_t next, readings_started;
    uint64_t began_ns, now_ns;
};

/* With a rate, the next request waits until the readings before it have had their time. */
static bool may_start(const struct import *im, const struct sending *s)
{
    double seconds = (double)(s->now_ns - s->began_ns) / 1e9;
    return im->rate == 0 || (double)s->readings_started <= (double)im->rate * seconds;
}

/* Fills the window; false when there is nothing more to send. */
static bool fill_window(struct import *im, struct sending *s)
{
    for (size_t i = 0; i < IMPORT_WINDOW && s->next < im->cut_count && !failed(im->failure); i++) {
        struct flight *f = &s->flights[i];
        if (f->busy || !may_start(im, s)) {
            continue;
        }
        f->cut = &im->cuts[s->next++];
        f->busy = true;
        for (size_t k = 0; k < f->cut->count; k++) {
            s->readings_started += im->readings->slots[f->cut->from + k].count;
        }
        make_message(f);
        struct client_call call = {
            .path = METHOD_SUBMIT, .message = buf_bytes(&f->message), .on_done = on_done, .ctx = f};
        client_start(im->session->client, &call);
    }
    return s->next < im->cut_count && !failed(im->failure);
}

err import_send(struct import *im)
{
    struct sending s = {.next = 0};
    struct clock clock = clock_system();
    uint64_t shown = 0;
    bool terminal = isatty(STDERR_FILENO) == 1 && !im->session->given->json;
    s.began_ns = s.now_ns = clock_monotonic_ns(&clock);
    for (size_t i = 0; i < IMPORT_WINDOW; i++) {
        s.flights[i].im = im;
        buf_init(&s.flights[i].message, GRPC_MESSAGE_BYTES_MAX);
    }
    while (fill_window(im, &s) || client_calls(im->session->client) > 0) {
        client_turn(im->session->client, im->rate == 0 ? NS_PER_S : NS_PER_S / 50);
        s.now_ns = clock_monotonic_ns(&clock);
        if (terminal && s.now_ns - s.began_ns > PROGRESS_AFTER_NS &&
            s.now_ns - shown > PROGRESS_EVERY_NS) {
            show_progress(im, s.began_ns, s.now_ns, false);
            shown = s.now_ns;
        }
    }
    if (shown > 0) {
        show_progress(im, s.began_ns, clock_monotonic_ns(&clock), true);
    }
    for (size_t i = 0; i < IMPORT_WINDOW; i++) {
        buf_done(&s.flights[i].message);
    }
    return im->failure;
}

void import_done(struct import *im)
{
    free(im->events);
    free(im->bounds);
    free(im->cuts);
    signers_done(&im->signers);
    if (im->arena.size_max > 0) {
        arena_done(&im->arena);
    }
}
