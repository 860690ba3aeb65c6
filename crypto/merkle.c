#include "crypto/merkle.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/require.h"

static_assert(sizeof(struct merkle_hash) == MERKLE_HASH_SIZE, "an array of hashes is packed");

void merkle_leaf(struct bytes record, struct merkle_hash *ret)
{
    require(ret != NULL);
    struct sha256 s;
    sha256_init(&s);
    sha256_add(&s, "\x00", 1);
    sha256_add_bytes(&s, record);
    sha256_end(&s, ret->bytes);
}

void merkle_node(const struct merkle_hash *left, const struct merkle_hash *right,
                 struct merkle_hash *ret)
{
    require(left != NULL);
    require(right != NULL);
    uint8_t both[1 + 2 * MERKLE_HASH_SIZE];
    both[0] = 0x01;
    memcpy(both + 1, left->bytes, MERKLE_HASH_SIZE);
    memcpy(both + 1 + MERKLE_HASH_SIZE, right->bytes, MERKLE_HASH_SIZE);
    sha256(both, sizeof both, ret->bytes);
}

void merkle_init(struct merkle *m)
{
    require(m != NULL);
    memset(m, 0, sizeof *m);
}

static size_t peak_count(uint64_t size)
{
    return (size_t)__builtin_popcountll(size);
}

void merkle_add(struct merkle *m, const struct merkle_hash *leaf)
{
    require(m->size < UINT64_C(1) << 63);
    require(leaf != NULL);
    size_t count = peak_count(m->size);
    struct merkle_hash carry = *leaf;
    /* Each trailing one of the size is a full subtree as large as the one that is carried. */
    for (uint64_t rest = m->size; (rest & 1) != 0; rest >>= 1) {
        count--;
        merkle_node(&m->peaks[count], &carry, &carry);
    }
    m->peaks[count] = carry;
    m->size++;
    require(peak_count(m->size) == count + 1);
}

void merkle_root(const struct merkle *m, struct merkle_hash *ret)
{
    require(ret != NULL);
    size_t count = peak_count(m->size);
    if (count == 0) {
        sha256(NULL, 0, ret->bytes);
        return;
    }
    struct merkle_hash root = m->peaks[count - 1];
    for (size_t i = count - 1; i > 0; i--) {
        merkle_node(&m->peaks[i - 1], &root, &root);
    }
    *ret = root;
}

void merkle_encode(const struct merkle *m, struct buf *ret)
{
    require(m->size <= UINT64_C(1) << 63);
    buf_put_u64(ret, m->size);
    buf_put(ret, m->peaks, peak_count(m->size) * MERKLE_HASH_SIZE);
}

void merkle_decode(struct cursor *c, struct merkle *ret)
{
    merkle_init(ret);
    uint64_t size = cursor_u64(c);
    if (size > UINT64_C(1) << 63) {
        cursor_fail(c);
    }
    if (cursor_ok(c)) {
        cursor_copy(c, ret->peaks, peak_count(size) * MERKLE_HASH_SIZE);
    }
    if (cursor_ok(c)) {
        ret->size = size;
    } else {
        merkle_init(ret);
    }
}

void merkle_root_of(const struct merkle_hash leaves[], size_t count, struct merkle_hash *ret)
{
    require(leaves != NULL || count == 0);
    struct merkle m;
    merkle_init(&m);
    for (size_t i = 0; i < count; i++) {
        merkle_add(&m, &leaves[i]);
    }
    merkle_root(&m, ret);
}

/* Hashes neighbours into the level above. An odd last one rises as it is, which is what the
 * recursive definition of RFC 6962 amounts to. Returns the size of the level above. */
static size_t level_up(struct merkle_hash level[], size_t count)
{
    require(count > 1);
    size_t above = 0;
    for (size_t i = 0; i + 1 < count; i += 2) {
        merkle_node(&level[i], &level[i + 1], &level[above]);
        above++;
    }
    if (count % 2 == 1) {
        level[above] = level[count - 1];
        above++;
    }
    return above;
}

size_t merkle_path(const struct merkle_hash leaves[], size_t count, size_t index,
                   struct merkle_hash ret[])
{
    require(leaves != NULL);
    require(index < count);
    struct merkle_hash *level = mem_copy(leaves, count * sizeof *leaves);
    size_t steps = 0;
    size_t at = index;
    for (size_t size = count; size > 1;) {
        size_t sibling = at ^ 1;
        if (sibling < size) {
            require(steps < MERKLE_DEPTH_MAX);
            ret[steps] = level[sibling];
            steps++;
        }
        size = level_up(level, size);
        at >>= 1;
    }
    free(level);
    return steps;
}

bool merkle_path_proves(const struct merkle_hash *leaf, uint64_t index, uint64_t size,
                        const struct merkle_hash path[], size_t count,
                        const struct merkle_hash *root)
{
    require(leaf != NULL);
    require(root != NULL);
    if (index >= size) {
        return false;
    }
    uint64_t at = index;      /* fn of RFC 9162 section 2.1.3.2 */
    uint64_t last = size - 1; /* sn */
    struct merkle_hash hash = *leaf;
    for (size_t i = 0; i < count; i++) {
        if (last == 0) {
            return false;
        }
        if ((at & 1) == 1 || at == last) {
            merkle_node(&path[i], &hash, &hash);
            while ((at & 1) == 0 && at != 0) {
                at >>= 1;
                last >>= 1;
            }
        } else {
            merkle_node(&hash, &path[i], &hash);
        }
        at >>= 1;
        last >>= 1;
    }
    return last == 0 && memcmp(hash.bytes, root->bytes, MERKLE_HASH_SIZE) == 0;
}

/* ---- from a source ---- */

static err ask(const struct merkle_source *source, unsigned level, uint64_t index,
               struct merkle_hash *ret, struct errtext *reterr)
{
    require(level < MERKLE_DEPTH_MAX);
    return source->hash(source->ctx, level, index, ret, reterr);
}

err merkle_root_from(const struct merkle_source *source, uint64_t size, struct merkle_hash *ret,
                     struct errtext *reterr)
{
    require(source != NULL);
    require(ret != NULL);
    require(size < UINT64_C(1) << 63);
    struct merkle_hash root;
    merkle_root_of(NULL, 0, &root);
    bool any = false;
    for (unsigned level = 0; size >> level > 0; level++) {
        if ((size >> level & 1) == 0) {
            continue;
        }
        struct merkle_hash peak;
        TRY(ask(source, level, (size >> level) - 1, &peak, reterr));
        if (any) {
            merkle_node(&peak, &root, &root);
        } else {
            root = peak;
        }
        any = true;
    }
    *ret = root;
    return err_ok();
}

/* A climb along the right edge of a tree. `edge` is the hash of the last node of a level: what
 * hangs there of the tree, be it full or not. */
struct climb {
    const struct merkle_source *source;
    uint64_t last; /* its number in the level */
    unsigned level;
    struct merkle_hash edge;
};

/* What stands beside node `at` of the climb's level: true if there is anything. */
static err climb_sibling(const struct climb *c, uint64_t at, bool *ret_is, struct merkle_hash *ret,
                         struct errtext *reterr)
{
    uint64_t sibling = at ^ 1;
    require(at <= c->last);
    *ret_is = sibling <= c->last;
    if (sibling == c->last) {
        *ret = c->edge;
        return err_ok();
    }
    return *ret_is ? ask(c->source, c->level, sibling, ret, reterr) : err_ok();
}

/* One level up. An odd last node has a full subtree to its left; an even one rises as it is. */
static err climb_up(struct climb *c, struct errtext *reterr)
{
    if ((c->last & 1) == 1) {
        struct merkle_hash left;
        TRY(ask(c->source, c->level, c->last - 1, &left, reterr));
        merkle_node(&left, &c->edge, &c->edge);
    }
    c->last >>= 1;
    c->level++;
    return err_ok();
}

/* Appends the path from the full subtree (level, at) to the root of the tree of that size. */
static err path_from(const struct climb *start, unsigned level, uint64_t at,
                     struct merkle_proof *path, struct errtext *reterr)
{
    struct climb c = *start;
    while (c.level < level) {
        TRY(climb_up(&c, reterr));
    }
    for (; c.last > 0; at >>= 1) {
        bool is = false;
        struct merkle_hash sibling;
        TRY(climb_sibling(&c, at, &is, &sibling, reterr));
        if (is) {
            require(path->count < MERKLE_DEPTH_MAX);
            path->hashes[path->count++] = sibling;
        }
        TRY(climb_up(&c, reterr));
    }
    return err_ok();
}

err merkle_inclusion_from(const struct merkle_source *source, uint64_t index, uint64_t size,
                          struct merkle_proof *ret, struct errtext *reterr)
{
    require(source != NULL);
    require(ret != NULL);
    require(index < size);
    require(size < UINT64_C(1) << 63);
    struct climb start = {.source = source, .last = size - 1};
    struct merkle_proof path = {0};
    TRY(ask(source, 0, size - 1, &start.edge, reterr));
    TRY(path_from(&start, 0, index, &path, reterr));
    *ret = path;
    return err_ok();
}

err merkle_consistency_from(const struct merkle_source *source, uint64_t old, uint64_t size,
                            struct merkle_proof *ret, struct errtext *reterr)
{
    require(source != NULL);
    require(ret != NULL);
    require(old <= size);
    require(size < UINT64_C(1) << 63);
    struct merkle_proof path = {0};
    if (old > 0 && old < size) {
        struct climb start = {.source = source, .last = size - 1};
        /* The last full subtree of the old tree stands in both. It is the whole old tree if that
         * has a power of two of leaves: its hash is then the old root, which the reader has. */
        unsigned level = (unsigned)__builtin_ctzll(old);
        uint64_t at = (old >> level) - 1;
        if (at > 0) {
            TRY(ask(source, level, at, &path.hashes[0], reterr));
            path.count = 1;
        }
        TRY(ask(source, 0, size - 1, &start.edge, reterr));
        TRY(path_from(&start, level, at, &path, reterr));
    }
    *ret = path;
    return err_ok();
}

static bool same(const struct merkle_hash *a, const struct merkle_hash *b)
{
    return memcmp(a->bytes, b->bytes, MERKLE_HASH_SIZE) == 0;
}

/* The loop of RFC 9162 section 2.1.4.2, step 6, over the path after its first hash. */
static bool climb_both(const struct merkle_head *old, const struct merkle_head *now,
                       const struct merkle_hash path[], size_t count)
{
    uint64_t at = old->size - 1;   /* fn */
    uint64_t last = now->size - 1; /* sn */
    while ((at & 1) == 1) {
        at >>= 1;
        last >>= 1;
    }
    struct merkle_hash was = path[0];
    struct merkle_hash is = path[0];
    for (size_t i = 1; i < count; i++) {
        if (last == 0) {
            return false;
        }
        if ((at & 1) == 1 || at == last) {
            merkle_node(&path[i], &was, &was);
            merkle_node(&path[i], &is, &is);
            while ((at & 1) == 0 && at != 0) {
                at >>= 1;
                last >>= 1;
            }
        } else {
            merkle_node(&is, &path[i], &is);
        }
        at >>= 1;
        last >>= 1;
    }
    return last == 0 && same(&was, &old->root) && same(&is, &now->root);
}

bool merkle_consistency_proves(const struct merkle_head *old, const struct merkle_head *now,
                               const struct merkle_hash path[], size_t count)
{
    require(old != NULL);
    require(now != NULL);
    require(path != NULL || count == 0);
    if (old->size > now->size || count > MERKLE_DEPTH_MAX) {
        return false;
    }
    if (old->size == now->size) {
        return count == 0 && same(&old->root, &now->root);
    }
    if (old->size == 0) {
        struct merkle_hash none;
        merkle_root_of(NULL, 0, &none);
        return count == 0 && same(&old->root, &none);
    }
    if (count == 0) {
        return false;
    }
    struct merkle_hash whole[MERKLE_DEPTH_MAX + 1];
    size_t lead = (old->size & (old->size - 1)) == 0 ? 1 : 0;
    whole[0] = old->root;
    memcpy(whole + lead, path, count * sizeof *path);
    return climb_both(old, now, whole, count + lead);
}
