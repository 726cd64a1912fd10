/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the reference gets wrong, one test each: lost areas, lost errors, half
 * done changes, wrong holes, and cost that grows with the set.
 */
#include <errno.h>
#include <stdio.h>

#include "core/set.h"
#include "helpers/rng.h"
#include "helpers/suite.h"
#include "helpers/world.h"

/* ------------------------------------------------- what changes nothing */

static void test_protect_of_nothing(void)
{
	uint32_t flags = 1;
	struct world w;

	world_open(&w);
	CU_ASSERT_EQUAL(put(w.set, 0x1000, 0x3000, 7), 0);
	w.mock.acts = 0;
	CU_ASSERT_EQUAL(gpmm_set_protect(w.set, 0x2000, 0, gpmm_protect_to,
					 &flags), 0);
	CU_ASSERT_EQUAL(gpmm_set_unmap(w.set, 0x2000, 0), 0);
	CU_ASSERT_EQUAL(w.mock.acts, 0);
	CU_ASSERT(HOLDS(w.set, { 0x1000, 0x3000, 7 }));
	world_close(&w);
}

/* ------------------------------------------------- failures of a backend */

/* Three areas apart, the middle one of two halves. */
static void put_three(struct world *w)
{
	CU_ASSERT_EQUAL(put(w->set, 0x1000, 0x1000, 1), 0);
	CU_ASSERT_EQUAL(put(w->set, 0x3000, 0x1000, 2), 0);
	CU_ASSERT_EQUAL(put(w->set, 0x4000, 0x1000, 3), 0);
	CU_ASSERT_EQUAL(put(w->set, 0x6000, 0x1000, 1), 0);
}

static bool has_three(struct world *w)
{
	return HOLDS(w->set, { 0x1000, 0x1000, 1 }, { 0x3000, 0x1000, 2 },
		     { 0x4000, 0x1000, 3 }, { 0x6000, 0x1000, 1 }) &&
	       mock_all(&w->mock, 0x0000, 0x1000, 0) &&
	       mock_all(&w->mock, 0x1000, 0x1000, 1) &&
	       mock_all(&w->mock, 0x2000, 0x1000, 0) &&
	       mock_all(&w->mock, 0x3000, 0x1000, 2) &&
	       mock_all(&w->mock, 0x4000, 0x1000, 3) &&
	       mock_all(&w->mock, 0x5000, 0x1000, 0) &&
	       mock_all(&w->mock, 0x6000, 0x1000, 1) &&
	       mock_all(&w->mock, 0x7000, 0x1000, 0) &&
	       !w->mock.complaint && !w->mock.refused;
}

static void test_protect_failure_is_told(void)
{
	uint32_t flags = 5;
	unsigned long n;
	struct world w;

	world_open(&w);
	put_three(&w);
	for (n = 0; n < 4; n++) {
		mock_fail(&w.mock, MOCK_PROTECT, n, 1, -EPERM);
		CU_ASSERT_EQUAL(gpmm_set_protect(w.set, 0x1800, 0x5000,
						 gpmm_protect_to, &flags),
				-EPERM);
		CU_ASSERT(has_three(&w));
	}
	CU_ASSERT_EQUAL(gpmm_set_protect(w.set, 0x1800, 0x5000,
					 gpmm_protect_to, &flags), 0);
	CU_ASSERT(HOLDS(w.set, { 0x1000, 0x800, 1 }, { 0x1800, 0x800, 5 },
			{ 0x3000, 0x2000, 5 }, { 0x6000, 0x800, 5 },
			{ 0x6800, 0x800, 1 }));
	world_close(&w);
}

static void test_unmap_failure_takes_nothing(void)
{
	unsigned long n;
	struct world w;

	world_open(&w);
	put_three(&w);
	for (n = 0; n < 4; n++) {
		mock_fail(&w.mock, MOCK_UNMAP, n, 1, -EPERM);
		CU_ASSERT_EQUAL(gpmm_set_unmap(w.set, 0, MOCK_SIZE), -EPERM);
		CU_ASSERT(has_three(&w));
	}
	CU_ASSERT_EQUAL(gpmm_set_unmap(w.set, 0, MOCK_SIZE), 0);
	CU_ASSERT(gpmm_set_is_empty(w.set));
	world_close(&w);
}

/* One unmap that the backend refuses, of what one byte says is not there. */
static void refuse_unmap(gpmm_gpa_t start, uint64_t size, gpmm_gpa_t spoilt)
{
	struct world w;

	world_open(&w);
	CU_ASSERT_EQUAL(put(w.set, 0x1000, 0x3000, 7), 0);
	w.mock.bytes[spoilt] = 0;
	CU_ASSERT_EQUAL(gpmm_set_unmap(w.set, start, size), -EIO);
	CU_ASSERT(HOLDS(w.set, { 0x1000, 0x3000, 7 }));
	w.mock.bytes[spoilt] = 7;
	CU_ASSERT(mock_all(&w.mock, 0x1000, 0x3000, 7));
	CU_ASSERT_EQUAL(gpmm_set_unmap(w.set, start, size), 0);
	CU_ASSERT(mock_all(&w.mock, start, size, 0));
	world_close(&w);
}

static void test_partial_unmap_failure_loses_nothing(void)
{
	refuse_unmap(0x2000, 0x1000, 0x2800);
	refuse_unmap(0x1000, 0x1000, 0x1fff);
	refuse_unmap(0x3000, 0x1000, 0x3000);
	refuse_unmap(0x1000, 0x3000, 0x2000);
}

static void test_failed_clear_can_be_retried(void)
{
	unsigned long n;
	struct world w;

	world_open(&w);
	put_three(&w);
	for (n = 0; n < 4; n++) {
		mock_fail(&w.mock, MOCK_UNMAP, n, 1, -EIO);
		CU_ASSERT_EQUAL(gpmm_set_clear(w.set), -EIO);
		CU_ASSERT(has_three(&w));
	}
	mock_fail(&w.mock, MOCK_UNMAP, 1, 1, -EIO);
	CU_ASSERT_EQUAL(gpmm_set_destroy(w.set), -EIO);
	CU_ASSERT(has_three(&w));
	w.mock.logging = true;
	CU_ASSERT_EQUAL(gpmm_set_clear(w.set), 0);
	CU_ASSERT_EQUAL_FATAL(w.mock.log.count, 4);
	for (n = 1; n < 4; n++)
		CU_ASSERT(w.mock.log.call[n - 1].area.start <
			  w.mock.log.call[n].area.start);
	CU_ASSERT(gpmm_set_is_empty(w.set));
	world_close(&w);
}

static void test_replace_keeps_the_old_where_the_new_fails(void)
{
	unsigned long n;
	struct world w;

	world_open(&w);
	put_three(&w);
	mock_fail(&w.mock, MOCK_MAP, 0, 1, -ENOSPC);
	CU_ASSERT_EQUAL(put_over(w.set, 0x3800, 0x3000, 6), -ENOSPC);
	CU_ASSERT(has_three(&w));
	for (n = 0; n < 3; n++) {
		mock_fail(&w.mock, MOCK_UNMAP, n, 1, -EPERM);
		CU_ASSERT_EQUAL(put_over(w.set, 0x3800, 0x3000, 6), -EPERM);
		CU_ASSERT(has_three(&w));
	}
	CU_ASSERT_EQUAL(put_over(w.set, 0x3800, 0x3000, 6), 0);
	CU_ASSERT(HOLDS(w.set, { 0x1000, 0x1000, 1 }, { 0x3000, 0x800, 2 },
			{ 0x3800, 0x3000, 6 }, { 0x6800, 0x800, 1 }));
	world_close(&w);
}

/* ----------------------------------------------------------------- holes */

#define NOWHERE UINT64_C(0xbad)

static gpmm_gpa_t hole_at(struct gpmm_set *set, struct gpmm_hole hole)
{
	gpmm_gpa_t addr = NOWHERE;
	int ret = gpmm_set_find_free(set, &hole, &addr);

	CU_ASSERT(ret == 0 || (ret == -ENOENT && addr == NOWHERE));
	return addr;
}

static void test_hole_ends_within_the_limit(void)
{
	struct world w;

	world_open(&w);
	CU_ASSERT_EQUAL(put(w.set, 0, 0x1000, 1), 0);
	CU_ASSERT_EQUAL(hole_at(w.set, (struct gpmm_hole){ .size = 0x1001,
			.limit = { 0, 0x2000 } }), NOWHERE);
	CU_ASSERT_EQUAL(hole_at(w.set, (struct gpmm_hole){ .size = 0x1000,
			.limit = { 0, 0x2000 } }), 0x1000);
	CU_ASSERT_EQUAL(hole_at(w.set, (struct gpmm_hole){ .size = 0x1000,
			.limit = { 0, 0x2000 }, .hint = 0x1001 }), NOWHERE);
	CU_ASSERT_EQUAL(hole_at(w.set, (struct gpmm_hole){ .size = 0x1001,
			.limit = { 0, 0x2000 }, .top_down = true }), NOWHERE);
	CU_ASSERT_EQUAL(hole_at(w.set, (struct gpmm_hole){ .size = 0x800,
			.limit = { 0, 0x2000 }, .top_down = true }), 0x1800);
	world_close(&w);
}

static void test_hint_past_the_limit_finds_nothing(void)
{
	struct world w;

	world_open(&w);
	CU_ASSERT_EQUAL(hole_at(w.set, (struct gpmm_hole){ .size = 1,
			.limit = { 0, 0x2000 }, .hint = 0x2000 }), NOWHERE);
	CU_ASSERT_EQUAL(hole_at(w.set, (struct gpmm_hole){ .size = 1,
			.limit = { 0, 0x2000 }, .hint = 0x9000 }), NOWHERE);
	CU_ASSERT_EQUAL(hole_at(w.set, (struct gpmm_hole){ .size = 1,
			.limit = { 0x4000, 0x2000 }, .hint = 0x4000,
			.top_down = true }), NOWHERE);
	world_close(&w);
}

static void test_large_alignment_finds_no_taken_address(void)
{
	uint64_t m2 = UINT64_C(1) << 21;
	struct gpmm_set_options options = { .granule = 0x1000 };
	struct gpmm_hole hole = { .size = m2, .align = m2,
				  .limit = GPMM_RANGE_ALL, .hint = m2 };
	struct gpmm_set *set;

	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&options, &set), 0);
	CU_ASSERT_EQUAL(put(set, 0x1ff000, 0x2000, 1), 0);
	CU_ASSERT_EQUAL(put(set, 0x3ff000, 0x2000, 1), 0);
	CU_ASSERT_EQUAL(hole_at(set, hole), 0x600000);
	hole.top_down = true;
	hole.hint = 0x800000;
	CU_ASSERT_EQUAL(hole_at(set, hole), 0x600000);
	hole.hint = 0x7fffff;
	CU_ASSERT_EQUAL(hole_at(set, hole), NOWHERE);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

static void test_holes_near_the_end_do_not_wrap(void)
{
	uint64_t page = 0x1000;
	struct gpmm_hole hole = { .size = 2 * page, .align = page,
				  .limit = GPMM_RANGE_ALL,
				  .hint = -2 * page };
	struct gpmm_set *set;

	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(NULL, &set), 0);
	CU_ASSERT_EQUAL(hole_at(set, hole), -2 * page);
	hole.hint = -2 * page + 1;
	CU_ASSERT_EQUAL(hole_at(set, hole), NOWHERE);
	hole.hint = UINT64_MAX;
	CU_ASSERT_EQUAL(hole_at(set, hole), NOWHERE);
	hole.hint = -2 * page;
	hole.align = 4 * page;
	CU_ASSERT_EQUAL(hole_at(set, hole), NOWHERE);
	CU_ASSERT_EQUAL(put(set, -page, page, 1), 0);
	hole.align = page;
	CU_ASSERT_EQUAL(hole_at(set, hole), NOWHERE);
	hole.hint = 0;
	hole.top_down = true;
	CU_ASSERT_EQUAL(hole_at(set, hole), -3 * page);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

static void test_last_page(void)
{
	gpmm_gpa_t last = -UINT64_C(0x1000);
	struct gpmm_set *set;

	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(NULL, &set), 0);
	CU_ASSERT_EQUAL(put(set, last, 0x1000, 1), 0);
	CU_ASSERT(found(set, last, last, 0x1000, 1));
	CU_ASSERT(found(set, UINT64_MAX, last, 0x1000, 1));
	CU_ASSERT_FALSE(gpmm_set_find(set, last - 1, NULL));
	CU_ASSERT_EQUAL(gpmm_set_unmap(set, last, 0x1000), 0);
	CU_ASSERT(gpmm_set_is_empty(set));
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

/* ----------------------------------------------------------------- merge */

static void test_neighbours_merge(void)
{
	uint32_t flags = 1;
	struct world w;

	world_open(&w);
	CU_ASSERT_EQUAL(put(w.set, 0x1000, 0x1000, 1), 0);
	CU_ASSERT_EQUAL(put(w.set, 0x3000, 0x1000, 1), 0);
	CU_ASSERT_EQUAL(put(w.set, 0x2000, 0x1000, 1), 0);
	CU_ASSERT(HOLDS(w.set, { 0x1000, 0x3000, 1 }));
	CU_ASSERT_EQUAL(put(w.set, 0x4000, 0x1000, 2), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(w.set), 2);
	CU_ASSERT_EQUAL(gpmm_set_protect(w.set, 0x4000, 0x800,
					 gpmm_protect_to, &flags), 0);
	CU_ASSERT(HOLDS(w.set, { 0x1000, 0x3800, 1 }, { 0x4800, 0x800, 2 }));
	CU_ASSERT_EQUAL(gpmm_set_split(w.set, 0x2000), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(w.set), 3);
	w.mock.acts = 0;
	CU_ASSERT_EQUAL(gpmm_set_merge(w.set, 0x1000, 0x1000), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(w.set), 2);
	CU_ASSERT_EQUAL(w.mock.acts, 0);
	world_close(&w);
}

static void test_what_differs_does_not_merge(void)
{
	struct gpmm_area area = area_of(0x2000, 0x1000, 1);
	struct world w;

	world_open(&w);
	CU_ASSERT_EQUAL(put(w.set, 0x1000, 0x1000, 1), 0);
	area.owner = &w;
	CU_ASSERT_EQUAL(gpmm_set_map(w.set, &area, 0), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(w.set), 2);
	area = area_of(0x3000, 0x1000, 1);
	area.owner = &w;
	area.backend = gpmm_backend_none();
	CU_ASSERT_EQUAL(gpmm_set_map(w.set, &area, 0), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(w.set), 3);
	CU_ASSERT_EQUAL(put(w.set, 0x4000, 0x1000, 1 | GPMM_NOMERGE), 0);
	CU_ASSERT_EQUAL(put(w.set, 0x5000, 0x1000, 1 | GPMM_NOMERGE), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(w.set), 5);
	CU_ASSERT_EQUAL(gpmm_set_merge(w.set, 0, MOCK_SIZE), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(w.set), 5);
	world_close(&w);
}

static bool never(struct gpmm_backend *be, const struct gpmm_area *left,
		  const struct gpmm_area *right)
{
	(void)be;
	CU_ASSERT_EQUAL(left->start + left->size, right->start);
	CU_ASSERT_EQUAL(left->flags, right->flags);
	return false;
}

static void test_backend_may_refuse_to_merge(void)
{
	struct world w;

	world_open(&w);
	w.mock.ops.can_merge = never;
	CU_ASSERT_EQUAL(put(w.set, 0x1000, 0x1000, 1), 0);
	CU_ASSERT_EQUAL(put(w.set, 0x2000, 0x1000, 1), 0);
	CU_ASSERT_EQUAL(gpmm_set_merge(w.set, 0, MOCK_SIZE), 0);
	CU_ASSERT(HOLDS(w.set, { 0x1000, 0x1000, 1 }, { 0x2000, 0x1000, 1 }));
	world_close(&w);
}

static void test_merging_can_be_off(void)
{
	struct gpmm_set_options options = { .granule = 1, .no_merge = true };
	struct gpmm_set *set;

	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&options, &set), 0);
	CU_ASSERT_EQUAL(put(set, 0x1000, 0x1000, 1), 0);
	CU_ASSERT_EQUAL(put(set, 0x2000, 0x1000, 1), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(set), 2);
	CU_ASSERT_EQUAL(gpmm_set_merge(set, 0x2000, 0x1000), 0);
	CU_ASSERT(HOLDS(set, { 0x1000, 0x2000, 1 }));
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

/* ------------------------------------------------------------------ cost */

enum {
	AREAS = 100000,
	ROUNDS = 1000,
	/* Nodes that one operation may look at, beside one for each area. */
	FEW = 100,
};

#define STRIDE	UINT64_C(0x4000)

/* Areas of two pages, a page or two apart. */
static struct gpmm_set *put_areas(gpmm_gpa_t areas)
{
	struct gpmm_set *set;
	struct gpmm_txn *txn;
	gpmm_gpa_t i;

	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(NULL, &set), 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_txn_begin(set, &txn), 0);
	for (i = 0; i < areas; i++) {
		struct gpmm_area area = area_of(i * STRIDE,
						0x2000 + i % 2 * 0x1000, 1);

		CU_ASSERT_EQUAL_FATAL(gpmm_txn_map(txn, &area, 0), 0);
	}
	CU_ASSERT_EQUAL_FATAL(gpmm_txn_commit(txn), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(set), areas);
	return set;
}

static struct gpmm_set *put_very_many(void)
{
	return put_areas(AREAS);
}

/* So many that nodes come from chunks of slabs; see core/chunk.c. */
static void test_a_large_set_gives_its_memory_back(void)
{
	enum { LARGE = 400000 };
	struct gpmm_set *set = put_areas(LARGE);
	struct gpmm_set_stats stats;

	gpmm_set_get_stats(set, &stats);
	CU_ASSERT(stats.total_bytes > 12 << 20);
	CU_ASSERT(stats.total_bytes < LARGE * 56);
	/* All but every hundredth. */
	for (gpmm_gpa_t i = 0; i < LARGE; i += 100)
		CU_ASSERT_EQUAL(gpmm_set_unmap(set, i * STRIDE,
					       99 * STRIDE), 0);
	CU_ASSERT_EQUAL(gpmm__set_check(set), 0);
	CU_ASSERT_EQUAL(gpmm_set_drain(set), 0);
	gpmm_set_get_stats(set, &stats);
	CU_ASSERT_EQUAL(stats.areas, LARGE / 100);
	CU_ASSERT(stats.total_bytes < LARGE / 100 * 200);
	CU_ASSERT(found(set, 99 * STRIDE, 99 * STRIDE, 0x3000, 1));
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

/* Nodes looked at since the last call. */
static unsigned long visits(void)
{
	unsigned long n = gpmm__btree_visits;

	gpmm__btree_visits = 0;
	return n;
}

static void keep_worst(unsigned long *worst)
{
	unsigned long n = visits();

	if (n > *worst)
		*worst = n;
}

static void test_cost_of_one(void)
{
	unsigned long find = 0, unmap = 0, map = 0, protect = 0;
	struct gpmm_set *set = put_very_many();
	struct rng rng = { env_seed() };
	uint32_t flags;
	int i;

	visits();
	for (i = 0; i < ROUNDS; i++) {
		gpmm_gpa_t at = rng_below(&rng, AREAS) * STRIDE;

		gpmm_set_find(set, at, NULL);
		keep_worst(&find);
		flags = 3 - i % 2;
		CU_ASSERT_EQUAL(gpmm_set_protect(set, at + 0x1000, 0x1000,
						 gpmm_protect_to, &flags), 0);
		keep_worst(&protect);
		CU_ASSERT_EQUAL(gpmm_set_unmap(set, at, STRIDE), 0);
		keep_worst(&unmap);
		CU_ASSERT_EQUAL(put(set, at, 0x2000, 1), 0);
		keep_worst(&map);
	}
	printf("\n    nodes: find %lu, protect %lu, unmap %lu, map %lu ", find,
	       protect, unmap, map);
	CU_ASSERT(find > 0 && find <= 10);
	CU_ASSERT(protect > 0 && protect <= FEW);
	CU_ASSERT(unmap > 0 && unmap <= FEW);
	CU_ASSERT(map > 0 && map <= FEW);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

static void test_cost_of_k(void)
{
	struct gpmm_set *set = put_very_many();
	uint32_t flags = 2;
	int k;

	for (k = 1; k <= 10000; k *= 10) {
		gpmm_gpa_t at = 20000 * STRIDE;

		visits();
		CU_ASSERT_EQUAL(gpmm_set_protect(set, at, k * STRIDE,
						 gpmm_protect_to, &flags), 0);
		CU_ASSERT(visits() <= FEW + 2u * k);
		flags ^= 1;
		CU_ASSERT_EQUAL(gpmm_set_unmap(set, at + 30000 * STRIDE,
					       k * STRIDE), 0);
		CU_ASSERT(visits() <= FEW + 2u * k);
	}
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

static void test_cost_of_holes(void)
{
	struct gpmm_set *set = put_very_many();
	struct gpmm_hole hole = { .size = 0x3000, .limit = GPMM_RANGE_ALL };
	unsigned long worst = 0;

	visits();
	CU_ASSERT_EQUAL(hole_at(set, hole), (AREAS - 1) * STRIDE + 0x3000);
	keep_worst(&worst);
	hole.limit.size = AREAS * STRIDE;
	CU_ASSERT_EQUAL(hole_at(set, hole), NOWHERE);
	keep_worst(&worst);
	hole.top_down = true;
	CU_ASSERT_EQUAL(hole_at(set, hole), NOWHERE);
	keep_worst(&worst);
	hole.hint = AREAS / 2 * STRIDE;
	hole.size = 0x2000;
	CU_ASSERT_EQUAL(hole_at(set, hole), (AREAS / 2 - 2) * STRIDE + 0x2000);
	keep_worst(&worst);
	CU_ASSERT_EQUAL(gpmm_set_unmap(set, (AREAS - 500) * STRIDE, STRIDE),
			0);
	visits();
	hole = (struct gpmm_hole){ .size = 0x4000, .align = 0x1000,
				   .limit = GPMM_RANGE_ALL, .hint = 0x5000 };
	CU_ASSERT_EQUAL(hole_at(set, hole),
			(AREAS - 501) * STRIDE + 0x3000);
	keep_worst(&worst);
	printf("\n    nodes: find_free %lu ", worst);
	CU_ASSERT(worst > 0 && worst <= FEW);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

int main(void)
{
	static const struct suite_test tests[] = {
		{ "protect of nothing loses nothing",
		  test_protect_of_nothing },
		{ "a backend's protect failure is told",
		  test_protect_failure_is_told },
		{ "an unmap that fails takes nothing",
		  test_unmap_failure_takes_nothing },
		{ "a partial unmap that fails loses nothing",
		  test_partial_unmap_failure_loses_nothing },
		{ "a failed clear has cleared nothing and can be retried",
		  test_failed_clear_can_be_retried },
		{ "replace keeps the old where the new fails",
		  test_replace_keeps_the_old_where_the_new_fails },
		{ "a hole ends within the limit",
		  test_hole_ends_within_the_limit },
		{ "a hint past the limit finds nothing",
		  test_hint_past_the_limit_finds_nothing },
		{ "a large alignment finds no taken address",
		  test_large_alignment_finds_no_taken_address },
		{ "holes near the end of the space do not wrap",
		  test_holes_near_the_end_do_not_wrap },
		{ "the last page can be mapped", test_last_page },
		{ "neighbours merge, without a backend call",
		  test_neighbours_merge },
		{ "what differs does not merge",
		  test_what_differs_does_not_merge },
		{ "a backend may refuse to merge",
		  test_backend_may_refuse_to_merge },
		{ "merging can be off, and asked for",
		  test_merging_can_be_off },
		{ "a large set gives its memory back",
		  test_a_large_set_gives_its_memory_back },
		{ "cost of one change among 100,000 areas",
		  test_cost_of_one },
		{ "cost of a change to k of 100,000 areas",
		  test_cost_of_k },
		{ "cost of a hole among 100,000 areas",
		  test_cost_of_holes },
		{ 0 },
	};

	return suite_run("set_traps", tests);
}
