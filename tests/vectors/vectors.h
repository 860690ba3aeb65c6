/* Expected results as data: one cmocka test per case, named by its id, so that a failing case says
 * which it is. The number of cases is given by the test: a file that lost some fails too. */
#ifndef TESTS_VECTORS_VECTORS_H
#define TESTS_VECTORS_VECTORS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "rules/num.h"

enum { VECTORS_CASES_MAX = 256 };

/* Runs check for each of the `count` cases of a JSON file; *state is the case (json_t *). Returns
 * main's exit code. */
int vectors_run_json(const char *path, size_t count, CMUnitTestFunction check);

/* The same for the lines of a CSV file after its head; *state is a line (char *, writable). */
int vectors_run_csv(const char *path, size_t count, CMUnitTestFunction check);

/* Fails the test, printing both, unless the values are equal. Takes over `got`. */
void vectors_expect(json_t *got, const json_t *want);

/* A member that must be there. */
json_t *vectors_get(const json_t *object, const char *name);
int64_t vectors_int(const json_t *object, const char *name);
const char *vectors_text(const json_t *object, const char *name);

/* A whole number that must fit, and a list of them. */
json_t *vectors_integer(int128 v);
json_t *vectors_integers(const int128 *v, size_t count);

/* Reads a list of integers into room for count_max; returns how many there are. */
size_t vectors_list(const json_t *list, int128 *ret, size_t count_max);

#endif
