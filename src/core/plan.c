/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "core/plan_build.h"

/* -------------------------------------------------------------- requests --- */

static int unmap_item(struct plan *plan, const struct item *old,
		      struct span span)
{
	struct span part;
	int ret = gpmm__plan_cut(plan, old, span, &part);
	bool left, right;

	if (ret)
		return ret;
	left = part.first > old->first;
	right = part.last < old->last;
	plan_take_old(plan, old);
	ret = plan_add_edit(plan, EDIT_UNMAP, old, part, 0);
	if (!ret)
		ret = gpmm__plan_push_left(plan, old, part);
	if (!ret)
		ret = gpmm__plan_push_right(plan, old, part, !left);
	if (!ret && !left && !right)
		ret = plan_drop_host(plan, old->host);
	return ret;
}

/* @plan has been started at the span. */
static int unmap_span(struct plan *plan, struct span span)
{
	struct item old;
	int ret;

	while (plan_next_old(plan, span, &old)) {
		ret = unmap_item(plan, &old, span);
		if (ret)
			return ret;
		plan_mark_changed(plan);
	}
	return 0;
}

/* Precondition: plan_is_one() */
static int unmap_one(struct plan *plan, struct span span)
{
	struct item old;
	int ret;

	spot_get(cursor_spot(&plan->at), &old);
	ret = plan_add_edit(plan, EDIT_UNMAP, &old, span, 0);
	if (!ret)
		ret = plan_drop_host(plan, old.host);
	plan_note_place(plan, plan->at.at[0]);
	plan->first = plan->last = old.first;
	plan->removed = 1;
	plan->changed = plan->local = true;
	return ret;
}

int gpmm__plan_unmap(struct plan *plan, struct span span)
{
	int ret;

	plan_start(plan, span.first);
	if (plan_is_one(plan, span))
		return unmap_one(plan, span);
	ret = unmap_span(plan, span);
	return ret ? ret : gpmm__plan_finish(plan);
}

/* Put a new item between what the unmapping left on its left and right. */
static int insert(struct plan *plan, const struct item *item)
{
	size_t at = plan->items.len && plan->items.v[0].first < item->first;
	int ret = vec_reserve(&plan->items, 1);
	struct item *v = plan->items.v;

	if (ret)
		return ret;
	memmove(&v[at + 1], &v[at], (plan->items.len - at) * sizeof(*v));
	v[at] = *item;
	plan->items.len++;
	return 0;
}

/* The new item runs on from what was left on either side of it. */
static int merge_within(struct plan *plan)
{
	struct item all[3];
	size_t n = plan->items.len;
	int ret = 0;

	if (n == 1) {
		plan_mark_changed(plan);
		return 0;
	}
	memcpy(all, plan->items.v, n * sizeof(*all));
	plan->items.len = 0;
	for (size_t i = 0; !ret && i < n; i++)
		ret = gpmm__plan_push(plan, &all[i]);
	plan_mark_changed(plan);
	return ret;
}

/*
 * Precondition: plan_stands_alone(), and a note of the place.
 * Field by field, as the item has just been written: a vector of what two
 * stores wrote is loaded once both are done, and so all stores before them. A
 * commit's have to wait for the readers' CPUs.
 */
static int map_one(struct plan *plan, const struct item *item)
{
	int ret = vec_reserve(&plan->items, 1);
	struct item *to;

	if (ret)
		return ret;
	to = &plan->items.v[plan->items.len++];
	to->first = item->first;
	to->last = item->last;
	to->link = item->link;
	to->host = item->host;
	to->backend = item->backend;
	to->flags = item->flags;
	to->touched = true;
	to->carried = false;
	plan->changed = plan->local = true;
	return 0;
}

/* Note where a new item comes, before @next: nothing is in its way. */
static void note_gap(struct plan *plan, const struct item *item, uint64_t next)
{
	plan->next = next;
	plan->first = plan->last = item->first;
	plan_note_place(plan, plan->at.at[0]);
}

int gpmm__plan_map_alone(struct plan *plan, const struct item *item)
{
	struct span span = { item->first, item->last };
	uint64_t next = 0;
	int ret;

	if (!plan_may_lie(plan, item))
		return -EINVAL;
	plan_start(plan, span.first);
	if ((cursor_first(&plan->at, &next) && next <= span.last) ||
	    !plan_stands_alone(plan, item, next))
		return PLAN_NOT;
	note_gap(plan, item, next);
	ret = plan_add_edit(plan, EDIT_MAP, item, span, 0);
	return ret ? ret : map_one(plan, item);
}

int gpmm__plan_map(struct plan *plan, const struct item *item, bool replace)
{
	struct span span = { item->first, item->last };
	uint64_t next = 0;
	int ret = 0;

	if (!plan_may_lie(plan, item))
		return -EINVAL;
	plan_start(plan, span.first);
	if (cursor_first(&plan->at, &next) && next <= span.last)
		ret = replace ? unmap_span(plan, span) : -EEXIST;
	if (!ret)
		ret = plan_add_edit(plan, EDIT_MAP, item, span, 0);
	if (ret)
		return ret;
	if (!plan->removed) {
		note_gap(plan, item, next);
		if (plan_stands_alone(plan, item, next))
			return map_one(plan, item);
	}
	ret = insert(plan, item);
	if (!ret)
		ret = merge_within(plan);
	return ret ? ret : gpmm__plan_finish(plan);
}

static int protect_item(struct plan *plan, const struct item *old,
			struct span span, uint32_t flags)
{
	struct span part;
	int ret = gpmm__plan_cut(plan, old, span, &part);
	bool left;

	if (!ret)
		ret = plan_add_edit(plan, EDIT_PROTECT, old, part, flags);
	if (ret)
		return ret;
	left = part.first > old->first;
	ret = gpmm__plan_push_left(plan, old, part);
	if (!ret)
		ret = gpmm__plan_push_part(plan, old, part, flags, !left);
	if (!ret)
		ret = gpmm__plan_push_right(plan, old, part, false);
	if (!ret)
		plan_mark_changed(plan);
	return ret;
}

/* Ask about one item, and plan it as it is or changed. */
static int update_item(struct plan *plan, const struct item *old,
		       struct span span, gpmm_protect_fn *update, void *arg)
{
	struct span whole = { old->first, old->last };
	uint32_t flags = old->flags;
	struct gpmm_area area;

	item_to_area(old, plan->shift, &area);
	if (!update(arg, &area, &flags) || flags == old->flags) {
		if (!plan->changed)
			return 0;
		plan_take_old(plan, old);
		return gpmm__plan_push_part(plan, old, whole, old->flags, true);
	}
	plan_take_old(plan, old);
	return protect_item(plan, old, span, flags);
}

/* Precondition: plan_is_one() */
static int protect_one(struct plan *plan, struct span span,
		       gpmm_protect_fn *update, void *arg)
{
	unsigned int place = plan->at.at[0];
	struct gpmm_area area;
	struct item item;
	uint32_t flags;
	int ret;

	spot_get(cursor_spot(&plan->at), &item);
	plan->at.at[0]++;
	flags = item.flags;
	item_to_area(&item, plan->shift, &area);
	if (!update(arg, &area, &flags) || flags == item.flags)
		return 0;
	ret = plan_add_edit(plan, EDIT_PROTECT, &item, span, flags);
	if (!ret)
		ret = vec_reserve(&plan->items, 1);
	if (ret)
		return ret;
	item.flags = flags;
	item.touched = item.carried = true;
	vec_push(&plan->items, item);
	plan_note_place(plan, place);
	plan->first = plan->last = item.first;
	plan->removed = 1;
	plan->changed = plan->local = true;
	return gpmm__plan_merge_ends(plan);
}

int gpmm__plan_protect(struct plan *plan, struct span span,
		       gpmm_protect_fn *update, void *arg)
{
	uint64_t last = 0;
	struct item old;
	int ret;

	plan_start(plan, span.first);
	if (plan_is_one(plan, span))
		return protect_one(plan, span, update, arg);
	while (plan_next_old(plan, span, &old)) {
		ret = update_item(plan, &old, span, update, arg);
		if (ret)
			return ret;
		if (plan->removed == plan->removed_kept)
			last = plan->last;
	}
	plan->last = last;
	return gpmm__plan_finish(plan);
}

int gpmm__plan_split(struct plan *plan, uint64_t at)
{
	struct item old;
	int ret;

	plan_start(plan, at);
	if (!plan_next_old(plan, (struct span){ at, at }, &old))
		return -ENOENT;
	if (old.first == at)
		return 0;
	if (!plan_may_cut(plan, old.backend, at))
		return -EINVAL;
	plan_take_old(plan, &old);
	ret = gpmm__plan_push_part(plan, &old,
				   (struct span){ old.first, at - 1 },
				   old.flags, true);
	if (!ret)
		ret = gpmm__plan_push_part(plan, &old,
					   (struct span){ at, old.last },
					   old.flags, false);
	plan_mark_changed(plan);
	plan_note_local(plan);
	return ret;
}

int gpmm__plan_merge(struct plan *plan, struct span span)
{
	bool merge = plan->merge;
	uint64_t last = 0;
	struct item old;
	int ret = 0;

	plan_start(plan, span.first ? span.first - 1 : 0);
	plan->merge = true;
	while (!ret && gpmm__cursor_next(&plan->at, &old) &&
	       old.first - (old.first > 0) <= span.last) {
		plan_take_old(plan, &old);
		old.touched = true;
		old.carried = true;
		ret = gpmm__plan_push(plan, &old);
		if (plan->removed == plan->removed_kept)
			last = plan->last;
	}
	plan->last = last;
	plan_note_local(plan);
	plan->items.len = plan->kept;
	plan->removed = plan->removed_kept;
	plan->merge = merge;
	return ret;
}

/* ------------------------------------------------------------------ life --- */

void gpmm__plan_fini(struct plan *plan)
{
	vec_free(&plan->edits);
	vec_free(&plan->dropped);
	vec_free(&plan->items);
}
