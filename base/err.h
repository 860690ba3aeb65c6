/* Errors of the outside world: input, I/O, peers. Three kinds are never blurred: an *outcome* is a
 * business answer that is replicated; an *err* is a must-use value; a *require* (require.h) is our
 * own bug or a broken disk, and dies.
 *
 * A function that can fail returns `err`; if a person may have to read the reason it also takes a
 * last parameter `struct errtext *reterr` (may be NULL), which is written only on failure. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>

/* code, name; numbers are never reused. */
#define ERR_CODES(X)                                                                               \
    X(OK, 0, "ok")                                                                                 \
    X(INVALID, 1, "invalid")         /* malformed or meaningless input */                          \
    X(LIMIT, 2, "limit")             /* larger than base/limits.h allows */                        \
    X(NOT_FOUND, 3, "not found")     /* no such thing */                                           \
    X(EXISTS, 4, "exists")           /* such a thing is there already */                           \
    X(IO, 5, "io")                   /* the operating system said no */                            \
    X(CORRUPT, 6, "corrupt")         /* stored bytes are not what was written */                   \
    X(FULL, 7, "full")               /* no room now: queue, disk */                                \
    X(AGAIN, 8, "again")             /* not now; the same call may succeed later */                \
    X(DENIED, 9, "denied")           /* identity, signature or authority is missing */             \
    X(UNSUPPORTED, 10, "unsupported") /* a version or feature we do not have */                    \
    X(CONFLICT, 11, "conflict")      /* contradicts what is recorded */                            \
    X(CANCELLED, 12, "cancelled")    /* given up before it was done */                             \
    X(TIMEOUT, 13, "timeout")        /* the deadline has passed */

enum err_code {
#define ERR_ENUM(name, number, text) ERR_##name = number,
    ERR_CODES(ERR_ENUM)
#undef ERR_ENUM
};

/* A struct, so that no int is ever mistaken for an error. */
typedef struct err {
    enum err_code code;
} err;

enum { ERR_TEXT_MAX = 512 };
struct errtext {
    char text[ERR_TEXT_MAX];
};

#define ERR_MUST_USE __attribute__((warn_unused_result))
#define ERR_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

static inline err err_ok(void)
{
    return (err){ERR_OK};
}

static inline bool err_is(err e, enum err_code code)
{
    return e.code == code;
}

static inline bool failed(err e)
{
    return e.code != ERR_OK;
}

/* Name of a code, for people: static text. */
const char *err_name(enum err_code code);

/* Writes the reason into reterr (may be NULL) and returns the code. */
err err_fail(struct errtext *reterr, enum err_code code, const char *fmt, ...) ERR_PRINTF(3, 4);

/* Puts "context: " before the reason that is already in reterr; returns e. */
err err_wrapf(struct errtext *reterr, err e, const char *fmt, ...) ERR_PRINTF(3, 4);

/* Returns from the caller on failure: for use before anything is owned. */
#define TRY(expr)                                                                                  \
    do {                                                                                           \
        err try_e_ = (expr);                                                                       \
        if (try_e_.code != ERR_OK) {                                                               \
            return try_e_;                                                                         \
        }                                                                                          \
    } while (0)

/* Sets e and jumps to the single clean-up label of the caller on failure. */
#define TRY_GOTO(e, label, expr)                                                                   \
    do {                                                                                           \
        (e) = (expr);                                                                              \
        if ((e).code != ERR_OK) {                                                                  \
            goto label;                                                                            \
        }                                                                                          \
    } while (0)

#endif
