/* concordat watch: the records of the ledger as they come, exactly resumable. */
#include "cli/commands.h"

#include <stdio.h>
#include <time.h>

#include "cli/session.h"
#include "cli/show.h"

static const struct option OPTIONS[] = {
    {"from", "POSITION", "first position wanted; default 0, the beginning", false},
    {"contract", "NAME", "only records of this contract", false},
    {"follow", NULL, "go on for ever; otherwise end at what is recorded now", false},
    SESSION_OPTIONS,
    {NULL, NULL, NULL, false},
};

struct watching {
    struct session *s;
    uint64_t next;
    bool done;
    enum client_end end;
    uint64_t last_ns;
    err e;
};

static const char *kind_name(uint32_t kind)
{
    static const char *const names[] = {"?", "event", "timer", "governance"};
    return kind < sizeof names / sizeof *names ? names[kind] : names[0];
}

static json_t *parsed(struct bytes text)
{
    json_t *value = json_loadb((const char *)text.data, text.size, JSON_DECODE_ANY, NULL);
    return value == NULL ? json_null() : value;
}

static void print_entry(const struct watch_entry *w, bool json)
{
    char time[SHOW_TIME_SIZE];
    if (json) {
        show_json_line(json_pack(
            "{s:I,s:I,s:o,s:s,s:o,s:I,s:o,s:s,s:o,s:i,s:o,s:o}", "position",
            (json_int_t)w->position, "height", (json_int_t)w->height, "time",
            show_time_json(w->time_ns), "kind", kind_name(w->kind), "contract",
            show_text(w->contract), "version", (json_int_t)w->contract_version, "action",
            show_text(w->action), "end", show_end(w->end), "request_hash",
            show_hex(bytes_of(w->request_hash, 32)), "event_index", (int)w->event_index, "outcome",
            parsed(w->outcome), "effects", parsed(w->effects)));
        return;
    }
    show_time(w->time_ns, time);
    printf("%8llu %s  %-10s %-8s %.*s.%.*s\n", (unsigned long long)w->position, time,
           kind_name(w->kind), show_end(w->end), (int)w->contract.size,
           (const char *)w->contract.data, (int)w->action.size, (const char *)w->action.data);
    if (w->end != END_ACCEPTED) {
        printf("         %.*s\n", (int)w->outcome.size, (const char *)w->outcome.data);
    }
}

static void on_message(void *ctx, struct bytes message)
{
    struct watching *w = ctx;
    struct watch_reply *r;
    if (failed(w->e)) {
        return;
    }
    arena_reset(&w->s->arena);
    w->e = watch_reply_decode(message, &w->s->arena, &r, &w->s->why);
    if (failed(w->e)) {
        return;
    }
    for (size_t i = 0; i < r->entry_count; i++) {
        print_entry(&r->entries[i], w->s->given->json);
    }
    if (r->entry_count > 0) {
        fflush(stdout);
    }
    w->next = r->next_position;
    w->last_ns = clock_system().monotonic_ns(NULL);
}

static void on_done(void *ctx, const struct client_result *r)
{
    struct watching *w = ctx;
    w->done = true;
    w->end = r->end;
    if (r->end != CLIENT_ANSWERED) {
        w->e = failed(w->e) ? w->e
                            : err_fail(&w->s->why,
                                       r->end == CLIENT_REFUSED ? ERR_DENIED : ERR_TIMEOUT,
                                       "%s: %.300s", r->node, r->text);
    }
}

/* One stream, from w->next on, until it ends. */
static void follow_once(struct watching *w)
{
    struct session *s = w->s;
    const char *contract = given_value(s->given, "contract");
    struct watch_request q = {.from_position = w->next,
                              .contract = session_text(contract),
                              .until_now = !given_has(s->given, "follow")};
    buf_clear(&s->request);
    watch_request_encode(&q, &s->request);
    struct client_call call = {.path = METHOD_WATCH, .message = buf_bytes(&s->request),
                               .on_message = on_message, .on_done = on_done, .ctx = w};
    w->done = false;
    w->e = err_ok();
    client_start(s->client, &call);
    while (!w->done && !ferror(stdout)) {
        client_turn(s->client, NS_PER_S);
    }
}

static int run(const struct given *g)
{
    struct session s;
    struct watching w = {.s = &s};
    struct clock clock = clock_system();
    uint64_t deadline_s = CLIENT_DEADLINE_NS / NS_PER_S;
    if (!given_number(g, "from", 0, UINT64_MAX / 2, &w.next) ||
        !given_number(g, "deadline", 1, 86400, &deadline_s)) {
        return EXIT_USAGE;
    }
    int code = session_open(g, &s);
    if (code != EXIT_DONE) {
        return code;
    }
    w.last_ns = clock_monotonic_ns(&clock);
    for (;;) {
        follow_once(&w);
        if (ferror(stdout) || (w.end == CLIENT_ANSWERED && !failed(w.e))) {
            return session_close(&s, EXIT_DONE);
        }
        /* A node that went away: go on at another one, from where it stopped. */
        if (w.end != CLIENT_UNKNOWN ||
            clock_monotonic_ns(&clock) - w.last_ns > deadline_s * NS_PER_S) {
            return session_fail(&s, w.e);
        }
        struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
        nanosleep(&pause, NULL);
    }
}

const struct command WATCH = {
    "watch",
    "",
    0,
    0,
    "Prints the records of the ledger in order\n\n"
    "With --json: one JSON object a record and line.",
    OPTIONS,
    "  concordat watch --from 100 --follow\n"
    "  concordat watch --contract solar.roquefort --json\n",
    run};
