/* Who may sign: parties and their keys. */
#include <string.h>

#include "base/name.h"
#include "base/require.h"
#include "crypto/sign.h"
#include "ledger/govern_deed.h"
#include "ledger/outcome.h"

static bool taken(const struct deed *d)
{
    return deed_key_taken(d, d->args[ARG_KEY].data);
}

static void effect_party(struct deed *d, const char *name, const char *clause)
{
    buf_printf(&d->effects, "[[\"%s\",\"%s\",0,", name, clause);
    json_put_string(&d->effects, d->args[ARG_PARTY]);
    buf_put_u8(&d->effects, ',');
    json_put_string(&d->effects, bytes_text(d->institution));
    buf_put_u8(&d->effects, ',');
    json_put_hex(&d->effects, d->args[ARG_KEY]);
    buf_put_text(&d->effects, "]]");
}

void govern_party_add(struct deed *d)
{
    struct parties *parties = &d->l->parties;
    if (!name_party_valid(d->args[ARG_PARTY]) || name_party_reserved(d->args[ARG_PARTY])) {
        deed_reject(d, "2.2", "not a party name, or one that the ledger keeps for itself");
        return;
    }
    if (parties_find(parties, d->args[ARG_PARTY]) != NULL) {
        deed_reject(d, "2.1", "the party exists; key_add adds a key");
        return;
    }
    if (parties->by_name.count >= PARTIES_MAX) {
        deed_reject(d, "2.3", "the ledger has %d parties", PARTIES_MAX);
        return;
    }
    if (taken(d)) {
        deed_reject(d, "3.4", "the key is a party's already");
        return;
    }
    uint64_t height = d->l->apply.head.height;
    char name[NAME_BYTES_MAX + 1] = {0};
    memcpy(name, d->args[ARG_PARTY].data, d->args[ARG_PARTY].size);
    struct party form = {.kind = PARTY_PLAIN,
                         .added_height = height,
                         .name = name,
                         .institution = (char *)(uintptr_t)d->institution};
    struct party *party = parties_add(parties, &form);
    parties_add_key(parties, party, d->args[ARG_KEY].data, height);
    parties_put(parties, d->l->batch, party);
    effect_party(d, "party_add", "2");
}

/* The party of a key action, which must be the officer's institution's. Parties of officers and
 * governance keys are changed by proposals, not here. */
static struct party *party_own(struct deed *d)
{
    struct party *party = parties_find(&d->l->parties, d->args[ARG_PARTY]);
    if (party == NULL || party->kind != PARTY_PLAIN) {
        deed_reject(d, "3.1", "there is no such party");
        return NULL;
    }
    if (strcmp(party->institution, d->institution) != 0) {
        deed_reject(d, "3.2", "the party belongs to %s", party->institution);
        return NULL;
    }
    return party;
}

void govern_key_add(struct deed *d)
{
    struct party *party = party_own(d);
    if (party == NULL) {
        return;
    }
    if (party->key_count == PARTY_KEYS_MAX) {
        deed_reject(d, "3.3", "the party has %d keys, revoked ones included", PARTY_KEYS_MAX);
        return;
    }
    if (taken(d)) {
        deed_reject(d, "3.4", "the key is a party's already");
        return;
    }
    parties_add_key(&d->l->parties, party, d->args[ARG_KEY].data, d->l->apply.head.height);
    parties_put(&d->l->parties, d->l->batch, party);
    effect_party(d, "key_add", "3");
}

void govern_key_revoke(struct deed *d)
{
    struct party *party = party_own(d);
    if (party == NULL) {
        return;
    }
    size_t index = 0;
    while (index < party->key_count &&
           memcmp(party->keys[index].public_key, d->args[ARG_KEY].data, SIGN_PUBLIC_SIZE) != 0) {
        index++;
    }
    if (index == party->key_count) {
        deed_reject(d, "4.1", "the party has no such key");
        return;
    }
    if (party->keys[index].revoked_height != 0) {
        deed_reject(d, "4.2", "the key is revoked already");
        return;
    }
    parties_revoke_key(party, index, d->l->apply.head.height);
    parties_put(&d->l->parties, d->l->batch, party);
    effect_party(d, "key_revoke", "4");
}
