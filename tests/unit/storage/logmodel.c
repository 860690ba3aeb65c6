#include "logmodel.h"

#include <string.h>

#include "base/require.h"
#include "simdisk.h"

static void payload_fill(uint8_t *data, size_t size, uint64_t tag)
{
    for (size_t i = 0; i < size; i++) {
        data[i] = (uint8_t)simdisk_draw(&tag);
    }
}

static struct model_entry *entry_at(struct model *m, uint64_t index)
{
    return &m->entries[index % MODEL_ENTRIES_MAX];
}

void model_init(struct model *m)
{
    memset(m, 0, sizeof *m);
    m->first = 1;
    m->log_first = 1;
}

void history_start(struct history *h, struct logstore *ls, const struct model *state, uint64_t seed)
{
    h->ls = ls; /* states and jobs are written as they come: they are large */
    h->random = seed;
    h->states[0] = *state;
    h->submitted = 0;
    h->acked = 0;
    h->failed = false;
    h->after_fail_ok = false;
    h->failure = ERR_OK;
}

static uint64_t draw(struct history *h, uint64_t below)
{
    return simdisk_draw(&h->random) % below;
}

static void fetch(struct history *h)
{
    logstore_run(h->ls);
    for (;;) {
        struct logstore_job *job = logstore_completed(h->ls);
        if (job == NULL) {
            return;
        }
        if (failed(job->result)) {
            h->failure = h->failed ? h->failure : job->result.code;
            h->failed = true;
        } else if (h->failed) {
            h->after_fail_ok = true;
        } else {
            require(job == &h->jobs[h->acked].job);
            h->acked++;
        }
    }
}

static uint64_t term_of(struct model *m, uint64_t index)
{
    if (index == 0) {
        return 1;
    }
    return index < m->first ? m->snapshot_term : entry_at(m, index)->term;
}

static void make_hard(struct history *h, struct model *m, struct logstore_job *job)
{
    job->kind = LOGSTORE_HARD;
    m->term += draw(h, 2);
    m->vote = draw(h, 4);
    job->term = m->term;
    job->vote = m->vote;
}

static void make_entries(struct history *h, struct model *m, struct model_job *mj)
{
    struct logstore_job *job = &mj->job;
    job->kind = LOGSTORE_ENTRIES;
    uint64_t floor = m->snapshot_index + 1; /* committed entries are never replaced */
    job->first = m->last + 1;
    if (draw(h, 4) == 0 && m->last >= floor) {
        job->first = floor + draw(h, m->last - floor + 2);
    }
    job->entries = mj->entries;
    job->entries_count = 1 + (size_t)draw(h, MODEL_JOB_ENTRIES_MAX);
    uint64_t term = term_of(m, job->first - 1);
    for (size_t i = 0; i < job->entries_count; i++) {
        uint64_t index = job->first + i;
        term = draw(h, 3) == 0 ? m->term : term;
        size_t size = (size_t)draw(h, MODEL_PAYLOAD_MAX + 1) * (draw(h, 5) != 0);
        struct model_entry e = {term, simdisk_draw(&h->random), (uint8_t)(1 + draw(h, 3)), size};
        *entry_at(m, index) = e;
        payload_fill(mj->payload[i], size, e.tag);
        mj->entries[i] = (struct logstore_entry){term, e.type, bytes_of(mj->payload[i], size)};
    }
    m->last = job->first + job->entries_count - 1;
}

static void make_manifest(struct history *h, struct model *m, struct model_job *mj)
{
    m->manifest_tag = simdisk_draw(&h->random);
    payload_fill(mj->payload[0], 40, m->manifest_tag);
    mj->job.snapshot = (struct logstore_snapshot){m->snapshot_index, m->snapshot_term, m->log_first,
                                                  bytes_of(mj->payload[0], 40)};
}

/* Covers some of what is completed; the caller has fetched everything. */
static void make_snapshot(struct history *h, struct model *m, struct model_job *mj)
{
    mj->job.kind = LOGSTORE_SNAPSHOT;
    uint64_t from = m->snapshot_index > 0 ? m->snapshot_index : 1;
    uint64_t index = from + draw(h, m->last - from + 1);
    m->snapshot_term = index == m->snapshot_index ? m->snapshot_term : term_of(m, index);
    m->snapshot_index = index;
    uint64_t keep = draw(h, 6);
    uint64_t log_first = index + 1 > keep ? index + 1 - keep : 1;
    m->log_first = log_first > m->first ? log_first : m->first;
    m->first = m->log_first;
    make_manifest(h, m, mj);
}

static void make_install(struct history *h, struct model *m, struct model_job *mj)
{
    mj->job.kind = LOGSTORE_INSTALL;
    m->snapshot_index += 1 + draw(h, 20);
    m->snapshot_term = m->term;
    m->log_first = m->snapshot_index + 1;
    m->first = m->log_first;
    m->last = m->snapshot_index;
    make_manifest(h, m, mj);
}

static void submit_one(struct history *h)
{
    h->states[h->submitted + 1] = h->states[h->submitted];
    struct model *m = &h->states[h->submitted + 1];
    struct model_job *mj = &h->jobs[h->submitted];
    uint64_t kind = draw(h, 16);
    mj->job = (struct logstore_job){0};
    if (m->term == 0) {
        m->term = 1;
        make_hard(h, m, &mj->job);
    } else if (kind < 3) {
        make_hard(h, m, &mj->job);
    } else if (kind == 3 && m->last > 0) {
        fetch(h);
        if (h->failed) {
            return;
        }
        make_snapshot(h, m, mj);
    } else if (kind == 4) {
        make_install(h, m, mj);
    } else {
        make_entries(h, m, mj);
    }
    err e = logstore_submit(h->ls, &mj->job);
    require(!failed(e));
    h->submitted++;
}

void history_play(struct history *h, size_t count)
{
    for (size_t i = 0; i < count && !h->failed; i++) {
        require(h->submitted < MODEL_JOBS_MAX);
        submit_one(h);
        if (draw(h, 3) == 0) {
            fetch(h);
        }
    }
    fetch(h);
}

static bool entry_matches(const struct model_entry *e, uint64_t index, struct logstore *ls)
{
    struct logstore_info info;
    struct buf b;
    buf_init(&b, MODEL_PAYLOAD_MAX);
    uint8_t want[MODEL_PAYLOAD_MAX];
    payload_fill(want, e->size, e->tag);
    bool same = !failed(logstore_peek(ls, index, &info)) && info.term == e->term &&
                info.type == e->type && info.size == e->size &&
                !failed(logstore_read(ls, index, &b, NULL)) &&
                bytes_equal(buf_bytes(&b), bytes_of(want, e->size));
    buf_done(&b);
    return same;
}

bool model_matches(const struct model *m, struct logstore *ls, const struct logstore_recovered *r)
{
    if (m->term != r->term || m->vote != r->vote || m->first != r->first || m->last != r->last ||
        m->snapshot_index != r->snapshot.index || m->snapshot_term != r->snapshot.term) {
        return false;
    }
    uint8_t manifest[40];
    payload_fill(manifest, sizeof manifest, m->manifest_tag);
    if (m->snapshot_index > 0 &&
        (m->log_first != r->snapshot.log_first ||
         !bytes_equal(bytes_of(manifest, sizeof manifest), r->snapshot.manifest))) {
        return false;
    }
    for (uint64_t index = m->first; index <= m->last; index++) {
        if (!entry_matches(&m->entries[index % MODEL_ENTRIES_MAX], index, ls)) {
            return false;
        }
    }
    struct logstore_info info;
    return err_is(logstore_peek(ls, m->last + 1, &info), ERR_NOT_FOUND) &&
           err_is(logstore_peek(ls, m->first - 1, &info), ERR_NOT_FOUND);
}

int history_find(const struct history *h, struct logstore *ls, const struct logstore_recovered *r)
{
    for (size_t n = h->acked; n <= h->submitted; n++) {
        if (model_matches(&h->states[n], ls, r)) {
            return (int)n;
        }
    }
    return -1;
}
