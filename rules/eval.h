/* The evaluator: one machine runs one event. It walks the checked tree, charges steps, writes the
 * trace, and lays the event's own effects over the store. The first fault or rejection ends the
 * event: machine_fault and machine_reject jump to the frame of rules_apply; everything lies in the
 * caller's arena or in the machine's buffers, so a jump leaks nothing. Recursion follows the tree,
 * whose depth the parser limits. */
#ifndef RULES_EVAL_H
#define RULES_EVAL_H

#include <setjmp.h>

#include "base/limits.h"

#include "rules/program.h"
#include "rules/tree.h"

struct vector {
    void *at; /* in the arena */
    size_t count, capacity;
};

/* A row as the event sees it; key: u16 table index, components. */
struct row_entry {
    const struct table *table;
    struct bytes components;
    const struct value *before; /* all fields, keys first; NULL: no such row */
    const struct value *now;
    uint32_t line; /* of the last write */
    bool written;
};

/* key: u16 family index, components. */
struct account_entry {
    const struct family *family;
    const struct value *keys;
    struct bytes key; /* full, as stored */
    int64_t before, now;
};

struct issuance_entry {
    bool loaded;
    int64_t now;
};

struct tally_entry {
    int128 sum;
};

/* Rows under one first key. */
struct count_entry {
    int64_t count;
};

struct machine {
    const struct rules_program *p;
    const struct event *event;
    const struct rules_store *store;
    struct arena *arena;
    struct value *frame;
    struct civil_time now;
    bool has_legal;
    int32_t legal;
    uint64_t timers_waiting;
    int64_t spent;
    bool in_test; /* optional fields may be read; an absent one is a missing row */
    bool loose;   /* a tool's signer is no party name: bounds do not count it */
    /* where it stands */
    struct bytes clause;
    uint32_t line;
    /* overlay */
    struct tree rows, accounts, tallies, counts;
    struct issuance_entry *issuances; /* one per family */
    const struct type **layouts;      /* one per table: how its stored rows are written */
    struct buf key, full;             /* scratch */
    /* results */
    struct buf trace, effects;
    bool first_trace, first_effect;
    struct vector postings, changes, schedules, emits;
    enum rules_end end;
    enum rules_fault fault;
    struct bytes why;
    jmp_buf stop;
};

/* ---- ends ---- */
_Noreturn void machine_fault(struct machine *m, enum rules_fault fault);
/* Rejection by a rule of clause 0 at the present line (or, with line 0, after all). */
_Noreturn void machine_reject(struct machine *m, const char *clause, uint32_t line,
                              struct bytes why);
/* Turns the end of a function of num or civil into a fault; returns on NUM_OK. */
void machine_check(struct machine *m, enum num_end end);

static inline void machine_charge(struct machine *m, int64_t steps)
{
    m->spent += steps;
}

void *machine_push(struct machine *m, struct vector *v, size_t size);

/* ---- expressions: eval.c, eval_call.c ---- */
struct value eval(struct machine *m, const struct node *n);
struct value eval_macro(struct machine *m, const struct node *n);
struct value eval_call(struct machine *m, const struct node *n);
/* A condition, conjunct by conjunct, for the trace of a require. */
struct conjunct {
    uint32_t index;            /* of the one that failed */
    const struct node *failed; /* NULL: all held */
    struct value left, right;  /* of a comparison that failed */
};
bool eval_conjuncts(struct machine *m, const struct node *n, struct conjunct *ret);
/* 1 + floor(shorter / 16) */
int64_t eval_text_steps(size_t size);

/* ---- statements: exec.c ---- */
void exec_block(struct machine *m, const struct block *block);
/* Also used for postings and rows: exec_effect.c */
void exec_posting(struct machine *m, const struct stmt *s);
void exec_set(struct machine *m, const struct stmt *s);
void exec_add(struct machine *m, const struct stmt *s);
void exec_remove(struct machine *m, const struct stmt *s);
void exec_emit(struct machine *m, const struct stmt *s);
void exec_schedule(struct machine *m, const struct stmt *s);
void exec_apportion(struct machine *m, const struct stmt *s);
void exec_clear(struct machine *m, const struct stmt *s);

/* ---- the overlay: overlay.c ---- */
struct row_entry *overlay_row(struct machine *m, const struct table *t, const struct value *keys);
/* The row with the greatest last key not above keys[last], or NULL. */
struct row_entry *overlay_seek(struct machine *m, const struct table *t, const struct value *keys);
struct value overlay_scan(struct machine *m, const struct table *t, const struct value *keys,
                          uint32_t count);
/* Gives a row its new content (NULL: removed); rejects by 0.5 if the table is full. */
void overlay_write(struct machine *m, struct row_entry *e, const struct value *now);
struct account_entry *overlay_account(struct machine *m, const struct family *f,
                                      const struct value *keys);
struct issuance_entry *overlay_issuance(struct machine *m, const struct family *f);
struct tally_entry *overlay_tally(struct machine *m, const struct tally *t,
                                  const struct value *keys);

/* ---- trace: begins an entry [clause,line,kind ; the caller writes the rest and closes it ---- */
void trace_begin(struct machine *m, const char *kind);
void trace_end(struct machine *m);
void effect_begin(struct machine *m, const char *kind, bool with_clause, uint32_t line);
void effect_end(struct machine *m);

/* ---- the life of an event: apply.c ---- */
void machine_init(struct machine *m, const struct rules_program *p, const struct rules_store *store,
                  struct arena *arena);

#endif
