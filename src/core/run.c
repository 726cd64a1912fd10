/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>

#include "core/plan_build.h"
#include "core/run.h"
#include "core/set.h"

/* Invariant H, of one more item. */
static bool may_follow(const struct gpmm_txn *txn, const struct item *item)
{
	const struct run *run = &txn->run;
	const struct item *last = &run->last;

	if (item->first <= last->last || item->last >= run->end ||
	    (item->last > NARROW_LAST && !root_is_wide(txn->tree.root)))
		return false;
	if (!txn->plan.merge)
		return true;
	return item->last + 1 < run->end &&
	       (last->last + 1 < item->first ||
		(last->flags & GPMM_NOMERGE) ||
		!plan_items_are_like(last, item));
}

static int reserve(struct gpmm_txn *txn)
{
	struct run *run = &txn->run;
	int ret = vec_reserve(&run->items, 1);

	if (ret || run->items.len % RUN_STEP)
		return ret;
	return gpmm__btree_reserve(&txn->tree, run->items.len + RUN_STEP,
				   false);
}

/* Does nothing in the tree start in the span? */
static bool is_free(uintptr_t root, uint64_t first, uint64_t last)
{
	struct gpmm_iter at;
	uint64_t next;

	gpmm__cursor_seek(&at, root, first);
	return !gpmm__cursor_first(&at, &next) || next > last;
}

/* Put what waits into the tree. */
static void apply(struct gpmm_txn *txn)
{
	struct run *run = &txn->run;
	bool is_hole;

	if (!run->items.len)
		return;
	is_hole = is_free(txn->tree.root, run->items.v[0].first,
			  run->last.last);
	assert(is_hole);
	(void)is_hole;
	gpmm__btree_replace(&txn->tree, run->items.v[0].first, run->last.last,
			    run->items.v, run->items.len);
	txn->plan.root = txn->tree.root;
	run->items.len = 0;
}

int gpmm__run_map(struct gpmm_txn *txn, const struct item *item)
{
	struct run *run = &txn->run;
	int ret;

	if (!may_follow(txn, item))
		return PLAN_NOT;
	if (run->items.len == RUN_CAP)
		apply(txn);
	ret = reserve(txn);
	if (!ret)
		ret = gpmm__txn_put(txn, item);
	if (ret)
		return ret;
	vec_push(&run->items, *item);
	run->last = *item;
	return 0;
}

void gpmm__run_end(struct gpmm_txn *txn)
{
	apply(txn);
	txn->run.streak = 0;
}

void gpmm__run_reset(struct gpmm_txn *txn)
{
	scratch_reset(&txn->run.items);
	txn->run.streak = 0;
}
