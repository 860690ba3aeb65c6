#include "base/err.h"

#include <stdio.h>
#include <string.h>

#include "base/require.h"

const char *err_name(enum err_code code)
{
    switch (code) {
#define ERR_CASE(name, number, text)                                                               \
    case ERR_##name:                                                                               \
        return text;
        ERR_CODES(ERR_CASE)
#undef ERR_CASE
    }
    return "unknown";
}

err err_fail(struct errtext *reterr, enum err_code code, const char *fmt, ...)
{
    require(code != ERR_OK);
    if (reterr != NULL) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(reterr->text, sizeof reterr->text, fmt, ap);
        va_end(ap);
    }
    return (err){code};
}

err err_wrapf(struct errtext *reterr, err e, const char *fmt, ...)
{
    require(failed(e));
    if (reterr != NULL) {
        char context[ERR_TEXT_MAX / 2];
        char reason[ERR_TEXT_MAX];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(context, sizeof context, fmt, ap);
        va_end(ap);
        snprintf(reason, sizeof reason, "%s", reterr->text);
        size_t room = sizeof reterr->text;
        int used = snprintf(reterr->text, room, "%s: ", context);
        snprintf(reterr->text + used, room - (size_t)used, "%.*s", (int)(room - (size_t)used - 1),
                 reason);
    }
    return e;
}
