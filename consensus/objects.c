#include "consensus/objects.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/require.h"
#include "consensus/packet.h"

struct entry *entry_new(uint64_t term, enum entry_type type, struct bytes data)
{
    require(data.size <= UINT32_MAX);
    struct entry *e = mem_new(1, sizeof *e + data.size);
    e->term = term;
    e->refs = 1;
    e->size = (uint32_t)data.size;
    e->type = type;
    if (data.size > 0) {
        memcpy(e->data, data.data, data.size);
    }
    return e;
}

struct entry *entry_ref(struct entry *e)
{
    if (e != NULL) {
        require(e->refs > 0);
        e->refs++;
    }
    return e;
}

void entry_unref(struct entry *e)
{
    if (e == NULL) {
        return;
    }
    require(e->refs > 0);
    if (--e->refs == 0) {
        free(e);
    }
}

struct consensus_snapshot consensus_snapshot_ref(const struct consensus_snapshot *s)
{
    entry_ref(s->conf);
    entry_ref(s->manifest);
    return *s;
}

void consensus_snapshot_unref(struct consensus_snapshot *s)
{
    entry_unref(s->conf);
    entry_unref(s->manifest);
    *s = (struct consensus_snapshot){0};
}

static void entries_free(struct entry **entries, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        entry_unref(entries[i]);
    }
    free(entries);
}

void consensus_job_free(struct consensus_job *job)
{
    if (job == NULL) {
        return;
    }
    entries_free(job->entries, job->count);
    consensus_snapshot_unref(&job->snapshot);
    free(job);
}

struct packet *packet_new(enum packet_kind kind)
{
    struct packet *p = mem_new(1, sizeof *p);
    p->kind = kind;
    return p;
}

uint32_t packet_entry_count(const struct packet *p)
{
    return p->kind == PACKET_APPEND ? p->m.append_entries.n_entries : 0;
}

void packet_free(struct packet *p)
{
    if (p == NULL) {
        return;
    }
    entries_free(p->entries, packet_entry_count(p));
    consensus_snapshot_unref(&p->snapshot);
    free(p);
}

const char *packet_name(const struct packet *p)
{
    switch (p->kind) {
    case PACKET_APPEND:
        return "append";
    case PACKET_APPEND_RESULT:
        return "append result";
    case PACKET_VOTE:
        return "vote";
    case PACKET_VOTE_RESULT:
        return "vote result";
    case PACKET_INSTALL:
        return "install";
    case PACKET_TIMEOUT_NOW:
        return "timeout now";
    case PACKET_READ:
        return "read";
    case PACKET_READ_ACK:
        return "read ack";
    }
    return "?";
}
