/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A million random operations, some of them made to fail, on sets of many
 * shapes, each beside the model. GPMM_SEED replays a run; GPMM_OPS sets how
 * many operations there are in all; GPMM_LONG=1 makes them twenty times more.
 */
#include <stdio.h>

#include "helpers/suite.h"
#include "helpers/walk.h"

#define K	UINT64_C(1024)
#define M	(K * K)
#define G	(K * M)
/* Granules have 32-bit keys up to here. */
#define NARROW	(UINT64_C(1) << 31)

struct shaped_run {
	const char *name;
	struct walk_shape shape;
	unsigned int share;	/* of all operations, in percent */
};

static const struct shaped_run runs[] = {
	{ "bytes, low", { .granule = 1, .cells = 64, .longest = 32 }, 12 },
	{ "bytes, low, unmerged",
	  { .granule = 1, .cells = 64, .longest = 32, .no_merge = true }, 6 },
	{ "bytes, at the top",
	  { .granule = 1, .base = -UINT64_C(128), .cells = 128,
	    .longest = 64 }, 8 },
	{ "bytes, across wider keys",
	  { .granule = 1, .base = NARROW - 128, .cells = 256,
	    .longest = 64 }, 8 },
	{ "pages, low",
	  { .granule = 4 * K, .cells = 256, .longest = 64 }, 12 },
	{ "pages, low, unmerged",
	  { .granule = 4 * K, .cells = 512, .longest = 64, .areas = 128,
	    .no_merge = true }, 8 },
	{ "pages, up to 8 TiB",
	  { .granule = 4 * K, .base = (NARROW - 256) * 4 * K, .cells = 256,
	    .longest = 64 }, 8 },
	{ "pages, across 8 TiB",
	  { .granule = 4 * K, .base = (NARROW - 256) * 4 * K, .cells = 512,
	    .longest = 300 }, 10 },
	{ "pages, above 8 TiB, unmerged",
	  { .granule = 4 * K, .base = 5 * NARROW * 4 * K, .cells = 1024,
	    .longest = 16, .no_merge = true }, 6 },
	{ "pages, at the top",
	  { .granule = 4 * K, .base = -(512 * 4 * K), .cells = 512,
	    .longest = 64 }, 8 },
	{ "2M, across 8 TiB",
	  { .granule = 2 * M, .base = (UINT64_C(1) << 43) - 128 * M,
	    .cells = 256, .longest = 32 }, 5 },
	{ "1G, over many times 8 TiB",
	  { .granule = G, .cells = 32 * K, .longest = 12 * K,
	    .areas = 1000 }, 1 },
	{ "pages, thousands of areas",
	  { .granule = 4 * K, .cells = 32 * K, .longest = 24,
	    .areas = 10000 }, 5 },
	{ "pages, thousands of areas, unmerged, wide",
	  { .granule = 4 * K, .base = UINT64_C(1) << 50, .cells = 32 * K,
	    .longest = 24, .areas = 16384, .no_merge = true,
	    .limbo_max = 64 * K }, 3 },
};

enum { RUNS = sizeof(runs) / sizeof(runs[0]) };

static uint64_t seed;
static unsigned long total;

/* How many steps go by between two full comparisons. */
static unsigned long rest(const struct walk_shape *shape)
{
	return shape->cells > 1024 ? shape->cells : shape->cells / 8;
}

static int steps(struct walk *walk, unsigned long n)
{
	unsigned long i;

	for (i = 1; i <= n; i++)
		if (walk_step(walk) ||
		    (i % rest(&walk->shape) == 0 && walk_check(walk)))
			return -1;
	return 0;
}

static void run_shape(const struct shaped_run *run)
{
	unsigned long n = total / 100 * run->share + run->share;
	struct walk walk;
	int ret = walk_open(&walk, &run->shape, seed);

	if (!ret)
		ret = steps(&walk, n);
	printf("    %-42s %8lu operations, %7lu made to fail\n", run->name,
	       walk.steps, walk.failures);
	ret |= walk_close(&walk);
	if (ret)
		printf("    GPMM_SEED=%#lx GPMM_OPS=%lu: %s: %s\n", seed, total,
		       run->name, walk.why);
	CU_ASSERT_EQUAL(ret, 0);
}

static void test_walks(void)
{
	int i;

	printf("\n    GPMM_OPS=%lu\n", total);
	for (i = 0; i < RUNS; i++)
		run_shape(&runs[i]);
}

int main(void)
{
	static const struct suite_test tests[] = {
		{ "the set is the model, whatever happens to it", test_walks },
		{ 0 },
	};

	seed = env_seed();
	total = env_number("GPMM_OPS", env_long() ? 20000000 : 1000000);
	return suite_run("set_model", tests);
}
