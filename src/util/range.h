/* SPDX-License-Identifier: BSD-3-Clause */
/* Range arithmetic that is right at both ends of the 64-bit space. */
#ifndef GPMM_UTIL_RANGE_H
#define GPMM_UTIL_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#include <gpmm/types.h>

/* Inside the library a range is its first and its last byte. */
struct span {
	uint64_t first;
	uint64_t last;		/* inclusive */
};

/* False where the range is empty or runs past 2^64. */
static inline bool range_to_span(uint64_t start, uint64_t size,
				 struct span *span)
{
	uint64_t last = start + (size - 1);

	if (!size || last < start)
		return false;
	*span = (struct span){ start, last };
	return true;
}

/* The same for a range to look in, where GPMM_RANGE_ALL is everything. */
static inline bool limit_to_span(struct gpmm_range range, struct span *span)
{
	if (!range.start && range.size == UINT64_MAX) {
		*span = (struct span){ 0, UINT64_MAX };
		return true;
	}
	return range_to_span(range.start, range.size, span);
}

static inline bool span_overlaps(struct span a, struct span b)
{
	return a.first <= b.last && b.first <= a.last;
}

static inline bool span_contains(struct span outer, struct span inner)
{
	return outer.first <= inner.first && inner.last <= outer.last;
}

static inline bool is_power_of_two(uint64_t n)
{
	return n && !(n & (n - 1));
}

/* @align: a power of two */
static inline bool is_aligned(uint64_t n, uint64_t align)
{
	return !(n & (align - 1));
}

static inline uint64_t align_down(uint64_t n, uint64_t align)
{
	return n & ~(align - 1);
}

/* False where the result does not fit in 64 bits. */
static inline bool align_up(uint64_t n, uint64_t align, uint64_t *up)
{
	*up = align_down(n + (align - 1), align);
	return *up >= n;
}

#endif
