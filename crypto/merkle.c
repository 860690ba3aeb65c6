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
