/* The life of an event: input, signers, legal date, body, limits; then its three parts as canonical
 * JSON. */
#include <string.h>

#include "base/require.h"
#include "rules/canon.h"
#include "rules/eval.h"
#include "rules/input.h"

const char *rules_fault_name(enum rules_fault fault)
{
    static const char *const names[] = {"",     "overflow", "divide",  "row",  "item", "range",
                                        "form", "negative", "weights", "term", "civil"};
    require((size_t)fault < sizeof names / sizeof names[0]);
    return names[fault];
}

/* Room beyond what section 12.2 counts: effects and trace share its limit but each may have it. */
enum { PART_BYTES_MAX = RULES_BYTES_MAX + 4096 };

void machine_init(struct machine *m, const struct rules_program *p, const struct rules_store *store,
                  struct arena *arena)
{
    require(m != NULL);
    require(arena != NULL);
    *m = (struct machine){.p = p, .store = store, .arena = arena};
    m->clause = bytes_text("0");
    m->first_trace = true;
    m->first_effect = true;
    m->rows.arena = arena;
    m->accounts.arena = arena;
    m->tallies.arena = arena;
    m->counts.arena = arena;
    m->issuances = arena_new(arena, p->family_count + 1, sizeof *m->issuances);
    m->layouts = arena_new(arena, p->table_count + 1, sizeof(struct type *));
    buf_init_in(&m->key, arena, 2 + (size_t)RULES_KEYS_MAX * (2 * CONTRACT_BYTES_MAX + 2));
    buf_init_in(&m->full, arena, 2 * NAME_BYTES_MAX + m->key.size_max);
    buf_init_in(&m->trace, arena, PART_BYTES_MAX);
    buf_init_in(&m->effects, arena, PART_BYTES_MAX);
}

/* ---- the checks of clause 0 ---- */

static const char *printed(struct machine *m, const char *before, int32_t day)
{
    char text[CIVIL_DATE_TEXT_MAX];
    (void)civil_day_print(day, text);
    return arena_printf(m->arena, "%s%s", before, text);
}

static void check_input(struct machine *m, const struct rules_event *ev)
{
    const struct rules_registry *r = m->p->env.registry;
    if (m->event == NULL) {
        char *why = arena_printf(m->arena, "event: '%.*s' is not declared", (int)ev->name.size,
                                 (const char *)ev->name.data);
        machine_reject(m, "0.1", 0, bytes_text(why));
    }
    m->frame = arena_new(m->arena, (size_t)m->event->slot_count + 1, sizeof *m->frame);
    struct raw decoded;
    const struct raw *raw = ev->parsed;
    if (raw == NULL && input_decode(ev->args, m->arena, &decoded)) {
        raw = &decoded;
    }
    const char *why = "args: malformed";
    if (raw != NULL) {
        why =
            input_validate(raw, m->event->args, m->event->arg_count, r, "args", m->arena, m->frame);
    }
    if (why != NULL) {
        machine_reject(m, "0.1", 0, bytes_text(why));
    }
}

static bool has_signed(const struct rules_event *ev, struct bytes party)
{
    for (size_t i = 0; i < ev->signer_count; i++) {
        if (bytes_equal(ev->signers[i], party)) {
            return true;
        }
    }
    return false;
}

static void check_signers(struct machine *m, const struct rules_event *ev)
{
    const struct event *e = m->event;
    switch (e->signed_by) {
    case SIGNED_BY_CLOCK:
        if (!ev->timer) {
            machine_reject(m, "0.2", 0, bytes_text("only a timer may do this"));
        }
        return;
    case SIGNED_BY_ANYONE:
        if (ev->signer_count != 1) {
            machine_reject(m, "0.2", 0, bytes_text("one signer expected"));
        }
        m->loose = !value_party_valid(ev->signers[0]);
        m->frame[e->who_slot] =
            (struct value){.as.text = arena_copy(m->arena, ev->signers[0]), .present = true};
        return;
    case SIGNED_BY_PARTIES:
        for (uint32_t i = 0; i < e->signer_count; i++) {
            if (!has_signed(ev, e->signers[i])) {
                char *why = arena_printf(m->arena, "not signed by %.*s", (int)e->signers[i].size,
                                         (const char *)e->signers[i].data);
                machine_reject(m, "0.2", 0, bytes_text(why));
            }
        }
        return;
    }
}

/* The version's own date; a fault in it is a rejection. */
static void find_legal(struct machine *m, const struct rules_event *ev)
{
    if (m->event->dated == NULL) {
        require(ev->timer);
        require(ev->has_legal);
        m->legal = ev->legal;
    } else {
        m->legal = (int32_t)eval(m, m->event->dated).as.number;
    }
    m->has_legal = true;
}

static void check_legal(struct machine *m, const struct rules_event *ev)
{
    if (ev->has_legal && ev->legal != m->legal) {
        machine_reject(m, "0.3", 0, bytes_text(printed(m, "the legal date is ", m->legal)));
    }
    if (m->legal < m->p->facts.effective) {
        char *before =
            arena_printf(m->arena, "version %lld takes effect on ", (long long)m->p->facts.version);
        machine_reject(m, "0.3", 0, bytes_text(printed(m, before, m->p->facts.effective)));
    }
}

/* ---- limits: clause 0.4 ---- */

static struct bytes limit_text(struct machine *m, const struct account_entry *e)
{
    struct buf out;
    buf_init_in(&out, m->arena, 64 << 10);
    buf_put_bytes(&out, e->family->name);
    for (uint32_t i = 0; i < e->family->key_count; i++) {
        struct buf key;
        buf_init_in(&key, m->arena, 64 << 10);
        canon_put_value(&key, m->p->env.registry, e->family->keys[i].type, e->keys[i]);
        bool quoted = key.size >= 2 && key.data[0] == '"';
        buf_put_text(&out, i == 0 ? "[" : ", ");
        buf_put(&out, key.data + quoted, key.size - 2 * (size_t)quoted);
    }
    buf_put_text(&out, e->family->key_count > 0 ? "]" : "");
    buf_put_text(&out, " would stand at ");
    measure_print(e->family->type->measure, e->now, &out);
    return buf_bytes(&out);
}

static void check_limits(struct machine *m)
{
    const struct tree_node *n = tree_above(&m->accounts, bytes_of("", 0), true);
    for (; n != NULL; n = tree_above(&m->accounts, n->key, false)) {
        const struct account_entry *e = n->value;
        bool below = !e->family->unlimited && (int128)e->now < -(int128)e->family->overdraft;
        if (below && e->now < e->before) {
            machine_reject(m, "0.4", 0, limit_text(m, e));
        }
    }
}

/* ---- net row changes ---- */

static bool rows_equal(const struct type *row, const struct value *a, const struct value *b)
{
    for (uint32_t i = row->key_count; i < row->field_count; i++) {
        if (!value_equal(row->fields[i].type, a[i], b[i])) {
            return false;
        }
    }
    return true;
}

static void put_change(struct machine *m, const struct row_entry *e, const struct value *keys)
{
    const struct rules_registry *r = m->p->env.registry;
    const struct type *row = e->table->row;
    effect_begin(m, e->now != NULL ? "put" : "del", false, e->line);
    canon_put_string(&m->effects, e->table->name);
    buf_put_u8(&m->effects, ',');
    canon_put_keys(&m->effects, r, row->fields, keys, row->key_count);
    if (e->now != NULL) {
        buf_put_u8(&m->effects, ',');
        canon_put_fields(&m->effects, r, row->fields + row->key_count, e->now + row->key_count,
                         row->field_count - row->key_count);
    }
    effect_end(m);
}

static void collect_rows(struct machine *m)
{
    struct buf row;
    buf_init_in(&row, m->arena, PART_BYTES_MAX);
    const struct tree_node *n = tree_above(&m->rows, bytes_of("", 0), true);
    for (; n != NULL; n = tree_above(&m->rows, n->key, false)) {
        const struct row_entry *e = n->value;
        const struct type *type = e->table->row;
        bool same = e->now == e->before ||
                    (e->now != NULL && e->before != NULL && rows_equal(type, e->now, e->before));
        if (!e->written || same) {
            continue;
        }
        put_change(m, e, e->now != NULL ? e->now : e->before);
        struct rules_row_change *change = machine_push(m, &m->changes, sizeof *change);
        struct bytes parts[2] = {e->table->prefix, e->components};
        uint8_t *key = arena_new(m->arena, parts[0].size + parts[1].size + 1, 1);
        memcpy(key, parts[0].data, parts[0].size);
        memcpy(key + parts[0].size, parts[1].data, parts[1].size);
        change->key = bytes_of(key, parts[0].size + parts[1].size);
        change->removed = e->now == NULL;
        change->table = e->table->index;
        change->line = e->line;
        if (e->now != NULL) {
            buf_clear(&row);
            canon_put_row(&row, type, e->now);
            change->row = arena_copy(m->arena, buf_bytes(&row));
        }
    }
    require(!row.overflow);
}

/* ---- the result ---- */

static void put_outcome(struct buf *out, struct bytes event, struct civil_time now,
                        const struct rules_out *r)
{
    static const char *const ends[] = {"", "accepted", "rejected", "fault"};
    buf_put_text(out, "{\"event\":");
    canon_put_string(out, event);
    buf_put_text(out, ",\"version\":");
    canon_put_uint(out, (uint64_t)r->version);
    buf_put_text(out, ",\"now\":");
    canon_put_time(out, now);
    buf_put_text(out, ",\"legal\":");
    if (r->has_legal) {
        canon_put_day(out, r->legal);
    } else {
        buf_put_text(out, "null");
    }
    buf_put_text(out, ",\"end\":\"");
    buf_put_text(out, ends[r->end]);
    buf_put_text(out, "\"");
    if (r->end == RULES_FAULT) {
        buf_put_text(out, ",\"kind\":\"");
        buf_put_text(out, rules_fault_name(r->fault));
        buf_put_text(out, "\"");
    }
    if (r->end != RULES_ACCEPTED) {
        buf_put_text(out, ",\"clause\":");
        canon_put_string(out, r->clause);
        buf_put_text(out, ",\"line\":");
        canon_put_uint(out, r->line);
    }
    if (r->end == RULES_REJECTED) {
        buf_put_text(out, ",\"why\":");
        canon_put_string(out, r->why);
    }
    buf_put_text(out, ",\"spent\":");
    canon_put_uint(out, (uint64_t)r->spent);
    buf_put_text(out, "}");
}

static struct bytes outcome_bytes(struct bytes event, struct civil_time now,
                                  const struct rules_out *r, struct arena *arena)
{
    struct buf out;
    /* a name from the input may be escaped sixfold */
    buf_init_in(&out, arena, 4 * RULES_JSON_BYTES_MAX);
    put_outcome(&out, event, now, r);
    require(!out.overflow);
    return buf_bytes(&out);
}

static struct bytes json_list(struct machine *m, const struct buf *items)
{
    uint8_t *text = arena_new(m->arena, items->size + 3, 1);
    text[0] = '[';
    if (items->size > 0) {
        memcpy(text + 1, items->data, items->size);
    }
    text[items->size + 1] = ']';
    return bytes_of(text, items->size + 2);
}

static void finish(struct machine *m, const struct rules_event *ev, struct rules_out *ret)
{
    *ret = (struct rules_out){
        .end = m->end,
        .version = m->p->facts.version,
        .spent = m->spent,
        .has_legal = m->has_legal,
        .legal = m->has_legal ? m->legal : 0,
    };
    if (m->end == RULES_ACCEPTED) {
        ret->postings = m->postings.at;
        ret->posting_count = m->postings.count;
        ret->rows = m->changes.at;
        ret->row_count = m->changes.count;
        ret->schedules = m->schedules.at;
        ret->schedule_count = m->schedules.count;
        ret->emits = m->emits.at;
        ret->emit_count = m->emits.count;
        ret->effects = json_list(m, &m->effects);
    } else {
        ret->clause = m->clause;
        ret->line = m->line;
        ret->why = m->end == RULES_REJECTED ? m->why : bytes_text("");
        ret->fault = m->end == RULES_FAULT ? m->fault : RULES_FAULT_NONE;
        ret->effects = bytes_text("[]");
    }
    ret->trace = json_list(m, &m->trace);
    ret->outcome = outcome_bytes(ev->name, m->now, ret, m->arena);
}

/* Everything that may end the event before its last statement. */
static void run(struct machine *m, const struct rules_event *ev)
{
    if (ev->timers_due) {
        machine_reject(m, "0.6", 0, bytes_text("timers are due first"));
    }
    check_input(m, ev);
    check_signers(m, ev);
    find_legal(m, ev);
    check_legal(m, ev);
    exec_block(m, m->event->body);
    check_limits(m);
}

static void require_bounds(const struct machine *m)
{
    if (m->event == NULL || m->in_test || m->loose) {
        return;
    }
    const struct rules_bound *b = &m->event->facts.bound;
    require(m->spent <= b->steps);
    require((int64_t)m->trace.size + (int64_t)m->effects.size <= b->bytes);
    require((int64_t)(m->postings.count + m->changes.count + m->emits.count + m->schedules.count) <=
            b->effects);
}

void rules_apply(const struct rules_program *program, const struct rules_event *event,
                 const struct rules_store *store, struct arena *arena, struct rules_out *ret)
{
    require(program != NULL);
    require(event != NULL);
    require(store != NULL);
    require(ret != NULL);
    /* in the arena, not in this frame: what changes after setjmp must be in memory */
    struct machine *m = arena_new(arena, 1, sizeof *m);
    machine_init(m, program, store, arena);
    m->event = program_event(program, event->name);
    m->now = (struct civil_time){event->now.seconds, event->now.nanos};
    m->timers_waiting = event->timers_waiting;
    require(civil_time_valid(m->now));
    m->end = RULES_ACCEPTED;
    if (setjmp(m->stop) == 0) {
        run(m, event);
        collect_rows(m);
    } else if (m->end == RULES_FAULT && !m->has_legal) {
        /* only `dated` is evaluated before there is a legal date */
        char *why =
            arena_printf(arena, "the legal date cannot be found (%s)", rules_fault_name(m->fault));
        m->end = RULES_REJECTED;
        m->clause = bytes_text("0.3");
        m->line = 0;
        m->why = bytes_text(why);
    }
    finish(m, event, ret);
    require_bounds(m);
}

void rules_refuse(const struct rules_event *event, const char *why, struct arena *arena,
                  struct rules_out *ret)
{
    require(event != NULL);
    require(why != NULL);
    *ret = (struct rules_out){
        .end = RULES_REJECTED,
        .clause = bytes_text("0.1"),
        .why = bytes_text(arena_text(arena, bytes_text(why))),
        .effects = bytes_text("[]"),
        .trace = bytes_text("[]"),
    };
    struct civil_time now = {event->now.seconds, event->now.nanos};
    ret->outcome = outcome_bytes(event->name, now, ret, arena);
}

void rules_digest(rules_sha256 *sha256, uint8_t digest[RULES_HASH_SIZE],
                  const uint8_t event_hash[RULES_HASH_SIZE],
                  const uint8_t text_hash[RULES_HASH_SIZE], const struct rules_out *out)
{
    static const char domain[8] = {'r', 'u', 'l', 'e', 's', ' ', '1', '\n'};
    uint8_t chain[sizeof domain + 6 * RULES_HASH_SIZE];
    uint8_t *at = chain;
    memcpy(at, domain, sizeof domain);
    at += sizeof domain;
    memcpy(at, digest, RULES_HASH_SIZE);
    memcpy(at + RULES_HASH_SIZE, event_hash, RULES_HASH_SIZE);
    memcpy(at + 2 * RULES_HASH_SIZE, text_hash, RULES_HASH_SIZE);
    at += 3 * RULES_HASH_SIZE;
    sha256(out->outcome.data, out->outcome.size, at);
    sha256(out->effects.data, out->effects.size, at + RULES_HASH_SIZE);
    sha256(out->trace.data, out->trace.size, at + 2 * RULES_HASH_SIZE);
    sha256(chain, sizeof chain, digest);
}
