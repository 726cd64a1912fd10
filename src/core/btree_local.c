/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changes within one leaf of a narrow tree: nearly all there are. Nothing is
 * searched for again, and what a parent keeps of its child is worked out as
 * that is written (splice.h).
 */
#include <assert.h>

#include "core/btree_flat.h"
#include "core/find.h"
#include "core/narrow.h"

/*
 * Hand the node on the way over to where it waits for readers, and take memory
 * for its copy. Inlined where the class is known, see pool_take().
 */
static ALWAYS_INLINE void *replace_node(struct btree *tree,
					const struct local_change *change,
					enum node_class class,
					unsigned int height)
{
	void *old = change->way->node[height];

	if (change->gone)
		node_batch_add(change->gone, old);
	else
		node_list_add(&tree->retired, old);
	return pool_take(tree->pool, class, tree->stamp);
}

/* ------------------------------------------------------------- the leaf --- */

/* The @removed items at @place give way to @n; what is behind them moves. */
static void open_up(struct leaf_narrow *to, const struct leaf_narrow *from,
		    const struct local_change *change)
{
	size_t after = change->place + change->n;
	size_t b = change->place + change->removed;
	size_t behind = change->len - b;

	if (behind && (to != from || after != b)) {
		memmove(&to->key[after], &from->key[b],
			behind * sizeof(*to->key));
		memmove(&to->record[after], &from->record[b],
			behind * sizeof(*to->record));
	}
	for (size_t i = after + behind; i < change->len; i++)
		to->key[i] = NARROW_FILLER;
}

/* However many come and go. */
static void splice_items(struct leaf_narrow *to, const struct leaf_narrow *from,
			 const struct local_change *change,
			 struct summary *kept)
{
	unsigned int a = change->place;

	assert(a + change->removed <= change->len);
	if (to != from) {
		memcpy(to->key, from->key, sizeof(to->key));
		memcpy(to->record, from->record, a * sizeof(*to->record));
	}
	open_up(to, from, change);
	for (size_t i = 0; i < change->n; i++)
		narrow_put(&to->key[a + i], &to->record[a + i],
			   &change->items[i]);
	if (kept)
		summarize_leaf(to, (unsigned int)(change->len -
						  change->removed + change->n),
			       kept);
}

/* Return: the leaf as it then is. @kept: as struct splice_path has it */
static struct leaf_narrow *change_leaf(struct btree *tree,
				       const struct local_change *change,
				       struct summary *kept)
{
	struct leaf_narrow *from = change->way->node[0], *to = from;

	node_visit();
	if (change->shared)
		to = replace_node(tree, change, LEAF_NARROW, 0);
	if (change->removed > 1 || change->n > 1)
		splice_items(to, from, change, kept);
	else
		gpmm__find_path->splice->leaf[splice_how(change->removed,
							 change->n)](
			to, from, change->place, change->items, kept);
	return to;
}

/* ------------------------------------------------------------- above it --- */

/* What is kept of the node on the way, by that above it. */
static inline void get_summary(const struct btree *tree,
			       const struct gpmm_iter *way,
			       unsigned int height, struct summary *kept)
{
	enum node_class class = narrow_inner_class(tree->root, height + 1);
	struct inner_arrays above = narrow_arrays(class,
						  way->node[height + 1]);
	unsigned int i = way->at[height + 1];

	kept->key = above.key[i];
	kept->last = (int32_t)above.last[i];
	kept->gap = (int32_t)above.gap[i];
}

/* Does the node keep just that of child @i? */
static bool keeps(const struct inner_narrow *node, unsigned int i,
		  const struct summary *now)
{
	return node->child[i] == now->child && node->key[i] == now->key &&
	       node->last[i] == (uint32_t)now->last &&
	       node->gap[i] == (uint32_t)now->gap;
}

/* Rare: most often writers have a top of their own. */
static __attribute__((noinline)) void *
copy_shared_top(struct btree *tree, const struct local_change *change,
		enum node_class class)
{
	unsigned int top = root_height(tree->root);
	void *node = change->way->node[top];
	void *copy = gpmm__pool_take(tree->pool, class, tree->stamp);

	assert(!change->gone);
	node_list_add(&tree->retired, node);
	node_copy(copy, node, node_size(class));
	return copy;
}

static void change_top(struct btree *tree, const struct local_change *change,
		       const struct summary *now)
{
	unsigned int top = root_height(tree->root);
	enum node_class class = narrow_inner_class(tree->root, top);
	void *node = change->way->node[top];
	struct inner_arrays arrays;

	node_visit();
	if (change->shared > top)
		node = copy_shared_top(tree, change, class);
	arrays = narrow_arrays(class, node);
	gpmm__find_path->splice->put_child(&arrays, change->way->at[top], now);
	tree->root = (uintptr_t)node | (tree->root & ROOT_BITS);
}

/*
 * Change the leaf on the way, and put what it then is in the inner nodes above.
 * Summaries are not copied: the loads would be longer than the stores before.
 */
static void change_way(struct btree *tree, const struct local_change *change)
{
	const struct gpmm_iter *way = change->way;
	unsigned int top = root_height(tree->root);
	struct summary summary[2], *now = summary;

	get_summary(tree, way, 0, now);
	now->child = change_leaf(tree, change, now);
	for (unsigned int height = 1; height < top; height++) {
		struct inner_narrow *from = way->node[height], *to = from;
		struct summary *kept = &summary[height % 2];

		/* If it keeps that already, nothing above changes either. */
		if (height >= change->shared &&
		    keeps(from, way->at[height], now))
			return;
		node_visit();
		if (height < change->shared)
			to = replace_node(tree, change, INNER_NARROW, height);
		get_summary(tree, way, height, kept);
		gpmm__find_path->splice->inner(to, from, way->at[height], now,
					       kept);
		kept->child = to;
		now = kept;
	}
	change_top(tree, change, now);
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
	bool flat = narrow_leaf_class(tree->root) == LEAF_FLAT;
	void *leaf;

	if (root_height(tree->root)) {
		change_way(tree, change);
		return;
	}
	leaf = flat ? gpmm__flat_change(tree, change) :
		      change_leaf(tree, change, NULL);
	tree->root = (uintptr_t)leaf | (tree->root & ROOT_BITS);
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
