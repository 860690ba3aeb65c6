/* What an operator sees, and what the peers' clocks say. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/require.h"
#include "consensus/driver.h"

const char *consensus_role_name(enum consensus_role role)
{
    switch (role) {
    case CONSENSUS_UNAVAILABLE:
        return "unavailable";
    case CONSENSUS_FOLLOWER:
        return "follower";
    case CONSENSUS_CANDIDATE:
        return "candidate";
    case CONSENSUS_LEADER:
        return "leader";
    }
    return "?";
}

/* ---- contacts: the core keeps no time of last contact ---- */

static const struct contact *contact_of(const struct consensus *c, uint64_t id)
{
    for (uint32_t i = 0; i < NODES_MAX; i++) {
        if (c->contacts[i].id == id) {
            return &c->contacts[i];
        }
    }
    return NULL;
}

/* The slot of id, or a free one, or that of a node which has left the configuration. */
static struct contact *contact_slot(struct consensus *c, uint64_t id)
{
    struct contact *slot = NULL;
    struct conf conf;
    driver_conf(c, &conf);
    for (uint32_t i = 0; i < NODES_MAX; i++) {
        struct contact *k = &c->contacts[i];
        if (k->id == id) {
            return k;
        }
        if (slot == NULL && (k->id == 0 || conf_member(&conf, k->id) == CONSENSUS_STRANGER)) {
            slot = k;
        }
    }
    return slot;
}

void status_contact(struct consensus *c, uint64_t id, uint64_t clock_ns)
{
    struct contact *k = contact_slot(c, id);
    if (k == NULL) {
        return;
    }
    uint64_t now = now_ms(c);
    if (k->id != id) {
        *k = (struct contact){.id = id};
    }
    if (clock_ns != 0) {
        k->clock_ns = clock_ns;
        k->clock_ms = now;
    }
    k->contact_ms = now;
}

bool status_silent(const struct consensus *c, uint64_t id, uint32_t elections)
{
    const struct contact *k = contact_of(c, id);
    return k == NULL || now_ms(c) - k->contact_ms > (uint64_t)elections * c->options.election_ms;
}

bool status_tell(struct consensus *c, uint64_t id, uint64_t index)
{
    struct contact *k = contact_slot(c, id);
    if (k == NULL || k->id != id || k->told == index) {
        return false;
    }
    k->told = index;
    return true;
}

/* A peer's clock as it is now, by what it last said and the time since: saturating, for it may say
 * anything. */
static uint64_t contact_clock(const struct contact *k, uint64_t now)
{
    uint64_t since_ns = (now - k->clock_ms) * NS_PER_MS;
    return k->clock_ns > UINT64_MAX - since_ns ? UINT64_MAX : k->clock_ns + since_ns;
}

static int compare_u64(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;
    return (*x > *y) - (*x < *y);
}

uint64_t consensus_median_clock(const struct consensus *c, uint64_t own_ns)
{
    uint64_t clocks[NODES_MAX + 1];
    uint32_t count = 0;
    struct conf conf;
    driver_conf(c, &conf);
    for (uint32_t i = 0; i < conf.count; i++) {
        const struct conf_server *s = &conf.servers[i];
        const struct contact *k = contact_of(c, s->id);
        if (s->member != CONSENSUS_VOTER) {
            continue;
        }
        if (s->id == c->options.id) {
            clocks[count++] = own_ns;
        } else if (k != NULL && k->clock_ns != 0) {
            clocks[count++] = contact_clock(k, now_ms(c));
        }
    }
    if (count == 0) {
        return own_ns;
    }
    require(count <= NODES_MAX);
    qsort(clocks, count, sizeof clocks[0], compare_u64);
    return clocks[(count - 1) / 2];
}

/* ---- status ---- */

static struct consensus_peer peer_status(const struct consensus *c, const struct conf_server *s)
{
    struct consensus_peer peer = {.id = s->id, .member = s->member};
    const struct contact *k = contact_of(c, s->id);
    raft_index match = 0;
    if (core_role(c) == CONSENSUS_LEADER && raft_match_index(&c->raft, s->id, &match) == 0) {
        peer.match = match;
    }
    if (k != NULL) {
        peer.contacted = true;
        peer.last_contact_ms = k->contact_ms;
        peer.clock_ns = k->clock_ns;
    }
    return peer;
}

static int compare_peers(const void *a, const void *b)
{
    const struct consensus_peer *x = a;
    const struct consensus_peer *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static void status_peers(const struct consensus *c, struct consensus_status *s)
{
    struct conf conf;
    driver_conf(c, &conf);
    s->member = conf_member(&conf, c->options.id);
    s->voters = conf_voters(&conf);
    for (uint32_t i = 0; i < conf.count; i++) {
        if (conf.servers[i].id != c->options.id) {
            s->peers[s->peer_count++] = peer_status(c, &conf.servers[i]);
        }
    }
    qsort(s->peers, s->peer_count, sizeof s->peers[0], compare_peers);
}

void consensus_status(const struct consensus *c, struct consensus_status *ret)
{
    const char *address = NULL;
    raft_id leader = 0;
    struct raft *core = (struct raft *)&c->raft; /* raft_leader only reads */
    raft_leader(core, &leader, &address);
    *ret = (struct consensus_status){
        .role = core_role(c),
        .id = c->options.id,
        .term = raft_current_term(&c->raft),
        .vote = raft_voted_for(&c->raft),
        .leader = leader,
        .ready = consensus_ready(c),
        .changing = c->raft.configuration_uncommitted_index != 0,
        .installing = c->installing,
        .commit = c->commit,
        .stored = c->raft.last_stored,
        .given = c->given,
        .applied = c->applied,
        .first_index = c->log.first,
        .last_index = memlog_last(&c->log),
        .snapshot_index = c->snapshot.index,
        .cache_bytes = c->log.bytes,
        .reads_waiting = c->round.waiting,
    };
    if (ret->role == CONSENSUS_LEADER) {
        ret->transferee = raft_transferee(&c->raft);
    }
    status_peers(c, ret);
}
