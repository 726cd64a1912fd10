/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lazy ranges, faults raced by many threads, walkers beside a writer.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helpers/child.h"
#include "helpers/entries.h"
#include "helpers/kvm_suite.h"
#include "helpers/nested_arena.h"

#define HPA	(16 * G1)
#define THREADS	4

static struct nested_arena arena;
static struct gpmm_nested *t;

static void setup(enum gpmm_nested_format format, size_t frames)
{
	struct gpmm_nested_options options;

	nested_arena_init(&arena, frames);
	options = nested_arena_options(&arena, format, 0);
	options.limbo_max = 64;
	CU_ASSERT_EQUAL_FATAL(gpmm_nested_create(&options, &t), 0);
}

static void teardown(void)
{
	nested_arena_end(&arena, t);
}

static uint64_t *data_at(uint64_t gpa)
{
	struct gpmm_nested_hit hit;

	CU_ASSERT_EQUAL_FATAL(gpmm_nested_walk(t, gpa, GPMM_READ, &hit), 0);
	return nested_arena_va(&arena, hit.hpa);
}

static void a_lazy_range_costs_nothing_until_a_fault(void)
{
	for (size_t i = 0; i < 7; i++) {
		size_t empty;

		setup(nested_formats[i].format, 64);
		empty = arena.out;
		CU_ASSERT_EQUAL(gpmm_nested_map(t, G1, 0, G1,
						GPMM_RW | GPMM_LAZY), 0);
		CU_ASSERT_EQUAL(arena.out, empty);
		CU_ASSERT_EQUAL(gpmm_nested_handle_fault(t, G1 + 5,
							 GPMM_WRITE), 0);
		/* The tables below the root, and the frame. */
		CU_ASSERT(arena.out - empty >= 3 && arena.out - empty <= 5);
		CU_ASSERT_EQUAL(*data_at(G1), 0);
		CU_ASSERT_EQUAL(gpmm_nested_unmap(t, 0, 4 * G1), 0);
		CU_ASSERT_EQUAL(gpmm_nested_drain(t), 0);
		CU_ASSERT_EQUAL(arena.out, empty);
		teardown();
	}
}

static void a_second_fault_keeps_what_is_there(void)
{
	setup(GPMM_NESTED_EPT4, 64);
	CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, 0, M2, GPMM_RW | GPMM_LAZY), 0);
	CU_ASSERT_EQUAL(gpmm_nested_handle_fault(t, K4, GPMM_WRITE), 0);
	*data_at(K4) = 4711;
	CU_ASSERT_EQUAL(gpmm_nested_handle_fault(t, K4, GPMM_WRITE), 0);
	CU_ASSERT_EQUAL(gpmm_nested_protect(t, 0, M2, 0), 0);
	CU_ASSERT_EQUAL(gpmm_nested_handle_fault(t, K4, GPMM_WRITE), -EACCES);
	CU_ASSERT_EQUAL(gpmm_nested_handle_fault(t, 0, GPMM_READ), -EACCES);
	CU_ASSERT_EQUAL(gpmm_nested_protect(t, 0, M2, GPMM_READ), 0);
	CU_ASSERT_EQUAL(gpmm_nested_handle_fault(t, K4, GPMM_WRITE), -EACCES);
	CU_ASSERT_EQUAL(*data_at(K4), 4711);
	CU_ASSERT_EQUAL(gpmm_nested_handle_fault(t, 2 * K4, GPMM_READ), 0);
	teardown();
}

/* One bit for both: supervisor's execution is the user's. */
static void user_code_may_fault_where_code_may_run(void)
{
	for (size_t i = 0; i < 7; i++) {
		setup(nested_formats[i].format, 64);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, 0, M2, GPMM_RWX |
						GPMM_LAZY), 0);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, M2, 0, M2, GPMM_RW |
						GPMM_LAZY), 0);
		CU_ASSERT_EQUAL(gpmm_nested_handle_fault(t, 0,
							 GPMM_USER_EXEC), 0);
		CU_ASSERT_EQUAL(gpmm_nested_handle_fault(t, M2,
							 GPMM_USER_EXEC),
				-EACCES);
		teardown();
	}
}

/* By chance its frames lie as a large leaf would; each is freed by itself. */
static void a_filled_range_is_never_one_large_leaf(void)
{
	setup(GPMM_NESTED_EPT4, 2048);
	CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, 0, M2, GPMM_RW | GPMM_LAZY), 0);
	CU_ASSERT_EQUAL(gpmm_nested_handle_fault(t, K4, GPMM_WRITE), 0);
	arena.next = 512;
	CU_ASSERT_EQUAL(gpmm_nested_handle_fault(t, 0, GPMM_WRITE), 0);
	CU_ASSERT_EQUAL(gpmm_nested_unmap(t, K4, K4), 0);
	CU_ASSERT_EQUAL(gpmm_nested_map(t, K4, 0, K4, GPMM_RW | GPMM_LAZY), 0);
	for (uint64_t gpa = K4; gpa < M2; gpa += K4)
		CU_ASSERT_EQUAL(gpmm_nested_handle_fault(t, gpa, GPMM_WRITE),
				0);
	CU_ASSERT_EQUAL(data_at(M2 - K4) - data_at(0), (M2 - K4) / 8);
	CU_ASSERT_EQUAL(gpmm_nested_protect(t, 0, M2, GPMM_READ), 0);
	CU_ASSERT_EQUAL(gpmm_nested_unmap(t, 0, M2), 0);
	CU_ASSERT_EQUAL(gpmm_nested_drain(t), 0);
	CU_ASSERT_EQUAL(arena.out, 1);
	teardown();
}

static void unmapping_a_part_gives_its_frames_back(void)
{
	setup(GPMM_NESTED_EPT4, 64);
	CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, 0, M2, GPMM_RW | GPMM_LAZY), 0);
	for (uint64_t at = 0; at < 8; at++)
		CU_ASSERT_EQUAL(gpmm_nested_handle_fault(t, at * K4,
							 GPMM_WRITE), 0);
	*data_at(7 * K4) = 7;
	CU_ASSERT_EQUAL(gpmm_nested_unmap(t, 2 * K4, 4 * K4), 0);
	CU_ASSERT_EQUAL(gpmm_nested_handle_fault(t, 2 * K4, GPMM_READ),
			-ENOENT);
	CU_ASSERT_EQUAL(gpmm_nested_handle_fault(t, 8 * K4, GPMM_READ), 0);
	CU_ASSERT_EQUAL(*data_at(7 * K4), 7);
	CU_ASSERT_EQUAL(gpmm_nested_drain(t), 0);
	CU_ASSERT_EQUAL(arena.out, 1 + 3 + 5);
	teardown();
}

static void without_frames_a_fault_changes_nothing(void)
{
	for (size_t i = 0; i < 7; i++) {
		size_t empty;
		long n = 0;
		int ret;

		setup(nested_formats[i].format, 64);
		empty = arena.out;
		CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, 0, M2,
						GPMM_RW | GPMM_LAZY), 0);
		for (;; n++) {
			arena.left = n;
			ret = gpmm_nested_handle_fault(t, 0, GPMM_READ);
			if (!ret)
				break;
			CU_ASSERT_EQUAL(ret, -ENOMEM);
			CU_ASSERT_EQUAL(arena.out, empty);
		}
		arena.left = -1;
		CU_ASSERT(n >= 3);
		teardown();
	}
}

/* ------------------------------------------------------------------ races --- */

static pthread_barrier_t barrier;
static unsigned long failed;

static void *fault_all(void *arg)
{
	const uint64_t pages = 1024, step = 2 * (uintptr_t)arg + 1;

	gpmm_thread_register();
	pthread_barrier_wait(&barrier);
	for (uint64_t i = 0; i < pages; i++) {
		/* Together at first, then each in his own order. */
		uint64_t page = i < pages / 2 ? i : i * step % pages;
		struct gpmm_nested_hit hit;
		uint64_t *data;

		if (gpmm_nested_handle_fault(t, page * K4, GPMM_WRITE) ||
		    gpmm_nested_walk(t, page * K4, GPMM_WRITE, &hit)) {
			__atomic_fetch_add(&failed, 1, __ATOMIC_RELAXED);
			continue;
		}
		data = nested_arena_va(&arena, hit.hpa);
		__atomic_fetch_add(data, 1, __ATOMIC_RELAXED);
	}
	gpmm_thread_unregister();
	return NULL;
}

static void run_threads(void *(*run)(void *), unsigned int count)
{
	pthread_t threads[THREADS];

	for (uintptr_t i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, run, (void *)i))
			abort();
	for (unsigned int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

static void one_frame_wins_and_none_leaks(void)
{
	uint64_t sum = 0;

	setup(GPMM_NESTED_EPT4, 4096);
	CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, 0, 1024 * K4,
					GPMM_RW | GPMM_LAZY), 0);
	pthread_barrier_init(&barrier, NULL, THREADS);
	failed = 0;
	run_threads(fault_all, THREADS);
	pthread_barrier_destroy(&barrier);
	CU_ASSERT_EQUAL(failed, 0);
	/* Every thread has touched every page of the first half. */
	for (uint64_t page = 0; page < 512; page++)
		CU_ASSERT(*data_at(page * K4) >= THREADS);
	for (uint64_t page = 0; page < 1024; page++) {
		CU_ASSERT_EQUAL(gpmm_nested_handle_fault(t, page * K4,
							 GPMM_READ), 0);
		sum += *data_at(page * K4);
	}
	/* Nothing that was written went with a frame that lost. */
	CU_ASSERT_EQUAL(sum, THREADS * 1024);
	CU_ASSERT_EQUAL(arena.out, 1024 + 2 + 3);
	teardown();
}

static int stop;

/* A page leads to one of the two places a writer gives it, or nowhere. */
static void *walk_all(void *arg)
{
	unsigned long walks = 0, bad = 0;

	(void)arg;
	gpmm_thread_register();
	pthread_barrier_wait(&barrier);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED) || walks < 1000) {
		uint64_t gpa = walks++ * 7 * K4 % (2 * G1);
		struct gpmm_nested_hit hit;

		if (gpmm_nested_walk(t, gpa, GPMM_READ, &hit))
			bad += hit.cause != GPMM_NESTED_NOT_PRESENT;
		else
			bad += hit.hpa != HPA + gpa &&
			       hit.hpa != HPA + gpa + K4;
	}
	__atomic_fetch_add(&failed, bad, __ATOMIC_RELAXED);
	gpmm_thread_unregister();
	return NULL;
}

static bool writer_round(unsigned int i)
{
	const uint64_t hpa = HPA + (i & 1 ? K4 : 0);
	uint64_t gpa = i % 3 * M2;

	if (gpmm_nested_begin(t))
		return false;
	if (gpmm_nested_unmap(t, gpa, 4 * M2) ||
	    gpmm_nested_map(t, gpa, hpa + gpa, 4 * M2, GPMM_RW)) {
		gpmm_nested_abort(t);
		return false;
	}
	gpmm_nested_commit(t);
	return !gpmm_nested_protect(t, gpa + K4, K4, GPMM_READ) &&
	       !gpmm_nested_unmap(t, G1, M2) &&
	       !gpmm_nested_map(t, G1, HPA + G1, M2, GPMM_RW) &&
	       (i % 64 || !gpmm_nested_drain(t));
}

static void walkers_run_beside_a_writer(void)
{
	pthread_t threads[2];

	setup(GPMM_NESTED_EPT4, 4096);
	pthread_barrier_init(&barrier, NULL, 3);
	failed = 0;
	stop = 0;
	for (int i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, walk_all, NULL))
			abort();
	pthread_barrier_wait(&barrier);
	for (unsigned int i = 0; i < 2000; i++)
		CU_ASSERT(writer_round(i));
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&barrier);
	CU_ASSERT_EQUAL(failed, 0);
	teardown();
}

static void *fault_while_it_goes(void *arg)
{
	unsigned long bad = 0;
	uint64_t at = (uintptr_t)arg;

	gpmm_thread_register();
	pthread_barrier_wait(&barrier);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		int ret = gpmm_nested_handle_fault(t, at++ % 64 * K4,
						   GPMM_WRITE);

		bad += ret && ret != -ENOENT && ret != -EACCES;
	}
	__atomic_fetch_add(&failed, bad, __ATOMIC_RELAXED);
	gpmm_thread_unregister();
	return NULL;
}

static void *unmap_and_map_again(void *arg)
{
	unsigned long bad = 0;

	(void)arg;
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < 1000; i++) {
		bad += gpmm_nested_unmap(t, 16 * K4, 32 * K4) != 0;
		bad += gpmm_nested_map(t, 16 * K4, 0, 32 * K4,
				       GPMM_RW | GPMM_LAZY) != 0;
		bad += gpmm_nested_protect(t, 0, 8 * K4,
					   i & 1 ? GPMM_RW : 0) != 0;
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&failed, bad, __ATOMIC_RELAXED);
	return NULL;
}

static void *fault_or_change(void *arg)
{
	return arg ? fault_while_it_goes(arg) : unmap_and_map_again(arg);
}

static void faults_race_unmap_without_a_leak(void)
{
	setup(GPMM_NESTED_STAGE2, 4096);
	CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, 0, 64 * K4,
					GPMM_RW | GPMM_LAZY), 0);
	pthread_barrier_init(&barrier, NULL, 3);
	failed = 0;
	stop = 0;
	run_threads(fault_or_change, 3);
	pthread_barrier_destroy(&barrier);
	CU_ASSERT_EQUAL(failed, 0);
	teardown();
}

/* A set may not wait for readers; what it retires is freed all the same. */
static void frames_of_a_sets_changes_come_back(void)
{
	const struct gpmm_area area = { .start = 0, .size = M2,
					.flags = GPMM_RW | GPMM_LAZY };
	struct gpmm_nested_stats stats;
	struct gpmm_backend *be;
	int threads = count_entries("/proc/self/task");

	setup(GPMM_NESTED_EPT4, 64);
	be = gpmm_nested_backend(t);
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(be->ops->begin(be), 0);
		CU_ASSERT_EQUAL(be->ops->map(be, &area), 0);
		CU_ASSERT_EQUAL(be->ops->commit(be), 0);
		be->ops->published(be);
		CU_ASSERT_EQUAL(gpmm_nested_handle_fault(t, K4, GPMM_WRITE),
				0);
		CU_ASSERT_EQUAL(be->ops->begin(be), 0);
		CU_ASSERT_EQUAL(be->ops->unmap(be, &area), 0);
		CU_ASSERT_EQUAL(be->ops->commit(be), 0);
		be->ops->published(be);
		do {
			sched_yield();
			gpmm_nested_get_stats(t, &stats);
		} while (stats.limbo);
		CU_ASSERT_EQUAL(stats.tables, 1);
	}
	teardown();
	/* Nor does the library's thread stay. */
	CU_ASSERT_EQUAL(count_entries("/proc/self/task"), threads);
}

/* In a process that may start @limit threads, none: what failed to begin holds
 * nothing. */
static int begin_alone(rlim_t limit)
{
	struct gpmm_backend *be = gpmm_nested_backend(t);

	if (!give_up(RLIMIT_NPROC, limit))
		return CHILD_SKIPS;
	for (int i = 0; i < 2; i++)
		if (be->ops->begin(be) != -EAGAIN)
			return 1;
	return gpmm_nested_map(t, 0, HPA, K4, GPMM_RW) ? 2 : 0;
}

static void a_sets_change_without_a_thread_fails_alone(void)
{
	setup(GPMM_NESTED_EPT4, 64);
	in_a_child(begin_alone, 0);
	teardown();
}

static const char *registered(void)
{
	gpmm_thread_register();
	return NULL;
}

SUITE_IF(registered(), "lazy nested ranges",
	 TEST(a_lazy_range_costs_nothing_until_a_fault),
	 TEST(a_second_fault_keeps_what_is_there),
	 TEST(user_code_may_fault_where_code_may_run),
	 TEST(a_filled_range_is_never_one_large_leaf),
	 TEST(unmapping_a_part_gives_its_frames_back),
	 TEST(without_frames_a_fault_changes_nothing),
	 TEST(one_frame_wins_and_none_leaks),
	 TEST(walkers_run_beside_a_writer),
	 TEST(faults_race_unmap_without_a_leak),
	 TEST(a_sets_change_without_a_thread_fails_alone),
	 TEST(frames_of_a_sets_changes_come_back))
