/* SPDX-License-Identifier: BSD-3-Clause */
/* What an embedder asks for, in bytes and areas, as granules and items. */
#ifndef GPMM_CORE_REQUEST_H
#define GPMM_CORE_REQUEST_H

#include <errno.h>
#include <string.h>

#include <gpmm/host.h>

#include "core/set.h"
#include "util/range.h"

/* From bytes to granules; -EINVAL where the range is off the set's granule,
 * empty or wraps. */
static inline int range_to_granules(const struct gpmm_set *set, uint64_t start,
				    uint64_t size, struct span *span)
{
	unsigned int shift = set->txn.was.shift;

	if (!range_to_span(start, size, span) ||
	    !is_aligned(start | size, UINT64_C(1) << shift))
		return -EINVAL;
	span->first >>= shift;
	span->last >>= shift;
	return 0;
}

/* Where the area's host memory begins; 0 where it has not that much. */
static inline uintptr_t area_address(const struct gpmm_area *area)
{
	uintptr_t base = (uintptr_t)gpmm_host_addr(area->host);
	uintptr_t at = area->hva ? (uintptr_t)area->hva : base;
	uint64_t size = gpmm_host_size(area->host);

	return at - base < size && area->size <= size - (at - base) ? at : 0;
}

/*
 * A pointer that the caller has just set, maybe to NULL: gcc writes fields of
 * zeroes in vectors, which begin or end amid a pointer. What is not in one half
 * of one store can only be loaded once that has reached the cache, behind all
 * that was stored before (map_one(), plan.c); the halves of a pointer can. A
 * third of a writer's time was there (perf, pairs of bench/bench_set_change at
 * 64 areas).
 */
static inline void *just_set(const void *field)
{
#if defined(__x86_64__) && !defined(__ILP32__)
	uint32_t low, high;

	memcpy(&low, field, sizeof(low));
	memcpy(&high, (const char *)field + sizeof(low), sizeof(high));
	/* Lest they become one load again. */
	__asm__("" : "+r" (low));
	return (void *)(low | (uintptr_t)high << 32);
#else
	void *pointer;

	memcpy(&pointer, field, sizeof(pointer));
	return pointer;
#endif
}

/* Check what the embedder wants mapped, and make an item of it. */
static inline int area_to_item(const struct gpmm_set *set,
			       const struct gpmm_area *area,
			       struct item *item)
{
	struct gpmm_backend *be = just_set(&area->backend);
	struct span span;

	if (range_to_granules(set, area->start, area->size, &span) ||
	    area->reserved || (area->hva && !area->host))
		return -EINVAL;
	if (be && !gpmm__backend_is_valid(be))
		return -EINVAL;
	/* One by one: a literal would clear it all first (single.c). */
	item->first = span.first;
	item->last = span.last;
	item->host = area->host;
	item->backend = be ? be : set->backend;
	item->flags = area->flags;
	item->touched = true;
	item->carried = false;
	if (!area->host) {
		item->link = (uintptr_t)just_set(&area->owner);
		return 0;
	}
	item->link = area_address(area);
	if (!item->link)
		return -EINVAL;
	item->link -= area->start;
	return 0;
}

#endif
