/* Alarms that events raise: one for each (code, node), with since when and when last, until the
 * cause is provably gone. Those that follow from figures (disk, certificate, silence) are computed
 * for each status instead. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/require.h"
#include "server/parts.h"

/* The alarm of this code about this node, or NULL. */
/* Its place, or ALARMS_RAISED_MAX. */
static size_t place_of(const struct node *n, enum alarm_code code, uint64_t node)
{
    size_t i = 0;
    while (i < ALARMS_RAISED_MAX && (n->raised[i].since_ns == 0 || n->raised[i].code != code ||
                                     n->raised[i].node != node)) {
        i++;
    }
    return i;
}

static struct raised *find(struct node *n, enum alarm_code code, uint64_t node)
{
    size_t at = place_of(n, code, node);
    return at == ALARMS_RAISED_MAX ? NULL : &n->raised[at];
}

bool alarm_is_raised(const struct node *n, enum alarm_code code, uint64_t node)
{
    return place_of(n, code, node) < ALARMS_RAISED_MAX;
}

/* A free place, or that of the alarm which was not heard of for longest: ids of nodes are not
 * reused, so over the years there may be more pairs than places. */
static struct raised *place(struct node *n)
{
    struct raised *oldest = &n->raised[0];
    for (size_t i = 0; i < ALARMS_RAISED_MAX; i++) {
        struct raised *r = &n->raised[i];
        if (r->since_ns == 0) {
            return r;
        }
        oldest = r->last_ns < oldest->last_ns ? r : oldest;
    }
    return oldest;
}

void alarm_raise(struct node *n, enum alarm_code code, uint64_t node, const char *fmt, ...)
{
    require(n != NULL);
    require(code < ALARM_COUNT);
    struct raised *r = find(n, code, node);
    uint64_t now = clock_wall_ns(&n->clock);
    bool first = r == NULL;
    if (first) {
        r = place(n);
        *r = (struct raised){.code = code, .node = node, .since_ns = now == 0 ? 1 : now};
    }
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->text, sizeof r->text, fmt, ap);
    va_end(ap);
    r->last_ns = now;
    if (first) {
        log_error("alarm: %s", r->text);
    }
}

void alarm_clear(struct node *n, enum alarm_code code, uint64_t node)
{
    struct raised *r = find(n, code, node);
    if (r != NULL) {
        log_info("alarm is over: %s", r->text);
        r->since_ns = 0;
    }
}

/* A clock that has been right for a while is right; what a node did that is not in the ledger's
 * table any more is nobody's concern. Everything else stays until its cause is disproved, or until
 * this node starts anew. */
static bool is_over(struct node *n, const struct raised *r, uint64_t now)
{
    bool gone = r->node != 0 && members_find(n, r->node) == NULL;
    switch (r->code) {
    case ALARM_CLOCK:
    case ALARM_BLOCK_EARLY:
    case ALARM_PEER_GARBLES:
        return gone || (now > r->last_ns && now - r->last_ns > ALARM_CLOCK_NS);
    case ALARM_DIVERGED:
    case ALARM_PEER_LIES:
    case ALARM_VOID_BLOCK:
    case ALARM_DISK:
    case ALARM_TWO_HEADS:
    case ALARM_HEAD_DIFFERS:
        return gone;
    case ALARM_LOG_DAMAGED:
    case ALARM_STATE_DAMAGED:
    case ALARM_COUNT:
        break;
    }
    return false;
}

void alarm_expire(struct node *n)
{
    uint64_t now = clock_wall_ns(&n->clock);
    for (size_t i = 0; i < ALARMS_RAISED_MAX; i++) {
        struct raised *r = &n->raised[i];
        if (r->since_ns != 0 && is_over(n, r, now)) {
            alarm_clear(n, r->code, r->node);
        }
    }
}

const char *alarm_name(enum alarm_code code)
{
    switch (code) {
    case ALARM_DIVERGED:
        return "digest-differs";
    case ALARM_CLOCK:
        return "clock-ahead";
    case ALARM_PEER_LIES:
        return "log-contradicted";
    case ALARM_PEER_GARBLES:
        return "frames-malformed";
    case ALARM_VOID_BLOCK:
        return "void-block";
    case ALARM_BLOCK_EARLY:
        return "block-stamped-ahead";
    case ALARM_LOG_DAMAGED:
        return "log-damaged";
    case ALARM_STATE_DAMAGED:
        return "state-damaged";
    case ALARM_DISK:
        return "other-disk";
    case ALARM_TWO_HEADS:
        return "two-heads";
    case ALARM_HEAD_DIFFERS:
        return "head-differs";
    case ALARM_COUNT:
        break;
    }
    return "?";
}

const char *alarm_remedy(enum alarm_code code)
{
    switch (code) {
    case ALARM_DIVERGED:
        return "stop both nodes' writes and compare their ledgers";
    case ALARM_CLOCK:
        return "synchronise the clock of this node (chrony, ntpd)";
    case ALARM_PEER_LIES:
        return "stop that node and examine its disk";
    case ALARM_PEER_GARBLES:
        return "compare the versions of both nodes; if they are equal, stop that node and examine "
               "it";
    case ALARM_VOID_BLOCK:
        return "stop that node and examine its software; what was sent to it is sent again";
    case ALARM_BLOCK_EARLY:
        return "compare the clocks of both nodes (chronyc tracking) and mend the wrong one";
    case ALARM_LOG_DAMAGED:
        return "examine the disk (smartctl, dmesg); the segment goes when the next checkpoint cuts "
               "the log behind it; until then the node would not start again: do not stop it, or "
               "replace it while the others are well";
    case ALARM_STATE_DAMAGED:
        return "examine the disk (smartctl, dmesg); the node replaces its state by itself, from a "
               "checkpoint of the others and its own log";
    case ALARM_DISK:
        return "replace it: `concordat node replace`";
    case ALARM_TWO_HEADS:
        return "the institutions decide: `concordat node replace` or `concordat node remove`; "
               "until then business requests are refused; both heads are in data/evidence";
    case ALARM_HEAD_DIFFERS:
        return "stop that node, keep its data directory, and replace it (`concordat node "
               "replace`); both heads are in data/evidence";
    case ALARM_COUNT:
        break;
    }
    return "";
}

/* ---- what others say of their height ---- */

uint64_t gossip_height(struct node *n, const struct consensus_status *s)
{
    uint64_t own = ledger_head(n->ledger).height;
    uint64_t heights[NODES_MAX + 1];
    size_t count = 0;
    if (s->member == CONSENSUS_VOTER) {
        heights[count++] = own;
    }
    for (uint32_t i = 0; i < s->peer_count && i < NODES_MAX; i++) {
        const struct told *t = gossip_of(n, s->peers[i].id);
        if (s->peers[i].member != CONSENSUS_VOTER || t == NULL || t->id != s->peers[i].id) {
            continue;
        }
        size_t at = count++;
        while (at > 0 && heights[at - 1] > t->height) {
            heights[at] = heights[at - 1];
            at--;
        }
        heights[at] = t->height;
    }
    uint64_t median = count == 0 ? 0 : heights[count / 2];
    return median > own ? median : own;
}
