#include "server/heads_note.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/require.h"
#include "crypto/checkpoint.h"
#include "crypto/policy.h"

enum { POLICY_ARENA = 1 << 20 };

err heads_key_make(const struct heads_name *name, const uint8_t public[SIGN_PUBLIC_SIZE],
                   struct heads_key *ret, struct errtext *reterr)
{
    char text[2 * NOTE_NAME_BYTES_MAX];
    struct heads_key key = {.node = name->node};
    snprintf(text, sizeof text, "%.*s", (int)name->origin.size, (const char *)name->origin.data);
    TRY(note_key_make(NOTE_ED25519, text, public, &key.log, reterr));
    snprintf(text, sizeof text, "%.*s/%.*s/%llu", (int)name->origin.size,
             (const char *)name->origin.data, (int)name->institution.size,
             (const char *)name->institution.data, (unsigned long long)name->node);
    TRY(note_key_make(NOTE_COSIGNATURE, text, public, &key.witness, reterr));
    *ret = key;
    return err_ok();
}

void heads_text(struct bytes origin, const struct merkle_head *head, struct buf *ret)
{
    const struct checkpoint c = {origin, head->size, head->root};
    checkpoint_print(&c, ret);
}

void heads_note(struct bytes origin, const struct merkle_head *head, struct bytes lines,
                struct buf *ret)
{
    heads_text(origin, head, ret);
    buf_put_u8(ret, '\n');
    buf_put_bytes(ret, lines);
}

void heads_sign(const struct heads_key *key, struct sign_key *private, struct bytes text,
                uint64_t time_s, struct buf *ret)
{
    note_sign(&key->log, private, text, 0, ret);
    note_sign(&key->witness, private, text, time_s, ret);
}

bool heads_note_read(struct bytes origin, struct bytes wire, struct note *ret,
                     struct merkle_head *ret_head)
{
    struct checkpoint c;
    struct errtext why;
    if (failed(note_parse(wire, ret, &why)) || failed(checkpoint_parse(ret->text, &c, &why)) ||
        !bytes_equal(c.origin, origin) || c.size == 0) {
        return false;
    }
    *ret_head = (struct merkle_head){c.size, c.root};
    return true;
}

static void put_line(const struct note *note, const struct note_key *key, struct buf *ret)
{
    for (size_t i = 0; i < note->signature_count; i++) {
        const struct note_signature *s = &note->signatures[i];
        if (bytes_equal(s->name, bytes_text(key->name)) &&
            memcmp(s->id, key->id, NOTE_KEY_ID_SIZE) == 0) {
            note_signature_print(s, ret);
        }
    }
}

enum note_verdict heads_lines_of(const struct note *note, const struct heads_key *key,
                                 struct verifier *v, struct buf *ret)
{
    enum note_verdict witness = note_signed_by(note, &key->witness, v, NULL);
    if (witness != NOTE_SIGNED) {
        return witness;
    }
    enum note_verdict log = note_signed_by(note, &key->log, v, NULL);
    if (log == NOTE_FORGED) {
        return log;
    }
    if (log == NOTE_SIGNED) {
        put_line(note, &key->log, ret);
    }
    put_line(note, &key->witness, ret);
    return NOTE_SIGNED;
}

err heads_accepted(struct bytes policy, struct bytes wire, struct verifier *v,
                   struct errtext *reterr)
{
    struct policy_voices *voices = mem_new(1, sizeof *voices);
    struct policy *p = NULL;
    struct checkpoint c;
    struct note note;
    struct arena a;
    arena_init(&a, POLICY_ARENA);
    err e = policy_parse(policy, &a, &p, reterr);
    if (!failed(e)) {
        e = note_parse(wire, &note, reterr);
    }
    if (!failed(e)) {
        e = policy_check_every(p, &note, v, &c, voices, reterr);
    }
    free(voices);
    arena_done(&a);
    return e;
}
