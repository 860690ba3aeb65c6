/* Target: grpc_timeout_parse, grpc_text_decode, grpc_text_encode, grpc_bin_decode,
 * grpc_content_type_is_good, grpc_status_parse, grpc_deframer_next. */
#include <stdlib.h>
#include <string.h>

#include "base/require.h"
#include "net/grpc_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_texts(struct bytes in)
{
    uint64_t ns = 0;
    if (!failed(grpc_timeout_parse(in, &ns))) {
        char text[GRPC_TIMEOUT_SIZE];
        uint64_t again = 0;
        grpc_timeout_print(ns, text);
        require(!failed(grpc_timeout_parse(bytes_text(text), &again)));
        require(again >= ns);
    }
    char text[200], encoded[700], back[200];
    grpc_text_decode(in, text, sizeof(text));
    require(strlen(text) < sizeof(text));
    grpc_text_encode(text, encoded, sizeof(encoded));
    grpc_text_decode(bytes_text(encoded), back, sizeof(back));
    require(strcmp(text, back) == 0);
    uint8_t out[64];
    size_t out_size = 0;
    if (!failed(grpc_bin_decode(in, out, sizeof(out), &out_size))) {
        require(out_size <= sizeof(out));
    }
    require((unsigned)grpc_status_parse(in) <= GRPC_STATUS_MAX);
    (void)grpc_content_type_is_good(in);
}

/* Messages found in pieces of any size are those found in one piece. */
static size_t count_messages(struct bytes in, size_t step, bool copy, uint64_t *ret_sum)
{
    struct budget budget = {0, 1000, NULL};
    struct grpc_deframer d;
    grpc_deframer_init(&d, 500, &budget);
    d.copy = copy;
    size_t count = 0;
    enum grpc_status status = GRPC_OK;
    *ret_sum = 0;
    while (in.size > 0 && status == GRPC_OK) {
        size_t size = in.size < step ? in.size : step;
        struct bytes piece = bytes_of(in.data, size), message;
        in = bytes_of(in.data + size, in.size - size);
        while (piece.size > 0 && status == GRPC_OK) {
            bool complete = false;
            status = grpc_deframer_next(&d, &piece, &message, &complete, NULL);
            for (size_t i = 0; complete && i < message.size; i++) {
                *ret_sum = *ret_sum * 31 + message.data[i];
            }
            count += complete;
        }
    }
    grpc_deframer_done(&d);
    require(budget.used == 0);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    struct bytes in = bytes_of(data + 1, size - 1);
    fuzz_texts(in);
    uint64_t whole = 0, cut = 0;
    size_t count = count_messages(in, in.size + 1, false, &whole);
    require(count_messages(in, (size_t)data[0] % 16 + 1, data[0] & 16, &cut) == count);
    require(whole == cut);
    return 0;
}
