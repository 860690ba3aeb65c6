#include "cli/proofs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>


static err io(const char *path, struct errtext *reterr)
{
    return err_fail(reterr, ERR_IO, "%s: %s", path, strerror(errno));
}

err proofs_write(const char *path, struct bytes content, struct errtext *reterr)
{
    char beside[4096];
    FILE *f = stdout;
    if (path != NULL) {
        int n = snprintf(beside, sizeof beside, "%s.part", path);
        if (n < 0 || (size_t)n >= sizeof beside) {
            return err_fail(reterr, ERR_LIMIT, "the name of the file is too long");
        }
        f = fopen(beside, "wb");
        if (f == NULL) {
            return io(beside, reterr);
        }
    }
    bool good = fwrite(content.data, 1, content.size, f) == content.size && fflush(f) == 0;
    if (path == NULL) {
        return good ? err_ok() : io("standard output", reterr);
    }
    good = fsync(fileno(f)) == 0 && good;
    good = fclose(f) == 0 && good;
    if (!good || rename(beside, path) != 0) {
        err e = io(path, reterr);
        (void)unlink(beside);
        return e;
    }
    return err_ok();
}

/* One page after the other, into the text. */
static err gather(struct session *s, struct prove_statement_request *q, struct buf *text,
                  uint32_t *ret_marks)
{
    uint64_t size = 0;
    for (bool more = true; more;) {
        struct bytes answer;
        struct prove_statement_reply *r = NULL;
        q->page_token = buf_bytes(&s->token);
        prove_statement_request_encode(q, &s->request);
        TRY(session_ask(s, METHOD_PROVE_STATEMENT, &answer));
        TRY(prove_statement_reply_decode(answer, &s->arena, &r, &s->why));
        if (text->size > 0 && r->size != size) {
            return err_fail(&s->why, ERR_CONFLICT,
                            "the pages are of two checkpoints: run the command again");
        }
        size = r->size;
        buf_put_bytes(text, r->text);
        *ret_marks = r->marks;
        more = session_next_page(s, r->next_page_token);
    }
    return text->overflow ? err_fail(&s->why, ERR_LIMIT,
                                     "the statement has over %d bytes: ask for a part of it",
                                     STATEMENT_BYTES_MAX)
                          : err_ok();
}

err proofs_statement(struct session *s, const struct prove_statement_request *q, const char *path,
                     uint32_t *ret_marks)
{
    struct prove_statement_request page = *q;
    struct buf text;
    buf_init(&text, STATEMENT_BYTES_MAX);
    err e = gather(s, &page, &text, ret_marks);
    if (!failed(e)) {
        e = proofs_write(path, buf_bytes(&text), &s->why);
    }
    buf_done(&text);
    return e;
}
