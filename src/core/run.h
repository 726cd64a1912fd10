/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Areas that a transaction has mapped, one behind the other into one hole, and
 * its tree does not hold yet.
 *
 * Who maps many areas in order, as to build a set, would go down the tree for
 * each. After RUN_STREAK of them those that follow wait, and go into the tree
 * together: RUN_CAP at once, or before anything else is asked for. 100,000 areas
 * take a third of the time (bench/bench_set_change --quick --only=gpmm).
 *
 * Invariant H: they ascend, all lie in one hole of the tree, merge neither with
 * each other nor with what is beside the hole, and nodes for them are reserved.
 * Nothing is pending (pending.h) at the same time.
 */
#ifndef GPMM_CORE_RUN_H
#define GPMM_CORE_RUN_H

#include "core/node.h"
#include "util/vec.h"

struct gpmm_txn;

enum {
	RUN_STREAK = 16,
	RUN_CAP = 512,
	RUN_STEP = 64,		/* for how many more nodes are reserved */
};

struct run {
	VEC(struct item) items;
	struct item last;	/* that was mapped, in the tree or not */
	uint64_t end;		/* of the hole behind it */
	unsigned int streak;	/* so many were mapped in order */
};

/*
 * An item was mapped on the tree, before @next (0: the last); none merged. What
 * follows @last in its hole may come at once; that many came so already is to
 * say that many more will.
 */
static inline void run_note(struct run *run, const struct item *item,
			    uint64_t next)
{
	bool follows = run->streak && item->first > run->last.last &&
		       item->first < run->end;

	run->streak = follows ? run->streak + 1 : 1;
	run->last = *item;
	run->end = next ? next : UINT64_MAX;
}

/*
 * Map an item where it follows those of the streak, which is long enough.
 * Return: as planning it, or PLAN_NOT, with nothing changed.
 */
int gpmm__run_map(struct gpmm_txn *txn, const struct item *item);

/* Put the run into the tree; the streak is over. Cannot fail. */
void gpmm__run_end(struct gpmm_txn *txn);

/* Forget it. */
void gpmm__run_reset(struct gpmm_txn *txn);

#endif
