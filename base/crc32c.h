/* CRC-32C (Castagnoli polynomial, RFC 3720 section 12.1): finds damage, proves nothing. */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of data, continued from the checksum of what precedes it (0 at the start). Uses the
 * processor's instruction where there is one. Any thread. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);

/* The same without the instruction: what every machine computes. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size);

#endif
