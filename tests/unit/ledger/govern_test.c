/* The reserved contract `ledger`: who may sign, and which texts are law. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "world.h"

static const char *const BANK[] = {"tests/unit/ledger/bank.rules"};

static int up(void **state)
{
    static struct world w;
    world_open(&w, BANK, 1);
    *state = &w;
    return 0;
}

static int down(void **state)
{
    world_close(*state);
    return 0;
}

#define assert_text(b, text) assert_string_equal(world_text(w, b), text)

static struct plan officer_plan(struct world *w, uint8_t id, const char *action, const char *party,
                                enum world_key key)
{
    struct plan plan = {.signers = {KEY_OFFICER_VILLE}, .on_behalf = "ledger.ville.anne", .id = id};
    plan.actions[0] = (struct action){"ledger", action, NULL, world_args_key(w, party, key)};
    return plan;
}

static struct plan deploy_plan(struct world *w, uint8_t id, struct bytes text)
{
    struct plan plan = {.signers = {KEY_GOVERN_VILLE, KEY_GOVERN_SOCIAL},
                        .signer_count = 2,
                        .on_behalf = "ledger.ville",
                        .id = id};
    plan.actions[0] = (struct action){"ledger", "contract_deploy", NULL, world_args_text(w, text)};
    return plan;
}

static struct plan opening(enum world_key key, const char *as, uint8_t id)
{
    return (struct plan){.actions = {{"test.bank", "open", "{\"who\":\"anna\"}"}},
                         .signers = {key},
                         .on_behalf = as,
                         .id = id};
}

static void rejected(struct world *w, const struct plan *plan, const char *clause, const char *text)
{
    struct ledger_outcome o = world_do(w, plan);
    assert_int_equal(o.end, LEDGER_REJECTED);
    assert_text(o.clause, clause);
    if (text != NULL) {
        assert_text(o.text, text);
    }
}

static void a_party_signs_from_the_next_block_on(void **state)
{
    struct world *w = *state;
    struct plan add = officer_plan(w, 1, "party_add", "neighbour", KEY_SPARE);
    struct plan use = opening(KEY_SPARE, "neighbour", 2);
    struct bytes block[] = {world_envelope(w, &add), world_envelope(w, &use)};
    const struct ledger_result *r = world_apply(w, block, 2);
    assert_int_equal(r->accepted, 1);
    assert_int_equal(r->applied[1].reason, REASON_UNKNOWN_KEY);
    r = world_apply(w, &block[1], 1);
    assert_int_equal(r->applied[0].reason, REASON_NONE);
    struct ledger_party p;
    assert_true(ledger_party_find(w->ledger, bytes_text("neighbour"), &p));
    assert_text(p.institution, "ville");
    assert_int_equal(p.key_count, 1);
    assert_int_equal(p.keys[0].added_height, 1);
    assert_true(ledger_party_find(w->ledger, bytes_text("ledger.ville.anne"), &p));
    assert_false(ledger_party_find(w->ledger, bytes_text("nobody"), &p));
}

static void a_revoked_key_signs_in_its_last_block(void **state)
{
    struct world *w = *state;
    struct plan add = officer_plan(w, 1, "key_add", "pmo.roquefort", KEY_SPARE);
    assert_int_equal(world_do(w, &add).end, LEDGER_ACCEPTED);
    struct plan revoke = officer_plan(w, 2, "key_revoke", "pmo.roquefort", KEY_PMO);
    struct plan old = opening(KEY_PMO, "pmo.roquefort", 3);
    struct plan late = opening(KEY_PMO, "pmo.roquefort", 4);
    struct plan fresh = opening(KEY_SPARE, "pmo.roquefort", 5);
    struct plan both = opening(KEY_SPARE, "pmo.roquefort", 6);
    both.signers[1] = KEY_PMO;
    both.signer_count = 2;
    struct bytes block[] = {world_envelope(w, &revoke), world_envelope(w, &old),
                            world_envelope(w, &both)};
    const struct ledger_result *r = world_apply(w, block, 3);
    assert_int_equal(r->applied[1].reason, REASON_NONE);
    assert_int_equal(r->applied[2].reason, REASON_SIGNED_TWICE);
    struct bytes next[] = {world_envelope(w, &late), world_envelope(w, &fresh)};
    assert_int_equal(world_admit(w, next[0]).refusal.reason, REASON_KEY_REVOKED);
    r = world_apply(w, next, 2);
    assert_int_equal(r->applied[0].reason, REASON_KEY_REVOKED);
    assert_int_equal(r->applied[1].reason, REASON_NONE);
    /* What the old key signed in time keeps its answer. */
    assert_int_equal(world_admit(w, block[1]).end, LEDGER_ADMIT_ANSWERED);
    world_restart(w);
    assert_int_equal(world_admit(w, next[0]).refusal.reason, REASON_KEY_REVOKED);
}

static void party_actions_have_their_clauses(void **state)
{
    struct world *w = *state;
    const struct {
        const char *action, *party;
        enum world_key key;
        const char *clause;
    } cases[] = {
        {"party_add", "pmo.roquefort", KEY_SPARE, "2.1"},
        {"party_add", "enedis", KEY_SPARE, "2.1"},
        {"party_add", "clock", KEY_SPARE, "2.2"},
        {"party_add", "ledger.ville.bob", KEY_SPARE, "2.2"},
        {"party_add", "Neighbour", KEY_SPARE, "2.2"},
        {"party_add", "neighbour", KEY_ENEDIS, "3.4"},
        {"key_add", "nobody", KEY_SPARE, "3.1"},
        {"key_add", "ledger.ville", KEY_SPARE, "3.1"},
        {"key_add", "enedis", KEY_SPARE, "3.2"},
        {"key_add", "pmo.roquefort", KEY_PMO, "3.4"},
        {"key_revoke", "enedis", KEY_ENEDIS, "3.2"},
        {"key_revoke", "pmo.roquefort", KEY_SPARE, "4.1"},
        {"nothing", "pmo.roquefort", KEY_SPARE, "0.1"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct plan plan =
            officer_plan(w, (uint8_t)(i + 1), cases[i].action, cases[i].party, cases[i].key);
        rejected(w, &plan, cases[i].clause, NULL);
    }
    struct plan plain = officer_plan(w, 50, "party_add", "neighbour", KEY_SPARE);
    plain.signers[0] = KEY_PMO;
    plain.on_behalf = "pmo.roquefort";
    rejected(w, &plain, "0.2", NULL);
    struct plan revoke = officer_plan(w, 51, "key_revoke", "pmo.roquefort", KEY_PMO);
    assert_int_equal(world_do(w, &revoke).end, LEDGER_ACCEPTED);
    revoke.id = 52;
    rejected(w, &revoke, "4.2", NULL);
}

static void arguments_are_checked(void **state)
{
    struct world *w = *state;
    struct plan plan = officer_plan(w, 1, "party_add", "neighbour", KEY_SPARE);
    plan.actions[0].args = bytes_of(NULL, 0);
    rejected(w, &plan, "0.1", "args.party: missing");
    plan.id = 2;
    plan.actions[0].args = world_args_text(w, bytes_text("x"));
    rejected(w, &plan, "0.1", "args.text: not declared");
    plan.id = 3;
    plan.actions[0].args = bytes_text("\xff\xff");
    rejected(w, &plan, "0.1", "args: not an Args message");
    struct plan deploy = deploy_plan(w, 4, bytes_text(""));
    deploy.actions[0].args = world_args_key(w, "neighbour", KEY_SPARE);
    rejected(w, &deploy, "0.1", "args.party: not declared");
    plan = officer_plan(w, 5, "party_add", "neighbour", KEY_SPARE);
    plan.actions[0].has_legal = true;
    plan.actions[0].legal = 1;
    rejected(w, &plan, "0.3", "the legal date is 2026-07-15");
}

/* The bank's text with its version and one more change. */
static struct bytes bank(struct world *w, const char *header, const char *from, const char *to)
{
    char *text = arena_text(&w->arena, world_file(w, BANK[0]));
    const char *rest = strchr(strchr(text, '\n') + 1, '\n');
    char *all = arena_printf(&w->arena, "rules 1\n%s%s", header, rest);
    if (from == NULL) {
        return bytes_text(all);
    }
    char *at = strstr(all, from);
    assert_non_null(at);
    *at = '\0';
    return bytes_text(arena_printf(&w->arena, "%s%s%s", all, to, at + strlen(from)));
}

static void a_majority_deploys(void **state)
{
    struct world *w = *state;
    struct bytes text = bank(w, "contract test.bank version 2 effective 2026-07-15 replaces 1",
                             "10.00 EUR into", "20.00 EUR into");
    struct plan one = deploy_plan(w, 1, text);
    one.signer_count = 1;
    rejected(w, &one, "0.2", "signed by governance keys of 1 institutions; 2 are needed");
    struct plan officers = deploy_plan(w, 2, text);
    officers.signers[1] = KEY_OFFICER_SOCIAL;
    rejected(w, &officers, "0.2", NULL);

    struct plan deploy = deploy_plan(w, 3, text);
    struct plan use = opening(KEY_TELLER, "teller", 4);
    struct bytes block[] = {world_envelope(w, &deploy), world_envelope(w, &use)};
    const struct ledger_result *r = world_apply(w, block, 2);
    assert_int_equal(r->accepted, 2);
    /* The new text counts from the next block on. */
    assert_int_equal(r->applied[1].answer.outcomes[0].contract_version, 1);
    assert_string_equal(world_balance(w, "test.bank", "purse[anna]"), "10.00 EUR");
    struct plan later = opening(KEY_TELLER, "teller", 5);
    later.actions[0].json = "{\"who\":\"bert\"}";
    assert_int_equal(world_do(w, &later).contract_version, 2);
    assert_string_equal(world_balance(w, "test.bank", "purse[bert]"), "20.00 EUR");
    world_restart(w);
    size_t count = 0;
    const struct ledger_contract *list = ledger_contracts(w->ledger, &w->arena, &count);
    assert_int_equal(count, 2);
    assert_int_equal(list[1].version, 2);
    assert_int_equal(list[1].height, 3);
    struct ledger_contract c;
    assert_true(ledger_contract_find(w->ledger, bytes_text("test.bank"), 0, &c));
    assert_int_equal(c.version, 2);
    assert_true(ledger_contract_find(w->ledger, bytes_text("test.bank"), 1, &c));
    assert_int_equal(c.version, 1);
    assert_false(ledger_contract_find(w->ledger, bytes_text("test.bank"), 3, &c));
}

static void texts_that_are_not_law(void **state)
{
    struct world *w = *state;
    const char *second = "contract test.bank version 2 effective 2026-07-15 replaces 1";
    struct plan plan = deploy_plan(w, 1, bytes_text("rules 1\ncontract"));
    rejected(w, &plan, "1.1", NULL);
    plan =
        deploy_plan(w, 2, bank(w, "contract ledger.x version 1 effective 2026-07-15", NULL, NULL));
    rejected(w, &plan, "1.2", "the name 'ledger.x' is reserved");
    plan =
        deploy_plan(w, 3, bank(w, "contract test.bank version 1 effective 2026-07-15", NULL, NULL));
    rejected(w, &plan, "1.3", "version 1 is not above version 1 on the ledger");
    plan = deploy_plan(w, 4, bank(w, second, "note: string(40) }", "note: int }"));
    rejected(w, &plan, "1.1", NULL); /* `call` sets a text: the text itself does not compile */
    plan = deploy_plan(w, 5, bank(w, second, "max 3", "max 2"));
    rejected(w, &plan, "1.3", NULL);
    struct bytes text = bank(w, second, NULL, NULL);
    plan =
        deploy_plan(w, 6,
                    bytes_text(arena_printf(&w->arena, "%s\ntest \"wrong\" {\n  then 1 == 2\n}\n",
                                            world_text(w, text))));
    rejected(w, &plan, "1.5", NULL);
    size_t count = 0;
    (void)ledger_contracts(w->ledger, &w->arena, &count);
    assert_int_equal(count, 1);
}

/* A table of another contract is read as its owner keeps it, from both sides. */
static void uses_must_fit_the_owner(void **state)
{
    struct world *w = *state;
    static const char FORM[] = "rules 1\ncontract test.reader version 1 effective 2026-07-01\n"
                               "party teller = \"teller\"\n"
                               "uses holder [who: party] { %s } from %s\n"
                               "table seen [who: party] { since: date }\n"
                               "on look(who: party) signed by teller dated day(now, \"UTC\") {\n"
                               "  clause 1 \"Holders are seen\"\n"
                               "  require who in holder else \"unknown\"\n"
                               "  set seen[who] = { since: day(now, \"UTC\") }\n}\n";
    const struct {
        const char *fields, *owner, *clause;
    } cases[] = {
        {"since: date", "test.nobody", "1.4"},
        {"since: int", "test.bank", "1.4"},
        {"since: date", "test.bank", NULL},
    };
    char text[1024];
    for (uint8_t i = 0; i < 3; i++) {
        (void)snprintf(text, sizeof(text), FORM, cases[i].fields, cases[i].owner);
        struct plan plan = deploy_plan(w, (uint8_t)(i + 1), bytes_text(text));
        if (cases[i].clause != NULL) {
            rejected(w, &plan, cases[i].clause, NULL);
        } else {
            assert_int_equal(world_do(w, &plan).end, LEDGER_ACCEPTED);
        }
    }
    struct plan look = {.actions = {{"test.reader", "look", "{\"who\":\"anna\"}"}},
                        .signers = {KEY_TELLER},
                        .on_behalf = "teller",
                        .id = 10};
    rejected(w, &look, "1", "unknown");
    struct plan open = opening(KEY_TELLER, "teller", 11);
    assert_int_equal(world_do(w, &open).end, LEDGER_ACCEPTED);
    look.id = 12;
    assert_int_equal(world_do(w, &look).end, LEDGER_ACCEPTED);
}

static void governance_is_recorded_like_the_rest(void **state)
{
    struct world *w = *state;
    struct plan add = officer_plan(w, 1, "party_add", "neighbour", KEY_SPARE);
    assert_int_equal(world_do(w, &add).end, LEDGER_ACCEPTED);
    struct ledger_records_query q = {0};
    struct ledger_records records;
    struct errtext why;
    assert_false(failed(ledger_query_records(w->ledger, &q, &w->arena, &records, &why)));
    assert_int_equal(records.count, 1);
    const struct ledger_record *r = &records.records[0];
    assert_int_equal(r->record.kind, RECORD_GOVERNANCE);
    assert_text(r->record.contract, "ledger");
    assert_text(r->outcome_json,
                "{\"event\":\"party_add\",\"version\":1,\"now\":\"2026-07-15T10:00:01Z\","
                "\"legal\":\"2026-07-15\",\"end\":\"accepted\",\"spent\":0}");
    char *effects = arena_text(&w->arena, r->effects_json);
    assert_ptr_equal(strstr(effects, "[[\"party_add\",\"2\",0,\"neighbour\",\"ville\",\""),
                     effects);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, up, down)
    const struct CMUnitTest tests[] = {
        T(a_party_signs_from_the_next_block_on),
        T(a_revoked_key_signs_in_its_last_block),
        T(party_actions_have_their_clauses),
        T(arguments_are_checked),
        T(a_majority_deploys),
        T(texts_that_are_not_law),
        T(uses_must_fit_the_owner),
        T(governance_is_recorded_like_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
