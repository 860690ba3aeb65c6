/* What the fuzz targets of the language share. */
#ifndef TESTS_FUZZ_RULES_LAW_H
#define TESTS_FUZZ_RULES_LAW_H

#include <stdint.h>
#include <string.h>

#include "crypto/sha256.h"
#include "rules/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A contract with every type in its arguments and every kind of statement. */
static const char law_everything[] =
    "rules 1 contract t.t version 1 effective 2026-01-01\n"
    "measure EUR to 0.01 measure Wh to 0.001 measure EUR/kWh to 0.00001 measure h to 0.25\n"
    "party boss = \"boss\"\n"
    "record R { k: party, e: Wh, o?: int }\n"
    "table t [k: string(8), n: int] max 3 { v: Wh, o?: int }\n"
    "account w [k: party]: EUR overdraft unlimited\n"
    "on go(b?: bool, i?: int, s?: string(5), y?: bytes(3), d?: date, m?: timestamp, u?: duration,\n"
    "      p?: party, a?: EUR, h?: h, price?: EUR/kWh, w_?: \"x\" | \"yy\", l?: list<int, max 3>,\n"
    "      r?: R, by_k?: list<R by k, max 3>) signed by boss dated date(\"2026-01-01\") {\n"
    "clause 1 \"x\"\n"
    "if has(a) && has(p) { transfer a from w[p] to w[boss] }\n"
    "if has(i) { let x = i * i - i / 3 }\n"
    "if has(s) && has(i) { add 1 Wh to t[s, i].v let q = t[s, <= i].v remove t[s, i - 1] }\n"
    "if has(u) { let x = now + u }\n"
    "if has(d) { let x = add_months(d, 1, \"up\") }\n"
    "if has(m) { schedule ring(d: day(m, \"Europe/Paris\")) at m }\n"
    "if has(l) { let x = l.map(i1, i1 * 2).sum(j1, j1) }\n"
    "if has(by_k) && has(a) { apportion a over by_k as z by z.e giving g { issue g into w[z.k] } "
    "}\n"
    "emit out { now: now }\n"
    "}\n"
    "on ring(d: date) signed by clock dated d { }\n";

static inline struct rules_program *law_of(const struct rules_registry *registry, const void *text,
                                           size_t size)
{
    struct rules_env env = {registry, sha256};
    struct rules_program *p = NULL;
    struct rules_diag diag;
    err e = rules_compile(&env, bytes_of(text, size), &p, &diag);
    return failed(e) ? NULL : p;
}

/* Runs lines until one is malformed. */
static inline void law_run(const struct rules_program *p, struct bytes lines)
{
    struct rules_run *run = rules_run_new(p);
    struct buf out;
    buf_init(&out, (size_t)64 << 20);
    while (lines.size > 0) {
        const uint8_t *end = memchr(lines.data, '\n', lines.size);
        size_t size = end == NULL ? lines.size : (size_t)(end - lines.data);
        if (failed(rules_run_line(run, bytes_of(lines.data, size), &out, NULL))) {
            break;
        }
        size += end == NULL ? 0 : 1;
        lines = bytes_of(lines.data + size, lines.size - size);
    }
    buf_done(&out);
    rules_run_free(run);
}

#endif
