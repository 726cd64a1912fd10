/* SPDX-License-Identifier: BSD-3-Clause */
/* How a transaction ends that has changed the tree. None of it can fail. */
#ifndef GPMM_CORE_PUBLISH_H
#define GPMM_CORE_PUBLISH_H

#include "core/find.h"
#include "core/set.h"

/*
 * A copy of the top, @root's, for readers; there is a node for it. It is made
 * when the top is changed, and not together with it: what the next change looks
 * at is not to wait behind lines that may be on their way from the readers' CPUs.
 * Inlined, as all that is in the way of nearly every change: see single.c.
 */
static ALWAYS_INLINE uintptr_t copy_top(struct pool *pool, uintptr_t root,
					uint64_t stamp)
{
	enum node_class class = root_class(root, root_height(root));
	const struct splice_path *path = gpmm__find_path->splice;
	void *top = root_node(root), *copy;

	if (class == LEAF_NARROW) {
		copy = pool_take(pool, LEAF_NARROW, stamp);
		path->copy(copy, top, leaf_bytes(top));
	} else if (class == LEAF_FLAT) {
		copy = pool_take(pool, LEAF_FLAT, stamp);
		path->copy(copy, top, sizeof(struct leaf_flat));
	} else {
		copy = gpmm__pool_take(pool, class, stamp);
		path->copy(copy, top, node_size(class));
	}
	return (uintptr_t)copy | (root & ROOT_BITS);
}

/*
 * Readers see all of it from the store of root on; they read it in
 * gpmm_set_view_rcu(). The generation goes last, so that whoever reads the new
 * one finds the new root, and number of areas (@areas).
 */
static inline void publish(struct gpmm_txn *txn, uintptr_t root, size_t areas)
{
	struct gpmm_set *set = txn->set;

	/* With this root or the one before, either function will do. */
	if ((root ^ txn->was.root) & ROOT_BITS)
		__atomic_store_n(&set->face.find, gpmm__find_path->way(root),
				 __ATOMIC_RELAXED);
	rcu_publish(&set->face.root, root);
	__atomic_store_n(&set->areas, areas, __ATOMIC_RELAXED);
	__atomic_store_n(&set->generation, set->stamp, __ATOMIC_RELEASE);
	txn->was.root = root;
}

/* Hand over to limbo what readers may still be looking at. */
static inline void retire(struct gpmm_txn *txn)
{
	struct gpmm_set *set = txn->set;
	struct limbo *limbo = &set->limbo;

	for (size_t i = 0; i < txn->plan.dropped.len; i++)
		if (txn->plan.dropped.v[i])
			host_refs_add(&limbo->open.hosts,
				      txn->plan.dropped.v[i]);
	node_batch_join(&limbo->open.nodes, &txn->tree.retired);
}

/*
 * Let go of the lock; see to limbo. The worker comes in any case: what limbo
 * held is then free, and it alone gives that back.
 */
static inline void finish(struct gpmm_set *set)
{
	bool wait = limbo_bytes(&set->limbo) > limbo_least(set->limbo_max) &&
		    gpmm__limbo_makes_wait(set);
	bool wake = limbo_wants_worker(&set->limbo);

	if (wait)
		set->stalls++;
	lock_release(&set->lock);
	if (wake)
		gpmm__worker_add(&set->limbo.work, WORK_SOON);
	if (wait)
		gpmm__set_reclaim(set);
}

#endif
