/* Rules A1 and A2 of section 8.1 for events that anyone may sign: before the first effect a
 * condition must relate the signer to something, and a debited account that the input names must be
 * related to the signer. A lint: it finds the forgotten check, it does not prove the right one. */
#include "rules/check.h"

#include "base/require.h"

uint64_t authority_mentions(struct checker *k, const struct node *n)
{
    if (n == NULL) {
        return 0;
    }
    uint64_t m = 0;
    if (n->kind == NODE_SLOT || n->kind == NODE_HAS_SLOT) {
        m |= k->slots[n->slot].mentions;
    }
    m |= authority_mentions(k, n->a) | authority_mentions(k, n->b) | authority_mentions(k, n->c);
    for (uint32_t i = 0; i < n->count; i++) {
        m |= authority_mentions(k, n->items[i]);
    }
    return m;
}

int32_t authority_path_of(struct checker *k, const struct node *n)
{
    while (n->kind == NODE_FIELD || n->kind == NODE_ITEM || n->kind == NODE_CONVERT) {
        n = n->a;
    }
    return n->kind == NODE_SLOT ? k->slots[n->slot].path_of : -1;
}

void authority_assume(struct checker *k, const struct node *n)
{
    while (n->kind == NODE_AND) {
        authority_assume(k, n->b);
        n = n->a;
    }
    if (n->kind == NODE_NE) {
        return; /* to differ from somebody is no standing */
    }
    uint64_t m = authority_mentions(k, n);
    if ((m & SLOT_WHO) != 0) {
        k->established |= m;
    }
}

void authority_effect(struct checker *k, uint32_t token)
{
    require(k->event != NULL);
    if (k->event->signed_by == SIGNED_BY_ANYONE && (k->established & SLOT_WHO) == 0) {
        compile_fail(k->c, token,
                     "anyone may sign this event: a require about '%.*s' must come "
                     "before this line",
                     BYTES_ARG(k->event->who));
    }
}

void authority_debit(struct checker *k, const struct place *from)
{
    require(k->event != NULL);
    require(from->kind == PLACE_ACCOUNT);
    if (k->event->signed_by != SIGNED_BY_ANYONE) {
        return;
    }
    for (uint32_t i = 0; i < from->key_count; i++) {
        if (from->ref.family->keys[i].type->kind != TYPE_PARTY) {
            continue;
        }
        int32_t arg = authority_path_of(k, from->keys[i]);
        if (arg >= 0 && (k->established & UINT64_C(1) << arg) == 0) {
            compile_fail(k->c, from->keys[i]->token,
                         "'%.*s' comes from the input: a require must "
                         "relate it to '%.*s' before it is debited",
                         BYTES_ARG(k->event->args[arg].name), BYTES_ARG(k->event->who));
        }
    }
}
