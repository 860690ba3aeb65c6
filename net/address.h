/* "host:port" and "[v6]:port" as people write them in configurations. */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <sys/socket.h>

#include "base/err.h"
#include "base/limits.h"

enum { ADDRESS_PORT_SIZE = 6, ADDRESS_TEXT_SIZE = ADDRESS_BYTES_MAX + 16 };

struct address {
    char host[ADDRESS_BYTES_MAX + 1]; /* without brackets */
    char port[ADDRESS_PORT_SIZE];     /* decimal, 0 to 65535 */
};

/* Splits the text. INVALID with a reason: no port, empty or too long host, port out of range. */
err address_parse(const char *text, struct address *ret, struct errtext *reterr) ERR_MUST_USE;

/* "host:port" of a socket address, numeric; "?" for other families. */
void address_print(const struct sockaddr *sa, socklen_t size, char ret[ADDRESS_TEXT_SIZE]);

/* A reason by which a lookup failed: static text. */
const char *address_lookup_error(int code);

#endif
