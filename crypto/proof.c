#include "crypto/proof.h"

#include "base/limits.h"
#include "base/require.h"
#include "crypto/lines.h"

static const char FIRST[] = "c2sp.org/tlog-proof@v1";

void proof_print(const struct proof *p, struct buf *ret)
{
    require(p->extra.size <= PROOF_EXTRA_BYTES_MAX && p->path_count <= MERKLE_DEPTH_MAX);
    buf_printf(ret, "%s\n", FIRST);
    if (p->extra.size > 0) {
        buf_put_text(ret, "extra ");
        lines_put_base64(p->extra, ret);
    }
    buf_printf(ret, "index %llu\n", (unsigned long long)p->index);
    for (size_t i = 0; i < p->path_count; i++) {
        lines_put_base64(bytes_of(p->path[i].bytes, sizeof p->path[i].bytes), ret);
    }
    buf_put_u8(ret, '\n');
    buf_put_bytes(ret, p->note);
}

/* Takes "word " off the front of a line; false if the line is another one. */
static bool take_word(struct bytes *line, const char *word)
{
    struct bytes w = bytes_text(word);
    if (!bytes_has_prefix(*line, w)) {
        return false;
    }
    *line = bytes_of(line->data + w.size, line->size - w.size);
    return true;
}

static err parse_extra(struct bytes text, struct arena *a, struct proof *ret,
                       struct errtext *reterr)
{
    size_t size = 0;
    uint8_t *room = arena_try(a, text.size / 4 * 3 + 1, 1);
    if (room == NULL) {
        return err_fail(reterr, ERR_LIMIT, "proof: the record does not fit");
    }
    if (text.size == 0 || !lines_base64(text, room, text.size / 4 * 3, &size)) {
        return err_fail(reterr, ERR_INVALID, "proof, line 2: the record is no base64");
    }
    if (size > PROOF_EXTRA_BYTES_MAX) {
        return err_fail(reterr, ERR_LIMIT, "proof, line 2: the record has over %d bytes",
                        PROOF_EXTRA_BYTES_MAX);
    }
    ret->extra = bytes_of(room, size);
    return err_ok();
}

err proof_parse(struct bytes wire, struct arena *a, struct proof *ret, struct errtext *reterr)
{
    struct bytes rest = wire;
    struct bytes line;
    if (wire.size > PROOF_BYTES_MAX) {
        return err_fail(reterr, ERR_LIMIT, "a proof has at most %d bytes", PROOF_BYTES_MAX);
    }
    *ret = (struct proof){0};
    if (!lines_next(&rest, &line) || !bytes_equal(line, bytes_text(FIRST))) {
        return err_fail(reterr, ERR_INVALID, "this is no proof: the first line is not %s", FIRST);
    }
    bool more = lines_next(&rest, &line);
    if (more && take_word(&line, "extra ")) {
        TRY(parse_extra(line, a, ret, reterr));
        more = lines_next(&rest, &line);
    }
    if (!more || !take_word(&line, "index ") || !lines_decimal(line, &ret->index)) {
        return err_fail(reterr, ERR_INVALID, "proof: the line of the index is missing or wrong");
    }
    while (lines_next(&rest, &line)) {
        if (line.size == 0) {
            ret->note = rest;
            return err_ok();
        }
        if (ret->path_count == MERKLE_DEPTH_MAX || !lines_hash(line, &ret->path[ret->path_count])) {
            return err_fail(reterr, ERR_INVALID, "proof: hash %zu of the path is no hash",
                            ret->path_count + 1);
        }
        ret->path_count++;
    }
    return err_fail(reterr, ERR_INVALID, "proof: it ends before its checkpoint");
}
