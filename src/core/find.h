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

/*
 * @shift: log2 of the set's granule
 * @area: receives the area that contains @addr; may be NULL
 */
typedef bool gpmm__find_fn(uintptr_t root, unsigned int shift, uint64_t addr,
			   struct gpmm_area *area);

/*
 * The way chosen once, as the library is loaded. GPMM_SIMD in the environment
 * may narrow it ("portable", "sse2", "avx2"), for tests and valgrind.
 */
extern gpmm__find_fn *gpmm__find __attribute__((visibility("hidden")));

/* The widest path that the processor has. */
enum find_path gpmm__find_widest(void);

/* A lookup by a path of the caller's choice, which the processor has. */
bool gpmm__find_by(enum find_path path, uintptr_t root, unsigned int shift,
		   uint64_t addr, struct gpmm_area *area);

/* What embedders see; @start and @size in bytes. */
static inline void fill_area(struct gpmm_area *area, uint64_t start,
			     uint64_t size, uint32_t flags, uint64_t link,
			     struct gpmm_host *host,
			     struct gpmm_backend *backend)
{
	area->start = start;
	area->size = size;
	area->flags = flags;
	area->reserved = 0;
	area->backend = backend;
	area->host = host;
	area->hva = host ? (void *)(uintptr_t)(link + start) : NULL;
	area->owner = host ? NULL : (void *)(uintptr_t)link;
}

static inline void item_to_area(const struct item *item, unsigned int shift,
				struct gpmm_area *area)
{
	fill_area(area, item->first << shift,
		  (item->last - item->first + 1) << shift, item->flags,
		  item->link, item->host, item->backend);
}

#endif
