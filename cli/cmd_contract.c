/* concordat contract deploy, list, get: contracts on the ledger. */
#include "cli/commands.h"

#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "cli/govern.h"
#include "cli/law.h"
#include "cli/show.h"
#include "crypto/keyfile.h"
#include "rules/rules.h"

#define TEXT(b) (int)(b).size, (const char *)(b).data

/* ---- deploy ---- */

static const struct option DEPLOY_OPTIONS[] = {
    {"key", "INSTITUTION=FILE", "a governance key; default: all of the profile", true},
    {"out", "FILE", "write the request to a file that goes around instead of sending it", false},
    REGISTRY_OPTION,
    SESSION_OPTIONS,
    {NULL, NULL, NULL, false},
};

/* What must be sent: a text that compiles and whose examples pass. */
static bool check_text(const struct given *g, struct bytes *ret, struct arena *a)
{
    struct errtext why;
    struct rules_registry *registry;
    err e = law_registry(g, &registry, &why);
    if (failed(e)) {
        complain_err(e, &why);
        return false;
    }
    struct rules_program *p = law_compile_file(g->arguments[0], registry);
    bool good = p != NULL;
    for (size_t i = 0; good && i < rules_program_facts(p)->test_count; i++) {
        struct rules_test_result r;
        rules_test_run(p, i, &r);
        good = r.passed;
        if (!good) {
            complain(EXIT_REFUSED, "%s:%u: test \"%.*s\": %s", g->arguments[0], r.line,
                     TEXT(r.name), r.message);
        }
    }
    if (good) {
        *ret = arena_copy(a, rules_program_facts(p)->text);
    }
    rules_program_free(p);
    rules_registry_free(registry);
    return good;
}

static int run_deploy(const struct given *g)
{
    struct session s;
    struct signers signers = {.count = 0};
    struct buf args;
    struct bytes text;
    struct body body;
    int code = session_open(g, &s);
    if (code != EXIT_DONE) {
        return code;
    }
    if (!check_text(g, &text, &s.profile.arena)) {
        return session_close(&s, EXIT_REFUSED);
    }
    err e = govern_signers(g, &s.profile, &s.arena, &signers, &s.why);
    buf_init(&args, BODY_BYTES_MAX);
    rules_args_put_text(&args, "text", text);
    struct event event = {.contract = bytes_text("ledger"),
                          .action = bytes_text("contract_deploy"),
                          .args = buf_bytes(&args)};
    if (!failed(e) && args.size > ARGS_BYTES_MAX) {
        e = err_fail(&s.why, ERR_LIMIT, "%s: with its frame larger than %d bytes",
                     g->arguments[0], ARGS_BYTES_MAX);
    }
    if (!failed(e)) {
        govern_body(&s.profile, &event, signers.list[0].party, &body);
        e = given_has(g, "out") ? govern_write(g, &body, &signers, &s.why)
                                : govern_submit(&s, &body, &signers, &code);
    }
    buf_done(&args);
    signers_done(&signers);
    return failed(e) ? session_fail(&s, e) : session_close(&s, code);
}

const struct command CONTRACT_DEPLOY = {
    "contract deploy",
    "FILE",
    1,
    1,
    "Puts a contract version into force, signed by a majority of institutions",
    DEPLOY_OPTIONS,
    "  concordat contract deploy contracts/solar.rules\n"
    "  concordat contract deploy solar.rules --key ville=governance.key --out solar.request\n",
    run_deploy};

/* ---- list ---- */

static const struct option READ_OPTIONS[] = {
    LOCAL_OPTION, SESSION_OPTIONS, {NULL, NULL, NULL, false}};

static json_t *info_json(const struct contract_info *c)
{
    char day[11];
    rules_day_print(c->effective_date, day);
    return json_pack("{s:o,s:I,s:s,s:I,s:o,s:o,s:o,s:I,s:I}", "name", show_text(c->name),
                     "version", (json_int_t)c->version, "effective", day, "replaces",
                     (json_int_t)c->replaces, "title", show_text(c->title), "text_hash",
                     show_hex(bytes_of(c->text_hash, 32)), "code_hash",
                     show_hex(bytes_of(c->code_hash, 32)), "text_size", (json_int_t)c->text_size,
                     "height", (json_int_t)c->height);
}

static void print_info(const struct contract_info *c)
{
    char day[11];
    char hash[65];
    rules_day_print(c->effective_date, day);
    hex_encode(bytes_of(c->text_hash, 32), hash);
    printf("%-24.*s %7llu  %s  %.16s  %.*s\n", TEXT(c->name), (unsigned long long)c->version, day,
           hash, TEXT(c->title));
}

static err list_page(struct session *s, bool *ret_more)
{
    struct bytes answer;
    struct list_contracts_reply *r;
    struct list_contracts_request q = {.page_size = PAGE_SIZE_MAX,
                                       .page_token = buf_bytes(&s->token),
                                       .local = given_has(s->given, "local")};
    list_contracts_request_encode(&q, &s->request);
    TRY(session_ask(s, METHOD_LIST_CONTRACTS, &answer));
    TRY(list_contracts_reply_decode(answer, &s->arena, &r, &s->why));
    for (size_t i = 0; i < r->contract_count; i++) {
        if (s->given->json) {
            show_json_line(info_json(&r->contracts[i]));
        } else {
            print_info(&r->contracts[i]);
        }
    }
    *ret_more = session_next_page(s, r->next_page_token);
    return err_ok();
}

static int run_list(const struct given *g)
{
    struct session s;
    int code = session_open(g, &s);
    if (code != EXIT_DONE) {
        return code;
    }
    if (!g->json) {
        printf("%-24s %7s  %-10s  %-16s  %s\n", "CONTRACT", "VERSION", "FROM", "TEXT HASH",
               "TITLE");
    }
    for (bool more = true; more;) {
        err e = list_page(&s, &more);
        if (failed(e)) {
            return session_fail(&s, e);
        }
    }
    return session_close(&s, EXIT_DONE);
}

const struct command CONTRACT_LIST = {"contract list",
                                      "",
                                      0,
                                      0,
                                      "Lists the contracts of the ledger, all versions",
                                      READ_OPTIONS,
                                      "  concordat contract list --json\n",
                                      run_list};

/* ---- get ---- */

static const struct option GET_OPTIONS[] = {
    {"version", "N", "default: the latest", false},
    LOCAL_OPTION,
    SESSION_OPTIONS,
    {NULL, NULL, NULL, false},
};

static int run_get(const struct given *g)
{
    struct session s;
    struct bytes answer;
    struct get_contract_reply *r = NULL;
    struct get_contract_request q = {.name = bytes_text(g->arguments[0]),
                                     .local = given_has(g, "local")};
    if (!given_number(g, "version", 1, UINT64_MAX / 2, &q.version)) {
        return EXIT_USAGE;
    }
    int code = session_open(g, &s);
    if (code != EXIT_DONE) {
        return code;
    }
    get_contract_request_encode(&q, &s.request);
    err e = session_ask(&s, METHOD_GET_CONTRACT, &answer);
    if (!failed(e)) {
        e = get_contract_reply_decode(answer, &s.arena, &r, &s.why);
    }
    if (failed(e)) {
        return session_fail(&s, e);
    }
    if (g->json) {
        json_t *j = info_json(&r->contract);
        json_object_set_new(j, "text", show_text(r->text));
        show_json_line(j);
    } else {
        fwrite(r->text.data, 1, r->text.size, stdout);
    }
    return session_close(&s, EXIT_DONE);
}

const struct command CONTRACT_GET = {"contract get",
                                     "NAME",
                                     1,
                                     1,
                                     "Prints the text of a contract, byte for byte",
                                     GET_OPTIONS,
                                     "  concordat contract get solar.roquefort > solar.rules\n",
                                     run_get};
