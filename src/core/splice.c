/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/btree_flat.h"
#include "core/lanes.h"
#include "core/splice.h"

/* ------------------------------------------------ whatever the CPU can do --- */

static void insert_any(struct leaf_narrow *to, const struct leaf_narrow *from,
		       unsigned int at, const struct item *item)
{
	unsigned int len = node_len(LEAF_NARROW, from);
	int32_t key;

	if (to != from)
		node_copy(to->record, from->record, sizeof(to->record));
	memmove(&to->record[at + 1], &from->record[at],
		(len - at) * sizeof(*to->record));
	narrow_put(&key, &to->record[at], item);
	lanes_insert(to->key, from->key, at, key);
}

static void remove_any(struct leaf_narrow *to, const struct leaf_narrow *from,
		       unsigned int at, const struct item *item)
{
	unsigned int len = node_len(LEAF_NARROW, from);

	(void)item;
	if (to != from)
		node_copy(to->record, from->record, sizeof(to->record));
	memmove(&to->record[at], &from->record[at + 1],
		(len - at - 1) * sizeof(*to->record));
	lanes_remove(to->key, from->key, at);
}

static void replace_any(struct leaf_narrow *to, const struct leaf_narrow *from,
			unsigned int at, const struct item *item)
{
	if (to != from)
		node_copy(to, from, sizeof(*to));
	narrow_put(&to->key[at], &to->record[at], item);
}

static void flat_insert_any(struct leaf_flat *leaf, unsigned int at,
			    const struct item *item)
{
	flat_open(leaf, leaf, at, at, 1);
	flat_put(leaf, at, item);
}

static void flat_remove_any(struct leaf_flat *leaf, unsigned int at,
			    const struct item *item)
{
	(void)item;
	flat_open(leaf, leaf, at, at + 1, 0);
}

/* Of four lines, only one is searched. */
static unsigned int count_any(const int32_t *key, int32_t query)
{
	unsigned int line = (unsigned int)(key[15] < query) +
			    (key[31] < query) + (key[47] < query);

	return line * 16 + narrow_count(&key[line * 16], 16, query);
}

static void lanes_any(int32_t *key, uint8_t *places, unsigned int at,
		      int32_t new, uint8_t place)
{
	unsigned int behind = FLAT_CAP - 1 - at;

	memmove(&key[at + 1], &key[at], behind * sizeof(*key));
	memmove(&places[at + 1], &places[at], behind);
	key[at] = new;
	places[at] = place;
}

static void copy_any(void *to, const void *from, size_t size)
{
	memcpy(to, from, size);
}

static void put32_any(void *array, unsigned int i, uint32_t value)
{
	((uint32_t *)array)[i] = value;
}

static void put64_any(void *array, unsigned int i, uint64_t value)
{
	((uint64_t *)array)[i] = value;
}

const struct splice_path gpmm__splice_any = {
	.leaf = { insert_any, remove_any, replace_any },
	.flat = { flat_insert_any, flat_remove_any, flat_put },
	.count = count_any,
	.lanes = lanes_any,
	.copy = copy_any,
	.put32 = put32_any,
	.put64 = put64_any,
};

#ifdef __x86_64__
#include <immintrin.h>

/* ----------------------------------------------------------------- AVX-512 --- */

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

/* How many lines the records of a leaf take: they lie in pairs. */
static inline AVX512 unsigned int count_lines(__m512i keys)
{
	const __m512i filler = _mm512_set1_epi32(NARROW_FILLER);
	uint32_t used = _mm512_cmpneq_epi32_mask(keys, filler);

	return ((unsigned int)__builtin_popcount(used) + 1) / 2;
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
				 unsigned int at, const struct item *item)
{
	const __mmask16 others = (__mmask16)~(1u << at);
	const uint64_t place = UINT64_C(15) << 4 * at;
	const uint64_t behind = ~UINT64_C(0) << 4 * at << 4;
	const __m512i record = _mm512_broadcast_i64x4(make_record(item));
	__m512i keys = get_line(from->key, 0), before = record;
	unsigned int lines;

	keys = _mm512_mask_expand_epi32(make_key(item), others, keys);
	lines = count_lines(keys);
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
				 unsigned int at, const struct item *item)
{
	const __mmask16 others = (__mmask16)~(1u << at);
	const uint64_t rest = ~UINT64_C(0) << 4 * at;
	__m512i keys = get_line(from->key, 0);
	__m512i old = get_line(from->record, 0);
	unsigned int lines = count_lines(keys);

	(void)item;
	for (unsigned int i = 0; i < lines; i++) {
		__m512i next = get_line(from->record, i + (i + 1 < lines));

		put_line(to->record, i,
			 _mm512_mask_alignr_epi64(
				 old, (__mmask8)(rest >> 8 * i), next, old, 4));
		old = next;
	}
	put_line(to->key, 0,
		 _mm512_mask_compress_epi32(_mm512_set1_epi32(NARROW_FILLER),
					    others, keys));
}

static AVX512 void replace_avx512(struct leaf_narrow *to,
				  const struct leaf_narrow *from,
				  unsigned int at, const struct item *item)
{
	const __m512i record = _mm512_broadcast_i64x4(make_record(item));
	__m512i line = _mm512_mask_mov_epi64(get_line(from->record, at / 2),
					     at % 2 ? 0xf0 : 0x0f, record);
	__m512i keys = get_line(from->key, 0);

	if (to != from)
		copy_avx512(to->record, from->record,
			    count_lines(keys) * sizeof(line));
	put_line(to->record, at / 2, line);
	put_line(to->key, 0,
		 _mm512_mask_mov_epi32(keys, (__mmask16)(1u << at),
				       make_key(item)));
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

static AVX512 void put32_avx512(void *array, unsigned int i, uint32_t value)
{
	put_line(array, i / 16,
		 _mm512_mask_set1_epi32(get_line(array, i / 16),
					(__mmask16)(1u << i % 16),
					(int32_t)value));
}

static AVX512 void put64_avx512(void *array, unsigned int i, uint64_t value)
{
	put_line(array, i / 8,
		 _mm512_mask_set1_epi64(get_line(array, i / 8),
					(__mmask8)(1u << i % 8),
					(int64_t)value));
}

const struct splice_path gpmm__splice_avx512 = {
	.leaf = { insert_avx512, remove_avx512, replace_avx512 },
	.flat = { flat_insert_avx512, flat_remove_avx512,
		  flat_replace_avx512 },
	.count = count_avx512,
	.lanes = lanes_avx512,
	.copy = copy_avx512,
	.put32 = put32_avx512,
	.put64 = put64_avx512,
};

#endif
