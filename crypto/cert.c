#include "crypto/cert.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "base/require.h"
#include "crypto/cert_internal.h"
#include "crypto/keyfile.h"
#include "crypto/openssl.h"

enum { KEY_PEM_BYTES_MAX = 4096 }; /* a P-256 key is 241 bytes of PEM */

static struct cert_key *wrap_key(EVP_PKEY *pkey)
{
    require(pkey != NULL);
    struct cert_key *key = mem_new(1, sizeof *key);
    key->pkey = pkey;
    return key;
}

struct cert_key *cert_key_generate(void)
{
    return wrap_key(EVP_EC_gen("P-256"));
}

void cert_key_free(struct cert_key *key)
{
    if (key != NULL) {
        EVP_PKEY_free(key->pkey); /* wipes */
        free(key);
    }
}

static bool key_is_p256(const EVP_PKEY *pkey)
{
    char group[32] = "";
    size_t length = 0;
    return EVP_PKEY_get_id(pkey) == EVP_PKEY_EC &&
           EVP_PKEY_get_group_name(pkey, group, sizeof group, &length) == 1 &&
           strcmp(group, SN_X9_62_prime256v1) == 0;
}

err cert_key_read(const char *path, struct cert_key **ret_key, struct errtext *reterr)
{
    require(ret_key != NULL);
    struct buf pem;
    EVP_PKEY *pkey = NULL;
    buf_init(&pem, KEY_PEM_BYTES_MAX);
    err e = keyfile_read_secret(path, &pem, reterr);
    if (!failed(e)) {
        e = openssl_key_from_pem(buf_bytes(&pem), &pkey, reterr);
        if (!failed(e) && !key_is_p256(pkey)) {
            EVP_PKEY_free(pkey);
            e = err_fail(reterr, ERR_INVALID, "not an ECDSA P-256 key");
        }
        if (failed(e)) {
            e = err_wrapf(reterr, e, "%s", path);
        }
    }
    keyfile_wipe(&pem);
    if (!failed(e)) {
        *ret_key = wrap_key(pkey);
    }
    return e;
}

err cert_key_write(const struct cert_key *key, const char *path, struct errtext *reterr)
{
    struct buf pem;
    buf_init(&pem, KEY_PEM_BYTES_MAX);
    cert_key_pem(key, &pem);
    err e = keyfile_write_secret(path, buf_bytes(&pem), reterr);
    keyfile_wipe(&pem);
    return e;
}

void cert_key_pem(const struct cert_key *key, struct buf *ret)
{
    require(key != NULL);
    openssl_key_to_pem(key->pkey, ret);
}

void cert_key_spki(const struct cert_key *key, uint8_t ret_spki[CERT_SPKI_SIZE])
{
    require(key != NULL);
    require(i2d_PUBKEY(key->pkey, NULL) == CERT_SPKI_SIZE);
    unsigned char *at = ret_spki;
    require(i2d_PUBKEY(key->pkey, &at) == CERT_SPKI_SIZE);
}

struct cert *cert_wrap(X509 *x509)
{
    require(x509 != NULL);
    struct cert *cert = mem_new(1, sizeof *cert);
    cert->x509 = x509;
    return cert;
}

void cert_free(struct cert *cert)
{
    if (cert != NULL) {
        X509_free(cert->x509);
        free(cert);
    }
}

err cert_from_der(struct bytes der, struct cert **ret, struct errtext *reterr)
{
    require(ret != NULL);
    if (der.size > CERT_BYTES_MAX) {
        return err_fail(reterr, ERR_LIMIT, "certificate of more than %d bytes", CERT_BYTES_MAX);
    }
    const unsigned char *at = der.data;
    ERR_clear_error();
    X509 *x509 = der.size == 0 ? NULL : d2i_X509(NULL, &at, (long)der.size);
    if (x509 == NULL) {
        return openssl_fail(reterr, ERR_INVALID, "not a DER certificate");
    }
    if (at != der.data + der.size) {
        X509_free(x509);
        return err_fail(reterr, ERR_INVALID, "bytes after the certificate");
    }
    *ret = cert_wrap(x509);
    return err_ok();
}

err cert_from_pem(struct bytes pem, struct cert **ret, struct errtext *reterr)
{
    require(ret != NULL);
    if (pem.size == 0 || pem.size > INT_MAX) {
        return err_fail(reterr, ERR_INVALID, "no PEM certificate");
    }
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
    require(bio != NULL);
    ERR_clear_error();
    X509 *x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    if (x509 == NULL) {
        return openssl_fail(reterr, ERR_INVALID, "no PEM certificate");
    }
    *ret = cert_wrap(x509);
    return err_ok();
}

err cert_read(const char *path, struct cert **ret, struct errtext *reterr)
{
    struct buf pem;
    buf_init(&pem, KEYFILE_BYTES_MAX);
    err e = keyfile_read_public(path, &pem, reterr);
    if (!failed(e)) {
        e = cert_from_pem(buf_bytes(&pem), ret, reterr);
        if (failed(e)) {
            e = err_wrapf(reterr, e, "%s", path);
        }
    }
    buf_done(&pem);
    return e;
}

err cert_write(const struct cert *cert, const char *path, struct errtext *reterr)
{
    struct buf pem;
    buf_init(&pem, KEYFILE_BYTES_MAX);
    cert_pem(cert, &pem);
    require(!pem.overflow);
    err e = keyfile_write_public(path, buf_bytes(&pem), reterr);
    buf_done(&pem);
    return e;
}

static void put_der(const X509 *x509, struct buf *ret)
{
    int size = i2d_X509(x509, NULL);
    require(size > 0);
    unsigned char *room = buf_room(ret, (size_t)size);
    if (room != NULL) {
        require(i2d_X509(x509, &room) == size);
        buf_added(ret, (size_t)size);
    }
}

void cert_der(const struct cert *cert, struct buf *ret)
{
    require(cert != NULL);
    put_der(cert->x509, ret);
}

void cert_spki(const struct cert *cert, struct buf *ret)
{
    unsigned char *der = NULL;
    require(cert != NULL);
    int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert->x509), &der);
    require(size > 0);
    buf_put(ret, der, (size_t)size);
    OPENSSL_free(der);
}

void cert_pem(const struct cert *cert, struct buf *ret)
{
    require(cert != NULL);
    BIO *bio = BIO_new(BIO_s_mem());
    require(bio != NULL);
    require(PEM_write_bio_X509(bio, cert->x509) == 1);
    char *text = NULL;
    long size = BIO_get_mem_data(bio, &text);
    require(size > 0);
    buf_put(ret, text, (size_t)size);
    BIO_free(bio);
}

/* Unix seconds; a time that cannot be read counts as the beginning of 1970, long expired. */
static int64_t seconds_of(const ASN1_TIME *when)
{
    struct tm tm = {0};
    if (ASN1_TIME_to_tm(when, &tm) != 1) {
        ERR_clear_error();
        return 0;
    }
    return (int64_t)timegm(&tm);
}

void cert_facts_of_x509(const struct x509_st *x509, struct cert_facts *ret, struct errtext *reterr)
{
    require(x509 != NULL);
    require(ret != NULL);
    memset(ret, 0, sizeof *ret);
    ret->has_identity = !failed(identity_of_x509(x509, &ret->identity, reterr));
    /* Fills libcrypto's cache of extensions in the object; asks for nothing else. */
    ret->is_ca = X509_check_ca((X509 *)(uintptr_t)x509) == 1;
    ret->not_before_s = seconds_of(X509_get0_notBefore(x509));
    ret->not_after_s = seconds_of(X509_get0_notAfter(x509));
    unsigned char *spki = NULL;
    int spki_size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x509), &spki);
    require(spki_size > 0);
    sha256(spki, (size_t)spki_size, ret->spki_sha256);
    OPENSSL_free(spki);
    unsigned char *der = NULL;
    int der_size = i2d_X509(x509, &der);
    require(der_size > 0);
    sha256(der, (size_t)der_size, ret->fingerprint);
    OPENSSL_free(der);
}

void cert_read_facts(const struct cert *cert, struct cert_facts *ret, struct errtext *reterr)
{
    require(cert != NULL);
    cert_facts_of_x509(cert->x509, ret, reterr);
}

err cert_signed_by(const struct cert *cert, const struct cert *ca, struct errtext *reterr)
{
    require(cert != NULL);
    require(ca != NULL);
    if (X509_check_ca(ca->x509) != 1) {
        return err_fail(reterr, ERR_DENIED, "the issuer is not a CA");
    }
    EVP_PKEY *key = X509_get0_pubkey(ca->x509);
    ERR_clear_error();
    if (key == NULL || X509_verify(cert->x509, key) != 1) {
        return openssl_fail(reterr, ERR_DENIED, "the certificate is not signed by that CA");
    }
    return err_ok();
}
