/* Ledger.Watch: the records from any position, as they come. A watcher is a cursor; a slow reader
 * holds a position, not memory. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "proto/service.h"
#include "server/parts.h"

enum { WATCH_BATCH = 256 }; /* records asked of the ledger at once */

struct watcher {
    struct watcher *next, **prev;
    struct grpc_call_ref ref;
    uint64_t from, until; /* until: UINT64_MAX: for ever */
    uint8_t contract[NAME_BYTES_MAX];
    size_t contract_size; /* 0: all */
    bool first_sent;
};

static void watcher_free(struct watcher *w)
{
    *w->prev = w->next;
    if (w->next != NULL) {
        w->next->prev = w->prev;
    }
    free(w);
}

static enum end end_of(enum ledger_end end)
{
    return end == LEDGER_ACCEPTED   ? END_ACCEPTED
           : end == LEDGER_REJECTED ? END_REJECTED
                                    : END_FAULT;
}

static void fill_entry(const struct ledger_record *r, struct watch_entry *ret)
{
    *ret = (struct watch_entry){
        .position = r->record.position,
        .record = r->bytes,
        .outcome = r->outcome_json,
        .effects = r->effects_json,
        .height = r->record.height,
        .time_ns = r->record.time_ns,
        .kind = r->record.kind,
        .event_index = r->record.index,
        .contract = r->record.contract,
        .action = r->outcome.action,
        .contract_version = r->record.contract_version,
        .end = end_of(r->outcome.end),
    };
    memcpy(ret->request_hash, r->record.request_hash, 32);
}

/* The reply, with as many of its entries as fit one message; false: not even one does. */
static bool encode_reply(struct watch_reply *reply, struct buf *message)
{
    buf_init(message, GRPC_MESSAGE_BYTES_MAX);
    watch_reply_encode(reply, message);
    while (message->overflow && reply->entry_count > 1) {
        reply->entry_count /= 2;
        reply->next_position = reply->entries[reply->entry_count - 1].position + 1;
        buf_clear(message);
        watch_reply_encode(reply, message);
    }
    return !message->overflow;
}

static void end_too_large(struct watcher *w, struct grpc_call *call, uint64_t position)
{
    struct refusal no =
        refusal_of(REASON_TOO_LARGE,
                   "record %llu is over %d bytes with its effects; go on from the one after it",
                   (unsigned long long)position, GRPC_MESSAGE_BYTES_MAX);
    refusal_send(call, &no);
    watcher_free(w);
}

/* Sends what fits one message; false: nothing more now, or the call is over. */
static bool send_some(struct node *n, struct watcher *w, struct grpc_call *call)
{
    struct ledger_head head = ledger_head(n->ledger);
    uint64_t end = w->until < head.position ? w->until : head.position;
    struct ledger_records found;
    struct errtext why;
    struct arena a;
    if (w->from >= end && (w->first_sent || w->until <= w->from)) {
        return false;
    }
    const struct ledger_records_query query = {w->from, WATCH_BATCH,
                                               bytes_of(w->contract, w->contract_size)};
    arena_init(&a, LEDGER_QUERY_ARENA_MAX);
    err e = ledger_query_records(n->ledger, &query, &a, &found, &why);
    if (failed(e)) {
        refusal_send_broken(call, &why);
        watcher_free(w);
        arena_done(&a);
        return false;
    }
    struct watch_reply reply = {.size = head.position};
    reply.next_position = found.next < end ? found.next : end;
    if (reply.next_position < w->from) {
        reply.next_position = w->from; /* it asked for what is not recorded here yet */
    }
    reply.entries = arena_new(&a, found.count, sizeof *reply.entries);
    for (size_t i = 0; i < found.count && found.records[i].record.position < end; i++) {
        fill_entry(&found.records[i], &reply.entries[reply.entry_count++]);
    }
    struct buf message;
    bool sent = false;
    if (!encode_reply(&reply, &message)) {
        end_too_large(w, call, reply.entries[0].position);
    } else if (!failed(grpc_call_send(call, buf_bytes(&message)))) {
        w->from = reply.next_position;
        w->first_sent = true;
        sent = true;
    }
    buf_done(&message);
    arena_done(&a);
    return sent;
}

/* Sends while there is something, room and time; false: the time was over first, the task goes on.
 * A watcher of a rare contract reads through the whole ledger, and fills no room with that. */
static bool advance(struct node *n, struct watcher *w, struct grpc_call *call, uint64_t until_ns)
{
    const struct grpc_call_ref ref = w->ref;
    while (grpc_call_room(call) > 0 && send_some(n, w, call)) {
        if (clock_monotonic_ns(&n->clock) >= until_ns) {
            loop_post(n->loop, &n->watch_task);
            return false;
        }
    }
    /* An error ends the call, and the watcher with it. */
    call = grpc_server_find(n->grpc, ref);
    if (call != NULL && w->from >= w->until) {
        watcher_free(w);
        grpc_call_finish(call, GRPC_OK, NULL);
    }
    return true;
}

static uint64_t slice_end(const struct node *n)
{
    return clock_monotonic_ns(&n->clock) + APPLY_SLICE_NS;
}

/* Makes this watcher the first one, those before it the last ones: their turn is over. */
static void rotate(struct node *n, struct watcher *first)
{
    if (first == NULL || first == n->watchers) {
        return;
    }
    struct watcher *last = first;
    while (last->next != NULL) {
        last = last->next;
    }
    last->next = n->watchers;
    last->next->prev = &last->next;
    *first->prev = NULL;
    n->watchers = first;
    first->prev = &n->watchers;
}

static void run_watchers(struct loop_task *task)
{
    struct node *n = task->ctx;
    uint64_t until_ns = slice_end(n);
    for (struct watcher *w = n->watchers, *next; w != NULL; w = next) {
        next = w->next;
        struct grpc_call *call = grpc_server_find(n->grpc, w->ref);
        if (call != NULL && !advance(n, w, call, until_ns)) {
            rotate(n, next);
            return;
        }
    }
}

void watch_init(struct node *n)
{
    loop_task_init(&n->watch_task, run_watchers, n);
}

void watch_call(struct grpc_call *call, struct bytes message)
{
    struct node *n = grpc_call_server_ctx(call);
    struct watch_request *request;
    struct errtext why;
    struct arena a;
    arena_init(&a, message.size * 4 + (1 << 20));
    err e = watch_request_decode(message, &a, &request, &why);
    if (failed(e) || request->contract.size > NAME_BYTES_MAX) {
        struct refusal no =
            refusal_of(REASON_BAD_REQUEST, "%s",
                       failed(e) ? why.text : "WatchRequest: contract: longer than 64 bytes");
        refusal_send(call, &no);
    } else {
        struct watcher *w = mem_new(1, sizeof *w);
        *w = (struct watcher){
            .next = n->watchers,
            .prev = &n->watchers,
            .ref = grpc_call_ref_of(call),
            .from = request->from_position,
            .until = request->until_now ? ledger_head(n->ledger).position : UINT64_MAX,
            .contract_size = request->contract.size,
        };
        if (w->contract_size > 0) {
            memcpy(w->contract, request->contract.data, w->contract_size);
        }
        if (w->next != NULL) {
            w->next->prev = &w->next;
        }
        n->watchers = w;
        grpc_call_set_user(call, w);
    }
    arena_done(&a);
}

void watch_room(struct grpc_call *call)
{
    struct watcher *w = grpc_call_user(call);
    if (w != NULL) {
        struct node *n = grpc_call_server_ctx(call);
        (void)advance(n, w, call, slice_end(n));
    }
}

void watch_cancel(struct grpc_call *call)
{
    struct watcher *w = grpc_call_user(call);
    if (w != NULL) {
        watcher_free(w);
    }
}

void watch_wake(struct node *n)
{
    loop_post(n->loop, &n->watch_task);
}
