/* The mark of the last head that was signed, on a disk that loses power at every call; and the
 * complete checkpoints in a real database. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "ledger/families.h"
#include "ledger/ledger.h"
#include "server/heads_note.h"
#include "server/heads_plan.h"
#include "server/heads_store.h"
#include "tests/unit/storage/simdisk.h"

#define ORIGIN bytes_text("concordat.example/heads")
#define INTERVAL (100 * NS_PER_MS)

static void test_mark_bytes(void **state)
{
    struct buf wire;
    struct bytes note;
    struct errtext why;
    (void)state;
    buf_init(&wire, HEADS_MARK_BYTES_MAX);
    heads_mark_encode(bytes_text("a note\n"), &wire);
    assert_false(failed(heads_mark_decode(buf_bytes(&wire), &note, &why)));
    assert_true(bytes_equal(note, bytes_text("a note\n")));
    for (size_t i = 0; i < wire.size; i++) { /* each changed bit is noticed */
        for (unsigned bit = 0; bit < 8; bit++) {
            wire.data[i] ^= (uint8_t)(1U << bit);
            assert_true(failed(heads_mark_decode(buf_bytes(&wire), &note, &why)));
            wire.data[i] ^= (uint8_t)(1U << bit);
        }
    }
    for (size_t size = 0; size < wire.size; size++) {
        assert_true(failed(heads_mark_decode(bytes_of(wire.data, size), &note, &why)));
    }
    wire.data[0] = 2;
    assert_true(err_is(heads_mark_decode(buf_bytes(&wire), &note, &why), ERR_UNSUPPORTED));
    buf_done(&wire);
}

/* ---- crashes: what leaves a node over all its lives ---- */

struct witness { /* everybody else: what they have ever heard of it */
    uint64_t largest;
    struct merkle_hash roots[256];
    bool lied; /* two roots of one size, or a smaller size after a larger one */
    uint64_t heard;
};

static void hear(struct witness *w, const struct merkle_head *head)
{
    bool again = head->size == w->largest &&
                 memcmp(&w->roots[head->size], &head->root, sizeof head->root) == 0;
    w->lied = w->lied || (head->size <= w->largest && !again);
    w->largest = head->size > w->largest ? head->size : w->largest;
    w->roots[head->size] = head->root;
    w->heard++;
}

/* One life of a node, until its disk fails: resumes, then grows and signs. Its ledger has other
 * roots in every life, so that whatever it signs twice is a lie. */
static void live(struct simdisk *disk, struct witness *w, struct sign_key *private,
                 const struct heads_key *key, uint8_t life, bool early)
{
    struct fileops ops = simdisk_ops(disk);
    const struct heads_signer row = {.id = 1, .institution = 0, .counts = true};
    struct heads_plan plan;
    struct buf wire;
    struct errtext why;
    heads_plan_init(&plan, 1, INTERVAL);
    heads_plan_signers(&plan, &row, 1, 3);
    heads_plan_leader(&plan, 1, 1);
    buf_init(&wire, HEAD_NOTE_BYTES_MAX);
    err e = heads_mark_read(&ops, "data", &wire, &why);
    if (!failed(e) && wire.size > 0) {
        struct note note;
        struct merkle_head head;
        assert_true(heads_note_read(ORIGIN, buf_bytes(&wire), &note, &head));
        heads_plan_resume(&plan, &head, bytes_text("lines\n"));
        hear(w, &head); /* the same bytes are sent again */
    }
    for (uint64_t step = 1; !failed(e) && step < 12; step++) {
        struct merkle_head head;
        struct buf text, lines, note;
        uint64_t again = 0;
        uint64_t now = step * 100 * INTERVAL;
        heads_plan_reached(&plan, 8 * (uint64_t)life + step, now);
        head.size = heads_plan_sign(&plan, now, &again);
        if (head.size == 0) {
            continue;
        }
        memset(head.root.bytes, life, sizeof head.root.bytes);
        buf_init(&text, 512);
        buf_init(&lines, HEAD_LINES_BYTES_MAX);
        buf_init(&note, HEAD_NOTE_BYTES_MAX);
        heads_text(ORIGIN, &head, &text);
        heads_sign(key, private, buf_bytes(&text), step, &lines);
        heads_note(ORIGIN, &head, buf_bytes(&lines), &note);
        heads_plan_signing(&plan, head.size, now);
        if (early) {
            hear(w, &head);
        }
        e = heads_mark_write(&ops, "data", buf_bytes(&note), &why);
        if (!failed(e)) {
            heads_plan_signed(&plan, &head, buf_bytes(&lines), now);
            hear(w, &head);
        }
        buf_done(&text);
        buf_done(&lines);
        buf_done(&note);
    }
    buf_done(&wire);
}

/* A fault at each call of the first lives; the last one is without. True: it lied. */
static bool run(enum simdisk_fault fault, uint64_t seed, bool early, uint64_t *ret_heard)
{
    static const uint8_t SEED[SIGN_SEED_SIZE] = {7};
    struct sign_key *private = sign_key_from_seed(SEED);
    uint8_t public[SIGN_PUBLIC_SIZE];
    struct heads_key key;
    const struct heads_name name = {ORIGIN, bytes_text("ville"), 1};
    bool lied = false;
    sign_key_public(private, public);
    assert_false(failed(heads_key_make(&name, public, &key, NULL)));
    for (uint64_t at = 1; at < 60; at++) {
        struct simdisk disk;
        struct witness *w = calloc(1, sizeof *w);
        simdisk_init(&disk, seed + at);
        for (uint8_t life = 1; life <= 4; life++) {
            simdisk_arm(&disk, life == 4 ? SIMDISK_NONE : fault, at + simdisk_draw(&seed) % 5);
            live(&disk, w, private, &key, life, early);
            if (simdisk_draw(&seed) % 3 == 0) {
                simdisk_process_death(&disk);
            } else {
                simdisk_power_cut(&disk);
            }
        }
        lied = lied || w->lied;
        *ret_heard += w->heard;
        free(w);
        simdisk_done(&disk);
    }
    sign_key_free(private);
    return lied;
}

static void test_no_crash_makes_it_sign_twice(void **state)
{
    static const enum simdisk_fault FAULTS[] = {SIMDISK_CUT, SIMDISK_EIO, SIMDISK_NO_SPACE};
    (void)state;
    for (size_t i = 0; i < sizeof FAULTS / sizeof *FAULTS; i++) {
        uint64_t heard = 0;
        assert_false(run(FAULTS[i], 11 * (i + 1), false, &heard));
        assert_true(heard > 500); /* and it does sign */
    }
}

/* The test sees what it is there to see. */
static void test_a_signature_before_the_sync_is_seen(void **state)
{
    uint64_t heard = 0;
    (void)state;
    assert_true(run(SIMDISK_CUT, 5, true, &heard));
}

/* ---- complete checkpoints ---- */

struct db {
    char dir[64];
    struct kv *kv;
    struct heads_store store;
};

static void db_open(struct db *db)
{
    struct kv_options options = {0};
    struct errtext why = {""};
    ledger_kv_families(&options);
    err e = kv_open(db->dir, &options, &db->kv, &why);
    assert_string_equal(why.text, "");
    assert_false(failed(e));
}

static void put(struct db *db, uint64_t size, uint64_t time_ns)
{
    struct heads_stored s = {.size = size, .time_ns = time_ns};
    buf_init(&s.note, NOTE_BYTES_MAX);
    buf_printf(&s.note, "note of %llu\n", (unsigned long long)size);
    assert_false(failed(heads_store_put(&db->store, db->kv, &s, NULL)));
    buf_done(&s.note);
}

static uint64_t find(struct db *db, uint64_t size)
{
    struct heads_stored s;
    buf_init(&s.note, NOTE_BYTES_MAX);
    err e = heads_store_find(db->kv, size, &s, NULL);
    uint64_t found = failed(e) ? 0 : s.size;
    if (found > 0) {
        char text[64];
        snprintf(text, sizeof text, "note of %llu\n", (unsigned long long)found);
        assert_true(bytes_equal(buf_bytes(&s.note), bytes_text(text)));
    }
    buf_done(&s.note);
    return found;
}

static uint64_t load(struct db *db)
{
    struct heads_stored s;
    buf_init(&s.note, NOTE_BYTES_MAX);
    assert_false(failed(heads_store_load(&db->store, db->kv, &s, NULL)));
    buf_done(&s.note);
    return s.size;
}

static void test_stored_and_thinned(void **state)
{
    const uint64_t day = UINT64_C(86400) * NS_PER_S;
    struct db *db = calloc(1, sizeof *db);
    char command[128];
    (void)state;
    snprintf(db->dir, sizeof db->dir, "/tmp/concordat-heads-XXXXXX");
    assert_non_null(mkdtemp(db->dir));
    db_open(db);
    assert_int_equal(load(db), 0);
    assert_int_equal(find(db, 1), 0);
    uint64_t count = 3 * HEADS_STORED_MAX;
    for (uint64_t i = 1; i <= count; i++) { /* 500 a day; opened anew now and then */
        put(db, 10 * i, 20000 * day + i * (day / 500));
        if (i % 700 == 0) {
            kv_close(db->kv);
            db_open(db);
            assert_int_equal(load(db), 10 * i);
        }
    }
    assert_int_equal(db->store.count, HEADS_STORED_MAX);
    uint64_t oldest = count - HEADS_STORED_MAX + 1;
    assert_int_equal(find(db, 10 * count), 10 * count);
    assert_int_equal(find(db, 10 * count + 1), 0);
    assert_int_equal(find(db, 10 * oldest), 10 * oldest);
    assert_int_equal(find(db, 10 * oldest + 1), 10 * (oldest + 1));
    assert_int_equal(find(db, 1), 10);       /* the first of its day, and so on */
    assert_int_equal(find(db, 11), 10 * 500);
    assert_int_equal(find(db, 10 * 500 + 1), 10 * 1000);
    kv_close(db->kv);
    snprintf(command, sizeof command, "rm -rf %s", db->dir);
    assert_int_equal(system(command), 0);
    free(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mark_bytes),
        cmocka_unit_test(test_no_crash_makes_it_sign_twice),
        cmocka_unit_test(test_a_signature_before_the_sync_is_seen),
        cmocka_unit_test(test_stored_and_thinned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
