#include "ledger/outcome.h"

#include "base/hex.h"
#include "base/limits.h"
#include "base/require.h"
#include "rules/civil.h"

enum { OUTCOME_BYTES_MAX = 64 << 10 }; /* reasons are short; names at most 64 bytes, escaped */

void json_put_string(struct buf *out, struct bytes text)
{
    require(out != NULL);
    buf_put_u8(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c == '"' || c == '\\') {
            buf_put_u8(out, '\\');
            buf_put_u8(out, c);
        } else if (c < 0x20) {
            buf_printf(out, "\\u%04x", c);
        } else {
            buf_put_u8(out, c);
        }
    }
    buf_put_u8(out, '"');
}

void json_put_hex(struct buf *out, struct bytes octets)
{
    require(out != NULL);
    require(octets.size <= SPKI_BYTES_MAX);
    char text[2 * SPKI_BYTES_MAX + 1];
    hex_encode(octets, text);
    buf_printf(out, "\"%s\"", text);
}

void outcome_make(const struct outcome_form *form, struct arena *a, struct rules_out *ret)
{
    require(form != NULL);
    require(ret != NULL);
    struct rules_time now = rules_time_of_ns(form->now_ns);
    char time_text[CIVIL_TIME_TEXT_MAX];
    char day_text[CIVIL_DATE_TEXT_MAX];
    (void)civil_time_print((struct civil_time){now.seconds, now.nanos}, time_text);
    struct buf out;
    buf_init(&out, OUTCOME_BYTES_MAX);
    buf_put_text(&out, "{\"event\":");
    json_put_string(&out, form->event);
    buf_printf(&out, ",\"version\":%lld,\"now\":\"%s\",\"legal\":", (long long)form->version,
               time_text);
    if (form->has_legal) {
        (void)civil_day_print(form->legal, day_text);
        buf_printf(&out, "\"%s\"", day_text);
    } else {
        buf_put_text(&out, "null");
    }
    buf_printf(&out, ",\"end\":\"%s\",\"spent\":0", form->clause == NULL ? "accepted" : "rejected");
    if (form->clause != NULL) {
        buf_printf(&out, ",\"clause\":\"%s\",\"line\":0,\"why\":", form->clause);
        json_put_string(&out, form->why);
    }
    buf_put_text(&out, "}");
    require(!out.overflow);
    *ret = (struct rules_out){
        .end = form->clause == NULL ? RULES_ACCEPTED : RULES_REJECTED,
        .version = form->version,
        .has_legal = form->has_legal,
        .legal = form->legal,
        .outcome = arena_copy(a, buf_bytes(&out)),
        .effects = form->effects.size > 0 ? form->effects : bytes_text("[]"),
        .trace = bytes_text("[]"),
    };
    if (form->clause != NULL) {
        ret->clause = arena_copy(a, bytes_text(form->clause));
        ret->why = arena_copy(a, form->why);
    }
    buf_done(&out);
}
