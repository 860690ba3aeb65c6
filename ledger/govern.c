#include "ledger/govern.h"

#include <stdio.h>

#include "base/require.h"
#include "base/utf8.h"
#include "crypto/sign.h"
#include "ledger/govern_deed.h"
#include "ledger/outcome.h"

#define ARG(name) (1u << ARG_##name)
#define ARGS_NEW_NODE (ARG(NAME) | ARG(PEER) | ARG(CLIENT) | ARG(TRANSPORT) | ARG(HEAD))

/* Who must sign. */
enum authority { BY_MAJORITY, BY_OFFICER };

static const struct action_form {
    const char *name;
    enum govern_action action;
    enum authority authority;
    unsigned needed, optional; /* arguments */
} ACTIONS[] = {
    {"contract_deploy", ACTION_DEPLOY, BY_MAJORITY, ARG(TEXT), 0},
    {"party_add", ACTION_PARTY_ADD, BY_OFFICER, ARG(PARTY) | ARG(KEY), 0},
    {"key_add", ACTION_KEY_ADD, BY_OFFICER, ARG(PARTY) | ARG(KEY), 0},
    {"key_revoke", ACTION_KEY_REVOKE, BY_OFFICER, ARG(PARTY) | ARG(KEY), 0},
    {"node_add", ACTION_NODE_ADD, BY_MAJORITY, ARG(INSTITUTION) | ARGS_NEW_NODE, 0},
    {"node_promote", ACTION_NODE_PROMOTE, BY_MAJORITY, ARG(NODE), 0},
    {"node_demote", ACTION_NODE_DEMOTE, BY_MAJORITY, ARG(NODE), 0},
    {"node_remove", ACTION_NODE_REMOVE, BY_MAJORITY, ARG(NODE), 0},
    {"node_replace", ACTION_NODE_REPLACE, BY_MAJORITY, ARG(NODE) | ARGS_NEW_NODE, 0},
    {"node_update", ACTION_NODE_UPDATE, BY_MAJORITY, ARG(NODE),
     ARG(PEER) | ARG(CLIENT) | ARG(TRANSPORT_NEXT) | ARG(HEAD_NEXT)},
};
enum { ACTIONS_COUNT = sizeof(ACTIONS) / sizeof(ACTIONS[0]) };

static const struct {
    const char *name;
    enum rules_arg_kind kind;
    size_t size; /* 0: any */
} ARGUMENTS[ARGS_COUNT] = {
    [ARG_TEXT] = {"text", RULES_ARG_TEXT, 0},
    [ARG_PARTY] = {"party", RULES_ARG_TEXT, 0},
    [ARG_KEY] = {"key", RULES_ARG_OCTETS, SIGN_PUBLIC_SIZE},
    [ARG_NODE] = {"node", RULES_ARG_INT, 0},
    [ARG_INSTITUTION] = {"institution", RULES_ARG_TEXT, 0},
    [ARG_NAME] = {"name", RULES_ARG_TEXT, 0},
    [ARG_PEER] = {"peer", RULES_ARG_TEXT, 0},
    [ARG_CLIENT] = {"client", RULES_ARG_TEXT, 0},
    [ARG_TRANSPORT] = {"transport_key", RULES_ARG_OCTETS, 0},
    [ARG_TRANSPORT_NEXT] = {"next_transport_key", RULES_ARG_OCTETS, 0},
    [ARG_HEAD] = {"head_key", RULES_ARG_OCTETS, SIGN_PUBLIC_SIZE},
    [ARG_HEAD_NEXT] = {"next_head_key", RULES_ARG_OCTETS, SIGN_PUBLIC_SIZE},
};

static const struct action_form *form_of(enum govern_action action)
{
    for (size_t i = 0; i < ACTIONS_COUNT; i++) {
        if (ACTIONS[i].action == action) {
            return &ACTIONS[i];
        }
    }
    return NULL;
}

enum govern_action deed_action(struct bytes name)
{
    for (size_t i = 0; i < ACTIONS_COUNT; i++) {
        if (bytes_equal(name, bytes_text(ACTIONS[i].name))) {
            return ACTIONS[i].action;
        }
    }
    return ACTION_NONE;
}

int64_t govern_cost(struct bytes action)
{
    return deed_action(action) == ACTION_DEPLOY ? DEPLOY_STEPS : 1000;
}

void deed_reject(struct deed *d, const char *clause, const char *fmt, ...)
{
    d->clause = clause;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(d->why.text, sizeof(d->why.text), fmt, args);
    va_end(args);
}

/* ---- arguments ---- */

static const char *kind_expected(enum rules_arg_kind kind)
{
    switch (kind) {
    case RULES_ARG_TEXT:
        return "string";
    case RULES_ARG_OCTETS:
        return "bytes";
    case RULES_ARG_INT:
        return "int";
    case RULES_ARG_NONE:
    case RULES_ARG_BOOL:
    case RULES_ARG_DATE:
        break;
    }
    require(false); /* no action takes another kind */
    return "?";
}

/* Reads one argument into the deed; false if its name or kind is not what the action takes. */
static bool argument_take(struct deed *d, const struct action_form *form,
                          const struct rules_arg *arg)
{
    int size = (int)(arg->name.size < 64 ? arg->name.size : 64);
    for (unsigned i = 0; i < ARGS_COUNT; i++) {
        if (!bytes_equal(arg->name, bytes_text(ARGUMENTS[i].name)) ||
            ((form->needed | form->optional) & (1u << i)) == 0) {
            continue;
        }
        if (d->args[i].data != NULL) {
            deed_reject(d, "0.1", "args.%s: given twice", ARGUMENTS[i].name);
            return false;
        }
        if (arg->kind != ARGUMENTS[i].kind) {
            deed_reject(d, "0.1", "args.%s: %s expected", ARGUMENTS[i].name,
                        kind_expected(ARGUMENTS[i].kind));
            return false;
        }
        if (ARGUMENTS[i].size != 0 && arg->bytes.size != ARGUMENTS[i].size) {
            deed_reject(d, "0.1", "args.%s: %zu bytes expected", ARGUMENTS[i].name,
                        ARGUMENTS[i].size);
            return false;
        }
        bool empty = arg->kind == RULES_ARG_INT || arg->bytes.data == NULL;
        d->args[i] = empty ? bytes_of("", 0) : arg->bytes;
        d->node = arg->kind == RULES_ARG_INT ? arg->number : d->node;
        return true;
    }
    deed_reject(d, "0.1", "args.%.*s: not declared", size, (const char *)arg->name.data);
    return false;
}

bool deed_arguments(struct deed *d, struct bytes args)
{
    const struct action_form *form = form_of(d->action);
    size_t at = 0;
    require(form != NULL);
    for (;;) {
        struct rules_arg arg;
        bool more = false;
        if (failed(rules_args_next(args, &at, &arg, &more))) {
            deed_reject(d, "0.1", "args: not an Args message");
            return false;
        }
        if (!more) {
            break;
        }
        if (!argument_take(d, form, &arg)) {
            return false;
        }
    }
    for (unsigned i = 0; i < ARGS_COUNT; i++) {
        if ((form->needed & (1u << i)) != 0 && d->args[i].data == NULL) {
            deed_reject(d, "0.1", "args.%s: missing", ARGUMENTS[i].name);
            return false;
        }
    }
    return true;
}

bool deed_key_taken(const struct deed *d, const uint8_t key[32])
{
    uint8_t id[32];
    const struct ledger_key *found = NULL;
    sign_key_id(key, id);
    return parties_find_key(&d->l->parties, id, &found) != NULL;
}

/* ---- signers ---- */

/* Institutions that signed with a governance key. Each has one party for all its keys, and no party
 * signs twice, so counting signers counts institutions. */
static uint32_t governance_signers(const struct deed *d)
{
    uint32_t count = 0;
    for (size_t i = 0; i < d->request->signer_count; i++) {
        count += d->request->parties[i]->kind == PARTY_GOVERNANCE;
    }
    return count;
}

static bool majority_authorised(struct deed *d)
{
    uint32_t needed = threshold_count(THRESHOLD_MAJORITY, d->l->genesis->institution_count);
    uint32_t signers = governance_signers(d);
    if (signers < needed) {
        deed_reject(d, "0.2", "signed by governance keys of %u institutions; %u are needed",
                    signers, needed);
        return false;
    }
    return true;
}

/* The institution whose officer (or governance key) signed on_behalf. */
static bool officer_authorised(struct deed *d)
{
    for (size_t i = 0; i < d->request->signer_count; i++) {
        const struct party *party = d->request->parties[i];
        if (party->kind != PARTY_PLAIN &&
            bytes_equal(d->request->signers[i], d->request->envelope->body.on_behalf)) {
            d->institution = party->institution;
            return true;
        }
    }
    deed_reject(d, "0.2",
                "on_behalf must be an officer or governance key: ledger.INSTITUTION.NAME");
    return false;
}

/* ---- decisions ---- */

static void deploy(struct deed *d)
{
    static const char *const CLAUSES[] = {"1", "1.1", "1.2", "1.3", "1.4", "1.5", "1.6"};
    const struct ledger_contract *contract = NULL;
    enum deploy_end end =
        contracts_deploy(&d->l->contracts, d->args[ARG_TEXT], d->l->apply.head.height, d->l->batch,
                         &contract, &d->why);
    require((size_t)end < sizeof(CLAUSES) / sizeof(CLAUSES[0]));
    if (end != DEPLOY_OK) {
        d->clause = CLAUSES[end];
        return;
    }
    buf_put_text(&d->effects, "[[\"contract\",\"1\",0,");
    json_put_string(&d->effects, contract->name);
    char day[11];
    rules_day_print(contract->effective, day);
    buf_printf(&d->effects, ",%llu,\"%s\",", (unsigned long long)contract->version, day);
    json_put_hex(&d->effects, bytes_of(contract->text_hash, sizeof(contract->text_hash)));
    buf_put_text(&d->effects, "]]");
}

static void decide(struct deed *d, const struct event *event)
{
    if (d->action == ACTION_NONE) {
        deed_reject(d, "0.1", "event: '%.*s' is not declared", (int)event->action.size,
                    (const char *)event->action.data);
        return;
    }
    if (!deed_arguments(d, event->args)) {
        return;
    }
    bool majority = form_of(d->action)->authority == BY_MAJORITY;
    if (!(majority ? majority_authorised(d) : officer_authorised(d))) {
        return;
    }
    if (event->has_legal_date && event->legal_date != d->l->apply.day) {
        char day[11];
        rules_day_print(d->l->apply.day, day);
        deed_reject(d, "0.3", "the legal date is %s", day);
        return;
    }
    switch (d->action) {
    case ACTION_NONE:
        require(false);
        break;
    case ACTION_DEPLOY:
        deploy(d);
        break;
    case ACTION_PARTY_ADD:
        govern_party_add(d);
        break;
    case ACTION_KEY_ADD:
        govern_key_add(d);
        break;
    case ACTION_KEY_REVOKE:
        govern_key_revoke(d);
        break;
    case ACTION_NODE_ADD:
    case ACTION_NODE_PROMOTE:
    case ACTION_NODE_DEMOTE:
    case ACTION_NODE_REMOVE:
    case ACTION_NODE_REPLACE:
    case ACTION_NODE_UPDATE:
        govern_node_check(d);
        if (d->clause == NULL) {
            govern_node_make(d);
        }
        break;
    }
}

/* A reason may have been cut within a character; JSON holds whole ones. */
static struct bytes whole_text(const char *text)
{
    struct bytes b = bytes_text(text);
    while (b.size > 0 && !utf8_valid(b)) {
        b.size--;
    }
    return b;
}

void govern_apply(struct ledger *l, const struct request *request, const struct event *event,
                  struct arena *a, struct rules_out *ret)
{
    require(l != NULL);
    require(request->governance);
    struct deed d = {.l = l, .request = request, .action = deed_action(event->action)};
    buf_init(&d.effects, 4096);
    decide(&d, event);
    require(!d.effects.overflow);
    struct outcome_form form = {
        .event = event->action,
        .version = GOVERNANCE_VERSION,
        .now_ns = l->apply.head.time_ns,
        .has_legal = true,
        .legal = l->apply.day,
        .clause = d.clause,
        .why = whole_text(d.why.text),
    };
    if (d.clause == NULL) {
        form.effects = arena_copy(a, buf_bytes(&d.effects));
    }
    outcome_make(&form, a, ret);
    buf_done(&d.effects);
}
