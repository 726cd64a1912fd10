/* SPDX-License-Identifier: BSD-3-Clause */
/* What a set keeps of the memory that a burst of changes took, and how long. */
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include <gpmm/gpmm.h>

#include "helpers/flag.h"
#include "helpers/suite.h"

#define AREAS		64
#define CHANGES		20000
#define SIZE		UINT64_C(0x1000)
#define POLL_US		10000
#define MOST_POLLS	3000

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static struct gpmm_set_stats stats_of(struct gpmm_set *set)
{
	struct gpmm_set_stats stats;

	gpmm_set_get_stats(set, &stats);
	return stats;
}

static struct gpmm_set *fill(void)
{
	struct gpmm_set *set;

	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(NULL, &set), 0);
	for (unsigned int i = 0; i < AREAS; i++) {
		struct gpmm_area area = {
			.start = i * 2 * SIZE, .size = SIZE, .flags = 1,
		};

		CU_ASSERT_EQUAL(gpmm_set_map(set, &area, 0), 0);
	}
	return set;
}

static void change(struct gpmm_set *set, unsigned int i)
{
	uint32_t flags = i / AREAS % 2 + 2;

	CU_ASSERT_EQUAL(gpmm_set_protect(set, i % AREAS * 2 * SIZE, SIZE,
					 gpmm_protect_to, &flags), 0);
}

/* As fast as can be. */
static void burst(struct gpmm_set *set, unsigned int changes)
{
	for (unsigned int i = 0; i < changes; i++)
		change(set, i);
}

/* Until nothing waits for a grace period. */
static void settle(struct gpmm_set *set)
{
	while (stats_of(set).limbo_bytes)
		usleep(POLL_US);
}

static struct {
	pthread_t thread;
	bool inside, leave;
} reader;

static void *read_on(void *arg)
{
	(void)arg;
	gpmm_thread_register();
	gpmm_read_lock();
	set(&reader.inside);
	wait_for(&reader.leave);
	gpmm_read_unlock();
	gpmm_thread_unregister();
	return NULL;
}

/* However slow this machine is, no grace period ends before the burst. */
static void burst_beside_reader(struct gpmm_set *busy)
{
	reader.inside = reader.leave = false;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&reader.thread, NULL, read_on,
					     NULL), 0);
	wait_for(&reader.inside);
	burst(busy, CHANGES);
	set(&reader.leave);
	pthread_join(reader.thread, NULL);
	settle(busy);
}

/* Meanwhile @changes more, from time to time. */
static void keep_for_a_while(unsigned int changes)
{
	struct gpmm_set *set = fill();
	double start;
	size_t bytes;

	burst_beside_reader(set);
	bytes = stats_of(set).total_bytes;
	CU_ASSERT(bytes > (size_t)1 << 20);
	start = now_ms();
	for (unsigned int i = 0; i < 10; i++) {
		usleep(20000);
		if (i < changes)
			change(set, i);
	}
	/* Unless this machine has slept for longer. */
	if (now_ms() - start < 800)
		CU_ASSERT(stats_of(set).total_bytes >= bytes / 2 - 65536);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

static void test_a_burst_finds_the_memory_of_the_last(void)
{
	keep_for_a_while(0);
}

static void test_a_change_now_and_then_is_not_told_from_none(void)
{
	keep_for_a_while(10);
}

/* Of whatever was taken, large chunks too. */
static void let_it_go(unsigned int changes)
{
	struct gpmm_set *set = fill();
	size_t least = stats_of(set).total_bytes;
	int polls = 0;

	burst(set, changes);
	settle(set);
	while (stats_of(set).total_bytes > 2 * least && polls++ < MOST_POLLS)
		usleep(POLL_US);
	CU_ASSERT(stats_of(set).total_bytes <= 2 * least);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

static void test_in_the_end_it_goes(void)
{
	let_it_go(CHANGES);
	let_it_go(6 * CHANGES);
}

int main(void)
{
	static const struct suite_test tests[] = {
		{ "a burst finds the memory of the last",
		  test_a_burst_finds_the_memory_of_the_last },
		{ "a change now and then is not told from none",
		  test_a_change_now_and_then_is_not_told_from_none },
		{ "in the end it goes", test_in_the_end_it_goes },
		{ 0 },
	};

	return suite_run("sets that have calmed down", tests);
}
