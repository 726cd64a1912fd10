/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changes within one leaf of a narrow tree: nearly all there are. Nothing is
 * searched for again, and what a parent keeps of its child is worked out from
 * what it kept before and what changed: a whole node is looked at only where
 * its largest hole has shrunk.
 */
#include <assert.h>

#include "core/narrow.h"

/* What a parent keeps of a child; @gap in granules, as key - last is. */
struct summary {
	void *child;
	int32_t key;
	int32_t last;
	int32_t gap;
};

/* ------------------------------------------------------------- the leaf --- */

struct leaf {
	enum node_class class;
	int32_t *key;
	struct gpmm_record *record;
	unsigned int len;
};

static struct leaf leaf_at(enum node_class class, void *node, unsigned int len)
{
	return (struct leaf){ class, node, narrow_record(class, node, 0), len };
}

/* The largest hole that ends at one of items [from, to]. */
static int32_t leaf_hole(const struct leaf *leaf, unsigned int from,
			 unsigned int to)
{
	int32_t most = 0;

	from += !from;		/* nothing is before the first */
	to = to < leaf->len ? to : leaf->len - 1;
	for (unsigned int i = from; i <= to; i++) {
		int32_t hole = leaf->key[i] - (int32_t)leaf->record[i - 1].last;

		most = hole > most ? hole : most;
	}
	return most;
}

/* What is behind the items that give way moves to where the new ones end. */
static void open_up(const struct leaf *to, const struct leaf *from,
		    unsigned int after, unsigned int b)
{
	size_t n = from->len - b;

	if (n && (to->key != from->key || after != b)) {
		memmove(&to->key[after], &from->key[b], n * sizeof(*to->key));
		memmove(&to->record[after], &from->record[b],
			n * sizeof(*to->record));
	}
	for (unsigned int i = to->len; i < from->len; i++)
		to->key[i] = NARROW_FILLER;
}

static void put(const struct leaf *leaf, unsigned int i,
		const struct item *item)
{
	leaf->key[i] = (int32_t)item->first - 1;
	leaf->record[i] = (struct gpmm_record){
		.last = (uint32_t)item->last,
		.flags = item->flags,
		.link = item->link,
		.host = item->host,
		.backend = item->backend,
	};
}

static void splice_leaf(const struct leaf *to, const struct leaf *from,
			const struct local_change *change)
{
	unsigned int a = change->place;
	unsigned int n = (unsigned int)change->n;

	if (to->key != from->key) {
		memcpy(to->key, from->key,
		       node_cap(to->class) * sizeof(*to->key));
		memcpy(to->record, from->record, a * sizeof(*to->record));
	}
	open_up(to, from, a + n, a + (unsigned int)change->removed);
	for (unsigned int i = 0; i < n; i++)
		put(to, a + i, &change->items[i]);
}

/* The node on the way to write: the same one, or its copy's memory. */
static void *writable(struct btree *tree, const struct local_change *change,
		      unsigned int height)
{
	void *node = change->way->node[height];

	if (height >= change->shared)
		return node;
	node_list_add(&tree->retired, node);
	return gpmm__pool_take(tree->pool, root_class(tree->root, height),
			       tree->stamp);
}

/*
 * Some holes of a node have changed, of which @before was the largest and
 * @after is. Return: whether its largest hole, @gap, is known all the same.
 */
static bool follow_gap(int32_t *gap, int32_t before, int32_t after)
{
	if (after >= *gap)
		*gap = after;
	else if (before == *gap)
		return false;
	return true;
}

static void change_leaf(struct btree *tree, const struct local_change *change,
			struct summary *summary, bool is_top)
{
	enum node_class class = root_class(tree->root, 0);
	unsigned int a = change->place;
	unsigned int n = (unsigned int)change->n;
	unsigned int removed = (unsigned int)change->removed;
	struct leaf from = leaf_at(class, change->way->node[0], change->len);
	struct leaf to;
	int32_t before = is_top ? 0 : leaf_hole(&from, a, a + removed);

	node_visit();
	to = leaf_at(class, writable(tree, change, 0),
		     change->len + n - removed);
	splice_leaf(&to, &from, change);
	summary->child = to.key;
	if (is_top)
		return;
	if (!follow_gap(&summary->gap, before, leaf_hole(&to, a, a + n)))
		summary->gap = leaf_hole(&to, 1, to.len - 1);
	summary->key = to.key[0];
	summary->last = (int32_t)to.record[to.len - 1].last;
}

/* ------------------------------------------------------------- above it --- */

static struct summary get_summary(struct inner_arrays inner, unsigned int i)
{
	return (struct summary){ inner.child[i], inner.key[i],
				 (int32_t)inner.last[i],
				 (int32_t)inner.gap[i] };
}

static void put_summary(struct inner_arrays inner, unsigned int i,
			const struct summary *summary)
{
	inner.child[i] = summary->child;
	inner.key[i] = summary->key;
	inner.last[i] = (uint32_t)summary->last;
	inner.gap[i] = (uint32_t)summary->gap;
}

static bool is_last(struct inner_arrays inner, unsigned int i)
{
	return i + 1 == inner.cap || inner.key[i + 1] == NARROW_FILLER;
}

/* The largest hole inside and beside child @i. */
static int32_t inner_hole(struct inner_arrays inner, unsigned int i)
{
	int32_t most = (int32_t)inner.gap[i];
	int32_t hole;

	if (i) {
		hole = inner.key[i] - (int32_t)inner.last[i - 1];
		most = hole > most ? hole : most;
	}
	if (!is_last(inner, i)) {
		hole = inner.key[i + 1] - (int32_t)inner.last[i];
		most = hole > most ? hole : most;
	}
	return most;
}

static int32_t inner_gap(enum node_class class, void *node)
{
	struct item item;

	gpmm__node_summary(class, node, node_len(class, node), &item);
	return (int32_t)item.gap;
}

/*
 * Put what has become of a child, @now, in its place. Where the node has a
 * parent, @kept is what that keeps of it, and then what it is to keep.
 */
static void change_inner(struct btree *tree, const struct local_change *change,
			 unsigned int height, const struct summary *now,
			 struct summary *kept)
{
	enum node_class class = root_class(tree->root, height);
	unsigned int i = change->way->at[height];
	const void *from = change->way->node[height];
	void *node = writable(tree, change, height);
	int32_t before = inner_hole(narrow_arrays(class, from), i);
	struct inner_arrays inner = narrow_arrays(class, node);

	node_visit();
	if (node != from)
		memcpy(node, from, node_size(class));
	put_summary(inner, i, now);
	kept->child = node;
	if (height == root_height(tree->root))
		return;
	if (!follow_gap(&kept->gap, before, inner_hole(inner, i)))
		kept->gap = inner_gap(class, node);
	kept->key = inner.key[0];
	if (is_last(inner, i))
		kept->last = now->last;
}

static bool is_same(const struct summary *a, const struct summary *b)
{
	return a->child == b->child && a->key == b->key &&
	       a->last == b->last && a->gap == b->gap;
}

/* What the parent keeps of the node on the way at @height. */
static struct summary kept_at(const struct btree *tree,
			      const struct gpmm_iter *way, unsigned int height)
{
	enum node_class class;

	if (height++ == root_height(tree->root))
		return (struct summary){ 0 };
	class = root_class(tree->root, height);
	return get_summary(narrow_arrays(class, way->node[height]),
			   way->at[height]);
}

/* ---------------------------------------------------------------- doors --- */

/* Above a node of its own all are its own. */
static unsigned int count_shared(const struct btree *tree,
				 const struct gpmm_iter *way)
{
	unsigned int top = root_height(tree->root);
	unsigned int shared = 0;

	while (shared <= top && !node_is_of(way->node[shared], tree->stamp))
		shared++;
	return shared;
}

/* Does the leaf then hold neither too many items nor too few? */
static bool fits(const struct btree *tree, enum node_class class,
		 const struct local_change *change)
{
	size_t then = change->len - change->removed + change->n;

	if (change->place + change->removed > change->len || !then ||
	    then > node_cap(class))
		return false;
	return then >= LEAF_MIN || then >= change->len ||
	       !root_height(tree->root);
}

static int reserve(struct btree *tree, enum node_class class,
		   unsigned int shared)
{
	unsigned int top = root_height(tree->root);
	bool tall = shared > top && root_class(tree->root, top) == INNER_TALL;
	int ret = pool_reserve(tree->pool, class, shared > 0);

	shared -= (shared > 0) + tall;
	if (!ret)
		ret = pool_reserve(tree->pool, INNER_NARROW, shared);
	return ret ? ret : pool_reserve(tree->pool, INNER_TALL, tall);
}

int gpmm__btree_reserve_local(struct btree *tree, struct local_change *change)
{
	enum node_class class = root_class(tree->root, 0);

	if (node_is_wide(class))
		return -ENOENT;
	change->len = narrow_leaf_count(class, change->way->node[0],
					NARROW_FILLER);
	if (!fits(tree, class, change))
		return -ENOENT;
	change->shared = count_shared(tree, change->way);
	if (!change->shared)
		return 0;
	return reserve(tree, class, change->shared);
}

void gpmm__btree_replace_local(struct btree *tree,
			       const struct local_change *change)
{
	const struct gpmm_iter *way = change->way;
	unsigned int top = root_height(tree->root);
	struct summary kept = kept_at(tree, way, 0), now = kept, above;

	change_leaf(tree, change, &now, !top);
	for (unsigned int height = 1; height <= top; height++) {
		if (is_same(&now, &kept))
			return;
		kept = above = kept_at(tree, way, height);
		change_inner(tree, change, height, &now, &above);
		now = above;
	}
	tree->root = (uintptr_t)now.child | (tree->root & ROOT_BITS);
}
