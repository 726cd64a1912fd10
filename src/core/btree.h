/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tree: an RCU-protected copy-on-write B+tree of items in granules. It
 * knows no backend, no bytes and no lock.
 *
 * A root is one word: the address of the top node, and in the bits that its
 * alignment leaves free the height above the leaves and the form. 0 is the
 * empty tree. Whoever holds a root holds a whole snapshot.
 *
 * Invariants, checked by btree_check.c:
 *  A  a node that a published root reaches is never written, nor is a record;
 *     of a flat leaf's block that is every place below @used
 *  B  items ascend and do not overlap; first <= last
 *  C  a key in an inner node is exactly the first granule of its subtree,
 *     its last and gap are exactly the subtree's
 *  D  all leaves are at the same depth; nodes off the right edge hold at
 *     least LEAF_MIN, INNER_MIN items; the top inner node holds two or more;
 *     flat leaves and tall nodes are the top; of a flat leaf each item's
 *     record has a place of its own
 *  E  in a narrow tree nothing lies above NARROW_LAST; unused lanes hold
 *     the filler, and of a flat leaf's places one below @used
 */
#ifndef GPMM_CORE_BTREE_H
#define GPMM_CORE_BTREE_H

#include <gpmm/set.h>

#include "core/node.h"
#include "core/pool.h"
#include "util/vec.h"

#define ROOT_HEIGHT	((uintptr_t)15)
#define ROOT_FORM	((uintptr_t)48)
#define ROOT_WIDE	((uintptr_t)16)	/* 64-bit keys */
#define ROOT_FLAT	((uintptr_t)32)	/* narrow, the top a flat leaf */
#define ROOT_TALL	((uintptr_t)48)	/* narrow, the top a tall node */
#define ROOT_BITS	((uintptr_t)63)

static inline void *root_node(uintptr_t root)
{
	return (void *)(root & ~ROOT_BITS);
}

static inline unsigned int root_height(uintptr_t root)
{
	return root & ROOT_HEIGHT;
}

static inline bool root_is_wide(uintptr_t root)
{
	return (root & ROOT_FORM) == ROOT_WIDE;
}

/* The class of a narrow tree's leaves. */
static inline enum node_class narrow_leaf_class(uintptr_t root)
{
	return (root & ROOT_FORM) == ROOT_FLAT ? LEAF_FLAT : LEAF_NARROW;
}

/* The class of a narrow tree's inner nodes at a height. */
static inline enum node_class narrow_inner_class(uintptr_t root,
						 unsigned int height)
{
	return (root & ROOT_FORM) == ROOT_TALL &&
	       height == root_height(root) ? INNER_TALL : INNER_NARROW;
}

/* The class of a tree's nodes at a height; 0 is the leaves'. */
static inline enum node_class root_class(uintptr_t root, unsigned int height)
{
	if (root_is_wide(root))
		return node_class(true, height);
	return height ? narrow_inner_class(root, height) :
			narrow_leaf_class(root);
}

/* ------------------------------------------------------------- reading --- */

/*
 * A position between items is a struct gpmm_iter: the way from a leaf to the
 * top. Here its set is not looked at.
 */
/* Go before the first item that ends at or above @granule. */
void gpmm__cursor_seek(struct gpmm_iter *cursor, uintptr_t root,
		       uint64_t granule);

/* Give the item at the position and step past it; false at the end. */
bool gpmm__cursor_next(struct gpmm_iter *cursor, struct item *item);

/* From the end of a leaf to the start of the next; false at the last. */
bool gpmm__cursor_next_leaf(struct gpmm_iter *cursor);

/* Where the item at the position starts, without moving; false at the end. */
bool gpmm__cursor_first(const struct gpmm_iter *cursor, uint64_t *first);

/* Give the item before the position, without moving; false at the start. */
bool gpmm__cursor_before(const struct gpmm_iter *cursor, struct item *item);

/* What bounds the search for a hole; granules, last inclusive. */
struct hole {
	uint64_t first;
	uint64_t last;
	uint64_t size;		/* more than 0 */
	uint64_t align;		/* a power of two; 1: any */
};

/* The lowest and the highest start of a hole that fits; false: none does. */
bool gpmm__btree_lowest_hole(uintptr_t root, const struct hole *hole,
			     uint64_t *granule);
bool gpmm__btree_highest_hole(uintptr_t root, const struct hole *hole,
			      uint64_t *granule);

/* ------------------------------------------------------------- changing --- */

/* A tree being changed: published nodes are copied, its own changed in place. */
struct btree {
	struct pool *pool;
	uint64_t stamp;		/* of this transaction; never 0, never reused */
	uintptr_t root;
	bool underfull;		/* the last change left nodes to mend */
	struct node_list retired;	/* published, no longer reached */
	VEC(struct item) out;	/* what a level hands to the one above */
	/* Nodes that stay reserved, see gpmm__btree_keep_local(). */
	size_t kept[NODE_CLASSES];
};

/* Reserve nodes beside those that are kept. */
static inline int btree_reserve_nodes(struct btree *tree,
				      enum node_class class, size_t n)
{
	return pool_reserve(tree->pool, class, n + tree->kept[class]);
}

/*
 * Make sure that gpmm__btree_replace() of any range by @n items cannot fail.
 * @removes: the range is not empty
 */
int gpmm__btree_reserve(struct btree *tree, size_t n, bool removes);

/*
 * Replace the items that start in [first, last] by @n others, ascending, that
 * fit between what stays. Cannot fail after gpmm__btree_reserve().
 */
void gpmm__btree_replace(struct btree *tree, uint64_t first, uint64_t last,
			 const struct item *items, size_t n);

/*
 * The same within one leaf of a narrow tree, along the way that is known: the
 * @removed items from @place on in the leaf at the end of @way, which is one
 * of this tree, give way to @n. Reserving may go on to the next leaf's start.
 */
struct local_change {
	struct gpmm_iter *way;
	unsigned int place;
	size_t removed;
	const struct item *items;
	size_t n;
	/*
	 * Where nodes that are replaced go. NULL: tree->retired, as the
	 * transaction may be given up. Else limbo's open batch: the change
	 * cannot fail any more, and is published before the set's lock is let
	 * go. Not for a top, nor for a flat leaf.
	 */
	struct node_batch *gone;
	/* What reserving finds out; @len is for more than one item. */
	unsigned int len;
	unsigned int shared;	/* nodes on the way that are to be copied */
};

/*
 * Return: 0; -ENOMEM; -ENOENT where it cannot be made so: a node would split,
 * or become too small.
 */
int gpmm__btree_reserve_local(struct btree *tree, struct local_change *change);
void gpmm__btree_replace_local(struct btree *tree,
			       const struct local_change *change);

/*
 * Keep what it takes to replace the item at @way by one or none at any time
 * until @tree.kept is cleared, whatever else is changed before: that change is
 * made without reserving, if it fits then. A flat or tall top is the tree's own
 * already. Return: 0 or -ENOMEM.
 */
int gpmm__btree_keep_local(struct btree *tree, const struct gpmm_iter *way);

/* Make such a change, of one item by one or none. */
void gpmm__btree_replace_kept(struct btree *tree, struct local_change *change);

/* The tree no longer reaches a node, or block. */
static inline void btree_release_one(struct btree *tree, void *node)
{
	if (node_is_of(node, tree->stamp))
		gpmm__pool_give(tree->pool, node);
	else
		node_list_add(&tree->retired, node);
}

/* Make a narrow tree wide. O(n). Return: 0 or -ENOMEM, tree as before. */
int gpmm__btree_widen(struct btree *tree);

/*
 * Copy the live nodes of marked slabs into others, see gpmm__pool_mark().
 * Return: 0 or -ENOMEM, tree as before.
 */
int gpmm__btree_gather(struct btree *tree);

/* Give back the nodes that only this transaction knows. */
void gpmm__btree_drop(struct btree *tree);

#endif
