/* SPDX-License-Identifier: BSD-3-Clause */
/* JudyL from an area's start to its record, under a pthread rwlock. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <Judy.h>

#include "loops.h"

struct map {
	pthread_rwlock_t lock;
	Pvoid_t judy;
};

static void put(struct map *map, const struct bench_area *area)
{
	struct bench_area *copy = malloc(sizeof(*copy));
	PPvoid_t slot = JudyLIns(&map->judy, area->start, PJE0);

	if (!copy || slot == PPJERR)
		bench_die("out of memory");
	*copy = *area;
	*slot = copy;
}

static void *build(const struct bench_areas *areas, const uint32_t *order)
{
	struct map *map = aligned_alloc(64, 128);
	size_t i;

	if (!map)
		bench_die("out of memory");
	pthread_rwlock_init(&map->lock, NULL);
	map->judy = NULL;
	for (i = 0; i < areas->count; i++)
		put(map, &areas->area[order ? order[i] : i]);
	return map;
}

static void destroy(void *arg)
{
	struct map *map = arg;
	Word_t start = 0;
	PPvoid_t slot;

	for (slot = JudyLFirst(map->judy, &start, PJE0); slot;
	     slot = JudyLNext(map->judy, &start, PJE0))
		free(*slot);
	JudyLFreeArray(&map->judy, PJE0);
	pthread_rwlock_destroy(&map->lock);
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
	Word_t start = addr;
	PPvoid_t slot = JudyLLast(((struct map *)map)->judy, &start, PJE0);
	const struct bench_area *area;

	if (!slot)
		return false;
	area = *slot;
	return bench_take(area, addr, found);
}

BENCH_LOOPS(judy, , section_open, section_close, look)

static void map_area(void *arg, const struct bench_area *area)
{
	struct map *map = arg;

	pthread_rwlock_wrlock(&map->lock);
	put(map, area);
	pthread_rwlock_unlock(&map->lock);
}

static void unmap_area(void *arg, const struct bench_area *area)
{
	struct map *map = arg;
	PPvoid_t slot;

	pthread_rwlock_wrlock(&map->lock);
	slot = JudyLGet(map->judy, area->start, PJE0);
	free(*slot);
	JudyLDel(&map->judy, area->start, PJE0);
	pthread_rwlock_unlock(&map->lock);
}

static void replace(void *arg, const struct bench_area *area)
{
	struct map *map = arg;

	pthread_rwlock_wrlock(&map->lock);
	memcpy(*JudyLGet(map->judy, area->start, PJE0), area, sizeof(*area));
	pthread_rwlock_unlock(&map->lock);
}

static void protect(void *arg, const struct bench_area *area, uint32_t flags)
{
	struct bench_area changed = *area;

	changed.flags = flags;
	replace(arg, &changed);
}

static uint64_t iterate(void *arg)
{
	struct map *map = arg;
	Word_t start = 0;
	uint64_t sum = 0;
	PPvoid_t slot;

	section_open(map);
	for (slot = JudyLFirst(map->judy, &start, PJE0); slot;
	     slot = JudyLNext(map->judy, &start, PJE0))
		sum += ((struct bench_area *)*slot)->hva;
	section_close(map);
	return sum;
}

const struct bench_contender bench_judy = {
	.name = "judy-rwlock", .concurrent = true,
	.build = build, .destroy = destroy,
	BENCH_LOOPS_OF(judy), .batch = judy_batch,
	.section = judy_section,
	.map = map_area, .unmap = unmap_area,
	.replace = replace, .protect = protect,
	.iterate = iterate,
};
