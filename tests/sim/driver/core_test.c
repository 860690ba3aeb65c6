/* What the core of libraft 0.22.1 does in the corners that the driver guards, each as the shortest
 * sequence of steps. A test that fails here says that the core has changed: read the contract
 * again before anything else. Two corners that crash the process are left out: entry 1 repeated to
 * a compacted log (trap T7) and CATCH_UP on a follower (T18). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/conf.h"

enum { LOG_MAX = 64 };

struct core {
    struct raft raft;
    struct raft_update update; /* of the last step */
    raft_time now;
    uint8_t conf[CONF_BYTES_MAX]; /* of entry 1 */
};

/* ---- the core, driven bare ---- */

/* "1v2v3s": ids and roles; 'p' is a spare, which the driver never uses. */
static void conf_of(const char *spec, struct raft_configuration *ret)
{
    raft_configuration_init(ret);
    for (const char *p = spec; *p != '\0'; p += 2) {
        const char address[2] = {p[0], '\0'};
        int role = p[1] == 'v' ? RAFT_VOTER : p[1] == 's' ? RAFT_STANDBY : RAFT_SPARE;
        assert_int_equal(raft_configuration_add(ret, (raft_id)(p[0] - '0'), address, role), 0);
    }
}

static struct raft_buffer conf_bytes(const char *spec, uint8_t ret[CONF_BYTES_MAX])
{
    struct raft_configuration conf;
    struct raft_buffer b;
    conf_of(spec, &conf);
    assert_int_equal(raft_configuration_encode(&conf, &b), 0);
    assert_true(b.len <= CONF_BYTES_MAX);
    memcpy(ret, b.base, b.len);
    size_t size = b.len;
    raft_free(b.base);
    raft_configuration_close(&conf);
    return (struct raft_buffer){ret, size};
}

static bool conf_is(const struct raft_configuration *conf, const char *spec)
{
    char text[2 * NODES_MAX + 1];
    size_t size = 0;
    for (unsigned i = 0; i < conf->n; i++) {
        text[size++] = (char)('0' + conf->servers[i].id);
        text[size++] = "svp"[conf->servers[i].role];
    }
    text[size] = '\0';
    return strcmp(text, spec) == 0;
}

static int step(struct core *k, struct raft_event *e)
{
    e->time = k->now;
    k->update = (struct raft_update){0};
    return raft_step(&k->raft, e, &k->update);
}

/* A log of entry 1, the configuration, and one command a character of terms ('1' to '9'). */
static void start(struct core *k, raft_id id, const char *conf, raft_term term, const char *terms)
{
    struct raft_entry v[LOG_MAX] = {{.term = 1, .type = RAFT_CHANGE}};
    struct raft_event e = {.type = RAFT_START};
    unsigned n = 1;
    *k = (struct core){.now = 10000};
    v[0].buf = conf_bytes(conf, k->conf);
    for (; *terms != '\0'; terms++) {
        v[n++] = (struct raft_entry){.term = (raft_term)(*terms - '0'), .type = RAFT_COMMAND};
    }
    assert_int_equal(raft_init(&k->raft, NULL, NULL, id, "x"), 0);
    k->raft.tracer = NULL;
    raft_seed(&k->raft, (unsigned)id * 77);
    e.start.term = term;
    e.start.start_index = 1;
    e.start.entries = v;
    e.start.n_entries = n;
    assert_int_equal(step(k, &e), 0);
}

static void stop(struct core *k)
{
    raft_close(&k->raft, NULL);
}

static int receive(struct core *k, raft_id from, struct raft_message m)
{
    struct raft_event e = {.type = RAFT_RECEIVE};
    m.server_id = from;
    m.server_address = "y";
    e.receive.message = &m;
    return step(k, &e);
}

static void append(struct core *k, raft_id from, struct raft_append_entries ae,
                   struct raft_entry *v, unsigned n)
{
    void *batch = n > 0 ? raft_malloc(1) : NULL;
    struct raft_message m = {.type = RAFT_APPEND_ENTRIES};
    for (unsigned i = 0; i < n; i++) {
        v[i].batch = batch;
    }
    ae.entries = v;
    ae.n_entries = n;
    m.append_entries = ae;
    assert_int_equal(receive(k, from, m), 0);
    if (k->update.flags & RAFT_UPDATE_ENTRIES) {
        raft_free(k->update.entries.batch[0].batch);
    }
}

static void persisted(struct core *k, raft_index index)
{
    struct raft_event e = {.type = RAFT_PERSISTED_ENTRIES};
    e.persisted_entries.index = index;
    assert_int_equal(step(k, &e), 0);
}

/* The result of an AppendEntries, of the core's own term. */
static void result(struct core *k, raft_id from, raft_index rejected, raft_index last)
{
    struct raft_message m = {.type = RAFT_APPEND_ENTRIES_RESULT};
    m.append_entries_result =
        (struct raft_append_entries_result){.version = 2,
                                            .term = raft_current_term(&k->raft),
                                            .rejected = rejected,
                                            .last_log_index = last};
    assert_int_equal(receive(k, from, m), 0);
}

static int submit(struct core *k, struct raft_entry *v, unsigned n)
{
    struct raft_event e = {.type = RAFT_SUBMIT};
    void *batch = raft_malloc(1);
    for (unsigned i = 0; i < n; i++) {
        v[i].term = raft_current_term(&k->raft);
        v[i].batch = batch;
    }
    e.submit.entries = v;
    e.submit.n = n;
    int rv = step(k, &e);
    raft_free(batch);
    return rv;
}

static void submit_command(struct core *k)
{
    struct raft_entry v = {.type = RAFT_COMMAND};
    assert_int_equal(submit(k, &v, 1), 0);
}

static void configured(struct core *k, raft_index index, const char *spec)
{
    struct raft_event e = {.type = RAFT_CONFIGURATION};
    e.configuration.index = index;
    conf_of(spec, &e.configuration.conf);
    assert_int_equal(step(k, &e), 0);
}

static void tick(struct core *k)
{
    struct raft_event e = {.type = RAFT_TIMEOUT};
    k->now = raft_timeout(&k->raft);
    assert_int_equal(step(k, &e), 0);
}

/* The core, not alone, becomes leader of the next term with everybody's vote. */
static void elect(struct core *k)
{
    tick(k);
    for (unsigned i = 0; i < k->raft.configuration.n; i++) {
        const struct raft_server *s = &k->raft.configuration.servers[i];
        struct raft_message m = {.type = RAFT_REQUEST_VOTE_RESULT};
        m.request_vote_result = (struct raft_request_vote_result){
            .version = 2, .term = raft_current_term(&k->raft), .vote_granted = true};
        if (s->id != k->raft.id && s->role == RAFT_VOTER && raft_state(&k->raft) != RAFT_LEADER) {
            assert_int_equal(receive(k, s->id, m), 0);
        }
    }
    if (k->update.flags & RAFT_UPDATE_ENTRIES) {
        raft_free(k->update.entries.batch[0].batch); /* the barrier */
    }
    assert_int_equal(raft_state(&k->raft), RAFT_LEADER);
}

/* Number of entries that the last step sends to id; -1: nothing. */
static int entries_sent(const struct core *k, raft_id id)
{
    int count = -1;
    for (unsigned i = 0; i < k->update.messages.n; i++) {
        const struct raft_message *m = &k->update.messages.batch[i];
        if (m->server_id == id && m->type == RAFT_APPEND_ENTRIES) {
            count = (int)m->append_entries.n_entries;
        }
    }
    return count;
}

/* ---- configurations ---- */

static void t8_a_change_is_recorded_at_the_first_index_of_its_message(void **state)
{
    (void)state;
    struct core k;
    uint8_t bytes[CONF_BYTES_MAX];
    struct raft_entry v[3] = {{.term = 2, .type = RAFT_COMMAND},
                              {.term = 2, .type = RAFT_COMMAND},
                              {.term = 2, .type = RAFT_CHANGE}};
    const struct raft_append_entries ae = {
        .term = 2, .prev_log_index = 1, .prev_log_term = 1, .leader_commit = 1};
    start(&k, 2, "1v2v3v", 1, "");
    v[2].buf = conf_bytes("1v2v3v4s", bytes);
    append(&k, 1, ae, v, 3);
    assert_int_equal(k.raft.configuration_uncommitted_index, 2); /* it stands at 4 */
    persisted(&k, 4);
    configured(&k, 4, "1v2v3v4s");
    assert_int_equal(k.raft.configuration_uncommitted_index, 2); /* for ever */
    stop(&k);
    start(&k, 2, "1v2v3v", 1, "");
    append(&k, 1, ae, v, 3);
    persisted(&k, 4);
    struct raft_entry w = {.term = 3, .type = RAFT_COMMAND};
    append(&k, 3,
           (struct raft_append_entries){
               .term = 3, .prev_log_index = 3, .prev_log_term = 2, .leader_commit = 1},
           &w, 1);
    assert_true(conf_is(&k.raft.configuration, "1v2v3v4s")); /* which the log no longer has */
    stop(&k);
}

static void t9_a_second_change_hides_the_first(void **state)
{
    (void)state;
    struct core k;
    uint8_t one[CONF_BYTES_MAX];
    uint8_t two[CONF_BYTES_MAX];
    struct raft_entry a = {.term = 2, .type = RAFT_CHANGE, .buf = conf_bytes("1v2v3v4s", one)};
    struct raft_entry b = {.term = 2, .type = RAFT_CHANGE, .buf = conf_bytes("1v2v3v4v", two)};
    struct raft_entry c = {.term = 3, .type = RAFT_COMMAND};
    struct raft_append_entries ae = {
        .term = 2, .prev_log_index = 1, .prev_log_term = 1, .leader_commit = 1};
    start(&k, 2, "1v2v3v", 1, "");
    append(&k, 1, ae, &a, 1);
    persisted(&k, 2);
    ae.prev_log_index = 2;
    ae.prev_log_term = 2;
    append(&k, 1, ae, &b, 1); /* so 2 is committed */
    persisted(&k, 3);
    ae.term = 3;
    append(&k, 3, ae, &c, 1);                              /* a new leader, without 3 */
    assert_true(conf_is(&k.raft.configuration, "1v2v3v")); /* the log says 1v2v3v4s */
    stop(&k);
}

static void t17_an_error_in_a_batch_leaves_the_trail_too_long(void **state)
{
    (void)state;
    struct core k;
    uint8_t bytes[CONF_BYTES_MAX];
    struct raft_entry change = {.type = RAFT_CHANGE, .buf = conf_bytes("1v2v3v4s", bytes)};
    struct raft_entry both[2] = {{.type = RAFT_COMMAND}, change};
    start(&k, 1, "1v2v3v", 1, "");
    elect(&k);
    assert_int_equal(submit(&k, &change, 1), 0);
    raft_index before = raft_last_index(&k.raft);
    assert_int_equal(submit(&k, both, 2), RAFT_CANTCHANGE);
    assert_int_equal(raft_last_index(&k.raft), before + 1);
    stop(&k);
}

/* ---- commit and acknowledgement ---- */

static void t10_the_commit_index_goes_back(void **state)
{
    (void)state;
    struct core k;
    struct raft_entry v[6];
    for (int i = 0; i < 6; i++) {
        v[i] = (struct raft_entry){.term = 2, .type = RAFT_COMMAND};
    }
    start(&k, 2, "1v2v3v", 1, "");
    append(&k, 1,
           (struct raft_append_entries){
               .term = 2, .prev_log_index = 1, .prev_log_term = 1, .leader_commit = 7},
           v, 6);
    assert_int_equal(raft_commit_index(&k.raft), 7);
    append(&k, 1,
           (struct raft_append_entries){
               .term = 2, .prev_log_index = 3, .prev_log_term = 2, .leader_commit = 20},
           v, 0);
    assert_int_equal(raft_commit_index(&k.raft), 3);
    stop(&k);
}

static void t2_any_last_index_is_an_acknowledgement(void **state)
{
    (void)state;
    struct core k;
    start(&k, 1, "1v2v3v", 6, "666");
    elect(&k);
    submit_command(&k);
    persisted(&k, raft_last_index(&k.raft));
    result(&k, 2, 0, UINT64_C(0x7ffd12345678));
    assert_int_equal(raft_commit_index(&k.raft), raft_last_index(&k.raft));
    stop(&k);
}

static void t6_a_stale_rejection_starves_a_peer(void **state)
{
    (void)state;
    struct core k;
    start(&k, 1, "1v2v3v", 1, "1111");
    elect(&k); /* barrier at 6 */
    result(&k, 2, 0, 5);
    for (int i = 0; i < 14; i++) { /* 2 is silent and is probed again from 6 on */
        tick(&k);
        result(&k, 3, 0, 5);
    }
    result(&k, 2, 5, 2); /* an old rejection of 5, from before the acknowledgement */
    int sent = -1;
    for (int i = 0; i < 60; i++) {
        tick(&k);
        sent = entries_sent(&k, 2) >= 0 ? entries_sent(&k, 2) : sent;
        result(&k, 3, 0, 5);
        if (i % 2 == 1) {
            result(&k, 2, 0, 2);
        }
    }
    assert_int_equal(sent, 0);
    stop(&k);
}

static void t15_a_peer_that_lost_its_disk_is_starved(void **state)
{
    (void)state;
    struct core k;
    start(&k, 1, "1v2v3v", 1, "1111");
    elect(&k);
    result(&k, 2, 0, 6);
    result(&k, 3, 0, 6);
    persisted(&k, 6);
    int sent = -1;
    for (int i = 0; i < 100; i++) {
        tick(&k);
        raft_index prev = 0;
        for (unsigned m = 0; m < k.update.messages.n; m++) {
            const struct raft_message *message = &k.update.messages.batch[m];
            if (message->server_id == 2 && message->type == RAFT_APPEND_ENTRIES) {
                prev = message->append_entries.prev_log_index;
                sent = (int)message->append_entries.n_entries;
            }
        }
        if (prev != 0) {
            result(&k, 2, prev, 0);
        }
        result(&k, 3, 0, 6);
    }
    assert_int_equal(sent, 0);
    stop(&k);
}

/* ---- elections and time ---- */

static void t4_a_single_voter_elects_itself_in_its_old_term(void **state)
{
    (void)state;
    struct core k;
    start(&k, 1, "1v2s", 5, "5");
    assert_int_equal(raft_state(&k.raft), RAFT_LEADER);
    assert_int_equal(raft_current_term(&k.raft), 5);
    assert_int_equal(raft_voted_for(&k.raft), 0);
    stop(&k);
}

static void t14_a_refused_pre_vote_hides_the_term(void **state)
{
    (void)state;
    struct core k;
    struct raft_message m = {.type = RAFT_REQUEST_VOTE};
    m.request_vote = (struct raft_request_vote){.version = 2,
                                                .term = 8,
                                                .candidate_id = 1,
                                                .last_log_index = 90,
                                                .last_log_term = 7,
                                                .pre_vote = true};
    start(&k, 2, "1v2v3v", 13, "1");
    assert_int_equal(receive(&k, 1, m), 0);
    const struct raft_request_vote_result *v = &k.update.messages.batch[0].request_vote_result;
    assert_false(v->vote_granted);
    assert_int_equal(v->term, 8);
    stop(&k);
}

static void t13_a_capacity_threshold_stops_half_way_through_an_election(void **state)
{
    (void)state;
    struct core k;
    struct raft_message m = {.type = RAFT_REQUEST_VOTE_RESULT};
    m.request_vote_result = (struct raft_request_vote_result){
        .version = 2, .term = 2, .vote_granted = true, .features = 1, .capacity = 5};
    start(&k, 1, "1v2v3v", 1, "1");
    raft_set_capacity_threshold(&k.raft, 100);
    tick(&k);
    assert_int_equal(receive(&k, 2, m), RAFT_NOSPACE);
    assert_int_equal(raft_state(&k.raft), RAFT_LEADER);
    stop(&k);
}

static void t12_the_timeout_of_a_leader_can_stay_in_the_past(void **state)
{
    (void)state;
    struct core k;
    uint8_t bytes[CONF_BYTES_MAX];
    struct raft_entry c = {.type = RAFT_CHANGE, .buf = conf_bytes("1v2v3v4p", bytes)};
    start(&k, 1, "1v2v3v4s", 1, "");
    elect(&k);
    result(&k, 2, 0, 1);
    result(&k, 3, 0, 1);
    assert_int_equal(submit(&k, &c, 1), 0);
    persisted(&k, raft_last_index(&k.raft));
    result(&k, 2, 0, raft_last_index(&k.raft));
    configured(&k, raft_last_index(&k.raft), "1v2v3v4p");
    for (int i = 0; i < 50; i++) {
        struct raft_event e = {.type = RAFT_TIMEOUT};
        k.now += 100;
        assert_int_equal(step(&k, &e), 0);
        result(&k, 2, 0, raft_last_index(&k.raft));
        result(&k, 3, 0, raft_last_index(&k.raft));
        assert_true(raft_timeout(&k.raft) <= k.now);
    }
    stop(&k);
}

static void a_clock_that_steps_back_costs_the_leadership(void **state)
{
    (void)state;
    struct core k;
    struct raft_event e = {.type = RAFT_TIMEOUT};
    start(&k, 1, "1v2v3v", 1, "");
    elect(&k);
    result(&k, 2, 0, 1);
    result(&k, 3, 0, 1);
    k.now += 100;
    assert_int_equal(step(&k, &e), 0);
    assert_int_equal(raft_state(&k.raft), RAFT_LEADER);
    k.now -= 1;
    assert_int_equal(step(&k, &e), 0);
    assert_int_equal(raft_state(&k.raft), RAFT_FOLLOWER);
    stop(&k);
}

static void t20_the_target_of_a_transfer_is_called_too_early(void **state)
{
    (void)state;
    struct core k;
    struct raft_event e = {.type = RAFT_TRANSFER};
    bool called = false;
    start(&k, 1, "1v2v3v", 1, "");
    elect(&k);
    result(&k, 2, 0, 1);
    result(&k, 3, 0, 1);
    for (int i = 0; i < 5; i++) {
        submit_command(&k);
        persisted(&k, raft_last_index(&k.raft));
    }
    e.transfer.server_id = 2;
    assert_int_equal(step(&k, &e), 0);
    result(&k, 2, 0, 2); /* acknowledges one entry of five */
    for (unsigned i = 0; i < k.update.messages.n; i++) {
        called = called || k.update.messages.batch[i].type == RAFT_TIMEOUT_NOW;
    }
    assert_true(called);
    stop(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t8_a_change_is_recorded_at_the_first_index_of_its_message),
        cmocka_unit_test(t9_a_second_change_hides_the_first),
        cmocka_unit_test(t17_an_error_in_a_batch_leaves_the_trail_too_long),
        cmocka_unit_test(t10_the_commit_index_goes_back),
        cmocka_unit_test(t2_any_last_index_is_an_acknowledgement),
        cmocka_unit_test(t6_a_stale_rejection_starves_a_peer),
        cmocka_unit_test(t15_a_peer_that_lost_its_disk_is_starved),
        cmocka_unit_test(t4_a_single_voter_elects_itself_in_its_old_term),
        cmocka_unit_test(t14_a_refused_pre_vote_hides_the_term),
        cmocka_unit_test(t13_a_capacity_threshold_stops_half_way_through_an_election),
        cmocka_unit_test(t12_the_timeout_of_a_leader_can_stay_in_the_past),
        cmocka_unit_test(a_clock_that_steps_back_costs_the_leadership),
        cmocka_unit_test(t20_the_target_of_a_transfer_is_called_too_early),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
