/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changes that are transactions of one.
 *
 * Nearly all there are change one whole area, in one leaf of a narrow tree,
 * which merges with nothing and for which there are nodes. Of these only what
 * they need is done, here: there is no tree that may have to be given up, and
 * what is replaced is known. All others go the way of transactions of several.
 *
 * It is all inlined. Once a root is published the next change's stores queue
 * up behind that one, which waits for the readers' CPUs to let go of its line;
 * with the queue full, so does the writer. So it is stores that count, and most
 * of a call are those of its registers. A pair beside a reader takes 374 ns for
 * 532 at 8 areas, 793 for 1158 at 4096 (bench/bench_set_change --quick
 * --only=gpmm, least of four by turns).
 */
#include <gpmm/host.h>

#include "core/btree_flat.h"
#include "core/plan_build.h"
#include "core/publish.h"
#include "core/request.h"

/* ------------------------------------------------- is it such a change? --- */

/* Where it is to be made: in the tree whose top is writers' own. */
static ALWAYS_INLINE bool seek(struct gpmm_set *set, uint64_t granule,
			       struct spot *spot)
{
	struct plan *plan = &set->txn.plan;
	uintptr_t top = set->txn.was.top;

	if (!top || root_is_wide(top) || set->poisoned.len)
		return false;
	/* Most often it is there: see above of stores. */
	if (plan->root != top || plan->at.root != top)
		plan->root = plan->at.root = top;
	narrow_seek(&plan->at, top, granule);
	/* As cursor_spot() has it, of a root that gcc has in a register. */
	*spot = (struct spot){ narrow_leaf_class(top), plan->at.node[0],
			       plan->at.at[0] };
	return true;
}

/* Can what is mapped neither meet nor merge with anything? */
static ALWAYS_INLINE bool has_gap(const struct plan *plan, struct spot spot,
				  const struct item *item)
{
	uint64_t next = 0;

	return item->last <= NARROW_LAST && plan_may_lie(plan, item) &&
	       (!spot_first(spot, &plan->at, &next) || next > item->last) &&
	       (!plan->merge || plan_stands_at(plan, spot, item, next));
}

/* Is there a node for each copy: of the way below the top, and of that? */
static inline bool has_nodes(struct pool *pool, uintptr_t top)
{
	unsigned int height = root_height(top);
	bool tall = narrow_inner_class(top, height) == INNER_TALL;

	if (!height)
		return pool_spares(pool, narrow_leaf_class(top), 1);
	return pool_spares(pool, LEAF_NARROW, 1) &&
	       pool_spares(pool, INNER_NARROW, height - tall) &&
	       pool_spares(pool, INNER_TALL, tall);
}

/* Can @removed items, at the position, give way to @n within their leaf? */
static ALWAYS_INLINE bool fits(struct gpmm_set *set, struct spot spot,
			       size_t removed, size_t n)
{
	uintptr_t top = set->txn.was.top;
	unsigned int least = root_height(top) ? LEAF_MIN : 1;
	unsigned int most = node_cap(spot.class) - 1;
	uint64_t first;

	/* There is one item more than the least, or a lane that is free. */
	return (removed <= n ||
		narrow_first(spot.class, spot.leaf, least, &first)) &&
	       (removed >= n ||
		!narrow_first(spot.class, spot.leaf, most, &first)) &&
	       (spot.class != LEAF_FLAT || !flat_needs_block(spot.leaf, n)) &&
	       has_nodes(&set->pool, top);
}

/* ------------------------------------------------------------ the rest --- */

/* Nothing has changed. */
static __attribute__((cold)) int leave(struct gpmm_set *set, int ret)
{
	set->txn.plan.edits.len = 0;
	lock_release(&set->lock);
	return ret;
}

/* It is told in another way, or its members are. @flags: as of the area */
static __attribute__((noinline)) int
tell_planned(struct gpmm_txn *txn, enum edit_op op, const struct item *item,
	     uint32_t flags, uint32_t new_flags)
{
	struct item told = *item;
	int ret;

	told.flags = flags;
	ret = plan_add_edit(&txn->plan, op, &told,
			    (struct span){ item->first, item->last },
			    new_flags);
	return ret ? ret : gpmm__txn_tell(txn);
}

/*
 * Tell the item's backend, most often alone in one transaction of its own.
 * @area: as backends are told of it
 */
static ALWAYS_INLINE int tell_area(struct gpmm_txn *txn, enum edit_op op,
				   const struct item *item,
				   const struct gpmm_area *area,
				   uint32_t new_flags)
{
	if (backend_is_none(item->backend))
		return 0;
	return item->backend->ops->begin ?
		tell_one(op, area, new_flags) :
		tell_planned(txn, op, item, area->flags, new_flags);
}

/* That it comes or goes. */
static ALWAYS_INLINE int tell(struct gpmm_txn *txn, enum edit_op op,
			      const struct item *item)
{
	struct gpmm_area area;

	if (backend_is_none(item->backend))
		return 0;
	item_to_area(item, txn->was.shift, &area);
	return tell_area(txn, op, item, &area, 0);
}

/* The same has now been published. */
static ALWAYS_INLINE void tell_published(struct gpmm_txn *txn,
					 struct gpmm_backend *be)
{
	if (txn->plan.edits.len) {
		gpmm__tell_published(&txn->tell);
		txn->plan.edits.len = 0;
	} else if (!backend_is_none(be)) {
		tell_sole_published(be);
	}
}

/* The top is no leaf. */
static __attribute__((noinline)) void
change_below(struct gpmm_txn *txn, const struct item *item, size_t removed,
	     size_t n)
{
	struct gpmm_iter *way = &txn->plan.at;
	const struct local_change change = {
		.way = way, .place = way->at[0], .removed = removed,
		.items = item, .n = n,
		.gone = &txn->set->limbo.open.nodes,
		.shared = root_height(way->root),
	};

	txn->tree.root = way->root;
	txn->tree.stamp = txn->set->stamp;
	gpmm__btree_replace_local(&txn->tree, &change);
}

static ALWAYS_INLINE void change_flat(struct leaf_flat *leaf, unsigned int at,
				      const struct item *item,
				      enum splice_how how)
{
	gpmm__find_path->splice->flat[how](leaf, at, item);
	/* Where the next one comes: readers may look at what is beside it. */
	prefetch_write(&leaf->block->record[leaf->used]);
}

/* Change writers' own top, and what is below it in copies. */
static ALWAYS_INLINE void change(struct gpmm_txn *txn, struct spot spot,
				 const struct item *item, unsigned int removed,
				 unsigned int n)
{
	uintptr_t top = txn->was.top;
	enum splice_how how = splice_how(removed, n);

	if (root_height(top))
		change_below(txn, item, removed, n);
	else if (spot.class == LEAF_FLAT)
		change_flat(root_node(top), spot.at, item, how);
	else
		gpmm__find_path->splice->leaf[how](root_node(top),
						   root_node(top), spot.at,
						   item, NULL);
}

/*
 * What is at the position goes (@removed 1, @n 0), or @item comes before it
 * (0, 1), or takes its place (1, 1). @be is told, and nothing can fail.
 * Return: 0.
 */
static ALWAYS_INLINE int finish_change(struct gpmm_set *set, struct spot spot,
				       struct gpmm_backend *be,
				       const struct item *item,
				       unsigned int removed, unsigned int n)
{
	struct gpmm_txn *txn = &set->txn;
	uintptr_t was = txn->was.root;

	/* Readers hold this line: to have it back takes as long as the copy. */
	prefetch_write(&set->face);
	set->stamp++;
	change(txn, spot, item, removed, n);
	publish(txn, copy_top(&set->pool, txn->was.top, set->stamp),
		set->areas + n - removed);
	tell_published(txn, be);
	node_batch_add(&set->limbo.open.nodes, root_node(was));
	finish(set);
	return 0;
}

/* ----------------------------------------------- what may be asked for --- */

/* Context: locked, until it returns anything but PLAN_NOT. */
static ALWAYS_INLINE int map_single(struct gpmm_set *set,
				    const struct gpmm_area *area,
				    unsigned int how)
{
	struct spot spot;
	struct item item;
	int ret;

	if (how & ~GPMM_MAP_REPLACE || area_to_item(set, area, &item) ||
	    !seek(set, item.first, &spot) ||
	    !has_gap(&set->txn.plan, spot, &item) || !fits(set, spot, 0, 1))
		return PLAN_NOT;
	ret = tell(&set->txn, EDIT_MAP, &item);
	if (ret)
		return leave(set, ret);
	if (item.host)
		host_refs_get(&set->limbo.open.hosts, item.host);
	return finish_change(set, spot, item.backend, &item, 0, 1);
}

/* Go to the item whose span this is; false: none. */
static ALWAYS_INLINE bool seek_one(struct gpmm_set *set, gpmm_gpa_t start,
				   uint64_t size, struct spot *spot)
{
	struct span span;

	return !range_to_granules(set, start, size, &span) &&
	       seek(set, span.first, spot) && spot_is(*spot, span);
}

/*
 * Make room for the host memory to be let go of, and tell. There is an item
 * only for who is told.
 */
static ALWAYS_INLINE int tell_unmap(struct gpmm_set *set, struct spot spot,
				    const struct gpmm_record *record)
{
	struct item item;
	int ret = record->host ?
			  host_refs_reserve(&set->limbo.open.hosts, 1) : 0;

	if (ret || backend_is_none(record->backend))
		return ret;
	spot_get(spot, &item);
	return tell(&set->txn, EDIT_UNMAP, &item);
}

static ALWAYS_INLINE int unmap_single(struct gpmm_set *set, gpmm_gpa_t start,
				      uint64_t size)
{
	const struct gpmm_record *record;
	struct gpmm_backend *be;
	struct spot spot;
	int ret;

	if (!seek_one(set, start, size, &spot) || !fits(set, spot, 1, 0))
		return PLAN_NOT;
	record = spot_record(spot);
	ret = tell_unmap(set, spot, record);
	if (ret)
		return leave(set, ret);
	be = record->backend;
	if (record->host)
		host_refs_add(&set->limbo.open.hosts, record->host);
	return finish_change(set, spot, be, NULL, 1, 0);
}

/*
 * Ask for the new flags of an item, which is @was. Return: whether it is to have
 * others. If not, those that it has now mean nothing.
 */
static inline bool ask(struct item *item, const struct gpmm_area *was,
		       gpmm_protect_fn *update, void *arg)
{
	return update(arg, was, &item->flags) && item->flags != was->flags;
}

/* With those flags the area merges with another. */
static int merge(struct gpmm_set *set, gpmm_gpa_t start, uint64_t size,
		 uint32_t flags)
{
	struct gpmm_txn *txn = gpmm__txn_start(set);

	return txn_end(txn, gpmm_txn_protect(txn, start, size, gpmm_protect_to,
					     &flags));
}

/* Once it has asked @update, it is not PLAN_NOT. */
static ALWAYS_INLINE int protect_single(struct gpmm_set *set, gpmm_gpa_t start,
					uint64_t size, gpmm_protect_fn *update,
					void *arg)
{
	struct plan *plan = &set->txn.plan;
	struct gpmm_area was;
	struct item item;
	struct spot spot;
	bool changes;
	int ret;

	if (!update || !seek_one(set, start, size, &spot) ||
	    !fits(set, spot, 1, 1))
		return PLAN_NOT;
	spot_get(spot, &item);
	item_to_area(&item, set->txn.was.shift, &was);
	changes = ask(&item, &was, update, arg);
	if (rcu_inside(set->txn.was.flavor))
		return leave(set, -EDEADLK);
	if (!changes)
		return leave(set, 0);
	if (!plan_is_alone(plan, &plan->at, &item))
		return merge(set, start, size, item.flags);
	ret = tell_area(&set->txn, EDIT_PROTECT, &item, &was, item.flags);
	return ret ? leave(set, ret) :
		     finish_change(set, spot, item.backend, &item, 1, 1);
}

/* ---------------------------------------------------------------- doors --- */

int gpmm_set_map(struct gpmm_set *set, const struct gpmm_area *area,
		 unsigned int how)
{
	struct gpmm_txn *txn;
	int ret = set_lock(set);

	if (ret)
		return ret;
	ret = map_single(set, area, how);
	if (ret != PLAN_NOT)
		return ret;
	txn = gpmm__txn_start(set);
	return txn_end(txn, gpmm_txn_map(txn, area, how));
}

int gpmm_set_unmap(struct gpmm_set *set, gpmm_gpa_t start, uint64_t size)
{
	struct gpmm_txn *txn;
	int ret = set_lock(set);

	if (ret)
		return ret;
	ret = unmap_single(set, start, size);
	if (ret != PLAN_NOT)
		return ret;
	txn = gpmm__txn_start(set);
	return txn_end(txn, gpmm_txn_unmap(txn, start, size));
}

int gpmm_set_protect(struct gpmm_set *set, gpmm_gpa_t start, uint64_t size,
		     gpmm_protect_fn *update, void *arg)
{
	struct gpmm_txn *txn;
	int ret = set_lock(set);

	if (ret)
		return ret;
	ret = protect_single(set, start, size, update, arg);
	if (ret != PLAN_NOT)
		return ret;
	txn = gpmm__txn_start(set);
	return txn_end(txn, gpmm_txn_protect(txn, start, size, update, arg));
}

bool gpmm_protect_to(void *arg, const struct gpmm_area *area, uint32_t *flags)
{
	(void)area;
	*flags = *(uint32_t *)arg;
	return true;
}

int gpmm_set_clear(struct gpmm_set *set)
{
	struct gpmm_txn *txn;
	int ret = gpmm_txn_begin(set, &txn);

	return ret ? ret : txn_end(txn, gpmm_txn_clear(txn));
}

int gpmm_set_split(struct gpmm_set *set, gpmm_gpa_t at)
{
	struct gpmm_txn *txn;
	int ret = gpmm_txn_begin(set, &txn);

	return ret ? ret : txn_end(txn, gpmm_txn_split(txn, at));
}

int gpmm_set_shrink_left(struct gpmm_set *set, gpmm_gpa_t addr, uint64_t size)
{
	struct gpmm_txn *txn;
	int ret = gpmm_txn_begin(set, &txn);

	return ret ? ret : txn_end(txn, gpmm_txn_shrink_left(txn, addr, size));
}

int gpmm_set_shrink_right(struct gpmm_set *set, gpmm_gpa_t addr, uint64_t size)
{
	struct gpmm_txn *txn;
	int ret = gpmm_txn_begin(set, &txn);

	return ret ? ret : txn_end(txn, gpmm_txn_shrink_right(txn, addr, size));
}

int gpmm_set_merge(struct gpmm_set *set, gpmm_gpa_t start, uint64_t size)
{
	struct gpmm_txn *txn;
	int ret = gpmm_txn_begin(set, &txn);

	return ret ? ret : txn_end(txn, gpmm_txn_merge(txn, start, size));
}
