/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "core/plan_build.h"

/* ----------------------------------------------------------- old items --- */

int gpmm__plan_cut(const struct plan *plan, const struct item *item,
		   struct span span, struct span *part)
{
	part->first = item->first > span.first ? item->first : span.first;
	part->last = item->last < span.last ? item->last : span.last;
	if (part->first > item->first &&
	    !plan_may_cut(plan, item->backend, part->first))
		return -EINVAL;
	if (part->last < item->last &&
	    !plan_may_cut(plan, item->backend, part->last + 1))
		return -EINVAL;
	return 0;
}

/* --------------------------------------------------------------- edits --- */

int gpmm__plan_add_edits(struct plan *plan, enum edit_op op,
			 const struct item *item, struct span part,
			 uint32_t new_flags)
{
	struct gpmm_backend *const *members;
	size_t n = gpmm__fanout_members(item->backend, &members);
	int ret = 0;

	for (size_t i = 0; !ret && i < n; i++)
		ret = plan_push_edit(plan, op, item, part, new_flags,
				     members[i]);
	return ret;
}

/* ----------------------------------------------------------- new items --- */

static bool backend_agrees(const struct plan *plan, const struct item *left,
			   const struct item *right)
{
	struct gpmm_backend *be = left->backend;
	struct gpmm_area l, r;

	if (!be->ops->can_merge)
		return true;
	item_to_area(left, plan->shift, &l);
	item_to_area(right, plan->shift, &r);
	return be->ops->can_merge(be, &l, &r);
}

/* The whole space has no size that 64 bits can hold. */
static bool has_size(const struct plan *plan, const struct item *left,
		     const struct item *right)
{
	return right->last - left->first != UINT64_MAX >> plan->shift;
}

/* Host addresses run on where the links are the same. */
static bool runs_on(const struct plan *plan, const struct item *left,
		    const struct item *right)
{
	return left->last + 1 == right->first &&
	       left->flags == right->flags && !(left->flags & GPMM_NOMERGE) &&
	       left->host == right->host && left->link == right->link &&
	       left->backend == right->backend &&
	       has_size(plan, left, right) &&
	       backend_agrees(plan, left, right);
}

/* @item takes in a neighbour that has, or carries, a reference of its own. */
static int take_in(struct plan *plan, struct item *item, bool carried)
{
	item->touched = true;
	if (!carried)
		return 0;
	if (item->carried)
		return plan_drop_host(plan, item->host);
	item->carried = true;
	return 0;
}

int gpmm__plan_push(struct plan *plan, const struct item *item)
{
	struct item *before = plan->items.len ?
		&plan->items.v[plan->items.len - 1] : NULL;
	int ret;

	if (before && plan->merge && (before->touched || item->touched) &&
	    runs_on(plan, before, item)) {
		before->last = item->last;
		ret = take_in(plan, before, item->carried);
		plan_mark_changed(plan);
		return ret;
	}
	ret = vec_reserve(&plan->items, 1);
	if (!ret)
		vec_push(&plan->items, *item);
	return ret;
}

int gpmm__plan_push_part(struct plan *plan, const struct item *old,
			 struct span part, uint32_t flags, bool carried)
{
	struct item item = *old;

	item.first = part.first;
	item.last = part.last;
	item.flags = flags;
	item.touched = flags != old->flags;
	item.carried = carried;
	return gpmm__plan_push(plan, &item);
}

int gpmm__plan_push_left(struct plan *plan, const struct item *old,
			 struct span part)
{
	struct span left = { old->first, part.first - 1 };

	if (part.first == old->first)
		return 0;
	return gpmm__plan_push_part(plan, old, left, old->flags, true);
}

int gpmm__plan_push_right(struct plan *plan, const struct item *old,
			  struct span part, bool carried)
{
	struct span right = { part.last + 1, old->last };

	if (part.last == old->last)
		return 0;
	return gpmm__plan_push_part(plan, old, right, old->flags, carried);
}

/* ----------------------------------------------------------- finishing --- */

bool gpmm__plan_joins_next(const struct plan *plan, const struct item *item)
{
	struct gpmm_iter cursor;
	struct item next;

	gpmm__cursor_seek(&cursor, plan->root, item->last + 1);
	return gpmm__cursor_next(&cursor, &next) &&
	       next.first == item->last + 1 &&
	       plan_items_are_like(&next, item);
}

/* The item before those that give way, where it may end right at @start. */
static bool get_before(const struct plan *plan, uint64_t start,
		       struct item *before)
{
	enum node_class class = root_class(plan->root, 0);
	unsigned int i = plan->place - 1;
	struct gpmm_iter cursor;

	if (plan->local && plan->place) {
		if (!node_is_wide(class) &&
		    narrow_record(class, plan->leaf, i)->last + 1 != start)
			return false;
		gpmm__node_get(class, plan->leaf, i, before);
		return true;
	}
	gpmm__cursor_seek(&cursor, plan->root, plan->first);
	return gpmm__cursor_before(&cursor, before);
}

static int merge_before(struct plan *plan)
{
	struct item *item = &plan->items.v[0];
	struct item before;

	if (!item->touched || !get_before(plan, item->first, &before) ||
	    !runs_on(plan, &before, item))
		return 0;
	item->first = before.first;
	plan->first = before.first;
	plan->removed++;
	plan->local &= plan->place > 0;
	plan->place--;
	return take_in(plan, item, true);
}

/*
 * The item after those planned, where it starts right behind them. If it was
 * looked at already, it was not one to merge with.
 */
static bool get_after(struct plan *plan, uint64_t start, struct item *after)
{
	uint64_t first;

	return cursor_first(&plan->at, &first) && first == start &&
	       gpmm__cursor_next(&plan->at, after);
}

static int merge_after(struct plan *plan)
{
	struct item *item = &plan->items.v[plan->items.len - 1];
	struct item after;

	if (!item->touched || !get_after(plan, item->last + 1, &after))
		return 0;
	/* The way leads to the next leaf now. */
	plan->local &= plan->at.node[0] == plan->leaf;
	if (!runs_on(plan, item, &after))
		return 0;
	item->last = after.last;
	plan->last = after.first;
	plan->removed++;
	return take_in(plan, item, true);
}

/*
 * Is there surely a gap on either side of what was planned? In the leaf it can
 * be told at once: the position is right behind it.
 */
static bool stays_apart(const struct plan *plan)
{
	enum node_class class = narrow_leaf_class(plan->root);
	const struct item *v = plan->items.v;
	uint64_t next;

	if (!plan->local || !plan->place || root_is_wide(plan->root))
		return false;
	return narrow_record(class, plan->leaf, plan->place - 1)->last + 1 <
	       v[0].first &&
	       narrow_first(class, plan->leaf, plan->at.at[0], &next) &&
	       v[plan->items.len - 1].last + 1 < next;
}

static int merge_both(struct plan *plan)
{
	int ret = merge_before(plan);

	return ret ? ret : merge_after(plan);
}

int gpmm__plan_merge_ends(struct plan *plan)
{
	return !plan->merge || !plan->items.len || stays_apart(plan) ? 0 :
		merge_both(plan);
}

int gpmm__plan_finish(struct plan *plan)
{
	if (!plan->changed)
		return 0;
	plan_note_local(plan);
	plan->items.len = plan->kept;
	plan->removed = plan->removed_kept;
	return gpmm__plan_merge_ends(plan);
}
