/* What the tree over the records costs: `build/bench/tree` grows one of ten million leaves in a
 * real store, opens it again, and proves from it.
 *
 *     build/bench/tree                     10,000,128 leaves
 *     build/bench/tree --leaves 102400     fewer (a multiple of 256)
 *     build/bench/tree --check             says only whether bounds that are no times hold
 *     build/bench/tree --dir /srv/bench    on another disk */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/require.h"
#include "ledger/families.h"
#include "ledger/tiles.h"
#include "storage/kv.h"

enum {
    LEAVES = 10000128,
    BLOCK_RECORDS = 1000, /* a block of many small requests */
    RECORD_BYTES = 330,
    PROOFS = 20000,
};

struct options {
    uint64_t leaves;
    bool check;
    const char *dir;
};

static void must(err e, const struct errtext *why)
{
    if (failed(e)) {
        die("%s", why->text);
    }
}

static uint64_t now_ns(void)
{
    struct clock clock = clock_system();
    return clock_monotonic_ns(&clock);
}

static struct kv *store_open(const char *dir)
{
    struct kv_options o = {0};
    struct kv *kv = NULL;
    struct errtext why;
    ledger_kv_families(&o);
    must(kv_open(dir, &o, &kv, &why), &why);
    return kv;
}

static long resident_kib(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%*d %ld", &pages) != 1) {
        pages = 0;
    }
    if (f != NULL) {
        fclose(f);
    }
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Record number i: its bytes are as good as random to a compressor where it matters, as hashes. */
static struct bytes record_of(uint8_t record[RECORD_BYTES], uint64_t i)
{
    memset(record, 0, RECORD_BYTES);
    memcpy(record, &i, sizeof(i));
    return bytes_of(record, RECORD_BYTES);
}

struct grown {
    struct ledger_head head;
    uint64_t apply_ns, commit_ns;
    uint64_t disk_bytes;
    long most_kib, least_kib; /* resident, over the second half */
};

static void grow(const char *dir, uint64_t leaves, struct grown *ret)
{
    struct kv *kv = store_open(dir);
    struct tiles *t = tiles_new(kv);
    struct kv_batch *b = kv_batch_new();
    struct kv_stats stats;
    struct errtext why;
    uint8_t record[RECORD_BYTES];
    ret->least_kib = resident_kib();
    for (uint64_t at = 0; at < leaves;) {
        uint64_t start_ns = now_ns();
        for (uint64_t end = at + BLOCK_RECORDS; at < end && at < leaves; at++) {
            tiles_add(t, record_of(record, at));
        }
        tiles_grow(t, b);
        uint64_t grown_ns = now_ns();
        must(kv_commit(kv, b, false, &why), &why);
        kv_batch_clear(b);
        ret->apply_ns += grown_ns - start_ns;
        ret->commit_ns += now_ns() - grown_ns;
    }
    struct merkle_hash root;
    tiles_root(t, &root);
    ret->head.position = leaves;
    memcpy(ret->head.root, root.bytes, sizeof(ret->head.root));
    must(kv_flush(kv, &why), &why);
    kv_stats(kv, &stats);
    ret->disk_bytes = stats.disk_bytes;
    ret->most_kib = resident_kib();
    kv_batch_free(b);
    tiles_free(t);
    kv_close(kv);
}

static int by_number(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;
    return *x < *y ? -1 : *x > *y;
}

struct figures {
    uint64_t open_ns, median_ns, p99_ns, most_ns;
};

/* Inclusion of a record anywhere in a tree of any size at least as large, and every tenth time that
 * one size continues the other; each is checked. */
static void prove(const char *dir, const struct grown *g, struct figures *ret)
{
    struct kv *kv = store_open(dir);
    struct tiles *t = tiles_new(kv);
    struct errtext why;
    uint64_t start_ns = now_ns();
    must(tiles_load(t, &g->head, &why), &why);
    ret->open_ns = now_ns() - start_ns;
    struct merkle_source source = tiles_source(t);
    uint64_t *took = mem_new(PROOFS, sizeof(*took));
    uint64_t seed = 1;
    for (size_t i = 0; i < PROOFS; i++) {
        struct merkle_proof proof;
        struct merkle_hash leaf, root;
        uint8_t record[RECORD_BYTES];
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint64_t size = i % 2 == 0 ? g->head.position : 1 + (seed >> 20) % g->head.position;
        uint64_t index = (seed >> 11) % size;
        start_ns = now_ns();
        must(merkle_inclusion_from(&source, index, size, &proof, &why), &why);
        took[i] = now_ns() - start_ns;
        must(merkle_root_from(&source, size, &root, &why), &why);
        merkle_leaf(record_of(record, index), &leaf);
        require(merkle_path_proves(&leaf, index, size, proof.hashes, proof.count, &root));
        if (i % 10 == 0) {
            struct merkle_head old = {.size = index};
            struct merkle_head now = {size, root};
            must(merkle_root_from(&source, index, &old.root, &why), &why);
            must(merkle_consistency_from(&source, index, size, &proof, &why), &why);
            require(merkle_consistency_proves(&old, &now, proof.hashes, proof.count));
        }
    }
    qsort(took, PROOFS, sizeof(*took), by_number);
    ret->median_ns = took[PROOFS / 2];
    ret->p99_ns = took[PROOFS - PROOFS / 100];
    ret->most_ns = took[PROOFS - 1];
    free(took);
    tiles_free(t);
    kv_close(kv);
}

static struct options options_read(int argc, char **argv)
{
    struct options o = {.leaves = LEAVES, .dir = "/tmp"};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--check") == 0) {
            o.check = true;
        } else if (strcmp(argv[i], "--leaves") == 0 && i + 1 < argc) {
            o.leaves = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--dir") == 0 && i + 1 < argc) {
            o.dir = argv[++i];
        } else {
            die("usage: tree [--leaves N] [--check] [--dir DIR]");
        }
    }
    if (o.leaves == 0 || o.leaves % 256 != 0) {
        die("--leaves: a multiple of 256, so that no record is needed to open the tree");
    }
    return o;
}

int main(int argc, char **argv)
{
    struct options o = options_read(argc, argv);
    struct grown g = {0};
    struct figures f = {0};
    char dir[256], command[300];
    (void)snprintf(dir, sizeof(dir), "%s/concordat-tree-XXXXXX", o.dir);
    if (mkdtemp(dir) == NULL) {
        die("%s: no directory can be made there", o.dir);
    }
    grow(dir, o.leaves, &g);
    prove(dir, &g, &f);
    (void)snprintf(command, sizeof(command), "rm -rf %s", dir);
    require(system(command) == 0);
    double leaf = (double)g.disk_bytes / (double)o.leaves;
    printf("leaves %llu: %.3f bytes a leaf on disk, %.2f %% above 32\n",
           (unsigned long long)o.leaves, leaf, (leaf / 32 - 1) * 100);
    if (!o.check) {
        printf("a record: %.0f ns to hash and add, %.0f ns to write\n",
               (double)g.apply_ns / (double)o.leaves, (double)g.commit_ns / (double)o.leaves);
        printf("memory: %ld KiB before, %ld KiB after\n", g.least_kib, g.most_kib);
        printf("opening: %.1f ms\n", (double)f.open_ns / 1e6);
        printf("a proof: median %.3f ms, p99 %.3f ms, longest %.3f ms\n", (double)f.median_ns / 1e6,
               (double)f.p99_ns / 1e6, (double)f.most_ns / 1e6);
    }
    return leaf > 32 * 1.01 ? EXIT_FAILURE : EXIT_SUCCESS;
}
