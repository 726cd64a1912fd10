/* SPDX-License-Identifier: BSD-3-Clause */
/* The lookup: from a root and an address to an area. */
#ifndef GPMM_CORE_FIND_H
#define GPMM_CORE_FIND_H

#include <stdint.h>

#include <gpmm/area.h>
#include <gpmm/hit.h>

#include "core/splice.h"

/* @shift: log2 of the set's granule */
typedef struct gpmm_hit gpmm__find_fn(uintptr_t root, unsigned int shift,
				      uint64_t addr);
/* Many lookups side by side, each waiting for memory beside the others. */
typedef void gpmm__find_each_fn(uintptr_t root, unsigned int shift,
				const uint64_t *addr, size_t n,
				struct gpmm_hit *hit);

struct find_path {
	gpmm__find_fn *find;
	gpmm__find_each_fn *find_each;
	/*
	 * The quickest function for trees of this one's form. It answers for
	 * any other, too.
	 */
	gpmm__find_fn *(*way)(uintptr_t root);
	const struct splice_path *splice;	/* how writers change nodes */
};

/* find.c's paths, by the vectors they use; the widest that there is wins. */
enum find_width {
	FIND_PORTABLE,
	FIND_SSE2,
	FIND_AVX2,
	FIND_AVX512,
};

extern const struct find_path gpmm__find_paths[]
	__attribute__((visibility("hidden")));

/* The widest that the processor can take. */
enum find_width gpmm__find_widest(void);

/*
 * The path chosen once, as the library is loaded. GPMM_SIMD in the environment
 * may narrow it ("portable", "sse2", "avx2"), for tests and valgrind.
 */
extern const struct find_path *gpmm__find_path
	__attribute__((visibility("hidden")));

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
