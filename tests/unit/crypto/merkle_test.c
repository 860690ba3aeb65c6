/* Proofs of a tree whose hashes are kept somewhere, against the definitions of RFC 6962 section 2.1
 * written down as they stand, and against the example of RFC 9162 section 2.1.5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "crypto/merkle.h"

enum { LEAVES = 300 };

/* root[first][end]: MTH(D[first:end]) of every range that the definitions ask for. */
struct naive {
    bool known[LEAVES + 1][LEAVES + 1];
    struct merkle_hash root[LEAVES + 1][LEAVES + 1];
};

static struct naive *naive_new(void)
{
    struct naive *n = mem_new(1, sizeof *n);
    for (uint32_t i = 0; i < LEAVES; i++) {
        merkle_leaf(bytes_of(&i, sizeof i), &n->root[i][i + 1]);
        n->known[i][i + 1] = true;
    }
    return n;
}

/* k: the largest power of two below n. */
static size_t split(size_t n)
{
    size_t k = 1;
    while (2 * k < n) {
        k *= 2;
    }
    return k;
}

static const struct merkle_hash *mth(struct naive *n, size_t first, size_t end)
{
    if (!n->known[first][end]) {
        size_t middle = first + split(end - first);
        merkle_node(mth(n, first, middle), mth(n, middle, end), &n->root[first][end]);
        n->known[first][end] = true;
    }
    return &n->root[first][end];
}

static void put(struct merkle_proof *p, const struct merkle_hash *hash)
{
    assert_true(p->count < MERKLE_DEPTH_MAX);
    p->hashes[p->count++] = *hash;
}

/* PATH(m, D[first:end]) */
static void path(struct naive *n, size_t m, size_t first, size_t end, struct merkle_proof *ret)
{
    if (end - first == 1) {
        return;
    }
    size_t k = split(end - first);
    if (m < k) {
        path(n, m, first, first + k, ret);
        put(ret, mth(n, first + k, end));
    } else {
        path(n, m - k, first + k, end, ret);
        put(ret, mth(n, first, first + k));
    }
}

/* SUBPROOF(m, D[first:end], whole) */
static void subproof(struct naive *n, size_t m, size_t first, size_t end, bool whole,
                     struct merkle_proof *ret)
{
    if (m == end - first) {
        if (!whole) {
            put(ret, mth(n, first, end));
        }
        return;
    }
    size_t k = split(end - first);
    if (m <= k) {
        subproof(n, m, first, first + k, whole, ret);
        put(ret, mth(n, first + k, end));
    } else {
        subproof(n, m - k, first + k, end, false, ret);
        put(ret, mth(n, first, first + k));
    }
}

/* The source asks the same tables, for full subtrees within the size alone. */
struct asked {
    struct naive *n;
    uint64_t size;
    size_t count, fail_at; /* calls so far; the one that fails, 0: none */
};

static err asked_hash(void *ctx, unsigned level, uint64_t index, struct merkle_hash *ret,
                      struct errtext *reterr)
{
    struct asked *a = ctx;
    assert_true((index + 1) << level <= a->size);
    a->count++;
    if (a->count == a->fail_at) {
        return err_fail(reterr, ERR_IO, "no");
    }
    *ret = *mth(a->n, (size_t)(index << level), (size_t)((index + 1) << level));
    return err_ok();
}

static void same_proof(const struct merkle_proof *a, const struct merkle_proof *b)
{
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->hashes, b->hashes, a->count * sizeof *a->hashes);
}

static void roots_and_paths_follow_the_definitions(void **state)
{
    struct naive *n = *state;
    for (size_t size = 0; size <= LEAVES; size++) {
        struct asked a = {n, size, 0, 0};
        struct merkle_source source = {&a, asked_hash};
        struct merkle_hash root, none;
        assert_false(failed(merkle_root_from(&source, size, &root, NULL)));
        merkle_root_of(NULL, 0, &none);
        assert_memory_equal(&root, size == 0 ? &none : mth(n, 0, size), sizeof root);
        for (size_t i = 0; i < size; i++) {
            struct merkle_proof want = {0}, is;
            path(n, i, 0, size, &want);
            assert_false(failed(merkle_inclusion_from(&source, i, size, &is, NULL)));
            same_proof(&is, &want);
            assert_true(merkle_path_proves(mth(n, i, i + 1), i, size, is.hashes, is.count, &root));
        }
    }
}

static struct merkle_head head_of(struct naive *n, size_t size)
{
    struct merkle_head head = {.size = size};
    if (size == 0) {
        merkle_root_of(NULL, 0, &head.root);
    } else {
        head.root = *mth(n, 0, size);
    }
    return head;
}

static void consistency_follows_the_definition(void **state)
{
    struct naive *n = *state;
    for (size_t size = 0; size <= LEAVES; size++) {
        struct asked a = {n, size, 0, 0};
        struct merkle_source source = {&a, asked_hash};
        struct merkle_head now = head_of(n, size);
        for (size_t before = 0; before <= size; before++) {
            struct merkle_head old = head_of(n, before);
            struct merkle_proof want = {0}, is;
            if (before > 0) {
                subproof(n, before, 0, size, true, &want);
            }
            assert_false(failed(merkle_consistency_from(&source, before, size, &is, NULL)));
            same_proof(&is, &want);
            assert_true(merkle_consistency_proves(&old, &now, is.hashes, is.count));
        }
    }
}

/* Every changed byte, count and size of a proof is refused. */
static void refuse_changed(const struct merkle_head *old, const struct merkle_head *now,
                           const struct merkle_proof *proof)
{
    struct merkle_proof p = *proof;
    for (size_t i = 0; i < p.count * MERKLE_HASH_SIZE; i++) {
        p.hashes[i / MERKLE_HASH_SIZE].bytes[i % MERKLE_HASH_SIZE] ^= 1;
        assert_false(merkle_consistency_proves(old, now, p.hashes, p.count));
        p.hashes[i / MERKLE_HASH_SIZE].bytes[i % MERKLE_HASH_SIZE] ^= 1;
    }
    p.hashes[p.count] = p.hashes[0];
    assert_false(merkle_consistency_proves(old, now, p.hashes, p.count + 1));
    if (p.count > 0) {
        assert_false(merkle_consistency_proves(old, now, p.hashes, p.count - 1));
    }
    struct merkle_head other = *old;
    other.root.bytes[7] ^= 1;
    assert_false(merkle_consistency_proves(&other, now, p.hashes, p.count));
    other = *now;
    if (old->size > 0) { /* a proof from nothing says nothing of what came to be */
        other.root.bytes[7] ^= 1;
        assert_false(merkle_consistency_proves(old, &other, p.hashes, p.count));
    }
}

static void a_changed_consistency_proof_is_refused(void **state)
{
    struct naive *n = *state;
    for (size_t size = 1; size <= 40; size++) {
        struct asked a = {n, size, 0, 0};
        struct merkle_source source = {&a, asked_hash};
        struct merkle_head now = head_of(n, size);
        for (size_t before = 1; before <= size; before++) {
            struct merkle_head old = head_of(n, before);
            struct merkle_proof proof;
            assert_false(failed(merkle_consistency_from(&source, before, size, &proof, NULL)));
            refuse_changed(&old, &now, &proof);
            if (before < size) {
                assert_false(merkle_consistency_proves(&now, &old, proof.hashes, proof.count));
            }
        }
    }
}

/* Sizes are told by others: one that is wrong is refused, or the roots would not fit it. */
static void a_proof_of_other_sizes_is_refused(void **state)
{
    struct naive *n = *state;
    struct asked a = {n, 100, 0, 0};
    struct merkle_source source = {&a, asked_hash};
    struct merkle_head old = head_of(n, 37), now = head_of(n, 100);
    struct merkle_proof proof;
    assert_false(failed(merkle_consistency_from(&source, 37, 100, &proof, NULL)));
    for (uint64_t size = 0; size < 300; size++) {
        struct merkle_head other = {size, old.root};
        if (size != 37) {
            assert_false(merkle_consistency_proves(&other, &now, proof.hashes, proof.count));
        }
    }
    struct merkle_head huge = {UINT64_MAX, now.root};
    assert_false(merkle_consistency_proves(&old, &huge, proof.hashes, proof.count));
    assert_false(merkle_consistency_proves(&huge, &now, proof.hashes, proof.count));
    assert_false(merkle_consistency_proves(&old, &now, NULL, 0));
    struct merkle_hash many[MERKLE_DEPTH_MAX + 1] = {0};
    assert_false(merkle_consistency_proves(&old, &huge, many, MERKLE_DEPTH_MAX + 1));
}

/* RFC 9162 section 2.1.5: seven leaves; letters as there. */
static void the_example_of_rfc_9162_comes_out(void **state)
{
    struct naive *n = *state;
    const struct merkle_hash *b = mth(n, 1, 2), *c = mth(n, 2, 3), *d = mth(n, 3, 4),
                             *f = mth(n, 5, 6), *g = mth(n, 0, 2), *h = mth(n, 2, 4),
                             *i = mth(n, 4, 6), *j = mth(n, 6, 7), *k = mth(n, 0, 4),
                             *l = mth(n, 4, 7);
    const struct {
        uint64_t old, index; /* old 0: the path of leaf index */
        const struct merkle_hash *want[4];
    } cases[] = {
        {0, 0, {b, h, l}}, {0, 3, {c, g, l}},    {0, 4, {f, j, k}},    {0, 6, {i, k}},
        {4, 0, {l}},       {3, 0, {c, d, g, l}}, {6, 0, {i, j, k}},
    };
    struct asked a = {n, 7, 0, 0};
    struct merkle_source source = {&a, asked_hash};
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        struct merkle_proof is, want = {0};
        for (size_t w = 0; w < 4 && cases[at].want[w] != NULL; w++) {
            put(&want, cases[at].want[w]);
        }
        err e = cases[at].old == 0
                    ? merkle_inclusion_from(&source, cases[at].index, 7, &is, NULL)
                    : merkle_consistency_from(&source, cases[at].old, 7, &is, NULL);
        assert_false(failed(e));
        same_proof(&is, &want);
    }
}

static void what_the_source_fails_with_is_told(void **state)
{
    struct naive *n = *state;
    struct asked a = {n, 299, 0, 0};
    struct merkle_source source = {&a, asked_hash};
    struct merkle_proof proof;
    struct merkle_hash root;
    struct errtext why;
    for (size_t what = 0; what < 3; what++) {
        size_t calls = SIZE_MAX;
        for (size_t at = 0; at <= calls; at++) {
            a.count = 0;
            a.fail_at = at;
            memset(&proof, 7, sizeof proof);
            err e = what == 0   ? merkle_root_from(&source, 299, &root, &why)
                    : what == 1 ? merkle_inclusion_from(&source, 77, 299, &proof, &why)
                                : merkle_consistency_from(&source, 77, 299, &proof, &why);
            assert_int_equal(e.code, at == 0 ? ERR_OK : ERR_IO);
            calls = at == 0 ? a.count : calls;
        }
        assert_in_range(calls, 1, 2 * 9 + 2);
    }
}

static int naive_make(void **state)
{
    *state = naive_new();
    return 0;
}

static int naive_free(void **state)
{
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roots_and_paths_follow_the_definitions),
        cmocka_unit_test(consistency_follows_the_definition),
        cmocka_unit_test(a_changed_consistency_proof_is_refused),
        cmocka_unit_test(a_proof_of_other_sizes_is_refused),
        cmocka_unit_test(the_example_of_rfc_9162_comes_out),
        cmocka_unit_test(what_the_source_fails_with_is_told),
    };
    return cmocka_run_group_tests(tests, naive_make, naive_free);
}
