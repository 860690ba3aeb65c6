/* concordat genesis: the founding document, made from a description, signed by every institution.
 */
#include "cli/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/require.h"
#include "cli/genesis_spec.h"
#include "crypto/keyfile.h"
#include "crypto/sign.h"
#include "crypto/verifier.h"

static err read_file(const char *path, size_t size_max, struct buf *ret, struct errtext *reterr)
{
    buf_init(ret, size_max);
    return keyfile_read_public(path, ret, reterr);
}

/* ---- create ---- */

static const struct option CREATE_OPTIONS[] = {
    {"from", "FILE", "the description, JSON; see docs/OPERATING.md", false},
    {"out", "FILE", "default genesis.bin", false},
    {NULL, NULL, NULL, false},
};

static int run_create(const struct given *g)
{
    struct errtext why;
    struct arena a;
    struct buf wire;
    char id[65];
    uint8_t ledger[32];
    struct genesis *checked;
    const char *from = given_value(g, "from");
    const char *out = given_value(g, "out") == NULL ? "genesis.bin" : given_value(g, "out");
    if (from == NULL) {
        return complain(EXIT_USAGE, "genesis create needs --from FILE");
    }
    arena_init(&a, (size_t)4 * GENESIS_ARENA_MAX);
    buf_init(&wire, GENESIS_BYTES_MAX);
    struct genesis genesis = {.created_ns = clock_system().wall_ns(NULL)};
    err e = genesis_spec_read(from, &a, &genesis, &why);
    if (!failed(e)) {
        genesis_sort(&genesis);
        genesis_encode(&genesis, &wire);
        e = wire.overflow
                ? err_fail(&why, ERR_LIMIT, "%s: larger than %d bytes", from, GENESIS_BYTES_MAX)
                : genesis_decode(buf_bytes(&wire), &a, &checked, &why);
        if (failed(e)) {
            e = err_wrapf(&why, e, "%s", from);
        }
    }
    if (!failed(e)) {
        e = keyfile_write_public(out, buf_bytes(&wire), &why);
    }
    if (!failed(e)) {
        genesis_ledger_id(buf_bytes(&wire), ledger);
        hex_encode(bytes_of(ledger, sizeof ledger), id);
        printf(g->json ? "{\"genesis\":\"%s\",\"ledger_id\":\"%s\"}\n" : "%s: ledger %s\n", out,
               id);
    }
    buf_done(&wire);
    arena_done(&a);
    return failed(e) ? complain_err(e, &why) : EXIT_DONE;
}

const struct command GENESIS_CREATE = {
    "genesis create",
    "",
    0,
    0,
    "Makes the founding document from a description",
    CREATE_OPTIONS,
    "  concordat genesis create --from genesis.json --out genesis.bin\n",
    run_create};

/* ---- sign ---- */

static const struct option SIGN_OPTIONS[] = {
    {"institution", "NAME", "who signs", false},
    {"key", "FILE", "a governance key of that institution", false},
    {"sig", "FILE", "where the signatures are; default genesis.sig", false},
    {NULL, NULL, NULL, false},
};

/* The signatures so far, or none. sig_wire must live as long as ret. */
static err read_signatures(const char *path, const uint8_t id[32], struct buf *sig_wire,
                           struct genesis_sig *ret, struct errtext *reterr)
{
    buf_init(sig_wire, GENESIS_BYTES_MAX);
    err e = keyfile_read_public(path, sig_wire, reterr);
    if (err_is(e, ERR_NOT_FOUND)) {
        *ret = (struct genesis_sig){.count = 0};
        memcpy(ret->ledger_id, id, 32);
        return err_ok();
    }
    TRY(e);
    TRY(genesis_sig_decode(buf_bytes(sig_wire), ret, reterr));
    if (memcmp(ret->ledger_id, id, 32) != 0) {
        return err_fail(reterr, ERR_CONFLICT, "%s signs another genesis", path);
    }
    return err_ok();
}

static const struct institution *find_institution(const struct genesis *g, const char *name)
{
    for (uint32_t i = 0; i < g->institution_count; i++) {
        if (bytes_equal(g->institutions[i].name, bytes_text(name))) {
            return &g->institutions[i];
        }
    }
    return NULL;
}

static err check_signer(const struct genesis *g, const char *name, const uint8_t key[32],
                        struct errtext *reterr)
{
    const struct institution *by = find_institution(g, name);
    if (by == NULL) {
        return err_fail(reterr, ERR_INVALID, "'%s' is no founding institution", name);
    }
    for (uint32_t i = 0; i < by->governance_key_count; i++) {
        if (memcmp(by->governance_keys[i], key, 32) == 0) {
            return err_ok();
        }
    }
    return err_fail(reterr, ERR_DENIED, "this key is no governance key of '%s' in the genesis",
                    name);
}

struct signing {
    const char *genesis_path, *sig_path, *key_path, *institution;
};

static err add_signature(const struct signing *s, struct bytes wire, const struct genesis *genesis,
                         struct sign_key *key, struct errtext *reterr)
{
    struct genesis_sig sig;
    struct buf sig_wire;
    struct buf out;
    uint8_t id[32];
    uint8_t input[GENESIS_SIGNING_INPUT_SIZE];
    struct genesis_signature one = {.institution = bytes_text(s->institution)};
    sign_key_public(key, one.key);
    TRY(check_signer(genesis, s->institution, one.key, reterr));
    genesis_ledger_id(wire, id);
    genesis_signing_input(id, input);
    sign_message(key, bytes_of(input, sizeof input), one.value);
    buf_init(&out, GENESIS_BYTES_MAX);
    err e = read_signatures(s->sig_path, id, &sig_wire, &sig, reterr);
    if (!failed(e)) {
        e = genesis_sig_put(&sig, one);
    }
    if (!failed(e)) {
        genesis_sig_encode(&sig, &out);
        e = keyfile_write_public(s->sig_path, buf_bytes(&out), reterr);
    }
    if (!failed(e)) {
        printf("%s: signed by %s; %u of %u institutions\n", s->sig_path, s->institution, sig.count,
               genesis->institution_count);
    }
    buf_done(&out);
    buf_done(&sig_wire);
    return e;
}

static int run_sign(const struct given *g)
{
    struct errtext why;
    struct arena a;
    struct buf wire;
    struct genesis *genesis = NULL;
    struct sign_key *key = NULL;
    struct signing s = {g->arguments[0], given_value(g, "sig"), given_value(g, "key"),
                        given_value(g, "institution")};
    s.sig_path = s.sig_path == NULL ? "genesis.sig" : s.sig_path;
    if (s.key_path == NULL || s.institution == NULL) {
        return complain(EXIT_USAGE, "genesis sign needs --institution NAME and --key FILE");
    }
    arena_init(&a, GENESIS_ARENA_MAX);
    err e = read_file(s.genesis_path, GENESIS_BYTES_MAX, &wire, &why);
    if (!failed(e)) {
        e = genesis_decode(buf_bytes(&wire), &a, &genesis, &why);
    }
    if (!failed(e)) {
        e = sign_key_read(s.key_path, &key, &why);
    }
    if (!failed(e)) {
        e = add_signature(&s, buf_bytes(&wire), genesis, key, &why);
    }
    sign_key_free(key);
    buf_done(&wire);
    arena_done(&a);
    return failed(e) ? complain_err(e, &why) : EXIT_DONE;
}

const struct command GENESIS_SIGN = {
    "genesis sign",
    "GENESIS",
    1,
    1,
    "Adds an institution's signature to the founding document",
    SIGN_OPTIONS,
    "  concordat genesis sign genesis.bin --institution ville --key governance.key\n",
    run_sign};

/* ---- show ---- */

static const struct option SHOW_OPTIONS[] = {
    {"sig", "FILE", "also say who has signed; default genesis.sig if it is there", false},
    {NULL, NULL, NULL, false},
};

static json_t *text_json(struct bytes b)
{
    return json_stringn((const char *)b.data, b.size);
}

static json_t *key_json(const uint8_t key[32])
{
    char text[SIGN_PUBLIC_TEXT_SIZE];
    sign_public_print(key, text);
    return json_string(text);
}

static json_t *institution_json(const struct institution *in)
{
    json_t *governance = json_array();
    json_t *officers = json_object();
    for (uint32_t i = 0; i < in->governance_key_count; i++) {
        json_array_append_new(governance, key_json(in->governance_keys[i]));
    }
    for (uint32_t i = 0; i < in->officer_count; i++) {
        json_object_setn_new(officers, (const char *)in->officers[i].name.data,
                             in->officers[i].name.size, key_json(in->officers[i].key));
    }
    return json_pack("{s:o,s:i,s:o,s:o}", "name", text_json(in->name), "ca_certificates",
                     (int)in->ca_cert_count, "governance_keys", governance, "officers", officers);
}

static json_t *signers_json(const struct genesis_sig *sig)
{
    uint8_t input[GENESIS_SIGNING_INPUT_SIZE];
    json_t *list = json_object();
    struct verifier *v = verifier_new();
    genesis_signing_input(sig->ledger_id, input);
    for (uint32_t i = 0; i < sig->count; i++) {
        const struct genesis_signature *s = &sig->signatures[i];
        bool good = verifier_check(v, s->key, bytes_of(input, sizeof input), s->value);
        json_object_setn_new(list, (const char *)s->institution.data, s->institution.size,
                             json_string(good ? "valid" : "FALSE"));
    }
    verifier_free(v);
    return list;
}

static json_t *genesis_json(const struct genesis *g, const uint8_t id[32])
{
    char id_text[65];
    json_t *institutions = json_array();
    json_t *nodes = json_array();
    json_t *parties = json_array();
    json_t *measures = json_array();
    hex_encode(bytes_of(id, 32), id_text);
    for (uint32_t i = 0; i < g->measure_count; i++) {
        json_array_append_new(measures, text_json(g->measures[i]));
    }
    for (uint32_t i = 0; i < g->institution_count; i++) {
        json_array_append_new(institutions, institution_json(&g->institutions[i]));
    }
    for (uint32_t i = 0; i < g->node_count; i++) {
        const struct node_entry *n = &g->nodes[i];
        json_array_append_new(
            nodes, json_pack("{s:I,s:o,s:o,s:o,s:o}", "id", (json_int_t)n->id, "institution",
                             text_json(n->institution), "name", text_json(n->name), "peer",
                             text_json(n->peer_address), "client", text_json(n->client_address)));
    }
    for (uint32_t i = 0; i < g->party_count; i++) {
        const struct party_entry *p = &g->parties[i];
        json_array_append_new(parties,
                              json_pack("{s:o,s:o,s:i}", "name", text_json(p->name), "institution",
                                        text_json(p->institution), "keys", (int)p->key_count));
    }
    return json_pack("{s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:i}", "ledger_id", id_text, "origin",
                     text_json(g->origin), "zone", text_json(g->zone), "measures", measures,
                     "institutions", institutions, "nodes", nodes, "parties", parties, "contracts",
                     (int)g->contract_count);
}

static err show_signatures(const struct given *g, json_t *doc, struct errtext *reterr)
{
    struct genesis_sig sig;
    struct buf wire;
    const char *path = given_value(g, "sig") == NULL ? "genesis.sig" : given_value(g, "sig");
    err e = read_file(path, GENESIS_BYTES_MAX, &wire, reterr);
    if (!failed(e)) {
        e = genesis_sig_decode(buf_bytes(&wire), &sig, reterr);
    }
    if (!failed(e)) {
        json_object_set_new(doc, "signatures", signers_json(&sig));
    } else if (err_is(e, ERR_NOT_FOUND) && given_value(g, "sig") == NULL) {
        e = err_ok();
    }
    buf_done(&wire);
    return e;
}

static int run_show(const struct given *g)
{
    struct errtext why;
    struct arena a;
    struct buf wire;
    struct genesis *genesis = NULL;
    json_t *doc = NULL;
    uint8_t id[32];
    arena_init(&a, GENESIS_ARENA_MAX);
    err e = read_file(g->arguments[0], GENESIS_BYTES_MAX, &wire, &why);
    if (!failed(e)) {
        e = genesis_decode(buf_bytes(&wire), &a, &genesis, &why);
    }
    if (!failed(e)) {
        genesis_ledger_id(buf_bytes(&wire), id);
        doc = genesis_json(genesis, id);
        e = show_signatures(g, doc, &why);
    }
    if (!failed(e)) {
        json_dumpf(doc, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(doc);
    buf_done(&wire);
    arena_done(&a);
    return failed(e) ? complain_err(e, &why) : EXIT_DONE;
}

const struct command GENESIS_SHOW = {"genesis show",
                                     "GENESIS",
                                     1,
                                     1,
                                     "Shows the founding document and who has signed it",
                                     SHOW_OPTIONS,
                                     "  concordat genesis show genesis.bin --sig genesis.sig\n",
                                     run_show};
