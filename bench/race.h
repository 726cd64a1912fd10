/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads that start together and stop when told to. */
#ifndef BENCH_RACE_H
#define BENCH_RACE_H

#include <pthread.h>
#include <stdbool.h>

#include "contender.h"

/* Shared by a run's threads; each apart from the others. */
struct bench_race {
	_Alignas(128) int waiting;	/* threads that are ready */
	_Alignas(128) bool go;
	_Alignas(128) bool stop;
};

/*
 * Likewise, and by twos, as CPUs fetch them: one counts each operation, another
 * looks at its own now and then.
 */
struct bench_racer {
	_Alignas(128) pthread_t thread;
	struct bench_race *race;
	int cpu;
	const struct bench_contender *contender;
	void *map;
	void (*run)(struct bench_racer *racer);
	void *arg;
	uint64_t done;		/* operations */
	uint64_t elapsed;	/* ns */
};

void bench_race_start(struct bench_race *race, struct bench_racer *racers,
		      int count);
/*
 * Let them run for @ms milliseconds, join them, and wait until nothing that
 * they left to other threads is to be done.
 */
void bench_race_finish(struct bench_race *race, struct bench_racer *racers,
		       int count, int ms);

/*
 * ns that a cache line takes from the first CPU to the second and back. Pins
 * the caller to the first.
 */
double bench_race_round_trip(void);

static inline bool bench_race_over(const struct bench_racer *racer)
{
	return __atomic_load_n(&racer->race->stop, __ATOMIC_RELAXED);
}

/* A reader's run: independent lookups in chunks; @arg: struct bench_probes. */
void bench_race_read(struct bench_racer *racer);

/* Million operations a second. */
static inline double bench_race_mops(const struct bench_racer *racer)
{
	return (double)racer->done * 1000 / (double)racer->elapsed;
}

#endif
