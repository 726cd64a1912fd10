/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bitmap of pages that any thread may set bits in while one takes them out.
 * A second level has a bit for each word that may have any, so that a sparse
 * map is walked fast and untouched memory stays untouched.
 *
 * A  A bit is set in its word before its word's bit is set above, and taken
 *    out above before it is taken out of the word: a bit that a walk misses
 *    is announced to the next one.
 */
#ifndef GPMM_DIRTY_PAGE_MAP_H
#define GPMM_DIRTY_PAGE_MAP_H

#include <stdbool.h>
#include <stdint.h>

struct page_map {
	uint64_t *bits;
	uint64_t *summary;
	uint64_t pages;
};

/* Return: 0 or -ENOMEM. Memory is used where it is touched. */
int gpmm__page_map_init(struct page_map *map, uint64_t pages);
void gpmm__page_map_fini(struct page_map *map);

/* Set bits of word @index. */
void gpmm__page_map_or(struct page_map *map, uint64_t index, uint64_t bits);

/* Set @count bits from @first on. */
void gpmm__page_map_mark(struct page_map *map, uint64_t first, uint64_t count);

/*
 * Take the bits of the first word at or after *@index that has any in the
 * pages [first, last]; *@index becomes its number.
 *
 * Return: the bits, or 0 where there is none up to @last.
 */
uint64_t gpmm__page_map_take(struct page_map *map, uint64_t *index,
			     uint64_t first, uint64_t last);

#endif
