/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way down, once for each kind of vector. find.c defines before each
 * inclusion, and this file takes away again:
 *   FIND(name)		the function's name for this kind
 *   TARGET		its target attribute, or nothing
 *   COUNT16, COUNT32, COUNT64	(keys, query): how many narrow keys lie below
 *   COUNT_WIDE		(keys, len, query): how many wide keys do, or equal it
 *
 * No key of an inner node but the top's is above the query, since each is
 * exactly where its subtree starts: the test for that is never taken there
 * and costs nothing beside the load that follows.
 */

static inline TARGET const void *FIND(narrow_leaf)(const void *node,
						   unsigned int height,
						   int32_t query)
{
	for (; height; height--) {
		const struct inner_narrow *inner = node;
		size_t n = COUNT32(inner->key, query);

		node_visit();
		if (!n)
			return NULL;
		node = inner->child[n - 1];
	}
	node_visit();
	return node;
}

/* Rare, and kept out of the way of the narrow one's registers. */
static TARGET __attribute__((noinline)) struct gpmm_hit
FIND(wide)(uintptr_t root, unsigned int shift, uint64_t addr)
{
	uint64_t granule = addr >> shift;
	const void *node = root_node(root);
	const struct leaf_wide *leaf;
	unsigned int n;

	if (!node)
		return nothing;
	for (unsigned int height = root_height(root); height; height--) {
		const struct inner_wide *inner = node;

		node_visit();
		n = COUNT_WIDE(inner->key, inner->len, granule);
		if (!n)
			return nothing;
		node = inner->child[n - 1];
	}
	node_visit();
	leaf = node;
	n = COUNT_WIDE(leaf->key, leaf->len, granule);
	if (!n || granule > leaf->record[n - 1].last)
		return nothing;
	return (struct gpmm_hit){ &leaf->record[n - 1].record,
				  leaf->key[n - 1] << shift };
}

static TARGET struct gpmm_hit FIND(find)(uintptr_t root, unsigned int shift,
					 uint64_t addr)
{
	uint64_t granule = addr >> shift;
	const struct gpmm_record *record;
	const int32_t *key = root_node(root);
	size_t n;

	if (__builtin_expect(!root || root_is_wide(root), 0))
		return FIND(wide)(root, shift, addr);
	if (granule > NARROW_LAST)
		return nothing;
	if (root & ROOT_FLAT) {
		node_visit();
		record = ((const struct leaf_flat *)key)->record;
		n = COUNT64(key, (int32_t)granule);
	} else {
		key = FIND(narrow_leaf)(key, root_height(root),
					(int32_t)granule);
		if (!key)
			return nothing;
		record = ((const struct leaf_narrow *)key)->record;
		n = COUNT16(key, (int32_t)granule);
	}
	if (!n || (uint32_t)granule > record[n - 1].last)
		return nothing;
	return (struct gpmm_hit){ &record[n - 1],
				  (uint64_t)(key[n - 1] + 1) << shift };
}

#undef FIND
#undef TARGET
#undef COUNT16
#undef COUNT32
#undef COUNT64
#undef COUNT_WIDE
