/* Disk ids and the bootstrap table: what is written is read, what is damaged is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/bootstrap.h"
#include "server/identity.h"
#include "storage/dir.h"

static const uint8_t A[DISK_ID_SIZE] = "disk a.........";
static const uint8_t B[DISK_ID_SIZE] = "disk b.........";

static void the_first_disk_of_a_node_is_its_disk(void **state)
{
    (void)state;
    char dir[] = "/tmp/concordat-identity-XXXXXX";
    struct disk_identity id;
    struct errtext why;
    assert_non_null(mkdtemp(dir));
    assert_false(failed(identity_open(dir, 7, A, &id, &why)));
    assert_memory_equal(id.disk, A, DISK_ID_SIZE);
    assert_int_equal(identity_judge(&id, 2, B), IDENTITY_NEW);
    assert_false(failed(identity_add(&id, 2, B)));
    assert_false(failed(identity_add(&id, 1, A)));
    assert_false(failed(identity_save(dir, &id, &why)));
    struct disk_identity again;
    assert_false(failed(identity_open(dir, 7, B, &again, &why)));
    assert_memory_equal(again.disk, A, DISK_ID_SIZE); /* not a fresh one */
    assert_int_equal(identity_judge(&again, 1, A), IDENTITY_KNOWN);
    assert_int_equal(identity_judge(&again, 2, B), IDENTITY_KNOWN);
    assert_int_equal(identity_judge(&again, 2, A), IDENTITY_OTHER);
    assert_true(err_is(identity_open(dir, 8, A, &again, &why), ERR_CONFLICT));
    assert_non_null(strstr(why.text, "belongs to node 7"));
    assert_false(failed(dir_remove(dir, &why)));
}

static void every_damage_is_seen(void **state)
{
    (void)state;
    struct disk_identity id = {.node = 7};
    struct disk_identity got;
    struct errtext why;
    struct buf wire;
    assert_false(failed(identity_add(&id, 1, A)));
    assert_false(failed(identity_add(&id, 3, B)));
    buf_init(&wire, IDENTITY_BYTES_MAX);
    identity_encode(&id, &wire);
    assert_false(failed(identity_decode(buf_bytes(&wire), &got, &why)));
    assert_int_equal(got.seen_count, 2);
    for (size_t i = 0; i < wire.size; i++) {
        wire.data[i] ^= 0x10;
        assert_true(failed(identity_decode(buf_bytes(&wire), &got, &why)));
        wire.data[i] ^= 0x10;
        assert_true(failed(identity_decode(bytes_of(wire.data, i), &got, &why)));
    }
    buf_done(&wire);
    id.seen[1].node = 1; /* not ascending, though the sum is right */
    buf_init(&wire, IDENTITY_BYTES_MAX);
    identity_encode(&id, &wire);
    assert_true(err_is(identity_decode(buf_bytes(&wire), &got, &why), ERR_CORRUPT));
    buf_done(&wire);
}

static void there_is_a_most_of_disks(void **state)
{
    (void)state;
    static struct disk_identity id = {.node = 7};
    static struct disk_identity got;
    struct errtext why;
    struct buf wire;
    for (uint64_t i = 1; i <= NODES_EVER_MAX; i++) {
        assert_false(failed(identity_add(&id, i, A)));
    }
    assert_true(err_is(identity_add(&id, NODES_EVER_MAX + 1, A), ERR_FULL));
    buf_init(&wire, IDENTITY_BYTES_MAX);
    identity_encode(&id, &wire);
    assert_false(wire.overflow);
    assert_false(failed(identity_decode(buf_bytes(&wire), &got, &why)));
    assert_int_equal(got.seen_count, NODES_EVER_MAX);
    buf_done(&wire);
}

/* ---- bootstrap ---- */

#define HEX32 "0102030405060708091011121314151617181920212223242526272829303132"
#define HEAD "concordat-nodes 1\nledger " HEX32 "\nheight 12\n"
#define NODE1 "node 1 voter ville ville 127.0.0.1:1 127.0.0.1:2 aabb - " HEX32 " -\n"
#define NODE4 "node 4 leaving energie e.2 [::1]:1 a.example:2 cc dd " HEX32 " " HEX32 "\n"

static err decode(const char *text, struct bootstrap *ret, struct errtext *why)
{
    static struct arena a;
    static bool made;
    if (!made) {
        arena_init(&a, 1 << 20);
        made = true;
    }
    arena_reset(&a);
    return bootstrap_decode(bytes_text(text), &a, ret, why);
}

static void a_bootstrap_table_is_read(void **state)
{
    (void)state;
    struct bootstrap b;
    struct errtext why = {""};
    assert_false(failed(decode(HEAD NODE1 NODE4, &b, &why)));
    assert_int_equal(b.height, 12);
    assert_int_equal(b.ledger_id[1], 2);
    assert_int_equal(b.count, 2);
    assert_int_equal(b.nodes[0].wish, LEDGER_WISH_VOTER);
    assert_int_equal(b.nodes[0].transport_key.size, 2);
    assert_int_equal(b.nodes[0].transport_key_next.size, 0);
    assert_int_equal(b.nodes[1].id, 4);
    assert_int_equal(b.nodes[1].wish, LEDGER_WISH_REMOVED);
    assert_int_equal(b.nodes[1].head_key_next.size, 32);
}

static void what_is_no_bootstrap_table_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "concordat-nodes 2\n",
        "concordat-nodes 1\nledger 00\nheight 1\n" NODE1,
        "concordat-nodes 1\nledger " HEX32 "\nheight -1\n" NODE1,
        "concordat-nodes 1\nledger " HEX32 "\nheight 01\n" NODE1,
        "concordat-nodes 1\nledger " HEX32 "\nheight 99999999999999999999\n" NODE1,
        HEAD,
        HEAD "node 1 voter ville ville 127.0.0.1:1 127.0.0.1:2 aabb - " HEX32 " -",
        HEAD NODE4 NODE1,
        HEAD NODE1 NODE1,
        HEAD "node 0 voter ville ville 127.0.0.1:1 127.0.0.1:2 aabb - " HEX32 " -\n",
        HEAD "node 1 king ville ville 127.0.0.1:1 127.0.0.1:2 aabb - " HEX32 " -\n",
        HEAD "node 1 voter Ville ville 127.0.0.1:1 127.0.0.1:2 aabb - " HEX32 " -\n",
        HEAD "node 1 voter ville ville 127.0.0.1 127.0.0.1:2 aabb - " HEX32 " -\n",
        HEAD "node 1 voter ville ville 127.0.0.1:1 127.0.0.1:2 - - " HEX32 " -\n",
        HEAD "node 1 voter ville ville 127.0.0.1:1 127.0.0.1:2 aab - " HEX32 " -\n",
        HEAD "node 1 voter ville ville 127.0.0.1:1 127.0.0.1:2 aabb - aa -\n",
        HEAD "node 1 voter ville ville 127.0.0.1:1 127.0.0.1:2 aabb - " HEX32 " - more\n",
        HEAD "node 1 voter ville  ville 127.0.0.1:1 127.0.0.1:2 aabb - " HEX32 " -\n",
    };
    struct bootstrap b;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct errtext why = {""};
        err e = decode(bad[i], &b, &why);
        if (!err_is(e, ERR_INVALID) || strstr(why.text, "line ") == NULL) {
            fail_msg("case %zu: %s", i, why.text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_disk_of_a_node_is_its_disk),
        cmocka_unit_test(every_damage_is_seen),
        cmocka_unit_test(there_is_a_most_of_disks),
        cmocka_unit_test(a_bootstrap_table_is_read),
        cmocka_unit_test(what_is_no_bootstrap_table_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
