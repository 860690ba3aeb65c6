/* Admission: the checks of a request before it may be proposed, on the last finished block. */
#include <stdio.h>

#include "base/require.h"
#include "ledger/record.h"
#include "ledger/state.h"

static void admit_refuse(struct ledger_admission *ret)
{
    ret->end = LEDGER_ADMIT_REFUSED;
    require(ret->refusal.reason != REASON_NONE);
}

static void admit_identify(const struct request *request, struct ledger_admission *ret)
{
    const struct body *body = &request->envelope->body;
    ret->on_behalf = body->on_behalf;
    memcpy(ret->request_id, body->request_id, sizeof(ret->request_id));
    memcpy(ret->request_hash, request->hash, sizeof(ret->request_hash));
    ret->governance = request->governance;
}

static void admit_accept(const struct request *request, struct ledger_admission *ret)
{
    ret->end = LEDGER_ADMIT_OK;
    ret->cost = request->cost;
    ret->check_count = request->signer_count;
    memcpy(ret->checks, request->checks, sizeof(ret->checks));
    static_assert(SIGNING_INPUT_SIZE <= sizeof(ret->message), "what is signed fits");
    request_signing_input(request->envelope->body_bytes, ret->message);
    ret->message_size = SIGNING_INPUT_SIZE;
}

/* The entry of an answered request; dies where the database cannot say, since "no" would let the
 * request in twice. */
static bool answered(const struct ledger *l, const struct body *body, struct request_entry *ret)
{
    struct ledger_request_id id = {.party = body->on_behalf};
    memcpy(id.id, body->request_id, sizeof(id.id));
    struct errtext why = {{0}};
    err e = request_entry_load(l, &id, ret, &why);
    if (failed(e) && !err_is(e, ERR_NOT_FOUND)) {
        die("state database: %s", why.text);
    }
    return !failed(e);
}

void ledger_admit(const struct ledger *l, struct bytes envelope, uint64_t now_ns, struct arena *a,
                  struct ledger_admission *ret)
{
    require(l != NULL);
    require(a != NULL);
    require(ret != NULL);
    memset(ret, 0, sizeof(*ret));
    struct request_input input = {envelope, next_height(l), now_ns};
    struct request request;
    if (request_decode(l, &input, a, &request, &ret->refusal) != REASON_NONE) {
        admit_refuse(ret);
        return;
    }
    admit_identify(&request, ret);
    struct request_entry entry = {0};
    bool known = answered(l, &request.envelope->body, &entry);
    if (known && memcmp(entry.hash, request.hash, sizeof(entry.hash)) == 0) {
        struct errtext why = {{0}};
        err e = answer_load(l, &entry, a, &ret->answer, &why);
        if (err_is(e, ERR_LIMIT)) {
            ret->refusal.reason = REASON_DUPLICATE;
            (void)snprintf(ret->refusal.text, sizeof(ret->refusal.text),
                           "answered in block %llu; watch its records, the answer is too large",
                           (unsigned long long)entry.height);
            admit_refuse(ret);
            return;
        }
        if (failed(e)) {
            die("state database: %s", why.text);
        }
        ret->end = LEDGER_ADMIT_ANSWERED;
        return;
    }
    if (request_check(l, &input, &request, &ret->refusal) != REASON_NONE) {
        admit_refuse(ret);
        return;
    }
    if (known) {
        ret->refusal.reason = REASON_REQUEST_ID_REUSED;
        (void)snprintf(ret->refusal.text, sizeof(ret->refusal.text),
                       "body.request_id: was answered in block %llu for another body",
                       (unsigned long long)entry.height);
        admit_refuse(ret);
        return;
    }
    admit_accept(&request, ret);
}

bool ledger_checks_of(const struct ledger *l, struct bytes envelope, struct arena *a,
                      struct ledger_admission *ret)
{
    require(l != NULL);
    require(ret != NULL);
    memset(ret, 0, sizeof(*ret));
    struct request_input input = {envelope, next_height(l), 0};
    struct request request;
    if (request_decode(l, &input, a, &request, &ret->refusal) != REASON_NONE) {
        admit_refuse(ret);
        return false;
    }
    admit_identify(&request, ret);
    enum reason reason = request_check(l, &input, &request, &ret->refusal);
    if (request.signer_count != request.envelope->signature_count) {
        require(reason != REASON_NONE);
        admit_refuse(ret);
        return false;
    }
    admit_accept(&request, ret);
    return true;
}
