/* Iterating over keys with a prefix of any length, and dying where the database cannot answer:
 * inside apply a failing disk stops the node, it never becomes another answer. Loop only. */
#ifndef LEDGER_RANGE_H
#define LEDGER_RANGE_H

#include "base/buf.h"
#include "storage/kv.h"

/* Sets upper (initialised) to the first key beyond all keys with the prefix; empty: there is none.
 */
void range_upper(struct bytes prefix, struct buf *upper);

/* Iterates forwards over the keys with the prefix, from the key `from` on (empty: all). */
struct kv_iter *range_open(struct kv *kv, size_t family, struct bytes prefix, struct bytes from);

/* Closes an iterator of apply or opening; dies if it met an error. */
void range_close(struct kv_iter *it);

#endif
