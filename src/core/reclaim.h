/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Limbo: what was published once and waits for its last readers. A worker
 * empties it after a few milliseconds; a writer who finds it too full waits
 * for a grace period himself, after he has let go of the lock. So a stalled
 * reader holds back at most the bound, and what writers add while they wait.
 */
#ifndef GPMM_CORE_RECLAIM_H
#define GPMM_CORE_RECLAIM_H

#include <stdbool.h>
#include <stddef.h>

#include "core/host_refs.h"
#include "core/pool.h"
#include "util/lock.h"
#include "util/worker.h"

struct gpmm_set;

/*
 * Below this, waiting costs more than the memory: a wait interrupts all readers
 * twice. A writer who fills 4 MiB in a millisecond brings the slowest thousandth
 * of a reader's lookups to 3 us at 512 areas and 5 at 32764, for 1 and 3 with
 * 16 MiB (medians of four bench/bench_set_writer --quick --only=gpmm).
 */
#define LIMBO_LEAST	((size_t)16 << 20)

/* What a set's bound is at least. @max: bytes; 0: in proportion */
static inline size_t limbo_least(size_t max)
{
	return max ? max : LIMBO_LEAST;
}

/* What waits for the same grace period. */
struct batch {
	struct node_batch nodes;
	struct host_refs hosts;
};

struct limbo {
	struct lock reclaiming;
	struct work work;
	/* The rest under the set's lock. */
	bool queued;		/* the worker knows */
	struct batch open;
	size_t waiting_bytes;	/* of nodes whose grace period runs */
	uint64_t shed_ms;	/* when memory was given back last */
};

int gpmm__limbo_init(struct limbo *limbo);
void gpmm__limbo_fini(struct limbo *limbo);

/* Bytes of nodes that wait. Context: locked. */
static inline size_t limbo_bytes(const struct limbo *limbo)
{
	return limbo->open.nodes.bytes + limbo->waiting_bytes;
}

static inline bool batch_is_empty(const struct batch *batch)
{
	return !batch->nodes.slabs && gpmm__host_refs_is_empty(&batch->hosts);
}

/*
 * Is there something of which the worker does not know? It does from now on.
 * Context: locked.
 */
static inline bool limbo_wants_worker(struct limbo *limbo)
{
	if (limbo->queued || batch_is_empty(&limbo->open))
		return false;
	limbo->queued = true;
	return true;
}

/* Have the worker empty limbo later. Context: without the set's lock. */
void gpmm__set_leave_to_worker(struct gpmm_set *set);

/*
 * Is there more than the set's bound, so that the caller is to wait? Not in a
 * release callback: it would wait with one set's reclaiming held for another's,
 * whose release may wait for the first. Context: locked.
 */
bool gpmm__limbo_makes_wait(const struct gpmm_set *set);

/*
 * Wait for a grace period and release what was in limbo.
 * Context: not-reader, without the set's lock.
 * Return: 0; -EDEADLK from a release callback that is part of it, after which
 * there may be more.
 */
int gpmm__set_reclaim(struct gpmm_set *set);

#endif
