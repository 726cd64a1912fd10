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
 * Return: in how many ms there may be more; 0: there is none.
 */
static unsigned int shed(struct gpmm_set *set)
{
	unsigned int ms = 0;

	lock_acquire(&set->lock);
	if (!set->limbo.queued) {
		if (gpmm__pool_shed(&set->pool))
			ms = SHED_MS;
		else if (gpmm__set_gather(set, false))
			ms = WORKER_LINGER_MS;
	}
	lock_release(&set->lock);
	return ms;
}

static void run(struct work *work)
{
	struct gpmm_set *set = (struct gpmm_set *)((char *)work -
				offsetof(struct gpmm_set, limbo.work));
	unsigned int ms;

	lock_acquire(&set->lock);
	set->limbo.queued = false;
	lock_release(&set->lock);
	gpmm__set_reclaim(set);
	ms = shed(set);
	if (ms)
		gpmm__worker_add(work, ms);
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

/* Context: reclaiming held. Return: whether there is anything. */
static bool take(struct gpmm_set *set, struct batch *batch)
{
	struct limbo *limbo = &set->limbo;

	lock_acquire(&set->lock);
	*batch = limbo->open;
	limbo->open = (struct batch){ 0 };
	limbo->waiting_bytes = batch->nodes.bytes;
	lock_release(&set->lock);
	return !batch_is_empty(batch);
}

/* Context: reclaiming held, a grace period later. */
static void release(struct gpmm_set *set, struct batch *batch)
{
	bool nested = releasing;

	lock_acquire(&set->lock);
	gpmm__pool_give_all(&set->pool, &batch->nodes);
	set->limbo.waiting_bytes = 0;
	lock_release(&set->lock);
	releasing = true;
	gpmm__host_refs_put(&batch->hosts);
	releasing = nested;
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

int gpmm__set_reclaim(struct gpmm_set *set)
{
	struct batch batch;
	int ret = lock_acquire(&set->limbo.reclaiming);

	if (ret)
		return ret;
	if (take(set, &batch)) {
		gpmm__rcu_wait(set->flavor);
		release(set, &batch);
	}
	host_refs_fini(&batch.hosts);
	lock_release(&set->limbo.reclaiming);
	return 0;
}
