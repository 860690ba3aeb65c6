#include "net/address.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/require.h"

static bool port_is_good(const char *port)
{
    size_t size = strlen(port);
    if (size == 0 || size >= ADDRESS_PORT_SIZE || strspn(port, "0123456789") != size) {
        return false;
    }
    return strtol(port, NULL, 10) <= 65535;
}

err address_parse(const char *text, struct address *ret, struct errtext *reterr)
{
    require(text != NULL);
    require(ret != NULL);
    const char *colon = strrchr(text, ':');
    if (colon == NULL || !port_is_good(colon + 1)) {
        return err_fail(reterr, ERR_INVALID, "address '%.80s' needs the form host:port", text);
    }
    const char *host = text;
    size_t size = (size_t)(colon - text);
    if (size >= 2 && host[0] == '[' && host[size - 1] == ']') {
        host++;
        size -= 2;
    } else if (memchr(host, ':', size) != NULL) {
        return err_fail(reterr, ERR_INVALID, "address '%.80s': write IPv6 as [host]:port", text);
    }
    if (size == 0 || size > ADDRESS_BYTES_MAX) {
        return err_fail(reterr, ERR_INVALID, "address '%.80s': host is empty or too long", text);
    }
    memcpy(ret->host, host, size);
    ret->host[size] = '\0';
    memcpy(ret->port, colon + 1, strlen(colon + 1) + 1);
    return err_ok();
}

void address_print(const struct sockaddr *sa, socklen_t size, char ret[ADDRESS_TEXT_SIZE])
{
    char host[ADDRESS_BYTES_MAX], port[ADDRESS_PORT_SIZE];
    int flags = NI_NUMERICHOST | NI_NUMERICSERV;
    bool known = sa->sa_family == AF_INET || sa->sa_family == AF_INET6;
    if (!known || getnameinfo(sa, size, host, sizeof(host), port, sizeof(port), flags) != 0) {
        snprintf(ret, ADDRESS_TEXT_SIZE, "?");
        return;
    }
    bool v6 = sa->sa_family == AF_INET6;
    snprintf(ret, ADDRESS_TEXT_SIZE, "%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "", port);
}

const char *address_lookup_error(int code)
{
    return gai_strerror(code);
}
