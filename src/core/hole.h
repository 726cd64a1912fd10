/* SPDX-License-Identifier: BSD-3-Clause */
/* What a hole must be, and the search of narrow trees for one. */
#ifndef GPMM_CORE_HOLE_H
#define GPMM_CORE_HOLE_H

#include "core/btree.h"
#include "util/range.h"

/* What is free between two items, or outside all: granules, inclusive. */
static inline bool clip(const struct hole *hole, struct span *free)
{
	if (free->first < hole->first)
		free->first = hole->first;
	if (free->last > hole->last)
		free->last = hole->last;
	return free->first <= free->last &&
	       free->last - free->first >= hole->size - 1;
}

static inline bool fits_low(const struct hole *hole, struct span free,
			    uint64_t *granule)
{
	uint64_t start;

	if (!clip(hole, &free) || !align_up(free.first, hole->align, &start) ||
	    start > free.last || free.last - start < hole->size - 1)
		return false;
	*granule = start;
	return true;
}

static inline bool fits_high(const struct hole *hole, struct span free,
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

/* In a narrow tree that is not empty, between its first and last item. */
bool gpmm__narrow_lowest_hole(uintptr_t root, const struct hole *hole,
			      uint64_t *granule);
bool gpmm__narrow_highest_hole(uintptr_t root, const struct hole *hole,
			       uint64_t *granule);

#endif
