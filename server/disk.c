/* A disk that fills up. Each second the free space of the data directory gives a level:
 *
 *   ROOM --(free < disk_low)--> LOW --(free < disk_stop)--> STOP
 *        <--(free > disk_low + 1/8)--   <--(free > disk_stop + 1/8)--
 *
 * LOW refuses business requests, STOP governance too; reads and status go on, and so does
 * replication: what others have committed must be stored as long as it can be. The log is cut by
 * checkpoints, so space comes back; the eighth keeps a level from flapping. */
#include "base/log.h"
#include "base/require.h"
#include "server/parts.h"
#include "storage/dir.h"

static const char *level_name(enum disk_level level)
{
    switch (level) {
    case DISK_ROOM:
        return "enough";
    case DISK_LOW:
        return "low: no new business requests";
    case DISK_STOP:
        return "nearly gone: no new requests at all";
    }
    return "?";
}

enum disk_level disk_level_next(enum disk_level now, uint64_t free_bytes, uint64_t low_bytes,
                                uint64_t stop_bytes)
{
    require(stop_bytes <= low_bytes);
    uint64_t low = now >= DISK_LOW ? low_bytes + low_bytes / 8 : low_bytes;
    uint64_t stop = now == DISK_STOP ? stop_bytes + stop_bytes / 8 : stop_bytes;
    if (free_bytes < stop) {
        return DISK_STOP;
    }
    return free_bytes < low ? DISK_LOW : DISK_ROOM;
}

/* Voters, this node included, whose disk is at most at this level, as far as this node hears. */
static uint32_t voters_with_room(struct node *n, const struct consensus_status *s,
                                 enum disk_level most)
{
    uint32_t count = s->member == CONSENSUS_VOTER && n->disk_level <= most;
    uint64_t now = loop_now_ns(n->loop);
    for (uint32_t i = 0; i < s->peer_count; i++) {
        const struct told *t = gossip_of(n, s->peers[i].id);
        bool heard = t != NULL && t->id == s->peers[i].id && now - t->received_ns < TOLD_FRESH_NS;
        count += s->peers[i].member == CONSENSUS_VOTER && heard && t->disk_level <= most;
    }
    return count;
}

bool disk_refuses(struct node *n, bool governance, struct refusal *ret)
{
    enum disk_level most = governance ? DISK_LOW : DISK_ROOM;
    if (n->disk_level > most) {
        *ret = refusal_of(REASON_DISK_LOW,
                          "the leader's disk has %llu MiB left; send the request again later",
                          (unsigned long long)(n->disk_free_bytes >> 20));
        return true;
    }
    if (n->disks_short <= most) {
        return false;
    }
    *ret = refusal_of(REASON_DISK_LOW, "too few of the voting nodes have room on their disks; "
                                       "send the request again later");
    return true;
}

/* The leader hands over while another voter is better off: nothing has to be refused then. */
static void leave_to_another(struct node *n)
{
    uint64_t now = loop_now_ns(n->loop);
    if (n->role != CONSENSUS_LEADER || n->disk_level == DISK_ROOM || n->failure[0] != '\0' ||
        (n->disk_handed_ns != 0 && now - n->disk_handed_ns < DISK_HAND_OVER_NS)) {
        return;
    }
    if (handover_begin(n, n->disk_level)) {
        n->disk_handed_ns = now;
    }
}

void disk_sample(struct node *n)
{
    struct errtext why;
    struct consensus_status s;
    if (failed(dir_free_bytes(n->config.data, &n->disk_free_bytes, &why))) {
        n->disk_free_bytes = 0; /* a disk that cannot even say so takes nothing more */
    }
    enum disk_level level =
        disk_level_next(n->disk_level, n->disk_free_bytes, (uint64_t)n->config.disk_low_mib << 20,
                        (uint64_t)n->config.disk_stop_mib << 20);
    if (level != n->disk_level) {
        log_line(level == DISK_ROOM ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
                 "disk space is %s (%llu MiB)", level_name(level),
                 (unsigned long long)(n->disk_free_bytes >> 20));
        n->disk_level = level;
        loop_post(n->loop, &n->pump_task);
    }
    consensus_status(n->consensus, &s);
    uint32_t quorum = s.voters / 2 + 1;
    n->disks_short = DISK_ROOM;
    for (enum disk_level most = DISK_ROOM; most < DISK_STOP; most++) {
        /* With too few voters in reach nothing is committed anyway: that has its own answer. */
        bool heard = voters_with_room(n, &s, DISK_STOP) >= quorum;
        if (heard && voters_with_room(n, &s, most) < quorum) {
            n->disks_short = most + 1;
        }
    }
    leave_to_another(n);
}
