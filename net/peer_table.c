#include "net/peer_table.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/name.h"
#include "base/require.h"
#include "net/address.h"

static_assert(NODES_MAX * (int)PEER_CAS_MAX <= (int)TLS_CERTS_MAX, "a context holds all CAs");

static err check_node(const struct peer_node *n, struct errtext *reterr)
{
    struct address address;
    if (n->id == 0) {
        return err_fail(reterr, ERR_INVALID, "the id is 0");
    }
    if (!name_institution_valid(bytes_text(n->institution))) {
        return err_fail(reterr, ERR_INVALID, "bad institution name");
    }
    if (!name_party_valid(bytes_text(n->name))) {
        return err_fail(reterr, ERR_INVALID, "bad node name");
    }
    if (strlen(n->address) > ADDRESS_BYTES_MAX) {
        return err_fail(reterr, ERR_INVALID, "the address is too long");
    }
    if (n->key_count < 1 || n->key_count > PEER_KEYS_MAX) {
        return err_fail(reterr, ERR_INVALID, "%zu transport keys", n->key_count);
    }
    if (n->ca_count < 1 || n->ca_count > PEER_CAS_MAX) {
        return err_fail(reterr, ERR_INVALID, "%zu CA certificates", n->ca_count);
    }
    for (size_t i = 0; i < n->ca_count; i++) {
        if (n->cas[i].size == 0 || n->cas[i].size > CERT_BYTES_MAX) {
            return err_fail(reterr, ERR_INVALID, "CA certificate of %zu bytes", n->cas[i].size);
        }
    }
    return address_parse(n->address, &address, reterr);
}

static void copy_node(const struct peer_node *n, struct peer_row *row)
{
    row->id = n->id;
    snprintf(row->institution, sizeof row->institution, "%s", n->institution);
    snprintf(row->name, sizeof row->name, "%s", n->name);
    snprintf(row->address, sizeof row->address, "%s", n->address);
    memcpy(row->keys, n->keys, sizeof row->keys);
    row->key_count = n->key_count;
    row->ca_count = n->ca_count;
    for (size_t i = 0; i < n->ca_count; i++) {
        row->cas[i] = bytes_of(mem_copy(n->cas[i].data, n->cas[i].size), n->cas[i].size);
    }
}

err peer_table_new(const struct peer_node nodes[], size_t count, struct peer_table **ret,
                   struct errtext *reterr)
{
    require(nodes != NULL || count == 0);
    require(ret != NULL);
    if (count > NODES_MAX) {
        return err_fail(reterr, ERR_LIMIT, "%zu nodes, at most %d are allowed", count, NODES_MAX);
    }
    struct peer_table *table = mem_new(1, sizeof *table);
    for (size_t i = 0; i < count; i++) {
        err e = check_node(&nodes[i], reterr);
        if (!failed(e) && peer_table_find(table, nodes[i].id) != NULL) {
            e = err_fail(reterr, ERR_INVALID, "the id is there twice");
        }
        if (failed(e)) {
            peer_table_free(table);
            return err_wrapf(reterr, e, "node %llu", (unsigned long long)nodes[i].id);
        }
        copy_node(&nodes[i], &table->rows[table->count]);
        table->count++;
    }
    *ret = table;
    return err_ok();
}

void peer_table_free(struct peer_table *table)
{
    if (table == NULL) {
        return;
    }
    for (size_t i = 0; i < table->count; i++) {
        for (size_t j = 0; j < table->rows[i].ca_count; j++) {
            free((void *)(uintptr_t)table->rows[i].cas[j].data);
        }
    }
    free(table);
}

const struct peer_row *peer_table_find(const struct peer_table *table, uint64_t id)
{
    require(table != NULL);
    for (size_t i = 0; i < table->count; i++) {
        if (table->rows[i].id == id) {
            return &table->rows[i];
        }
    }
    return NULL;
}

static bool has_ca(const struct tls_ca cas[], size_t count, struct bytes der)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes_equal(cas[i].cert, der)) {
            return true;
        }
    }
    return false;
}

size_t peer_table_cas(const struct peer_table *table, struct tls_ca ret[])
{
    require(table != NULL);
    require(ret != NULL);
    size_t count = 0;
    for (size_t i = 0; i < table->count; i++) {
        const struct peer_row *row = &table->rows[i];
        for (size_t j = 0; j < row->ca_count; j++) {
            if (!has_ca(ret, count, row->cas[j])) {
                /* For anybody: peer_row_judge compares the root and can name the reason. */
                ret[count] = (struct tls_ca){.cert = row->cas[j], .institution = NULL};
                count++;
            }
        }
    }
    return count;
}

/* What holds for each node of the ledger, whoever it is. */
static enum peer_reason judge_kind(const char *origin, const struct tls_peer *peer)
{
    if (peer == NULL || !peer->has_identity) {
        return PEER_REASON_NO_IDENTITY;
    }
    if (peer->identity.kind != IDENTITY_NODE) {
        return PEER_REASON_NOT_A_NODE;
    }
    return strcmp(peer->identity.origin, origin) == 0 ? PEER_REASON_NONE : PEER_REASON_OTHER_ORIGIN;
}

static bool same_names(const struct peer_row *row, const struct identity *id)
{
    return strcmp(row->institution, id->institution) == 0 && strcmp(row->name, id->name) == 0;
}

enum peer_reason peer_table_judge(const struct peer_table *table, const char *origin,
                                  const struct tls_peer *peer)
{
    require(table != NULL);
    require(origin != NULL);
    enum peer_reason reason = judge_kind(origin, peer);
    if (reason != PEER_REASON_NONE) {
        return reason;
    }
    for (size_t i = 0; i < table->count; i++) {
        if (same_names(&table->rows[i], &peer->identity)) {
            return PEER_REASON_NONE;
        }
    }
    return PEER_REASON_UNKNOWN_NODE;
}

static bool key_is_known(const struct peer_row *row, struct bytes spki)
{
    uint8_t digest[SHA256_SIZE];
    sha256(spki.data, spki.size, digest);
    for (size_t i = 0; i < row->key_count; i++) {
        if (memcmp(row->keys[i], digest, sizeof digest) == 0) {
            return true;
        }
    }
    return false;
}

static bool root_is_known(const struct peer_row *row, struct bytes root)
{
    for (size_t i = 0; i < row->ca_count; i++) {
        if (bytes_equal(row->cas[i], root)) {
            return true;
        }
    }
    return false;
}

enum peer_reason peer_row_judge(const struct peer_row *row, const char *origin,
                                const struct tls_peer *peer)
{
    require(row != NULL);
    require(origin != NULL);
    enum peer_reason reason = judge_kind(origin, peer);
    if (reason != PEER_REASON_NONE) {
        return reason;
    }
    if (!same_names(row, &peer->identity)) {
        return PEER_REASON_WRONG_PEER;
    }
    if (!root_is_known(row, peer->root)) {
        return PEER_REASON_FOREIGN_CA;
    }
    return key_is_known(row, peer->spki) ? PEER_REASON_NONE : PEER_REASON_WRONG_KEY;
}
