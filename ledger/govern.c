#include "ledger/govern.h"

#include <stdio.h>

#include "base/name.h"
#include "base/require.h"
#include "base/utf8.h"
#include "crypto/sign.h"
#include "ledger/outcome.h"
#include "ledger/state.h"

enum action { ACTION_NONE, ACTION_DEPLOY, ACTION_PARTY_ADD, ACTION_KEY_ADD, ACTION_KEY_REVOKE };

/* One action being decided. */
struct deed {
    struct ledger *l;
    const struct request *request;
    enum action action;
    struct bytes text, party, key;
    const char *institution; /* the one whose officer signs */
    const char *clause;      /* NULL: accepted */
    struct errtext why;
    struct buf effects;
};

static enum action action_of(struct bytes name)
{
    static const struct {
        const char *name;
        enum action action;
    } ACTIONS[] = {
        {"contract_deploy", ACTION_DEPLOY},
        {"party_add", ACTION_PARTY_ADD},
        {"key_add", ACTION_KEY_ADD},
        {"key_revoke", ACTION_KEY_REVOKE},
    };
    for (size_t i = 0; i < sizeof(ACTIONS) / sizeof(ACTIONS[0]); i++) {
        if (bytes_equal(name, bytes_text(ACTIONS[i].name))) {
            return ACTIONS[i].action;
        }
    }
    return ACTION_NONE;
}

int64_t govern_cost(struct bytes action)
{
    return action_of(action) == ACTION_DEPLOY ? DEPLOY_STEPS : 1000;
}

__attribute__((format(printf, 3, 4))) static void reject(struct deed *d, const char *clause,
                                                         const char *fmt, ...)
{
    d->clause = clause;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(d->why.text, sizeof(d->why.text), fmt, args);
    va_end(args);
}

/* Reads one argument into the deed; false if its name or kind is not what the action takes. */
static bool argument_take(struct deed *d, const struct rules_arg *arg)
{
    static const struct {
        const char *name;
        enum rules_arg_kind kind;
        bool of_deploy;
        size_t member;
    } ARGUMENTS[] = {
        {"text", RULES_ARG_TEXT, true, offsetof(struct deed, text)},
        {"party", RULES_ARG_TEXT, false, offsetof(struct deed, party)},
        {"key", RULES_ARG_OCTETS, false, offsetof(struct deed, key)},
    };
    int size = (int)(arg->name.size < 64 ? arg->name.size : 64);
    for (size_t i = 0; i < sizeof(ARGUMENTS) / sizeof(ARGUMENTS[0]); i++) {
        if (!bytes_equal(arg->name, bytes_text(ARGUMENTS[i].name)) ||
            ARGUMENTS[i].of_deploy != (d->action == ACTION_DEPLOY)) {
            continue;
        }
        struct bytes *member = (struct bytes *)((char *)d + ARGUMENTS[i].member);
        if (member->data != NULL) {
            reject(d, "0.1", "args.%s: given twice", ARGUMENTS[i].name);
            return false;
        }
        if (arg->kind != ARGUMENTS[i].kind) {
            reject(d, "0.1", "args.%s: %s expected", ARGUMENTS[i].name,
                   arg->kind == RULES_ARG_TEXT ? "bytes" : "string");
            return false;
        }
        *member = arg->bytes.data == NULL ? bytes_of("", 0) : arg->bytes;
        return true;
    }
    reject(d, "0.1", "args.%.*s: not declared", size, (const char *)arg->name.data);
    return false;
}

static bool arguments_read(struct deed *d, struct bytes args)
{
    size_t at = 0;
    for (;;) {
        struct rules_arg arg;
        bool more = false;
        if (failed(rules_args_next(args, &at, &arg, &more))) {
            reject(d, "0.1", "args: not an Args message");
            return false;
        }
        if (!more) {
            break;
        }
        if (!argument_take(d, &arg)) {
            return false;
        }
    }
    if (d->action == ACTION_DEPLOY) {
        if (d->text.data == NULL) {
            reject(d, "0.1", "args.text: missing");
        }
        return d->text.data != NULL;
    }
    if (d->party.data == NULL || d->key.data == NULL) {
        reject(d, "0.1", "args.%s: missing", d->party.data == NULL ? "party" : "key");
        return false;
    }
    if (d->key.size != SIGN_PUBLIC_SIZE) {
        reject(d, "0.1", "args.key: %d bytes expected", SIGN_PUBLIC_SIZE);
        return false;
    }
    return true;
}

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

static bool deploy_authorised(struct deed *d)
{
    uint32_t needed = threshold_count(THRESHOLD_MAJORITY, d->l->genesis->institution_count);
    uint32_t signers = governance_signers(d);
    if (signers < needed) {
        reject(d, "0.2", "signed by governance keys of %u institutions; %u are needed", signers,
               needed);
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
    reject(d, "0.2", "on_behalf must be an officer or governance key: ledger.INSTITUTION.NAME");
    return false;
}

static bool key_taken(const struct deed *d)
{
    uint8_t id[32];
    sign_key_id(d->key.data, id);
    const struct ledger_key *key = NULL;
    return parties_find_key(&d->l->parties, id, &key) != NULL;
}

static void effect_party(struct deed *d, const char *name, const char *clause)
{
    buf_printf(&d->effects, "[[\"%s\",\"%s\",0,", name, clause);
    json_put_string(&d->effects, d->party);
    buf_put_u8(&d->effects, ',');
    json_put_string(&d->effects, bytes_text(d->institution));
    buf_put_u8(&d->effects, ',');
    json_put_hex(&d->effects, d->key);
    buf_put_text(&d->effects, "]]");
}

static void party_add(struct deed *d)
{
    struct parties *parties = &d->l->parties;
    if (!name_party_valid(d->party) || name_party_reserved(d->party)) {
        reject(d, "2.2", "not a party name, or one that the ledger keeps for itself");
        return;
    }
    if (parties_find(parties, d->party) != NULL) {
        reject(d, "2.1", "the party exists; key_add adds a key");
        return;
    }
    if (parties->by_name.count >= PARTIES_MAX) {
        reject(d, "2.3", "the ledger has %d parties", PARTIES_MAX);
        return;
    }
    if (key_taken(d)) {
        reject(d, "3.4", "the key is a party's already");
        return;
    }
    uint64_t height = d->l->apply.head.height;
    char name[NAME_BYTES_MAX + 1] = {0};
    memcpy(name, d->party.data, d->party.size);
    struct party form = {.kind = PARTY_PLAIN,
                         .added_height = height,
                         .name = name,
                         .institution = (char *)(uintptr_t)d->institution};
    struct party *party = parties_add(parties, &form);
    parties_add_key(parties, party, d->key.data, height);
    parties_put(parties, d->l->batch, party);
    effect_party(d, "party_add", "2");
}

/* The party of a key action, which must be the officer's institution's. Parties of officers and
 * governance keys are changed by proposals, not here. */
static struct party *party_own(struct deed *d)
{
    struct party *party = parties_find(&d->l->parties, d->party);
    if (party == NULL || party->kind != PARTY_PLAIN) {
        reject(d, "3.1", "there is no such party");
        return NULL;
    }
    if (strcmp(party->institution, d->institution) != 0) {
        reject(d, "3.2", "the party belongs to %s", party->institution);
        return NULL;
    }
    return party;
}

static void key_add(struct deed *d)
{
    struct party *party = party_own(d);
    if (party == NULL) {
        return;
    }
    if (party->key_count == PARTY_KEYS_MAX) {
        reject(d, "3.3", "the party has %d keys, revoked ones included", PARTY_KEYS_MAX);
        return;
    }
    if (key_taken(d)) {
        reject(d, "3.4", "the key is a party's already");
        return;
    }
    parties_add_key(&d->l->parties, party, d->key.data, d->l->apply.head.height);
    parties_put(&d->l->parties, d->l->batch, party);
    effect_party(d, "key_add", "3");
}

static void key_revoke(struct deed *d)
{
    struct party *party = party_own(d);
    if (party == NULL) {
        return;
    }
    size_t index = 0;
    while (index < party->key_count &&
           memcmp(party->keys[index].public_key, d->key.data, SIGN_PUBLIC_SIZE) != 0) {
        index++;
    }
    if (index == party->key_count) {
        reject(d, "4.1", "the party has no such key");
        return;
    }
    if (party->keys[index].revoked_height != 0) {
        reject(d, "4.2", "the key is revoked already");
        return;
    }
    parties_revoke_key(party, index, d->l->apply.head.height);
    parties_put(&d->l->parties, d->l->batch, party);
    effect_party(d, "key_revoke", "4");
}

static void deploy(struct deed *d)
{
    static const char *const CLAUSES[] = {"1", "1.1", "1.2", "1.3", "1.4", "1.5", "1.6"};
    const struct ledger_contract *contract = NULL;
    enum deploy_end end = contracts_deploy(&d->l->contracts, d->text, d->l->apply.head.height,
                                           d->l->batch, &contract, &d->why);
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
        reject(d, "0.1", "event: '%.*s' is not declared", (int)event->action.size,
               (const char *)event->action.data);
        return;
    }
    if (!arguments_read(d, event->args)) {
        return;
    }
    if (!(d->action == ACTION_DEPLOY ? deploy_authorised(d) : officer_authorised(d))) {
        return;
    }
    if (event->has_legal_date && event->legal_date != d->l->apply.day) {
        char day[11];
        rules_day_print(d->l->apply.day, day);
        reject(d, "0.3", "the legal date is %s", day);
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
        party_add(d);
        break;
    case ACTION_KEY_ADD:
        key_add(d);
        break;
    case ACTION_KEY_REVOKE:
        key_revoke(d);
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
    struct deed d = {.l = l, .request = request, .action = action_of(event->action)};
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
