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

/* The same, and the height of the block that decided. */
err govern_enter(struct session *s, const struct body *body, const struct signers *signers,
                 int *ret_code, uint64_t *ret_height) ERR_MUST_USE;

/* Governance keys: those of --key INSTITUTION=FILE, or else all of the profile. INVALID: none. */
err govern_signers(const struct given *g, const struct profile *p, struct arena *a,
                   struct signers *signers, struct errtext *reterr) ERR_MUST_USE;

/* Writes the signed request to the file of --out and says what to do with it. */
err govern_write(const struct given *g, const struct body *body, const struct signers *signers,
                 struct errtext *reterr) ERR_MUST_USE;

/* An Ed25519 public key: "ed25519:..." itself or the file that holds it. */
err govern_public_key(const char *from, uint8_t ret[SIGN_PUBLIC_SIZE],
                      struct errtext *reterr) ERR_MUST_USE;

#endif
