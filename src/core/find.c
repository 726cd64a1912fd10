/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lookup. What its choices bought, in ns on one machine (Intel Xeon, model
 * 207), by
 *	bench/bench_set_lookup --quick --only=gpmm --areas=N
 * with GPMM_SIMD set for the narrower vectors; latency, then independent
 * lookups, then 64 at once:
 *
 *			N=64			N=4096
 *	portable	16.4	11.1	9.4	32.2	16.2	12.6
 *	SSE2		17.2	8.5	6.7	36.4	13.5	9.2
 *	AVX2		14.4	5.4	4.2	29.4	8.4	5.8
 *	AVX-512		12.2	4.9	3.5	27.9	7.5	5.0
 *
 * and on another (AMD EPYC):
 * The place of a flat leaf's record, see node.h, is one load more: 10.0 for 9.0
 * at N=64. Hits where they lie instead of copies of areas: 24.0 for 26.8 at
 * 4096 (the lines of gpmm and gpmm-find). A tall top instead of
 * one more level: 15.6 at N=1000, 20.8 at 1060, where it is full. One vector
 * for a top that is half empty: 23.1 for 23.8 at 4096. A function for each
 * form of tree instead of one for all: 4.9 for 5.7 ns an independent lookup at
 * 4096, 3.6 for 3.9 at 8. Huge pages at N=1000000: about half of 600 ns.
 * Prefetching a leaf's records there: a tenth; at 4096 it made independent
 * lookups half as slow again, hence FAR_HEIGHT.
 */
#include <stdlib.h>
#include <string.h>

#include "core/find.h"
#include "core/narrow.h"

/* Sets from this height on are larger than the caches. */
#define FAR_HEIGHT 3
#define GROUP	4

enum batch_form { BATCH_FLAT, BATCH_LEAF, BATCH_INNER };

static const struct gpmm_hit nothing;

/*
 * In a large set the record is a cache line that nobody has looked at lately:
 * ask for all of a leaf's before it is known which it is. In smaller ones that
 * costs more than it saves. To the second level only: in the first they kept
 * lookups that overlap waiting for room, 64 at once 34 ns for 38 at N=1000000
 * (without --quick, medians of five by turns).
 */
static inline void prefetch_records(unsigned int height, const void *leaf)
{
	const char *line = leaf;

	if (__builtin_expect(height < FAR_HEIGHT, 1))
		return;
#pragma GCC unroll 8
	for (size_t i = 64; i < sizeof(struct leaf_narrow); i += 64)
		__builtin_prefetch(line + i, 0, 2);
}

/*
 * The last of @bits / @unit items of @size bytes from @array on. Keys are
 * counted by the bits of a mask, @unit of them a key: an address multiplies for
 * nothing, where to divide first takes a cycle a level.
 */
static inline const void *last_of(const void *array, size_t size, size_t bits,
				  size_t unit)
{
	return (const char *)array + bits * (size / unit) - size;
}

static inline const void *child_of(void *const *child, size_t bits, size_t unit)
{
	return *(void *const *)last_of(child, sizeof(*child), bits, unit);
}

/* Is @granule, which is behind @key, in the item of that key? */
static inline struct gpmm_hit narrow_hit(int32_t key,
					 const struct gpmm_record *record,
					 uint32_t granule, unsigned int shift)
{
	uint32_t first = (uint32_t)key + 1;

	if (granule > record->last)
		return nothing;
	return (struct gpmm_hit){ record, (uint64_t)first << shift };
}

/* @bits > 0 say how many keys of the leaf lie below @granule. */
static inline struct gpmm_hit leaf_hit(const struct leaf_narrow *leaf,
				       size_t bits, size_t unit,
				       uint32_t granule, unsigned int shift)
{
	int32_t key = *(const int32_t *)last_of(leaf->key, sizeof(*leaf->key),
						bits, unit);

	/* Lest gcc keeps @bits for later, and makes a copy to multiply. */
	__asm__("" : "+r" (key), "+r" (bits));
	return narrow_hit(key, last_of(leaf->record, sizeof(*leaf->record),
				       bits, unit), granule, shift);
}

/* Of @n > 0 keys. */
static inline struct gpmm_hit flat_hit(const struct leaf_flat *leaf, size_t n,
				       uint32_t granule, unsigned int shift)
{
	return narrow_hit(leaf->key[n - 1], flat_record(leaf, n - 1), granule,
			  shift);
}

/*
 * What to look for at each of GROUP addresses; false where one is outside the
 * extent of the narrow tree from its first item to NARROW_LAST. Inside, some
 * key of every node on the way is below the query.
 */
static inline bool narrow_queries(uintptr_t root, unsigned int shift,
				  const uint64_t *addr, int32_t *query)
{
	uint64_t first = (uint32_t)*(const int32_t *)root_node(root) + 1;

#pragma GCC unroll 4
	for (size_t i = 0; i < GROUP; i++) {
		uint64_t granule = addr[i] >> shift;

		if (granule - first > NARROW_LAST - first)
			return false;
		query[i] = (int32_t)granule;
	}
	return true;
}

#define FIND(name)	name##_portable
#define TARGET
#define UNIT	1
#define COUNT16(key, query)	narrow_count_portable(key, LEAF_CAP, query)
#define COUNT32(key, query)	narrow_count_portable(key, INNER_CAP, query)
#define EACH32	COUNT32
#define COUNT64(key, query)	narrow_count_portable(key, FLAT_CAP, query)
#define COUNT_WIDE(key, len, query)	wide_count(key, len, query)
#include "core/find_body.h"

#ifdef __x86_64__
#include <immintrin.h>

#define FIND(name)	name##_sse2
#define TARGET
#define UNIT	1
#define COUNT16(key, query)	narrow_count(key, LEAF_CAP, query)
#define COUNT32(key, query)	narrow_count(key, INNER_CAP, query)
#define EACH32	COUNT32
#define COUNT64(key, query)	narrow_count(key, FLAT_CAP, query)
#define COUNT_WIDE(key, len, query)	wide_count(key, len, query)
#include "core/find_body.h"

#define AVX2	__attribute__((target("avx2,bmi,bmi2,popcnt")))

/*
 * 16 lanes of 16 bits, all ones where the key lies below. They come out of
 * order; their number does not. To pack them instead takes Intel's CPUs two
 * cycles more, as often as one waits for it.
 */
static inline AVX2 __m256i below16_avx2(const int32_t *key, __m256i query)
{
	const __m256i *keys = (const __m256i *)key;
	__m256i even = _mm256_cmpgt_epi32(query, _mm256_load_si256(keys));
	__m256i odd = _mm256_cmpgt_epi32(query, _mm256_load_si256(keys + 1));

	return _mm256_blend_epi16(even, odd, 0xaa);
}

/* The bits of @lanes' bytes. */
static inline AVX2 size_t bits_avx2(__m256i lanes)
{
	uint64_t mask = (uint32_t)_mm256_movemask_epi8(lanes);

	return (size_t)__builtin_popcountll(mask);
}

static inline AVX2 size_t twice16_avx2(const int32_t *key, int32_t query)
{
	return bits_avx2(below16_avx2(key, _mm256_set1_epi32(query)));
}

/* Two instructions more than one mask for all takes, and two cycles less. */
static inline AVX2 size_t twice32_avx2(const int32_t *key, int32_t query)
{
	return twice16_avx2(key, query) + twice16_avx2(key + 16, query);
}

static inline AVX2 size_t count32_avx2(const int32_t *key, int32_t query)
{
	__m256i q = _mm256_set1_epi32(query);

	return bits_avx2(_mm256_packs_epi16(below16_avx2(key, q),
					    below16_avx2(key + 16, q)));
}

/* There is no unsigned compare: both sides are shifted into the signed. */
static inline AVX2 unsigned int count_wide_avx2(const uint64_t *key,
						unsigned int len,
						uint64_t query)
{
	const __m256i flip = _mm256_set1_epi64x(INT64_MIN);
	__m256i q = _mm256_xor_si256(_mm256_set1_epi64x((int64_t)query), flip);
	uint32_t above = 0;

	for (unsigned int i = 0; i < len; i += 4) {
		__m256i k = _mm256_loadu_si256((const __m256i *)(key + i));
		__m256i gt = _mm256_cmpgt_epi64(_mm256_xor_si256(k, flip), q);

		above |= (uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(gt))
			 << i;
	}
	return (unsigned int)__builtin_popcountll(
		_bzhi_u64(~(uint64_t)above, len));
}

#define FIND(name)	name##_avx2
#define TARGET	AVX2
#define UNIT	2
#define COUNT16(key, query)	twice16_avx2(key, query)
#define COUNT32(key, query)	twice32_avx2(key, query)
#define EACH32(key, query)	count32_avx2(key, query)
#define COUNT64(key, query)	(count32_avx2(key, query) + \
				 count32_avx2((key) + 32, query))
#define COUNT_WIDE(key, len, query)	count_wide_avx2(key, len, query)
#include "core/find_body.h"

#define AVX512	__attribute__((target("avx512f,avx512bw,avx2,bmi,bmi2,popcnt")))

static inline AVX512 uint32_t below16_avx512(const int32_t *key, __m512i query)
{
	return _mm512_cmpgt_epi32_mask(query, _mm512_load_si512(key));
}

static inline AVX512 size_t count16_avx512(const int32_t *key, int32_t query)
{
	uint64_t mask = below16_avx512(key, _mm512_set1_epi32(query));

	/* Lest it counts in 16 bits, and pays for widening the sum. */
	__asm__("" : "+r" (mask));
	return (size_t)__builtin_popcountll(mask);
}

/* To put the masks together takes four cycles (Intel), and to add one. */
static inline AVX512 size_t count32_avx512(const int32_t *key, int32_t query)
{
	return count16_avx512(key, query) + count16_avx512(key + 16, query);
}

/* Fewer instructions: what counts where lookups overlap. */
static inline AVX512 size_t each32_avx512(const int32_t *key, int32_t query)
{
	__m512i q = _mm512_set1_epi32(query);
	uint32_t mask = _mm512_kunpackw(below16_avx512(key + 16, q),
					below16_avx512(key, q));

	return (size_t)__builtin_popcount(mask);
}

static inline AVX512 unsigned int count_wide_avx512(const uint64_t *key,
						    unsigned int len,
						    uint64_t query)
{
	__m512i q = _mm512_set1_epi64((int64_t)query);
	uint32_t mask = 0;

	for (unsigned int i = 0; i < len; i += 8)
		mask |= (uint32_t)_mm512_cmple_epu64_mask(
				_mm512_loadu_si512(key + i), q) << i;
	return (unsigned int)__builtin_popcountll(_bzhi_u64(mask, len));
}

#define FIND(name)	name##_avx512
#define TARGET	AVX512
#define UNIT	1
#define COUNT16(key, query)	count16_avx512(key, query)
#define COUNT32(key, query)	count32_avx512(key, query)
#define EACH32(key, query)	each32_avx512(key, query)
#define COUNT64(key, query)	(count32_avx512(key, query) + \
				 count32_avx512((key) + 32, query))
#define COUNT_WIDE(key, len, query)	count_wide_avx512(key, len, query)
#include "core/find_body.h"

#include "core/find_lanes.h"

/*
 * A CPU has few mask registers to rename (Zen 4: some 50), and lookups that
 * wait for memory keep theirs: four at a time of four levels fill them. At
 * N=1000000 64 at once took 47 ns each with AVX2's vectors, 72 with masks.
 */
static void each_avx512(uintptr_t root, unsigned int shift,
			const uint64_t *addr, size_t n, struct gpmm_hit *hit)
{
	size_t done = 0;

	if (root_height(root) >= FAR_HEIGHT) {
		find_each_avx2(root, shift, addr, n, hit);
		return;
	}
	if (n >= LANES && root && !(root & ROOT_BITS))
		done = leaf_lanes((const void *)root, shift, addr, n, hit);
	find_each_avx512(root, shift, addr + done, n - done, hit + done);
}

enum find_width gpmm__find_widest(void)
{
	__builtin_cpu_init();
	if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi") ||
	    !__builtin_cpu_supports("bmi2") ||
	    !__builtin_cpu_supports("popcnt"))
		return FIND_SSE2;
	return __builtin_cpu_supports("avx512f") &&
	       __builtin_cpu_supports("avx512bw") ? FIND_AVX512 : FIND_AVX2;
}

#else

enum find_width gpmm__find_widest(void)
{
	return FIND_PORTABLE;
}

#endif

const struct find_path gpmm__find_paths[] = {
	[FIND_PORTABLE] = {
		find_portable, find_each_portable, way_portable,
		&gpmm__splice_any,
	},
#ifdef __x86_64__
	[FIND_SSE2] = {
		find_sse2, find_each_sse2, way_sse2,
		&gpmm__splice_any,
	},
	[FIND_AVX2] = {
		find_avx2, find_each_avx2, way_avx2,
		&gpmm__splice_any,
	},
	[FIND_AVX512] = {
		find_avx512, each_avx512, way_avx512,
		&gpmm__splice_avx512,
	},
#endif
};

const struct find_path *gpmm__find_path = &gpmm__find_paths[FIND_PORTABLE];

static enum find_width path_named(const char *name, enum find_width otherwise)
{
	static const char *const names[] = { "portable", "sse2", "avx2" };

	for (unsigned int i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(name, names[i]))
			return i;
	return otherwise;
}

__attribute__((constructor)) static void choose_path(void)
{
	const char *name = secure_getenv("GPMM_SIMD");
	enum find_width widest = gpmm__find_widest();
	enum find_width path = name ? path_named(name, widest) : widest;

	gpmm__find_path = &gpmm__find_paths[path < widest ? path : widest];
}
