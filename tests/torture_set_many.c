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
		      void (*done)(void *arg, void *addr, uint64_t size),
		      void *arg)
{
	struct gpmm_host_options options = {
		.kind = GPMM_HOST_USER, .size = PAGE, .user = memory,
		.release = done, .release_arg = arg,
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
					 release : release_and_make_a_set,
					 NULL));
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

/* ------------------------------------------------------------ two by two */

/* Both are in their release callbacks before either changes the other's set. */
struct twin {
	struct gpmm_set *set;
	struct gpmm_set *other;
	pthread_barrier_t *inside;
};

static void change_the_other(void *arg, void *addr, uint64_t size)
{
	struct gpmm_area area = { .start = 8 * PAGE, .size = PAGE };
	struct twin *twin = arg;

	pthread_barrier_wait(twin->inside);
	must(!gpmm_set_map(twin->other, &area, 0));
	must(!gpmm_set_unmap(twin->other, area.start, area.size));
	release(NULL, addr, size);
}

static void *map_and_unmap(void *arg)
{
	struct twin *twin = arg;

	must(!map_memory(twin->set, 0, change_the_other, twin));
	must(!gpmm_set_unmap(twin->set, 0, PAGE));
	return NULL;
}

/* A limbo that is always full makes each commit wait. */
static void test_releases_change_each_others_sets(void)
{
	const struct gpmm_set_options options = { .limbo_max = 1 };
	pthread_barrier_t inside;
	struct twin twins[2];
	pthread_t thread[2];

	pthread_barrier_init(&inside, NULL, 2);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&options,
						      &twins[i].set), 0);
		twins[i].inside = &inside;
		twins[1 - i].other = twins[i].set;
	}
	for (int i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, map_and_unmap, &twins[i]);
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	for (int i = 0; i < 2; i++)
		CU_ASSERT_EQUAL(gpmm_set_drain(twins[i].set), 0);
	for (int i = 0; i < 2; i++)
		CU_ASSERT_EQUAL(gpmm_set_destroy(twins[i].set), 0);
	pthread_barrier_destroy(&inside);
	CU_ASSERT_EQUAL(failed, 0);
	CU_ASSERT_EQUAL(live, 0);
}

int main(void)
{
	static const struct suite_test tests[] = {
		{ "sets come and go beside the worker",
		  test_sets_come_and_go },
		{ "releases change each other's sets",
		  test_releases_change_each_others_sets },
		{ 0 },
	};

	seed = env_seed();
	return suite_run("set_many", tests);
}
