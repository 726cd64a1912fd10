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

static inline TARGET const void *FIND(narrow_leaf)(uintptr_t root,
						   int32_t query)
{
	const void *node = root_node(root);
	unsigned int height = root_height(root);
	size_t n;

	if (root & ROOT_FORM) {
		const struct inner_tall *tall = node;

		n = COUNT64(tall->key, query);
		node_visit();
		if (!n)
			return NULL;
		node = tall->child[n - 1];
		height--;
	}
	for (; height; height--) {
		const struct inner_narrow *inner = node;

		n = COUNT32(inner->key, query);
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
	if ((root & ROOT_FORM) == ROOT_FLAT) {
		node_visit();
		record = ((const struct leaf_flat *)key)->record;
		n = COUNT64(key, (int32_t)granule);
	} else {
		key = FIND(narrow_leaf)(root, (int32_t)granule);
		if (!key)
			return nothing;
		prefetch_records(root, key);
		record = ((const struct leaf_narrow *)key)->record;
		n = COUNT16(key, (int32_t)granule);
	}
	return n ? narrow_hit(key, record, n, (uint32_t)granule, shift) :
		   nothing;
}

static inline TARGET void FIND(step_tall)(const void **node,
					  const int32_t *query)
{
#pragma GCC unroll 4
	for (size_t i = 0; i < GROUP; i++) {
		const struct inner_tall *tall = node[i];
		size_t n = COUNT64(tall->key, query[i]);

		node[i] = tall->child[n - 1];
	}
}

static inline TARGET void FIND(step)(const void **node, const int32_t *query)
{
#pragma GCC unroll 4
	for (size_t i = 0; i < GROUP; i++) {
		const struct inner_narrow *inner = node[i];
		size_t n = COUNT32(inner->key, query[i]);

		node[i] = inner->child[n - 1];
	}
}

static inline TARGET void FIND(finish)(const void **node,
				       const int32_t *query,
				       unsigned int shift,
				       struct gpmm_hit *hit)
{
#pragma GCC unroll 4
	for (size_t i = 0; i < GROUP; i++) {
		const struct leaf_narrow *leaf = node[i];

		hit[i] = narrow_hit(leaf->key, leaf->record,
				    COUNT16(leaf->key, query[i]),
				    (uint32_t)query[i], shift);
	}
}

static inline TARGET void FIND(finish_flat)(const struct leaf_flat *leaf,
					    const int32_t *query,
					    unsigned int shift,
					    struct gpmm_hit *hit)
{
#pragma GCC unroll 4
	for (size_t i = 0; i < GROUP; i++)
		hit[i] = narrow_hit(leaf->key, leaf->record,
				    COUNT64(leaf->key, query[i]),
				    (uint32_t)query[i], shift);
}

/* GROUP narrow lookups, level by level, of addresses within the extent. */
static inline TARGET void FIND(group)(uintptr_t root, const int32_t *query,
				      unsigned int shift,
				      struct gpmm_hit *hit)
{
	unsigned int height = root_height(root);
	const void *node[GROUP];

#pragma GCC unroll 4
	for (size_t i = 0; i < GROUP; i++)
		node[i] = root_node(root);
	if ((root & ROOT_FORM) == ROOT_FLAT) {
		FIND(finish_flat)(node[0], query, shift, hit);
		return;
	}
	if (root & ROOT_FORM) {
		FIND(step_tall)(node, query);
		height--;
	}
	for (; height; height--)
		FIND(step)(node, query);
	for (size_t i = 0; i < GROUP; i++)
		prefetch_records(root, node[i]);
	FIND(finish)(node, query, shift, hit);
}

static TARGET void FIND(find_each)(uintptr_t root, unsigned int shift,
				   const uint64_t *addr, size_t n,
				   struct gpmm_hit *hit)
{
	bool narrow = root && !root_is_wide(root);
	int32_t query[GROUP];
	size_t i = 0;

	while (i < n) {
		if (narrow && i + GROUP <= n &&
		    narrow_queries(root, shift, addr + i, query)) {
			FIND(group)(root, query, shift, hit + i);
			i += GROUP;
			continue;
		}
		hit[i] = FIND(find)(root, shift, addr[i]);
		i++;
	}
}

#undef FIND
#undef TARGET
#undef COUNT16
#undef COUNT32
#undef COUNT64
#undef COUNT_WIDE
