/* SPDX-License-Identifier: BSD-3-Clause */
/* The lookup: from a root and an address to an area. */
#ifndef GPMM_CORE_FIND_H
#define GPMM_CORE_FIND_H

#include <stdbool.h>
#include <stdint.h>

#include <gpmm/area.h>

#include "core/node.h"

/* Which of find.c's paths the processor can take; the widest wins. */
enum find_path {
	FIND_PORTABLE,
	FIND_SSE2,
	FIND_AVX2,
	FIND_AVX512,
};

/* Chosen once, as the library is loaded; GPMM_SIMD in the environment may
 * narrow it ("portable", "sse2", "avx2"), for tests and valgrind. */
extern enum find_path gpmm__find_path;

/*
 * @shift: log2 of the set's granule
 * @area: receives the area that contains @addr; may be NULL
 */
bool gpmm__find(uintptr_t root, unsigned int shift, uint64_t addr,
		struct gpmm_area *area);

/* The same on a path of the caller's choice, which the processor has. */
bool gpmm__find_by(enum find_path path, uintptr_t root, unsigned int shift,
		   uint64_t addr, struct gpmm_area *area);

/* An item as embedders see it. */
static inline void item_to_area(const struct item *item, unsigned int shift,
				struct gpmm_area *area)
{
	uint64_t start = item->first << shift;
	uint64_t link = item->link + (item->host ? start : 0);

	area->start = start;
	area->size = (item->last - item->first + 1) << shift;
	area->flags = item->flags;
	area->reserved = 0;
	area->backend = item->backend;
	area->host = item->host;
	area->hva = item->host ? (void *)(uintptr_t)link : NULL;
	area->owner = item->host ? NULL : (void *)(uintptr_t)link;
}

#endif
