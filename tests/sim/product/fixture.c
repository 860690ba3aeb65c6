#include "tests/sim/product/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/require.h"
#include "crypto/cert.h"
#include "crypto/keyfile.h"
#include "crypto/sha256.h"
#include "crypto/sign.h"
#include "proto/envelope.h"
#include "proto/genesis.h"
#include "rules/rules.h"
#include "tests/sim/product/world.h"

enum { ARENA_BYTES = 256 << 20, TEXT_BYTES = 256 };

#define DAY_S INT64_C(86400)
#define NEVER_S (INT64_C(3650) * DAY_S)

struct fixture {
    uint32_t nodes;
    char dir[128], genesis_path[160], signatures_path[160];
    struct arena arena; /* of everything below */
    uint8_t ledger_id[32];
    struct sign_key *office, *teller;
    struct rules_registry *registry;
    struct rules_program *transfer, *clock;
    struct request **requests; /* owned; NULL: not needed yet */
    uint64_t request_count;
};

static void must(err e, const struct errtext *why)
{
    if (failed(e)) {
        fprintf(stderr, "sim: fixture: %s: %s\n", err_name(e.code), why->text);
        abort();
    }
}

const char *fixture_dir(const struct fixture *f)
{
    return f->dir;
}

const char *fixture_genesis_path(const struct fixture *f)
{
    return f->genesis_path;
}

const char *fixture_signatures_path(const struct fixture *f)
{
    return f->signatures_path;
}

const char *fixture_wallet(uint32_t wallet)
{
    static const char *const NAMES[FIXTURE_WALLETS] = {"ada", "ben",  "cleo", "dina",
                                                       "eli", "fran", "gil",  "hana"};
    require(wallet < FIXTURE_WALLETS);
    return NAMES[wallet];
}

/* ---- founding ---- */

static struct sign_key *key_of(uint8_t seed_byte)
{
    uint8_t seed[SIGN_SEED_SIZE];
    memset(seed, seed_byte, sizeof seed);
    return sign_key_from_seed(seed);
}

static struct bytes read_source(struct fixture *f, const char *path)
{
    struct errtext why = {""};
    struct buf text;
    buf_init(&text, CONTRACT_BYTES_MAX);
    must(keyfile_read_public(arena_printf(&f->arena, "%s/%s", SOURCE_ROOT, path), &text, &why),
         &why);
    struct bytes copy = arena_copy(&f->arena, buf_bytes(&text));
    buf_done(&text);
    return copy;
}

/* Octets of the signature at the end of a certificate: an ECDSA one of P-256 has 70 to 72, rarely
 * fewer. */
static size_t signature_size(struct bytes der)
{
    for (size_t size = 64; size <= 72; size++) {
        if (der.data[der.size - size] == 0x30 && der.data[der.size - size + 1] == size - 2) {
            return size;
        }
    }
    return 0;
}

/* A CA whose certificate has the same size in every process, so that checkpoints have as well: half
 * of all signatures have 71 octets. */
static struct cert *ca_make(const char *institution, const struct cert_key *key, int64_t from_s,
                            struct buf *ret_der)
{
    for (;;) {
        struct cert *ca = NULL;
        struct errtext why = {""};
        must(cert_make_ca(institution, key, from_s, from_s + NEVER_S, &ca), &why);
        buf_clear(ret_der);
        cert_der(ca, ret_der);
        if (signature_size(buf_bytes(ret_der)) == 71) {
            return ca;
        }
        cert_free(ca);
    }
}

/* The institution's CA and its node's certificate, in files. */
static void certify(struct fixture *f, uint32_t number, struct institution *ret,
                    struct node_entry *ret_node)
{
    struct errtext why = {""};
    const int64_t from_s = (int64_t)(SIM_EPOCH_NS / NS_PER_S) - DAY_S;
    struct cert_key *ca_key = cert_key_generate();
    struct cert_key *node_key = cert_key_generate();
    struct cert *leaf = NULL;
    struct identity id = {.kind = IDENTITY_NODE};
    struct buf der;
    snprintf(id.origin, sizeof id.origin, "%s", FIXTURE_ORIGIN);
    snprintf(id.institution, sizeof id.institution, "inst%u", number + 1);
    snprintf(id.name, sizeof id.name, "one");
    buf_init(&der, CERT_BYTES_MAX);
    struct cert *ca = ca_make(id.institution, ca_key, from_s, &der);
    static const char *const ADDRESSES[] = {"127.0.0.1"};
    const struct cert_spec spec = {.identity = &id,
                                   .addresses = ADDRESSES,
                                   .address_count = 1,
                                   .not_before_s = from_s,
                                   .not_after_s = from_s + NEVER_S};
    must(cert_issue(&spec, (struct cert_issuer){ca, ca_key}, node_key, &leaf, &why), &why);
    must(cert_write(leaf, arena_printf(&f->arena, "%s/crt%u", f->dir, number + 1), &why), &why);
    must(cert_key_write(node_key, arena_printf(&f->arena, "%s/key%u", f->dir, number + 1), &why),
         &why);
    ret->ca_certs = arena_new(&f->arena, 1, sizeof(struct bytes));
    ret->ca_certs[0] = arena_copy(&f->arena, buf_bytes(&der));
    ret->ca_cert_count = 1;
    uint8_t *spki = arena_new(&f->arena, 1, CERT_SPKI_SIZE);
    cert_key_spki(node_key, spki);
    ret_node->transport_key = bytes_of(spki, CERT_SPKI_SIZE);
    buf_done(&der);
    cert_free(leaf);
    cert_free(ca);
    cert_key_free(node_key);
    cert_key_free(ca_key);
}

static void institute(struct fixture *f, uint32_t number, struct institution *ret,
                      struct node_entry *ret_node)
{
    struct arena *a = &f->arena;
    struct bytes name = bytes_text(arena_printf(a, "inst%u", number + 1));
    struct sign_key *govern = key_of((uint8_t)(0x10 + number));
    struct sign_key *officer = key_of((uint8_t)(0x20 + number));
    *ret = (struct institution){.name = name, .governance_key_count = 1, .officer_count = 1};
    ret->governance_keys = arena_new(a, 1, 32);
    sign_key_public(govern, ret->governance_keys[0]);
    ret->officers = arena_new(a, 1, sizeof(struct officer));
    ret->officers[0].name = bytes_text("anne");
    sign_key_public(officer, ret->officers[0].key);
    *ret_node = (struct node_entry){.id = number + 1, .institution = name};
    ret_node->name = bytes_text("one");
    ret_node->peer_address = bytes_text(arena_printf(a, "node%u.example:7002", number + 1));
    ret_node->client_address = bytes_text(arena_printf(a, "node%u.example:7001", number + 1));
    memset(ret_node->head_key, (int)(0x40 + number), sizeof ret_node->head_key);
    certify(f, number, ret, ret_node);
    sign_key_free(govern);
    sign_key_free(officer);
}

static void register_party(struct fixture *f, struct party_entry *ret, const char *name,
                           struct sign_key *key)
{
    *ret = (struct party_entry){
        .name = bytes_text(name), .institution = bytes_text("inst1"), .key_count = 1};
    ret->keys = arena_new(&f->arena, 1, 32);
    sign_key_public(key, ret->keys[0]);
}

static void sign_genesis(struct fixture *f, struct bytes wire)
{
    struct errtext why = {""};
    struct genesis_sig sig = {.count = 0};
    uint8_t input[GENESIS_SIGNING_INPUT_SIZE];
    struct buf out;
    genesis_ledger_id(wire, f->ledger_id);
    memcpy(sig.ledger_id, f->ledger_id, sizeof sig.ledger_id);
    genesis_signing_input(f->ledger_id, input);
    for (uint32_t i = 0; i < f->nodes; i++) {
        struct sign_key *govern = key_of((uint8_t)(0x10 + i));
        struct genesis_signature one = {.institution =
                                            bytes_text(arena_printf(&f->arena, "inst%u", i + 1))};
        sign_key_public(govern, one.key);
        sign_message(govern, bytes_of(input, sizeof input), one.value);
        must(genesis_sig_put(&sig, one), &why);
        sign_key_free(govern);
    }
    buf_init(&out, GENESIS_BYTES_MAX);
    genesis_sig_encode(&sig, &out);
    must(keyfile_write_public(f->signatures_path, buf_bytes(&out), &why), &why);
    buf_done(&out);
}

static void found(struct fixture *f, struct bytes contracts[2])
{
    struct errtext why = {""};
    struct bytes measures[] = {bytes_text("measure EUR to 0.01")};
    struct institution institutions[SIM_NODES_MAX];
    struct node_entry nodes[SIM_NODES_MAX];
    struct party_entry parties[2];
    for (uint32_t i = 0; i < f->nodes; i++) {
        institute(f, i, &institutions[i], &nodes[i]);
    }
    register_party(f, &parties[0], "pmo.roquefort", f->office);
    register_party(f, &parties[1], "teller", f->teller);
    struct genesis g = {
        .origin = bytes_text(FIXTURE_ORIGIN),
        .created_ns = SIM_EPOCH_NS - 60 * NS_PER_S,
        .measures = measures,
        .measure_count = 1,
        .zone = bytes_text("Europe/Paris"),
        .limits = genesis_limits_default(),
        .head_interval_ms = 1000,
        .institutions = institutions,
        .institution_count = f->nodes,
        .nodes = nodes,
        .node_count = f->nodes,
        .parties = parties,
        .party_count = 2,
        .contracts = contracts,
        .contract_count = 2,
    };
    struct buf wire;
    buf_init(&wire, GENESIS_BYTES_MAX);
    genesis_sort(&g);
    genesis_encode(&g, &wire);
    require(!wire.overflow);
    must(keyfile_write_public(f->genesis_path, buf_bytes(&wire), &why), &why);
    sign_genesis(f, buf_bytes(&wire));
    buf_done(&wire);
}

static struct rules_program *compile(struct fixture *f, struct bytes text)
{
    struct rules_diag diag = {0};
    struct rules_program *program = NULL;
    struct rules_env env = {f->registry, sha256};
    if (failed(rules_compile(&env, text, &program, &diag))) {
        fprintf(stderr, "sim: line %u: %s\n", diag.line, diag.message);
        abort();
    }
    return program;
}

struct fixture *fixture_new(uint32_t nodes)
{
    struct fixture *f = mem_new(1, sizeof *f);
    const char *root = getenv("TMPDIR");
    struct stat st;
    if (root == NULL) {
        root = stat("/dev/shm", &st) == 0 && S_ISDIR(st.st_mode) ? "/dev/shm" : "/tmp";
    }
    f->nodes = nodes;
    arena_init(&f->arena, ARENA_BYTES);
    snprintf(f->dir, sizeof f->dir, "%.90s/concordat-sim-XXXXXX", root);
    require(mkdtemp(f->dir) != NULL);
    snprintf(f->genesis_path, sizeof f->genesis_path, "%s/genesis.bin", f->dir);
    snprintf(f->signatures_path, sizeof f->signatures_path, "%s/genesis.sig", f->dir);
    f->office = key_of(1);
    f->teller = key_of(2);
    f->registry = rules_registry_default();
    struct bytes contracts[2] = {read_source(f, "contracts/transfer.rules"),
                                 read_source(f, "tests/unit/ledger/clock.rules")};
    f->transfer = compile(f, contracts[0]);
    f->clock = compile(f, contracts[1]);
    found(f, contracts);
    return f;
}

void fixture_free(struct fixture *f)
{
    if (f == NULL) {
        return;
    }
    for (uint32_t i = 0; i < f->nodes; i++) {
        unlink(arena_printf(&f->arena, "%s/crt%u", f->dir, i + 1));
        unlink(arena_printf(&f->arena, "%s/key%u", f->dir, i + 1));
    }
    unlink(f->genesis_path);
    unlink(f->signatures_path);
    rmdir(f->dir);
    for (uint64_t i = 0; i < f->request_count; i++) {
        free(f->requests[i]);
    }
    free(f->requests);
    rules_program_free(f->transfer);
    rules_program_free(f->clock);
    rules_registry_free(f->registry);
    sign_key_free(f->office);
    sign_key_free(f->teller);
    arena_done(&f->arena);
    free(f);
}

/* ---- requests ---- */

uint64_t request_number(const uint8_t id[16])
{
    uint64_t number = 0;
    for (size_t i = 0; i < 8; i++) {
        number = number << 8 | id[i];
    }
    return number;
}

static void describe(struct request *r, uint64_t number)
{
    uint64_t random = number + 77;
    for (size_t i = 0; i < 8; i++) {
        r->id[i] = (uint8_t)(number >> (8 * (7 - i)));
        r->id[8 + i] = 0x5a;
    }
    static const char *const PARTIES[] = {"pmo.roquefort", "teller", "ledger.inst1.anne",
                                          "ledger.inst1"};
    uint64_t what = draw_below(&random, 128);
    r->kind = what == 0   ? REQUEST_DEPLOY
              : what <= 3 ? REQUEST_PARTY
              : what < 12 ? REQUEST_WAKE
                          : REQUEST_PAY;
    r->party = PARTIES[r->kind];
    r->debtor = (uint32_t)draw_below(&random, FIXTURE_WALLETS);
    r->creditor = (uint32_t)draw_below(&random, FIXTURE_WALLETS);
    r->cents = 1 + (int64_t)draw_below(&random, 5000);
    /* Some expire about when they are used: clients send a few dozen a second. */
    r->not_after_ns = draw_below(&random, 8) == 0 ? SIM_EPOCH_NS + number * 25 * NS_PER_MS +
                                                        draw_below(&random, 10) * NS_PER_S
                                                  : 0;
}

static const char EXTRA[] = "rules 1\n"
                            "contract extra.n%llu version 1 effective 2020-01-01\n"
                            "\"One of many\"\n"
                            "measure EUR to 0.01\n"
                            "party teller = \"teller\"\n"
                            "account pot: EUR\n"
                            "on give(amount: EUR) signed by teller dated "
                            "day(now, \"Europe/Paris\") {\n"
                            "  clause 1 \"It is given\"\n"
                            "  issue amount into pot\n"
                            "}\n";

static void encode_pay(struct fixture *f, const struct request *r, struct buf *ret)
{
    struct errtext why = {""};
    char json[TEXT_BYTES];
    snprintf(json, sizeof json,
             "{\"debtor\":\"%s\",\"creditor\":\"%s\",\"amount\":\"%lld.%02lld EUR\"}",
             fixture_wallet(r->debtor), fixture_wallet(r->creditor), (long long)(r->cents / 100),
             (long long)(r->cents % 100));
    must(rules_args_from_json(f->transfer, bytes_text("pay"), bytes_text(json), ret, &why), &why);
}

static void encode_wake(struct fixture *f, uint64_t number, struct buf *ret)
{
    struct errtext why = {""};
    char json[TEXT_BYTES];
    snprintf(json, sizeof json, "{\"name\":\"w%llu\",\"after\":\"%llus\"}",
             (unsigned long long)number, (unsigned long long)(61 + number % 20));
    must(rules_args_from_json(f->clock, bytes_text("wake"), bytes_text(json), ret, &why), &why);
}

static void encode_args(struct fixture *f, const struct request *r, struct buf *ret)
{
    uint64_t number = request_number(r->id);
    char text[sizeof EXTRA + 32];
    uint8_t public[32];
    switch (r->kind) {
    case REQUEST_PAY:
        encode_pay(f, r, ret);
        break;
    case REQUEST_WAKE:
        encode_wake(f, number, ret);
        break;
    case REQUEST_PARTY:
        snprintf(text, sizeof text, "guest%llu", (unsigned long long)number);
        memset(public, 0, sizeof public);
        memcpy(public, r->id, sizeof r->id);
        rules_args_put_text(ret, "party", bytes_text(text));
        rules_args_put_octets(ret, "key", bytes_of(public, sizeof public));
        break;
    case REQUEST_DEPLOY:
        snprintf(text, sizeof text, EXTRA, (unsigned long long)number);
        rules_args_put_text(ret, "text", bytes_text(text));
        break;
    }
}

static struct bytes sign_body(struct fixture *f, struct sign_key *const keys[], uint32_t count,
                              struct bytes body)
{
    uint8_t message[SIGNING_INPUT_SIZE];
    uint8_t public[32];
    struct signature signatures[SIGNATURES_MAX];
    struct buf envelope;
    request_signing_input(body, message);
    for (uint32_t i = 0; i < count; i++) {
        sign_key_public(keys[i], public);
        sign_key_id(public, signatures[i].key_id);
        sign_message(keys[i], bytes_of(message, sizeof message), signatures[i].value);
    }
    signatures_sort(signatures, count);
    buf_init(&envelope, ENVELOPE_BYTES_MAX);
    envelope_encode(body, signatures, count, &envelope);
    struct bytes copy = arena_copy(&f->arena, buf_bytes(&envelope));
    buf_done(&envelope);
    return copy;
}

/* Who has to sign a request of this kind. */
static struct bytes sign_request(struct fixture *f, enum request_kind kind, struct bytes body)
{
    struct sign_key *keys[SIGNATURES_MAX];
    uint32_t count = kind == REQUEST_DEPLOY ? f->nodes / 2 + 1 : 1;
    switch (kind) {
    case REQUEST_PAY:
        return sign_body(f, &f->office, 1, body);
    case REQUEST_WAKE:
        return sign_body(f, &f->teller, 1, body);
    case REQUEST_PARTY:
    case REQUEST_DEPLOY:
        break;
    }
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = key_of((uint8_t)((kind == REQUEST_DEPLOY ? 0x10 : 0x20) + i));
    }
    struct bytes envelope = sign_body(f, keys, count, body);
    for (uint32_t i = 0; i < count; i++) {
        sign_key_free(keys[i]);
    }
    return envelope;
}

static struct request *make(struct fixture *f, uint64_t number)
{
    static const char *const CONTRACTS[] = {"transfer.roquefort", "test.clock", "ledger", "ledger"};
    static const char *const NAMES[] = {"pay", "wake", "party_add", "contract_deploy"};
    struct request *r = mem_new(1, sizeof *r);
    struct buf args;
    struct buf bytes;
    describe(r, number);
    buf_init(&args, ARGS_BYTES_MAX);
    buf_init(&bytes, BODY_BYTES_MAX);
    encode_args(f, r, &args);
    struct event event = {.contract = bytes_text(CONTRACTS[r->kind]),
                          .action = bytes_text(NAMES[r->kind]),
                          .args = buf_bytes(&args)};
    struct body body = {.not_after_ns = r->not_after_ns,
                        .events = &event,
                        .event_count = 1,
                        .on_behalf = bytes_text(r->party)};
    memcpy(body.ledger_id, f->ledger_id, sizeof body.ledger_id);
    memcpy(body.request_id, r->id, sizeof body.request_id);
    memset(body.salt, (int)(number & 0xff), sizeof body.salt);
    body_encode(&body, &bytes);
    request_hash(buf_bytes(&bytes), r->hash);
    r->envelope = sign_request(f, r->kind, buf_bytes(&bytes));
    buf_done(&args);
    buf_done(&bytes);
    return r;
}

const struct request *fixture_request(struct fixture *f, uint64_t number)
{
    if (number >= f->request_count) {
        uint64_t count = number + 256;
        f->requests = mem_resize(f->requests, count, sizeof *f->requests);
        memset(f->requests + f->request_count, 0, (count - f->request_count) * sizeof *f->requests);
        f->request_count = count;
    }
    if (f->requests[number] == NULL) {
        f->requests[number] = make(f, number);
    }
    return f->requests[number];
}
