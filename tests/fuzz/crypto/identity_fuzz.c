/* Target: identity_parse, identity_print, sign_public_parse, merkle_decode. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "crypto/identity.h"
#include "crypto/merkle.h"
#include "crypto/sign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = bytes_of(data, size);
    struct identity id;
    if (!failed(identity_parse(input, &id, NULL))) {
        char uri[IDENTITY_URI_SIZE];
        identity_print(&id, uri);
        if (!bytes_equal(bytes_text(uri), input)) {
            abort(); /* what is accepted has one spelling only */
        }
    }
    uint8_t public[SIGN_PUBLIC_SIZE];
    if (!failed(sign_public_parse(input, public, NULL))) {
        char text[SIGN_PUBLIC_TEXT_SIZE];
        sign_public_print(public, text);
        if (strncmp(text, (const char *)data, size) != 0) {
            abort();
        }
    }
    struct cursor c = cursor_of(input);
    struct merkle m;
    merkle_decode(&c, &m);
    struct merkle_hash root;
    merkle_root(&m, &root);
    return 0;
}
