/* The node table: what the institutions may do with it, each refusal, and where it is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "crypto/note.h"
#include "crypto/policy.h"
#include "ledger/tree.h"
#include "rules/rules.h"
#include "world.h"

static int up(void **state)
{
    static struct world w;
    world_open(&w, NULL, 0);
    *state = &w;
    return 0;
}

static int down(void **state)
{
    world_close(*state);
    return 0;
}

#define assert_text(b, text) assert_string_equal(world_text(w, b), text)

/* What a node action says; what is NULL or 0 is left out. */
struct said {
    const char *action;
    int64_t node;
    const char *institution, *name, *peer, *client, *transport, *next_transport;
    int head, next_head; /* every octet of the key; TAKEN: that of node 1 */
};

enum { TAKEN = -1 };

static struct bytes args_of(struct world *w, const struct said *s)
{
    struct buf b;
    uint8_t key[32];
    const struct {
        const char *name, *text;
    } texts[] = {{"institution", s->institution},
                 {"name", s->name},
                 {"peer", s->peer},
                 {"client", s->client}};
    buf_init(&b, 4096);
    if (s->node != 0) {
        rules_args_put_int(&b, "node", s->node);
    }
    for (size_t i = 0; i < 4; i++) {
        if (texts[i].text != NULL) {
            rules_args_put_text(&b, texts[i].name, bytes_text(texts[i].text));
        }
    }
    if (s->transport != NULL) {
        rules_args_put_octets(&b, "transport_key", bytes_text(s->transport));
    }
    if (s->head != 0) {
        memset(key, s->head, sizeof key);
        if (s->head == TAKEN) {
            memcpy(key, ledger_node_find(w->ledger, 1)->head_key.data, sizeof key);
        }
        rules_args_put_octets(&b, "head_key", bytes_of(key, sizeof key));
    }
    if (s->next_transport != NULL) {
        rules_args_put_octets(&b, "next_transport_key", bytes_text(s->next_transport));
    }
    if (s->next_head != 0) {
        memset(key, s->next_head, sizeof key);
        rules_args_put_octets(&b, "next_head_key", bytes_of(key, sizeof key));
    }
    struct bytes copy = arena_copy(&w->arena, buf_bytes(&b));
    buf_done(&b);
    return copy;
}

static struct plan plan_of(struct world *w, uint8_t id, const struct said *s)
{
    struct plan plan = {.signers = {KEY_GOVERN_VILLE, KEY_GOVERN_SOCIAL},
                        .signer_count = 2,
                        .on_behalf = "ledger.ville",
                        .id = id};
    plan.actions[0] = (struct action){"ledger", s->action, NULL, args_of(w, s)};
    return plan;
}

static struct ledger_outcome say(struct world *w, uint8_t id, struct said s)
{
    struct plan plan = plan_of(w, id, &s);
    return world_do(w, &plan);
}

static void accepted(struct world *w, uint8_t id, struct said s)
{
    struct ledger_outcome o = say(w, id, s);
    if (o.end != LEDGER_ACCEPTED) {
        fail_msg("%s: clause %s: %s", s.action, world_text(w, o.clause), world_text(w, o.text));
    }
}

/* Rejected by the ledger, and foreseen by ledger_node_asked when `foreseen`. */
static void rejected(struct world *w, uint8_t id, struct said s, const char *clause, bool foreseen)
{
    struct plan plan = plan_of(w, id, &s);
    struct ledger_node_ask ask;
    ledger_node_asked(w->ledger, world_envelope(w, &plan), &w->arena, &ask);
    struct ledger_outcome o = world_do(w, &plan);
    assert_int_equal(o.end, LEDGER_REJECTED);
    assert_text(o.clause, clause);
    assert_int_equal(ask.refused, foreseen);
    if (foreseen) {
        assert_non_null(strstr(ask.why, clause));
        assert_non_null(strstr(ask.why, world_text(w, o.text)));
    }
}

static struct said fresh(const char *action, const char *name, const char *transport, int head)
{
    return (struct said){.action = action,
                         .institution = "ville",
                         .name = name,
                         .peer = "[::1]:7009",
                         .client = "ledger.ville.example:443",
                         .transport = transport,
                         .head = head};
}

static const struct ledger_node *live(struct world *w, size_t at, size_t count)
{
    size_t all = 0;
    const struct ledger_node *nodes = ledger_nodes(w->ledger, &all);
    assert_int_equal(all, count);
    return &nodes[at];
}

static void genesis_nodes_are_voters_in_the_state(void **state)
{
    struct world *w = *state;
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < 3; i++) {
            const struct ledger_node *n = live(w, i, 3);
            assert_int_equal(n->id, i + 1);
            assert_int_equal(n->wish, LEDGER_WISH_VOTER);
            assert_int_equal(n->added_height, 0);
        }
        world_restart(w);
    }
}

static void a_node_comes_votes_and_goes(void **state)
{
    struct world *w = *state;
    accepted(w, 1, fresh("node_add", "two", "transport key 4", 0x61));
    const struct ledger_node *n = live(w, 3, 4);
    assert_int_equal(n->id, 4);
    assert_int_equal(n->wish, LEDGER_WISH_STANDBY);
    assert_int_equal(n->added_height, 1);
    assert_text(n->institution, "ville");
    assert_text(n->peer_address, "[::1]:7009");
    accepted(w, 2, (struct said){.action = "node_promote", .node = 4});
    assert_int_equal(live(w, 3, 4)->wish, LEDGER_WISH_VOTER);
    accepted(w, 3, (struct said){.action = "node_demote", .node = 1});
    assert_int_equal(live(w, 0, 4)->wish, LEDGER_WISH_STANDBY);
    accepted(w, 4, (struct said){.action = "node_remove", .node = 1});
    assert_int_equal(live(w, 0, 3)->id, 2);
    const struct ledger_node *gone = ledger_node_find(w->ledger, 1);
    assert_non_null(gone);
    assert_int_equal(gone->wish, LEDGER_WISH_REMOVED);
    assert_int_equal(gone->changed_height, 4);
    world_restart(w);
    assert_int_equal(live(w, 2, 3)->wish, LEDGER_WISH_VOTER);
    assert_int_equal(ledger_node_find(w->ledger, 1)->wish, LEDGER_WISH_REMOVED);
    assert_null(ledger_node_find(w->ledger, 5));
    size_t ever = 0;
    (void)ledger_nodes_ever(w->ledger, &ever);
    assert_int_equal(ever, 4);
}

static void an_id_is_never_given_again(void **state)
{
    struct world *w = *state;
    accepted(w, 1, fresh("node_add", "two", "transport key 4", 0x61));
    accepted(w, 2, (struct said){.action = "node_remove", .node = 4});
    accepted(w, 3, fresh("node_add", "two", "transport key 5", 0x62));
    assert_int_equal(live(w, 3, 4)->id, 5);
    rejected(w, 4, (struct said){.action = "node_promote", .node = 4}, "6.2", true);
    rejected(w, 5, fresh("node_add", "three", "transport key 4", 0x63), "5.6", true);
    rejected(w, 6, fresh("node_add", "three", "transport key 6", 0x61), "5.6", true);
}

static void a_replacement_takes_over_the_wish(void **state)
{
    struct world *w = *state;
    struct said s = fresh("node_replace", "one", "transport key 4", 0x61);
    s.institution = NULL;
    s.node = 3;
    accepted(w, 1, s);
    const struct ledger_node *n = live(w, 2, 3);
    assert_int_equal(n->id, 4);
    assert_int_equal(n->wish, LEDGER_WISH_VOTER);
    assert_text(n->institution, "ville");
    assert_text(n->name, "one");
    assert_int_equal(ledger_node_find(w->ledger, 3)->successor, 4);
    assert_int_equal(ledger_node_find(w->ledger, 3)->wish, LEDGER_WISH_REMOVED);
    rejected(w, 2, s, "6.2", true);
    s = fresh("node_replace", "two", "transport key 5", 0x62);
    s.node = 4;
    rejected(w, 3, s, "0.1", false); /* args.institution is not declared */
}

static void an_update_changes_addresses_and_keys(void **state)
{
    struct world *w = *state;
    accepted(w, 1, (struct said){.action = "node_update", .node = 2, .peer = "10.0.0.2:7000"});
    assert_text(live(w, 1, 3)->peer_address, "10.0.0.2:7000");
    assert_text(live(w, 1, 3)->client_address, "127.0.0.1:8002");
    accepted(w, 2,
             (struct said){.action = "node_update",
                           .node = 2,
                           .next_transport = "second key of 2",
                           .next_head = 0x71});
    assert_text(live(w, 1, 3)->transport_key, "transport key 2");
    assert_text(live(w, 1, 3)->transport_key_next, "second key of 2");
    assert_int_equal(live(w, 1, 3)->head_key_next.data[0], 0x71);
    accepted(w, 3,
             (struct said){.action = "node_update",
                           .node = 2,
                           .next_transport = "third key of 2",
                           .next_head = 0x72});
    assert_text(live(w, 1, 3)->transport_key, "second key of 2");
    assert_text(live(w, 1, 3)->transport_key_next, "third key of 2");
    assert_int_equal(live(w, 1, 3)->head_key.data[0], 0x71);
    world_restart(w);
    assert_text(live(w, 1, 3)->transport_key_next, "third key of 2");
    rejected(w, 4, (struct said){.action = "node_update", .node = 2}, "6.6", true);
    rejected(w, 5,
             (struct said){.action = "node_update", .node = 1, .next_transport = "third key of 2"},
             "5.6", true);
}

static void each_refusal_has_its_clause(void **state)
{
    struct world *w = *state;
    struct said s = fresh("node_add", "two", "transport key 4", 0x61);
    struct said t;
#define WITH(member, value) (t = s, t.member = (value), t)
    rejected(w, 1, WITH(institution, "nobody"), "5.1", true);
    rejected(w, 2, WITH(name, "Two"), "5.2", true);
    rejected(w, 3, WITH(name, "one"), "5.3", true);
    rejected(w, 4, WITH(peer, "no port"), "5.4", true);
    rejected(w, 5, WITH(client, "a:0"), "5.4", true);
    rejected(w, 6, WITH(transport, ""), "5.5", true);
    char large[SPKI_BYTES_MAX + 2];
    memset(large, 'k', sizeof large - 1);
    large[SPKI_BYTES_MAX + 1] = '\0';
    rejected(w, 7, WITH(transport, large), "5.5", true);
    rejected(w, 8, WITH(transport, "transport key 1"), "5.6", true);
    rejected(w, 9, WITH(head, TAKEN), "5.6", true);
    rejected(w, 10, WITH(name, NULL), "0.1", false);
    rejected(w, 11, WITH(node, 3), "0.1", false);
    rejected(w, 12, (struct said){.action = "node_remove", .node = 9}, "6.1", true);
    rejected(w, 13, (struct said){.action = "node_remove", .node = -1}, "6.1", true);
    rejected(w, 14, (struct said){.action = "node_promote", .node = 1}, "6.3", true);
    rejected(w, 15, (struct said){.action = "node_remove", .node = 1}, "6.4", true);
    rejected(w, 16, (struct said){.action = "node_demote", .node = 1}, "6.4", true);
    accepted(w, 17, s);
    rejected(w, 18, (struct said){.action = "node_demote", .node = 4}, "6.3", true);
    large[SPKI_BYTES_MAX] = '\0';
    struct said largest = fresh("node_add", "three", large, 0x62);
    accepted(w, 19, largest);
#undef WITH
}

static void one_institution_alone_changes_nothing(void **state)
{
    struct world *w = *state;
    struct said s = fresh("node_add", "two", "transport key 4", 0x61);
    struct plan plan = plan_of(w, 1, &s);
    plan.signer_count = 1;
    struct ledger_outcome o = world_do(w, &plan);
    assert_text(o.clause, "0.2");
    plan = plan_of(w, 2, &s);
    plan.signers[1] = KEY_OFFICER_SOCIAL;
    o = world_do(w, &plan);
    assert_text(o.clause, "0.2");
    (void)live(w, 0, 3);
}

static void there_is_a_most_of_nodes_and_voters(void **state)
{
    struct world *w = *state;
    uint8_t id = 1;
    for (int i = 4; i <= NODES_LIVE_MAX; i++) {
        accepted(w, id++,
                 fresh("node_add", arena_printf(&w->arena, "n%d", i),
                       arena_printf(&w->arena, "key %d", i), 0x60 + i));
    }
    rejected(w, id++, fresh("node_add", "more", "key 99", 0x60 + 99), "5.7", true);
    for (int i = 4; i <= VOTERS_MAX; i++) {
        accepted(w, id++, (struct said){.action = "node_promote", .node = i});
    }
    rejected(w, id++, (struct said){.action = "node_promote", .node = VOTERS_MAX + 1}, "6.5", true);
    struct said s = fresh("node_replace", "last", "key 100", 0x60 + 100);
    s.institution = NULL;
    s.node = 4;
    accepted(w, id++, s); /* one for one: the most is not passed */
}

static void a_request_with_two_changes_is_seen(void **state)
{
    struct world *w = *state;
    struct said s = fresh("node_add", "two", "transport key 4", 0x61);
    struct said r = {.action = "node_remove", .node = 1};
    struct plan plan = plan_of(w, 1, &s);
    struct ledger_node_ask ask;
    plan.actions[1] = (struct action){"ledger", "node_remove", NULL, args_of(w, &r)};
    ledger_node_asked(w->ledger, world_envelope(w, &plan), &w->arena, &ask);
    assert_int_equal(ask.deed, LEDGER_NODE_SEVERAL);
    ledger_node_asked(w->ledger, bytes_text("no envelope"), &w->arena, &ask);
    assert_int_equal(ask.deed, LEDGER_NODE_NOTHING);
}

static void digest_of(struct world *w, uint8_t ret[32])
{
    struct errtext why;
    assert_false(failed(ledger_state_digest(w->ledger, ret, &why)));
}

/* The same blocks make the same table and digest; the table is in the digest, and a crash in the
 * middle of everything replays to it. */
static void the_table_is_in_the_state_digest(void **state)
{
    struct world *w = *state;
    static struct world twin;
    uint8_t here[32];
    uint8_t there[32];
    world_twin(&twin, w);
    struct said s = fresh("node_add", "two", "transport key 4", 0x61);
    struct plan plan = plan_of(w, 1, &s);
    struct bytes envelope = world_envelope(w, &plan);
    struct bytes block = world_block(w, &envelope, 1);
    const struct ledger_result *r = world_apply_block(w, block);
    assert_true(r->nodes_changed);
    digest_of(w, here);
    (void)world_apply_block(&twin, block);
    digest_of(&twin, there);
    assert_memory_equal(here, there, 32);
    world_crash(w);
    digest_of(w, there);
    assert_memory_equal(here, there, 32);
    assert_int_equal(live(w, 3, 4)->id, 4);
    /* One octet of a row is another digest. */
    struct kv_batch *batch = kv_batch_new();
    struct kv_options options = {0};
    struct errtext why;
    size_t family = 0;
    ledger_kv_families(&options);
    while (strcmp(options.families[family].name, "nodes") != 0) {
        family++;
    }
    uint8_t key[8] = {0, 0, 0, 0, 0, 0, 0, 4};
    kv_batch_delete(batch, w->kv, family, bytes_of(key, sizeof key));
    assert_false(failed(kv_commit(w->kv, batch, false, &why)));
    kv_batch_free(batch);
    digest_of(w, there);
    assert_memory_not_equal(here, there, 32);
    world_close(&twin);
}

static void a_block_in_the_making_is_not_seen(void **state)
{
    struct world *w = *state;
    struct said s = fresh("node_add", "two", "transport key 4", 0x61);
    struct plan plan = plan_of(w, 1, &s);
    struct bytes envelope = world_envelope(w, &plan);
    struct ledger_input input = {1, world_block(w, &envelope, 1), NULL};
    struct errtext why;
    assert_false(failed(ledger_apply_begin(w->ledger, &input, &why)));
    while (!ledger_apply_step(w->ledger, 1)) {
        (void)live(w, 2, 3);
    }
    (void)live(w, 2, 3);
    assert_true(ledger_apply_finish(w->ledger)->nodes_changed);
    (void)live(w, 3, 4);
}

static void what_is_decided_is_in_the_record(void **state)
{
    struct world *w = *state;
    struct said s = fresh("node_replace", "two", "transport key 4", 0x61);
    s.institution = NULL;
    s.node = 3;
    accepted(w, 1, s);
    struct ledger_records_query q = {0};
    struct ledger_records records;
    struct errtext why;
    assert_false(failed(ledger_query_records(w->ledger, &q, &w->arena, &records, &why)));
    char *effects = arena_text(&w->arena, records.records[0].effects_json);
    assert_ptr_equal(strstr(effects, "[[\"node_replace\",\"9\",0,4,\"ville\",\"two\",\"voter\","),
                     effects);
    assert_non_null(strstr(effects, "[\"node_remove\",\"9\",0,3,\"ville\",\"one\",\"removed\","));
}

/* ---- the policy of a size ---- */

static const char *policy_at(struct world *w, uint64_t size)
{
    struct buf text;
    struct errtext why;
    struct policy *p = NULL;
    buf_init(&text, POLICY_BYTES_MAX);
    assert_false(failed(ledger_policy(w->ledger, size, &text, &why)));
    assert_false(failed(policy_sealed(buf_bytes(&text), &why)));
    const char *kept = world_text(w, buf_bytes(&text));
    assert_false(failed(policy_parse(bytes_text(kept), &w->arena, &p, &why)));
    buf_done(&text);
    return kept;
}

/* Whether a node's key counts in that policy; a number that repeats is the key. */
static bool counts(struct world *w, uint64_t size, const char *institution, unsigned node,
                   const uint8_t key[32])
{
    struct policy *p = NULL;
    struct note_key note;
    struct errtext why;
    const char *text = policy_at(w, size);
    struct bytes origin = ledger_origin(w->ledger);
    const char *name = arena_printf(&w->arena, "%.*s/%s/%u", (int)origin.size,
                                    (const char *)origin.data, institution, node);
    assert_false(failed(policy_parse(bytes_text(text), &w->arena, &p, &why)));
    assert_false(failed(note_key_make(NOTE_COSIGNATURE, name, key, &note, &why)));
    struct buf line;
    buf_init(&line, 1024);
    note_key_print(&note, &line);
    bool listed = strstr(text, world_text(w, buf_bytes(&line))) != NULL;
    buf_done(&line);
    return listed && policy_key_counts(p, &note, size);
}

static bool counts_of(struct world *w, uint64_t size, unsigned node, int octet)
{
    uint8_t key[32];
    memset(key, octet, sizeof(key));
    return counts(w, size, "ville", node, key);
}

static void the_policy_follows_the_head_keys(void **state)
{
    struct world *w = *state;
    const struct ledger_node *first = live(w, 0, 3);
    const char *at_start = policy_at(w, 0);
    assert_non_null(strstr(at_start, "\ngroup majority 2 "));
    assert_non_null(strstr(at_start, "\nquorum majority\n"));
    uint8_t key[32];
    memcpy(key, first->head_key.data, 32);
    const char *home = world_text(w, first->institution);
    unsigned id = (unsigned)first->id;
    assert_true(counts(w, 0, home, id, key));

    accepted(w, 1, fresh("node_add", "two", "transport key 4", 0x61)); /* record 0: size 1 */
    accepted(w, 2, (struct said){.action = "node_update", .node = 4, .next_head = 0x62});
    accepted(w, 3, (struct said){.action = "node_update", .node = 4, .next_head = 0x63});
    struct said again = {.action = "node_update", .node = 4, .next_head = 0x61};
    rejected(w, 9, again, "5.6", true);
    accepted(w, 4, (struct said){.action = "node_promote", .node = 4});
    accepted(w, 5, (struct said){.action = "node_remove", .node = (int64_t)id});
    for (int round = 0; round < 2; round++) {
        static const struct {
            int octet;
            bool at[7]; /* by size */
        } WANT[] = {
            {0x61, {false, true, true, false, false, false, false}},
            {0x62, {false, false, true, true, true, true, true}},
            {0x63, {false, false, false, true, true, true, true}},
        };
        for (uint64_t size = 0; size <= 6; size++) {
            for (size_t i = 0; i < 3; i++) {
                assert_int_equal(counts_of(w, size, 4, WANT[i].octet), WANT[i].at[size]);
            }
            assert_int_equal(counts(w, size, home, id, key), size < 6);
        }
        assert_string_equal(policy_at(w, 0), at_start);
        assert_non_null(strstr(policy_at(w, 6), "witness ville/4.3 "));
        world_restart(w); /* the stored keys say the same */
    }
    struct errtext why;
    struct buf text;
    buf_init(&text, POLICY_BYTES_MAX);
    assert_int_equal(ledger_policy(w->ledger, 7, &text, &why).code, ERR_LIMIT);
    buf_done(&text);
}

/* Of more keys than a policy holds, those that ended first are left out; those in force never. */
static void a_policy_of_many_keys_is_bounded(void **state)
{
    struct world *w = *state;
    accepted(w, 1, fresh("node_add", "two", "transport key 4", 101));
    for (int i = 2; i <= 90; i++) {
        struct said next = {.action = "node_update", .node = 4, .next_head = 100 + i};
        accepted(w, (uint8_t)i, next);
    }
    assert_true(counts_of(w, 90, 4, 190));
    assert_true(counts_of(w, 90, 4, 189));
    assert_false(counts_of(w, 90, 4, 188));
    assert_non_null(strstr(policy_at(w, 90), "witness ville/4.88 "));
    assert_null(strstr(policy_at(w, 90), "witness ville/4.2 "));
    assert_true(counts_of(w, 3, 4, 103));
    for (unsigned id = 1; id <= 3; id++) {
        const struct ledger_node *n = ledger_node_find(w->ledger, id);
        assert_true(counts(w, 90, world_text(w, n->institution), id, n->head_key.data));
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, up, down)
    const struct CMUnitTest tests[] = {
        T(genesis_nodes_are_voters_in_the_state),
        T(a_node_comes_votes_and_goes),
        T(an_id_is_never_given_again),
        T(a_replacement_takes_over_the_wish),
        T(an_update_changes_addresses_and_keys),
        T(each_refusal_has_its_clause),
        T(one_institution_alone_changes_nothing),
        T(there_is_a_most_of_nodes_and_voters),
        T(a_request_with_two_changes_is_seen),
        T(the_table_is_in_the_state_digest),
        T(a_block_in_the_making_is_not_seen),
        T(what_is_decided_is_in_the_record),
        T(the_policy_follows_the_head_keys),
        T(a_policy_of_many_keys_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
