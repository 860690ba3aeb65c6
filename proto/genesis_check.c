#include "proto/genesis_check.h"

#include <stdlib.h>

#include "base/name.h"
#include "base/require.h"
#include "proto/wire.h"

/* Officers sign as the party ledger.INSTITUTION.NAME, institutions as ledger.INSTITUTION. */
enum { OFFICER_NAMES_MAX = NAME_BYTES_MAX - (int)sizeof("ledger.") };

static bool key_absent(const uint8_t key[32])
{
    static const uint8_t ZEROS[32];
    return memcmp(key, ZEROS, 32) == 0;
}

/* Strictly ascending by octets, and each not empty and, if it is said, UTF-8. */
static err texts_check(const struct bytes *texts, uint32_t count, bool utf8, const char *path,
                       struct errtext *reterr)
{
    for (uint32_t i = 0; i < count; i++) {
        if (texts[i].size == 0 || (utf8 && !wire_text_valid(texts[i]))) {
            return err_fail(reterr, ERR_INVALID, "%s[%u]: empty or not UTF-8", path, i);
        }
        if (i > 0 && bytes_compare(texts[i - 1], texts[i]) >= 0) {
            return err_fail(reterr, ERR_INVALID, "%s[%u]: not in ascending order", path, i);
        }
    }
    return err_ok();
}

static err keys_check(const uint8_t (*keys)[32], uint32_t count, const char *path,
                      struct errtext *reterr)
{
    if (count == 0) {
        return err_fail(reterr, ERR_INVALID, "%s: missing", path);
    }
    for (uint32_t i = 1; i < count; i++) {
        if (memcmp(keys[i - 1], keys[i], 32) >= 0) {
            return err_fail(reterr, ERR_INVALID, "%s[%u]: not in ascending order", path, i);
        }
    }
    return err_ok();
}

static bool institution_known(const struct genesis *g, struct bytes name)
{
    for (uint32_t i = 0; i < g->institution_count; i++) {
        if (bytes_equal(g->institutions[i].name, name)) {
            return true;
        }
    }
    return false;
}

static err officers_check(const struct institution *in, struct errtext *reterr)
{
    for (uint32_t i = 0; i < in->officer_count; i++) {
        struct bytes name = in->officers[i].name;
        if (!name_party_valid(name) || in->name.size + name.size > OFFICER_NAMES_MAX) {
            return err_fail(reterr, ERR_INVALID, "officers[%u]: not a name, or too long", i);
        }
        if (i > 0 && bytes_compare(in->officers[i - 1].name, in->officers[i].name) >= 0) {
            return err_fail(reterr, ERR_INVALID, "officers[%u]: not in ascending order", i);
        }
    }
    return err_ok();
}

static err institution_check(const struct genesis *g, uint32_t at, struct errtext *reterr)
{
    const struct institution *in = &g->institutions[at];
    if (!name_institution_valid(in->name) || in->name.size > OFFICER_NAMES_MAX) {
        return err_fail(reterr, ERR_INVALID, "name: not the name of an institution");
    }
    if (at > 0 && bytes_compare(in[-1].name, in->name) >= 0) {
        return err_fail(reterr, ERR_INVALID, "not in ascending order");
    }
    if (in->ca_cert_count == 0) {
        return err_fail(reterr, ERR_INVALID, "ca_certs: missing");
    }
    TRY(texts_check(in->ca_certs, in->ca_cert_count, false, "ca_certs", reterr));
    TRY(keys_check((const uint8_t(*)[32])in->governance_keys, in->governance_key_count,
                   "governance_keys", reterr));
    TRY(officers_check(in, reterr));
    for (uint32_t i = 0; i < g->node_count; i++) {
        if (bytes_equal(g->nodes[i].institution, in->name)) {
            return err_ok();
        }
    }
    return err_fail(reterr, ERR_INVALID, "no node");
}

static err node_check(const struct genesis *g, uint32_t at, struct errtext *reterr)
{
    const struct node_entry *n = &g->nodes[at];
    if (n->id == 0 || (at > 0 && n[-1].id >= n->id)) {
        return err_fail(reterr, ERR_INVALID, "id: 0 or not in ascending order");
    }
    if (!institution_known(g, n->institution)) {
        return err_fail(reterr, ERR_INVALID, "institution: not known");
    }
    if (!name_party_valid(n->name)) {
        return err_fail(reterr, ERR_INVALID, "name: not the name of a node");
    }
    if (!name_address_valid(n->peer_address) || !name_address_valid(n->client_address)) {
        return err_fail(reterr, ERR_INVALID, "address: not host:port");
    }
    if (n->transport_key.size == 0 || key_absent(n->head_key)) {
        return err_fail(reterr, ERR_INVALID, "transport_key or head_key: missing");
    }
    for (uint32_t i = 0; i < at; i++) {
        const struct node_entry *other = &g->nodes[i];
        if (bytes_equal(other->institution, n->institution) && bytes_equal(other->name, n->name)) {
            return err_fail(reterr, ERR_INVALID, "name: given twice");
        }
        if (bytes_equal(other->transport_key, n->transport_key)) {
            return err_fail(reterr, ERR_INVALID, "transport_key: that of another node");
        }
    }
    return err_ok();
}

static err party_check(const struct genesis *g, uint32_t at, struct errtext *reterr)
{
    const struct party_entry *p = &g->parties[at];
    if (!name_party_valid(p->name) || name_party_reserved(p->name)) {
        return err_fail(reterr, ERR_INVALID, "name: not the name of a party, or reserved");
    }
    if (at > 0 && bytes_compare(p[-1].name, p->name) >= 0) {
        return err_fail(reterr, ERR_INVALID, "not in ascending order");
    }
    if (!institution_known(g, p->institution)) {
        return err_fail(reterr, ERR_INVALID, "institution: not known");
    }
    return keys_check((const uint8_t(*)[32])p->keys, p->key_count, "keys", reterr);
}

static int key_order(const void *a, const void *b)
{
    return memcmp(*(const uint8_t *const *)a, *(const uint8_t *const *)b, 32);
}

static size_t keys_count(const struct genesis *g)
{
    size_t count = 2 * (size_t)g->node_count;
    for (uint32_t i = 0; i < g->institution_count; i++) {
        count += g->institutions[i].governance_key_count + g->institutions[i].officer_count;
    }
    for (uint32_t i = 0; i < g->party_count; i++) {
        count += g->parties[i].key_count;
    }
    return count;
}

static size_t keys_collect(const struct genesis *g, const uint8_t **keys)
{
    size_t count = 0;
    for (uint32_t i = 0; i < g->institution_count; i++) {
        const struct institution *in = &g->institutions[i];
        for (uint32_t k = 0; k < in->governance_key_count; k++) {
            keys[count++] = in->governance_keys[k];
        }
        for (uint32_t k = 0; k < in->officer_count; k++) {
            keys[count++] = in->officers[k].key;
        }
    }
    for (uint32_t i = 0; i < g->party_count; i++) {
        for (uint32_t k = 0; k < g->parties[i].key_count; k++) {
            keys[count++] = g->parties[i].keys[k];
        }
    }
    for (uint32_t i = 0; i < g->node_count; i++) {
        keys[count++] = g->nodes[i].head_key;
        if (!key_absent(g->nodes[i].next_head_key)) {
            keys[count++] = g->nodes[i].next_head_key;
        }
    }
    return count;
}

/* A key stands for one role of one holder: otherwise a signature made for one purpose could be
 * shown for another. */
static err keys_unique(const struct genesis *g, struct arena *a, struct errtext *reterr)
{
    const uint8_t **keys = arena_try(a, keys_count(g), sizeof(*keys));
    if (keys == NULL) {
        return err_fail(reterr, ERR_LIMIT, "no room");
    }
    size_t count = keys_collect(g, keys);
    require(count <= keys_count(g));
    qsort(keys, count, sizeof(keys[0]), key_order);
    for (size_t i = 0; i < count; i++) {
        if (key_absent(keys[i]) || (i > 0 && memcmp(keys[i - 1], keys[i], 32) == 0)) {
            return err_fail(reterr, ERR_INVALID, "a public key is zero or used twice");
        }
    }
    return err_ok();
}

static bool limits_valid(const struct genesis_limits *l)
{
    const struct genesis_limits most = genesis_limits_default();
    return l->body_bytes_max >= 1 && l->body_bytes_max <= most.body_bytes_max &&
           l->events_max >= 1 && l->events_max <= most.events_max && l->request_steps_max >= 1 &&
           l->request_steps_max <= most.request_steps_max && l->request_effects_max >= 1 &&
           l->request_effects_max <= most.request_effects_max && l->request_bytes_max >= 1 &&
           l->request_bytes_max <= most.request_bytes_max;
}

static err head_check(const struct genesis *g, struct errtext *reterr)
{
    if (!name_origin_valid(g->origin)) {
        return err_fail(reterr, ERR_INVALID, "origin: not the name of a ledger");
    }
    if (g->created_ns == 0) {
        return err_fail(reterr, ERR_INVALID, "created_ns: missing");
    }
    if (g->zone.size == 0 || !wire_text_valid(g->zone)) {
        return err_fail(reterr, ERR_INVALID, "zone: missing");
    }
    if (!limits_valid(&g->limits)) {
        return err_fail(reterr, ERR_INVALID, "limits: 0 or above what a node can do");
    }
    if (g->head_interval_ms < HEAD_INTERVAL_MS_MIN || g->head_interval_ms > HEAD_INTERVAL_MS_MAX) {
        return err_fail(reterr, ERR_INVALID, "head_interval_ms: not from %d to %d",
                        HEAD_INTERVAL_MS_MIN, HEAD_INTERVAL_MS_MAX);
    }
    for (uint32_t i = 1; i < g->threshold_count; i++) {
        if (g->thresholds[i - 1].kind >= g->thresholds[i].kind) {
            return err_fail(reterr, ERR_INVALID, "thresholds[%u]: not in ascending order", i);
        }
    }
    TRY(texts_check(g->measures, g->measure_count, true, "measures", reterr));
    return texts_check(g->contracts, g->contract_count, true, "contracts", reterr);
}

err genesis_check(const struct genesis *g, struct arena *a, struct errtext *reterr)
{
    require(g != NULL);
    require(a != NULL);
    TRY(head_check(g, reterr));
    if (g->institution_count < INSTITUTIONS_MIN) {
        return err_fail(reterr, ERR_INVALID, "institutions: %u, at least %d are needed",
                        g->institution_count, INSTITUTIONS_MIN);
    }
    for (uint32_t i = 0; i < g->institution_count; i++) {
        err e = institution_check(g, i, reterr);
        if (failed(e)) {
            return err_wrapf(reterr, e, "institutions[%u]", i);
        }
    }
    for (uint32_t i = 0; i < g->node_count; i++) {
        err e = node_check(g, i, reterr);
        if (failed(e)) {
            return err_wrapf(reterr, e, "nodes[%u]", i);
        }
    }
    for (uint32_t i = 0; i < g->party_count; i++) {
        err e = party_check(g, i, reterr);
        if (failed(e)) {
            return err_wrapf(reterr, e, "parties[%u]", i);
        }
    }
    return keys_unique(g, a, reterr);
}
