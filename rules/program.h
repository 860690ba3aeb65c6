/* A contract in memory: declarations, statements and expressions. The parser builds it, the checker
 * completes it (fields marked "checked"), the evaluator walks it. Nothing changes it afterwards.
 * Everything lies in the program's arena. */
#ifndef RULES_PROGRAM_H
#define RULES_PROGRAM_H

#include "rules/civil.h"
#include "rules/lex.h"
#include "rules/unit.h"
#include "rules/value.h"

/* ---- expressions ---- */

enum node_kind {
    /* as parsed only */
    NODE_NAME,  /* name */
    NODE_DOT,   /* a.name */
    NODE_INDEX, /* a[items], the last one after <= if at_most */
    NODE_APPLY, /* name(items), or a.name(items) */
    /* literals: constant */
    NODE_LITERAL,
    /* reads */
    NODE_SLOT, /* argument, signer, let, loop variable */
    NODE_NOW,
    NODE_TERM,      /* ref.term, at the legal date or at date a */
    NODE_FIELD,     /* a, index */
    NODE_ITEM,      /* a[b] of a list */
    NODE_ROW,       /* ref.table[items] */
    NODE_SEEK,      /* ref.table[items, <= last] */
    NODE_SCAN,      /* ref.table[items], fewer than it has keys */
    NODE_TALLY,     /* ref.tally[items] */
    NODE_BALANCE,   /* ref.family[items] */
    NODE_HAS_ROW,   /* a is NODE_ROW or NODE_SEEK; the two are one node */
    NODE_HAS_FIELD, /* a, index */
    NODE_HAS_SLOT,
    NODE_IN_TABLE, /* a in ref.table */
    NODE_IN_LIST,  /* a in b */
    /* operators on a and b */
    NODE_NOT,
    NODE_NEGATE,
    NODE_ADD,
    NODE_SUBTRACT,
    NODE_MULTIPLY,
    NODE_DIVIDE,
    NODE_MODULO,
    NODE_EQ,
    NODE_NE,
    NODE_LT,
    NODE_LE,
    NODE_GT,
    NODE_GE,
    NODE_IN, /* as parsed only */
    NODE_AND,
    NODE_OR,
    NODE_COND, /* a ? b : c */
    /* makers */
    NODE_LIST,    /* items */
    NODE_RECORD,  /* items with names; checked: order */
    NODE_ROUND,   /* a to type, mode */
    NODE_CALL,    /* ref.builtin(items) */
    NODE_MACRO,   /* ref.macro over a: slot, b, c */
    NODE_CONVERT, /* a times factor_a */
};

enum macro { MACRO_ALL, MACRO_EXISTS, MACRO_EXISTS_ONE, MACRO_FILTER, MACRO_MAP, MACRO_SUM };

struct builtin;

struct node {
    enum node_kind kind;
    uint32_t token;          /* where errors about it point */
    const struct type *type; /* checked */
    struct node *a, *b, *c;
    struct node **items;
    uint32_t count;        /* of items */
    uint32_t depth;        /* of the tree under it, for the limit */
    struct bytes name;     /* NAME, DOT, APPLY, RECORD; macro variable in `names[0]` */
    struct bytes *names;   /* RECORD: field names as written */
    uint32_t *order;       /* RECORD, checked: index of each written field */
    bool at_most;          /* INDEX */
    bool in_parens;        /* written in parentheses: its minus was not folded */
    uint32_t slot;         /* SLOT, HAS_SLOT, MACRO */
    uint32_t index;        /* FIELD, HAS_FIELD */
    struct value constant; /* LITERAL */
    enum num_mode mode;    /* ROUND */
    int128 factor_a,
        factor_b;            /* bring operands to one scale: ADD, SUBTRACT, comparisons; CONVERT */
    struct num_ratio factor; /* ROUND: scale / quantum */
    struct type_syntax *type_named; /* ROUND, as parsed */
    struct civil_zone zone;         /* CALL with a literal zone */
    uint32_t choice;                /* CALL: add_months' mode, a getter's part */
    union {
        const struct term *term;
        const struct table *table;
        const struct family *family;
        const struct tally *tally;
        const struct builtin *builtin;
        enum macro macro;
    } ref;
};

/* ---- statements ---- */

enum stmt_kind {
    STMT_CLAUSE,
    STMT_LET,     /* slot = value */
    STMT_REQUIRE, /* value else reason */
    STMT_IF,      /* value: body, other */
    STMT_FOR,     /* slot in value: body */
    STMT_TALLY,
    STMT_APPORTION, /* value over list as slot by weight giving share: body */
    STMT_CLEAR,     /* sides giving share at price: body (buyers), other (sellers) */
    STMT_TRANSFER,  /* value from, to */
    STMT_ISSUE,     /* value to */
    STMT_RETIRE,    /* value from */
    STMT_SET,       /* to = value: whole row or field */
    STMT_ADD,       /* value to place: row field or tally */
    STMT_REMOVE,    /* to */
    STMT_EMIT,      /* name value */
    STMT_SCHEDULE,  /* event(args) at when */
};

enum place_kind { PLACE_NONE, PLACE_ACCOUNT, PLACE_ROW, PLACE_FIELD, PLACE_TALLY };

struct place {
    enum place_kind kind; /* checked */
    uint32_t token;
    struct bytes name, field; /* field is empty if none */
    struct node **keys;
    uint32_t key_count;
    uint32_t index; /* checked: of the field among all fields of the row */
    union {
        const struct table *table;
        const struct family *family;
        const struct tally *tally;
    } ref;
};

struct block {
    struct stmt **at;
    size_t count;
};

struct side {
    struct node *list, *quantity, *price;
    uint32_t slot, name_token;
    struct bytes name;
};

struct stmt {
    enum stmt_kind kind;
    uint32_t token, line;
    struct bytes clause; /* under which it stands; "0" before the first */
    struct bytes name;   /* let, for, tally, emit, schedule, apportion: variable */
    uint32_t name_token;
    struct bytes reason; /* require */
    uint32_t slot, share_slot, price_slot;
    struct bytes share_name, price_name;
    struct node *value, *list, *weight, *when;
    struct block *body, *other;
    struct place from, to;
    struct tally *tally;  /* TALLY */
    struct side sides[2]; /* CLEAR: bids, offers */
    struct node **args;   /* SCHEDULE, as written */
    struct bytes *arg_names;
    uint32_t *arg_order; /* checked: index of each written argument */
    uint32_t arg_count;
    const struct event *event; /* SCHEDULE, checked */
};

/* ---- declarations ---- */

struct term {
    struct bytes name;
    uint32_t token;
    const struct type *type;
    struct term_value {
        struct node *expr;
        struct value value; /* checked: evaluated */
        int32_t from;       /* CIVIL_DAY_MIN if without date */
    } * values;
    size_t count;
};

/* Keys first, then fields; `row` is the type of a whole row. */
struct table {
    struct bytes name;
    uint32_t token, index;
    const struct type *row;
    uint32_t key_count;
    uint32_t max;       /* 0: none declared */
    struct bytes owner; /* contract */
    bool uses;
    struct bytes prefix; /* owner 00 name 00 */
    struct rules_table_facts facts;
};

struct family {
    struct bytes name;
    uint32_t token, index;
    struct field *keys;
    uint32_t key_count;
    const struct type *type; /* the amount */
    bool unlimited;
    int64_t overdraft;
    struct bytes prefix;   /* contract 00 name 00 */
    struct bytes issuance; /* contract 01 name 00 */
    struct rules_family_facts facts;
};

/* All tally statements of one event that declare one name with one shape share their sums. */
struct tally {
    struct bytes name;
    uint32_t index;
    struct field *keys;
    uint32_t key_count;
    const struct type *type;
};

enum signed_by { SIGNED_BY_PARTIES, SIGNED_BY_ANYONE, SIGNED_BY_CLOCK };

struct event {
    struct bytes name;
    uint32_t token, index;
    struct field *args;
    uint32_t arg_count; /* argument i is in slot i */
    enum signed_by signed_by;
    struct bytes *signers; /* PARTIES: names as declared, then (checked) the party texts */
    uint32_t *signer_tokens;
    uint32_t signer_count;
    struct bytes who; /* ANYONE */
    uint32_t who_slot;
    struct node *dated; /* NULL: clock without */
    struct block *body;
    uint32_t slot_count; /* checked */
    size_t key_size_max; /* checked: longest encoded key it can build */
    struct rules_event_facts facts;
};

enum step_kind { STEP_GIVEN, STEP_WHEN, STEP_THEN, STEP_WAIT };

struct step {
    enum step_kind kind;
    uint32_t token, line;
    struct place place; /* GIVEN */
    struct node *value; /* GIVEN, THEN, WAIT; WHEN: at, or NULL */
    struct bytes name;  /* WHEN: the event */
    uint32_t name_token;
    const struct event *event; /* checked */
    struct node **args;
    struct bytes *arg_names;
    uint32_t *arg_order;
    uint32_t arg_count;
    struct bytes *by;
    uint32_t by_count;
    struct bytes rejected; /* clause, or empty */
};

struct test {
    struct bytes name;
    struct step **steps;
    size_t count;
    uint32_t slot_count; /* checked: macro variables */
};

struct party {
    struct bytes name, text;
    uint32_t token;
};

struct record {
    struct bytes name;
    uint32_t token;
    const struct type *type;
};

struct rules_program {
    struct arena arena;
    const struct token *tokens; /* of the text; the last one is TOKEN_END */
    size_t token_count;
    struct rules_env env;
    struct rules_facts facts;
    struct measure **measures;
    size_t measure_count;
    struct party **parties;
    size_t party_count;
    struct term **terms;
    size_t term_count;
    struct record **records;
    size_t record_count;
    struct table **tables;
    size_t table_count;
    struct family **families;
    size_t family_count;
    struct event **events;
    size_t event_count;
    struct test **tests;
    size_t test_count;
};

/* Look-ups by name; NULL if there is none. */
const struct event *program_event(const struct rules_program *p, struct bytes name);
const struct table *program_table(const struct rules_program *p, struct bytes name);
const struct family *program_family(const struct rules_program *p, struct bytes name);
const struct measure *program_measure(const struct rules_program *p, const struct unit *unit);

#endif
