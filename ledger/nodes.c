#include "ledger/nodes.h"

#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/mem.h"
#include "base/require.h"
#include "ledger/families.h"
#include "ledger/range.h"

enum { NODE_VERSION = 1, NODE_VALUE_BYTES_MAX = 2048 };
static_assert(64 + 2 * NAME_BYTES_MAX + 2 * ADDRESS_BYTES_MAX + 2 * SPKI_BYTES_MAX + 6 * 4 + 64 <=
                  NODE_VALUE_BYTES_MAX,
              "a node fits");

void nodes_init(struct nodes *n, struct kv *kv)
{
    require(n != NULL);
    require(kv != NULL);
    *n = (struct nodes){.kv = kv, .head_keys = mem_new(1, sizeof(*n->head_keys))};
    n->head_keys->kv = kv;
}

void nodes_done(struct nodes *n)
{
    require(n != NULL);
    free(n->rows);
    free(n->shown);
    free(n->ever);
    free(n->live);
    if (n->head_keys != NULL) {
        headkeys_done(n->head_keys);
        free(n->head_keys);
    }
    *n = (struct nodes){0};
}

static void text_set(char *to, size_t room, struct bytes from)
{
    require(from.size < room);
    memcpy(to, from.data, from.size);
    to[from.size] = '\0';
}

static size_t key_set(uint8_t to[SPKI_BYTES_MAX], struct bytes from)
{
    require(from.size <= SPKI_BYTES_MAX);
    memcpy(to, from.data, from.size);
    return from.size;
}

static bool key_absent(const uint8_t key[32])
{
    static const uint8_t NONE[32];
    return memcmp(key, NONE, sizeof(NONE)) == 0;
}

struct node_row *nodes_find(const struct nodes *n, uint64_t id)
{
    require(n != NULL);
    for (size_t i = 0; i < n->count; i++) {
        if (n->rows[i].id == id) {
            return &n->rows[i];
        }
    }
    return NULL;
}

void nodes_add(struct nodes *n, const struct node_row *row)
{
    require(n != NULL);
    require(n->count < NODES_EVER_MAX);
    require(row->id > (n->count == 0 ? 0 : n->rows[n->count - 1].id));
    n->rows = mem_resize(n->rows, n->count + 1, sizeof(*n->rows));
    n->rows[n->count++] = *row;
}

/* u8 version | u8 wish | u64 added | u64 changed | u64 successor | sized institution, name, peer
 * address, client address, transport key, next transport key | 32 head key | 32 next head key */
void nodes_put(struct nodes *n, struct kv_batch *batch, const struct node_row *row)
{
    struct buf value;
    uint8_t key[8];
    require(n != NULL);
    require(row != NULL);
    for (int i = 0; i < 8; i++) {
        key[i] = (uint8_t)(row->id >> (56 - 8 * i));
    }
    buf_init(&value, NODE_VALUE_BYTES_MAX);
    buf_put_u8(&value, NODE_VERSION);
    buf_put_u8(&value, (uint8_t)row->wish);
    buf_put_u64(&value, row->added_height);
    buf_put_u64(&value, row->changed_height);
    buf_put_u64(&value, row->successor);
    buf_put_sized(&value, bytes_text(row->institution));
    buf_put_sized(&value, bytes_text(row->name));
    buf_put_sized(&value, bytes_text(row->peer_address));
    buf_put_sized(&value, bytes_text(row->client_address));
    buf_put_sized(&value, bytes_of(row->transport, row->transport_size));
    buf_put_sized(&value, bytes_of(row->transport_next, row->transport_next_size));
    buf_put(&value, row->head, sizeof(row->head));
    buf_put(&value, row->head_next, sizeof(row->head_next));
    require(!value.overflow);
    kv_batch_put(batch, n->kv, FAMILY_NODES, bytes_of(key, sizeof(key)), buf_bytes(&value));
    buf_done(&value);
    bool removed = row->wish == LEDGER_WISH_REMOVED;
    struct head_keys_now now = {.node = row->id,
                                .height = row->changed_height,
                                .keys = {removed ? NULL : row->head,
                                         removed ? NULL : row->head_next}};
    headkeys_set(n->head_keys, &now, batch);
    n->changed = true;
}

void nodes_found(struct nodes *n, const struct genesis *genesis, struct kv_batch *batch)
{
    require(n != NULL);
    require(n->count == 0);
    for (uint32_t i = 0; i < genesis->node_count; i++) {
        const struct node_entry *from = &genesis->nodes[i];
        struct node_row row = {.id = from->id, .wish = LEDGER_WISH_VOTER};
        text_set(row.institution, sizeof(row.institution), from->institution);
        text_set(row.name, sizeof(row.name), from->name);
        text_set(row.peer_address, sizeof(row.peer_address), from->peer_address);
        text_set(row.client_address, sizeof(row.client_address), from->client_address);
        row.transport_size = key_set(row.transport, from->transport_key);
        row.transport_next_size = key_set(row.transport_next, from->next_transport_key);
        memcpy(row.head, from->head_key, sizeof(row.head));
        memcpy(row.head_next, from->next_head_key, sizeof(row.head_next));
        nodes_add(n, &row);
        nodes_put(n, batch, &row);
    }
    (void)nodes_publish(n);
}

static bool row_read(struct nodes *n, struct bytes key, struct bytes value)
{
    struct cursor k = cursor_of(key);
    struct cursor c = cursor_of(value);
    struct node_row row = {.id = cursor_u64(&k)};
    uint8_t version = cursor_u8(&c);
    row.wish = (enum ledger_wish)cursor_u8(&c);
    row.added_height = cursor_u64(&c);
    row.changed_height = cursor_u64(&c);
    row.successor = cursor_u64(&c);
    struct bytes institution = cursor_sized(&c, NAME_BYTES_MAX);
    struct bytes name = cursor_sized(&c, NAME_BYTES_MAX);
    struct bytes peer = cursor_sized(&c, ADDRESS_BYTES_MAX);
    struct bytes client = cursor_sized(&c, ADDRESS_BYTES_MAX);
    struct bytes transport = cursor_sized(&c, SPKI_BYTES_MAX);
    struct bytes next = cursor_sized(&c, SPKI_BYTES_MAX);
    cursor_copy(&c, row.head, sizeof(row.head));
    cursor_copy(&c, row.head_next, sizeof(row.head_next));
    uint64_t last = n->count == 0 ? 0 : n->rows[n->count - 1].id;
    if (!cursor_done(&k) || !cursor_done(&c) || version != NODE_VERSION || row.id <= last ||
        row.wish < LEDGER_WISH_STANDBY || row.wish > LEDGER_WISH_REMOVED ||
        n->count == NODES_EVER_MAX) {
        return false;
    }
    text_set(row.institution, sizeof(row.institution), institution);
    text_set(row.name, sizeof(row.name), name);
    text_set(row.peer_address, sizeof(row.peer_address), peer);
    text_set(row.client_address, sizeof(row.client_address), client);
    row.transport_size = key_set(row.transport, transport);
    row.transport_next_size = key_set(row.transport_next, next);
    nodes_add(n, &row);
    return true;
}

err nodes_load(struct nodes *n, struct errtext *reterr)
{
    require(n != NULL);
    require(n->count == 0);
    struct kv_iter *it = range_open(n->kv, FAMILY_NODES, bytes_of(NULL, 0), bytes_of(NULL, 0));
    struct bytes key;
    struct bytes value;
    bool sound = true;
    while (sound && kv_iter_next(it, &key, &value)) {
        sound = row_read(n, key, value);
    }
    struct errtext why;
    err e = kv_iter_close(it, &why);
    if (failed(e)) {
        return err_fail(reterr, e.code, "read the nodes: %s", why.text);
    }
    if (!sound) {
        return err_fail(reterr, ERR_CORRUPT, "a stored node does not decode");
    }
    if (n->count == 0) {
        return err_fail(reterr, ERR_CORRUPT, "the state has no nodes");
    }
    TRY(headkeys_load(n->head_keys, reterr));
    n->changed = true;
    (void)nodes_publish(n);
    return err_ok();
}

size_t nodes_live_count(const struct nodes *n)
{
    size_t count = 0;
    for (size_t i = 0; i < n->count; i++) {
        count += n->rows[i].wish != LEDGER_WISH_REMOVED;
    }
    return count;
}

size_t nodes_voter_count(const struct nodes *n)
{
    size_t count = 0;
    for (size_t i = 0; i < n->count; i++) {
        count += n->rows[i].wish == LEDGER_WISH_VOTER;
    }
    return count;
}

static struct ledger_node view_of(const struct node_row *row)
{
    struct ledger_node view = {
        .id = row->id,
        .institution = bytes_text(row->institution),
        .name = bytes_text(row->name),
        .peer_address = bytes_text(row->peer_address),
        .client_address = bytes_text(row->client_address),
        .transport_key = bytes_of(row->transport, row->transport_size),
        .transport_key_next = bytes_of(row->transport_next, row->transport_next_size),
        .head_key = bytes_of(row->head, sizeof(row->head)),
        .head_key_next =
            bytes_of(row->head_next, key_absent(row->head_next) ? 0 : sizeof(row->head_next)),
        .wish = row->wish,
        .successor = row->successor,
        .added_height = row->added_height,
        .changed_height = row->changed_height,
    };
    return view;
}

bool nodes_publish(struct nodes *n)
{
    require(n != NULL);
    if (!n->changed) {
        return false;
    }
    n->changed = false;
    n->ever_count = n->count;
    n->live_count = 0;
    n->shown = mem_resize(n->shown, n->count + 1, sizeof(*n->shown));
    n->ever = mem_resize(n->ever, n->count + 1, sizeof(*n->ever));
    n->live = mem_resize(n->live, n->count + 1, sizeof(*n->live));
    for (size_t i = 0; i < n->count; i++) {
        n->shown[i] = n->rows[i];
        n->ever[i] = view_of(&n->shown[i]);
        if (n->rows[i].wish != LEDGER_WISH_REMOVED) {
            n->live[n->live_count++] = n->ever[i];
        }
    }
    return true;
}
