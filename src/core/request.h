/* SPDX-License-Identifier: BSD-3-Clause */
/* What an embedder asks for, in bytes and areas, as granules and items. */
#ifndef GPMM_CORE_REQUEST_H
#define GPMM_CORE_REQUEST_H

#include <errno.h>

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

/* Check what the embedder wants mapped, and make an item of it. */
static inline int area_to_item(const struct gpmm_set *set,
			       const struct gpmm_area *area,
			       struct item *item)
{
	uint64_t link = (uintptr_t)area->owner;
	struct span span;

	if (range_to_granules(set, area->start, area->size, &span) ||
	    area->reserved || (area->hva && !area->host))
		return -EINVAL;
	*item = (struct item){
		.first = span.first,
		.last = span.last,
		.host = area->host,
		.backend = area->backend ? area->backend : set->backend,
		.flags = area->flags,
		.touched = true,
	};
	if (area->backend && !gpmm__backend_is_valid(area->backend))
		return -EINVAL;
	if (area->host) {
		link = area_address(area);
		if (!link)
			return -EINVAL;
		link -= area->start;
	}
	item->link = link;
	return 0;
}

#endif
