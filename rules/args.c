/* The Args message of rules.proto, by hand: it recurses, so no generated decoder is given it; this
 * one stops at RULES_ARGS_DEPTH_MAX. Unknown fields are skipped, of a repeated single field the
 * last one holds, groups are refused. */
#include <string.h>

#include "base/limits.h"
#include "base/require.h"
#include "base/utf8.h"
#include "rules/input.h"

enum wire { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

/* One field of a message. */
struct item {
    uint32_t number;
    enum wire wire;
    uint64_t varint;
    struct bytes bytes;
};

static bool read_varint(struct bytes b, size_t *at, uint64_t *ret)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (*at >= b.size) {
            return false;
        }
        uint8_t octet = b.data[(*at)++];
        if (shift == 63 && octet > 1) {
            return false;
        }
        v |= (uint64_t)(octet & 0x7F) << shift;
        if (octet < 0x80) {
            *ret = v;
            return true;
        }
    }
    return false;
}

/* The next field of a message at *at, which is not its end. False: malformed. */
static bool read_item(struct bytes b, size_t *at, struct item *ret)
{
    uint64_t key = 0;
    uint64_t size = 0;
    if (!read_varint(b, at, &key) || key >> 3 == 0 || key >> 3 > 0x1FFFFFFF) {
        return false;
    }
    *ret = (struct item){.number = (uint32_t)(key >> 3), .wire = (enum wire)(key & 7)};
    if (ret->wire == WIRE_VARINT) {
        return read_varint(b, at, &ret->varint);
    }
    if (ret->wire == WIRE_BYTES) {
        if (!read_varint(b, at, &size) || size > b.size - *at) {
            return false;
        }
    } else if (ret->wire == WIRE_FIXED64 || ret->wire == WIRE_FIXED32) {
        size = ret->wire == WIRE_FIXED64 ? 8 : 4;
        if (size > b.size - *at) {
            return false;
        }
    } else {
        return false;
    }
    ret->bytes = bytes_of(b.data + *at, (size_t)size);
    *at += (size_t)size;
    return true;
}

static int64_t unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1 ^ (~(v & 1) + 1));
}

static uint64_t zigzag(int64_t v)
{
    return (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0);
}

/* ---- decoding ---- */

static bool decode_value(struct bytes b, struct arena *arena, unsigned depth, struct raw *ret);

static bool decode_time(struct bytes b, struct raw *ret)
{
    *ret = (struct raw){.kind = RAW_TIME};
    struct item f;
    for (size_t at = 0; at < b.size;) {
        if (!read_item(b, &at, &f)) {
            return false;
        }
        if (f.number == 1 && f.wire == WIRE_VARINT) {
            ret->as.time.seconds = unzigzag(f.varint);
        } else if (f.number == 2 && f.wire == WIRE_VARINT) {
            ret->as.time.nanos = f.varint > UINT32_MAX ? UINT32_MAX : (uint32_t)f.varint;
        }
    }
    return true;
}

static bool decode_amount(struct bytes b, struct raw *ret)
{
    *ret = (struct raw){.kind = RAW_AMOUNT};
    ret->as.amount.unit = bytes_text("");
    struct item f;
    for (size_t at = 0; at < b.size;) {
        if (!read_item(b, &at, &f)) {
            return false;
        }
        if (f.number == 1 && f.wire == WIRE_VARINT) {
            ret->as.amount.count = unzigzag(f.varint);
        } else if (f.number == 2 && f.wire == WIRE_VARINT) {
            ret->as.amount.decimals = f.varint > UINT32_MAX ? UINT32_MAX : (uint32_t)f.varint;
        } else if (f.number == 3 && f.wire == WIRE_BYTES) {
            ret->as.amount.unit = f.bytes;
        }
    }
    return true;
}

/* Number of fields 1 of a message, so that arrays are allocated once. */
static bool count_items(struct bytes b, size_t *ret)
{
    struct item f;
    *ret = 0;
    for (size_t at = 0; at < b.size;) {
        if (!read_item(b, &at, &f)) {
            return false;
        }
        *ret += f.number == 1 && f.wire == WIRE_BYTES;
    }
    return true;
}

static bool decode_list(struct bytes b, struct arena *arena, unsigned depth, struct raw *ret)
{
    size_t count = 0;
    if (!count_items(b, &count)) {
        return false;
    }
    struct raw *items = arena_new(arena, count + 1, sizeof *items);
    struct item f;
    size_t i = 0;
    for (size_t at = 0; at < b.size;) {
        require(read_item(b, &at, &f));
        if (f.number == 1 && f.wire == WIRE_BYTES &&
            !decode_value(f.bytes, arena, depth + 1, &items[i++])) {
            return false;
        }
    }
    *ret = (struct raw){.kind = RAW_LIST};
    ret->as.list.items = items;
    ret->as.list.count = count;
    return true;
}

static bool decode_field(struct bytes b, struct arena *arena, unsigned depth, struct raw_field *ret)
{
    struct item f;
    *ret = (struct raw_field){.name = bytes_text("")};
    for (size_t at = 0; at < b.size;) {
        if (!read_item(b, &at, &f)) {
            return false;
        }
        if (f.number == 1 && f.wire == WIRE_BYTES) {
            ret->name = f.bytes;
        } else if (f.number == 2 && f.wire == WIRE_BYTES &&
                   !decode_value(f.bytes, arena, depth + 1, &ret->value)) {
            return false;
        }
    }
    return utf8_valid(ret->name);
}

static bool decode_record(struct bytes b, struct arena *arena, unsigned depth, struct raw *ret)
{
    size_t count = 0;
    if (!count_items(b, &count)) {
        return false;
    }
    struct raw_field *fields = arena_new(arena, count + 1, sizeof *fields);
    struct item f;
    size_t i = 0;
    for (size_t at = 0; at < b.size;) {
        require(read_item(b, &at, &f));
        if (f.number == 1 && f.wire == WIRE_BYTES &&
            !decode_field(f.bytes, arena, depth, &fields[i++])) {
            return false;
        }
    }
    *ret = (struct raw){.kind = RAW_RECORD};
    ret->as.record.fields = fields;
    ret->as.record.count = count;
    return true;
}

static bool decode_varint(const struct item *f, struct raw *ret)
{
    if (f->number == 1) {
        *ret = (struct raw){.kind = RAW_BOOL, .as.truth = f->varint != 0};
    } else if (f->number == 2) {
        *ret = (struct raw){.kind = RAW_INT, .as.number = unzigzag(f->varint)};
    } else if (f->number == 5) {
        *ret = (struct raw){.kind = RAW_DATE, .as.number = unzigzag(f->varint)};
    } else if (f->number == 7) {
        *ret = (struct raw){.kind = RAW_DURATION, .as.number = unzigzag(f->varint)};
    }
    return true;
}

static bool decode_kind(const struct item *f, struct arena *arena, unsigned depth, struct raw *ret)
{
    if (f->wire == WIRE_VARINT) {
        return decode_varint(f, ret);
    }
    if (f->wire != WIRE_BYTES) {
        return true;
    }
    switch (f->number) {
    case 3:
        *ret = (struct raw){.kind = RAW_TEXT, .as.text = f->bytes};
        return utf8_valid(f->bytes);
    case 4:
        *ret = (struct raw){.kind = RAW_OCTETS, .as.text = f->bytes};
        return true;
    case 6:
        return decode_time(f->bytes, ret);
    case 8:
        return decode_amount(f->bytes, ret);
    case 9:
        return decode_list(f->bytes, arena, depth, ret);
    case 10:
        return decode_record(f->bytes, arena, depth, ret);
    default:
        return true;
    }
}

/* Recursion goes at most RULES_ARGS_DEPTH_MAX deep. */
static bool decode_value(struct bytes b, struct arena *arena, unsigned depth, struct raw *ret)
{
    *ret = (struct raw){.kind = RAW_NONE};
    if (depth > RULES_ARGS_DEPTH_MAX) {
        return false;
    }
    struct item f;
    for (size_t at = 0; at < b.size;) {
        if (!read_item(b, &at, &f) || !decode_kind(&f, arena, depth, ret)) {
            return false;
        }
    }
    return true;
}

bool input_decode(struct bytes args, struct arena *arena, struct raw *ret)
{
    require(arena != NULL);
    require(ret != NULL);
    return args.size <= RULES_JSON_BYTES_MAX && decode_record(args, arena, 0, ret);
}

/* ---- encoding ---- */

static void put_varint(struct buf *out, uint64_t v)
{
    while (v >= 0x80) {
        buf_put_u8(out, (uint8_t)(v | 0x80));
        v >>= 7;
    }
    buf_put_u8(out, (uint8_t)v);
}

static void put_tag(struct buf *out, uint32_t number, enum wire wire)
{
    put_varint(out, (uint64_t)number << 3 | wire);
}

static void put_bytes(struct buf *out, uint32_t number, struct bytes b)
{
    put_tag(out, number, WIRE_BYTES);
    put_varint(out, b.size);
    if (b.size > 0) {
        buf_put_bytes(out, b);
    }
}

/* Puts the length of what has been written since `start` before it. */
static void close_message(struct buf *out, size_t start)
{
    if (out->overflow) {
        return;
    }
    uint8_t prefix[10];
    size_t size = 0;
    for (uint64_t v = out->size - start; size == 0 || v > 0; v >>= 7) {
        prefix[size++] = (uint8_t)((v & 0x7F) | (v >= 0x80 ? 0x80 : 0));
    }
    if (buf_room(out, size) == NULL) {
        return;
    }
    memmove(out->data + start + size, out->data + start, out->size - start);
    memcpy(out->data + start, prefix, size);
    buf_added(out, size);
}

static size_t open_message(struct buf *out, uint32_t number)
{
    put_tag(out, number, WIRE_BYTES);
    return out->size;
}

static void put_time(struct buf *out, struct civil_time time)
{
    size_t start = open_message(out, 6);
    put_tag(out, 1, WIRE_VARINT);
    put_varint(out, zigzag(time.seconds));
    if (time.nanos != 0) {
        put_tag(out, 2, WIRE_VARINT);
        put_varint(out, time.nanos);
    }
    close_message(out, start);
}

/* The count of a measure whose quantum is multiple / 10^decimals. One that does not fit 64 bits
 * sets the buffer's overflow: the message cannot carry it. */
static void put_amount(struct buf *out, const struct measure *m, int64_t quanta)
{
    int128 count = (int128)quanta * (int128)m->multiple;
    unsigned decimals = m->decimals;
    while (decimals > 0 && (count > INT64_MAX || count < INT64_MIN) && count % 10 == 0) {
        count /= 10;
        decimals--;
    }
    if (count > INT64_MAX || count < INT64_MIN) {
        out->overflow = true;
        return;
    }
    size_t start = open_message(out, 8);
    put_tag(out, 1, WIRE_VARINT);
    put_varint(out, zigzag((int64_t)count));
    put_tag(out, 2, WIRE_VARINT);
    put_varint(out, decimals);
    put_bytes(out, 3, m->name);
    close_message(out, start);
}

static void put_value(struct buf *out, const struct type *t, struct value v);

static void put_fields(struct buf *out, const struct field *fields, const struct value *values,
                       uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!values[i].present) {
            continue;
        }
        size_t field = open_message(out, 1);
        put_bytes(out, 1, fields[i].name);
        size_t value = open_message(out, 2);
        put_value(out, fields[i].type, values[i]);
        close_message(out, value);
        close_message(out, field);
    }
}

static void put_list(struct buf *out, const struct type *t, struct value v)
{
    size_t start = open_message(out, 9);
    for (size_t i = 0; i < v.as.list.count; i++) {
        size_t item = open_message(out, 1);
        put_value(out, t->item, v.as.list.items[i]);
        close_message(out, item);
    }
    close_message(out, start);
}

static void put_number(struct buf *out, uint32_t number, uint64_t v)
{
    put_tag(out, number, WIRE_VARINT);
    put_varint(out, v);
}

/* Recursion follows the type, whose nesting the parser limits. */
static void put_value(struct buf *out, const struct type *t, struct value v)
{
    size_t start = 0;
    switch (t->kind) {
    case TYPE_BOOL:
        put_number(out, 1, v.as.truth);
        return;
    case TYPE_INT:
        put_number(out, 2, zigzag((int64_t)v.as.number));
        return;
    case TYPE_STRING:
    case TYPE_PARTY:
        put_bytes(out, 3, v.as.text);
        return;
    case TYPE_BYTES:
        put_bytes(out, 4, v.as.text);
        return;
    case TYPE_DATE:
        put_number(out, 5, zigzag((int64_t)v.as.number));
        return;
    case TYPE_DURATION:
        put_number(out, 7, zigzag((int64_t)v.as.number));
        return;
    case TYPE_TIMESTAMP:
        put_time(out, v.as.time);
        return;
    case TYPE_AMOUNT:
        put_amount(out, t->measure, (int64_t)v.as.number);
        return;
    case TYPE_LIST:
        put_list(out, t, v);
        return;
    case TYPE_RECORD:
        start = open_message(out, 10);
        put_fields(out, t->fields, v.as.fields, t->field_count);
        close_message(out, start);
        return;
    case TYPE_RATIO:
        break;
    }
    require(false);
}

void input_encode(struct buf *out, const struct field *fields, const struct value *values,
                  uint32_t count)
{
    put_fields(out, fields, values, count);
}

/* ---- the flat reader and writer of the host ---- */

err rules_args_next(struct bytes args, size_t *at, struct rules_arg *ret, bool *ret_more)
{
    require(at != NULL);
    require(ret != NULL);
    struct item f;
    for (;;) {
        if (*at >= args.size) {
            *ret_more = false;
            return err_ok();
        }
        if (!read_item(args, at, &f)) {
            return (err){ERR_INVALID};
        }
        if (f.number == 1 && f.wire == WIRE_BYTES) {
            break;
        }
    }
    struct arena arena;
    arena_init(&arena, (size_t)RULES_APPLY_ARENA_MAX);
    struct raw_field field = {0};
    bool ok = decode_field(f.bytes, &arena, 0, &field);
    arena_done(&arena); /* lists and records go with it: they are not opened here */
    if (!ok) {
        return (err){ERR_INVALID};
    }
    *ret = (struct rules_arg){.name = field.name};
    if (field.value.kind == RAW_BOOL) {
        ret->kind = RULES_ARG_BOOL;
        ret->truth = field.value.as.truth;
    } else if (field.value.kind == RAW_INT) {
        ret->kind = RULES_ARG_INT;
        ret->number = field.value.as.number;
    } else if (field.value.kind == RAW_TEXT || field.value.kind == RAW_OCTETS) {
        ret->kind = field.value.kind == RAW_TEXT ? RULES_ARG_TEXT : RULES_ARG_OCTETS;
        ret->bytes = field.value.as.text;
    } else if (field.value.kind == RAW_DATE && civil_day_valid(field.value.as.number)) {
        ret->kind = RULES_ARG_DATE;
        ret->day = (int32_t)field.value.as.number;
    }
    *ret_more = true;
    return err_ok();
}

static void put_host_field(struct buf *args, const char *name, const struct type *t, struct value v)
{
    struct field f = {.name = bytes_text(name), .type = t};
    v.present = true;
    put_fields(args, &f, &v, 1);
}

void rules_args_put_text(struct buf *args, const char *name, struct bytes text)
{
    require(utf8_valid(text));
    static const struct type t = {.kind = TYPE_STRING};
    put_host_field(args, name, &t, (struct value){.as.text = text});
}

void rules_args_put_octets(struct buf *args, const char *name, struct bytes octets)
{
    static const struct type t = {.kind = TYPE_BYTES};
    put_host_field(args, name, &t, (struct value){.as.text = octets});
}

void rules_args_put_int(struct buf *args, const char *name, int64_t number)
{
    static const struct type t = {.kind = TYPE_INT};
    put_host_field(args, name, &t, (struct value){.as.number = number});
}

void rules_args_put_date(struct buf *args, const char *name, int32_t day)
{
    require(civil_day_valid(day));
    static const struct type t = {.kind = TYPE_DATE};
    put_host_field(args, name, &t, (struct value){.as.number = day});
}

void rules_args_put_bool(struct buf *args, const char *name, bool truth)
{
    static const struct type t = {.kind = TYPE_BOOL};
    put_host_field(args, name, &t, (struct value){.as.truth = truth});
}
