/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mapping, unmapping and protecting, in every format: which leaves and tables
 * there are afterwards, what is flushed, and that failures change nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "helpers/kvm_suite.h"
#include "helpers/nested_arena.h"
#include "util/alloc.h"
#include "util/rcu.h"

#define HPA	(16 * G1)

static struct nested_arena arena;
static struct gpmm_nested *t;

static int make(enum gpmm_nested_format format, unsigned int how)
{
	struct gpmm_nested_options options;

	nested_arena_init(&arena, 8192);
	options = nested_arena_options(&arena, format, how);
	return gpmm_nested_create(&options, &t);
}

static void setup(enum gpmm_nested_format format, unsigned int how)
{
	CU_ASSERT_EQUAL_FATAL(make(format, how), 0);
}

static void check(void)
{
	const char *why = NULL;

	CU_ASSERT_EQUAL(gpmm_nested_validate(t, &why), 0);
	if (why)
		printf("validate: %s\n", why);
}

static void teardown(void)
{
	check();
	gpmm_nested_destroy(t);
	CU_ASSERT_EQUAL(arena.out, 0);
	nested_arena_fini(&arena);
}

static size_t tables(void)
{
	struct gpmm_nested_stats stats;

	gpmm_nested_get_stats(t, &stats);
	return stats.tables;
}

/* The level of the leaf at @gpa, which must lead to @hpa; 0: none. */
static unsigned int leaf(uint64_t gpa, uint64_t hpa)
{
	struct gpmm_nested_hit hit;

	if (gpmm_nested_walk(t, gpa, 0, &hit))
		return 0;
	CU_ASSERT_EQUAL(hit.hpa, hpa);
	return hit.level;
}

#define EACH_FORMAT(how)						\
	for (size_t i_ = 0; i_ < 7 &&					\
	     (setup(nested_formats[i_].format, how), true);		\
	     teardown(), i_++)

static void leaves_are_the_largest_that_fit(void)
{
	EACH_FORMAT(0) {
		const uint64_t gpa = 4 * G1 - M2 - K4;

		CU_ASSERT_EQUAL(gpmm_nested_map(t, gpa, HPA + gpa,
						G1 + 2 * (M2 + K4), GPMM_RWX),
				0);
		CU_ASSERT_EQUAL(leaf(gpa, HPA + gpa), 1);
		CU_ASSERT_EQUAL(leaf(gpa + K4, HPA + gpa + K4), 2);
		CU_ASSERT_EQUAL(leaf(4 * G1 + 5, HPA + 4 * G1 + 5), 3);
		CU_ASSERT_EQUAL(leaf(5 * G1, HPA + 5 * G1), 2);
		CU_ASSERT_EQUAL(leaf(5 * G1 + M2, HPA + 5 * G1 + M2), 1);
		CU_ASSERT_EQUAL(leaf(5 * G1 + M2 + K4, 0), 0);
		CU_ASSERT_EQUAL(leaf(gpa - 1, 0), 0);
	}
}

static void a_misaligned_hpa_makes_small_leaves(void)
{
	EACH_FORMAT(0) {
		CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, HPA + M2, G1, GPMM_RW),
				0);
		CU_ASSERT_EQUAL(leaf(M2, HPA + 2 * M2), 2);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, G1, HPA + K4, M2, GPMM_RW),
				0);
		CU_ASSERT_EQUAL(leaf(G1 + M2 - 1, HPA + K4 + M2 - 1), 1);
	}
}

static void one_page_out_of_1g_costs_two_tables(void)
{
	EACH_FORMAT(GPMM_NESTED_AD) {
		unsigned long calls;
		size_t before;

		CU_ASSERT_EQUAL(gpmm_nested_map(t, G1, HPA, G1, GPMM_RW), 0);
		before = tables();
		calls = arena.calls;
		CU_ASSERT_EQUAL(gpmm_nested_unmap(t, G1 + 3 * M2 + K4, K4), 0);
		CU_ASSERT_EQUAL(tables(), before + 2);
		CU_ASSERT_EQUAL(arena.calls, calls + 2);
		CU_ASSERT_EQUAL(leaf(G1 + 3 * M2, HPA + 3 * M2), 1);
		CU_ASSERT_EQUAL(leaf(G1 + 3 * M2 + K4, 0), 0);
		CU_ASSERT_EQUAL(leaf(G1 + 3 * M2 + 2 * K4,
				     HPA + 3 * M2 + 2 * K4), 1);
		CU_ASSERT_EQUAL(leaf(G1 + 4 * M2, HPA + 4 * M2), 2);
		CU_ASSERT_EQUAL(leaf(2 * G1 - 1, HPA + G1 - 1), 2);
		check();
		/* And what is put back makes it one leaf again. */
		CU_ASSERT_EQUAL(gpmm_nested_map(t, G1 + 3 * M2 + K4,
						HPA + 3 * M2 + K4, K4,
						GPMM_RW), 0);
		CU_ASSERT_EQUAL(leaf(G1, HPA), 3);
		CU_ASSERT_EQUAL(tables(), before);
	}
}

static void protecting_a_part_splits_and_undoing_it_collapses(void)
{
	EACH_FORMAT(0) {
		size_t before;

		CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, HPA, 2 * G1, GPMM_RW),
				0);
		before = tables();
		CU_ASSERT_EQUAL(gpmm_nested_protect(t, G1 - K4, 2 * K4,
						    GPMM_READ), 0);
		CU_ASSERT_EQUAL(tables(), before + 4);
		CU_ASSERT_EQUAL(leaf(G1 - K4, HPA + G1 - K4), 1);
		CU_ASSERT_EQUAL(leaf(0, HPA), 2);
		check();
		CU_ASSERT_EQUAL(gpmm_nested_protect(t, 0, 2 * G1, GPMM_RW), 0);
		CU_ASSERT_EQUAL(tables(), before);
		CU_ASSERT_EQUAL(leaf(G1 - K4, HPA + G1 - K4), 3);
	}
}

static void without_collapsing_the_leaves_stay_small(void)
{
	EACH_FORMAT(GPMM_NESTED_NO_COLLAPSE) {
		CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, HPA, G1, GPMM_RW), 0);
		CU_ASSERT_EQUAL(gpmm_nested_protect(t, 0, K4, GPMM_READ), 0);
		CU_ASSERT_EQUAL(gpmm_nested_protect(t, 0, K4, GPMM_RW), 0);
		CU_ASSERT_EQUAL(leaf(0, HPA), 1);
	}
}

static void pages_mapped_one_by_one_become_a_large_leaf(void)
{
	EACH_FORMAT(0) {
		size_t before = tables();

		for (uint64_t at = 0; at < M2; at += K4)
			CU_ASSERT_EQUAL(gpmm_nested_map(t, M2 + at, HPA + at,
							K4, GPMM_RW), 0);
		CU_ASSERT_EQUAL(leaf(M2, HPA), 2);
		CU_ASSERT_EQUAL(gpmm_nested_unmap(t, M2, M2), 0);
		CU_ASSERT_EQUAL(tables(), before);
	}
}

static void an_emptied_place_takes_a_large_leaf(void)
{
	EACH_FORMAT(0) {
		CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, HPA + K4, K4, GPMM_RW),
				0);
		CU_ASSERT_EQUAL(gpmm_nested_unmap(t, 0, K4), 0);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, HPA, M2, GPMM_RW), 0);
		CU_ASSERT_EQUAL(leaf(0, HPA), 2);
	}
}

static void what_is_mapped_is_in_the_way(void)
{
	EACH_FORMAT(0) {
		CU_ASSERT_EQUAL(gpmm_nested_map(t, M2, HPA, K4, GPMM_RW), 0);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, HPA, G1, GPMM_RW),
				-EEXIST);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, M2, HPA, K4, GPMM_RW),
				-EEXIST);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, 0, G1,
						GPMM_RW | GPMM_LAZY), -EEXIST);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, G1, 0, M2,
						GPMM_RW | GPMM_LAZY), 0);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, G1 + K4, HPA, K4, GPMM_RW),
				-EEXIST);
	}
}

static void no_access_is_tracked_and_undone(void)
{
	EACH_FORMAT(GPMM_NESTED_AD) {
		struct gpmm_nested_hit hit;

		CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, HPA, G1, GPMM_RW), 0);
		CU_ASSERT_EQUAL(gpmm_nested_protect(t, M2, M2, 0), 0);
		CU_ASSERT_EQUAL(gpmm_nested_walk(t, M2, GPMM_READ, &hit),
				-EFAULT);
		CU_ASSERT_EQUAL(hit.cause, GPMM_NESTED_NOT_PRESENT);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, M2, HPA, K4, GPMM_RW),
				-EEXIST);
		CU_ASSERT_EQUAL(gpmm_nested_handle_fault(t, M2, GPMM_READ),
				-EACCES);
		check();
		CU_ASSERT_EQUAL(gpmm_nested_protect(t, M2 + K4, K4, GPMM_READ),
				0);
		CU_ASSERT_EQUAL(leaf(M2, 0), 0);
		CU_ASSERT_EQUAL(leaf(M2 + K4, HPA + M2 + K4), 1);
		check();
		CU_ASSERT_EQUAL(gpmm_nested_protect(t, 0, G1, GPMM_RW), 0);
		CU_ASSERT_EQUAL(leaf(M2, HPA + M2), 3);
	}
}

static void the_ends_of_the_space_can_be_mapped(void)
{
	EACH_FORMAT(0) {
		struct gpmm_nested_root root;
		struct gpmm_nested_hit hit;
		uint64_t end;

		gpmm_nested_get_root(t, &root);
		end = UINT64_C(1) << root.gpa_bits;
		CU_ASSERT_EQUAL(gpmm_nested_map(t, end - K4, HPA, K4,
						GPMM_READ), 0);
		CU_ASSERT_EQUAL(leaf(end - 1, HPA + K4 - 1), 1);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, end, HPA, K4, GPMM_READ),
				-EINVAL);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, end - G1, HPA, G1 + K4,
						GPMM_READ), -EINVAL);
		CU_ASSERT_EQUAL(gpmm_nested_walk(t, end, GPMM_READ, &hit),
				-EFAULT);
		CU_ASSERT_EQUAL(hit.cause, GPMM_NESTED_WIDTH);
		CU_ASSERT_EQUAL(gpmm_nested_unmap(t, 0, end), 0);
		CU_ASSERT_EQUAL(leaf(end - 1, 0), 0);
	}
}

static void malformed_requests_are_refused(void)
{
	EACH_FORMAT(0) {
		CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, HPA, 0, GPMM_RW),
				-EINVAL);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, 1, HPA, K4, GPMM_RW),
				-EINVAL);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, HPA + 1, K4, GPMM_RW),
				-EINVAL);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, -K4, 2 * K4, GPMM_RW),
				-EINVAL);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, -K4, K4, GPMM_RW),
				-EINVAL);
		CU_ASSERT_EQUAL(gpmm_nested_unmap(t, -K4, 2 * K4), -EINVAL);
		CU_ASSERT_EQUAL(gpmm_nested_unmap(t, K4, K4 / 2), -EINVAL);
		CU_ASSERT_EQUAL(gpmm_nested_unmap(t, K4, 0), 0);
		CU_ASSERT_EQUAL(gpmm_nested_protect(t, K4, 0, GPMM_RW), 0);
		CU_ASSERT_EQUAL(arena.flushes, 0);
	}
}

static void an_hpa_must_fit_to_its_last_byte(void)
{
	for (size_t i = 0; i < 7; i++) {
		const uint64_t top = (UINT64_C(1) << 46) - K4;
		struct gpmm_nested_options options;

		nested_arena_init(&arena, 64);
		options = nested_arena_options(&arena,
					       nested_formats[i].format, 0);
		options.hpa_bits = 46;
		CU_ASSERT_EQUAL_FATAL(gpmm_nested_create(&options, &t), 0);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, top, 2 * K4, GPMM_RW),
				-EINVAL);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, top, K4, GPMM_RW), 0);
		CU_ASSERT_EQUAL(leaf(0, top), 1);
		teardown();
	}
}

struct refusal {
	enum gpmm_nested_format format;
	unsigned int how;
	uint32_t flags;
	int ret;
};

static void what_a_format_cannot_say_is_refused_by_name(void)
{
	static const struct refusal refusals[] = {
		{ GPMM_NESTED_EPT4, 0, GPMM_WRITE, -EINVAL },
		{ GPMM_NESTED_EPT4, 0, GPMM_WRITE | GPMM_EXEC, -EINVAL },
		{ GPMM_NESTED_EPT4, 0, GPMM_EXEC, 0 },
		{ GPMM_NESTED_EPT4, 0, GPMM_USER_EXEC, -EINVAL },
		{ GPMM_NESTED_EPT4, GPMM_NESTED_USER_EXEC, GPMM_USER_EXEC, 0 },
		{ GPMM_NESTED_EPT4, 0, GPMM_RW | GPMM_MT_WP, 0 },
		{ GPMM_NESTED_NPT4, 0, GPMM_EXEC, -EINVAL },
		{ GPMM_NESTED_NPT4, 0, GPMM_WRITE, -EINVAL },
		{ GPMM_NESTED_NPT4, 0, GPMM_RW | GPMM_MT_WC, -EINVAL },
		{ GPMM_NESTED_NPT4, 0, GPMM_RW | GPMM_MT_WT, 0 },
		{ GPMM_NESTED_STAGE2, 0, GPMM_EXEC, 0 },
		{ GPMM_NESTED_STAGE2, 0, GPMM_WRITE, 0 },
		{ GPMM_NESTED_STAGE2, 0, GPMM_USER_EXEC, -EINVAL },
		{ GPMM_NESTED_STAGE2, 0, GPMM_RW | GPMM_MT_WP, -EINVAL },
		{ GPMM_NESTED_STAGE2, GPMM_NESTED_USER_EXEC,
		  GPMM_READ | GPMM_USER_EXEC, 0 },
		{ GPMM_NESTED_SV48X4, 0, GPMM_EXEC, 0 },
		{ GPMM_NESTED_SV48X4, 0, GPMM_WRITE, -EINVAL },
		{ GPMM_NESTED_SV48X4, 0, GPMM_RW | GPMM_MT_WT, -EINVAL },
		{ GPMM_NESTED_SV48X4, 0, GPMM_RW | GPMM_MT_WC, 0 },
		{ GPMM_NESTED_SV48X4, 0, GPMM_RW | GPMM_MT_MASK, -EINVAL },
	};

	for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
		const struct refusal *r = &refusals[i];
		const char *why = NULL;

		setup(r->format, r->how);
		CU_ASSERT_EQUAL(gpmm_nested_check_flags(t, r->flags, &why),
				r->ret);
		CU_ASSERT_EQUAL(why != NULL, r->ret != 0);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, HPA, K4, r->flags),
				r->ret);
		CU_ASSERT_EQUAL(leaf(0, HPA), r->ret ? 0 : 1);
		teardown();
	}
}

static void options_a_format_has_not_are_refused(void)
{
	static const enum gpmm_nested_format no_user_exec[] = {
		GPMM_NESTED_NPT4, GPMM_NESTED_NPT5, GPMM_NESTED_SV39X4,
		GPMM_NESTED_SV48X4
	};

	for (size_t i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(make(no_user_exec[i], GPMM_NESTED_USER_EXEC),
				-EINVAL);
		CU_ASSERT_EQUAL(arena.out, 0);
		nested_arena_fini(&arena);
	}
	/* One that there is not yet. */
	CU_ASSERT_EQUAL(make(GPMM_NESTED_EPT4, 2 * GPMM_NESTED_NO_2M), -EINVAL);
	CU_ASSERT_EQUAL(arena.out, 0);
	nested_arena_fini(&arena);
}

static void the_root_is_what_the_hardware_wants(void)
{
	static const struct {
		unsigned int gpa_bits, levels, frames;
		uint64_t control;
	} roots[] = {
		{ 39, 3, 1, 25 | 1 << 6 }, { 40, 3, 2, 24 | 1 << 6 },
		{ 42, 3, 8, 22 | 1 << 6 }, { 43, 3, 16, 21 | 1 << 6 },
		{ 44, 4, 1, 20 | 2 << 6 }, { 48, 4, 1, 16 | 2 << 6 },
		{ 32, 3, 1, 32 | 1 << 6 },
	};
	struct gpmm_nested_options options;
	struct gpmm_nested_root root;

	for (size_t i = 0; i < sizeof(roots) / sizeof(*roots); i++) {
		nested_arena_init(&arena, 64);
		options = nested_arena_options(&arena, GPMM_NESTED_STAGE2, 0);
		options.gpa_bits = roots[i].gpa_bits;
		CU_ASSERT_EQUAL_FATAL(gpmm_nested_create(&options, &t), 0);
		gpmm_nested_get_root(t, &root);
		CU_ASSERT_EQUAL(root.levels, roots[i].levels);
		CU_ASSERT_EQUAL(root.size, roots[i].frames * K4);
		CU_ASSERT_EQUAL(root.hpa % root.size, 0);
		CU_ASSERT_EQUAL(root.control, roots[i].control);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, (UINT64_C(1) <<
						    root.gpa_bits) - K4,
						HPA, K4, GPMM_RW), 0);
		teardown();
	}
	setup(GPMM_NESTED_STAGE2, GPMM_NESTED_AD);
	gpmm_nested_get_root(t, &root);
	CU_ASSERT_EQUAL(root.control, 16 | 2 << 6 | 3 << 21);
	teardown();
	setup(GPMM_NESTED_EPT4, GPMM_NESTED_AD);
	gpmm_nested_get_root(t, &root);
	CU_ASSERT_EQUAL(root.value, root.hpa | 0x5e);
	teardown();
	setup(GPMM_NESTED_EPT5, 0);
	gpmm_nested_get_root(t, &root);
	CU_ASSERT_EQUAL(root.value, root.hpa | 0x26);
	teardown();
	setup(GPMM_NESTED_SV39X4, 0);
	gpmm_nested_get_root(t, &root);
	CU_ASSERT_EQUAL(root.value, UINT64_C(8) << 60 | root.hpa >> 12);
	CU_ASSERT_EQUAL(root.size, 4 * K4);
	CU_ASSERT_EQUAL(root.hpa % root.size, 0);
	teardown();
}

/* Fewer bits than the levels below the root have are one entry of it. */
static void a_narrow_gpa_still_has_its_root(void)
{
	for (size_t i = 0; i < 5; i++) {
		struct gpmm_nested_options options;
		struct gpmm_nested_root root;

		for (unsigned int bits = 32; bits <= 48; bits++) {
			const uint64_t last = (UINT64_C(1) << bits) - K4;

			nested_arena_init(&arena, 64);
			options = nested_arena_options(
				&arena, nested_formats[i].format, 0);
			options.gpa_bits = bits;
			CU_ASSERT_EQUAL_FATAL(gpmm_nested_create(&options, &t),
					      0);
			gpmm_nested_get_root(t, &root);
			CU_ASSERT(root.size >= K4);
			CU_ASSERT_EQUAL(gpmm_nested_map(t, last, HPA, K4,
							GPMM_RW), 0);
			CU_ASSERT_EQUAL(leaf(last, HPA), 1);
			CU_ASSERT_EQUAL(gpmm_nested_map(t, last + K4, HPA, K4,
							GPMM_RW), -EINVAL);
			teardown();
		}
	}
}

/* -------------------------------------------------------------- flushing --- */

static void a_transaction_flushes_once_with_what_changed(void)
{
	EACH_FORMAT(0) {
		CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, HPA, G1, GPMM_RW), 0);
		arena.flushes = 0;
		CU_ASSERT_EQUAL(gpmm_nested_begin(t), 0);
		CU_ASSERT_EQUAL(gpmm_nested_unmap(t, 0, M2), 0);
		CU_ASSERT_EQUAL(gpmm_nested_protect(t, 8 * M2, M2, GPMM_READ),
				0);
		CU_ASSERT_EQUAL(arena.flushes, 0);
		gpmm_nested_commit(t);
		CU_ASSERT_EQUAL(arena.flushes, 1);
		CU_ASSERT_EQUAL(arena.all, 0);
		/* The 1G leaf was one translation, all of it is told. */
		CU_ASSERT_EQUAL(arena.ranges[0].start, 0);
		CU_ASSERT_EQUAL(arena.ranges[0].size, G1);
		CU_ASSERT_EQUAL(gpmm_nested_protect(t, M2, M2, GPMM_READ), 0);
		CU_ASSERT_EQUAL(arena.flushes, 2);
		CU_ASSERT_EQUAL(arena.count, 1);
		CU_ASSERT_EQUAL(arena.ranges[0].start, M2);
		CU_ASSERT_EQUAL(arena.ranges[0].size, M2);
	}
}

static void many_ranges_are_all(void)
{
	EACH_FORMAT(GPMM_NESTED_NO_2M) {
		CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, HPA, M2, GPMM_RW), 0);
		arena.flushes = 0;
		CU_ASSERT_EQUAL(gpmm_nested_begin(t), 0);
		for (uint64_t at = 0; at < 100; at += 2)
			CU_ASSERT_EQUAL(gpmm_nested_unmap(t, at * K4, K4), 0);
		gpmm_nested_commit(t);
		CU_ASSERT_EQUAL(arena.flushes, 1);
		CU_ASSERT_EQUAL(arena.all, 1);
	}
}

static void ranges_that_touch_are_one(void)
{
	EACH_FORMAT(GPMM_NESTED_NO_2M) {
		CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, HPA, M2, GPMM_RW), 0);
		arena.flushes = 0;
		CU_ASSERT_EQUAL(gpmm_nested_begin(t), 0);
		for (uint64_t at = 0; at < 100; at++)
			CU_ASSERT_EQUAL(gpmm_nested_unmap(t, at * K4, K4), 0);
		gpmm_nested_commit(t);
		CU_ASSERT_EQUAL(arena.flushes, 1);
		CU_ASSERT_EQUAL(arena.count, 1);
		CU_ASSERT_EQUAL(arena.ranges[0].start, 0);
		CU_ASSERT_EQUAL(arena.ranges[0].size, 100 * K4);
	}
}

/* Caches may hold the tables that go, wherever in them a walk went. */
static void all_that_a_collapse_takes_away_is_flushed(void)
{
	EACH_FORMAT(0) {
		CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, HPA, G1, GPMM_RW), 0);
		CU_ASSERT_EQUAL(gpmm_nested_unmap(t, G1 - K4, K4), 0);
		arena.flushes = 0;
		CU_ASSERT_EQUAL(gpmm_nested_map(t, G1 - K4, HPA + G1 - K4, K4,
						GPMM_RW), 0);
		CU_ASSERT_EQUAL(leaf(0, HPA), 3);
		CU_ASSERT_EQUAL(arena.flushes, 1);
		CU_ASSERT_EQUAL(arena.count, 1);
		CU_ASSERT_EQUAL(arena.ranges[0].start, 0);
		CU_ASSERT_EQUAL(arena.ranges[0].size, G1);
	}
}

/* RISC-V may cache that nothing was there; the others may not. */
static void new_leaves_are_flushed_where_holes_are_cached(void)
{
	for (size_t i = 0; i < 7; i++) {
		const enum gpmm_nested_format format = nested_formats[i].format;
		unsigned long each = format >= GPMM_NESTED_SV39X4;

		setup(format, 0);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, HPA, K4, GPMM_RW), 0);
		CU_ASSERT_EQUAL(arena.flushes, each);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, 2 * K4, HPA, 2 * K4,
						GPMM_RW), 0);
		CU_ASSERT_EQUAL(arena.flushes, 2 * each);
		CU_ASSERT_TRUE(!each || (arena.count == 1 &&
					 arena.ranges[0].start == 2 * K4 &&
					 arena.ranges[0].size == 2 * K4));
		CU_ASSERT_EQUAL(gpmm_nested_map(t, G1, 0, K4, GPMM_RW |
						GPMM_LAZY), 0);
		CU_ASSERT_EQUAL(arena.flushes, 2 * each);
		CU_ASSERT_EQUAL(gpmm_nested_handle_fault(t, G1, GPMM_READ), 0);
		CU_ASSERT_EQUAL(arena.flushes, 3 * each);
		teardown();
	}
}

static void try_to_map(struct nested_arena *a)
{
	(void)a;
	CU_ASSERT_EQUAL(gpmm_nested_map(t, G1, HPA, K4, GPMM_RW), -EDEADLK);
	CU_ASSERT_EQUAL(gpmm_nested_begin(t), -EDEADLK);
}

static void a_flush_cannot_change_the_table(void)
{
	setup(GPMM_NESTED_EPT4, 0);
	CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, HPA, 2 * K4, GPMM_RW), 0);
	arena.on_flush = try_to_map;
	CU_ASSERT_EQUAL(gpmm_nested_unmap(t, 0, K4), 0);
	CU_ASSERT_EQUAL(gpmm_nested_begin(t), 0);
	CU_ASSERT_EQUAL(gpmm_nested_unmap(t, K4, K4), 0);
	gpmm_nested_commit(t);
	CU_ASSERT_EQUAL(arena.flushes, 2);
	arena.on_flush = NULL;
	CU_ASSERT_EQUAL(leaf(G1, 0), 0);
	CU_ASSERT_EQUAL(gpmm_nested_map(t, G1, HPA, K4, GPMM_RW), 0);
	teardown();
}

/* At the flush of a stage 2 transaction nothing is valid that changed. */
static void expect_broken(struct nested_arena *a)
{
	(void)a;
	CU_ASSERT_EQUAL(leaf(0, 0), 0);
	CU_ASSERT_EQUAL(leaf(M2, 0), 0);
	CU_ASSERT_EQUAL(leaf(G1, 0), 0);
	CU_ASSERT_EQUAL(leaf(2 * G1, HPA), 1);
}

static void arm_breaks_before_it_makes(void)
{
	setup(GPMM_NESTED_STAGE2, 0);
	CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, HPA, G1, GPMM_RW), 0);
	CU_ASSERT_EQUAL(gpmm_nested_map(t, G1, HPA, M2, GPMM_RW), 0);
	CU_ASSERT_EQUAL(gpmm_nested_map(t, 2 * G1, HPA, K4, GPMM_RW), 0);
	arena.on_flush = expect_broken;
	CU_ASSERT_EQUAL(gpmm_nested_begin(t), 0);
	/* A block becomes a table, a page moves, a type changes. */
	CU_ASSERT_EQUAL(gpmm_nested_unmap(t, K4, K4), 0);
	CU_ASSERT_EQUAL(gpmm_nested_unmap(t, G1, M2), 0);
	CU_ASSERT_EQUAL(gpmm_nested_map(t, G1, HPA + G1, K4, GPMM_RW), 0);
	CU_ASSERT_EQUAL(gpmm_nested_protect(t, M2, M2, GPMM_RW | GPMM_MT_UC),
			0);
	/* Permissions need no break. */
	CU_ASSERT_EQUAL(gpmm_nested_protect(t, 2 * G1, K4, GPMM_READ), 0);
	gpmm_nested_commit(t);
	arena.on_flush = NULL;
	CU_ASSERT_EQUAL(arena.flushes, 1);
	CU_ASSERT_EQUAL(leaf(0, HPA), 1);
	CU_ASSERT_EQUAL(leaf(K4, 0), 0);
	CU_ASSERT_EQUAL(leaf(M2, HPA + M2), 2);
	CU_ASSERT_EQUAL(leaf(G1, HPA + G1), 1);
	CU_ASSERT_EQUAL(leaf(G1 + K4, 0), 0);
	teardown();
}

/* What a flush must come before, though no one change says so. */
static void expect_nothing_moved(struct nested_arena *a)
{
	(void)a;
	CU_ASSERT_EQUAL(leaf(0, 0), 0);
	CU_ASSERT_EQUAL(leaf(K4, 0), 0);
}

static void arm_breaks_a_page_whose_type_changes(void)
{
	setup(GPMM_NESTED_STAGE2, 0);
	CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, HPA, 2 * K4, GPMM_RW), 0);
	arena.on_flush = expect_nothing_moved;
	CU_ASSERT_EQUAL(gpmm_nested_protect(t, 0, 2 * K4, GPMM_RW |
					    GPMM_MT_UC), 0);
	arena.on_flush = NULL;
	CU_ASSERT_EQUAL(arena.flushes, 1);
	CU_ASSERT_EQUAL(leaf(0, HPA), 1);
	teardown();
}

static void arm_breaks_where_a_leaf_has_no_access_between(void)
{
	setup(GPMM_NESTED_STAGE2, 0);
	CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, HPA, 2 * K4, GPMM_RW), 0);
	arena.on_flush = expect_nothing_moved;
	CU_ASSERT_EQUAL(gpmm_nested_begin(t), 0);
	CU_ASSERT_EQUAL(gpmm_nested_unmap(t, 0, K4), 0);
	CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, HPA + G1, K4, 0), 0);
	CU_ASSERT_EQUAL(gpmm_nested_protect(t, 0, K4, GPMM_RW), 0);
	CU_ASSERT_EQUAL(gpmm_nested_protect(t, K4, K4, GPMM_MT_UC), 0);
	CU_ASSERT_EQUAL(gpmm_nested_protect(t, K4, K4, GPMM_RW | GPMM_MT_UC),
			0);
	gpmm_nested_commit(t);
	arena.on_flush = NULL;
	CU_ASSERT_EQUAL(arena.flushes, 1);
	CU_ASSERT_EQUAL(leaf(0, HPA + G1), 1);
	CU_ASSERT_EQUAL(leaf(K4, HPA + K4), 1);
	teardown();
}

static size_t out_at_flush;

static void note_out(struct nested_arena *a)
{
	out_at_flush = a->out;
}

static void frames_are_freed_after_the_flush(void)
{
	struct gpmm_nested_stats stats;

	setup(GPMM_NESTED_EPT4, GPMM_NESTED_NO_2M);
	CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, HPA, G1, GPMM_RW), 0);
	CU_ASSERT_EQUAL(arena.out, 515);
	arena.on_flush = note_out;
	CU_ASSERT_EQUAL(gpmm_nested_unmap(t, 0, G1), 0);
	CU_ASSERT_EQUAL(out_at_flush, 515);
	gpmm_nested_get_stats(t, &stats);
	CU_ASSERT_EQUAL(stats.limbo, 514);
	CU_ASSERT_EQUAL(gpmm_nested_drain(t), 0);
	CU_ASSERT_EQUAL(arena.out, 1);
	teardown();
}

/* Another thread's change, while a drain waits for readers. */
static bool unmap_meanwhile(void)
{
	gpmm__rcu_busy = NULL;
	CU_ASSERT_EQUAL(gpmm_nested_unmap(t, G1, K4), 0);
	return false;
}

static void what_is_retired_during_a_drain_waits_for_the_next(void)
{
	struct gpmm_nested_stats stats;

	setup(GPMM_NESTED_EPT4, 0);
	CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, HPA, K4, GPMM_RW), 0);
	CU_ASSERT_EQUAL(gpmm_nested_map(t, G1, HPA, K4, GPMM_RW), 0);
	CU_ASSERT_EQUAL(gpmm_nested_unmap(t, 0, K4), 0);
	gpmm__rcu_busy = unmap_meanwhile;
	CU_ASSERT_EQUAL(gpmm_nested_drain(t), 0);
	gpmm_nested_get_stats(t, &stats);
	CU_ASSERT_EQUAL(stats.limbo, 3);
	CU_ASSERT_EQUAL(gpmm_nested_begin(t), 0);
	CU_ASSERT_EQUAL(gpmm_nested_drain(t), -EDEADLK);
	gpmm_nested_abort(t);
	CU_ASSERT_EQUAL(gpmm_nested_drain(t), 0);
	CU_ASSERT_EQUAL(arena.out, 1);
	teardown();
}

static void a_crowded_limbo_drains_itself(void)
{
	struct gpmm_nested_options options;

	nested_arena_init(&arena, 64);
	options = nested_arena_options(&arena, GPMM_NESTED_EPT4, 0);
	options.limbo_max = 4;
	CU_ASSERT_EQUAL_FATAL(gpmm_nested_create(&options, &t), 0);
	for (int i = 0; i < 1000; i++) {
		CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, HPA, K4, GPMM_RW), 0);
		CU_ASSERT_EQUAL(gpmm_nested_unmap(t, 0, K4), 0);
	}
	for (int i = 0; i < 1000; i++) {
		CU_ASSERT_EQUAL(gpmm_nested_begin(t), 0);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, HPA, K4, GPMM_RW), 0);
		gpmm_nested_commit(t);
		CU_ASSERT_EQUAL(gpmm_nested_begin(t), 0);
		CU_ASSERT_EQUAL(gpmm_nested_unmap(t, 0, K4), 0);
		gpmm_nested_commit(t);
	}
	teardown();
}

/* ---------------------------------------------------------- transactions --- */

static void an_aborted_transaction_changed_nothing(void)
{
	EACH_FORMAT(0) {
		size_t out;

		CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, HPA, G1, GPMM_RW), 0);
		out = arena.out;
		arena.flushes = 0;
		CU_ASSERT_EQUAL(gpmm_nested_begin(t), 0);
		CU_ASSERT_EQUAL(gpmm_nested_begin(t), -EDEADLK);
		CU_ASSERT_EQUAL(gpmm_nested_unmap(t, K4, K4), 0);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, K4, HPA, K4, GPMM_RW), 0);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, K4, HPA, K4, GPMM_RW),
				-EEXIST);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, 2 * G1, 0, G1,
						GPMM_RW | GPMM_LAZY), 0);
		gpmm_nested_abort(t);
		CU_ASSERT_EQUAL(arena.out, out);
		CU_ASSERT_EQUAL(arena.flushes, 0);
		CU_ASSERT_EQUAL(leaf(K4, HPA + K4), 3);
		CU_ASSERT_EQUAL(gpmm_nested_handle_fault(t, 2 * G1, GPMM_READ),
				-ENOENT);
	}
}

static void replacing_in_one_transaction_works(void)
{
	EACH_FORMAT(0) {
		size_t before = tables();

		CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, HPA + K4, 4 * M2,
						GPMM_RW), 0);
		CU_ASSERT_EQUAL(gpmm_nested_begin(t), 0);
		CU_ASSERT_EQUAL(gpmm_nested_unmap(t, 0, M2), 0);
		CU_ASSERT_EQUAL(gpmm_nested_unmap(t, M2, 3 * M2), 0);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, HPA, G1, GPMM_READ), 0);
		CU_ASSERT_EQUAL(gpmm_nested_unmap(t, 2 * M2, K4), 0);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, 2 * M2, HPA + 2 * M2, K4,
						GPMM_READ), 0);
		gpmm_nested_commit(t);
		CU_ASSERT_EQUAL(arena.flushes >= 1, true);
		CU_ASSERT_EQUAL(leaf(2 * M2, HPA + 2 * M2), 3);
		CU_ASSERT_EQUAL(gpmm_nested_unmap(t, 0, G1), 0);
		CU_ASSERT_EQUAL(tables(), before);
	}
}

/*
 * Single pages of scattered memory, up or down, in one transaction: as many
 * frames as there are tables then.
 */
static void expect_frames_in_order(uint64_t first, uint64_t step)
{
	unsigned long calls = arena.calls;
	size_t before = tables();

	CU_ASSERT_EQUAL(gpmm_nested_begin(t), 0);
	for (uint64_t i = 0; i < 1024; i++)
		CU_ASSERT_EQUAL(gpmm_nested_map(t, first + i * step,
						HPA + 2 * i * K4, K4,
						GPMM_RW), 0);
	gpmm_nested_commit(t);
	CU_ASSERT_EQUAL(tables() - before, arena.calls - calls);
	check();
}

static void changes_in_order_reserve_what_they_need(void)
{
	EACH_FORMAT(0) {
		unsigned long calls;
		size_t before;

		expect_frames_in_order(4 * G1 - M2, K4);
		expect_frames_in_order(8 * G1 - 512 * K4, -K4);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, HPA, G1, GPMM_RW), 0);
		before = tables();
		calls = arena.calls;
		CU_ASSERT_EQUAL(gpmm_nested_begin(t), 0);
		for (uint64_t i = 0; i < 512; i += 2)
			CU_ASSERT_EQUAL(gpmm_nested_unmap(t, M2 + i * K4, K4),
					0);
		/* The 1G leaf is cut already. */
		CU_ASSERT_EQUAL(gpmm_nested_protect(t, 2 * M2, K4, GPMM_READ),
				0);
		gpmm_nested_commit(t);
		CU_ASSERT_EQUAL(tables(), before + 3);
		CU_ASSERT_EQUAL(arena.calls, calls + 3);
	}
}

/* Holes, forgotten or lazy, have no tables that a map could share. */
static void beside_what_makes_no_tables_a_map_reserves_its_own(void)
{
	EACH_FORMAT(0) {
		CU_ASSERT_EQUAL(gpmm_nested_begin(t), 0);
		CU_ASSERT_EQUAL(gpmm_nested_unmap(t, 2 * M2, K4), 0);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, 2 * M2 + K4, HPA, K4,
						GPMM_RW), 0);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, M2 + K4, 0, K4,
						GPMM_RW | GPMM_LAZY), 0);
		CU_ASSERT_EQUAL(gpmm_nested_map(t, M2, HPA, K4, GPMM_RW), 0);
		gpmm_nested_commit(t);
		CU_ASSERT_EQUAL(leaf(M2, HPA), 1);
		CU_ASSERT_EQUAL(leaf(2 * M2 + K4, HPA), 1);
	}
}

/* A set of changes that wants every kind of allocation. */
static int many_changes(void)
{
	int ret = gpmm_nested_begin(t);

	if (ret)
		return ret;
	ret = gpmm_nested_unmap(t, G1 + K4, M2);
	if (!ret)
		ret = gpmm_nested_protect(t, G1 + 8 * M2 + K4, K4, GPMM_READ);
	if (!ret)
		ret = gpmm_nested_map(t, 8 * G1, HPA + K4, 4 * M2, GPMM_RW);
	if (!ret)
		ret = gpmm_nested_map(t, 64 * G1, 0, G1, GPMM_RW | GPMM_LAZY);
	if (!ret)
		ret = gpmm_nested_map(t, G1 + 2 * K4, HPA, K4, GPMM_RW);
	for (uint64_t i = 0; i < 8 && !ret; i++)
		ret = gpmm_nested_map(t, (16 + i) * G1, HPA, K4, GPMM_RW);
	if (ret)
		gpmm_nested_abort(t);
	else
		gpmm_nested_commit(t);
	return ret;
}

static void expect_before(size_t out)
{
	CU_ASSERT_EQUAL(arena.out, out);
	CU_ASSERT_EQUAL(arena.flushes, 0);
	CU_ASSERT_EQUAL(leaf(G1 + K4, HPA + K4), 3);
	CU_ASSERT_EQUAL(leaf(8 * G1, 0), 0);
	check();
}

/* @limit: the count to fail at. Return: whether it came so far. */
static bool fails_at(long *limit, long n)
{
	size_t out = arena.out;
	int ret;

	*limit = n;
	ret = many_changes();
	*limit = -1;
	if (!ret)
		return false;
	CU_ASSERT_EQUAL(ret, -ENOMEM);
	expect_before(out);
	return true;
}

static void sweep(long *limit)
{
	long n = 0;

	CU_ASSERT_EQUAL(gpmm_nested_map(t, G1, HPA, G1, GPMM_RW), 0);
	arena.flushes = 0;
	while (fails_at(limit, n))
		n++;
	CU_ASSERT(n >= 3);
	CU_ASSERT_EQUAL(leaf(8 * G1, HPA + K4), 1);
}

static void without_frames_a_transaction_changes_nothing(void)
{
	EACH_FORMAT(0)
		sweep(&arena.left);
}

static void without_memory_a_transaction_changes_nothing(void)
{
	EACH_FORMAT(0)
		sweep(&gpmm__alloc_left);
}

static void creating_fails_without_a_trace(void)
{
	for (size_t i = 0; i < 7; i++) {
		struct gpmm_nested_options options;

		nested_arena_init(&arena, 64);
		options = nested_arena_options(&arena,
					       nested_formats[i].format, 0);
		arena.left = 0;
		CU_ASSERT_EQUAL(gpmm_nested_create(&options, &t), -ENOMEM);
		arena.left = -1;
		gpmm__alloc_left = 0;
		CU_ASSERT_EQUAL(gpmm_nested_create(&options, &t), -ENOMEM);
		gpmm__alloc_left = -1;
		CU_ASSERT_EQUAL(arena.out, 0);
		nested_arena_fini(&arena);
	}
}

static void calls_from_a_read_section_are_refused(void)
{
	setup(GPMM_NESTED_EPT4, 0);
	gpmm_read_lock();
	CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, HPA, K4, GPMM_RW), -EDEADLK);
	CU_ASSERT_EQUAL(gpmm_nested_handle_fault(t, 0, GPMM_READ), -EDEADLK);
	CU_ASSERT_EQUAL(gpmm_nested_drain(t), -EDEADLK);
	CU_ASSERT_EQUAL(leaf(0, 0), 0);
	gpmm_read_unlock();
	/* An open transaction may be another thread's. */
	CU_ASSERT_EQUAL(gpmm_nested_begin(t), 0);
	gpmm_read_lock();
	CU_ASSERT_EQUAL(gpmm_nested_map(t, 0, HPA, K4, GPMM_RW), -EDEADLK);
	gpmm_read_unlock();
	gpmm_nested_commit(t);
	CU_ASSERT_EQUAL(leaf(0, 0), 0);
	teardown();
}

SUITE("nested table",
      TEST(leaves_are_the_largest_that_fit),
      TEST(a_misaligned_hpa_makes_small_leaves),
      TEST(one_page_out_of_1g_costs_two_tables),
      TEST(protecting_a_part_splits_and_undoing_it_collapses),
      TEST(without_collapsing_the_leaves_stay_small),
      TEST(pages_mapped_one_by_one_become_a_large_leaf),
      TEST(an_emptied_place_takes_a_large_leaf),
      TEST(what_is_mapped_is_in_the_way),
      TEST(no_access_is_tracked_and_undone),
      TEST(the_ends_of_the_space_can_be_mapped),
      TEST(malformed_requests_are_refused),
      TEST(an_hpa_must_fit_to_its_last_byte),
      TEST(what_a_format_cannot_say_is_refused_by_name),
      TEST(options_a_format_has_not_are_refused),
      TEST(the_root_is_what_the_hardware_wants),
      TEST(a_narrow_gpa_still_has_its_root),
      TEST(a_transaction_flushes_once_with_what_changed),
      TEST(many_ranges_are_all),
      TEST(ranges_that_touch_are_one),
      TEST(all_that_a_collapse_takes_away_is_flushed),
      TEST(new_leaves_are_flushed_where_holes_are_cached),
      TEST(a_flush_cannot_change_the_table),
      TEST(arm_breaks_before_it_makes),
      TEST(arm_breaks_a_page_whose_type_changes),
      TEST(arm_breaks_where_a_leaf_has_no_access_between),
      TEST(frames_are_freed_after_the_flush),
      TEST(what_is_retired_during_a_drain_waits_for_the_next),
      TEST(a_crowded_limbo_drains_itself),
      TEST(an_aborted_transaction_changed_nothing),
      TEST(replacing_in_one_transaction_works),
      TEST(changes_in_order_reserve_what_they_need),
      TEST(beside_what_makes_no_tables_a_map_reserves_its_own),
      TEST(without_frames_a_transaction_changes_nothing),
      TEST(without_memory_a_transaction_changes_nothing),
      TEST(creating_fails_without_a_trace),
      TEST(calls_from_a_read_section_are_refused))
