/* What nodes tell each other once a second, so that each can show the status of all without asking
 * anybody, and so that two that reached different digests at one height find out.
 *
 *   u8 version | u64 term | u64 height | u64 position | 32 digest | u8 role | u8 flags
 *   | u64 disk free | u64 sync p99 us | i64 certificate days left | u32 size, version text
 *   | u64 size of the newest complete checkpoint | u64 since when, wall clock */
#include <stdio.h>
#include <string.h>

#include "server/frames.h"
#include "server/parts.h"
#include "server/version.h"

struct told *gossip_of(struct node *n, uint64_t id)
{
    struct told *free_slot = NULL;
    for (size_t i = 0; i < NODES_MAX; i++) {
        if (n->told[i].id == id) {
            return &n->told[i];
        }
        if (n->told[i].id == 0 && free_slot == NULL) {
            free_slot = &n->told[i];
        }
    }
    return free_slot;
}

static void describe_self(struct node *n, struct told *t)
{
    struct ledger_head head = ledger_head(n->ledger);
    struct logstore_stats log;
    logstore_stats(n->log, &log);
    int64_t left_s = n->certificate_not_after_s - (int64_t)(clock_wall_ns(&n->clock) / NS_PER_S);
    *t = (struct told){
        .id = n->id,
        .received_ns = loop_now_ns(n->loop),
        .term = n->term,
        .height = head.height,
        .position = head.position,
        .role = (uint8_t)n->role,
        .draining = n->draining,
        .disk_slow = n->members.disk_slow,
        .disk_level = n->disk_level,
        .disk_free_bytes = n->disk_free_bytes,
        .sync_p99_us = log.sync_p99_ns / NS_PER_US,
        .certificate_days_left = left_s / 86400 - (left_s < 0),
        .cosigned_size = n->heads.newest_size,
        .cosigned_ns = n->heads.newest_ns,
    };
    memcpy(t->digest, head.digest, 32);
    snprintf(t->version, sizeof t->version, "%s", CONCORDAT_VERSION);
}

void gossip_describe_self(struct node *n)
{
    struct told *self = gossip_of(n, n->id);
    if (self != NULL) {
        describe_self(n, self);
    }
}

static uint8_t flags_of(const struct told *t)
{
    unsigned flags = t->draining ? GOSSIP_DRAINING : 0;
    flags |= t->disk_slow ? GOSSIP_DISK_SLOW : 0;
    flags |= t->disk_level >= DISK_LOW ? GOSSIP_DISK_LOW : 0;
    flags |= t->disk_level == DISK_STOP ? GOSSIP_DISK_STOP : 0;
    return (uint8_t)flags;
}

void gossip_send(struct node *n)
{
    struct told *self = gossip_of(n, n->id);
    uint64_t ids[NODES_MAX];
    if (self == NULL) {
        return;
    }
    describe_self(n, self);
    struct buf frame;
    buf_init(&frame, GOSSIP_BYTES_MAX);
    buf_put_u8(&frame, GOSSIP_VERSION);
    buf_put_u64(&frame, self->term);
    buf_put_u64(&frame, self->height);
    buf_put_u64(&frame, self->position);
    buf_put(&frame, self->digest, 32);
    buf_put_u8(&frame, self->role);
    buf_put_u8(&frame, flags_of(self));
    buf_put_u64(&frame, self->disk_free_bytes);
    buf_put_u64(&frame, self->sync_p99_us);
    buf_put_i64(&frame, self->certificate_days_left);
    buf_put_sized(&frame, bytes_text(self->version));
    buf_put_u64(&frame, self->cosigned_size);
    buf_put_u64(&frame, self->cosigned_ns);
    struct bytes part = buf_bytes(&frame);
    size_t count = peer_ids(n->links, ids);
    for (size_t i = 0; i < count; i++) {
        err e = peer_send(n->links, ids[i], FRAME_GOSSIP, &part, 1);
        (void)e; /* A node that is down hears the next one. */
    }
    buf_done(&frame);
}

void gossip_note(struct node *n, const struct ledger_head *head)
{
    struct reached *r = &n->reached[head->height % CATCH_UP_BLOCKS];
    r->height = head->height;
    memcpy(r->digest, head->digest, 32);
}

/* Two ledgers of one height must have one digest: otherwise one of the nodes computed something
 * else, and neither may decide alone which. The node that is ahead remembers its last digests. */
static void compare_digest(struct node *n, const struct told *t)
{
    const struct reached *r = &n->reached[t->height % CATCH_UP_BLOCKS];
    if (t->height == 0 || r->height != t->height) {
        return;
    }
    if (memcmp(t->digest, r->digest, 32) == 0) {
        /* The digest is a chain: equal now, it is equal all the way down. */
        alarm_clear(n, ALARM_DIVERGED, t->id);
    } else {
        alarm_raise(n, ALARM_DIVERGED, t->id,
                    "node %llu has another digest than this node at height %llu",
                    (unsigned long long)t->id, (unsigned long long)t->height);
    }
}

void gossip_receive(struct node *n, uint64_t from, struct bytes frame)
{
    struct frame_gossip f;
    struct told *slot = gossip_of(n, from);
    if (slot == NULL || !frame_gossip_read(frame, &f)) {
        return; /* A newer node tells more elsewhere; an older one nothing. */
    }
    struct told t = {
        .id = from,
        .received_ns = loop_now_ns(n->loop),
        .term = f.term,
        .height = f.height,
        .position = f.position,
        .role = f.role,
        .draining = f.draining,
        .disk_slow = f.disk_slow,
        .disk_level = f.disk_level,
        .disk_free_bytes = f.disk_free_bytes,
        .sync_p99_us = f.sync_p99_us,
        .certificate_days_left = f.certificate_days_left,
        .cosigned_size = f.cosigned_size,
        .cosigned_ns = f.cosigned_ns,
    };
    memcpy(t.digest, f.digest, sizeof t.digest);
    memcpy(t.version, f.version, sizeof t.version);
    *slot = t;
    compare_digest(n, &t);
    heads_told(n, &t);
}
