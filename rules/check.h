/* The checker: names, types, units, words and lengths, presence of optional fields, authority. It
 * completes the tree in place: every expression gets its type, every name its meaning, conversions
 * of amounts become nodes. What passes here cannot go wrong at run time except by the faults of
 * section 10. Recursion follows the tree, whose depth the parser limits. */
#ifndef RULES_CHECK_H
#define RULES_CHECK_H

#include "rules/compile.h"
#include "rules/program.h"

enum local_kind { LOCAL_VALUE, LOCAL_TALLY };

/* A name that an event binds. */
struct local {
    struct bytes name;
    struct local *outer;
    enum local_kind kind;
    uint32_t slot;
    const struct type *type;
    bool optional;
    struct tally *tally;
};

/* What authority asks of a slot: which arguments and whether the signer are in its value. */
struct slot_facts {
    uint64_t mentions; /* bit i: argument i; SLOT_WHO: the signer */
    int32_t path_of;   /* the argument of which it is a path, or -1 */
};
#define SLOT_WHO (UINT64_C(1) << 63)

/* "path is present". */
struct fact {
    const struct fact *next;
    struct bytes path;
    const struct node *node;
};

enum check_mode {
    CHECK_BODY,
    CHECK_DATED,       /* arguments, signer, now, tables */
    CHECK_CLOCK_DATED, /* arguments and now */
    CHECK_CONSTANT,    /* values of terms */
    CHECK_TEST,        /* strings stand for parties, optional fields may be read */
};

struct checker {
    struct compile *c;
    struct rules_program *p;
    struct event *event;
    enum check_mode mode;
    struct local *locals;
    const struct fact *facts;
    struct slot_facts *slots; /* RULES_SLOTS_MAX of them */
    uint32_t slot_count;
    uint64_t established;    /* authority: who is SLOT_WHO, bit a: argument a beside who */
    struct pointers tallies; /* of the event */
    size_t key_size_max;
    bool schedule_args; /* list literals may enter ordered places: input checks them */
};

/* The whole program. */
void check_program(struct compile *c);

/* ---- expressions: check_expr.c, check_ops.c, check_call.c ---- */

/* Checks n; want is the type of the place it goes to, or NULL. Returns the checked node. */
struct node *check_expr(struct checker *k, struct node *n, const struct type *want);

/* The same, and brings it into the place: conversions, lengths, words. */
struct node *check_into(struct checker *k, struct node *n, const struct type *want);
struct node *check_coerce(struct checker *k, struct node *n, const struct type *want);

/* The same for a condition. */
struct node *check_condition(struct checker *k, struct node *n);
struct node *check_operator(struct checker *k, struct node *n);
struct node *check_apply(struct checker *k, struct node *n);
struct node *check_record(struct checker *k, struct node *n, const struct type *type);
struct node *check_list(struct checker *k, struct node *n, const struct type *want);
struct node *check_round(struct checker *k, struct node *n);
void check_keys(struct checker *k, struct node **keys, uint32_t count, const struct field *fields,
                bool strict);

/* Brings both to the coarsest common scale (conversion nodes); for ?: */
const struct type *check_join(struct checker *k, uint32_t token, const struct type *a,
                              const struct type *b);
/* Converts an amount or int to a scale: folds literals, else a node; `always` also for factor 1. */
struct node *check_convert(struct checker *k, struct node *n, const struct type *to, bool always);

/* No text may stand for a party (rule A3). */
void check_party(struct checker *k, const struct node *n);

/* No ratio may stand here. */
void check_no_ratio(struct checker *k, const struct node *n);

struct type *check_new_type(struct checker *k, enum type_kind kind);
const struct type *check_amount_type(struct checker *k, uint32_t token, const struct unit *unit);
/* For messages: the type in words. */
const char *check_type_text(struct checker *k, const struct type *t);
/* Unit of an amount or ratio; scale 1 for an int. */
struct unit check_unit(const struct type *t);

uint32_t check_new_slot(struct checker *k, uint32_t token, uint64_t mentions, int32_t path_of);
void check_name_free(struct checker *k, struct bytes name, uint32_t token);
struct local *check_bind(struct checker *k, struct bytes name, uint32_t token,
                         const struct type *type);
struct local *check_find_local(struct checker *k, struct bytes name);

/* ---- statements: check_stmt.c ---- */
void check_event_body(struct checker *k, struct event *e);
void check_place(struct checker *k, struct place *place);
void check_event_args(struct checker *k, const struct event *e, struct node **args,
                      const struct bytes *names, uint32_t *order, uint32_t count);

/* ---- presence: presence.c ---- */
struct bytes presence_path(struct checker *k, const struct node *n); /* size 0: no path */
bool presence_known(struct checker *k, const struct node *n);
/* Adds what holds when a condition is true (or false) to k->facts. */
void presence_assume(struct checker *k, const struct node *condition, bool truth);
/* Ends the knowledge about rows of a table. */
void presence_forget(struct checker *k, const struct table *table);
void presence_forget_writes(struct checker *k, const struct block *block);

/* ---- authority: authority.c ---- */
uint64_t authority_mentions(struct checker *k, const struct node *n);
int32_t authority_path_of(struct checker *k, const struct node *n);
void authority_assume(struct checker *k, const struct node *condition);
void authority_effect(struct checker *k, uint32_t token);
void authority_debit(struct checker *k, const struct place *from);

#endif
