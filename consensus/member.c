/* What clients and operators ask of the leader: commands, changes of configuration, transfer. */
#include "base/require.h"
#include "consensus/driver.h"

bool consensus_ready(const struct consensus *c)
{
    return !driver_failed(c) && core_role(c) == CONSENSUS_LEADER &&
           raft_transferee(&c->raft) == 0 && c->term_first != 0 && c->commit >= c->term_first;
}

const char *consensus_answer_name(enum consensus_answer answer)
{
    switch (answer) {
    case CONSENSUS_OK:
        return "ok";
    case CONSENSUS_NOT_LEADER:
        return "not the leader";
    case CONSENSUS_BUSY:
        return "busy";
    case CONSENSUS_TRANSFERRING:
        return "transferring";
    case CONSENSUS_PENDING:
        return "a change is pending";
    case CONSENSUS_NO_QUORUM:
        return "the new quorum is not ready";
    case CONSENSUS_BAD_MEMBER:
        return "not such a member";
    }
    return "?";
}

/* libraft's refusals of a SUBMIT; anything else means that this node must stop. */
static enum consensus_answer submit_answer(struct consensus *c, int rv)
{
    switch (rv) {
    case 0:
        return CONSENSUS_OK;
    case RAFT_NOTLEADER:
        return CONSENSUS_NOT_LEADER;
    case RAFT_CANTCHANGE:
        return CONSENSUS_PENDING;
    case RAFT_NOSPACE:
    case RAFT_BUSY:
        return CONSENSUS_BUSY;
    default: /* an int, not an enum */
        driver_must(c, rv);
        return CONSENSUS_NOT_LEADER;
    }
}

enum consensus_answer consensus_submit(struct consensus *c, struct bytes data,
                                       struct consensus_position *ret)
{
    require(data.size > 0 && data.size <= BLOCK_BYTES_MAX);
    require(ret != NULL);
    if (driver_failed(c) || core_role(c) != CONSENSUS_LEADER) {
        return CONSENSUS_NOT_LEADER;
    }
    if (raft_transferee(&c->raft) != 0) {
        return CONSENSUS_TRANSFERRING;
    }
    /* T23: the core takes entries without limit. */
    if (raft_last_index(&c->raft) - c->commit >= 2 * (uint64_t)c->options.inflight &&
        guard_on(c, GUARD_WINDOW)) {
        return CONSENSUS_BUSY;
    }
    struct entry *e = entry_new(0, ENTRY_COMMAND, data);
    struct consensus_position position = {0};
    enum consensus_answer answer = submit_answer(c, driver_submit(c, e, &position.index));
    position.term = e->term;
    entry_unref(e);
    if (answer == CONSENSUS_OK) {
        *ret = position;
    }
    return answer;
}

/* ---- configurations ---- */

/* T14b: a server that does not know yet that it votes refuses to vote. So a majority of the new
 * voters must already hold the present configuration. */
static bool quorum_aware(const struct consensus *c, const struct conf *wish)
{
    uint32_t aware = 0;
    for (uint32_t i = 0; i < wish->count; i++) {
        const struct conf_server *s = &wish->servers[i];
        raft_index match = 0;
        if (s->member != CONSENSUS_VOTER) {
            continue;
        }
        struct conf now;
        driver_conf(c, &now);
        bool votes_now = conf_member(&now, s->id) == CONSENSUS_VOTER;
        bool holds = raft_match_index(&c->raft, s->id, &match) == 0 && match >= c->conf_fed_index;
        aware += votes_now && (s->id == c->options.id || holds);
    }
    return aware > conf_voters(wish) / 2;
}

/* The configuration with id's role changed: one server differs, the order stays (the core rebuilds
 * its progress only when the number changes). */
static enum consensus_answer conf_change(struct conf *conf, uint64_t id, enum consensus_member wish)
{
    uint32_t at = 0;
    while (at < conf->count && conf->servers[at].id != id) {
        at++;
    }
    if (at == conf->count) {
        if (wish == CONSENSUS_STRANGER || conf->count == NODES_MAX) {
            return CONSENSUS_BAD_MEMBER;
        }
        conf->servers[conf->count++] = (struct conf_server){id, wish};
        return CONSENSUS_OK;
    }
    if (conf->servers[at].member == wish) {
        return CONSENSUS_BAD_MEMBER; /* it is that already */
    }
    conf->servers[at].member = wish;
    if (wish == CONSENSUS_STRANGER) {
        for (conf->count--; at < conf->count; at++) {
            conf->servers[at] = conf->servers[at + 1];
        }
    }
    return CONSENSUS_OK;
}

static enum consensus_answer propose(struct consensus *c, const struct conf *conf)
{
    struct buf bytes;
    uint64_t index = 0;
    buf_init(&bytes, CONF_BYTES_MAX);
    conf_encode(conf, &bytes);
    require(!bytes.overflow);
    struct entry *e = entry_new(0, ENTRY_CHANGE, buf_bytes(&bytes));
    buf_done(&bytes);
    enum consensus_answer answer = submit_answer(c, driver_submit(c, e, &index));
    entry_unref(e);
    return answer;
}

enum consensus_answer consensus_change(struct consensus *c, uint64_t id, enum consensus_member wish)
{
    struct conf conf;
    require(wish == CONSENSUS_STANDBY || wish == CONSENSUS_VOTER || wish == CONSENSUS_STRANGER);
    if (driver_failed(c) || core_role(c) != CONSENSUS_LEADER) {
        return CONSENSUS_NOT_LEADER;
    }
    /* T3: a change before the leader has committed in its own term can meet another leader's
     * change without a common majority (Ongaro, raft-dev, 2015). */
    if (!consensus_ready(c) && guard_on(c, GUARD_OWN_TERM)) {
        return CONSENSUS_BUSY;
    }
    if (c->raft.configuration_uncommitted_index != 0) {
        return CONSENSUS_PENDING;
    }
    /* T4: a leader that demotes itself lets a follower elect itself in the same term. */
    if (id == 0 || id >= RAFT_NUMBER_MAX || (id == c->options.id && guard_on(c, GUARD_SELF))) {
        return CONSENSUS_BAD_MEMBER;
    }
    driver_conf(c, &conf);
    enum consensus_answer answer = conf_change(&conf, id, wish);
    if (answer != CONSENSUS_OK) {
        return answer;
    }
    if (!quorum_aware(c, &conf) && guard_on(c, GUARD_AWARE)) {
        return CONSENSUS_NO_QUORUM;
    }
    return propose(c, &conf);
}

static void catch_up(struct consensus *c, uint64_t id)
{
    struct raft_event e = {.type = RAFT_CATCH_UP};
    e.catch_up.server_id = id;
    driver_must(c, driver_step(c, &e, NULL));
}

enum consensus_answer consensus_promote(struct consensus *c, uint64_t id)
{
    struct conf conf;
    raft_index match = 0;
    int status = 0;
    /* T18: CATCH_UP on another node than a leader, or for a node that is no standby, crashes the
     * core: all is checked. */
    if (!guard_on(c, GUARD_CATCH_UP)) {
        catch_up(c, id);
        return CONSENSUS_BUSY;
    }
    if (driver_failed(c) || core_role(c) != CONSENSUS_LEADER) {
        return CONSENSUS_NOT_LEADER;
    }
    if (!consensus_ready(c)) {
        return CONSENSUS_BUSY;
    }
    driver_conf(c, &conf);
    if (conf_member(&conf, id) != CONSENSUS_STANDBY || id == c->options.id ||
        raft_match_index(&c->raft, id, &match) != 0 || raft_catch_up(&c->raft, id, &status) != 0) {
        return CONSENSUS_BAD_MEMBER;
    }
    if (status == RAFT_CATCH_UP_RUNNING) {
        return CONSENSUS_BUSY;
    }
    /* A standby that is level would never finish: the core looks only when it makes progress. */
    if (status == RAFT_CATCH_UP_FINISHED || match == raft_last_index(&c->raft)) {
        return consensus_change(c, id, CONSENSUS_VOTER);
    }
    catch_up(c, id);
    return CONSENSUS_BUSY;
}

enum consensus_answer consensus_transfer(struct consensus *c, uint64_t id)
{
    struct conf conf;
    raft_index match = 0;
    if (driver_failed(c) || core_role(c) != CONSENSUS_LEADER) {
        return CONSENSUS_NOT_LEADER;
    }
    if (raft_transferee(&c->raft) != 0) {
        return CONSENSUS_TRANSFERRING;
    }
    if (!consensus_ready(c)) {
        return CONSENSUS_BUSY;
    }
    driver_conf(c, &conf);
    if (conf_member(&conf, id) != CONSENSUS_VOTER || id == c->options.id ||
        raft_match_index(&c->raft, id, &match) != 0) {
        return CONSENSUS_BAD_MEMBER;
    }
    /* Whoever is silent would not campaign, and commands would wait for an election timeout. */
    if (status_silent(c, id, 1)) {
        return CONSENSUS_BUSY;
    }
    /* T20: the core tells the target to campaign at its first acknowledgement, level or not. */
    if (match != raft_last_index(&c->raft) && guard_on(c, GUARD_CAUGHT_UP)) {
        return CONSENSUS_BUSY;
    }
    struct raft_event e = {.type = RAFT_TRANSFER};
    e.transfer.server_id = id;
    driver_must(c, driver_step(c, &e, NULL));
    return CONSENSUS_OK;
}
