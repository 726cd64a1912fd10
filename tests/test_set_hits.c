/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a hit tells, asked for one by one and many at once, through public
 * headers alone; and what a set tells of itself.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <gpmm/gpmm.h>

#include "helpers/rng.h"
#include "helpers/suite.h"

#define PAGE	UINT64_C(4096)
/* Above 2^31 granules keys are wide, whatever the granule. */
#define ABOVE	(UINT64_C(1) << 52)

/* So many at once; so many areas, whose tree has three levels above leaves. */
enum { MOST = 70, LARGEST = 40000 };

static int owners[3];

static struct gpmm_set *create(uint64_t granule)
{
	struct gpmm_set_options options = { .granule = granule };
	struct gpmm_set *set;

	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&options, &set), 0);
	return set;
}

/* Every second seat of two granules is taken, from @base on. */
static struct gpmm_set *populate(uint64_t granule, gpmm_gpa_t base, size_t n)
{
	struct gpmm_set *set = create(granule);
	struct gpmm_txn *txn;

	CU_ASSERT_EQUAL_FATAL(gpmm_txn_begin(set, &txn), 0);
	for (size_t i = 0; i < n; i++) {
		struct gpmm_area area = {
			.start = base + i * 4 * granule,
			.size = 2 * granule,
			.flags = GPMM_MMIO | (uint32_t)i << GPMM_EMBEDDER_SHIFT,
			.owner = &owners[i % 3],
		};

		CU_ASSERT_EQUAL_FATAL(gpmm_txn_map(txn, &area, 0), 0);
	}
	CU_ASSERT_EQUAL_FATAL(gpmm_txn_commit(txn), 0);
	return set;
}

static bool same_area(const struct gpmm_area *a, const struct gpmm_area *b)
{
	return a->start == b->start && a->size == b->size &&
	       a->flags == b->flags && !a->reserved && !b->reserved &&
	       a->backend == b->backend && a->host == b->host &&
	       a->hva == b->hva && a->owner == b->owner;
}

/* Is the hit what the copying find says? */
static bool is_right(const struct gpmm_set *set, struct gpmm_hit hit,
		     gpmm_gpa_t addr)
{
	struct gpmm_area expected, area;

	if (!gpmm_set_find_rcu(set, addr, &expected))
		return !hit.record;
	if (!hit.record)
		return false;
	gpmm_hit_area(set, hit, &area);
	return same_area(&area, &expected) && hit.start == expected.start &&
	       gpmm_hit_size(set, hit) == expected.size &&
	       gpmm_hit_bytes(set, hit, addr) ==
	       expected.start + expected.size - addr &&
	       gpmm_hit_flags(hit) == expected.flags &&
	       gpmm_hit_host(hit) == expected.host;
}

/* --------------------------------------------------------- many at once --- */

/*
 * @n from a place in the array, so that they are aligned in every way; what
 * lies behind the answers is nobody's.
 */
static bool ask(const struct gpmm_set *set, const gpmm_gpa_t *addrs,
		size_t at, size_t n)
{
	static const struct gpmm_record guard;
	struct gpmm_hit hits[MOST + 1];
	bool right = true;

	hits[n].record = &guard;
	gpmm_read_lock();
	gpmm_set_hits_rcu(set, addrs + at, n, hits);
	for (size_t i = 0; i < n; i++)
		right &= is_right(set, hits[i], addrs[at + i]);
	gpmm_read_unlock();
	return right && hits[n].record == &guard;
}

static void ask_all(struct gpmm_set *set, gpmm_gpa_t base, uint64_t extent)
{
	gpmm_gpa_t addrs[4 + MOST];
	struct rng rng = { 1 };
	bool right = true;

	for (size_t i = 0; i < 4 + MOST; i++)
		addrs[i] = base + rng_next(&rng) % (extent + 1);
	for (size_t n = 0; n <= MOST; n++)
		for (size_t at = 0; at < 4; at++)
			right &= ask(set, addrs, at, n);
	CU_ASSERT(right);
	/* One of them outside: at either end of the space, before, behind. */
	for (size_t n = 1; n <= 40; n += n < 9 ? 1 : 7) {
		for (size_t i = 0; i < n; i++) {
			gpmm_gpa_t kept = addrs[i];

			addrs[i] = UINT64_MAX;
			right &= ask(set, addrs, 0, n);
			/* As if inside, but for bits that granules lack. */
			addrs[i] = kept ^ ABOVE;
			right &= ask(set, addrs, 0, n);
			addrs[i] = 0;
			right &= ask(set, addrs, 0, n);
			addrs[i] = base - 1;
			right &= ask(set, addrs, 0, n);
			addrs[i] = base + extent + 1;
			right &= ask(set, addrs, 0, n);
			addrs[i] = kept;
		}
	}
	CU_ASSERT(right);
}

static void ask_sets(uint64_t granule, gpmm_gpa_t base)
{
	/* None, leaves, a flat leaf, and tops of every height and form. */
	static const size_t sizes[] = {
		0, 1, 9, 16, 64, 65, 900, 2000, 20000, LARGEST,
	};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct gpmm_set *set = populate(granule, base, sizes[i]);

		ask_all(set, base, sizes[i] * 4 * granule);
		CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
	}
}

static void test_many_at_once(void)
{
	ask_sets(PAGE, 0);
	ask_sets(PAGE, 16 * PAGE);
	ask_sets(1, 7);
}

static void test_many_at_once_where_keys_are_wide(void)
{
	ask_sets(PAGE, ABOVE);
	ask_sets(1, ABOVE + 7);
	/* Up to the last byte. */
	ask_sets(1, UINT64_MAX - LARGEST * 4 + 2);
}

/* ---------------------------------------------------------- what it tells --- */

static struct gpmm_host *some_memory(uint64_t size)
{
	struct gpmm_host_options options = { .size = size };
	struct gpmm_host *host;

	CU_ASSERT_EQUAL_FATAL(gpmm_host_create(&options, &host), 0);
	return host;
}

static void see_memory(gpmm_gpa_t base)
{
	struct gpmm_set *set = create(PAGE);
	struct gpmm_host *host = some_memory(4 * PAGE);
	char *bytes = gpmm_host_addr(host);
	struct gpmm_area area = {
		.start = base, .size = 2 * PAGE, .flags = GPMM_RW,
		.host = host, .hva = bytes + PAGE, .owner = &owners[0],
	};
	struct gpmm_hit hit;

	CU_ASSERT_EQUAL(gpmm_set_map(set, &area, 0), 0);
	gpmm_host_put(host);
	gpmm_read_lock();
	hit = gpmm_set_hit_rcu(set, base + PAGE + 5);
	CU_ASSERT(is_right(set, hit, base + PAGE + 5));
	CU_ASSERT_FATAL(hit.record != NULL);
	CU_ASSERT_PTR_EQUAL(gpmm_hit_hva(hit, base + PAGE + 5),
			    bytes + 2 * PAGE + 5);
	CU_ASSERT_PTR_EQUAL(gpmm_hit_hva(hit, base), bytes + PAGE);
	CU_ASSERT_EQUAL(gpmm_hit_bytes(set, hit, base + PAGE + 5), PAGE - 5);
	CU_ASSERT_PTR_EQUAL(gpmm_hit_host(hit), host);
	CU_ASSERT_PTR_NULL(gpmm_set_hit_rcu(set, base + 2 * PAGE).record);
	CU_ASSERT_PTR_NULL(gpmm_set_hit_rcu(set, base - 1).record);
	gpmm_read_unlock();
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

static void test_memory(void)
{
	see_memory(0x10000);
	see_memory(ABOVE);
	see_memory(-2 * PAGE);
}

/* A device's window has an owner; what is kept reserved has not even that. */
static void see_window(gpmm_gpa_t base)
{
	struct gpmm_set *set = create(PAGE);
	struct gpmm_area area = {
		.start = base, .size = PAGE, .flags = GPMM_MMIO,
		.owner = &owners[1],
	};
	struct gpmm_hit hit;

	CU_ASSERT_EQUAL(gpmm_set_map(set, &area, 0), 0);
	area = (struct gpmm_area){ .start = base + PAGE, .size = PAGE };
	CU_ASSERT_EQUAL(gpmm_set_map(set, &area, 0), 0);
	gpmm_read_lock();
	hit = gpmm_set_hit_rcu(set, base + 8);
	CU_ASSERT(is_right(set, hit, base + 8));
	CU_ASSERT_PTR_NULL(gpmm_hit_host(hit));
	CU_ASSERT_PTR_EQUAL(gpmm_hit_owner(hit), &owners[1]);
	hit = gpmm_set_hit_rcu(set, base + PAGE);
	CU_ASSERT(is_right(set, hit, base + PAGE));
	CU_ASSERT_PTR_NULL(gpmm_hit_host(hit));
	CU_ASSERT_PTR_NULL(gpmm_hit_owner(hit));
	gpmm_read_unlock();
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

static void test_windows_and_holes(void)
{
	see_window(0);
	see_window(ABOVE);
	see_window(-2 * PAGE);
}

/* What was found in a section stays as it was until its end. */
static void test_a_hit_keeps_in_its_section(void)
{
	struct gpmm_set *set = populate(PAGE, 0, 500);
	struct gpmm_area before, after;
	struct gpmm_hit hit;

	gpmm_read_lock();
	hit = gpmm_set_hit_rcu(set, 40 * PAGE);
	CU_ASSERT_FATAL(hit.record != NULL);
	gpmm_hit_area(set, hit, &before);
	CU_ASSERT_EQUAL(gpmm_set_clear(set), -EDEADLK);
	CU_ASSERT_EQUAL(gpmm_set_drain(set), -EDEADLK);
	gpmm_hit_area(set, hit, &after);
	gpmm_read_unlock();
	CU_ASSERT(same_area(&before, &after));
	CU_ASSERT_EQUAL(gpmm_set_drain(set), 0);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

/* ------------------------------------------------------ of the set itself --- */

static uint64_t commits_of(struct gpmm_set *set)
{
	struct gpmm_set_stats stats;

	gpmm_set_get_stats(set, &stats);
	return stats.commits;
}

/* The generation after a change; it must have gone on. */
static void changed(struct gpmm_set *set, int ret, uint64_t *generation)
{
	CU_ASSERT_EQUAL(ret, 0);
	CU_ASSERT(gpmm_set_generation(set) > *generation);
	*generation = gpmm_set_generation(set);
}

static void test_a_generation_for_each_change(void)
{
	struct gpmm_set *set = create(PAGE);
	struct gpmm_area area = { .size = 4 * PAGE };
	uint64_t generation = gpmm_set_generation(set);
	uint32_t flags = 1;
	struct gpmm_txn *txn;

	changed(set, gpmm_set_map(set, &area, 0), &generation);
	changed(set, gpmm_set_protect(set, PAGE, PAGE, gpmm_protect_to,
				      &flags), &generation);
	changed(set, gpmm_set_split(set, 3 * PAGE), &generation);
	changed(set, gpmm_set_merge(set, 3 * PAGE, PAGE), &generation);
	changed(set, gpmm_set_unmap(set, 0, PAGE), &generation);
	/* Not for what failed, was given up, or changed nothing. */
	CU_ASSERT_EQUAL(gpmm_set_map(set, &area, 0), -EEXIST);
	CU_ASSERT_EQUAL(gpmm_set_unmap(set, 64 * PAGE, PAGE), 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_txn_begin(set, &txn), 0);
	CU_ASSERT_EQUAL(gpmm_txn_clear(txn), 0);
	gpmm_txn_abort(txn);
	CU_ASSERT_EQUAL(gpmm_set_generation(set), generation);
	CU_ASSERT_EQUAL(commits_of(set), 5);
	changed(set, gpmm_set_clear(set), &generation);
	CU_ASSERT_EQUAL(commits_of(set), 6);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

static void test_figures(void)
{
	struct gpmm_set *set = create(PAGE);
	struct gpmm_set_stats stats;
	struct gpmm_txn *txn;

	gpmm_set_get_stats(set, &stats);
	CU_ASSERT_EQUAL(stats.areas, 0);
	CU_ASSERT_EQUAL(stats.height, 0);
	CU_ASSERT_EQUAL(stats.node_bytes, 0);
	CU_ASSERT_EQUAL(stats.commits, 0);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
	set = populate(PAGE, 0, 2000);
	CU_ASSERT_EQUAL(gpmm_set_unmap(set, 0, 4 * 1500 * PAGE), 0);
	/* Nodes move together; that is no commit. */
	CU_ASSERT_EQUAL(gpmm_set_drain(set), 0);
	gpmm_set_get_stats(set, &stats);
	CU_ASSERT_EQUAL(stats.areas, 500);
	CU_ASSERT_EQUAL(stats.commits, 2);
	CU_ASSERT(stats.height > 1);
	CU_ASSERT_EQUAL(stats.limbo_bytes, 0);
	CU_ASSERT(stats.node_bytes >= 500 * sizeof(struct gpmm_record));
	CU_ASSERT(stats.total_bytes > stats.node_bytes + stats.free_bytes);
	/* Whoever holds the set's lock is told nothing. */
	CU_ASSERT_EQUAL_FATAL(gpmm_txn_begin(set, &txn), 0);
	CU_ASSERT_EQUAL(gpmm_set_drain(set), -EDEADLK);
	memset(&stats, 0xff, sizeof(stats));
	gpmm_set_get_stats(set, &stats);
	CU_ASSERT_EQUAL(stats.areas, 0);
	CU_ASSERT_EQUAL(stats.total_bytes, 0);
	gpmm_txn_abort(txn);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

int main(void)
{
	static const struct suite_test tests[] = {
		{ "many at once are told as one by one", test_many_at_once },
		{ "the same where keys are wide",
		  test_many_at_once_where_keys_are_wide },
		{ "memory is told by where it lies", test_memory },
		{ "windows are told by their owner", test_windows_and_holes },
		{ "a hit keeps in its section",
		  test_a_hit_keeps_in_its_section },
		{ "each change has a generation",
		  test_a_generation_for_each_change },
		{ "figures add up", test_figures },
		{ 0 },
	};
	int ret;

	gpmm_thread_register();
	ret = suite_run("set_hits", tests);
	gpmm_thread_unregister();
	return ret;
}
