/* Target: proof_parse, note_parse, checkpoint_parse, policy_parse, note_key_parse. What is read is
 * written again and must come out the same: there is one form of everything. */
#include <stdlib.h>

#include "crypto/policy.h"
#include "crypto/proof.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool fact)
{
    if (!fact) {
        abort();
    }
}

static void read_note(struct bytes wire)
{
    struct note note;
    struct checkpoint c;
    struct buf b;
    if (failed(note_parse(wire, &note, NULL))) {
        return;
    }
    must(note.signature_count > 0 && note.text.size < wire.size);
    if (failed(checkpoint_parse(note.text, &c, NULL))) {
        return;
    }
    buf_init(&b, NOTE_BYTES_MAX);
    checkpoint_print(&c, &b);
    must(bytes_equal(buf_bytes(&b), note.text));
    buf_done(&b);
}

static void read_key(struct bytes text)
{
    struct note_key key;
    struct buf b;
    if (failed(note_key_parse(text, &key, NULL))) {
        return;
    }
    buf_init(&b, NOTE_BYTES_MAX);
    note_key_print(&key, &b);
    must(buf_bytes(&b).size == text.size); /* hexadecimal digits may be of either case */
    buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes wire = bytes_of(data, size);
    struct proof proof;
    struct policy *policy = NULL;
    struct arena a;
    arena_init(&a, 1 << 20);
    if (!failed(proof_parse(wire, &a, &proof, NULL))) {
        struct buf b;
        buf_init(&b, 2 * PROOF_BYTES_MAX);
        proof_print(&proof, &b);
        must(bytes_equal(buf_bytes(&b), wire));
        buf_done(&b);
        read_note(proof.note);
    }
    err e = policy_parse(wire, &a, &policy, NULL);
    (void)e;
    read_note(wire);
    read_key(wire);
    arena_done(&a);
    return 0;
}
