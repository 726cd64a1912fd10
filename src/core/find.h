/* SPDX-License-Identifier: BSD-3-Clause */
/* The lookup: from a root and an address to an area. */
#ifndef GPMM_CORE_FIND_H
#define GPMM_CORE_FIND_H

#include <stdint.h>

#include <gpmm/area.h>
#include <gpmm/hit.h>

#include "core/node.h"

/* Which of find.c's paths the processor can take; the widest wins. */
enum find_path {
	FIND_PORTABLE,
	FIND_SSE2,
	FIND_AVX2,
	FIND_AVX512,
};

/* @shift: log2 of the set's granule */
typedef struct gpmm_hit gpmm__find_fn(uintptr_t root, unsigned int shift,
				      uint64_t addr);

/*
 * The way chosen once, as the library is loaded. GPMM_SIMD in the environment
 * may narrow it ("portable", "sse2", "avx2"), for tests and valgrind.
 */
extern gpmm__find_fn *gpmm__find __attribute__((visibility("hidden")));

/* Many lookups side by side, each waiting for memory beside the others. */
typedef void gpmm__find_each_fn(uintptr_t root, unsigned int shift,
				const uint64_t *addr, size_t n,
				struct gpmm_hit *hit);
extern gpmm__find_each_fn *gpmm__find_each
	__attribute__((visibility("hidden")));

/* The widest path that the processor has. */
enum find_path gpmm__find_widest(void);

/* A lookup by a path of the caller's choice, which the processor has. */
struct gpmm_hit gpmm__find_by(enum find_path path, uintptr_t root,
			      unsigned int shift, uint64_t addr);
void gpmm__find_each_by(enum find_path path, uintptr_t root,
			unsigned int shift, const uint64_t *addr, size_t n,
			struct gpmm_hit *hit);

static inline void item_to_area(const struct item *item, unsigned int shift,
				struct gpmm_area *area)
{
	uint64_t start = item->first << shift;

	*area = (struct gpmm_area){
		.start = start,
		.size = (item->last - item->first + 1) << shift,
		.flags = item->flags,
		.backend = item->backend,
		.host = item->host,
		.hva = item->host ? (void *)(uintptr_t)(item->link + start) :
				    NULL,
		.owner = item->host ? NULL : (void *)(uintptr_t)item->link,
	};
}

#endif
