/* Recovery of one segment: tells a torn last write from damage. */
#include <string.h>

#include "base/require.h"
#include "storage/logformat.h"

/* The end of the last byte that is not zero, at least from. */
static size_t dirty_end(struct bytes segment, size_t from)
{
    size_t end = segment.size;
    while (end - from >= 8) {
        uint64_t word;
        memcpy(&word, segment.data + end - 8, sizeof word);
        if (word != 0) {
            break;
        }
        end -= 8;
    }
    while (end > from && segment.data[end - 1] == 0) {
        end--;
    }
    return end;
}

/* A head of a group behind the damage that is newer than the damaged one: a group is written only
 * after all before it were synced, so whether its own body is sound does not matter. */
static bool later_group(const struct log_scan *s)
{
    for (size_t at = s->at; at < s->dirty_end; at += LOG_GROUP_ALIGN) {
        struct log_group g;
        if (log_group_head_decode(s->segment, at, s->seed, &g) && g.number > s->group_next) {
            return true;
        }
    }
    return false;
}

static enum log_scan_end damaged(struct log_scan *s, const char *reason)
{
    s->reason = reason;
    return LOG_SCAN_DAMAGED;
}

enum log_scan_end log_scan_run(struct log_scan *s)
{
    require(s->group_next > 0);
    require(s->at % LOG_GROUP_ALIGN == 0);
    require(s->at <= s->segment.size);
    struct log_group g;
    while (s->group_next != s->group_limit && log_group_decode(s->segment, s->at, s->seed, &g) &&
           g.number == s->group_next) {
        if (!s->on_group(s->ctx, &g, s->at)) {
            return damaged(s, "entries that contradict the log before them");
        }
        s->at += g.size;
        s->group_next++;
    }
    require(s->at <= s->segment.size); /* a sound group ends inside the file */
    s->dirty_end = s->at;
    if (s->group_next == s->group_limit) {
        return LOG_SCAN_CLEAN;
    }
    s->dirty_end = dirty_end(s->segment, s->at);
    if (s->group_limit != 0) {
        return damaged(s, "the next segment says that more was synced here");
    }
    if (s->dirty_end == s->at) {
        return LOG_SCAN_CLEAN;
    }
    return later_group(s) ? damaged(s, "a later group lies behind it") : LOG_SCAN_TORN;
}
