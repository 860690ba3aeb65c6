#include "cli/genesis_spec.h"

#include <string.h>

#include <jansson.h>

#include "base/require.h"
#include "crypto/cert.h"
#include "crypto/keyfile.h"
#include "crypto/sign.h"

struct spec {
    const char *path;
    struct arena *a;
    struct errtext *reterr;
};

/* The measures of section 4.2 of the contract language, and one local currency. */
static const char *const DEFAULT_MEASURES[] = {
    "measure CIG to 0.01", "measure EUR to 0.01", "measure Wh to 0.001",
    "measure g to 1",      "measure h to 0.25",   "measure pct to 0.0001",
};

static err fail(struct spec *s, const char *where, const char *what)
{
    return err_fail(s->reterr, ERR_INVALID, "%s: %s: %s", s->path, where, what);
}

static err take_text(struct spec *s, const json_t *object, const char *key, struct bytes *ret)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value) || json_string_length(value) == 0) {
        return fail(s, key, "a text is expected");
    }
    *ret = arena_copy(s->a, bytes_text(json_string_value(value)));
    return err_ok();
}

static const char *resolve(struct spec *s, const char *path)
{
    const char *slash = strrchr(s->path, '/');
    return path[0] == '/' || slash == NULL
               ? path
               : arena_printf(s->a, "%.*s/%s", (int)(slash - s->path), s->path, path);
}

static err read_text_file(struct spec *s, const char *path, size_t size_max, struct bytes *ret)
{
    struct buf b;
    buf_init(&b, size_max);
    err e = keyfile_read_public(resolve(s, path), &b, s->reterr);
    if (!failed(e)) {
        *ret = arena_copy(s->a, buf_bytes(&b));
    }
    buf_done(&b);
    return e;
}

static err read_public_key(struct spec *s, const json_t *value, uint8_t ret[32])
{
    struct bytes text;
    if (!json_is_string(value)) {
        return fail(s, "key", "the path of a .pub file is expected");
    }
    TRY(read_text_file(s, json_string_value(value), 256, &text));
    while (text.size > 0 && text.data[text.size - 1] == '\n') {
        text.size--;
    }
    err e = sign_public_parse(text, ret, s->reterr);
    return failed(e) ? err_wrapf(s->reterr, e, "%s", json_string_value(value)) : e;
}

/* A list member; absent counts as empty when it may be left out. */
static err take_list(struct spec *s, const json_t *object, const char *key, bool optional,
                     const json_t **ret)
{
    *ret = json_object_get(object, key);
    bool fine =
        json_is_array(*ret) ? json_array_size(*ret) > 0 || optional : *ret == NULL && optional;
    return fine ? err_ok() : fail(s, key, "a list is expected");
}

static err take_keys(struct spec *s, const json_t *list, uint8_t (**ret)[32], uint32_t *ret_count)
{
    uint32_t count = (uint32_t)json_array_size(list);
    uint8_t(*keys)[32] = arena_new(s->a, count, sizeof *keys);
    for (uint32_t i = 0; i < count; i++) {
        TRY(read_public_key(s, json_array_get(list, i), keys[i]));
    }
    *ret = keys;
    *ret_count = count;
    return err_ok();
}

static err read_cert(struct spec *s, const json_t *value, struct cert **ret)
{
    if (!json_is_string(value)) {
        return fail(s, "certificate", "the path of a PEM file is expected");
    }
    return cert_read(resolve(s, json_string_value(value)), ret, s->reterr);
}

static err take_cas(struct spec *s, const json_t *list, struct institution *in)
{
    in->ca_cert_count = (uint32_t)json_array_size(list);
    in->ca_certs = arena_new(s->a, in->ca_cert_count, sizeof *in->ca_certs);
    for (uint32_t i = 0; i < in->ca_cert_count; i++) {
        struct cert *cert;
        struct buf der;
        TRY(read_cert(s, json_array_get(list, i), &cert));
        buf_init(&der, CERT_BYTES_MAX);
        cert_der(cert, &der);
        in->ca_certs[i] = arena_copy(s->a, buf_bytes(&der));
        buf_done(&der);
        cert_free(cert);
    }
    return err_ok();
}

static err take_officers(struct spec *s, json_t *object, struct institution *in)
{
    const char *name;
    json_t *value;
    uint32_t i = 0;
    if (object != NULL && !json_is_object(object)) {
        return fail(s, "officers", "an object {name: key file} is expected");
    }
    in->officer_count = (uint32_t)json_object_size(object);
    in->officers = arena_new(s->a, in->officer_count, sizeof *in->officers);
    json_object_foreach(object, name, value)
    {
        in->officers[i].name = arena_copy(s->a, bytes_text(name));
        TRY(read_public_key(s, value, in->officers[i].key));
        i++;
    }
    return err_ok();
}

static err take_institution(struct spec *s, const json_t *item, struct institution *ret)
{
    const json_t *list;
    TRY(take_text(s, item, "name", &ret->name));
    TRY(take_list(s, item, "ca", false, &list));
    TRY(take_cas(s, list, ret));
    TRY(take_list(s, item, "governance", false, &list));
    TRY(take_keys(s, list, &ret->governance_keys, &ret->governance_key_count));
    return take_officers(s, json_object_get(item, "officers"), ret);
}

static err take_node(struct spec *s, const json_t *item, struct node_entry *ret)
{
    struct cert *cert;
    struct buf spki;
    json_int_t id = json_integer_value(json_object_get(item, "id"));
    if (id <= 0) {
        return fail(s, "nodes[].id", "a number from 1 is expected");
    }
    ret->id = (uint64_t)id;
    TRY(take_text(s, item, "institution", &ret->institution));
    TRY(take_text(s, item, "name", &ret->name));
    TRY(take_text(s, item, "peer", &ret->peer_address));
    TRY(take_text(s, item, "client", &ret->client_address));
    TRY(read_public_key(s, json_object_get(item, "head_key"), ret->head_key));
    TRY(read_cert(s, json_object_get(item, "certificate"), &cert));
    buf_init(&spki, CERT_BYTES_MAX);
    cert_spki(cert, &spki);
    ret->transport_key = arena_copy(s->a, buf_bytes(&spki));
    buf_done(&spki);
    cert_free(cert);
    return err_ok();
}

static err take_party(struct spec *s, const json_t *item, struct party_entry *ret)
{
    const json_t *list;
    TRY(take_text(s, item, "name", &ret->name));
    TRY(take_text(s, item, "institution", &ret->institution));
    TRY(take_list(s, item, "keys", false, &list));
    return take_keys(s, list, &ret->keys, &ret->key_count);
}

static err take_measures(struct spec *s, const json_t *root, struct genesis *g)
{
    const json_t *list;
    TRY(take_list(s, root, "measures", true, &list));
    size_t standard = sizeof DEFAULT_MEASURES / sizeof *DEFAULT_MEASURES;
    g->measure_count = (uint32_t)(list == NULL ? standard : json_array_size(list));
    g->measures = arena_new(s->a, g->measure_count, sizeof *g->measures);
    for (uint32_t i = 0; i < g->measure_count; i++) {
        const char *line =
            list == NULL ? DEFAULT_MEASURES[i] : json_string_value(json_array_get(list, i));
        if (line == NULL) {
            return fail(s, "measures", "lines like \"measure EUR to 0.01\" are expected");
        }
        g->measures[i] = arena_copy(s->a, bytes_text(line));
    }
    return err_ok();
}

static err take_contracts(struct spec *s, const json_t *root, struct genesis *g)
{
    const json_t *list;
    TRY(take_list(s, root, "contracts", true, &list));
    g->contract_count = (uint32_t)json_array_size(list);
    g->contracts = arena_new(s->a, g->contract_count, sizeof *g->contracts);
    for (uint32_t i = 0; i < g->contract_count; i++) {
        const char *path = json_string_value(json_array_get(list, i));
        if (path == NULL) {
            return fail(s, "contracts", "paths of contract texts are expected");
        }
        TRY(read_text_file(s, path, CONTRACT_BYTES_MAX, &g->contracts[i]));
    }
    return err_ok();
}

static err take_members(struct spec *s, const json_t *root, struct genesis *g)
{
    const json_t *list;
    TRY(take_list(s, root, "institutions", false, &list));
    g->institution_count = (uint32_t)json_array_size(list);
    g->institutions = arena_new(s->a, g->institution_count, sizeof *g->institutions);
    for (uint32_t i = 0; i < g->institution_count; i++) {
        TRY(take_institution(s, json_array_get(list, i), &g->institutions[i]));
    }
    TRY(take_list(s, root, "nodes", false, &list));
    g->node_count = (uint32_t)json_array_size(list);
    g->nodes = arena_new(s->a, g->node_count, sizeof *g->nodes);
    for (uint32_t i = 0; i < g->node_count; i++) {
        TRY(take_node(s, json_array_get(list, i), &g->nodes[i]));
    }
    TRY(take_list(s, root, "parties", true, &list));
    g->party_count = (uint32_t)json_array_size(list);
    g->parties = arena_new(s->a, g->party_count, sizeof *g->parties);
    for (uint32_t i = 0; i < g->party_count; i++) {
        TRY(take_party(s, json_array_get(list, i), &g->parties[i]));
    }
    return err_ok();
}

static err take_all(struct spec *s, const json_t *root, struct genesis *g)
{
    static const char *const known[] = {"origin",       "zone",  "public_reading", "measures",
                                        "institutions", "nodes", "parties",        "contracts"};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)root, key, value)
    {
        bool found = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
            found |= strcmp(key, known[i]) == 0;
        }
        if (!found) {
            return fail(s, key, "unknown member");
        }
    }
    TRY(take_text(s, root, "origin", &g->origin));
    TRY(take_text(s, root, "zone", &g->zone));
    g->public_reading = json_is_true(json_object_get(root, "public_reading"));
    g->head_interval_ms = 1000;
    g->limits = genesis_limits_default();
    TRY(take_measures(s, root, g));
    TRY(take_members(s, root, g));
    return take_contracts(s, root, g);
}

err genesis_spec_read(const char *path, struct arena *a, struct genesis *ret,
                      struct errtext *reterr)
{
    struct spec s = {path, a, reterr};
    json_error_t where;
    require(path != NULL);
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &where);
    if (root == NULL || !json_is_object(root)) {
        json_decref(root);
        return err_fail(reterr, ERR_INVALID, "%s:%d:%d: %s", path, where.line, where.column,
                        root == NULL ? where.text : "a JSON object is expected");
    }
    err e = take_all(&s, root, ret);
    json_decref(root);
    return e;
}
