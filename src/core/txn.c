/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a change is made: validate, plan, tell the backends, publish, retire.
 * Everything that can fail is done before anything changes; publishing and
 * retiring cannot.
 */
#include <assert.h>
#include <errno.h>

#include <gpmm/host.h>

#include "core/find.h"
#include "core/set.h"
#include "core/tell.h"

/* -------------------------------------------------------------- planning --- */

/* The highest granule of the set's space. */
static uint64_t top_granule(const struct gpmm_set *set)
{
	return UINT64_MAX >> set->txn.was.shift;
}

/* From bytes to granules; -EINVAL where the range is off the set's granule,
 * empty or wraps. */
static int to_granules(const struct gpmm_set *set, uint64_t start,
		       uint64_t size, struct span *span)
{
	unsigned int shift = set->txn.was.shift;

	if (!range_to_span(start, size, span) ||
	    !is_aligned(start | size, UINT64_C(1) << shift))
		return -EINVAL;
	span->first >>= shift;
	span->last >>= shift;
	return 0;
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
		ret = vec_reserve(&set->limbo.open.hosts, plan->dropped.len);
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

/* Where the area's host memory begins; 0 where it has not that much. */
static uintptr_t host_address(const struct gpmm_area *area)
{
	uintptr_t base = (uintptr_t)gpmm_host_addr(area->host);
	uintptr_t at = area->hva ? (uintptr_t)area->hva : base;
	uint64_t size = gpmm_host_size(area->host);

	return at - base < size && area->size <= size - (at - base) ? at : 0;
}

/* Check what the embedder wants mapped, and make an item of it. */
static int area_to_item(const struct gpmm_set *set,
			const struct gpmm_area *area, struct item *item)
{
	uint64_t link = (uintptr_t)area->owner;
	struct span span;

	if (to_granules(set, area->start, area->size, &span) ||
	    area->reserved || (area->hva && !area->host))
		return -EINVAL;
	*item = (struct item){
		.first = span.first,
		.last = span.last,
		.host = area->host,
		.backend = area->backend ? area->backend : set->backend,
		.flags = area->flags,
		.touched = true,
	};
	if (area->backend && !gpmm__backend_is_valid(area->backend))
		return -EINVAL;
	if (area->host) {
		link = host_address(area);
		if (!link)
			return -EINVAL;
		link -= area->start;
	}
	item->link = link;
	return 0;
}

int gpmm_txn_map(struct gpmm_txn *txn, const struct gpmm_area *area,
		 unsigned int how)
{
	struct plan_mark mark = gpmm__plan_mark(&txn->plan);
	struct item item;
	int ret;

	if (how & ~GPMM_MAP_REPLACE)
		return -EINVAL;
	ret = area_to_item(txn->set, area, &item);
	if (ret)
		return ret;
	if (touches_poison(txn->set, (struct span){ item.first, item.last }))
		return -EIO;
	ret = gpmm__plan_map(&txn->plan, &item, how & GPMM_MAP_REPLACE);
	return settle(txn, mark, ret);
}

/* The granules of a range that may be changed. */
static int changeable(const struct gpmm_txn *txn, uint64_t start,
		      uint64_t size, struct span *span)
{
	if (to_granules(txn->set, start, size, span))
		return -EINVAL;
	return touches_poison(txn->set, *span) ? -EIO : 0;
}

int gpmm_txn_unmap(struct gpmm_txn *txn, gpmm_gpa_t start, uint64_t size)
{
	struct plan_mark mark = gpmm__plan_mark(&txn->plan);
	struct span span;
	int ret;

	if (!size)
		return 0;
	ret = changeable(txn, start, size, &span);
	if (ret)
		return ret;
	return settle(txn, mark, gpmm__plan_unmap(&txn->plan, span));
}

int gpmm_txn_clear(struct gpmm_txn *txn)
{
	struct plan_mark mark = gpmm__plan_mark(&txn->plan);
	struct span all = { 0, top_granule(txn->set) };

	if (touches_poison(txn->set, all))
		return -EIO;
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
	return (struct gpmm_view){ txn->set, txn->tree.root };
}

/* ---------------------------------------------------------- begin and end --- */

int gpmm__set_lock(struct gpmm_set *set)
{
	if (rcu_inside(set->txn.was.flavor))
		return -EDEADLK;
	return lock_acquire(&set->lock);
}

/* Start from what is published, with a top of one's own where there is one. */
static void start(struct gpmm_txn *txn)
{
	txn->tree.root = txn->was.top ? txn->was.top : txn->was.root;
	txn->tree.stamp = ++txn->set->stamp;
	if (txn->was.top)
		node_adopt(root_node(txn->was.top), txn->tree.stamp);
	txn->plan.root = txn->tree.root;
	txn->areas = txn->was.areas;
	txn->changed = false;
}

int gpmm_txn_begin(struct gpmm_set *set, struct gpmm_txn **txn_out)
{
	int ret = gpmm__set_lock(set);

	if (ret)
		return ret;
	*txn_out = &set->txn;
	start(*txn_out);
	return 0;
}

/* Forget the transaction; the lock is still held. */
static void reset(struct gpmm_txn *txn)
{
	scratch_reset(&txn->taken);
	scratch_reset(&txn->tree.out);
	txn->tree.retired = (struct node_list){ 0 };
	gpmm__plan_reset(&txn->plan);
}

/*
 * Give back what the transaction took. References go without the lock: a
 * release callback may come to want it.
 */
static void drop(struct gpmm_txn *txn)
{
	struct gpmm_set *set = txn->set;
	typeof(txn->taken) taken = { 0 };

	if (txn->changed) {
		gpmm__btree_drop(&txn->tree);
		txn->was.top = 0;
	}
	if (txn->taken.len) {
		taken = txn->taken;
		memset(&txn->taken, 0, sizeof(txn->taken));
	}
	reset(txn);
	lock_release(&set->lock);
	while (taken.len)
		gpmm_host_put(taken.v[--taken.len]);
	vec_free(&taken);
}

void gpmm_txn_abort(struct gpmm_txn *txn)
{
	drop(txn);
}

/* Hand over to limbo what readers may still be looking at. */
static void retire(struct gpmm_txn *txn)
{
	struct gpmm_set *set = txn->set;
	struct limbo *limbo = &set->limbo;

	for (size_t i = 0; i < txn->plan.dropped.len; i++)
		vec_push(&limbo->open.hosts, txn->plan.dropped.v[i]);
	node_list_join(&limbo->open.nodes, &txn->tree.retired);
}

/*
 * Keep the top for the next transaction, if it is this one's own and there is
 * room for a copy. Return: the root to publish.
 */
static uintptr_t keep_top(struct gpmm_txn *txn)
{
	uintptr_t root = txn->tree.root;
	enum node_class class;
	void *copy;

	if (txn->was.top)
		node_list_add(&txn->tree.retired, root_node(txn->was.root));
	txn->was.top = 0;
	if (!root_node(root))
		return 0;
	class = root_class(root, root_height(root));
	if (!node_is_of(root_node(root), txn->tree.stamp) ||
	    !pool_spares(txn->tree.pool, class))
		return root;
	copy = gpmm__pool_take(txn->tree.pool, class, txn->tree.stamp);
	memcpy(copy, root_node(root), node_size(class));
	txn->was.top = root;
	return (uintptr_t)copy | (root & ROOT_BITS);
}

/*
 * Readers see all of it from the store of root on; they read it in
 * gpmm_set_view_rcu(). The generation goes after it, so that whoever reads the
 * new generation finds the new root.
 */
static void publish(struct gpmm_txn *txn, uintptr_t root)
{
	struct gpmm_set *set = txn->set;

	/* With this root or the one before, either function will do. */
	if ((root ^ txn->was.root) & ROOT_BITS)
		__atomic_store_n(&set->face.find, gpmm__find_path->way(root),
				 __ATOMIC_RELAXED);
	rcu_publish(&set->face.root, root);
	__atomic_store_n(&set->areas, txn->areas, __ATOMIC_RELAXED);
	__atomic_store_n(&set->generation, ++txn->was.generation,
			 __ATOMIC_RELEASE);
	txn->was.root = root;
	txn->was.areas = txn->areas;
}

/*
 * Keep the edits that could not be undone, and the memory that their backends
 * may still have in use. There is room, see prepare().
 */
static void keep_poison(struct gpmm_txn *txn, size_t stuck)
{
	struct gpmm_set *set = txn->set;

	for (size_t i = 0; i < stuck; i++)
		if (txn->plan.edits.v[i].area.host)
			gpmm_host_get(txn->plan.edits.v[i].area.host);
	if (!set->poisoned.len) {
		typeof(txn->plan.edits) edits = txn->plan.edits;

		vec_free(&set->poisoned);
		memcpy(&set->poisoned, &edits, sizeof(edits));
		set->poisoned.len = stuck;
		memset(&txn->plan.edits, 0, sizeof(txn->plan.edits));
		return;
	}
	for (size_t i = 0; i < stuck; i++)
		vec_push(&set->poisoned, txn->plan.edits.v[i]);
}

/* Make sure that failing cannot fail. */
static int prepare(struct gpmm_txn *txn)
{
	struct gpmm_set *set = txn->set;
	int ret = 0;

	txn->tell.edits = txn->plan.edits.v;
	txn->tell.n = txn->plan.edits.len;
	if (set->poisoned.len)
		ret = vec_reserve(&set->poisoned, txn->tell.n);
	return ret ? ret : gpmm__tell_prepare(&txn->tell);
}

/* Tell the backends, and remember what they could not undo. */
static int tell(struct gpmm_txn *txn)
{
	size_t stuck = 0;
	int ret = prepare(txn);

	if (!ret)
		ret = gpmm__tell(&txn->tell, &stuck);
	if (stuck)
		keep_poison(txn, stuck);
	return ret;
}

/*
 * Let go of the lock; see to limbo. The worker comes in any case: what limbo
 * held is then free, and it alone gives that back.
 */
static void finish(struct gpmm_set *set)
{
	bool wait = gpmm__limbo_makes_wait(set);
	bool wake = gpmm__limbo_wants_worker(&set->limbo);

	set->stalls += wait;
	lock_release(&set->lock);
	if (wake)
		gpmm__worker_add(&set->limbo.work);
	if (wait)
		gpmm__set_reclaim(set);
}

int gpmm_txn_commit(struct gpmm_txn *txn)
{
	int ret = rcu_inside(txn->was.flavor) ? -EDEADLK : 0;

	if (!ret && txn->plan.edits.len)
		ret = tell(txn);
	if (ret || !txn->changed) {
		drop(txn);
		return ret;
	}
	publish(txn, keep_top(txn));
	if (txn->plan.edits.len)
		gpmm__tell_published(&txn->tell);
	retire(txn);
	reset(txn);
	finish(txn->set);
	return 0;
}

/*
 * Writers' own top goes if its slab is to be left, or if what is below it
 * moves: then the next transaction starts from what is published.
 */
bool gpmm__set_gather(struct gpmm_set *set, bool thorough)
{
	struct gpmm_txn *txn = &set->txn;
	uintptr_t top = txn->was.top;
	bool moved, leave;

	if (!gpmm__pool_mark(&set->pool, thorough))
		return false;
	leave = top && gpmm__pool_is_marked(root_node(top));
	txn->was.top = 0;
	start(txn);
	moved = !gpmm__btree_gather(&txn->tree) &&
		txn->tree.root != txn->was.root;
	gpmm__pool_unmark(&set->pool);
	if (moved) {
		publish(txn, txn->tree.root);
		retire(txn);
		set->moves++;
	}
	if (top && (moved || leave))
		gpmm__pool_give(&set->pool, root_node(top));
	else
		txn->was.top = top;
	reset(txn);
	return moved || leave;
}
