/* log_scan_run and the record decoder on arbitrary bytes: the salt comes with the input, so that
 * the fuzzer can reach sound groups by mutating the seed corpus; the first two bytes choose whether
 * checksums are mended first. Whatever is found must lie inside the file and be in order. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/require.h"
#include "storage/logformat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct watch {
    const uint8_t *start;
    size_t size, groups;
    uint64_t next;
};

static bool on_group(void *ctx, const struct log_group *g, size_t at)
{
    struct watch *w = ctx;
    require(g->number == w->next);
    require(at + g->size <= w->size);
    require(g->body.data >= w->start + at);
    require(g->body.data + g->body.size <= w->start + at + g->size);
    struct bytes body = g->body;
    struct log_record r;
    bool bad = false;
    uint64_t sum = 0;
    while (log_record_next(&body, &r, &bad)) {
        for (size_t i = 0; i < r.data.size; i++) {
            sum += r.data.data[i];
        }
        require(r.index > 0);
    }
    w->next++;
    w->groups += sum != 1;
    return !bad;
}

/* Makes what looks like a group at `at` sound, so that the fuzzer gets behind the checksums. */
static size_t mend(uint8_t *data, size_t size, size_t at, uint32_t seed)
{
    if (size - at < LOG_GROUP_HEAD_BYTES) {
        return size;
    }
    uint8_t *head = data + at;
    uint32_t body = (uint32_t)head[27] << 8 | head[28];
    size_t whole = log_group_size(body);
    head[25] = head[26] = head[37] = head[38] = head[39] = head[40] = 0;
    memcpy(head, "\0\0\0\x10", 4);
    head[24] = LOG_TYPE_GROUP;
    if (whole > size - at) {
        return size;
    }
    uint32_t crc = crc32c(seed, head + LOG_GROUP_HEAD_BYTES, whole - LOG_GROUP_HEAD_BYTES);
    for (int i = 0; i < 4; i++) {
        head[33 + i] = (uint8_t)(crc >> (24 - 8 * i));
    }
    crc = log_record_crc(head, bytes_of(head + LOG_RECORD_HEAD_BYTES, 16), seed);
    for (int i = 0; i < 4; i++) {
        head[4 + i] = (uint8_t)(crc >> (24 - 8 * i));
    }
    return at + whole;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4) {
        return 0;
    }
    uint32_t seed = log_seed(data[1]);
    size -= 4;
    uint8_t *copy = malloc(size + 1);
    require(copy != NULL);
    memcpy(copy, data + 4, size);
    for (size_t at = 0, round = 0; at < size && round < data[0] % 8U; round++) {
        at = mend(copy, size, at, seed);
    }
    struct watch w = {copy, size, 0, 1 + data[2] % 4U};
    struct log_scan s = {.segment = bytes_of(copy, size), .seed = seed, .ctx = &w};
    s.group_next = w.next;
    s.group_limit = data[3] % 8U;
    s.group_limit = s.group_limit < s.group_next ? 0 : s.group_limit;
    s.on_group = on_group;
    (void)log_scan_run(&s);
    require(s.at <= size);
    require(s.dirty_end <= size);
    require(s.group_next >= 1);
    struct log_segment head;
    if (!failed(log_segment_decode(bytes_of(copy, size < 64 ? size : 64), &head))) {
        require(head.number > 0);
    }
    free(copy);
    return 0;
}
