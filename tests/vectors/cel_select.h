/* Which tests of the suite are core: those that ask nothing that the language leaves out on purpose
 * (floats, unsigned ints, maps, messages, types as values). A rule about texts, not a list of
 * names. */
#ifndef TESTS_VECTORS_CEL_SELECT_H
#define TESTS_VECTORS_CEL_SELECT_H

#include "tests/vectors/cel_textproto.h"

bool cel_is_core(struct bytes section, const struct proto *test);

#endif
