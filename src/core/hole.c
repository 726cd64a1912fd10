/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * First and last fit. A subtree is entered only if its largest hole is large
 * enough and it reaches into the bounds, so that what is visited beyond one
 * way down at each bound are holes that could fit but for their alignment.
 */
#include "core/hole.h"

/* May a hole inside the child fit? */
static bool is_worth(const struct hole *hole, const struct item *child)
{
	return child->gap >= hole->size && child->first <= hole->last &&
	       child->last >= hole->first;
}

static bool lowest_in(uintptr_t root, const void *node, unsigned int height,
		      const struct hole *hole, uint64_t *granule)
{
	enum node_class class = root_class(root, height);
	unsigned int len = node_len(class, node);
	unsigned int i = gpmm__node_count(class, node, hole->first);
	struct item at, next;

	node_visit();
	i -= i > 0;
	gpmm__node_get(class, node, i, &at);
	for (;; at = next) {
		if (height && is_worth(hole, &at) &&
		    lowest_in(root, at.child, height - 1, hole, granule))
			return true;
		if (++i == len || at.last >= hole->last)
			return false;
		gpmm__node_get(class, node, i, &next);
		if (fits_low(hole, (struct span){ at.last + 1, next.first - 1 },
			     granule))
			return true;
	}
}

static bool highest_in(uintptr_t root, const void *node, unsigned int height,
		       const struct hole *hole, uint64_t *granule)
{
	enum node_class class = root_class(root, height);
	unsigned int len = node_len(class, node);
	unsigned int i = gpmm__node_count(class, node, hole->last);
	struct item at, above;

	node_visit();
	/* The hole beyond the last item within reach counts too. */
	i = i < len ? i : len - 1;
	gpmm__node_get(class, node, i, &at);
	for (;;) {
		if (height && is_worth(hole, &at) &&
		    highest_in(root, at.child, height - 1, hole, granule))
			return true;
		if (!i-- || at.first <= hole->first)
			return false;
		above = at;
		gpmm__node_get(class, node, i, &at);
		if (fits_high(hole, (struct span){ at.last + 1,
						   above.first - 1 },
			      granule))
			return true;
	}
}

static bool lowest(uintptr_t root, const struct hole *hole, uint64_t *granule)
{
	if (!root_is_wide(root))
		return gpmm__narrow_lowest_hole(root, hole, granule);
	return lowest_in(root, root_node(root), root_height(root), hole,
			 granule);
}

static bool highest(uintptr_t root, const struct hole *hole, uint64_t *granule)
{
	if (!root_is_wide(root))
		return gpmm__narrow_highest_hole(root, hole, granule);
	return highest_in(root, root_node(root), root_height(root), hole,
			  granule);
}

/* The first and the last granule that any item covers. */
static uint64_t first_of(uintptr_t root)
{
	struct item first;

	/* Of all nodes the keys stand first. */
	if (!root_is_wide(root))
		return (uint64_t)(*(const int32_t *)root_node(root) + 1);
	gpmm__node_get(root_class(root, root_height(root)), root_node(root),
		       0, &first);
	return first.first;
}

static uint64_t last_of(uintptr_t root)
{
	enum node_class class = root_class(root, root_height(root));
	const void *node = root_node(root);
	struct item last;

	gpmm__node_get(class, node, node_len(class, node) - 1, &last);
	return last.last;
}

bool gpmm__btree_lowest_hole(uintptr_t root, const struct hole *hole,
			     uint64_t *granule)
{
	struct span all = { 0, UINT64_MAX };
	uint64_t edge;

	if (!root_node(root))
		return fits_low(hole, all, granule);
	edge = first_of(root);
	if (edge && fits_low(hole, (struct span){ 0, edge - 1 }, granule))
		return true;
	if (lowest(root, hole, granule))
		return true;
	edge = last_of(root);
	return edge < UINT64_MAX &&
	       fits_low(hole, (struct span){ edge + 1, UINT64_MAX }, granule);
}

bool gpmm__btree_highest_hole(uintptr_t root, const struct hole *hole,
			      uint64_t *granule)
{
	struct span all = { 0, UINT64_MAX };
	uint64_t edge;

	if (!root_node(root))
		return fits_high(hole, all, granule);
	edge = last_of(root);
	if (edge < UINT64_MAX &&
	    fits_high(hole, (struct span){ edge + 1, UINT64_MAX }, granule))
		return true;
	if (highest(root, hole, granule))
		return true;
	edge = first_of(root);
	return edge && fits_high(hole, (struct span){ 0, edge - 1 }, granule);
}
