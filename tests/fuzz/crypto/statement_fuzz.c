/* Target: statement_open, statement_next, statement_close, consistency_parse. What is read is
 * written again and must come out the same: there is one form of everything. */
#include <stdlib.h>

#include "crypto/consistency.h"
#include "crypto/statement.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool fact)
{
    if (!fact) {
        abort();
    }
}

static void read_statement(struct bytes wire, struct arena *a, struct buf *again)
{
    struct statement_reader r;
    struct statement_entry entry;
    struct statement_end end;
    struct account_head before;
    struct bytes account;
    bool more = true;
    if (failed(statement_open(wire, a, &r, &account, &before, NULL))) {
        return;
    }
    statement_put_head(account, &before, again);
    while (more) {
        if (failed(statement_next(&r, a, &entry, &more, NULL))) {
            return;
        }
        if (more) {
            statement_put_entry(&entry, again);
        }
    }
    if (failed(statement_close(&r, &end, NULL))) {
        return;
    }
    statement_put_end(end.ledger_id, end.marks, end.mark_count, again);
    if (r.note.size > 0) {
        statement_put_note(r.note, again);
        must(bytes_equal(buf_bytes(again), wire));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes wire = bytes_of(data, size);
    struct consistency c;
    struct arena a;
    struct buf again;
    arena_init(&a, 16 << 20);
    buf_init(&again, 16 << 20);
    read_statement(wire, &a, &again);
    buf_clear(&again);
    if (!failed(consistency_parse(wire, &c, NULL))) {
        consistency_print(&c, &again);
        must(bytes_equal(buf_bytes(&again), wire));
    }
    buf_done(&again);
    arena_done(&a);
    return 0;
}
