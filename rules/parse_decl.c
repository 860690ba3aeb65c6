/* Declarations: the header, measures, parties, terms, records, tables, accounts, events (section
 * 6). */
#include "rules/parse.h"

#include <string.h>

#include "base/limits.h"
#include "base/require.h"

/* ---- declarations ---- */

struct declarations {
    struct pointers measures, parties, terms, records, tables, families, events, tests;
};

static void check_new(struct parser *x, struct bytes name, uint32_t token,
                      const struct pointers *list)
{
    for (size_t i = 0; i < list->count; i++) {
        /* every declaration but measure and test begins with its name */
        if (bytes_equal(*(struct bytes *)list->at[i], name)) {
            compile_fail(x->c, token, "'%.*s' is declared already", BYTES_ARG(name));
        }
    }
}

/* The name of a header is new and not a word that names something everywhere. */
static void declare(struct parser *x, const struct declarations *d, struct bytes name,
                    uint32_t token)
{
    static_assert(offsetof(struct party, name) == 0, "name first");
    static_assert(offsetof(struct term, name) == 0, "name first");
    static_assert(offsetof(struct record, name) == 0, "name first");
    static_assert(offsetof(struct table, name) == 0, "name first");
    static_assert(offsetof(struct family, name) == 0, "name first");
    static_assert(offsetof(struct event, name) == 0, "name first");
    if (bytes_equal(name, bytes_text("now")) || bytes_equal(name, bytes_text("clock"))) {
        compile_fail(x->c, token, "'%.*s' is declared already", BYTES_ARG(name));
    }
    check_new(x, name, token, &d->parties);
    check_new(x, name, token, &d->terms);
    check_new(x, name, token, &d->records);
    check_new(x, name, token, &d->tables);
    check_new(x, name, token, &d->families);
    if (d->parties.count + d->terms.count + d->records.count + d->tables.count + d->families.count +
            d->events.count >=
        RULES_DECLS_MAX) {
        compile_fail(x->c, token, "at most %d declarations", RULES_DECLS_MAX);
    }
}

/* What has been declared so far, where types are looked up. */
static void publish(struct parser *x, const struct declarations *d)
{
    struct rules_program *p = x->p;
    p->measures = (struct measure **)d->measures.at;
    p->measure_count = d->measures.count;
    p->parties = (struct party **)d->parties.at;
    p->party_count = d->parties.count;
    p->terms = (struct term **)d->terms.at;
    p->term_count = d->terms.count;
    p->records = (struct record **)d->records.at;
    p->record_count = d->records.count;
    p->tables = (struct table **)d->tables.at;
    p->table_count = d->tables.count;
    p->families = (struct family **)d->families.at;
    p->family_count = d->families.count;
    p->events = (struct event **)d->events.at;
    p->event_count = d->events.count;
    p->tests = (struct test **)d->tests.at;
    p->test_count = d->tests.count;
}

static int32_t parse_date(struct parser *x)
{
    uint32_t token = x->at;
    struct civil_date date = {0};
    int32_t day = 0;
    date.year = (int32_t)parse_int(x, "a date, e.g. 2026-07-01,", 9999);
    parse_expect(x, "-", "as in 2026-07-01");
    parse_mark(x, ROLE_JOINED);
    date.month = (int32_t)parse_int(x, "a month", 12);
    parse_expect(x, "-", "as in 2026-07-01");
    parse_mark(x, ROLE_JOINED);
    date.day = (int32_t)parse_int(x, "a day", 31);
    if (civil_day_make(date, &day) != NUM_OK) {
        compile_fail(x->c, token, "there is no such day");
    }
    return day;
}

static void check_measure(struct parser *x, uint32_t token, const struct measure *m, bool plain)
{
    const struct rules_registry *r = x->c->env->registry;
    for (size_t i = 0; i < x->p->measure_count; i++) {
        const struct measure *other = x->p->measures[i];
        if (bytes_equal(other->name, m->name)) {
            compile_fail(x->c, token, "%.*s is declared already", BYTES_ARG(m->name));
        }
        if (dim_equal(&other->unit.dim, &m->unit.dim) &&
            num_scale_equal(other->unit.scale, m->unit.scale)) {
            compile_fail(x->c, token, "%.*s is the same measure as %.*s", BYTES_ARG(m->name),
                         BYTES_ARG(other->name));
        }
    }
    if (!plain) {
        return;
    }
    const struct measure *line = NULL;
    for (size_t i = 0; i < r->count; i++) {
        if (bytes_equal(r->lines[i].name, m->name)) {
            line = &r->lines[i];
        }
    }
    if (line == NULL) {
        compile_fail(x->c, token, "%.*s is not a measure of this ledger", BYTES_ARG(m->name));
    }
    if (!num_scale_equal(line->unit.scale, m->unit.scale)) {
        char text[NUM_TEXT_MAX];
        (void)num_print_decimal(1, line->multiple, line->decimals, text);
        compile_fail(x->c, token, "%.*s is measured to %s on this ledger", BYTES_ARG(m->name),
                     text);
    }
}

static void parse_measure(struct parser *x, struct declarations *d)
{
    uint32_t token = x->at;
    struct unit unit;
    struct measure *m = compile_new(x->c, 1, sizeof *m);
    if (!parse_unit(x, &unit, &m->name)) {
        compile_fail(x->c, token, "a unit of this ledger is expected here, e.g. EUR or EUR/kWh");
    }
    bool plain = x->at == token + 1;
    m->name = compile_printf(x->c, "%.*s", BYTES_ARG(m->name));
    parse_expect(x, "to", "then the smallest step: measure EUR to 0.01");
    struct token *t = parse_peek(x);
    int128 count = 0;
    unsigned decimals = 0;
    if ((t->kind != TOKEN_INT && t->kind != TOKEN_DECIMAL) ||
        num_decimal_parse(t->text, &count, &decimals) != NUM_OK ||
        !measure_make(&unit, count, decimals, m)) {
        compile_fail(x->c, x->at, "the smallest step is a positive number with at most %d decimals",
                     NUM_DECIMALS_MAX);
    }
    x->at++;
    check_measure(x, token, m, plain);
    if (d->measures.count == RULES_FIELDS_MAX) {
        compile_fail(x->c, token, "at most %d measures", RULES_FIELDS_MAX);
    }
    compile_push(x->c, &d->measures, m);
}

static void parse_party(struct parser *x, struct declarations *d)
{
    struct party *p = compile_new(x->c, 1, sizeof *p);
    p->token = x->at;
    p->name = parse_small_name(x, "a party");
    declare(x, d, p->name, p->token);
    parse_expect(x, "=", "before the name under which it signs");
    p->text = parse_string(x, "the name under which it signs");
    if (!value_party_valid(p->text)) {
        compile_fail(x->c, x->at - 1, "\"%.*s\" is not a party name: 1 to 64 of a-z 0-9 . _ : -",
                     BYTES_ARG(p->text));
    }
    compile_push(x->c, &d->parties, p);
}

static void parse_term(struct parser *x, struct declarations *d)
{
    struct term *t = compile_new(x->c, 1, sizeof *t);
    struct pointers values = {0};
    t->token = x->at;
    t->name = parse_small_name(x, "a term");
    declare(x, d, t->name, t->token);
    parse_expect(x, ":", "then the type");
    t->type = parse_type(x);
    parse_expect(x, "=", "before the value");
    do {
        struct term_value *v = compile_new(x->c, 1, sizeof *v);
        v->expr = parse_expr(x);
        v->from = CIVIL_DAY_MIN;
        if (parse_take(x, "from")) {
            v->from = parse_date(x);
        }
        if (values.count > 0 &&
            v->from <= ((struct term_value *)values.at[values.count - 1])->from) {
            compile_fail(x->c, v->expr->token,
                         "the values of a term stand in rising order of "
                         "their dates");
        }
        compile_push(x->c, &values, v);
    } while (parse_take(x, ","));
    t->count = values.count;
    t->values = compile_new(x->c, t->count, sizeof *t->values);
    for (size_t i = 0; i < t->count; i++) {
        t->values[i] = *(struct term_value *)values.at[i];
    }
    compile_push(x->c, &d->terms, t);
}

static void parse_record(struct parser *x, struct declarations *d)
{
    struct record *r = compile_new(x->c, 1, sizeof *r);
    struct type *t = parse_new_type(x, TYPE_RECORD, 0);
    struct unit unit;
    r->token = x->at;
    r->name = parse_any_name(x, "the name of a record");
    if (r->name.data[0] < 'A' || r->name.data[0] > 'Z') {
        compile_fail(x->c, r->token, "a record begins with a capital letter");
    }
    if (unit_find(x->c->env->registry, r->name, &unit)) {
        compile_fail(x->c, r->token, "%.*s is a unit", BYTES_ARG(r->name));
    }
    declare(x, d, r->name, r->token);
    t->name = r->name;
    t->fields = parse_fields(x, "{", "}", &t->field_count);
    if (parse_type_nodes(t) > RULES_TYPE_NODES_MAX || parse_type_depth(t) > RULES_TYPE_DEPTH_MAX) {
        compile_fail(x->c, r->token,
                     "this record is too large: at most %d fields, the inner ones "
                     "counted, and %d deep",
                     RULES_TYPE_NODES_MAX, RULES_TYPE_DEPTH_MAX);
    }
    r->type = t;
    compile_push(x->c, &d->records, r);
}

static struct bytes parse_qualified(struct parser *x)
{
    uint32_t token = x->at;
    struct bytes name = parse_any_name(x, "the name of a contract");
    while (parse_take(x, ".")) {
        struct bytes part = parse_any_name(x, "the name of a contract");
        name = compile_printf(x->c, "%.*s.%.*s", BYTES_ARG(name), BYTES_ARG(part));
    }
    if (name.size > NAME_BYTES_MAX) {
        compile_fail(x->c, token, "the name of a contract has at most %d characters",
                     NAME_BYTES_MAX);
    }
    return name;
}

static struct bytes store_prefix(struct parser *x, struct bytes contract, int separator,
                                 struct bytes name)
{
    return compile_printf(x->c, "%.*s%c%.*s%c", BYTES_ARG(contract), separator, BYTES_ARG(name), 0);
}

/* The row type of a table: its keys, then its other fields. */
static const struct type *row_type(struct parser *x, struct bytes name, const struct field *keys,
                                   uint32_t key_count)
{
    struct type *row = parse_new_type(x, TYPE_RECORD, 0);
    uint32_t count = 0;
    struct field *fields = parse_fields(x, "{", "}", &count);
    struct field *all = compile_new(x->c, (size_t)key_count + count, sizeof *all);
    memcpy(all, keys, key_count * sizeof *all);
    memcpy(all + key_count, fields, count * sizeof *all);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < key_count; k++) {
            if (bytes_equal(keys[k].name, fields[i].name)) {
                compile_fail(x->c, fields[i].token, "'%.*s' is a key of this table already",
                             BYTES_ARG(fields[i].name));
            }
        }
    }
    row->name = name;
    row->row = true;
    row->fields = all;
    row->field_count = key_count + count;
    row->key_count = key_count;
    return row;
}

static void parse_table(struct parser *x, struct declarations *d, bool uses)
{
    struct table *t = compile_new(x->c, 1, sizeof *t);
    t->token = x->at;
    t->name = parse_small_name(x, "a table");
    declare(x, d, t->name, t->token);
    struct field *keys = parse_fields(x, "[", "]", &t->key_count);
    if (parse_take(x, "max")) {
        t->max = (uint32_t)parse_int(x, "the greatest number of rows", RULES_LIST_MAX);
        if (t->max == 0) {
            compile_fail(x->c, x->at - 1, "a table has room for one row at least");
        }
    }
    t->row = row_type(x, t->name, keys, t->key_count);
    t->uses = uses;
    t->owner = x->p->facts.contract;
    if (uses) {
        parse_expect(x, "from", "then the contract to which the table belongs");
        t->owner = parse_qualified(x);
        if (bytes_equal(t->owner, x->p->facts.contract)) {
            compile_fail(x->c, x->at - 1, "this is the contract itself; write 'table'");
        }
    }
    t->prefix = store_prefix(x, t->owner, 0, t->name);
    t->index = (uint32_t)d->tables.count;
    compile_push(x->c, &d->tables, t);
}

static void parse_overdraft(struct parser *x, struct family *f)
{
    if (parse_take(x, "unlimited")) {
        f->unlimited = true;
        return;
    }
    struct token *t = parse_peek(x);
    uint32_t token = x->at;
    int128 count = 0;
    unsigned decimals = 0;
    struct unit unit;
    struct bytes name;
    if ((t->kind != TOKEN_INT && t->kind != TOKEN_DECIMAL) ||
        num_decimal_parse(t->text, &count, &decimals) != NUM_OK) {
        compile_fail(x->c, token, "an amount or 'unlimited' is expected here");
    }
    x->at++;
    if (!parse_unit(x, &unit, &name) || !dim_equal(&unit.dim, &f->type->unit.dim)) {
        compile_fail(x->c, token, "the overdraft of this account is an amount of %.*s",
                     BYTES_ARG(f->type->measure->name));
    }
    struct num_ratio scale;
    int128 quanta = 0;
    if (num_scale_div(unit.scale, num_scale(num_power10(decimals), 1), &scale) != NUM_OK ||
        num_convert(count, scale, f->type->unit.scale, &quanta) != NUM_OK ||
        num_narrow(quanta, &f->overdraft) != NUM_OK) {
        compile_fail(x->c, token, "this amount is finer than %.*s is measured, or too large",
                     BYTES_ARG(f->type->measure->name));
    }
}

static void parse_account(struct parser *x, struct declarations *d)
{
    struct family *f = compile_new(x->c, 1, sizeof *f);
    f->token = x->at;
    f->name = parse_small_name(x, "an account");
    declare(x, d, f->name, f->token);
    if (token_is(parse_peek(x), "[")) {
        f->keys = parse_fields(x, "[", "]", &f->key_count);
    }
    parse_expect(x, ":", "then the measure");
    uint32_t token = x->at;
    f->type = parse_type(x);
    if (f->type->kind != TYPE_AMOUNT ||
        registry_of_dim(x->c->env->registry, &f->type->unit.dim) == NULL ||
        !num_scale_equal(registry_of_dim(x->c->env->registry, &f->type->unit.dim)->unit.scale,
                         f->type->unit.scale)) {
        compile_fail(x->c, token, "an account is kept in a measure of the ledger, e.g. EUR or Wh");
    }
    if (parse_take(x, "overdraft")) {
        parse_overdraft(x, f);
    }
    f->prefix = store_prefix(x, x->p->facts.contract, 0, f->name);
    f->issuance = store_prefix(x, x->p->facts.contract, 1, f->name);
    f->index = (uint32_t)d->families.count;
    compile_push(x->c, &d->families, f);
}

static void parse_signers(struct parser *x, struct event *e)
{
    parse_expect(x, "signed", "then who signs the event");
    parse_expect(x, "by", "then who signs the event");
    if (token_is(parse_peek(x), "anyone") && token_is(parse_ahead(x, 1), "as")) {
        x->at += 2;
        e->signed_by = SIGNED_BY_ANYONE;
        e->signer_tokens = compile_new(x->c, 1, sizeof *e->signer_tokens);
        e->signer_tokens[0] = x->at;
        e->who = parse_small_name(x, "a variable");
    } else if (parse_take(x, "clock")) {
        e->signed_by = SIGNED_BY_CLOCK;
    } else {
        e->signers = compile_new(x->c, RULES_SIGNERS_MAX, sizeof *e->signers);
        e->signer_tokens = compile_new(x->c, RULES_SIGNERS_MAX, sizeof *e->signer_tokens);
        do {
            if (e->signer_count == RULES_SIGNERS_MAX) {
                compile_fail(x->c, x->at, "at most %d parties sign an event", RULES_SIGNERS_MAX);
            }
            e->signer_tokens[e->signer_count] = x->at;
            e->signers[e->signer_count++] = parse_small_name(x, "a party");
        } while (parse_take(x, "and"));
    }
    if (e->signed_by != SIGNED_BY_CLOCK || token_is(parse_peek(x), "dated")) {
        parse_expect(x, "dated",
                     "then the day whose law applies: dated day(now, \"Europe/Paris\")");
        e->dated = parse_expr(x);
    }
}

static void parse_event(struct parser *x, struct declarations *d)
{
    struct event *e = compile_new(x->c, 1, sizeof *e);
    e->token = x->at;
    e->name = parse_small_name(x, "an event");
    check_new(x, e->name, e->token, &d->events);
    if (d->events.count == RULES_FIELDS_MAX) {
        compile_fail(x->c, e->token, "at most %d events", RULES_FIELDS_MAX);
    }
    e->args = parse_fields(x, "(", ")", &e->arg_count);
    if (e->arg_count > RULES_ARGS_MAX) {
        compile_fail(x->c, e->token, "an event has at most %d arguments", RULES_ARGS_MAX);
    }
    parse_signers(x, e);
    x->clause = bytes_text("0");
    e->body = parse_block(x);
    e->index = (uint32_t)d->events.count;
    compile_push(x->c, &d->events, e);
}

static void parse_declaration(struct parser *x, struct declarations *d)
{
    if (parse_take(x, "measure")) {
        parse_measure(x, d);
    } else if (parse_take(x, "party")) {
        parse_party(x, d);
    } else if (parse_take(x, "term")) {
        parse_term(x, d);
    } else if (parse_take(x, "record")) {
        parse_record(x, d);
    } else if (parse_take(x, "table")) {
        parse_table(x, d, false);
    } else if (parse_take(x, "uses")) {
        parse_table(x, d, true);
    } else if (parse_take(x, "account")) {
        parse_account(x, d);
    } else if (parse_take(x, "on")) {
        parse_event(x, d);
    } else if (parse_take(x, "test")) {
        compile_push(x->c, &d->tests, parse_test(x));
    } else {
        compile_fail(x->c, x->at,
                     "a declaration is expected here: measure, party, term, record, "
                     "table, uses, account, on, test");
    }
}

static void parse_header(struct parser *x)
{
    struct rules_facts *f = &x->p->facts;
    parse_expect(x, "rules", "as the first word of a contract: rules 1");
    uint32_t token = x->at;
    if (parse_int(x, "the version of the language", INT64_MAX) != 1) {
        compile_fail(x->c, token, "only the language 'rules 1' is known here");
    }
    parse_expect(x, "contract", "then the name of the contract");
    f->contract = parse_qualified(x);
    parse_expect(x, "version", "then the number of the version");
    f->version = (int64_t)parse_int(x, "the number of the version", INT64_MAX);
    if (f->version == 0) {
        compile_fail(x->c, x->at - 1, "versions begin with 1");
    }
    parse_expect(x, "effective", "then the day from which it holds");
    f->effective = parse_date(x);
    if (parse_take(x, "replaces")) {
        f->replaces = (int64_t)parse_int(x, "the number of the version it replaces", INT64_MAX);
        if (f->replaces == 0 || f->replaces >= f->version) {
            compile_fail(x->c, x->at - 1, "a version replaces an earlier one");
        }
    }
    if (parse_peek(x)->kind == TOKEN_STRING) {
        parse_peek(x)->silent = true;
        f->title = parse_string(x, "the title");
    }
}

void parse_contract(struct compile *c)
{
    require(c->token_count > 0);
    struct parser x = {.c = c, .p = c->program};
    struct declarations d = {0};
    parse_header(&x);
    while (parse_peek(&x)->kind != TOKEN_END) {
        parse_declaration(&x, &d);
        publish(&x, &d);
    }
}
