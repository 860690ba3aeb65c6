/* An ordered map in an arena: rows, accounts and counts of one event. */
#include "rules/tree.h"

#include "base/require.h"

void *tree_get(const struct tree *t, struct bytes key)
{
    const struct tree_node *n = t->root;
    while (n != NULL) {
        int order = bytes_compare(key, n->key);
        if (order == 0) {
            return n->value;
        }
        n = order < 0 ? n->left : n->right;
    }
    return NULL;
}

/* A left child of the same level is turned up. */
static struct tree_node *skew(struct tree_node *n)
{
    struct tree_node *left = n->left;
    if (left == NULL || left->level != n->level) {
        return n;
    }
    n->left = left->right;
    left->right = n;
    return left;
}

/* Two right children of the same level are split. */
static struct tree_node *split(struct tree_node *n)
{
    struct tree_node *right = n->right;
    if (right == NULL || right->right == NULL || right->right->level != n->level) {
        return n;
    }
    n->right = right->left;
    right->left = n;
    right->level++;
    return right;
}

/* Recursion goes as deep as the tree is high: at most twice the logarithm of its size. */
static struct tree_node *insert(struct tree_node *at, struct tree_node *added)
{
    if (at == NULL) {
        return added;
    }
    int order = bytes_compare(added->key, at->key);
    require(order != 0);
    if (order < 0) {
        at->left = insert(at->left, added);
    } else {
        at->right = insert(at->right, added);
    }
    return split(skew(at));
}

struct tree_node *tree_add(struct tree *t, struct bytes key, size_t size)
{
    require(t->arena != NULL);
    require(size > 0);
    struct tree_node *n = arena_new(t->arena, 1, sizeof *n);
    n->key = arena_copy(t->arena, key);
    n->value = arena_new(t->arena, 1, size);
    n->level = 1;
    t->root = insert(t->root, n);
    t->count++;
    return n;
}

const struct tree_node *tree_above(const struct tree *t, struct bytes key, bool inclusive)
{
    const struct tree_node *n = t->root;
    const struct tree_node *best = NULL;
    while (n != NULL) {
        int order = bytes_compare(n->key, key);
        if (order > 0 || (inclusive && order == 0)) {
            best = n;
            n = n->left;
        } else {
            n = n->right;
        }
    }
    return best;
}

const struct tree_node *tree_below(const struct tree *t, struct bytes key, bool inclusive)
{
    const struct tree_node *n = t->root;
    const struct tree_node *best = NULL;
    while (n != NULL) {
        int order = bytes_compare(n->key, key);
        if (order < 0 || (inclusive && order == 0)) {
            best = n;
            n = n->right;
        } else {
            n = n->left;
        }
    }
    return best;
}
