/* The disk of a machine: a file system in memory. It keeps apart what a process sees (the page
 * cache) and what would be left after a power cut, and can cut, fail or fill up at a chosen call.
 *
 * Files: what was written since the last sync of a file may survive a power cut in part. Names:
 * creations, renames and removals are journaled in order; a power cut leaves those up to the last
 * sync of a directory, and some first ones of those after it. */
#ifndef TESTS_SIM_PRODUCT_DISK_H
#define TESTS_SIM_PRODUCT_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/fileops.h"

enum { DISK_FDS = 64 };

struct disk_name {
    char *path;   /* owned */
    size_t inode; /* DISK_DIRECTORY: it is one */
};
#define DISK_DIRECTORY SIZE_MAX

struct disk_tree {
    struct disk_name *names; /* owned */
    size_t count;
};

enum disk_fault {
    DISK_FAULT_NONE,
    DISK_FAULT_CUT, /* power cut at that call, which may take effect in part */
    DISK_FAULT_EIO, /* that call, and only that one, fails */
};

struct disk {
    struct disk_file **files; /* owned; NULL: free */
    size_t files_count;
    struct disk_tree seen, safe;
    struct disk_op *ops; /* owned: changes of names that are not durable */
    size_t ops_count;
    size_t fds[DISK_FDS]; /* inode + 1 */
    uint64_t random, calls, fault_at;
    enum disk_fault fault;
    bool dead;
};

void disk_init(struct disk *d, uint64_t seed);
void disk_done(struct disk *d);
struct fileops disk_ops(struct disk *d);

/* From here on: the fault at the nth changing call (1 is the next one). */
void disk_arm(struct disk *d, enum disk_fault fault, uint64_t nth);

/* The power comes back. */
void disk_power_cut(struct disk *d);

/* The process died, the machine did not: everything written is there. */
void disk_process_death(struct disk *d);

/* Makes a directory and those above it, durable. */
void disk_make(struct disk *d, const char *path);

/* Path number i, or NULL; directories are left out (""). */
const char *disk_path(const struct disk *d, size_t i);

/* Bytes of a file, for what hurts them; NULL: none. */
uint8_t *disk_bytes(struct disk *d, const char *path, size_t *ret_size);

#endif
