/* Making certificates (RFC 5280). */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "base/name.h"
#include "base/require.h"
#include "crypto/cert_internal.h"
#include "crypto/openssl.h"
#include "crypto/random.h"

/* A certificate with version, random serial, times and key; names and extensions come later. */
static X509 *begin(const EVP_PKEY *holder, int64_t not_before_s, int64_t not_after_s)
{
    X509 *x = X509_new();
    require(x != NULL);
    require(X509_set_version(x, X509_VERSION_3) == 1);
    /* RFC 5280 section 4.1.2.2: positive, at most 20 octets; CAs add at least 64 random bits. */
    uint8_t serial[16];
    random_bytes(serial, sizeof serial);
    serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40);
    BIGNUM *number = BN_bin2bn(serial, sizeof serial, NULL);
    require(number != NULL);
    require(BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x)) != NULL);
    BN_free(number);
    require(ASN1_TIME_set(X509_getm_notBefore(x), (time_t)not_before_s) != NULL);
    require(ASN1_TIME_set(X509_getm_notAfter(x), (time_t)not_after_s) != NULL);
    require(X509_set_pubkey(x, (EVP_PKEY *)(uintptr_t)holder) == 1);
    return x;
}

/* Appends one entry; the text was checked to be plain and short. */
static void name_add(X509_NAME *name, int nid, const char *text)
{
    require(X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, (const unsigned char *)text, -1,
                                       -1, 0) == 1);
}

/* RFC 5280 limits a common name to 64 characters. */
static void set_subject(X509 *x, const char *institution, const char *common)
{
    char text[64 + 1];
    snprintf(text, sizeof text, "%s", common);
    X509_NAME *name = X509_get_subject_name(x);
    name_add(name, NID_organizationName, institution);
    name_add(name, NID_commonName, text);
}

static void add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    require(extension != NULL);
    require(X509_add_ext(x, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static bool times_valid(int64_t not_before_s, int64_t not_after_s)
{
    const int64_t end_of_9999 = INT64_C(253402300799); /* RFC 5280 section 4.1.2.5 */
    return not_before_s >= 0 && not_before_s < not_after_s && not_after_s <= end_of_9999;
}

err cert_make_ca(const char *institution, const struct cert_key *key, int64_t not_before_s,
                 int64_t not_after_s, struct cert **ret)
{
    require(key != NULL);
    require(ret != NULL);
    if (!name_institution_valid(bytes_text(institution)) ||
        !times_valid(not_before_s, not_after_s)) {
        return err_fail(NULL, ERR_INVALID, "bad institution name or times");
    }
    X509 *x = begin(key->pkey, not_before_s, not_after_s);
    char common[NAME_BYTES_MAX + 4];
    snprintf(common, sizeof common, "%s CA", institution);
    set_subject(x, institution, common);
    require(X509_set_issuer_name(x, X509_get_subject_name(x)) == 1);
    add_extension(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
    add_extension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign");
    add_extension(x, x, NID_subject_key_identifier, "hash");
    require(X509_sign(x, key->pkey, EVP_sha256()) > 0);
    *ret = cert_wrap(x);
    return err_ok();
}

static void push_name(GENERAL_NAMES *names, int type, ASN1_STRING *text)
{
    require(text != NULL);
    GENERAL_NAME *name = GENERAL_NAME_new();
    require(name != NULL);
    GENERAL_NAME_set0_value(name, type, text);
    require(sk_GENERAL_NAME_push(names, name) > 0);
}

static void push_text(GENERAL_NAMES *names, int type, const char *text)
{
    ASN1_STRING *value = ASN1_IA5STRING_new();
    require(value != NULL);
    require(ASN1_STRING_set(value, text, (int)strlen(text)) == 1);
    push_name(names, type, value);
}

static err push_address(GENERAL_NAMES *names, const char *text, struct errtext *reterr)
{
    uint8_t octets[16];
    int size = inet_pton(AF_INET, text, octets) == 1    ? 4
               : inet_pton(AF_INET6, text, octets) == 1 ? 16
                                                        : 0;
    if (size == 0) {
        return err_fail(reterr, ERR_INVALID, "\"%s\" is no IP address", text);
    }
    ASN1_STRING *value = ASN1_OCTET_STRING_new();
    require(value != NULL);
    require(ASN1_STRING_set(value, octets, size) == 1);
    push_name(names, GEN_IPADD, value);
    return err_ok();
}

/* Letters, digits, dots and hyphens: enough for a host name, nothing for a trick. */
static bool dns_name_valid(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789.-";
    size_t length = strlen(text);
    return length > 0 && length <= 253 && strspn(text, allowed) == length && text[0] != '.' &&
           text[0] != '-';
}

static err add_names(X509 *x, const struct cert_spec *spec, struct errtext *reterr)
{
    char uri[IDENTITY_URI_SIZE];
    identity_print(spec->identity, uri);
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    require(names != NULL);
    push_text(names, GEN_URI, uri);
    err e = err_ok();
    for (size_t i = 0; i < spec->dns_count && !failed(e); i++) {
        if (dns_name_valid(spec->dns_names[i])) {
            push_text(names, GEN_DNS, spec->dns_names[i]);
        } else {
            e = err_fail(reterr, ERR_INVALID, "\"%.64s\" is no DNS name", spec->dns_names[i]);
        }
    }
    for (size_t i = 0; i < spec->address_count && !failed(e); i++) {
        e = push_address(names, spec->addresses[i], reterr);
    }
    if (!failed(e)) {
        require(X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1);
    }
    GENERAL_NAMES_free(names);
    return e;
}

/* A node dials and is dialled; clients and officers only dial. */
static const char *usage_of(enum identity_kind kind)
{
    switch (kind) {
    case IDENTITY_NODE:
        return "serverAuth,clientAuth";
    case IDENTITY_CLIENT:
    case IDENTITY_OFFICER:
        return "clientAuth";
    }
    return "clientAuth";
}

static err check_spec(const struct cert_spec *spec, struct errtext *reterr)
{
    char uri[IDENTITY_URI_SIZE];
    struct identity again;
    require(spec->identity != NULL);
    identity_print(spec->identity, uri);
    TRY(identity_parse(bytes_text(uri), &again, reterr));
    if (!identity_equal(&again, spec->identity)) {
        return err_fail(reterr, ERR_INVALID, "the identity reads in two ways");
    }
    if (!times_valid(spec->not_before_s, spec->not_after_s)) {
        return err_fail(reterr, ERR_INVALID, "the times of the certificate are not in order");
    }
    if (spec->dns_count > CERT_ALT_NAMES_MAX ||
        spec->address_count > CERT_ALT_NAMES_MAX - spec->dns_count) {
        return err_fail(reterr, ERR_INVALID, "more than %d names in one certificate",
                        CERT_ALT_NAMES_MAX);
    }
    return err_ok();
}

err cert_issue(const struct cert_spec *spec, struct cert_issuer issuer,
               const struct cert_key *holder, struct cert **ret, struct errtext *reterr)
{
    require(spec != NULL);
    require(holder != NULL);
    require(ret != NULL);
    TRY(check_spec(spec, reterr));
    if (X509_check_private_key(issuer.ca->x509, issuer.key->pkey) != 1) {
        return openssl_fail(reterr, ERR_INVALID, "the CA's key is not that of its certificate");
    }
    X509 *x = begin(holder->pkey, spec->not_before_s, spec->not_after_s);
    set_subject(x, spec->identity->institution, spec->identity->name);
    require(X509_set_issuer_name(x, X509_get_subject_name(issuer.ca->x509)) == 1);
    add_extension(x, issuer.ca->x509, NID_basic_constraints, "critical,CA:FALSE");
    add_extension(x, issuer.ca->x509, NID_key_usage, "critical,digitalSignature");
    add_extension(x, issuer.ca->x509, NID_ext_key_usage, usage_of(spec->identity->kind));
    add_extension(x, issuer.ca->x509, NID_subject_key_identifier, "hash");
    add_extension(x, issuer.ca->x509, NID_authority_key_identifier, "keyid:always");
    err e = add_names(x, spec, reterr);
    if (failed(e)) {
        X509_free(x);
        return e;
    }
    require(X509_sign(x, issuer.key->pkey, EVP_sha256()) > 0);
    *ret = cert_wrap(x);
    return err_ok();
}
