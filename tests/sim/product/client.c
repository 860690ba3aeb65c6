#include "tests/sim/product/client.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"
#include "tests/sim/product/model.h"
#include "tests/sim/product/rpc.h"

enum { ATTEMPTS_MAX = 12 };

enum role { ROLE_SUBMIT, ROLE_READ, ROLE_WATCH };
enum asking {
    ASKING_NOTHING,
    ASKING_SUBMIT,
    ASKING_OUTCOME,
    ASKING_BALANCE,
    ASKING_WATCH,
    ASKING_STATUS
};

struct client {
    struct world *world;
    uint32_t number;
    enum role role;
    enum asking asking;
    struct grpc_call *call;
    struct machine *at; /* whom it asks; changes when that does not help */
    bool waiting;       /* its next thing is scheduled */

    bool has_request;
    uint64_t request;
    uint32_t attempts;
    bool last; /* its request is the one that it sends after all has healed */

    uint32_t wallet;
    uint64_t floor;    /* what the read must see; 0: a local one */
    uint64_t position; /* of the next record */
};

struct client_wait {
    struct happening event;
    struct client *client;
};

static void next_thing(struct client *c);

static void drop_wait(struct happening *event)
{
    free(event);
}

static void on_wait(struct happening *event)
{
    struct client_wait *wait = (struct client_wait *)event;
    struct client *c = wait->client;
    free(wait);
    c->waiting = false;
    next_thing(c);
}

static void wait_for(struct client *c, uint64_t ns)
{
    struct client_wait *wait = mem_new(1, sizeof *wait);
    require(!c->waiting);
    c->waiting = true;
    *wait = (struct client_wait){.event = {.run = on_wait, .drop = drop_wait}, .client = c};
    world_after(c->world, &wait->event, ns);
}

static uint64_t random_of(struct client *c, uint64_t n)
{
    return draw_below(&c->world->random_work, n);
}

static void think(struct client *c)
{
    wait_for(c, NS_PER_MS * (1 + random_of(c, c->world->pace_ms)));
}

static void elsewhere(struct client *c)
{
    c->at = c->world->machines[random_of(c, c->world->nodes)];
}

static void ask(struct client *c, enum asking asking, const char *path, struct buf *message);

/* ---- requests ---- */

static void submit(struct client *c)
{
    struct world *w = c->world;
    const struct request *r = fixture_request(w->fixture, c->request);
    struct submit_request form = {.envelope = r->envelope};
    struct buf message;
    buf_init(&message, GRPC_MESSAGE_BYTES_MAX);
    submit_request_encode(&form, &message);
    model_fate(w->model, c->request)->open++;
    c->attempts++;
    ask(c, ASKING_SUBMIT, METHOD_SUBMIT, &message);
}

static void ask_outcome(struct client *c)
{
    const struct request *r = fixture_request(c->world->fixture, c->request);
    struct get_outcome_request form = {.party = bytes_text(r->party)};
    struct buf message;
    c->floor = model_floor(c->world->model);
    memcpy(form.request_id, r->id, sizeof form.request_id);
    buf_init(&message, GRPC_MESSAGE_BYTES_MAX);
    get_outcome_request_encode(&form, &message);
    ask(c, ASKING_OUTCOME, METHOD_GET_OUTCOME, &message);
}

static void done_with_request(struct client *c)
{
    c->has_request = false;
    c->attempts = 0;
    think(c);
}

static void take_answer(struct client *c, struct bytes message)
{
    struct world *w = c->world;
    struct arena a;
    struct submit_reply *reply;
    struct errtext why = {""};
    arena_init(&a, 1 << 22);
    err e = submit_reply_decode(message, &a, &reply, &why);
    if (failed(e)) {
        violation(w, "an answer cannot be read: %s", why.text);
    }
    model_check_answer(w->model, c->request, reply);
    bool rejected = reply->outcomes[0].end == END_REJECTED;
    w->counts.committed++;
    w->counts.rejected += rejected;
    trace(w, "client %u: request %llu is committed at height %llu%s", c->number,
          (unsigned long long)c->request, (unsigned long long)reply->height,
          reply->duplicate ? ", again" : "");
    arena_done(&a);
}

static bool is_reason(const struct rpc_result *r, enum reason reason)
{
    return strcmp(r->reason, reason_name(reason)) == 0;
}

/* The attempt is over. What the client knows now, it knows for good. */
static void submit_over(struct client *c, const struct rpc_result *r)
{
    struct world *w = c->world;
    struct fate *fate = model_fate(w->model, c->request);
    bool never = r->end == RPC_STATUS && strcmp(r->retry, "never") == 0;
    bool unknown =
        r->end == RPC_LOST || (r->end == RPC_STATUS && is_reason(r, REASON_UNKNOWN_OUTCOME));
    require(fate->open > 0);
    if (r->end == RPC_ANSWERED) {
        fate->maybe = true; /* it may still be on its way a second time, and be void then */
        fate->open--;
        done_with_request(c);
        return;
    }
    fate->maybe = fate->maybe || unknown;
    fate->open--;
    trace(w, "client %u: request %llu at %llu: %s %s %s", c->number, (unsigned long long)c->request,
          (unsigned long long)c->at->id, unknown ? "unknown" : "refused", r->reason, r->text);
    if (unknown) {
        w->counts.unknown++;
    } else {
        w->counts.refused++;
        if (never && !is_reason(r, REASON_EXPIRED)) {
            violation(w, "request %llu is refused for ever: %s, %s", (unsigned long long)c->request,
                      r->reason, r->text);
        }
        model_check_refusal(w->model, c->request, never);
    }
    if (never || (c->attempts >= ATTEMPTS_MAX && !w->healing)) {
        done_with_request(c);
        return;
    }
    elsewhere(c);
    wait_for(c, NS_PER_MS * (5 + random_of(c, 200)));
}

static void outcome_over(struct client *c, const struct rpc_result *r)
{
    const struct fate *fate = model_fate(c->world->model, c->request);
    if (r->end == RPC_ANSWERED) {
        done_with_request(c);
        return;
    }
    if (r->end == RPC_STATUS && is_reason(r, REASON_NOT_FOUND) && fate->height != 0 &&
        fate->height <= c->floor) {
        violation(c->world, "request %llu is said to be unknown, and is recorded at height %llu",
                  (unsigned long long)c->request, (unsigned long long)fate->height);
    }
    elsewhere(c);
    wait_for(c, NS_PER_MS * (5 + random_of(c, 100)));
}

/* ---- reads ---- */

static void read_balance(struct client *c)
{
    char place[32];
    bool local = random_of(c, 3) == 0;
    c->wallet = (uint32_t)random_of(c, FIXTURE_WALLETS);
    c->floor = local ? 0 : model_floor(c->world->model);
    snprintf(place, sizeof place, "wallet[%s]", fixture_wallet(c->wallet));
    struct balance_request form = {.account = {bytes_text("transfer.roquefort"), bytes_text(place)},
                                   .local = local};
    struct buf message;
    buf_init(&message, GRPC_MESSAGE_BYTES_MAX);
    balance_request_encode(&form, &message);
    ask(c, ASKING_BALANCE, METHOD_BALANCE, &message);
}

static void take_balance(struct client *c, struct bytes message)
{
    struct world *w = c->world;
    struct arena a;
    struct balance_reply *reply;
    struct errtext why = {""};
    arena_init(&a, 1 << 22);
    err e = balance_reply_decode(message, &a, &reply, &why);
    if (failed(e)) {
        violation(w, "a balance cannot be read: %s", why.text);
    }
    model_check_balance(w->model, c->wallet, reply, c->floor);
    trace(w, "client %u: wallet %u at height %llu on %llu%s", c->number, c->wallet,
          (unsigned long long)reply->at.height, (unsigned long long)c->at->id,
          c->floor == 0 ? ", locally" : "");
    if (c->floor == 0) {
        w->counts.local_reads++;
    } else {
        w->counts.reads++;
    }
    arena_done(&a);
}

static void ask_status(struct client *c)
{
    struct status_request form = {0};
    struct buf message;
    buf_init(&message, GRPC_MESSAGE_BYTES_MAX);
    status_request_encode(&form, &message);
    ask(c, ASKING_STATUS, METHOD_STATUS, &message);
}

/* Nobody lies here, and nobody computes something else. */
static void take_status(struct client *c, struct bytes message)
{
    static const char *const NEVER[] = {"digest-differs", "log-contradicted", "frames-malformed",
                                        "void-block"};
    struct world *w = c->world;
    struct arena a;
    struct status_reply *reply;
    struct errtext why = {""};
    arena_init(&a, 1 << 22);
    err e = status_reply_decode(message, &a, &reply, &why);
    if (failed(e)) {
        violation(w, "a status cannot be read: %s", why.text);
    }
    for (size_t i = 0; i < reply->alarm_count; i++) {
        for (size_t k = 0; k < sizeof NEVER / sizeof *NEVER; k++) {
            if (bytes_equal(reply->alarms[i].code, bytes_text(NEVER[k]))) {
                violation(w, "node %llu raises the alarm %s: %.*s", (unsigned long long)c->at->id,
                          NEVER[k], (int)reply->alarms[i].text.size,
                          (const char *)reply->alarms[i].text.data);
            }
        }
    }
    arena_done(&a);
}

static void watch(struct client *c)
{
    struct watch_request form = {.from_position = c->position};
    struct buf message;
    buf_init(&message, GRPC_MESSAGE_BYTES_MAX);
    watch_request_encode(&form, &message);
    ask(c, ASKING_WATCH, METHOD_WATCH, &message);
}

static void take_records(struct client *c, struct bytes message)
{
    struct world *w = c->world;
    struct arena a;
    struct watch_reply *reply;
    struct errtext why = {""};
    arena_init(&a, 64 << 20);
    err e = watch_reply_decode(message, &a, &reply, &why);
    if (failed(e)) {
        violation(w, "a record cannot be read: %s", why.text);
    }
    for (size_t i = 0; i < reply->entry_count; i++) {
        if (reply->entries[i].position != c->position) {
            violation(w, "a watcher of record %llu was shown %llu", (unsigned long long)c->position,
                      (unsigned long long)reply->entries[i].position);
        }
        model_check_record(w->model, &reply->entries[i]);
        c->position++;
        w->counts.watched++;
    }
    arena_done(&a);
}

/* ---- calls ---- */

static void on_message(void *ctx, struct bytes message)
{
    struct client *c = ctx;
    switch (c->asking) {
    case ASKING_NOTHING:
        break;
    case ASKING_SUBMIT:
    case ASKING_OUTCOME:
        take_answer(c, message);
        break;
    case ASKING_BALANCE:
        take_balance(c, message);
        break;
    case ASKING_WATCH:
        take_records(c, message);
        break;
    case ASKING_STATUS:
        take_status(c, message);
        break;
    }
}

static void check_status(struct client *c, const struct rpc_result *r)
{
    bool broken = r->end == RPC_STATUS &&
                  (r->status == GRPC_DATA_LOSS || r->status == GRPC_INTERNAL ||
                   r->status == GRPC_PERMISSION_DENIED || r->status == GRPC_INVALID_ARGUMENT);
    if (broken && !c->at->disk_hurt) {
        violation(c->world, "node %llu answers %d: %s", (unsigned long long)c->at->id,
                  (int)r->status, r->text);
    }
}

static void on_end(void *ctx, const struct rpc_result *r)
{
    struct client *c = ctx;
    enum asking asking = c->asking;
    c->asking = ASKING_NOTHING;
    c->call = NULL;
    check_status(c, r);
    switch (asking) {
    case ASKING_NOTHING:
        break;
    case ASKING_SUBMIT:
        submit_over(c, r);
        break;
    case ASKING_OUTCOME:
        outcome_over(c, r);
        break;
    case ASKING_BALANCE:
    case ASKING_WATCH:
    case ASKING_STATUS:
        if (r->end != RPC_ANSWERED || random_of(c, 4) == 0) {
            elsewhere(c);
        }
        think(c);
        break;
    }
}

static void ask(struct client *c, enum asking asking, const char *path, struct buf *message)
{
    const struct rpc_handler handler = {c, on_message, on_end, false};
    bool patient = asking == ASKING_SUBMIT && random_of(c, 6) == 0;
    uint64_t timeout_ns = asking == ASKING_WATCH ? 3 * NS_PER_S + NS_PER_MS * random_of(c, 4000)
                          : patient              ? 40 * NS_PER_S
                                                 : NS_PER_S + NS_PER_MS * random_of(c, 5000);
    require(!message->overflow);
    c->asking = asking;
    c->call = rpc_start(c->at, path, buf_bytes(message), &handler, timeout_ns);
    buf_done(message);
}

static void next_request(struct client *c)
{
    struct world *w = c->world;
    if (!c->has_request) {
        if (c->last) {
            return;
        }
        c->last = w->healing;
        c->request = model_next_request(w->model);
        c->has_request = true;
        c->attempts = 0;
    }
    const struct fate *fate = model_fate(w->model, c->request);
    if (fate->maybe && c->attempts > 0 && random_of(c, 3) == 0) {
        ask_outcome(c);
    } else {
        submit(c);
    }
}

static void next_thing(struct client *c)
{
    switch (c->role) {
    case ROLE_SUBMIT:
        next_request(c);
        break;
    case ROLE_READ:
        if (!c->world->healing && random_of(c, 8) == 0) {
            ask_status(c);
        } else if (!c->world->healing) {
            read_balance(c);
        }
        break;
    case ROLE_WATCH:
        if (!c->world->healing) {
            watch(c);
        }
        break;
    }
}

struct client *client_new(struct world *w, uint32_t number)
{
    struct client *c = mem_new(1, sizeof *c);
    c->world = w;
    c->number = number;
    c->role = number == 1 ? ROLE_READ : number == 2 ? ROLE_WATCH : ROLE_SUBMIT;
    elsewhere(c);
    think(c);
    return c;
}

void client_free(struct client *c)
{
    free(c);
}

bool client_is_idle(const struct client *c)
{
    return c->call == NULL && !c->has_request && !c->waiting;
}
