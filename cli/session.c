#include "cli/session.h"

#include <string.h>

#include "base/limits.h"

enum { SESSION_ARENA = 256 << 20, DEADLINE_S_MAX = 86400 };

int session_open(const struct given *g, struct session *ret)
{
    uint64_t seconds = CLIENT_DEADLINE_NS / NS_PER_S;
    *ret = (struct session){.given = g};
    if (!given_number(g, "deadline", 1, DEADLINE_S_MAX, &seconds)) {
        return EXIT_USAGE;
    }
    err e = profile_load(g, &ret->profile, &ret->why);
    if (failed(e)) {
        return complain_err(e, &ret->why);
    }
    arena_init(&ret->arena, SESSION_ARENA);
    buf_init(&ret->request, GRPC_MESSAGE_BYTES_MAX);
    buf_init(&ret->token, GRPC_MESSAGE_BYTES_MAX);
    struct client_options o = {.profile = &ret->profile,
                               .node = given_value(g, "node"),
                               .deadline_ns = seconds * NS_PER_S};
    e = client_open(&o, &ret->client, &ret->why);
    return failed(e) ? session_fail(ret, e) : EXIT_DONE;
}

int session_close(struct session *s, int code)
{
    client_free(s->client);
    buf_done(&s->request);
    buf_done(&s->token);
    arena_done(&s->arena);
    profile_done(&s->profile);
    return code;
}

int session_fail(struct session *s, err e)
{
    return session_close(s, complain_err(e, &s->why));
}

err session_ask(struct session *s, const char *path, struct bytes *ret)
{
    err e = client_ask(s->client, path, &s->request, &s->arena, ret, &s->why);
    buf_clear(&s->request);
    return e;
}

bool session_next_page(struct session *s, struct bytes token)
{
    buf_clear(&s->token);
    buf_put_bytes(&s->token, token);
    arena_reset(&s->arena);
    return s->token.size > 0;
}

struct bytes session_text(const char *text)
{
    return text == NULL ? bytes_of("", 0) : bytes_text(text);
}
