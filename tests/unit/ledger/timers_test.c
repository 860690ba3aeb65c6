/* Timers fire inside the log: before a block's own events, in order, once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "world.h"

static const char *const CLOCK[] = {"tests/unit/ledger/clock.rules"};

static int up(void **state)
{
    static struct world w;
    world_open(&w, CLOCK, 1);
    *state = &w;
    return 0;
}

static int down(void **state)
{
    world_close(*state);
    return 0;
}

#define assert_text(b, text) assert_string_equal(world_text(w, b), text)

static struct plan wake(uint8_t id, const char *json)
{
    return (struct plan){.actions = {{"test.clock", "wake", json}},
                         .signers = {KEY_TELLER},
                         .on_behalf = "teller",
                         .id = id};
}

static size_t alarms(struct world *w)
{
    struct ledger_rows_query q = {.place = {bytes_text("test.clock"), bytes_text("alarm")}};
    struct ledger_rows rows;
    struct errtext why;
    assert_false(failed(ledger_query_rows(w->ledger, &q, &w->arena, &rows, &why)));
    return rows.count;
}

static void a_timer_fires_once_before_the_next_block(void **state)
{
    struct world *w = *state;
    assert_int_equal(ledger_timer_next_ns(w->ledger), UINT64_MAX);
    struct plan plan = wake(1, "{\"name\":\"egg\",\"after\":\"90s\"}");
    assert_int_equal(world_do(w, &plan).end, LEDGER_ACCEPTED);
    uint64_t due = w->time_ns + UINT64_C(90000000000);
    assert_int_equal(ledger_timer_next_ns(w->ledger), due);
    const struct ledger_result *r = world_apply(w, NULL, 0);
    assert_int_equal(r->timers, 0);
    world_restart(w);
    assert_int_equal(ledger_timer_next_ns(w->ledger), due);
    w->time_ns = due;
    r = world_apply(w, NULL, 0);
    assert_int_equal(r->timers, 1);
    assert_int_equal(r->accepted, 1);
    assert_int_equal(alarms(w), 1);
    assert_string_equal(world_balance(w, "test.clock", "pot"), "0.01 EUR");
    assert_int_equal(ledger_timer_next_ns(w->ledger), UINT64_MAX);
    r = world_apply(w, NULL, 0);
    assert_int_equal(r->timers, 0);

    struct ledger_records_query q = {.from = 1};
    struct ledger_records records;
    struct errtext why;
    assert_false(failed(ledger_query_records(w->ledger, &q, &w->arena, &records, &why)));
    assert_int_equal(records.count, 1);
    assert_int_equal(records.records[0].record.kind, RECORD_TIMER);
    assert_int_equal(records.records[0].record.schedule_position, 0);
    assert_text(records.records[0].outcome.action, "ring");
}

static void a_timer_is_not_for_people_nor_for_too_soon(void **state)
{
    struct world *w = *state;
    struct plan plan = wake(1, NULL);
    plan.actions[0].name = "ring";
    plan.actions[0].json = "{\"name\":\"egg\"}";
    struct ledger_outcome o = world_do(w, &plan);
    assert_text(o.clause, "0.2");
    plan = wake(2, "{\"name\":\"egg\",\"after\":\"59s\"}");
    o = world_do(w, &plan);
    assert_int_equal(o.end, LEDGER_FAULT);
    assert_text(o.kind, "range");
}

static void a_rolled_back_request_schedules_nothing(void **state)
{
    struct world *w = *state;
    struct plan plan = wake(1, "{\"name\":\"egg\",\"after\":\"90s\"}");
    plan.atomic = true;
    plan.actions[1] = (struct action){"test.clock", "wake", "{\"name\":\"egg\",\"after\":\"1s\"}"};
    assert_int_equal(world_do(w, &plan).end, LEDGER_REJECTED);
    assert_int_equal(ledger_timer_next_ns(w->ledger), UINT64_MAX);
    plan.id = 2;
    plan.actions[1].json = "{\"name\":\"tea\",\"after\":\"80s\"}";
    assert_int_equal(world_do(w, &plan).end, LEDGER_ACCEPTED);
    w->time_ns += UINT64_C(200000000000);
    const struct ledger_result *r = world_apply(w, NULL, 0);
    assert_int_equal(r->timers, 2);
    assert_int_equal(alarms(w), 2);
    struct ledger_records_query q = {.from = 4};
    struct ledger_records records;
    struct errtext why;
    assert_false(failed(ledger_query_records(w->ledger, &q, &w->arena, &records, &why)));
    /* In order of time, not of scheduling. */
    assert_non_null(strstr(world_text(w, records.records[0].effects_json), "tea"));
    assert_non_null(strstr(world_text(w, records.records[1].effects_json), "egg"));
}

static void more_than_may_fire_makes_the_block_wait(void **state)
{
    struct world *w = *state;
    for (uint8_t block = 0; block < 7; block++) {
        struct plan plan = wake((uint8_t)(block + 1), NULL);
        for (size_t i = 0; i < 10; i++) {
            plan.actions[i] = (struct action){
                "test.clock", "wake",
                arena_printf(&w->arena, "{\"name\":\"%u-%zu\",\"after\":\"90s\"}", block, i)};
        }
        assert_int_equal(world_do(w, &plan).end, LEDGER_ACCEPTED);
    }
    w->time_ns += UINT64_C(200000000000);
    struct plan plan = wake(99, "{\"name\":\"own\",\"after\":\"90s\"}");
    struct bytes envelope = world_envelope(w, &plan);
    const struct ledger_result *r = world_apply(w, &envelope, 1);
    assert_int_equal(r->timers, 64);
    assert_int_equal(r->applied[0].answer.outcomes[0].end, LEDGER_REJECTED);
    assert_text(r->applied[0].answer.outcomes[0].clause, "0.6");
    plan.id = 100;
    envelope = world_envelope(w, &plan);
    r = world_apply(w, &envelope, 1);
    assert_int_equal(r->timers, 6);
    assert_int_equal(r->applied[0].answer.outcomes[0].end, LEDGER_ACCEPTED);
    assert_int_equal(alarms(w), 70);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, up, down)
    const struct CMUnitTest tests[] = {
        T(a_timer_fires_once_before_the_next_block),
        T(a_timer_is_not_for_people_nor_for_too_soon),
        T(a_rolled_back_request_schedules_nothing),
        T(more_than_may_fire_makes_the_block_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
