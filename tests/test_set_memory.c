/* SPDX-License-Identifier: BSD-3-Clause */
/* What a set's nodes weigh, however it came to hold what it holds. */
#include "core/set.h"
#include "helpers/rng.h"
#include "helpers/suite.h"
#include "helpers/world.h"
#include "util/rcu.h"

#define COUNT	4096
#define STRIDE	UINT64_C(0x4000)
/*
 * Of a quarter left over: leaves that lost most are less full, and of each of
 * two classes of nodes a slab is begun and another not worth emptying.
 */
#define QUARTER	((size_t)72 * (COUNT / 4) + (size_t)4 * SLAB_ALIGN)

static uint32_t order[COUNT];

static void shuffle(void)
{
	struct rng rng = { env_seed() };
	uint32_t i, j, other;

	for (i = 0; i < COUNT; i++)
		order[i] = i;
	for (i = COUNT - 1; i; i--) {
		j = rng_below(&rng, i + 1);
		other = order[i];
		order[i] = order[j];
		order[j] = other;
	}
}

static int put_area(struct gpmm_set *set, uint32_t i)
{
	return put(set, i * STRIDE, STRIDE / 2, 1);
}

static int remove_area(struct gpmm_set *set, uint32_t i)
{
	return gpmm_set_unmap(set, i * STRIDE, STRIDE);
}

static struct gpmm_set *put_at_random(void)
{
	struct gpmm_set *set;
	int i;

	shuffle();
	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(NULL, &set), 0);
	for (i = 0; i < COUNT; i++)
		CU_ASSERT_EQUAL(put_area(set, order[i]), 0);
	return set;
}

/* All areas from @from on in the order, and nothing else. */
static bool has_from(struct gpmm_set *set, uint32_t from)
{
	uint32_t i, had = 0;

	for (i = from; i < COUNT; i++)
		had += found(set, order[i] * STRIDE, order[i] * STRIDE,
			     STRIDE / 2, 1);
	return had == COUNT - from && gpmm_set_len(set) == had &&
	       !gpmm__set_check(set);
}

static size_t total_bytes(struct gpmm_set *set)
{
	struct gpmm_set_stats stats;

	gpmm_set_get_stats(set, &stats);
	return stats.total_bytes;
}

static void test_random_order(void)
{
	struct gpmm_set *set = put_at_random();

	CU_ASSERT_EQUAL(gpmm_set_drain(set), 0);
	CU_ASSERT(total_bytes(set) <= (size_t)56 * COUNT);
	CU_ASSERT(has_from(set, 0));
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

static void test_churn(void)
{
	struct gpmm_set *set = put_at_random();
	uint32_t part, i;

	for (part = 0; part < COUNT; part += COUNT / 8) {
		for (i = part; i < part + COUNT / 8; i++)
			CU_ASSERT_EQUAL(remove_area(set, order[i]), 0);
		for (i = part; i < part + COUNT / 8; i++)
			CU_ASSERT_EQUAL(put_area(set, order[i]), 0);
	}
	CU_ASSERT_EQUAL(gpmm_set_drain(set), 0);
	CU_ASSERT(total_bytes(set) <= (size_t)56 * COUNT);
	CU_ASSERT(has_from(set, 0));
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

static size_t node_bytes(struct gpmm_set *set)
{
	struct gpmm_set_stats stats;

	gpmm_set_get_stats(set, &stats);
	return stats.node_bytes;
}

/* In full leaves, many at an edge, where the leaf before is full as well. */
static void test_come_and_go(void)
{
	struct gpmm_set *set;
	size_t bytes;
	uint32_t i;

	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(NULL, &set), 0);
	for (i = 0; i < COUNT; i++)
		CU_ASSERT_EQUAL(put_area(set, i), 0);
	bytes = node_bytes(set);
	shuffle();
	for (i = 0; i < COUNT; i++) {
		CU_ASSERT_EQUAL(remove_area(set, order[i]), 0);
		CU_ASSERT_EQUAL(put_area(set, order[i]), 0);
	}
	CU_ASSERT_EQUAL(node_bytes(set), bytes);
	CU_ASSERT(has_from(set, 0));
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

/* The worker tidies up no more. */
static void stop_worker(struct gpmm_set *set)
{
	gpmm__worker_cancel(&set->limbo.work);
	lock_acquire(&set->lock);
	set->limbo.queued = true;
	lock_release(&set->lock);
}

/* Three quarters of every slab, at once, so that nothing tidies up between. */
static void remove_all_but_a_quarter(struct gpmm_set *set)
{
	struct gpmm_txn *txn;
	uint32_t i;

	CU_ASSERT_EQUAL_FATAL(gpmm_txn_begin(set, &txn), 0);
	for (i = 0; i < COUNT * 3 / 4; i++)
		CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, order[i] * STRIDE, STRIDE),
				0);
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
}

static struct gpmm_set *leave_a_quarter(void)
{
	struct gpmm_set *set = put_at_random();

	remove_all_but_a_quarter(set);
	return set;
}

static void test_removal(void)
{
	struct gpmm_set *set = leave_a_quarter();
	struct gpmm_set_stats stats;

	CU_ASSERT_EQUAL(gpmm_set_drain(set), 0);
	CU_ASSERT(total_bytes(set) <= QUARTER);
	/* Moving nodes is not a change. */
	CU_ASSERT(set->moves > 0);
	gpmm_set_get_stats(set, &stats);
	CU_ASSERT_EQUAL(stats.commits, COUNT + 1);
	CU_ASSERT(has_from(set, COUNT * 3 / 4));
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

/* The writer who finds limbo full empties it; the rest is the worker's. */
static void test_full_limbo_gives_back(void)
{
	const struct gpmm_set_options options = { .limbo_max = 1 };
	struct gpmm_set_stats stats;
	struct gpmm_set *set;
	uint32_t i;

	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&options, &set), 0);
	for (i = 0; i < COUNT; i++)
		CU_ASSERT_EQUAL(put_area(set, i), 0);
	CU_ASSERT_EQUAL(gpmm_set_clear(set), 0);
	gpmm_set_get_stats(set, &stats);
	CU_ASSERT(stats.stalls > 0);
	CU_ASSERT_EQUAL(stats.total_bytes, 0);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

/* What the header calls a default in proportion: with few areas, 16 MiB. */
static void test_limbo_is_bounded_unasked(void)
{
	struct gpmm_set *set = put_at_random();
	struct gpmm_set_stats stats;
	uint32_t i, flags;
	size_t worst = 0;

	stop_worker(set);
	do {
		for (i = 0; i < COUNT; i += 64) {
			flags = set->stamp % 7 + 2;
			CU_ASSERT_EQUAL(gpmm_set_protect(set, i * STRIDE,
							 STRIDE / 2,
							 gpmm_protect_to,
							 &flags), 0);
			gpmm_set_get_stats(set, &stats);
			if (stats.limbo_bytes > worst)
				worst = stats.limbo_bytes;
		}
	} while (!stats.stalls && worst < (size_t)32 << 20);
	CU_ASSERT(stats.stalls > 0);
	CU_ASSERT(worst > (size_t)15 << 20 && worst <= (size_t)16 << 20);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

enum { MANY = 1 << 16, LARGE = 1600000 };

static struct gpmm_set *put_in_order(uint32_t n)
{
	struct gpmm_set *set;
	struct gpmm_txn *txn;

	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(NULL, &set), 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_txn_begin(set, &txn), 0);
	for (uint32_t i = 0; i < n; i++) {
		struct gpmm_area area = area_of(i * STRIDE, STRIDE / 2, 1);

		CU_ASSERT_EQUAL(gpmm_txn_map(txn, &area, 0), 0);
	}
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
	return set;
}

/* Of a large one a quarter of what it takes. */
static void test_limbo_grows_with_the_set(void)
{
	struct gpmm_set *set = put_in_order(LARGE);
	struct gpmm_set_stats stats;
	size_t worst = 0;
	uint32_t flags;

	stop_worker(set);
	for (uint32_t i = 0; i < LARGE; i += 32) {
		flags = 2;
		CU_ASSERT_EQUAL(gpmm_set_protect(set, i * STRIDE, STRIDE / 2,
						 gpmm_protect_to, &flags), 0);
		gpmm_set_get_stats(set, &stats);
		if (stats.stalls)
			break;
		worst = stats.limbo_bytes;
	}
	CU_ASSERT(stats.stalls > 0);
	CU_ASSERT(worst > (size_t)17 << 20);
	CU_ASSERT(worst <= stats.total_bytes / 4);
	CU_ASSERT(worst > stats.total_bytes / 4 - 8192);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

static struct gpmm_set *waited_for;
static struct gpmm_set_stats meanwhile;

/* While the grace period runs. */
static bool look_meanwhile(void)
{
	CU_ASSERT_EQUAL(gpmm__set_check(waited_for), 0);
	gpmm_set_get_stats(waited_for, &meanwhile);
	return false;
}

static void test_limbo_counts_until_its_grace_period_ends(void)
{
	struct gpmm_set *set = put_at_random();
	struct gpmm_set_stats stats;

	CU_ASSERT_EQUAL(gpmm_set_drain(set), 0);
	stop_worker(set);
	CU_ASSERT_EQUAL(remove_area(set, 7), 0);
	gpmm_set_get_stats(set, &stats);
	CU_ASSERT(stats.limbo_bytes > 0);
	waited_for = set;
	gpmm__rcu_busy = look_meanwhile;
	CU_ASSERT_EQUAL(gpmm__set_reclaim(set), 0);
	gpmm__rcu_busy = NULL;
	CU_ASSERT_EQUAL(meanwhile.limbo_bytes, stats.limbo_bytes);
	gpmm_set_get_stats(set, &stats);
	CU_ASSERT_EQUAL(stats.limbo_bytes, 0);
	CU_ASSERT_EQUAL(gpmm__set_check(set), 0);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

/* Bytes of nodes that wait for the grace period after the one that runs. */
static size_t open_bytes(const struct gpmm_set *set)
{
	const struct node_batch *open = &set->limbo.open.nodes;
	size_t bytes = 0;

	for (struct slab *slab = open->slabs; slab;
	     slab = slab->next_waiting[open->turn])
		bytes += (size_t)__builtin_popcountll(
				 slab->waiting[open->turn]) *
			 node_size(slab->class);
	return bytes;
}

static bool remove_meanwhile(void)
{
	gpmm__rcu_busy = NULL;
	CU_ASSERT_EQUAL(remove_area(waited_for, 8), 0);
	return false;
}

/* In the slabs of nodes whose grace period has run before. */
static void test_what_goes_meanwhile_waits_for_the_next(void)
{
	struct gpmm_set *set = put_at_random();

	CU_ASSERT_EQUAL(gpmm_set_drain(set), 0);
	stop_worker(set);
	CU_ASSERT_EQUAL(remove_area(set, 7), 0);
	waited_for = set;
	gpmm__rcu_busy = remove_meanwhile;
	CU_ASSERT_EQUAL(gpmm__set_reclaim(set), 0);
	CU_ASSERT(open_bytes(set) > 0);
	CU_ASSERT_EQUAL(open_bytes(set), set->limbo.open.nodes.bytes);
	CU_ASSERT_EQUAL(gpmm__set_check(set), 0);
	CU_ASSERT_EQUAL(gpmm__set_reclaim(set), 0);
	CU_ASSERT_EQUAL(open_bytes(set), 0);
	CU_ASSERT_EQUAL(gpmm__set_check(set), 0);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

/* Nobody drains it, but three of four leaves go, and the others move. */
static void test_worker_gives_memory_back(void)
{
	struct gpmm_set *set = put_in_order(MANY);
	struct gpmm_txn *txn;

	CU_ASSERT_EQUAL_FATAL(gpmm_txn_begin(set, &txn), 0);
	for (uint32_t i = 0; i < MANY; i += 64)
		CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, i * STRIDE, 48 * STRIDE),
				0);
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
	CU_ASSERT_EQUAL(set->moves, 1);
	CU_ASSERT(total_bytes(set) <= (size_t)56 * MANY / 4);
	CU_ASSERT_EQUAL(gpmm_set_len(set), MANY / 4);
	CU_ASSERT_EQUAL(gpmm__set_check(set), 0);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

static void take_and_give(struct pool *pool, enum node_class class)
{
	CU_ASSERT_EQUAL_FATAL(pool_reserve(pool, class, 1), 0);
	gpmm__pool_give(pool, gpmm__pool_take(pool, class, 1));
}

static size_t grow_to(struct pool *pool, enum node_class class, size_t slabs)
{
	while (pool->slabs[class] < slabs)
		CU_ASSERT_EQUAL_FATAL(gpmm__pool_grow(pool, class,
						      pool->free[class] + 1),
				      0);
	return pool->slabs[class];
}

/* Those that were wanted since the last time are not among them. */
static void test_half_of_what_stays_empty_goes(void)
{
	struct pool pool = { .empty = 0 };

	CU_ASSERT_EQUAL(grow_to(&pool, LEAF_NARROW, 16), 16);
	CU_ASSERT_EQUAL(grow_to(&pool, INNER_WIDE, 2), 2);
	CU_ASSERT(gpmm__pool_shed(&pool));
	CU_ASSERT_EQUAL(pool.empty, 18);
	CU_ASSERT(gpmm__pool_shed(&pool));
	CU_ASSERT_EQUAL(pool.empty, 9);
	take_and_give(&pool, LEAF_NARROW);
	CU_ASSERT(gpmm__pool_shed(&pool));
	CU_ASSERT_EQUAL(pool.empty, 5);
	gpmm__pool_trim(&pool);
	CU_ASSERT_EQUAL(pool.chunks.bytes, 0);
	CU_ASSERT_EQUAL(grow_to(&pool, LEAF_NARROW, 4), 4);
	CU_ASSERT(gpmm__pool_shed(&pool));
	CU_ASSERT_EQUAL(pool.empty, 4);
	CU_ASSERT(gpmm__pool_shed(&pool));
	CU_ASSERT(gpmm__pool_shed(&pool));
	CU_ASSERT_EQUAL(pool.empty, 1);
	CU_ASSERT_FALSE(gpmm__pool_shed(&pool));
	CU_ASSERT_EQUAL(pool.node_bytes, 0);
	gpmm__pool_fini(&pool);
}

static char *take(struct pool *pool, enum node_class class, uint64_t stamp)
{
	CU_ASSERT_EQUAL_FATAL(pool_reserve(pool, class, 1), 0);
	return gpmm__pool_take(pool, class, stamp);
}

static size_t distance(const char *a, const char *b)
{
	return (size_t)(a < b ? b - a : a - b);
}

/* Where a reader's CPU that fetches ahead in a page does not get. */
static void test_the_next_version_lies_a_page_away(void)
{
	static const enum node_class classes[] = {
		LEAF_NARROW, LEAF_FLAT, INNER_NARROW, INNER_TALL, LEAF_WIDE,
	};

	for (size_t i = 0; i < sizeof(classes) / sizeof(*classes); i++) {
		struct pool pool = { .empty = 0 };
		char *last = take(&pool, classes[i], 1);
		size_t near = 0;

		for (uint64_t stamp = 2; pool.free[classes[i]]; stamp++) {
			char *next = take(&pool, classes[i], stamp);

			near += distance(last, next) < 4096;
			last = next;
		}
		/* The last of a slab lie where they lie. */
		CU_ASSERT(near <= pool.nodes[classes[i]] / 4);
		gpmm__pool_fini(&pool);
	}
}

/* But what is built at once is read in a row. */
static void test_nodes_of_one_transaction_lie_in_a_row(void)
{
	const size_t size = node_size(LEAF_NARROW);
	struct pool pool = { .empty = 0 };
	char *last = take(&pool, LEAF_NARROW, 1);
	unsigned int gaps = 0;

	for (int i = 0; i < 100; i++) {
		char *next = take(&pool, LEAF_NARROW, 1);

		gaps += distance(last, next) != size;
		last = next;
	}
	/* At its end each slab goes on at its beginning. */
	CU_ASSERT(gaps <= 2 * pool.slabs[LEAF_NARROW]);
	gpmm__pool_fini(&pool);
}

/* However many there are in a slab, and in whatever order they come. */
static void test_every_node_is_taken_once(void)
{
	for (unsigned int class = 0; class < NODE_CLASSES; class++) {
		struct pool pool = { .empty = 0 };

		CU_ASSERT_EQUAL(grow_to(&pool, class, 3), 3);
		for (size_t i = 0, n = pool.free[class]; i < n; i++) {
			char *node = take(&pool, class, i * i / 3 + 1);

			memset(node, 1, node_size(class));
			CU_ASSERT_EQUAL(node_class_of(node), class);
		}
		CU_ASSERT_EQUAL(pool.slabs[class], 3);
		CU_ASSERT_EQUAL(pool.free[class], 0);
		gpmm__pool_fini(&pool);
	}
}

/* The one that was full last has the next slab to give. */
static void test_full_chunks_are_found_again(void)
{
	enum { SLABS = 2 * (2 << 20) / SLAB_ALIGN };
	const size_t large = (size_t)8 << 20;
	struct chunks chunks = { .bytes = large };
	struct chunk *chunk[SLABS], *again;
	void *slab[SLABS];

	for (int i = 0; i < SLABS; i++) {
		slab[i] = gpmm__slab_alloc(&chunks, &chunk[i]);
		CU_ASSERT_PTR_NOT_NULL_FATAL(chunk[i]);
	}
	CU_ASSERT_EQUAL(chunks.bytes, large + ((size_t)4 << 20));
	CU_ASSERT_PTR_NULL(chunks.open);
	gpmm__slab_free(&chunks, chunk[5], slab[5]);
	CU_ASSERT_PTR_EQUAL(gpmm__slab_alloc(&chunks, &again), slab[5]);
	CU_ASSERT_PTR_EQUAL(again, chunk[5]);
	for (int i = 0; i < SLABS; i++)
		gpmm__slab_free(&chunks, chunk[i], slab[i]);
	CU_ASSERT_EQUAL(chunks.bytes, large);
	CU_ASSERT_PTR_NULL(chunks.open);
}

/* Moving nodes needs a few more; where there are none, they stay. */
static void test_drain_without_memory(void)
{
	struct gpmm_set *set = leave_a_quarter();
	uint64_t moves = set->moves;
	struct gpmm_set_stats stats;

	gpmm__alloc_stay = true;
	gpmm__alloc_left = 0;
	CU_ASSERT_EQUAL(gpmm_set_drain(set), 0);
	gpmm__alloc_left = -1;
	gpmm__alloc_stay = false;
	/* To have tried is no change, either. */
	CU_ASSERT_EQUAL(set->moves, moves);
	gpmm_set_get_stats(set, &stats);
	CU_ASSERT_EQUAL(stats.commits, COUNT + 1);
	CU_ASSERT(has_from(set, COUNT * 3 / 4));
	CU_ASSERT_EQUAL(gpmm_set_drain(set), 0);
	CU_ASSERT(total_bytes(set) <= QUARTER);
	CU_ASSERT(has_from(set, COUNT * 3 / 4));
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

/* A snapshot taken before the nodes move is whole as long as it is read. */
static void test_moved_nodes_wait_for_readers(void)
{
	struct gpmm_set *set = put_at_random();
	struct gpmm_view view;
	struct gpmm_area area;
	uint32_t i, had = 0;

	stop_worker(set);
	remove_all_but_a_quarter(set);
	rcu_enter();
	view = gpmm_set_view_rcu(set);
	lock_acquire(&set->lock);
	CU_ASSERT(gpmm__set_gather(set, true));
	lock_release(&set->lock);
	for (i = COUNT * 3 / 4; i < COUNT; i++)
		had += gpmm_view_find(view, order[i] * STRIDE, &area);
	rcu_leave();
	CU_ASSERT_EQUAL(had, COUNT / 4);
	CU_ASSERT_EQUAL(gpmm_set_drain(set), 0);
	CU_ASSERT(has_from(set, COUNT * 3 / 4));
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

/* So many that slabs are cut from chunks, then none. */
static struct gpmm_set *leave_none_of_many(void)
{
	struct gpmm_set *set;
	struct gpmm_txn *txn;
	uint32_t i;

	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(NULL, &set), 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_txn_begin(set, &txn), 0);
	for (i = 0; i < 64 * COUNT; i++) {
		struct gpmm_area area = { .start = i * STRIDE,
					  .size = STRIDE / 2 };

		CU_ASSERT_EQUAL_FATAL(gpmm_txn_map(txn, &area, 0), 0);
	}
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
	/* Its first few were not in chunks; that memory goes. */
	CU_ASSERT_EQUAL(gpmm_set_drain(set), 0);
	stop_worker(set);
	CU_ASSERT_EQUAL(gpmm_set_clear(set), 0);
	return set;
}

/*
 * Their leaf and its records lie in chunks of the time when there were many;
 * what is of class @apart does not. No leaf is wide.
 */
static void leave_few_of_many(enum node_class apart)
{
	struct gpmm_set *set = leave_none_of_many();
	uint64_t moves = set->moves;
	uint32_t i;

	set->pool.chunks.leave = true;
	CU_ASSERT_EQUAL(gpmm__pool_grow(&set->pool, apart, 1), 0);
	set->pool.chunks.leave = false;
	for (i = 0; i < COUNT; i++)
		order[i] = i;
	for (i = COUNT - 40; i < COUNT; i++)
		CU_ASSERT_EQUAL(put_area(set, i), 0);
	CU_ASSERT_EQUAL(set->face.root & ROOT_FORM, ROOT_FLAT);
	CU_ASSERT_EQUAL(gpmm_set_drain(set), 0);
	CU_ASSERT_EQUAL(set->moves, moves + 1);
	CU_ASSERT_FALSE(set->pool.chunks.leave);
	CU_ASSERT_EQUAL(set->pool.nodes[LEAF_NARROW], 0);
	CU_ASSERT(total_bytes(set) <= (size_t)3 * SLAB_ALIGN);
	CU_ASSERT(has_from(set, COUNT - 40));
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

static void test_few_of_many(void)
{
	leave_few_of_many(LEAF_WIDE);
	leave_few_of_many(LEAF_FLAT);
	leave_few_of_many(RECORD_BLOCK);
}

/* What is published does not lie in a chunk; what writers keep of it does. */
static void test_own_top_leaves(void)
{
	struct gpmm_set *set = leave_none_of_many();
	struct pool *pool = &set->pool;

	CU_ASSERT_EQUAL(put_area(set, 0), 0);
	pool->chunks.leave = true;
	CU_ASSERT_EQUAL(gpmm__pool_grow(pool, LEAF_NARROW,
					pool->free[LEAF_NARROW] + 1), 0);
	pool->chunks.leave = false;
	pool->open[LEAF_NARROW] = pool->bin[LEAF_NARROW][BIN_EMPTY];
	CU_ASSERT_EQUAL(put_area(set, 1), 0);
	CU_ASSERT_PTR_NULL(slab_of(root_node(set->txn.was.root))->chunk);
	CU_ASSERT_PTR_NOT_NULL(slab_of(root_node(set->txn.was.top))->chunk);
	CU_ASSERT_EQUAL(gpmm_set_drain(set), 0);
	CU_ASSERT(total_bytes(set) <= (size_t)3 * SLAB_ALIGN);
	CU_ASSERT_EQUAL(put_area(set, 2), 0);
	CU_ASSERT_EQUAL(gpmm__set_check(set), 0);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

/* Slabs of any number of free nodes are found again. */
static void test_few_come_and_go(void)
{
	struct gpmm_set *set;
	uint32_t i, j;

	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(NULL, &set), 0);
	stop_worker(set);
	for (i = 0; i < COUNT; i++)
		order[i] = i;
	for (i = COUNT - 20; i < COUNT; i++)
		CU_ASSERT_EQUAL(put_area(set, i), 0);
	for (i = 1; i < 60; i++) {
		for (j = 0; j < i; j++) {
			CU_ASSERT_EQUAL(remove_area(set, COUNT - 1), 0);
			CU_ASSERT_EQUAL(put_area(set, COUNT - 1), 0);
		}
		CU_ASSERT_EQUAL(gpmm__set_reclaim(set), 0);
		CU_ASSERT(has_from(set, COUNT - 20));
	}
	CU_ASSERT_EQUAL(gpmm_set_drain(set), 0);
	CU_ASSERT(total_bytes(set) <= (size_t)3 * SLAB_ALIGN);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

int main(void)
{
	static const struct suite_test tests[] = {
		{ "at most 56 bytes an area, put in any order",
		  test_random_order },
		{ "at most 56 bytes an area after churn", test_churn },
		{ "areas that come and go take no more nodes", test_come_and_go },
		{ "what is removed gives its memory back", test_removal },
		{ "a limbo that was full gives its memory back",
		  test_full_limbo_gives_back },
		{ "a limbo has a bound unasked",
		  test_limbo_is_bounded_unasked },
		{ "and a larger one in a large set",
		  test_limbo_grows_with_the_set },
		{ "what is in limbo counts until its grace period ends",
		  test_limbo_counts_until_its_grace_period_ends },
		{ "what goes during a grace period waits for the next",
		  test_what_goes_meanwhile_waits_for_the_next },
		{ "what is removed gives memory back unasked",
		  test_worker_gives_memory_back },
		{ "half of the slabs that stay empty go at a time",
		  test_half_of_what_stays_empty_goes },
		{ "the next version lies a page away",
		  test_the_next_version_lies_a_page_away },
		{ "nodes of one transaction lie in a row",
		  test_nodes_of_one_transaction_lie_in_a_row },
		{ "every node is taken once", test_every_node_is_taken_once },
		{ "a chunk that was full is found again",
		  test_full_chunks_are_found_again },
		{ "a drain without memory changes nothing",
		  test_drain_without_memory },
		{ "nodes that move stay while they are read",
		  test_moved_nodes_wait_for_readers },
		{ "a few that are left of many leave their chunks",
		  test_few_of_many },
		{ "what writers keep leaves its chunk",
		  test_own_top_leaves },
		{ "a few that come and go take no more memory",
		  test_few_come_and_go },
		{ 0 },
	};

	return suite_run("set_memory", tests);
}
