#include "cli/law.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/limits.h"
#include "base/require.h"
#include "crypto/keyfile.h"
#include "crypto/sha256.h"
#include "proto/service.h"

/* ---- compiling ---- */

err law_registry(const struct given *g, struct rules_registry **ret, struct errtext *reterr)
{
    const char *path = given_value(g, "registry");
    struct buf text;
    if (path == NULL) {
        *ret = rules_registry_default();
        return err_ok();
    }
    buf_init(&text, CONTRACT_BYTES_MAX);
    err e = keyfile_read_public(path, &text, reterr);
    if (!failed(e)) {
        e = rules_registry_parse(buf_bytes(&text), ret, reterr);
        e = failed(e) ? err_wrapf(reterr, e, "%s", path) : e;
    }
    buf_done(&text);
    return e;
}

static struct rules_program *compile(struct bytes text, const char *path,
                                     const struct rules_registry *registry)
{
    struct rules_env env = {.registry = registry, .sha256 = sha256};
    struct rules_program *program = NULL;
    struct rules_diag diag;
    struct buf out;
    if (failed(rules_compile(&env, text, &program, &diag))) {
        buf_init(&out, 65536);
        rules_diag_print(&diag, path, &out);
        fwrite(out.data, 1, out.size, stderr);
        buf_done(&out);
        return NULL;
    }
    return program;
}

struct rules_program *law_compile_file(const char *path, const struct rules_registry *registry)
{
    struct errtext why;
    struct buf text;
    struct rules_program *program = NULL;
    buf_init(&text, CONTRACT_BYTES_MAX);
    err e = keyfile_read_public(path, &text, &why);
    if (failed(e)) {
        complain_err(e, &why);
    } else {
        program = compile(buf_bytes(&text), path, registry);
    }
    buf_done(&text);
    return program;
}

/* Fetches one version (0: the latest) and puts it at the end of the list. */
static err fetch(struct law *law, uint64_t version)
{
    struct session *s = law->session;
    struct get_contract_request q = {.name = bytes_text(law->name), .version = version};
    struct get_contract_reply *r;
    struct bytes answer;
    char label[160];
    if (law->count == LAW_VERSIONS_MAX) {
        return err_fail(&s->why, ERR_LIMIT, "%s has more than %d versions", law->name,
                        LAW_VERSIONS_MAX);
    }
    get_contract_request_encode(&q, &s->request);
    TRY(session_ask(s, METHOD_GET_CONTRACT, &answer));
    TRY(get_contract_reply_decode(answer, &s->arena, &r, &s->why));
    snprintf(label, sizeof label, "%s version %llu", law->name,
             (unsigned long long)r->contract.version);
    struct rules_program *program = compile(r->text, label, law->registry);
    if (program == NULL) {
        return err_fail(&s->why, ERR_INVALID,
                        "%s does not compile here; if the ledger has more measures: --registry",
                        label);
    }
    law->programs[law->count++] = program;
    return err_ok();
}

err law_load(struct session *s, const char *contract, struct law *ret)
{
    *ret = (struct law){.session = s, .name = contract};
    err e = law_registry(s->given, &ret->registry, &s->why);
    if (!failed(e)) {
        e = fetch(ret, 0);
    }
    if (failed(e)) {
        law_done(ret);
    }
    return e;
}

void law_done(struct law *law)
{
    for (size_t i = 0; i < law->count; i++) {
        rules_program_free(law->programs[i]);
    }
    rules_registry_free(law->registry);
    *law = (struct law){0};
}

/* ---- the legal date ---- */

static bool no_get(void *ctx, struct bytes key, struct bytes *ret_row)
{
    return false;
}

static bool no_seek(void *ctx, struct bytes prefix, struct bytes key, struct bytes *ret_key,
                    struct bytes *ret_row)
{
    return false;
}

static void no_scan(void *ctx, struct bytes prefix, void *to,
                    bool (*on_row)(void *to, struct bytes key, struct bytes row))
{
}

static uint64_t no_count(void *ctx, struct bytes prefix)
{
    return 0;
}

static int64_t no_balance(void *ctx, struct bytes account)
{
    return 0;
}

/* The day that the contract itself computes (`dated`), found by trying the event on an empty state:
 * whatever becomes of it there, its legal date comes before. */
static bool try_legal(const struct rules_program *p, const struct law_event *e, uint64_t now_ns,
                      int32_t *ret_day)
{
    static const struct rules_store EMPTY = {.get = no_get, .seek_at_most = no_seek,
                                             .scan = no_scan, .count = no_count,
                                             .balance = no_balance};
    const struct rules_event_facts *facts = rules_program_event_find(p, e->action);
    struct bytes anyone = bytes_text("anyone");
    struct arena scratch;
    struct rules_out out;
    if (facts == NULL || facts->clock) {
        return false;
    }
    struct rules_event ev = {.name = e->action,
                             .signers = facts->anyone ? &anyone : facts->signers,
                             .signer_count = facts->anyone ? 1 : facts->signer_count,
                             .now = rules_time_of_ns(now_ns),
                             .args = e->args};
    arena_init(&scratch, RULES_APPLY_ARENA_MAX);
    rules_apply(p, &ev, &EMPTY, &scratch, &out);
    arena_done(&scratch);
    *ret_day = out.legal;
    return out.has_legal;
}

/* A date that moves with the clock is the ledger's to say, when it judges. */
static bool fixed_legal(const struct rules_program *p, const struct law_event *e, int32_t *ret_day)
{
    uint64_t now = clock_system().wall_ns(NULL);
    int32_t other;
    return try_legal(p, e, now, ret_day) && try_legal(p, e, now - 40000000 * NS_PER_S, &other) &&
           *ret_day == other;
}

static err type_by(struct law *law, const struct rules_program *p, struct law_event *e,
                   struct arena *a)
{
    struct buf args;
    const struct rules_event_facts *facts = rules_program_event_find(p, e->action);
    if (facts == NULL) {
        return err_fail(&law->session->why, ERR_INVALID, "%s has no event '%.*s'", law->name,
                        (int)e->action.size, (const char *)e->action.data);
    }
    buf_init(&args, ARGS_BYTES_MAX);
    err r = rules_args_from_json(p, e->action, e->json, &args, &law->session->why);
    if (!failed(r) && args.overflow) {
        r = err_fail(&law->session->why, ERR_LIMIT, "args: larger than %d bytes", ARGS_BYTES_MAX);
    }
    if (!failed(r)) {
        e->args = arena_copy(a, buf_bytes(&args));
        e->bound = facts->bound;
    }
    buf_done(&args);
    return r;
}

/* Older versions, until one was in force on that day or there is none. */
static err reach_back(struct law *law, int32_t day)
{
    for (;;) {
        const struct rules_facts *f = rules_program_facts(law->programs[law->count - 1]);
        if (f->effective <= day || f->replaces == 0) {
            return err_ok();
        }
        TRY(fetch(law, (uint64_t)f->replaces));
    }
}

err law_type_event(struct law *law, struct law_event *e, struct arena *a)
{
    const struct rules_program *p = law->programs[0];
    bool given = e->has_legal;
    require(law->count > 0);
    /* Each round may find an older version; a version's own date decides in the end. */
    for (size_t round = 0; round < LAW_VERSIONS_MAX; round++) {
        int32_t day;
        TRY(type_by(law, p, e, a));
        if (given) {
            day = e->legal;
        } else if (fixed_legal(p, e, &day)) {
            e->has_legal = true;
            e->legal = day;
        } else {
            return err_ok();
        }
        TRY(reach_back(law, day));
        const struct rules_program *q = rules_pick(
            (const struct rules_program *const *)law->programs, law->count, day);
        if (q == NULL || q == p) {
            return err_ok();
        }
        p = q;
    }
    return err_ok();
}

/* ---- arguments from the command line ---- */

/* The declared type of an argument in "admit(meter: party, price?: EUR/kWh)", or NULL. */
static const char *declared(const char *signature, const char *name, size_t size)
{
    for (const char *at = strchr(signature, '('); at != NULL; at = strchr(at, ',')) {
        at += 1 + strspn(at + 1, " ");
        const char *after = at + size;
        if (strncmp(at, name, size) == 0 && (*after == ':' || *after == '?')) {
            after += *after == '?' ? 2 : 1;
            return after + strspn(after, " ");
        }
    }
    return NULL;
}

static bool wants_json(const char *type)
{
    static const char *const KINDS[] = {"bool", "int", "list<"};
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        if (type != NULL && strncmp(type, KINDS[i], strlen(KINDS[i])) == 0) {
            return true;
        }
    }
    return false;
}

err law_args_json(struct law *law, struct bytes action, const struct given *g, struct arena *a,
                  struct bytes *ret)
{
    const struct rules_event_facts *facts = rules_program_event_find(law->programs[0], action);
    struct errtext *why = &law->session->why;
    json_t *object = json_object();
    const char *text;
    err e = err_ok();
    if (facts == NULL) {
        e = err_fail(why, ERR_INVALID, "%s has no event '%.*s'", law->name, (int)action.size,
                     (const char *)action.data);
    }
    const char *signature = failed(e) ? "" : arena_text(a, facts->signature);
    for (size_t i = 0; (text = given_each(g, "arg", i)) != NULL && !failed(e); i++) {
        const char *equals = strchr(text, '=');
        if (equals == NULL || equals == text) {
            e = err_fail(why, ERR_INVALID, "--arg %s: NAME=VALUE is expected", text);
            break;
        }
        size_t size = (size_t)(equals - text);
        json_t *value = NULL;
        if (wants_json(declared(signature, text, size)) || equals[1] == '{') {
            value = json_loads(equals + 1, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
        }
        value = value == NULL ? json_string(equals + 1) : value;
        if (value == NULL || json_object_getn(object, text, size) != NULL ||
            json_object_setn_new(object, text, size, value) != 0) {
            e = err_fail(why, ERR_INVALID, "--arg %s: given twice, or no UTF-8", text);
        }
    }
    char *dump = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    if (!failed(e)) {
        *ret = arena_copy(a, bytes_text(dump));
    }
    free(dump);
    return e;
}
