#include "rules_random.h"

#include <string.h>

#include "base/limits.h"
#include "rules/input.h"
#include "rules/program.h"

static uint64_t below(struct random_law *r, uint64_t bound)
{
    return seed_below(&r->seed, bound);
}

/* True once in n times. */
static bool once(struct random_law *r, uint64_t n)
{
    return below(r, n) == 0;
}

void random_law_init(struct random_law *r, const struct rules_program *program, uint64_t seed)
{
    static const char *const OTHERS[] = {"a", "b", "c", "d"};
    *r = (struct random_law){.program = program, .seed = {seed}};
    r->now.seconds = (int64_t)program->facts.effective * 86400 + 43200;
    for (size_t i = 0; i < 4; i++) {
        r->parties[r->party_count++] = bytes_text(OTHERS[i]);
    }
    for (size_t e = 0; e < program->event_count; e++) {
        const struct event *event = program->events[e];
        for (uint32_t s = 0; s < event->signer_count && r->party_count < RANDOM_PARTIES; s++) {
            r->parties[r->party_count++] = event->signers[s];
        }
    }
}

static struct bytes random_text(struct random_law *r, const struct type *t, struct arena *a)
{
    static const char *const TEXTS[] = {"k1", "k2", "k3", "", "caf\xC3\xA9 \"x\"\n"};
    if (t->kind == TYPE_PARTY) {
        return r->parties[below(r, r->party_count)];
    }
    if (t->kind == TYPE_BYTES) {
        uint8_t *octets = arena_new(a, (size_t)t->size_max + 1, 1);
        memset(octets, (int)below(r, 4), t->size_max);
        return bytes_of(octets, once(r, 10) ? below(r, (uint64_t)t->size_max + 2) : t->size_max);
    }
    if (t->words != NULL && !once(r, 50)) {
        return t->words[below(r, t->word_count)];
    }
    struct bytes text = bytes_text(TEXTS[once(r, 20) ? below(r, 5) : below(r, 3)]);
    return text;
}

static int128 random_number(struct random_law *r, const struct type *t)
{
    if (once(r, 100)) {
        return (int64_t)seed_signed(&r->seed, 63);
    }
    switch (t->kind) {
    case TYPE_DATE:
        return r->now.seconds / 86400 + (int64_t)below(r, 40) - (once(r, 2) ? 0 : 20);
    case TYPE_DURATION:
        return (int128)below(r, 200) * 1000000000 * (once(r, 2) ? 1 : 900);
    case TYPE_AMOUNT:
        return (int128)below(r, 5) * (once(r, 2) ? 1 : 100) * (once(r, 2) ? 1 : 1000) +
               (int128)below(r, 3) - (once(r, 20) ? 10 : 0);
    default:
        return (int128)below(r, 6) - (once(r, 20) ? 3 : 0);
    }
}

static void random_value(struct random_law *r, const struct type *t, struct arena *a,
                         struct value *ret);

static void random_fields(struct random_law *r, const struct field *fields, uint32_t count,
                          struct arena *a, struct value *ret)
{
    for (uint32_t i = 0; i < count; i++) {
        if (fields[i].optional ? once(r, 2) : once(r, 500)) {
            ret[i].present = false;
        } else {
            random_value(r, fields[i].type, a, &ret[i]);
        }
    }
}

/* Ascending by the key that the list names, except now and then. */
static void sort_items(struct random_law *r, const struct type *t, struct value *items,
                       size_t *count)
{
    if (t->by < 0 || t->item->kind != TYPE_RECORD || once(r, 50)) {
        return;
    }
    const struct type *key = t->item->fields[t->by].type;
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        struct value v = items[i];
        if (!v.as.fields[t->by].present) {
            continue;
        }
        size_t at = kept;
        int order = 1;
        while (at > 0 && (order = value_compare(key, items[at - 1].as.fields[t->by],
                                                v.as.fields[t->by])) > 0) {
            at--;
        }
        if (at > 0 && order == 0) {
            continue;
        }
        memmove(&items[at + 1], &items[at], (kept - at) * sizeof *items);
        items[at] = v;
        kept++;
    }
    *count = kept;
}

static void random_list(struct random_law *r, const struct type *t, struct arena *a,
                        struct value *ret)
{
    size_t most = t->list_max < 6 ? t->list_max + once(r, 40) : 6;
    size_t count = below(r, most + 1);
    struct value *items = arena_new(a, count + 1, sizeof *items);
    for (size_t i = 0; i < count; i++) {
        random_value(r, t->item, a, &items[i]);
    }
    sort_items(r, t, items, &count);
    ret->as.list.items = items;
    ret->as.list.count = count;
}

/* Recursion follows the type, whose nesting the parser limits. */
static void random_value(struct random_law *r, const struct type *t, struct arena *a,
                         struct value *ret)
{
    *ret = (struct value){.present = true};
    switch (t->kind) {
    case TYPE_BOOL:
        ret->as.truth = once(r, 2);
        return;
    case TYPE_STRING:
    case TYPE_BYTES:
    case TYPE_PARTY:
        ret->as.text = random_text(r, t, a);
        return;
    case TYPE_INT:
    case TYPE_DATE:
    case TYPE_DURATION:
    case TYPE_AMOUNT:
        ret->as.number = random_number(r, t);
        if (t->kind == TYPE_DATE) {
            ret->as.number = (int32_t)ret->as.number;
        }
        return;
    case TYPE_TIMESTAMP:
        ret->as.time.seconds =
            (r->now.seconds / 900 + (int64_t)below(r, 12)) * 900 - (once(r, 2) ? 0 : 7200);
        return;
    case TYPE_RECORD: {
        struct value *fields = arena_new(a, t->field_count, sizeof *fields);
        random_fields(r, t->fields, t->field_count, a, fields);
        ret->as.fields = fields;
        return;
    }
    case TYPE_LIST:
        random_list(r, t, a, ret);
        return;
    case TYPE_RATIO:
        return;
    }
}

static void random_signers(struct random_law *r, const struct event *e, struct arena *a,
                           struct rules_event *ret)
{
    struct bytes *signers = arena_new(a, RULES_SIGNERS_MAX, sizeof *signers);
    size_t count = 0;
    bool right = e->signed_by == SIGNED_BY_PARTIES && !once(r, 20);
    for (uint32_t i = 0; right && i < e->signer_count; i++) {
        signers[count++] = e->signers[i];
    }
    if (count == 0 && !once(r, 50)) {
        signers[count++] = r->parties[below(r, r->party_count)];
    }
    ret->signers = signers;
    ret->signer_count = count;
}

void random_event(struct random_law *r, struct arena *a, struct rules_event *ret)
{
    const struct event *e = r->program->events[below(r, r->program->event_count)];
    while (e->signed_by == SIGNED_BY_CLOCK && !once(r, 20)) {
        e = r->program->events[below(r, r->program->event_count)];
    }
    r->now.seconds += (int64_t)(once(r, 10) ? below(r, 7200) : below(r, 600));
    r->now.nanos = (uint32_t)below(r, 1000000000);
    *ret = (struct rules_event){.name = e->name, .now = r->now};
    random_signers(r, e, a, ret);
    struct value *values = arena_new(a, (size_t)e->arg_count + 1, sizeof *values);
    random_fields(r, e->args, e->arg_count, a, values);
    struct buf args;
    buf_init(&args, ARGS_BYTES_MAX);
    input_encode(&args, e->args, values, e->arg_count);
    if (args.size > 0 && once(r, 100)) {
        args.data[below(r, args.size)] ^= (uint8_t)(1U << below(r, 8));
    }
    ret->args = arena_copy(a, buf_bytes(&args));
    buf_done(&args);
    uint64_t number = seed_next(&r->seed);
    memcpy(ret->hash, &number, sizeof number);
}
