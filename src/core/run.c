/* SPDX-License-Identifier: BSD-3-Clause */
#include <gpmm/host.h>

#include "core/pending.h"
#include "core/plan_build.h"
#include "core/run.h"
#include "core/set.h"

/* Invariant I, of one more item. */
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
		!plan_items_are_like(last, item));
}

static int reserve(struct gpmm_txn *txn)
{
	struct run *run = &txn->run;
	int ret = vec_reserve(&txn->taken, 1);

	if (!ret)
		ret = vec_reserve(&run->items, 1);
	if (ret || run->items.len % RUN_STEP)
		return ret;
	return gpmm__btree_reserve(&txn->tree, run->items.len + RUN_STEP,
				   false);
}

/* Put what waits into the tree. */
static void apply(struct gpmm_txn *txn)
{
	struct run *run = &txn->run;

	if (!run->items.len)
		return;
	gpmm__btree_replace(&txn->tree, run->items.v[0].first, run->last.last,
			    run->items.v, run->items.len);
	txn->plan.root = txn->tree.root;
	run->items.len = 0;
}

int gpmm__run_map(struct gpmm_txn *txn, const struct item *item)
{
	struct plan_mark mark = gpmm__plan_mark(&txn->plan);
	struct run *run = &txn->run;
	int ret;

	if (!may_follow(txn, item))
		return PENDING_NOT;
	if (!plan_may_lie(&txn->plan, item))
		return -EINVAL;
	if (run->items.len == RUN_CAP)
		apply(txn);
	ret = plan_add_edit(&txn->plan, EDIT_MAP, item,
			    (struct span){ item->first, item->last }, 0);
	if (!ret)
		ret = reserve(txn);
	if (ret) {
		gpmm__plan_rewind(&txn->plan, mark);
		return ret;
	}
	if (item->host)
		vec_push(&txn->taken, gpmm_host_get(item->host));
	vec_push(&run->items, *item);
	run->last = *item;
	txn->areas++;
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
