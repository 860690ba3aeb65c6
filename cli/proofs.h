/* Texts that prove something, fetched from nodes and kept in files. */
#ifndef CLI_PROOFS_H
#define CLI_PROOFS_H

#include "cli/session.h"
#include "proto/service.h"

/* Writes a file whole, or to standard output when path is NULL. A file that is there already is
 * replaced at the end. IO. */
err proofs_write(const char *path, struct bytes content, struct errtext *reterr) ERR_MUST_USE;

/* Fetches the statement that q asks for (page_token is ignored) and writes it to the file; how many
 * institutions closed its end. What session_ask says; CONFLICT: run it again; LIMIT, IO. */
err proofs_statement(struct session *s, const struct prove_statement_request *q, const char *path,
                     uint32_t *ret_marks) ERR_MUST_USE;

#endif
