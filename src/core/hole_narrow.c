/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The search for a hole where keys are 32 bits wide: a node's holes are
 * compared with the size wanted all at once, and only those looked at that
 * are large enough.
 */
#include "core/hole.h"
#include "core/narrow.h"

/* A node's holes that are large enough, one bit for each item or child. */
struct large {
	uint64_t inside;	/* child @i has one */
	uint64_t behind;	/* there is one between @i and @i + 1 */
};

static inline int32_t leaf_last(enum node_class class, const int32_t *leaf,
				unsigned int i)
{
	return (int32_t)narrow_record(class, leaf, i)->last;
}

static uint64_t low_bits(unsigned int n)
{
	return n < 64 ? (UINT64_C(1) << n) - 1 : UINT64_MAX;
}

#ifdef __SSE2__
static inline uint64_t at_least4(__m128i value, __m128i below)
{
	__m128i more = _mm_cmpgt_epi32(value, below);

	return (uint64_t)_mm_movemask_ps(_mm_castsi128_ps(more));
}

/* The lane behind the last key is no key, and is left out by its bit. */
static struct large large_inner(struct inner_arrays inner, unsigned int len,
				int32_t size)
{
	__m128i below = _mm_set1_epi32(size - 1);
	struct large large = { 0, 0 };

	for (unsigned int i = 0; i < len; i += 4) {
		const void *next = &inner.key[i + 1];
		__m128i hole = _mm_sub_epi32(
			_mm_loadu_si128(next),
			_mm_loadu_si128((const void *)&inner.last[i]));
		__m128i gap = _mm_loadu_si128((const void *)&inner.gap[i]);

		large.inside |= at_least4(gap, below) << i;
		large.behind |= at_least4(hole, below) << i;
	}
	large.inside &= low_bits(len);
	large.behind &= low_bits(len - 1);
	return large;
}

/* The same of four items of a leaf. */
static inline uint64_t large_leaf4(enum node_class class, const int32_t *key,
				   unsigned int i, int32_t size)
{
	__m128i last = _mm_set_epi32(leaf_last(class, key, i + 3),
				     leaf_last(class, key, i + 2),
				     leaf_last(class, key, i + 1),
				     leaf_last(class, key, i));
	__m128i next = _mm_loadu_si128((const void *)&key[i + 1]);

	return at_least4(_mm_sub_epi32(next, last), _mm_set1_epi32(size - 1));
}
#else
static struct large large_inner(struct inner_arrays inner, unsigned int len,
				int32_t size)
{
	struct large large = { 0, 0 };

	for (unsigned int i = 0; i < len; i++) {
		uint64_t bit = UINT64_C(1) << i;

		if ((int32_t)inner.gap[i] >= size)
			large.inside |= bit;
		if (i + 1 < len &&
		    inner.key[i + 1] - (int32_t)inner.last[i] >= size)
			large.behind |= bit;
	}
	return large;
}

static inline uint64_t large_leaf4(enum node_class class, const int32_t *key,
				   unsigned int i, int32_t size)
{
	uint64_t large = 0;

	for (unsigned int j = i; j < i + 4; j++) {
		/* Behind the last item it may be anything. */
		uint32_t hole = (uint32_t)key[j + 1] -
				(uint32_t)leaf_last(class, key, j);
		uint64_t is = (int32_t)hole >= size;

		large |= is << (j - i);
	}
	return large;
}
#endif

/* The last at or below the lower bound. */
static unsigned int from_of(enum node_class class, const void *node,
			    const struct hole *hole)
{
	unsigned int n;

	if (!hole->first)
		return 0;
	n = narrow_count(node, node_cap(class), narrow_at(hole->first));
	return n - (n > 0);
}

/* The first above the upper bound, since there may be a hole before it. */
static unsigned int to_of(enum node_class class, const void *node,
			  const struct hole *hole)
{
	unsigned int n = node_cap(class);
	unsigned int to = narrow_count(node, n, narrow_at(hole->last));

	return to == n || ((const int32_t *)node)[to] == NARROW_FILLER ?
		to - 1 : to;
}

/* ------------------------------------------------------------- leaves --- */

static inline struct span leaf_hole(enum node_class class, const int32_t *key,
				    unsigned int i)
{
	return (struct span){ (uint64_t)leaf_last(class, key, i) + 1,
			      (uint64_t)key[i + 1] };
}

static inline bool fits_behind(enum node_class class, const int32_t *key,
			       const struct hole *hole, unsigned int i,
			       uint64_t *granule)
{
	return key[i + 1] - leaf_last(class, key, i) >= (int32_t)hole->size &&
	       fits_low(hole, leaf_hole(class, key, i), granule);
}

/* Inlined where @class is known. */
static inline __attribute__((always_inline)) bool
lowest_in_class(enum node_class class, const int32_t *key,
		const struct hole *hole, uint64_t *granule)
{
	unsigned int from = from_of(class, key, hole);
	unsigned int end = from + 2, len;
	uint64_t bits;

	node_visit();
	/*
	 * It often is one of the first two, and then the leaf's length is not
	 * needed: 15 for 18 ns at 8 areas (bench/bench_set_hole --quick).
	 */
	for (; from < end; from++) {
		if (from + 1 == node_cap(class) ||
		    key[from + 1] == NARROW_FILLER)
			return false;
		if (fits_behind(class, key, hole, from, granule))
			return true;
	}
	len = node_len(class, key);
	bits = low_bits(len - 1) & ~low_bits(from);
	for (unsigned int i = from & ~3u; i + 1 < len; i += 4) {
		uint64_t large = large_leaf4(class, key, i,
					     (int32_t)hole->size) & bits >> i;

		for (; large; large &= large - 1) {
			unsigned int j = i + (unsigned int)
					 __builtin_ctzll(large);

			if (fits_low(hole, leaf_hole(class, key, j), granule))
				return true;
			if (leaf_hole(class, key, j).first > hole->last)
				return false;
		}
	}
	return false;
}

static bool lowest_in_leaf(enum node_class class, const int32_t *key,
			   const struct hole *hole, uint64_t *granule)
{
	if (class == LEAF_FLAT)
		return lowest_in_class(LEAF_FLAT, key, hole, granule);
	return lowest_in_class(LEAF_NARROW, key, hole, granule);
}

static bool highest_in_leaf(enum node_class class, const int32_t *key,
			    const struct hole *hole, uint64_t *granule)
{
	int32_t size = (int32_t)hole->size;

	node_visit();
	for (unsigned int i = to_of(class, key, hole); i--;) {
		if (key[i + 1] - leaf_last(class, key, i) < size)
			continue;
		if (fits_high(hole, leaf_hole(class, key, i), granule))
			return true;
		if (leaf_hole(class, key, i).first <= hole->first)
			return false;
	}
	return false;
}

/* -------------------------------------------------------- inner nodes --- */

struct search {
	uintptr_t root;
	const struct hole *hole;
	uint64_t *granule;
};

static struct span inner_hole(struct inner_arrays inner, unsigned int i)
{
	return (struct span){ (uint64_t)inner.last[i] + 1,
			      (uint64_t)inner.key[i + 1] };
}

static bool lowest_in(const struct search *search, const void *node,
		      unsigned int height);
static bool highest_in(const struct search *search, const void *node,
		       unsigned int height);

static bool lowest_in_inner(const struct search *search, const void *node,
			    unsigned int height)
{
	enum node_class class = root_class(search->root, height);
	struct inner_arrays inner = narrow_arrays(class, node);
	const struct hole *hole = search->hole;
	unsigned int from = from_of(class, node, hole);
	struct large large;
	uint64_t both;

	node_visit();
	/* It often is the first, and then the others need no look. */
	if (inner.gap[from] >= hole->size &&
	    lowest_in(search, inner.child[from], height - 1))
		return true;
	large = large_inner(inner, node_len(class, node), (int32_t)hole->size);
	large.inside &= ~low_bits(from + 1);
	large.behind &= ~low_bits(from);
	for (both = large.inside | large.behind; both; both &= both - 1) {
		unsigned int i = (unsigned int)__builtin_ctzll(both);

		if (inner.key[i] >= 0 && (uint32_t)inner.key[i] >= hole->last)
			return false;
		if (large.inside >> i & 1 &&
		    lowest_in(search, inner.child[i], height - 1))
			return true;
		if (large.behind >> i & 1 &&
		    fits_low(hole, inner_hole(inner, i), search->granule))
			return true;
	}
	return false;
}

static bool highest_in_inner(const struct search *search, const void *node,
			     unsigned int height)
{
	enum node_class class = root_class(search->root, height);
	struct inner_arrays inner = narrow_arrays(class, node);
	const struct hole *hole = search->hole;
	unsigned int to = to_of(class, node, hole);
	struct large large;
	uint64_t both;

	node_visit();
	large = large_inner(inner, node_len(class, node), (int32_t)hole->size);
	large.inside &= low_bits(to + 1);
	large.behind &= low_bits(to);
	for (both = large.inside | large.behind; both;) {
		unsigned int i = 63 - (unsigned int)__builtin_clzll(both);

		if (large.behind >> i & 1 &&
		    fits_high(hole, inner_hole(inner, i), search->granule))
			return true;
		if (inner.last[i] < hole->first)
			return false;
		if (large.inside >> i & 1 &&
		    highest_in(search, inner.child[i], height - 1))
			return true;
		both &= ~(UINT64_C(1) << i);
	}
	return false;
}

static bool lowest_in(const struct search *search, const void *node,
		      unsigned int height)
{
	if (height)
		return lowest_in_inner(search, node, height);
	return lowest_in_leaf(root_class(search->root, 0), node, search->hole,
			      search->granule);
}

static bool highest_in(const struct search *search, const void *node,
		       unsigned int height)
{
	if (height)
		return highest_in_inner(search, node, height);
	return highest_in_leaf(root_class(search->root, 0), node,
			       search->hole, search->granule);
}

bool gpmm__narrow_lowest_hole(uintptr_t root, const struct hole *hole,
			      uint64_t *granule)
{
	const struct search search = { root, hole, granule };

	return hole->size <= NARROW_LAST &&
	       lowest_in(&search, root_node(root), root_height(root));
}

bool gpmm__narrow_highest_hole(uintptr_t root, const struct hole *hole,
			       uint64_t *granule)
{
	const struct search search = { root, hole, granule };

	return hole->size <= NARROW_LAST &&
	       highest_in(&search, root_node(root), root_height(root));
}
