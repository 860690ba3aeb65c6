/* Target: readings_parse. */
#include <stddef.h>
#include <stdint.h>

#include "base/require.h"
#include "cli/readings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct readings r;
    struct errtext why;
    if (!failed(readings_parse("f", bytes_of(data, size), &r, &why))) {
        for (size_t i = 0; i < r.slot_count; i++) {
            require(i == 0 || r.slots[i - 1].start_s < r.slots[i].start_s);
            require(r.slots[i].first + r.slots[i].count <= r.item_count);
            require(r.slots[i].count > 0);
            for (size_t k = 0; k < r.slots[i].count; k++) {
                const struct reading *item = &r.items[r.slots[i].first + k];
                require(item->point < r.point_count);
                require(item->mwh >= 0);
                require(k == 0 || item[-1].point < item->point);
            }
        }
        readings_done(&r);
    }
    return 0;
}
