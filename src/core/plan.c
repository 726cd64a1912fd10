/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "core/fanout.h"
#include "core/find.h"
#include "core/narrow.h"
#include "core/none.h"
#include "core/plan.h"

/* ------------------------------------------------------------- building --- */

/*
 * The leaf is soon to be copied or moved within, and readers have had its
 * lines, one by one, since it was written: to ask for all at once saves 3 % of
 * a pair from 512 areas on (bench/bench_set_change --quick --only=gpmm).
 */
static inline void prefetch_leaf(const struct plan *plan)
{
	const char *leaf = plan->at.node[0];

	if (!root_height(plan->root))
		return;
	for (size_t at = 64; at < sizeof(struct leaf_narrow); at += 64)
		__builtin_prefetch(leaf + at);
}

/* Begin with the items that end at or above @granule. */
static void start(struct plan *plan, uint64_t granule)
{
	gpmm__cursor_seek(&plan->at, plan->root, granule);
	prefetch_leaf(plan);
	plan->changed = false;
	plan->local = false;
	plan->items.len = 0;
	plan->kept = 0;
	plan->removed = 0;
	plan->removed_kept = 0;
}

/* All that was planned up to here, but nothing beyond, is to happen. */
static void mark_changed(struct plan *plan)
{
	plan->changed = true;
	plan->kept = plan->items.len;
	plan->removed_kept = plan->removed;
}

/* The next old item that reaches into a span, if it starts there. */
static bool next_old(struct plan *plan, struct span span, struct item *old)
{
	uint64_t first;

	return cursor_first(&plan->at, &first) && first <= span.last &&
	       gpmm__cursor_next(&plan->at, old);
}

/* Here in the tree is what gives way, or where there is nothing that does. */
static void note_place(struct plan *plan, unsigned int place)
{
	plan->leaf = plan->at.node[0];
	plan->place = place;
}

/* An old item, the last that was looked at, comes into the range that gives
 * way. */
static void take_old(struct plan *plan, const struct item *old)
{
	if (!plan->removed++) {
		plan->first = old->first;
		note_place(plan, plan->at.at[0] - 1);
	}
	plan->last = old->first;
}

static int drop_host(struct plan *plan, struct gpmm_host *host)
{
	int ret;

	if (!host)
		return 0;
	ret = vec_reserve(&plan->dropped, 1);
	if (!ret)
		vec_push(&plan->dropped, host);
	return ret;
}

static int push_edit(struct plan *plan, enum edit_op op,
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

static int add_edits(struct plan *plan, enum edit_op op,
		     const struct item *item, struct span part,
		     uint32_t new_flags)
{
	struct gpmm_backend *const *members;
	size_t n = gpmm__fanout_members(item->backend, &members);
	int ret = 0;

	for (size_t i = 0; !ret && i < n; i++)
		ret = push_edit(plan, op, item, part, new_flags, members[i]);
	return ret;
}

/* Plan to tell the item's backend, or backends, what happens to a part. */
static inline int add_edit(struct plan *plan, enum edit_op op,
			   const struct item *item, struct span part,
			   uint32_t new_flags)
{
	if (backend_is_none(item->backend))
		return 0;
	if (backend_is_fanout(item->backend))
		return add_edits(plan, op, item, part, new_flags);
	return push_edit(plan, op, item, part, new_flags, item->backend);
}

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
		return drop_host(plan, item->host);
	item->carried = true;
	return 0;
}

/* Plan an item after those planned; merge it with the last where one of them
 * is new. */
static int push(struct plan *plan, const struct item *item)
{
	struct item *before = plan->items.len ?
		&plan->items.v[plan->items.len - 1] : NULL;
	int ret;

	if (before && plan->merge && (before->touched || item->touched) &&
	    runs_on(plan, before, item)) {
		before->last = item->last;
		ret = take_in(plan, before, item->carried);
		mark_changed(plan);
		return ret;
	}
	ret = vec_reserve(&plan->items, 1);
	if (!ret)
		vec_push(&plan->items, *item);
	return ret;
}

/* Plan the part of an old item that stays, or changes its flags. */
static int push_part(struct plan *plan, const struct item *old,
		     struct span part, uint32_t flags, bool carried)
{
	struct item item = *old;

	item.first = part.first;
	item.last = part.last;
	item.flags = flags;
	item.touched = flags != old->flags;
	item.carried = carried;
	return push(plan, &item);
}

/* ------------------------------------------------------------- finishing --- */

/* Is the position right behind what gives way, and still in its leaf? */
static void note_local(struct plan *plan)
{
	plan->local = root_node(plan->root) &&
		      plan->leaf == plan->at.node[0] &&
		      plan->removed == plan->removed_kept;
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

/* The item after those planned, where it starts right behind them. */
static bool get_after(struct plan *plan, uint64_t start, struct item *after)
{
	uint64_t first;

	if (!plan->local)
		gpmm__cursor_seek(&plan->at, plan->root, start);
	return cursor_first(&plan->at, &first) && first == start &&
	       gpmm__cursor_next(&plan->at, after);
}

static int merge_after(struct plan *plan)
{
	struct item *item = &plan->items.v[plan->items.len - 1];
	struct item after;

	if (!item->touched || item->last == UINT64_MAX >> plan->shift ||
	    !get_after(plan, item->last + 1, &after))
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

/* Look beyond both ends. */
static int merge_ends(struct plan *plan)
{
	return !plan->merge || !plan->items.len || stays_apart(plan) ? 0 :
		merge_both(plan);
}

/* Leave out what stays as it is at the end. */
static int finish(struct plan *plan)
{
	if (!plan->changed)
		return 0;
	note_local(plan);
	plan->items.len = plan->kept;
	plan->removed = plan->removed_kept;
	return merge_ends(plan);
}

/* --------------------------------------------------------------- cutting --- */

/* May the backend's areas have an edge at this granule? */
static bool may_cut(const struct plan *plan, const struct gpmm_backend *be,
		    uint64_t granule)
{
	return !be->granule ||
	       is_aligned(granule << plan->shift, be->granule);
}

/* The part of an item that lies in a span; -EINVAL where it may not be cut. */
static int cut(const struct plan *plan, const struct item *item,
	       struct span span, struct span *part)
{
	part->first = item->first > span.first ? item->first : span.first;
	part->last = item->last < span.last ? item->last : span.last;
	if (part->first > item->first &&
	    !may_cut(plan, item->backend, part->first))
		return -EINVAL;
	if (part->last < item->last &&
	    !may_cut(plan, item->backend, part->last + 1))
		return -EINVAL;
	return 0;
}

/* Plan what sticks out of a span left and right, the first to carry. */
static int push_left(struct plan *plan, const struct item *old,
		     struct span part)
{
	struct span left = { old->first, part.first - 1 };

	if (part.first == old->first)
		return 0;
	return push_part(plan, old, left, old->flags, true);
}

static int push_right(struct plan *plan, const struct item *old,
		      struct span part, bool carried)
{
	struct span right = { part.last + 1, old->last };

	if (part.last == old->last)
		return 0;
	return push_part(plan, old, right, old->flags, carried);
}

/* -------------------------------------------------------------- requests --- */

static int unmap_item(struct plan *plan, const struct item *old,
		      struct span span)
{
	struct span part;
	int ret = cut(plan, old, span, &part);
	bool left, right;

	if (ret)
		return ret;
	left = part.first > old->first;
	right = part.last < old->last;
	take_old(plan, old);
	ret = add_edit(plan, EDIT_UNMAP, old, part, 0);
	if (!ret)
		ret = push_left(plan, old, part);
	if (!ret)
		ret = push_right(plan, old, part, !left);
	if (!ret && !left && !right)
		ret = drop_host(plan, old->host);
	return ret;
}

/* @plan has been started at the span. */
static int unmap_span(struct plan *plan, struct span span)
{
	struct item old;
	int ret;

	while (next_old(plan, span, &old)) {
		ret = unmap_item(plan, &old, span);
		if (ret)
			return ret;
		mark_changed(plan);
	}
	return 0;
}

/* Most often it is one item as a whole that goes. */
static bool is_one(const struct plan *plan, struct span span)
{
	enum node_class class = narrow_leaf_class(plan->root);
	const void *leaf = plan->at.node[0];
	unsigned int at = plan->at.at[0];
	uint64_t first;

	return root_node(plan->root) && !root_is_wide(plan->root) &&
	       narrow_first(class, leaf, at, &first) && first == span.first &&
	       narrow_record(class, leaf, at)->last == span.last;
}

/* Precondition: is_one() */
static int unmap_one(struct plan *plan, struct span span)
{
	struct item old;
	int ret;

	narrow_get(narrow_leaf_class(plan->root), plan->at.node[0],
		   plan->at.at[0], &old);
	ret = add_edit(plan, EDIT_UNMAP, &old, span, 0);
	if (!ret)
		ret = drop_host(plan, old.host);
	note_place(plan, plan->at.at[0]);
	plan->first = plan->last = old.first;
	plan->removed = 1;
	plan->changed = plan->local = true;
	return ret;
}

int gpmm__plan_unmap(struct plan *plan, struct span span)
{
	int ret;

	start(plan, span.first);
	if (is_one(plan, span))
		return unmap_one(plan, span);
	ret = unmap_span(plan, span);
	return ret ? ret : finish(plan);
}

/* Put a new item between what the unmapping left on its left and right. */
static int insert(struct plan *plan, const struct item *item)
{
	size_t at = plan->items.len && plan->items.v[0].first < item->first;
	int ret = vec_reserve(&plan->items, 1);
	struct item *v = plan->items.v;

	if (ret)
		return ret;
	if (at < plan->items.len)
		memmove(&v[at + 1], &v[at],
			(plan->items.len - at) * sizeof(*v));
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
		mark_changed(plan);
		return 0;
	}
	memcpy(all, plan->items.v, n * sizeof(*all));
	plan->items.len = 0;
	for (size_t i = 0; !ret && i < n; i++)
		ret = push(plan, &all[i]);
	mark_changed(plan);
	return ret;
}

/* Would the record merge with a new item that it runs on from, or to? */
static bool is_like(const struct gpmm_record *record, const struct item *item)
{
	return record->link == item->link && record->host == item->host &&
	       record->flags == item->flags;
}

/*
 * Can a new item before @next, where the one at the position starts, merge with
 * nothing? Where that takes a look into the next leaf the answer is no. At
 * position 0 there is nothing before it in the whole tree: inner keys are exact.
 */
static bool stands_alone(const struct plan *plan, const struct item *item,
			 uint64_t next)
{
	enum node_class class = narrow_leaf_class(plan->root);
	const void *leaf = plan->at.node[0];
	unsigned int at = plan->at.at[0];
	const struct gpmm_record *before;
	uint64_t first;

	if (!root_node(plan->root) || root_is_wide(plan->root))
		return false;
	if (item->last + 1 == next &&
	    (!narrow_first(class, leaf, at, &first) ||
	     is_like(narrow_record(class, leaf, at), item)))
		return false;
	if (!at)
		return true;
	before = narrow_record(class, leaf, at - 1);
	return before->last + UINT64_C(1) < item->first ||
	       !is_like(before, item);
}

/* Precondition: stands_alone(), and a note of the place */
static int map_one(struct plan *plan, const struct item *item)
{
	int ret = vec_reserve(&plan->items, 1);

	if (ret)
		return ret;
	vec_push(&plan->items, *item);
	plan->changed = plan->local = true;
	return 0;
}

int gpmm__plan_map(struct plan *plan, const struct item *item, bool replace)
{
	struct span span = { item->first, item->last };
	uint64_t next = 0;
	int ret = 0;

	if (!may_cut(plan, item->backend, item->first) ||
	    !may_cut(plan, item->backend, item->last + 1))
		return -EINVAL;
	start(plan, span.first);
	if (cursor_first(&plan->at, &next) && next <= span.last)
		ret = replace ? unmap_span(plan, span) : -EEXIST;
	if (!ret)
		ret = add_edit(plan, EDIT_MAP, item, span, 0);
	if (ret)
		return ret;
	if (!plan->removed) {
		plan->first = plan->last = item->first;
		note_place(plan, plan->at.at[0]);
		if (stands_alone(plan, item, next))
			return map_one(plan, item);
	}
	ret = insert(plan, item);
	if (!ret)
		ret = merge_within(plan);
	return ret ? ret : finish(plan);
}

static int protect_item(struct plan *plan, const struct item *old,
			struct span span, uint32_t flags)
{
	struct span part;
	int ret = cut(plan, old, span, &part);
	bool left;

	if (!ret)
		ret = add_edit(plan, EDIT_PROTECT, old, part, flags);
	if (ret)
		return ret;
	left = part.first > old->first;
	ret = push_left(plan, old, part);
	if (!ret)
		ret = push_part(plan, old, part, flags, !left);
	if (!ret)
		ret = push_right(plan, old, part, false);
	if (!ret)
		mark_changed(plan);
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
		take_old(plan, old);
		return push_part(plan, old, whole, old->flags, true);
	}
	take_old(plan, old);
	return protect_item(plan, old, span, flags);
}

/* Precondition: is_one() */
static int protect_one(struct plan *plan, struct span span,
		       gpmm_protect_fn *update, void *arg)
{
	unsigned int place = plan->at.at[0]++;
	struct gpmm_area area;
	struct item item;
	uint32_t flags;
	int ret;

	narrow_get(narrow_leaf_class(plan->root), plan->at.node[0], place,
		   &item);
	flags = item.flags;
	item_to_area(&item, plan->shift, &area);
	if (!update(arg, &area, &flags) || flags == item.flags)
		return 0;
	ret = add_edit(plan, EDIT_PROTECT, &item, span, flags);
	if (!ret)
		ret = vec_reserve(&plan->items, 1);
	if (ret)
		return ret;
	item.flags = flags;
	item.touched = item.carried = true;
	vec_push(&plan->items, item);
	note_place(plan, place);
	plan->first = plan->last = item.first;
	plan->removed = 1;
	plan->changed = plan->local = true;
	return merge_ends(plan);
}

int gpmm__plan_protect(struct plan *plan, struct span span,
		       gpmm_protect_fn *update, void *arg)
{
	uint64_t last = 0;
	struct item old;
	int ret;

	start(plan, span.first);
	if (is_one(plan, span))
		return protect_one(plan, span, update, arg);
	while (next_old(plan, span, &old)) {
		ret = update_item(plan, &old, span, update, arg);
		if (ret)
			return ret;
		if (plan->removed == plan->removed_kept)
			last = plan->last;
	}
	plan->last = last;
	return finish(plan);
}

int gpmm__plan_split(struct plan *plan, uint64_t at)
{
	struct item old;
	int ret;

	start(plan, at);
	if (!next_old(plan, (struct span){ at, at }, &old))
		return -ENOENT;
	if (old.first == at)
		return 0;
	if (!may_cut(plan, old.backend, at))
		return -EINVAL;
	take_old(plan, &old);
	ret = push_part(plan, &old, (struct span){ old.first, at - 1 },
			old.flags, true);
	if (!ret)
		ret = push_part(plan, &old, (struct span){ at, old.last },
				old.flags, false);
	mark_changed(plan);
	note_local(plan);
	return ret;
}

int gpmm__plan_merge(struct plan *plan, struct span span)
{
	bool merge = plan->merge;
	uint64_t last = 0;
	struct item old;
	int ret = 0;

	start(plan, span.first ? span.first - 1 : 0);
	plan->merge = true;
	while (!ret && gpmm__cursor_next(&plan->at, &old) &&
	       old.first - (old.first > 0) <= span.last) {
		take_old(plan, &old);
		old.touched = true;
		old.carried = true;
		ret = push(plan, &old);
		if (plan->removed == plan->removed_kept)
			last = plan->last;
	}
	plan->last = last;
	note_local(plan);
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
