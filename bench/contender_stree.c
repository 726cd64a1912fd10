/* SPDX-License-Identifier: BSD-3-Clause */
#include "stree.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

/* ---- building ---- */

static void put_key(void *keys, size_t at, size_t bytes, uint64_t start)
{
	if (bytes == 4)
		((int32_t *)keys)[at] = (int32_t)(start / BENCH_PAGE) - 1;
	else
		((int64_t *)keys)[at] = (int64_t)start - 1;
}

static void pad_key(void *keys, size_t at, size_t bytes)
{
	if (bytes == 4)
		((int32_t *)keys)[at] = INT32_MAX;
	else
		((int64_t *)keys)[at] = INT64_MAX;
}

/* Key @j of node @k parts its child @j from the next one's first area. */
static size_t first_area(size_t k, size_t j, size_t fanout, unsigned int above)
{
	size_t child = k * (fanout + 1) + j + 1;

	while (--above)
		child *= fanout + 1;
	return child * fanout;
}

static void fill_layer(void *keys, const struct bench_areas *areas,
		       size_t nodes, size_t fanout, size_t bytes,
		       unsigned int above)
{
	size_t i, area;

	for (i = 0; i < nodes * fanout; i++) {
		area = above ? first_area(i / fanout, i % fanout, fanout,
					  above) : i;
		if (area < areas->count)
			put_key(keys, i, bytes, areas->area[area].start);
		else
			pad_key(keys, i, bytes);
	}
}

/* Nodes of every layer, the last one first. Return: how many layers. */
static unsigned int count_nodes(size_t areas, size_t fanout, size_t *nodes)
{
	unsigned int layers = 0;

	nodes[layers++] = (areas + fanout - 1) / fanout;
	while (nodes[layers - 1] > 1) {
		nodes[layers] = (nodes[layers - 1] + fanout) / (fanout + 1);
		layers++;
	}
	return layers;
}

static void fill_layers(struct stree *stree, const struct bench_areas *areas,
			size_t fanout, size_t bytes, const size_t *nodes)
{
	char *at = stree->keys;
	unsigned int i, above;

	for (i = 0; i < stree->layers; i++) {
		above = stree->layers - 1 - i;
		stree->layer[i] = at;
		fill_layer(at, areas, nodes[above], fanout, bytes, above);
		at += nodes[above] * fanout * bytes;
	}
}

struct stree *stree_build(const struct bench_areas *areas, size_t fanout,
			  size_t bytes)
{
	struct stree *stree = bench_alloc(sizeof(*stree));
	size_t nodes[STREE_LAYERS], total = 0;
	unsigned int i;

	stree->layers = count_nodes(areas->count, fanout, nodes);
	for (i = 0; i < stree->layers; i++)
		total += nodes[i];
	stree->keys = bench_alloc(total * fanout * bytes);
	stree->area = bench_alloc((areas->count + 1) * sizeof(*stree->area));
	stree->area[0] = (struct bench_area){ .size = 0 };
	memcpy(&stree->area[1], areas->area,
	       areas->count * sizeof(*stree->area));
	fill_layers(stree, areas, fanout, bytes, nodes);
	return stree;
}

void stree_destroy(void *arg)
{
	struct stree *stree = arg;

	free(stree->keys);
	free(stree->area);
	free(stree);
}

/* ---- searching ---- */

#define INLINE __attribute__((always_inline))

#define SCALAR
INLINE static inline unsigned int scalar_64(const int64_t *key, int64_t query,
					    unsigned int fanout)
{
	unsigned int i, count = 0;

	for (i = 0; i < fanout; i++)
		count += query > key[i];
	return count;
}

#ifdef __x86_64__
/* Lanes narrowed to bytes, 16 at a time; keys are in order: ones, then zeros */
INLINE static inline unsigned int scalar_32(const int32_t *key, int32_t query,
					    unsigned int fanout)
{
	__m128i q = _mm_set1_epi32(query);
	unsigned int i, count = 0;

	for (i = 0; i < fanout; i += 16) {
		const __m128i *at = (const __m128i *)(key + i);
		__m128i a = _mm_packs_epi32(_mm_cmpgt_epi32(q, at[0]),
					    _mm_cmpgt_epi32(q, at[1]));
		__m128i b = _mm_packs_epi32(_mm_cmpgt_epi32(q, at[2]),
					    _mm_cmpgt_epi32(q, at[3]));
		int mask = _mm_movemask_epi8(_mm_packs_epi16(a, b));

		count += (unsigned int)__builtin_ctz(~(unsigned int)mask);
	}
	return count;
}

#define AVX2 __attribute__((target("avx2,popcnt,bmi,bmi2")))

AVX2 static inline unsigned int avx2_64(const int64_t *key, int64_t query,
					unsigned int fanout)
{
	__m256i q = _mm256_set1_epi64x(query);
	uint64_t mask = 0;
	unsigned int i;

	for (i = 0; i < fanout; i += 4) {
		__m256i a = _mm256_cmpgt_epi64(q, *(const __m256i *)(key + i));
		uint64_t bits = (unsigned int)
			_mm256_movemask_pd(_mm256_castsi256_pd(a));

		mask |= bits << i;
	}
	return (unsigned int)__builtin_popcountll(mask);
}

/* 16 lanes become 32 bits, two each, in an order that a count forgets. */
AVX2 static inline unsigned int avx2_32(const int32_t *key, int32_t query,
					unsigned int fanout)
{
	__m256i q = _mm256_set1_epi32(query);
	unsigned int i, count = 0;

	for (i = 0; i < fanout; i += 16) {
		const __m256i *at = (const __m256i *)(key + i);
		__m256i a = _mm256_packs_epi32(_mm256_cmpgt_epi32(q, at[0]),
					       _mm256_cmpgt_epi32(q, at[1]));
		unsigned int mask = (unsigned int)_mm256_movemask_epi8(a);

		count += (unsigned int)__builtin_popcount(mask);
	}
	return count / 2;
}

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl," \
				     "popcnt,bmi,bmi2")))

AVX512 static inline unsigned int avx512_64(const int64_t *key, int64_t query,
					    unsigned int fanout)
{
	__m512i q = _mm512_set1_epi64(query);
	uint64_t mask = 0;
	unsigned int i;

	for (i = 0; i < fanout; i += 8)
		mask |= (uint64_t)_mm512_cmpgt_epi64_mask(
			q, *(const __m512i *)(key + i)) << i;
	return (unsigned int)__builtin_popcountll(mask);
}

AVX512 static inline unsigned int avx512_32(const int32_t *key, int32_t query,
					    unsigned int fanout)
{
	__m512i q = _mm512_set1_epi32(query);
	uint64_t mask = 0;
	unsigned int i;

	for (i = 0; i < fanout; i += 16)
		mask |= (uint64_t)_mm512_cmpgt_epi32_mask(
			q, *(const __m512i *)(key + i)) << i;
	return (unsigned int)__builtin_popcountll(mask);
}

static bool has_avx2(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
}

static bool has_avx512(void)
{
	return has_avx2() && __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512dq") &&
	       __builtin_cpu_supports("avx512vl");
}
#else
INLINE static inline unsigned int scalar_32(const int32_t *key, int32_t query,
					    unsigned int fanout)
{
	unsigned int i, count = 0;

	for (i = 0; i < fanout; i++)
		count += query > key[i];
	return count;
}
#endif

#define STREE_WIDTH(width, attributes)					\
STREE_FIND(width##_16_64, attributes, 16, int64_t, 0, width##_64)	\
STREE_FIND(width##_32_64, attributes, 32, int64_t, 0, width##_64)	\
STREE_FIND(width##_64_64, attributes, 64, int64_t, 0, width##_64)	\
STREE_FIND(width##_16_32, attributes, 16, int32_t, 12, width##_32)	\
STREE_FIND(width##_32_32, attributes, 32, int32_t, 12, width##_32)	\
STREE_FIND(width##_64_32, attributes, 64, int32_t, 12, width##_32)

#define STREE_TABLE(width, test)					\
	STREE_CONTENDER(width##_16_64, "stree.16.64." #width, test),	\
	STREE_CONTENDER(width##_32_64, "stree.32.64." #width, test),	\
	STREE_CONTENDER(width##_64_64, "stree.64.64." #width, test),	\
	STREE_CONTENDER(width##_16_32, "stree.16.32." #width, test),	\
	STREE_CONTENDER(width##_32_32, "stree.32.32." #width, test),	\
	STREE_CONTENDER(width##_64_32, "stree.64.32." #width, test)

STREE_WIDTH(scalar, SCALAR)
#ifdef __x86_64__
STREE_WIDTH(avx2, AVX2)
STREE_WIDTH(avx512, AVX512)
#endif

const struct bench_contender bench_strees[] = {
	STREE_TABLE(scalar, NULL),
#ifdef __x86_64__
	STREE_TABLE(avx2, has_avx2),
	STREE_TABLE(avx512, has_avx512),
#endif
	{ .name = NULL },
};
