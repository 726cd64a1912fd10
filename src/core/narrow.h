/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looking into a narrow tree's nodes, inlined: most trees are narrow, and a
 * change of one area spent most of its time in asking what class a node is of.
 */
#ifndef GPMM_CORE_NARROW_H
#define GPMM_CORE_NARROW_H

#include "core/btree.h"
#include "core/find.h"
#include "core/splice.h"
#include "util/range.h"

/* A node that is soon to be walked, copied or changed. */
static inline void narrow_prefetch(const char *node, size_t size)
{
#pragma GCC unroll 10
	for (size_t at = 0; at < size; at += 64)
		__builtin_prefetch(node + at);
}

/* Of any narrow node's keys. */
static inline unsigned int narrow_count_in(enum node_class class,
					   const int32_t *key, int32_t query)
{
	if (class == LEAF_FLAT || class == INNER_TALL)
		return gpmm__find_path->splice->count(key, query);
	return narrow_count(key, node_cap(class), query);
}

/*
 * gpmm__cursor_seek() of a narrow tree that is not empty, but for cursor->root.
 * Readers have had the lines of a node, one by one, since it was written: all
 * are asked for before the first is looked at (pool.h says what it bought).
 * Vectors are as narrow as the stores that a search may come right behind, be
 * those of whole lines: a wider one would wait for them, and so for all before.
 */
static ALWAYS_INLINE void narrow_seek(struct gpmm_iter *cursor, uintptr_t root,
				      uint64_t granule)
{
	enum node_class leaf = narrow_leaf_class(root);
	int32_t query = narrow_at(granule);
	void *node = root_node(root);
	unsigned int n;

	for (unsigned int height = root_height(root); height; height--) {
		enum node_class class = narrow_inner_class(root, height);
		struct inner_arrays inner = narrow_arrays(class, node);

		node_visit();
		n = narrow_count_in(class, inner.key, query);
		n -= n > 0;
		cursor->node[height] = node;
		cursor->at[height] = n;
		node = inner.child[n];
		if (height > 1)
			narrow_prefetch(node, sizeof(struct inner_narrow));
		else
			narrow_prefetch(node, sizeof(struct leaf_narrow));
	}
	node_visit();
	n = narrow_count_in(leaf, node, query);
	n -= n && narrow_record(leaf, node, n - 1)->last >= granule;
	cursor->node[0] = node;
	cursor->at[0] = n;
}

/* The first granule of item @i of a leaf that is not wide; false: no such. */
static inline bool narrow_first(enum node_class class, const void *node,
				unsigned int i, uint64_t *first)
{
	const int32_t *key = node;

	if (i == node_cap(class) || key[i] == NARROW_FILLER)
		return false;
	*first = (uint64_t)(key[i] + 1);
	return true;
}

/* A place in a leaf of a narrow tree: to where nearly every search leads. */
struct spot {
	enum node_class class;
	const void *leaf;
	unsigned int at;
};

/* Precondition: the tree is narrow, and not empty. */
static inline struct spot cursor_spot(const struct gpmm_iter *cursor)
{
	return (struct spot){ narrow_leaf_class(cursor->root), cursor->node[0],
			      cursor->at[0] };
}

static inline bool cursor_has_spot(const struct gpmm_iter *cursor)
{
	return root_node(cursor->root) && !root_is_wide(cursor->root);
}

static inline const struct gpmm_record *spot_record(struct spot spot)
{
	return narrow_record(spot.class, spot.leaf, spot.at);
}

static inline void spot_get(struct spot spot, struct item *item)
{
	narrow_get(spot.class, spot.leaf, spot.at, item);
}

/* gpmm__cursor_first() where the cursor is there. */
static inline bool spot_first(struct spot spot, const struct gpmm_iter *cursor,
			      uint64_t *first)
{
	return narrow_first(spot.class, spot.leaf, spot.at, first) ||
	       gpmm__cursor_first(cursor, first);
}

/* Is the span that of the item there? Most often it is. */
static inline bool spot_is(struct spot spot, struct span span)
{
	uint64_t first;

	return narrow_first(spot.class, spot.leaf, spot.at, &first) &&
	       first == span.first && spot_record(spot)->last == span.last;
}

/* gpmm__cursor_first(), inlined where it need not leave a narrow leaf. */
static inline bool cursor_first(const struct gpmm_iter *cursor,
				uint64_t *first)
{
	return cursor_has_spot(cursor) ?
		spot_first(cursor_spot(cursor), cursor, first) :
		gpmm__cursor_first(cursor, first);
}

#endif
