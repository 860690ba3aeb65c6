/* Target: frame_next in any pieces, frame_read_hello, frame_read_welcome, frame_read_refusal. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FRAME_BYTES_MAX = 300 };

static void read_frame(const struct frame *f)
{
    struct frame_hello hello;
    uint16_t version;
    uint8_t reason;
    char text[FRAME_REFUSAL_TEXT_MAX + 1];
    if (!failed(frame_read_hello(f->bytes, &hello)) && hello.version == FRAME_VERSION) {
        struct buf again;
        buf_init(&again, 4096);
        frame_put_hello(&again, &hello);
        struct bytes body = {again.data + FRAME_HEADER_SIZE, again.size - FRAME_HEADER_SIZE};
        if (!bytes_equal(body, f->bytes)) {
            abort(); /* a hello has one spelling */
        }
        buf_done(&again);
    }
    err e = frame_read_welcome(f->bytes, &version);
    if (failed(e)) {
        e = frame_read_refusal(f->bytes, &reason, text);
    }
    if (failed(e) && f->bytes.size == 2) {
        abort(); /* two bytes are a welcome at least */
    }
}

/* Puts the frames that come out back together into ret. Returns whether a frame was too large. */
static bool read_all(struct bytes input, size_t piece, struct buf *ret)
{
    struct frame_reader r;
    bool refused = false;
    frame_reader_init(&r, FRAME_BYTES_MAX);
    while (input.size > 0 && !refused) {
        size_t take = piece < input.size ? piece : input.size;
        struct bytes part = bytes_of(input.data, take);
        input = bytes_of(input.data + take, input.size - take);
        bool there = true;
        while (there && !refused) {
            struct frame f;
            refused = failed(frame_next(&r, &part, &f, &there));
            if (there && !refused) {
                frame_put(ret, f.type, &f.bytes, 1);
                read_frame(&f);
            }
        }
    }
    frame_reader_done(&r);
    return refused;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct buf whole, pieces;
    buf_init(&whole, 1 << 20);
    buf_init(&pieces, 1 << 20);
    struct bytes input = bytes_of(data + 1, size - 1);
    bool a = read_all(input, size, &whole);
    bool b = read_all(input, (size_t)data[0] % 16 + 1, &pieces);
    if (a != b || !bytes_equal(buf_bytes(&whole), buf_bytes(&pieces)) ||
        !bytes_has_prefix(input, buf_bytes(&whole))) {
        abort();
    }
    buf_done(&whole);
    buf_done(&pieces);
    return 0;
}
