/* Target: civil_day_parse, civil_time_parse, civil_duration_parse, civil_zone_parse and their
 * printers; what is read is printed and read again, and is put on the clocks of a zone. */
#include <stddef.h>
#include <stdint.h>

#include "base/require.h"
#include "rules/civil.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void show_on_clocks(struct civil_time t, struct civil_zone zone)
{
    struct civil_parts parts;
    struct civil_time midnight;
    int32_t day, again, year;
    if (civil_time_split(t, zone, &parts) != NUM_OK) {
        return;
    }
    require(civil_time_day(t, zone, &day) == NUM_OK);
    require(civil_day_make(parts.date, &again) == NUM_OK);
    require(again == day);
    require(civil_day_iso_week(day, &year) <= 53);
    if (civil_day_midnight(day, zone, &midnight) == NUM_OK) {
        require(civil_time_compare(midnight, t) <= 0);
        require(civil_time_day(midnight, zone, &again) == NUM_OK);
        require(again == day);
    }
}

static void read_time(struct bytes text, struct civil_zone zone)
{
    char printed[CIVIL_TIME_TEXT_MAX];
    struct civil_time t, again;
    int32_t day, day_again;
    if (civil_time_parse(text, &t) == NUM_OK) {
        size_t length = civil_time_print(t, printed);
        require(civil_time_parse(bytes_of(printed, length), &again) == NUM_OK);
        require(civil_time_compare(t, again) == 0);
        show_on_clocks(t, zone);
    }
    if (civil_day_parse(text, &day) == NUM_OK) {
        size_t length = civil_day_print(day, printed);
        require(civil_day_parse(bytes_of(printed, length), &day_again) == NUM_OK);
        require(day == day_again);
    }
}

static void read_duration(struct bytes text)
{
    char printed[CIVIL_DURATION_TEXT_MAX];
    int64_t nanos, again;
    if (civil_duration_parse(text, &nanos) == NUM_OK) {
        size_t length = civil_duration_print(nanos, printed);
        require(civil_duration_parse(bytes_of(printed, length), &again) == NUM_OK);
        require(nanos == again);
    }
}

/* The input is a length, a zone of that length, and a text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct civil_zone zone = {3600, true};
    size_t zone_size = size > 0 ? data[0] % 20 : 0;
    if (size == 0 || size - 1 < zone_size) {
        return 0;
    }
    struct civil_zone named;
    if (civil_zone_parse(bytes_of(data + 1, zone_size), &named) == NUM_OK) {
        zone = named;
    }
    struct bytes text = bytes_of(data + 1 + zone_size, size - 1 - zone_size);
    read_time(text, zone);
    read_duration(text);
    return 0;
}
