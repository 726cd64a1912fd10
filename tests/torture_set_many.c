/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many sets, one thread that reclaims for all of them: they come and go beside
 * its work. GPMM_LONG=1 makes it a hundred times longer.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include <gpmm/gpmm.h>

#include "helpers/rng.h"
#include "helpers/suite.h"

#define PAGE	UINT64_C(4096)

enum { THREADS = 4, ROUNDS = 60, AREAS = 300 };

static uint64_t seed;
static unsigned long live;	/* host memories not yet released */
static unsigned long failed;

static void must(bool good)
{
	if (!good)
		__atomic_fetch_add(&failed, 1, __ATOMIC_RELAXED);
}

/* ---------------------------------------------------------------- memory */

static char memory[PAGE] __attribute__((aligned(4096)));

static void release(void *arg, void *addr, uint64_t size)
{
	(void)arg;
	(void)addr;
	(void)size;
	__atomic_fetch_sub(&live, 1, __ATOMIC_RELEASE);
}

/* A set of the callback's own, on whatever thread it runs. */
static void release_and_make_a_set(void *arg, void *addr, uint64_t size)
{
	struct gpmm_area area = { .size = PAGE };
	struct gpmm_set *set;

	must(!gpmm_set_create(NULL, &set));
	must(!gpmm_set_map(set, &area, 0));
	must(!gpmm_set_destroy(set));
	release(arg, addr, size);
}

static int map_memory(struct gpmm_set *set, gpmm_gpa_t start,
		      void (*done)(void *arg, void *addr, uint64_t size))
{
	struct gpmm_host_options options = {
		.kind = GPMM_HOST_USER, .size = PAGE, .user = memory,
		.release = done,
	};
	struct gpmm_area area = { .start = start, .size = PAGE };
	int ret = gpmm_host_create(&options, &area.host);

	if (ret)
		return ret;
	__atomic_fetch_add(&live, 1, __ATOMIC_RELAXED);
	ret = gpmm_set_map(set, &area, 0);
	gpmm_host_put(area.host);
	return ret;
}

/* ------------------------------------------------------------ come and go */

static void change(struct gpmm_set *set, struct rng *rng)
{
	for (gpmm_gpa_t i = 0; i < AREAS; i++) {
		struct gpmm_area area = { .start = 2 * i * PAGE, .size = PAGE };

		if (rng_below(rng, 32))
			must(!gpmm_set_map(set, &area, 0));
		else
			must(!map_memory(set, area.start, rng_below(rng, 4) ?
					 release : release_and_make_a_set));
	}
	/* Most of it, scattered, so that nodes move. */
	for (gpmm_gpa_t i = 0; i < AREAS; i++)
		if (rng_below(rng, 8))
			must(!gpmm_set_unmap(set, 2 * i * PAGE, PAGE));
}

/* Its work may wait, run, or be about to be handed in again. */
static void live_and_die(struct rng *rng)
{
	struct gpmm_set_options options = { .limbo_max = rng_below(rng, 2) };
	struct gpmm_set *set;

	must(!gpmm_set_create(&options, &set));
	change(set, rng);
	if (!rng_below(rng, 4))
		must(!gpmm_set_drain(set));
	for (uint32_t yields = rng_below(rng, 64); yields; yields--)
		sched_yield();
	if (rng_below(rng, 2))
		gpmm_set_abandon(set);
	else
		must(!gpmm_set_destroy(set));
}

static void *come_and_go(void *arg)
{
	struct rng rng = { seed + (uintptr_t)arg };
	int rounds = env_long() ? 100 * ROUNDS : ROUNDS;

	while (rounds--)
		live_and_die(&rng);
	return NULL;
}

static void test_sets_come_and_go(void)
{
	pthread_t thread[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, come_and_go, (void *)i);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	CU_ASSERT_EQUAL(failed, 0);
	CU_ASSERT_EQUAL(live, 0);
}

int main(void)
{
	static const struct suite_test tests[] = {
		{ "sets come and go beside the worker",
		  test_sets_come_and_go },
		{ 0 },
	};

	seed = env_seed();
	printf("GPMM_SEED=%#lx\n", seed);
	return suite_run("set_many", tests);
}
