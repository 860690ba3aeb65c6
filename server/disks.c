/* Whose disk is whose (identity.h), and whether this node still takes part. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/require.h"
#include "server/frames.h"
#include "server/parts.h"

enum {
    UNWANTED_SECONDS = 5,         /* so long others must refuse this node before it believes them */
    UNWANTED_JOINER_SECONDS = 30, /* a joiner: the others have applied its block by then */
};

static struct member_peer *peer_of(struct node *n, uint64_t id)
{
    struct member_peer *room = NULL;
    for (size_t i = 0; i < NODES_MAX; i++) {
        struct member_peer *p = &n->members.peers[i];
        if (p->id == id) {
            return p;
        }
        room = p->id == 0 && room == NULL ? p : room;
    }
    if (room != NULL) {
        *room = (struct member_peer){.id = id};
    }
    return room; /* NULL: more peers than nodes, which the links do not admit */
}

static const struct member_peer *peer_known(const struct node *n, uint64_t id)
{
    for (size_t i = 0; i < NODES_MAX; i++) {
        if (n->members.peers[i].id == id) {
            return &n->members.peers[i];
        }
    }
    return NULL;
}

bool members_hears(const struct node *n, uint64_t id)
{
    const struct member_peer *p = peer_known(n, id);
    return p != NULL && p->proven;
}

bool members_speaks_to(const struct node *n, uint64_t id)
{
    const struct member_peer *p = peer_known(n, id);
    return p == NULL || !p->other_disk;
}

static void send_disk(struct node *n, uint64_t to, uint8_t type, const uint8_t disk[DISK_ID_SIZE])
{
    struct buf frame;
    buf_init(&frame, 1 + DISK_ID_SIZE);
    buf_put_u8(&frame, DISK_FRAME_VERSION);
    buf_put(&frame, disk, DISK_ID_SIZE);
    struct bytes part = buf_bytes(&frame);
    err e = peer_send(n->links, to, type, &part, 1);
    (void)e; /* The link broke: the next one begins with it again. */
    buf_done(&frame);
}

void members_link(struct node *n, uint64_t peer, enum peer_direction direction, bool up)
{
    struct member_peer *p = peer_of(n, peer);
    if (p == NULL) {
        return;
    }
    if (direction == PEER_DIRECTION_IN) {
        p->proven = false; /* each link begins with the proof */
    } else if (up) {
        send_disk(n, peer, FRAME_DISK, n->members.disk.disk);
    }
}

static void alarm_other_disk(struct node *n, uint64_t id)
{
    const struct ledger_node *row = members_find(n, id);
    alarm_raise(n, ALARM_DISK, id,
                "node %llu (%.*s) came back with another disk than it had; what it says is ignored",
                (unsigned long long)id, row == NULL ? 0 : (int)row->name.size,
                row == NULL ? "" : (const char *)row->name.data);
}

void members_disk(struct node *n, uint64_t from, struct bytes frame)
{
    uint8_t disk[DISK_ID_SIZE];
    struct errtext why;
    struct disk_identity *id = &n->members.disk;
    struct member_peer *p = peer_of(n, from);
    if (!frame_disk_read(frame, disk) || p == NULL) {
        host_frame_refused(n, from, "a malformed disk id");
        return;
    }
    enum identity_judgement judgement = identity_judge(id, from, disk);
    if (judgement == IDENTITY_NEW) {
        err e = identity_add(id, from, disk);
        if (!failed(e)) {
            e = identity_save(n->config.data, id, &why);
        }
        if (failed(e)) {
            node_fail(n, "the disk id of node %llu cannot be kept: %s", (unsigned long long)from,
                      why.text);
            return;
        }
        judgement = IDENTITY_KNOWN;
    }
    p->proven = judgement == IDENTITY_KNOWN;
    p->other_disk = judgement == IDENTITY_OTHER;
    memcpy(p->shown, disk, DISK_ID_SIZE);
    if (p->other_disk) {
        alarm_other_disk(n, from);
        send_disk(n, from, FRAME_STRANGER, disk);
    }
}

/* ---- does this node still take part? ---- */

static void leave(struct node *n, const char *why)
{
    n->members.removed = true;
    node_fail(n, "%s", why);
}

void members_stranger(struct node *n, uint64_t from, struct bytes frame)
{
    uint8_t disk[DISK_ID_SIZE];
    struct member_peer *p = peer_of(n, from);
    if (!frame_disk_read(frame, disk) || p == NULL) {
        host_frame_refused(n, from, "a malformed disk id");
        return;
    }
    p->calls_us_stranger = memcmp(disk, n->members.disk.disk, DISK_ID_SIZE) == 0;
    size_t others = 0;
    size_t say_so = 0;
    for (size_t i = 0; i < n->members.count; i++) {
        const struct member_peer *o = peer_known(n, n->members.rows[i].id);
        others += n->members.rows[i].id != n->id;
        say_so += o != NULL && o->calls_us_stranger;
    }
    if (2 * say_so > others) {
        char why[ERR_TEXT_MAX];
        snprintf(
            why, sizeof why,
            "%zu of the %zu other nodes know node %llu with another disk: a node that has lost "
            "its data may not come back under its number, because it could vote twice; "
            "replace it (`concordat node replace %llu`)",
            say_so, others, (unsigned long long)n->id, (unsigned long long)n->id);
        leave(n, why);
    }
}

/* Others that refuse the link of this node because their ledger does not have it any more. One that
 * knows from its own ledger that it was removed also takes a failed handshake for that: with its
 * last node an institution's CA leaves the others' lists, and then nothing can be said by name. */
static size_t refusals(const struct node *n, bool gone, size_t *ret_others)
{
    uint64_t ids[NODES_MAX];
    size_t count = peer_ids(n->links, ids);
    size_t refused = 0;
    for (size_t i = 0; i < count; i++) {
        struct peer_status s;
        bool known = !failed(peer_status(n->links, ids[i], &s));
        bool by_name = known && (s.last_reason == PEER_REASON_UNKNOWN_NODE ||
                                 s.last_reason == PEER_REASON_REMOVED);
        bool by_tls = known && gone && s.last_reason == PEER_REASON_TLS;
        refused += known && !s.out_up && (by_name || by_tls);
    }
    *ret_others = count;
    return refused;
}

static void check_part(struct node *n)
{
    struct members *m = &n->members;
    const struct ledger_node *row = ledger_node_find(n->ledger, n->id);
    size_t others = 0;
    struct consensus_status s;
    consensus_status(n->consensus, &s);
    bool gone = row != NULL && row->wish == LEDGER_WISH_REMOVED;
    size_t refused = refusals(n, gone, &others);
    bool out = gone && s.member == CONSENSUS_STRANGER && !s.changing;
    /* One alone proves nothing: it may be behind, or joining with an older table. */
    bool unwanted = 2 * refused > others;
    m->unwanted_seconds = unwanted || out ? m->unwanted_seconds + 1 : 0;
    /* It joins: the others will know it when they have applied its block, which is long done when
     * a majority goes on not knowing it. */
    bool joins = row == NULL || m->bootstrap.count > 0;
    if (joins && unwanted && m->unwanted_seconds == UNWANTED_SECONDS) {
        log_warn("%zu of %zu nodes do not know this node: is the bootstrap table newer than its "
                 "`concordat node add`?",
                 refused, others);
    }
    if (m->unwanted_seconds >= (joins ? UNWANTED_JOINER_SECONDS : UNWANTED_SECONDS)) {
        char why[ERR_TEXT_MAX];
        snprintf(why, sizeof why,
                 "node %llu (%s of %s) was removed from the ledger%s; its data is not needed any "
                 "more, and the machine can come back as a new node (`concordat node add`)",
                 (unsigned long long)n->id, n->config.node, n->config.institution,
                 gone ? "" : ", as most of the others say");
        leave(n, why);
    }
}

/* Again and again: the link to it may not have been up when it was seen. */
static void tell_strangers(struct node *n)
{
    for (size_t i = 0; i < NODES_MAX; i++) {
        const struct member_peer *p = &n->members.peers[i];
        if (p->id != 0 && p->other_disk) {
            send_disk(n, p->id, FRAME_STRANGER, p->shown);
        }
    }
}

void members_second(struct node *n)
{
    if (n->failure[0] == '\0') {
        tell_strangers(n);
        check_part(n);
        loop_post(n->loop, &n->members.task);
    }
}
