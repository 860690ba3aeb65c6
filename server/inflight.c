#include "server/inflight.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"

enum { REQUEST_ID_BYTES = 16 };

void inflight_init(struct inflight_table *t, uint64_t seed0, uint64_t seed1)
{
    *t = (struct inflight_table){0};
    map_init(&t->by_key, seed0, seed1);
    map_init(&t->sources, seed1, seed0);
}

void inflight_free(struct inflight *r)
{
    require(r != NULL);
    while (r->waiters != NULL) {
        struct waiter *w = r->waiters;
        r->waiters = w->next;
        free(w);
    }
    free(r->key);
    free(r->envelope);
    free(r);
}

void inflight_done(struct inflight_table *t)
{
    while (t->oldest != NULL) {
        struct inflight *r = t->oldest;
        t->oldest = r->next;
        inflight_free(r);
    }
    size_t at = 0;
    struct bytes name;
    void *source;
    while (map_next(&t->sources, &at, &name, &source)) {
        free(source);
    }
    map_done(&t->sources);
    map_done(&t->by_key);
    *t = (struct inflight_table){0};
}

/* party 00 request id; a party holds no NUL. Returns the size. */
static size_t make_key(struct bytes party, const uint8_t *request_id, uint8_t *ret)
{
    require(party.size <= NAME_BYTES_MAX);
    memcpy(ret, party.data, party.size);
    ret[party.size] = 0;
    memcpy(ret + party.size + 1, request_id, REQUEST_ID_BYTES);
    return party.size + 1 + REQUEST_ID_BYTES;
}

struct inflight *inflight_find(const struct inflight_table *t, struct bytes party,
                               const uint8_t request_id[16])
{
    uint8_t key[NAME_BYTES_MAX + 1 + REQUEST_ID_BYTES];
    if (party.size > NAME_BYTES_MAX) {
        return NULL;
    }
    return map_get(&t->by_key, bytes_of(key, make_key(party, request_id, key)));
}

struct inflight *inflight_find_token(const struct inflight_table *t, uint64_t token)
{
    struct inflight *r = t->oldest;
    while (r != NULL && (r->state != INFLIGHT_FORWARDED || r->token != token)) {
        r = r->next;
    }
    return r;
}

bool inflight_has_share(const struct inflight_table *t, struct bytes source, size_t bytes)
{
    const struct inflight_source *s = map_get(&t->sources, source);
    return s == NULL ||
           (s->count < INFLIGHT_SOURCE_MAX && s->bytes + bytes <= INFLIGHT_SOURCE_BYTES_MAX);
}

struct bytes inflight_party(const struct inflight *r)
{
    return bytes_of(r->key, r->key_size - 1 - REQUEST_ID_BYTES);
}

static struct inflight_source *source_take(struct inflight_table *t, struct bytes name,
                                           size_t bytes)
{
    struct inflight_source *s = map_get(&t->sources, name);
    if (s == NULL) {
        require(name.size <= INFLIGHT_SOURCE_NAME_MAX);
        s = mem_new(1, sizeof *s + name.size);
        s->name_size = name.size;
        if (name.size > 0) {
            memcpy(s->name, name.data, name.size);
        }
        (void)map_put(&t->sources, name, s);
    }
    s->count++;
    s->bytes += bytes;
    return s;
}

static void source_release(struct inflight_table *t, struct inflight *r)
{
    struct inflight_source *s = r->source;
    require(s->count > 0);
    require(s->bytes >= r->envelope_size);
    r->source = NULL;
    s->count--;
    s->bytes -= r->envelope_size;
    if (s->count == 0) {
        void *old = map_remove(&t->sources, bytes_of(s->name, s->name_size));
        require(old == s);
        free(s);
    }
}

struct inflight *inflight_add(struct inflight_table *t, const struct inflight_new *n)
{
    uint8_t key[NAME_BYTES_MAX + 1 + REQUEST_ID_BYTES];
    require(n->state == INFLIGHT_VERIFYING || n->state == INFLIGHT_FORWARDED);
    if (t->count >= INFLIGHT_MAX || n->envelope.size > INFLIGHT_BYTES_MAX - t->bytes) {
        return NULL;
    }
    size_t key_size = make_key(n->party, n->request_id, key);
    struct inflight *r = mem_new(1, sizeof *r);
    *r = (struct inflight){
        .state = n->state,
        .key = mem_copy(key, key_size),
        .key_size = key_size,
        .envelope = mem_copy(n->envelope.data, n->envelope.size),
        .envelope_size = n->envelope.size,
        .cost = n->cost,
        .governance = n->governance,
        .since_ns = n->now_ns,
        .token = ++t->token_last,
        .prev = t->newest,
    };
    r->source = source_take(t, n->source, n->envelope.size);
    memcpy(r->request_hash, n->request_hash, sizeof r->request_hash);
    struct inflight *old = map_put(&t->by_key, bytes_of(key, key_size), r);
    require(old == NULL);
    *(t->newest == NULL ? &t->oldest : &t->newest->next) = r;
    t->newest = r;
    t->count++;
    t->bytes += r->envelope_size;
    return r;
}

void inflight_move(struct inflight *r, enum inflight_state to)
{
    bool verified = r->state == INFLIGHT_VERIFYING && to == INFLIGHT_QUEUED;
    bool proposed = r->state == INFLIGHT_QUEUED && to == INFLIGHT_PROPOSED;
    require(verified || proposed);
    r->state = to;
}

struct waiter *inflight_wait(struct inflight *r, struct waiter w)
{
    struct waiter *added = mem_new(1, sizeof *added);
    *added = w;
    added->request = r;
    added->next = r->waiters;
    r->waiters = added;
    return added;
}

void inflight_forget(struct waiter *w)
{
    struct waiter **at = &w->request->waiters;
    while (*at != w) {
        require(*at != NULL);
        at = &(*at)->next;
    }
    *at = w->next;
    free(w);
}

void inflight_take(struct inflight_table *t, struct inflight *r)
{
    void *found = map_remove(&t->by_key, bytes_of(r->key, r->key_size));
    require(found == r);
    *(r->prev == NULL ? &t->oldest : &r->prev->next) = r->next;
    *(r->next == NULL ? &t->newest : &r->next->prev) = r->prev;
    r->next = r->prev = NULL;
    source_release(t, r);
    t->count--;
    t->bytes -= r->envelope_size;
}
