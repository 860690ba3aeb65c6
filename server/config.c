#include "server/config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"

enum kind { KIND_TEXT, KIND_PATH, KIND_U32, KIND_U64, KIND_LEVEL };

struct key {
    const char *name;
    enum kind kind;
    size_t offset;
    bool optional;
    uint64_t least, most; /* KIND_U32, KIND_U64 */
};

#define AT(field) offsetof(struct config, field)
static const struct key KEYS[] = {
    {"institution", KIND_TEXT, AT(institution), false, 0, 0},
    {"node", KIND_TEXT, AT(node), false, 0, 0},
    {"data", KIND_PATH, AT(data), false, 0, 0},
    {"genesis", KIND_PATH, AT(genesis), false, 0, 0},
    {"genesis_signatures", KIND_PATH, AT(genesis_signatures), false, 0, 0},
    {"listen_client", KIND_TEXT, AT(listen_client), false, 0, 0},
    {"listen_peer", KIND_TEXT, AT(listen_peer), false, 0, 0},
    {"certificate", KIND_PATH, AT(certificate), false, 0, 0},
    {"bootstrap", KIND_PATH, AT(bootstrap), true, 0, 0},
    {"private_key", KIND_PATH, AT(private_key), false, 0, 0},
    {"head_key", KIND_PATH, AT(head_key), true, 0, 0},
    /* Below 100 ms a busy machine elects for no reason; above a minute nobody waits. */
    {"election_timeout_ms", KIND_U32, AT(election_timeout_ms), true, 100, 60000},
    {"heartbeat_ms", KIND_U32, AT(heartbeat_ms), true, 10, 10000},
    {"workers", KIND_U32, AT(workers), true, 1, 64},
    /* 0 switches a threshold off; a tebibyte more than any node needs. */
    {"disk_low_mib", KIND_U32, AT(disk_low_mib), true, 0, 1 << 20},
    {"disk_stop_mib", KIND_U32, AT(disk_stop_mib), true, 0, 1 << 20},
    {"scrub_period_s", KIND_U32, AT(scrub_period_s), true, 0, 366 * 86400},
    {"scrub_rate_mib", KIND_U32, AT(scrub_rate_mib), true, 1, 4096},
    /* Below 64 KiB a node does nothing else; tests use little more. */
    {"checkpoint_bytes", KIND_U64, AT(checkpoint_bytes), true, 64 << 10, UINT64_C(1) << 40},
    {"log_tail_bytes", KIND_U64, AT(log_tail_bytes), true, 0, UINT64_C(1) << 40},
    {"log_segment_bytes", KIND_U64, AT(log_segment_bytes), true, 1 << 20, LOG_SEGMENT_BYTES_MAX},
    /* Slower than 1 MiB/s a chunk takes longer than a peer waits for it. */
    {"snapshot_rate", KIND_U64, AT(snapshot_rate), true, 1 << 20, UINT64_C(1) << 40},
    {"log_level", KIND_LEVEL, AT(log_level), true, 0, 0},
};
enum { KEY_COUNT = sizeof KEYS / sizeof *KEYS };

struct reading {
    const char *path;
    struct config *config;
    struct errtext *reterr;
    bool seen[KEY_COUNT];
};

static char **text_at(struct config *c, const struct key *k)
{
    return (char **)((char *)c + k->offset);
}

static err fail_at(struct reading *r, size_t line, const char *what, const char *value)
{
    return err_fail(r->reterr, ERR_INVALID, "%s:%zu: %s '%.100s'", r->path, line + 1, what, value);
}

/* A path of the file is relative to the file's own folder. */
static char *resolve(const char *config_path, const char *path)
{
    const char *slash = strrchr(config_path, '/');
    if (path[0] == '/' || slash == NULL) {
        return mem_text(path);
    }
    size_t folder = (size_t)(slash - config_path) + 1;
    char *full = mem_new(folder + strlen(path) + 1, 1);
    memcpy(full, config_path, folder);
    memcpy(full + folder, path, strlen(path) + 1);
    return full;
}

static err set_number(struct reading *r, const struct key *k, const char *value, size_t line)
{
    char *end = NULL;
    errno = 0;
    unsigned long long v = strtoull(value, &end, 10);
    bool digits = value[0] >= '0' && value[0] <= '9' && *end == '\0' && errno == 0;
    void *at = (char *)r->config + k->offset;
    if (!digits || v < k->least || v > k->most) {
        return err_fail(r->reterr, ERR_INVALID,
                        "%s:%zu: %s must be a number from %llu to %llu, not '%.40s'", r->path,
                        line + 1, k->name, (unsigned long long)k->least,
                        (unsigned long long)k->most, value);
    }
    if (k->kind == KIND_U64) {
        *(uint64_t *)at = v;
    } else {
        *(uint32_t *)at = (uint32_t)v;
    }
    return err_ok();
}

static err set_level(struct reading *r, const char *value, size_t line)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(value, names[i]) == 0) {
            r->config->log_level = (enum log_level)i;
            return err_ok();
        }
    }
    return fail_at(r, line, "log_level is debug, info, warn or error, not", value);
}

static err set_value(struct reading *r, size_t key, const char *value, size_t line)
{
    const struct key *k = &KEYS[key];
    if (r->seen[key]) {
        return fail_at(r, line, "given twice:", k->name);
    }
    r->seen[key] = true;
    switch (k->kind) {
    case KIND_U32:
    case KIND_U64:
        return set_number(r, k, value, line);
    case KIND_LEVEL:
        return set_level(r, value, line);
    case KIND_TEXT:
    case KIND_PATH:
        if (value[0] == '\0') {
            return fail_at(r, line, "needs a value:", k->name);
        }
        *text_at(r->config, k) = k->kind == KIND_PATH ? resolve(r->path, value) : mem_text(value);
        return err_ok();
    }
    return err_ok();
}

static err unknown_key(struct reading *r, const char *name, size_t line)
{
    char known[ERR_TEXT_MAX / 2] = "";
    size_t at = 0;
    for (size_t i = 0; i < KEY_COUNT && at < sizeof known; i++) {
        at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", i == 0 ? "" : ", ",
                               KEYS[i].name);
    }
    return err_fail(r->reterr, ERR_INVALID, "%s:%zu: unknown key '%.60s'; known keys: %s", r->path,
                    line + 1, name, known);
}

static err find_key(struct reading *r, const char *name, size_t line, size_t *ret)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (strcmp(name, KEYS[i].name) == 0) {
            *ret = i;
            return err_ok();
        }
    }
    return unknown_key(r, name, line);
}

/* One step through the document: a flat mapping of scalars and nothing else. */
static err take_event(struct reading *r, const yaml_event_t *ev, int *depth, size_t *key)
{
    size_t line = ev->start_mark.line;
    const char *text = ev->type == YAML_SCALAR_EVENT ? (const char *)ev->data.scalar.value : "";
    switch (ev->type) {
    case YAML_SCALAR_EVENT:
        if (ev->data.scalar.length != strlen(text)) {
            return fail_at(r, line, "a NUL character in", text);
        }
        if (*depth != 1) {
            return fail_at(r, line, "expected 'key: value' lines, found", text);
        }
        if (*key == KEY_COUNT) {
            return find_key(r, text, line, key);
        }
        TRY(set_value(r, *key, text, line));
        *key = KEY_COUNT;
        return err_ok();
    case YAML_MAPPING_START_EVENT:
        if ((*depth)++ > 0) {
            return fail_at(r, line, "a nested mapping is not expected at",
                           KEYS[*key % KEY_COUNT].name);
        }
        return err_ok();
    case YAML_MAPPING_END_EVENT:
        (*depth)--;
        return err_ok();
    case YAML_SEQUENCE_START_EVENT:
    case YAML_ALIAS_EVENT:
        return fail_at(r, line, "only 'key: value' lines are expected", "");
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        return err_ok();
    }
    return err_ok();
}

static err parse_file(struct reading *r, FILE *file)
{
    yaml_parser_t parser;
    err e = err_ok();
    int depth = 0;
    size_t key = KEY_COUNT;
    bool end = false;
    if (!yaml_parser_initialize(&parser)) {
        die("out of memory");
    }
    yaml_parser_set_input_file(&parser, file);
    while (!failed(e) && !end) {
        yaml_event_t ev;
        if (!yaml_parser_parse(&parser, &ev)) {
            e = fail_at(r, parser.problem_mark.line,
                        "not YAML:", parser.problem == NULL ? "" : parser.problem);
            break;
        }
        end = ev.type == YAML_STREAM_END_EVENT;
        e = take_event(r, &ev, &depth, &key);
        yaml_event_delete(&ev);
    }
    yaml_parser_delete(&parser);
    return e;
}

/* `concordat keygen node` writes it beside the other key. */
static char *default_head_key(const char *private_key)
{
    static const char NAME[] = "head.key";
    const char *slash = strrchr(private_key, '/');
    size_t folder = slash == NULL ? 0 : (size_t)(slash - private_key) + 1;
    char *full = mem_new(folder + sizeof NAME, 1);
    memcpy(full, private_key, folder);
    memcpy(full + folder, NAME, sizeof NAME);
    return full;
}

static err check_complete(struct reading *r)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (!r->seen[i] && !KEYS[i].optional) {
            return err_fail(r->reterr, ERR_INVALID, "%s: the key '%s' is missing", r->path,
                            KEYS[i].name);
        }
    }
    if (r->config->heartbeat_ms * 3 > r->config->election_timeout_ms) {
        return err_fail(r->reterr, ERR_INVALID,
                        "%s: heartbeat_ms (%u) must be at most a third of election_timeout_ms (%u)",
                        r->path, r->config->heartbeat_ms, r->config->election_timeout_ms);
    }
    if (r->config->disk_stop_mib > r->config->disk_low_mib) {
        return err_fail(r->reterr, ERR_INVALID,
                        "%s: disk_stop_mib (%u) must be at most disk_low_mib (%u)", r->path,
                        r->config->disk_stop_mib, r->config->disk_low_mib);
    }
    return err_ok();
}

err config_load(const char *path, struct config *ret, struct errtext *reterr)
{
    struct config c = {
        .election_timeout_ms = 1000,
        .heartbeat_ms = 100,
        .workers = 2,
        .disk_low_mib = DISK_LOW_MIB,
        .disk_stop_mib = DISK_STOP_MIB,
        .scrub_period_s = SCRUB_PERIOD_S,
        .scrub_rate_mib = SCRUB_RATE_MIB,
        .checkpoint_bytes = CHECKPOINT_BYTES_DEFAULT,
        .log_tail_bytes = LOG_TAIL_BYTES_DEFAULT,
        .log_segment_bytes = LOG_SEGMENT_BYTES,
        .snapshot_rate = SNAPSHOT_RATE_DEFAULT,
        .log_level = LOG_LEVEL_INFO,
    };
    struct reading r = {.path = path, .config = &c, .reterr = reterr};
    require(path != NULL);
    require(ret != NULL);
    *ret = (struct config){0};
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return err_fail(reterr, ERR_IO, "%s: %s", path, strerror(errno));
    }
    err e = parse_file(&r, file);
    if (!failed(e)) {
        e = check_complete(&r);
    }
    if (!failed(e) && c.head_key == NULL) {
        c.head_key = default_head_key(c.private_key);
    }
    fclose(file);
    if (failed(e)) {
        config_done(&c);
        return e;
    }
    *ret = c;
    return err_ok();
}

void config_done(struct config *c)
{
    require(c != NULL);
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (KEYS[i].kind == KIND_TEXT || KEYS[i].kind == KIND_PATH) {
            free(*text_at(c, &KEYS[i]));
        }
    }
    *c = (struct config){0};
}
