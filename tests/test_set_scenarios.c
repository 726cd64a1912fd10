/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The scenarios of the reference, a Rust set of memory areas, over its mock
 * page table of 0x10000 bytes. What the reference does in them is right.
 */
#include <errno.h>

#include "helpers/suite.h"
#include "helpers/world.h"

static void test_quick_start(void)
{
	struct world w;

	world_open(&w);
	CU_ASSERT_EQUAL(put(w.set, 0x1000, 0x4000, 1), 0);
	CU_ASSERT_EQUAL(gpmm_set_unmap(w.set, 0x2000, 0x2000), 0);
	CU_ASSERT(HOLDS(w.set, { 0x1000, 0x1000, 1 }, { 0x4000, 0x1000, 1 }));
	CU_ASSERT(mock_all(&w.mock, 0x1000, 0x1000, 1));
	CU_ASSERT(mock_all(&w.mock, 0x2000, 0x2000, 0));
	CU_ASSERT(mock_all(&w.mock, 0x4000, 0x1000, 1));
	world_close(&w);
}

/* Sixteen pages, flags 1 on the even ones and 2 on the odd. */
static void put_pages(struct world *w)
{
	gpmm_gpa_t start;

	for (start = 0; start < MOCK_SIZE; start += 0x2000)
		CU_ASSERT_EQUAL(put(w->set, start, 0x1000, 1), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(w->set), 8);
	for (start = 0x1000; start < MOCK_SIZE; start += 0x2000)
		CU_ASSERT_EQUAL(put(w->set, start, 0x1000, 2), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(w->set), 16);
}

static void test_map_and_replace(void)
{
	struct world w;

	world_open(&w);
	put_pages(&w);
	CU_ASSERT(found(w.set, 0x4100, 0x4000, 0x1000, 1));
	w.mock.acts = 0;
	CU_ASSERT_EQUAL(put(w.set, 0x4000, 0x4000, 3), -EEXIST);
	CU_ASSERT_EQUAL(w.mock.acts, 0);
	CU_ASSERT_EQUAL(gpmm_set_len(w.set), 16);
	CU_ASSERT_EQUAL(put_over(w.set, 0x4000, 0x4000, 3), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(w.set), 13);
	CU_ASSERT(found(w.set, 0x4000, 0x4000, 0x4000, 3));
	CU_ASSERT(found(w.set, 0x7fff, 0x4000, 0x4000, 3));
	CU_ASSERT(mock_all(&w.mock, 0x4000, 0x4000, 3));
	world_close(&w);
}

static void test_unmap_many(void)
{
	struct world w;

	world_open(&w);
	put_pages(&w);
	CU_ASSERT_EQUAL(put_over(w.set, 0x4000, 0x4000, 3), 0);
	CU_ASSERT_EQUAL(gpmm_set_unmap(w.set, 0x4000, 0x8000), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(w.set), 8);
	CU_ASSERT(mock_all(&w.mock, 0x4000, 0x8000, 0));
	CU_ASSERT_FALSE(gpmm_set_overlaps(w.set, 0x4000, 0x8000));
	CU_ASSERT_EQUAL(gpmm_set_unmap(w.set, 0, 0x20000), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(w.set), 0);
	CU_ASSERT(gpmm_set_is_empty(w.set));
	CU_ASSERT(mock_all(&w.mock, 0, MOCK_SIZE, 0));
	world_close(&w);
}

/* A page at every other page. */
static void put_apart(struct world *w, uint32_t flags)
{
	gpmm_gpa_t start;

	for (start = 0; start < MOCK_SIZE; start += 0x2000)
		CU_ASSERT_EQUAL(put(w->set, start, 0x1000, flags), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(w->set), 8);
}

static void test_unmap_across_edges(void)
{
	struct world w;
	gpmm_gpa_t k;

	world_open(&w);
	put_apart(&w, 1);
	for (k = 0; k < MOCK_SIZE; k += 0x2000)
		CU_ASSERT_EQUAL(gpmm_set_unmap(w.set, k + 0xc00, 0x1800), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(w.set), 8);
	CU_ASSERT(found(w.set, 0, 0, 0xc00, 1));
	for (k = 0x2000; k < MOCK_SIZE; k += 0x2000) {
		CU_ASSERT(found(w.set, k + 0x800, k + 0x400, 0x800, 1));
		CU_ASSERT(mock_all(&w.mock, k, 0x400, 0));
		CU_ASSERT(mock_all(&w.mock, k + 0x400, 0x800, 1));
		CU_ASSERT(mock_all(&w.mock, k + 0xc00, 0x1400, 0));
	}
	world_close(&w);
}

static void test_unmap_holes(void)
{
	struct world w;
	gpmm_gpa_t k;

	world_open(&w);
	put_apart(&w, 1);
	for (k = 0; k < MOCK_SIZE; k += 0x2000)
		CU_ASSERT_EQUAL(gpmm_set_unmap(w.set, k + 0xc00, 0x1800), 0);
	w.mock.logging = true;
	for (k = 0; k < MOCK_SIZE; k += 0x2000) {
		mock_forget(&w.mock);
		CU_ASSERT_EQUAL(gpmm_set_unmap(w.set, k + 0x800, 0x100), 0);
		CU_ASSERT_EQUAL_FATAL(w.mock.log.count, 1);
		CU_ASSERT_EQUAL(w.mock.log.call[0].kind, MOCK_UNMAP);
		CU_ASSERT_EQUAL(w.mock.log.call[0].area.start, k + 0x800);
		CU_ASSERT_EQUAL(w.mock.log.call[0].area.size, 0x100);
	}
	CU_ASSERT_EQUAL(gpmm_set_len(w.set), 16);
	for (k = 0; k < MOCK_SIZE; k += 0x2000) {
		gpmm_gpa_t left = k ? k + 0x400 : 0;

		CU_ASSERT(found(w.set, k + 0x7ff, left, k + 0x800 - left, 1));
		CU_ASSERT(found(w.set, k + 0x900, k + 0x900, 0x300, 1));
		CU_ASSERT(mock_all(&w.mock, k + 0x800, 0x100, 0));
		CU_ASSERT_FALSE(gpmm_set_overlaps(w.set, k + 0x800, 0x100));
	}
	world_close(&w);
}

/* The reference's: the low three bits change, unless they are so already. */
static bool update(void *arg, const struct gpmm_area *area, uint32_t *flags)
{
	uint32_t new_flags = *(uint32_t *)arg;

	(void)area;
	if ((*flags & 7) == (new_flags & 7))
		return false;
	*flags = (new_flags & 7) | (*flags & ~UINT32_C(7));
	return true;
}

static void protect_each(struct world *w, gpmm_gpa_t offset, uint64_t size,
			 uint32_t flags)
{
	gpmm_gpa_t k;

	for (k = 0; k < MOCK_SIZE; k += 0x2000)
		CU_ASSERT_EQUAL(gpmm_set_protect(w->set, k + offset, size,
						 update, &flags), 0);
}

static void test_protect(void)
{
	struct world w;
	gpmm_gpa_t k;

	world_open(&w);
	put_apart(&w, 7);
	protect_each(&w, 0xc00, 0x1800, 1);
	CU_ASSERT_EQUAL(gpmm_set_len(w.set), 23);
	protect_each(&w, 0x800, 0x100, 0x13);
	CU_ASSERT_EQUAL(gpmm_set_len(w.set), 39);
	for (k = 0; k < MOCK_SIZE; k += 0x2000) {
		CU_ASSERT(found(w.set, k + 0x800, k + 0x800, 0x100, 3));
		CU_ASSERT(mock_all(&w.mock, k + 0x800, 0x100, 3));
		CU_ASSERT(mock_all(&w.mock, k + 0x900, 0x300, 7));
		CU_ASSERT(mock_all(&w.mock, k + 0xc00, 0x400, 1));
	}
	w.mock.acts = 0;
	protect_each(&w, 0x880, 0x80, 3);
	CU_ASSERT_EQUAL(gpmm_set_len(w.set), 39);
	CU_ASSERT_EQUAL(w.mock.acts, 0);
	CU_ASSERT_EQUAL(gpmm_set_unmap(w.set, 0, MOCK_SIZE), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(w.set), 0);
	world_close(&w);
}

#define NONE UINT64_MAX

static void test_find_free(void)
{
	static const struct {
		gpmm_gpa_t hint;
		uint64_t size, align;
		gpmm_gpa_t expected;
	} cases[] = {
		{ 0, 0x1000, 1, 0x1000 },
		{ 0x800, 0x800, 0x800, 0x1000 },
		{ 0x1800, 0x800, 0x800, 0x1800 },
		{ 0x1800, 0x1000, 0x1000, 0x3000 },
		{ 0x2000, 0x1000, 0x1000, 0x3000 },
		{ 0xf000, 0x1000, 0x1000, 0xf000 },
		{ 0xf001, 0x1000, 0x1000, NONE },
	};
	struct world w;
	size_t i;

	world_open(&w);
	put_apart(&w, 1);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gpmm_hole hole = {
			.size = cases[i].size,
			.align = cases[i].align,
			.limit = { 0, 0x10000 },
			.hint = cases[i].hint,
		};
		gpmm_gpa_t addr = NONE;
		int ret = gpmm_set_find_free(w.set, &hole, &addr);

		CU_ASSERT_EQUAL(ret, cases[i].expected == NONE ? -ENOENT : 0);
		CU_ASSERT_EQUAL(addr, cases[i].expected);
	}
	world_close(&w);
}

/* Refused in full: nothing of it happened. */
static void refuse_part(struct gpmm_set *set, struct mock *mock,
			gpmm_gpa_t start, uint64_t size)
{
	uint32_t flags = 1;
	struct snapshot before;

	snapshot_take(&before, set);
	mock->acts = 0;
	CU_ASSERT_EQUAL(gpmm_set_unmap(set, start, size), -EINVAL);
	CU_ASSERT_EQUAL(gpmm_set_protect(set, start, size, gpmm_protect_to,
					 &flags), -EINVAL);
	CU_ASSERT_EQUAL(mock->acts, 0);
	CU_ASSERT(snapshot_holds(&before, set));
	snapshot_free(&before);
}

/* @granule: the set's; the backend's is @p either way */
static void cut_on_granule(uint64_t p, uint64_t granule)
{
	struct gpmm_set_options options = { .granule = granule };
	struct gpmm_set *set;
	struct mock mock;

	mock_init_at(&mock, 0, p, 16, false);
	options.backend = &mock.be;
	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&options, &set), 0);
	CU_ASSERT_EQUAL(put(set, 0, 4 * p, 7), 0);
	CU_ASSERT_EQUAL(gpmm_set_split(set, p / 2), -EINVAL);
	CU_ASSERT_EQUAL(gpmm_set_shrink_left(set, 0, p / 2), -EINVAL);
	CU_ASSERT_EQUAL(gpmm_set_shrink_right(set, 0, p / 2), -EINVAL);
	CU_ASSERT_EQUAL(put(set, 8 * p, p / 2, 7), -EINVAL);
	CU_ASSERT_EQUAL(put(set, 8 * p + p / 2, p, 7), -EINVAL);
	refuse_part(set, &mock, 0, p / 2);
	refuse_part(set, &mock, p / 2, p / 2);
	refuse_part(set, &mock, 4 * p - p / 2, p / 2);
	CU_ASSERT_EQUAL(gpmm_set_unmap(set, 0, p), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(set), 1);
	CU_ASSERT_EQUAL(gpmm_set_unmap(set, 3 * p, p), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(set), 1);
	CU_ASSERT_EQUAL(gpmm_set_unmap(set, p, p), 0);
	CU_ASSERT(HOLDS(set, { 2 * p, p, 7 }));
	refuse_part(set, &mock, 2 * p + p / 2, p / 2);
	CU_ASSERT_EQUAL(gpmm_set_unmap(set, 0, 4 * p), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(set), 0);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
	CU_ASSERT_PTR_NULL(mock.complaint);
	mock_fini(&mock);
}

static void test_granule_2m(void)
{
	cut_on_granule(UINT64_C(1) << 21, UINT64_C(1) << 21);
	cut_on_granule(UINT64_C(1) << 21, 4096);
}

static void test_granule_1g(void)
{
	cut_on_granule(UINT64_C(1) << 30, UINT64_C(1) << 30);
	cut_on_granule(UINT64_C(1) << 30, 1);
}

int main(void)
{
	static const struct suite_test tests[] = {
		{ "quick start: a hole in the middle", test_quick_start },
		{ "map refuses what is there, replace takes it",
		  test_map_and_replace },
		{ "unmap takes many, and what is not there",
		  test_unmap_many },
		{ "unmap across edges shrinks both sides",
		  test_unmap_across_edges },
		{ "unmap inside splits, in one backend call",
		  test_unmap_holes },
		{ "protect splits in 2 and in 3, and skips", test_protect },
		{ "find_free gives the lowest fit", test_find_free },
		{ "cuts lie on a granule of 2M", test_granule_2m },
		{ "cuts lie on a granule of 1G", test_granule_1g },
		{ 0 },
	};

	return suite_run("set_scenarios", tests);
}
