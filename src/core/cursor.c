/* SPDX-License-Identifier: BSD-3-Clause */
/* Walking a snapshot in order. */
#include "core/btree.h"

static enum node_class class_at(const struct gpmm_iter *cursor,
				unsigned int height)
{
	return root_class(cursor->root, height);
}

/* Go down from the node at @height, always to the first child. */
static void descend_first(struct gpmm_iter *cursor, unsigned int height)
{
	while (height) {
		void *child = node_child(class_at(cursor, height),
					 cursor->node[height],
					 cursor->at[height]);

		node_visit();
		height--;
		cursor->node[height] = child;
		cursor->at[height] = 0;
	}
}

static unsigned int leaf_position(const struct gpmm_iter *cursor,
				  uint64_t granule)
{
	enum node_class class = class_at(cursor, 0);
	unsigned int n = gpmm__node_count(class, cursor->node[0], granule);
	struct item item;

	node_visit();
	if (!n)
		return 0;
	gpmm__node_get(class, cursor->node[0], n - 1, &item);
	return item.last >= granule ? n - 1 : n;
}

void gpmm__cursor_seek(struct gpmm_iter *cursor, uintptr_t root,
		       uint64_t granule)
{
	void *node = root_node(root);

	cursor->root = root;
	if (!node)
		return;
	for (unsigned int height = root_height(root); height; height--) {
		enum node_class class = class_at(cursor, height);
		unsigned int n = gpmm__node_count(class, node, granule);

		node_visit();
		cursor->node[height] = node;
		cursor->at[height] = n ? n - 1 : 0;
		node = node_child(class, node, cursor->at[height]);
	}
	cursor->node[0] = node;
	cursor->at[0] = leaf_position(cursor, granule);
}

/* From the end of a leaf to the start of the next; false at the last. */
static bool next_leaf(struct gpmm_iter *cursor)
{
	unsigned int top = root_height(cursor->root);

	for (unsigned int height = 1; height <= top; height++) {
		if (cursor->at[height] + 1 <
		    node_len(class_at(cursor, height), cursor->node[height])) {
			cursor->at[height]++;
			descend_first(cursor, height);
			return true;
		}
	}
	return false;
}

bool gpmm__cursor_next(struct gpmm_iter *cursor, struct item *item)
{
	enum node_class class = class_at(cursor, 0);

	if (!root_node(cursor->root))
		return false;
	if (cursor->at[0] == node_len(class, cursor->node[0]) &&
	    !next_leaf(cursor))
		return false;
	gpmm__node_get(class, cursor->node[0], cursor->at[0]++, item);
	return true;
}

/* The last item below child @i of a node. */
static void last_item(const struct gpmm_iter *cursor, unsigned int height,
		      unsigned int i, struct item *item)
{
	const void *node = cursor->node[height];

	for (; height; height--) {
		node = node_child(class_at(cursor, height), node, i);
		i = node_len(class_at(cursor, height - 1), node) - 1;
		node_visit();
	}
	gpmm__node_get(class_at(cursor, 0), node, i, item);
}

bool gpmm__cursor_before(const struct gpmm_iter *cursor, struct item *item)
{
	if (!root_node(cursor->root))
		return false;
	for (unsigned int height = 0; height <= root_height(cursor->root);
	     height++) {
		if (!cursor->at[height])
			continue;
		last_item(cursor, height, cursor->at[height] - 1, item);
		return true;
	}
	return false;
}
