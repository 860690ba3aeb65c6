/* concordat node add, promote, demote, remove, replace, update: which machines take part. Each is a
 * decision of a majority of institutions; the leader then brings the configuration to it. */
#include "cli/commands.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/govern.h"
#include "cli/node_table.h"
#include "crypto/cert.h"
#include "rules/rules.h"

enum { WAIT_SECONDS_DEFAULT = 600, WAIT_SECONDS_MAX = 86400 };
#define WAIT_PAUSE_NS 200000000L

#define SIGN_OPTIONS                                                                               \
    {"key", "INSTITUTION=FILE", "a governance key; default: all of the profile", true},            \
        {"out", "FILE", "write the request to a file that goes around instead of sending it",      \
         false},                                                                                   \
        {"wait", NULL, "follow the change until it is in the configuration", false},               \
    {                                                                                              \
        "wait-seconds", "N", "and give up after N; default 600", false                             \
    }
#define NEW_NODE_OPTIONS                                                                           \
    {"peer", "HOST:PORT", "where the other nodes reach it", false},                                \
        {"client", "HOST:PORT", "where clients reach it", false},                                  \
        {"certificate", "FILE", "its certificate (node.crt): the key in it is registered", false}, \
    {                                                                                              \
        "head-key", "FILE", "its public tree-head key (head.key.pub)", false                       \
    }

static const struct option ADD_OPTIONS[] = {
    {"institution", "NAME", "whose node it is", false},
    NEW_NODE_OPTIONS,
    SIGN_OPTIONS,
    SESSION_OPTIONS,
    {NULL, NULL, NULL, false},
};
static const struct option CHANGE_OPTIONS[] = {
    SIGN_OPTIONS, SESSION_OPTIONS, {NULL, NULL, NULL, false}};
static const struct option NODE_OPTIONS[] = {
    NEW_NODE_OPTIONS, SIGN_OPTIONS, SESSION_OPTIONS, {NULL, NULL, NULL, false}};

/* ---- arguments ---- */

static err put_certificate(struct buf *args, const char *name, const char *path,
                           struct errtext *reterr)
{
    struct cert *cert = NULL;
    struct buf spki;
    TRY(cert_read(path, &cert, reterr));
    buf_init(&spki, CERT_BYTES_MAX);
    cert_spki(cert, &spki);
    rules_args_put_octets(args, name, buf_bytes(&spki));
    buf_done(&spki);
    cert_free(cert);
    return err_ok();
}

static err put_head_key(struct buf *args, const char *name, const char *path,
                        struct errtext *reterr)
{
    uint8_t key[SIGN_PUBLIC_SIZE];
    TRY(govern_public_key(path, key, reterr));
    rules_args_put_octets(args, name, bytes_of(key, sizeof key));
    return err_ok();
}

/* What is said of the node: all of it for a new one; of one that is there, what changes. */
static err put_node(const struct given *g, bool is_new, struct buf *args, struct errtext *reterr)
{
    static const char *const texts[] = {"peer", "client"};
    const char *certificate = given_value(g, "certificate");
    const char *head = given_value(g, "head-key");
    for (size_t i = 0; i < 2; i++) {
        const char *value = given_value(g, texts[i]);
        if (value != NULL) {
            rules_args_put_text(args, texts[i], bytes_text(value));
        } else if (is_new) {
            return err_fail(reterr, ERR_INVALID, "%s needs --%s HOST:PORT", g->command->name,
                            texts[i]);
        }
    }
    if (is_new && (certificate == NULL || head == NULL)) {
        return err_fail(reterr, ERR_INVALID, "%s needs --certificate FILE and --head-key FILE",
                        g->command->name);
    }
    if (certificate != NULL) {
        TRY(put_certificate(args, is_new ? "transport_key" : "next_transport_key", certificate,
                            reterr));
    }
    return head == NULL ? err_ok()
                        : put_head_key(args, is_new ? "head_key" : "next_head_key", head, reterr);
}

/* ---- following ---- */

static void pause_a_little(void)
{
    struct timespec pause = {.tv_nsec = WAIT_PAUSE_NS};
    nanosleep(&pause, NULL);
}

/* Asks until a node that has the block says that nothing is under way; tells what it waits for. */
static err follow(struct session *s, uint64_t height, uint64_t seconds)
{
    char last[512] = "";
    time_t until = time(NULL) + (time_t)seconds;
    while (time(NULL) < until) {
        struct nodes_reply *r = NULL;
        char now[512] = "";
        err e = node_table_ask(s, false, &r);
        if (!failed(e) && r->at.height >= height && r->pending_count == 0) {
            return err_ok();
        }
        if (!failed(e) && r->pending_count > 0) {
            const struct pending_change *p = &r->pending[0];
            snprintf(now, sizeof now, "node %llu (%.*s): %.*s", (unsigned long long)p->node,
                     (int)p->what.size, (const char *)p->what.data, (int)p->why.size,
                     (const char *)p->why.data);
        }
        if (strcmp(now, last) != 0 && now[0] != '\0') {
            fprintf(stderr, "waiting: %s\n", now);
            memcpy(last, now, sizeof last);
        }
        arena_reset(&s->arena);
        pause_a_little();
    }
    return err_fail(&s->why, ERR_TIMEOUT,
                    "decided, but not done after %llu s (%.300s); it goes on, see `concordat node "
                    "list`",
                    (unsigned long long)seconds, last[0] == '\0' ? "no answer" : last);
}

static err enter(struct session *s, const char *action, const struct buf *args, int *code)
{
    const struct given *g = s->given;
    struct signers signers = {.count = 0};
    struct body body;
    uint64_t seconds = WAIT_SECONDS_DEFAULT;
    uint64_t height = 0;
    struct event event = {.contract = bytes_text("ledger"),
                          .action = bytes_text(action),
                          .args = buf_bytes(args)};
    if (!given_number(g, "wait-seconds", 1, WAIT_SECONDS_MAX, &seconds)) {
        return err_fail(&s->why, ERR_INVALID, "--wait-seconds");
    }
    err e = govern_signers(g, &s->profile, &s->profile.arena, &signers, &s->why);
    if (!failed(e)) {
        govern_body(&s->profile, &event, signers.list[0].party, &body);
        e = given_has(g, "out") ? govern_write(g, &body, &signers, &s->why)
                                : govern_enter(s, &body, &signers, code, &height);
    }
    signers_done(&signers);
    if (!failed(e) && *code == EXIT_DONE && given_has(g, "wait") && !given_has(g, "out")) {
        e = follow(s, height, seconds);
    }
    return e;
}

/* ---- the commands ---- */

struct node_command {
    const char *action;
    bool has_old, is_new, describes; /* NODE is there; NAME is new; options describe it */
};

static err make_args(struct session *s, const struct node_command *c, struct buf *args)
{
    const struct given *g = s->given;
    if (c->has_old) {
        uint64_t id = 0;
        TRY(node_table_resolve(s, g->arguments[0], &id));
        rules_args_put_int(args, "node", (int64_t)id);
    } else {
        const char *institution = given_value(g, "institution");
        if (institution == NULL) {
            return err_fail(&s->why, ERR_INVALID, "node add needs --institution NAME");
        }
        rules_args_put_text(args, "institution", bytes_text(institution));
    }
    if (c->is_new) {
        rules_args_put_text(args, "name", bytes_text(g->arguments[c->has_old ? 1 : 0]));
    }
    return c->describes ? put_node(g, c->is_new, args, &s->why) : err_ok();
}

static int run_command(const struct given *g, const struct node_command *c)
{
    struct session s;
    struct buf args;
    int code = session_open(g, &s);
    if (code != EXIT_DONE) {
        return code;
    }
    buf_init(&args, ARGS_BYTES_MAX);
    err e = make_args(&s, c, &args);
    if (!failed(e)) {
        e = enter(&s, c->action, &args, &code);
    }
    buf_done(&args);
    return failed(e) ? session_fail(&s, e) : session_close(&s, code);
}

static int run_add(const struct given *g)
{
    return run_command(g, &(struct node_command){"node_add", false, true, true});
}

static int run_promote(const struct given *g)
{
    return run_command(g, &(struct node_command){"node_promote", true, false, false});
}

static int run_demote(const struct given *g)
{
    return run_command(g, &(struct node_command){"node_demote", true, false, false});
}

static int run_remove(const struct given *g)
{
    return run_command(g, &(struct node_command){"node_remove", true, false, false});
}

static int run_replace(const struct given *g)
{
    return run_command(g, &(struct node_command){"node_replace", true, true, true});
}

static int run_update(const struct given *g)
{
    return run_command(g, &(struct node_command){"node_update", true, false, true});
}

const struct command NODE_ADD = {
    "node add",
    "NAME",
    1,
    1,
    "Admits a new node, as a standby: it receives everything and has no vote\n\n"
    "Signed by a majority of institutions. Then copy `concordat node list --bootstrap` to the\n"
    "machine, name it as bootstrap: in its configuration, and start it.",
    ADD_OPTIONS,
    "  concordat node add ville2 --institution ville --peer 10.0.0.9:7102 --client 10.0.0.9:7101 "
    "\\\n"
    "      --certificate node.crt --head-key head.key.pub --wait\n"
    "  concordat node add ville2 ... --key ville=governance.key --out add.request\n",
    run_add};

const struct command NODE_PROMOTE = {
    "node promote",
    "NODE",
    1,
    1,
    "Gives a standby its vote, once it is level\n\n"
    "NODE is a number, a name, or INSTITUTION/NAME, here and in the other node commands.",
    CHANGE_OPTIONS,
    "  concordat node promote 4 --wait\n",
    run_promote};

const struct command NODE_DEMOTE = {"node demote",
                                    "NODE",
                                    1,
                                    1,
                                    "Takes a node's vote; it goes on receiving everything",
                                    CHANGE_OPTIONS,
                                    "  concordat node demote ville/ville --wait\n",
                                    run_demote};

const struct command NODE_REMOVE = {
    "node remove",
    "NODE",
    1,
    1,
    "Takes a node out for ever; its number and its keys are never used again",
    CHANGE_OPTIONS,
    "  concordat node remove 4 --wait\n",
    run_remove};

const struct command NODE_REPLACE = {
    "node replace",
    "NODE NAME",
    2,
    2,
    "Exchanges a node for a new one of the same institution, with one round of signatures\n\n"
    "A living node goes when the new one votes; a dead one goes when the new one is near, just\n"
    "before it votes.",
    NODE_OPTIONS,
    "  concordat node replace 1 ville2 --peer 10.0.0.9:7102 --client 10.0.0.9:7101 \\\n"
    "      --certificate node.crt --head-key head.key.pub --wait\n",
    run_replace};

const struct command NODE_UPDATE = {
    "node update",
    "NODE",
    1,
    1,
    "Changes a node's addresses, or names its next keys\n\n"
    "A next key counts besides the one in use; naming another one later ends the older of the two.",
    NODE_OPTIONS,
    "  concordat node update 2 --peer 10.0.0.12:7102\n"
    "  concordat node update 2 --certificate new/node.crt\n",
    run_update};
