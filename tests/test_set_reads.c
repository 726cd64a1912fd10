/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What reading costs: no allocation, and not one store to memory that another
 * thread could see. The heap is made read-only under the readers: one that
 * writes dies of it.
 */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <gpmm/gpmm.h>

#include "core/set.h"
#include "helpers/suite.h"

enum { AREAS = 5000 };
#define STRIDE UINT64_C(0x4000)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_ALLOCATOR 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
	__has_feature(memory_sanitizer)
#define OWN_ALLOCATOR 1
#endif
#endif

static struct gpmm_set *set;

/* @base: above 8 TiB the tree has wide keys */
static void populate(gpmm_gpa_t base)
{
	struct gpmm_txn *txn;
	gpmm_gpa_t i;

	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(NULL, &set), 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_txn_begin(set, &txn), 0);
	for (i = 0; i < AREAS; i++) {
		struct gpmm_area area = { .start = base + i * STRIDE,
					  .size = 0x1000 + i % 3 * 0x1000,
					  .flags = 1 };

		CU_ASSERT_EQUAL_FATAL(gpmm_txn_map(txn, &area, 0), 0);
	}
	CU_ASSERT_EQUAL_FATAL(gpmm_txn_commit(txn), 0);
	/* Nothing is left to do for the reclaiming thread, which writes. */
	CU_ASSERT_EQUAL_FATAL(gpmm_set_drain(set), 0);
	gpmm__worker_cancel(&set->limbo.work);
}

static int count(void *arg, const struct gpmm_area *area)
{
	(void)area;
	++*(int *)arg;
	return 0;
}

/* Every way to read; nothing of what it finds may be on the heap. */
static int read_all(gpmm_gpa_t base)
{
	struct gpmm_hole hole = { .size = 0x3000, .limit = GPMM_RANGE_ALL };
	int i, n = 0, good = 0;
	struct gpmm_area area;
	struct gpmm_iter it;
	gpmm_gpa_t addr;

	for (i = 0; i < AREAS; i++) {
		addr = base + i * STRIDE;
		good += gpmm_set_find(set, addr, &area);
		good += !gpmm_set_find(set, addr + 0x3000, &area);
		good += gpmm_set_overlaps(set, addr + 0x800, 0x4000);
		hole.hint = addr;
		good += !gpmm_set_find_free(set, &hole, &addr);
	}
	good += !gpmm_set_for_each(set, GPMM_RANGE_ALL, count, &n);
	gpmm_read_lock();
	gpmm_iter_init(&it, gpmm_set_view_rcu(set), 0);
	while (gpmm_iter_next(&it, &area))
		n--;
	gpmm_read_unlock();
	return good == 4 * AREAS + 1 && !n && gpmm_set_len(set) == AREAS;
}

#ifndef OWN_ALLOCATOR
/* The heap, as the kernel has it. Return: whether it was found. */
static bool find_heap(uintptr_t *from, uintptr_t *to)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	bool found = false;
	char line[256];

	if (!maps)
		return false;
	while (!found && fgets(line, sizeof(line), maps))
		found = strstr(line, "[heap]") &&
			sscanf(line, "%lx-%lx", from, to) == 2;
	fclose(maps);
	return found;
}

static void read_frozen(gpmm_gpa_t base)
{
	uintptr_t from, to, at = (uintptr_t)set;
	bool frozen, good;

	populate(base);
	CU_ASSERT_FATAL(find_heap(&from, &to));
	at = (uintptr_t)set;
	CU_ASSERT_FATAL(from <= at && at < to);
	frozen = !mprotect((void *)from, to - from, PROT_READ);
	good = read_all(base);
	mprotect((void *)from, to - from, PROT_READ | PROT_WRITE);
	CU_ASSERT(frozen && good);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

static void test_readers_write_nothing(void)
{
	read_frozen(0);
	read_frozen(UINT64_C(1) << 45);
}
#endif

static void test_readers_allocate_nothing(void)
{
	struct mallinfo2 before, after;

	populate(0);
	before = mallinfo2();
	CU_ASSERT(read_all(0));
	after = mallinfo2();
	CU_ASSERT_EQUAL(before.uordblks, after.uordblks);
	CU_ASSERT_EQUAL(before.hblks, after.hblks);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

int main(void)
{
	static const struct suite_test tests[] = {
#ifndef OWN_ALLOCATOR
		{ "readers write nothing that is shared",
		  test_readers_write_nothing },
#endif
		{ "readers allocate nothing", test_readers_allocate_nothing },
		{ 0 },
	};
	int ret;

	/* One heap, and all of it from brk(). */
	mallopt(M_MMAP_THRESHOLD, 1 << 30);
	mallopt(M_ARENA_MAX, 1);
	gpmm_thread_register();
	ret = suite_run("set_reads", tests);
	gpmm_thread_unregister();
	return ret;
}
