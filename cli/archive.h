/* A node as the source of an audit or an export (audit/source.h): its archive service. */
#ifndef CLI_ARCHIVE_H
#define CLI_ARCHIVE_H

#include "audit/source.h"
#include "cli/session.h"

/* The session stays the caller's and outlives the source. Its errors are those of session_ask. */
struct source *archive_source(struct session *s);

#endif
