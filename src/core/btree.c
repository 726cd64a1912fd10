/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <errno.h>

#include "core/btree_flat.h"

static uintptr_t make_root(void *node, unsigned int height, bool wide)
{
	uintptr_t form = wide ? ROOT_WIDE : 0;

	if (node_class_of(node) == LEAF_FLAT)
		form = ROOT_FLAT;
	if (node_class_of(node) == INNER_TALL)
		form = ROOT_TALL;
	return (uintptr_t)node | height | form;
}

static bool is_own(const struct btree *tree, const void *node)
{
	return node_is_of(node, tree->stamp);
}

static void *make_node(struct btree *tree, enum node_class class)
{
	if (class == LEAF_FLAT)
		return gpmm__flat_make(tree);
	return gpmm__pool_take(tree->pool, class, tree->stamp);
}

/* With the block of a flat leaf. */
static void release(struct btree *tree, void *node)
{
	if (node_class_of(node) == LEAF_FLAT)
		btree_release_one(tree, ((struct leaf_flat *)node)->block);
	btree_release_one(tree, node);
}

static void release_subtree(struct btree *tree, void *node,
			    unsigned int height)
{
	enum node_class class = root_class(tree->root, height);

	node_visit();
	if (height)
		for (unsigned int i = node_len(class, node); i--;)
			release_subtree(tree, node_child(class, node, i),
					height - 1);
	release(tree, node);
}

/* ---------------------------------------------------- sequences of items --- */

/* A run of items, in a node or an array. */
struct part {
	const void *node;	/* NULL: @items */
	enum node_class class;	/* of the node */
	const struct item *items;
	unsigned int start;
	size_t n;
};

static void copy_part(enum node_class class, void *to, unsigned int at,
		      const struct part *part, size_t skip, unsigned int n)
{
	if (part->node) {
		gpmm__node_move(class, to, at, part->class, part->node,
				part->start + (unsigned int)skip, n);
		return;
	}
	for (unsigned int i = 0; i < n; i++)
		gpmm__node_put(class, to, at + i, &part->items[skip + i]);
}

/* Fill a new node with @n items of a sequence, from its @skip-th on. */
static void fill(enum node_class class, void *to, const struct part *parts,
		 size_t skip, unsigned int n)
{
	for (unsigned int at = 0; at < n; parts++) {
		size_t have = parts->n > skip ? parts->n - skip : 0;
		unsigned int take = have < n - at ? (unsigned int)have : n - at;

		if (take)
			copy_part(class, to, at, parts, skip, take);
		skip = parts->n > skip ? 0 : skip - parts->n;
		at += take;
	}
	gpmm__node_set_len(class, to, n);
}

/* Hand a node to the level above. */
static void put_out(struct btree *tree, enum node_class class, void *node,
		    unsigned int len)
{
	struct item item;

	gpmm__node_summary(class, node, len, &item);
	vec_push(&tree->out, item);
}

/*
 * Lay a sequence of @total items into new nodes: evenly, or to the brim where
 * @append, which is how a set that grows upwards fills its nodes.
 */
static void lay_out(struct btree *tree, enum node_class class,
		    const struct part *parts, size_t total, bool append)
{
	size_t cap = node_cap(class);
	size_t nodes = (total + cap - 1) / cap;
	size_t skip = 0;

	for (size_t left = nodes; left; left--) {
		size_t even = (total - skip + left - 1) / left;
		size_t full = total - skip < cap ? total - skip : cap;
		unsigned int n = (unsigned int)(append ? full : even);
		void *node = make_node(tree, class);

		fill(class, node, parts, skip, n);
		put_out(tree, class, node, n);
		skip += n;
	}
}

/* Replace items [a, b) of a node by @n others that fit into it. */
static void splice_within(struct btree *tree, enum node_class class,
			  void *node, unsigned int len, unsigned int a,
			  unsigned int b, const struct item *items, size_t n)
{
	unsigned int after = a + (unsigned int)n;
	void *to = is_own(tree, node) ? node : make_node(tree, class);

	if (to != node)
		gpmm__node_move(class, to, 0, class, node, 0, a);
	if (to != node || after != b)
		gpmm__node_move(class, to, after, class, node, b, len - b);
	for (unsigned int i = 0; i < n; i++)
		gpmm__node_put(class, to, a + i, &items[i]);
	if (to != node || after != b)
		gpmm__node_set_len(class, to, after + len - b);
	if (to != node)
		release(tree, node);
	put_out(tree, class, to, after + len - b);
}

/* The class of new leaves for @total items: one flat one, if it is the top. */
static enum node_class leaf_class(const struct btree *tree, size_t total)
{
	if (root_is_wide(tree->root))
		return LEAF_WIDE;
	if (root_height(tree->root) || total <= LEAF_CAP || total > FLAT_CAP)
		return LEAF_NARROW;
	return LEAF_FLAT;
}

/* The class of new inner nodes for @total items; @top: if one, it is it. */
static enum node_class inner_class(bool wide, bool top, size_t total)
{
	if (wide)
		return INNER_WIDE;
	return top && total > INNER_CAP && total <= TALL_CAP ? INNER_TALL :
							       INNER_NARROW;
}

/* The class of the nodes that take the place of @node, of @class. */
static enum node_class class_after(const struct btree *tree,
				   enum node_class class, const void *node,
				   size_t total)
{
	if (!node_is_inner(class))
		return leaf_class(tree, total);
	return inner_class(node_is_wide(class),
			   node == root_node(tree->root), total);
}

/*
 * Replace items [a, b) of a node by @n others, in as many nodes as it takes,
 * and hand those up. @edge: the node is on the right edge of the tree.
 */
static void splice(struct btree *tree, enum node_class class, void *node,
		   unsigned int a, unsigned int b, const struct item *items,
		   size_t n, bool edge)
{
	unsigned int len = node_len(class, node);
	size_t total = len - (b - a) + n;
	const struct part parts[] = {
		{ .node = node, .class = class, .start = 0, .n = a },
		{ .items = items, .n = n },
		{ .node = node, .class = class, .start = b, .n = len - b },
	};

	if (total < node_min(class) && total < len)
		tree->underfull = true;
	if (total && total <= node_cap(class) && class != LEAF_FLAT) {
		splice_within(tree, class, node, len, a, b, items, n);
		return;
	}
	lay_out(tree, class_after(tree, class, node, total), parts, total,
		edge && b == len);
	release(tree, node);
}

/* ------------------------------------------------------------- replacing --- */

/* The child in which an item that starts at @granule is or would be. */
static unsigned int child_index(enum node_class class, const void *node,
				uint64_t granule)
{
	unsigned int count = gpmm__node_count(class, node, granule);

	node_visit();
	return count ? count - 1 : 0;
}

/* How many items of a node start below @granule. */
static unsigned int count_below(enum node_class class, const void *node,
				uint64_t granule)
{
	return granule ? gpmm__node_count(class, node, granule - 1) : 0;
}

/* What is to replace the items that start in [first, last]. */
struct change {
	uint64_t first;
	uint64_t last;
	const struct item *items;
	size_t n;
};

static void replace_in(struct btree *tree, void *node, unsigned int height,
		       const struct change *change, bool edge);

/* Put what came out of children [a, b), beyond @base, in their place. */
static void splice_children(struct btree *tree, enum node_class class,
			    void *node, unsigned int a, unsigned int b,
			    size_t base, bool edge)
{
	size_t came = tree->out.len - base;
	size_t made;

	splice(tree, class, node, a, b, &tree->out.v[base], came, edge);
	made = tree->out.len - base - came;
	memmove(&tree->out.v[base], &tree->out.v[base + came],
		made * sizeof(struct item));
	tree->out.len = base + made;
}

/* The leaf next to leaf @a that has more room, or the only one. */
static unsigned int roomier(enum node_class class, enum node_class leaf,
			    const void *node, unsigned int a)
{
	if (!a || a + 1 == node_len(class, node))
		return a ? a - 1 : a + 1;
	return node_len(leaf, node_child(class, node, a - 1)) <
	       node_len(leaf, node_child(class, node, a + 1)) ? a - 1 : a + 1;
}

/* Lay the items of two leaves, and what is new in one, out in their place. */
static void share(struct btree *tree, void *node, unsigned int a,
		  unsigned int b, const struct part *middle, size_t total)
{
	enum node_class class = root_class(tree->root, 1);
	enum node_class leaf = root_class(tree->root, 0);
	void *other = node_child(class, node, b);
	unsigned int n = node_len(leaf, other);
	const struct part parts[] = {
		{ .node = other, .class = leaf, .n = b < a ? n : 0 },
		middle[0], middle[1], middle[2],
		{ .node = other, .class = leaf, .n = b < a ? 0 : n },
	};

	lay_out(tree, leaf, parts, total + n, false);
	release(tree, node_child(class, node, a));
	release(tree, other);
}

/*
 * A leaf that overflows shares with a neighbour: two become three only where
 * both are full. So leaves that fill in any order stay some four fifths full.
 * Return: false where it does not overflow, or only goes on at the right edge.
 */
static bool share_out(struct btree *tree, void *node, unsigned int a,
		      const struct change *change, bool edge)
{
	enum node_class class = root_class(tree->root, 1);
	enum node_class leaf = root_class(tree->root, 0);
	void *full = node_child(class, node, a);
	unsigned int len = node_len(leaf, full);
	unsigned int from = count_below(leaf, full, change->first);
	unsigned int to = gpmm__node_count(leaf, full, change->last);
	size_t total = len - (to - from) + change->n;
	size_t base = tree->out.len;
	const struct part parts[] = {
		{ .node = full, .class = leaf, .n = from },
		{ .items = change->items, .n = change->n },
		{ .node = full, .class = leaf, .start = to, .n = len - to },
	};
	unsigned int b;

	if (total <= node_cap(leaf) || (edge && to == len) ||
	    node_len(class, node) == 1)
		return false;
	b = roomier(class, leaf, node, a);
	share(tree, node, a, b, parts, total);
	a = a < b ? a : b;
	splice_children(tree, class, node, a, a + 2, base, edge);
	return true;
}

/* The first child takes the new items; those after it only lose theirs. */
static void replace_in_inner(struct btree *tree, void *node,
			     unsigned int height, const struct change *change,
			     bool edge)
{
	enum node_class class = root_class(tree->root, height);
	unsigned int a = child_index(class, node, change->first);
	unsigned int b = child_index(class, node, change->last);
	unsigned int end = node_len(class, node) - 1;
	size_t base = tree->out.len;
	struct change removal = { change->first, change->last, NULL, 0 };

	if (height == 1 && a == b &&
	    share_out(tree, node, a, change, edge && a == end))
		return;
	replace_in(tree, node_child(class, node, a), height - 1, change,
		   edge && a == end);
	for (unsigned int i = a + 1; i < b; i++)
		release_subtree(tree, node_child(class, node, i), height - 1);
	if (a < b)
		replace_in(tree, node_child(class, node, b), height - 1,
			   &removal, edge && b == end);
	splice_children(tree, class, node, a, b + 1, base, edge);
}

static void replace_in(struct btree *tree, void *node, unsigned int height,
		       const struct change *change, bool edge)
{
	enum node_class class = root_class(tree->root, height);

	if (height) {
		replace_in_inner(tree, node, height, change, edge);
		return;
	}
	node_visit();
	splice(tree, class, node, count_below(class, node, change->first),
	       gpmm__node_count(class, node, change->last), change->items,
	       change->n, edge);
}

/* Build levels above what came out until one node is left: the new top. */
static void raise_root(struct btree *tree, unsigned int height)
{
	bool wide = root_is_wide(tree->root);

	while (tree->out.len > 1) {
		size_t came = tree->out.len;
		const struct part part = { .items = tree->out.v, .n = came };

		height++;
		lay_out(tree, inner_class(wide, true, came), &part, came,
			true);
		tree->out.len -= came;
		memmove(tree->out.v, &tree->out.v[came],
			tree->out.len * sizeof(struct item));
	}
	tree->root = tree->out.len ?
		make_root(tree->out.v[0].child, height, wide) : 0;
	tree->out.len = 0;
}

/* --------------------------------------------------------------- mending --- */

/* A top node with one child is not needed. */
static void lower_root(struct btree *tree)
{
	bool wide = root_is_wide(tree->root);

	while (root_height(tree->root)) {
		unsigned int height = root_height(tree->root);
		enum node_class class = root_class(tree->root, height);
		void *node = root_node(tree->root);

		if (node_len(class, node) > 1)
			return;
		tree->root = make_root(node_child(class, node, 0), height - 1,
				       wide);
		release(tree, node);
	}
}

/* Lay children i and i + 1 of an own node out anew, as one or evenly. */
static void rebalance(struct btree *tree, void *node, unsigned int height,
		      unsigned int i)
{
	bool wide = root_is_wide(tree->root);
	enum node_class class = root_class(tree->root, height);
	enum node_class below = node_class(wide, height - 1);
	void *left = node_child(class, node, i);
	void *right = node_child(class, node, i + 1);
	const struct part parts[] = {
		{ .node = left, .class = below, .n = node_len(below, left) },
		{ .node = right, .class = below, .n = node_len(below, right) },
	};
	unsigned int len = node_len(class, node);
	unsigned int made;

	lay_out(tree, below, parts, parts[0].n + parts[1].n, false);
	release(tree, left);
	release(tree, right);
	made = (unsigned int)tree->out.len;
	for (unsigned int j = 0; j < made; j++)
		gpmm__node_put(class, node, i + j, &tree->out.v[j]);
	tree->out.len = 0;
	gpmm__node_move(class, node, i + made, class, node, i + 2,
			len - i - 2);
	gpmm__node_set_len(class, node, len - 2 + made);
}

/*
 * Give the child on the way to @granule more than the least, so that it can
 * lose one in its turn. Return: the child.
 */
static void *mend_child(struct btree *tree, void *node, unsigned int height,
			uint64_t granule)
{
	bool wide = root_is_wide(tree->root);
	enum node_class class = root_class(tree->root, height);
	enum node_class below = node_class(wide, height - 1);

	for (;;) {
		unsigned int i = child_index(class, node, granule);
		void *child = node_child(class, node, i);

		if (node_len(below, child) > node_min(below) ||
		    node_len(class, node) == 1)
			return child;
		rebalance(tree, node, height, i ? i - 1 : 0);
	}
}

/*
 * Mend from the top down along the way to @granule, which is this
 * transaction's own as far as there is something to mend. What a node spans
 * stays as it is, so nothing above it changes.
 */
static void mend(struct btree *tree, uint64_t granule)
{
	unsigned int height;
	void *node, *child;

	do {
		lower_root(tree);
		node = root_node(tree->root);
		height = root_height(tree->root);
		if (!height || !is_own(tree, node))
			return;
		child = mend_child(tree, node, height, granule);
	} while (node_len(root_class(tree->root, height),
			  node) == 1);
	for (node = child; --height && is_own(tree, node); node = child)
		child = mend_child(tree, node, height, granule);
}

/* The nodes left and right of what changed: where it begins, and what is next. */
static void mend_cut(struct btree *tree, const struct change *change)
{
	uint64_t begin = change->first;
	uint64_t end = change->first;
	struct gpmm_iter cursor;
	struct item next;

	if (change->n) {
		begin = change->items[0].first;
		end = change->items[change->n - 1].last;
	}
	mend(tree, begin);
	if (end == UINT64_MAX)
		return;
	gpmm__cursor_seek(&cursor, tree->root, end + 1);
	if (gpmm__cursor_next(&cursor, &next))
		mend(tree, next.first);
}

/* ---------------------------------------------------------------- doors --- */

/* Could the tree have been, or become, one narrow leaf? */
static bool is_small(const struct btree *tree)
{
	return !root_is_wide(tree->root) && !root_height(tree->root);
}

/* One leaf, narrow or flat, or as many narrow ones as take its place. */
static int reserve_small(struct btree *tree, size_t n)
{
	void *node = root_node(tree->root);
	size_t total = n;
	int ret;

	if (node)
		total += node_len(root_class(tree->root, 0), node);
	ret = pool_reserve(tree->pool, LEAF_FLAT, total > LEAF_CAP);
	if (!ret)
		ret = pool_reserve(tree->pool, RECORD_BLOCK, total > LEAF_CAP);
	if (ret)
		return ret;
	return pool_reserve(tree->pool, LEAF_NARROW,
				  total > FLAT_CAP ? total / LEAF_CAP + 2 : 1);
}

/* Could the top become a tall node, or is it one and to be copied? */
static bool may_be_tall(const struct btree *tree, size_t n)
{
	size_t leaves = n / (LEAF_CAP / 2) + 3;

	if (root_is_wide(tree->root))
		return false;
	if ((tree->root & ROOT_FORM) == ROOT_TALL)
		return true;
	if (root_height(tree->root))
		leaves += node_len(root_class(tree->root,
					      root_height(tree->root)),
				   root_node(tree->root));
	return leaves > INNER_CAP;
}

int gpmm__btree_reserve(struct btree *tree, size_t n, bool removes)
{
	bool wide = root_is_wide(tree->root);
	/*
	 * A change goes down at most two ways. The new items fill n / 16
	 * leaves, each way may leave a node of its own at each level, and one
	 * more where a node overflows. Mending makes two nodes a level, twice
	 * a way, and one more before it gives an old one back.
	 */
	size_t level = removes ? 9 : 3;
	size_t inner = n / (LEAF_CAP * (INNER_CAP / 2)) +
		       root_height(tree->root) * level + 4;
	int ret = vec_reserve(&tree->out, n / (LEAF_CAP / 2) + 96);

	if (!ret && is_small(tree))
		ret = reserve_small(tree, n);
	else if (!ret)
		ret = pool_reserve(tree->pool, node_class(wide, 0),
				   n / LEAF_CAP + level);
	if (!ret)
		ret = pool_reserve(tree->pool, node_class(wide, 1), inner);
	if (!ret)
		ret = pool_reserve(tree->pool, INNER_TALL,
				   may_be_tall(tree, n));
	return ret;
}

void gpmm__btree_replace(struct btree *tree, uint64_t first, uint64_t last,
			 const struct item *items, size_t n)
{
	const struct change change = { first, last, items, n };
	const struct part part = { .items = items, .n = n };
	unsigned int height = root_height(tree->root);

	if (root_node(tree->root))
		replace_in(tree, root_node(tree->root), height, &change, true);
	else
		lay_out(tree, leaf_class(tree, n), &part, n, true);
	raise_root(tree, height);
	if (tree->underfull && tree->root)
		mend_cut(tree, &change);
	tree->underfull = false;
}

static int collect(uintptr_t root, struct item **items, size_t *n)
{
	VEC(struct item) all = { 0 };
	struct gpmm_iter cursor;
	struct item item;

	gpmm__cursor_seek(&cursor, root, 0);
	while (gpmm__cursor_next(&cursor, &item)) {
		if (vec_reserve(&all, 1)) {
			vec_free(&all);
			return -ENOMEM;
		}
		vec_push(&all, item);
	}
	*items = all.v;
	*n = all.len;
	return 0;
}

int gpmm__btree_widen(struct btree *tree)
{
	uintptr_t narrow = tree->root;
	struct item *items;
	size_t n;
	int ret = collect(narrow, &items, &n);

	if (ret)
		return ret;
	tree->root = ROOT_WIDE;
	ret = gpmm__btree_reserve(tree, n, false);
	tree->root = narrow;
	if (!ret) {
		if (root_node(narrow))
			release_subtree(tree, root_node(narrow),
					root_height(narrow));
		tree->root = ROOT_WIDE;
		if (n)
			gpmm__btree_replace(tree, 0, UINT64_MAX, items, n);
	}
	gpmm__free(items);
	return ret;
}

static void drop_own(struct btree *tree, void *node, unsigned int height)
{
	enum node_class class = root_class(tree->root, height);

	if (!is_own(tree, node))
		return;
	if (height)
		for (unsigned int i = node_len(class, node); i--;)
			drop_own(tree, node_child(class, node, i), height - 1);
	if (class == LEAF_FLAT &&
	    is_own(tree, ((struct leaf_flat *)node)->block))
		gpmm__pool_give(tree->pool, ((struct leaf_flat *)node)->block);
	gpmm__pool_give(tree->pool, node);
}

void gpmm__btree_drop(struct btree *tree)
{
	if (root_node(tree->root))
		drop_own(tree, root_node(tree->root), root_height(tree->root));
	tree->root = 0;
	tree->retired = (struct node_list){ 0 };
}
