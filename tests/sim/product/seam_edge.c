/* The edge of a process: clocks, randomness, log lines, the ends of require, directories, files.
 * Each function stands in for the product's own of the same name. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/require.h"
#include "crypto/random.h"
#include "crypto/verifier.h"
#include "net/tls.h"
#include "storage/dir.h"
#include "storage/fileops.h"
#include "tests/sim/product/edge.h"

/* ---- base/clock.h ---- */

static uint64_t edge_mono_ns(void *ctx)
{
    struct machine *m = ctx;
    return m == NULL ? 0 : machine_mono_ns(m);
}

static uint64_t edge_wall_ns(void *ctx)
{
    struct machine *m = ctx;
    return m == NULL ? SIM_EPOCH_NS : machine_wall_ns(m);
}

struct clock clock_system(void)
{
    return (struct clock){machine_running(), edge_mono_ns, edge_wall_ns};
}

/* ---- crypto/random.h ---- */

void random_bytes(void *ret, size_t size)
{
    static uint64_t founding = 1; /* before any history: serial numbers of certificates */
    struct machine *m = machine_running();
    uint8_t *out = ret;
    for (size_t at = 0; at < size; at += 8) {
        uint64_t value = draw(m == NULL ? &founding : &m->world->random_product);
        memcpy(out + at, &value, size - at < 8 ? size - at : 8);
    }
}

uint64_t random_u64(void)
{
    uint64_t value;
    random_bytes(&value, sizeof value);
    return value;
}

/* ---- base/log.h ---- */

void log_set_level(enum log_level level)
{
    (void)level;
}

void log_line(enum log_level level, const char *fmt, ...)
{
    static const char *const NAMES[] = {"debug", "info", "warn", "error"};
    const struct machine *m = machine_running();
    char text[512];
    va_list ap;
    if (m == NULL || !m->world->options.trace || m->dead) {
        return;
    }
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    trace(m->world, "%llu says %s: %s", (unsigned long long)m->id, NAMES[level], text);
}

/* ---- base/require.h ---- */

/* What a process does that has seen its disk fail, or that is dead already, counts for nothing. */
static _Noreturn void end_of(const char *text, bool excused)
{
    struct machine *m = machine_running();
    if (m == NULL) {
        fprintf(stderr, "sim: %s\n", text);
        abort();
    }
    if (m->dead || excused) {
        trace(m->world, "%llu dies: %s", (unsigned long long)m->id, text);
        machine_jump_out(m);
    }
    violation(m->world, "node %llu died: %s", (unsigned long long)m->id, text);
}

void require_failed(const char *fact, const char *file, int line)
{
    char text[512];
    snprintf(text, sizeof text, "%s:%d: require(%s)", file, line, fact);
    end_of(text, false);
}

void die(const char *fmt, ...)
{
    char text[512];
    const struct machine *m = machine_running();
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    end_of(text, m != NULL && m->disk_hurt);
}

/* ---- storage/dir.h: directories that are made at start are durable at once ---- */

err dir_make(const char *path, struct errtext *reterr)
{
    struct machine *m = machine_running();
    (void)reterr;
    if (machine_acts(m)) {
        disk_make(&m->disk, path);
    }
    return err_ok();
}

err dir_free_bytes(const char *path, uint64_t *ret_bytes, struct errtext *reterr)
{
    const struct machine *m = machine_running();
    (void)path;
    (void)reterr;
    require(m != NULL);
    *ret_bytes = m->full_until_ns > m->world->now_ns ? 0 : UINT64_C(64) << 30;
    return err_ok();
}

err dir_sync(const char *path, struct errtext *reterr)
{
    (void)path;
    (void)reterr;
    return err_ok();
}

err dir_remove(const char *path, struct errtext *reterr)
{
    (void)path;
    (void)reterr;
    return err_ok();
}

/* ---- storage/fileops.h ---- */

struct fileops fileops_system(void)
{
    struct machine *m = machine_running();
    require(m != NULL);
    return seam_log_files(m);
}

bool seam_kv_takes(size_t offset, size_t size)
{
    return offset < size;
}

/* ---- net/tls.h: no connection of a history is encrypted ---- */

struct tls_ctx {
    int unused;
};

err tls_ctx_new(const struct tls_options *options, struct tls_ctx **ret_ctx, struct errtext *reterr)
{
    (void)reterr;
    require(options->server);
    require(options->ca_count > 0);
    *ret_ctx = mem_new(1, sizeof **ret_ctx);
    return err_ok();
}

void tls_ctx_free(struct tls_ctx *ctx)
{
    free(ctx);
}

/* ---- crypto/verifier.h: what was verified once in this process is remembered ---- */

struct verifier *__real_verifier_new(void);
bool __real_verifier_check(struct verifier *v, const uint8_t public[SIGN_PUBLIC_SIZE],
                           struct bytes message, const uint8_t signature[SIGN_SIGNATURE_SIZE]);
struct verifier *__wrap_verifier_new(void);
void __wrap_verifier_free(struct verifier *v);
bool __wrap_verifier_check(struct verifier *v, const uint8_t public[SIGN_PUBLIC_SIZE],
                           struct bytes message, const uint8_t signature[SIGN_SIGNATURE_SIZE]);

/* A verdict is a fact about bytes: it may outlive the history. */
static struct memory {
    struct verifier *verifier;
    struct map verdicts;
} memory;

static char TRUE_VERDICT, FALSE_VERDICT;

enum { VERIFIED_BYTES_MAX = 512 };

struct verifier *__wrap_verifier_new(void)
{
    if (memory.verifier == NULL) {
        memory.verifier = __real_verifier_new();
        map_init(&memory.verdicts, 1, 2);
    }
    return memory.verifier;
}

void __wrap_verifier_free(struct verifier *v)
{
    require(v == NULL || v == memory.verifier);
}

bool __wrap_verifier_check(struct verifier *v, const uint8_t public[SIGN_PUBLIC_SIZE],
                           struct bytes message, const uint8_t signature[SIGN_SIGNATURE_SIZE])
{
    uint8_t key[SIGN_PUBLIC_SIZE + SIGN_SIGNATURE_SIZE + VERIFIED_BYTES_MAX];
    require(message.size <= VERIFIED_BYTES_MAX);
    memcpy(key, public, SIGN_PUBLIC_SIZE);
    memcpy(key + SIGN_PUBLIC_SIZE, signature, SIGN_SIGNATURE_SIZE);
    memcpy(key + SIGN_PUBLIC_SIZE + SIGN_SIGNATURE_SIZE, message.data, message.size);
    struct bytes all = bytes_of(key, SIGN_PUBLIC_SIZE + SIGN_SIGNATURE_SIZE + message.size);
    char *verdict = map_get(&memory.verdicts, all);
    if (verdict == NULL) {
        verdict =
            __real_verifier_check(v, public, message, signature) ? &TRUE_VERDICT : &FALSE_VERDICT;
        map_put(&memory.verdicts, all, verdict);
    }
    return verdict == &TRUE_VERDICT;
}
