#include "cli/replaying.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hex.h"
#include "base/limits.h"
#include "cli/archive.h"
#include "cli/show.h"
#include "crypto/keyfile.h"
#include "storage/dir.h"

static volatile bool stopped; /* by a signal: the replay ends at the next block */

static void on_signal(int number)
{
    (void)number;
    stopped = true;
}

/* ---- the source ---- */

static bool is_there(const char *dir, const char *name)
{
    char path[4096];
    struct stat st;
    int n = snprintf(path, sizeof(path), "%s/%s", dir, name);
    return n > 0 && (size_t)n < sizeof(path) && stat(path, &st) == 0;
}

static err source_open(struct replaying *r, const char *name)
{
    r->name = name;
    if (name != NULL && is_there(name, "blocks")) {
        r->kind = REPLAYING_DIRECTORY;
        return source_directory(name, &r->source, &r->why);
    }
    if (name != NULL && (is_there(name, "CURRENT") || is_there(name, "state/CURRENT"))) {
        r->kind = REPLAYING_BACKUP;
        snprintf(r->state, sizeof(r->state), "%s%s", name,
                 is_there(name, "CURRENT") ? "" : "/state");
        return source_backup(r->state, &r->source, &r->why);
    }
    if (name != NULL && strchr(name, '/') != NULL) {
        return err_fail(&r->why, ERR_NOT_FOUND,
                        "%s: neither an exported directory nor a node's data or state", name);
    }
    r->kind = REPLAYING_NODE;
    return err_ok();
}

static int session_begin(struct replaying *r, const struct given *g, const char *name)
{
    int code = session_open(g, &r->session);
    if (code != EXIT_DONE) {
        return code; /* it has freed what it had opened */
    }
    r->has_session = true;
    if (name != NULL) {
        struct client_options o = {.profile = &r->session.profile, .node = name};
        client_free(r->session.client);
        r->session.client = NULL;
        err e = client_open(&o, &r->session.client, &r->why);
        if (failed(e)) {
            return complain_err(e, &r->why);
        }
    }
    r->source = archive_source(&r->session);
    return EXIT_DONE;
}

static err work_open(struct replaying *r)
{
    const char *given = given_value(r->given, "from");
    const char *tmp = getenv("TMPDIR");
    if (given != NULL) {
        snprintf(r->work, sizeof(r->work), "%s", given);
        return dir_make(given, &r->why);
    }
    snprintf(r->work, sizeof(r->work), "%s/concordat-replay-XXXXXX",
             tmp == NULL || *tmp == '\0' ? "/tmp" : tmp);
    if (mkdtemp(r->work) == NULL) {
        return err_fail(&r->why, ERR_IO,
                        "%s: cannot be made; set TMPDIR to a place with room for "
                        "the ledger's state",
                        r->work);
    }
    r->temporary = true;
    return err_ok();
}

int replaying_open(struct replaying *r, const struct given *g, const char *source)
{
    *r = (struct replaying){.given = g};
    const char *policy = given_value(g, "policy");
    buf_init(&r->policy, POLICY_BYTES_MAX);
    err e = source_open(r, source);
    if (err_is(e, ERR_CORRUPT) || err_is(e, ERR_LIMIT)) {
        finding_set(&r->finding, FINDING_SOURCE, "%s", r->why.text);
        return EXIT_DONE;
    }
    if (!failed(e) && policy != NULL) {
        e = keyfile_read_public(policy, &r->policy, &r->why);
    }
    e = failed(e) ? e : work_open(r);
    if (failed(e)) {
        return complain_err(e, &r->why);
    }
    return r->kind == REPLAYING_NODE ? session_begin(r, g, source) : EXIT_DONE;
}

/* ---- running ---- */

static void on_progress(void *ctx, const struct ledger_head *head)
{
    struct replaying *r = ctx;
    if (!r->given->json && isatty(STDERR_FILENO) == 1) {
        fprintf(stderr, "\rheight %" PRIu64 ", %" PRIu64 " records\033[K", head->height,
                head->position);
        fflush(stderr);
    }
}

static bool options_read(struct replaying *r, struct replay_options *ret)
{
    const char *id = given_value(r->given, "ledger-id");
    *ret = (struct replay_options){.work = r->work,
                                   .policy = buf_bytes(&r->policy),
                                   .until_size = r->until_size,
                                   .progress = on_progress,
                                   .ctx = r};
    if (id == NULL) {
        return true;
    }
    ret->has_ledger_id = true;
    return !failed(hex_decode(bytes_text(id), ret->ledger_id, sizeof(ret->ledger_id)));
}

int replaying_run(struct replaying *r)
{
    struct replay_options options;
    struct sigaction action = {.sa_handler = on_signal};
    if (r->finding.kind != FINDING_NONE) {
        return EXIT_DONE;
    }
    if (!options_read(r, &options)) {
        return complain(EXIT_USAGE, "--ledger-id: 64 hexadecimal digits");
    }
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    err e = replay_open(&options, r->source, &r->replay, &r->finding, &r->why);
    if (!failed(e) && r->replay != NULL) {
        e = replay_run(r->replay, &stopped, &r->finding, &r->why);
    }
    signal(SIGINT, SIG_DFL); /* what follows can be done again */
    signal(SIGTERM, SIG_DFL);
    if (!r->given->json && isatty(STDERR_FILENO) == 1) {
        fprintf(stderr, "\r\033[K");
    }
    if (err_is(e, ERR_CANCELLED)) {
        return complain(EXIT_UNKNOWN, "%s%s%s", r->why.text,
                        r->temporary ? "; with --from DIR it would go on from there"
                                     : "; run it again to go on, with --from ",
                        r->temporary ? "" : r->work);
    }
    return failed(e) ? complain_err(e, &r->why) : EXIT_DONE;
}

int replaying_close(struct replaying *r, int code)
{
    replay_close(r->replay);
    if (r->source != NULL) {
        r->source->close(r->source);
    }
    if (r->has_session) {
        (void)session_close(&r->session, code);
    }
    if (r->temporary && failed(dir_remove(r->work, &r->why))) {
        complain(code, "%s", r->why.text);
    }
    buf_done(&r->policy);
    return code;
}

void replaying_tell(const struct replaying *r)
{
    const struct finding *f = &r->finding;
    if (r->given->json) {
        json_t *j =
            json_pack("{s:b,s:s,s:s}", "ok", 0, "kind", finding_name(f->kind), "text", f->text);
        if (f->has_height) {
            json_object_set_new(j, "height", json_integer((json_int_t)f->height));
        }
        if (f->has_position) {
            json_object_set_new(j, "position", json_integer((json_int_t)f->position));
        }
        show_json_line(j);
        return;
    }
    printf("WRONG (%s): %s\n", finding_name(f->kind), f->text);
    if (f->has_height) {
        printf("  height    %" PRIu64 "\n", f->height);
    }
    if (f->has_position) {
        printf("  position  %" PRIu64 "\n", f->position);
    }
}
