/* SPDX-License-Identifier: BSD-3-Clause */
/* What lies at an address? One thread, every contender, every pattern. */
#include <stdlib.h>

#include "contender.h"

static const struct {
	const char *name;
	enum bench_pattern pattern;
	bool misses;
} patterns[] = {
	{ "uniform/hits", BENCH_UNIFORM, false },
	{ "uniform/misses", BENCH_UNIFORM, true },
	{ "zipf/hits", BENCH_ZIPF, false },
	{ "zipf/misses", BENCH_ZIPF, true },
	{ "sequential/hits", BENCH_SEQUENTIAL, false },
	{ "sequential/misses", BENCH_SEQUENTIAL, true },
};

enum { LATENCY, THROUGHPUT, BATCH, WAYS };

static const char *const ways[WAYS] = { "latency", "throughput", "batch64" };

typedef void loop_fn(void *map, const uint64_t *addr, size_t count);

struct entry {
	const struct bench_contender *contender;
	void *map;
	struct bench_samples ns[WAYS];
};

static loop_fn *loop_of(const struct bench_contender *contender, int way)
{
	if (way == LATENCY)
		return contender->latency;
	return way == BATCH ? contender->batch : contender->throughput;
}

/* The median chunk of one pass: what preempts us hits a few chunks only. */
static double time_pass(loop_fn *loop, void *map,
			const struct bench_probes *probes)
{
	static double chunk[BENCH_PROBES / BENCH_CHUNK];
	size_t i, count = probes->count / BENCH_CHUNK;
	uint64_t start;

	for (i = 0; i < count; i++) {
		start = bench_now();
		loop(map, probes->addr + i * BENCH_CHUNK, BENCH_CHUNK);
		chunk[i] = (double)(bench_now() - start) / BENCH_CHUNK;
	}
	return bench_median(chunk, count);
}

static void time_entry(struct entry *entry, const struct bench_probes *probes)
{
	const struct bench_contender *contender = entry->contender;
	loop_fn *loop;
	int way;

	if (contender->enter)
		contender->enter();
	for (way = 0; way < WAYS; way++) {
		loop = loop_of(contender, way);
		if (loop)
			bench_samples_add(&entry->ns[way],
					  time_pass(loop, entry->map, probes));
	}
	if (contender->leave)
		contender->leave();
}

/* Narrower figures are not to be mistaken for this CPU's best. */
static const char *title(void)
{
	static char title[32];

	if (!bench_options.width)
		return "lookup";
	snprintf(title, sizeof(title), "lookup-%s", bench_options.width);
	return title;
}

static void print_entry(struct entry *entry, const char *pattern,
			size_t areas)
{
	char what[64];
	int way;

	for (way = 0; way < WAYS; way++) {
		struct bench_row row = bench_row(title(), what,
						 entry->contender->name, 1,
						 areas);

		if (!entry->ns[way].count)
			continue;
		snprintf(what, sizeof(what), "%s/%s", pattern, ways[way]);
		row.ns = &entry->ns[way];
		bench_print(&row);
	}
}

static void run_pattern(struct entry *entries, size_t count,
			const struct bench_areas *areas, size_t p, int reps)
{
	struct bench_probes probes =
		bench_probes_make(areas, patterns[p].pattern,
				  patterns[p].misses);
	size_t i;

	for (i = 0; i < count; i++)
		bench_verify(entries[i].contender, entries[i].map, areas,
			     &probes);
	while (reps--)
		for (i = 0; i < count; i++)
			time_entry(&entries[i], &probes);
	for (i = 0; i < count; i++) {
		print_entry(&entries[i], patterns[p].name, areas->count);
		for (int way = 0; way < WAYS; way++)
			entries[i].ns[way].count = 0;
	}
	bench_probes_free(&probes);
}

/* One pattern for the targets; the others in the full run. */
static size_t patterns_wanted(size_t areas)
{
	if (bench_options.effort == BENCH_FULL && !bench_options.width)
		return areas > 32764 ? 2 : sizeof(patterns) / sizeof(*patterns);
	return 1;
}

/* No other has a narrower form. */
static bool has_width(const struct bench_contender *contender)
{
	return contender->bound || contender == &bench_gpmm;
}

static void run(size_t count)
{
	const struct bench_contender *list[BENCH_CONTENDERS_MAX];
	struct entry entries[BENCH_CONTENDERS_MAX] = { 0 };
	struct bench_areas areas = bench_areas_make(count);
	size_t i, p, n = bench_contenders(list);

	if (bench_options.width)
		n = bench_contenders_keep(list, n, has_width);
	for (i = 0; i < n; i++) {
		entries[i].contender = list[i];
		entries[i].map = list[i]->build(&areas, NULL);
	}
	for (p = 0; p < patterns_wanted(count); p++)
		run_pattern(entries, n, &areas, p, bench_options.reps);
	for (i = 0; i < n; i++)
		list[i]->destroy(entries[i].map);
	bench_areas_free(&areas);
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = { 8, 64, 512, 4096, 32764, 1000000 };
	size_t i, count;

	bench_init(argc, argv);
	bench_pin(0);
	count = (size_t)bench_scale(2, 5, 6);
	if (bench_options.areas)
		run(bench_options.areas);
	else
		for (i = 0; i < count; i++)
			run(sizes[i]);
	return 0;
}
