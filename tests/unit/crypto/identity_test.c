/* Names and the identities in certificates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/x509v3.h>

#include "base/name.h"
#include "crypto/identity.h"

static void identities_are_read_from_the_right(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *origin, *institution, *name;
        enum identity_kind kind;
    } cases[] = {
        {"concordat://concordat.example/roquefort/ville/node/n1", "concordat.example/roquefort",
         "ville", "n1", IDENTITY_NODE},
        {"concordat://l/sigra/client/pmo.roquefort", "l", "sigra", "pmo.roquefort",
         IDENTITY_CLIENT},
        {"concordat://a/b/c/e-r/officer/x:1_2", "a/b/c", "e-r", "x:1_2", IDENTITY_OFFICER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct identity id;
        char uri[IDENTITY_URI_SIZE];
        assert_false(failed(identity_parse(bytes_text(cases[i].uri), &id, NULL)));
        assert_string_equal(id.origin, cases[i].origin);
        assert_string_equal(id.institution, cases[i].institution);
        assert_string_equal(id.name, cases[i].name);
        assert_int_equal(id.kind, cases[i].kind);
        identity_print(&id, uri);
        assert_string_equal(uri, cases[i].uri);
    }
}

static void other_uris_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "concordat://",
        "concordat://o",
        "concordat://o/ville",
        "concordat://ville/node/n1",
        "concordat:///ville/node/n1",
        "concordat://o//node/n1",
        "concordat://o/ville/node/",
        "concordat://o/ville/node/n1/",
        "concordat://o/ville/Node/n1",
        "concordat://o/ville/nodes/n1",
        "concordat://o/ville/node/N1",
        "concordat://o/ville/node/n 1",
        "concordat://o/ville/node/n1?x",
        "concordat://o/ville/node/n1#x",
        "concordat://o/ville/node/n%31",
        "concordat://o/vi.lle/node/n1",
        "concordat://o/-ville/node/n1",
        "concordat://o/ville/node/.n1",
        "concordat://O/ville/node/n1",
        "concordat://o/x/node/y/ville/node/n1",
        "concordat://o/client/y/ville/node/n1",
        "concordat://o/../ville/node/n1",
        "concordat://u@o/ville/node/n1",
        "concordat://o:80/ville/node/n1",
        "https://o/ville/node/n1",
        "Concordat://o/ville/node/n1",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct identity id;
        struct errtext why = {""};
        if (!err_is(identity_parse(bytes_text(bad[i]), &id, &why), ERR_INVALID)) {
            fail_msg("accepted: %s", bad[i]);
        }
        assert_true(why.text[0] != '\0');
    }
    struct identity id;
    struct bytes with_nul = bytes_of("concordat://o/ville/node/n1\0x", 29);
    assert_true(err_is(identity_parse(with_nul, &id, NULL), ERR_INVALID));
}

/* limit - 1, limit, limit + 1 of each part. */
static void parts_have_limits(void **state)
{
    (void)state;
    for (int d = -1; d <= 1; d++) {
        char uri[1024];
        struct identity id;
        char name[NAME_BYTES_MAX + 2] = "", origin[ORIGIN_BYTES_MAX + 2] = "";
        memset(name, 'x', (size_t)(NAME_BYTES_MAX + d));
        memset(origin, 'o', (size_t)(ORIGIN_BYTES_MAX + d));
        snprintf(uri, sizeof uri, "concordat://o/ville/node/%s", name);
        assert_int_equal(failed(identity_parse(bytes_text(uri), &id, NULL)), d > 0);
        snprintf(uri, sizeof uri, "concordat://o/%s/node/n", name);
        assert_int_equal(failed(identity_parse(bytes_text(uri), &id, NULL)), d > 0);
        snprintf(uri, sizeof uri, "concordat://%s/ville/node/n", origin);
        assert_int_equal(failed(identity_parse(bytes_text(uri), &id, NULL)), d > 0);
        snprintf(uri, sizeof uri, "concordat://%s/%s/officer/%s", origin, name, name);
        assert_int_equal(failed(identity_parse(bytes_text(uri), &id, NULL)), d > 0);
    }
}

static void some_names_are_reserved(void **state)
{
    (void)state;
    assert_true(name_party_reserved(bytes_text("clock")));
    assert_true(name_party_reserved(bytes_text("ledger")));
    assert_true(name_party_reserved(bytes_text("ledger.any")));
    assert_false(name_party_reserved(bytes_text("ledgers")));
    assert_false(name_party_reserved(bytes_text("clocks")));
    assert_false(name_party_valid(bytes_of("a\0b", 3)));
    assert_false(name_institution_valid(bytes_of("a\0", 2)));
}

static void add_name(GENERAL_NAMES *names, int type, const char *text, size_t size)
{
    ASN1_STRING *value = ASN1_IA5STRING_new();
    assert_int_equal(ASN1_STRING_set(value, text, (int)size), 1);
    GENERAL_NAME *name = GENERAL_NAME_new();
    GENERAL_NAME_set0_value(name, type, value);
    sk_GENERAL_NAME_push(names, name);
}

static err identity_of_names(const struct bytes uris[], size_t count, struct identity *ret)
{
    X509 *x = X509_new();
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    add_name(names, GEN_DNS, "localhost", 9);
    for (size_t i = 0; i < count; i++) {
        add_name(names, GEN_URI, (const char *)uris[i].data, uris[i].size);
    }
    assert_int_equal(X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT), 1);
    GENERAL_NAMES_free(names);
    struct errtext why = {""};
    err e = identity_of_x509(x, ret, &why);
    assert_int_equal(failed(e), why.text[0] != '\0');
    X509_free(x);
    return e;
}

static void a_certificate_has_exactly_one_uri(void **state)
{
    (void)state;
    struct identity id;
    const struct bytes good = bytes_text("concordat://o/ville/node/n1");
    const struct bytes web = bytes_text("https://ville.example/");
    const struct bytes nul = bytes_of("concordat://o/ville/node/n1\0", 28);
    assert_false(failed(identity_of_names((struct bytes[]){good}, 1, &id)));
    assert_string_equal(id.name, "n1");
    assert_true(err_is(identity_of_names(NULL, 0, &id), ERR_INVALID));
    assert_true(err_is(identity_of_names((struct bytes[]){good, good}, 2, &id), ERR_INVALID));
    assert_true(err_is(identity_of_names((struct bytes[]){good, web}, 2, &id), ERR_INVALID));
    assert_true(err_is(identity_of_names((struct bytes[]){web}, 1, &id), ERR_INVALID));
    assert_true(err_is(identity_of_names((struct bytes[]){nul}, 1, &id), ERR_INVALID));
    X509 *bare = X509_new();
    assert_true(err_is(identity_of_x509(bare, &id, NULL), ERR_INVALID));
    X509_free(bare);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identities_are_read_from_the_right),
        cmocka_unit_test(other_uris_are_refused),
        cmocka_unit_test(parts_have_limits),
        cmocka_unit_test(some_names_are_reserved),
        cmocka_unit_test(a_certificate_has_exactly_one_uri),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
