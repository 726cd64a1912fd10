/* SPDX-License-Identifier: BSD-3-Clause */
/* glibc's tsearch (a red-black tree of pointers) under a pthread rwlock. */
#include "config.h"

#include <pthread.h>
#include <search.h>
#include <stdlib.h>

#include "loops.h"

struct map {
	pthread_rwlock_t lock;
	void *root;
};

/* Areas that meet are equal: a search for one byte finds what holds it. */
static int compare(const void *a, const void *b)
{
	const struct bench_area *x = a, *y = b;

	if (x->start + x->size <= y->start)
		return -1;
	return y->start + y->size <= x->start;
}

static void put(struct map *map, const struct bench_area *area)
{
	struct bench_area *copy = malloc(sizeof(*copy));

	if (!copy)
		bench_die("out of memory");
	*copy = *area;
	if (!tsearch(copy, &map->root, compare))
		bench_die("out of memory");
}

static void *build(const struct bench_areas *areas, const uint32_t *order)
{
	struct map *map = aligned_alloc(64, 128);
	size_t i;

	if (!map)
		bench_die("out of memory");
	pthread_rwlock_init(&map->lock, NULL);
	map->root = NULL;
	for (i = 0; i < areas->count; i++)
		put(map, &areas->area[order ? order[i] : i]);
	return map;
}

static void destroy(void *arg)
{
	struct map *map = arg;

	tdestroy(map->root, free);
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

static struct bench_area **slot_of(void *arg, uint64_t addr)
{
	const struct bench_area byte = { .start = addr, .size = 1 };
	struct map *map = arg;

	return tfind(&byte, &map->root, compare);
}

static inline bool look(void *map, uint64_t addr, struct bench_found *found)
{
	struct bench_area **slot = slot_of(map, addr);

	return slot && bench_take(*slot, addr, found);
}

BENCH_LOOPS(tsearch, , section_open, section_close, look)

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
	struct bench_area *copy;

	pthread_rwlock_wrlock(&map->lock);
	copy = *slot_of(map, area->start);
	tdelete(copy, &map->root, compare);
	free(copy);
	pthread_rwlock_unlock(&map->lock);
}

static void replace(void *arg, const struct bench_area *area)
{
	struct map *map = arg;

	pthread_rwlock_wrlock(&map->lock);
	**slot_of(map, area->start) = *area;
	pthread_rwlock_unlock(&map->lock);
}

static void protect(void *arg, const struct bench_area *area, uint32_t flags)
{
	struct bench_area changed = *area;

	changed.flags = flags;
	replace(arg, &changed);
}

static uint64_t sum_all;	/* twalk passes no argument of ours */

static void add(const void *node, VISIT which, int depth)
{
	(void)depth;
	if (which == postorder || which == leaf)
		sum_all += (*(struct bench_area *const *)node)->hva;
}

static uint64_t iterate(void *arg)
{
	struct map *map = arg;

	sum_all = 0;
	section_open(map);
	twalk(map->root, add);
	section_close(map);
	return sum_all;
}

const struct bench_contender bench_tsearch = {
	.name = "tsearch-rwlock", .concurrent = true,
	.build = build, .destroy = destroy,
	BENCH_LOOPS_OF(tsearch), .batch = tsearch_batch,
	.section = tsearch_section,
	.map = map_area, .unmap = unmap_area,
	.replace = replace, .protect = protect,
	.iterate = iterate,
};
