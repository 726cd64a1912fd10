/* SPDX-License-Identifier: BSD-3-Clause */
/* Moving nodes out of sparse slabs. The tree holds the same afterwards. */
#include "core/btree.h"

struct gather {
	struct btree *tree;
	size_t copies[NODE_CLASSES];	/* that moving will take */
};

/* Is the node to move? A flat leaf and its block go together. */
static bool is_marked(enum node_class class, const void *node)
{
	return gpmm__pool_is_marked(node) ||
	       (class == LEAF_FLAT && gpmm__pool_is_marked(
			((const struct leaf_flat *)node)->block));
}

/* Count the nodes that have to move, or to point at one that does. */
static bool count_in(struct gather *gather, const void *node,
		     unsigned int height)
{
	enum node_class class = root_class(gather->tree->root, height);
	bool moves = is_marked(class, node);

	if (height)
		for (unsigned int i = node_len(class, node); i--;)
			moves |= count_in(gather, node_child(class, node, i),
					  height - 1);
	gather->copies[class] += moves;
	gather->copies[RECORD_BLOCK] += moves && class == LEAF_FLAT;
	return moves;
}

static int reserve(struct gather *gather)
{
	int ret = 0;

	for (unsigned int class = 0; !ret && class < NODE_CLASSES; class++)
		ret = pool_reserve(gather->tree->pool, class,
					 gather->copies[class]);
	return ret;
}

static void *copy(struct btree *tree, enum node_class class, void *node)
{
	void *to = gpmm__pool_take(tree->pool, class, tree->stamp);
	struct leaf_flat *flat = to;

	memcpy(to, node, node_size(class));
	node_list_add(&tree->retired, node);
	if (class == LEAF_FLAT)
		flat->block = copy(tree, RECORD_BLOCK, flat->block);
	return to;
}

/* Return: the node, or its copy where it or what is below it moved. */
static void *move_in(struct btree *tree, void *node, unsigned int height)
{
	enum node_class class = root_class(tree->root, height);
	void *to = is_marked(class, node) ? copy(tree, class, node) : node;
	unsigned int len = height ? node_len(class, node) : 0;
	struct item item;

	for (unsigned int i = 0; i < len; i++) {
		void *child = node_child(class, node, i);
		void *moved = move_in(tree, child, height - 1);

		if (moved == child)
			continue;
		if (to == node)
			to = copy(tree, class, node);
		gpmm__node_get(class, to, i, &item);
		item.child = moved;
		gpmm__node_put(class, to, i, &item);
	}
	return to;
}

int gpmm__btree_gather(struct btree *tree)
{
	struct gather gather = { .tree = tree };
	void *node = root_node(tree->root);
	unsigned int height = root_height(tree->root);
	int ret;

	if (!node)
		return 0;
	count_in(&gather, node, height);
	ret = reserve(&gather);
	if (!ret)
		tree->root = (uintptr_t)move_in(tree, node, height) |
			     (tree->root & ROOT_BITS);
	return ret;
}
