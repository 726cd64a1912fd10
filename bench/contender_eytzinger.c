/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bound: a static array in Eytzinger's (breadth-first) order, branchless,
 * four levels prefetched ahead. No concurrency, no changes.
 */
#include <stdlib.h>

#include "loops.h"

struct map {
	size_t count;
	void *key;		/* from 1 */
	struct bench_area *area;	/* in the keys' order; 0 is empty */
};

static size_t place(struct map *map, const struct bench_areas *areas,
		    bool narrow, size_t from, size_t k)
{
	if (k > map->count)
		return from;
	from = place(map, areas, narrow, from, 2 * k);
	map->area[k] = areas->area[from];
	if (narrow)
		((int32_t *)map->key)[k] =
			(int32_t)(areas->area[from].start / BENCH_PAGE);
	else
		((int64_t *)map->key)[k] = (int64_t)areas->area[from].start;
	return place(map, areas, narrow, from + 1, 2 * k + 1);
}

static void *build(const struct bench_areas *areas, bool narrow)
{
	struct map *map = bench_alloc(sizeof(*map));

	map->count = areas->count;
	map->key = bench_alloc((map->count + 1) * (narrow ? 4 : 8));
	map->area = bench_alloc((map->count + 1) * sizeof(*map->area));
	map->area[0] = (struct bench_area){ .size = 0 };
	place(map, areas, narrow, 0, 1);
	return map;
}

static void *build_64(const struct bench_areas *areas, const uint32_t *order)
{
	(void)order;
	return build(areas, false);
}

static void *build_32(const struct bench_areas *areas, const uint32_t *order)
{
	(void)order;
	return build(areas, true);
}

static void destroy(void *arg)
{
	struct map *map = arg;

	free(map->key);
	free(map->area);
	free(map);
}

static inline bool take(const struct map *map, size_t k, uint64_t addr,
			struct bench_found *found)
{
	const struct bench_area *area;

	/* Undo the turns to the left at the end, and the last to the right. */
	k >>= __builtin_ctzll(k) + 1;
	area = &map->area[k];
	return bench_take(area, addr, found);
}

static inline bool look_64(void *arg, uint64_t addr, struct bench_found *found)
{
	const struct map *map = arg;
	const int64_t *key = map->key;
	size_t k = 1;

	while (k <= map->count) {
		__builtin_prefetch(&key[k * 8]);
		k = 2 * k + (key[k] <= (int64_t)addr);
	}
	return take(map, k, addr, found);
}

static inline bool look_32(void *arg, uint64_t addr, struct bench_found *found)
{
	const struct map *map = arg;
	int32_t page = (int32_t)(addr / BENCH_PAGE);
	const int32_t *key = map->key;
	size_t k = 1;

	while (k <= map->count) {
		__builtin_prefetch(&key[k * 16]);
		k = 2 * k + (key[k] <= page);
	}
	return take(map, k, addr, found);
}

static inline void nothing(void *map)
{
	(void)map;
}

BENCH_LOOPS(eytzinger_64, , nothing, nothing, look_64)
BENCH_LOOPS(eytzinger_32, , nothing, nothing, look_32)

const struct bench_contender bench_eytzinger_64 = {
	.name = "eytzinger.1.64.scalar", .bound = true,
	.build = build_64, .destroy = destroy, BENCH_LOOPS_OF(eytzinger_64),
};

const struct bench_contender bench_eytzinger_32 = {
	.name = "eytzinger.1.32.scalar", .bound = true,
	.build = build_32, .destroy = destroy, BENCH_LOOPS_OF(eytzinger_32),
};
