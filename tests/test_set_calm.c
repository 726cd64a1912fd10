/* SPDX-License-Identifier: BSD-3-Clause */
/* What a set keeps of the memory that a burst of changes took, and how long. */
#include <time.h>
#include <unistd.h>

#include <gpmm/gpmm.h>

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

/* As fast as can be; afterwards nothing waits for a grace period. */
static void burst(struct gpmm_set *set)
{
	for (unsigned int i = 0; i < CHANGES; i++) {
		uint32_t flags = i / AREAS % 2 + 2;

		CU_ASSERT_EQUAL(gpmm_set_protect(set, i % AREAS * 2 * SIZE,
						 SIZE, gpmm_protect_to,
						 &flags), 0);
	}
	while (stats_of(set).limbo_bytes)
		usleep(POLL_US);
}

static void test_a_burst_finds_the_memory_of_the_last(void)
{
	struct gpmm_set *set = fill();
	double start;
	size_t bytes;

	burst(set);
	bytes = stats_of(set).total_bytes;
	CU_ASSERT(bytes > (size_t)1 << 20);
	start = now_ms();
	usleep(200000);
	/* Unless this machine has slept for longer. */
	if (now_ms() - start < 800)
		CU_ASSERT(stats_of(set).total_bytes >= bytes / 2);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

static void test_in_the_end_it_goes(void)
{
	struct gpmm_set *set = fill();
	size_t least = stats_of(set).total_bytes;
	int polls = 0;

	burst(set);
	while (stats_of(set).total_bytes > 2 * least && polls++ < MOST_POLLS)
		usleep(POLL_US);
	CU_ASSERT(stats_of(set).total_bytes <= 2 * least);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

int main(void)
{
	static const struct suite_test tests[] = {
		{ "a burst finds the memory of the last",
		  test_a_burst_finds_the_memory_of_the_last },
		{ "in the end it goes", test_in_the_end_it_goes },
		{ 0 },
	};

	return suite_run("sets that have calmed down", tests);
}
