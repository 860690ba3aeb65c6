#include "cli/govern.h"

#include <string.h>

#include "cli/show.h"
#include "crypto/random.h"

void govern_body(const struct profile *p, const struct event *event, const char *on_behalf,
                 struct body *ret)
{
    *ret = (struct body){.events = (struct event *)event,
                         .event_count = 1,
                         .on_behalf = bytes_text(on_behalf)};
    memcpy(ret->ledger_id, p->ledger_id, sizeof ret->ledger_id);
    random_bytes(ret->request_id, sizeof ret->request_id);
    random_bytes(ret->salt, sizeof ret->salt);
}

err govern_submit(struct session *s, const struct body *body, const struct signers *signers,
                  int *ret_code)
{
    struct buf wire;
    struct bytes answer;
    struct submit_reply *r;
    buf_init(&wire, ENVELOPE_BYTES_MAX);
    request_sign(body, signers, &wire);
    struct submit_request q = {.envelope = buf_bytes(&wire)};
    submit_request_encode(&q, &s->request);
    err e = session_ask(s, METHOD_SUBMIT, &answer);
    buf_done(&wire);
    TRY(e);
    TRY(submit_reply_decode(answer, &s->arena, &r, &s->why));
    show_reply(r, s->given->json);
    *ret_code = request_code(r);
    return err_ok();
}
