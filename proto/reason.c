#include "proto/reason.h"

#include "base/require.h"

enum { REASON_STATUS_UNKNOWN = 2 }; /* UNKNOWN of the gRPC specification */

const char *reason_name(enum reason r)
{
    switch (r) {
#define REASON_NAME(name, number, status, retry)                                                   \
    case REASON_##name:                                                                            \
        return #name;
        REASONS(REASON_NAME)
#undef REASON_NAME
    }
    return "?";
}

uint32_t reason_grpc_status(enum reason r)
{
    switch (r) {
#define REASON_STATUS(name, number, status, retry)                                                 \
    case REASON_##name:                                                                            \
        return status;
        REASONS(REASON_STATUS)
#undef REASON_STATUS
    }
    return REASON_STATUS_UNKNOWN;
}

enum retry reason_retry(enum reason r)
{
    switch (r) {
#define REASON_RETRY(name, number, status, retry)                                                  \
    case REASON_##name:                                                                            \
        return RETRY_##retry;
        REASONS(REASON_RETRY)
#undef REASON_RETRY
    }
    return RETRY_LATER;
}

const char *retry_name(enum retry r)
{
    switch (r) {
    case RETRY_YES:
        return "yes";
    case RETRY_LATER:
        return "later";
    case RETRY_NEVER:
        return "never";
    }
    require(false);
    return "never";
}

bool reason_parse(struct bytes name, enum reason *ret)
{
    require(ret != NULL);
#define REASON_PARSE(text, number, status, retry)                                                  \
    if (bytes_equal(name, bytes_text(#text))) {                                                    \
        *ret = REASON_##text;                                                                      \
        return true;                                                                               \
    }
    REASONS(REASON_PARSE)
#undef REASON_PARSE
    return false;
}
