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
	if (racers[0].contender->settle)
		racers[0].contender->settle(racers[0].map);
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

#define CHUNKS	32
#define TRIPS	256	/* timed as one */

/* Its even turns are the caller's. */
struct ball {
	_Alignas(64) uint32_t turn;
};

static void await_turn(const struct ball *ball, uint32_t turn)
{
	while (__atomic_load_n(&ball->turn, __ATOMIC_ACQUIRE) != turn)
		;
}

/* As soon as it is @turn, make it the other's. */
static void pass(struct ball *ball, uint32_t turn)
{
	await_turn(ball, turn);
	__atomic_store_n(&ball->turn, turn + 1, __ATOMIC_RELEASE);
}

static void *pass_back(void *ball)
{
	uint32_t i;

	bench_pin(1);
	for (i = 0; i < CHUNKS * TRIPS; i++)
		pass(ball, 2 * i + 1);
	return NULL;
}

double bench_race_round_trip(void)
{
	struct ball ball = { 0 };
	double ns[CHUNKS];
	pthread_t other;
	uint64_t start;
	uint32_t i, j;

	bench_pin(0);
	if (pthread_create(&other, NULL, pass_back, &ball))
		bench_die("pthread_create failed");
	for (i = 0; i < CHUNKS; i++) {
		start = bench_now();
		for (j = 0; j < TRIPS; j++)
			pass(&ball, 2 * (i * TRIPS + j));
		ns[i] = (double)(bench_now() - start) / TRIPS;
	}
	pthread_join(other, NULL);
	return bench_median(ns, CHUNKS);
}
