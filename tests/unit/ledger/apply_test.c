/* Blocks of signed requests: outcomes, effects, the one answer to each request, voids, atomic
 * requests, slices, and blocks that do not follow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/block.h"
#include "world.h"

static const char *const BANK[] = {"tests/unit/ledger/bank.rules"};

#define OPEN(who)                                                                                  \
    {                                                                                              \
        "test.bank", "open", "{\"who\":\"" who "\"}"                                               \
    }
#define PAY(giver, taker, amount)                                                                  \
    {                                                                                              \
        "test.bank", "pay",                                                                        \
            "{\"giver\":\"" giver "\",\"taker\":\"" taker "\",\"amount\":\"" amount "\"}"          \
    }
#define CALL(who, n)                                                                               \
    {                                                                                              \
        "test.bank", "call", "{\"who\":\"" who "\",\"n\":" n ",\"note\":\"x\"}"                    \
    }

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

static struct plan plan_of(uint8_t id)
{
    return (struct plan){.signers = {KEY_TELLER}, .on_behalf = "teller", .id = id};
}

static struct bytes opening(struct world *w, uint8_t id)
{
    struct plan plan = plan_of(id);
    plan.actions[0] = (struct action)OPEN("anna");
    plan.actions[1] = (struct action)OPEN("bert");
    return world_envelope(w, &plan);
}

#define assert_text(b, text) assert_string_equal(world_text(w, b), text)

static void a_request_is_recorded_and_its_effects_stand(void **state)
{
    struct world *w = *state;
    struct bytes first = opening(w, 1);
    const struct ledger_result *r = world_apply(w, &first, 1);
    assert_int_equal(r->applied_count, 1);
    assert_int_equal(r->applied[0].reason, REASON_NONE);
    assert_int_equal(r->accepted, 2);
    assert_int_equal(r->head.height, 1);
    assert_int_equal(r->head.position, 2);
    assert_int_equal(r->applied[0].answer.outcome_count, 2);
    assert_int_equal(r->applied[0].answer.outcomes[1].position, 1);
    assert_int_equal(r->applied[0].answer.outcomes[1].end, LEDGER_ACCEPTED);
    assert_text(r->applied[0].answer.outcomes[1].contract, "test.bank");
    assert_text(r->applied[0].answer.outcomes[1].action, "open");
    assert_int_equal(r->applied[0].answer.outcomes[1].contract_version, 1);
    assert_string_equal(world_balance(w, "test.bank", "purse[anna]"), "10.00 EUR");

    struct plan pay = plan_of(2);
    pay.actions[0] = (struct action)PAY("anna", "bert", "3.50 EUR");
    assert_int_equal(world_do(w, &pay).end, LEDGER_ACCEPTED);
    assert_string_equal(world_balance(w, "test.bank", "purse[anna]"), "6.50 EUR");
    assert_string_equal(world_balance(w, "test.bank", "purse[bert]"), "13.50 EUR");
}

static void rejections_and_faults_are_recorded_without_effects(void **state)
{
    struct world *w = *state;
    struct bytes first = opening(w, 1);
    world_apply(w, &first, 1);
    struct plan again = plan_of(2);
    again.actions[0] = (struct action)OPEN("anna");
    struct ledger_outcome o = world_do(w, &again);
    assert_int_equal(o.end, LEDGER_REJECTED);
    assert_text(o.clause, "1");
    assert_text(o.text, "open already");
    assert_true(o.line > 0);

    struct plan over = plan_of(3);
    over.actions[0] = (struct action)PAY("anna", "bert", "10.01 EUR");
    o = world_do(w, &over);
    assert_int_equal(o.end, LEDGER_REJECTED);
    assert_text(o.clause, "0.4");
    assert_string_equal(world_balance(w, "test.bank", "purse[anna]"), "10.00 EUR");

    struct plan split = plan_of(4);
    split.actions[0] = (struct action){"test.bank", "split", "{\"who\":\"anna\",\"parts\":0}"};
    o = world_do(w, &split);
    assert_int_equal(o.end, LEDGER_FAULT);
    assert_text(o.kind, "divide");
    assert_text(o.clause, "5");
}

static void what_no_contract_knows_is_a_recorded_rejection(void **state)
{
    struct world *w = *state;
    const struct {
        struct action action;
        const char *clause, *text;
        uint64_t version;
    } cases[] = {
        {{"test.none", "open", NULL}, "0.1", "contract: 'test.none' is not known", 0},
        {{"test.bank", "none", NULL}, "0.1", "event: 'none' is not declared", 1},
        {{"test.bank", "open", NULL}, "0.1", "args.who: missing", 1},
        {{"test.bank", "open", NULL, {0}, true, 10000},
         "0.1",
         "legal_date: no version in force on 1997-05-19",
         0},
        {{"test.bank", "open", NULL, {0}, true, 2000000000}, "0.1", "legal_date: out of range", 0},
        {{"test.bank", "open", "{\"who\":\"anna\"}", {0}, true, 20600},
         "0.3",
         "the legal date is 2026-07-15",
         1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct plan plan = plan_of((uint8_t)(i + 1));
        plan.actions[0] = cases[i].action;
        struct ledger_outcome o = world_do(w, &plan);
        assert_int_equal(o.end, LEDGER_REJECTED);
        assert_text(o.clause, cases[i].clause);
        assert_text(o.text, cases[i].text);
        assert_int_equal(o.contract_version, cases[i].version);
    }
    struct plan unsigned_by = plan_of(99);
    unsigned_by.signers[0] = KEY_ENEDIS;
    unsigned_by.on_behalf = "enedis";
    unsigned_by.actions[0] = (struct action)OPEN("anna");
    struct ledger_outcome o = world_do(w, &unsigned_by);
    assert_text(o.clause, "0.2");
    assert_text(o.text, "not signed by teller");
}

static void a_request_has_one_answer_for_ever(void **state)
{
    struct world *w = *state;
    struct bytes first = opening(w, 1);
    const struct ledger_result *r = world_apply(w, &first, 1);
    struct ledger_answer answer = r->applied[0].answer;
    uint8_t digest[32];
    memcpy(digest, answer.digest, sizeof(digest));

    struct ledger_admission a = world_admit(w, first);
    assert_int_equal(a.end, LEDGER_ADMIT_ANSWERED);
    assert_int_equal(a.answer.height, 1);
    assert_int_equal(a.answer.outcome_count, 2);
    assert_int_equal(a.answer.outcomes[1].position, 1);
    assert_memory_equal(a.answer.digest, digest, 32);

    /* The same copy twice in one later block: void, and nothing is done again. */
    struct bytes twice[] = {first, first};
    r = world_apply(w, twice, 2);
    assert_int_equal(r->voids, 2);
    assert_int_equal(r->head.position, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(r->applied[i].reason, REASON_DUPLICATE);
        assert_int_equal(r->applied[i].answer.outcome_count, 2);
        assert_int_equal(r->applied[i].answer.height, 1);
    }
    assert_string_equal(world_balance(w, "test.bank", "purse[anna]"), "10.00 EUR");

    /* Other content under the same id. */
    struct plan other = plan_of(1);
    other.actions[0] = (struct action)OPEN("carl");
    struct bytes reused = world_envelope(w, &other);
    assert_int_equal(world_admit(w, reused).refusal.reason, REASON_REQUEST_ID_REUSED);
    r = world_apply(w, &reused, 1);
    assert_int_equal(r->applied[0].reason, REASON_REQUEST_ID_REUSED);
    assert_string_equal(world_balance(w, "test.bank", "purse[carl]"), "0.00 EUR");

    struct ledger_request_id id = {.party = bytes_text("teller")};
    memset(id.id, 1, sizeof(id.id));
    struct ledger_request_state s;
    struct errtext why;
    assert_false(failed(ledger_query_request(w->ledger, &id, &w->arena, &s, &why)));
    assert_int_equal(s.found, LEDGER_FOUND_ANSWER);
    assert_int_equal(s.answer.height, 1);
    assert_memory_equal(s.answer.digest, digest, 32);
}

static void two_copies_in_one_block_are_done_once(void **state)
{
    struct world *w = *state;
    struct bytes first = opening(w, 1);
    struct plan other = plan_of(1);
    other.actions[0] = (struct action)OPEN("carl");
    struct bytes block[] = {first, first, world_envelope(w, &other)};
    const struct ledger_result *r = world_apply(w, block, 3);
    assert_int_equal(r->applied[0].reason, REASON_NONE);
    assert_int_equal(r->applied[1].reason, REASON_DUPLICATE);
    assert_int_equal(r->applied[1].answer.outcome_count, 0);
    assert_int_equal(r->applied[2].reason, REASON_REQUEST_ID_REUSED);
    assert_int_equal(r->head.position, 2);
    struct ledger_voids voids;
    struct errtext why;
    assert_false(failed(ledger_query_voids(w->ledger, 1, &w->arena, &voids, &why)));
    assert_int_equal(voids.count, 2);
    assert_int_equal(voids.voids[0].index, 1);
    assert_int_equal(voids.voids[0].reason, REASON_DUPLICATE);
    assert_int_equal(voids.voids[1].index, 2);
}

static void void_requests_leave_a_list_and_nothing_else(void **state)
{
    struct world *w = *state;
    struct plan late = plan_of(1);
    late.actions[0] = (struct action)OPEN("anna");
    late.not_after_ns = WORLD_START_NS;
    struct plan stranger = late;
    stranger.id = 2;
    stranger.signers[0] = KEY_SPARE;
    struct bytes expired = world_envelope(w, &late);
    struct bytes forged = arena_copy(&w->arena, expired);
    ((uint8_t *)(uintptr_t)forged.data)[forged.size - 1] ^= 1;
    struct bytes block[] = {expired, world_envelope(w, &stranger), bytes_text("no envelope"),
                            forged};
    uint8_t before[32];
    memcpy(before, w->head.digest, 32);
    const struct ledger_result *r = world_apply(w, block, 4);
    assert_int_equal(r->applied[0].reason, REASON_EXPIRED);
    assert_int_equal(r->applied[1].reason, REASON_UNKNOWN_KEY);
    assert_int_equal(r->applied[2].reason, REASON_MALFORMED);
    assert_int_equal(r->applied[2].on_behalf.size, 0);
    assert_int_equal(r->applied[3].reason, REASON_BAD_SIGNATURE);
    assert_int_equal(r->head.position, 0);
    assert_memory_equal(before, r->head.digest, 32);

    struct errtext why;
    struct ledger_voids voids;
    assert_false(failed(ledger_query_voids(w->ledger, 1, &w->arena, &voids, &why)));
    assert_int_equal(voids.count, 4);
    struct ledger_request_id id = {.party = bytes_text("teller")};
    struct ledger_request_state s;
    memset(id.id, 1, sizeof(id.id));
    assert_false(failed(ledger_query_request(w->ledger, &id, &w->arena, &s, &why)));
    assert_int_equal(s.found, LEDGER_FOUND_VOID);
    assert_int_equal(s.reason, REASON_EXPIRED);
    assert_int_equal(s.height, 1);
    /* Nobody is known to have signed the other one: it says nothing about the id. */
    memset(id.id, 2, sizeof(id.id));
    assert_false(failed(ledger_query_request(w->ledger, &id, &w->arena, &s, &why)));
    assert_int_equal(s.found, LEDGER_FOUND_NOTHING);

    /* The id is still free: the same body in time is answered, and that is what counts then. */
    late.not_after_ns = 0;
    assert_int_equal(world_do(w, &late).end, LEDGER_ACCEPTED);
    memset(id.id, 1, sizeof(id.id));
    assert_false(failed(ledger_query_request(w->ledger, &id, &w->arena, &s, &why)));
    assert_int_equal(s.found, LEDGER_FOUND_ANSWER);
}

static void an_atomic_request_is_done_whole_or_not_at_all(void **state)
{
    struct world *w = *state;
    struct bytes first = opening(w, 1);
    world_apply(w, &first, 1);
    struct plan plan = plan_of(2);
    plan.atomic = true;
    plan.actions[0] = (struct action)PAY("anna", "bert", "4.00 EUR");
    plan.actions[1] = (struct action)CALL("anna", "1");
    plan.actions[2] = (struct action)PAY("anna", "bert", "7.00 EUR");
    plan.actions[3] = (struct action)CALL("anna", "2");
    struct bytes envelope = world_envelope(w, &plan);
    const struct ledger_result *r = world_apply(w, &envelope, 1);
    assert_int_equal(r->rejected, 4);
    const struct ledger_outcome *o = r->applied[0].answer.outcomes;
    assert_text(o[2].clause, "0.4");
    for (int i = 0; i < 4; i++) {
        assert_int_equal(o[i].end, LEDGER_REJECTED);
        assert_int_equal(o[i].position, 2 + i);
        if (i != 2) {
            assert_text(o[i].clause, "0.7");
            assert_text(o[i].text, "event 2 of this atomic request was not accepted (clause 0.4)");
        }
    }
    assert_string_equal(world_balance(w, "test.bank", "purse[anna]"), "10.00 EUR");
    struct ledger_rows_query q = {.place = {bytes_text("test.bank"), bytes_text("visit")}};
    struct ledger_rows rows;
    struct errtext why;
    assert_false(failed(ledger_query_rows(w->ledger, &q, &w->arena, &rows, &why)));
    assert_int_equal(rows.count, 0);

    plan.id = 3;
    plan.actions[2] = (struct action)PAY("anna", "bert", "6.00 EUR");
    envelope = world_envelope(w, &plan);
    r = world_apply(w, &envelope, 1);
    assert_int_equal(r->accepted, 4);
    assert_string_equal(world_balance(w, "test.bank", "purse[bert]"), "20.00 EUR");
    assert_false(failed(ledger_query_rows(w->ledger, &q, &w->arena, &rows, &why)));
    assert_int_equal(rows.count, 2);
    assert_text(rows.json[0], "{\"key\":[\"anna\",1],\"row\":{\"note\":\"x\"}}");

    /* Not atomic: each is judged alone. */
    plan.id = 4;
    plan.atomic = false;
    envelope = world_envelope(w, &plan);
    r = world_apply(w, &envelope, 1);
    assert_int_equal(r->accepted, 2);
    assert_int_equal(r->rejected, 2);
}

static void table_limits_hold_through_roll_backs(void **state)
{
    struct world *w = *state;
    struct plan fill = plan_of(1);
    fill.atomic = true;
    fill.actions[0] = (struct action)CALL("anna", "1");
    fill.actions[1] = (struct action)CALL("anna", "2");
    fill.actions[2] = (struct action)CALL("anna", "3");
    fill.actions[3] = (struct action)CALL("anna", "4");
    struct plan two = plan_of(2);
    two.actions[0] = (struct action)CALL("anna", "5");
    two.actions[1] = (struct action)CALL("anna", "6");
    two.actions[2] = (struct action)CALL("anna", "7");
    two.actions[3] = (struct action)CALL("anna", "8");
    struct bytes block[] = {world_envelope(w, &fill), world_envelope(w, &two)};
    const struct ledger_result *r = world_apply(w, block, 2);
    assert_text(r->applied[0].answer.outcomes[3].clause, "0.5");
    assert_int_equal(r->accepted, 3);
    assert_text(r->applied[1].answer.outcomes[3].clause, "0.5");
    struct plan free_one = plan_of(3);
    free_one.actions[0] = (struct action){"test.bank", "forget", "{\"who\":\"anna\",\"n\":6}"};
    free_one.actions[1] = (struct action)CALL("anna", "9");
    free_one.actions[2] = (struct action)CALL("anna", "10");
    struct bytes envelope = world_envelope(w, &free_one);
    r = world_apply(w, &envelope, 1);
    assert_int_equal(r->accepted, 2);
    assert_int_equal(r->rejected, 1);
}

static void readers_see_nothing_of_a_block_before_its_end(void **state)
{
    struct world *w = *state;
    struct bytes first = opening(w, 1);
    struct bytes block = world_block(w, &first, 1);
    struct ledger_input input = {1, block, (const bool[]){true}};
    struct errtext why;
    assert_false(failed(ledger_apply_begin(w->ledger, &input, &why)));
    int steps = 0;
    while (!ledger_apply_step(w->ledger, 1)) {
        steps++;
        assert_int_equal(ledger_head(w->ledger).height, 0);
        assert_string_equal(world_balance(w, "test.bank", "purse[anna]"), "0.00 EUR");
        assert_int_equal(world_admit(w, first).end, LEDGER_ADMIT_OK);
    }
    assert_true(steps >= 3);
    const struct ledger_result *r = ledger_apply_finish(w->ledger);
    assert_int_equal(r->accepted, 2);
    assert_int_equal(ledger_applied_index(w->ledger), 1);
    assert_string_equal(world_balance(w, "test.bank", "purse[anna]"), "10.00 EUR");
}

static const uint8_t GARBAGE[] = {0, 1, 1, 0, 9};

/* What a faulty or hostile leader may have committed instead of block 2. */
static size_t void_cases(const struct world *w, struct buf *ret)
{
    struct block block = {.height = 2, .time_ns = w->time_ns + 1};
    memcpy(block.previous, w->head.block_hash, 32);
    struct block cases[5] = {block, block, block, block, block};
    cases[0].height = 3;
    cases[1].previous[5] ^= 1;
    cases[2].time_ns = w->time_ns;
    cases[3].time_ns = BLOCK_TIME_NS_MAX;
    for (size_t i = 0; i < 8; i++) {
        buf_init(&ret[i], 1024);
        if (i < 5) {
            block_encode(&cases[i], &ret[i]);
        }
    }
    ret[4].data[1] ^= 2; /* another version */
    buf_put(&ret[5], GARBAGE, sizeof GARBAGE);
    block_encode(&block, &ret[6]);
    buf_put_u8(&ret[6], 0); /* bytes left over; [7] is empty */
    return 8;
}

static void what_is_no_block_is_void_and_changes_nothing(void **state)
{
    static const enum err_code codes[] = {ERR_CONFLICT,    ERR_CONFLICT, ERR_CONFLICT, ERR_CONFLICT,
                                          ERR_UNSUPPORTED, ERR_INVALID,  ERR_INVALID,  ERR_INVALID};
    struct world *w = *state;
    struct buf cases[8];
    uint8_t before[32];
    uint8_t after[32];
    struct errtext why;
    world_apply(w, NULL, 0);
    size_t count = void_cases(w, cases);
    assert_false(failed(ledger_state_digest(w->ledger, before, &why)));
    struct ledger_block_facts last = {.height = 1, .time_ns = w->head.time_ns};
    struct ledger_block_facts got;
    memcpy(last.hash, w->head.block_hash, 32);
    for (size_t i = 0; i < count; i++) {
        struct ledger_input input = {w->raft_index + 1, buf_bytes(&cases[i]), NULL};
        assert_int_equal(ledger_block_follows(&last, input.block, &got, &why).code, codes[i]);
        assert_int_equal(ledger_apply_begin(w->ledger, &input, &why).code, codes[i]);
        assert_true(ledger_apply_void(w->ledger, ++w->raft_index));
        assert_int_equal(ledger_applied_index(w->ledger), w->raft_index);
        assert_int_equal(ledger_void_blocks(w->ledger).count, i + 1);
        buf_done(&cases[i]);
    }
    assert_int_equal(ledger_head(w->ledger).height, 1);
    assert_false(failed(ledger_state_digest(w->ledger, after, &why)));
    assert_memory_equal(before, after, 32);
    world_restart(w);
    assert_int_equal(ledger_void_blocks(w->ledger).count, count);
    assert_int_equal(ledger_void_blocks(w->ledger).last_index, w->raft_index);
    assert_int_equal(ledger_applied_index(w->ledger), w->raft_index);
    struct bytes good = world_block(w, NULL, 0);
    assert_false(failed(ledger_block_follows(&last, good, &got, &why)));
    assert_int_equal(world_apply_block(w, good)->head.height, 2);
    assert_int_equal(got.height, 2);
    assert_memory_equal(got.hash, w->head.block_hash, 32);
    assert_int_equal(got.time_ns, w->head.time_ns);
}

static void a_full_block_voids_what_is_beyond(void **state)
{
    struct world *w = *state;
    struct ledger_cost sum = {0};
    struct ledger_cost one = {.events = 1, .steps = REQUEST_STEPS_MAX / 2};
    assert_true(ledger_cost_add(w->ledger, &sum, &one));
    assert_true(ledger_cost_add(w->ledger, &sum, &one));
    one.steps = 1;
    assert_false(ledger_cost_add(w->ledger, &sum, &one));
    assert_int_equal(sum.events, 2);
    /* Deployments are costed so that five fill a block; the sixth is told to come again. */
    struct bytes block[6];
    for (uint8_t i = 0; i < 6; i++) {
        struct plan plan = {
            .signers = {KEY_GOVERN_VILLE}, .on_behalf = "ledger.ville", .id = (uint8_t)(i + 1)};
        plan.actions[0] = (struct action){"ledger", "contract_deploy", NULL,
                                          world_args_text(w, bytes_text("rules 1"))};
        block[i] = world_envelope(w, &plan);
    }
    const struct ledger_result *r = world_apply(w, block, 6);
    assert_int_equal(r->applied[4].reason, REASON_NONE);
    assert_int_equal(r->applied[5].reason, REASON_BLOCK_FULL);
    r = world_apply(w, &block[5], 1);
    assert_int_equal(r->applied[0].reason, REASON_NONE);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, up, down)
    const struct CMUnitTest tests[] = {
        T(a_request_is_recorded_and_its_effects_stand),
        T(rejections_and_faults_are_recorded_without_effects),
        T(what_no_contract_knows_is_a_recorded_rejection),
        T(a_request_has_one_answer_for_ever),
        T(two_copies_in_one_block_are_done_once),
        T(void_requests_leave_a_list_and_nothing_else),
        T(an_atomic_request_is_done_whole_or_not_at_all),
        T(table_limits_hold_through_roll_backs),
        T(readers_see_nothing_of_a_block_before_its_end),
        T(what_is_no_block_is_void_and_changes_nothing),
        T(a_full_block_voids_what_is_beyond),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
