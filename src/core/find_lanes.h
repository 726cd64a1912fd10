/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many lookups in one narrow leaf, each in a lane of AVX-512's vectors: three
 * instructions a lookup where one by one takes twenty. Part of find.c, which
 * has AVX512, the target attribute.
 *
 * 64 at once in a set of 8: 1.8 ns each for 2.3 (find.c says how that is
 * measured), most of which is what the benchmark does with the hits.
 */
#ifndef GPMM_CORE_FIND_LANES_H
#define GPMM_CORE_FIND_LANES_H

#include <immintrin.h>

#include "core/node.h"

#define LANES	16

struct lanes {
	__m512i place;		/* of the record, from 1; 0: none */
	__m512i first;		/* granule; 0 where there is none */
};

/* @place, or @step further where the key there is below the query, too. */
static inline AVX512 __m512i lanes_step(__m512i place, __m512i key,
					__m512i query, int step)
{
	__m512i next = _mm512_add_epi32(place, _mm512_set1_epi32(step));
	__m512i there = _mm512_permutexvar_epi32(next, key);

	return _mm512_mask_mov_epi32(
		place, _mm512_cmplt_epi32_mask(there, query), next);
}

/* The places of the last keys below the queries; 0 where there is none. */
static inline AVX512 __m512i lanes_search(__m512i key, __m512i query)
{
	__m512i place = lanes_step(_mm512_setzero_si512(), key, query, 8);

	place = lanes_step(place, key, query, 4);
	place = lanes_step(place, key, query, 2);
	return lanes_step(place, key, query, 1);
}

/* Where @narrow says that the granule asked for can be in a narrow tree. */
static inline AVX512 struct lanes lanes_find(__m512i key, __m512i last,
					     __m512i query, __mmask16 narrow)
{
	const __m512i one = _mm512_set1_epi32(1);
	__m512i place = lanes_search(key, query);
	__m512i before = _mm512_permutexvar_epi32(place, key);
	__mmask16 in = _mm512_mask_cmplt_epi32_mask(narrow, before, query);

	last = _mm512_permutexvar_epi32(place, last);
	in = _mm512_mask_cmple_epi32_mask(in, query, last);
	return (struct lanes){ _mm512_maskz_add_epi32(in, place, one),
			       _mm512_maskz_add_epi32(in, before, one) };
}

/* The low halves of the granules; @narrow: of which the others are zero. */
static inline AVX512 __m512i lanes_queries(const uint64_t *addr,
					   unsigned int shift,
					   __mmask16 *narrow)
{
	const __m512i halves = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16,
						 18, 20, 22, 24, 26, 28, 30);
	const __m512i beyond = _mm512_set1_epi64(~(int64_t)NARROW_LAST);
	__m512i by = _mm512_set1_epi64(shift);
	__m512i low = _mm512_srlv_epi64(_mm512_loadu_si512(addr), by);
	__m512i high = _mm512_srlv_epi64(_mm512_loadu_si512(addr + 8), by);

	*narrow = _mm512_kunpackb(_mm512_testn_epi64_mask(high, beyond),
				  _mm512_testn_epi64_mask(low, beyond));
	return _mm512_permutex2var_epi32(low, halves, high);
}

/* Four hits a vector, each a record's address and a start. */
static inline AVX512 void lanes_give(struct lanes lanes,
				     const struct gpmm_record *record,
				     unsigned int shift, struct gpmm_hit *hit)
{
	const __m512i pair = _mm512_setr_epi32(0, 0, 16, 0, 1, 0, 17, 0,
					       2, 0, 18, 0, 3, 0, 19, 0);
	const int64_t size = __builtin_ctz(sizeof(*record));
	const int64_t base = (int64_t)(uintptr_t)(record - 1);
	__m512i by = _mm512_mask_set1_epi64(_mm512_set1_epi64(size), 0xaa,
					    shift);
	__m512i from = _mm512_maskz_set1_epi64(0x55, base);

#pragma GCC unroll 4
	for (int i = 0; i < LANES; i += 4) {
		__m512i pairs = _mm512_add_epi32(pair, _mm512_set1_epi32(i));
		__m512i both = _mm512_sllv_epi64(
			_mm512_maskz_permutex2var_epi32(0x5555, lanes.place,
							pairs, lanes.first),
			by);
		__mmask8 found = _mm512_mask_test_epi64_mask(0x55, both, both);

		_mm512_storeu_si512(hit + i, _mm512_mask_add_epi64(
					    both, found, both, from));
	}
}

/* As many as are whole vectors. Return: how many lookups that is. */
static AVX512 size_t leaf_lanes(const struct leaf_narrow *leaf,
				unsigned int shift, const uint64_t *addr,
				size_t n, struct gpmm_hit *hit)
{
	uint32_t last[LANES] __attribute__((aligned(64)));
	__m512i key = _mm512_load_si512(leaf->key);
	size_t i;

	for (i = 0; i < LANES; i++)
		last[i] = leaf->record[i].last;
	for (i = 0; i + LANES <= n; i += LANES) {
		__mmask16 narrow;
		__m512i query = lanes_queries(addr + i, shift, &narrow);

		lanes_give(lanes_find(key, _mm512_load_si512(last), query,
				      narrow),
			   leaf->record, shift, hit + i);
	}
	return i;
}

#endif
