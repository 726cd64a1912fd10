/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way down, once for each kind of vector. find.c defines before each
 * inclusion, and this file takes away again:
 *   FIND(name)		the function's name for this kind
 *   TARGET		its target attribute, or nothing
 *   COUNT16, COUNT32	(keys, query): how many narrow keys lie below
 *   COUNT_WIDE		(keys, len, query): how many wide keys do, or equal it
 *
 * No key of an inner node but the top's is above the query, since each is
 * exactly where its subtree starts: the test for that is never taken there
 * and costs nothing beside the load that follows.
 */

static inline TARGET bool FIND(narrow)(const void *node, unsigned int height,
				       uint64_t granule, struct item *item)
{
	const struct record_narrow *record;
	const struct leaf_narrow *leaf;
	int32_t query = (int32_t)granule;
	unsigned int n;

	if (granule > NARROW_LAST)
		return false;
	for (; height; height--) {
		const struct inner_narrow *inner = node;

		node_visit();
		n = COUNT32(inner->key, query);
		if (!n)
			return false;
		node = inner->child[n - 1];
	}
	node_visit();
	leaf = node;
	n = COUNT16(leaf->key, query);
	if (!n)
		return false;
	record = &leaf->record[n - 1];
	if ((uint32_t)query > record->last)
		return false;
	item->first = (uint64_t)(leaf->key[n - 1] + 1);
	item->last = record->last;
	item->link = record->link;
	item->host = record->host;
	item->backend = record->backend;
	item->flags = record->flags;
	return true;
}

static inline TARGET bool FIND(wide)(const void *node, unsigned int height,
				     uint64_t granule, struct item *item)
{
	const struct record_wide *record;
	const struct leaf_wide *leaf;
	unsigned int n;

	for (; height; height--) {
		const struct inner_wide *inner = node;

		node_visit();
		n = COUNT_WIDE(inner->key, inner->len, granule);
		if (!n)
			return false;
		node = inner->child[n - 1];
	}
	node_visit();
	leaf = node;
	n = COUNT_WIDE(leaf->key, leaf->len, granule);
	if (!n)
		return false;
	record = &leaf->record[n - 1];
	if (granule > record->last)
		return false;
	item->first = leaf->key[n - 1];
	item->last = record->last;
	item->link = record->link;
	item->host = record->host;
	item->backend = record->backend;
	item->flags = record->flags;
	return true;
}

static TARGET bool FIND(find)(uintptr_t root, unsigned int shift,
			      uint64_t addr, struct gpmm_area *area)
{
	const void *node = root_node(root);
	unsigned int height = root_height(root);
	struct item item;
	bool found;

	if (!node)
		return false;
	if (root_is_wide(root))
		found = FIND(wide)(node, height, addr >> shift, &item);
	else
		found = FIND(narrow)(node, height, addr >> shift, &item);
	if (found && area)
		item_to_area(&item, shift, area);
	return found;
}

#undef FIND
#undef TARGET
#undef COUNT16
#undef COUNT32
#undef COUNT_WIDE
