/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A sorted array with a branchless binary search: what VMMs have, done well.
 * Keys stand apart from records.
 */
#ifndef BENCH_SORTED_H
#define BENCH_SORTED_H

#include <stdlib.h>
#include <string.h>

#include "loops.h"

struct sorted {
	size_t count;
	uint64_t *key;		/* starts */
	struct bench_area *area;
};

/* How many areas start at @addr or below. */
static inline size_t sorted_rank(const struct sorted *sorted, uint64_t addr)
{
	const uint64_t *base = sorted->key;
	size_t left = sorted->count, half;

	if (!left)
		return 0;
	while (left > 1) {
		half = left / 2;
		/* A multiplication by 0 or 1 is never made a branch. */
		base += (base[half - 1] <= addr) * half;
		left -= half;
	}
	return (size_t)(base - sorted->key) + (*base <= addr);
}

static inline bool sorted_find(const struct sorted *sorted, uint64_t addr,
			       struct bench_found *found)
{
	size_t rank = sorted_rank(sorted, addr);

	return rank && bench_take(&sorted->area[rank - 1], addr, found);
}

/*
 * The same by indices, of which gcc makes conditional moves: faster, but no
 * compiler promises it (clang 14 makes branches).
 */
static inline bool sorted_find_cmov(const struct sorted *sorted, uint64_t addr,
				    struct bench_found *found)
{
	const uint64_t *key = sorted->key;
	size_t left, half, at = 0;

	if (!sorted->count)
		return false;
	for (left = sorted->count; left > 1; left -= half) {
		half = left / 2;
		at = key[at + half - 1] <= addr ? at + half : at;
	}
	at += key[at] <= addr;
	return at && bench_take(&sorted->area[at - 1], addr, found);
}

/* One place per area of room is the caller's care. */
static inline void sorted_insert(struct sorted *sorted,
				 const struct bench_area *area)
{
	size_t at = sorted_rank(sorted, area->start);
	size_t rest = sorted->count - at;

	memmove(&sorted->key[at + 1], &sorted->key[at],
		rest * sizeof(*sorted->key));
	memmove(&sorted->area[at + 1], &sorted->area[at],
		rest * sizeof(*sorted->area));
	sorted->key[at] = area->start;
	sorted->area[at] = *area;
	sorted->count++;
}

static inline void sorted_remove(struct sorted *sorted, uint64_t start)
{
	size_t at = sorted_rank(sorted, start) - 1;
	size_t rest = --sorted->count - at;

	memmove(&sorted->key[at], &sorted->key[at + 1],
		rest * sizeof(*sorted->key));
	memmove(&sorted->area[at], &sorted->area[at + 1],
		rest * sizeof(*sorted->area));
}

static inline struct bench_area *sorted_at(struct sorted *sorted,
					   uint64_t start)
{
	return &sorted->area[sorted_rank(sorted, start) - 1];
}

/* The scan that an augmented tree is to beat. */
static inline uint64_t sorted_find_free(const struct sorted *sorted,
					uint64_t size)
{
	uint64_t end = 0;
	size_t i;

	for (i = 0; i < sorted->count; i++) {
		if (sorted->area[i].start - end >= size)
			return end;
		end = sorted->area[i].start + sorted->area[i].size;
	}
	return end;
}

static inline uint64_t sorted_iterate(const struct sorted *sorted)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < sorted->count; i++)
		sum += sorted->area[i].hva;
	return sum;
}

/* Room for @count and one more, in one piece, empty. */
static inline struct sorted *sorted_alloc(size_t count)
{
	size_t keys = (count + 1) * sizeof(uint64_t);
	size_t areas = (count + 1) * sizeof(struct bench_area);
	struct sorted *sorted;

	keys = (keys + 63) & ~(size_t)63;
	areas = (areas + 63) & ~(size_t)63;
	sorted = bench_alloc(64 + keys + areas);
	sorted->count = 0;
	sorted->key = (uint64_t *)((char *)sorted + 64);
	sorted->area = (struct bench_area *)((char *)sorted->key + keys);
	return sorted;
}

static inline void sorted_fill(struct sorted *sorted,
			       const struct bench_areas *areas)
{
	size_t i;

	for (i = 0; i < areas->count; i++) {
		sorted->key[i] = areas->area[i].start;
		sorted->area[i] = areas->area[i];
	}
	sorted->count = areas->count;
}

#endif
