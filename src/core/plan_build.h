/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What requests build a plan with: old items taken, edits and items added, the
 * ends finished. Inlined is what a change of one whole item needs.
 * Return: 0 or -ENOMEM, where there is no other word.
 */
#ifndef GPMM_CORE_PLAN_BUILD_H
#define GPMM_CORE_PLAN_BUILD_H

#include "core/fanout.h"
#include "core/find.h"
#include "core/narrow.h"
#include "core/none.h"
#include "core/plan.h"

/* ----------------------------------------------------------- old items --- */

/* Begin with the items that end at or above @granule. */
static inline void plan_start(struct plan *plan, uint64_t granule)
{
	gpmm__cursor_seek(&plan->at, plan->root, granule);
	plan->changed = false;
	plan->local = false;
	plan->items.len = 0;
	plan->kept = 0;
	plan->removed = 0;
	plan->removed_kept = 0;
}

/* All that was planned up to here, but nothing beyond, is to happen. */
static inline void plan_mark_changed(struct plan *plan)
{
	plan->changed = true;
	plan->kept = plan->items.len;
	plan->removed_kept = plan->removed;
}

/* The next old item that reaches into a span, if it starts there. */
static inline bool plan_next_old(struct plan *plan, struct span span,
				 struct item *old)
{
	uint64_t first;

	return cursor_first(&plan->at, &first) && first <= span.last &&
	       gpmm__cursor_next(&plan->at, old);
}

/* Here in the tree is what gives way, or where there is nothing that does. */
static inline void plan_note_place(struct plan *plan, unsigned int place)
{
	plan->leaf = plan->at.node[0];
	plan->place = place;
}

/* An old item, the last that was looked at, comes into the range that gives
 * way. */
static inline void plan_take_old(struct plan *plan, const struct item *old)
{
	if (!plan->removed++) {
		plan->first = old->first;
		plan_note_place(plan, plan->at.at[0] - 1);
	}
	plan->last = old->first;
}

/* May the backend's areas have an edge at this granule? */
static inline bool plan_may_cut(const struct plan *plan,
				const struct gpmm_backend *be,
				uint64_t granule)
{
	return !be->granule ||
	       is_aligned(granule << plan->shift, be->granule);
}

/* May the item lie where it is to? */
static inline bool plan_may_lie(const struct plan *plan,
				const struct item *item)
{
	return plan_may_cut(plan, item->backend, item->first) &&
	       plan_may_cut(plan, item->backend, item->last + 1);
}

/*
 * The part of an item that lies in a span.
 * Return: 0; -EINVAL where it may not be cut.
 */
int gpmm__plan_cut(const struct plan *plan, const struct item *item,
		   struct span span, struct span *part);

/* Plan to drop a reference that an old item had; NULL is ignored. */
static inline int plan_drop_host(struct plan *plan, struct gpmm_host *host)
{
	int ret = host ? vec_reserve(&plan->dropped, 1) : 0;

	if (!ret && host)
		vec_push(&plan->dropped, host);
	return ret;
}

/* --------------------------------------------------------------- edits --- */

/* Plan to tell one backend. */
static inline int plan_push_edit(struct plan *plan, enum edit_op op,
				 const struct item *item, struct span part,
				 uint32_t new_flags, struct gpmm_backend *be)
{
	struct item piece = *item;
	struct edit *edit;

	if (vec_reserve(&plan->edits, 1))
		return -ENOMEM;
	piece.first = part.first;
	piece.last = part.last;
	piece.backend = be;
	edit = &plan->edits.v[plan->edits.len++];
	edit->op = op;
	edit->new_flags = new_flags;
	edit->stuck = false;
	item_to_area(&piece, plan->shift, &edit->area);
	return 0;
}

/* Plan to tell each member of the item's fan-out. */
int gpmm__plan_add_edits(struct plan *plan, enum edit_op op,
			 const struct item *item, struct span part,
			 uint32_t new_flags);

/* Plan to tell the item's backend, or backends, what happens to a part. */
static inline int plan_add_edit(struct plan *plan, enum edit_op op,
				const struct item *item, struct span part,
				uint32_t new_flags)
{
	if (backend_is_none(item->backend))
		return 0;
	if (backend_is_fanout(item->backend))
		return gpmm__plan_add_edits(plan, op, item, part, new_flags);
	return plan_push_edit(plan, op, item, part, new_flags, item->backend);
}

/* ----------------------------------------------------------- new items --- */

/* Plan an item after those planned; merge it with the last where one of them
 * is new. */
int gpmm__plan_push(struct plan *plan, const struct item *item);

/* Plan the part of an old item that stays, or changes its flags. */
int gpmm__plan_push_part(struct plan *plan, const struct item *old,
			 struct span part, uint32_t flags, bool carried);

/* Plan what sticks out of a span left and right, the first to carry. */
int gpmm__plan_push_left(struct plan *plan, const struct item *old,
			 struct span part);
int gpmm__plan_push_right(struct plan *plan, const struct item *old,
			  struct span part, bool carried);

/* Would the record merge with a new item that it runs on from, or to? */
static inline bool plan_is_like(const struct gpmm_record *record,
				const struct item *item)
{
	return record->link == item->link && record->host == item->host &&
	       record->flags == item->flags;
}

static inline bool plan_items_are_like(const struct item *a,
				       const struct item *b)
{
	return a->link == b->link && a->host == b->host && a->flags == b->flags;
}

/* And the item next to it, wherever it is in the tree: does it run on? */
bool gpmm__plan_joins_next(const struct plan *plan, const struct item *item);

/* Is the span that of the item at the position? */
static inline bool plan_is_one(const struct plan *plan, struct span span)
{
	return cursor_has_spot(&plan->at) &&
	       spot_is(cursor_spot(&plan->at), span);
}

/*
 * Can a new item before @next, where the one at the position starts, merge with
 * nothing? At position 0 there is nothing before it in the whole tree: inner
 * keys are exact.
 */
static inline bool plan_stands_at(const struct plan *plan, struct spot spot,
				  const struct item *item, uint64_t next)
{
	const struct gpmm_record *before;
	uint64_t first;

	if (item->last + 1 == next &&
	    (narrow_first(spot.class, spot.leaf, spot.at, &first) ?
		     plan_is_like(spot_record(spot), item) :
		     gpmm__plan_joins_next(plan, item)))
		return false;
	if (!spot.at)
		return true;
	before = narrow_record(spot.class, spot.leaf, spot.at - 1);
	return before->last + UINT64_C(1) < item->first ||
	       !plan_is_like(before, item);
}

/* The same at the position; false where that is in no narrow tree. */
static inline bool plan_stands_alone(const struct plan *plan,
				     const struct item *item, uint64_t next)
{
	return cursor_has_spot(&plan->at) &&
	       plan_stands_at(plan, cursor_spot(&plan->at), item, next);
}

/* Would an item at the position merge with the one before it in the tree? */
static inline bool plan_joins_before(const struct gpmm_iter *at,
				     struct spot spot, const struct item *item)
{
	const struct gpmm_record *record;
	struct item before;

	if (!spot.at)
		return gpmm__cursor_before(at, &before) &&
		       before.last + 1 == item->first &&
		       plan_items_are_like(&before, item);
	record = narrow_record(spot.class, spot.leaf, spot.at - 1);
	return record->last + UINT64_C(1) == item->first &&
	       plan_is_like(record, item);
}

/* Or with the one behind that which is at the position? */
static inline bool plan_joins_after(const struct plan *plan, struct spot spot,
				    const struct item *item)
{
	uint64_t first;

	spot.at++;
	if (!narrow_first(spot.class, spot.leaf, spot.at, &first))
		return gpmm__plan_joins_next(plan, item);
	return first == item->last + 1 &&
	       plan_is_like(spot_record(spot), item);
}

/*
 * Would an item merge with nothing in the tree, in the place of that there?
 * Precondition: as of cursor_spot().
 */
static inline bool plan_is_alone(const struct plan *plan,
				 const struct gpmm_iter *at,
				 const struct item *item)
{
	struct spot spot = cursor_spot(at);

	return !plan->merge ||
	       (!plan_joins_before(at, spot, item) &&
		!plan_joins_after(plan, spot, item));
}

/* ----------------------------------------------------------- finishing --- */

/* Is the position right behind what gives way, and still in its leaf? */
static inline void plan_note_local(struct plan *plan)
{
	plan->local = root_node(plan->root) &&
		      plan->leaf == plan->at.node[0] &&
		      plan->removed == plan->removed_kept;
}

/* Look beyond both ends for neighbours to merge with. */
int gpmm__plan_merge_ends(struct plan *plan);

/* Leave out what stays as it is at the end, and merge the ends. */
int gpmm__plan_finish(struct plan *plan);

#endif
