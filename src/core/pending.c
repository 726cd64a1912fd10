/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include <gpmm/host.h>

#include "core/narrow.h"
#include "core/pending.h"
#include "core/plan_build.h"
#include "core/set.h"

/* --------------------------------------------------------- what is there --- */

/* How many start at or below @granule? */
static inline unsigned int count(const struct pending *pending,
				 uint64_t granule)
{
	return gpmm__find_path->splice->count(pending->key,
					      narrow_at(granule));
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

/* Does a span reach into what is pending? */
static ALWAYS_INLINE bool touches(struct pending *pending, struct span span)
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

/* Invariant G: may the item that the way leads to be taken out, too? */
static bool has_room(const struct pending *pending,
		     const struct gpmm_iter *way)
{
	unsigned int len = node_len(narrow_leaf_class(way->root),
				    way->node[0]);

	if (pending->given_up || pending->len == PENDING_CAP)
		return false;
	if (!root_height(way->root))
		return len > 1 + pending->len;
	return len > LEAF_MIN + count_within(pending, way->node[0], len);
}

static void insert(struct pending *pending, const struct plan *plan,
		   const struct item *item, size_t dropped)
{
	const struct gpmm_iter *way = &plan->at;
	unsigned int place = pending->len++;
	struct pending_area *area = &pending->area[place];

	gpmm__find_path->splice->lanes(pending->key, pending->place,
				       pending->at, (int32_t)item->first - 1,
				       (uint8_t)place);
	area->record = *spot_record(cursor_spot(way));
	area->dropped = dropped;
	area->gone = true;
	area->alone = plan_is_alone(plan, way, item);
}

/* Plan that an area goes, and keep what it takes. May need to be rewound. */
static ALWAYS_INLINE int plan_to_go(struct gpmm_txn *txn,
				    const struct item *item)
{
	struct span span = { item->first, item->last };
	struct plan *plan = &txn->plan;
	int ret = plan_add_edit(plan, EDIT_UNMAP, item, span, 0);

	if (!ret)
		ret = plan_drop_host(plan, item->host);
	return ret ? ret : host_refs_reserve(&txn->set->limbo.open.hosts,
					     plan->dropped.len);
}

/* Let one whole area go that is not pending yet; or PLAN_NOT. */
static int let_wait(struct gpmm_txn *txn, struct span span)
{
	struct plan *plan = &txn->plan;
	struct plan_mark mark = gpmm__plan_mark(plan);
	struct pending *pending;
	struct item item;
	int ret;

	plan->at.root = plan->root;
	narrow_seek(&plan->at, plan->root, span.first);
	if (!plan_is_one(plan, span))
		return PLAN_NOT;
	pending = make(txn);
	if (!pending)
		return -ENOMEM;
	if (!has_room(pending, &plan->at))
		return PLAN_NOT;
	spot_get(cursor_spot(&plan->at), &item);
	ret = plan_to_go(txn, &item);
	/* Of a flat leaf's, the first keeps enough for all. */
	if (!ret && !txn->tree.kept[RECORD_BLOCK])
		ret = gpmm__btree_keep_local(&txn->tree, &plan->at);
	if (ret) {
		gpmm__plan_rewind(plan, mark);
		return ret;
	}
	insert(pending, plan, &item, mark.dropped);
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
	struct pending_area *area = area_at(txn->pending, i);
	struct item item;
	int ret;

	get(txn->pending, i, &item);
	ret = plan_to_go(txn, &item);
	if (ret) {
		gpmm__plan_rewind(&txn->plan, mark);
		return ret;
	}
	area->dropped = mark.dropped;
	area->gone = true;
	txn->pending->gone++;
	txn->areas--;
	return 0;
}

int gpmm__pending_unmap(struct gpmm_txn *txn, struct span span)
{
	uintptr_t root = txn->plan.root;
	struct pending *pending = txn->pending;
	unsigned int i;

	if (!root_node(root) || root_is_wide(root))
		return PLAN_NOT;
	if (!pending || !touches(pending, span))
		return let_wait(txn, span);
	i = pending->at - 1;
	if (!is_span(pending, i, span)) {
		gpmm__pending_apply(txn);
		return PLAN_NOT;
	}
	return area_at(pending, i)->gone ? 0 : take_out(txn, i);
}

/* May the item stay that the tree has in its place? */
static bool is_same(const struct pending_area *area, const struct item *item)
{
	return area->alone && plan_is_like(&area->record, item) &&
	       area->record.backend == item->backend;
}

/* The item stays, and the reference that it has. */
static int let_stay(struct gpmm_txn *txn, struct pending_area *area,
		    const struct item *item)
{
	struct span span = { item->first, item->last };
	struct plan_mark mark = gpmm__plan_mark(&txn->plan);
	int ret = plan_add_edit(&txn->plan, EDIT_MAP, item, span, 0);

	if (ret) {
		gpmm__plan_rewind(&txn->plan, mark);
		return ret;
	}
	if (item->host)
		txn->plan.dropped.v[area->dropped] = NULL;
	txn->areas++;
	return 0;
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
	struct pending *pending = txn->pending;
	struct pending_area *area;
	int ret;

	if (!touches(pending, span))
		return PENDING_NOT;
	area = area_at(pending, pending->at - 1);
	if (!is_span(pending, pending->at - 1, span) || !area->gone)
		return PLAN_NOT;
	ret = is_same(area, item) ? let_stay(txn, area, item) :
				    replace(txn, area, item);
	if (ret)
		return ret;
	area->gone = false;
	pending->gone--;
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
