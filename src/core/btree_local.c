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

static int32_t larger(int32_t a, int32_t b)
{
	return a > b ? a : b;
}

/* The largest hole that ends at one of items [from, to). */
static int32_t leaf_hole(const struct leaf *leaf, unsigned int from,
			 unsigned int to)
{
	int32_t most = 0;

	from += !from;		/* nothing is before the first */
	to = to < leaf->len ? to : leaf->len;
	for (unsigned int i = from; i < to; i++)
		most = larger(most, leaf->key[i] -
				    (int32_t)leaf->record[i - 1].last);
	return most;
}

/* What is to happen to a leaf: items [a, b) give way. */
struct splice {
	unsigned int a;
	unsigned int b;
	const struct item *items;
	unsigned int n;
};

/* The largest hole that there will be before, between and behind the new. */
static int32_t new_hole(const struct leaf *leaf, const struct splice *splice)
{
	unsigned int i = 0;
	int32_t most = 0, end;

	if (splice->a)
		end = (int32_t)leaf->record[splice->a - 1].last;
	else if (splice->n)
		end = (int32_t)splice->items[i++].last;
	else
		return 0;
	for (; i < splice->n; i++) {
		most = larger(most, (int32_t)splice->items[i].first - 1 - end);
		end = (int32_t)splice->items[i].last;
	}
	return splice->b < leaf->len ?
		larger(most, leaf->key[splice->b] - end) : most;
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

/*
 * What the parent is to keep of the leaf, from what it keeps. The leaf is read
 * before it is written: to read what was just moved would wait for the stores.
 */
static void foresee(const struct leaf *leaf, const struct splice *splice,
		    struct summary *summary)
{
	unsigned int a = splice->a, b = splice->b, n = splice->n;
	int32_t before = leaf_hole(leaf, a, b + 1);
	int32_t after = new_hole(leaf, splice);

	if (!follow_gap(&summary->gap, before, after))
		summary->gap = larger(after, larger(leaf_hole(leaf, 1, a),
						    leaf_hole(leaf, b + 1,
							      leaf->len)));
	if (!a)
		summary->key = n ? (int32_t)splice->items[0].first - 1 :
				   leaf->key[b];
	if (b == leaf->len)
		summary->last = (int32_t)(n ? splice->items[n - 1].last :
					      leaf->record[a - 1].last);
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

/* All keys, a cache line at a time. */
static void copy_keys(const struct leaf *to, const struct leaf *from)
{
	for (unsigned int i = 0; i < node_cap(to->class); i += 16)
		memcpy(&to->key[i], &from->key[i], 16 * sizeof(*to->key));
}

static void splice_leaf(const struct leaf *to, const struct leaf *from,
			const struct splice *splice)
{
	if (to->key != from->key) {
		copy_keys(to, from);
		memcpy(to->record, from->record,
		       splice->a * sizeof(*to->record));
	}
	open_up(to, from, splice->a + splice->n, splice->b);
	for (unsigned int i = 0; i < splice->n; i++)
		put(to, splice->a + i, &splice->items[i]);
}

/* The node on the way to write: the same one, or its copy's memory. */
static void *writable(struct btree *tree, const struct local_change *change,
		      enum node_class class, unsigned int height)
{
	void *node = change->way->node[height];

	if (height >= change->shared)
		return node;
	node_list_add(&tree->retired, node);
	return gpmm__pool_take(tree->pool, class, tree->stamp);
}

/* @summary: what the leaf's parent keeps of it, and then is to; if it has one */
static void change_leaf(struct btree *tree, const struct local_change *change,
			struct summary *summary)
{
	enum node_class class = narrow_leaf_class(tree->root);
	const struct splice splice = {
		change->place, change->place + (unsigned int)change->removed,
		change->items, (unsigned int)change->n,
	};
	struct leaf from = leaf_at(class, change->way->node[0], change->len);
	struct leaf to;

	node_visit();
	if (root_height(tree->root))
		foresee(&from, &splice, summary);
	to = leaf_at(class, writable(tree, change, class, 0),
		     splice.a + splice.n + from.len - splice.b);
	splice_leaf(&to, &from, &splice);
	summary->child = to.key;
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

	if (i)
		most = larger(most, inner.key[i] - (int32_t)inner.last[i - 1]);
	if (!is_last(inner, i))
		most = larger(most, inner.key[i + 1] - (int32_t)inner.last[i]);
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
	enum node_class class = narrow_inner_class(tree->root, height);
	unsigned int i = change->way->at[height];
	const void *from = change->way->node[height];
	void *node = writable(tree, change, class, height);
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

/* What the parent keeps of the node on the way at @height. */
static struct summary kept_at(const struct btree *tree,
			      const struct gpmm_iter *way, unsigned int height)
{
	enum node_class class;

	if (height++ == root_height(tree->root))
		return (struct summary){ 0 };
	class = narrow_inner_class(tree->root, height);
	return get_summary(narrow_arrays(class, way->node[height]),
			   way->at[height]);
}

/* Does the node at @height keep just that of what is below it? */
static bool is_kept(const struct btree *tree, const struct gpmm_iter *way,
		    unsigned int height, const struct summary *summary)
{
	struct inner_arrays inner =
		narrow_arrays(narrow_inner_class(tree->root, height),
			      way->node[height]);
	unsigned int i = way->at[height];

	return inner.child[i] == summary->child &&
	       inner.key[i] == summary->key &&
	       (int32_t)inner.last[i] == summary->last &&
	       (int32_t)inner.gap[i] == summary->gap;
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
static inline bool fits(const struct btree *tree, enum node_class class,
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
	bool tall = shared > top &&
		    narrow_inner_class(tree->root, top) == INNER_TALL;
	int ret = pool_reserve(tree->pool, class, shared > 0);

	shared -= (shared > 0) + tall;
	if (!ret)
		ret = pool_reserve(tree->pool, INNER_NARROW, shared);
	return ret ? ret : pool_reserve(tree->pool, INNER_TALL, tall);
}

static void count_leaf(enum node_class class, struct local_change *change)
{
	change->len = narrow_leaf_count(class, change->way->node[0],
					NARROW_FILLER);
}

/*
 * What goes behind a full leaf goes as well before the next. An area at a
 * leaf's edge that comes and goes would make nearly every other leaf overflow.
 */
static bool step_over(enum node_class class, struct local_change *change)
{
	if (change->removed || change->place < node_cap(class) ||
	    !gpmm__cursor_next_leaf(change->way))
		return false;
	change->place = 0;
	count_leaf(class, change);
	return true;
}

int gpmm__btree_reserve_local(struct btree *tree, struct local_change *change)
{
	enum node_class class = narrow_leaf_class(tree->root);

	if (root_is_wide(tree->root))
		return -ENOENT;
	count_leaf(class, change);
	if (!fits(tree, class, change) &&
	    !(step_over(class, change) && fits(tree, class, change)))
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
	struct summary now = kept_at(tree, way, 0), above;

	change_leaf(tree, change, &now);
	for (unsigned int height = 1; height <= top; height++) {
		if (is_kept(tree, way, height, &now))
			return;
		above = kept_at(tree, way, height);
		change_inner(tree, change, height, &now, &above);
		now = above;
	}
	tree->root = (uintptr_t)now.child | (tree->root & ROOT_BITS);
}
