/* A bounded reader of JSON (RFC 8259) into raw values: no floats, no member twice, no lone
 * surrogate, at most RULES_JSON_DEPTH_MAX deep and RULES_JSON_BYTES_MAX long. */
#ifndef RULES_JSON_H
#define RULES_JSON_H

#include "rules/input.h"

/* Texts are copied into the arena. NULL, or the reason as static text. */
const char *json_parse(struct bytes text, struct arena *arena, struct raw *ret);

/* The member of an object, or NULL. */
const struct raw *json_member(const struct raw *object, const char *name);

#endif
