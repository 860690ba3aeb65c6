/* SHA-256, Ed25519 and Merkle trees against published answers and against their definitions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"
#include "crypto/merkle.h"
#include "crypto/random.h"
#include "crypto/sha256.h"
#include "crypto/sign.h"
#include "crypto/verifier.h"

static void assert_hex(const void *data, size_t size, const char *expected)
{
    char text[2 * 64 + 1];
    assert_true(size <= 64);
    hex_encode(bytes_of(data, size), text);
    assert_string_equal(text, expected);
}

/* FIPS 180-4 examples. */
static void sha256_gives_the_published_digests(void **state)
{
    (void)state;
    static const struct {
        const char *text, *digest;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    uint8_t digest[SHA256_SIZE];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sha256(cases[i].text, strlen(cases[i].text), digest);
        assert_hex(digest, sizeof digest, cases[i].digest);
        /* The same in two pieces, with a copy of the context forked off in between. */
        size_t half = strlen(cases[i].text) / 2;
        struct sha256 s, fork;
        sha256_init(&s);
        sha256_add(&s, cases[i].text, half);
        fork = s;
        sha256_add(&fork, "other", 5);
        sha256_add(&s, cases[i].text + half, strlen(cases[i].text) - half);
        sha256_end(&s, digest);
        assert_hex(digest, sizeof digest, cases[i].digest);
    }
}

static void numbers_are_hashed_big_endian(void **state)
{
    (void)state;
    uint8_t a[SHA256_SIZE], b[SHA256_SIZE];
    struct sha256 s;
    sha256_init(&s);
    sha256_add_u32(&s, 0x01020304);
    sha256_add_u64(&s, UINT64_C(0x05060708090a0b0c));
    sha256_end(&s, a);
    sha256("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c", 12, b);
    assert_memory_equal(a, b, sizeof a);
}

static void a_tag_stands_before_the_parts(void **state)
{
    (void)state;
    uint8_t a[SHA256_SIZE], b[SHA256_SIZE];
    const struct bytes parts[] = {bytes_text("one"), bytes_text(""), bytes_text("two")};
    sha256_tagged("concordat/test/v1\n", parts, 3, a);
    sha256("concordat/test/v1\nonetwo", 24, b);
    assert_memory_equal(a, b, sizeof a);
    sha256_tagged("concordat/test/v2\n", parts, 3, b);
    assert_memory_not_equal(a, b, sizeof a);
}

/* RFC 8032 section 7.1, tests 1 to 3. */
static const struct {
    const char *seed, *public, *message, *signature;
} ed25519_cases[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9"
     "b46bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f1"
     "1d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984d"
     "c6594a7c15e9716ed28dc027beceea1ec40a"},
};

static void ed25519_signs_as_published(void **state)
{
    (void)state;
    struct verifier *v = verifier_new();
    for (size_t i = 0; i < sizeof ed25519_cases / sizeof *ed25519_cases; i++) {
        uint8_t seed[SIGN_SEED_SIZE], public[SIGN_PUBLIC_SIZE], message[2];
        uint8_t signature[SIGN_SIGNATURE_SIZE];
        size_t size = strlen(ed25519_cases[i].message) / 2;
        assert_false(failed(hex_decode(bytes_text(ed25519_cases[i].seed), seed, sizeof seed)));
        assert_false(failed(hex_decode(bytes_text(ed25519_cases[i].message), message, size)));
        struct sign_key *key = sign_key_from_seed(seed);
        sign_key_public(key, public);
        assert_hex(public, sizeof public, ed25519_cases[i].public);
        sign_message(key, bytes_of(message, size), signature);
        assert_hex(signature, sizeof signature, ed25519_cases[i].signature);
        assert_true(verifier_check(v, public, bytes_of(message, size), signature));
        sign_key_free(key);
    }
    verifier_free(v);
}

static void a_verifier_refuses_what_was_changed(void **state)
{
    (void)state;
    struct verifier *v = verifier_new();
    struct sign_key *key = sign_key_generate();
    uint8_t public[SIGN_PUBLIC_SIZE], signature[SIGN_SIGNATURE_SIZE];
    char message[] = "one Wh";
    struct bytes b = bytes_of(message, sizeof message);
    sign_key_public(key, public);
    sign_message(key, b, signature);
    assert_true(verifier_check(v, public, b, signature));
    for (size_t bit = 0; bit < 8 * sizeof signature; bit++) {
        signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(verifier_check(v, public, b, signature));
        signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    message[0] = 't';
    assert_false(verifier_check(v, public, b, signature));
    message[0] = 'o';
    assert_false(verifier_check(v, public, bytes_of(message, 3), signature));
    public[5] ^= 1; /* another point, or none */
    assert_false(verifier_check(v, public, b, signature));
    public[5] ^= 1;
    assert_true(verifier_check(v, public, b, signature));
    static const uint8_t nothing[SIGN_SIGNATURE_SIZE];
    uint8_t no_point[SIGN_PUBLIC_SIZE];
    memset(no_point, 0xff, sizeof no_point);
    assert_false(verifier_check(v, no_point, b, nothing));
    sign_key_free(key);
    verifier_free(v);
}

/* More keys than the cache has slots, twice over: each is found or decoded again. */
static void a_verifier_knows_more_keys_than_it_keeps(void **state)
{
    (void)state;
    enum { KEYS = 600 };
    static uint8_t publics[KEYS][SIGN_PUBLIC_SIZE], signatures[KEYS][SIGN_SIGNATURE_SIZE];
    struct bytes message = bytes_text("message");
    for (size_t i = 0; i < KEYS; i++) {
        uint8_t seed[SIGN_SEED_SIZE] = {(uint8_t)i, (uint8_t)(i >> 8)};
        struct sign_key *key = sign_key_from_seed(seed);
        sign_key_public(key, publics[i]);
        sign_message(key, message, signatures[i]);
        sign_key_free(key);
    }
    struct verifier *v = verifier_new();
    for (size_t i = 0; i < 2 * KEYS; i++) {
        assert_true(verifier_check(v, publics[i % KEYS], message, signatures[i % KEYS]));
        assert_false(verifier_check(v, publics[i % KEYS], message, signatures[(i + 1) % KEYS]));
    }
    verifier_free(v);
}

static void public_keys_have_a_text_form(void **state)
{
    (void)state;
    uint8_t public[SIGN_PUBLIC_SIZE], again[SIGN_PUBLIC_SIZE], id[SIGN_KEY_ID_SIZE];
    char text[SIGN_PUBLIC_TEXT_SIZE];
    random_bytes(public, sizeof public);
    sign_public_print(public, text);
    assert_int_equal(strlen(text), sizeof text - 1);
    assert_false(failed(sign_public_parse(bytes_text(text), again, NULL)));
    assert_memory_equal(public, again, sizeof public);
    sign_key_id(public, id);
    sha256(public, sizeof public, again);
    assert_memory_equal(id, again, sizeof id);
    static const char *const bad[] = {
        "",
        "ed25519:",
        "ed25519:AAAA",
        "rsa:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA!",
        "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct errtext why = {""};
        assert_true(err_is(sign_public_parse(bytes_text(bad[i]), again, &why), ERR_INVALID));
        assert_true(why.text[0] != '\0');
    }
}

/* The eight leaves and roots that implementations of RFC 6962 share. */
static void merkle_roots_are_the_published_ones(void **state)
{
    (void)state;
    static const char *const leaves[] = {
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    };
    static const char *const roots[] = {
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    };
    struct merkle m;
    struct merkle_hash root;
    merkle_init(&m);
    for (size_t i = 0; i <= 8; i++) {
        merkle_root(&m, &root);
        assert_hex(root.bytes, sizeof root.bytes, roots[i]);
        if (i < 8) {
            uint8_t record[16];
            size_t size = strlen(leaves[i]) / 2;
            assert_false(failed(hex_decode(bytes_text(leaves[i]), record, size)));
            struct merkle_hash leaf;
            merkle_leaf(bytes_of(record, size), &leaf);
            merkle_add(&m, &leaf);
        }
    }
}

/* RFC 6962 section 2.1, word for word. */
static void root_by_definition(const struct merkle_hash *leaves, size_t count,
                               struct merkle_hash *ret)
{
    if (count == 1) {
        *ret = leaves[0];
        return;
    }
    size_t k = 1;
    while (2 * k < count) {
        k *= 2;
    }
    struct merkle_hash left, right;
    root_by_definition(leaves, k, &left);
    root_by_definition(leaves + k, count - k, &right);
    merkle_node(&left, &right, ret);
}

enum { LEAVES = 133 };

static void make_leaves(struct merkle_hash leaves[LEAVES])
{
    for (uint32_t i = 0; i < LEAVES; i++) {
        merkle_leaf(bytes_of(&i, sizeof i), &leaves[i]);
    }
}

static void merkle_roots_follow_the_definition(void **state)
{
    (void)state;
    struct merkle_hash leaves[LEAVES], a, b, c;
    make_leaves(leaves);
    struct merkle m;
    merkle_init(&m);
    for (size_t count = 1; count <= LEAVES; count++) {
        merkle_add(&m, &leaves[count - 1]);
        merkle_root(&m, &a);
        root_by_definition(leaves, count, &b);
        merkle_root_of(leaves, count, &c);
        assert_memory_equal(&a, &b, sizeof a);
        assert_memory_equal(&a, &c, sizeof a);
    }
}

static void paths_prove_their_leaf_and_no_other(void **state)
{
    (void)state;
    struct merkle_hash leaves[LEAVES], root, path[MERKLE_DEPTH_MAX + 1];
    make_leaves(leaves);
    for (size_t count = 1; count <= LEAVES; count += count < 40 ? 1 : 31) {
        merkle_root_of(leaves, count, &root);
        for (size_t i = 0; i < count; i++) {
            size_t steps = merkle_path(leaves, count, i, path);
            assert_true(merkle_path_proves(&leaves[i], i, count, path, steps, &root));
            assert_false(
                merkle_path_proves(&leaves[(i + 1) % LEAVES], i, count, path, steps, &root));
            assert_false(merkle_path_proves(&leaves[i], i + 1, count, path, steps, &root));
            assert_false(merkle_path_proves(&leaves[i], i, 0, path, steps, &root));
            assert_false(merkle_path_proves(&leaves[i], count, count, path, steps, &root));
            path[steps] = root;
            assert_false(merkle_path_proves(&leaves[i], i, count, path, steps + 1, &root));
            if (steps > 0) {
                assert_false(merkle_path_proves(&leaves[i], i, count, path, steps - 1, &root));
                path[steps - 1].bytes[7] ^= 1;
                assert_false(merkle_path_proves(&leaves[i], i, count, path, steps, &root));
            }
        }
    }
}

static void merkle_peaks_can_be_stored(void **state)
{
    (void)state;
    struct merkle_hash leaves[LEAVES], a, b;
    make_leaves(leaves);
    struct merkle m, again;
    struct buf buf;
    merkle_init(&m);
    buf_init(&buf, 4096);
    for (size_t count = 0; count < LEAVES; count++) {
        buf_clear(&buf);
        merkle_encode(&m, &buf);
        struct cursor c = cursor_of(buf_bytes(&buf));
        merkle_decode(&c, &again);
        assert_true(cursor_done(&c));
        merkle_add(&m, &leaves[count]);
        merkle_add(&again, &leaves[count]);
        merkle_root(&m, &a);
        merkle_root(&again, &b);
        assert_memory_equal(&a, &b, sizeof a);
        c = cursor_of(bytes_of(buf.data, buf.size - 1));
        merkle_decode(&c, &again);
        assert_false(cursor_ok(&c));
        assert_int_equal(again.size, 0);
    }
    struct cursor c = cursor_of(bytes_of("\xff\xff\xff\xff\xff\xff\xff\xff", 8));
    merkle_decode(&c, &again);
    assert_false(cursor_ok(&c));
    buf_done(&buf);
}

static void random_numbers_differ(void **state)
{
    (void)state;
    uint64_t all = 0, none = UINT64_MAX;
    for (int i = 0; i < 200; i++) {
        uint64_t v = random_u64();
        all |= v;
        none &= v;
    }
    assert_true(all == UINT64_MAX);
    assert_true(none == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_gives_the_published_digests),
        cmocka_unit_test(numbers_are_hashed_big_endian),
        cmocka_unit_test(a_tag_stands_before_the_parts),
        cmocka_unit_test(ed25519_signs_as_published),
        cmocka_unit_test(a_verifier_refuses_what_was_changed),
        cmocka_unit_test(a_verifier_knows_more_keys_than_it_keeps),
        cmocka_unit_test(public_keys_have_a_text_form),
        cmocka_unit_test(merkle_roots_are_the_published_ones),
        cmocka_unit_test(merkle_roots_follow_the_definition),
        cmocka_unit_test(paths_prove_their_leaf_and_no_other),
        cmocka_unit_test(merkle_peaks_can_be_stored),
        cmocka_unit_test(random_numbers_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
