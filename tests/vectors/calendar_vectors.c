/* Civil time on the 81 cases of data/calendar.json. Vienna, Lisbon and Athens are no zones of the
 * language; they follow the same rule with their own standard time, which is tested directly. */
#include "tests/vectors/vectors.h"

#include <stdio.h>
#include <string.h>

#include "rules/civil.h"

enum { CASES = 81, DAY_S = 86400 };

static struct civil_zone zone_of(const json_t *args)
{
    static const struct {
        const char *name;
        struct civil_zone zone;
    } more[] = {{"Europe/Vienna", {3600, true}},
                {"Europe/Lisbon", {0, true}},
                {"Europe/Athens", {7200, true}}};
    const char *name = vectors_text(args, "zone");
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
        if (strcmp(name, more[i].name) == 0) {
            return more[i].zone;
        }
    }
    struct civil_zone zone = {0};
    assert_int_equal(civil_zone_parse(bytes_text(name), &zone), NUM_OK);
    return zone;
}

static int32_t date_of(const json_t *args, const char *name)
{
    int32_t day = 0;
    assert_int_equal(civil_day_parse(bytes_text(vectors_text(args, name)), &day), NUM_OK);
    return day;
}

static json_t *date_json(int32_t day)
{
    char text[CIVIL_DATE_TEXT_MAX];
    civil_day_print(day, text);
    return json_string(text);
}

static int64_t midnight_of(int32_t day, struct civil_zone zone)
{
    struct civil_time t = {0};
    assert_int_equal(civil_day_midnight(day, zone, &t), NUM_OK);
    assert_int_equal(t.nanos, 0);
    return t.seconds;
}

static json_t *slots(const json_t *args, int32_t from, int32_t before)
{
    struct civil_zone zone = zone_of(args);
    int64_t step = vectors_int(args, "step_s");
    int64_t span = midnight_of(before, zone) - midnight_of(from, zone);
    assert_int_equal(span % step, 0);
    return json_integer(span / step);
}

static json_t *slots_in_day(const json_t *args)
{
    int32_t day = date_of(args, "date");
    return slots(args, day, day + 1);
}

static json_t *slots_in_month(const json_t *args)
{
    int32_t day = date_of(args, "month"), next = 0;
    assert_int_equal(civil_day_month(day), day);
    assert_int_equal(civil_day_add_months(day, 1, CIVIL_MISSING_FAIL, &next), NUM_OK);
    return slots(args, day, next);
}

static json_t *midnight(const json_t *args)
{
    return json_integer(midnight_of(date_of(args, "date"), zone_of(args)));
}

static json_t *day_of(const json_t *args)
{
    struct civil_time t = {vectors_int(args, "ts"), 0};
    int32_t day = 0;
    assert_int_equal(civil_time_day(t, zone_of(args), &day), NUM_OK);
    return date_json(day);
}

/* All instants that the clocks show as this local time, ascending; returns how many. */
static size_t instants_of(const char *local, struct civil_zone zone, int64_t ret[2])
{
    char text[CIVIL_TIME_TEXT_MAX];
    struct civil_time t = {0};
    snprintf(text, sizeof text, "%sZ", local);
    assert_int_equal(civil_time_parse(bytes_text(text), &t), NUM_OK);
    size_t count = 0;
    for (int32_t summer = zone.summer ? 3600 : 0; summer >= 0; summer -= 3600) {
        int64_t at = t.seconds - zone.offset_s - summer;
        int32_t offset = 0;
        assert_int_equal(civil_zone_offset(zone, at, &offset), NUM_OK);
        if (offset == zone.offset_s + summer) {
            ret[count++] = at;
        }
    }
    return count;
}

static json_t *local_to_utc(const json_t *args)
{
    int64_t at[2];
    size_t count = instants_of(vectors_text(args, "local"), zone_of(args), at);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, json_integer(at[i]));
    }
    return list;
}

static int64_t instant_of(const json_t *args, const char *name, const char *fold_name)
{
    int64_t at[2];
    size_t count = instants_of(vectors_text(args, name), zone_of(args), at);
    const json_t *fold = json_object_get(args, fold_name);
    size_t index = fold == NULL ? 0 : (size_t)json_integer_value(fold);
    assert_true(index < count);
    return at[index];
}

static json_t *elapsed_minutes(const json_t *args)
{
    int64_t from = instant_of(args, "from_local", "from_fold");
    return json_integer((instant_of(args, "to_local", "to_fold") - from) / 60);
}

static json_t *iso_week(const json_t *args)
{
    int32_t year = 0;
    int32_t week = civil_day_iso_week(date_of(args, "date"), &year);
    return json_sprintf("%04d-W%02d", year, week);
}

static json_t *add_months(const json_t *args)
{
    const char *mode = vectors_text(args, "mode");
    enum civil_missing missing = strcmp(mode, "down") == 0 ? CIVIL_MISSING_DOWN
                                 : strcmp(mode, "up") == 0 ? CIVIL_MISSING_UP
                                                           : CIVIL_MISSING_FAIL;
    int32_t day = 0;
    enum num_end end =
        civil_day_add_months(date_of(args, "date"), vectors_int(args, "n"), missing, &day);
    assert_true(end == NUM_OK || (end == NUM_CIVIL && missing == CIVIL_MISSING_FAIL));
    return end == NUM_OK ? date_json(day) : json_string("fault");
}

static json_t *days(const json_t *args)
{
    return json_integer((int64_t)date_of(args, "to") - date_of(args, "from"));
}

static bool is_working(int32_t day, const json_t *holidays)
{
    char text[CIVIL_DATE_TEXT_MAX];
    civil_day_print(day, text);
    for (size_t i = 0; i < json_array_size(holidays); i++) {
        if (strcmp(text, json_string_value(json_array_get(holidays, i))) == 0) {
            return false;
        }
    }
    return civil_day_weekday(day) <= 5;
}

static int32_t next_working(int32_t day, int32_t step, const json_t *holidays)
{
    while (!is_working(day, holidays)) {
        day += step;
    }
    return day;
}

static json_t *deadline(const json_t *args)
{
    const json_t *holidays = json_object_get(args, "holidays");
    const char *roll = vectors_text(args, "roll");
    int32_t day = date_of(args, "date");
    int64_t months = json_integer_value(json_object_get(args, "months"));
    int64_t weeks = json_integer_value(json_object_get(args, "weeks"));
    int64_t more = json_integer_value(json_object_get(args, "days"));
    assert_int_equal(civil_day_add_months(day, months, CIVIL_MISSING_DOWN, &day), NUM_OK);
    assert_int_equal(civil_day_add(day, 7 * weeks + more, &day), NUM_OK);
    int64_t working = json_integer_value(json_object_get(args, "working_days"));
    for (; working > 0; working--) {
        day = next_working(day + 1, 1, holidays);
    }
    if (strcmp(roll, "none") != 0) {
        day = next_working(day, strcmp(roll, "next_working_day") == 0 ? 1 : -1, holidays);
    }
    return date_json(day);
}

static void calendar_answers_as_expected(void **state)
{
    static const struct {
        const char *name;
        json_t *(*compute)(const json_t *args);
    } functions[] = {{"slots_in_day", slots_in_day},
                     {"slots_in_month", slots_in_month},
                     {"midnight", midnight},
                     {"day_of", day_of},
                     {"local_to_utc", local_to_utc},
                     {"iso_week", iso_week},
                     {"add_months", add_months},
                     {"days", days},
                     {"elapsed_minutes", elapsed_minutes},
                     {"deadline", deadline}};
    const json_t *one = *state;
    const char *name = vectors_text(one, "fn");
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        if (strcmp(name, functions[i].name) == 0) {
            json_t *got = functions[i].compute(vectors_get(one, "args"));
            vectors_expect(got, vectors_get(one, "expect"));
            return;
        }
    }
    fail_msg("no function '%s'", name);
}

int main(int argc, char **argv)
{
    return argc == 2 ? vectors_run_json(argv[1], CASES, calendar_answers_as_expected) : 2;
}
