/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changing a set beside one reader: map and unmap, alone and in transactions,
 * replace, protect, cuts; bulk build; iteration; the search for a hole.
 */
#include <stdlib.h>
#include <string.h>

#include "gpmm_set.h"
#include "race.h"

#define CYCLE_MAX 500

struct changing {
	const struct bench_areas *areas;
	uint32_t *order;
	uint64_t turn;
	size_t pairs;		/* in a transaction */
};

struct entry {
	const struct bench_contender *contender;
	void *map;
	struct changing changing;
	struct bench_samples ns;
	/* Of pairs one by one, beside those in transactions. */
	struct bench_samples single_ns;
};

static const struct bench_area *next_area(struct changing *changing)
{
	size_t at = changing->turn++ % changing->areas->count;

	return &changing->areas->area[changing->order[at]];
}

/* ---- what a writer does, over and over ---- */

static void pair_run(struct bench_racer *racer)
{
	const struct bench_contender *contender = racer->contender;

	while (!bench_race_over(racer)) {
		const struct bench_area *area = next_area(racer->arg);

		contender->unmap(racer->map, area);
		contender->map(racer->map, area);
		racer->done++;
	}
}

static void cycle(const struct bench_contender *contender, void *map,
		  const struct bench_area *const *areas, size_t count)
{
	size_t i;

	if (contender->cycle) {
		contender->cycle(map, areas, count);
		return;
	}
	for (i = 0; i < count; i++)
		contender->unmap(map, areas[i]);
	for (i = 0; i < count; i++)
		contender->map(map, areas[i]);
}

static void cycle_run(struct bench_racer *racer)
{
	const struct bench_area *areas[CYCLE_MAX];
	struct changing *changing = racer->arg;
	size_t i;

	while (!bench_race_over(racer)) {
		for (i = 0; i < changing->pairs; i++)
			areas[i] = next_area(changing);
		cycle(racer->contender, racer->map, areas, changing->pairs);
		racer->done += changing->pairs;
	}
}

/* Each area has made room for another at the end, and next time comes back. */
static void swap_run(struct bench_racer *racer)
{
	const struct bench_area *areas[CYCLE_MAX], *others[CYCLE_MAX];
	struct changing *changing = racer->arg;
	struct bench_area other[CYCLE_MAX];
	size_t i;

	while (!bench_race_over(racer)) {
		for (i = 0; i < changing->pairs; i++) {
			areas[i] = next_area(changing);
			other[i] = bench_area_variant(areas[i], 1);
			others[i] = &other[i];
		}
		cycle(racer->contender, racer->map, others, changing->pairs);
		cycle(racer->contender, racer->map, areas, changing->pairs);
		racer->done += 2 * changing->pairs;
	}
}

/* Back to the area itself each time round, so that the model holds after. */
static void replace_run(struct bench_racer *racer)
{
	while (!bench_race_over(racer)) {
		const struct bench_area *area = next_area(racer->arg);
		struct bench_area other = bench_area_variant(area, 1);

		racer->contender->replace(racer->map, &other);
		racer->contender->replace(racer->map, area);
		racer->done += 2;
	}
}

static void protect_run(struct bench_racer *racer)
{
	while (!bench_race_over(racer)) {
		const struct bench_area *area = next_area(racer->arg);

		racer->contender->protect(racer->map, area, 1);
		racer->contender->protect(racer->map, area, area->flags);
		racer->done += 2;
	}
}

/* Three pieces of one by a protection of its middle, and one again. */
static void cut_run(struct bench_racer *racer)
{
	while (!bench_race_over(racer)) {
		const struct bench_area *area = next_area(racer->arg);
		struct bench_area middle = *area;

		middle.start += area->size / 2 & -BENCH_PAGE;
		middle.size = BENCH_PAGE;
		racer->contender->protect(racer->map, &middle, 1);
		racer->contender->protect(racer->map, &middle, area->flags);
		racer->done += 2;
	}
}

static void split_run(struct bench_racer *racer)
{
	while (!bench_race_over(racer)) {
		const struct bench_area *area = next_area(racer->arg);
		uint64_t middle = area->start +
				  (area->size / 2 & -BENCH_PAGE);

		bench_must(gpmm_set_split(racer->map, middle),
			   "gpmm_set_split");
		bench_must(gpmm_set_merge(racer->map, middle, BENCH_PAGE),
			   "gpmm_set_merge");
		racer->done += 2;
	}
}

/* ---- who does it ---- */

static bool everyone(const struct bench_contender *contender)
{
	return contender->map;
}

static bool only_gpmm(const struct bench_contender *contender)
{
	return contender == &bench_gpmm;
}

/* Transactions, and what comes nearest to them. */
static bool cyclers(const struct bench_contender *contender)
{
	return contender->cycle ||
	       (contender->map && !contender->concurrent);
}

static const struct job {
	const char *name;
	void (*run)(struct bench_racer *racer);
	bool (*who)(const struct bench_contender *contender);
	size_t pairs;
} jobs[] = {
	{ "pair/1", pair_run, everyone, 1 },
	{ "pair/txn-10", cycle_run, cyclers, 5 },
	{ "pair/txn-100", cycle_run, cyclers, 50 },
	{ "pair/txn-1000", cycle_run, cyclers, 500 },
	{ "swap/txn-100", swap_run, cyclers, 50 },
	{ "replace/1", replace_run, everyone, 1 },
	{ "protect/1", protect_run, everyone, 1 },
	{ "protect/cut", cut_run, only_gpmm, 1 },
	{ "split+merge/1", split_run, only_gpmm, 1 },
};

static void measure(struct entry *entry, const struct job *job,
		    const struct bench_probes *probes, bool reader, int ms,
		    struct bench_samples *samples)
{
	struct bench_racer racers[2];
	struct bench_race race;

	entry->changing.pairs = job->pairs;
	racers[0] = (struct bench_racer){
		.cpu = 1, .contender = entry->contender, .map = entry->map,
		.run = job->run, .arg = &entry->changing,
	};
	racers[1] = (struct bench_racer){
		.cpu = 0, .contender = entry->contender, .map = entry->map,
		.run = bench_race_read, .arg = (void *)(uintptr_t)probes,
	};
	bench_race_start(&race, racers, reader ? 2 : 1);
	bench_race_finish(&race, racers, reader ? 2 : 1, ms);
	/* Not one done: then one takes at least that long. */
	bench_samples_add(samples, (double)racers[0].elapsed /
			  (racers[0].done ? (double)racers[0].done : 1));
}

static void print_job(struct entry *entries, size_t n, const struct job *job,
		      bool reader)
{
	size_t areas = entries[0].changing.areas->count, i;
	char what[64];

	for (i = 0; i < n; i++) {
		bool beside = reader && entries[i].contender->concurrent;
		struct bench_row row = bench_row("change", what,
						 entries[i].contender->name,
						 1 + beside, areas);

		snprintf(what, sizeof(what), "%s/%s", job->name,
			 beside ? "reader" : "alone");
		row.ns = &entries[i].ns;
		if (row.ns->count)
			bench_print(&row);
		entries[i].ns.count = 0;
	}
}

/* What transactions are compared with is timed along with them. */
static void print_singles(struct entry *entries, size_t n,
			  const struct job *job)
{
	size_t areas = entries[0].changing.areas->count, i;
	char what[64];

	snprintf(what, sizeof(what), "%s/singles", job->name);
	for (i = 0; i < n; i++) {
		struct bench_row row = bench_row("change", what,
						 entries[i].contender->name,
						 1, areas);

		row.ns = &entries[i].single_ns;
		if (row.ns->count)
			bench_print(&row);
		entries[i].single_ns.count = 0;
	}
}

/* How near the writer's CPU was to the reader's meanwhile. */
static void print_trips(const struct bench_samples *trips, size_t areas)
{
	struct bench_row row = bench_row("change", "pair/1/round-trip", "cpus",
					 2, areas);

	row.ns = trips;
	if (trips->count)
		bench_print(&row);
}

/* The bare pair, where it is transactions' turn. */
static void measure_single(struct entry *entry, const struct job *job,
			   const struct bench_probes *probes, int ms)
{
	if (job->run == cycle_run && !entry->contender->concurrent)
		measure(entry, &jobs[0], probes, false, ms,
			&entry->single_ns);
}

static void run_job(struct entry *entries, size_t n, const struct job *job,
		    const struct bench_probes *probes, bool reader, int ms)
{
	struct bench_samples trips = { .count = 0 };
	size_t i;
	int turn;

	for (turn = 0; turn < bench_turns(); turn++) {
		if (reader && job->run == pair_run)
			bench_samples_add(&trips, bench_race_round_trip());
		for (i = 0; i < n; i++) {
			if (!job->who(entries[i].contender))
				continue;
			measure(&entries[i], job, probes,
				reader && entries[i].contender->concurrent, ms,
				&entries[i].ns);
			measure_single(&entries[i], job, probes, ms);
		}
	}
	print_job(entries, n, job, reader);
	print_singles(entries, n, job);
	print_trips(&trips, entries[0].changing.areas->count);
}

/* Before anything is timed, and after each job. */
static void verify(const struct entry *entries, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		bench_verify(entries[i].contender, entries[i].map,
			     entries[i].changing.areas, NULL);
}

static void run_jobs(size_t count, int ms)
{
	static struct entry entries[BENCH_CONTENDERS_MAX];
	const struct bench_contender *list[BENCH_CONTENDERS_MAX];
	struct bench_areas areas = bench_areas_make(count);
	struct bench_probes probes =
		bench_probes_make(&areas, BENCH_UNIFORM, false);
	uint32_t *order = bench_shuffle(count, 5);
	size_t i, n, j;

	n = bench_contenders_keep(list, bench_contenders(list), everyone);
	for (i = 0; i < n; i++)
		entries[i] = (struct entry){
			.contender = list[i],
			.map = list[i]->build(&areas, NULL),
			.changing = { &areas, order, 0, 1 },
		};
	verify(entries, n);
	for (j = 0; n && j < sizeof(jobs) / sizeof(*jobs); j++) {
		if (jobs[j].pairs > count)
			continue;
		run_job(entries, n, &jobs[j], &probes, bench_cpus() > 1, ms);
		verify(entries, n);
	}
	for (i = 0; i < n; i++)
		list[i]->destroy(entries[i].map);
	free(order);
	bench_probes_free(&probes);
	bench_areas_free(&areas);
}

/* ---- bulk build and iteration ---- */

static uint64_t sum_of(const struct bench_areas *areas)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < areas->count; i++)
		sum += areas->area[i].hva;
	return sum;
}

static void build_once(struct entry *entry, const struct bench_areas *areas,
		       struct bench_samples *walk)
{
	const struct bench_contender *contender = entry->contender;
	uint64_t sum, start = bench_now();
	void *map = contender->build(areas, NULL);

	bench_samples_add(&entry->ns, (double)(bench_now() - start) /
			  (double)areas->count);
	if (contender->enter)
		contender->enter();
	start = bench_now();
	sum = contender->iterate(map);
	bench_samples_add(walk, (double)(bench_now() - start) /
			  (double)areas->count);
	if (sum != sum_of(areas))
		bench_die("%s does not visit all areas", contender->name);
	if (contender->leave)
		contender->leave();
	contender->destroy(map);
}

static void run_build(size_t count)
{
	static struct bench_samples walks[BENCH_CONTENDERS_MAX];
	static struct entry entries[BENCH_CONTENDERS_MAX];
	const struct bench_contender *list[BENCH_CONTENDERS_MAX];
	struct bench_areas areas = bench_areas_make(count);
	size_t i, n;
	int reps;

	n = bench_contenders_keep(list, bench_contenders(list), everyone);
	for (i = 0; i < n; i++) {
		entries[i] = (struct entry){ .contender = list[i] };
		walks[i].count = 0;
	}
	for (reps = 0; reps < bench_options.reps; reps++)
		for (i = 0; i < n; i++)
			build_once(&entries[i], &areas, &walks[i]);
	for (i = 0; i < n; i++) {
		struct bench_row row = bench_row("change", "build",
						 list[i]->name, 1, count);

		row.ns = &entries[i].ns;
		bench_print(&row);
		row.what = "iterate";
		row.ns = &walks[i];
		bench_print(&row);
	}
	bench_areas_free(&areas);
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = { 64, 512, 32764, 8, 4096 };
	size_t i, count;
	int ms;

	bench_init(argc, argv);
	bench_pin(0);
	ms = bench_scale(2, 12, 60 / BENCH_TURNS);
	count = (size_t)bench_scale(1, 3, 5);
	if (bench_options.areas) {
		run_jobs(bench_options.areas, ms);
		return 0;
	}
	for (i = 0; i < count; i++)
		run_jobs(sizes[i], ms);
	run_build((size_t)bench_scale(4096, 100000, 1000000));
	return 0;
}
