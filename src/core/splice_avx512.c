/* SPDX-License-Identifier: BSD-3-Clause */
/* In whole cache lines, by AVX-512. */
#include "core/btree_flat.h"
#include "core/splice.h"

#ifdef __x86_64__
#include <immintrin.h>

#define AVX512	__attribute__((target("avx512f,avx512bw")))

static inline AVX512 __m512i get_line(const void *node, size_t i)
{
	return _mm512_load_si512((const __m512i *)node + i);
}

static inline AVX512 void put_line(void *node, size_t i, __m512i line)
{
	_mm512_store_si512((__m512i *)node + i, line);
}

static inline AVX512 __m256i make_record(const struct item *item)
{
	return _mm256_setr_epi64x((int64_t)(item->last |
					    (uint64_t)item->flags << 32),
				  (int64_t)item->link,
				  (int64_t)(uintptr_t)item->host,
				  (int64_t)(uintptr_t)item->backend);
}

static inline AVX512 __m512i make_key(const struct item *item)
{
	return _mm512_set1_epi32((int32_t)item->first - 1);
}

static inline AVX512 __m512i make_last(const struct item *item)
{
	return _mm512_set1_epi32((int32_t)item->last);
}

/* The lanes that are used, of 16. */
static inline AVX512 __mmask16 used_lanes(__m512i keys)
{
	return _mm512_cmpneq_epi32_mask(keys,
					_mm512_set1_epi32(NARROW_FILLER));
}

static inline AVX512 unsigned int count_lanes(__mmask16 lanes)
{
	return (unsigned int)__builtin_popcount(lanes);
}

/* How many lines the records of a leaf take: they lie in pairs. */
static inline AVX512 unsigned int count_lines(__m512i keys)
{
	return (count_lanes(used_lanes(keys)) + 1) / 2;
}

/* @line with lane @i of the node's array, of which it is line @at, another. */
static inline AVX512 __m512i set32(__m512i line, unsigned int at,
				   unsigned int i, int32_t value)
{
	return _mm512_mask_set1_epi32(
		line, (__mmask16)(UINT64_C(1) << i >> 16 * at), value);
}

static inline AVX512 __m512i set64(__m512i line, unsigned int at,
				   unsigned int i, const void *value)
{
	return _mm512_mask_set1_epi64(line,
				      (__mmask8)(UINT64_C(1) << i >> 8 * at),
				      (int64_t)(uintptr_t)value);
}

/* Each lane the one before; the first is the last of @before. */
static inline AVX512 __m512i one_up(__m512i lanes, __m512i before)
{
	return _mm512_alignr_epi32(lanes, before, 15);
}

/* Lanes 0 and 8 of each of two lines, in each quarter. */
static inline AVX512 __m512i two_lasts(const struct leaf_narrow *leaf,
				       size_t line)
{
	const __m512i lanes = _mm512_setr_epi32(0, 8, 16, 24, 0, 8, 16, 24,
						0, 8, 16, 24, 0, 8, 16, 24);

	return _mm512_permutex2var_epi32(get_line(leaf->record, line), lanes,
					 get_line(leaf->record, line + 1));
}

/* A leaf's lasts, each in the lane of its key. */
static inline AVX512 __m512i lasts_of(const struct leaf_narrow *leaf)
{
	__m512i lasts = two_lasts(leaf, 0);

	lasts = _mm512_mask_mov_epi32(lasts, 0x00f0, two_lasts(leaf, 2));
	lasts = _mm512_mask_mov_epi32(lasts, 0x0f00, two_lasts(leaf, 4));
	return _mm512_mask_mov_epi32(lasts, 0xf000, two_lasts(leaf, 6));
}

/* Of a leaf's keys and lasts as they then are. */
static inline AVX512 void summarize(__m512i keys, __m512i lasts,
				    struct summary *kept)
{
	__mmask16 used = used_lanes(keys);
	__m512i end = _mm512_set1_epi32((int)count_lanes(used) - 1);
	__m512i holes = _mm512_maskz_sub_epi32((__mmask16)(used & ~1u), keys,
					       one_up(lasts, lasts));

	kept->key = _mm512_cvtsi512_si32(keys);
	kept->last = _mm512_cvtsi512_si32(
		_mm512_permutexvar_epi32(end, lasts));
	kept->gap = _mm512_reduce_max_epi32(holes);
}

static AVX512 void copy_avx512(void *to, const void *from, size_t size)
{
#pragma GCC unroll 2
	for (size_t i = 0; i < size / 64; i++)
		put_line(to, i, get_line(from, i));
}

/* A record is four of a line's eight words. */
static AVX512 void insert_avx512(struct leaf_narrow *to,
				 const struct leaf_narrow *from,
				 unsigned int at, const struct item *item,
				 struct summary *kept)
{
	const __mmask16 others = (__mmask16)~(1u << at);
	const uint64_t place = UINT64_C(15) << 4 * at;
	const uint64_t behind = ~UINT64_C(0) << 4 * at << 4;
	const __m512i record = _mm512_broadcast_i64x4(make_record(item));
	__m512i keys = get_line(from->key, 0), before = record;
	unsigned int lines;

	keys = _mm512_mask_expand_epi32(make_key(item), others, keys);
	lines = count_lines(keys);
	if (kept)
		summarize(keys,
			  _mm512_mask_expand_epi32(make_last(item), others,
						   lasts_of(from)),
			  kept);
	for (unsigned int i = 0; i < lines; i++) {
		__m512i old = get_line(from->record, i);
		__m512i line = _mm512_mask_alignr_epi64(
			old, (__mmask8)(behind >> 8 * i), old, before, 4);

		put_line(to->record, i,
			 _mm512_mask_mov_epi64(
				 line, (__mmask8)(place >> 8 * i), record));
		before = old;
	}
	put_line(to->key, 0, keys);
}

static AVX512 void remove_avx512(struct leaf_narrow *to,
				 const struct leaf_narrow *from,
				 unsigned int at, const struct item *item,
				 struct summary *kept)
{
	const __mmask16 others = (__mmask16)~(1u << at);
	const uint64_t rest = ~UINT64_C(0) << 4 * at;
	__m512i keys = get_line(from->key, 0);
	__m512i old = get_line(from->record, 0);
	unsigned int lines = count_lines(keys);

	(void)item;
	keys = _mm512_mask_compress_epi32(_mm512_set1_epi32(NARROW_FILLER),
					  others, keys);
	if (kept)
		summarize(keys,
			  _mm512_maskz_compress_epi32(others, lasts_of(from)),
			  kept);
	for (unsigned int i = 0; i < lines; i++) {
		__m512i next = get_line(from->record, i + (i + 1 < lines));

		put_line(to->record, i,
			 _mm512_mask_alignr_epi64(
				 old, (__mmask8)(rest >> 8 * i), next, old, 4));
		old = next;
	}
	put_line(to->key, 0, keys);
}

static AVX512 void replace_avx512(struct leaf_narrow *to,
				  const struct leaf_narrow *from,
				  unsigned int at, const struct item *item,
				  struct summary *kept)
{
	const __mmask16 here = (__mmask16)(1u << at);
	const __m512i record = _mm512_broadcast_i64x4(make_record(item));
	__m512i line = _mm512_mask_mov_epi64(get_line(from->record, at / 2),
					     at % 2 ? 0xf0 : 0x0f, record);
	__m512i keys = _mm512_mask_mov_epi32(get_line(from->key, 0), here,
					     make_key(item));

	if (kept)
		summarize(keys,
			  _mm512_mask_mov_epi32(lasts_of(from), here,
						make_last(item)),
			  kept);
	if (to != from)
		copy_avx512(to->record, from->record,
			    count_lines(keys) * sizeof(line));
	put_line(to->record, at / 2, line);
	put_line(to->key, 0, keys);
}

static AVX512 void put_child_avx512(const struct inner_arrays *inner,
				    unsigned int i, const struct summary *now)
{
	__m512i *child = (__m512i *)inner->child + i / 8;
	__m512i *key = (__m512i *)inner->key + i / 16;
	__m512i *gap = (__m512i *)inner->gap + i / 16;
	__m512i *last = (__m512i *)inner->last + i / 16;

	put_line(child, 0, set64(get_line(child, 0), i / 8, i, now->child));
	put_line(key, 0, set32(get_line(key, 0), i / 16, i, now->key));
	put_line(gap, 0, set32(get_line(gap, 0), i / 16, i, now->gap));
	put_line(last, 0, set32(get_line(last, 0), i / 16, i, now->last));
}

/* All that a parent is to keep is worked out as the node is copied. */
static AVX512 void copy_inner_avx512(struct inner_narrow *to,
				     const struct inner_narrow *from,
				     unsigned int i, const struct summary *now,
				     struct summary *kept)
{
	__m512i before = _mm512_setzero_si512(), most = before;
	unsigned int len = 0;

#pragma GCC unroll 4
	for (unsigned int at = 0; at < INNER_CAP / 8; at++)
		put_line(to->child, at,
			 set64(get_line(from->child, at), at, i, now->child));
#pragma GCC unroll 2
	for (unsigned int at = 0; at < INNER_CAP / 16; at++) {
		__m512i keys = set32(get_line(from->key, at), at, i, now->key);
		__m512i gaps = set32(get_line(from->gap, at), at, i, now->gap);
		__m512i lasts = set32(get_line(from->last, at), at, i,
				      now->last);
		__mmask16 used = used_lanes(keys);

		put_line(to->key, at, keys);
		put_line(to->gap, at, gaps);
		put_line(to->last, at, lasts);
		most = _mm512_mask_max_epi32(most, used, most, gaps);
		most = _mm512_mask_max_epi32(
			most, (__mmask16)(at ? used : used & ~1u), most,
			_mm512_sub_epi32(keys, one_up(lasts, before)));
		before = lasts;
		len += count_lanes(used);
	}
	if (!i)
		kept->key = now->key;
	if (i + 1 == len)
		kept->last = now->last;
	kept->gap = _mm512_reduce_max_epi32(most);
}

static AVX512 void inner_avx512(struct inner_narrow *to,
				const struct inner_narrow *from,
				unsigned int i, const struct summary *now,
				struct summary *kept)
{
	const struct inner_arrays arrays = narrow_arrays(INNER_NARROW, to);

	if (to == from && follow_child(from, i, now, kept))
		put_child_avx512(&arrays, i, now);
	else
		copy_inner_avx512(to, from, i, now, kept);
}

_Static_assert(offsetof(struct leaf_flat, block) % 64 == 0 &&
	       offsetof(struct leaf_flat, used) ==
		       offsetof(struct leaf_flat, block) + 8 &&
	       offsetof(struct leaf_flat, len) ==
		       offsetof(struct leaf_flat, used) + 4,
	       "as finish_flat() has it");

/* Keys and places are changed: what follows them, and what comes, if any. */
static inline AVX512 void finish_flat(struct leaf_flat *leaf,
				      const struct item *item, int more)
{
	struct gpmm_record *record = &leaf->block->record[leaf->used];
	const __m512i ones = _mm512_setr_epi32(0, 0, item != NULL, more, 0, 0,
					       0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

	put_line(&leaf->block, 0,
		 _mm512_add_epi32(get_line(&leaf->block, 0), ones));
	if (item)
		_mm256_store_si256((__m256i *)record, make_record(item));
}

static AVX512 unsigned int count_avx512(const int32_t *key, int32_t query)
{
	const __m512i q = _mm512_set1_epi32(query);
	__mmask32 low = _mm512_kunpackw(
		_mm512_cmplt_epi32_mask(get_line(key, 1), q),
		_mm512_cmplt_epi32_mask(get_line(key, 0), q));
	__mmask32 high = _mm512_kunpackw(
		_mm512_cmplt_epi32_mask(get_line(key, 3), q),
		_mm512_cmplt_epi32_mask(get_line(key, 2), q));

	return (unsigned int)__builtin_popcountll(
		_mm512_kunpackd(high, low));
}

static AVX512 void lanes_avx512(int32_t *keys, uint8_t *places,
				unsigned int at, int32_t new, uint8_t place)
{
	const uint64_t here = UINT64_C(1) << at;
	const uint64_t behind = ~UINT64_C(0) << at << 1;
	__m512i key = _mm512_set1_epi32(new), before = key;
	__m512i old = get_line(places, 0);
	/* All one further: by 16 bytes, and 15 back. */
	__m512i moved = _mm512_alignr_epi8(
		old, _mm512_maskz_alignr_epi64(0xfc, old, old, 6), 15);

	old = _mm512_mask_mov_epi8(old, behind, moved);
	put_line(places, 0, _mm512_mask_set1_epi8(old, here, (char)place));
	for (unsigned int i = 0; i < FLAT_CAP / 16; i++) {
		__m512i line;

		old = get_line(keys, i);
		line = _mm512_mask_alignr_epi32(
			old, (__mmask16)(behind >> 16 * i), old, before, 15);
		put_line(keys, i,
			 _mm512_mask_mov_epi32(
				 line, (__mmask16)(here >> 16 * i), key));
		before = old;
	}
}

static AVX512 void flat_insert_avx512(struct leaf_flat *leaf, unsigned int at,
				      const struct item *item)
{
	lanes_avx512(leaf->key, leaf->place, at, (int32_t)item->first - 1,
		     (uint8_t)leaf->used);
	finish_flat(leaf, item, 1);
}

static AVX512 void flat_remove_avx512(struct leaf_flat *leaf, unsigned int at,
				      const struct item *item)
{
	const uint64_t rest = ~UINT64_C(0) << at;
	const __m512i filler = _mm512_set1_epi32(NARROW_FILLER);
	__m512i places = get_line(leaf->place, 0);
	__m512i moved = _mm512_alignr_epi8(
		_mm512_maskz_alignr_epi64(0x3f, places, places, 2), places, 1);
	__m512i old = get_line(leaf->key, 0);

	(void)item;
	for (unsigned int i = 0; i < FLAT_CAP / 16; i++) {
		__m512i next = i + 1 < FLAT_CAP / 16 ?
			get_line(leaf->key, i + 1) : filler;

		put_line(leaf->key, i,
			 _mm512_mask_alignr_epi32(
				 old, (__mmask16)(rest >> 16 * i), next, old,
				 1));
		old = next;
	}
	put_line(leaf->place, 0, _mm512_mask_mov_epi8(places, rest, moved));
	finish_flat(leaf, NULL, -1);
}

static AVX512 void flat_replace_avx512(struct leaf_flat *leaf, unsigned int at,
				       const struct item *item)
{
	unsigned int i = at / 16;

	put_line(leaf->key, i,
		 _mm512_mask_mov_epi32(get_line(leaf->key, i),
				       (__mmask16)(1u << at % 16),
				       make_key(item)));
	put_line(leaf->place, 0,
		 _mm512_mask_set1_epi8(get_line(leaf->place, 0),
				       UINT64_C(1) << at, (char)leaf->used));
	finish_flat(leaf, item, 0);
}

const struct splice_path gpmm__splice_avx512 = {
	.leaf = { insert_avx512, remove_avx512, replace_avx512 },
	.inner = inner_avx512,
	.put_child = put_child_avx512,
	.flat = { flat_insert_avx512, flat_remove_avx512,
		  flat_replace_avx512 },
	.count = count_avx512,
	.lanes = lanes_avx512,
	.copy = copy_avx512,
};

#endif
