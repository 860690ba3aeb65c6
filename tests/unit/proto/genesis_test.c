/* Genesis and its signatures: golden bytes, and each rule broken once. */
#include "lib.h"

#include "golden.h"
#include "proto/genesis.h"

static struct genesis *golden(struct bytes wire, struct arena *a)
{
    struct genesis *g;
    struct errtext text = {""};
    arena_init(a, GENESIS_ARENA_MAX);
    err e = genesis_decode(wire, a, &g, &text);
    assert_string_equal(text.text, "");
    assert_true(!failed(e));
    return g;
}

static void a_golden_genesis_is_read_and_written(void **state)
{
    (void)state;
    struct bytes wire = unhex(GOLDEN_GENESIS);
    struct arena a;
    struct genesis *g = golden(wire, &a);
    assert_true(bytes_equal(g->origin, bytes_text("concordat.example/roquefort")));
    assert_int_equal(g->measure_count, 2);
    assert_int_equal(g->head_interval_ms, 1000);
    assert_true(g->public_reading);
    assert_int_equal(g->institution_count, 3);
    assert_true(bytes_equal(g->institutions[1].officers[0].name, bytes_text("anna")));
    assert_int_equal(g->nodes[2].id, 3);
    assert_true(bytes_equal(g->nodes[0].client_address, bytes_text("[::1]:8001")));
    assert_int_equal(g->nodes[0].next_head_key[5], 0x61);
    assert_int_equal(g->parties[0].keys[1][0], 0x91);
    assert_int_equal(g->contract_count, 2);
    struct buf out;
    buf_init(&out, GENESIS_BYTES_MAX);
    genesis_encode(g, &out);
    assert_hex(buf_bytes(&out), GOLDEN_GENESIS);
    uint8_t id[32], input[GENESIS_SIGNING_INPUT_SIZE];
    genesis_ledger_id(wire, id);
    assert_hex(bytes_of(id, 32), GOLDEN_LEDGER_ID);
    genesis_signing_input(id, input);
    assert_hex(bytes_of(input, sizeof(input)), GOLDEN_GENESIS_SIGNING_INPUT);
    buf_done(&out);
    arena_done(&a);
    unhex_done(wire);
}

/* ---- one rule broken at a time ---- */

typedef void change(struct genesis *g);

static void c_none(struct genesis *g)
{
    (void)g;
}
static void c_origin(struct genesis *g)
{
    g->origin = bytes_text("a/node/b");
}
static void c_created(struct genesis *g)
{
    g->created_ns = 0;
}
static void c_zone(struct genesis *g)
{
    g->zone = bytes_of("", 0);
}
static void c_limits(struct genesis *g)
{
    g->limits.events_max = EVENTS_MAX + 1;
}
static void c_interval(struct genesis *g)
{
    g->head_interval_ms = 99;
}
static void c_thresholds(struct genesis *g)
{
    g->thresholds[1].kind = g->thresholds[0].kind;
}
static void c_measures(struct genesis *g)
{
    g->measures[1] = g->measures[0];
}
static void c_contracts(struct genesis *g)
{
    g->contracts[0] = bytes_text("\xff");
}
static void c_two(struct genesis *g)
{
    g->institution_count = 2;
}
static void c_in_name(struct genesis *g)
{
    g->institutions[0].name = bytes_text("Energie");
}
static void c_in_order(struct genesis *g)
{
    g->institutions[1].name = g->institutions[0].name;
}
static void c_no_ca(struct genesis *g)
{
    g->institutions[0].ca_cert_count = 0;
}
static void c_no_key(struct genesis *g)
{
    g->institutions[0].governance_key_count = 0;
}
static void c_officer(struct genesis *g)
{
    g->institutions[0].officers[0].name = bytes_text("-a");
}
static void c_no_node(struct genesis *g)
{
    g->nodes[0].institution = bytes_text("ville");
}
static void c_node_id(struct genesis *g)
{
    g->nodes[1].id = 1;
}
static void c_node_in(struct genesis *g)
{
    g->nodes[1].institution = bytes_text("nobody");
}
static void c_node_name(struct genesis *g)
{
    g->nodes[1].name = bytes_of("", 0);
}
static void c_node_port(struct genesis *g)
{
    g->nodes[1].peer_address = bytes_text("a:70000");
}
static void c_node_host(struct genesis *g)
{
    g->nodes[1].client_address = bytes_text(":7000");
}
static void c_node_key(struct genesis *g)
{
    g->nodes[1].transport_key = bytes_of("", 0);
}
static void c_node_same(struct genesis *g)
{
    g->nodes[1].transport_key = g->nodes[0].transport_key;
}
static void c_party(struct genesis *g)
{
    g->parties[0].name = bytes_text("ledger.x");
}
static void c_party_order(struct genesis *g)
{
    g->parties[1].name = g->parties[0].name;
}
static void c_party_in(struct genesis *g)
{
    g->parties[1].institution = bytes_text("nobody");
}
static void c_party_keys(struct genesis *g)
{
    g->parties[1].key_count = 0;
}
static void c_party_key_order(struct genesis *g)
{
    memcpy(g->parties[0].keys[1], g->parties[0].keys[0], 32);
}
static void c_key_twice(struct genesis *g)
{
    memcpy(g->parties[1].keys[0], g->institutions[2].officers[0].key, 32);
}
static void c_key_zero(struct genesis *g)
{
    memset(g->institutions[0].officers[0].key, 0, 32);
}

static void each_broken_rule_has_its_text(void **state)
{
    (void)state;
    static const struct {
        change *change;
        const char *text;
    } CASES[] = {
        {c_none, ""},
        {c_origin, "genesis: origin: not the name of a ledger"},
        {c_created, "genesis: created_ns: missing"},
        {c_zone, "genesis: zone: missing"},
        {c_limits, "genesis: limits: 0 or above what a node can do"},
        {c_interval, "genesis: head_interval_ms: not from 100 to 3600000"},
        {c_thresholds, "genesis: thresholds[1]: not in ascending order"},
        {c_measures, "genesis: measures[1]: not in ascending order"},
        {c_contracts, "genesis: contracts[0]: empty or not UTF-8"},
        {c_two, "genesis: institutions: 2, at least 3 are needed"},
        {c_in_name, "genesis: institutions[0]: name: not the name of an institution"},
        {c_in_order, "genesis: institutions[1]: not in ascending order"},
        {c_no_ca, "genesis: institutions[0]: ca_certs: missing"},
        {c_no_key, "genesis: institutions[0]: governance_keys: missing"},
        {c_officer, "genesis: institutions[0]: officers[0]: not a name, or too long"},
        {c_no_node, "genesis: institutions[0]: no node"},
        {c_node_id, "genesis: nodes[1]: id: 0 or not in ascending order"},
        {c_node_in, "genesis: institutions[1]: no node"},
        {c_node_name, "genesis: nodes[1]: name: not the name of a node"},
        {c_node_port, "genesis: nodes[1]: address: not host:port"},
        {c_node_host, "genesis: nodes[1]: address: not host:port"},
        {c_node_key, "genesis: nodes[1]: transport_key or head_key: missing"},
        {c_node_same, "genesis: nodes[1]: transport_key: that of another node"},
        {c_party, "genesis: parties[0]: name: not the name of a party, or reserved"},
        {c_party_order, "genesis: parties[1]: not in ascending order"},
        {c_party_in, "genesis: parties[1]: institution: not known"},
        {c_party_keys, "genesis: parties[1]: keys: missing"},
        {c_party_key_order, "genesis: parties[0]: keys[1]: not in ascending order"},
        {c_key_twice, "genesis: a public key is zero or used twice"},
        {c_key_zero, "genesis: a public key is zero or used twice"},
    };
    struct bytes wire = unhex(GOLDEN_GENESIS);
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct arena a;
        struct genesis *g = golden(wire, &a);
        CASES[i].change(g);
        struct buf out;
        buf_init(&out, GENESIS_BYTES_MAX);
        genesis_encode(g, &out);
        struct errtext text = {""};
        struct genesis *again = NULL;
        err e = genesis_decode(buf_bytes(&out), &a, &again, &text);
        assert_string_equal(text.text, CASES[i].text);
        assert_int_equal(e.code, i == 0 ? ERR_OK : ERR_INVALID);
        assert_true((again != NULL) == (i == 0));
        buf_done(&out);
        arena_done(&a);
    }
    unhex_done(wire);
}

static void sorting_makes_any_order_ascend(void **state)
{
    (void)state;
    struct bytes wire = unhex(GOLDEN_GENESIS);
    struct arena a;
    struct genesis *g = golden(wire, &a);
    struct institution in = g->institutions[0];
    g->institutions[0] = g->institutions[2];
    g->institutions[2] = in;
    struct node_entry node = g->nodes[0];
    g->nodes[0] = g->nodes[1];
    g->nodes[1] = node;
    struct party_entry party = g->parties[0];
    g->parties[0] = g->parties[1];
    g->parties[1] = party;
    struct bytes measure = g->measures[0];
    g->measures[0] = g->measures[1];
    g->measures[1] = measure;
    struct threshold threshold = g->thresholds[0];
    g->thresholds[0] = g->thresholds[1];
    g->thresholds[1] = threshold;
    genesis_sort(g);
    struct buf out;
    buf_init(&out, GENESIS_BYTES_MAX);
    genesis_encode(g, &out);
    assert_hex(buf_bytes(&out), GOLDEN_GENESIS);
    buf_done(&out);
    arena_done(&a);
    unhex_done(wire);
}

static void malformed_bytes_are_refused(void **state)
{
    (void)state;
    struct bytes wire = unhex(GOLDEN_GENESIS);
    for (size_t size = 0; size < wire.size; size++) {
        struct arena a;
        arena_init(&a, GENESIS_ARENA_MAX);
        struct genesis *g;
        err e = genesis_decode(bytes_of(wire.data, size), &a, &g, NULL);
        assert_int_equal(e.code, ERR_INVALID);
        arena_done(&a);
    }
    uint8_t *bad = mem_copy(wire.data, wire.size);
    bad[1] = 9;
    struct arena a;
    arena_init(&a, 64);
    struct genesis *g;
    assert_int_equal(genesis_decode(bytes_of(bad, wire.size), &a, &g, NULL).code, ERR_UNSUPPORTED);
    assert_int_equal(genesis_decode(wire, &a, &g, NULL).code, ERR_LIMIT);
    arena_done(&a);
    free(bad);
    unhex_done(wire);
}

static void thresholds_count_institutions(void **state)
{
    (void)state;
    static const uint32_t MAJORITY[] = {0, 1, 2, 2, 3, 3, 4, 4};
    static const uint32_t TWO_THIRDS[] = {0, 1, 2, 2, 3, 4, 4, 5};
    for (uint32_t n = 1; n <= INSTITUTIONS_MAX; n++) {
        assert_int_equal(threshold_count(THRESHOLD_MAJORITY, n), MAJORITY[n]);
        assert_int_equal(threshold_count(THRESHOLD_TWO_THIRDS, n), TWO_THIRDS[n]);
    }
    assert_int_equal(threshold_count(THRESHOLD_ALL_BUT_CONCERNED, 5), 4);
    struct bytes wire = unhex(GOLDEN_GENESIS);
    struct arena a;
    struct genesis *g = golden(wire, &a);
    assert_int_equal(genesis_threshold(g, PROPOSAL_CONTRACT_DEPLOY), THRESHOLD_TWO_THIRDS);
    assert_int_equal(genesis_threshold(g, PROPOSAL_ERASE), THRESHOLD_MAJORITY);
    arena_done(&a);
    unhex_done(wire);
}

static void signatures_are_read_written_and_checked(void **state)
{
    (void)state;
    struct bytes wire = unhex(GOLDEN_GENESIS);
    struct bytes sig_wire = unhex(GOLDEN_GENESIS_SIG);
    struct arena a;
    struct genesis *g = golden(wire, &a);
    uint8_t id[32];
    genesis_ledger_id(wire, id);
    struct genesis_sig sig;
    assert_true(!failed(genesis_sig_decode(sig_wire, &sig, NULL)));
    assert_true(!failed(genesis_sig_check(&sig, g, id, NULL)));
    struct genesis_sig built = {0};
    memcpy(built.ledger_id, id, 32);
    for (uint32_t i = 3; i-- > 0;) {
        assert_true(!failed(genesis_sig_put(&built, sig.signatures[i])));
        assert_true(!failed(genesis_sig_put(&built, sig.signatures[i])));
    }
    struct buf out;
    buf_init(&out, 4096);
    genesis_sig_encode(&built, &out);
    assert_hex(buf_bytes(&out), GOLDEN_GENESIS_SIG);
    struct errtext text;
    sig.signatures[1].key[0] ^= 1;
    assert_int_equal(genesis_sig_check(&sig, g, id, &text).code, ERR_DENIED);
    assert_string_equal(text.text, "genesis.sig: social signed with a key that is not one of its "
                                   "governance keys");
    built.count = 2;
    assert_int_equal(genesis_sig_check(&built, g, id, &text).code, ERR_DENIED);
    assert_string_equal(text.text, "genesis.sig: no signature of ville, or one of nobody");
    id[0] ^= 1;
    assert_int_equal(genesis_sig_check(&built, g, id, &text).code, ERR_DENIED);
    for (size_t size = 0; size < sig_wire.size; size++) {
        assert_true(failed(genesis_sig_decode(bytes_of(sig_wire.data, size), &sig, NULL)));
    }
    buf_done(&out);
    arena_done(&a);
    unhex_done(sig_wire);
    unhex_done(wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_golden_genesis_is_read_and_written),
        cmocka_unit_test(each_broken_rule_has_its_text),
        cmocka_unit_test(sorting_makes_any_order_ascend),
        cmocka_unit_test(malformed_bytes_are_refused),
        cmocka_unit_test(thresholds_count_institutions),
        cmocka_unit_test(signatures_are_read_written_and_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
