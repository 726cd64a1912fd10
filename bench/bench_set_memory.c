/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory: bytes an area of every contender, and how much of gpmm waits for
 * grace periods while a writer storms.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <gpmm/set.h>
#include <gpmm/thread.h>

#include "gpmm_set.h"
#include "race.h"

struct usage {
	size_t heap;		/* what malloc() gave, bytes */
	size_t resident;	/* what the process really has */
};

static struct usage usage_now(void)
{
	struct mallinfo2 info = mallinfo2();
	unsigned long kib = 0;
	char line[128];
	FILE *file;

	malloc_trim(0);
	file = fopen("/proc/self/smaps_rollup", "r");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "Anonymous: %lu kB", &kib) == 1)
			break;
	if (!kib)
		bench_die("/proc/self/smaps_rollup does not say");
	fclose(file);
	return (struct usage){ info.uordblks + info.hblkhd, kib * 1024 };
}

/* Pages that are used in part do not count from here on. */
#define LARGE	(8u << 20)

/*
 * Where a piece is aligned to huge pages, malloc() counts as much again that
 * nobody ever touches.
 */
static size_t used_since(const struct usage *before)
{
	struct usage now = usage_now();
	size_t heap = now.heap - before->heap;

	if (heap < LARGE || now.resident - before->resident > heap)
		return heap;
	return now.resident - before->resident;
}

/* What came since @before; or what gpmm says it has, where that is more. */
static size_t weight(const struct bench_contender *contender, void *map,
		     const struct usage *before)
{
	size_t bytes = used_since(before);
	struct gpmm_set_stats stats;

	if (contender != &bench_gpmm)
		return bytes;
	gpmm_set_get_stats(map, &stats);
	return stats.total_bytes > bytes ? stats.total_bytes : bytes;
}

static void settle(const struct bench_contender *contender, void *map)
{
	if (contender == &bench_gpmm)
		bench_must(gpmm_set_drain(map), "gpmm_set_drain");
}

static void print_weight(const char *what,
			 const struct bench_contender *contender, void *map,
			 size_t areas, const struct usage *before)
{
	struct bench_row row = bench_row("memory", what, contender->name, 1,
					 areas);

	settle(contender, map);
	row.bytes = (double)weight(contender, map, before);
	row.bytes_area = row.bytes / (double)areas;
	bench_print(&row);
}

static void churn(const struct bench_contender *contender, void *map,
		  const struct bench_areas *areas, const uint32_t *order)
{
	size_t i, j, block = areas->count / 8;

	/* An eighth is gone at a time, so that nodes empty and fill again. */
	for (i = 0; i + block <= areas->count; i += block) {
		for (j = i; j < i + block; j++)
			contender->unmap(map, &areas->area[order[j]]);
		for (j = i; j < i + block; j++)
			contender->map(map, &areas->area[order[j]]);
	}
}

static void weigh(const struct bench_contender *contender,
		  const struct bench_areas *areas, const uint32_t *order)
{
	struct usage before = usage_now();
	void *map = contender->build(areas, NULL);

	print_weight("ascending", contender, map, areas->count, &before);
	contender->destroy(map);
	before = usage_now();
	map = contender->build(areas, order);
	print_weight("random", contender, map, areas->count, &before);
	/* Copying a whole array for each change would take hours. */
	if (contender != &bench_sorted_rcu && areas->count <= 32764) {
		churn(contender, map, areas, order);
		print_weight("churned", contender, map, areas->count, &before);
	}
	contender->destroy(map);
}

static bool dynamic(const struct bench_contender *contender)
{
	return contender->map && contender->concurrent;
}

static void run_weigh(size_t count)
{
	const struct bench_contender *list[BENCH_CONTENDERS_MAX];
	struct bench_areas areas = bench_areas_make(count);
	uint32_t *order = bench_shuffle(count, 9);
	size_t i, n;

	n = bench_contenders_keep(list, bench_contenders(list), dynamic);
	for (i = 0; i < n; i++)
		weigh(list[i], &areas, order);
	free(order);
	bench_areas_free(&areas);
}

/* ---- the storm ---- */

#define STORM_AREAS 4096

struct storm {
	const struct bench_areas *areas;
	uint32_t *order;
	size_t limbo, total;	/* high water, bytes */
	uint64_t stalls;
};

static void sample(struct gpmm_set *set, struct storm *storm)
{
	struct gpmm_set_stats stats;

	gpmm_set_get_stats(set, &stats);
	if (stats.limbo_bytes > storm->limbo)
		storm->limbo = stats.limbo_bytes;
	if (stats.total_bytes > storm->total)
		storm->total = stats.total_bytes;
	storm->stalls = stats.stalls;
}

static void storm_run(struct bench_racer *racer)
{
	struct storm *storm = racer->arg;

	while (!bench_race_over(racer)) {
		uint32_t i = storm->order[racer->done % STORM_AREAS];
		struct bench_area area =
			bench_area_variant(&storm->areas->area[i],
				(unsigned int)(racer->done / STORM_AREAS + 1));

		racer->contender->replace(racer->map, &area);
		if (!(++racer->done % 16))
			sample(racer->map, storm);
	}
}

/* A reader who stays in its section for 5 ms each time. */
static void slow_run(struct bench_racer *racer)
{
	const struct bench_probes *probes = racer->arg;
	uint64_t end;

	while (!bench_race_over(racer)) {
		gpmm_read_lock();
		for (end = bench_now() + 5000000; bench_now() < end;)
			racer->contender->throughput(racer->map, probes->addr,
						     BENCH_CHUNK);
		gpmm_read_unlock();
		racer->done++;
	}
}

static void print_storm(const char *kind, const struct storm *storm,
			const struct bench_racer *writer)
{
	struct bench_samples mops = { .count = 0 };
	char what[64];
	struct bench_row row = bench_row("memory", what, "gpmm", 2,
					 STORM_AREAS);

	bench_samples_add(&mops, bench_race_mops(writer));
	snprintf(what, sizeof(what), "storm/%s/limbo", kind);
	row.mops = &mops;
	row.bytes = (double)storm->limbo;
	row.bytes_area = row.bytes / STORM_AREAS;
	bench_print(&row);
	snprintf(what, sizeof(what), "storm/%s/total", kind);
	row.bytes = (double)storm->total;
	row.bytes_area = row.bytes / STORM_AREAS;
	bench_print(&row);
	snprintf(what, sizeof(what), "storm/%s/stalls", kind);
	row.bytes = (double)storm->stalls;
	row.bytes_area = -1;
	bench_print(&row);
}

static void run_storm(const char *kind, size_t limbo_max,
		      void (*reader)(struct bench_racer *), int ms)
{
	const struct gpmm_set_options options = { .limbo_max = limbo_max };
	struct bench_areas areas = bench_areas_make(STORM_AREAS);
	struct bench_probes probes =
		bench_probes_make(&areas, BENCH_UNIFORM, false);
	struct storm storm = {
		.areas = &areas, .order = bench_shuffle(STORM_AREAS, 13),
	};
	struct gpmm_set *set = bench_gpmm_build(&areas, NULL, &options);
	struct bench_racer racers[2] = {
		{ .cpu = 1, .contender = &bench_gpmm, .map = set,
		  .run = storm_run, .arg = &storm },
		{ .cpu = 0, .contender = &bench_gpmm, .map = set,
		  .run = reader, .arg = &probes },
	};
	struct bench_race race;

	bench_race_start(&race, racers, 2);
	bench_race_finish(&race, racers, 2, ms);
	print_storm(kind, &storm, &racers[0]);
	bench_must(gpmm_set_destroy(set), "gpmm_set_destroy");
	free(storm.order);
	bench_probes_free(&probes);
	bench_areas_free(&areas);
}

static void run_storms(void)
{
	int ms = bench_scale(5, 200, 500);

	/* Four times as long must not mean more memory. */
	run_storm("default/brief", 0, bench_race_read, ms);
	run_storm("default/long", 0, bench_race_read, 4 * ms);
	run_storm("default/slow-reader", 0, slow_run, ms);
	run_storm("1MiB/brief", 1 << 20, bench_race_read, ms);
	run_storm("1MiB/slow-reader", 1 << 20, slow_run, ms);
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = { 512, 4096, 32764, 1000000 };
	size_t i, count;

	bench_init(argc, argv);
	count = (size_t)bench_scale(1, 3, 4);
	for (i = 0; i < count; i++)
		run_weigh(sizes[i]);
	if (!bench_options.only && bench_cpus() > 1)
		run_storms();
	return 0;
}
