/* SPDX-License-Identifier: BSD-3-Clause */
/* What readers call: wait-free, without a shared write. */
#include <errno.h>

#include "core/find.h"
#include "core/set.h"

#ifdef GPMM_DOUBLE
static inline void enter(const struct gpmm_set *set)
{
	(void)set;
	rcu_enter();
}

static inline void leave(const struct gpmm_set *set)
{
	(void)set;
	rcu_leave();
}
#else
static inline void enter(const struct gpmm_set *set)
{
	if (__builtin_expect(!set->flavor, 1))
		rcu_enter();
	else
		set->flavor->read_lock();
}

static inline void leave(const struct gpmm_set *set)
{
	if (__builtin_expect(!set->flavor, 1)) {
		rcu_leave();
	} else {
		rcu_tsan_release();
		set->flavor->read_unlock();
	}
}
#endif

size_t gpmm_set_len(const struct gpmm_set *set)
{
	return __atomic_load_n(&set->areas, __ATOMIC_RELAXED);
}

bool gpmm_set_is_empty(const struct gpmm_set *set)
{
	return !gpmm_set_len(set);
}

uint64_t gpmm_set_generation(const struct gpmm_set *set)
{
	return __atomic_load_n(&set->generation, __ATOMIC_ACQUIRE);
}

/* The reader's half of publish() in publish.h. */
struct gpmm_view gpmm_set_view_rcu(const struct gpmm_set *set)
{
	return (struct gpmm_view){ set, rcu_read(&set->face.root) };
}

/* ------------------------------------------------------------------ find --- */

void gpmm_set_hits_rcu(const struct gpmm_set *set, const gpmm_gpa_t *addrs,
		       size_t n, struct gpmm_hit *hits)
{
	gpmm__find_path->find_each(rcu_read(&set->face.root), set->face.shift,
				   addrs, n, hits);
}

/* A hit as the functions below answer with it. @area may be NULL. */
static inline bool give(const struct gpmm_set *set, struct gpmm_hit hit,
			struct gpmm_area *area)
{
	if (hit.record && area)
		gpmm_hit_area(set, hit, area);
	return hit.record;
}

bool gpmm_view_find(struct gpmm_view view, gpmm_gpa_t addr,
		    struct gpmm_area *area)
{
	return give(view.set, gpmm__find_path->find(view.root,
						    view.set->face.shift,
						    addr), area);
}

bool gpmm_set_find_rcu(const struct gpmm_set *set, gpmm_gpa_t addr,
		       struct gpmm_area *area)
{
	return give(set, set_hit(set, addr), area);
}

bool gpmm_set_find(const struct gpmm_set *set, gpmm_gpa_t addr,
		   struct gpmm_area *area)
{
	bool found;

	enter(set);
	found = give(set, set_hit(set, addr), area);
	leave(set);
	return found;
}

/* -------------------------------------------------------------- overlaps --- */

bool gpmm_view_next(struct gpmm_view view, gpmm_gpa_t addr,
		    struct gpmm_area *area)
{
	unsigned int shift = view.set->face.shift;
	struct gpmm_iter cursor;
	struct item item;

	gpmm__cursor_seek(&cursor, view.root, addr >> shift);
	if (!gpmm__cursor_next(&cursor, &item))
		return false;
	item_to_area(&item, shift, area);
	return true;
}

bool gpmm_view_overlaps(struct gpmm_view view, gpmm_gpa_t start,
			uint64_t size)
{
	struct gpmm_area area;
	struct span span;

	return range_to_span(start, size, &span) &&
	       gpmm_view_next(view, start, &area) && area.start <= span.last;
}

bool gpmm_set_overlaps(const struct gpmm_set *set, gpmm_gpa_t start,
		       uint64_t size)
{
	bool overlaps;

	enter(set);
	overlaps = gpmm_view_overlaps(gpmm_set_view_rcu(set), start, size);
	leave(set);
	return overlaps;
}

/* ----------------------------------------------------------------- holes --- */

/* What a hole must hold, in granules; false where nothing can. */
static bool bound_hole(const struct gpmm_hole *want, struct span limit,
		       unsigned int shift, struct hole *hole)
{
	uint64_t granule = UINT64_C(1) << shift;
	uint64_t size = (want->size - 1) >> shift;
	uint64_t first;

	if (want->hint && want->top_down && want->hint - 1 < limit.last)
		limit.last = want->hint - 1;
	if (!want->top_down && want->hint > limit.first)
		limit.first = want->hint;
	/* Only whole granules count: round up, and one past the last down. */
	if (!align_up(limit.first, granule, &first) ||
	    limit.last < granule - 1)
		return false;
	hole->first = first >> shift;
	hole->last = (limit.last - (granule - 1)) >> shift;
	hole->size = size + 1;
	hole->align = want->align >> shift;
	hole->align += !hole->align;
	return hole->first <= hole->last;
}

static bool is_valid_hole(const struct gpmm_hole *want, struct span *limit)
{
	if (!want->size || (want->align && !is_power_of_two(want->align)))
		return false;
	if (!want->limit.size)
		*limit = (struct span){ 0, UINT64_MAX };
	return !want->limit.size || limit_to_span(want->limit, limit);
}

int gpmm_view_find_free(struct gpmm_view view, const struct gpmm_hole *want,
			gpmm_gpa_t *addr)
{
	unsigned int shift = view.set->face.shift;
	struct span limit;
	struct hole hole;
	uint64_t granule;
	bool found;

	if (!is_valid_hole(want, &limit))
		return -EINVAL;
	if (!bound_hole(want, limit, shift, &hole))
		return -ENOENT;
	found = want->top_down ?
		gpmm__btree_highest_hole(view.root, &hole, &granule) :
		gpmm__btree_lowest_hole(view.root, &hole, &granule);
	if (!found)
		return -ENOENT;
	*addr = granule << shift;
	return 0;
}

int gpmm_set_find_free(const struct gpmm_set *set,
		       const struct gpmm_hole *hole, gpmm_gpa_t *addr)
{
	int ret;

	enter(set);
	ret = gpmm_view_find_free(gpmm_set_view_rcu(set), hole, addr);
	leave(set);
	return ret;
}

/* --------------------------------------------------------------- walking --- */

int gpmm_set_for_each(const struct gpmm_set *set, struct gpmm_range range,
		      gpmm_area_fn *fn, void *arg)
{
	int ret;

	enter(set);
	ret = gpmm_view_for_each(gpmm_set_view_rcu(set), range, fn, arg);
	leave(set);
	return ret;
}
