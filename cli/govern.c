#include "cli/govern.h"

#include <stdio.h>
#include <string.h>

#include "cli/show.h"
#include "crypto/keyfile.h"
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

err govern_enter(struct session *s, const struct body *body, const struct signers *signers,
                 int *ret_code, uint64_t *ret_height)
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
    *ret_height = r->height;
    return err_ok();
}

err govern_submit(struct session *s, const struct body *body, const struct signers *signers,
                  int *ret_code)
{
    uint64_t height = 0;
    return govern_enter(s, body, signers, ret_code, &height);
}

/* Keys of institutions, not of officers: "ledger.ville", not "ledger.ville.anna". */
static bool is_governance(const char *party)
{
    return strncmp(party, "ledger.", 7) == 0 && strchr(party + 7, '.') == NULL;
}

err govern_signers(const struct given *g, const struct profile *p, struct arena *a,
                       struct signers *signers, struct errtext *reterr)
{
    const char *text;
    for (size_t i = 0; (text = given_each(g, "key", i)) != NULL; i++) {
        const char *equals = strchr(text, '=');
        if (equals == NULL || equals == text) {
            return err_fail(reterr, ERR_INVALID, "--key %s: INSTITUTION=FILE is expected", text);
        }
        TRY(signers_add(signers, arena_printf(a, "ledger.%.*s", (int)(equals - text), text),
                        equals + 1, reterr));
    }
    for (size_t i = 0; i < p->key_count && !given_has(g, "key"); i++) {
        if (is_governance(p->keys[i].name)) {
            TRY(signers_add(signers, p->keys[i].name, p->keys[i].path, reterr));
        }
    }
    return signers->count > 0
               ? err_ok()
               : err_fail(reterr, ERR_INVALID, "%s: no governance key; give --key", p->path);
}

err govern_write(const struct given *g, const struct body *body,
                         const struct signers *signers, struct errtext *reterr)
{
    struct buf wire;
    const char *out = given_value(g, "out");
    buf_init(&wire, ENVELOPE_BYTES_MAX);
    request_sign(body, signers, &wire);
    err e = keyfile_write_public(out, buf_bytes(&wire), reterr);
    buf_done(&wire);
    if (!failed(e)) {
        printf(g->json ? "{\"request\":\"%s\",\"signatures\":%zu}\n"
                       : "%s: signed by %zu; others add theirs with `concordat sign`, then "
                         "`concordat submit` enters it\n",
               out, signers->count);
    }
    return e;
}

/* From the text itself, a .pub file, or the .pub beside a private key's file. */
err govern_public_key(const char *from, uint8_t ret[SIGN_PUBLIC_SIZE], struct errtext *reterr)
{
    struct buf text;
    struct bytes view = bytes_text(from);
    buf_init(&text, 256);
    err e = err_ok();
    if (!bytes_has_prefix(view, bytes_text("ed25519:"))) {
        e = keyfile_read_public(from, &text, reterr);
        view = buf_bytes(&text);
    }
    while (view.size > 0 && view.data[view.size - 1] == '\n') {
        view.size--;
    }
    if (!failed(e)) {
        e = sign_public_parse(view, ret, reterr);
        e = failed(e) ? err_wrapf(reterr, e, "%s", from) : e;
    }
    buf_done(&text);
    return e;
}
