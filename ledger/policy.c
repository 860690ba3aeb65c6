/* The policy in force at a size of the tree (crypto/policy.h): whose cosignatures make a checkpoint
 * believable. */
#include <stdio.h>

#include "base/require.h"
#include "crypto/note.h"
#include "crypto/policy.h"
#include "ledger/read.h"
#include "ledger/state.h"
#include "ledger/tree.h"

/* One key as the policy lists it. */
struct listed {
    const struct ledger_node *node;
    const uint8_t *key;
    uint64_t from, until; /* sizes; UINT64_MAX: for ever */
    unsigned number;      /* of the node's keys, from 1 */
};

struct listing {
    struct listed keys[POLICY_LOGS_MAX];
    size_t count;
};
static_assert(2 * (int)NODES_LIVE_MAX <= (int)POLICY_LOGS_MAX, "the keys in force fit a policy");
static_assert((int)POLICY_LOGS_MAX + INSTITUTIONS_MAX + 1 <= (int)POLICY_NAMES_MAX,
              "witnesses, institutions and their majority fit");

/* The tree's size after a block that is finished. Asked once a key: it never changes. */
static err size_of(const struct ledger *l, uint64_t height, uint64_t *cache,
                   struct errtext *reterr)
{
    if (*cache != HEAD_KEY_UNKNOWN) {
        return err_ok();
    }
    if (height == 0) {
        *cache = 0;
        return err_ok();
    }
    return ledger_size_at(l, height, cache, reterr);
}

/* Adds a key that was in force at the size or before it; of too many the first that ended go. */
static void listing_add(struct listing *list, const struct listed *key)
{
    if (list->count < POLICY_LOGS_MAX) {
        list->keys[list->count++] = *key;
        return;
    }
    size_t oldest = 0;
    for (size_t i = 1; i < list->count; i++) {
        if (list->keys[i].until < list->keys[oldest].until) {
            oldest = i;
        }
    }
    if (list->keys[oldest].until >= key->until) {
        return;
    }
    for (size_t i = oldest; i + 1 < list->count; i++) {
        list->keys[i] = list->keys[i + 1];
    }
    list->keys[list->count - 1] = *key;
}

static err listing_make(const struct ledger *l, uint64_t size, struct listing *ret,
                        struct errtext *reterr)
{
    struct head_keys *keys = l->nodes.head_keys;
    unsigned number = 0;
    ret->count = 0;
    for (size_t i = 0; i < keys->count; i++) {
        struct head_key *key = &keys->list[i];
        number = i > 0 && keys->list[i - 1].node == key->node ? number + 1 : 1;
        struct listed listed = {.node = ledger_node_find(l, key->node),
                                .key = key->key,
                                .until = UINT64_MAX,
                                .number = number};
        if (key->from > l->head.height || listed.node == NULL) {
            continue; /* of the block being applied */
        }
        TRY(size_of(l, key->from, &key->from_size, reterr));
        listed.from = key->from_size;
        if (key->until != 0 && key->until <= l->head.height) {
            TRY(size_of(l, key->until, &key->until_size, reterr));
            listed.until = key->until_size <= size ? key->until_size : UINT64_MAX;
        }
        if (listed.from <= size) {
            listing_add(ret, &listed);
        }
    }
    return err_ok();
}

/* ---- printing ---- */

static err key_print(const struct ledger *l, const struct listed *key, enum note_kind kind,
                     struct buf *ret, struct errtext *reterr)
{
    char name[NOTE_NAME_BYTES_MAX + 1];
    struct note_key note;
    struct bytes origin = ledger_origin(l);
    struct bytes institution = key->node->institution;
    static_assert(ORIGIN_BYTES_MAX + NAME_BYTES_MAX + 2 + 20 <= NOTE_NAME_BYTES_MAX,
                  "the name of a node's key fits");
    if (kind == NOTE_ED25519) {
        (void)snprintf(name, sizeof(name), "%.*s", (int)origin.size, (const char *)origin.data);
    } else {
        (void)snprintf(name, sizeof(name), "%.*s/%.*s/%llu", (int)origin.size,
                       (const char *)origin.data, (int)institution.size,
                       (const char *)institution.data, (unsigned long long)key->node->id);
    }
    TRY(note_key_make(kind, name, key->key, &note, reterr));
    note_key_print(&note, ret);
    return err_ok();
}

/* ville/3, and ville/3.2 for the node's second key */
static void witness_name(const struct listed *key, struct buf *ret)
{
    buf_put_bytes(ret, key->node->institution);
    buf_printf(ret, "/%llu", (unsigned long long)key->node->id);
    if (key->number > 1) {
        buf_printf(ret, ".%u", key->number);
    }
}

static err keys_print(const struct ledger *l, const struct listing *list, struct buf *ret,
                      struct errtext *reterr)
{
    for (size_t i = 0; i < list->count; i++) {
        buf_put_text(ret, "log ");
        TRY(key_print(l, &list->keys[i], NOTE_ED25519, ret, reterr));
        buf_put_u8(ret, '\n');
    }
    for (size_t i = 0; i < list->count; i++) {
        buf_put_text(ret, "witness ");
        witness_name(&list->keys[i], ret);
        buf_put_u8(ret, ' ');
        TRY(key_print(l, &list->keys[i], NOTE_COSIGNATURE, ret, reterr));
        buf_put_u8(ret, '\n');
    }
    return err_ok();
}

/* A group an institution that has keys, and the majority of all institutions. */
static err groups_print(const struct ledger *l, const struct listing *list, struct buf *ret,
                        struct errtext *reterr)
{
    size_t institutions = 0;
    size_t groups = 0;
    struct buf members;
    const struct ledger_institution *all = ledger_institutions(l, &institutions);
    buf_init(&members, POLICY_BYTES_MAX);
    for (size_t i = 0; i < institutions; i++) {
        bool first = true;
        for (size_t k = 0; k < list->count; k++) {
            if (!bytes_equal(list->keys[k].node->institution, all[i].name)) {
                continue;
            }
            if (first) {
                buf_put_text(ret, "group ");
                buf_put_bytes(ret, all[i].name);
                buf_put_text(ret, " any");
                buf_put_u8(&members, ' ');
                buf_put_bytes(&members, all[i].name);
                groups++;
            }
            first = false;
            buf_put_u8(ret, ' ');
            witness_name(&list->keys[k], ret);
        }
        buf_put_text(ret, first ? "" : "\n");
    }
    size_t needed = institutions / 2 + 1;
    err e = err_ok();
    if (groups < needed) {
        e = err_fail(reterr, ERR_UNSUPPORTED,
                     "only %zu of %zu institutions have a node, and a policy needs %zu", groups,
                     institutions, needed);
    } else {
        buf_printf(ret, "group majority %zu", needed);
        buf_put_bytes(ret, buf_bytes(&members));
        buf_put_text(ret, "\nquorum majority\n");
    }
    buf_done(&members);
    return e;
}

static err validities_print(const struct ledger *l, const struct listing *list, struct buf *ret,
                            struct errtext *reterr)
{
    static const enum note_kind KINDS[] = {NOTE_ED25519, NOTE_COSIGNATURE};
    for (size_t i = 0; i < 2 * list->count; i++) {
        const struct listed *key = &list->keys[i / 2];
        buf_put_text(ret, "# valid ");
        TRY(key_print(l, key, KINDS[i % 2], ret, reterr));
        buf_printf(ret, " %llu ", (unsigned long long)key->from);
        if (key->until == UINT64_MAX) {
            buf_put_text(ret, "-\n");
        } else {
            buf_printf(ret, "%llu\n", (unsigned long long)key->until);
        }
    }
    return err_ok();
}

err ledger_policy(const struct ledger *l, uint64_t size, struct buf *ret, struct errtext *reterr)
{
    require(l != NULL);
    require(ret != NULL);
    if (size > l->head.position) {
        return err_fail(reterr, ERR_LIMIT, "the tree has %llu records yet, not %llu",
                        (unsigned long long)l->head.position, (unsigned long long)size);
    }
    struct listing list;
    struct buf text;
    TRY(listing_make(l, size, &list, reterr));
    buf_init(&text, POLICY_BYTES_MAX);
    err e = keys_print(l, &list, &text, reterr);
    if (!failed(e)) {
        e = groups_print(l, &list, &text, reterr);
    }
    if (!failed(e)) {
        e = validities_print(l, &list, &text, reterr);
    }
    if (!failed(e)) {
        policy_seal(&text);
    }
    buf_put_bytes(ret, buf_bytes(&text));
    if (!failed(e) && (text.overflow || ret->overflow)) {
        e = err_fail(reterr, ERR_LIMIT, "the policy is larger than a policy may be");
    }
    buf_done(&text);
    return e;
}
