/* Target: cert_from_der, cert_read_facts. */
#include <stddef.h>
#include <stdint.h>

#include "crypto/cert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cert *cert = NULL;
    if (!failed(cert_from_der(bytes_of(data, size), &cert, NULL))) {
        struct cert_facts facts;
        struct errtext why;
        cert_read_facts(cert, &facts, &why);
        err e = cert_signed_by(cert, cert, &why);
        (void)e;
        cert_free(cert);
    }
    return 0;
}
