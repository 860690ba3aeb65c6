#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "crypto/checkpoint.h"
#include "crypto/note.h"
#include "ledger/stored.h"
#include "ledger/tree.h"
#include "proto/genesis.h"

static const char *const CONTRACTS[] = {"tests/unit/ledger/bank.rules",
                                        "tests/unit/ledger/clock.rules"};

struct told_source {
    struct source source;
    const struct kept *kept;
    struct claim claims[RECORDS_MAX];
};

/* ---- a source out of memory ---- */

static const struct kept *kept_of(struct source *s)
{
    return ((struct told_source *)s)->kept;
}

static err told_genesis(struct source *s, struct buf *genesis, struct buf *signatures,
                        struct errtext *reterr)
{
    (void)reterr;
    buf_put_bytes(genesis, kept_of(s)->genesis);
    buf_put_bytes(signatures, kept_of(s)->signatures);
    return err_ok();
}

static err told_begin(struct source *s, uint64_t position)
{
    (void)s;
    (void)position;
    return err_ok();
}

static err told_block(struct source *s, uint64_t height, struct archived *ret,
                      struct errtext *reterr)
{
    struct told_source *t = (struct told_source *)s;
    const struct kept *k = t->kept;
    if (height > k->last) {
        return err_fail(reterr, ERR_NOT_FOUND, "the end");
    }
    size_t count = 0;
    for (uint64_t p = k->first[height]; p < k->first[height + 1]; p++) {
        t->claims[count++] =
            (struct claim){k->records[p], k->ends[p], k->outcomes[p], k->effects[p]};
    }
    *ret = (struct archived){k->blocks[height], t->claims, count};
    return err_ok();
}

static err told_head(struct source *s, uint64_t size, struct buf *note, struct errtext *reterr)
{
    const struct kept *k = kept_of(s);
    for (size_t i = 0; i < k->head_count; i++) {
        if (k->head_sizes[i] >= size) {
            buf_put_bytes(note, k->heads[i]);
            return err_ok();
        }
    }
    return err_fail(reterr, ERR_NOT_FOUND, "no head");
}

static void told_close(struct source *s)
{
    free(s);
}

struct source *fixture_source(const struct kept *kept)
{
    struct told_source *t = mem_new(1, sizeof(*t));
    t->source = (struct source){told_genesis, told_begin, told_block, told_head, told_close};
    t->kept = kept;
    return &t->source;
}

/* ---- a ledger with something of everything ---- */

static struct plan bank(uint8_t id, const char *action, const char *json)
{
    return (struct plan){.actions = {{"test.bank", action, json}},
                         .signers = {KEY_TELLER},
                         .on_behalf = "teller",
                         .id = id};
}

/* The note of the head at the present size, signed by the first `signers` nodes. */
static struct bytes head_of(struct world *w, unsigned signers)
{
    struct buf note;
    struct checkpoint c = {.origin = bytes_text(WORLD_ORIGIN),
                           .size = ledger_head(w->ledger).position};
    struct errtext why;
    if (failed(ledger_tree_root(w->ledger, c.size, &c.root, &why))) {
        fail_msg("%s", why.text);
    }
    buf_init(&note, NOTE_BYTES_MAX);
    checkpoint_print(&c, &note);
    struct bytes text = arena_copy(&w->arena, buf_bytes(&note));
    buf_put_u8(&note, '\n');
    for (unsigned i = 0; i < signers; i++) {
        world_cosign(w, i + 1, text, 1000 + i, &note);
    }
    struct bytes kept = arena_copy(&w->arena, buf_bytes(&note));
    buf_done(&note);
    return kept;
}

static void head_keep(struct fixture *f)
{
    struct kept *k = &f->kept;
    k->head_sizes[k->head_count] = ledger_head(f->w.ledger).position;
    k->heads[k->head_count++] = head_of(&f->w, 2);
}

static void block_keep(struct fixture *f, struct bytes block)
{
    struct kept *k = &f->kept;
    const struct ledger_result *r = world_apply_block(&f->w, block);
    uint64_t height = r->head.height;
    k->blocks[height] = block;
    k->first[height] = r->position_first;
    k->first[height + 1] = r->head.position;
    k->last = height;
    for (uint64_t p = r->position_first; p < r->head.position; p++) {
        struct buf value;
        struct ledger_record record;
        struct errtext why;
        buf_init(&value, ROW_BYTES_MAX);
        assert_false(failed(stored_record(f->w.kv, p, &value, &record, &why)));
        k->records[p] = arena_copy(&f->w.arena, record.bytes);
        k->outcomes[p] = arena_copy(&f->w.arena, record.outcome_json);
        k->effects[p] = arena_copy(&f->w.arena, record.effects_json);
        k->ends[p] = (uint32_t)record.outcome.end;
        buf_done(&value);
    }
}

static void plan_keep(struct fixture *f, const struct plan *plan)
{
    struct bytes envelope = world_envelope(&f->w, plan);
    block_keep(f, world_block(&f->w, &envelope, 1));
}

static struct bytes founders_sign(struct world *w)
{
    static const char *const NAMES[] = {"energie", "social", "ville"};
    struct genesis_sig sig = {.count = 0};
    uint8_t input[GENESIS_SIGNING_INPUT_SIZE];
    struct buf wire;
    genesis_ledger_id(buf_bytes(&w->genesis), sig.ledger_id);
    genesis_signing_input(sig.ledger_id, input);
    for (unsigned i = 0; i < 3; i++) {
        struct genesis_signature s = {.institution = bytes_text(NAMES[i])};
        sign_key_public(w->keys[i], s.key);
        sign_message(w->keys[i], bytes_of(input, sizeof(input)), s.value);
        assert_false(failed(genesis_sig_put(&sig, s)));
    }
    buf_init(&wire, GENESIS_BYTES_MAX);
    genesis_sig_encode(&sig, &wire);
    struct bytes kept = arena_copy(&w->arena, buf_bytes(&wire));
    buf_done(&wire);
    return kept;
}

int fixture_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){0};
    world_open(&f.w, CONTRACTS, 2);
    struct plan revoke = {.actions = {{"ledger", "key_revoke"}},
                          .signers = {KEY_OFFICER_VILLE},
                          .on_behalf = "ledger.ville.anne",
                          .id = 7};
    struct plan plans[] = {
        bank(1, "open", "{\"who\":\"anna\"}"),
        bank(2, "open", "{\"who\":\"bert\"}"),
        bank(3, "pay", "{\"giver\":\"anna\",\"taker\":\"bert\",\"amount\":\"3.00 EUR\"}"),
        bank(4, "pay", "{\"giver\":\"anna\",\"taker\":\"carl\",\"amount\":\"1.00 EUR\"}"),
        bank(5, "call", "{\"who\":\"anna\",\"n\":1,\"note\":\"hello\"}"),
    };
    for (size_t i = 0; i < sizeof(plans) / sizeof(*plans); i++) {
        plan_keep(&f, &plans[i]);
    }
    head_keep(&f);
    revoke.actions[0].args = world_args_key(&f.w, "pmo.roquefort", KEY_PMO);
    plan_keep(&f, &revoke);
    struct plan again = bank(8, "split", "{\"who\":\"anna\",\"parts\":0}");
    plan_keep(&f, &again);
    head_keep(&f);
    struct plan last =
        bank(9, "pay", "{\"giver\":\"bert\",\"taker\":\"anna\",\"amount\":\"0.50 EUR\"}");
    plan_keep(&f, &last);
    head_keep(&f);
    f.kept.genesis = buf_bytes(&f.w.genesis);
    f.kept.signatures = founders_sign(&f.w);
    *state = &f;
    return 0;
}

int fixture_down(void **state)
{
    struct fixture *f = *state;
    world_close(&f->w);
    return 0;
}

struct bytes fixture_flipped(struct world *w, struct bytes b, size_t at)
{
    struct bytes copy = arena_copy(&w->arena, b);
    assert_true(at < b.size);
    ((uint8_t *)(uintptr_t)copy.data)[at] ^= 1;
    return copy;
}

void fixture_remove(const char *dir)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}
