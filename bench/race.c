/* SPDX-License-Identifier: BSD-3-Clause */
#include <sched.h>
#include <unistd.h>

#include "race.h"

static void *racer_main(void *arg)
{
	struct bench_racer *racer = arg;
	uint64_t start;

	bench_pin(racer->cpu);
	if (racer->contender->enter)
		racer->contender->enter();
	__atomic_add_fetch(&racer->race->waiting, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&racer->race->go, __ATOMIC_ACQUIRE))
		sched_yield();
	start = bench_now();
	racer->run(racer);
	racer->elapsed = bench_now() - start;
	if (racer->contender->leave)
		racer->contender->leave();
	return NULL;
}

void bench_race_start(struct bench_race *race, struct bench_racer *racers,
		      int count)
{
	int i;

	*race = (struct bench_race){ .waiting = 0 };
	for (i = 0; i < count; i++) {
		racers[i].race = race;
		racers[i].done = 0;
		if (pthread_create(&racers[i].thread, NULL, racer_main,
				   &racers[i]))
			bench_die("pthread_create failed");
	}
	while (__atomic_load_n(&race->waiting, __ATOMIC_ACQUIRE) < count)
		sched_yield();
	__atomic_store_n(&race->go, true, __ATOMIC_RELEASE);
}

void bench_race_finish(struct bench_race *race, struct bench_racer *racers,
		       int count, int ms)
{
	int i;

	usleep((useconds_t)ms * 1000);
	__atomic_store_n(&race->stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < count; i++)
		pthread_join(racers[i].thread, NULL);
}

void bench_race_read(struct bench_racer *racer)
{
	const struct bench_probes *probes = racer->arg;
	size_t at = (size_t)racer->cpu * BENCH_CHUNK;

	do {
		at %= probes->count;
		racer->contender->throughput(racer->map, probes->addr + at,
					     BENCH_CHUNK);
		at += BENCH_CHUNK;
		racer->done += BENCH_CHUNK;
	} while (!bench_race_over(racer));
}
