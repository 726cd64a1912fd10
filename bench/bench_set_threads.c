/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Independent lookups on 1 to all CPUs at once. A thread's speed is its median
 * chunk's: what else the machine does meanwhile hits a few chunks, while a lock
 * or a line that threads take from each other slows them all.
 */
#include <stdlib.h>
#include <string.h>

#include "race.h"

#define THREADS_MAX 64

struct entry {
	const struct bench_contender *contender;
	void *map;
	struct bench_samples ns[THREADS_MAX], mops[THREADS_MAX];
};

/* The last so many of a thread's chunks. */
#define CHUNKS	4096

struct reading {
	const struct bench_probes *probes;
	double ns[CHUNKS];
	size_t done;
};

static void read_run(struct bench_racer *racer)
{
	struct reading *reading = racer->arg;
	const struct bench_probes *probes = reading->probes;
	size_t at = (size_t)racer->cpu * BENCH_CHUNK;
	uint64_t start;

	do {
		at %= probes->count;
		start = bench_now();
		racer->contender->throughput(racer->map, probes->addr + at,
					     BENCH_CHUNK);
		reading->ns[reading->done++ % CHUNKS] =
			(double)(bench_now() - start) / BENCH_CHUNK;
		at += BENCH_CHUNK;
	} while (!bench_race_over(racer));
}

/* Million lookups a second. */
static double speed(struct reading *reading)
{
	size_t count = reading->done < CHUNKS ? reading->done : CHUNKS;

	return 1000 / bench_median(reading->ns, count);
}

/* On CPUs from @cpu on; million lookups a second. */
static double time_on(const struct entry *entry, int cpu, int threads,
		      const struct bench_probes *probes, int ms)
{
	static struct bench_racer racers[THREADS_MAX];
	static struct reading readings[THREADS_MAX];
	struct bench_race race;
	double mops = 0;
	int i;

	for (i = 0; i < threads; i++) {
		readings[i].probes = probes;
		readings[i].done = 0;
		racers[i] = (struct bench_racer){
			.cpu = cpu + i, .contender = entry->contender,
			.map = entry->map, .run = read_run,
			.arg = &readings[i],
		};
	}
	bench_race_start(&race, racers, threads);
	bench_race_finish(&race, racers, threads, ms);
	for (i = 0; i < threads; i++)
		mops += speed(&readings[i]);
	return mops;
}

/* One thread: on each of two CPUs, of which one may be the slower. */
static void measure(struct entry *entry, int threads,
		    const struct bench_probes *probes, int ms)
{
	double mops = time_on(entry, 0, threads, probes, ms);

	if (threads == 1)
		mops = (mops + time_on(entry, 1, 1, probes, ms)) / 2;
	bench_samples_add(&entry->mops[threads - 1], mops);
	bench_samples_add(&entry->ns[threads - 1], 1000 * threads / mops);
}

static void print(const struct entry *entry, int threads, size_t areas)
{
	const char *bench = entry->contender->bound ? "cpus" : "threads";
	struct bench_row row = bench_row(bench, "uniform/hits/throughput",
					 entry->contender->name, threads,
					 areas);

	row.ns = &entry->ns[threads - 1];
	row.mops = &entry->mops[threads - 1];
	bench_print(&row);
}

/* Every number up to 8, then doubled, and all. */
static int next_threads(int threads, int all)
{
	int next = threads < 8 ? threads + 1 : threads * 2;

	return threads < all && next > all ? all : next;
}

/*
 * And one that has nothing to share: what it loses beside another thread the
 * CPUs take from each other, as two of one core do.
 */
static bool wanted(const struct bench_contender *contender)
{
	return contender->concurrent ||
	       !strcmp(contender->name, "eytzinger.1.32.scalar");
}

static void run(size_t count, int turns, int ms)
{
	static struct entry entries[BENCH_CONTENDERS_MAX];
	const struct bench_contender *list[BENCH_CONTENDERS_MAX];
	struct bench_areas areas = bench_areas_make(count);
	struct bench_probes probes =
		bench_probes_make(&areas, BENCH_UNIFORM, false);
	int t, all = bench_cpus() < THREADS_MAX ? bench_cpus() : THREADS_MAX;
	size_t i, n;

	memset(entries, 0, sizeof(entries));
	n = bench_contenders_keep(list, bench_contenders(list), wanted);
	for (i = 0; i < n; i++) {
		entries[i].contender = list[i];
		entries[i].map = list[i]->build(&areas, NULL);
		bench_verify(list[i], entries[i].map, &areas, &probes);
	}
	while (turns--)
		for (i = 0; i < n; i++)
			for (t = 1; t <= all; t = next_threads(t, all))
				measure(&entries[i], t, &probes, ms);
	for (i = 0; i < n; i++) {
		for (t = 1; t <= all; t = next_threads(t, all))
			print(&entries[i], t, count);
		list[i]->destroy(entries[i].map);
	}
	bench_probes_free(&probes);
	bench_areas_free(&areas);
}

int main(int argc, char **argv)
{
	int ms;

	bench_init(argc, argv);
	ms = bench_scale(2, 30, 100 / BENCH_TURNS);
	if (bench_options.areas) {
		run(bench_options.areas, bench_turns(), ms);
		return 0;
	}
	run(512, bench_turns(), ms);
	if (bench_options.effort == BENCH_FULL)
		run(32764, bench_turns(), ms);
	return 0;
}
