/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The life of a transaction: once its requests are carried out on a tree of its
 * own, tell the backends, publish, retire. Telling may fail, and has then
 * changed nothing; publishing and retiring cannot.
 */
#include <errno.h>

#include <gpmm/host.h>

#include "core/publish.h"

/* ---------------------------------------------------------- begin and end --- */

/* Start from what is published, with a top of one's own where there is one. */
static void start(struct gpmm_txn *txn)
{
	txn->tree.root = txn->was.top ? txn->was.top : txn->was.root;
	txn->tree.stamp = ++txn->set->stamp;
	if (txn->was.top)
		node_adopt(root_node(txn->was.top), txn->tree.stamp);
	txn->plan.root = txn->tree.root;
	txn->areas = txn->set->areas;
	txn->changed = false;
}

struct gpmm_txn *gpmm__txn_start(struct gpmm_set *set)
{
	start(&set->txn);
	return &set->txn;
}

int gpmm_txn_begin(struct gpmm_set *set, struct gpmm_txn **txn_out)
{
	int ret = set_lock(set);

	if (!ret)
		*txn_out = gpmm__txn_start(set);
	return ret;
}

/* Forget the transaction; the lock is still held. */
static void reset(struct gpmm_txn *txn)
{
	scratch_reset(&txn->taken);
	scratch_reset(&txn->tree.out);
	gpmm__plan_reset(&txn->plan);
	if (pending_was_open(txn->pending))
		gpmm__pending_reset(txn);
	if (txn->run.streak)
		gpmm__run_reset(txn);
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
	set->unpublished++;
	lock_release(&set->lock);
	while (taken.len)
		gpmm_host_put(taken.v[--taken.len]);
	vec_free(&taken);
}

void gpmm_txn_abort(struct gpmm_txn *txn)
{
	drop(txn);
}

/*
 * Keep the top for the next transaction, if it is this one's own and there is
 * room for a copy. Return: the root to publish.
 */
static uintptr_t keep_top(struct gpmm_txn *txn)
{
	uintptr_t root = txn->tree.root;

	if (txn->was.top)
		node_list_add(&txn->tree.retired, root_node(txn->was.root));
	txn->was.top = 0;
	if (!root_node(root) ||
	    !node_is_of(root_node(root), txn->tree.stamp) ||
	    !pool_spares(txn->tree.pool,
			 root_class(root, root_height(root)), 1))
		return root_node(root) ? root : 0;
	txn->was.top = root;
	return copy_top(txn->tree.pool, root, txn->tree.stamp);
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

int gpmm__txn_tell(struct gpmm_txn *txn)
{
	size_t stuck = 0;
	int ret = prepare(txn);

	if (!ret)
		ret = gpmm__tell(&txn->tell, &stuck);
	if (stuck)
		keep_poison(txn, stuck);
	return ret;
}

int gpmm_txn_commit(struct gpmm_txn *txn)
{
	int ret = rcu_inside(txn->was.flavor) ? -EDEADLK : 0;

	if (!ret)
		txn_catch_up(txn);
	if (!ret && txn->plan.edits.len)
		ret = gpmm__txn_tell(txn);
	if (ret || !txn->changed) {
		drop(txn);
		return ret;
	}
	/* Readers hold this line: to have it back takes as long as the copy. */
	prefetch_write(&txn->set->face);
	publish(txn, keep_top(txn), txn->areas);
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
		publish(txn, txn->tree.root, txn->areas);
		retire(txn);
		set->moves++;
	} else {
		set->unpublished++;
	}
	if (top && (moved || leave))
		gpmm__pool_give(&set->pool, root_node(top));
	else
		txn->was.top = top;
	reset(txn);
	return moved || leave;
}
