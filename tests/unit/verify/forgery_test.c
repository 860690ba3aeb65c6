/* Nothing can be changed in a text without being noticed: every byte of every golden file, and many
 * random changes. Which file is attacked, and how often at random, are the arguments, so that files
 * may be attacked side by side.
 *
 * One change is no forgery: whole signature lines left out, or in another order, while enough of
 * them stay. Then the text says what it said, by fewer voices. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/consistency.h"
#include "sample.h"

enum { ARENA_MAX = 1 << 20 };

struct attack {
    const char *name;
    struct verify_trust trust;
    struct buf file, old;
    uint64_t refused;
};

static void must(bool fact, const char *what)
{
    if (!fact) {
        (void)fprintf(stderr, "%s\n", what);
        exit(1);
    }
}

/* Whether the text passes as what it is a forgery of. */
static bool passes(struct attack *f, struct bytes wire, struct errtext *why)
{
    struct arena a;
    err e = err_ok();
    arena_init(&a, ARENA_MAX);
    if (strcmp(f->name, "policy") == 0) {
        struct verify_trust t;
        e = verify_trust(wire, true, &t, why);
        if (!failed(e)) {
            verify_trust_done(&t);
        }
    } else if (strstr(f->name, "receipt") != NULL) {
        struct verify_receipt receipt;
        e = verify_receipt(&f->trust, wire, &a, &receipt, why);
    } else if (strcmp(f->name, "consistency") == 0) {
        struct verify_head old;
        struct verify_head now;
        e = verify_consistency(&f->trust, wire, buf_bytes(&f->old), &old, &now, why);
    } else {
        struct verify_statement s;
        e = verify_statement(&f->trust, wire, NULL, &a, &s, why);
    }
    arena_done(&a);
    return !failed(e);
}

/* The text up to its signature lines. */
static size_t signed_part(struct bytes wire)
{
    for (size_t i = wire.size; i >= 2; i--) {
        if (wire.data[i - 1] == '\n' && wire.data[i - 2] == '\n') {
            return i;
        }
    }
    return 0;
}

/* Whether all lines of the text are the file's own, and the same ones before the signatures. */
static bool only_fewer_voices(const struct attack *f, struct bytes wire)
{
    size_t head = signed_part(buf_bytes(&f->file));
    if (head == 0 || signed_part(wire) != head || memcmp(wire.data, f->file.data, head) != 0) {
        return false;
    }
    for (size_t at = head; at < wire.size;) {
        const uint8_t *end = memchr(wire.data + at, '\n', wire.size - at);
        size_t size = end == NULL ? 0 : (size_t)(end - wire.data) + 1 - at;
        if (size == 0 || memmem(f->file.data + head - 1, f->file.size - head + 1,
                                wire.data + at - 1, size + 1) == NULL) {
            return false;
        }
        at += size;
    }
    return true;
}

static void refuse(struct attack *f, struct bytes wire)
{
    struct errtext why = {""};
    if (wire.size == f->file.size && memcmp(wire.data, f->file.data, wire.size) == 0) {
        return; /* nothing was changed */
    }
    if (passes(f, wire, &why)) {
        if (only_fewer_voices(f, wire)) {
            return;
        }
        (void)fwrite(wire.data, 1, wire.size, stdout);
        must(false, "this forgery passes");
    }
    must(why.text[0] != '\0', "a forgery is refused without a reason");
    f->refused++;
}

/* Each byte changed, left out, doubled; the text cut there; a byte put in there. */
static void every_byte(struct attack *f)
{
    static const uint8_t FLIPS[] = {0x01, 0x20, 0x80};
    static const uint8_t PUT[] = {'\n', 'A'};
    uint8_t *b = malloc(f->file.size + 1);
    must(b != NULL, "no memory");
    const size_t size = f->file.size;
    for (size_t i = 0; i < size; i++) {
        memcpy(b, f->file.data, size);
        for (size_t k = 0; k < sizeof FLIPS; k++) {
            b[i] = f->file.data[i] ^ FLIPS[k];
            refuse(f, bytes_of(b, size));
        }
        b[i] = f->file.data[i];
        refuse(f, bytes_of(b, i));
        memmove(b + i, b + i + 1, size - i - 1);
        refuse(f, bytes_of(b, size - 1));
        memcpy(b + i + 1, f->file.data + i, size - i);
        for (size_t k = 0; k < sizeof PUT; k++) {
            b[i] = PUT[k];
            refuse(f, bytes_of(b, size + 1));
        }
    }
    memcpy(b, f->file.data, size);
    for (size_t k = 0; k < sizeof PUT; k++) {
        b[size] = PUT[k];
        refuse(f, bytes_of(b, size + 1));
    }
    free(b);
}

static uint64_t state = 1; /* a fixed seed: the same changes each time */

static size_t below(size_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (size_t)((state * UINT64_C(0x2545F4914F6CDD1D)) >> 33) % n;
}

/* Copies `from` and does one thing to it: a byte, a piece moved, doubled or cut, a line swapped. */
static size_t change(struct bytes from, uint8_t *b)
{
    static const char LIKELY[] = "\n +-/=#0123456789ABab";
    size_t size = from.size;
    memcpy(b, from.data, size);
    size_t at = below(size);
    size_t length = 1 + below(below(8) == 0 ? 200 : 8);
    length = length < size - at ? length : size - at;
    size_t to = below(size - length + 1);
    switch (below(5)) {
    case 0:
        b[at] = (uint8_t)below(256);
        break;
    case 1:
        b[at] = (uint8_t)LIKELY[below(sizeof LIKELY - 1)];
        break;
    case 2:
        memmove(b + at, b + at + length, size - at - length);
        size -= length;
        break;
    case 3:
        memmove(b + to, from.data + at, length);
        break;
    default:
        memmove(b + at + length, b + at, size - at);
        memcpy(b + at, from.data + to, length);
        size += length;
        break;
    }
    return size;
}

static void at_random(struct attack *f, uint64_t times)
{
    uint8_t *b = malloc(2 * f->file.size);
    must(b != NULL, "no memory");
    for (uint64_t i = 0; i < times; i++) {
        size_t size = change(buf_bytes(&f->file), b);
        refuse(f, bytes_of(b, size));
    }
    free(b);
}

int main(int argc, char **argv)
{
    struct buf policy;
    struct errtext why = {""};
    must(argc == 3, "usage: forgery_test NAME TIMES");
    uint64_t times = strtoull(argv[2], NULL, 10);
    struct attack f = {.name = argv[1]};
    sample_golden("policy", &policy);
    sample_golden("checkpoint", &f.old);
    sample_golden(f.name, &f.file);
    must(!failed(verify_trust(buf_bytes(&policy), true, &f.trust, &why)), why.text);
    must(passes(&f, buf_bytes(&f.file), &why), why.text);
    every_byte(&f);
    at_random(&f, times);
    must(f.refused > times * 9 / 10 + 5 * f.file.size, "hardly anything was changed");
    (void)printf("%s: %llu forgeries, all refused with a reason\n", f.name,
                 (unsigned long long)f.refused);
    verify_trust_done(&f.trust);
    buf_done(&f.file);
    buf_done(&f.old);
    buf_done(&policy);
    return 0;
}
