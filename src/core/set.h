/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The set's inside, for the rooms of core.
 *
 * LOCKING
 *   set->lock	writers, one at a time: everything but what readers read;
 *			set->areas is also read without
 *   set->limbo.reclaiming	whoever waits for a grace period; taken before
 *			set->lock, which is not held over the wait
 * Readers take neither: they read face.root, once a snapshot, in a read section.
 * Published by publish() in publish.h; read by gpmm_set_view_rcu() in read.c.
 */
#ifndef GPMM_CORE_SET_H
#define GPMM_CORE_SET_H

#include <gpmm/set.h>

#include "core/btree.h"
#include "core/pending.h"
#include "core/plan.h"
#include "core/reclaim.h"
#include "core/run.h"
#include "core/tell.h"
#include "util/lock.h"
#include "util/rcu.h"

/*
 * For writers, what publish() published and what never changes: readers keep
 * taking the cache line of the set's face, and to have it back costs each time.
 * The same goes for the lines of the top: writers keep one of their own, and
 * do not look again at the copy of it that is published.
 */
struct published {
	uintptr_t root;
	uintptr_t top;		/* of writers, otherwise as root; 0: none */
	const struct rcu_flavor_struct *flavor;
	unsigned int shift;
};

struct gpmm_txn {
	struct gpmm_set *set;
	struct published was;
	struct btree tree;
	struct plan plan;
	/* What was asked for, and the tree does not show yet. */
	struct pending *pending;	/* may be NULL */
	struct run run;
	/* References taken for new items; given back on abort. */
	VEC(struct gpmm_host *) taken;
	size_t areas;		/* in the tree as it will be */
	bool changed;		/* the tree is not the published one */
	struct tell tell;
};

#define LINE_PAIR	128	/* bytes */

struct gpmm_set {
	/*
	 * What readers read; written by publish() alone. Their CPUs fetch the
	 * other line of a pair along: it is nobody's.
	 */
	struct gpmm_set_face face __attribute__((aligned(LINE_PAIR)));
	uint64_t generation;	/* the stamp of what is published */
	const struct rcu_flavor_struct *flavor;	/* NULL: memb */

	struct lock lock __attribute__((aligned(LINE_PAIR)));
	struct gpmm_backend *backend;	/* for areas that name none */
	struct pool pool;
	struct limbo limbo;
	struct gpmm_txn txn;	/* the one there can be */
	uint64_t stamp;		/* of the last transaction */
	size_t areas;		/* published */
	uint64_t stalls;
	uint64_t moves;		/* publications that changed nothing */
	uint64_t unpublished;	/* stamps of nothing that was published */
	size_t limbo_max;	/* bytes; 0: in proportion */
	VEC(struct edit) poisoned;	/* edits still to be undone */
};

/*
 * Check a set's tree and counts; logs what is wrong.
 * Context: writer, without the lock. Return: 0 or -EIO.
 */
int gpmm__set_check(struct gpmm_set *set);

/*
 * Move nodes together, so that memory may be given back after a grace period;
 * unless @thorough only where that is much and quickly done.
 * Context: locked. Return: whether any were moved, or given back.
 */
bool gpmm__set_gather(struct gpmm_set *set, bool thorough);

/* gpmm_set_hit_rcu(), which tests of the library's inside can follow. */
static inline struct gpmm_hit set_hit(const struct gpmm_set *set,
				      gpmm_gpa_t addr)
{
	return __atomic_load_n(&set->face.find, __ATOMIC_RELAXED)(
		rcu_read(&set->face.root), set->face.shift, addr);
}

/*
 * Map an item of which the tree is to know later, if at all: plan to tell its
 * backend, take a reference. Return: 0, -ENOMEM or -EINVAL, nothing changed.
 */
int gpmm__txn_put(struct gpmm_txn *txn, const struct item *item);

void gpmm__txn_catch_up(struct gpmm_txn *txn);

/* Make the transaction's tree what was asked for. Cannot fail. */
static inline void txn_catch_up(struct gpmm_txn *txn)
{
	if (txn->run.streak || pending_is_open(txn->pending))
		gpmm__txn_catch_up(txn);
}

/* Take the lock. Return: 0, or -EDEADLK for a reader or the holder. */
static inline int set_lock(struct gpmm_set *set)
{
	if (rcu_inside(set->txn.was.flavor))
		return -EDEADLK;
	return lock_acquire(&set->lock);
}

/* Begin a transaction. Context: locked; it is until the transaction's end. */
struct gpmm_txn *gpmm__txn_start(struct gpmm_set *set);

/* End it as its only request did. */
static inline int txn_end(struct gpmm_txn *txn, int ret)
{
	if (!ret)
		return gpmm_txn_commit(txn);
	gpmm_txn_abort(txn);
	return ret;
}

/*
 * Tell the backends, and remember what they could not undo.
 * Return: 0; -ENOMEM; or what a backend returned, and none keeps any of it.
 */
int gpmm__txn_tell(struct gpmm_txn *txn);

#endif
