/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way down, once for each kind of vector. find.c defines before each
 * inclusion, and this file takes away again:
 *   FIND(name)		the function's name for this kind
 *   TARGET		its target attribute, or nothing
 *   COUNT16, COUNT32	(keys, query): UNIT for each narrow key that lies below
 *   COUNT64, EACH32	(keys, query): how many do
 *   COUNT_WIDE		(keys, len, query): how many wide keys do, or equal it
 *
 * EACH32 has the fewest instructions, for lookups that overlap; COUNT32 has the
 * shortest way from the keys to the count, for one that is waited for.
 *
 * No key of an inner node but the top's is above the query, since each is
 * exactly where its subtree starts: where some key of the top is below it, one
 * is in every node on the way.
 */

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

static inline TARGET struct gpmm_hit
FIND(find_flat)(const struct leaf_flat *leaf, uint32_t granule,
		unsigned int shift)
{
	size_t n = COUNT64(leaf->key, (int32_t)granule);

	node_visit();
	return n ? flat_hit(leaf, n, granule, shift) : nothing;
}

/* In a narrow tree of @height; inlined where @tall and @height are known. */
static inline __attribute__((always_inline)) TARGET struct gpmm_hit
FIND(find_narrow)(const void *node, bool tall, unsigned int height,
		  uint32_t granule, unsigned int shift)
{
	int32_t query = (int32_t)granule;
	unsigned int above = height;
	size_t n;

	if (tall) {
		n = COUNT64(((const struct inner_tall *)node)->key, query);
		node_visit();
		if (!n)
			return nothing;
		node = child_of(((const struct inner_tall *)node)->child, n,
				1);
		above--;
	} else if (*(const int32_t *)node >= query) {
		return nothing;
	} else if (height) {
		const struct inner_narrow *top = node;

		/* A top is often less than half full. */
		n = top->key[INNER_CAP / 2] == NARROW_FILLER ?
			COUNT16(top->key, query) : COUNT32(top->key, query);
		node_visit();
		node = child_of(top->child, n, UNIT);
		above--;
	}
#pragma GCC unroll 4
	for (; above; above--) {
		const struct inner_narrow *inner = node;

		/* Far, it is the reach of the CPU that counts, not cycles. */
		n = height < FAR_HEIGHT ? COUNT32(inner->key, query) :
					  EACH32(inner->key, query) * UNIT;
		node_visit();
		node = child_of(inner->child, n, UNIT);
	}
	node_visit();
	prefetch_records(height, node);
	return leaf_hit(node, COUNT16((const int32_t *)node, query), UNIT,
			granule, shift);
}

/* Any tree. */
static TARGET struct gpmm_hit FIND(find)(uintptr_t root, unsigned int shift,
					 uint64_t addr)
{
	uint64_t granule = addr >> shift;

	if (!root || root_is_wide(root))
		return FIND(wide)(root, shift, addr);
	if (granule > NARROW_LAST)
		return nothing;
	if ((root & ROOT_FORM) == ROOT_FLAT)
		return FIND(find_flat)(root_node(root), (uint32_t)granule,
				       shift);
	return FIND(find_narrow)(root_node(root), root & ROOT_FORM,
				 root_height(root), (uint32_t)granule, shift);
}

/*
 * The same for the forms that most trees have, without a question of which it
 * is but one: a reader may come with the way of the tree before. Bits that are
 * known are subtracted rather than masked.
 */
static TARGET struct gpmm_hit FIND(flat)(uintptr_t root, unsigned int shift,
					 uint64_t addr)
{
	uint64_t granule = addr >> shift;
	uintptr_t node = root - ROOT_FLAT;

	if (__builtin_expect(node & ROOT_BITS, 0) || granule > NARROW_LAST)
		return FIND(find)(root, shift, addr);
	return FIND(find_flat)((const void *)node, (uint32_t)granule, shift);
}

static TARGET struct gpmm_hit FIND(leaf)(uintptr_t root, unsigned int shift,
					 uint64_t addr)
{
	uint64_t granule = addr >> shift;

	if (__builtin_expect(root & ROOT_BITS, 0))
		return FIND(find)(root, shift, addr);
	/*
	 * Lest gcc makes one branch of both questions, with five instructions:
	 * 7.64 ns for 7.38 in a set of 8 (find.c says how that is measured).
	 */
	__asm__("" : "+r" (granule));
	if (__builtin_expect(!root, 0) || granule > NARROW_LAST)
		return FIND(find)(root, shift, addr);
	return FIND(find_narrow)((const void *)root, false, 0,
				 (uint32_t)granule, shift);
}

#define WAY(name, form, height)						\
static TARGET struct gpmm_hit FIND(name)(uintptr_t root,		\
					 unsigned int shift,		\
					 uint64_t addr)			\
{									\
	uint64_t granule = addr >> shift;				\
	uintptr_t node = root - (form | height);			\
									\
	if (__builtin_expect(node & ROOT_BITS, 0) ||			\
	    granule > NARROW_LAST)					\
		return FIND(find)(root, shift, addr);			\
	return FIND(find_narrow)((const void *)node, form, height,	\
				 (uint32_t)granule, shift);		\
}
WAY(inner1, 0, 1)
WAY(tall1, ROOT_TALL, 1)
WAY(inner2, 0, 2)
WAY(tall2, ROOT_TALL, 2)
WAY(inner3, 0, 3)
WAY(tall3, ROOT_TALL, 3)
#undef WAY

static gpmm__find_fn *FIND(way)(uintptr_t root)
{
	static gpmm__find_fn *const inner[] = {
		FIND(leaf), FIND(inner1), FIND(inner2), FIND(inner3),
	};
	static gpmm__find_fn *const tall[] = {
		FIND(find), FIND(tall1), FIND(tall2), FIND(tall3),
	};
	unsigned int height = root_height(root);

	if ((root & ROOT_FORM) == ROOT_FLAT)
		return FIND(flat);
	if (root_is_wide(root) || height > 3)
		return FIND(find);
	return root & ROOT_FORM ? tall[height] : inner[height];
}

static inline TARGET void FIND(step_tall)(const void **node,
					  const int32_t *query)
{
#pragma GCC unroll 4
	for (size_t i = 0; i < GROUP; i++) {
		const struct inner_tall *tall = node[i];
		size_t n = EACH32(tall->key, query[i]) +
			   EACH32(tall->key + 32, query[i]);

		node[i] = tall->child[n - 1];
	}
}

static inline TARGET void FIND(step)(const void **node, const int32_t *query)
{
#pragma GCC unroll 4
	for (size_t i = 0; i < GROUP; i++) {
		const struct inner_narrow *inner = node[i];
		size_t n = EACH32(inner->key, query[i]);

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

		hit[i] = leaf_hit(leaf, COUNT16(leaf->key, query[i]), UNIT,
				  (uint32_t)query[i], shift);
	}
}

/* All in the same leaf. */
static inline TARGET void FIND(finish_flat)(const struct leaf_flat *leaf,
					    const int32_t *query,
					    unsigned int shift,
					    struct gpmm_hit *hit)
{
#pragma GCC unroll 4
	for (size_t i = 0; i < GROUP; i++)
		hit[i] = flat_hit(leaf, EACH32(leaf->key, query[i]) +
				  EACH32(leaf->key + 32, query[i]),
				  (uint32_t)query[i], shift);
}

/* GROUP narrow lookups, level by level, of addresses within the extent. */
static inline __attribute__((always_inline)) TARGET void
FIND(group)(enum batch_form form, uintptr_t root, const int32_t *query,
	    unsigned int shift, struct gpmm_hit *hit)
{
	unsigned int height = root_height(root);
	const void *node[GROUP];

	if (form == BATCH_FLAT) {
		FIND(finish_flat)(root_node(root), query, shift, hit);
		return;
	}
#pragma GCC unroll 4
	for (size_t i = 0; i < GROUP; i++)
		node[i] = root_node(root);
	if (form == BATCH_LEAF) {
		FIND(finish)(node, query, shift, hit);
		return;
	}
	if (root & ROOT_FORM) {
		FIND(step_tall)(node, query);
		height--;
	}
	for (; height; height--)
		FIND(step)(node, query);
#pragma GCC unroll 4
	for (size_t i = 0; i < GROUP; i++)
		prefetch_records(root_height(root), node[i]);
	FIND(finish)(node, query, shift, hit);
}

/*
 * Groups, up to the first that goes outside of the extent or is not whole.
 * Return: how many lookups that is. A function for each form: one for all had
 * no registers left for what a loop keeps.
 */
#define GROUPS(name, form)						\
static TARGET __attribute__((noinline)) size_t				\
FIND(name)(uintptr_t root, unsigned int shift, const uint64_t *addr,	\
	   size_t n, struct gpmm_hit *hit)				\
{									\
	int32_t query[GROUP];						\
	size_t i = 0;							\
									\
	for (; i + GROUP <= n && narrow_queries(root, shift, addr + i,	\
						query); i += GROUP)	\
		FIND(group)(form, root, query, shift, hit + i);		\
	return i;							\
}
GROUPS(groups_flat, BATCH_FLAT)
GROUPS(groups_leaf, BATCH_LEAF)
GROUPS(groups_inner, BATCH_INNER)
#undef GROUPS

static inline TARGET size_t FIND(groups)(uintptr_t root, unsigned int shift,
					 const uint64_t *addr, size_t n,
					 struct gpmm_hit *hit)
{
	if (!root || root_is_wide(root))
		return 0;
	if ((root & ROOT_FORM) == ROOT_FLAT)
		return FIND(groups_flat)(root, shift, addr, n, hit);
	if (!root_height(root))
		return FIND(groups_leaf)(root, shift, addr, n, hit);
	return FIND(groups_inner)(root, shift, addr, n, hit);
}

static TARGET void FIND(find_each)(uintptr_t root, unsigned int shift,
				   const uint64_t *addr, size_t n,
				   struct gpmm_hit *hit)
{
	for (size_t i = 0; i < n; i++) {
		i += FIND(groups)(root, shift, addr + i, n - i, hit + i);
		if (i < n)
			hit[i] = FIND(find)(root, shift, addr[i]);
	}
}

#undef FIND
#undef TARGET
#undef UNIT
#undef COUNT16
#undef COUNT32
#undef EACH32
#undef COUNT64
#undef COUNT_WIDE
