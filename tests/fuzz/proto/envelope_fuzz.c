/* Target: envelope_decode. What it takes, written again, must read as the same. */
#include "base/require.h"
#include "proto/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    arena_init(&a, 2 * ENVELOPE_ARENA_MAX);
    struct envelope *e, *again;
    if (!failed(envelope_decode(bytes_of(data, size), &a, &e, NULL))) {
        struct buf body, whole;
        buf_init(&body, BODY_BYTES_MAX);
        buf_init(&whole, ENVELOPE_BYTES_MAX);
        body_encode(&e->body, &body);
        envelope_encode(buf_bytes(&body), e->signatures, e->signature_count, &whole);
        require(!failed(envelope_decode(buf_bytes(&whole), &a, &again, NULL)));
        require(again->body.event_count == e->body.event_count);
        require(bytes_equal(again->body.on_behalf, e->body.on_behalf));
        buf_done(&whole);
        buf_done(&body);
    }
    uint8_t hash[32];
    envelope_request_hash(bytes_of(data, size), hash);
    arena_done(&a);
    return 0;
}
