/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include <gpmm/host.h>

#include "core/narrow.h"
#include "core/pending.h"
#include "core/plan_build.h"
#include "core/set.h"

/* --------------------------------------------------------- what is there --- */

/* How many start at or below @granule: of four lines, only one is searched. */
static inline unsigned int count(const struct pending *pending,
				 uint64_t granule)
{
	const int32_t *key = pending->key;
	int32_t query = narrow_at(granule);
	unsigned int line = (unsigned int)(key[15] < query) +
			    (key[31] < query) + (key[47] < query);

	return line * 16 + narrow_count(&key[line * 16], 16, query);
}

static inline struct pending_area *area_at(struct pending *pending,
					   unsigned int i)
{
	return &pending->area[pending->place[i]];
}

static inline uint64_t first_at(const struct pending *pending, unsigned int i)
{
	return (uint64_t)(pending->key[i] + 1);
}

bool gpmm__pending_touches(struct pending *pending, struct span span)
{
	unsigned int i = count(pending, span.last);

	pending->at = i;
	return i && area_at(pending, i - 1)->record.last >= span.first;
}

/* Is the span that of pending area @i? */
static inline bool is_span(struct pending *pending, unsigned int i,
			   struct span span)
{
	return first_at(pending, i) == span.first &&
	       area_at(pending, i)->record.last == span.last;
}

/* ---------------------------------------------------------------- adding --- */

/* The transaction's, made when it is first wanted. */
static struct pending *make(struct gpmm_txn *txn)
{
	struct pending *pending = txn->pending;

	if (pending)
		return pending;
	pending = gpmm__alloc_aligned(64, sizeof(*pending));
	if (!pending)
		return NULL;
	*pending = (struct pending){ .len = 0 };
	for (unsigned int i = 0; i < PENDING_CAP; i++)
		pending->key[i] = NARROW_FILLER;
	txn->pending = pending;
	return pending;
}

/*
 * Was one whole item of a narrow tree asked for by its span? Then the way leads
 * to it still, and not past it as after all else that is unmapped.
 */
static inline bool was_one(const struct plan *plan)
{
	return plan->local && plan->at.at[0] == plan->place;
}

/* How many pending areas beside @at lie in a leaf, of @len items? */
static unsigned int count_within(const struct pending *pending,
				 const int32_t *key, unsigned int len)
{
	unsigned int from = pending->at, to = from;

	while (from && pending->key[from - 1] >= key[0])
		from--;
	while (to < pending->len && pending->key[to] <= key[len - 1])
		to++;
	return to - from;
}

/* Invariant G: may one more item be taken out of the leaf? */
static bool has_room(const struct plan *plan, const struct pending *pending)
{
	unsigned int len = node_len(narrow_leaf_class(plan->root), plan->leaf);

	if (pending->len == PENDING_CAP)
		return false;
	if (!root_height(plan->root))
		return len > 1 + pending->len;
	return len > LEAF_MIN + count_within(pending, plan->leaf, len);
}

static void insert(struct pending *pending, const struct plan *plan)
{
	enum node_class class = narrow_leaf_class(plan->root);
	unsigned int i = pending->at, place = pending->len++;
	unsigned int behind = place - i;
	struct pending_area *area = &pending->area[place];
	struct item item;

	memmove(&pending->key[i + 1], &pending->key[i],
		behind * sizeof(*pending->key));
	memmove(&pending->place[i + 1], &pending->place[i], behind);
	pending->key[i] = ((const int32_t *)plan->leaf)[plan->place];
	pending->place[i] = (uint8_t)place;
	narrow_get(class, plan->leaf, plan->place, &item);
	area->record = *narrow_record(class, plan->leaf, plan->place);
	area->gone = true;
	area->alone = plan_is_alone(plan, &plan->at, &item);
}

int gpmm__pending_add(struct gpmm_txn *txn)
{
	struct pending *pending;
	int ret;

	if (!was_one(&txn->plan))
		return PLAN_NOT;
	pending = make(txn);
	if (!pending)
		return -ENOMEM;
	if (pending->given_up || !has_room(&txn->plan, pending))
		return PLAN_NOT;
	ret = host_refs_reserve(&txn->set->limbo.open.hosts,
				txn->plan.dropped.len);
	if (!ret)
		ret = gpmm__btree_keep_local(&txn->tree, &txn->plan.at);
	if (ret)
		return ret;
	insert(pending, &txn->plan);
	pending->gone++;
	txn->areas--;
	return 0;
}

/* -------------------------------------------------------------- requests --- */

static void get(struct pending *pending, unsigned int i, struct item *item)
{
	const struct gpmm_record *record = &area_at(pending, i)->record;

	*item = (struct item){
		.first = first_at(pending, i),
		.last = record->last,
		.link = record->link,
		.host = record->host,
		.backend = record->backend,
		.flags = record->flags,
	};
}

/* Area @i, which is mapped again, goes again. */
static int take_out(struct gpmm_txn *txn, unsigned int i)
{
	struct plan_mark mark = gpmm__plan_mark(&txn->plan);
	struct plan *plan = &txn->plan;
	struct item item;
	int ret;

	get(txn->pending, i, &item);
	ret = plan_add_edit(plan, EDIT_UNMAP, &item,
			    (struct span){ item.first, item.last }, 0);
	if (!ret)
		ret = gpmm__plan_drop_host(plan, item.host);
	if (!ret)
		ret = host_refs_reserve(&txn->set->limbo.open.hosts,
					plan->dropped.len);
	if (ret) {
		gpmm__plan_rewind(plan, mark);
		return ret;
	}
	area_at(txn->pending, i)->gone = true;
	txn->pending->gone++;
	txn->areas--;
	return 0;
}

int gpmm__pending_unmap(struct gpmm_txn *txn, struct span span)
{
	unsigned int i = txn->pending->at - 1;

	if (!is_span(txn->pending, i, span))
		return PLAN_NOT;
	return area_at(txn->pending, i)->gone ? 0 : take_out(txn, i);
}

/* May the item stay that the tree has in its place? */
static bool is_same(const struct pending_area *area, const struct item *item)
{
	return area->alone && plan_is_like(&area->record, item) &&
	       area->record.backend == item->backend;
}

/* Put an item, or none, into the place that the way leads to. */
static void change(struct gpmm_txn *txn, struct gpmm_iter *way,
		   const struct item *item, size_t n)
{
	struct local_change local = {
		.way = way, .place = way->at[0], .removed = 1,
		.items = item, .n = n,
	};

	gpmm__btree_replace_kept(&txn->tree, &local);
	txn->plan.root = txn->tree.root;
}

/* Map an item over an area that is gone. */
static int replace(struct gpmm_txn *txn, struct pending_area *area,
		   const struct item *item)
{
	struct gpmm_iter way;
	int32_t key;
	int ret;

	gpmm__cursor_seek(&way, txn->tree.root, item->first);
	if (!plan_is_alone(&txn->plan, &way, item))
		return PLAN_NOT;
	ret = gpmm__txn_put(txn, item);
	if (ret)
		return ret;
	change(txn, &way, item, 1);
	narrow_put(&key, &area->record, item);
	area->alone = true;
	return 0;
}

int gpmm__pending_map(struct gpmm_txn *txn, const struct item *item)
{
	struct span span = { item->first, item->last };
	unsigned int i = txn->pending->at - 1;
	struct pending_area *area = area_at(txn->pending, i);
	int ret;

	if (!is_span(txn->pending, i, span) || !area->gone)
		return PLAN_NOT;
	ret = is_same(area, item) ? gpmm__txn_put(txn, item) :
				    replace(txn, area, item);
	if (ret)
		return ret;
	area->gone = false;
	txn->pending->gone--;
	return 0;
}

/* --------------------------------------------------------------- the end --- */

static void take_from_tree(struct gpmm_txn *txn, unsigned int i)
{
	struct gpmm_iter way;

	gpmm__cursor_seek(&way, txn->tree.root, first_at(txn->pending, i));
	change(txn, &way, NULL, 0);
}

static void clear(struct gpmm_txn *txn)
{
	struct pending *pending = txn->pending;

	while (pending->len)
		pending->key[--pending->len] = NARROW_FILLER;
	pending->at = pending->gone = 0;
	memset(txn->tree.kept, 0, sizeof(txn->tree.kept));
}

void gpmm__pending_apply(struct gpmm_txn *txn)
{
	struct pending *pending = txn->pending;

	for (unsigned int i = 0; i < pending->len; i++)
		if (area_at(pending, i)->gone)
			take_from_tree(txn, i);
	clear(txn);
}

void gpmm__pending_make_room(struct gpmm_txn *txn)
{
	txn->pending->given_up = txn->pending->gone == txn->pending->len;
	gpmm__pending_apply(txn);
}

void gpmm__pending_reset(struct gpmm_txn *txn)
{
	clear(txn);
	txn->pending->given_up = false;
}
