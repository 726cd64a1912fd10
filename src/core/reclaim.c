/* SPDX-License-Identifier: BSD-3-Clause */
#include <gpmm/host.h>

#include "core/set.h"

/* This thread is in release callbacks, and so holds some set's reclaiming. */
static _Thread_local bool releasing;

/*
 * Writers who come back within seconds find the memory they had, mapped still:
 * a huge page to be cleared costs as much as thousands of changes.
 */
#define SHED_MS	1000

/*
 * Give back what a set that has calmed down does not need: empty slabs, half
 * at a time, and then nodes that lie scattered move together.
 * Context: locked. Return: in how many ms there may be more; 0: there is none.
 */
static unsigned int shed_locked(struct gpmm_set *set)
{
	if (set->limbo.queued)
		return 0;
	if (gpmm__pool_shed(&set->pool))
		return SHED_MS;
	return gpmm__set_gather(set, false) ? WORKER_LINGER_MS : 0;
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
		 unsigned int *more_ms)
{
	lock_acquire(&set->lock);
	gpmm__pool_give_all(&set->pool, &batch->nodes);
	set->limbo.waiting_bytes = 0;
	if (more_ms)
		*more_ms = shed_locked(set);
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

/* @more_ms: of the worker, in how many ms there may be more; 0: never */
static int reclaim(struct gpmm_set *set, unsigned int *more_ms)
{
	struct batch batch;
	int ret = lock_acquire(&set->limbo.reclaiming);

	if (ret)
		return ret;
	if (take(set, &batch, more_ms))
		gpmm__rcu_wait(set->flavor);
	give(set, &batch, more_ms);
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
	unsigned int more_ms = 0;

	/* Else it is where a release callback has handed it in, in the double. */
	if (reclaim(set, &more_ms)) {
		lock_acquire(&set->lock);
		set->limbo.queued = false;
		lock_release(&set->lock);
	}
	if (more_ms)
		gpmm__worker_add(work, more_ms);
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
		gpmm__worker_add(&set->limbo.work, WORKER_LINGER_MS);
}
