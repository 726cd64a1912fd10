/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A sorted array copied for every change and published under liburcu (memb),
 * freed by call_rcu: what the RCU textbook says for read-mostly tables.
 */
#include <pthread.h>

#define URCU_INLINE_SMALL_FUNCTIONS
#include <urcu/urcu-memb.h>
#include <urcu/static/urcu-memb.h>

#include "sorted.h"

/* Copies that wait for a grace period; beyond, the writer waits. */
#define BACKLOG_BYTES (64u << 20)

struct version {
	struct rcu_head rcu;	/* first: cast back from it */
	struct sorted *sorted;
};

struct map {
	struct sorted *sorted;
	pthread_mutex_t lock;
	size_t backlog;		/* bytes */
};

static void free_version(struct rcu_head *rcu)
{
	struct version *version = (struct version *)rcu;

	free(version->sorted);
	free(version);
}

static size_t sorted_bytes(const struct sorted *sorted)
{
	return sorted->count * (sizeof(struct bench_area) + sizeof(uint64_t));
}

static void publish(struct map *map, struct sorted *next)
{
	struct version *version = malloc(sizeof(*version));

	if (!version)
		bench_die("out of memory");
	version->sorted = map->sorted;
	__atomic_store_n(&map->sorted, next, __ATOMIC_RELEASE);
	map->backlog += sorted_bytes(next);
	urcu_memb_call_rcu(&version->rcu, free_version);
	if (map->backlog > BACKLOG_BYTES) {
		urcu_memb_barrier();
		map->backlog = 0;
	}
}

static struct sorted *copy(const struct map *map)
{
	const struct sorted *old = map->sorted;
	struct sorted *next = sorted_alloc(old->count + 1);

	next->count = old->count;
	memcpy(next->key, old->key, old->count * sizeof(*old->key));
	memcpy(next->area, old->area, old->count * sizeof(*old->area));
	return next;
}

static void *build(const struct bench_areas *areas, const uint32_t *order)
{
	struct map *map = aligned_alloc(64, 128);

	(void)order;
	if (!map)
		bench_die("out of memory");
	pthread_mutex_init(&map->lock, NULL);
	map->sorted = sorted_alloc(areas->count);
	map->backlog = 0;
	sorted_fill(map->sorted, areas);
	return map;
}

static void settle(void *arg)
{
	struct map *map = arg;

	urcu_memb_barrier();
	map->backlog = 0;
}

static void destroy(void *arg)
{
	struct map *map = arg;

	settle(map);
	pthread_mutex_destroy(&map->lock);
	free(map->sorted);
	free(map);
}

static inline void section_open(void *map)
{
	(void)map;
	_urcu_memb_read_lock();
}

static inline void section_close(void *map)
{
	(void)map;
	_urcu_memb_read_unlock();
}

static inline bool look(void *map, uint64_t addr, struct bench_found *found)
{
	return sorted_find(__atomic_load_n(&((struct map *)map)->sorted,
					   __ATOMIC_ACQUIRE), addr, found);
}

BENCH_LOOPS(rcu, , section_open, section_close, look)

static void map_area(void *arg, const struct bench_area *area)
{
	struct map *map = arg;
	struct sorted *next;

	pthread_mutex_lock(&map->lock);
	next = copy(map);
	sorted_insert(next, area);
	publish(map, next);
	pthread_mutex_unlock(&map->lock);
}

static void unmap_area(void *arg, const struct bench_area *area)
{
	struct map *map = arg;
	struct sorted *next;

	pthread_mutex_lock(&map->lock);
	next = copy(map);
	sorted_remove(next, area->start);
	publish(map, next);
	pthread_mutex_unlock(&map->lock);
}

static void replace(void *arg, const struct bench_area *area)
{
	struct map *map = arg;
	struct sorted *next;

	pthread_mutex_lock(&map->lock);
	next = copy(map);
	*sorted_at(next, area->start) = *area;
	publish(map, next);
	pthread_mutex_unlock(&map->lock);
}

static void protect(void *arg, const struct bench_area *area, uint32_t flags)
{
	struct bench_area changed = *area;

	changed.flags = flags;
	replace(arg, &changed);
}

static uint64_t find_free(void *map, uint64_t size)
{
	uint64_t at;

	section_open(map);
	at = sorted_find_free(__atomic_load_n(&((struct map *)map)->sorted,
					      __ATOMIC_ACQUIRE), size);
	section_close(map);
	return at;
}

static uint64_t iterate(void *map)
{
	uint64_t sum;

	section_open(map);
	sum = sorted_iterate(__atomic_load_n(&((struct map *)map)->sorted,
					     __ATOMIC_ACQUIRE));
	section_close(map);
	return sum;
}

const struct bench_contender bench_sorted_rcu = {
	.name = "sorted-rcu", .concurrent = true,
	.build = build, .destroy = destroy,
	.enter = urcu_memb_register_thread,
	.leave = urcu_memb_unregister_thread, .settle = settle,
	BENCH_LOOPS_OF(rcu), .batch = rcu_batch,
	.section = rcu_section,
	.map = map_area, .unmap = unmap_area,
	.replace = replace, .protect = protect,
	.find_free = find_free, .iterate = iterate,
};
