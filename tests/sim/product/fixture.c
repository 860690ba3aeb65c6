#include "tests/sim/product/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/map.h"
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
#define CERT_FROM_S ((int64_t)(SIM_EPOCH_NS / NS_PER_S) - DAY_S)

struct fixture {
    uint32_t nodes;
    char dir[128], genesis_path[160], signatures_path[160], bootstrap_path[160];
    struct arena arena; /* of everything below */
    uint8_t ledger_id[32];
    struct sign_key *office, *teller;
    struct rules_registry *registry;
    struct rules_program *transfer, *clock;
    struct request **requests; /* owned; NULL: not needed yet */
    uint64_t request_count;
    struct map members; /* by number: owned requests for changes of the nodes */
    struct node_entry entries[SIM_NODES_MAX]; /* the founders, and who may join */
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

const char *fixture_bootstrap_path(const struct fixture *f)
{
    return f->bootstrap_path;
}

const struct node_entry *fixture_node(const struct fixture *f, uint64_t id)
{
    require(id >= 1 && id <= SIM_NODES_MAX);
    return &f->entries[id - 1];
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

/* The CA of an institution, while the fixture is made. */
struct authority {
    struct cert_key *key;
    struct cert *cert;
};

static struct authority authorise(struct fixture *f, struct institution *ret)
{
    char name[32];
    struct buf der;
    struct authority ca = {.key = cert_key_generate()};
    snprintf(name, sizeof name, "%.*s", (int)ret->name.size, (const char *)ret->name.data);
    buf_init(&der, CERT_BYTES_MAX);
    ca.cert = ca_make(name, ca.key, CERT_FROM_S, &der);
    ret->ca_certs = arena_new(&f->arena, 1, sizeof(struct bytes));
    ret->ca_certs[0] = arena_copy(&f->arena, buf_bytes(&der));
    ret->ca_cert_count = 1;
    buf_done(&der);
    return ca;
}

void fixture_certificate_path(const struct fixture *f, uint64_t id, uint32_t institution, char *ret,
                              size_t size)
{
    snprintf(ret, size, "%s/crt%llu-%u", f->dir, (unsigned long long)id, institution);
}

/* A node's certificates, in files: one by each institution's CA. */
static void certify(struct fixture *f, const struct authority authorities[], struct node_entry *row,
                    const struct cert_key *node_key)
{
    static const char *const ADDRESSES[] = {"127.0.0.1"};
    struct errtext why = {""};
    for (uint32_t i = 0; i < f->nodes; i++) {
        struct cert *leaf = NULL;
        char path[256];
        struct identity id = {.kind = IDENTITY_NODE};
        snprintf(id.origin, sizeof id.origin, "%s", FIXTURE_ORIGIN);
        snprintf(id.institution, sizeof id.institution, "inst%u", i + 1);
        snprintf(id.name, sizeof id.name, "%.*s", (int)row->name.size,
                 (const char *)row->name.data);
        const struct cert_spec spec = {.identity = &id,
                                       .addresses = ADDRESSES,
                                       .address_count = 1,
                                       .not_before_s = CERT_FROM_S,
                                       .not_after_s = CERT_FROM_S + NEVER_S};
        must(cert_issue(&spec, (struct cert_issuer){authorities[i].cert, authorities[i].key},
                        node_key, &leaf, &why),
             &why);
        fixture_certificate_path(f, row->id, i + 1, path, sizeof path);
        must(cert_write(leaf, path, &why), &why);
        cert_free(leaf);
    }
}

static void institute(struct fixture *f, uint32_t number, struct institution *ret)
{
    struct arena *a = &f->arena;
    struct sign_key *govern = key_of((uint8_t)(0x10 + number));
    struct sign_key *officer = key_of((uint8_t)(0x20 + number));
    *ret = (struct institution){.name = bytes_text(arena_printf(a, "inst%u", number + 1)),
                                .governance_key_count = 1,
                                .officer_count = 1};
    ret->governance_keys = arena_new(a, 1, 32);
    sign_key_public(govern, ret->governance_keys[0]);
    ret->officers = arena_new(a, 1, sizeof(struct officer));
    ret->officers[0].name = bytes_text("anne");
    sign_key_public(officer, ret->officers[0].key);
    sign_key_free(govern);
    sign_key_free(officer);
}

static void equip(struct fixture *f, uint32_t number, const struct authority authorities[])
{
    struct errtext why = {""};
    struct arena *a = &f->arena;
    struct cert_key *key = cert_key_generate();
    struct node_entry *row = &f->entries[number];
    *row = (struct node_entry){
        .id = number + 1,
        .institution = bytes_text(arena_printf(a, "inst%u", number % f->nodes + 1)),
        .name = bytes_text(arena_printf(a, "n%u", number + 1)),
        .peer_address = bytes_text(arena_printf(a, "node%u.example:7002", number + 1)),
        .client_address = bytes_text(arena_printf(a, "node%u.example:7001", number + 1)),
    };
    struct sign_key *head = key_of((uint8_t)(0x40 + number));
    sign_key_public(head, row->head_key);
    must(sign_key_write(head, arena_printf(a, "%s/head%u", f->dir, number + 1), &why), &why);
    sign_key_free(head);
    uint8_t *spki = arena_new(a, 1, CERT_SPKI_SIZE);
    cert_key_spki(key, spki);
    row->transport_key = bytes_of(spki, CERT_SPKI_SIZE);
    must(cert_key_write(key, arena_printf(a, "%s/key%u", f->dir, number + 1), &why), &why);
    certify(f, authorities, row, key);
    cert_key_free(key);
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
    struct institution institutions[SIM_FOUNDERS_MAX];
    struct authority authorities[SIM_FOUNDERS_MAX];
    struct node_entry nodes[SIM_FOUNDERS_MAX];
    struct party_entry parties[2];
    for (uint32_t i = 0; i < f->nodes; i++) {
        institute(f, i, &institutions[i]);
        authorities[i] = authorise(f, &institutions[i]);
    }
    for (uint32_t i = 0; i < SIM_NODES_MAX; i++) {
        equip(f, i, authorities);
    }
    for (uint32_t i = 0; i < f->nodes; i++) {
        cert_free(authorities[i].cert);
        cert_key_free(authorities[i].key);
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
    memcpy(nodes, f->entries, f->nodes * sizeof nodes[0]);
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
    snprintf(f->bootstrap_path, sizeof f->bootstrap_path, "%s/bootstrap", f->dir);
    map_init(&f->members, 3, 4);
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

static void free_members(struct fixture *f)
{
    struct bytes key;
    void *r = NULL;
    for (size_t at = 0; map_next(&f->members, &at, &key, &r);) {
        free(r);
    }
    map_done(&f->members);
}

void fixture_free(struct fixture *f)
{
    if (f == NULL) {
        return;
    }
    unlink(f->bootstrap_path);
    for (uint32_t i = 0; i < SIM_NODES_MAX; i++) {
        for (uint32_t k = 1; k <= f->nodes; k++) {
            char path[256];
            fixture_certificate_path(f, i + 1, k, path, sizeof path);
            unlink(path);
        }
        unlink(arena_printf(&f->arena, "%s/key%u", f->dir, i + 1));
        unlink(arena_printf(&f->arena, "%s/head%u", f->dir, i + 1));
    }
    unlink(f->genesis_path);
    unlink(f->signatures_path);
    rmdir(f->dir);
    for (uint64_t i = 0; i < f->request_count; i++) {
        free(f->requests[i]);
    }
    free(f->requests);
    free_members(f);
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
    static const char *const PARTIES[] = {"pmo.roquefort", "teller", "ledger.inst1.anne",
                                          "ledger.inst1", "ledger.inst1"};
    uint64_t random = number + 77;
    for (size_t i = 0; i < 8; i++) {
        r->id[i] = (uint8_t)(number >> (8 * (7 - i)));
        r->id[8 + i] = 0x5a;
    }
    if (number >= MEMBER_NUMBERS) {
        r->kind = REQUEST_MEMBER;
        r->party = PARTIES[r->kind];
        return;
    }
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

static void encode_member(struct fixture *f, uint64_t number, struct buf *ret)
{
    struct member_deed deed = member_deed_of(number);
    const struct node_entry *fresh = &f->entries[deed.fresh == 0 ? 0 : deed.fresh - 1];
    if (deed.what == MEMBER_ADD) {
        rules_args_put_text(ret, "institution", fresh->institution);
    } else {
        rules_args_put_int(ret, "node", (int64_t)deed.node);
    }
    if (deed.fresh != 0) {
        rules_args_put_text(ret, "name", fresh->name);
        rules_args_put_text(ret, "peer", fresh->peer_address);
        rules_args_put_text(ret, "client", fresh->client_address);
        rules_args_put_octets(ret, "transport_key", fresh->transport_key);
        rules_args_put_octets(ret, "head_key", bytes_of(fresh->head_key, sizeof fresh->head_key));
    }
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
    case REQUEST_MEMBER:
        encode_member(f, number, ret);
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
    uint32_t count = kind == REQUEST_PARTY ? 1 : f->nodes / 2 + 1;
    switch (kind) {
    case REQUEST_PAY:
        return sign_body(f, &f->office, 1, body);
    case REQUEST_WAKE:
        return sign_body(f, &f->teller, 1, body);
    case REQUEST_PARTY:
    case REQUEST_DEPLOY:
    case REQUEST_MEMBER:
        break;
    }
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = key_of((uint8_t)((kind == REQUEST_PARTY ? 0x20 : 0x10) + i));
    }
    struct bytes envelope = sign_body(f, keys, count, body);
    for (uint32_t i = 0; i < count; i++) {
        sign_key_free(keys[i]);
    }
    return envelope;
}

static struct request *make(struct fixture *f, uint64_t number)
{
    static const char *const CONTRACTS[] = {"transfer.roquefort", "test.clock", "ledger", "ledger",
                                            "ledger"};
    static const char *const NAMES[] = {"pay", "wake", "party_add", "contract_deploy"};
    static const char *const DEEDS[] = {"node_add", "node_promote", "node_demote", "node_remove",
                                        "node_replace"};
    bool member = number >= MEMBER_NUMBERS;
    struct request *r = mem_new(1, sizeof *r);
    struct buf args;
    struct buf bytes;
    describe(r, number);
    buf_init(&args, ARGS_BYTES_MAX);
    buf_init(&bytes, BODY_BYTES_MAX);
    encode_args(f, r, &args);
    struct event event = {
        .contract = bytes_text(CONTRACTS[r->kind]),
        .action = bytes_text(member ? DEEDS[member_deed_of(number).what] : NAMES[r->kind]),
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

uint64_t member_number(struct member_deed deed)
{
    require(deed.node < 256 && deed.fresh < 256 && deed.serial < 256);
    return MEMBER_NUMBERS | (uint64_t)deed.what << 24 | deed.node << 16 | deed.fresh << 8 |
           deed.serial;
}

struct member_deed member_deed_of(uint64_t number)
{
    require(number >= MEMBER_NUMBERS);
    return (struct member_deed){.what = (enum member_what)(number >> 24 & 0xff),
                                .node = number >> 16 & 0xff,
                                .fresh = number >> 8 & 0xff,
                                .serial = number & 0xff};
}

static const struct request *member_request(struct fixture *f, uint64_t number)
{
    struct bytes key = bytes_of((const uint8_t *)&number, sizeof number);
    struct request *r = map_get(&f->members, key);
    if (r == NULL) {
        r = make(f, number);
        map_put(&f->members, key, r);
    }
    return r;
}

const struct request *fixture_request(struct fixture *f, uint64_t number)
{
    if (number >= MEMBER_NUMBERS) {
        return member_request(f, number);
    }
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
