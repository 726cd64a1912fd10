/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A narrow leaf's keys with one come or gone, in vectors of the width that
 * searches load: a wider load than the store before it waits until that, and
 * all before it, has reached the cache. Nor is there a branch by how many move.
 */
#ifndef GPMM_CORE_LANES_H
#define GPMM_CORE_LANES_H

#include "core/node.h"

/* In each, @to may be @from, and lanes but those named stay as they were. */

/* @key comes before lane @at, and the last lane goes. */
static inline void lanes_insert_portable(int32_t *to, const int32_t *from,
					 unsigned int at, int32_t key)
{
	for (unsigned int i = LEAF_CAP - 1; i > at; i--)
		to[i] = from[i - 1];
	to[at] = key;
	memmove(to, from, at * sizeof(*to));
}

/* Lane @at goes, and the last becomes the filler. */
static inline void lanes_remove_portable(int32_t *to, const int32_t *from,
					 unsigned int at)
{
	memmove(to, from, at * sizeof(*to));
	for (unsigned int i = at; i + 1 < LEAF_CAP; i++)
		to[i] = from[i + 1];
	to[LEAF_CAP - 1] = NARROW_FILLER;
}

#ifdef __SSE2__

/* Lanes of @yes where the mask is set, of @no elsewhere. */
static inline __m128i lanes_choose(__m128i mask, __m128i yes, __m128i no)
{
	return _mm_or_si128(_mm_and_si128(mask, yes),
			    _mm_andnot_si128(mask, no));
}

static inline __m128i lanes_index(int i)
{
	return _mm_setr_epi32(i, i + 1, i + 2, i + 3);
}

static inline void lanes_insert(int32_t *to, const int32_t *from,
				unsigned int at, int32_t key)
{
	const __m128i place = _mm_set1_epi32((int)at);
	const __m128i new = _mm_set1_epi32(key);

#pragma GCC unroll 4
	for (int i = LEAF_CAP - 4; i >= 0; i -= 4) {
		__m128i old = _mm_load_si128((const __m128i *)&from[i]);
		__m128i down = i ?
			_mm_loadu_si128((const __m128i *)&from[i - 1]) :
			_mm_slli_si128(old, 4);
		__m128i lane = lanes_index(i);

		down = lanes_choose(_mm_cmpeq_epi32(lane, place), new, down);
		old = lanes_choose(_mm_cmplt_epi32(lane, place), old, down);
		_mm_store_si128((__m128i *)&to[i], old);
	}
}

static inline void lanes_remove(int32_t *to, const int32_t *from,
				unsigned int at)
{
	const __m128i place = _mm_set1_epi32((int)at);
	const __m128i filler = _mm_setr_epi32(0, 0, 0, NARROW_FILLER);

#pragma GCC unroll 4
	for (int i = 0; i < LEAF_CAP; i += 4) {
		__m128i old = _mm_load_si128((const __m128i *)&from[i]);
		__m128i up = i < LEAF_CAP - 4 ?
			_mm_loadu_si128((const __m128i *)&from[i + 1]) :
			_mm_or_si128(_mm_srli_si128(old, 4), filler);

		old = lanes_choose(_mm_cmplt_epi32(lanes_index(i), place), old,
				   up);
		_mm_store_si128((__m128i *)&to[i], old);
	}
}

#else
#define lanes_insert	lanes_insert_portable
#define lanes_remove	lanes_remove_portable
#endif

#endif
