/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The search for the lowest hole against linear scans, which look at one gap
 * after the other until one is large enough: over the set's own areas
 * (gpmm-scan: what it would do without augmentation), over a tree's
 * (absl-mutex) and over a plain sorted array, the strongest form
 * (sorted-rwlock, sorted-rcu). And the set that is worst for a scan.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A scan's section is to cost what the library's own does. */
#define GPMM_INLINE_SECTIONS
#include <gpmm/set.h>
#include <gpmm/thread.h>

#include "contender.h"

#define WANTED 1024
#define CHUNK 64	/* searches timed as one */

/* The same scan over gpmm's own areas, from one iterator. */
static uint64_t scan(void *set, uint64_t size)
{
	struct gpmm_area area;
	struct gpmm_iter it;
	uint64_t end = 0;

	gpmm_read_lock();
	gpmm_iter_init(&it, gpmm_set_view_rcu(set), 0);
	while (gpmm_iter_next(&it, &area)) {
		if (area.start - end >= size)
			break;
		end = area.start + area.size;
	}
	gpmm_read_unlock();
	return end;
}

struct entry {
	const struct bench_contender *contender;
	const char *name;
	void *map;
	uint64_t (*find_free)(void *map, uint64_t size);
	struct bench_samples ns;
};

static uint64_t largest_gap(const struct bench_areas *areas)
{
	uint64_t end = 0, largest = BENCH_PAGE;
	size_t i;

	for (i = 0; i < areas->count; i++) {
		if (areas->area[i].start - end > largest)
			largest = areas->area[i].start - end;
		end = areas->area[i].start + areas->area[i].size;
	}
	return largest;
}

/* A scan of a large set takes long enough to end a pass early. */
#define PASS_NS	20000000

static void time_entry(struct entry *entry, const uint64_t *wanted)
{
	static double chunk[WANTED / CHUNK];
	uint64_t begin = bench_now(), start = begin, zero = bench_zero(), at;
	size_t i, j;

	for (i = 0; i < WANTED / CHUNK && start - begin < PASS_NS; i++) {
		start = bench_now();
		at = 0;
		for (j = 0; j < CHUNK; j++)
			at = entry->find_free(entry->map, (at & zero) +
					      wanted[i * CHUNK + j]);
		chunk[i] = (double)(bench_now() - start) / CHUNK;
		bench_keep(at);
	}
	bench_samples_add(&entry->ns, bench_median(chunk, i));
}

static void check(const struct entry *entries, size_t n,
		  const uint64_t *wanted)
{
	size_t i, j;
	uint64_t at;

	for (j = 0; j < WANTED; j += 7) {
		at = entries[0].find_free(entries[0].map, wanted[j]);
		for (i = 1; i < n; i++)
			if (entries[i].find_free(entries[i].map,
						 wanted[j]) != at)
				bench_die("%s and %s find different holes",
					  entries[0].name, entries[i].name);
	}
}

static void run_wanted(struct entry *entries, size_t n, const char *what,
		       size_t areas, const uint64_t *wanted)
{
	size_t i;
	int turn;

	if (!n)
		return;
	check(entries, n, wanted);
	for (turn = 0; turn < bench_turns(); turn++)
		for (i = 0; i < n; i++)
			time_entry(&entries[i], wanted);
	for (i = 0; i < n; i++) {
		struct bench_row row = bench_row("hole", what,
						 entries[i].name, 1, areas);

		row.ns = &entries[i].ns;
		bench_print(&row);
		entries[i].ns.count = 0;
	}
}

static bool can_search(const struct bench_contender *contender)
{
	return contender->find_free;
}

static size_t make_entries(struct entry *entries,
			   const struct bench_areas *areas)
{
	const struct bench_contender *list[BENCH_CONTENDERS_MAX];
	size_t i, n;

	n = bench_contenders_keep(list, bench_contenders(list), can_search);
	for (i = 0; i < n; i++)
		entries[i] = (struct entry){
			.contender = list[i], .name = list[i]->name,
			.map = list[i]->build(areas, NULL),
			.find_free = list[i]->find_free,
		};
	if (!n || entries[0].contender != &bench_gpmm)
		return n;
	entries[n] = entries[0];
	entries[n].name = "gpmm-scan";
	entries[n].find_free = scan;
	return n + 1;
}

static void free_entries(struct entry *entries, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (entries[i].find_free != scan)
			entries[i].contender->destroy(entries[i].map);
}

/* Sizes that the first gap, some gap, and no gap of the set holds. */
static void run(size_t count)
{
	struct bench_areas areas = bench_areas_make(count);
	struct entry entries[BENCH_CONTENDERS_MAX];
	uint64_t wanted[WANTED], state = 1, most = largest_gap(&areas);
	size_t i, n = make_entries(entries, &areas);

	for (i = 0; i < WANTED; i++)
		wanted[i] = BENCH_PAGE;
	run_wanted(entries, n, "first", count, wanted);
	for (i = 0; i < WANTED; i++) {
		double part = (double)(bench_random(&state) >> 11) * 0x1p-53;

		wanted[i] = (uint64_t)exp(part * log((double)(most /
					  BENCH_PAGE))) * BENCH_PAGE;
	}
	run_wanted(entries, n, "mixed", count, wanted);
	for (i = 0; i < WANTED; i++)
		wanted[i] = most + BENCH_PAGE * (1 + i % 7);
	run_wanted(entries, n, "tail", count, wanted);
	free_entries(entries, n);
	bench_areas_free(&areas);
}

/* Gaps of a page but for the last hundredth, which have 16. */
static struct bench_areas make_worst(size_t count)
{
	struct bench_areas areas = bench_areas_make(count);
	uint64_t at = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		struct bench_area *area = &areas.area[i];

		area->start = at;
		area->size = 2 * BENCH_PAGE;
		area->hva = BENCH_HVA + at + (i & 1) * BENCH_PAGE;
		at += 3 * BENCH_PAGE;
		if (i >= count - count / 100)
			at += 15 * BENCH_PAGE;
	}
	return areas;
}

static void time_lookup(const struct entry *entry,
			const struct bench_areas *areas)
{
	struct bench_probes probes =
		bench_probes_make(areas, BENCH_UNIFORM, false);
	static double chunk[BENCH_PROBES / BENCH_CHUNK];
	struct bench_samples ns = { .count = 0 };
	struct bench_row row = bench_row("hole", "worst/lookup", entry->name,
					 1, areas->count);
	size_t i, count = probes.count / BENCH_CHUNK;
	uint64_t start;
	int reps;

	/* It registers this thread itself. */
	gpmm_thread_unregister();
	bench_verify(entry->contender, entry->map, areas, &probes);
	gpmm_thread_register();
	for (reps = 0; reps < bench_options.reps; reps++) {
		for (i = 0; i < count; i++) {
			start = bench_now();
			entry->contender->latency(entry->map, probes.addr +
						  i * BENCH_CHUNK,
						  BENCH_CHUNK);
			chunk[i] = (double)(bench_now() - start) / BENCH_CHUNK;
		}
		bench_samples_add(&ns, bench_median(chunk, count));
	}
	row.ns = &ns;
	bench_print(&row);
	bench_probes_free(&probes);
}

static void run_worst(size_t count)
{
	struct bench_areas areas = make_worst(count);
	struct entry entries[BENCH_CONTENDERS_MAX];
	size_t i, n = make_entries(entries, &areas);
	uint64_t wanted[WANTED];

	for (i = 0; i < WANTED; i++)
		wanted[i] = (8 + i % 8) * BENCH_PAGE;
	run_wanted(entries, n, "worst", count, wanted);
	if (n && entries[0].contender == &bench_gpmm)
		time_lookup(&entries[0], &areas);
	free_entries(entries, n);
	bench_areas_free(&areas);
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = { 8, 512, 64, 4096, 32764 };
	size_t i, count;

	bench_init(argc, argv);
	bench_pin(0);
	gpmm_thread_register();
	count = (size_t)bench_scale(1, 4, 5);
	for (i = 0; i < count; i++)
		run(sizes[i]);
	run_worst((size_t)bench_scale(1000, 100000, 100000));
	gpmm_thread_unregister();
	return 0;
}
