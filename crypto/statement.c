#include "crypto/statement.h"

#include "base/hex.h"
#include "base/require.h"
#include "crypto/lines.h"

static const char FIRST[] = "concordat/statement/v1";

enum { MARK_RAW_SIZE = NOTE_KEY_ID_SIZE + SIGN_SIGNATURE_SIZE };

/* ---- writing ---- */

static void put_line(const char *word, const void *data, size_t size, struct buf *ret)
{
    buf_printf(ret, "%s ", word);
    lines_put_base64(bytes_of(data, size), ret);
}

void statement_put_head(struct bytes account, const struct account_head *before, struct buf *ret)
{
    require(account.size > 0 && account.size <= STATEMENT_ACCOUNT_BYTES_MAX);
    require(before->count <= INT64_MAX);
    buf_printf(ret, "%s\n", FIRST);
    put_line("account", account.data, account.size, ret);
    buf_printf(ret, "before %llu ", (unsigned long long)before->count);
    lines_put_base64(bytes_of(before->chain, sizeof before->chain), ret);
}

void statement_put_entry(const struct statement_entry *e, struct buf *ret)
{
    require(e->record.size > 0 && e->posting_count > 0);
    require(e->path_count <= MERKLE_DEPTH_MAX && e->step_count <= MERKLE_DEPTH_MAX);
    put_line("record", e->record.data, e->record.size, ret);
    for (size_t i = 0; i < e->path_count; i++) {
        lines_put_base64(bytes_of(e->path[i].bytes, MERKLE_HASH_SIZE), ret);
    }
    for (size_t i = 0; i < e->step_count; i++) {
        put_line(e->steps[i].left ? "left" : "right", e->steps[i].hash.bytes, MERKLE_HASH_SIZE,
                 ret);
    }
    for (size_t i = 0; i < e->posting_count; i++) {
        const struct account_posting *p = &e->postings[i];
        buf_printf(ret, "posting %lu %lld %lld ", (unsigned long)p->ordinal, (long long)p->quanta,
                   (long long)p->balance);
        lines_put_base64(p->counter, ret);
    }
}

void statement_put_end(const uint8_t ledger_id[32], const struct statement_mark marks[],
                       size_t count, struct buf *ret)
{
    require(count <= STATEMENT_MARKS_MAX);
    if (count == 0) {
        return;
    }
    put_line("end", ledger_id, 32, ret);
    for (size_t i = 0; i < count; i++) {
        uint8_t raw[MARK_RAW_SIZE];
        require(i == 0 || bytes_compare(marks[i - 1].name, marks[i].name) < 0);
        memcpy(raw, marks[i].id, NOTE_KEY_ID_SIZE);
        memcpy(raw + NOTE_KEY_ID_SIZE, marks[i].signature, SIGN_SIGNATURE_SIZE);
        buf_put_text(ret, "mark ");
        buf_put_bytes(ret, marks[i].name);
        buf_put_u8(ret, ' ');
        lines_put_base64(bytes_of(raw, sizeof raw), ret);
    }
}

void statement_put_note(struct bytes note, struct buf *ret)
{
    require(note.size > 0);
    buf_put_u8(ret, '\n');
    buf_put_bytes(ret, note);
}

bool statement_steps(uint64_t index, uint64_t size, const struct merkle_hash path[], size_t count,
                     struct statement_step ret[MERKLE_DEPTH_MAX])
{
    uint64_t at = index;
    size_t used = 0;
    require(index < size);
    /* Level by level; the last node of an odd level has no sibling and rises as it is. */
    for (uint64_t last = size - 1; last > 0; last >>= 1) {
        if (at != last || (at & 1) == 1) {
            if (used == count) {
                return false;
            }
            ret[used] = (struct statement_step){path[used], (at & 1) == 1};
            used++;
        }
        at >>= 1;
    }
    return used == count;
}

void statement_climb(const struct merkle_hash *leaf, const struct statement_step steps[],
                     size_t count, struct merkle_hash *ret)
{
    struct merkle_hash hash = *leaf;
    require(count <= MERKLE_DEPTH_MAX);
    for (size_t i = 0; i < count; i++) {
        if (steps[i].left) {
            merkle_node(&steps[i].hash, &hash, &hash);
        } else {
            merkle_node(&hash, &steps[i].hash, &hash);
        }
    }
    *ret = hash;
}

/* ---- reading ---- */

static err bad(const struct statement_reader *r, struct errtext *reterr, const char *what)
{
    return err_fail(reterr, ERR_INVALID, "statement, line %zu: %s", r->line, what);
}

/* Takes "word " off the front of a line; false if the line is another one. */
static bool take_word(struct bytes *line, const char *word)
{
    struct bytes w = bytes_text(word);
    if (line->size <= w.size || !bytes_has_prefix(*line, w) || line->data[w.size] != ' ') {
        return false;
    }
    *line = bytes_of(line->data + w.size + 1, line->size - w.size - 1);
    return true;
}

/* Takes the next line if it begins with that word. */
static bool next_is(struct statement_reader *r, const char *word, struct bytes *ret)
{
    struct bytes rest = r->rest;
    if (!lines_next(&rest, ret) || !take_word(ret, word)) {
        return false;
    }
    r->rest = rest;
    r->line++;
    return true;
}

/* base64 of 1 to size_max bytes, into the arena. */
static err read_bytes(const struct statement_reader *r, struct bytes text, size_t size_max,
                      struct arena *a, struct bytes *ret, struct errtext *reterr)
{
    size_t size = 0;
    if (text.size == 0 || text.size > base64_length(size_max)) {
        return bad(r, reterr, "nothing there, or more than any such thing has");
    }
    uint8_t *room = arena_try(a, text.size / 4 * 3 + 3, 1);
    if (room == NULL) {
        return err_fail(reterr, ERR_LIMIT, "statement, line %zu: too large", r->line);
    }
    if (!lines_base64(text, room, size_max, &size)) {
        return bad(r, reterr, "this is not the one base64 form of anything");
    }
    *ret = bytes_of(room, size);
    return err_ok();
}

/* A decimal with an optional minus, in its one form. */
static bool read_integer(struct bytes text, int64_t *ret)
{
    uint64_t n = 0;
    bool minus = text.size > 0 && text.data[0] == '-';
    struct bytes digits = minus ? bytes_of(text.data + 1, text.size - 1) : text;
    if (minus && bytes_equal(digits, bytes_text("9223372036854775808"))) {
        *ret = INT64_MIN;
        return true;
    }
    if (!lines_decimal(digits, &n) || (minus && n == 0)) {
        return false;
    }
    *ret = minus ? -(int64_t)n : (int64_t)n;
    return true;
}

/* Where the lines end and the note begins: the first empty line. */
static bool split_note(struct bytes wire, struct statement_reader *ret)
{
    static const uint8_t EMPTY[2] = {'\n', '\n'};
    const uint8_t *at = wire.size == 0 ? NULL : memmem(wire.data, wire.size, EMPTY, sizeof EMPTY);
    if (at == NULL) {
        return false;
    }
    size_t lines = (size_t)(at - wire.data) + 1;
    *ret = (struct statement_reader){
        .rest = bytes_of(wire.data, lines),
        .note = bytes_of(wire.data + lines + 1, wire.size - lines - 1),
    };
    return true;
}

err statement_open(struct bytes wire, struct arena *a, struct statement_reader *ret,
                   struct bytes *ret_account, struct account_head *ret_before,
                   struct errtext *reterr)
{
    struct bytes line;
    struct bytes count;
    struct merkle_hash chain;
    if (wire.size > STATEMENT_BYTES_MAX) {
        return err_fail(reterr, ERR_LIMIT, "a statement has at most %d bytes", STATEMENT_BYTES_MAX);
    }
    if (!split_note(wire, ret)) {
        return err_fail(reterr, ERR_INVALID, "this is no statement, or its checkpoint is missing");
    }
    ret->line = 1;
    if (!lines_next(&ret->rest, &line) || !bytes_equal(line, bytes_text(FIRST))) {
        return err_fail(reterr, ERR_INVALID, "this is no statement: the first line is not %s",
                        FIRST);
    }
    if (!next_is(ret, "account", &line)) {
        return bad(ret, reterr, "the account must follow");
    }
    TRY(read_bytes(ret, line, STATEMENT_ACCOUNT_BYTES_MAX, a, ret_account, reterr));
    if (!next_is(ret, "before", &line) || !lines_split(line, ' ', &count, &line) ||
        !lines_decimal(count, &ret_before->count) || !lines_hash(line, &chain)) {
        return bad(ret, reterr, "a line 'before COUNT HASH' must stand here");
    }
    memcpy(ret_before->chain, chain.bytes, sizeof ret_before->chain);
    return err_ok();
}

/* The lines of hashes after a record: bare ones, then those with a side. */
static err read_hashes(struct statement_reader *r, struct statement_entry *ret,
                       struct errtext *reterr)
{
    struct bytes line;
    struct bytes rest = r->rest;
    while (lines_next(&rest, &line) && memchr(line.data, ' ', line.size) == NULL) {
        r->line++;
        if (ret->path_count == MERKLE_DEPTH_MAX || !lines_hash(line, &ret->path[ret->path_count])) {
            return bad(r, reterr, "no hash of the record's path, or one too many");
        }
        ret->path_count++;
        r->rest = rest;
    }
    for (;;) {
        bool left = next_is(r, "left", &line);
        if (!left && !next_is(r, "right", &line)) {
            return err_ok();
        }
        struct statement_step *step = &ret->steps[ret->step_count];
        if (ret->step_count == MERKLE_DEPTH_MAX || !lines_hash(line, &step->hash)) {
            return bad(r, reterr, "no hash of the account's path, or one too many");
        }
        step->left = left;
        ret->step_count++;
    }
}

static err read_posting(const struct statement_reader *r, struct bytes line, struct arena *a,
                        struct account_posting *ret, struct errtext *reterr)
{
    struct bytes word[3];
    uint64_t ordinal = 0;
    for (int i = 0; i < 3; i++) {
        if (!lines_split(line, ' ', &word[i], &line)) {
            return bad(r, reterr, "a posting reads ORDINAL QUANTA BALANCE ACCOUNT");
        }
    }
    if (!lines_decimal(word[0], &ordinal) || ordinal > UINT32_MAX ||
        !read_integer(word[1], &ret->quanta) || !read_integer(word[2], &ret->balance)) {
        return bad(r, reterr, "a number of the posting is not one, or not in its one form");
    }
    ret->ordinal = (uint32_t)ordinal;
    return read_bytes(r, line, STATEMENT_ACCOUNT_BYTES_MAX, a, &ret->counter, reterr);
}

/* How many lines of postings follow. */
static size_t count_postings(const struct statement_reader *r)
{
    struct statement_reader ahead = *r;
    struct bytes line;
    size_t count = 0;
    while (next_is(&ahead, "posting", &line)) {
        count++;
    }
    return count;
}

err statement_next(struct statement_reader *r, struct arena *a, struct statement_entry *ret,
                   bool *ret_more, struct errtext *reterr)
{
    struct bytes line;
    *ret_more = next_is(r, "record", &line);
    if (!*ret_more) {
        return err_ok();
    }
    *ret = (struct statement_entry){0};
    TRY(read_bytes(r, line, STATEMENT_RECORD_BYTES_MAX, a, &ret->record, reterr));
    TRY(read_hashes(r, ret, reterr));
    size_t count = count_postings(r);
    if (count == 0) {
        return bad(r, reterr, "a posting of the record must follow");
    }
    struct account_posting *postings = arena_try(a, count, sizeof *postings);
    if (postings == NULL) {
        return err_fail(reterr, ERR_LIMIT, "statement, line %zu: too many postings", r->line);
    }
    for (size_t i = 0; i < count && next_is(r, "posting", &line); i++) {
        TRY(read_posting(r, line, a, &postings[i], reterr));
    }
    ret->postings = postings;
    ret->posting_count = count;
    return err_ok();
}

err statement_close(struct statement_reader *r, struct statement_end *ret, struct errtext *reterr)
{
    struct bytes line;
    struct merkle_hash id;
    *ret = (struct statement_end){0};
    if (next_is(r, "end", &line)) {
        if (!lines_hash(line, &id)) {
            return bad(r, reterr, "the ledger id is no hash");
        }
        memcpy(ret->ledger_id, id.bytes, sizeof ret->ledger_id);
        while (next_is(r, "mark", &line)) {
            struct statement_mark *m = &ret->marks[ret->mark_count];
            uint8_t raw[MARK_RAW_SIZE];
            size_t size = 0;
            if (ret->mark_count == STATEMENT_MARKS_MAX ||
                !lines_split(line, ' ', &m->name, &line) ||
                !lines_base64(line, raw, sizeof raw, &size) || size != sizeof raw) {
                return bad(r, reterr, "no end mark, or one too many");
            }
            if (ret->mark_count > 0 && bytes_compare(m[-1].name, m->name) >= 0) {
                return bad(r, reterr, "end marks stand twice or out of order");
            }
            memcpy(m->id, raw, NOTE_KEY_ID_SIZE);
            memcpy(m->signature, raw + NOTE_KEY_ID_SIZE, SIGN_SIGNATURE_SIZE);
            ret->mark_count++;
        }
        if (ret->mark_count == 0) {
            return bad(r, reterr, "an end without marks");
        }
    }
    r->line++;
    return r->rest.size == 0 ? err_ok() : bad(r, reterr, "this line does not belong here");
}
