#include "ledger/parties.h"

#include <stdlib.h>

#include "base/cursor.h"
#include "base/mem.h"
#include "base/require.h"
#include "crypto/sign.h"
#include "ledger/families.h"
#include "ledger/range.h"

enum { PARTY_VERSION = 1, PARTY_VALUE_BYTES_MAX = 4096 };
static_assert(64 + NAME_BYTES_MAX + PARTY_KEYS_MAX * 48 <= PARTY_VALUE_BYTES_MAX, "a party fits");

void parties_init(struct parties *p, struct kv *kv, const uint64_t map_seed[2])
{
    require(p != NULL);
    require(kv != NULL);
    *p = (struct parties){.kv = kv};
    map_init(&p->by_name, map_seed[0], map_seed[1]);
    map_init(&p->by_key, map_seed[0], map_seed[1]);
}

void parties_done(struct parties *p)
{
    require(p != NULL);
    size_t at = 0;
    struct bytes key;
    void *value;
    while (map_next(&p->by_key, &at, &key, &value)) {
        free(value);
    }
    at = 0;
    while (map_next(&p->by_name, &at, &key, &value)) {
        struct party *party = value;
        free(party->name);
        free(party->institution);
        free(party->keys);
        free(party);
    }
    map_done(&p->by_key);
    map_done(&p->by_name);
    *p = (struct parties){0};
}

struct party *parties_find(const struct parties *p, struct bytes name)
{
    require(p != NULL);
    return map_get(&p->by_name, name);
}

struct party *parties_find_key(const struct parties *p, const uint8_t key_id[32],
                               const struct ledger_key **ret_key)
{
    require(p != NULL);
    const struct party_key *found = map_get(&p->by_key, bytes_of(key_id, 32));
    if (found == NULL) {
        return NULL;
    }
    *ret_key = &found->party->keys[found->index];
    return found->party;
}

struct party *parties_add(struct parties *p, const struct party *party)
{
    require(p != NULL);
    require(parties_find(p, bytes_text(party->name)) == NULL);
    struct party *added = mem_new(1, sizeof(*added));
    *added = (struct party){
        .kind = party->kind,
        .added_height = party->added_height,
        .name = mem_text(party->name),
        .institution = mem_text(party->institution),
    };
    map_put(&p->by_name, bytes_text(added->name), added);
    return added;
}

static void key_append(struct parties *p, struct party *party, const struct ledger_key *key)
{
    require(party->key_count < PARTY_KEYS_MAX);
    uint8_t id[32];
    sign_key_id(key->public_key, id);
    require(map_get(&p->by_key, bytes_of(id, sizeof(id))) == NULL);
    party->keys = mem_resize(party->keys, party->key_count + 1, sizeof(*party->keys));
    party->keys[party->key_count] = *key;
    struct party_key *entry = mem_new(1, sizeof(*entry));
    *entry = (struct party_key){party, party->key_count};
    map_put(&p->by_key, bytes_of(id, sizeof(id)), entry);
    party->key_count++;
}

void parties_add_key(struct parties *p, struct party *party, const uint8_t public_key[32],
                     uint64_t height)
{
    require(p != NULL);
    require(party != NULL);
    struct ledger_key key = {.added_height = height};
    memcpy(key.public_key, public_key, sizeof(key.public_key));
    key_append(p, party, &key);
}

void parties_revoke_key(struct party *party, size_t index, uint64_t height)
{
    require(party != NULL);
    require(index < party->key_count);
    require(party->keys[index].revoked_height == 0);
    party->keys[index].revoked_height = height;
}

/* u8 version | u8 kind | u64 added | sized institution | u32 count | count x { 32 | u64 | u64 } */
void parties_put(const struct parties *p, struct kv_batch *batch, const struct party *party)
{
    require(p != NULL);
    require(party != NULL);
    struct buf value;
    buf_init(&value, PARTY_VALUE_BYTES_MAX);
    buf_put_u8(&value, PARTY_VERSION);
    buf_put_u8(&value, (uint8_t)party->kind);
    buf_put_u64(&value, party->added_height);
    buf_put_sized(&value, bytes_text(party->institution));
    buf_put_u32(&value, (uint32_t)party->key_count);
    for (size_t i = 0; i < party->key_count; i++) {
        buf_put(&value, party->keys[i].public_key, 32);
        buf_put_u64(&value, party->keys[i].added_height);
        buf_put_u64(&value, party->keys[i].revoked_height);
    }
    require(!value.overflow);
    kv_batch_put(batch, p->kv, FAMILY_PARTIES, bytes_text(party->name), buf_bytes(&value));
    buf_done(&value);
}

static bool party_read(struct parties *p, struct bytes name, struct bytes value)
{
    struct cursor c = cursor_of(value);
    uint8_t version = cursor_u8(&c);
    uint8_t kind = cursor_u8(&c);
    uint64_t added_height = cursor_u64(&c);
    struct bytes institution = cursor_sized(&c, NAME_BYTES_MAX);
    uint32_t count = cursor_u32(&c);
    if (!cursor_ok(&c) || version != PARTY_VERSION || kind < PARTY_PLAIN || kind > PARTY_OFFICER ||
        count > PARTY_KEYS_MAX || name.size > 3 * NAME_BYTES_MAX ||
        cursor_left(&c) != (size_t)count * 48) {
        return false;
    }
    char name_text[3 * NAME_BYTES_MAX + 1] = {0};
    char institution_text[NAME_BYTES_MAX + 1] = {0};
    memcpy(name_text, name.data, name.size);
    memcpy(institution_text, institution.data, institution.size);
    struct party form = {.kind = (enum party_kind)kind,
                         .added_height = added_height,
                         .name = name_text,
                         .institution = institution_text};
    struct party *party = parties_add(p, &form);
    for (uint32_t i = 0; i < count; i++) {
        struct ledger_key key;
        cursor_copy(&c, key.public_key, sizeof(key.public_key));
        key.added_height = cursor_u64(&c);
        key.revoked_height = cursor_u64(&c);
        uint8_t id[32];
        sign_key_id(key.public_key, id);
        if (map_get(&p->by_key, bytes_of(id, sizeof(id))) != NULL) {
            return false;
        }
        key_append(p, party, &key);
    }
    return cursor_done(&c);
}

err parties_load(struct parties *p, struct errtext *reterr)
{
    require(p != NULL);
    require(p->by_name.count == 0);
    struct kv_iter *it = range_open(p->kv, FAMILY_PARTIES, bytes_of(NULL, 0), bytes_of(NULL, 0));
    struct bytes name;
    struct bytes value;
    bool sound = true;
    while (sound && kv_iter_next(it, &name, &value)) {
        sound = party_read(p, name, value);
    }
    struct errtext why;
    err e = kv_iter_close(it, &why);
    if (failed(e)) {
        return err_fail(reterr, e.code, "read the parties: %s", why.text);
    }
    return sound ? err_ok() : err_fail(reterr, ERR_CORRUPT, "a stored party does not decode");
}
