/* concordat audit, export: a ledger computed again, and taken home. */
#include "cli/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "audit/export.h"
#include "audit/heads.h"
#include "cli/replaying.h"
#include "cli/show.h"
#include "ledger/stored.h"
#include "storage/dir.h"
#include "storage/kv.h"

static const char *const KIND_NAMES[] = {"node", "state database", "exported directory"};

static void on_export(void *ctx, uint64_t height)
{
    const struct replaying *r = ctx;
    if (!r->given->json && isatty(STDERR_FILENO) == 1) {
        fprintf(stderr, "\rblock %" PRIu64 " of %" PRIu64 "\033[K", height,
                replay_result(r->replay).head.height);
    }
}

/* Writes the directory, or compares it with what was replayed. */
static err export_through(struct replaying *r, const char *dir, bool compare, struct sink *sink)
{
    struct heads heads = {0};
    struct buf genesis;
    struct buf signatures;
    struct export_input in = {.ledger = replay_ledger(r->replay), .progress = on_export, .ctx = r};
    buf_init(&genesis, GENESIS_BYTES_MAX);
    buf_init(&signatures, GENESIS_BYTES_MAX);
    sink_init(sink, dir, compare);
    err e = r->source->genesis(r->source, &genesis, &signatures, &r->why);
    e = failed(e) ? e : heads_read(r->source, &heads, &r->why);
    if (!failed(e) && heads.count == 0) {
        e = err_fail(&r->why, ERR_NOT_FOUND, "the source has no cosigned head yet");
    }
    if (!failed(e)) {
        in.genesis = buf_bytes(&genesis);
        in.signatures = buf_bytes(&signatures);
        in.heads = heads.notes;
        in.head_count = heads.count;
        in.checkpoint = heads.notes[heads.count - 1];
        e = export_run(&in, sink, &r->why);
    }
    buf_done(&genesis);
    buf_done(&signatures);
    heads_done(&heads);
    return e;
}

/* ---- audit ---- */

/* What a database holds beyond blocks and records: balances, chains, rows, timers. */
static err state_compare(struct replaying *r)
{
    struct stored_difference difference;
    struct kv_options options = {.read_only = true};
    struct kv *theirs = NULL;
    ledger_kv_families(&options);
    TRY(kv_open(r->state, &options, &theirs, &r->why));
    err e = stored_compare(replay_kv(r->replay), theirs, &difference, &r->why);
    kv_close(theirs);
    if (!failed(e) && difference.is) {
        finding_set(&r->finding, FINDING_STATE, "%s", difference.text);
        r->finding.has_position = difference.has_position;
        r->finding.position = difference.position;
    }
    return e;
}

/* Once blocks, records and heads are right: everything else that the source says. */
static int rest_compare(struct replaying *r)
{
    struct sink sink;
    err e = err_ok();
    if (r->finding.kind != FINDING_NONE || r->kind == REPLAYING_NODE) {
        return EXIT_DONE;
    }
    if (r->kind == REPLAYING_BACKUP) {
        e = state_compare(r);
    } else {
        e = export_through(r, r->name, true, &sink);
        if (!failed(e)) {
            r->finding = sink.finding;
        }
    }
    if (err_is(e, ERR_CORRUPT)) {
        finding_set(&r->finding, FINDING_SOURCE, "%s", r->why.text);
        return EXIT_DONE;
    }
    return failed(e) ? complain_err(e, &r->why) : EXIT_DONE;
}

static void audit_tell(const struct replaying *r)
{
    struct replay_result result = replay_result(r->replay);
    if (r->given->json) {
        show_json_line(json_pack(
            "{s:b,s:s,s:o,s:I,s:I,s:I,s:I,s:I,s:I,s:o}", "ok", 1, "source", KIND_NAMES[r->kind],
            "origin", show_text(ledger_origin(replay_ledger(r->replay))), "height",
            (json_int_t)result.head.height, "size", (json_int_t)result.head.position, "blocks",
            (json_int_t)result.blocks, "records", (json_int_t)result.records, "heads",
            (json_int_t)result.heads, "cosigned_size", (json_int_t)result.cosigned_size, "digest",
            show_hex(bytes_of(result.head.digest, 32))));
        return;
    }
    struct bytes origin = ledger_origin(replay_ledger(r->replay));
    printf("%.*s, from a %s\n", (int)origin.size, (const char *)origin.data, KIND_NAMES[r->kind]);
    printf("  computed again   %" PRIu64 " blocks, %" PRIu64 " records\n", result.blocks,
           result.records);
    printf("  stands at        height %" PRIu64 ", %" PRIu64 " records\n", result.head.height,
           result.head.position);
    printf("  cosigned heads   %" PRIu64 ", the newest of size %" PRIu64 "\n", result.heads,
           result.cosigned_size);
    printf("nothing is wrong%s\n",
           result.heads == 0 ? "; but no head is cosigned: nobody vouches for it" : "");
}

static const struct option AUDIT_OPTIONS[] = {
    REPLAYING_OPTIONS, SESSION_OPTIONS, {NULL, NULL, NULL, false}};

static int run_audit(const struct given *g)
{
    struct replaying r;
    int code = replaying_open(&r, g, g->argument_count > 0 ? g->arguments[0] : NULL);
    code = code == EXIT_DONE ? replaying_run(&r) : code;
    code = code == EXIT_DONE ? rest_compare(&r) : code;
    if (code == EXIT_DONE && r.finding.kind != FINDING_NONE) {
        replaying_tell(&r);
        code = EXIT_REFUSED;
    } else if (code == EXIT_DONE) {
        audit_tell(&r);
    }
    return replaying_close(&r, code);
}

const struct command AUDIT = {
    "audit",
    "[SOURCE]",
    0,
    1,
    "Computes a ledger again from its genesis and says the first thing that is wrong\n\n"
    "SOURCE is an exported directory, the data directory of a stopped node, a state database (of "
    "a\n"
    "backup), or a node of the profile; default: any node. Every signature is verified, every\n"
    "contract evaluated, every record, root and cosigned head compared. Exit code 1: something is\n"
    "wrong.",
    AUDIT_OPTIONS,
    "  concordat audit ./export-2026 --policy policy.txt\n"
    "  concordat audit /var/lib/concordat --from /var/tmp/audit\n"
    "  concordat audit ville --json\n",
    run_audit};

/* ---- export ---- */

/* Beside the directory while it is written; renamed when it is whole. */
static err export_write(struct replaying *r, const char *dir, struct sink *sink)
{
    char part[4096];
    size_t size = strlen(dir);
    while (size > 1 && dir[size - 1] == '/') {
        size--;
    }
    int n = snprintf(part, sizeof(part), "%.*s.part", (int)size, dir);
    if (n <= 0 || (size_t)n >= sizeof(part)) {
        return err_fail(&r->why, ERR_LIMIT, "%s: the name is too long", dir);
    }
    TRY(dir_remove(part, &r->why));
    TRY(dir_make(part, &r->why));
    TRY(export_through(r, part, false, sink));
    TRY(sink_sync(sink, &r->why));
    if (rename(part, dir) != 0) {
        return err_fail(&r->why, ERR_IO, "%s: cannot be renamed to %s", part, dir);
    }
    return err_ok();
}

static int until_newest(struct replaying *r)
{
    struct heads heads = {0};
    err e = heads_read(r->source, &heads, &r->why);
    r->until_size = heads.newest;
    heads_done(&heads);
    if (!failed(e) && r->until_size == 0) {
        return complain(EXIT_UNKNOWN, "there is no cosigned head yet; try again when more than "
                                      "half of the institutions' nodes are up");
    }
    return failed(e) ? complain_err(e, &r->why) : EXIT_DONE;
}

static int run_export(const struct given *g)
{
    struct replaying r;
    struct sink sink = {.files = 0};
    const char *dir = g->arguments[0];
    if (access(dir, F_OK) == 0) {
        return complain(EXIT_USAGE, "%s is there already: an export is never overwritten", dir);
    }
    int code = replaying_open(&r, g, g->argument_count > 1 ? g->arguments[1] : NULL);
    code = code == EXIT_DONE && r.source != NULL ? until_newest(&r) : code;
    code = code == EXIT_DONE ? replaying_run(&r) : code;
    if (code == EXIT_DONE && r.finding.kind != FINDING_NONE) {
        replaying_tell(&r);
        return replaying_close(&r, EXIT_REFUSED);
    }
    if (code == EXIT_DONE) {
        err e = export_write(&r, dir, &sink);
        code = failed(e) ? complain_err(e, &r.why) : EXIT_DONE;
    }
    if (code == EXIT_DONE && g->json) {
        struct replay_result result = replay_result(r.replay);
        show_json_line(json_pack("{s:b,s:s,s:I,s:I,s:I,s:I}", "ok", 1, "dir", dir, "size",
                                 (json_int_t)result.head.position, "height",
                                 (json_int_t)result.head.height, "files", (json_int_t)sink.files,
                                 "bytes", (json_int_t)sink.bytes));
    } else if (code == EXIT_DONE) {
        printf("%s: %" PRIu64 " records in %" PRIu64 " files, %" PRIu64
               " bytes; open %s/index.html, "
               "or check it: concordat audit %s\n",
               dir, replay_result(r.replay).head.position, sink.files, sink.bytes, dir, dir);
    }
    return replaying_close(&r, code);
}

const struct command EXPORT = {
    "export",
    "DIR [SOURCE]",
    1,
    2,
    "Writes the ledger as a directory that needs no server\n\n"
    "Tiles, records, blocks, contracts, policy, cosigned heads, and index.html, a page that a\n"
    "browser opens from disk: it finds a request, shows an account, and proves both. What is\n"
    "written was computed again before. SOURCE as for `concordat audit`. It holds everything that\n"
    "the ledger holds, personal data included.",
    AUDIT_OPTIONS,
    "  concordat export ./export-2026\n"
    "  concordat export ./export-2026 /var/lib/concordat\n",
    run_export};
