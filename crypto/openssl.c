#include "crypto/openssl.h"

#include <limits.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/require.h"

err openssl_fail(struct errtext *reterr, enum err_code code, const char *what)
{
    unsigned long reason = ERR_get_error();
    const char *text = reason == 0 ? NULL : ERR_reason_error_string(reason);
    ERR_clear_error();
    return text == NULL ? err_fail(reterr, code, "%s", what)
                        : err_fail(reterr, code, "%s: %s", what, text);
}

/* libcrypto would otherwise ask on the terminal. */
static int no_passphrase(char *text, int size, int writing, void *ctx)
{
    (void)text;
    (void)size;
    (void)writing;
    (void)ctx;
    return -1;
}

err openssl_key_from_pem(struct bytes pem, EVP_PKEY **ret, struct errtext *reterr)
{
    require(ret != NULL);
    if (pem.size == 0 || pem.size > INT_MAX) {
        return err_fail(reterr, ERR_INVALID, "no PEM private key");
    }
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
    require(bio != NULL);
    ERR_clear_error();
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    if (key == NULL) {
        return openssl_fail(reterr, ERR_INVALID, "no unencrypted PEM private key");
    }
    ERR_clear_error();
    *ret = key;
    return err_ok();
}

void openssl_key_to_pem(const EVP_PKEY *key, struct buf *ret)
{
    require(key != NULL);
    BIO *bio = BIO_new(BIO_s_secmem());
    require(bio != NULL);
    require(PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
    char *text = NULL;
    long size = BIO_get_mem_data(bio, &text);
    require(size > 0);
    buf_put(ret, text, (size_t)size);
    BIO_free(bio); /* a secure memory BIO wipes what it held */
}
