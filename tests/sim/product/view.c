#include "tests/sim/product/view.h"

#include <string.h>

#include "base/mem.h"
#include "base/require.h"
#include "consensus/conf.h"
#include "consensus/objects.h"

void view_reserve(struct view *v, size_t count)
{
    if (count > v->capacity) {
        v->capacity = count < 256 ? 256 : 2 * count;
        v->links = mem_resize(v->links, v->capacity, sizeof *v->links);
    }
}

void view_init(struct view *v)
{
    view_reserve(v, 1);
    v->links[0] = (struct link){.term = 0};
    v->count = 1;
}

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9fb21c651e98df25);
    return h ^ (h >> 29);
}

static uint64_t hash_of(uint64_t chain, uint64_t term, uint8_t type, struct bytes data)
{
    uint64_t h = mix(mix(mix(chain, term), type), data.size);
    size_t at = 0;
    for (; at + 8 <= data.size; at += 8) {
        uint64_t word;
        memcpy(&word, data.data + at, sizeof word);
        h = mix(h, word);
    }
    for (; at < data.size; at++) {
        h = mix(h, data.data[at]);
    }
    return h;
}

/* The configuration in an entry: who is in it, by bit. */
static void read_change(struct bytes data, struct link *ret)
{
    struct conf conf;
    err e = conf_decode(data, &conf);
    require(!failed(e));
    ret->voters = ret->members = 0;
    for (uint32_t i = 0; i < conf.count; i++) {
        require(conf.servers[i].id <= SIM_NODES_MAX);
        uint32_t bit = UINT32_C(1) << (conf.servers[i].id - 1);
        ret->members |= bit;
        ret->voters |= conf.servers[i].member == CONSENSUS_VOTER ? bit : 0;
    }
}

void view_put(struct view *v, uint64_t index, uint64_t term, uint8_t type, struct bytes data)
{
    require(index >= 1 && index <= v->count);
    view_reserve(v, (size_t)index + 1);
    struct link *link = &v->links[index];
    *link = v->links[index - 1];
    link->term = term;
    link->chain = hash_of(link->chain, term, type, data);
    if (type == ENTRY_CHANGE) {
        link->changed = index;
        read_change(data, link);
    }
    v->count = (size_t)index + 1;
}

uint64_t view_last(const struct view *v)
{
    return v->count - 1;
}

const struct link *view_end(const struct view *v)
{
    return &v->links[view_last(v)];
}
