/* A node whose disk and whose block builder do wrong on command; it is the product otherwise, main
 * included. The linker puts what is here between server/ and two functions (--wrap). Faults are
 * files in the directory CONCORDAT_FAULTS, so that a test turns them on and off while it runs:
 *
 *   block   a word: what is wrong with the blocks this leader proposes (spoil below)
 *   write   every write of the log fails with EIO        sync    every sync of it does
 *   full    every write of the log fails with ENOSPC
 *   slow    a number: every sync of the log takes so many milliseconds more
 *   small   the log is opened with segments of 64 KiB
 *   state   a bit of each block that is put into the state is another one
 *
 * It is built for tests alone and never installed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "ledger/families.h"
#include "proto/block.h"
#include "storage/fileops.h"
#include "storage/kv.h"
#include "storage/logstore.h"

/* The content of a fault's file in word; false: that fault is off. Any thread. */
static bool fault(const char *name, char word[32])
{
    const char *dir = getenv("CONCORDAT_FAULTS");
    char path[4096];
    if (dir == NULL) {
        return false;
    }
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t size = read(fd, word, 31);
    word[size < 0 ? 0 : size] = '\0';
    word[strcspn(word, "\n")] = '\0';
    close(fd);
    return true;
}

/* ---- blocks ---- */

void __real_block_encode(const struct block *block, struct buf *buf);
void __wrap_block_encode(const struct block *block, struct buf *buf);

static void spoil(const char *how, struct block *block)
{
    struct clock clock = clock_system();
    if (strcmp(how, "height") == 0) {
        block->height += 7;
    } else if (strcmp(how, "previous") == 0) {
        block->previous[31] ^= 1;
    } else if (strcmp(how, "past") == 0) {
        block->time_ns = 1;
    } else if (strcmp(how, "year") == 0) {
        block->time_ns = BLOCK_TIME_NS_MAX;
    } else if (strcmp(how, "ahead") == 0) {
        block->time_ns = clock_wall_ns(&clock) + 20 * NS_PER_S; /* valid, and seen */
    }
}

void __wrap_block_encode(const struct block *block, struct buf *buf)
{
    char how[32];
    struct block wrong = *block;
    size_t at = buf->size;
    if (!fault("block", how)) {
        __real_block_encode(block, buf);
        return;
    }
    spoil(how, &wrong);
    __real_block_encode(&wrong, buf);
    if (strcmp(how, "version") == 0) {
        buf->data[at + 1] ^= 2;
    } else if (strcmp(how, "garbage") == 0) {
        memset(buf->data + at, 0xa5, buf->size - at);
    } else if (strcmp(how, "long") == 0) {
        buf_put_u8(buf, 0);
    }
}

/* ---- the log's disk ---- */

err __real_logstore_open(const char *dir, const struct logstore_options *o, struct logstore **ret,
                         struct logstore_recovered *ret_recovered, struct errtext *reterr);
err __wrap_logstore_open(const char *dir, const struct logstore_options *o, struct logstore **ret,
                         struct logstore_recovered *ret_recovered, struct errtext *reterr);

err __wrap_logstore_open(const char *dir, const struct logstore_options *o, struct logstore **ret,
                         struct logstore_recovered *ret_recovered, struct errtext *reterr)
{
    char word[32];
    struct logstore_options small = *o;
    small.segment_bytes = fault("small", word) ? 64 << 10 : o->segment_bytes;
    return __real_logstore_open(dir, &small, ret, ret_recovered, reterr);
}

struct fileops __real_fileops_system(void);
struct fileops __wrap_fileops_system(void);

static int faulty_pwrite(void *ctx, int fd, const void *data, size_t size, uint64_t offset)
{
    char word[32];
    if (fault("write", word)) {
        return -EIO;
    }
    if (fault("full", word)) {
        return -ENOSPC;
    }
    return __real_fileops_system().pwrite(ctx, fd, data, size, offset);
}

static int faulty_fdatasync(void *ctx, int fd)
{
    char word[32];
    if (fault("slow", word)) {
        long ms = strtol(word, NULL, 10);
        struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * (long)NS_PER_MS};
        nanosleep(&wait, NULL); /* a signal ends it early: no harm */
    }
    return fault("sync", word) ? -EIO : __real_fileops_system().fdatasync(ctx, fd);
}

struct fileops __wrap_fileops_system(void)
{
    struct fileops ops = __real_fileops_system();
    ops.pwrite = faulty_pwrite;
    ops.fdatasync = faulty_fdatasync;
    return ops;
}

/* ---- the state ---- */

void __real_kv_batch_put(struct kv_batch *b, const struct kv *kv, size_t family, struct bytes key,
                         struct bytes value);
void __wrap_kv_batch_put(struct kv_batch *b, const struct kv *kv, size_t family, struct bytes key,
                         struct bytes value);

void __wrap_kv_batch_put(struct kv_batch *b, const struct kv *kv, size_t family, struct bytes key,
                         struct bytes value)
{
    char word[32];
    if (family != FAMILY_BLOCKS || value.size == 0 || !fault("state", word)) {
        __real_kv_batch_put(b, kv, family, key, value);
        return;
    }
    uint8_t *wrong = malloc(value.size);
    if (wrong == NULL) {
        abort();
    }
    memcpy(wrong, value.data, value.size);
    wrong[value.size - 1] ^= 1;
    __real_kv_batch_put(b, kv, family, key, bytes_of(wrong, value.size));
    free(wrong);
}
