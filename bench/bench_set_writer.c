/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lookups beside a writer that replaces areas: at a pace, or as fast as it
 * can. One reader on the first CPU, the writer on the second.
 */
#include <stdlib.h>
#include <string.h>

#include "race.h"

/* Replaces a second; 0: no writer; negative: flat out. */
static const struct {
	const char *name;
	long pace;
} modes[] = {
	{ "alone", 0 },
	{ "1000/s", 1000 },
	{ "10000/s", 10000 },
	{ "flat-out", -1 },
};

#define MODES (sizeof(modes) / sizeof(*modes))

struct figures {
	struct bench_samples ns, reader, writer, p50, p99, p999, max;
};

struct entry {
	const struct bench_contender *contender;
	void *map;
	struct figures mode[MODES];
};

struct writing {
	const struct bench_areas *areas;
	uint32_t *order;
	long pace;
	uint64_t turn;		/* goes on from one run to the next */
};

/* Spin: a sleep would make the pace the scheduler's. */
static bool wait_until(const struct bench_racer *racer, uint64_t when)
{
	while (bench_now() < when)
		if (bench_race_over(racer))
			return false;
	return !bench_race_over(racer);
}

static void write_run(struct bench_racer *racer)
{
	struct writing *writing = racer->arg;
	uint64_t start = bench_now();
	size_t count = writing->areas->count;

	while (!bench_race_over(racer)) {
		uint32_t i = writing->order[writing->turn % count];
		struct bench_area area =
			bench_area_variant(&writing->areas->area[i],
				(unsigned int)(writing->turn / count + 1));

		if (writing->pace > 0 &&
		    !wait_until(racer, start + (racer->done + 1) * 1000000000u /
				(uint64_t)writing->pace))
			break;
		racer->contender->replace(racer->map, &area);
		writing->turn++;
		racer->done++;
	}
}

static struct bench_hist hist;
static const struct bench_probes *timed_probes;

static void timed_run(struct bench_racer *racer)
{
	size_t at = 0;

	do {
		racer->contender->timed(racer->map, timed_probes->addr + at,
					64, &hist);
		at = (at + 64) % timed_probes->count;
		racer->done += 64;
	} while (!bench_race_over(racer));
}

static int race(struct entry *entry, struct writing *writing,
		struct bench_racer *racers, void (*run)(struct bench_racer *),
		const struct bench_probes *probes, int ms)
{
	int count = writing->pace ? 2 : 1;
	struct bench_race race;

	racers[0] = (struct bench_racer){
		.cpu = 0, .contender = entry->contender, .map = entry->map,
		.run = run, .arg = (void *)(uintptr_t)probes,
	};
	racers[1] = (struct bench_racer){
		.cpu = 1, .contender = entry->contender, .map = entry->map,
		.run = write_run, .arg = writing,
	};
	bench_race_start(&race, racers, count);
	bench_race_finish(&race, racers, count, ms);
	return count;
}

static void add_quantile(struct bench_samples *samples, double part)
{
	bench_samples_add(samples, bench_ticks_to_ns(
		bench_hist_quantile(&hist, part)));
}

static void measure(struct entry *entry, size_t mode, struct writing *writing,
		    const struct bench_probes *probes, int ms)
{
	struct figures *figures = &entry->mode[mode];
	struct bench_racer racers[2];

	writing->pace = modes[mode].pace;
	if (race(entry, writing, racers, bench_race_read, probes, ms) > 1)
		bench_samples_add(&figures->writer,
				  bench_race_mops(&racers[1]));
	bench_samples_add(&figures->reader, bench_race_mops(&racers[0]));
	bench_samples_add(&figures->ns, 1000 / bench_race_mops(&racers[0]));
	memset(&hist, 0, sizeof(hist));
	race(entry, writing, racers, timed_run, probes, ms);
	add_quantile(&figures->p50, .5);
	add_quantile(&figures->p99, .99);
	add_quantile(&figures->p999, .999);
	add_quantile(&figures->max, 1);
}

static void print_mode(const struct entry *entry, size_t mode, size_t areas)
{
	const struct figures *figures = &entry->mode[mode];
	char what[64];
	struct bench_row row = bench_row("writer", what,
					 entry->contender->name, 1, areas);

	if (!figures->ns.count)
		return;
	snprintf(what, sizeof(what), "%s/reader", modes[mode].name);
	row.ns = &figures->ns;
	row.mops = &figures->reader;
	row.p50 = &figures->p50;
	row.p99 = &figures->p99;
	row.p999 = &figures->p999;
	row.max = &figures->max;
	bench_print(&row);
	if (!figures->writer.count)
		return;
	row = bench_row("writer", what, entry->contender->name, 1, areas);
	snprintf(what, sizeof(what), "%s/writer", modes[mode].name);
	row.mops = &figures->writer;
	bench_print(&row);
}

static bool concurrent(const struct bench_contender *contender)
{
	return contender->concurrent;
}

/* A smoke test has the two ends, a quick run what targets need. */
static bool wanted(size_t mode)
{
	switch (bench_options.effort) {
	case BENCH_SMOKE:
		return modes[mode].pace <= 0;
	case BENCH_QUICK:
		return modes[mode].pace != 1000;
	default:
		return true;
	}
}

static void run(size_t count, int turns, int ms)
{
	const struct bench_contender *list[BENCH_CONTENDERS_MAX];
	static struct entry entries[BENCH_CONTENDERS_MAX];
	struct bench_areas areas = bench_areas_make(count);
	struct bench_probes probes =
		bench_probes_make(&areas, BENCH_UNIFORM, false);
	struct writing writing = { &areas, bench_shuffle(count, 3), 0, 0 };
	size_t i, m, n;

	timed_probes = &probes;
	memset(entries, 0, sizeof(entries));
	n = bench_contenders_keep(list, bench_contenders(list), concurrent);
	for (i = 0; i < n; i++) {
		entries[i].contender = list[i];
		entries[i].map = list[i]->build(&areas, NULL);
		bench_verify(list[i], entries[i].map, &areas, &probes);
	}
	while (turns--)
		for (m = 0; m < MODES; m++)
			for (i = 0; i < n && wanted(m); i++)
				measure(&entries[i], m, &writing, &probes, ms);
	for (i = 0; i < n; i++) {
		for (m = 0; m < MODES; m++)
			print_mode(&entries[i], m, count);
		list[i]->destroy(entries[i].map);
	}
	bench_probes_free(&probes);
	bench_areas_free(&areas);
	free(writing.order);
}

int main(int argc, char **argv)
{
	int ms;

	bench_init(argc, argv);
	if (bench_cpus() < 2) {
		fprintf(stderr, "bench_set_writer: needs two CPUs\n");
		return 0;
	}
	ms = bench_scale(2, 20, 80 / BENCH_TURNS);
	if (bench_options.areas) {
		run(bench_options.areas, bench_turns(), ms);
		return 0;
	}
	run(512, bench_turns(), ms);
	if (bench_options.effort == BENCH_FULL)
		run(32764, bench_turns(), ms);
	return 0;
}
