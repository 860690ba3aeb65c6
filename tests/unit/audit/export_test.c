/* A state database and an exported directory against the ledger they should be: any difference is
 * found and named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/export.h"
#include "audit/replay.h"
#include "fixture.h"
#include "ledger/families.h"
#include "ledger/stored.h"

/* ---- a state database ---- */

static void write_one(struct world *twin, size_t family, struct bytes key,
                      const struct bytes *value)
{
    struct kv_batch *b = kv_batch_new();
    struct errtext why;
    if (value == NULL) {
        kv_batch_delete(b, twin->kv, family, key);
    } else {
        kv_batch_put(b, twin->kv, family, key, *value);
    }
    assert_false(failed(kv_commit(twin->kv, b, false, &why)));
    kv_batch_free(b);
}

/* Changes, removes or adds one entry of a family of the twin. */
static void tamper(struct world *twin, size_t family, int how)
{
    struct kv_range range = {.family = family};
    struct kv_iter *it = kv_iter_open(twin->kv, &range);
    struct bytes key;
    struct bytes value;
    struct errtext why;
    uint8_t other[4096] = {0};
    assert_true(kv_iter_next(it, &key, &value));
    key = arena_copy(&twin->arena, key);
    value = arena_copy(&twin->arena, value);
    assert_false(failed(kv_iter_close(it, &why)));
    memcpy(other, key.data, key.size);
    other[0] ^= 0x80; /* far from all others; keys of sequences keep their size */
    if (how == 2) {
        write_one(twin, family, bytes_of(other, key.size), &value);
        return;
    }
    write_one(twin, family, key, NULL);
    if (how == 0) {
        struct bytes changed = fixture_flipped(twin, value, value.size - 1);
        write_one(twin, family, key, &changed);
    }
}

static void every_family_of_a_database_is_compared(void **state)
{
    struct fixture *f = *state;
    for (size_t family = 0; family < FAMILIES_REPLICATED; family++) {
        if (family == FAMILY_TIMERS || family == FAMILY_VOIDS || family == FAMILY_TREE) {
            continue; /* empty in this small ledger */
        }
        for (int how = 0; how < 3; how++) {
            struct world twin;
            struct stored_difference d;
            struct errtext why;
            world_twin(&twin, &f->w);
            for (uint64_t height = 1; height <= f->kept.last; height++) {
                world_apply_block(&twin, f->kept.blocks[height]);
            }
            assert_false(failed(stored_compare(f->w.kv, twin.kv, &d, &why)));
            assert_false(d.is);
            tamper(&twin, family, how);
            assert_false(failed(stored_compare(f->w.kv, twin.kv, &d, &why)));
            if (!d.is) {
                fail_msg("family %zu, fault %d: not found", family, how);
            }
            assert_true(d.has_position || how == 2 ||
                        (family != FAMILY_POSTINGS && family != FAMILY_RECORDS));
            world_close(&twin);
        }
    }
}

/* ---- an exported directory ---- */

static err export_to(struct fixture *f, const char *dir, bool compare, struct sink *sink)
{
    struct errtext why = {{0}};
    struct export_input in = {.ledger = f->w.ledger,
                              .genesis = f->kept.genesis,
                              .signatures = f->kept.signatures,
                              .checkpoint = f->kept.heads[2],
                              .heads = f->kept.heads,
                              .head_count = f->kept.head_count};
    sink_init(sink, dir, compare);
    err e = export_run(&in, sink, &why);
    if (failed(e)) {
        print_error("%s\n", why.text);
    }
    return e;
}

static const char *const FAULTS_OF_FILES[] = {
    "cp $F $K; printf '\\377' | dd of=$F bs=1 seek=7 conv=notrunc status=none",
    "cp $F $K; truncate -s -1 $F", "cp $F $K; printf x >>$F", "mv $F $K"};

static void damage(const char *dir, const char *file, const char *how)
{
    char command[512];
    snprintf(command, sizeof(command), "F=%s/%s; K=%s/kept; %s", dir, file, dir, how);
    assert_int_equal(system(command), 0);
}

static void every_file_of_an_export_is_compared(void **state)
{
    static const char *const FILES[] = {
        "genesis",
        "genesis.sig",
        "checkpoint",
        "heads",
        "policy",
        "index.html",
        "page/view.js",
        "page/facts.js",
        "page/decisions/0.js",
        "page/requests/01.js",
        "tile/0/000.p/8",
        "tile/entries/000.p/8",
        "blocks/000000000001",
        "contracts/test.bank-1.rules",
    };
    struct fixture *f = *state;
    char dir[] = "/tmp/concordat-export-XXXXXX";
    struct sink sink;
    assert_non_null(mkdtemp(dir));
    assert_false(failed(export_to(f, dir, false, &sink)));
    assert_false(failed(export_to(f, dir, true, &sink)));
    assert_string_equal(sink.finding.text, "");
    for (size_t i = 0; i < 4 * sizeof(FILES) / sizeof(*FILES); i++) {
        damage(dir, FILES[i / 4], FAULTS_OF_FILES[i % 4]);
        assert_false(failed(export_to(f, dir, true, &sink)));
        if (sink.finding.kind != FINDING_EXPORT ||
            strstr(sink.finding.text, FILES[i / 4]) == NULL) {
            fail_msg("%s, fault %zu: '%s'", FILES[i / 4], i % 4, sink.finding.text);
        }
        damage(dir, FILES[i / 4], "mv $K $F");
    }
    fixture_remove(dir);
}

static void a_directory_is_audited_like_its_ledger(void **state)
{
    struct fixture *f = *state;
    char dir[] = "/tmp/concordat-export-XXXXXX";
    char work[] = "/tmp/concordat-audit-XXXXXX";
    struct sink sink;
    struct source *source = NULL;
    struct replay *r = NULL;
    struct finding finding;
    struct errtext why = {{0}};
    assert_non_null(mkdtemp(dir));
    assert_non_null(mkdtemp(work));
    struct replay_options options = {.work = work};
    assert_false(failed(export_to(f, dir, false, &sink)));
    assert_false(failed(source_directory(dir, &source, &why)));
    assert_false(failed(replay_open(&options, source, &r, &finding, &why)));
    assert_false(failed(replay_run(r, NULL, &finding, &why)));
    assert_string_equal(finding.text, "");
    assert_int_equal(replay_result(r).claims, ledger_head(f->w.ledger).position);
    assert_int_equal(replay_result(r).heads, 3);
    assert_memory_equal(replay_result(r).head.digest, ledger_head(f->w.ledger).digest, 32);
    replay_close(r);
    source->close(source);
    fixture_remove(dir);
    fixture_remove(work);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_family_of_a_database_is_compared, fixture_up,
                                        fixture_down),
        cmocka_unit_test_setup_teardown(every_file_of_an_export_is_compared, fixture_up,
                                        fixture_down),
        cmocka_unit_test_setup_teardown(a_directory_is_audited_like_its_ledger, fixture_up,
                                        fixture_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
