/* Contracts as a client needs them: the texts come from the ledger and are compiled here, so that
 * arguments are typed, amounts are exact and mistakes are found before anything is signed. */
#ifndef CLI_LAW_H
#define CLI_LAW_H

#include "cli/session.h"
#include "rules/rules.h"

enum { LAW_VERSIONS_MAX = 64 };

struct law {
    struct session *session;
    const char *name;
    struct rules_registry *registry; /* owned */
    struct rules_program *programs[LAW_VERSIONS_MAX]; /* owned; newest first */
    size_t count;
};

/* For option tables: which measures there are. */
#define REGISTRY_OPTION                                                                            \
    {                                                                                              \
        "registry", "FILE", "measures of the ledger; default EUR, Wh, h, g, pct, CIG", false       \
    }

/* The registry that --registry names, or the default one; the caller frees it. */
err law_registry(const struct given *g, struct rules_registry **ret,
                 struct errtext *reterr) ERR_MUST_USE;

/* Compiles a text file. NULL on failure: it was said why ("FILE:LINE:COLUMN: ..."). */
struct rules_program *law_compile_file(const char *path, const struct rules_registry *registry);

/* Fetches and compiles the latest version. DENIED: no such contract; TIMEOUT; INVALID. On failure
 * nothing is owned. */
err law_load(struct session *s, const char *contract, struct law *ret) ERR_MUST_USE;

/* Accepts an all-zero struct. */
void law_done(struct law *law);

/* One event in its typed form. */
struct law_event {
    struct bytes action, json; /* as given */
    bool has_legal;            /* set: the legal date was given, or does not depend on the clock */
    int32_t legal;
    struct bytes args;         /* an Args message, in the arena */
    struct rules_bound bound;  /* what the event may cost */
};

/* Types e->args from e->json by the version in force on its legal date, which is computed when
 * e->has_legal is not set. Fetches older versions if it must. INVALID with the path. */
err law_type_event(struct law *law, struct law_event *e, struct arena *a) ERR_MUST_USE;

/* The JSON text of `--arg NAME=VALUE` for that action: by the declared type, a bool, an int or a
 * list is JSON and everything else is a text. */
err law_args_json(struct law *law, struct bytes action, const struct given *g, struct arena *a,
                  struct bytes *ret) ERR_MUST_USE;

#endif
