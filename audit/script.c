#include "audit/script.h"

#include "base/hex.h"
#include "crypto/sha256.h"

/* What may stand in a literal as it is, does: an export is read by people, too. */
static void literal(struct buf *ret, struct bytes text)
{
    buf_put_u8(ret, '"');
    for (size_t i = 0; i < text.size; i++) {
        uint8_t octet = text.data[i];
        if (octet == '"' || octet == '\\') {
            buf_put_u8(ret, '\\');
            buf_put_u8(ret, octet);
        } else if (octet < 0x20 || octet == 0x7f) {
            buf_printf(ret, "\\u%04x", octet);
        } else {
            buf_put_u8(ret, octet);
        }
    }
    buf_put_u8(ret, '"');
}

static void base64(struct buf *ret, struct bytes octets)
{
    size_t size = base64_length(octets.size);
    buf_put_u8(ret, '"');
    char *room = (char *)buf_room(ret, size + 1);
    if (room != NULL) {
        base64_encode(octets, room);
        buf_added(ret, size);
    }
    buf_put_u8(ret, '"');
}

static void hex(struct buf *ret, const uint8_t *octets, size_t size)
{
    buf_put_u8(ret, '"');
    for (size_t i = 0; i < size; i++) {
        buf_printf(ret, "%02x", octets[i]);
    }
    buf_put_u8(ret, '"');
}

void script_facts(struct buf *ret, const struct script_facts *f)
{
    buf_clear(ret);
    buf_put_text(ret, "F({\"origin\":");
    literal(ret, f->origin);
    buf_put_text(ret, ",\"ledger\":");
    hex(ret, f->ledger_id, 32);
    buf_printf(ret, ",\"size\":%llu,\"height\":%llu,\"checkpoint\":",
               (unsigned long long)f->head.position, (unsigned long long)f->head.height);
    literal(ret, f->checkpoint);
    buf_put_text(ret, ",\"policy\":");
    literal(ret, f->policy);
    buf_put_text(ret, "});\n");
}

void script_tile(struct buf *ret, uint64_t index, struct bytes tile)
{
    buf_clear(ret);
    buf_printf(ret, "T(%llu,", (unsigned long long)index);
    base64(ret, tile);
    buf_put_text(ret, ");\n");
}

void script_decision(struct buf *ret, const struct ledger_revealed *r)
{
    buf_clear(ret);
    buf_printf(ret, "D(%llu,", (unsigned long long)r->record.record.position);
    base64(ret, r->record.bytes);
    buf_put_u8(ret, ',');
    hex(ret, r->seal, sizeof(r->seal));
    buf_printf(ret, ",%d,", (int)r->record.outcome.end);
    literal(ret, r->record.outcome_json);
    buf_put_u8(ret, ',');
    literal(ret, r->record.effects_json);
    buf_put_u8(ret, ',');
    literal(ret, r->on_behalf);
    buf_put_u8(ret, ',');
    hex(ret, r->request_id, r->on_behalf.size > 0 ? sizeof(r->request_id) : 0);
    buf_put_text(ret, ");\n");
}

void script_request(struct buf *ret, const struct ledger_revealed *r)
{
    buf_clear(ret);
    buf_put_text(ret, "R(");
    hex(ret, r->request_id, sizeof(r->request_id));
    buf_printf(ret, ",%llu);\n", (unsigned long long)r->record.record.position);
}

void script_account_begin(struct buf *ret, const struct ledger_account_name *account,
                          uint8_t shard[32])
{
    struct sha256 s;
    sha256_init(&s);
    sha256_add_bytes(&s, account->place.contract);
    sha256_add(&s, " ", 1);
    sha256_add_bytes(&s, account->place.place);
    sha256_end(&s, shard);
    buf_clear(ret);
    buf_put_text(ret, "A(");
    literal(ret, account->place.contract);
    buf_put_u8(ret, ',');
    literal(ret, account->place.place);
    buf_printf(ret, ",%llu,[", (unsigned long long)account->postings);
}

void script_account_position(struct buf *ret, uint64_t position, bool first)
{
    buf_printf(ret, first ? "%llu" : ",%llu", (unsigned long long)position);
}

void script_account_end(struct buf *ret)
{
    buf_put_text(ret, "]);\n");
}
