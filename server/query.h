/* What the calls that read have in common: query.c decodes, waits until the read is linearizable
 * (or not, when the caller wants what this node has) and then serves; the kinds say how. */
#ifndef SERVER_QUERY_H
#define SERVER_QUERY_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "ledger/ledger.h"
#include "proto/service.h"
#include "server/refusal.h"

struct node;

/* One kind of query. decode and serve work on its request; serve writes the reply or fills in the
 * refusal; an err is the database's. */
struct query_kind {
    const char *path;
    err (*decode)(struct bytes wire, struct arena *a, void **ret, bool *ret_local,
                  struct errtext *reterr);
    err (*serve)(struct node *n, const void *request, struct arena *a, struct buf *reply,
                 struct refusal *no, struct errtext *reterr);
};

/* A decode function for the message of that name, which has a field `local`. */
#define QUERY_DECODE(name)                                                                         \
    static err decode_##name(struct bytes wire, struct arena *a, void **ret, bool *ret_local,      \
                             struct errtext *reterr)                                               \
    {                                                                                              \
        struct name *request;                                                                      \
        err e = name##_decode(wire, a, &request, reterr);                                          \
        if (!failed(e)) {                                                                          \
            *ret = request;                                                                        \
            *ret_local = request->local;                                                           \
        }                                                                                          \
        return e;                                                                                  \
    }

/* The state that an answer speaks of. */
void query_at(const struct node *n, struct at *ret);

/* NOT_FOUND, INVALID and LIMIT of the ledger are refusals; the rest is a broken database. */
err query_or_refuse(err e, struct refusal *no, const struct errtext *why) ERR_MUST_USE;

/* The one answer to a request, in the arena; or the refusal: it is not recorded, or was void. An
 * err is the database's. */
err query_answer(const struct node *n, const struct ledger_request_id *request, struct arena *a,
                 struct ledger_answer *ret, struct refusal *no,
                 struct errtext *reterr) ERR_MUST_USE;

/* The kinds of receipts.c. */
extern const struct query_kind RECEIPT_KINDS[];
extern const size_t RECEIPT_KIND_COUNT;

/* That of statement.c. */
extern const struct query_kind STATEMENT_KIND;

/* The kinds of archive.c. */
extern const struct query_kind ARCHIVE_KINDS[];
extern const size_t ARCHIVE_KIND_COUNT;

#endif
