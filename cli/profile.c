#include "cli/profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/hex.h"
#include "base/require.h"

enum { PROFILE_ARENA = 1 << 20 };

struct reading {
    struct profile *p;
    struct errtext *reterr;
};

static err fail(struct reading *r, const char *key, const char *what)
{
    return err_fail(r->reterr, ERR_INVALID, "%s: %s: %s", r->p->path, key, what);
}

static const char *keep(struct reading *r, const char *text)
{
    return arena_text(&r->p->arena, bytes_text(text));
}

/* A path of the profile is relative to the profile's folder. */
static const char *keep_path(struct reading *r, const char *path)
{
    const char *slash = strrchr(r->p->path, '/');
    if (path[0] == '/' || slash == NULL) {
        return keep(r, path);
    }
    return arena_printf(&r->p->arena, "%.*s/%s", (int)(slash - r->p->path), r->p->path, path);
}

static err take_text(struct reading *r, const char *key, const json_t *value, const char **ret)
{
    if (!json_is_string(value) || json_string_length(value) == 0) {
        return fail(r, key, "a text is expected");
    }
    *ret = keep(r, json_string_value(value));
    return err_ok();
}

static err take_nodes(struct reading *r, const json_t *list)
{
    size_t i;
    const json_t *item;
    if (!json_is_array(list) || json_array_size(list) == 0 ||
        json_array_size(list) > PROFILE_NODES_MAX) {
        return fail(r, "nodes", "a list of 1 to 16 {name, address} is expected");
    }
    json_array_foreach(list, i, item)
    {
        struct profile_node *node = &r->p->nodes[i];
        TRY(take_text(r, "nodes[].name", json_object_get(item, "name"), &node->name));
        TRY(take_text(r, "nodes[].address", json_object_get(item, "address"), &node->address));
        r->p->node_count++;
    }
    return err_ok();
}

static err take_cas(struct reading *r, const json_t *list)
{
    size_t i;
    const json_t *item;
    if (!json_is_array(list) || json_array_size(list) == 0 ||
        json_array_size(list) > PROFILE_CAS_MAX) {
        return fail(r, "ca", "a list of 1 to 32 PEM files is expected");
    }
    json_array_foreach(list, i, item)
    {
        const char *path;
        TRY(take_text(r, "ca[]", item, &path));
        r->p->cas[r->p->ca_count++] = keep_path(r, path);
    }
    return err_ok();
}

static err take_keys(struct reading *r, const char *key, json_t *object, const char *prefix)
{
    const char *name;
    json_t *value;
    if (!json_is_object(object)) {
        return fail(r, key, "an object {name: key file} is expected");
    }
    json_object_foreach(object, name, value)
    {
        const char *path;
        if (r->p->key_count == PROFILE_KEYS_MAX) {
            return fail(r, key, "too many keys");
        }
        TRY(take_text(r, key, value, &path));
        r->p->keys[r->p->key_count++] = (struct profile_key){
            arena_printf(&r->p->arena, "%s%s", prefix, name), keep_path(r, path)};
    }
    return err_ok();
}

static err take_ledger_id(struct reading *r, const json_t *value)
{
    const char *text;
    TRY(take_text(r, "ledger_id", value, &text));
    if (failed(hex_decode(bytes_text(text), r->p->ledger_id, 32))) {
        return fail(r, "ledger_id", "64 hexadecimal digits are expected");
    }
    return err_ok();
}

static err take_path(struct reading *r, const char *key, const json_t *value, const char **ret)
{
    const char *path;
    TRY(take_text(r, key, value, &path));
    *ret = keep_path(r, path);
    return err_ok();
}

static err take_member(struct reading *r, const char *key, json_t *value)
{
    if (strcmp(key, "origin") == 0) {
        return take_text(r, key, value, &r->p->origin);
    }
    if (strcmp(key, "ledger_id") == 0) {
        return take_ledger_id(r, value);
    }
    if (strcmp(key, "nodes") == 0) {
        return take_nodes(r, value);
    }
    if (strcmp(key, "ca") == 0) {
        return take_cas(r, value);
    }
    if (strcmp(key, "cert") == 0) {
        return take_path(r, key, value, &r->p->cert);
    }
    if (strcmp(key, "key") == 0) {
        return take_path(r, key, value, &r->p->key);
    }
    if (strcmp(key, "parties") == 0) {
        return take_keys(r, key, value, "");
    }
    if (strcmp(key, "governance") == 0 || strcmp(key, "officers") == 0) {
        return take_keys(r, key, value, "ledger.");
    }
    return fail(r, key,
                "unknown key; known: origin, ledger_id, nodes, ca, cert, key, parties, "
                "governance, officers");
}

static err take_all(struct reading *r, json_t *root)
{
    static const char *const needed[] = {"origin", "ledger_id", "nodes", "ca", "cert", "key"};
    const char *key;
    json_t *value;
    if (!json_is_object(root)) {
        return fail(r, "profile", "a JSON object is expected");
    }
    json_object_foreach(root, key, value)
    {
        TRY(take_member(r, key, value));
    }
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        if (json_object_get(root, needed[i]) == NULL) {
            return fail(r, needed[i], "is missing");
        }
    }
    return err_ok();
}

static const char *find_path(const struct given *g, struct arena *a)
{
    const char *path = given_value(g, "profile");
    if (path == NULL) {
        path = getenv("CONCORDAT_PROFILE");
    }
    if (path == NULL && getenv("HOME") != NULL) {
        path = arena_printf(a, "%s/.config/concordat/profile.json", getenv("HOME"));
    }
    return path;
}

err profile_load(const struct given *g, struct profile *ret, struct errtext *reterr)
{
    struct reading r = {ret, reterr};
    json_error_t where;
    *ret = (struct profile){0};
    arena_init(&ret->arena, PROFILE_ARENA);
    ret->path = find_path(g, &ret->arena);
    err e;
    json_t *root = NULL;
    if (ret->path == NULL) {
        e = err_fail(reterr, ERR_NOT_FOUND, "no profile: give --profile FILE");
    } else {
        root = json_load_file(ret->path, JSON_REJECT_DUPLICATES, &where);
        e = root == NULL ? err_fail(reterr, ERR_INVALID,
                                    "%s:%d:%d: %s (a profile is needed: --profile FILE)", ret->path,
                                    where.line, where.column, where.text)
                         : take_all(&r, root);
    }
    json_decref(root);
    if (failed(e)) {
        profile_done(ret);
    }
    return e;
}

void profile_done(struct profile *p)
{
    require(p != NULL);
    if (p->arena.size_max > 0) {
        arena_done(&p->arena);
    }
    *p = (struct profile){0};
}

const char *profile_key_path(const struct profile *p, const char *party)
{
    for (size_t i = 0; i < p->key_count; i++) {
        if (strcmp(p->keys[i].name, party) == 0) {
            return p->keys[i].path;
        }
    }
    return NULL;
}
