/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Validation written beside the tree and not with it: it reads nodes item by
 * item and believes nothing that it can work out again.
 */
#include <inttypes.h>

#include "core/btree.h"
#include "core/btree_check.h"
#include "util/log.h"

struct check {
	uintptr_t root;
	bool any;		/* an item was seen */
	uint64_t last;		/* of the item before */
	size_t items;
};

static const char *check_lanes(enum node_class class, const void *node,
			       unsigned int len)
{
	const int32_t *key = node;

	if (node_is_wide(class))
		return len > node_cap(class) ? "a length over the node's" : NULL;
	for (unsigned int i = 0; i < node_cap(class); i++)
		if ((key[i] == NARROW_FILLER) != (i >= len))
			return "an unused lane without the filler";
	return NULL;
}

/* Each item's record has a place of its own; no lane's counts as free. */
static const char *check_places(const struct leaf_flat *leaf, unsigned int len)
{
	bool seen[FLAT_PLACES] = { false };

	if (leaf->used > FLAT_PLACES)
		return "a flat leaf with more places than its block";
	for (unsigned int i = 0; i < FLAT_CAP; i++) {
		if (leaf->place[i] >= leaf->used)
			return "a record at a place that counts as free";
		if (i < len && seen[leaf->place[i]])
			return "two items with one record";
		seen[leaf->place[i]] = true;
	}
	return NULL;
}

static const char *check_item(struct check *check, const struct item *item)
{
	if (item->first > item->last)
		return "an item that ends before it starts";
	if (check->any && item->first <= check->last)
		return "items that overlap or descend";
	if (!root_is_wide(check->root) && item->last > NARROW_LAST)
		return "an item too high for a narrow tree";
	check->any = true;
	check->last = item->last;
	check->items++;
	return NULL;
}

static const char *check_node(struct check *check, void *node,
			      unsigned int height, bool edge,
			      struct item *seen);

/* One child or item; @seen grows by it. */
static const char *check_slot(struct check *check, const struct item *item,
			      unsigned int height, bool edge,
			      struct item *seen)
{
	const char *wrong;
	struct item sub;

	if (!height) {
		seen->last = item->last;
		return check_item(check, item);
	}
	wrong = check_node(check, item->child, height - 1, edge, &sub);
	if (wrong)
		return wrong;
	if (sub.first != item->first)
		return "a key that is not its subtree's first";
	if (sub.last != item->last)
		return "a last that is not its subtree's";
	if (sub.gap != item->gap)
		return "a gap that is not its subtree's";
	seen->last = sub.last;
	if (sub.gap > seen->gap)
		seen->gap = sub.gap;
	return NULL;
}

static const char *check_node(struct check *check, void *node,
			      unsigned int height, bool edge,
			      struct item *seen)
{
	enum node_class class = root_class(check->root, height);
	unsigned int len = node_len(class, node);
	const char *wrong = check_lanes(class, node, len);
	struct item item;

	if (!wrong && class == LEAF_FLAT)
		wrong = check_places(node, len);
	if (!wrong && (!len || (len < node_min(class) && !edge)))
		wrong = "a node with too few items";
	*seen = (struct item){ 0 };
	for (unsigned int i = 0; !wrong && i < len; i++) {
		gpmm__node_get(class, node, i, &item);
		if (!i)
			seen->first = item.first;
		else if (item.first - seen->last - 1 > seen->gap)
			seen->gap = item.first - seen->last - 1;
		wrong = check_slot(check, &item, height, edge && i == len - 1,
				   seen);
	}
	return wrong;
}

const char *gpmm__btree_check(uintptr_t root, size_t *items)
{
	struct check check = { .root = root };
	const char *wrong = NULL;
	struct item seen;

	if ((root & ROOT_FORM) == ROOT_FLAT && root_height(root))
		return "a flat leaf that is not the top";
	if (root_node(root)) {
		if (root_height(root) &&
		    node_len(root_class(root, root_height(root)),
			     root_node(root)) < 2)
			return "a top node with one child";
		wrong = check_node(&check, root_node(root), root_height(root),
				   true, &seen);
	}
	*items = check.items;
	return wrong;
}

static void dump_node(uintptr_t root, const void *node, unsigned int height)
{
	enum node_class class = root_class(root, height);
	unsigned int len = node_len(class, node);
	struct item item;

	gpmm__log(GPMM_LOG_DEBUG, "%s %p, %u of %u",
		  height ? "inner" : "leaf", node, len, node_cap(class));
	for (unsigned int i = 0; i < len; i++) {
		gpmm__node_get(class, node, i, &item);
		if (!height) {
			gpmm__log(GPMM_LOG_DEBUG,
				  "  [%#" PRIx64 ", %#" PRIx64 "] flags %#x",
				  item.first, item.last, item.flags);
			continue;
		}
		gpmm__log(GPMM_LOG_DEBUG,
			  "  [%#" PRIx64 ", %#" PRIx64 "] gap %#" PRIx64
			  " at %p", item.first, item.last, item.gap,
			  item.child);
		dump_node(root, item.child, height - 1);
	}
}

void gpmm__btree_dump(uintptr_t root)
{
	if (root_node(root))
		dump_node(root, root_node(root), root_height(root));
}
