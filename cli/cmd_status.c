/* concordat status: one screen about the nodes and the ledger, from any node that answers. */
#include "cli/commands.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/limits.h"
#include "cli/client.h"
#include "cli/show.h"

enum { STATUS_WELL = 0, STATUS_DEGRADED = 1, STATUS_NO_QUORUM = 2, STATUS_ARENA = 16 << 20 };
#define STATUS_DEADLINE_NS (UINT64_C(4) * NS_PER_S)

static const struct option OPTIONS[] = {
    {"node", "NAME", "ask this node only; default: the first that answers", false},
    {NULL, NULL, NULL, false},
};

static const char *role_name(enum node_role role)
{
    switch (role) {
    case NODE_ROLE_LEADER:
        return "leader";
    case NODE_ROLE_VOTER:
        return "voter";
    case NODE_ROLE_STANDBY:
        return "standby";
    case NODE_ROLE_CATCHING_UP:
        return "catching up";
    case NODE_ROLE_UNKNOWN:
        break;
    }
    return "unknown";
}

static const char *health_name(enum health health)
{
    switch (health) {
    case HEALTH_GOOD:
        return "good";
    case HEALTH_DEGRADED:
        return "degraded";
    case HEALTH_NO_QUORUM:
        return "no quorum";
    case HEALTH_UNSPECIFIED:
        break;
    }
    return "unknown";
}

static int health_code(enum health health)
{
    switch (health) {
    case HEALTH_GOOD:
        return STATUS_WELL;
    case HEALTH_DEGRADED:
        return STATUS_DEGRADED;
    case HEALTH_NO_QUORUM:
    case HEALTH_UNSPECIFIED:
        break;
    }
    return STATUS_NO_QUORUM;
}

/* ---- JSON ---- */

static json_t *node_json(const struct node_status *n)
{
    json_t *j = json_pack(
        "{s:I,s:o,s:o,s:s,s:b,s:b,s:o,s:o,s:I,s:I,s:I,s:o,s:I,s:I}", "id", (json_int_t)n->id,
        "institution", show_text(n->institution), "name", show_text(n->name), "role",
        role_name(n->role), "self", n->self, "connected", n->connected, "peer_address",
        show_text(n->peer_address), "client_address", show_text(n->client_address), "term",
        (json_int_t)n->term, "height", (json_int_t)n->height, "lag", (json_int_t)n->lag,
        "software_version", show_text(n->software_version), "disk_free_bytes",
        (json_int_t)n->disk_free_bytes, "sync_p99_us", (json_int_t)n->sync_p99_us);
    json_object_set_new(j, "cosigned_size", json_integer((json_int_t)n->cosigned_size));
    json_object_set_new(j, "cosigned_ns", json_integer((json_int_t)n->cosigned_ns));
    json_object_set_new(j, "last_contact_ms",
                        n->has_last_contact ? json_integer((json_int_t)n->last_contact_ms)
                                            : json_null());
    json_object_set_new(j, "certificate_days_left",
                        n->has_certificate ? json_integer(n->certificate_days_left) : json_null());
    return j;
}

static json_t *status_json(const struct status_reply *r)
{
    json_t *nodes = json_array();
    json_t *alarms = json_array();
    for (size_t i = 0; i < r->node_count; i++) {
        json_array_append_new(nodes, node_json(&r->nodes[i]));
    }
    for (size_t i = 0; i < r->alarm_count; i++) {
        const struct alarm_status *a = &r->alarms[i];
        json_array_append_new(alarms,
                              json_pack("{s:o,s:o,s:o,s:o,s:o,s:o}", "code", show_text(a->code),
                                        "text", show_text(a->text), "remedy", show_text(a->remedy),
                                        "institution", show_text(a->institution), "node",
                                        show_text(a->node), "since", show_time_json(a->since_ns)));
    }
    json_t *j = show_at(&r->at);
    json_t *rest = json_pack(
        "{s:s,s:o,s:o,s:o,s:i,s:i,s:i,s:i,s:I,s:I}", "health", health_name(r->health), "ledger_id",
        show_hex(bytes_of(r->ledger_id, 32)), "origin", show_text(r->origin), "zone",
        show_text(r->zone), "voters", (int)r->voters, "quorum", (int)r->quorum, "voters_reachable",
        (int)r->voters_reachable, "failures_survived", (int)r->failures_survived, "leader_id",
        (json_int_t)r->leader_id, "term", (json_int_t)r->term);
    json_object_update(j, rest);
    json_decref(rest);
    json_object_set_new(j, "nodes", nodes);
    json_object_set_new(j, "alarms", alarms);
    json_object_set_new(j, "pending", show_pending(r->pending, r->pending_count));
    json_object_set_new(j, "clock", show_time_json(r->clock_ns));
    json_object_set_new(j, "uptime_ms", json_integer((json_int_t)r->uptime_ms));
    json_object_set_new(j, "draining", json_boolean(r->draining));
    json_object_set_new(j, "void_blocks", json_integer((json_int_t)r->void_blocks));
    json_object_set_new(
        j, "scrub",
        json_pack("{s:o,s:I,s:I,s:b}", "last",
                  r->scrub_last_ns == 0 ? json_null() : show_time_json(r->scrub_last_ns), "bytes",
                  (json_int_t)r->scrub_bytes, "findings", (json_int_t)r->scrub_findings, "running",
                  (int)r->scrub_running));
    json_object_set_new(j, "pace",
                        json_pack("{s:I,s:I,s:I,s:I}", "stall_us", (json_int_t)r->stall_us,
                                  "stall_worst_us", (json_int_t)r->stall_worst_us,
                                  "heartbeat_late_us", (json_int_t)r->heartbeat_late_us,
                                  "heartbeat_late_worst_us",
                                  (json_int_t)r->heartbeat_late_worst_us));
    return j;
}

/* ---- a table ---- */

static const char *contact(const struct node_status *n, char text[32])
{
    if (n->self) {
        return "answers";
    }
    if (!n->has_last_contact) {
        return "none";
    }
    if (n->last_contact_ms < 10000) {
        snprintf(text, 32, "%llu ms", (unsigned long long)n->last_contact_ms);
    } else {
        snprintf(text, 32, "%llu s", (unsigned long long)(n->last_contact_ms / 1000));
    }
    return text;
}

static void print_node(const struct node_status *n)
{
    char seen[32];
    char cert[32] = "-";
    char disk[32] = "-";
    char sync[32] = "-";
    if (n->has_certificate) {
        snprintf(cert, sizeof cert, "%lld d", (long long)n->certificate_days_left);
    }
    if (n->disk_free_bytes > 0) {
        snprintf(disk, sizeof disk, "%llu GiB", (unsigned long long)(n->disk_free_bytes >> 30));
    }
    if (n->sync_p99_us > 0) {
        snprintf(sync, sizeof sync, "%llu.%llu ms", (unsigned long long)(n->sync_p99_us / 1000),
                 (unsigned long long)(n->sync_p99_us % 1000 / 100));
    }
    printf("%-14.*s %-14.*s %-12s %5llu %8llu %6llu %8llu  %-9s %8s %9s %7s  %.*s\n",
           (int)n->institution.size, (const char *)n->institution.data, (int)n->name.size,
           (const char *)n->name.data, role_name(n->role), (unsigned long long)n->term,
           (unsigned long long)n->height, (unsigned long long)n->lag,
           (unsigned long long)n->cosigned_size, contact(n, seen), disk, sync, cert,
           (int)n->software_version.size, (const char *)n->software_version.data);
}

static void print_status(const struct status_reply *r)
{
    char time[SHOW_TIME_SIZE];
    char digest[65];
    show_time(r->at.time_ns, time);
    hex_encode(bytes_of(r->at.digest, 32), digest);
    printf("ledger     %.*s, %s\n", (int)r->origin.size, (const char *)r->origin.data,
           health_name(r->health));
    printf("state      height %llu, %llu records, last block %s\n",
           (unsigned long long)r->at.height, (unsigned long long)r->at.size, time);
    printf("digest     %s\n", digest);
    if (r->void_blocks > 0) {
        printf("void       %llu committed entr%s no block (see docs/OPERATING.md)\n",
               (unsigned long long)r->void_blocks, r->void_blocks == 1 ? "y was" : "ies were");
    }
    if (r->scrub_last_ns != 0) {
        show_time(r->scrub_last_ns, time);
        printf("scrub      of the node asked: %s, %llu MiB, %llu damaged place%s\n", time,
               (unsigned long long)(r->scrub_bytes >> 20), (unsigned long long)r->scrub_findings,
               r->scrub_findings == 1 ? "" : "s");
    }
    printf(
        "pace       of the node asked, last minute: heartbeats at most %llu ms late, loop held up "
        "%llu ms\n",
        (unsigned long long)r->heartbeat_late_us / 1000, (unsigned long long)r->stall_us / 1000);
    printf("quorum     %u of %u voters answer, %u needed; survives %u more failure%s\n\n",
           r->voters_reachable, r->voters, r->quorum, r->failures_survived,
           r->failures_survived == 1 ? "" : "s");
    printf("%-14s %-14s %-12s %5s %8s %6s %8s  %-9s %8s %9s %7s  %s\n", "INSTITUTION", "NODE",
           "ROLE", "TERM", "HEIGHT", "LAG", "COSIGNED", "CONTACT", "DISK", "SYNC P99", "CERT",
           "VERSION");
    for (size_t i = 0; i < r->node_count; i++) {
        print_node(&r->nodes[i]);
    }
    for (size_t i = 0; i < r->pending_count; i++) {
        const struct pending_change *p = &r->pending[i];
        printf("%s> node %llu (%.*s): %.*s\n", i == 0 ? "\n" : "", (unsigned long long)p->node,
               (int)p->what.size, (const char *)p->what.data, (int)p->why.size,
               (const char *)p->why.data);
    }
    for (size_t i = 0; i < r->alarm_count; i++) {
        const struct alarm_status *a = &r->alarms[i];
        printf("%s! %.*s: %.*s\n    mend it: %.*s\n", i == 0 ? "\n" : "", (int)a->code.size,
               (const char *)a->code.data, (int)a->text.size, (const char *)a->text.data,
               (int)a->remedy.size, (const char *)a->remedy.data);
    }
}

/* ---- asking ---- */

static bool better(const struct status_reply *a, const struct status_reply *b)
{
    return b == NULL || a->health < b->health;
}

/* The first answer counts, unless that node is cut off: then another one may know better. */
static err ask_all(const struct profile *p, const char *only, struct arena *a,
                   struct status_reply **ret, struct errtext *reterr)
{
    struct status_request none = {0};
    struct buf message;
    struct status_reply *best = NULL;
    err e = err_ok();
    buf_init(&message, 64);
    status_request_encode(&none, &message);
    for (size_t i = 0; i < p->node_count && (best == NULL || best->health == HEALTH_NO_QUORUM);
         i++) {
        struct client *c = NULL;
        struct bytes answer;
        struct status_reply *r = NULL;
        struct client_options o = {.profile = p,
                                   .node = p->nodes[i].name,
                                   .once = true,
                                   .deadline_ns = STATUS_DEADLINE_NS};
        if (only != NULL && strcmp(only, p->nodes[i].name) != 0) {
            continue;
        }
        e = client_open(&o, &c, reterr);
        if (!failed(e)) {
            e = client_ask(c, METHOD_STATUS, &message, a, &answer, reterr);
        }
        if (!failed(e)) {
            e = status_reply_decode(answer, a, &r, reterr);
        }
        if (!failed(e) && better(r, best)) {
            best = r;
        }
        client_free(c);
    }
    buf_done(&message);
    *ret = best;
    return best == NULL ? e : err_ok();
}

static int run(const struct given *g)
{
    struct errtext why;
    struct profile p;
    struct arena a;
    struct status_reply *r = NULL;
    const char *only = given_value(g, "node");
    bool known = only == NULL;
    err e = profile_load(g, &p, &why);
    if (failed(e)) {
        return complain_err(e, &why);
    }
    for (size_t i = 0; i < p.node_count && !known; i++) {
        known = strcmp(p.nodes[i].name, only) == 0;
    }
    int code = EXIT_USAGE;
    arena_init(&a, STATUS_ARENA);
    e = known ? ask_all(&p, only, &a, &r, &why) : err_ok();
    if (!known) {
        complain(EXIT_USAGE, "%s: no node is called '%s'", p.path, only);
    } else if (failed(e)) {
        code = complain_err(e, &why);
    } else {
        code = health_code(r->health);
        if (g->json) {
            show_json_line(status_json(r));
        } else {
            print_status(r);
        }
    }
    arena_done(&a);
    profile_done(&p);
    return code;
}

const struct command STATUS = {
    "status",
    "",
    0,
    0,
    "Shows the nodes, the quorum and what needs an operator\n\n"
    "Works with any node that answers, also without a quorum. Exit codes: 0 well, 1 degraded,\n"
    "2 no quorum (or wrong use), 3 no node answers.",
    OPTIONS,
    "  concordat status\n"
    "  concordat status --node ville --json\n",
    run};
