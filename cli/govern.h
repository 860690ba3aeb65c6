/* Requests of institutions: events of the reserved contract `ledger` (docs/FORMATS.md). */
#ifndef CLI_GOVERN_H
#define CLI_GOVERN_H

#include "cli/request.h"
#include "cli/session.h"

/* Makes the body of one governance action, with a new id and salt, on behalf of a party. */
void govern_body(const struct profile *p, const struct event *event, const char *on_behalf,
                 struct body *ret);

/* Signs, sends and shows a body; the exit code comes in *ret_code. */
err govern_submit(struct session *s, const struct body *body, const struct signers *signers,
                  int *ret_code) ERR_MUST_USE;

#endif
