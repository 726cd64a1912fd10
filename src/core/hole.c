/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * First and last fit. A subtree is entered only if its largest hole is large
 * enough and it reaches into the bounds, so that what is visited beyond one
 * way down at each bound are holes that could fit but for their alignment.
 */
#include "core/btree.h"
#include "util/range.h"

/* What is free between two items, or outside all: granules, inclusive. */
static bool clip(const struct hole *hole, struct span *free)
{
	if (free->first < hole->first)
		free->first = hole->first;
	if (free->last > hole->last)
		free->last = hole->last;
	return free->first <= free->last &&
	       free->last - free->first >= hole->size - 1;
}

static bool fits_low(const struct hole *hole, struct span free,
		     uint64_t *granule)
{
	uint64_t start;

	if (!clip(hole, &free) || !align_up(free.first, hole->align, &start) ||
	    start > free.last || free.last - start < hole->size - 1)
		return false;
	*granule = start;
	return true;
}

static bool fits_high(const struct hole *hole, struct span free,
		      uint64_t *granule)
{
	uint64_t start;

	if (!clip(hole, &free))
		return false;
	start = align_down(free.last - (hole->size - 1), hole->align);
	if (start < free.first)
		return false;
	*granule = start;
	return true;
}

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

/* The first and the last granule that any item covers. */
static struct span extent(uintptr_t root)
{
	enum node_class class = root_class(root, root_height(root));
	const void *node = root_node(root);
	struct item first, last;

	gpmm__node_get(class, node, 0, &first);
	gpmm__node_get(class, node, node_len(class, node) - 1, &last);
	return (struct span){ first.first, last.last };
}

bool gpmm__btree_lowest_hole(uintptr_t root, const struct hole *hole,
			     uint64_t *granule)
{
	struct span all = { 0, UINT64_MAX };
	struct span used;

	if (!root_node(root))
		return fits_low(hole, all, granule);
	used = extent(root);
	if (used.first &&
	    fits_low(hole, (struct span){ 0, used.first - 1 }, granule))
		return true;
	if (lowest_in(root, root_node(root), root_height(root), hole, granule))
		return true;
	return used.last < UINT64_MAX &&
	       fits_low(hole, (struct span){ used.last + 1, UINT64_MAX },
			granule);
}

bool gpmm__btree_highest_hole(uintptr_t root, const struct hole *hole,
			      uint64_t *granule)
{
	struct span all = { 0, UINT64_MAX };
	struct span used;

	if (!root_node(root))
		return fits_high(hole, all, granule);
	used = extent(root);
	if (used.last < UINT64_MAX &&
	    fits_high(hole, (struct span){ used.last + 1, UINT64_MAX },
		      granule))
		return true;
	if (highest_in(root, root_node(root), root_height(root), hole, granule))
		return true;
	return used.first &&
	       fits_high(hole, (struct span){ 0, used.first - 1 }, granule);
}
