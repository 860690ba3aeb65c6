/* concordat sign: one's own signature under a request that others made and that goes around. */
#include "cli/commands.h"

#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "cli/request.h"
#include "cli/show.h"
#include "crypto/keyfile.h"
#include "crypto/sha256.h"

static const struct option OPTIONS[] = {
    {"key", "FILE", "sign with this key file", true},
    {"as", "PARTY", "sign with this party's key of the profile: enedis, ledger.ville", true},
    {"out", "FILE", "where to put the result; default: the same file", false},
    {NULL, NULL, NULL, false},
};

/* What one puts one's name to. */
static json_t *describe(const struct body *b, uint32_t signatures)
{
    json_t *events = json_array();
    for (uint32_t i = 0; i < b->event_count; i++) {
        const struct event *e = &b->events[i];
        uint8_t digest[SHA256_SIZE];
        sha256(e->args.data, e->args.size, digest);
        json_t *j = json_pack("{s:o,s:o,s:i,s:o}", "contract", show_text(e->contract), "action",
                              show_text(e->action), "args_bytes", (int)e->args.size, "args_sha256",
                              show_hex(bytes_of(digest, sizeof digest)));
        size_t at = 0;
        bool more = false;
        struct rules_arg arg;
        while (!failed(rules_args_next(e->args, &at, &arg, &more)) && more) {
            char name[NAME_BYTES_MAX + 1];
            snprintf(name, sizeof name, "%.*s", (int)arg.name.size, (const char *)arg.name.data);
            if (arg.kind == RULES_ARG_TEXT && arg.bytes.size <= 200) {
                json_object_set_new(j, name, show_text(arg.bytes));
            } else if (arg.kind == RULES_ARG_TEXT) {
                /* A contract: its hash is what the ledger shows for the deployed text. */
                sha256(arg.bytes.data, arg.bytes.size, digest);
                json_object_set_new(j, "text_sha256", show_hex(bytes_of(digest, sizeof digest)));
            } else if (arg.kind == RULES_ARG_OCTETS) {
                json_object_set_new(j, name, show_hex(arg.bytes));
            } else if (arg.kind == RULES_ARG_INT) {
                json_object_set_new(j, name, json_integer((json_int_t)arg.number));
            }
        }
        json_array_append_new(events, j);
    }
    return json_pack("{s:o,s:o,s:o,s:b,s:i,s:o}", "ledger_id", show_hex(bytes_of(b->ledger_id, 32)),
                     "request_id", show_hex(bytes_of(b->request_id, sizeof b->request_id)),
                     "on_behalf", show_text(b->on_behalf), "atomic", b->atomic, "signatures",
                     (int)signatures, "events", events);
}

static err add_keys(const struct given *g, struct signers *signers, struct errtext *reterr)
{
    const char *text;
    for (size_t i = 0; (text = given_each(g, "key", i)) != NULL; i++) {
        TRY(signers_add(signers, text, text, reterr));
    }
    if (given_has(g, "as")) {
        struct profile p;
        TRY(profile_load(g, &p, reterr));
        err e = err_ok();
        for (size_t i = 0; (text = given_each(g, "as", i)) != NULL && !failed(e); i++) {
            e = signers_add_party(signers, &p, text, reterr);
        }
        profile_done(&p);
        return e;
    }
    return err_ok();
}

/* An envelope, or a body that nobody has signed yet. */
static err read_request(const char *path, struct bytes wire, struct arena *a,
                        struct envelope *ret, struct errtext *reterr)
{
    struct envelope *e;
    err r = envelope_decode(wire, a, &e, reterr);
    if (!failed(r)) {
        *ret = *e;
        return r;
    }
    *ret = (struct envelope){.body_bytes = wire};
    r = body_decode(wire, a, &ret->body, reterr);
    return failed(r) ? err_wrapf(reterr, r, "%s: no request", path) : r;
}

static int run(const struct given *g)
{
    struct errtext why;
    struct arena a;
    struct buf wire;
    struct buf out;
    struct envelope e;
    struct signers signers = {.count = 0};
    const char *path = g->arguments[0];
    const char *to = given_value(g, "out") == NULL ? path : given_value(g, "out");
    arena_init(&a, (size_t)2 * ENVELOPE_ARENA_MAX);
    buf_init(&wire, ENVELOPE_BYTES_MAX);
    buf_init(&out, ENVELOPE_BYTES_MAX);
    err r = keyfile_read_public(path, &wire, &why);
    if (!failed(r)) {
        r = read_request(path, buf_bytes(&wire), &a, &e, &why);
    }
    if (!failed(r)) {
        r = add_keys(g, &signers, &why);
    }
    if (!failed(r) && signers.count > 0) {
        r = request_add(&e, &signers, &out, &why);
    }
    if (!failed(r) && signers.count > 0) {
        r = keyfile_write_public(to, buf_bytes(&out), &why);
    }
    if (!failed(r) && signers.count > 0) {
        arena_reset(&a);
        r = read_request(path, buf_bytes(&out), &a, &e, &why);
    }
    if (!failed(r)) {
        show_json(describe(&e.body, e.signature_count));
    }
    signers_done(&signers);
    buf_done(&out);
    buf_done(&wire);
    arena_done(&a);
    return failed(r) ? complain_err(r, &why) : EXIT_DONE;
}

const struct command SIGN = {
    "sign",
    "FILE",
    1,
    1,
    "Shows a request that goes around and adds signatures\n\n"
    "Without a key it only shows what the file asks for.",
    OPTIONS,
    "  concordat sign deploy.request --key governance.key\n"
    "  concordat sign deploy.request\n",
    run};
