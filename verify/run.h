/* The commands of concordat-verify: files in, a report and an exit code out. `concordat receipt
 * verify` and its siblings are the same functions. */
#ifndef VERIFY_RUN_H
#define VERIFY_RUN_H

#include <stdbool.h>
#include <stddef.h>

enum verify_code {
    VERIFY_PROVED = 0,
    VERIFY_NOT_PROVED = 1, /* the reason is on standard error; with --json on standard output */
    VERIFY_USAGE = 2,      /* a file cannot be read, or an option does not make sense */
};

enum { VERIFY_KEYS_MAX = 8 };

/* What is asked: names of files and texts of options, NULL when absent. */
struct verify_ask {
    const char *file, *policy;
    bool unsealed; /* any C2SP policy will do */
    bool json;
    const char *request, *outcome, *effects, *trace, *salt; /* of a receipt */
    const char *keys[VERIFY_KEYS_MAX];                      /* "ed25519:..." */
    size_t key_count;
    const char *from, *to; /* of a statement: a position, or a day in UTC */
    const char *old;       /* of a consistency proof: the older checkpoint or receipt */
};

int verify_run_receipt(const struct verify_ask *ask);
/* Shows what a receipt claims, without policy, and says that nothing was checked. */
int verify_run_show(const struct verify_ask *ask);

int verify_run_statement(const struct verify_ask *ask);
int verify_run_consistency(const struct verify_ask *ask);

#endif
