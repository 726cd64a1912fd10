/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changes within one leaf of a narrow tree: nearly all there are. Nothing is
 * searched for again, and what a parent keeps of its child is worked out from
 * what it kept before and what changed: a whole node is looked at only where
 * its largest hole has shrunk.
 */
#include <assert.h>

#include "core/btree_flat.h"
#include "core/find.h"
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
	int32_t *key;
	struct gpmm_record *record;
	unsigned int len;
};

static inline struct leaf leaf_at(struct leaf_narrow *node, unsigned int len)
{
	return (struct leaf){ node->key, node->record, len };
}

static inline int32_t larger(int32_t a, int32_t b)
{
	return a > b ? a : b;
}

/* The hole that ends at item @i; nothing is before the first. */
static inline int32_t hole_at(const struct leaf *leaf, unsigned int i)
{
	return i && i < leaf->len ?
		leaf->key[i] - (int32_t)leaf->record[i - 1].last : 0;
}

/* The largest hole that ends at one of items [from, to); from > 0. */
static int32_t leaf_hole(const struct leaf *leaf, unsigned int from,
			 unsigned int to)
{
	int32_t most = 0;

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

/* The largest of the holes that end at what gives way, or right behind. */
static inline int32_t old_hole(const struct leaf *leaf,
			       const struct splice *splice)
{
	int32_t most = hole_at(leaf, splice->a);

	for (unsigned int i = splice->a; i < splice->b; i++)
		most = larger(most, hole_at(leaf, i + 1));
	return most;
}

/* The largest hole that there will be before, between and behind the new. */
static inline int32_t new_hole(const struct leaf *leaf,
			       const struct splice *splice)
{
	bool inside = splice->a;
	int32_t most = 0, end = 0;

	if (inside)
		end = (int32_t)leaf->record[splice->a - 1].last;
	for (unsigned int i = 0; i < splice->n; i++) {
		if (inside)
			most = larger(most, (int32_t)splice->items[i].first -
					    1 - end);
		end = (int32_t)splice->items[i].last;
		inside = true;
	}
	return inside && splice->b < leaf->len ?
		larger(most, leaf->key[splice->b] - end) : most;
}

/*
 * Some holes of a node have changed, of which @before was the largest and
 * @after is. Return: whether its largest hole, @gap, is known all the same.
 */
static inline bool follow_gap(int32_t *gap, int32_t before, int32_t after)
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
static ALWAYS_INLINE void foresee(const struct leaf *leaf,
				  const struct splice *splice,
				  struct summary *summary)
{
	unsigned int a = splice->a, b = splice->b, n = splice->n;
	int32_t after = new_hole(leaf, splice);

	if (!follow_gap(&summary->gap, old_hole(leaf, splice), after))
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
static inline void open_up(const struct leaf *to, const struct leaf *from,
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

static void splice_items(const struct leaf *to, const struct leaf *from,
			 const struct splice *splice)
{
	if (to->key != from->key) {
		memcpy(to->key, from->key, LEAF_CAP * sizeof(*to->key));
		memcpy(to->record, from->record,
		       splice->a * sizeof(*to->record));
	}
	open_up(to, from, splice->a + splice->n, splice->b);
	for (unsigned int i = 0; i < splice->n; i++)
		narrow_put(&to->key[splice->a + i], &to->record[splice->a + i],
			   &splice->items[i]);
}

/* Memory for a copy of the node on the way, which is not this tree's own. */
static inline void *replace_node(struct btree *tree,
				 const struct gpmm_iter *way,
				 enum node_class class, unsigned int height)
{
	node_list_add(&tree->retired, way->node[height]);
	return pool_take(tree->pool, class, tree->stamp);
}

/*
 * @summary: what the leaf's parent keeps of it, and then is to, if it has one.
 * Inlined where @removed and @n are known.
 */
static ALWAYS_INLINE void
change_items(struct btree *tree, const struct local_change *change,
	     unsigned int removed, unsigned int n, struct summary *summary)
{
	const struct splice splice = {
		change->place, change->place + removed, change->items, n,
	};
	struct leaf_narrow *old = change->way->node[0], *node = old;
	struct leaf from = leaf_at(old, change->len), to;

	node_visit();
	if (root_height(tree->root))
		foresee(&from, &splice, summary);
	if (change->shared)
		node = replace_node(tree, change->way, LEAF_NARROW, 0);
	to = leaf_at(node, change->len - removed + n);
	if (removed > 1 || n > 1)
		splice_items(&to, &from, &splice);
	else
		gpmm__find_path->splice->leaf[splice_how(removed, n)](
			node, old, change->place, change->items);
	summary->child = node;
}

/* Most often one item comes, goes or becomes another. */
static void change_leaf(struct btree *tree, const struct local_change *change,
			struct summary *summary)
{
	unsigned int removed = (unsigned int)change->removed;
	unsigned int n = (unsigned int)change->n;

	if (!removed && n == 1)
		change_items(tree, change, 0, 1, summary);
	else if (removed == 1 && !n)
		change_items(tree, change, 1, 0, summary);
	else if (removed == 1 && n == 1)
		change_items(tree, change, 1, 1, summary);
	else
		change_items(tree, change, removed, n, summary);
}

/* ------------------------------------------------------------- above it --- */

static ALWAYS_INLINE struct summary get_summary(struct inner_arrays inner,
						unsigned int i)
{
	return (struct summary){ inner.child[i], inner.key[i],
				 (int32_t)inner.last[i],
				 (int32_t)inner.gap[i] };
}

/* What the node on the way keeps of the child there. */
static ALWAYS_INLINE struct summary summary_at(const struct btree *tree,
					       const struct gpmm_iter *way,
					       unsigned int height)
{
	enum node_class class = narrow_inner_class(tree->root, height);

	return get_summary(narrow_arrays(class, way->node[height]),
			   way->at[height]);
}

/*
 * It kept @was. What stays is not stored: the next search would wait
 * (map_one(), plan.c).
 */
static ALWAYS_INLINE void put_summary(struct inner_arrays inner,
				      unsigned int i, struct summary was,
				      struct summary now)
{
	const struct splice_path *path = gpmm__find_path->splice;

	path->put64(inner.child, i, (uintptr_t)now.child);
	if (was.key != now.key)
		path->put32(inner.key, i, (uint32_t)now.key);
	if (was.last != now.last)
		path->put32(inner.last, i, (uint32_t)now.last);
	if (was.gap != now.gap)
		path->put32(inner.gap, i, (uint32_t)now.gap);
}

static inline bool is_last(struct inner_arrays inner, unsigned int i)
{
	return i + 1 == inner.cap || inner.key[i + 1] == NARROW_FILLER;
}

/* The largest hole inside and beside child @i, which is @summary. */
static inline int32_t inner_hole(struct inner_arrays inner, unsigned int i,
				 struct summary summary)
{
	int32_t most = summary.gap;

	if (i)
		most = larger(most, summary.key - (int32_t)inner.last[i - 1]);
	if (!is_last(inner, i))
		most = larger(most, inner.key[i + 1] - summary.last);
	return most;
}

/* The largest hole inside and between children [from, to). */
static int32_t holes_of(const struct inner_narrow *node, unsigned int from,
			unsigned int to)
{
	int32_t most = 0;

	for (unsigned int i = from;
	     i < to && node->key[i] != NARROW_FILLER; i++) {
		most = larger(most, (int32_t)node->gap[i]);
		if (i > from)
			most = larger(most, node->key[i] -
					    (int32_t)node->last[i - 1]);
	}
	return most;
}

static inline bool have_same_edges(struct summary a, struct summary b)
{
	return a.key == b.key && a.last == b.last;
}

/*
 * Child @i of a node, which was @was, is to be @now. Return: what the node's
 * parent is to keep of that, if it keeps @kept. As in foresee() the node is
 * read before it is written.
 */
static ALWAYS_INLINE struct summary
follow_child(struct inner_narrow *node, unsigned int i, struct summary was,
	     struct summary now, struct summary kept)
{
	struct inner_arrays inner = narrow_arrays(INNER_NARROW, node);
	int32_t before = was.gap, after = now.gap;

	if (!have_same_edges(was, now)) {
		before = inner_hole(inner, i, was);
		after = inner_hole(inner, i, now);
		kept.key = i ? node->key[0] : now.key;
		if (is_last(inner, i))
			kept.last = now.last;
	}
	if (before != after && !follow_gap(&kept.gap, before, after))
		kept.gap = larger(inner_hole(inner, i, now),
				  larger(holes_of(node, 0, i),
					 holes_of(node, i + 1, INNER_CAP)));
	return kept;
}

/* A copy of the node on the way in one of this tree's own. */
static ALWAYS_INLINE void *copy_inner(struct btree *tree,
				      const struct gpmm_iter *way,
				      enum node_class class,
				      unsigned int height)
{
	void *copy = replace_node(tree, way, class, height);

	node_copy(copy, way->node[height], node_size(class));
	return copy;
}

static inline bool is_same(struct summary a, struct summary b)
{
	return a.child == b.child && a.gap == b.gap && have_same_edges(a, b);
}

static ALWAYS_INLINE void change_top(struct btree *tree,
				     const struct local_change *change,
				     struct summary was, struct summary now)
{
	unsigned int top = root_height(tree->root);
	void *node = change->way->node[top];
	bool tall = narrow_inner_class(tree->root, top) == INNER_TALL;

	node_visit();
	if (change->shared > top)
		node = tall ? copy_inner(tree, change->way, INNER_TALL, top) :
			      copy_inner(tree, change->way, INNER_NARROW, top);
	put_summary(narrow_arrays(tall ? INNER_TALL : INNER_NARROW, node),
		    change->way->at[top], was, now);
	tree->root = (uintptr_t)node | (tree->root & ROOT_BITS);
}

/* The leaf on the way is @now: put that in the inner nodes above it. */
static void change_above(struct btree *tree, const struct local_change *change,
			 struct summary now)
{
	const struct gpmm_iter *way = change->way;
	unsigned int top = root_height(tree->root);
	struct summary was = summary_at(tree, way, 1);

	for (unsigned int height = 1; height < top; height++) {
		struct summary above = summary_at(tree, way, height + 1);
		struct inner_narrow *node = way->node[height];
		unsigned int i = way->at[height];
		struct summary kept = follow_child(node, i, was, now, above);

		/* What is above keeps the same of it, too? */
		if (height >= change->shared && is_same(was, now))
			return;
		node_visit();
		if (height < change->shared)
			node = copy_inner(tree, way, INNER_NARROW, height);
		put_summary(narrow_arrays(INNER_NARROW, node), i, was, now);
		kept.child = node;
		was = above;
		now = kept;
	}
	change_top(tree, change, was, now);
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

	if (!then || then > node_cap(class))
		return false;
	return then >= LEAF_MIN || then >= change->len ||
	       !root_height(tree->root);
}

/* Nodes on a way that are to be copied before they can be changed. */
struct copies {
	unsigned int leaf;
	unsigned int inner;
	unsigned int tall;
};

static struct copies copies_of(const struct btree *tree, unsigned int shared)
{
	unsigned int top = root_height(tree->root);
	bool tall = shared > top &&
		    narrow_inner_class(tree->root, top) == INNER_TALL;

	return (struct copies){ shared > 0, shared - (shared > 0) - tall,
				tall };
}

static ALWAYS_INLINE int reserve(struct btree *tree, struct copies copies)
{
	int ret = btree_reserve_nodes(tree, LEAF_NARROW, copies.leaf);

	if (!ret)
		ret = btree_reserve_nodes(tree, INNER_NARROW, copies.inner);
	return ret ? ret : btree_reserve_nodes(tree, INNER_TALL, copies.tall);
}

static void count_leaf(enum node_class class, struct local_change *change)
{
	change->len = node_len(class, change->way->node[0]);
	assert(change->place + change->removed <= change->len);
}

/*
 * What goes behind a full leaf goes as well before the next. An area at a
 * leaf's edge that comes and goes would make nearly every other leaf overflow.
 */
static bool step_over(enum node_class class, struct local_change *change)
{
	if (change->place < node_cap(class) ||
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
	if (class == LEAF_FLAT)
		return gpmm__flat_reserve(tree, change);
	return change->shared ?
		reserve(tree, copies_of(tree, change->shared)) : 0;
}

int gpmm__btree_keep_local(struct btree *tree, const struct gpmm_iter *way)
{
	struct copies copies = copies_of(tree, count_shared(tree, way));
	int ret = 0;

	if (narrow_leaf_class(tree->root) == LEAF_FLAT) {
		/*
		 * However many come: one block in the place of one that readers
		 * have, and one before that is given back for the next.
		 */
		assert(!copies.leaf);
		ret = pool_reserve(tree->pool, RECORD_BLOCK, 2);
		if (!ret)
			tree->kept[RECORD_BLOCK] = 2;
		return ret;
	}
	assert(!copies.tall);
	if (copies.leaf)
		ret = reserve(tree, copies);
	if (ret)
		return ret;
	tree->kept[LEAF_NARROW] += copies.leaf;
	tree->kept[INNER_NARROW] += copies.inner;
	return 0;
}

void gpmm__btree_replace_local(struct btree *tree,
			       const struct local_change *change)
{
	unsigned int top = root_height(tree->root);
	struct summary now = { 0 };

	if (top)
		now = summary_at(tree, change->way, 1);
	if (narrow_leaf_class(tree->root) == LEAF_FLAT)
		now.child = gpmm__flat_change(tree, change);
	else
		change_leaf(tree, change, &now);
	if (top)
		change_above(tree, change, now);
	else
		tree->root = (uintptr_t)now.child | (tree->root & ROOT_BITS);
}

void gpmm__btree_replace_kept(struct btree *tree, struct local_change *change)
{
	enum node_class class = narrow_leaf_class(tree->root);
	struct copies copies;

	count_leaf(class, change);
	assert(fits(tree, class, change));
	change->shared = count_shared(tree, change->way);
	copies = copies_of(tree, change->shared);
	tree->kept[LEAF_NARROW] -= copies.leaf;
	tree->kept[INNER_NARROW] -= copies.inner;
	gpmm__btree_replace_local(tree, change);
}
