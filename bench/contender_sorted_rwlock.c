/* SPDX-License-Identifier: BSD-3-Clause */
/* A sorted array under a pthread rwlock, searched in two ways. */
#include <pthread.h>

#include "sorted.h"

struct map {
	pthread_rwlock_t lock;
	struct sorted *sorted;
};

static void *build(const struct bench_areas *areas, const uint32_t *order)
{
	struct map *map = aligned_alloc(64, 128);

	(void)order;	/* an array is the same in any order */
	if (!map)
		bench_die("out of memory");
	pthread_rwlock_init(&map->lock, NULL);
	map->sorted = sorted_alloc(areas->count);
	sorted_fill(map->sorted, areas);
	return map;
}

static void destroy(void *arg)
{
	struct map *map = arg;

	pthread_rwlock_destroy(&map->lock);
	free(map->sorted);
	free(map);
}

static inline void section_open(void *map)
{
	pthread_rwlock_rdlock(&((struct map *)map)->lock);
}

static inline void section_close(void *map)
{
	pthread_rwlock_unlock(&((struct map *)map)->lock);
}

static inline bool look(void *map, uint64_t addr, struct bench_found *found)
{
	return sorted_find(((struct map *)map)->sorted, addr, found);
}

static inline bool look_cmov(void *map, uint64_t addr,
			     struct bench_found *found)
{
	return sorted_find_cmov(((struct map *)map)->sorted, addr, found);
}

BENCH_LOOPS(rwlock, , section_open, section_close, look)
BENCH_LOOPS(cmov, , section_open, section_close, look_cmov)

static void map_area(void *arg, const struct bench_area *area)
{
	struct map *map = arg;

	pthread_rwlock_wrlock(&map->lock);
	sorted_insert(map->sorted, area);
	pthread_rwlock_unlock(&map->lock);
}

static void unmap_area(void *arg, const struct bench_area *area)
{
	struct map *map = arg;

	pthread_rwlock_wrlock(&map->lock);
	sorted_remove(map->sorted, area->start);
	pthread_rwlock_unlock(&map->lock);
}

static void replace(void *arg, const struct bench_area *area)
{
	struct map *map = arg;

	pthread_rwlock_wrlock(&map->lock);
	*sorted_at(map->sorted, area->start) = *area;
	pthread_rwlock_unlock(&map->lock);
}

static void protect(void *arg, const struct bench_area *area, uint32_t flags)
{
	struct map *map = arg;

	pthread_rwlock_wrlock(&map->lock);
	sorted_at(map->sorted, area->start)->flags = flags;
	pthread_rwlock_unlock(&map->lock);
}

static uint64_t find_free(void *map, uint64_t size)
{
	uint64_t at;

	section_open(map);
	at = sorted_find_free(((struct map *)map)->sorted, size);
	section_close(map);
	return at;
}

static uint64_t iterate(void *map)
{
	uint64_t sum;

	section_open(map);
	sum = sorted_iterate(((struct map *)map)->sorted);
	section_close(map);
	return sum;
}

const struct bench_contender bench_sorted_rwlock = {
	.name = "sorted-rwlock", .concurrent = true,
	.build = build, .destroy = destroy,
	BENCH_LOOPS_OF(rwlock), .batch = rwlock_batch,
	.section = rwlock_section,
	.map = map_area, .unmap = unmap_area,
	.replace = replace, .protect = protect,
	.find_free = find_free, .iterate = iterate,
};

/* For lookups only: all else is the same. */
const struct bench_contender bench_sorted_cmov_rwlock = {
	.name = "sorted-cmov-rwlock",
	.build = build, .destroy = destroy,
	BENCH_LOOPS_OF(cmov), .batch = cmov_batch,
};
