/* The frame of every command: a table of options, which also is its --help; exit codes; and the
 * one way to say what went wrong. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Exit codes. `status` has its own: 0 well, 1 degraded, 2 no quorum. */
enum exit_code {
    EXIT_DONE = 0,
    EXIT_REFUSED = 1, /* refused or rejected by the ledger, or a check failed */
    EXIT_USAGE = 2,   /* wrong use, or a bad input file */
    EXIT_UNKNOWN = 3, /* no node answers, or the outcome is not known: run it again */
};

enum { OPTION_VALUES_MAX = 64, ARGUMENTS_MAX = 16 };

/* One option. With a placeholder it takes a value ("--key FILE" or "--key=FILE"). */
struct option {
    const char *name;        /* "key", without dashes */
    const char *placeholder; /* "FILE"; NULL: a switch */
    const char *help;
    bool repeats;
};

/* What stood on the command line. */
struct given {
    const struct command *command;
    const char *arguments[ARGUMENTS_MAX];
    size_t argument_count;
    struct {
        const struct option *option;
        const char *value;
    } values[OPTION_VALUES_MAX];
    size_t value_count;
    bool json;
};

struct command {
    const char *name;      /* "keygen party": one or two words */
    const char *arguments; /* "CONTRACT ACTION" for the usage line; "" if none */
    size_t arguments_min, arguments_max;
    const char *summary;
    const struct option *options; /* ended by a NULL name; --profile, --json, --help are added */
    const char *examples;
    int (*run)(const struct given *g);
};

/* All commands, ended by NULL. */
extern const struct command *const COMMANDS[];

/* The value of an option, or NULL; the last one counts. */
const char *given_value(const struct given *g, const char *name);

/* Whether a switch is there. */
bool given_has(const struct given *g, const char *name);

/* The i-th value of an option that repeats, or NULL. */
const char *given_each(const struct given *g, const char *name, size_t i);

/* A whole number between least and most, or the default when the option is not there. False: it
 * was said what is wrong. */
bool given_number(const struct given *g, const char *name, uint64_t least, uint64_t most,
                  uint64_t *number);

/* Parses and runs; returns the exit code. */
int command_main(int argc, char **argv);

/* "concordat: ..." on standard error; returns the code. */
int complain(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same for a failure: usage or bad input 2, no answer 3, everything else 1. */
int complain_err(err e, const struct errtext *why);

#endif
