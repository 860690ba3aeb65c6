/* Key files and certificates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/cert.h"
#include "crypto/keyfile.h"
#include "crypto/sign.h"
#include "crypto/verifier.h"

static char directory[64];

static char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static int make_directory(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/concordat-cert-test-XXXXXX");
    return mkdtemp(directory) == NULL ? -1 : 0;
}

static int remove_directory(void **state)
{
    (void)state;
    static const char *const names[] = {"sign.key", "node.key", "node.crt",
                                        "open.key", "big",      "junk.key"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        unlink(path_of(names[i]));
    }
    return rmdir(directory);
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void signing_keys_live_in_private_files(void **state)
{
    (void)state;
    struct errtext why;
    struct sign_key *key = sign_key_generate(), *again = NULL;
    umask(0);
    assert_false(failed(sign_key_write(key, path_of("sign.key"), &why)));
    assert_int_equal(mode_of(path_of("sign.key")), 0600);
    assert_true(err_is(sign_key_write(key, path_of("sign.key"), &why), ERR_EXISTS));
    assert_false(failed(sign_key_read(path_of("sign.key"), &again, &why)));
    uint8_t a[SIGN_PUBLIC_SIZE], b[SIGN_PUBLIC_SIZE], signature[SIGN_SIGNATURE_SIZE];
    sign_key_public(key, a);
    sign_key_public(again, b);
    assert_memory_equal(a, b, sizeof a);
    struct verifier *v = verifier_new();
    sign_message(again, bytes_text("x"), signature);
    assert_true(verifier_check(v, a, bytes_text("x"), signature));
    verifier_free(v);
    sign_key_free(again);
    static const mode_t open_modes[] = {0640, 0604, 0620, 0602, 0610, 0601, 0644, 0666};
    for (size_t i = 0; i < sizeof open_modes / sizeof *open_modes; i++) {
        assert_int_equal(chmod(path_of("sign.key"), open_modes[i]), 0);
        assert_true(err_is(sign_key_read(path_of("sign.key"), &again, &why), ERR_DENIED));
        assert_non_null(strstr(why.text, "chmod 600 "));
    }
    assert_int_equal(chmod(path_of("sign.key"), 0400), 0);
    assert_false(failed(sign_key_read(path_of("sign.key"), &again, &why)));
    sign_key_free(again);
    sign_key_free(key);
    assert_true(err_is(sign_key_read(path_of("none"), &again, &why), ERR_NOT_FOUND));
    assert_true(err_is(sign_key_read(directory, &again, &why), ERR_DENIED) ||
                err_is(sign_key_read(directory, &again, &why), ERR_IO));
}

static void other_content_is_no_key(void **state)
{
    (void)state;
    struct errtext why;
    struct sign_key *sign = NULL;
    struct cert_key *key = cert_key_generate(), *again = NULL;
    assert_false(failed(keyfile_write_secret(path_of("junk.key"), bytes_text("junk"), &why)));
    assert_true(err_is(sign_key_read(path_of("junk.key"), &sign, &why), ERR_INVALID));
    assert_true(err_is(cert_key_read(path_of("junk.key"), &again, &why), ERR_INVALID));
    assert_non_null(strstr(why.text, "junk.key"));
    assert_false(failed(cert_key_write(key, path_of("node.key"), &why)));
    assert_int_equal(mode_of(path_of("node.key")), 0600);
    assert_true(err_is(sign_key_read(path_of("node.key"), &sign, &why), ERR_INVALID));
    assert_true(err_is(cert_key_read(path_of("sign.key"), &again, &why), ERR_INVALID));
    assert_false(failed(cert_key_read(path_of("node.key"), &again, &why)));
    uint8_t a[CERT_SPKI_SIZE], b[CERT_SPKI_SIZE];
    cert_key_spki(key, a);
    cert_key_spki(again, b);
    assert_memory_equal(a, b, sizeof a);
    cert_key_free(again);
    cert_key_free(key);
}

static void files_have_a_greatest_size(void **state)
{
    (void)state;
    struct errtext why;
    struct buf content;
    static uint8_t bytes[101];
    for (size_t size = 99; size <= 101; size++) {
        assert_false(failed(keyfile_write_public(path_of("big"), bytes_of(bytes, size), &why)));
        assert_int_equal(mode_of(path_of("big")), 0644);
        buf_init(&content, 100);
        err e = keyfile_read_public(path_of("big"), &content, &why);
        assert_int_equal(e.code, size > 100 ? ERR_LIMIT : ERR_OK);
        assert_int_equal(content.size, size > 100 ? 0 : size);
        keyfile_wipe(&content);
    }
    assert_true(
        err_is(keyfile_write_public("/nonexistent/x", bytes_of("x", 1), &why), ERR_NOT_FOUND));
}

static struct cert *issue(const struct identity *id, struct cert_issuer issuer,
                          const struct cert_key *holder)
{
    static const char *const dns[] = {"localhost", "node1.ville.example"};
    static const char *const addresses[] = {"127.0.0.1", "::1"};
    struct cert_spec spec = {id, dns, addresses, 2, 2, 1000000000, 2000000000};
    struct cert *cert = NULL;
    struct errtext why = {""};
    if (failed(cert_issue(&spec, issuer, holder, &cert, &why))) {
        fail_msg("%s", why.text);
    }
    return cert;
}

static void an_institution_certifies_its_node(void **state)
{
    (void)state;
    struct errtext why;
    struct identity id;
    assert_false(failed(identity_parse(bytes_text("concordat://o/ville/node/n1"), &id, NULL)));
    struct cert_key *ca_key = cert_key_generate(), *key = cert_key_generate();
    struct cert *ca = NULL, *other_ca = NULL, *read = NULL;
    assert_false(failed(cert_make_ca("ville", ca_key, 1000000000, 3000000000, &ca)));
    assert_false(failed(cert_make_ca("ville", key, 1000000000, 3000000000, &other_ca)));
    struct cert *cert = issue(&id, (struct cert_issuer){ca, ca_key}, key);
    assert_false(failed(cert_write(cert, path_of("node.crt"), &why)));
    assert_int_equal(mode_of(path_of("node.crt")), 0644);
    assert_false(failed(cert_write(cert, path_of("node.crt"), &why)));
    assert_false(failed(cert_read(path_of("node.crt"), &read, &why)));

    struct cert_facts facts, ca_facts;
    uint8_t spki[CERT_SPKI_SIZE], digest[SHA256_SIZE];
    struct buf der;
    buf_init(&der, CERT_BYTES_MAX);
    cert_read_facts(read, &facts, &why);
    assert_true(facts.has_identity);
    assert_true(identity_equal(&facts.identity, &id));
    assert_false(facts.is_ca);
    assert_int_equal(facts.not_before_s, 1000000000);
    assert_int_equal(facts.not_after_s, 2000000000);
    cert_key_spki(key, spki);
    sha256(spki, sizeof spki, digest);
    assert_memory_equal(facts.spki_sha256, digest, sizeof digest);
    cert_der(cert, &der);
    sha256(der.data, der.size, digest);
    assert_memory_equal(facts.fingerprint, digest, sizeof digest);
    cert_read_facts(ca, &ca_facts, &why);
    assert_true(ca_facts.is_ca);
    assert_false(ca_facts.has_identity);

    assert_false(failed(cert_signed_by(read, ca, &why)));
    assert_true(err_is(cert_signed_by(read, other_ca, &why), ERR_DENIED));
    assert_true(err_is(cert_signed_by(read, read, &why), ERR_DENIED));
    buf_done(&der);
    cert_free(read);
    cert_free(cert);
    cert_free(ca);
    cert_free(other_ca);
    cert_key_free(ca_key);
    cert_key_free(key);
}

static void malformed_certificates_are_refused(void **state)
{
    (void)state;
    struct cert_key *key = cert_key_generate();
    struct cert *ca = NULL, *cert = NULL;
    struct errtext why;
    struct buf der;
    assert_false(failed(cert_make_ca("ville", key, 0, 3000000000, &ca)));
    buf_init(&der, 2 * CERT_BYTES_MAX);
    cert_der(ca, &der);
    for (size_t size = 0; size < der.size; size++) {
        assert_true(err_is(cert_from_der(bytes_of(der.data, size), &cert, &why), ERR_INVALID));
    }
    assert_false(failed(cert_from_der(buf_bytes(&der), &cert, &why)));
    cert_free(cert);
    buf_put_u8(&der, 0);
    assert_true(err_is(cert_from_der(buf_bytes(&der), &cert, &why), ERR_INVALID));
    while (der.size <= CERT_BYTES_MAX) {
        buf_put_u8(&der, 0);
    }
    assert_true(err_is(cert_from_der(buf_bytes(&der), &cert, &why), ERR_LIMIT));
    assert_true(err_is(cert_from_pem(bytes_text(""), &cert, &why), ERR_INVALID));
    assert_true(err_is(cert_from_pem(bytes_text("-----BEGIN CERTIFICATE-----\n"), &cert, &why),
                       ERR_INVALID));
    buf_done(&der);
    cert_free(ca);
    cert_key_free(key);
}

static void bad_wishes_are_refused(void **state)
{
    (void)state;
    struct identity id;
    assert_false(failed(identity_parse(bytes_text("concordat://o/ville/client/c"), &id, NULL)));
    struct cert_key *ca_key = cert_key_generate(), *key = cert_key_generate();
    struct cert *ca = NULL, *cert = NULL;
    assert_true(err_is(cert_make_ca("Ville", ca_key, 1, 2, &ca), ERR_INVALID));
    assert_true(err_is(cert_make_ca("ville", ca_key, 2, 2, &ca), ERR_INVALID));
    assert_false(failed(cert_make_ca("ville", ca_key, 1, 2, &ca)));
    const char *bad_dns[] = {"a b"}, *bad_address[] = {"1.2.3"};
    struct identity nobody = id, twofold = id;
    nobody.name[0] = '\0';
    snprintf(twofold.name, sizeof twofold.name, "a/node/b");
    struct cert_spec good = {&id, NULL, NULL, 0, 0, 1, 2};
    struct cert_spec bad[] = {good, good, good, good, good, good};
    bad[0].dns_names = bad_dns, bad[0].dns_count = 1;
    bad[1].addresses = bad_address, bad[1].address_count = 1;
    bad[2].not_after_s = 1;
    bad[3].identity = &nobody;
    bad[4].identity = &twofold;
    bad[5].dns_count = CERT_ALT_NAMES_MAX + 1;
    struct cert_issuer issuer = {ca, ca_key}, wrong = {ca, key};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct errtext why = {""};
        assert_true(err_is(cert_issue(&bad[i], issuer, key, &cert, &why), ERR_INVALID));
        assert_true(why.text[0] != '\0');
    }
    assert_true(err_is(cert_issue(&good, wrong, key, &cert, NULL), ERR_INVALID));
    assert_false(failed(cert_issue(&good, issuer, key, &cert, NULL)));
    cert_free(cert);
    cert_free(ca);
    cert_key_free(ca_key);
    cert_key_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signing_keys_live_in_private_files),
        cmocka_unit_test(other_content_is_no_key),
        cmocka_unit_test(files_have_a_greatest_size),
        cmocka_unit_test(an_institution_certifies_its_node),
        cmocka_unit_test(malformed_certificates_are_refused),
        cmocka_unit_test(bad_wishes_are_refused),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
