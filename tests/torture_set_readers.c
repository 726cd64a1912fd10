/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Readers beside writers, with real threads and grace periods: what a reader
 * sees is one moment, and what stands behind it stays until he is gone.
 * GPMM_LONG=1 makes it a hundred times longer.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <urcu/urcu-bp.h>
#include <urcu/urcu-qsbr.h>

#include <gpmm/gpmm.h>

#include "helpers/rng.h"
#include "helpers/suite.h"
#include "util/rcu.h"

#define PAGE	UINT64_C(4096)

enum {
	READERS = 3,
	WRITERS = 2,
	PAGES = 64,		/* of each writer */
	COMMITS = 8000,		/* of each writer, at least */
	READS = 2000,		/* of each reader, at least */
};

/* liburcu's headers declare the flavour of the first of them only. */
extern const struct rcu_flavor_struct urcu_qsbr_flavor;

static struct gpmm_set *set;
static unsigned long commits_wanted;
static uint64_t seed;
static unsigned int busy_writers;	/* still at work */
static unsigned int slow_readers;	/* with fewer than READS */
static unsigned long broken;		/* what readers saw and may not */
static long live_hosts;

static bool load(const unsigned int *n)
{
	return __atomic_load_n(n, __ATOMIC_ACQUIRE);
}

static void saw_nonsense(const char *what)
{
	if (!__atomic_fetch_add(&broken, 1, __ATOMIC_RELAXED))
		printf("\n    GPMM_SEED=%#lx: %s\n", seed, what);
}

/* ---------------------------------------------------------------- memory */

/* Freed memory says so, to whoever still looks. */
static void release_memory(void *arg, void *addr, uint64_t size)
{
	(void)arg;
	memset(addr, 0, size);
	free(addr);
	__atomic_fetch_sub(&live_hosts, 1, __ATOMIC_RELAXED);
}

/* Pages of one byte, which is never 0. */
static struct gpmm_host *make_memory(uint64_t pages, uint8_t byte)
{
	struct gpmm_host_options options = {
		.kind = GPMM_HOST_USER,
		.size = pages * PAGE,
		.user = aligned_alloc(PAGE, pages * PAGE),
		.release = release_memory,
	};
	struct gpmm_host *host;

	if (!options.user)
		abort();
	memset(options.user, byte, options.size);
	if (gpmm_host_create(&options, &host))
		abort();
	__atomic_fetch_add(&live_hosts, 1, __ATOMIC_RELAXED);
	return host;
}

/* An area whose flags tell what its memory should hold. */
static struct gpmm_area make_area(gpmm_gpa_t start, uint64_t pages,
				  uint8_t byte)
{
	struct gpmm_area area = {
		.start = start,
		.size = pages * PAGE,
		.flags = GPMM_RW | (uint32_t)byte << GPMM_EMBEDDER_SHIFT,
		.host = make_memory(pages, byte),
	};

	area.hva = gpmm_host_addr(area.host);
	return area;
}

static bool memory_is_right(const struct gpmm_area *area, gpmm_gpa_t addr)
{
	const uint8_t *byte = (uint8_t *)area->hva + (addr - area->start);

	return *byte == area->flags >> GPMM_EMBEDDER_SHIFT;
}

/* --------------------------------------------------------------- threads */

struct job {
	pthread_t thread;
	unsigned int number;
	struct rng rng;
	void (*write)(struct job *job);
	void (*read)(struct job *job);
};

static bool must_go_on(unsigned long commits)
{
	return commits < commits_wanted || load(&slow_readers);
}

static void *run_writer(void *arg)
{
	struct job *job = arg;
	unsigned long n;

	for (n = 0; must_go_on(n); n++)
		job->write(job);
	__atomic_fetch_sub(&busy_writers, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void *run_reader(void *arg)
{
	struct job *job = arg;
	unsigned long n;

	gpmm_thread_register();
	for (n = 1; load(&busy_writers); n++) {
		job->read(job);
		/* Be preempted here rather than in a section. */
		if (n % 32 == 0)
			sched_yield();
		if (n == READS)
			__atomic_fetch_sub(&slow_readers, 1,
					   __ATOMIC_RELEASE);
	}
	gpmm_thread_unregister();
	return NULL;
}

/* @writers: how many of them; @read must see nothing wrong meanwhile */
static void run_jobs(unsigned int writers, void (*write)(struct job *),
		     void (*read)(struct job *))
{
	struct job jobs[WRITERS + READERS] = { 0 };
	unsigned int i;

	busy_writers = writers;
	slow_readers = READERS;
	for (i = 0; i < writers + READERS; i++) {
		jobs[i].number = i;
		jobs[i].rng.state = seed + i;
		jobs[i].write = write;
		jobs[i].read = read;
		pthread_create(&jobs[i].thread, NULL,
			       i < writers ? run_writer : run_reader,
			       &jobs[i]);
	}
	for (i = 0; i < writers + READERS; i++)
		pthread_join(jobs[i].thread, NULL);
	CU_ASSERT_EQUAL(broken, 0);
	broken = 0;
}

static void open_set(const struct gpmm_set_options *options)
{
	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(options, &set), 0);
}

static void close_set(void)
{
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
	CU_ASSERT_EQUAL(live_hosts, 0);
}

/* --------------------------------------------------------------- replace */

static gpmm_gpa_t home(unsigned int writer)
{
	return (1 + writer) * 2 * PAGES * PAGE;
}

/* Each writer replaces parts of a range of its own, which is never empty. */
static void replace_some(struct job *job)
{
	uint32_t at = rng_below(&job->rng, PAGES);
	uint32_t pages = 1 + rng_below(&job->rng, 4);
	struct gpmm_area area;

	if (pages > PAGES - at)
		pages = PAGES - at;
	area = make_area(home(job->number) + at * PAGE, pages,
			 (uint8_t)(1 + rng_below(&job->rng, 255)));
	if (gpmm_set_map(set, &area, GPMM_MAP_REPLACE))
		saw_nonsense("a replace failed");
	gpmm_host_put(area.host);
}

static gpmm_gpa_t draw_inside(struct job *job)
{
	return home(rng_below(&job->rng, WRITERS)) +
	       rng_below(&job->rng, PAGES * PAGE);
}

static void find_inside(struct job *job)
{
	gpmm_gpa_t addr = draw_inside(job);
	struct gpmm_area area;

	gpmm_read_lock();
	if (!gpmm_set_find_rcu(set, addr, &area))
		saw_nonsense("a replace showed a hole");
	else if (!memory_is_right(&area, addr))
		saw_nonsense("find gave an area with other memory");
	gpmm_read_unlock();
}

/* Keep the memory beyond the section. */
static void pin_inside(struct job *job)
{
	gpmm_gpa_t addr = draw_inside(job);
	struct gpmm_area area;
	bool found;

	gpmm_read_lock();
	found = gpmm_set_find_rcu(set, addr, &area);
	if (found)
		gpmm_area_pin(&area);
	gpmm_read_unlock();
	if (!found) {
		saw_nonsense("a replace showed a hole");
		return;
	}
	sched_yield();
	if (!memory_is_right(&area, addr))
		saw_nonsense("pinned memory changed");
	gpmm_area_unpin(&area);
}

/* The two ranges are without a gap, in one view and all at once. */
static void walk_inside(struct job *job)
{
	gpmm_gpa_t at = home(rng_below(&job->rng, WRITERS));
	gpmm_gpa_t end = at + PAGES * PAGE;
	struct gpmm_area area;
	struct gpmm_iter it;

	gpmm_read_lock();
	gpmm_iter_init(&it, gpmm_set_view_rcu(set), at);
	while (at < end && gpmm_iter_next(&it, &area)) {
		if (area.start != at || !memory_is_right(&area, at))
			break;
		at += area.size;
	}
	if (at != end)
		saw_nonsense("a walk showed a hole");
	gpmm_read_unlock();
}

static void read_replaced(struct job *job)
{
	switch (rng_below(&job->rng, 16)) {
	case 0:
		pin_inside(job);
		break;
	case 1:
		walk_inside(job);
		break;
	default:
		find_inside(job);
	}
}

static void fill_homes(void)
{
	unsigned int i;

	for (i = 0; i < WRITERS; i++) {
		struct gpmm_area area = make_area(home(i), PAGES, 1);

		CU_ASSERT_EQUAL(gpmm_set_map(set, &area, 0), 0);
		gpmm_host_put(area.host);
	}
}

static void test_replace_never_shows_a_hole(void)
{
	open_set(NULL);
	fill_homes();
	run_jobs(WRITERS, replace_some, read_replaced);
	close_set();
}

/* With so little room for what waits, every few commits wait too. */
static void test_replace_with_little_limbo(void)
{
	unsigned long wanted = commits_wanted;

	open_set(&(struct gpmm_set_options){ .limbo_max = 16384 });
	fill_homes();
	commits_wanted = wanted / 20;
	run_jobs(WRITERS, replace_some, read_replaced);
	commits_wanted = wanted;
	close_set();
}

/* -------------------------------------------------------------- together */

enum { TWINS = 40 };

/* The twin of area n is this far above it. */
#define APART	(4 * TWINS * PAGE)

static void flip_twins(struct job *job)
{
	gpmm_gpa_t at = rng_below(&job->rng, TWINS) * 2 * PAGE;
	uint32_t flags = 1 + rng_below(&job->rng, 7);
	struct gpmm_txn *txn;
	int ret = gpmm_txn_begin(set, &txn);

	if (!ret) {
		ret = gpmm_txn_protect(txn, at, PAGE, gpmm_protect_to,
				       &flags);
		ret |= gpmm_txn_protect(txn, at + APART, PAGE,
					gpmm_protect_to, &flags);
		if (rng_below(&job->rng, 8))
			ret |= gpmm_txn_commit(txn);
		else
			gpmm_txn_abort(txn);
	}
	if (ret)
		saw_nonsense("a transaction failed");
}

static void compare_twins(struct job *job)
{
	gpmm_gpa_t at = rng_below(&job->rng, TWINS) * 2 * PAGE;
	struct gpmm_area one, two;
	struct gpmm_view view;

	gpmm_read_lock();
	view = gpmm_set_view_rcu(set);
	if (!gpmm_view_find(view, at, &one) ||
	    !gpmm_view_find(view, at + APART, &two))
		saw_nonsense("an area is missing");
	else if (one.flags != two.flags)
		saw_nonsense("half a transaction was seen");
	gpmm_read_unlock();
}

static void test_transactions_are_seen_whole(void)
{
	gpmm_gpa_t i;

	open_set(NULL);
	for (i = 0; i < 2 * TWINS; i++) {
		struct gpmm_area area = { .size = PAGE, .flags = 1 };

		area.start = i % TWINS * 2 * PAGE + i / TWINS * APART;
		CU_ASSERT_EQUAL(gpmm_set_map(set, &area, 0), 0);
	}
	run_jobs(WRITERS, flip_twins, compare_twins);
	close_set();
}

/* ------------------------------------------------------------------ sums */

static unsigned int moved;	/* areas */

struct total {
	size_t count;
	uint64_t pages;
	gpmm_gpa_t end;
};

static int add_up(void *arg, const struct gpmm_area *area)
{
	struct total *total = arg;

	if (area->start < total->end)
		saw_nonsense("areas out of order");
	total->end = area->start + area->size;
	total->count++;
	total->pages += area->size / PAGE;
	return 0;
}

/* Take an area away and put it where there is room. */
static void move_one(struct job *job)
{
	struct gpmm_hole hole = { .limit = GPMM_RANGE_ALL };
	struct gpmm_area area;
	struct gpmm_txn *txn;
	int ret = gpmm_txn_begin(set, &txn);

	if (ret || !gpmm_view_next(gpmm_txn_view(txn),
				   rng_below(&job->rng, moved) * PAGE,
				   &area)) {
		saw_nonsense("no transaction, or nothing to move");
		return;
	}
	ret = gpmm_txn_unmap(txn, area.start, area.size);
	hole.size = area.size;
	hole.hint = rng_below(&job->rng, moved) * PAGE;
	ret |= gpmm_view_find_free(gpmm_txn_view(txn), &hole, &area.start);
	ret |= gpmm_txn_map(txn, &area, 0);
	if (gpmm_txn_commit(txn) || ret)
		saw_nonsense("a move failed");
}

static void count_all(struct job *job)
{
	struct total total = { 0 };

	(void)job;
	gpmm_set_for_each(set, GPMM_RANGE_ALL, add_up, &total);
	if (total.count != moved || total.pages != moved * 3 / 2)
		saw_nonsense("areas were lost or counted twice");
}

/* A hole is one in all of the view that it was found in. */
static void search(struct job *job)
{
	struct gpmm_hole hole = {
		.size = PAGE << rng_below(&job->rng, 8),
		.limit = GPMM_RANGE_ALL,
		.hint = rng_below(&job->rng, 4 * moved) * PAGE,
	};
	struct gpmm_view view;
	gpmm_gpa_t addr;

	gpmm_read_lock();
	view = gpmm_set_view_rcu(set);
	if (gpmm_view_find_free(view, &hole, &addr) ||
	    gpmm_view_overlaps(view, addr, hole.size))
		saw_nonsense("a hole that is none");
	gpmm_read_unlock();
}

static void count_or_search(struct job *job)
{
	if (rng_below(&job->rng, 2))
		count_all(job);
	else
		search(job);
}

static void move_about(unsigned int areas)
{
	gpmm_gpa_t i;

	open_set(NULL);
	moved = areas;
	for (i = 0; i < moved; i++) {
		struct gpmm_area area = { .start = 4 * i * PAGE,
					  .size = (1 + i % 2) * PAGE,
					  .flags = 1 | GPMM_NOMERGE };

		CU_ASSERT_EQUAL(gpmm_set_map(set, &area, 0), 0);
	}
	run_jobs(WRITERS, move_one, count_or_search);
	close_set();
}

static void test_moves_lose_nothing(void)
{
	move_about(100);
}

/*
 * One leaf, whose versions share their records. Searches look at four lanes at
 * a time: at two that are not used, too.
 */
static void test_moves_in_a_small_set(void)
{
	move_about(42);
}

/* --------------------------------------------------------- grace periods */

/* A reader that comes into a section, and stays until it is told to go. */
struct guest {
	pthread_t thread;
	pthread_barrier_t inside;
	unsigned int stay;
	struct gpmm_area area;
	void (*register_thread)(void);
	void (*unregister_thread)(void);
	void (*lock)(void);
	void (*unlock)(void);
};

static void *run_guest(void *arg)
{
	struct guest *guest = arg;

	guest->register_thread();
	guest->lock();
	if (!gpmm_set_find_rcu(set, 0, &guest->area))
		saw_nonsense("the area is missing");
	pthread_barrier_wait(&guest->inside);
	while (load(&guest->stay))
		sched_yield();
	if (!memory_is_right(&guest->area, 0))
		saw_nonsense("memory went from under a reader");
	rcu_tsan_release();
	guest->unlock();
	guest->unregister_thread();
	return NULL;
}

static void guest_comes(struct guest *guest)
{
	pthread_barrier_init(&guest->inside, NULL, 2);
	guest->stay = 1;
	pthread_create(&guest->thread, NULL, run_guest, guest);
	pthread_barrier_wait(&guest->inside);
}

static void guest_goes(struct guest *guest)
{
	__atomic_store_n(&guest->stay, 0, __ATOMIC_RELEASE);
	pthread_join(guest->thread, NULL);
	pthread_barrier_destroy(&guest->inside);
	CU_ASSERT_EQUAL(broken, 0);
	broken = 0;
}

static const struct guest memb_guest = {
	.register_thread = gpmm_thread_register,
	.unregister_thread = gpmm_thread_unregister,
	.lock = gpmm_read_lock,
	.unlock = gpmm_read_unlock,
};

static void put_one(void)
{
	struct gpmm_area area = make_area(0, 1, 77);

	CU_ASSERT_EQUAL(gpmm_set_map(set, &area, 0), 0);
	gpmm_host_put(area.host);
}

static unsigned int drained;

static void *run_drain(void *arg)
{
	(void)arg;
	CU_ASSERT_EQUAL(gpmm_set_drain(set), 0);
	__atomic_store_n(&drained, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* Give a drain that does not wait for readers the time to show it. */
static bool drains_early(void)
{
	struct timespec start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		sched_yield();
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (!load(&drained) && (now.tv_sec - start.tv_sec) * 1000 +
		 (now.tv_nsec - start.tv_nsec) / 1000000 < 50);
	return load(&drained);
}

/* A guest is inside while his memory is unmapped. */
static void outlive(const struct gpmm_set_options *options,
		    struct guest guest)
{
	pthread_t drain;

	open_set(options);
	put_one();
	guest_comes(&guest);
	CU_ASSERT_EQUAL(gpmm_set_unmap(set, 0, PAGE), 0);
	drained = 0;
	pthread_create(&drain, NULL, run_drain, NULL);
	CU_ASSERT_FALSE(drains_early());
	CU_ASSERT_EQUAL(__atomic_load_n(&live_hosts, __ATOMIC_RELAXED), 1);
	guest_goes(&guest);
	pthread_join(drain, NULL);
	CU_ASSERT_EQUAL(__atomic_load_n(&live_hosts, __ATOMIC_RELAXED), 0);
	close_set();
}

static void test_memory_outlives_its_readers(void)
{
	outlive(NULL, memb_guest);
}

static void test_pinned_memory_outlives_all(void)
{
	struct gpmm_area area;

	open_set(NULL);
	put_one();
	gpmm_thread_register();
	gpmm_read_lock();
	CU_ASSERT_FATAL(gpmm_set_find_rcu(set, 0, &area));
	gpmm_area_pin(&area);
	gpmm_read_unlock();
	gpmm_thread_unregister();
	CU_ASSERT_EQUAL(gpmm_set_unmap(set, 0, PAGE), 0);
	CU_ASSERT_EQUAL(gpmm_set_drain(set), 0);
	CU_ASSERT_EQUAL(__atomic_load_n(&live_hosts, __ATOMIC_RELAXED), 1);
	CU_ASSERT(memory_is_right(&area, 0));
	gpmm_area_unpin(&area);
	close_set();
}

/* ---------------------------------------------------------- back-pressure */

enum {
	LIMBO = 128 << 10,
	STORM = 20000,		/* commits; unbounded, tens of megabytes */
};

static unsigned long storm_done;

static void *run_storm(void *arg)
{
	struct rng rng = { seed };
	unsigned long i;

	(void)arg;
	for (i = 0; i < STORM; i++) {
		struct gpmm_area area = {
			.start = (2 + rng_below(&rng, 500) * 2) * PAGE,
			.size = PAGE,
			.flags = 1 + rng_below(&rng, 3),
		};

		if (gpmm_set_map(set, &area, GPMM_MAP_REPLACE))
			saw_nonsense("a replace failed");
		__atomic_fetch_add(&storm_done, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static bool is_stormy(void)
{
	return __atomic_load_n(&storm_done, __ATOMIC_RELAXED) < STORM;
}

static void test_a_stalled_reader_bounds_limbo(void)
{
	struct gpmm_set_stats stats = { 0 };
	struct guest guest = memb_guest;
	size_t worst = 0;
	pthread_t storm;

	open_set(&(struct gpmm_set_options){ .limbo_max = LIMBO });
	put_one();
	guest_comes(&guest);
	storm_done = 0;
	pthread_create(&storm, NULL, run_storm, NULL);
	while (!stats.stalls && is_stormy()) {
		gpmm_set_get_stats(set, &stats);
		worst = stats.limbo_bytes > worst ? stats.limbo_bytes : worst;
		sched_yield();
	}
	CU_ASSERT(stats.stalls > 0);
	CU_ASSERT(is_stormy());
	guest_goes(&guest);
	while (is_stormy()) {
		gpmm_set_get_stats(set, &stats);
		worst = stats.limbo_bytes > worst ? stats.limbo_bytes : worst;
		sched_yield();
	}
	pthread_join(storm, NULL);
	CU_ASSERT_EQUAL(gpmm_set_drain(set), 0);
	gpmm_set_get_stats(set, &stats);
	printf("\n    limbo of %zu KiB at worst, %lu stalls, %zu KiB in all ",
	       worst >> 10, stats.stalls, stats.total_bytes >> 10);
	/* What one commit retires comes on top. */
	CU_ASSERT(worst > LIMBO / 2 && worst < LIMBO + 16384);
	CU_ASSERT_EQUAL(stats.limbo_bytes, 0);
	CU_ASSERT(stats.total_bytes < 8 * LIMBO);
	close_set();
}

/* --------------------------------------------------------------- flavours */

static void nothing(void)
{
}

static const struct guest bp_guest = {
	.register_thread = nothing,
	.unregister_thread = nothing,
	.lock = urcu_bp_read_lock,
	.unlock = urcu_bp_read_unlock,
};

static const struct guest qsbr_guest = {
	.register_thread = urcu_qsbr_register_thread,
	.unregister_thread = urcu_qsbr_unregister_thread,
	.lock = urcu_qsbr_read_lock,
	.unlock = urcu_qsbr_read_unlock,
};

static void find_bp(struct job *job)
{
	gpmm_gpa_t addr = draw_inside(job);
	struct gpmm_area area;

	urcu_bp_read_lock();
	if (!gpmm_set_find_rcu(set, addr, &area))
		saw_nonsense("a replace showed a hole");
	else if (!memory_is_right(&area, addr))
		saw_nonsense("find gave an area with other memory");
	rcu_tsan_release();
	urcu_bp_read_unlock();
	if (!gpmm_set_find(set, addr, NULL))
		saw_nonsense("a replace showed a hole");
}

static void test_the_embedders_flavour(void)
{
	const struct gpmm_set_options options = { .flavor = &urcu_bp_flavor };

	outlive(&options, bp_guest);
	outlive(&(struct gpmm_set_options){ .flavor = &urcu_qsbr_flavor },
		qsbr_guest);
	open_set(&options);
	fill_homes();
	run_jobs(WRITERS, replace_some, find_bp);
	urcu_bp_read_lock();
	CU_ASSERT_EQUAL(gpmm_set_clear(set), -EDEADLK);
	urcu_bp_read_unlock();
	close_set();
}

int main(void)
{
	static const struct suite_test tests[] = {
		{ "a replace never shows a hole",
		  test_replace_never_shows_a_hole },
		{ "the same with little limbo",
		  test_replace_with_little_limbo },
		{ "transactions are seen whole",
		  test_transactions_are_seen_whole },
		{ "moves lose nothing", test_moves_lose_nothing },
		{ "moves in a small set lose nothing",
		  test_moves_in_a_small_set },
		{ "memory outlives its readers",
		  test_memory_outlives_its_readers },
		{ "pinned memory outlives everything",
		  test_pinned_memory_outlives_all },
		{ "a stalled reader bounds limbo",
		  test_a_stalled_reader_bounds_limbo },
		{ "the embedder's flavour is waited for",
		  test_the_embedders_flavour },
		{ 0 },
	};

	seed = env_seed();
	commits_wanted = env_long() ? 100UL * COMMITS : COMMITS;
	return suite_run("set_readers", tests);
}
