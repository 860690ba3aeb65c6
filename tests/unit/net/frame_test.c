/* Framing of peer links: pure, in every way the bytes may be cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/frame.h"

static const struct {
    uint8_t type;
    const char *text;
} frames[] = {{1, "one"}, {2, ""}, {240, "a longer frame than the others"}, {0, "x"}, {9, ""}};
enum { FRAMES = sizeof frames / sizeof *frames, SIZE_MAX_OF_TEST = 40 };

static void make_stream(struct buf *ret)
{
    buf_init(ret, 4096);
    for (size_t i = 0; i < FRAMES; i++) {
        size_t half = strlen(frames[i].text) / 2;
        const struct bytes parts[] = {
            bytes_of(frames[i].text, half),
            bytes_text(frames[i].text + half),
        };
        frame_put(ret, frames[i].type, parts, 2);
    }
}

/* Feeds pieces of one size, each in memory of its own, so that a view kept too long shows. */
static void read_in_pieces(struct bytes stream, size_t piece)
{
    struct frame_reader r;
    frame_reader_init(&r, SIZE_MAX_OF_TEST);
    size_t seen = 0;
    for (size_t at = 0; at < stream.size; at += piece) {
        size_t size = piece < stream.size - at ? piece : stream.size - at;
        uint8_t *copy = malloc(size);
        memcpy(copy, stream.data + at, size);
        struct bytes input = bytes_of(copy, size);
        struct frame f;
        bool there = true;
        while (there) {
            assert_false(failed(frame_next(&r, &input, &f, &there)));
            if (there) {
                assert_true(seen < FRAMES);
                assert_int_equal(f.type, frames[seen].type);
                assert_true(bytes_equal(f.bytes, bytes_text(frames[seen].text)));
                seen++;
            }
        }
        assert_int_equal(input.size, 0);
        free(copy);
    }
    assert_int_equal(seen, FRAMES);
    frame_reader_done(&r);
}

static void frames_come_out_however_they_are_cut(void **state)
{
    (void)state;
    struct buf stream;
    make_stream(&stream);
    for (size_t piece = 1; piece <= stream.size; piece++) {
        read_in_pieces(buf_bytes(&stream), piece);
    }
    buf_done(&stream);
}

/* size_max - 1, size_max, size_max + 1; whole and byte by byte. */
static void a_frame_has_a_greatest_size(void **state)
{
    (void)state;
    static const uint8_t zeros[SIZE_MAX_OF_TEST + 1];
    for (size_t size = SIZE_MAX_OF_TEST - 1; size <= SIZE_MAX_OF_TEST + 1; size++) {
        struct buf stream;
        buf_init(&stream, 4096);
        const struct bytes part = {zeros, size};
        frame_put(&stream, 1, &part, 1);
        for (size_t piece = 1; piece <= stream.size; piece += stream.size - 1) {
            struct frame_reader r;
            frame_reader_init(&r, SIZE_MAX_OF_TEST);
            bool refused = false, seen = false;
            for (size_t at = 0; at < stream.size && !refused; at += piece) {
                struct bytes input = bytes_of(stream.data + at, piece);
                struct frame f;
                bool there = false;
                refused = err_is(frame_next(&r, &input, &f, &there), ERR_LIMIT);
                seen = seen || there;
                assert_true(!refused || at < FRAME_HEADER_SIZE);
            }
            assert_int_equal(refused, size > SIZE_MAX_OF_TEST);
            assert_int_equal(seen, size <= SIZE_MAX_OF_TEST);
            assert_true(r.partial.capacity <= 64 || !refused);
            frame_reader_done(&r);
        }
        buf_done(&stream);
    }
}

/* Takes the one frame that buf holds. */
static struct frame only_frame(const struct buf *b)
{
    struct frame_reader r;
    struct frame f = {0};
    bool there = false;
    struct bytes input = buf_bytes(b);
    frame_reader_init(&r, 4096);
    assert_false(failed(frame_next(&r, &input, &f, &there)));
    assert_true(there);
    assert_int_equal(input.size, 0);
    frame_reader_done(&r); /* the view is into b, not into the reader */
    return f;
}

static void hellos_have_one_form(void **state)
{
    (void)state;
    struct buf b;
    struct frame_hello hello = {.version = FRAME_VERSION, .from = 3, .to = UINT64_MAX}, again;
    memset(hello.ledger_id, 0xab, sizeof hello.ledger_id);
    buf_init(&b, 4096);
    frame_put_hello(&b, &hello);
    struct frame f = only_frame(&b);
    assert_int_equal(f.type, FRAME_TYPE_HELLO);
    assert_false(failed(frame_read_hello(f.bytes, &again)));
    assert_int_equal(again.version, hello.version);
    assert_int_equal(again.from, hello.from);
    assert_true(again.to == hello.to);
    assert_memory_equal(again.ledger_id, hello.ledger_id, sizeof again.ledger_id);
    for (size_t size = 0; size < f.bytes.size; size++) {
        assert_true(err_is(frame_read_hello(bytes_of(f.bytes.data, size), &again), ERR_INVALID));
    }
    struct bytes longer = bytes_of(b.data + FRAME_HEADER_SIZE - 1, f.bytes.size + 1);
    b.data[FRAME_HEADER_SIZE - 1] = FRAME_VERSION + 1;
    assert_false(failed(frame_read_hello(longer, &again))); /* another version: only that is read */
    assert_int_not_equal(again.version, FRAME_VERSION);
    buf_clear(&b);
    frame_put_hello(&b, &hello);
    buf_put_u8(&b, 0);
    f.bytes = bytes_of(b.data + FRAME_HEADER_SIZE, FRAME_HELLO_SIZE + 1);
    assert_true(err_is(frame_read_hello(f.bytes, &again), ERR_INVALID));
    buf_done(&b);
}

static void answers_have_one_form(void **state)
{
    (void)state;
    struct buf b;
    uint16_t version = 0;
    uint8_t reason = 0;
    char text[FRAME_REFUSAL_TEXT_MAX + 1];
    buf_init(&b, 4096);
    frame_put_welcome(&b);
    struct frame f = only_frame(&b);
    assert_int_equal(f.type, FRAME_TYPE_WELCOME);
    assert_false(failed(frame_read_welcome(f.bytes, &version)));
    assert_int_equal(version, FRAME_VERSION);
    assert_true(err_is(frame_read_welcome(bytes_of("\0\1\0", 3), &version), ERR_INVALID));
    assert_true(err_is(frame_read_welcome(bytes_of("\0", 1), &version), ERR_INVALID));
    buf_clear(&b);
    frame_put_refusal(&b, 7, "line\nand \x1b[31mcolour");
    f = only_frame(&b);
    assert_int_equal(f.type, FRAME_TYPE_REFUSAL);
    assert_false(failed(frame_read_refusal(f.bytes, &reason, text)));
    assert_int_equal(reason, 7);
    assert_string_equal(text, "line?and ?[31mcolour");
    assert_true(err_is(frame_read_refusal(bytes_of("", 0), &reason, text), ERR_INVALID));
    uint8_t longest[1 + FRAME_REFUSAL_TEXT_MAX + 1] = {1};
    assert_false(failed(frame_read_refusal(bytes_of(longest, sizeof longest - 1), &reason, text)));
    assert_true(
        err_is(frame_read_refusal(bytes_of(longest, sizeof longest), &reason, text), ERR_INVALID));
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_come_out_however_they_are_cut),
        cmocka_unit_test(a_frame_has_a_greatest_size),
        cmocka_unit_test(hellos_have_one_form),
        cmocka_unit_test(answers_have_one_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
