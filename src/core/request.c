/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What may be asked of a transaction: checked, planned on its tree, and carried
 * out there, at once unless it may wait (pending.h, run.h). Everything that can
 * fail is done before the tree changes.
 */
#include <errno.h>

#include <gpmm/host.h>

#include "core/plan_build.h"
#include "core/request.h"
#include "core/set.h"

/* -------------------------------------------------------------- planning --- */

/* The highest granule of the set's space. */
static uint64_t top_granule(const struct gpmm_set *set)
{
	return UINT64_MAX >> set->txn.was.shift;
}

static bool touches_poison(const struct gpmm_set *set, struct span span)
{
	unsigned int shift = set->txn.was.shift;

	for (size_t i = 0; i < set->poisoned.len; i++) {
		const struct gpmm_area *area = &set->poisoned.v[i].area;
		struct span poison = { area->start >> shift,
				       gpmm_area_last(area) >> shift };

		if (span_overlaps(poison, span))
			return true;
	}
	return false;
}

/* Could the planned items be above what a narrow tree holds? */
static bool needs_wide(const struct gpmm_txn *txn)
{
	const struct plan *plan = &txn->plan;

	return plan->items.len && !root_is_wide(txn->tree.root) &&
	       plan->items.v[plan->items.len - 1].last > NARROW_LAST;
}

static struct local_change local_change(struct plan *plan)
{
	return (struct local_change){
		.way = &plan->at, .place = plan->place,
		.removed = plan->removed,
		.items = plan->items.v, .n = plan->items.len,
	};
}

static int reserve_tree(struct gpmm_txn *txn, struct local_change *local)
{
	struct plan *plan = &txn->plan;
	int ret = 0;

	if (needs_wide(txn)) {
		plan->local = false;
		ret = gpmm__btree_widen(&txn->tree);
		txn->changed |= !ret;
	}
	if (plan->local)
		ret = gpmm__btree_reserve_local(&txn->tree, local);
	plan->local = plan->local && ret != -ENOENT;
	if (ret && ret != -ENOENT)
		return ret;
	if (!plan->local && pending_is_open(txn->pending))
		return PLAN_NOT;
	return plan->local ? 0 :
	       gpmm__btree_reserve(&txn->tree, plan->items.len,
				   plan->removed > 0);
}

/* All the memory that carrying out the plan takes. */
static int reserve(struct gpmm_txn *txn, struct local_change *local)
{
	struct gpmm_set *set = txn->set;
	struct plan *plan = &txn->plan;
	int ret = vec_reserve(&txn->taken, plan->items.len);

	if (!ret)
		ret = host_refs_reserve(&set->limbo.open.hosts,
					plan->dropped.len);
	return ret ? ret : reserve_tree(txn, local);
}

/* Carry out the plan on the transaction's tree. Cannot fail. */
static void carry_out(struct gpmm_txn *txn, const struct local_change *local)
{
	struct plan *plan = &txn->plan;

	for (size_t i = 0; i < plan->items.len; i++) {
		struct item *item = &plan->items.v[i];

		if (item->host && !item->carried)
			vec_push(&txn->taken, gpmm_host_get(item->host));
	}
	if (plan->local)
		gpmm__btree_replace_local(&txn->tree, local);
	else
		gpmm__btree_replace(&txn->tree, plan->first, plan->last,
				    plan->items.v, plan->items.len);
	txn->areas += plan->items.len - plan->removed;
	txn->changed = true;
	plan->root = txn->tree.root;
}

/* The end of each request: @ret of its planning; take back what failed. */
static int settle(struct gpmm_txn *txn, struct plan_mark mark, int ret)
{
	struct plan *plan = &txn->plan;
	struct local_change local = local_change(plan);

	if (!ret && plan->changed)
		ret = reserve(txn, &local);
	plan->root = txn->tree.root;
	if (ret)
		gpmm__plan_rewind(plan, mark);
	else if (plan->changed)
		carry_out(txn, &local);
	return ret;
}

/* -------------------------------------------------------------- requests --- */

void gpmm__txn_catch_up(struct gpmm_txn *txn)
{
	gpmm__run_end(txn);
	if (pending_is_open(txn->pending))
		gpmm__pending_apply(txn);
}

int gpmm__txn_put(struct gpmm_txn *txn, const struct item *item)
{
	struct plan_mark mark = gpmm__plan_mark(&txn->plan);
	struct span span = { item->first, item->last };
	int ret = -EINVAL;

	if (plan_may_lie(&txn->plan, item))
		ret = plan_add_edit(&txn->plan, EDIT_MAP, item, span, 0);
	if (!ret)
		ret = vec_reserve(&txn->taken, 1);
	if (ret) {
		gpmm__plan_rewind(&txn->plan, mark);
		return ret;
	}
	if (item->host)
		vec_push(&txn->taken, gpmm_host_get(item->host));
	txn->areas++;
	return 0;
}

/*
 * Areas are pending: map one in the place of one of them, or an area more that
 * has nothing to do with them. Return: as gpmm_txn_map(), or PLAN_NOT.
 */
static int map_beside(struct gpmm_txn *txn, const struct item *item)
{
	struct plan_mark mark = gpmm__plan_mark(&txn->plan);
	int ret = gpmm__pending_map(txn, item);

	if (ret != PENDING_NOT)
		return ret;
	if (item->last > NARROW_LAST)
		return PLAN_NOT;
	return settle(txn, mark, gpmm__plan_map_alone(&txn->plan, item));
}

/* Remember what was mapped on the tree: others may follow it in order. */
static void note_mapped(struct gpmm_txn *txn, const struct item *item)
{
	const struct plan *plan = &txn->plan;

	if (plan->removed)
		txn->run.streak = 0;
	else
		run_note(&txn->run, item, plan->next);
}

static int map_item(struct gpmm_txn *txn, const struct item *item,
		    bool replace)
{
	struct plan_mark mark = gpmm__plan_mark(&txn->plan);

	return settle(txn, mark, gpmm__plan_map(&txn->plan, item, replace));
}

/* Map where that is not the first change. */
static int map_more(struct gpmm_txn *txn, const struct item *item,
		    bool replace)
{
	int ret = PLAN_NOT;

	if (txn->run.streak >= RUN_STREAK)
		ret = gpmm__run_map(txn, item);
	else if (pending_is_open(txn->pending))
		ret = map_beside(txn, item);
	if (ret != PLAN_NOT)
		return ret;
	if (pending_is_open(txn->pending) || txn->run.items.len)
		gpmm__txn_catch_up(txn);
	ret = map_item(txn, item, replace);
	if (!ret)
		note_mapped(txn, item);
	return ret;
}

int gpmm_txn_map(struct gpmm_txn *txn, const struct gpmm_area *area,
		 unsigned int how)
{
	bool replace = how & GPMM_MAP_REPLACE;
	struct item item;
	int ret;

	if (how & ~GPMM_MAP_REPLACE)
		return -EINVAL;
	ret = area_to_item(txn->set, area, &item);
	if (ret)
		return ret;
	if (touches_poison(txn->set, (struct span){ item.first, item.last }))
		return -EIO;
	return txn->changed ? map_more(txn, &item, replace) :
			      map_item(txn, &item, replace);
}

/* The granules of a range that may be changed. */
static ALWAYS_INLINE int changeable(const struct gpmm_txn *txn, uint64_t start,
				    uint64_t size, struct span *span)
{
	if (range_to_granules(txn->set, start, size, span))
		return -EINVAL;
	return touches_poison(txn->set, *span) ? -EIO : 0;
}

static int unmap_span(struct gpmm_txn *txn, struct span span)
{
	struct plan_mark mark = gpmm__plan_mark(&txn->plan);

	return settle(txn, mark, gpmm__plan_unmap(&txn->plan, span));
}

/* Unmap at once. */
static int unmap_now(struct gpmm_txn *txn, struct span span)
{
	struct plan_mark mark = gpmm__plan_mark(&txn->plan);
	int ret = gpmm__plan_unmap(&txn->plan, span);

	if (ret || !txn->plan.changed || !pending_is_open(txn->pending))
		return settle(txn, mark, ret);
	gpmm__plan_rewind(&txn->plan, mark);
	gpmm__pending_make_room(txn);
	return unmap_span(txn, span);
}

/* Unmap where that is not the first change. */
static int unmap_more(struct gpmm_txn *txn, struct span span)
{
	int ret;

	if (txn->run.streak)
		gpmm__run_end(txn);
	ret = gpmm__pending_unmap(txn, span);
	return ret == PLAN_NOT ? unmap_now(txn, span) : ret;
}

int gpmm_txn_unmap(struct gpmm_txn *txn, gpmm_gpa_t start, uint64_t size)
{
	struct span span;
	int ret;

	if (!size)
		return 0;
	ret = changeable(txn, start, size, &span);
	if (ret)
		return ret;
	return txn->changed ? unmap_more(txn, span) : unmap_span(txn, span);
}

int gpmm_txn_clear(struct gpmm_txn *txn)
{
	struct plan_mark mark = gpmm__plan_mark(&txn->plan);
	struct span all = { 0, top_granule(txn->set) };

	if (touches_poison(txn->set, all))
		return -EIO;
	txn_catch_up(txn);
	return settle(txn, mark, gpmm__plan_unmap(&txn->plan, all));
}

int gpmm_txn_protect(struct gpmm_txn *txn, gpmm_gpa_t start, uint64_t size,
		     gpmm_protect_fn *update, void *arg)
{
	struct plan_mark mark = gpmm__plan_mark(&txn->plan);
	struct span span;
	int ret;

	if (!size)
		return 0;
	ret = update ? changeable(txn, start, size, &span) : -EINVAL;
	if (ret)
		return ret;
	txn_catch_up(txn);
	ret = gpmm__plan_protect(&txn->plan, span, update, arg);
	return settle(txn, mark, ret);
}

int gpmm_txn_split(struct gpmm_txn *txn, gpmm_gpa_t at)
{
	struct plan_mark mark = gpmm__plan_mark(&txn->plan);
	uint64_t granule = at >> txn->was.shift;

	if (!is_aligned(at, UINT64_C(1) << txn->was.shift))
		return -EINVAL;
	if (touches_poison(txn->set, (struct span){ granule, granule }))
		return -EIO;
	txn_catch_up(txn);
	return settle(txn, mark, gpmm__plan_split(&txn->plan, granule));
}

int gpmm_txn_merge(struct gpmm_txn *txn, gpmm_gpa_t start, uint64_t size)
{
	struct plan_mark mark = gpmm__plan_mark(&txn->plan);
	struct span span;
	int ret;

	if (!size)
		return 0;
	ret = changeable(txn, start, size, &span);
	if (ret)
		return ret;
	txn_catch_up(txn);
	return settle(txn, mark, gpmm__plan_merge(&txn->plan, span));
}

/* The area that a shrink is about, and how much of it goes. */
static int find_excess(const struct gpmm_txn *txn, gpmm_gpa_t addr,
		       uint64_t size, struct gpmm_area *area, uint64_t *excess)
{
	if (!gpmm_view_find(gpmm_txn_view(txn), addr, area))
		return -ENOENT;
	if (!size || size > area->size)
		return -EINVAL;
	*excess = area->size - size;
	return 0;
}

int gpmm_txn_shrink_left(struct gpmm_txn *txn, gpmm_gpa_t addr, uint64_t size)
{
	struct gpmm_area area;
	uint64_t excess;
	int ret = find_excess(txn, addr, size, &area, &excess);

	return ret ? ret : gpmm_txn_unmap(txn, area.start, excess);
}

int gpmm_txn_shrink_right(struct gpmm_txn *txn, gpmm_gpa_t addr,
			  uint64_t size)
{
	struct gpmm_area area;
	uint64_t excess;
	int ret = find_excess(txn, addr, size, &area, &excess);

	return ret ? ret : gpmm_txn_unmap(txn, area.start + size, excess);
}

struct gpmm_view gpmm_txn_view(const struct gpmm_txn *txn)
{
	/* For the caller, the tree was what it asked for all along. */
	txn_catch_up(&txn->set->txn);
	return (struct gpmm_view){ txn->set, txn->tree.root };
}
