/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * References on host memory: whatever is unmapped and mapped again before its
 * grace period is over, in the end each is put once, and none while an area, or
 * a reader who may have found one, has it.
 */
#include "core/set.h"
#include "helpers/suite.h"
#include "helpers/world.h"
#include "util/rcu.h"

/* More than there are places for, so that some have the same. */
#define HOSTS	300
#define SIZE	UINT64_C(0x10000)
#define PAGE	UINT64_C(0x1000)

static struct gpmm_host *hosts[HOSTS];
static unsigned int releases[HOSTS];
static unsigned int count;	/* of hosts that are there */

static void note_release(void *arg, void *addr, uint64_t size)
{
	(void)addr;
	(void)size;
	++*(unsigned int *)arg;
}

static char *address(unsigned int i)
{
	return (char *)(SIZE * (2 * i + 16));
}

/* The set alone keeps a reference on what is mapped of them. */
static struct gpmm_set *start(void)
{
	struct gpmm_set *set;

	for (unsigned int i = 0; i < count; i++) {
		const struct gpmm_host_options options = {
			.kind = GPMM_HOST_USER, .user = address(i),
			.size = SIZE, .release = note_release,
			.release_arg = &releases[i],
		};

		releases[i] = 0;
		CU_ASSERT_EQUAL_FATAL(gpmm_host_create(&options, &hosts[i]),
				      0);
	}
	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(NULL, &set), 0);
	/* Grace periods begin when a test says so. */
	set->limbo.queued = true;
	return set;
}

static struct gpmm_area host_area(unsigned int i)
{
	struct gpmm_area area = area_of(i * SIZE, SIZE / 2, 1);

	area.host = hosts[i];
	area.hva = address(i);
	return area;
}

static int map(struct gpmm_set *set, unsigned int i)
{
	struct gpmm_area area = host_area(i);

	return gpmm_set_map(set, &area, 0);
}

static int unmap(struct gpmm_set *set, unsigned int i)
{
	return gpmm_set_unmap(set, i * SIZE, SIZE / 2);
}

/* Map all; from then on the set alone has them. */
static void map_all(struct gpmm_set *set)
{
	for (unsigned int i = 0; i < count; i++)
		CU_ASSERT_EQUAL(map(set, i), 0);
	for (unsigned int i = 0; i < count; i++)
		gpmm_host_put(hosts[i]);
}

static void unmap_all(struct gpmm_set *set)
{
	for (unsigned int i = 0; i < count; i++)
		CU_ASSERT_EQUAL(unmap(set, i), 0);
}

static unsigned int released(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < count; i++)
		n += releases[i];
	return n;
}

static void end(struct gpmm_set *set)
{
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
	for (unsigned int i = 0; i < count; i++)
		CU_ASSERT_EQUAL(releases[i], 1);
}

static void test_each_is_put_once(void)
{
	struct gpmm_set *set = start();

	map_all(set);
	unmap_all(set);
	CU_ASSERT_EQUAL(released(), 0);
	CU_ASSERT_EQUAL(gpmm__set_reclaim(set), 0);
	CU_ASSERT_EQUAL(released(), count);
	end(set);
}

/* Those that were let go of serve the areas that come. */
static void test_mapped_again_it_stays(void)
{
	struct gpmm_set *set = start();

	map_all(set);
	for (int times = 0; times < 3; times++) {
		unmap_all(set);
		for (unsigned int i = 0; i < count; i++)
			CU_ASSERT_EQUAL(map(set, i), 0);
	}
	CU_ASSERT_EQUAL(gpmm__set_reclaim(set), 0);
	CU_ASSERT_EQUAL(released(), 0);
	unmap_all(set);
	CU_ASSERT_EQUAL(released(), 0);
	CU_ASSERT_EQUAL(gpmm__set_reclaim(set), 0);
	CU_ASSERT_EQUAL(released(), count);
	end(set);
}

/* Of one host, many areas: as many references. */
static void test_areas_of_one_host(void)
{
	struct gpmm_set *set = start();
	struct gpmm_area area = { .size = PAGE, .flags = 1 };

	area.host = hosts[0];
	for (unsigned int i = 0; i < count; i++) {
		area.start = i * SIZE;
		area.hva = address(0) + i % 2 * PAGE;
		CU_ASSERT_EQUAL(gpmm_set_map(set, &area, 0), 0);
	}
	gpmm_host_put(hosts[0]);
	for (unsigned int i = 0; i < count - 1; i++)
		CU_ASSERT_EQUAL(gpmm_set_unmap(set, i * SIZE, PAGE), 0);
	CU_ASSERT_EQUAL(gpmm__set_reclaim(set), 0);
	CU_ASSERT_EQUAL(releases[0], 0);
	CU_ASSERT_EQUAL(gpmm_set_unmap(set, (count - 1) * SIZE, PAGE), 0);
	CU_ASSERT_EQUAL(gpmm__set_reclaim(set), 0);
	CU_ASSERT_EQUAL(releases[0], 1);
	for (unsigned int i = 1; i < count; i++)
		gpmm_host_put(hosts[i]);
	end(set);
}

/* One was let go of, and three come: two take new ones. */
static void test_no_more_are_taken_back_than_there_are(void)
{
	struct gpmm_set *set = start();
	struct gpmm_area area = host_area(0);

	CU_ASSERT_EQUAL(map(set, 0), 0);
	gpmm_host_put(hosts[0]);
	CU_ASSERT_EQUAL(unmap(set, 0), 0);
	for (unsigned int i = 0; i < 3; i++) {
		area.start = i * SIZE;
		CU_ASSERT_EQUAL(gpmm_set_map(set, &area, 0), 0);
	}
	for (unsigned int i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(gpmm__set_reclaim(set), 0);
		CU_ASSERT_EQUAL(releases[0], 0);
		CU_ASSERT_EQUAL(unmap(set, i), 0);
	}
	CU_ASSERT_EQUAL(gpmm__set_reclaim(set), 0);
	CU_ASSERT_EQUAL(releases[0], 1);
	for (unsigned int i = 1; i < count; i++)
		gpmm_host_put(hosts[i]);
	end(set);
}

static struct gpmm_set *waited_for;

/* Its references belong to the grace period that runs: they serve nobody. */
static bool unmap_meanwhile(void)
{
	gpmm__rcu_busy = NULL;
	CU_ASSERT_EQUAL(map(waited_for, 0), 0);
	gpmm_host_put(hosts[0]);
	CU_ASSERT_EQUAL(unmap(waited_for, 0), 0);
	return false;
}

static void test_what_goes_meanwhile_waits_for_the_next(void)
{
	struct gpmm_set *set = start();

	CU_ASSERT_EQUAL(map(set, 0), 0);
	CU_ASSERT_EQUAL(unmap(set, 0), 0);
	waited_for = set;
	gpmm__rcu_busy = unmap_meanwhile;
	CU_ASSERT_EQUAL(gpmm__set_reclaim(set), 0);
	CU_ASSERT_PTR_NULL(gpmm__rcu_busy);
	CU_ASSERT_EQUAL(releases[0], 0);
	CU_ASSERT_EQUAL(gpmm__set_reclaim(set), 0);
	CU_ASSERT_EQUAL(releases[0], 1);
	for (unsigned int i = 1; i < count; i++)
		gpmm_host_put(hosts[i]);
	end(set);
}

static int refuse(struct gpmm_backend *be, const struct gpmm_area *area)
{
	(void)be;
	(void)area;
	return -EIO;
}

static int refuse_protection(struct gpmm_backend *be,
			     const struct gpmm_area *area, uint32_t flags)
{
	(void)flags;
	return refuse(be, area);
}

static const struct gpmm_backend_ops refusing_ops = {
	.abi = GPMM_BACKEND_ABI, .name = "refusing", .map = refuse,
	.unmap = refuse, .protect = refuse_protection,
};

/* A map that fails takes none back. */
static void test_refused_it_goes(void)
{
	struct gpmm_backend refusing = { .ops = &refusing_ops };
	struct gpmm_set *set = start();
	struct gpmm_area area = area_of(0, SIZE / 2, 1);

	map_all(set);
	unmap_all(set);
	area.host = hosts[0];
	area.hva = address(0);
	area.backend = &refusing;
	CU_ASSERT_EQUAL(gpmm_set_map(set, &area, 0), -EIO);
	CU_ASSERT_EQUAL(gpmm__set_reclaim(set), 0);
	CU_ASSERT_EQUAL(released(), count);
	end(set);
}

/* ------------------------------------------------- within a transaction --- */

static int txn_map(struct gpmm_txn *txn, unsigned int i, uint32_t flags)
{
	struct gpmm_area area = host_area(i);

	area.flags = flags;
	return gpmm_txn_map(txn, &area, 0);
}

static int txn_unmap(struct gpmm_txn *txn, unsigned int i)
{
	return gpmm_txn_unmap(txn, i * SIZE, SIZE / 2);
}

/* Of each ten areas how often it goes, and how often it comes again. */
static const struct {
	unsigned int goes, comes;
	bool other;		/* than it was */
} moves[10] = {
	{ 1, 1, false }, { 1, 0, false }, { 0, 0, false }, { 2, 1, false },
	{ 2, 2, false }, { 1, 1, true }, { 2, 1, true }, { 3, 3, true },
	{ 2, 2, true }, { 3, 2, false },
};

static bool stays(unsigned int i)
{
	return moves[i % 10].goes == moves[i % 10].comes;
}

/* Some at a time go and come, so that they wait for each other. */
static struct gpmm_txn *move_some(struct gpmm_set *set)
{
	struct gpmm_txn *txn;

	CU_ASSERT_EQUAL_FATAL(gpmm_txn_begin(set, &txn), 0);
	for (unsigned int from = 0; from < count; from += 10) {
		for (unsigned int turn = 0; turn < 3; turn++) {
			for (unsigned int i = from; i < from + 10; i++)
				if (moves[i % 10].goes > turn)
					CU_ASSERT_EQUAL(txn_unmap(txn, i), 0);
			for (unsigned int i = from; i < from + 10; i++)
				if (moves[i % 10].comes > turn)
					CU_ASSERT_EQUAL(
						txn_map(txn, i,
							moves[i % 10].other ?
							turn + 2 : 1), 0);
		}
	}
	return txn;
}

static void test_what_stays_keeps_its_reference(void)
{
	struct gpmm_set *set = start();

	map_all(set);
	CU_ASSERT_EQUAL(gpmm_txn_commit(move_some(set)), 0);
	CU_ASSERT_EQUAL(gpmm__set_check(set), 0);
	CU_ASSERT_EQUAL(gpmm__set_reclaim(set), 0);
	for (unsigned int i = 0; i < count; i++)
		CU_ASSERT_EQUAL(releases[i], !stays(i));
	for (unsigned int i = 0; i < count; i++)
		if (stays(i))
			CU_ASSERT_EQUAL(unmap(set, i), 0);
	CU_ASSERT_EQUAL(released(), count - count / 10 * 6);
	CU_ASSERT_EQUAL(gpmm__set_reclaim(set), 0);
	end(set);
}

static void test_aborted_all_keep_theirs(void)
{
	struct gpmm_set *set = start();

	map_all(set);
	gpmm_txn_abort(move_some(set));
	CU_ASSERT_EQUAL(gpmm__set_reclaim(set), 0);
	CU_ASSERT_EQUAL(released(), 0);
	unmap_all(set);
	CU_ASSERT_EQUAL(gpmm__set_reclaim(set), 0);
	CU_ASSERT_EQUAL(released(), count);
	end(set);
}

int main(void)
{
	static const struct suite_test tests[] = {
		{ "each is put once", test_each_is_put_once },
		{ "mapped again, it stays", test_mapped_again_it_stays },
		{ "one host's areas have one each", test_areas_of_one_host },
		{ "no more are taken back than there are",
		  test_no_more_are_taken_back_than_there_are },
		{ "what goes during a grace period waits for the next",
		  test_what_goes_meanwhile_waits_for_the_next },
		{ "refused, it goes", test_refused_it_goes },
		{ "what stays in a transaction keeps its reference",
		  test_what_stays_keeps_its_reference },
		{ "aborted, all keep theirs", test_aborted_all_keep_theirs },
		{ 0 },
	};
	int ret;

	count = HOSTS;
	ret = suite_run("references on host memory", tests);
	/* A whole tree in one leaf. */
	count = 40;
	return ret | suite_run("references on the memory of few hosts", tests);
}
