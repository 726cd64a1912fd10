/* SPDX-License-Identifier: BSD-3-Clause */
#include <gpmm/host.h>

#include "core/set.h"

/* This thread is in release callbacks, and so holds some set's reclaiming. */
static _Thread_local bool releasing;

/*
 * Give back what a set can do without, at most once in WORK_LATER_MS: half of
 * the slabs that were empty all the time since, and when there are none nodes
 * that lie scattered move together. Writers who come back within seconds find
 * what they had, mapped: a huge page to be cleared costs as much as thousands
 * of changes. Context: locked. Return: when there may be more.
 */
static enum work_delay shed_locked(struct gpmm_set *set)
{
	uint64_t now = gpmm__worker_ms();

	if (set->limbo.queued)
		return WORK_NEVER;	/* unasked */
	if (now < set->limbo.shed_ms + WORK_LATER_MS)
		return WORK_LATER;
	set->limbo.shed_ms = now;
	if (gpmm__pool_shed(&set->pool))
		return WORK_LATER;
	return gpmm__set_gather(set, false) ? WORK_SOON : WORK_NEVER;
}

/*
 * Context: reclaiming held. @worker: all there is is known to be done.
 * Return: whether there is anything.
 */
static bool take(struct gpmm_set *set, struct batch *batch, bool worker)
{
	struct limbo *limbo = &set->limbo;

	lock_acquire(&set->lock);
	if (worker)
		limbo->queued = false;
	*batch = limbo->open;
	limbo->open = (struct batch){ .nodes.turn = !batch->nodes.turn };
	limbo->waiting_bytes = batch->nodes.bytes;
	lock_release(&set->lock);
	return !batch_is_empty(batch);
}

/*
 * Give the nodes back a grace period later, and to the worker, who asks for it,
 * what the set can do without: others than the set's writer are not to come for
 * its lock more often than they must (lock.h).
 * Context: reclaiming held.
 */
static void give(struct gpmm_set *set, struct batch *batch,
		 enum work_delay *more)
{
	lock_acquire(&set->lock);
	gpmm__pool_give_all(&set->pool, &batch->nodes);
	set->limbo.waiting_bytes = 0;
	if (more)
		*more = shed_locked(set);
	lock_release(&set->lock);
}

/* Context: reclaiming held, a grace period later. */
static void put_hosts(struct batch *batch)
{
	bool nested = releasing;

	releasing = true;
	gpmm__host_refs_put(&batch->hosts);
	releasing = nested;
	host_refs_fini(&batch->hosts);
}

/* @more: asked by the worker, when there may be more to do */
static int reclaim(struct gpmm_set *set, enum work_delay *more)
{
	struct batch batch;
	int ret = lock_acquire(&set->limbo.reclaiming);

	if (ret)
		return ret;
	if (take(set, &batch, more))
		gpmm__rcu_wait(set->flavor);
	give(set, &batch, more);
	put_hosts(&batch);
	lock_release(&set->limbo.reclaiming);
	return 0;
}

int gpmm__set_reclaim(struct gpmm_set *set)
{
	return reclaim(set, NULL);
}

static void run(struct work *work)
{
	struct gpmm_set *set = (struct gpmm_set *)((char *)work -
				offsetof(struct gpmm_set, limbo.work));
	enum work_delay more = WORK_NEVER;

	/* Else a release callback has handed it in, in the double. */
	if (reclaim(set, &more)) {
		lock_acquire(&set->lock);
		set->limbo.queued = false;
		lock_release(&set->lock);
	}
	if (more != WORK_NEVER)
		gpmm__worker_add(work, more);
}

int gpmm__limbo_init(struct limbo *limbo)
{
	limbo->work.run = run;
	return lock_init(&limbo->reclaiming);
}

void gpmm__limbo_fini(struct limbo *limbo)
{
	host_refs_fini(&limbo->open.hosts);
	lock_fini(&limbo->reclaiming);
}

bool gpmm__limbo_makes_wait(const struct gpmm_set *set)
{
	size_t max = limbo_least(set->limbo_max);
	size_t share = set->pool.chunks.bytes / 4;

	if (releasing)
		return false;
	if (!set->limbo_max && max < share)
		max = share;
	return limbo_bytes(&set->limbo) > max;
}

void gpmm__set_leave_to_worker(struct gpmm_set *set)
{
	bool wake;

	lock_acquire(&set->lock);
	wake = limbo_wants_worker(&set->limbo);
	lock_release(&set->lock);
	if (wake)
		gpmm__worker_add(&set->limbo.work, WORK_SOON);
}
