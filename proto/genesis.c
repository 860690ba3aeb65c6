/* Reading and writing the genesis. What the parts must satisfy is in genesis_check.c. */
#include "proto/genesis.h"

#include "base/cursor.h"
#include "base/require.h"
#include "crypto/sha256.h"
#include "proto/genesis_check.h"

/* What a decoder carries: where it reads, where it allocates, whether there was room. */
struct source {
    struct cursor c;
    struct arena *a;
    bool no_room;
};

/* A u32 count, at most max, and room for that many items; NULL for none. */
static void *list_begin(struct source *s, uint32_t max, size_t item_size, uint32_t *ret_count)
{
    uint32_t count = cursor_u32(&s->c);
    *ret_count = 0;
    if (count > max) {
        cursor_fail(&s->c);
    }
    if (!cursor_ok(&s->c) || count == 0) {
        return NULL;
    }
    void *list = arena_try(s->a, count, item_size);
    s->no_room = s->no_room || list == NULL;
    *ret_count = list == NULL ? 0 : count;
    return list;
}

static struct bytes *texts_decode(struct source *s, uint32_t max, uint32_t size_max,
                                  uint32_t *ret_count)
{
    struct bytes *texts = list_begin(s, max, sizeof(*texts), ret_count);
    for (uint32_t i = 0; i < *ret_count; i++) {
        texts[i] = cursor_sized(&s->c, size_max);
    }
    return texts;
}

static uint8_t (*keys_decode(struct source *s, uint32_t max, uint32_t *ret_count))[32]
{
    uint8_t(*keys)[32] = list_begin(s, max, sizeof(*keys), ret_count);
    for (uint32_t i = 0; i < *ret_count; i++) {
        cursor_copy(&s->c, keys[i], 32);
    }
    return keys;
}

static void limits_decode(struct source *s, struct genesis_limits *ret)
{
    ret->body_bytes_max = cursor_u32(&s->c);
    ret->events_max = cursor_u32(&s->c);
    ret->request_steps_max = cursor_u64(&s->c);
    ret->request_effects_max = cursor_u64(&s->c);
    ret->request_bytes_max = cursor_u64(&s->c);
}

static bool flag_decode(struct cursor *c)
{
    uint8_t flag = cursor_u8(c);
    if (flag > 1) {
        cursor_fail(c);
    }
    return flag == 1;
}

static void thresholds_decode(struct source *s, struct genesis *g)
{
    g->thresholds = list_begin(s, PROPOSAL_ERASE, sizeof(*g->thresholds), &g->threshold_count);
    for (uint32_t i = 0; i < g->threshold_count; i++) {
        uint8_t kind = cursor_u8(&s->c);
        uint8_t rule = cursor_u8(&s->c);
        if (kind < PROPOSAL_CONTRACT_DEPLOY || kind > PROPOSAL_ERASE || rule < THRESHOLD_MAJORITY ||
            rule > THRESHOLD_ALL_BUT_CONCERNED) {
            cursor_fail(&s->c);
        }
        g->thresholds[i] = (struct threshold){(enum proposal_kind)kind, (enum threshold_rule)rule};
    }
}

static void institution_decode(struct source *s, struct institution *ret)
{
    ret->name = cursor_sized(&s->c, NAME_BYTES_MAX);
    ret->ca_certs = texts_decode(s, CA_CERTS_MAX, CERT_BYTES_MAX, &ret->ca_cert_count);
    ret->governance_keys = keys_decode(s, GOVERNANCE_KEYS_MAX, &ret->governance_key_count);
    ret->officers = list_begin(s, OFFICERS_MAX, sizeof(*ret->officers), &ret->officer_count);
    for (uint32_t i = 0; i < ret->officer_count; i++) {
        ret->officers[i].name = cursor_sized(&s->c, NAME_BYTES_MAX);
        cursor_copy(&s->c, ret->officers[i].key, 32);
    }
}

static void node_decode(struct source *s, struct node_entry *ret)
{
    ret->id = cursor_u64(&s->c);
    ret->institution = cursor_sized(&s->c, NAME_BYTES_MAX);
    ret->name = cursor_sized(&s->c, NAME_BYTES_MAX);
    ret->peer_address = cursor_sized(&s->c, ADDRESS_BYTES_MAX);
    ret->client_address = cursor_sized(&s->c, ADDRESS_BYTES_MAX);
    ret->transport_key = cursor_sized(&s->c, SPKI_BYTES_MAX);
    ret->next_transport_key = cursor_sized(&s->c, SPKI_BYTES_MAX);
    cursor_copy(&s->c, ret->head_key, 32);
    cursor_copy(&s->c, ret->next_head_key, 32);
}

static void party_decode(struct source *s, struct party_entry *ret)
{
    ret->name = cursor_sized(&s->c, NAME_BYTES_MAX);
    ret->institution = cursor_sized(&s->c, NAME_BYTES_MAX);
    ret->keys = keys_decode(s, PARTY_KEYS_MAX, &ret->key_count);
}

static void lists_decode(struct source *s, struct genesis *g)
{
    g->institutions =
        list_begin(s, INSTITUTIONS_MAX, sizeof(*g->institutions), &g->institution_count);
    for (uint32_t i = 0; i < g->institution_count; i++) {
        institution_decode(s, &g->institutions[i]);
    }
    g->nodes = list_begin(s, NODES_MAX, sizeof(*g->nodes), &g->node_count);
    for (uint32_t i = 0; i < g->node_count; i++) {
        node_decode(s, &g->nodes[i]);
    }
    g->parties = list_begin(s, GENESIS_PARTIES_MAX, sizeof(*g->parties), &g->party_count);
    for (uint32_t i = 0; i < g->party_count; i++) {
        party_decode(s, &g->parties[i]);
    }
    g->contracts = texts_decode(s, GENESIS_CONTRACTS_MAX, CONTRACT_BYTES_MAX, &g->contract_count);
}

err genesis_decode(struct bytes wire, struct arena *a, struct genesis **ret, struct errtext *reterr)
{
    require(a != NULL);
    require(ret != NULL);
    if (wire.size > GENESIS_BYTES_MAX) {
        return err_fail(reterr, ERR_LIMIT, "genesis: longer than %d bytes", GENESIS_BYTES_MAX);
    }
    struct source s = {cursor_of(wire), a, false};
    uint16_t version = cursor_u16(&s.c);
    if (cursor_ok(&s.c) && version != GENESIS_VERSION) {
        return err_fail(reterr, ERR_UNSUPPORTED, "genesis: version %u is not known", version);
    }
    struct genesis *g = arena_try(a, 1, sizeof(*g));
    if (g == NULL) {
        return err_fail(reterr, ERR_LIMIT, "genesis: no room");
    }
    g->origin = cursor_sized(&s.c, ORIGIN_BYTES_MAX);
    g->created_ns = cursor_u64(&s.c);
    g->measures = texts_decode(&s, MEASURES_MAX, MEASURE_BYTES_MAX, &g->measure_count);
    g->zone = cursor_sized(&s.c, NAME_BYTES_MAX);
    limits_decode(&s, &g->limits);
    g->head_interval_ms = cursor_u32(&s.c);
    g->public_reading = flag_decode(&s.c);
    thresholds_decode(&s, g);
    lists_decode(&s, g);
    if (s.no_room) {
        return err_fail(reterr, ERR_LIMIT, "genesis: no room");
    }
    if (!cursor_done(&s.c)) {
        return err_fail(reterr, ERR_INVALID, "genesis: malformed at byte %zu", s.c.at);
    }
    err e = genesis_check(g, a, reterr);
    if (failed(e)) {
        return err_wrapf(reterr, e, "genesis");
    }
    *ret = g;
    return err_ok();
}

static void texts_encode(struct buf *buf, const struct bytes *texts, uint32_t count)
{
    buf_put_u32(buf, count);
    for (uint32_t i = 0; i < count; i++) {
        buf_put_sized(buf, texts[i]);
    }
}

static void keys_encode(struct buf *buf, const uint8_t (*keys)[32], uint32_t count)
{
    buf_put_u32(buf, count);
    for (uint32_t i = 0; i < count; i++) {
        buf_put(buf, keys[i], 32);
    }
}

static void institution_encode(const struct institution *in, struct buf *buf)
{
    buf_put_sized(buf, in->name);
    texts_encode(buf, in->ca_certs, in->ca_cert_count);
    keys_encode(buf, (const uint8_t(*)[32])in->governance_keys, in->governance_key_count);
    buf_put_u32(buf, in->officer_count);
    for (uint32_t i = 0; i < in->officer_count; i++) {
        buf_put_sized(buf, in->officers[i].name);
        buf_put(buf, in->officers[i].key, 32);
    }
}

static void node_encode(const struct node_entry *n, struct buf *buf)
{
    buf_put_u64(buf, n->id);
    buf_put_sized(buf, n->institution);
    buf_put_sized(buf, n->name);
    buf_put_sized(buf, n->peer_address);
    buf_put_sized(buf, n->client_address);
    buf_put_sized(buf, n->transport_key);
    buf_put_sized(buf, n->next_transport_key);
    buf_put(buf, n->head_key, 32);
    buf_put(buf, n->next_head_key, 32);
}

static void head_encode(const struct genesis *g, struct buf *buf)
{
    buf_put_u16(buf, GENESIS_VERSION);
    buf_put_sized(buf, g->origin);
    buf_put_u64(buf, g->created_ns);
    texts_encode(buf, g->measures, g->measure_count);
    buf_put_sized(buf, g->zone);
    buf_put_u32(buf, g->limits.body_bytes_max);
    buf_put_u32(buf, g->limits.events_max);
    buf_put_u64(buf, g->limits.request_steps_max);
    buf_put_u64(buf, g->limits.request_effects_max);
    buf_put_u64(buf, g->limits.request_bytes_max);
    buf_put_u32(buf, g->head_interval_ms);
    buf_put_u8(buf, g->public_reading);
    buf_put_u32(buf, g->threshold_count);
    for (uint32_t i = 0; i < g->threshold_count; i++) {
        buf_put_u8(buf, (uint8_t)g->thresholds[i].kind);
        buf_put_u8(buf, (uint8_t)g->thresholds[i].rule);
    }
}

void genesis_encode(const struct genesis *g, struct buf *buf)
{
    require(g != NULL);
    require(buf != NULL);
    head_encode(g, buf);
    buf_put_u32(buf, g->institution_count);
    for (uint32_t i = 0; i < g->institution_count; i++) {
        institution_encode(&g->institutions[i], buf);
    }
    buf_put_u32(buf, g->node_count);
    for (uint32_t i = 0; i < g->node_count; i++) {
        node_encode(&g->nodes[i], buf);
    }
    buf_put_u32(buf, g->party_count);
    for (uint32_t i = 0; i < g->party_count; i++) {
        const struct party_entry *p = &g->parties[i];
        buf_put_sized(buf, p->name);
        buf_put_sized(buf, p->institution);
        keys_encode(buf, (const uint8_t(*)[32])p->keys, p->key_count);
    }
    texts_encode(buf, g->contracts, g->contract_count);
}

void genesis_ledger_id(struct bytes wire, uint8_t ret[32])
{
    sha256(wire.data, wire.size, ret);
}

void genesis_signing_input(const uint8_t ledger_id[32], uint8_t ret[GENESIS_SIGNING_INPUT_SIZE])
{
    const size_t tag_size = sizeof(GENESIS_TAG) - 1;
    memcpy(ret, GENESIS_TAG, tag_size);
    memcpy(ret + tag_size, ledger_id, 32);
}
