/* SPDX-License-Identifier: BSD-3-Clause */
/* Walking a snapshot in order. */
#include "core/narrow.h"

static enum node_class class_at(const struct gpmm_iter *cursor,
				unsigned int height)
{
	return root_class(cursor->root, height);
}

static void *child_at(const struct gpmm_iter *cursor, unsigned int height)
{
	node_visit();
	return node_child(class_at(cursor, height), cursor->node[height],
			  cursor->at[height]);
}

/*
 * Go down from the node at @height, which is no leaf, always to the first
 * child. The leaf is named, not counted down to: gcc 12 else believes that
 * gpmm__cursor_next_leaf() leaves position 0 alone, and its callers with it.
 */
static void descend_first(struct gpmm_iter *cursor, unsigned int height)
{
	for (; height > 1; height--) {
		cursor->node[height - 1] = child_at(cursor, height);
		cursor->at[height - 1] = 0;
	}
	cursor->node[0] = child_at(cursor, 1);
	cursor->at[0] = 0;
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

static void seek_wide(struct gpmm_iter *cursor, uintptr_t root,
		      uint64_t granule)
{
	void *node = root_node(root);

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

void gpmm__cursor_seek(struct gpmm_iter *cursor, uintptr_t root,
		       uint64_t granule)
{
	cursor->root = root;
	if (!root_node(root))
		return;
	if (root_is_wide(root))
		seek_wide(cursor, root, granule);
	else
		narrow_seek(cursor, root, granule);
}

/* Soon to be read: the leaf after the one at the position. */
static void prefetch_next(const struct gpmm_iter *cursor)
{
	enum node_class class = class_at(cursor, 1);
	unsigned int next = cursor->at[1] + 1;

	if (next < node_len(class, cursor->node[1]))
		narrow_prefetch(node_child(class, cursor->node[1], next),
				sizeof(struct leaf_narrow));
}

/*
 * gcc 12 (ipa-modref) takes it that this leaves node[0] and at[0] alone, and
 * its callers here went on with the old ones: it is not to look inside.
 */
#if __has_attribute(noipa)
__attribute__((noipa))
#endif
bool gpmm__cursor_next_leaf(struct gpmm_iter *cursor)
{
	unsigned int top = root_height(cursor->root);

	for (unsigned int height = 1; height <= top; height++) {
		if (cursor->at[height] + 1 <
		    node_len(class_at(cursor, height), cursor->node[height])) {
			cursor->at[height]++;
			descend_first(cursor, height);
			prefetch_next(cursor);
			return true;
		}
	}
	return false;
}

/* Is the position at the end of its leaf? */
static bool is_at_end(const struct gpmm_iter *cursor, enum node_class class)
{
	const int32_t *key = cursor->node[0];
	unsigned int at = cursor->at[0];

	if (node_is_wide(class))
		return at == node_len(class, key);
	return at == node_cap(class) || key[at] == NARROW_FILLER;
}

bool gpmm__cursor_next(struct gpmm_iter *cursor, struct item *item)
{
	enum node_class class = class_at(cursor, 0);

	if (!root_node(cursor->root))
		return false;
	if (is_at_end(cursor, class) && !gpmm__cursor_next_leaf(cursor))
		return false;
	if (node_is_wide(class))
		gpmm__node_get(class, cursor->node[0], cursor->at[0]++, item);
	else
		narrow_get(class, cursor->node[0], cursor->at[0]++, item);
	return true;
}

bool gpmm__cursor_first(const struct gpmm_iter *cursor, uint64_t *first)
{
	if (!root_node(cursor->root))
		return false;
	for (unsigned int height = 0; height <= root_height(cursor->root);
	     height++) {
		enum node_class class = class_at(cursor, height);
		const void *node = cursor->node[height];
		unsigned int at = cursor->at[height] + (height > 0);
		struct item item;

		if (!node_is_wide(class)) {
			if (narrow_first(class, node, at, first))
				return true;
		} else if (at < node_len(class, node)) {
			gpmm__node_get(class, node, at, &item);
			*first = item.first;
			return true;
		}
	}
	return false;
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
