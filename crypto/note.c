#include "crypto/note.h"

#include "base/hex.h"
#include "base/require.h"
#include "base/utf8.h"
#include "crypto/lines.h"
#include "crypto/sha256.h"

static const char DASH[] = "\xe2\x80\x94 "; /* em dash and space: starts a signature line */

enum {
    DASH_SIZE = 4,
    KEY_RAW_SIZE = 1 + SIGN_PUBLIC_SIZE, /* kind and key, as a vkey has them */
    LINE_BLOB_MAX = NOTE_KEY_ID_SIZE + NOTE_BLOB_MAX,
    MESSAGE_HEAD_MAX = 64, /* "cosignature/v1\ntime " and a u64 */
};

/* ---- keys ---- */

/* ASCII without space, plus and controls: a part of what the specification allows, so that a name
 * reads the same to everybody. */
static bool name_valid(struct bytes name)
{
    if (name.size == 0 || name.size > NOTE_NAME_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] <= ' ' || name.data[i] >= 0x7f || name.data[i] == '+') {
            return false;
        }
    }
    return true;
}

/* key id = SHA-256(name || "\n" || kind || public)[:4] */
static void key_id(struct note_key *key)
{
    struct buf b;
    uint8_t digest[SHA256_SIZE];
    buf_init(&b, NOTE_NAME_BYTES_MAX + 2 + SIGN_PUBLIC_SIZE);
    buf_put_text(&b, key->name);
    buf_put_u8(&b, '\n');
    buf_put_u8(&b, (uint8_t)key->kind);
    buf_put(&b, key->public, SIGN_PUBLIC_SIZE);
    require(!b.overflow);
    sha256(b.data, b.size, digest);
    memcpy(key->id, digest, NOTE_KEY_ID_SIZE);
    buf_done(&b);
}

static err key_of(enum note_kind kind, struct bytes name, const uint8_t public[SIGN_PUBLIC_SIZE],
                  struct note_key *ret, struct errtext *reterr)
{
    if (!name_valid(name)) {
        return err_fail(reterr, ERR_INVALID,
                        "a key name is 1 to %d ASCII characters without space and '+'",
                        NOTE_NAME_BYTES_MAX);
    }
    *ret = (struct note_key){.kind = kind};
    memcpy(ret->name, name.data, name.size);
    memcpy(ret->public, public, SIGN_PUBLIC_SIZE);
    key_id(ret);
    return err_ok();
}

err note_key_make(enum note_kind kind, const char *name, const uint8_t public[SIGN_PUBLIC_SIZE],
                  struct note_key *ret, struct errtext *reterr)
{
    return key_of(kind, bytes_text(name), public, ret, reterr);
}

err note_key_parse(struct bytes text, struct note_key *ret, struct errtext *reterr)
{
    struct bytes name;
    struct bytes rest;
    struct bytes id;
    struct bytes key;
    uint8_t raw[KEY_RAW_SIZE];
    uint8_t told[NOTE_KEY_ID_SIZE];
    size_t size = 0;
    if (!lines_split(text, '+', &name, &rest) || !lines_split(rest, '+', &id, &key)) {
        return err_fail(reterr, ERR_INVALID, "a verifier key reads NAME+ID+KEY");
    }
    if (failed(hex_decode(id, told, sizeof told))) {
        return err_fail(reterr, ERR_INVALID, "the key id must be 8 hexadecimal digits");
    }
    if (!lines_base64(key, raw, KEY_RAW_SIZE, &size) || size != KEY_RAW_SIZE) {
        return err_fail(reterr, ERR_INVALID, "the key must be base64 of 33 bytes");
    }
    if (raw[0] != NOTE_ED25519 && raw[0] != NOTE_COSIGNATURE) {
        return err_fail(reterr, ERR_UNSUPPORTED, "signature type 0x%02x is not ours", raw[0]);
    }
    TRY(key_of((enum note_kind)raw[0], name, raw + 1, ret, reterr));
    if (memcmp(ret->id, told, sizeof told) != 0) {
        return err_fail(reterr, ERR_INVALID, "the key id is not that of this name and key");
    }
    return err_ok();
}

void note_key_print(const struct note_key *key, struct buf *ret)
{
    uint8_t raw[KEY_RAW_SIZE] = {(uint8_t)key->kind};
    char id[2 * NOTE_KEY_ID_SIZE + 1];
    char text[(sizeof raw + 2) / 3 * 4 + 1];
    memcpy(raw + 1, key->public, SIGN_PUBLIC_SIZE);
    hex_encode(bytes_of(key->id, NOTE_KEY_ID_SIZE), id);
    base64_encode(bytes_of(raw, sizeof raw), text);
    buf_printf(ret, "%s+%s+%s", key->name, id, text);
}

/* ---- reading ---- */

static bool characters_valid(struct bytes wire)
{
    for (size_t i = 0; i < wire.size; i++) {
        if (wire.data[i] < ' ' && wire.data[i] != '\n') {
            return false;
        }
    }
    return utf8_valid(wire);
}

/* Where the signature lines begin: after the last empty line; 0: there is no empty line. */
static size_t signatures_start(struct bytes wire)
{
    for (size_t i = wire.size; i >= 2; i--) {
        if (wire.data[i - 1] == '\n' && wire.data[i - 2] == '\n') {
            return i;
        }
    }
    return 0;
}

/* "— NAME BASE64", without its newline. */
static bool signature_parse(struct bytes line, struct note_signature *ret)
{
    struct bytes blob;
    uint8_t raw[LINE_BLOB_MAX];
    size_t size = 0;
    *ret = (struct note_signature){0};
    if (!bytes_has_prefix(line, bytes_of(DASH, DASH_SIZE))) {
        return false;
    }
    line = bytes_of(line.data + DASH_SIZE, line.size - DASH_SIZE);
    if (!lines_split(line, ' ', &ret->name, &blob) || !name_valid(ret->name)) {
        return false;
    }
    if (blob.size > base64_length(LINE_BLOB_MAX)) { /* a kind that we do not have */
        bool form = blob.size % 4 == 0 && lines_base64(bytes_of(blob.data, 8), raw, 6, &size);
        memcpy(ret->id, raw, NOTE_KEY_ID_SIZE);
        return form && size == 6;
    }
    if (!lines_base64(blob, raw, LINE_BLOB_MAX, &size) || size <= NOTE_KEY_ID_SIZE) {
        return false;
    }
    memcpy(ret->id, raw, NOTE_KEY_ID_SIZE);
    ret->blob_size = size - NOTE_KEY_ID_SIZE;
    memcpy(ret->blob, raw + NOTE_KEY_ID_SIZE, ret->blob_size);
    return true;
}

static bool doubled(const struct note *note, const struct note_signature *s)
{
    for (size_t i = 0; i < note->signature_count; i++) {
        const struct note_signature *o = &note->signatures[i];
        if (bytes_equal(o->name, s->name) && memcmp(o->id, s->id, NOTE_KEY_ID_SIZE) == 0) {
            return true;
        }
    }
    return false;
}

err note_parse(struct bytes wire, struct note *ret, struct errtext *reterr)
{
    if (wire.size > NOTE_BYTES_MAX) {
        return err_fail(reterr, ERR_LIMIT, "a note has at most %d bytes", NOTE_BYTES_MAX);
    }
    size_t start = signatures_start(wire);
    if (start < 3 || wire.data[wire.size - 1] != '\n' || !characters_valid(wire)) {
        return err_fail(reterr, ERR_INVALID,
                        "a note is lines of text, an empty line, and signature lines");
    }
    *ret = (struct note){.text = bytes_of(wire.data, start - 1)};
    struct bytes rest = bytes_of(wire.data + start, wire.size - start);
    struct bytes line;
    while (lines_next(&rest, &line)) {
        struct note_signature s;
        if (ret->signature_count == NOTE_SIGNATURES_MAX) {
            return err_fail(reterr, ERR_LIMIT, "a note has at most %d signatures",
                            NOTE_SIGNATURES_MAX);
        }
        if (!signature_parse(line, &s) || doubled(ret, &s)) {
            return err_fail(reterr, ERR_INVALID, "signature line %zu is malformed or stands twice",
                            ret->signature_count + 1);
        }
        ret->signatures[ret->signature_count++] = s;
    }
    if (ret->signature_count == 0) {
        return err_fail(reterr, ERR_INVALID, "the note has no signature");
    }
    return err_ok();
}

/* ---- signing and checking ---- */

/* What is signed: the text, for a cosignature with its head before it. */
static void message_make(enum note_kind kind, struct bytes text, uint64_t time_s, struct buf *ret)
{
    buf_init(ret, text.size + MESSAGE_HEAD_MAX);
    switch (kind) {
    case NOTE_ED25519:
        break;
    case NOTE_COSIGNATURE:
        buf_printf(ret, "cosignature/v1\ntime %llu\n", (unsigned long long)time_s);
        break;
    }
    buf_put_bytes(ret, text);
    require(!ret->overflow);
}

static size_t blob_size(enum note_kind kind)
{
    return kind == NOTE_COSIGNATURE ? NOTE_BLOB_MAX : SIGN_SIGNATURE_SIZE;
}

static uint64_t blob_time(const uint8_t *blob)
{
    uint64_t t = 0;
    for (size_t i = 0; i < NOTE_TIME_SIZE; i++) {
        t = t << 8 | blob[i];
    }
    return t;
}

enum note_verdict note_signed_by(const struct note *note, const struct note_key *key,
                                 struct verifier *v, uint64_t *ret_time_s)
{
    for (size_t i = 0; i < note->signature_count; i++) {
        const struct note_signature *s = &note->signatures[i];
        if (!bytes_equal(s->name, bytes_text(key->name)) ||
            memcmp(s->id, key->id, NOTE_KEY_ID_SIZE) != 0) {
            continue;
        }
        bool timed = key->kind == NOTE_COSIGNATURE;
        uint64_t time_s = timed && s->blob_size == NOTE_BLOB_MAX ? blob_time(s->blob) : 0;
        if (s->blob_size != blob_size(key->kind) || time_s > INT64_MAX) {
            return NOTE_FORGED;
        }
        struct buf message;
        message_make(key->kind, note->text, time_s, &message);
        bool valid = verifier_check(v, key->public, buf_bytes(&message),
                                    s->blob + (timed ? NOTE_TIME_SIZE : 0));
        buf_done(&message);
        if (valid && ret_time_s != NULL) {
            *ret_time_s = time_s;
        }
        return valid ? NOTE_SIGNED : NOTE_FORGED;
    }
    return NOTE_NOT_SIGNED;
}

void note_signature_print(const struct note_signature *s, struct buf *ret)
{
    uint8_t blob[NOTE_KEY_ID_SIZE + NOTE_BLOB_MAX];
    require(s->blob_size <= NOTE_BLOB_MAX);
    memcpy(blob, s->id, NOTE_KEY_ID_SIZE);
    memcpy(blob + NOTE_KEY_ID_SIZE, s->blob, s->blob_size);
    buf_put_text(ret, DASH);
    buf_put_bytes(ret, s->name);
    buf_put_u8(ret, ' ');
    lines_put_base64(bytes_of(blob, NOTE_KEY_ID_SIZE + s->blob_size), ret);
}

void note_sign(const struct note_key *key, struct sign_key *private, struct bytes text,
               uint64_t time_s, struct buf *ret)
{
    struct buf message;
    struct buf blob;
    uint8_t signature[SIGN_SIGNATURE_SIZE];
    require(text.size > 0 && text.data[text.size - 1] == '\n');
    require(time_s <= INT64_MAX);
    message_make(key->kind, text, time_s, &message);
    sign_message(private, buf_bytes(&message), signature);
    buf_init(&blob, LINE_BLOB_MAX);
    buf_put(&blob, key->id, NOTE_KEY_ID_SIZE);
    if (key->kind == NOTE_COSIGNATURE) {
        buf_put_u64(&blob, time_s);
    }
    buf_put(&blob, signature, sizeof signature);
    buf_printf(ret, "%s%s ", DASH, key->name);
    lines_put_base64(buf_bytes(&blob), ret);
    buf_done(&blob);
    buf_done(&message);
}
