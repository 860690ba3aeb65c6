/* UTF-8 validation (RFC 3629). */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/bytes.h"

/* Valid UTF-8: shortest forms only, no surrogates, at most U+10FFFF. NUL counts as valid. */
bool utf8_valid(struct bytes text);

/* Number of code points of valid UTF-8. */
size_t utf8_count(struct bytes text);

#endif
