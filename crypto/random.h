/* Random bytes of the operating system, for keys, salts, request ids and seeds. Used at the edge
 * only: nothing that is replicated may depend on them. */
#ifndef CRYPTO_RANDOM_H
#define CRYPTO_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fills size bytes from getrandom(2); a machine without randomness dies here. Any thread. */
void random_bytes(void *ret, size_t size);

/* One random number, each value equally likely. Any thread. */
uint64_t random_u64(void);

#endif
