/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The search for a hole within limits, against one that looks at every cell:
 * every pair of limits where that is not too many.
 */
#include <stdio.h>

#include <gpmm/gpmm.h>

#include "helpers/rng.h"
#include "helpers/suite.h"

enum {
	FEW = 256,		/* cells; a tree of two levels */
	MANY = 8192,		/* of three */
};

static struct gpmm_set *set;
static gpmm_gpa_t base;		/* of the cells, one byte each */
static uint32_t cells;
/* How many free cells there are from each on. */
static uint32_t run[MANY + 1];
static unsigned long wrong;

/* Areas and gaps of up to three cells. */
static void fill_cells(gpmm_gpa_t at, uint32_t count)
{
	struct gpmm_set_options options = { .granule = 1, .no_merge = true };
	static bool taken[MANY];
	struct rng rng = { env_seed() };
	struct gpmm_area area = { 0 };
	uint32_t i, next;

	base = at;
	cells = count;
	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&options, &set), 0);
	for (i = rng_below(&rng, 4); i + 3 <= cells; i = next) {
		area.start = base + i;
		area.size = 1 + rng_below(&rng, 3);
		CU_ASSERT_EQUAL(gpmm_set_map(set, &area, 0), 0);
		next = i + (uint32_t)area.size + rng_below(&rng, 4);
	}
	run[cells] = 0;
	for (i = 0; i < cells; i++)
		taken[i] = gpmm_set_find(set, base + i, NULL);
	while (i--)
		run[i] = taken[i] ? 0 : run[i + 1] + 1;
}

static bool fits(const struct gpmm_hole *hole, uint32_t cell)
{
	return run[cell] >= hole->size && !((base + cell) & (hole->align - 1));
}

/* The cell of the answer; UINT32_MAX: there is none. */
static uint32_t search(const struct gpmm_hole *hole, uint32_t from,
		       uint32_t to)
{
	uint32_t size = (uint32_t)hole->size, i;

	if (to - from < size)
		return UINT32_MAX;
	if (hole->top_down) {
		for (i = to - size + 1; i-- > from;)
			if (fits(hole, i))
				return i;
		return UINT32_MAX;
	}
	for (i = from; i <= to - size; i++)
		if (fits(hole, i))
			return i;
	return UINT32_MAX;
}

/* Ask for a hole in cells [from, to). */
static void ask(struct gpmm_hole hole, uint32_t from, uint32_t to)
{
	uint32_t right = search(&hole, from, to);
	gpmm_gpa_t addr;

	hole.limit = (struct gpmm_range){ base + from, to - from };
	if (gpmm_set_find_free(set, &hole, &addr) ? right == UINT32_MAX :
						    addr - base == right)
		return;
	if (!wrong++)
		printf("\n    GPMM_SEED=%#lx: [%u, %u) size %lu align %lu\n",
		       env_seed(), from, to, hole.size, hole.align);
}

static void ask_all_ways(uint32_t from, uint32_t to)
{
	struct gpmm_hole hole;
	uint64_t size, align;

	for (size = 1; size <= 3; size++)
		for (align = 1; align <= 2; align++) {
			hole = (struct gpmm_hole){ .size = size,
						   .align = align };
			ask(hole, from, to);
			hole.top_down = true;
			ask(hole, from, to);
		}
}

static void every_limit(gpmm_gpa_t at)
{
	uint32_t from, to;

	fill_cells(at, FEW);
	for (from = 0; from < cells; from++)
		for (to = from + 1; to <= cells; to++)
			ask_all_ways(from, to);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

static void some_limits(gpmm_gpa_t at)
{
	struct rng rng = { env_seed() };
	uint32_t times, from, to;

	fill_cells(at, MANY);
	for (times = 20000; times--;) {
		from = rng_below(&rng, cells);
		to = from + 1 + rng_below(&rng, times % 4 ? 40 : cells - from);
		ask_all_ways(from, to < cells ? to : cells);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

static void test_narrow(void)
{
	every_limit(0);
	some_limits(0);
}

/* The last granules that narrow keys can hold. */
static void test_narrow_at_its_end(void)
{
	every_limit((UINT64_C(1) << 31) - FEW);
	some_limits((UINT64_C(1) << 31) - MANY);
}

static void test_wide(void)
{
	every_limit(UINT64_C(1) << 40);
	every_limit(-(uint64_t)FEW);
	some_limits(-(uint64_t)MANY);
}

/* An area is at every other cell, with one cell more behind the @lasting. */
static struct gpmm_area nth(uint32_t i, uint32_t lasting)
{
	return (struct gpmm_area){ .start = 2 * i + (i > lasting), .size = 1 };
}

/* While area @i is away the largest hole is there, and then again the other. */
static void go_and_come(uint32_t i, uint32_t lasting)
{
	struct gpmm_hole hole = { .size = 3, .limit = { 0, 1024 } };
	struct gpmm_area area = nth(i, lasting);
	gpmm_gpa_t addr = 0;

	CU_ASSERT_EQUAL(gpmm_set_unmap(set, area.start, 1), 0);
	CU_ASSERT_EQUAL(gpmm_set_find_free(set, &hole, &addr), 0);
	CU_ASSERT_EQUAL(addr, area.start - 1);
	CU_ASSERT_EQUAL(gpmm_set_map(set, &area, 0), 0);
	hole.size = 2;
	CU_ASSERT_EQUAL(gpmm_set_find_free(set, &hole, &addr), 0);
	CU_ASSERT_EQUAL(addr, nth(lasting, lasting).start + 1);
}

static void leave_hole_behind(uint32_t lasting)
{
	struct gpmm_set_options options = { .granule = 1, .no_merge = true };

	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&options, &set), 0);
	for (uint32_t i = 0; i < 1100; i++) {
		struct gpmm_area area = nth(i, lasting);

		CU_ASSERT_EQUAL(gpmm_set_map(set, &area, 0), 0);
	}
	go_and_come(8, lasting);
	go_and_come(136, lasting);
	go_and_come(504, lasting);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

/* In three levels: 16 areas a leaf, 512 a node; in leaves and between them. */
static void test_the_next_largest(void)
{
	for (uint32_t lasting = 1; lasting < 511; lasting += 5)
		leave_hole_behind(lasting);
	leave_hole_behind(127);
	leave_hole_behind(143);
}

int main(void)
{
	static const struct suite_test tests[] = {
		{ "within every limit", test_narrow },
		{ "the same at the end of narrow keys",
		  test_narrow_at_its_end },
		{ "the same where keys are wide", test_wide },
		{ "once the largest is filled", test_the_next_largest },
		{ 0 },
	};

	return suite_run("set_holes", tests);
}
