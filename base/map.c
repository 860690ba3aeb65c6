#include "base/map.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/require.h"

struct map_slot {
    uint64_t hash;
    uint8_t *key; /* owned; NULL: free */
    size_t key_size;
    void *value;
};

void map_init(struct map *m, uint64_t seed0, uint64_t seed1)
{
    require(m != NULL);
    *m = (struct map){.seed = {seed0, seed1}};
}

void map_done(struct map *m)
{
    require(m != NULL);
    for (size_t i = 0; i < m->capacity; i++) {
        free(m->slots[i].key);
    }
    free(m->slots);
    *m = (struct map){.seed = {m->seed[0], m->seed[1]}};
}

static uint64_t rotate(uint64_t x, unsigned by)
{
    return x << by | x >> (64 - by);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

static uint64_t load_little_endian(const uint8_t *p, size_t size)
{
    uint64_t v = 0;
    for (size_t i = 0; i < size; i++) {
        v |= (uint64_t)p[i] << (8 * i);
    }
    return v;
}

/* SipHash-1-3 (Aumasson, Bernstein 2012: one compression round, three finalisation rounds). */
static uint64_t sip_hash(const uint64_t seed[2], struct bytes b)
{
    uint64_t v[4] = {
        seed[0] ^ UINT64_C(0x736f6d6570736575), seed[1] ^ UINT64_C(0x646f72616e646f6d),
        seed[0] ^ UINT64_C(0x6c7967656e657261), seed[1] ^ UINT64_C(0x7465646279746573),
    };
    size_t whole = b.size / 8 * 8;
    for (size_t i = 0; i < whole; i += 8) {
        uint64_t word = load_little_endian(b.data + i, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    uint64_t last = (uint64_t)b.size << 56;
    if (b.size > whole) {
        last |= load_little_endian(b.data + whole, b.size - whole);
    }
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* The slot that holds the key, or the free one where it would go. capacity > count. */
static struct map_slot *find_slot(const struct map *m, uint64_t hash, struct bytes key)
{
    size_t mask = m->capacity - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct map_slot *s = &m->slots[i];
        if (s->key == NULL ||
            (s->hash == hash && bytes_equal(bytes_of(s->key, s->key_size), key))) {
            return s;
        }
    }
}

static void grow(struct map *m)
{
    struct map old = *m;
    m->capacity = old.capacity == 0 ? 16 : old.capacity * 2;
    m->slots = mem_new(m->capacity, sizeof *m->slots);
    for (size_t i = 0; i < old.capacity; i++) {
        struct map_slot *s = &old.slots[i];
        if (s->key != NULL) {
            *find_slot(m, s->hash, bytes_of(s->key, s->key_size)) = *s;
        }
    }
    free(old.slots);
}

void *map_get(const struct map *m, struct bytes key)
{
    if (m->count == 0) {
        return NULL;
    }
    return find_slot(m, sip_hash(m->seed, key), key)->value;
}

void *map_put(struct map *m, struct bytes key, void *value)
{
    require(value != NULL);
    if ((m->count + 1) * 4 > m->capacity * 3) {
        grow(m);
    }
    uint64_t hash = sip_hash(m->seed, key);
    struct map_slot *s = find_slot(m, hash, key);
    void *old = s->value;
    if (s->key == NULL) {
        *s = (struct map_slot){hash, mem_copy(key.data, key.size), key.size, NULL};
        m->count++;
    }
    s->value = value;
    return old;
}

void *map_remove(struct map *m, struct bytes key)
{
    if (m->count == 0) {
        return NULL;
    }
    struct map_slot *s = find_slot(m, sip_hash(m->seed, key), key);
    if (s->key == NULL) {
        return NULL;
    }
    void *value = s->value;
    size_t mask = m->capacity - 1;
    size_t hole = (size_t)(s - m->slots);
    free(s->key);
    *s = (struct map_slot){0};
    m->count--;
    /* Moves back every entry of the run that may no longer be found across the hole. */
    for (size_t i = (hole + 1) & mask; m->slots[i].key != NULL; i = (i + 1) & mask) {
        size_t home = m->slots[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->slots[hole] = m->slots[i];
            m->slots[i] = (struct map_slot){0};
            hole = i;
        }
    }
    return value;
}

bool map_next(const struct map *m, size_t *at, struct bytes *ret_key, void **ret_value)
{
    for (; *at < m->capacity; (*at)++) {
        struct map_slot *s = &m->slots[*at];
        if (s->key != NULL) {
            *ret_key = bytes_of(s->key, s->key_size);
            *ret_value = s->value;
            (*at)++;
            return true;
        }
    }
    return false;
}
