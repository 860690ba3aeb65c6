#include "server/bootstrap.h"

#include <string.h>

#include "base/hex.h"
#include "base/name.h"
#include "base/require.h"

/* The text that is not read yet, and the number of the line that is. */
struct reading {
    struct bytes rest, line;
    unsigned number;
    struct arena *arena;
};

static err wrong(const struct reading *r, struct errtext *reterr, const char *what)
{
    return err_fail(reterr, ERR_INVALID, "line %u: %s", r->number, what);
}

/* The next line without its end; false: there is none, or it has no end. */
static bool line_next(struct reading *r)
{
    const uint8_t *end = r->rest.size == 0 ? NULL : memchr(r->rest.data, '\n', r->rest.size);
    r->number++;
    if (end == NULL) {
        return false;
    }
    size_t size = (size_t)(end - r->rest.data);
    r->line = bytes_of(r->rest.data, size);
    r->rest = bytes_of(r->rest.data + size + 1, r->rest.size - size - 1);
    return true;
}

/* The next word of the line; empty at its end. */
static struct bytes word_next(struct reading *r)
{
    size_t size = 0;
    while (size < r->line.size && r->line.data[size] != ' ') {
        size++;
    }
    struct bytes word = bytes_of(r->line.data, size);
    size_t skip = size < r->line.size ? size + 1 : size;
    r->line = bytes_of(r->line.data + skip, r->line.size - skip);
    return word;
}

static bool word_is(struct reading *r, const char *text)
{
    return bytes_equal(word_next(r), bytes_text(text));
}

static bool number_read(struct bytes word, uint64_t *ret)
{
    uint64_t number = 0;
    if (word.size == 0 || word.size > 19 || (word.size > 1 && word.data[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < word.size; i++) {
        if (word.data[i] < '0' || word.data[i] > '9') {
            return false;
        }
        number = number * 10 + (word.data[i] - '0');
    }
    *ret = number;
    return true;
}

/* A key in hex, of at most `most` bytes; "-": none. */
static bool key_read(struct reading *r, size_t most, bool may_lack, struct bytes *ret)
{
    struct bytes word = word_next(r);
    if (bytes_equal(word, bytes_text("-"))) {
        *ret = bytes_of("", 0);
        return may_lack;
    }
    size_t size = word.size / 2;
    if (word.size == 0 || word.size % 2 != 0 || size > most) {
        return false;
    }
    uint8_t *key = arena_try(r->arena, size, 1);
    if (key == NULL || failed(hex_decode(word, key, size))) {
        return false;
    }
    *ret = bytes_of(key, size);
    return true;
}

static bool wish_read(struct bytes word, enum ledger_wish *ret)
{
    static const struct {
        const char *name;
        enum ledger_wish wish;
    } WISHES[] = {{"standby", LEDGER_WISH_STANDBY},
                  {"voter", LEDGER_WISH_VOTER},
                  {"leaving", LEDGER_WISH_REMOVED}};
    for (size_t i = 0; i < sizeof WISHES / sizeof WISHES[0]; i++) {
        if (bytes_equal(word, bytes_text(WISHES[i].name))) {
            *ret = WISHES[i].wish;
            return true;
        }
    }
    return false;
}

static err node_read(struct reading *r, struct ledger_node *ret, struct errtext *reterr)
{
    struct ledger_node n = {0};
    if (!word_is(r, "node") || !number_read(word_next(r), &n.id) || n.id == 0) {
        return wrong(r, reterr, "'node' and its number are expected");
    }
    if (!wish_read(word_next(r), &n.wish)) {
        return wrong(r, reterr, "'voter', 'standby' or 'leaving' is expected");
    }
    n.institution = word_next(r);
    n.name = word_next(r);
    n.peer_address = word_next(r);
    n.client_address = word_next(r);
    if (!name_institution_valid(n.institution) || !name_party_valid(n.name) ||
        !name_address_valid(n.peer_address) || !name_address_valid(n.client_address)) {
        return wrong(r, reterr, "institution, name and two addresses are expected");
    }
    if (!key_read(r, SPKI_BYTES_MAX, false, &n.transport_key) ||
        !key_read(r, SPKI_BYTES_MAX, true, &n.transport_key_next) ||
        !key_read(r, 32, false, &n.head_key) || !key_read(r, 32, true, &n.head_key_next) ||
        n.head_key.size != 32 || n.head_key_next.size % 32 != 0 || r->line.size != 0) {
        return wrong(r, reterr, "four keys in hex are expected, and nothing after them");
    }
    *ret = n;
    return err_ok();
}

static err head_read(struct reading *r, struct bootstrap *b, struct errtext *reterr)
{
    if (!line_next(r) || !bytes_equal(r->line, bytes_text("concordat-nodes 1"))) {
        return wrong(r, reterr, "'concordat-nodes 1' is expected");
    }
    if (!line_next(r) || !word_is(r, "ledger") || r->line.size != 64 ||
        failed(hex_decode(r->line, b->ledger_id, 32))) {
        return wrong(r, reterr, "'ledger' and its id in hex are expected");
    }
    if (!line_next(r) || !word_is(r, "height") || !number_read(r->line, &b->height)) {
        return wrong(r, reterr, "'height' and a number are expected");
    }
    return err_ok();
}

err bootstrap_decode(struct bytes text, struct arena *a, struct bootstrap *ret,
                     struct errtext *reterr)
{
    struct reading r = {.rest = text, .arena = a};
    struct bootstrap b = {.count = 0};
    require(a != NULL);
    require(ret != NULL);
    TRY(head_read(&r, &b, reterr));
    while (r.rest.size > 0) {
        if (!line_next(&r)) {
            return wrong(&r, reterr, "the line has no end");
        }
        if (b.count == NODES_MAX) {
            return err_fail(reterr, ERR_INVALID, "line %u: more than %d nodes", r.number,
                            NODES_MAX);
        }
        TRY(node_read(&r, &b.nodes[b.count], reterr));
        if (b.count > 0 && b.nodes[b.count - 1].id >= b.nodes[b.count].id) {
            return wrong(&r, reterr, "the numbers do not ascend");
        }
        b.count++;
    }
    if (b.count == 0) {
        return wrong(&r, reterr, "no node is named");
    }
    *ret = b;
    return err_ok();
}
