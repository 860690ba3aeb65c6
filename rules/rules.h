/* Rules 1, the contract language (docs/RULES.md): one text with numbered clauses becomes a program;
 * a program, an event and a snapshot become an outcome, effects and a trace, the same bytes on
 * every node. Nothing here reads a clock, a random source, the locale or a float, and nothing is
 * global.
 *
 * Glossary
 *   program   a compiled contract version; immutable, may be shared between threads
 *   event     a named action with arguments, signers and a time
 *   store     how the host lets a program read the state; all reads are on one snapshot
 *   effects   what an accepted event changes; the host applies them, all or none
 *   legal date  the day that says which version of the contract and which term values apply
 *   quanta    the int64 count in which amounts of a measure are kept (EUR to 0.01: cents)
 *   day       days since 1970-01-01, in the proleptic Gregorian calendar, years 1 to 9999
 *
 * Stored keys (all in order of their octets)
 *   row       contract 00 table 00 components
 *   account   contract 00 family 00 components
 *   issuance  contract 01 family 00            what `issue` debits and `retire` credits
 *   component int, duration: 8 bytes big-endian, sign bit flipped; date: 4 likewise;
 *             timestamp: 8 likewise (seconds) and 4 (nanoseconds); bool: 1;
 *             string, bytes, party: octets with 00 written 00 FF, closed by 00 00
 * A stored row is its non-key fields in declared order, each 01 and value or 00 if absent: the
 * forms above, but strings and bytes as u32 length and octets, amounts as int, records inline,
 * lists as u32 count and items. Fields that a later version appended read as absent when the row
 * ends early. Table and family names of one contract are distinct, so rows and accounts never share
 * a key.
 *
 * Recipe for a host that keeps several versions of a contract (sections 8.2 and 11.3 of the
 * language)
 *   1. no such contract:  rules_refuse(ev, "contract: 'NAME' is not known", arena, out)
 *   2. legal date missing: rules_refuse(ev, "legal_date: missing", arena, out), or let the event
 *      carry the host's default day; ev->has_legal must be true in a ledger.
 *   3. p = rules_pick(versions, count, ev->legal); NULL:
 *      rules_refuse(ev, "legal_date: no version in force on DATE", arena, out)
 *   4. rules_apply(p, ev, store, arena, out): it evaluates the version's own `dated` expression and
 *      rejects by 0.3 if that is another day.
 *   5. rules_digest(sha256, digest, ev->hash, p ? rules_program_facts(p)->text_hash : zeros, out)
 *   6. out->end == RULES_ACCEPTED: apply postings, rows and schedules in one batch.
 * Timers: before an entry stamped s is applied, fire all timers with at <= s in order of (at, log
 * index, ordinal), at most RULES_TIMERS_MAX; each is an event with .timer = true, .now = at, .legal
 * = the schedule's legal date (which picks the version), .args and .hash as in struct
 * rules_schedule. If more were due, set .timers_due on the entry's own events: they are rejected by
 * 0.6. */
#ifndef RULES_RULES_H
#define RULES_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

enum { RULES_HASH_SIZE = 32, RULES_TIMERS_MAX = 64 };

/* SHA-256, lent by the host because this folder stands beside the one that has it. Any thread. */
typedef void rules_sha256(const void *data, size_t size, uint8_t digest[RULES_HASH_SIZE]);

/* ---- the registry of measures: one per ledger, fixed in genesis, only ever extended ---- */

struct rules_registry;

struct rules_measure {
    const char *unit;                  /* "EUR"; lives as long as the registry */
    uint64_t quantum_num, quantum_den; /* one quantum, in that unit, in lowest terms: 1/100 */
    uint8_t decimals;                  /* shown after the point: 2 */
};

/* Parses lines `measure UNIT to NUMBER` (comments and empty lines allowed; at most one per
 * dimension and 256 lines). On success *ret is the caller's, freed by rules_registry_free. INVALID
 * or LIMIT, with line and reason. */
err rules_registry_parse(struct bytes text, struct rules_registry **ret,
                         struct errtext *reterr) ERR_MUST_USE;

/* The registry that standalone tools use: EUR, Wh, h, g, pct and CIG. The caller frees it. */
struct rules_registry *rules_registry_default(void);

/* Accepts NULL. No program compiled with it may be used afterwards. */
void rules_registry_free(struct rules_registry *registry);

size_t rules_registry_count(const struct rules_registry *registry);

/* index < rules_registry_count(). */
struct rules_measure rules_registry_at(const struct rules_registry *registry, size_t index);

/* The measure of a unit text such as "EUR", or false. */
bool rules_registry_find(const struct rules_registry *registry, struct bytes unit,
                         struct rules_measure *ret);

/* Appends "-7.85 EUR". */
void rules_amount_print(struct rules_measure measure, int64_t quanta, struct buf *out);

/* ---- compiling ---- */

struct rules_env {
    const struct rules_registry *registry; /* must outlive every program */
    rules_sha256 *sha256;
};

struct rules_diag {
    uint32_t line, column; /* from 1; the column counts code points */
    char message[256];
    char source[256]; /* the line, cut if it is longer */
};

struct rules_program;

/* Compiles one contract text. On success *ret is the caller's, freed by rules_program_free; the
 * text is copied. INVALID: *reterr says where and why, in words of the domain; LIMIT likewise.
 * Tests in the text are compiled too but run only by rules_test_run. Any thread. */
err rules_compile(const struct rules_env *env, struct bytes text, struct rules_program **ret,
                  struct rules_diag *reterr) ERR_MUST_USE;

/* Accepts NULL. */
void rules_program_free(struct rules_program *program);

/* Appends "FILE:LINE:COLUMN: message", the source line and a caret, each ended by a line feed. */
void rules_diag_print(const struct rules_diag *diag, const char *file, struct buf *out);

struct rules_facts {
    struct bytes contract;              /* "solar.roquefort" */
    struct bytes title;                 /* empty if none */
    int64_t version, replaces;          /* replaces 0: none */
    int32_t effective;                  /* day */
    struct bytes text;                  /* the whole contract text */
    uint8_t text_hash[RULES_HASH_SIZE]; /* of the text: what is voted */
    uint8_t code_hash[RULES_HASH_SIZE]; /* of its tokens: equal if only wording or layout changed */
    size_t event_count, table_count, family_count, test_count;
    bool schedules; /* some event schedules a timer */
};

/* Views live as long as the program. */
const struct rules_facts *rules_program_facts(const struct rules_program *program);

/* Static bounds of one event: no run exceeds them (section 12). */
struct rules_bound {
    int64_t steps, effects, bytes, arena;
};

struct rules_event_facts {
    struct bytes name;
    bool clock;          /* only a timer may do it */
    bool anyone;         /* exactly one signer, whoever it is */
    size_t signer_count; /* parties that must sign; 0 for clock and anyone */
    const struct bytes *signers;
    size_t arg_count;
    struct rules_bound bound;
    struct bytes signature; /* "admit(meter: party, price?: EUR/kWh)" for people */
};

/* index < facts.event_count. Views live as long as the program. */
const struct rules_event_facts *rules_program_event(const struct rules_program *program,
                                                    size_t index);

/* The event of that name, or NULL. */
const struct rules_event_facts *rules_program_event_find(const struct rules_program *program,
                                                         struct bytes name);

struct rules_table_facts {
    struct bytes name;
    struct bytes owner; /* contract whose rows they are: another one for a `uses` table */
    size_t key_count, field_count; /* fields without the keys */
    int64_t max;                   /* rows per first key; 0: not declared */
    struct bytes signature;        /* "supply [period: date, ...] max 3000 {energy: Wh}" */
};

const struct rules_table_facts *rules_program_table(const struct rules_program *program,
                                                    size_t index);

struct rules_family_facts {
    struct bytes name;
    size_t key_count;
    struct rules_measure measure;
    bool unlimited;    /* no lower limit */
    int64_t overdraft; /* quanta, if not unlimited */
};

const struct rules_family_facts *rules_program_family(const struct rules_program *program,
                                                      size_t index);

/* The version in force on a day: the latest effective date not after it; equal dates: the higher
 * version. NULL if none. The versions may be in any order. */
const struct rules_program *rules_pick(const struct rules_program *const *versions, size_t count,
                                       int32_t day);

/* May `next` follow `last` (the highest version so far)? Same name, higher version, `replaces`
 * naming it; no key, field type, family changed or dropped, no `max` lowered, new fields optional
 * and last in their table. INVALID with the reason. */
err rules_successor_check(const struct rules_program *last, const struct rules_program *next,
                          struct errtext *reterr) ERR_MUST_USE;

/* Do all `uses` tables of `user` that name `owner`'s contract agree with it? INVALID with the
 * reason. */
err rules_uses_check(const struct rules_program *user, const struct rules_program *owner,
                     struct errtext *reterr) ERR_MUST_USE;

/* ---- applying one event ---- */

struct rules_time {
    int64_t seconds; /* since 1970-01-01T00:00:00Z */
    uint32_t nanos;  /* below 1,000,000,000 */
};

struct rules_time rules_time_of_ns(uint64_t unix_ns);
/* False if it does not fit (before 1970 or after 2554). */
bool rules_time_to_ns(struct rules_time time, uint64_t *ret_ns);

struct raw; /* private */

struct rules_event {
    struct bytes name;           /* "metering", without the contract */
    const struct bytes *signers; /* parties that signed, as they stand */
    size_t signer_count;
    struct rules_time now;
    bool has_legal;                /* false: computed by the contract alone (tools) */
    int32_t legal;                 /* day */
    struct bytes args;             /* Args message (rules.proto); not needed to be canonical */
    uint8_t hash[RULES_HASH_SIZE]; /* event hash; only rules_digest uses it, the host passes it */
    bool timer;                    /* fired by the ledger, not signed by anybody */
    bool timers_due;               /* more timers were due than may fire: rejected by 0.6 */
    uint64_t timers_waiting;       /* of this contract, the firing one not counted */
    const struct raw *parsed;      /* instead of args, inside this folder only; NULL elsewhere */
};

/* Reads of the state before the event; effects of the event itself are laid over them inside. Views
 * that a function returns stay valid until the next call of any function of the store. All must
 * answer for keys of other contracts too (`uses`). A store that cannot answer stops the node. */
struct rules_store {
    void *ctx;
    /* The row of a full key, or false. */
    bool (*get)(void *ctx, struct bytes key, struct bytes *ret_row);
    /* The greatest key that begins with prefix and is not above key, or false. */
    bool (*seek_at_most)(void *ctx, struct bytes prefix, struct bytes key, struct bytes *ret_key,
                         struct bytes *ret_row);
    /* Calls on_row for every key that begins with prefix, in key order, until it answers false. The
     * views are valid during the call; on_row calls no function of the store. */
    void (*scan)(void *ctx, struct bytes prefix, void *to,
                 bool (*on_row)(void *to, struct bytes key, struct bytes row));
    /* Number of rows whose key begins with prefix (contract 00 table 00 first component). */
    uint64_t (*count)(void *ctx, struct bytes prefix);
    /* Quanta on an account or issuance account; 0 if it was never touched. */
    int64_t (*balance)(void *ctx, struct bytes account);
    /* The newest program of the contract that owns a `uses` table, whose row layout counts; NULL
     * (or a NULL function) says that rows have the layout which the user declared (tools and
     * tests). */
    const struct rules_program *(*owner)(void *ctx, struct bytes contract);
};

enum rules_end { RULES_ACCEPTED = 1, RULES_REJECTED = 2, RULES_FAULT = 3 };

enum rules_fault {
    RULES_FAULT_NONE,
    RULES_FAULT_OVERFLOW,
    RULES_FAULT_DIVIDE,
    RULES_FAULT_ROW,
    RULES_FAULT_ITEM,
    RULES_FAULT_RANGE,
    RULES_FAULT_FORM,
    RULES_FAULT_NEGATIVE,
    RULES_FAULT_WEIGHTS,
    RULES_FAULT_TERM,
    RULES_FAULT_CIVIL,
};

/* "overflow", ...; "" for NONE. */
const char *rules_fault_name(enum rules_fault fault);

enum rules_posting_kind { RULES_TRANSFER, RULES_ISSUE, RULES_RETIRE };

struct rules_posting {
    enum rules_posting_kind kind;
    struct bytes debit, credit; /* account keys; the issuance account for issue and retire */
    int64_t quanta;             /* above zero */
    size_t debit_family, credit_family; /* index in the program */
    const char *unit;                   /* "EUR" */
    struct bytes clause;                /* "4" */
    uint32_t line;
};

struct rules_row_change {
    bool removed;
    struct bytes key, row; /* row is empty if removed */
    size_t table;          /* index in the program */
    uint32_t line;
};

struct rules_schedule {
    struct rules_time at;
    struct bytes event;
    struct bytes args; /* Args message */
    int32_t legal;     /* day under which the timer will run */
    uint32_t ordinal;  /* counts executed schedule statements of the event, from 0 */
    struct bytes clause;
    uint32_t line;
    uint8_t hash[RULES_HASH_SIZE]; /* event hash of the timer: of the effect's JSON */
};

struct rules_emit {
    struct bytes name;
    struct bytes json; /* the record, canonical */
    struct bytes clause;
    uint32_t line;
};

struct rules_out {
    enum rules_end end;
    int64_t version;     /* 0 if no version was found */
    struct bytes clause; /* "2", "0.1"; for rejected and fault; empty for accepted */
    uint32_t line;
    struct bytes why;       /* rejected only */
    enum rules_fault fault; /* fault only */
    int64_t spent;          /* steps */
    bool has_legal;
    int32_t legal;
    /* Effects of an accepted event; all counts are 0 for the others. */
    const struct rules_posting *postings; /* in order of execution */
    size_t posting_count;
    const struct rules_row_change *rows; /* net, by table as declared, then key */
    size_t row_count;
    const struct rules_schedule *schedules;
    size_t schedule_count;
    const struct rules_emit *emits;
    size_t emit_count;
    /* Canonical JSON (section 13): the bytes that nodes agree on. */
    struct bytes outcome, effects, trace;
};

/* Evaluates one event; total: it always ends with one of the three ends. Everything in *ret lives
 * in the arena, which the caller owns and which must allow RULES_APPLY_ARENA_MAX (limits.h). Any
 * thread; the store is called from this one. */
void rules_apply(const struct rules_program *program, const struct rules_event *event,
                 const struct rules_store *store, struct arena *arena, struct rules_out *ret);

/* The 0.1 rejection for an event that finds no program: version 0, legal null, the given reason. */
void rules_refuse(const struct rules_event *event, const char *why, struct arena *arena,
                  struct rules_out *ret);

/* digest = SHA-256("rules 1\n" || digest || event_hash || text_hash || SHA-256(outcome) ||
 * SHA-256(effects) || SHA-256(trace)); before the first event digest is 32 zero bytes. */
void rules_digest(rules_sha256 *sha256, uint8_t digest[RULES_HASH_SIZE],
                  const uint8_t event_hash[RULES_HASH_SIZE],
                  const uint8_t text_hash[RULES_HASH_SIZE], const struct rules_out *out);

/* The day of a text YYYY-MM-DD, and the text of a day (11 bytes with NUL). False: no such day. */
bool rules_day_parse(struct bytes text, int32_t *ret_day);
void rules_day_print(int32_t day, char text[11]);

/* The civil day of an instant in a zone of the language ("Europe/Paris"); false: unknown zone or a
 * year before 1997 in a European one. */
bool rules_day_in_zone(struct rules_time time, const char *zone, int32_t *ret_day);

/* ---- keys, rows and amounts for queries ---- */

/* Appends the key of an account written `wallet[c01]`, `avail[anna, 2026]` or `fund`: components
 * are bare or quoted texts. INVALID with the reason. */
err rules_account_key(const struct rules_program *program, struct bytes text, struct buf *ret_key,
                      size_t *ret_family, struct errtext *reterr) ERR_MUST_USE;

/* Appends the key prefix of rows written `supply`, `supply[2026-07-01]` or with all keys. */
err rules_row_prefix(const struct rules_program *program, struct bytes text, struct buf *ret_prefix,
                     size_t *ret_table, struct errtext *reterr) ERR_MUST_USE;

/* Appends `wallet[c01]` for an account key of this contract, `wallet (issued)` for an issuance
 * account; gives the family. INVALID for another key. */
err rules_account_print(const struct rules_program *program, struct bytes key, struct buf *out,
                        size_t *ret_family) ERR_MUST_USE;

/* Appends the canonical JSON array of the key components of an account or row key: ["c01"]. */
err rules_key_print(const struct rules_program *program, struct bytes key,
                    struct buf *out) ERR_MUST_USE;

/* Appends the canonical JSON object of a stored row, without its keys: {"energy":"0.001 Wh"}. */
err rules_row_print(const struct rules_program *program, size_t table, struct bytes row,
                    struct buf *out) ERR_MUST_USE;

/* ---- the Args message: reader and writer ---- */

enum rules_arg_kind {
    RULES_ARG_NONE, /* a Value without a kind, or one this reader does not open (list, record) */
    RULES_ARG_BOOL,
    RULES_ARG_INT,
    RULES_ARG_TEXT,
    RULES_ARG_OCTETS,
    RULES_ARG_DATE,
};

struct rules_arg {
    struct bytes name;
    enum rules_arg_kind kind;
    bool truth;
    int64_t number;     /* INT */
    int32_t day;        /* DATE */
    struct bytes bytes; /* TEXT (valid UTF-8), OCTETS: views into the message */
};

/* Reads a flat Args message: call with *at = 0 until *ret_more is false. INVALID: malformed. Used
 * by the host for its own governance actions; contracts' events are decoded by rules_apply. */
err rules_args_next(struct bytes args, size_t *at, struct rules_arg *ret,
                    bool *ret_more) ERR_MUST_USE;

/* Appends one field to an Args message. */
void rules_args_put_text(struct buf *args, const char *name, struct bytes text);
void rules_args_put_octets(struct buf *args, const char *name, struct bytes octets);
void rules_args_put_int(struct buf *args, const char *name, int64_t number);
void rules_args_put_date(struct buf *args, const char *name, int32_t day);
void rules_args_put_bool(struct buf *args, const char *name, bool truth);

/* Turns the JSON form of arguments (section 11.2) into an Args message, checked against the event's
 * declared fields. INVALID with the path and reason (as a 0.1 rejection would say) or malformed
 * JSON. */
err rules_args_from_json(const struct rules_program *program, struct bytes event, struct bytes json,
                         struct buf *ret_args, struct errtext *reterr) ERR_MUST_USE;

/* ---- tests in the text, and streams of events against an own state ---- */

struct rules_test_result {
    struct bytes name; /* view into the program */
    bool passed;
    uint32_t checks;   /* `then` steps that held */
    uint32_t line;     /* of the step that failed */
    char message[512]; /* why it failed */
};

/* Runs test `index` of the program (index < facts.test_count) from the empty state. */
void rules_test_run(const struct rules_program *program, size_t index,
                    struct rules_test_result *ret);

struct rules_run;

/* A run of one program over JSON lines, from the empty state and digest_0 (section 18). */
struct rules_run *rules_run_new(const struct rules_program *program);
void rules_run_free(struct rules_run *run);

/* Takes one input line without its line feed (an empty one is skipped) and appends the result lines
 * it causes to out. INVALID: malformed, with the reason; the run must then end. */
err rules_run_line(struct rules_run *run, struct bytes line, struct buf *out,
                   struct errtext *reterr) ERR_MUST_USE;

/* Appends the lines of `rules check`: one for the contract and one per event. */
void rules_check_print(const struct rules_program *program, struct buf *out);

#endif
