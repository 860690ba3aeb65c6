/* A contract under test: events go in as JSON, the result of the last one is kept as JSON. Anything
 * unexpected fails the running cmocka test. */
#ifndef TESTS_VECTORS_CONTRACT_RUN_H
#define TESTS_VECTORS_CONTRACT_RUN_H

#include "tests/vectors/vectors.h"

struct contract_run {
    struct rules_registry *registry;
    struct rules_program *program;
    struct rules_run *run;
    json_t *result; /* of the last event; NULL after a given */
};

/* As if in force since the day "YYYY-MM-DD", NULL for the day in the text. */
void contract_run_open(struct contract_run *c, const char *path, const char *since);

void contract_run_close(struct contract_run *c);

/* Takes over the line, which must be well formed. */
void contract_run_feed(struct contract_run *c, json_t *line);

/* A row put there silently; takes over key and row. */
void contract_run_given(struct contract_run *c, const char *table, json_t *key, json_t *row);

/* The same for an account; takes over key. */
void contract_run_raise(struct contract_run *c, const char *family, json_t *key, int64_t cents);

/* The last event: was it accepted? Why was it not ("" if the contract does not say)? A fault fails
 * the test. */
bool contract_run_accepted(const struct contract_run *c);
const char *contract_run_why(const struct contract_run *c);

/* The value of a let in the trace of the last event, NULL if it was not reached. */
const json_t *contract_run_let(const struct contract_run *c, const char *name);

/* The fields of the row that the last event put into a table under a key, NULL if it put none.
 * Takes over key. */
const json_t *contract_run_row(const struct contract_run *c, const char *table, json_t *key);

/* "12.34 EUR" as 1234, and back; a value that is no such text fails the test. */
int64_t contract_run_cents(const json_t *amount);
json_t *contract_run_amount(int64_t cents, const char *unit);

#endif
