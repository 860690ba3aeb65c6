#include "consensus/conf.h"

#include <string.h>

#include "base/cursor.h"
#include "base/require.h"

static_assert((int)CONSENSUS_STANDBY == (int)RAFT_STANDBY, "roles are libraft's numbers");
static_assert((int)CONSENSUS_VOTER == (int)RAFT_VOTER, "roles are libraft's numbers");

enum { CONF_FORMAT = 1 };

void conf_address(uint64_t id, char ret[CONF_ADDRESS_BYTES])
{
    char reversed[CONF_ADDRESS_BYTES];
    size_t count = 0;
    require(id > 0);
    for (; id > 0; id /= 10) {
        reversed[count++] = (char)('0' + id % 10);
    }
    require(count < CONF_ADDRESS_BYTES);
    for (size_t i = 0; i < count; i++) {
        ret[i] = reversed[count - 1 - i];
    }
    ret[count] = '\0';
}

/* libraft's own format is little-endian, unlike every other one here. */
static uint64_t cursor_u64le(struct cursor *c)
{
    return __builtin_bswap64(cursor_u64(c));
}

static void buf_put_u64le(struct buf *b, uint64_t v)
{
    buf_put_u64(b, __builtin_bswap64(v));
}

static void conf_decode_server(struct cursor *c, struct conf *conf, uint32_t i)
{
    char address[CONF_ADDRESS_BYTES];
    uint64_t id = cursor_u64le(c);
    if (id == 0 || conf_member(conf, id) != CONSENSUS_STRANGER) {
        cursor_fail(c);
        return;
    }
    conf_address(id, address);
    size_t size = strlen(address) + 1;
    struct bytes text = cursor_bytes(c, size);
    uint8_t role = cursor_u8(c);
    if (!cursor_ok(c) || memcmp(text.data, address, size) != 0 || role > CONSENSUS_VOTER) {
        cursor_fail(c);
        return;
    }
    conf->servers[i] = (struct conf_server){id, (enum consensus_member)role};
    conf->count = i + 1;
}

err conf_decode(struct bytes b, struct conf *ret)
{
    require(ret != NULL);
    struct conf conf = {0};
    struct cursor c = cursor_of(b);
    uint8_t format = cursor_u8(&c);
    uint64_t count = cursor_u64le(&c);
    if (!cursor_ok(&c) || format != CONF_FORMAT || count == 0 || count > NODES_MAX) {
        return (err){ERR_INVALID};
    }
    for (uint32_t i = 0; i < count && cursor_ok(&c); i++) {
        conf_decode_server(&c, &conf, i);
    }
    while (cursor_ok(&c) && c.at % 8 != 0) {
        if (cursor_u8(&c) != 0) {
            cursor_fail(&c);
        }
    }
    if (!cursor_done(&c) || conf_voters(&conf) == 0) {
        return (err){ERR_INVALID}; /* without a voter nothing could ever be committed again */
    }
    require(conf.count == count);
    *ret = conf;
    return err_ok();
}

void conf_encode(const struct conf *conf, struct buf *ret)
{
    require(conf->count > 0 && conf->count <= NODES_MAX);
    size_t start = ret->size;
    buf_put_u8(ret, CONF_FORMAT);
    buf_put_u64le(ret, conf->count);
    for (uint32_t i = 0; i < conf->count; i++) {
        char address[CONF_ADDRESS_BYTES];
        const struct conf_server *s = &conf->servers[i];
        require(s->member == CONSENSUS_STANDBY || s->member == CONSENSUS_VOTER);
        conf_address(s->id, address);
        buf_put_u64le(ret, s->id);
        buf_put(ret, address, strlen(address) + 1);
        buf_put_u8(ret, (uint8_t)s->member);
    }
    while (!ret->overflow && (ret->size - start) % 8 != 0) {
        buf_put_u8(ret, 0);
    }
}

err conf_to_core(const struct conf *conf, struct raft_configuration *ret)
{
    require(conf->count > 0);
    struct raft_configuration core;
    raft_configuration_init(&core);
    for (uint32_t i = 0; i < conf->count; i++) {
        char address[CONF_ADDRESS_BYTES];
        conf_address(conf->servers[i].id, address);
        int rv = raft_configuration_add(&core, conf->servers[i].id, address,
                                        (int)conf->servers[i].member);
        if (rv != 0) {
            raft_configuration_close(&core);
            return (err){ERR_INVALID};
        }
    }
    *ret = core;
    return err_ok();
}

err conf_from_core(const struct raft_configuration *core, struct conf *ret)
{
    struct conf conf = {0};
    if (core->n > NODES_MAX) {
        return (err){ERR_INVALID};
    }
    for (unsigned i = 0; i < core->n; i++) {
        const struct raft_server *s = &core->servers[i];
        if (s->role != RAFT_STANDBY && s->role != RAFT_VOTER) {
            return (err){ERR_INVALID};
        }
        conf.servers[i] = (struct conf_server){s->id, (enum consensus_member)s->role};
    }
    conf.count = core->n;
    *ret = conf;
    return err_ok();
}

enum consensus_member conf_member(const struct conf *conf, uint64_t id)
{
    for (uint32_t i = 0; i < conf->count; i++) {
        if (conf->servers[i].id == id) {
            return conf->servers[i].member;
        }
    }
    return CONSENSUS_STRANGER;
}

uint32_t conf_voters(const struct conf *conf)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < conf->count; i++) {
        count += conf->servers[i].member == CONSENSUS_VOTER;
    }
    return count;
}

size_t consensus_conf_voters(struct bytes bytes, uint64_t ret_ids[NODES_MAX])
{
    struct conf conf;
    size_t count = 0;
    if (failed(conf_decode(bytes, &conf))) {
        return 0;
    }
    for (uint32_t i = 0; i < conf.count; i++) {
        if (conf.servers[i].member == CONSENSUS_VOTER) {
            ret_ids[count++] = conf.servers[i].id;
        }
    }
    return count;
}
