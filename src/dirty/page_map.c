/* SPDX-License-Identifier: BSD-3-Clause */
#include "dirty/page_map.h"

#include <errno.h>

#include "util/alloc.h"

int gpmm__page_map_init(struct page_map *map, uint64_t pages)
{
	uint64_t words = (pages - 1) / 64 + 1;

	if (words > SIZE_MAX / sizeof(uint64_t) / 2)
		return -ENOMEM;
	map->pages = pages;
	map->bits = gpmm__zalloc(words * sizeof(uint64_t));
	map->summary = gpmm__zalloc(((words - 1) / 64 + 1) * sizeof(uint64_t));
	if (map->bits && map->summary)
		return 0;
	gpmm__page_map_fini(map);
	return -ENOMEM;
}

void gpmm__page_map_fini(struct page_map *map)
{
	gpmm__free(map->bits);
	gpmm__free(map->summary);
}

/* Say above that word @index has bits. A bit already there costs no write. */
static void announce(struct page_map *map, uint64_t index)
{
	uint64_t *above = &map->summary[index / 64];
	uint64_t bit = UINT64_C(1) << index % 64;

	if (!(__atomic_load_n(above, __ATOMIC_SEQ_CST) & bit))
		__atomic_fetch_or(above, bit, __ATOMIC_SEQ_CST);
}

/*
 * The word is written even where it has the bits: that makes what the caller
 * wrote to the page visible to whoever takes them.
 */
void gpmm__page_map_or(struct page_map *map, uint64_t index, uint64_t bits)
{
	if (!bits)
		return;
	__atomic_fetch_or(&map->bits[index], bits, __ATOMIC_SEQ_CST);
	announce(map, index);
}

/* Bits @from to @to of a word, both included. */
static uint64_t mask(unsigned int from, unsigned int to)
{
	return ~UINT64_C(0) << from & ~UINT64_C(0) >> (63 - to);
}

void gpmm__page_map_mark(struct page_map *map, uint64_t first, uint64_t count)
{
	uint64_t last = first + count - 1;
	uint64_t index;

	for (index = first / 64; index <= last / 64; index++)
		gpmm__page_map_or(map, index,
				  mask(index == first / 64 ? first % 64 : 0,
				       index == last / 64 ? last % 64 : 63));
}

/* Take bits out of a word; where some stay, say so above again. */
static uint64_t take_word(struct page_map *map, uint64_t index, uint64_t first,
			  uint64_t last)
{
	uint64_t wanted = mask(index == first / 64 ? first % 64 : 0,
			       index == last / 64 ? last % 64 : 63);
	uint64_t bits = __atomic_fetch_and(&map->bits[index], ~wanted,
					   __ATOMIC_SEQ_CST);

	if (bits & ~wanted)
		announce(map, index);
	return bits & wanted;
}

uint64_t gpmm__page_map_take(struct page_map *map, uint64_t *index,
			     uint64_t first, uint64_t last)
{
	uint64_t at = *index;

	while (at <= last / 64) {
		uint64_t *above = &map->summary[at / 64];
		uint64_t some = __atomic_load_n(above, __ATOMIC_SEQ_CST) &
				~UINT64_C(0) << at % 64;
		uint64_t bits;

		if (!some) {
			at = (at / 64 + 1) * 64;
			continue;
		}
		at = at / 64 * 64 + __builtin_ctzll(some);
		if (at > last / 64)
			break;
		__atomic_fetch_and(above, ~(UINT64_C(1) << at % 64),
				   __ATOMIC_SEQ_CST);
		bits = take_word(map, at, first, last);
		if (bits) {
			*index = at;
			return bits;
		}
		at++;
	}
	return 0;
}
