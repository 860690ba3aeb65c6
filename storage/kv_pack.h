/* Neighbours of a family whose keys are numbers that only grow, stored as one value: each write of
 * its own costs RocksDB about a microsecond of processor time, whatever its size, and so does each
 * again when tables are written and merged.
 *
 *   key    u64 number of the first
 *   value  u8 version | u16 count | count x u32 size | the values, one after the other
 *
 * The numbers of a pack follow each other. A pack holds at most KV_PACK_VALUES values and takes
 * none beyond KV_PACK_BYTES, so that one value is found by reading little more than itself. Any
 * thread. */
#ifndef STORAGE_KV_PACK_H
#define STORAGE_KV_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"

enum { KV_PACK_KEY_SIZE = 8, KV_PACK_HEAD_SIZE = 3 };

/* Values that wait to be stored together. The owner initialises it and ends with pack_done. */
struct pack {
    uint64_t first;
    uint32_t count;
    struct buf head, values;
};

void pack_init(struct pack *p);

/* Accepts an all-zero struct. */
void pack_done(struct pack *p);

/* Whether the value under this number may join what waits. */
bool pack_takes(const struct pack *p, uint64_t number, size_t size);

/* Adds a value that pack_takes allows. */
void pack_add(struct pack *p, uint64_t number, struct bytes value);

/* Writes the head for what waits into p->head; it is stored before p->values. */
void pack_seal(struct pack *p);

/* Forgets what waits. */
void pack_clear(struct pack *p);

/* A stored pack: views. */
struct pack_view {
    uint64_t first;
    uint32_t count;
    struct bytes sizes, values;
};

/* CORRUPT: key and value are no pack. */
err pack_open(struct bytes key, struct bytes value, struct pack_view *ret) ERR_MUST_USE;

/* The value at an index below count; costs a sum over the sizes before it. */
struct bytes pack_value(const struct pack_view *view, uint32_t index);

/* A number as key, and back; false: the key is no number. */
void pack_key_put(uint64_t number, uint8_t ret_key[KV_PACK_KEY_SIZE]);
bool pack_key_read(struct bytes key, uint64_t *ret_number);

#endif
