/* A disk in memory for tests. It keeps apart what a process sees (the page cache) and what would be
 * left after a power cut, counts every call that changes something, and at a chosen call cuts the
 * power or answers an error. */
#ifndef TESTS_UNIT_STORAGE_SIMDISK_H
#define TESTS_UNIT_STORAGE_SIMDISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/fileops.h"

enum simdisk_fault {
    SIMDISK_NONE,
    SIMDISK_CUT,      /* power cut at call fault_at: the call may take effect in part */
    SIMDISK_EIO,      /* that call, and only that one, fails */
    SIMDISK_NO_SPACE, /* from that call on nothing can be allocated */
};

struct simdisk {
    struct simfile **files; /* inodes; owned */
    size_t files_count;
    struct simname {
        char *name;
        size_t inode;
        bool linked;
    } * log; /* directory operations in order; the first durable_ops survive for sure */
    size_t log_count, durable_ops;
    size_t fds[64]; /* inode + 1 */
    uint64_t random;
    uint64_t calls;
    enum simdisk_fault fault;
    uint64_t fault_at;
    bool dead, faulted;
    bool locked;
};

void simdisk_init(struct simdisk *d, uint64_t seed);
void simdisk_done(struct simdisk *d);
struct fileops simdisk_ops(struct simdisk *d);

/* From here on: fault at the nth changing call (1 is the next one). */
void simdisk_arm(struct simdisk *d, enum simdisk_fault fault, uint64_t nth);

/* The power comes back: unsynced writes survive in part or not at all, open files are gone. */
void simdisk_power_cut(struct simdisk *d);
/* The process died, the machine did not: everything written is there. */
void simdisk_process_death(struct simdisk *d);

/* A deep copy of what a process would see, all of it durable. */
void simdisk_copy(struct simdisk *to, const struct simdisk *from, uint64_t seed);

/* Bytes of the file with this name (without directories), for tests that hurt them; NULL: none. */
uint8_t *simdisk_bytes(struct simdisk *d, const char *name, size_t *ret_size);
/* Name number i of those that exist, or NULL. */
const char *simdisk_name(const struct simdisk *d, size_t i);
void simdisk_remove(struct simdisk *d, const char *name);

uint64_t simdisk_draw(uint64_t *state);

#endif
