/* Signed notes and verifier keys: a known note of another implementation, and every line a hostile
 * one could bend. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"
#include "crypto/note.h"

/* The example of the note package of the Go project: key and note are facts to agree with. */
static const char KNOWN_KEY[] =
    "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
static const char KNOWN_NOTE[] =
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "\xe2\x80\x94 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqf"
    "qdngotpRZb6KE6RyyBwJnAM=\n";

static void a_note_of_another_implementation_verifies(void **state)
{
    (void)state;
    struct note_key key;
    struct note note;
    struct verifier *v = verifier_new();
    struct buf b;
    buf_init(&b, 1024);
    assert_false(failed(note_key_parse(bytes_text(KNOWN_KEY), &key, NULL)));
    assert_string_equal(key.name, "PeterNeumann");
    note_key_print(&key, &b);
    assert_true(bytes_equal(buf_bytes(&b), bytes_text(KNOWN_KEY)));
    assert_false(failed(note_parse(bytes_text(KNOWN_NOTE), &note, NULL)));
    assert_int_equal(note.signature_count, 1);
    assert_int_equal(note_signed_by(&note, &key, v, NULL), NOTE_SIGNED);
    char other[sizeof KNOWN_NOTE];
    memcpy(other, KNOWN_NOTE, sizeof other);
    other[0] = 'i';
    assert_false(failed(note_parse(bytes_text(other), &note, NULL)));
    assert_int_equal(note_signed_by(&note, &key, v, NULL), NOTE_FORGED);
    buf_done(&b);
    verifier_free(v);
}

/* The key of seed byte n, as log or witness. */
static struct sign_key *make_key(uint8_t n, enum note_kind kind, const char *name,
                                 struct note_key *ret)
{
    uint8_t seed[SIGN_SEED_SIZE] = {n};
    uint8_t public[SIGN_PUBLIC_SIZE];
    struct sign_key *key = sign_key_from_seed(seed);
    sign_key_public(key, public);
    assert_false(failed(note_key_make(kind, name, public, ret, NULL)));
    return key;
}

static void cosignatures_carry_their_time(void **state)
{
    (void)state;
    static const char TEXT[] = "example.org/l\n5\nAAAA\n";
    struct note_key log;
    struct note_key witness;
    struct sign_key *keys[] = {make_key(1, NOTE_ED25519, "example.org/l", &log),
                               make_key(2, NOTE_COSIGNATURE, "example.org/l/ville/1", &witness)};
    struct verifier *v = verifier_new();
    struct note note;
    struct buf b;
    uint64_t time_s = 0;
    buf_init(&b, 4096);
    buf_put_text(&b, TEXT);
    buf_put_u8(&b, '\n');
    note_sign(&log, keys[0], bytes_text(TEXT), 0, &b);
    note_sign(&witness, keys[1], bytes_text(TEXT), 1679315147, &b);
    assert_false(failed(note_parse(buf_bytes(&b), &note, NULL)));
    assert_true(bytes_equal(note.text, bytes_text(TEXT)));
    assert_int_equal(note_signed_by(&note, &log, v, NULL), NOTE_SIGNED);
    assert_int_equal(note_signed_by(&note, &witness, v, &time_s), NOTE_SIGNED);
    assert_int_equal(time_s, 1679315147);
    note.signatures[1].blob[7] ^= 1; /* another second was not signed */
    assert_int_equal(note_signed_by(&note, &witness, v, NULL), NOTE_FORGED);
    struct note_key stranger;
    struct sign_key *other = make_key(3, NOTE_ED25519, "example.org/l", &stranger);
    assert_int_equal(note_signed_by(&note, &stranger, v, NULL), NOTE_NOT_SIGNED);
    sign_key_free(other);
    sign_key_free(keys[0]);
    sign_key_free(keys[1]);
    buf_done(&b);
    verifier_free(v);
}

#define S "\xe2\x80\x94 n x08go/ZJkuBS9UG/SffcvIAQxVBtiFup\n"

static void malformed_notes_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *why, *wire;
    } cases[] = {
        {"nothing", ""},
        {"no signature", "a\n\n"},
        {"no empty line", "a\n" S},
        {"no text", "\n" S},
        {"no last newline", "a\n\n\xe2\x80\x94 n x08go/ZJkuBS"},
        {"a control character", "a\tb\n\n" S},
        {"no UTF-8", "a\xff\n\n" S},
        {"a hyphen for the dash", "a\n\n- n x08go/ZJ\n"},
        {"no name", "a\n\n\xe2\x80\x94  x08go/ZJ\n"},
        {"a plus in the name", "a\n\n\xe2\x80\x94 n+m x08go/ZJ\n"},
        {"no base64", "a\n\n\xe2\x80\x94 n x08go*ZJ\n"},
        {"base64 without padding", "a\n\n\xe2\x80\x94 n x08go/Y\n"},
        {"base64 with stray bits", "a\n\n\xe2\x80\x94 n x08go/Z=\n"},
        {"a signature of nothing", "a\n\n\xe2\x80\x94 n x08goA==\n"},
        {"the same line twice", "a\n\n" S S},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct note note;
        struct errtext why;
        if (!err_is(note_parse(bytes_text(cases[i].wire), &note, &why), ERR_INVALID)) {
            fail_msg("accepted: %s", cases[i].why);
        }
    }
    struct note note;
    assert_false(failed(note_parse(bytes_text("a\n\nb\n\n" S), &note, NULL)));
    assert_int_equal(note.text.size, 5); /* the last empty line parts text and signatures */
}

static void signatures_of_other_kinds_are_passed_over(void **state)
{
    (void)state;
    struct buf b;
    struct note note;
    buf_init(&b, NOTE_BYTES_MAX);
    buf_put_text(&b, "a\n\n\xe2\x80\x94 quantum ");
    for (int i = 0; i < 1000; i++) {
        buf_put_text(&b, "AAAA");
    }
    buf_put_text(&b, "\n" S);
    assert_false(failed(note_parse(buf_bytes(&b), &note, NULL)));
    assert_int_equal(note.signature_count, 2);
    assert_int_equal(note.signatures[0].blob_size, 0);
    buf_done(&b);
}

static void malformed_keys_are_refused(void **state)
{
    (void)state;
    static const char *const BAD[] = {
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a3",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", /* id */
        "PeterNeumanm+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", /* name */
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TX", /* key */
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10T",
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    };
    struct note_key key;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        if (!err_is(note_key_parse(bytes_text(BAD[i]), &key, NULL), ERR_INVALID)) {
            fail_msg("accepted: %s", BAD[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_note_of_another_implementation_verifies),
        cmocka_unit_test(cosignatures_carry_their_time),
        cmocka_unit_test(malformed_notes_are_refused),
        cmocka_unit_test(signatures_of_other_kinds_are_passed_over),
        cmocka_unit_test(malformed_keys_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
