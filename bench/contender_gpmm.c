/* SPDX-License-Identifier: BSD-3-Clause */
/* gpmm as an embedder has it: public headers and the shared library. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define GPMM_INLINE_SECTIONS
#include <gpmm/host.h>
#include <gpmm/set.h>
#include <gpmm/thread.h>

#include "gpmm_set.h"
#include "loops.h"

void bench_must(int ret, const char *what)
{
	if (ret)
		bench_die("%s: error %d", what, -ret);
}

/* A VM's memory comes from a few places, its areas take turns. */
#define HOSTS 16

static struct gpmm_host *hosts[HOSTS];

static void make_hosts(void)
{
	const struct gpmm_host_options options = {
		.kind = GPMM_HOST_USER, .user = (void *)BENCH_HVA,
		.size = BENCH_SPACE + 64 * BENCH_PAGE,
	};
	int i;

	for (i = 0; i < HOSTS && !hosts[i]; i++)
		bench_must(gpmm_host_create(&options, &hosts[i]),
			   "gpmm_host_create");
}

struct gpmm_area bench_gpmm_area(const struct bench_area *area)
{
	return (struct gpmm_area){
		.start = area->start, .size = area->size, .flags = area->flags,
		.host = hosts[area->id % HOSTS], .hva = (void *)area->hva,
	};
}

uint64_t bench_gpmm_owner(const struct bench_area *area)
{
	return (uintptr_t)hosts[area->id % HOSTS];
}

static void build_some(struct gpmm_txn *txn, const struct bench_areas *areas,
		       const uint32_t *order)
{
	size_t i;

	for (i = 0; i < areas->count; i++) {
		struct gpmm_area area =
			bench_gpmm_area(&areas->area[order ? order[i] : i]);

		bench_must(gpmm_txn_map(txn, &area, 0), "gpmm_txn_map");
	}
}

struct gpmm_set *bench_gpmm_build(const struct bench_areas *areas,
				  const uint32_t *order,
				  const struct gpmm_set_options *options)
{
	struct gpmm_set *set;
	struct gpmm_txn *txn;

	make_hosts();
	bench_must(gpmm_set_create(options, &set), "gpmm_set_create");
	bench_must(gpmm_txn_begin(set, &txn), "gpmm_txn_begin");
	build_some(txn, areas, order);
	bench_must(gpmm_txn_commit(txn), "gpmm_txn_commit");
	return set;
}

void bench_gpmm_settle(void *set)
{
	struct gpmm_set_stats stats;

	/* A drain would also take the memory that a writer keeps for later. */
	for (gpmm_set_get_stats(set, &stats); stats.limbo_bytes;
	     gpmm_set_get_stats(set, &stats))
		usleep(1000);
}

static void *build(const struct bench_areas *areas, const uint32_t *order)
{
	return bench_gpmm_build(areas, order, NULL);
}

static void destroy(void *set)
{
	bench_must(gpmm_set_destroy(set), "gpmm_set_destroy");
}

static inline void section_open(void *set)
{
	(void)set;
	gpmm_read_lock();
}

static inline void section_close(void *set)
{
	(void)set;
	gpmm_read_unlock();
}

BENCH_LOOPS(gpmm, , section_open, section_close, bench_gpmm_look)

/* The plain call, which copies the area out and has a section of its own. */
static inline bool look_copy(void *set, uint64_t addr,
			     struct bench_found *found)
{
	struct gpmm_area area;

	if (!gpmm_set_find(set, addr, &area))
		return false;
	found->start = area.start;
	found->size = area.size;
	found->hva = (uintptr_t)area.hva;
	found->owner = (uintptr_t)area.host;
	found->flags = area.flags;
	return true;
}

static inline void nothing(void *set)
{
	(void)set;
}

BENCH_LOOPS(find, , nothing, nothing, look_copy)

/* As BENCH_LOOPS's, but the library is asked for all of a section at once. */
static uint64_t batch(void *set, const uint64_t *addr, size_t count)
{
	struct gpmm_hit hits[BENCH_SECTION];
	uint64_t sum = 0;
	size_t i, j, n;

	for (i = 0; i < count; i += n) {
		struct bench_found found;

		n = count - i < BENCH_SECTION ? count - i : BENCH_SECTION;
		section_open(set);
		gpmm_set_hits_rcu(set, addr + i, n, hits);
		for (j = 0; j < n; j++)
			sum += bench_sum(bench_gpmm_give(set, hits[j], &found),
					 &found);
		section_close(set);
	}
	bench_keep(sum);
	return sum;
}

static void map_area(void *set, const struct bench_area *area)
{
	struct gpmm_area new = bench_gpmm_area(area);

	bench_must(gpmm_set_map(set, &new, 0), "gpmm_set_map");
}

static void unmap_area(void *set, const struct bench_area *area)
{
	bench_must(gpmm_set_unmap(set, area->start, area->size),
		   "gpmm_set_unmap");
}

static void cycle(void *set, const struct bench_area *const *areas,
		  size_t count)
{
	struct gpmm_txn *txn;
	size_t i;

	bench_must(gpmm_txn_begin(set, &txn), "gpmm_txn_begin");
	for (i = 0; i < count; i++)
		bench_must(gpmm_txn_unmap(txn, areas[i]->start,
					  areas[i]->size), "gpmm_txn_unmap");
	for (i = 0; i < count; i++) {
		struct gpmm_area area = bench_gpmm_area(areas[i]);

		bench_must(gpmm_txn_map(txn, &area, 0), "gpmm_txn_map");
	}
	bench_must(gpmm_txn_commit(txn), "gpmm_txn_commit");
}

static void replace(void *set, const struct bench_area *area)
{
	struct gpmm_area new = bench_gpmm_area(area);

	bench_must(gpmm_set_map(set, &new, GPMM_MAP_REPLACE), "gpmm_set_map");
}

static void protect(void *set, const struct bench_area *area, uint32_t flags)
{
	bench_must(gpmm_set_protect(set, area->start, area->size,
				    gpmm_protect_to, &flags),
		   "gpmm_set_protect");
}

static uint64_t find_free(void *set, uint64_t size)
{
	struct gpmm_hole hole = {
		.size = size, .align = BENCH_PAGE, .limit = GPMM_RANGE_ALL,
	};
	gpmm_gpa_t addr;
	int ret = gpmm_set_find_free(set, &hole, &addr);

	if (ret && ret != -ENOENT)
		bench_must(ret, "gpmm_set_find_free");
	return ret ? UINT64_MAX : addr;
}

static int add(void *sum, const struct gpmm_area *area)
{
	*(uint64_t *)sum += (uint64_t)area->hva;
	return 0;
}

static uint64_t iterate(void *set)
{
	uint64_t sum = 0;

	gpmm_set_for_each(set, GPMM_RANGE_ALL, add, &sum);
	return sum;
}

const struct bench_contender bench_gpmm = {
	.name = "gpmm", .concurrent = true,
	.build = build, .destroy = destroy, .settle = bench_gpmm_settle,
	.enter = gpmm_thread_register, .leave = gpmm_thread_unregister,
	.owner = bench_gpmm_owner,
	BENCH_LOOPS_OF(gpmm), .batch = batch, .section = gpmm_section,
	.map = map_area, .unmap = unmap_area, .cycle = cycle,
	.replace = replace, .protect = protect,
	.find_free = find_free, .iterate = iterate,
};

/* For lookups only: all else is the same. */
const struct bench_contender bench_gpmm_find = {
	.name = "gpmm-find",
	.build = build, .destroy = destroy,
	.enter = gpmm_thread_register, .leave = gpmm_thread_unregister,
	.owner = bench_gpmm_owner,
	BENCH_LOOPS_OF(find),
};
