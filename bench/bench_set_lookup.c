/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What lies at an address? One thread, every contender, every pattern; and
 * what an empty read section costs.
 */
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

struct entry {
	const struct bench_contender *contender;
	void *map;
	struct bench_samples ns[WAYS];
	bool out;		/* a bound that others beat */
};

static bench_loop *loop_of(const struct bench_contender *contender, int way)
{
	if (way == LATENCY)
		return contender->latency;
	return way == BATCH ? contender->batch : contender->throughput;
}

/* Of the slow at a million areas, some chunks are enough. */
#define PASS_NS		60000000
#define PASS_CHUNKS	32

/* Turns that a pass takes: one, where it takes long to fill the caches. */
static size_t parts;

static void choose_parts(size_t areas)
{
	parts = areas > 4096 ? 1 : (size_t)bench_scale(1, 1, BENCH_TURNS);
}

/*
 * The median chunk of one pass over a part of the addresses, another each
 * turn: what preempts us hits a few chunks only.
 */
static double time_pass(bench_loop *loop, void *map,
			const struct bench_probes *probes, int turn)
{
	static double chunk[BENCH_PROBES / BENCH_CHUNK];
	size_t i, count = probes->count / BENCH_CHUNK / parts;
	const uint64_t *addr = probes->addr + (size_t)turn % parts * count *
			       BENCH_CHUNK;
	uint64_t begin = bench_now(), now = begin, start;

	for (i = 0; i < count &&
	     (i < PASS_CHUNKS / parts || now - begin < PASS_NS / parts); i++) {
		start = bench_now();
		loop(map, addr + i * BENCH_CHUNK, BENCH_CHUNK);
		now = bench_now();
		chunk[i] = (double)(now - start) / BENCH_CHUNK;
	}
	return bench_median(chunk, i);
}

static void time_entry(struct entry *entry, const struct bench_probes *probes,
		       int turn)
{
	const struct bench_contender *contender = entry->contender;
	bench_loop *loop;
	int way;

	if (contender->enter)
		contender->enter();
	for (way = 0; way < WAYS; way++) {
		loop = loop_of(contender, way);
		if (loop)
			bench_samples_add(&entry->ns[way],
					  time_pass(loop, entry->map, probes,
						    turn));
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

/* There are many bounds, and the best alone matters: two heats part them. */
#define HEATS	2
#define CLOSE	1.2	/* times the best: may yet win */

static double least(const struct entry *entries, size_t count, int way)
{
	double best = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		const struct bench_samples *ns = &entries[i].ns[way];
		double median = bench_samples_median(ns);

		if (entries[i].contender->bound && ns->count &&
		    (!best || median < best))
			best = median;
	}
	return best;
}

static void drop_slow_bounds(struct entry *entries, size_t count)
{
	double latency = least(entries, count, LATENCY) * CLOSE;
	double throughput = least(entries, count, THROUGHPUT) * CLOSE;
	size_t i;

	for (i = 0; i < count; i++)
		entries[i].out = entries[i].contender->bound &&
			bench_samples_median(&entries[i].ns[LATENCY]) >
			latency &&
			bench_samples_median(&entries[i].ns[THROUGHPUT]) >
			throughput;
}

static void reset(struct entry *entry)
{
	int way;

	for (way = 0; way < WAYS; way++)
		entry->ns[way].count = 0;
	entry->out = false;
}

static void run_pattern(struct entry *entries, size_t count,
			const struct bench_areas *areas, size_t p, int reps)
{
	struct bench_probes probes =
		bench_probes_make(areas, patterns[p].pattern,
				  patterns[p].misses);
	size_t i;
	int turn;

	for (i = 0; i < count; i++)
		bench_verify(entries[i].contender, entries[i].map, areas,
			     &probes);
	for (turn = 0; turn < reps * (int)parts; turn++) {
		if (turn == HEATS * (int)parts)
			drop_slow_bounds(entries, count);
		for (i = 0; i < count; i++)
			if (!entries[i].out)
				time_entry(&entries[i], &probes, turn);
	}
	for (i = 0; i < count; i++) {
		print_entry(&entries[i], patterns[p].name, areas->count);
		reset(&entries[i]);
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
	return contender->bound || contender == &bench_gpmm ||
	       contender == &bench_gpmm_qsbr;
}

static bool has_section(const struct bench_contender *contender)
{
	return contender->section;
}

static void time_section(struct entry *entry, const struct bench_probes *probes,
			 int turn)
{
	const struct bench_contender *contender = entry->contender;

	if (contender->enter)
		contender->enter();
	bench_samples_add(&entry->ns[0], time_pass(contender->section,
						   entry->map, probes, turn));
	if (contender->leave)
		contender->leave();
}

static void run(size_t count)
{
	const struct bench_contender *list[BENCH_CONTENDERS_MAX];
	struct entry entries[BENCH_CONTENDERS_MAX] = { 0 };
	struct bench_areas areas = bench_areas_make(count);
	size_t i, p, n = bench_contenders(list);

	choose_parts(count);
	if (bench_options.width)
		n = bench_contenders_keep(list, n, has_width);
	for (i = 0; i < n; i++) {
		entries[i].contender = list[i];
		entries[i].map = list[i]->build(&areas, NULL);
	}
	/* Targets are about the first. */
	for (p = 0; p < patterns_wanted(count); p++)
		run_pattern(entries, n, &areas, p, p ?
			    (bench_options.reps + 1) / 2 : bench_options.reps);
	for (i = 0; i < n; i++)
		list[i]->destroy(entries[i].map);
	bench_areas_free(&areas);
}

/* A map of one area, since a lock needs something to lock. */
static void run_sections(void)
{
	const struct bench_contender *list[BENCH_CONTENDERS_MAX];
	struct entry entries[BENCH_CONTENDERS_MAX] = { 0 };
	struct bench_areas areas = bench_areas_make(1);
	struct bench_probes probes =
		bench_probes_make(&areas, BENCH_UNIFORM, false);
	size_t i, n = bench_contenders_keep(list, bench_contenders(list),
					    has_section);
	int turn;

	choose_parts(areas.count);
	for (i = 0; i < n; i++) {
		entries[i].contender = list[i];
		entries[i].map = list[i]->build(&areas, NULL);
	}
	for (turn = 0; turn < bench_turns(); turn++)
		for (i = 0; i < n; i++)
			time_section(&entries[i], &probes, turn);
	for (i = 0; i < n; i++) {
		struct bench_row row = bench_row("section", "empty",
						 list[i]->name, 1, 0);

		row.ns = &entries[i].ns[0];
		bench_print(&row);
		list[i]->destroy(entries[i].map);
	}
	bench_probes_free(&probes);
	bench_areas_free(&areas);
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = { 8, 64, 512, 4096, 32764, 1000000 };
	size_t i, count;

	bench_init(argc, argv);
	bench_pin(0);
	if (!bench_options.width)
		run_sections();
	count = (size_t)bench_scale(2, 5, 6);
	if (bench_options.areas)
		run(bench_options.areas);
	else
		for (i = 0; i < count; i++)
			run(sizes[i]);
	return 0;
}
