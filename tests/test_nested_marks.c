/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Accessed and dirty bits, in every format: what harvesting finds, clears and
 * flushes, and that no mark is lost that hardware makes while an entry is
 * being changed. Hardware is played by whoever looks up a frame's address.
 */
#include <errno.h>
#include <string.h>

#include "helpers/kvm_suite.h"
#include "helpers/nested_arena.h"

#define HPA	(16 * G1)
#define BIT(n)	(UINT64_C(1) << (n))

static struct nested_arena arena;
static struct gpmm_nested_ops ops;
static struct gpmm_nested *t;
static uint64_t accessed, dirty;	/* the format's bits */
static uint64_t bits[M2 / K4 / 64];

/* Once, when a frame allocated after so many calls is looked up. */
static uint64_t *mark_here, mark;
static unsigned long mark_after;

static void *va(void *ctx, gpmm_hpa_t pa)
{
	if (mark_here && arena.calls > mark_after &&
	    pa == arena.base + (arena.next - 1) * K4) {
		*mark_here |= mark;
		mark_here = NULL;
	}
	return nested_arena_va(ctx, pa);
}

static void setup(enum gpmm_nested_format format, unsigned int how)
{
	static const unsigned int shifts[7][2] = {
		{ 8, 9 }, { 8, 9 }, { 5, 6 }, { 5, 6 }, { 10, 7 }, { 6, 7 },
		{ 6, 7 },
	};
	struct gpmm_nested_options options;

	nested_arena_init(&arena, 256);
	options = nested_arena_options(&arena, format, how);
	ops = *options.ops;
	ops.va = va;
	options.ops = &ops;
	CU_ASSERT_EQUAL_FATAL(gpmm_nested_create(&options, &t), 0);
	accessed = BIT(shifts[format][0]);
	dirty = BIT(shifts[format][1]);
	mark_here = NULL;
	memset(bits, 0, sizeof(bits));
}

static void teardown(void)
{
	nested_arena_end(&arena, t);
}

#define EACH_FORMAT							\
	for (size_t i_ = 0; i_ < 7 &&					\
	     (setup(nested_formats[i_].format, GPMM_NESTED_AD), true);	\
	     teardown(), i_++)

static void map(uint64_t gpa, uint64_t size, uint32_t flags)
{
	CU_ASSERT_EQUAL_FATAL(gpmm_nested_map(t, gpa, HPA + gpa, size, flags),
			      0);
}

static struct gpmm_nested_hit hit_at(uint64_t gpa)
{
	struct gpmm_nested_hit hit = { .level = 0 };

	CU_ASSERT_EQUAL(gpmm_nested_walk(t, gpa, 0, &hit), 0);
	return hit;
}

/* The leaf at @gpa; each has its own address, so that it occurs once. */
static uint64_t *slot_of(uint64_t gpa)
{
	uint64_t *words = (uint64_t *)arena.memory, entry = hit_at(gpa).entry;

	for (size_t i = 0; i < arena.frames * 512; i++)
		if (words[i] == entry && arena.used[i / 512])
			return &words[i];
	CU_FAIL_FATAL("no such entry");
	return NULL;
}

static int64_t harvest(uint64_t gpa, uint64_t size, unsigned int what)
{
	memset(bits, 0, sizeof(bits));
	return gpmm_nested_harvest(t, gpa, size, what, bits);
}

static void what_is_harvested_is_cleared_and_flushed(void)
{
	static const unsigned int kinds[] = { GPMM_NESTED_ACCESSED,
					      GPMM_NESTED_DIRTY };

	EACH_FORMAT {
		map(0, 8 * K4, GPMM_RW | GPMM_LOG_DIRTY);
		for (size_t i = 0; i < 2; i++) {
			*slot_of(3 * K4) |= i ? dirty : accessed;
			arena.flushes = 0;
			CU_ASSERT_EQUAL(harvest(K4, 7 * K4, kinds[i]), 1);
			CU_ASSERT_EQUAL(bits[0], 1 << 2);
			CU_ASSERT_EQUAL(arena.flushes, 0);
			CU_ASSERT_EQUAL(harvest(K4, 7 * K4, kinds[i] |
						GPMM_NESTED_CLEAR), 1);
			CU_ASSERT_EQUAL(arena.flushes, 1);
			CU_ASSERT_EQUAL(arena.count, 1);
			CU_ASSERT_EQUAL(arena.ranges[0].start, 3 * K4);
			CU_ASSERT_EQUAL(arena.ranges[0].size, K4);
			CU_ASSERT_EQUAL(harvest(0, M2, kinds[i] |
						GPMM_NESTED_CLEAR), 0);
			CU_ASSERT_EQUAL(arena.flushes, 1);
		}
		CU_ASSERT_EQUAL(harvest(0, 0, GPMM_NESTED_DIRTY), 0);
		CU_ASSERT_EQUAL(harvest(1, K4, GPMM_NESTED_DIRTY), -EINVAL);
		CU_ASSERT_EQUAL(harvest(0, K4, GPMM_NESTED_DIRTY |
					GPMM_NESTED_ACCESSED), -EINVAL);
		CU_ASSERT_EQUAL(harvest(0, K4, GPMM_NESTED_CLEAR), -EINVAL);
	}
}

static void a_part_of_a_large_leaf_is_found_and_stays(void)
{
	EACH_FORMAT {
		map(0, M2, GPMM_RW);
		*slot_of(0) |= dirty;
		CU_ASSERT_EQUAL(harvest(M2 - 2 * K4, 2 * K4, GPMM_NESTED_DIRTY |
					GPMM_NESTED_CLEAR), 2);
		CU_ASSERT_EQUAL(bits[0], 3);
		CU_ASSERT_TRUE(hit_at(0).dirty);
		CU_ASSERT_EQUAL(harvest(0, M2, GPMM_NESTED_DIRTY |
					GPMM_NESTED_CLEAR), 512);
		CU_ASSERT_EQUAL(bits[7], UINT64_MAX);
		CU_ASSERT_FALSE(hit_at(0).dirty);
	}
}

static void what_was_dirty_stays_so_when_protected(void)
{
	EACH_FORMAT {
		map(0, 2 * K4, GPMM_RW);
		*slot_of(K4) |= dirty | accessed;
		CU_ASSERT_EQUAL(gpmm_nested_protect(t, 0, M2, GPMM_READ), 0);
		CU_ASSERT_TRUE(hit_at(K4).dirty && hit_at(K4).accessed);
		CU_ASSERT_FALSE(hit_at(0).dirty || hit_at(0).accessed);
		CU_ASSERT_EQUAL(gpmm_nested_walk(t, K4, GPMM_WRITE,
						 &(struct gpmm_nested_hit){ 0 }),
				-EFAULT);
		CU_ASSERT_EQUAL(harvest(0, M2, GPMM_NESTED_DIRTY), 1);
		CU_ASSERT_EQUAL(gpmm_nested_protect(t, 0, M2, 0), 0);
		CU_ASSERT_EQUAL(harvest(0, M2, GPMM_NESTED_DIRTY), 1);
		CU_ASSERT_EQUAL(gpmm_nested_protect(t, 0, M2, GPMM_RW), 0);
		CU_ASSERT_TRUE(hit_at(K4).dirty && hit_at(K4).accessed);
		CU_ASSERT_EQUAL(gpmm_nested_protect(t, 0, M2, GPMM_READ), 0);
		CU_ASSERT_EQUAL(harvest(0, M2, GPMM_NESTED_DIRTY |
					GPMM_NESTED_CLEAR), 1);
		CU_ASSERT_EQUAL(harvest(0, M2, GPMM_NESTED_DIRTY), 0);
		CU_ASSERT_EQUAL(gpmm_nested_protect(t, 0, M2, GPMM_RW), 0);
		CU_ASSERT_FALSE(hit_at(K4).dirty);
	}
}

static void a_mark_made_during_a_split_is_kept(void)
{
	EACH_FORMAT {
		map(0, M2, GPMM_RW);
		mark_here = slot_of(0);
		mark_after = arena.calls;
		mark = dirty | accessed;
		CU_ASSERT_EQUAL(gpmm_nested_protect(t, K4, K4, GPMM_READ), 0);
		CU_ASSERT_PTR_NULL(mark_here);
		for (uint64_t gpa = 0; gpa < 3 * K4; gpa += K4)
			CU_ASSERT_TRUE(hit_at(gpa).dirty &&
				       hit_at(gpa).accessed);
		CU_ASSERT_EQUAL(harvest(0, M2, GPMM_NESTED_DIRTY), 512);
	}
}

/* Marks may be made until the flush: what could be written counts as dirty. */
static void collapsing_makes_a_writable_leaf_dirty(void)
{
	EACH_FORMAT {
		map(0, M2 - K4, GPMM_RW);
		map(M2 - K4, K4, GPMM_RW);
		CU_ASSERT_EQUAL(hit_at(0).level, 2);
		CU_ASSERT_TRUE(hit_at(0).dirty && hit_at(0).accessed);
		map(M2, M2 - K4, GPMM_READ);
		map(2 * M2 - K4, K4, GPMM_READ);
		CU_ASSERT_EQUAL(hit_at(M2).level, 2);
		CU_ASSERT_FALSE(hit_at(M2).dirty);
	}
}

static void without_marks_there_is_nothing_to_harvest(void)
{
	for (size_t i = 0; i < 7; i++) {
		setup(nested_formats[i].format, 0);
		map(0, K4, GPMM_RW);
		CU_ASSERT_EQUAL(harvest(0, K4, GPMM_NESTED_DIRTY), -ENOTSUP);
		CU_ASSERT_EQUAL(harvest(0, K4, GPMM_NESTED_ACCESSED),
				-ENOTSUP);
		teardown();
	}
}

SUITE("nested accessed and dirty bits",
      TEST(what_is_harvested_is_cleared_and_flushed),
      TEST(a_part_of_a_large_leaf_is_found_and_stays),
      TEST(what_was_dirty_stays_so_when_protected),
      TEST(a_mark_made_during_a_split_is_kept),
      TEST(collapsing_makes_a_writable_leaf_dirty),
      TEST(without_marks_there_is_nothing_to_harvest))
