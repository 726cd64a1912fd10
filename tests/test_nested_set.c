/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table as a set's backend: a set's transaction is one of the table's,
 * whole or not at all, also where another backend fails.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <gpmm/host.h>
#include <gpmm/set.h>

#include "helpers/kvm_suite.h"
#include "helpers/nested_arena.h"
#include "util/alloc.h"

#define HPA	(16 * G1)
#define PIECE	(3 * M2)	/* of contiguous physical memory */

static struct nested_arena arena;
static struct gpmm_nested_ops ops;
static struct gpmm_nested *t;
static struct gpmm_set *set;
static struct gpmm_host *host;
static int hpa_error;
static uint64_t hpa_good;	/* bytes before the error */

/* Byte n of the host memory is in piece n / PIECE, the pieces 1G apart. */
static int hpa_of(void *ctx, const struct gpmm_area *area, gpmm_gpa_t gpa,
		  gpmm_hpa_t *hpa, uint64_t *size)
{
	uint64_t at = (uint8_t *)area->hva - (uint8_t *)gpmm_host_addr(host) +
		      (gpa - area->start);

	(void)ctx;
	*hpa = HPA + at / PIECE * G1 + at % PIECE;
	*size = PIECE - at % PIECE;
	return at < hpa_good ? 0 : hpa_error;
}

/* A backend that fails when told to. */
static int fail_commit, fail_map;

static int other_begin(struct gpmm_backend *be)
{
	(void)be;
	return 0;
}

static int other_commit(struct gpmm_backend *be)
{
	(void)be;
	return fail_commit;
}

static void other_abort(struct gpmm_backend *be)
{
	(void)be;
}

static int other_map(struct gpmm_backend *be, const struct gpmm_area *area)
{
	(void)be;
	(void)area;
	return fail_map;
}

static int other_unmap(struct gpmm_backend *be, const struct gpmm_area *area)
{
	(void)be;
	(void)area;
	return 0;
}

static int other_protect(struct gpmm_backend *be, const struct gpmm_area *area,
			 uint32_t flags)
{
	(void)be;
	(void)area;
	(void)flags;
	return 0;
}

static const struct gpmm_backend_ops other_ops = {
	.abi = GPMM_BACKEND_ABI,
	.name = "other",
	.map = other_map,
	.unmap = other_unmap,
	.protect = other_protect,
	.begin = other_begin,
	.commit = other_commit,
	.abort = other_abort,
};

static struct gpmm_backend other = { .ops = &other_ops, .granule = K4 };
static struct gpmm_backend *both;

static void setup(enum gpmm_nested_format format)
{
	const struct gpmm_host_options memory = {
		.kind = GPMM_HOST_ANON, .size = 16 * M2,
	};
	struct gpmm_nested_options options;
	struct gpmm_set_options set_options = { .granule = K4 };
	struct gpmm_backend *list[2];

	nested_arena_init(&arena, 4096);
	options = nested_arena_options(&arena, format, 0);
	ops = *options.ops;
	ops.hpa = hpa_of;
	options.ops = &ops;
	CU_ASSERT_EQUAL_FATAL(gpmm_nested_create(&options, &t), 0);
	list[0] = gpmm_nested_backend(t);
	list[1] = &other;
	CU_ASSERT_EQUAL_FATAL(gpmm_fanout_create(list, 2, &both), 0);
	set_options.backend = both;
	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&set_options, &set), 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_host_create(&memory, &host), 0);
	fail_commit = fail_map = hpa_error = 0;
	hpa_good = 0;
}

static void check(void)
{
	const char *why = NULL;

	CU_ASSERT_EQUAL(gpmm_nested_validate(t, &why), 0);
	if (why)
		printf("%s\n", why);
}

static void teardown(void)
{
	check();
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
	gpmm_fanout_destroy(both);
	CU_ASSERT_EQUAL(gpmm_nested_drain(t), 0);
	gpmm_nested_destroy(t);
	gpmm_host_put(host);
	CU_ASSERT_EQUAL(arena.out, 0);
	nested_arena_fini(&arena);
}

static struct gpmm_area ram(uint64_t gpa, uint64_t at, uint64_t size,
			    uint32_t flags)
{
	return (struct gpmm_area){
		.start = gpa, .size = size, .flags = flags, .host = host,
		.hva = (uint8_t *)gpmm_host_addr(host) + at,
	};
}

static int map(uint64_t gpa, uint64_t at, uint64_t size, uint32_t flags,
	       unsigned int how)
{
	struct gpmm_area area = ram(gpa, at, size, flags);

	return gpmm_set_map(set, &area, how);
}

static uint64_t where(uint64_t gpa)
{
	struct gpmm_nested_hit hit;

	return gpmm_nested_walk(t, gpa, GPMM_READ, &hit) ? 0 : hit.hpa;
}

#define EACH_FORMAT							\
	for (size_t i_ = 0; i_ < 7 &&					\
	     (setup(nested_formats[i_].format), true); teardown(), i_++)

static void an_area_is_mapped_at_its_physical_pieces(void)
{
	EACH_FORMAT {
		CU_ASSERT_EQUAL(map(G1, 0, 8 * M2, GPMM_RW, 0), 0);
		CU_ASSERT_EQUAL(where(G1), HPA);
		CU_ASSERT_EQUAL(where(G1 + PIECE), HPA + G1);
		CU_ASSERT_EQUAL(where(G1 + 8 * M2 - 1),
				HPA + 2 * G1 + 2 * M2 - 1);
		CU_ASSERT_EQUAL(where(G1 + 8 * M2), 0);
		CU_ASSERT_EQUAL(gpmm_set_unmap(set, G1 + K4, K4), 0);
		CU_ASSERT_EQUAL(where(G1 + K4), 0);
		CU_ASSERT_EQUAL(where(G1 + 2 * K4), HPA + 2 * K4);
	}
}

static void replacing_is_one_flush(void)
{
	EACH_FORMAT {
		CU_ASSERT_EQUAL(map(G1, 0, 8 * M2, GPMM_RW, 0), 0);
		arena.flushes = 0;
		CU_ASSERT_EQUAL(map(G1 + M2, 0, 2 * M2, GPMM_READ,
				    GPMM_MAP_REPLACE), 0);
		CU_ASSERT_EQUAL(arena.flushes, 1);
		CU_ASSERT_EQUAL(where(G1), HPA);
		CU_ASSERT_EQUAL(where(G1 + M2), HPA);
		CU_ASSERT_EQUAL(where(G1 + 3 * M2), HPA + G1);
	}
}

static void windows_are_left_alone_and_lazy_areas_fault(void)
{
	struct gpmm_area area = { .start = G1, .size = M2, .flags = GPMM_RW |
				  GPMM_MMIO };
	uint32_t flags;

	EACH_FORMAT {
		area.flags = GPMM_RW | GPMM_MMIO;
		area.start = G1;
		CU_ASSERT_EQUAL(gpmm_set_map(set, &area, 0), 0);
		CU_ASSERT_EQUAL(gpmm_nested_handle_fault(t, G1, GPMM_READ),
				-ENOENT);
		/* What no format can say does not matter to a window. */
		flags = GPMM_WRITE | GPMM_MMIO | GPMM_MT_MASK;
		CU_ASSERT_EQUAL(gpmm_set_protect(set, G1, M2, gpmm_protect_to,
						 &flags), 0);
		area.flags = GPMM_RW | GPMM_LAZY;
		area.start = 2 * G1;
		CU_ASSERT_EQUAL(gpmm_set_map(set, &area, 0), 0);
		CU_ASSERT_EQUAL(gpmm_nested_handle_fault(t, 2 * G1,
							 GPMM_READ), 0);
		CU_ASSERT(where(2 * G1) != 0);
		CU_ASSERT_EQUAL(gpmm_set_unmap(set, 0, 4 * G1), 0);
		CU_ASSERT_EQUAL(where(2 * G1), 0);
	}
}

static int protect(uint64_t gpa, uint64_t size, uint32_t flags)
{
	return gpmm_set_protect(set, gpa, size, gpmm_protect_to, &flags);
}

static void a_window_that_becomes_memory_is_mapped(void)
{
	struct gpmm_nested_hit hit;

	EACH_FORMAT {
		CU_ASSERT_EQUAL(map(G1, 0, M2, GPMM_RW, 0), 0);
		CU_ASSERT_EQUAL(protect(G1, M2, GPMM_READ | GPMM_MMIO), 0);
		CU_ASSERT_EQUAL(where(G1), 0);
		CU_ASSERT_EQUAL(protect(G1 + K4, K4, GPMM_RW), 0);
		CU_ASSERT_EQUAL(where(G1), 0);
		CU_ASSERT_EQUAL(gpmm_nested_walk(t, G1 + K4, GPMM_WRITE, &hit),
				0);
		CU_ASSERT_EQUAL(hit.hpa, HPA + K4);
		fail_commit = -EIO;
		CU_ASSERT_EQUAL(protect(G1, M2, GPMM_READ), -EIO);
		CU_ASSERT_EQUAL(where(G1), 0);
		fail_commit = 0;
		CU_ASSERT_EQUAL(protect(G1, M2, GPMM_READ), 0);
		CU_ASSERT_EQUAL(where(G1), HPA);
		CU_ASSERT_EQUAL(where(G1 + M2 - 1), HPA + M2 - 1);
	}
}

static void a_lazy_area_stays_one(void)
{
	struct gpmm_area area = { .start = G1, .size = M2,
				  .flags = GPMM_RW | GPMM_LAZY };

	EACH_FORMAT {
		area.start = G1;
		CU_ASSERT_EQUAL(gpmm_set_map(set, &area, 0), 0);
		CU_ASSERT_EQUAL(gpmm_nested_handle_fault(t, G1, GPMM_WRITE),
				0);
		CU_ASSERT_EQUAL(protect(G1, M2, GPMM_READ), -EINVAL);
		CU_ASSERT_EQUAL(protect(G1, M2, GPMM_RW | GPMM_MMIO), -EINVAL);
		CU_ASSERT_EQUAL(protect(G1, M2, GPMM_READ | GPMM_LAZY), 0);
		CU_ASSERT_EQUAL(gpmm_nested_handle_fault(t, G1, GPMM_WRITE),
				-EACCES);
		CU_ASSERT_EQUAL(protect(G1, M2, GPMM_RW | GPMM_LAZY), 0);
		CU_ASSERT_EQUAL(gpmm_nested_handle_fault(t, G1, GPMM_WRITE),
				0);
		CU_ASSERT_EQUAL(map(2 * G1, 0, M2, GPMM_RW, 0), 0);
		CU_ASSERT_EQUAL(protect(2 * G1, M2, GPMM_RW | GPMM_LAZY),
				-EINVAL);
		CU_ASSERT_EQUAL(where(2 * G1), HPA);
	}
}

/* More areas than the set has room for where it keeps its first. */
static int map_lazy(struct gpmm_txn *txn)
{
	int ret = 0;

	for (uint64_t i = 0; !ret && i < 16; i++)
		ret = gpmm_txn_map(txn, &(struct gpmm_area){
			.start = 8 * G1 + 2 * i * M2, .size = M2,
			.flags = GPMM_RW | GPMM_LAZY,
		}, 0);
	return ret;
}

/* A change that touches the table in several ways. */
static int change(void)
{
	struct gpmm_area more = ram(4 * G1, 8 * M2 + K4, 2 * M2, GPMM_RW);
	uint32_t flags = GPMM_READ;
	struct gpmm_txn *txn;
	int ret = gpmm_txn_begin(set, &txn);

	if (ret)
		return ret;
	ret = gpmm_txn_unmap(txn, G1 + K4, K4);
	if (!ret)
		ret = gpmm_txn_protect(txn, G1 + M2 + K4, K4, gpmm_protect_to,
				       &flags);
	if (!ret)
		ret = gpmm_txn_map(txn, &more, 0);
	if (!ret)
		ret = map_lazy(txn);
	if (!ret)
		return gpmm_txn_commit(txn);
	gpmm_txn_abort(txn);
	return ret;
}

static void expect_before(void)
{
	struct gpmm_nested_hit hit;

	CU_ASSERT_EQUAL(gpmm_set_len(set), 1);
	CU_ASSERT_EQUAL(gpmm_nested_walk(t, G1 + K4, GPMM_RW, &hit), 0);
	CU_ASSERT_EQUAL(hit.hpa, HPA + K4);
	CU_ASSERT_EQUAL(hit.level, 2);
	CU_ASSERT_EQUAL(gpmm_nested_walk(t, G1 + M2 + K4, GPMM_RW, &hit), 0);
	CU_ASSERT_EQUAL(hit.level, 2);
	CU_ASSERT_EQUAL(where(4 * G1), 0);
	CU_ASSERT_EQUAL(gpmm_nested_handle_fault(t, 8 * G1, GPMM_READ),
			-ENOENT);
	CU_ASSERT_EQUAL(gpmm_nested_drain(t), 0);
	check();
}

static bool fails_at(long *limit, long n)
{
	int ret;

	*limit = n;
	ret = change();
	*limit = -1;
	if (!ret)
		return false;
	expect_before();
	return true;
}

static void whatever_runs_out_nothing_changed(void)
{
	EACH_FORMAT {
		long *const limits[] = { &arena.left, &gpmm__alloc_left };

		for (size_t i = 0; i < 2; i++) {
			long n = 0;

			CU_ASSERT_EQUAL(map(G1, 0, 8 * M2, GPMM_RW, 0), 0);
			while (fails_at(limits[i], n))
				n++;
			CU_ASSERT(n > 0);
			CU_ASSERT_EQUAL(gpmm_set_clear(set), 0);
		}
	}
}

static void another_backends_failure_undoes_the_tables(void)
{
	EACH_FORMAT {
		size_t out;

		CU_ASSERT_EQUAL(map(G1, 0, 8 * M2, GPMM_RW, 0), 0);
		out = arena.out;
		fail_map = -ENOSPC;
		CU_ASSERT_EQUAL(change(), -ENOSPC);
		expect_before();
		CU_ASSERT_EQUAL(arena.out, out);
		fail_map = 0;
		/* Its commit comes after the table's, which is undone. */
		fail_commit = -EIO;
		CU_ASSERT_EQUAL(change(), -EIO);
		fail_commit = 0;
		expect_before();
		CU_ASSERT_EQUAL(arena.out, out);
		hpa_error = -EIO;
		CU_ASSERT_EQUAL(change(), -EIO);
		hpa_error = 0;
		expect_before();
		CU_ASSERT_EQUAL(change(), 0);
	}
}

/* Fill a page of a lazy area; returns where its frame is. */
static uint64_t write_lazy(uint64_t gpa, uint64_t value)
{
	CU_ASSERT_EQUAL_FATAL(gpmm_nested_handle_fault(t, gpa, GPMM_WRITE), 0);
	*(uint64_t *)nested_arena_va(&arena, where(gpa)) = value;
	return where(gpa);
}

static void a_lazy_area_keeps_its_contents_when_its_unmap_is_undone(void)
{
	struct gpmm_area area = { .start = 2 * G1, .size = 2 * M2,
				  .flags = GPMM_RW | GPMM_LAZY };

	EACH_FORMAT {
		uint64_t at;

		CU_ASSERT_EQUAL(gpmm_set_map(set, &area, 0), 0);
		at = write_lazy(2 * G1 + K4, 4711);
		/* There is no frame for an undo either. */
		arena.left = 0;
		fail_commit = -EIO;
		CU_ASSERT_EQUAL(gpmm_set_unmap(set, 2 * G1, M2), -EIO);
		CU_ASSERT_EQUAL(gpmm_set_clear(set), -EIO);
		arena.left = -1;
		CU_ASSERT_EQUAL(map(2 * G1, 0, M2, GPMM_RW, GPMM_MAP_REPLACE),
				-EIO);
		fail_commit = 0;
		CU_ASSERT_EQUAL(where(2 * G1 + K4), at);
		if (where(2 * G1 + K4) == at)
			CU_ASSERT_EQUAL(*(uint64_t *)nested_arena_va(&arena,
								     at), 4711);
		check();
		CU_ASSERT_EQUAL(gpmm_set_unmap(set, 2 * G1, M2), 0);
		CU_ASSERT_EQUAL(where(2 * G1 + K4), 0);
	}
}

/* The backend by itself, as a fan-out or a set of another make has it. */
static void a_map_that_fails_at_its_second_piece_is_none(void)
{
	EACH_FORMAT {
		struct gpmm_backend *be = gpmm_nested_backend(t);
		struct gpmm_area area = ram(G1, 0, 8 * M2, GPMM_RW);

		hpa_good = PIECE;
		hpa_error = -EIO;
		CU_ASSERT_EQUAL(be->ops->begin(be), 0);
		CU_ASSERT_EQUAL(be->ops->map(be, &area), -EIO);
		area.start = 2 * G1;
		area.size = PIECE;
		CU_ASSERT_EQUAL(be->ops->map(be, &area), 0);
		CU_ASSERT_EQUAL(be->ops->commit(be), 0);
		be->ops->published(be);
		CU_ASSERT_EQUAL(where(G1), 0);
		CU_ASSERT_EQUAL(where(2 * G1), HPA);
		CU_ASSERT_EQUAL(be->ops->begin(be), 0);
		CU_ASSERT_EQUAL(be->ops->unmap(be, &area), 0);
		CU_ASSERT_EQUAL(be->ops->commit(be), 0);
		be->ops->published(be);
	}
}

static void an_undo_that_is_aborted_leaves_the_table_usable(void)
{
	EACH_FORMAT {
		struct gpmm_backend *be = gpmm_nested_backend(t);
		struct gpmm_area area = ram(G1, 0, M2, GPMM_RW);

		CU_ASSERT_EQUAL(be->ops->begin(be), 0);
		CU_ASSERT_EQUAL(be->ops->map(be, &area), 0);
		CU_ASSERT_EQUAL(be->ops->commit(be), 0);
		CU_ASSERT_EQUAL(be->ops->begin(be), 0);
		CU_ASSERT_EQUAL(be->ops->unmap(be, &area), 0);
		be->ops->abort(be);
		CU_ASSERT_EQUAL(where(G1), 0);
		CU_ASSERT_EQUAL(map(G1, 0, M2, GPMM_RW, 0), 0);
		CU_ASSERT_EQUAL(where(G1), HPA);
	}
}

static const char *registered(void)
{
	gpmm_thread_register();
	return NULL;
}

SUITE_IF(registered(), "nested tables behind a set",
	 TEST(an_area_is_mapped_at_its_physical_pieces),
	 TEST(replacing_is_one_flush),
	 TEST(windows_are_left_alone_and_lazy_areas_fault),
	 TEST(a_window_that_becomes_memory_is_mapped),
	 TEST(a_lazy_area_stays_one),
	 TEST(whatever_runs_out_nothing_changed),
	 TEST(another_backends_failure_undoes_the_tables),
	 TEST(a_lazy_area_keeps_its_contents_when_its_unmap_is_undone),
	 TEST(a_map_that_fails_at_its_second_piece_is_none),
	 TEST(an_undo_that_is_aborted_leaves_the_table_usable))
