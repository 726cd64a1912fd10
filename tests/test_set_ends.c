/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Both ends of the 64-bit space, and misuse of every entry: refused with its
 * own error, and nothing changed.
 */
#include <errno.h>

#include "core/btree_check.h"
#include "core/set.h"
#include "helpers/lab.h"
#include "helpers/model.h"
#include "helpers/suite.h"
#include "util/rcu.h"

#define PAGE	UINT64_C(0x1000)
#define HALF	(UINT64_C(1) << 63)
#define TOP	(-PAGE)		/* the last page */

static struct gpmm_set *create(uint64_t granule)
{
	struct gpmm_set_options options = { .granule = granule };
	struct gpmm_set *set = NULL;

	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&options, &set), 0);
	return set;
}

/* ------------------------------------------------------------------ ends */

static void test_first_and_last_page(void)
{
	struct gpmm_set *set = create(PAGE);
	struct gpmm_area area;

	CU_ASSERT_EQUAL(put(set, 0, PAGE, 1), 0);
	CU_ASSERT_EQUAL(put(set, TOP, PAGE, 1), 0);
	CU_ASSERT(HOLDS(set, { 0, PAGE, 1 }, { TOP, PAGE, 1 }));
	CU_ASSERT(found(set, 0, 0, PAGE, 1));
	CU_ASSERT(found(set, UINT64_MAX, TOP, PAGE, 1));
	CU_ASSERT_FALSE(gpmm_set_find(set, PAGE, NULL));
	CU_ASSERT_FALSE(gpmm_set_find(set, TOP - 1, NULL));
	CU_ASSERT(gpmm_set_overlaps(set, UINT64_MAX, 1));
	CU_ASSERT(gpmm_set_overlaps(set, 0, 1));
	CU_ASSERT(gpmm_set_overlaps(set, PAGE, -PAGE));
	CU_ASSERT_FALSE(gpmm_set_overlaps(set, PAGE, -2 * PAGE));
	gpmm_read_lock();
	CU_ASSERT(gpmm_view_next(gpmm_set_view_rcu(set), UINT64_MAX, &area));
	CU_ASSERT_EQUAL(gpmm_area_last(&area), UINT64_MAX);
	gpmm_read_unlock();
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

static void test_first_and_last_byte(void)
{
	struct gpmm_set *set = create(1);

	CU_ASSERT_EQUAL(put(set, UINT64_MAX, 1, 1), 0);
	CU_ASSERT_EQUAL(put(set, UINT64_MAX - 1, 1, 2), 0);
	CU_ASSERT_EQUAL(put(set, 0, 1, 3), 0);
	CU_ASSERT(HOLDS(set, { 0, 1, 3 }, { UINT64_MAX - 1, 1, 2 },
			{ UINT64_MAX, 1, 1 }));
	CU_ASSERT_EQUAL(gpmm_set_unmap(set, UINT64_MAX, 1), 0);
	CU_ASSERT_FALSE(gpmm_set_find(set, UINT64_MAX, NULL));
	CU_ASSERT(gpmm_set_find(set, UINT64_MAX - 1, NULL));
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

/* ----------------------------------------------------------------- walks */

/* Every area of a walk is the next of those of one or two bytes, 3 apart. */
struct steps {
	gpmm_gpa_t base;
	unsigned int next;
	unsigned int end;	/* the walk is told to end there */
};

static int take_step(void *arg, const struct gpmm_area *area)
{
	struct steps *steps = arg;

	if (area->start != steps->base + 3 * steps->next)
		return -1;
	return ++steps->next == steps->end ? 7 : 0;
}

/* Which area is the first that ends above byte @at, counted from the base? */
static unsigned int step_above(unsigned int at)
{
	return at / 3 + (at % 3 > at / 3 % 2);
}

static bool walks_within(struct gpmm_set *set, gpmm_gpa_t base,
			 unsigned int from, unsigned int to)
{
	struct steps steps = { .base = base, .next = step_above(from) };
	struct gpmm_range range = { base + from, to - from };
	unsigned int first = steps.next, last = (to + 2) / 3;
	int ret = gpmm_set_for_each(set, range, take_step, &steps);

	if (ret || steps.next != (last > first ? last : first))
		return false;
	steps.next = first;
	steps.end = first + 1;
	ret = gpmm_set_for_each(set, range, take_step, &steps);
	return ret == (last > first ? 7 : 0);
}

static void walk_every_range(gpmm_gpa_t base, unsigned int n)
{
	struct gpmm_set *set = create(1);
	unsigned int from, to, wrong = 0;

	for (from = 0; from < n; from++)
		CU_ASSERT_EQUAL(put(set, base + 3 * from, 1 + from % 2, 1), 0);
	for (from = 0; from < 3 * n; from++)
		for (to = from + 1; to <= 3 * n; to++)
			wrong += !walks_within(set, base, from, to);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

/* In one leaf, in two levels, and with wide keys to the last byte. */
static void test_walks_keep_within_their_range(void)
{
	walk_every_range(0, 12);
	walk_every_range(5, 60);
	walk_every_range(9, 90);
	walk_every_range(-UINT64_C(3) * 60, 60);
}

static void test_changes_at_the_end(void)
{
	uint32_t flags = 2;
	struct gpmm_set *set = create(PAGE);

	CU_ASSERT_EQUAL(put(set, -4 * PAGE, 4 * PAGE, 1), 0);
	CU_ASSERT_EQUAL(gpmm_set_protect(set, TOP, PAGE, gpmm_protect_to,
					 &flags), 0);
	CU_ASSERT(HOLDS(set, { -4 * PAGE, 3 * PAGE, 1 }, { TOP, PAGE, 2 }));
	CU_ASSERT_EQUAL(gpmm_set_split(set, -3 * PAGE), 0);
	CU_ASSERT_EQUAL(gpmm_set_shrink_left(set, TOP - 1, PAGE), 0);
	CU_ASSERT(HOLDS(set, { -4 * PAGE, PAGE, 1 }, { -2 * PAGE, PAGE, 1 },
			{ TOP, PAGE, 2 }));
	CU_ASSERT_EQUAL(put_over(set, -2 * PAGE, 2 * PAGE, 3), 0);
	CU_ASSERT(found(set, UINT64_MAX, -2 * PAGE, 2 * PAGE, 3));
	CU_ASSERT_EQUAL(gpmm_set_merge(set, -4 * PAGE, 4 * PAGE), 0);
	CU_ASSERT_EQUAL(gpmm_set_shrink_right(set, TOP, PAGE), 0);
	CU_ASSERT_FALSE(gpmm_set_find(set, TOP, NULL));
	CU_ASSERT_EQUAL(gpmm_set_unmap(set, -4 * PAGE, 4 * PAGE), 0);
	CU_ASSERT(gpmm_set_is_empty(set));
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

/* All 2^64 bytes have no size that 64 bits can hold: they stay two areas. */
static void fill_the_space(uint64_t granule)
{
	uint32_t flags = 1;
	struct gpmm_set *set = create(granule);

	CU_ASSERT_EQUAL(put(set, 0, HALF, 1), 0);
	CU_ASSERT_EQUAL(put(set, HALF, HALF, 1), 0);
	CU_ASSERT(HOLDS(set, { 0, HALF, 1 }, { HALF, HALF, 1 }));
	CU_ASSERT_EQUAL(gpmm_set_merge(set, HALF, granule), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(set), 2);
	CU_ASSERT_EQUAL(gpmm_set_unmap(set, HALF - granule, granule), 0);
	CU_ASSERT_EQUAL(put(set, HALF - granule, granule, 1), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(set), 2);
	CU_ASSERT(gpmm_set_find(set, 0, NULL));
	CU_ASSERT(gpmm_set_find(set, UINT64_MAX, NULL));
	CU_ASSERT_EQUAL(gpmm_set_clear(set), 0);
	CU_ASSERT_EQUAL(put(set, 0, HALF, 1), 0);
	CU_ASSERT_EQUAL(put(set, HALF, HALF, 2), 0);
	CU_ASSERT_EQUAL(gpmm_set_protect(set, HALF, HALF, gpmm_protect_to,
					 &flags), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(set), 2);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

static void test_the_whole_space(void)
{
	fill_the_space(1);
	fill_the_space(PAGE);
	fill_the_space(UINT64_C(1) << 40);
}

/* Whether the one takes the place of a few areas or of a tree's worth. */
static void test_the_last_byte_is_not_before_the_first(void)
{
	for (unsigned int n = 1; n < 300; n = n * 2 + 1) {
		struct gpmm_set *set = create(1);
		uint32_t flags = 1;

		CU_ASSERT_EQUAL(put(set, 0, 1, 1), 0);
		for (uint64_t i = 1; i <= n; i++)
			CU_ASSERT_EQUAL(put(set, -i, 1, 2 + i % 2), 0);
		CU_ASSERT_EQUAL(gpmm_set_protect(set, -(uint64_t)n, n,
						 gpmm_protect_to, &flags), 0);
		CU_ASSERT(HOLDS(set, { 0, 1, 1 }, { -(uint64_t)n, n, 1 }));
		CU_ASSERT_EQUAL(put_over(set, -(uint64_t)n - 2, n + 2, 1), 0);
		CU_ASSERT(HOLDS(set, { 0, 1, 1 },
				{ -(uint64_t)n - 2, n + 2, 1 }));
		CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
	}
}

/* All but the last page, which a size can say. */
static void test_almost_the_whole_space(void)
{
	struct gpmm_hole hole = { .size = PAGE, .limit = GPMM_RANGE_ALL };
	struct gpmm_set *set = create(PAGE);
	gpmm_gpa_t addr;

	CU_ASSERT_EQUAL(put(set, 0, -PAGE, 1), 0);
	CU_ASSERT(found(set, HALF, 0, -PAGE, 1));
	CU_ASSERT_EQUAL(gpmm_set_find_free(set, &hole, &addr), 0);
	CU_ASSERT_EQUAL(addr, TOP);
	CU_ASSERT_EQUAL(put(set, addr, PAGE, 2), 0);
	CU_ASSERT_EQUAL(gpmm_set_find_free(set, &hole, &addr), -ENOENT);
	hole.top_down = true;
	CU_ASSERT_EQUAL(gpmm_set_find_free(set, &hole, &addr), -ENOENT);
	CU_ASSERT_EQUAL(gpmm_set_unmap(set, 0, -PAGE), 0);
	CU_ASSERT(HOLDS(set, { TOP, PAGE, 2 }));
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

/*
 * Keys are 32 bits wide below granule 2^31: one area, there and beside there,
 * in a set that had none so high.
 */
static void cross_the_seam(uint64_t granule, uint64_t before, uint64_t size)
{
	gpmm_gpa_t start = (granule << 31) - before;
	struct gpmm_set *set = create(granule);
	gpmm_gpa_t i;

	for (i = 0; i < 40; i++)
		CU_ASSERT_EQUAL(put(set, 2 * i * granule, granule, 1), 0);
	CU_ASSERT_EQUAL(put(set, start, size, 2), 0);
	CU_ASSERT_EQUAL(gpmm__set_check(set), 0);
	CU_ASSERT(found(set, start, start, size, 2));
	CU_ASSERT(found(set, start + (size - 1), start, size, 2));
	CU_ASSERT_FALSE(gpmm_set_find(set, start - 1, NULL));
	CU_ASSERT_FALSE(gpmm_set_find(set, start + size, NULL));
	CU_ASSERT(found(set, 78 * granule, 78 * granule, granule, 1));
	CU_ASSERT_EQUAL(gpmm_set_len(set), 41);
	CU_ASSERT_EQUAL(gpmm_set_unmap(set, start, size), 0);
	CU_ASSERT_EQUAL(gpmm__set_check(set), 0);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

static void test_the_seam_of_key_widths(void)
{
	uint64_t granule;

	for (granule = 1; granule <= UINT64_C(1) << 30; granule <<= 6) {
		cross_the_seam(granule, granule, granule);
		cross_the_seam(granule, granule, 2 * granule);
		cross_the_seam(granule, 0, granule);
		cross_the_seam(granule, -granule, granule);
	}
}

/* Every third area after another, so that leaves split and merge throughout. */
static uint64_t seat(unsigned int i, unsigned int n)
{
	return (uint64_t)i * 37 % n * 2 * PAGE;
}

static bool has_all(struct gpmm_set *set, unsigned int from, unsigned int to,
		    unsigned int n)
{
	bool all = gpmm__set_check(set) == 0;
	struct gpmm_hit hit;

	gpmm_read_lock();
	for (unsigned int i = 0; i < n; i++) {
		hit = gpmm_set_hit_rcu(set, seat(i, n) + 1);
		if (i < from || i >= to)
			all &= !hit.record;
		else
			all &= hit.record && hit.start == seat(i, n) &&
			       gpmm_hit_size(set, hit) == PAGE &&
			       gpmm_hit_flags(hit) == 1;
	}
	gpmm_read_unlock();
	return all;
}

/* From one leaf through a tall top to a third level, and back. */
static void test_the_top_grows_and_shrinks(void)
{
	enum { N = 1601 };
	unsigned int seen = 0;
	struct gpmm_set *set = create(PAGE);

	for (unsigned int i = 0; i < N; i++) {
		CU_ASSERT_EQUAL(put(set, seat(i, N), PAGE, 1), 0);
		seen |= 1U << (set->face.root >> 4 & 3);
		if (i % 64 == 0)
			CU_ASSERT(has_all(set, 0, i + 1, N));
	}
	CU_ASSERT_EQUAL(seen, 1U | 1U << (ROOT_FLAT >> 4) |
			1U << (ROOT_TALL >> 4));
	for (unsigned int i = 0; i < N; i++) {
		CU_ASSERT_EQUAL(gpmm_set_unmap(set, seat(i, N), PAGE), 0);
		if (i % 64 == 0)
			CU_ASSERT(has_all(set, i + 1, N, N));
	}
	CU_ASSERT(gpmm_set_is_empty(set));
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

/* The top loses all but its last child, which is not the transaction's. */
static void test_the_top_goes_whole(void)
{
	const struct inner_narrow *last;
	struct gpmm_set *set = create(PAGE);
	struct inner_narrow then;
	struct gpmm_txn *txn;

	for (uint64_t i = 0; i < 1100; i++)
		CU_ASSERT_EQUAL(put(set, 2 * i * PAGE, PAGE, 1), 0);
	/* That child's first leaf has as few items as it may. */
	CU_ASSERT_EQUAL(gpmm_set_unmap(set, 2 * 1024 * PAGE, 2 * 9 * PAGE), 0);
	CU_ASSERT_EQUAL_FATAL(root_height(set->face.root), 2);
	last = ((const struct inner_narrow *)
		root_node(set->face.root))->child[2];
	then = *last;
	CU_ASSERT_EQUAL_FATAL(gpmm_txn_begin(set, &txn), 0);
	CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, 0, 2 * 1024 * PAGE), 0);
	CU_ASSERT_EQUAL(root_node(gpmm_txn_view(txn).root), last);
	CU_ASSERT_FALSE(memcmp(last, &then, sizeof(then)));
	gpmm_txn_abort(txn);
	CU_ASSERT_EQUAL(gpmm__set_check(set), 0);
	/* Nor is it the next one's, once it is published as the top. */
	CU_ASSERT_EQUAL(gpmm_set_unmap(set, 0, 2 * 1024 * PAGE), 0);
	CU_ASSERT_EQUAL(root_node(set->face.root), last);
	CU_ASSERT_EQUAL_FATAL(gpmm_txn_begin(set, &txn), 0);
	CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, 2 * 1090 * PAGE, PAGE), 0);
	CU_ASSERT_FALSE(memcmp(last, &then, sizeof(then)));
	gpmm_txn_abort(txn);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

/* Readers have a copy of the writers' top, which stays where it is. */
static void test_the_writers_top_stays(void)
{
	struct gpmm_set *set = create(PAGE);
	uintptr_t top, seen;

	CU_ASSERT_EQUAL(put(set, 0, PAGE, 1), 0);
	top = set->txn.was.top;
	CU_ASSERT_NOT_EQUAL_FATAL(top, 0);
	for (uint64_t i = 1; i < 8; i++) {
		seen = set->face.root;
		CU_ASSERT_EQUAL(put(set, 2 * i * PAGE, PAGE, 1), 0);
		CU_ASSERT_EQUAL(set->txn.was.top, top);
		CU_ASSERT_NOT_EQUAL(set->face.root, top);
		CU_ASSERT_NOT_EQUAL(set->face.root, seen);
	}
	CU_ASSERT_EQUAL(gpmm__set_check(set), 0);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

/* What readers hold while a change is told and published. */
static uintptr_t held;
static struct snapshot seen;

static int is_as_seen(void *arg, const struct gpmm_area *area)
{
	size_t *i = arg;

	CU_ASSERT(*i < seen.count && area_equal(area, &seen.area[*i]));
	++*i;
	return 0;
}

static void hold_root(struct mock *mock, enum mock_kind kind)
{
	struct gpmm_set *set = mock->peek_arg;
	size_t items, i = 0;

	if (kind == MOCK_BEGIN) {
		held = set->face.root;
		snapshot_take(&seen, set);
	} else if (kind == MOCK_PUBLISHED) {
		CU_ASSERT_NOT_EQUAL(set->face.root, held);
		CU_ASSERT_PTR_NULL(gpmm__btree_check(held, &items));
		gpmm_view_for_each((struct gpmm_view){ set, held },
				   GPMM_RANGE_ALL, is_as_seen, &i);
		CU_ASSERT_EQUAL(i, seen.count);
		snapshot_free(&seen);
	}
}

static void change_page(struct gpmm_set *set, uint64_t page)
{
	uint32_t flags = 2;

	CU_ASSERT_EQUAL(gpmm_set_protect(set, page, PAGE, gpmm_protect_to,
					 &flags), 0);
	CU_ASSERT_EQUAL(gpmm_set_unmap(set, page, PAGE), 0);
	CU_ASSERT_EQUAL(put(set, page, PAGE, 1), 0);
	CU_ASSERT_EQUAL(gpmm__set_check(set), 0);
}

static void change_beside_readers(uint64_t n)
{
	struct gpmm_set_options options = { .granule = PAGE };
	struct gpmm_set *set;
	struct mock mock;

	mock_init_at(&mock, 0, PAGE, (uint32_t)(2 * n), true);
	options.backend = &mock.be;
	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&options, &set), 0);
	for (uint64_t i = 0; i < n; i++)
		CU_ASSERT_EQUAL(put(set, 2 * i * PAGE, PAGE, 1), 0);
	mock.peek = hold_root;
	mock.peek_arg = set;
	change_page(set, 0);
	change_page(set, n / 2 * 2 * PAGE);
	change_page(set, 2 * (n - 1) * PAGE);
	CU_ASSERT_EQUAL(mock.publishes, n + 9);
	mock.peek = NULL;
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
	CU_ASSERT_PTR_NULL(mock.complaint);
	mock_fini(&mock);
}

/* Invariant A of the tree, in each of its forms. */
static void test_what_readers_hold_stays(void)
{
	change_beside_readers(4);
	change_beside_readers(40);
	change_beside_readers(200);
	change_beside_readers(700);
	change_beside_readers(1600);
}

/* Map the page between two areas, one of which it is like; then give up. */
static void fill_a_hole(struct gpmm_set *set, uint64_t page, uint32_t flags)
{
	struct gpmm_area area = { .start = page * PAGE, .size = PAGE,
				  .flags = flags };
	bool after = flags == 1 + (page / 2 + 1) % 2;
	struct gpmm_txn *txn;

	CU_ASSERT_EQUAL_FATAL(gpmm_txn_begin(set, &txn), 0);
	CU_ASSERT_EQUAL(gpmm_txn_map(txn, &area, 0), 0);
	CU_ASSERT(gpmm_view_find(gpmm_txn_view(txn), area.start, &area));
	CU_ASSERT_EQUAL(area.start, (page - !after) * PAGE);
	CU_ASSERT_EQUAL(area.size, 2 * PAGE);
	gpmm_txn_abort(txn);
}

/* Also where the neighbour is in another leaf. */
static void test_what_fills_a_hole_merges(void)
{
	struct gpmm_set *set = create(PAGE);

	for (uint64_t i = 0; i < 300; i++)
		CU_ASSERT_EQUAL(put(set, 2 * i * PAGE, PAGE, 1 + i % 2), 0);
	for (uint64_t i = 0; i < 299; i++) {
		fill_a_hole(set, 2 * i + 1, 1);
		fill_a_hole(set, 2 * i + 1, 2);
	}
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

static void test_holes_at_the_ends(void)
{
	struct gpmm_hole hole = { .size = -PAGE, .limit = GPMM_RANGE_ALL };
	struct gpmm_set *set = create(PAGE);
	gpmm_gpa_t addr = 1;

	CU_ASSERT_EQUAL(gpmm_set_find_free(set, &hole, &addr), 0);
	CU_ASSERT_EQUAL(addr, 0);
	hole.top_down = true;
	CU_ASSERT_EQUAL(gpmm_set_find_free(set, &hole, &addr), 0);
	CU_ASSERT_EQUAL(addr, PAGE);
	hole = (struct gpmm_hole){ .size = PAGE, .align = HALF,
				   .limit = GPMM_RANGE_ALL,
				   .top_down = true };
	CU_ASSERT_EQUAL(gpmm_set_find_free(set, &hole, &addr), 0);
	CU_ASSERT_EQUAL(addr, HALF);
	CU_ASSERT_EQUAL(put(set, HALF, PAGE, 1), 0);
	CU_ASSERT_EQUAL(gpmm_set_find_free(set, &hole, &addr), 0);
	CU_ASSERT_EQUAL(addr, 0);
	hole.limit = (struct gpmm_range){ TOP, PAGE };
	hole.align = 0;
	CU_ASSERT_EQUAL(gpmm_set_find_free(set, &hole, &addr), 0);
	CU_ASSERT_EQUAL(addr, TOP);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

/* --------------------------------------------------------------- refused */

/* Nothing may have changed whatever was refused. */
#define REFUSED(lab, call, error)                                           \
	do {                                                                \
		CU_ASSERT_EQUAL(call, error);                               \
		CU_ASSERT(lab_unchanged(lab));                              \
	} while (0)

static struct lab lab;

static int init_pages(void)
{
	struct gpmm_set_options options = { .granule = 0x100 };
	struct gpmm_area area;

	lab_open(&lab, 0);
	options.backend = &lab.mock[LAB_PLAIN].be;
	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&options, &lab.set), 0);
	area = lab_area(&lab, LAB_PLAIN, 0x1000, 0x1000, 1, 0);
	CU_ASSERT_EQUAL(gpmm_set_map(lab.set, &area, 0), 0);
	lab_remember(&lab);
	return 0;
}

static void fini_pages(void)
{
	lab_forget(&lab);
	lab_empty(&lab);
	lab_close(&lab);
}

static void test_bad_options(void)
{
	struct gpmm_set_options options = { .granule = 3 };
	struct gpmm_set *set = NULL;
	struct mock mock;

	mock_init(&mock);
	CU_ASSERT_EQUAL(gpmm_set_create(&options, &set), -EINVAL);
	options = (struct gpmm_set_options){ .backend = &mock.be };
	mock.ops.abi = GPMM_BACKEND_ABI + 1;
	CU_ASSERT_EQUAL(gpmm_set_create(&options, &set), -EINVAL);
	mock.ops.abi = 0;
	CU_ASSERT_EQUAL(gpmm_set_create(&options, &set), -EINVAL);
	CU_ASSERT_PTR_NULL(set);
	CU_ASSERT_EQUAL(gpmm_set_create(NULL, &set), 0);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
	CU_ASSERT_EQUAL(gpmm_set_destroy(NULL), 0);
	gpmm_set_abandon(NULL);
	mock_fini(&mock);
}

static void test_bad_maps(void)
{
	static const struct piece bad[] = {
		{ 0x3000, 0, 1 },	  { 0x3001, 0x100, 1 },
		{ 0x3000, 0x101, 1 },	  { 0x3080, 0x100, 1 },
		{ -0x100, 0x200, 1 },	  { 0x1f00, -0x100, 1 } ,
		{ UINT64_MAX, 0x100, 1 }, { 0x200, UINT64_MAX, 1 },
	};
	struct gpmm_area area;
	size_t i;

	init_pages();
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		REFUSED(&lab, put(lab.set, bad[i].start, bad[i].size, 1),
			-EINVAL);
		REFUSED(&lab, put_over(lab.set, bad[i].start, bad[i].size, 1),
			-EINVAL);
	}
	area = area_of(0x3000, 0x100, 1);
	REFUSED(&lab, gpmm_set_map(lab.set, &area, 2), -EINVAL);
	REFUSED(&lab, gpmm_set_map(lab.set, &area, ~0u), -EINVAL);
	area.reserved = 1;
	REFUSED(&lab, gpmm_set_map(lab.set, &area, 0), -EINVAL);
	fini_pages();
}

static void test_bad_memory(void)
{
	struct gpmm_area area;
	char *base;
	uint64_t size;

	init_pages();
	base = gpmm_host_addr(lab.host[0]);
	size = gpmm_host_size(lab.host[0]);
	area = lab_area(&lab, LAB_PLAIN, 0x3000, 0x200, 1, 0);
	area.hva = base - 0x100;
	REFUSED(&lab, gpmm_set_map(lab.set, &area, 0), -EINVAL);
	area.hva = base + size;
	REFUSED(&lab, gpmm_set_map(lab.set, &area, 0), -EINVAL);
	area.hva = base + size - 0x100;
	REFUSED(&lab, gpmm_set_map(lab.set, &area, 0), -EINVAL);
	area.hva = (void *)-UINT64_C(0x100);
	REFUSED(&lab, gpmm_set_map(lab.set, &area, 0), -EINVAL);
	area.hva = base;
	area.size = 2 * size;
	REFUSED(&lab, gpmm_set_map(lab.set, &area, 0), -EINVAL);
	area.size = 0x200;
	area.hva = base + size - 0x200;
	area.host = NULL;
	REFUSED(&lab, gpmm_set_map(lab.set, &area, 0), -EINVAL);
	area.host = lab.host[0];
	CU_ASSERT_EQUAL(gpmm_set_map(lab.set, &area, 0), 0);
	fini_pages();
}

static void test_memory_without_an_address_begins_where_its_host_does(void)
{
	struct gpmm_area area;

	init_pages();
	area = lab_area(&lab, LAB_PLAIN, 0x3000, 0x200, 1, 0);
	area.hva = NULL;
	CU_ASSERT_EQUAL(gpmm_set_map(lab.set, &area, 0), 0);
	CU_ASSERT_TRUE_FATAL(gpmm_set_find(lab.set, 0x3100, &area));
	CU_ASSERT_PTR_EQUAL(area.hva, gpmm_host_addr(lab.host[0]));
	fini_pages();
}

static void test_bad_backends(void)
{
	struct gpmm_area area;
	struct mock mock;

	init_pages();
	mock_init(&mock);
	area = area_of(0x3000, 0x100, 1);
	area.backend = &mock.be;
	mock.ops.abi = GPMM_BACKEND_ABI + 1;
	REFUSED(&lab, gpmm_set_map(lab.set, &area, 0), -EINVAL);
	mock.ops.abi = GPMM_BACKEND_ABI;
	mock.be.granule = 0x300;
	REFUSED(&lab, gpmm_set_map(lab.set, &area, 0), -EINVAL);
	mock.be.granule = 0x200;
	REFUSED(&lab, gpmm_set_map(lab.set, &area, 0), -EINVAL);
	CU_ASSERT_EQUAL(mock.acts, 0);
	mock_fini(&mock);
	fini_pages();
}

static void test_bad_ranges(void)
{
	uint32_t flags = 1;

	init_pages();
	REFUSED(&lab, gpmm_set_unmap(lab.set, 0x1001, 0x100), -EINVAL);
	REFUSED(&lab, gpmm_set_unmap(lab.set, 0x1000, 0x101), -EINVAL);
	REFUSED(&lab, gpmm_set_unmap(lab.set, -0x100, 0x200), -EINVAL);
	REFUSED(&lab, gpmm_set_protect(lab.set, 0x1001, 0x100,
				       gpmm_protect_to, &flags), -EINVAL);
	REFUSED(&lab, gpmm_set_protect(lab.set, -0x100, 0x1300,
				       gpmm_protect_to, &flags), -EINVAL);
	REFUSED(&lab, gpmm_set_protect(lab.set, 0x1000, 0x1000, NULL, NULL),
		-EINVAL);
	REFUSED(&lab, gpmm_set_merge(lab.set, 0x1001, 0x100), -EINVAL);
	REFUSED(&lab, gpmm_set_merge(lab.set, -0x100, 0x1300), -EINVAL);
	REFUSED(&lab, gpmm_set_unmap(lab.set, 0x1000, 0), 0);
	REFUSED(&lab, gpmm_set_protect(lab.set, 0x1000, 0, gpmm_protect_to,
				       &flags), 0);
	REFUSED(&lab, gpmm_set_merge(lab.set, 0x1000, 0), 0);
	REFUSED(&lab, gpmm_set_unmap(lab.set, 0x8000, 0x1000), 0);
	fini_pages();
}

static void test_bad_cuts(void)
{
	init_pages();
	REFUSED(&lab, gpmm_set_split(lab.set, 0x1080), -EINVAL);
	REFUSED(&lab, gpmm_set_split(lab.set, 0x2000), -ENOENT);
	REFUSED(&lab, gpmm_set_split(lab.set, 0x1000), 0);
	REFUSED(&lab, gpmm_set_shrink_left(lab.set, 0x1000, 0), -EINVAL);
	REFUSED(&lab, gpmm_set_shrink_left(lab.set, 0x1000, 0x80), -EINVAL);
	REFUSED(&lab, gpmm_set_shrink_left(lab.set, 0x1000, 0x1100), -EINVAL);
	REFUSED(&lab, gpmm_set_shrink_left(lab.set, 0x2000, 0x100), -ENOENT);
	REFUSED(&lab, gpmm_set_shrink_right(lab.set, 0x1fff, 0), -EINVAL);
	REFUSED(&lab, gpmm_set_shrink_right(lab.set, 0x1fff, 0x80), -EINVAL);
	REFUSED(&lab, gpmm_set_shrink_right(lab.set, 0x1000, UINT64_MAX),
		-EINVAL);
	REFUSED(&lab, gpmm_set_shrink_right(lab.set, 0xfff, 0x100), -ENOENT);
	REFUSED(&lab, gpmm_set_shrink_left(lab.set, 0x1800, 0x1000), 0);
	REFUSED(&lab, gpmm_set_shrink_right(lab.set, 0x1800, 0x1000), 0);
	fini_pages();
}

static int visit_nothing(void *arg, const struct gpmm_area *area)
{
	(void)arg;
	(void)area;
	return 7;
}

static void test_bad_questions(void)
{
	struct gpmm_hole hole = { .size = 0, .limit = GPMM_RANGE_ALL };
	gpmm_gpa_t addr = 5;

	init_pages();
	CU_ASSERT_EQUAL(gpmm_set_find_free(lab.set, &hole, &addr), -EINVAL);
	hole.size = 0x100;
	hole.align = 0x300;
	CU_ASSERT_EQUAL(gpmm_set_find_free(lab.set, &hole, &addr), -EINVAL);
	hole.align = 0;
	hole.limit = (struct gpmm_range){ 0x100, -UINT64_C(0x80) };
	CU_ASSERT_EQUAL(gpmm_set_find_free(lab.set, &hole, &addr), -EINVAL);
	CU_ASSERT_EQUAL(addr, 5);
	CU_ASSERT_FALSE(gpmm_set_overlaps(lab.set, 0x1000, 0));
	CU_ASSERT_FALSE(gpmm_set_overlaps(lab.set, 0x1000, -UINT64_C(0x800)));
	CU_ASSERT_FALSE(gpmm_set_overlaps(lab.set, -UINT64_C(1), 2));
	CU_ASSERT_EQUAL(gpmm_set_for_each(lab.set,
		(struct gpmm_range){ 0x1000, 0 }, visit_nothing, NULL), 0);
	CU_ASSERT_EQUAL(gpmm_set_for_each(lab.set,
		(struct gpmm_range){ 0x1fff, 1 }, visit_nothing, NULL), 7);
	fini_pages();
}

/* ------------------------------------------------------------- deadlocks */

/* Every way to change a set, each of which must find that it may not. */
static void refuse_all(int error)
{
	struct gpmm_area area = area_of(0x3000, 0x100, 1);
	struct gpmm_set *set = lab.set;
	uint32_t flags = 1;
	struct gpmm_txn *txn;

	CU_ASSERT_EQUAL(gpmm_set_map(set, &area, 0), error);
	CU_ASSERT_EQUAL(gpmm_set_map(set, &area, GPMM_MAP_REPLACE), error);
	CU_ASSERT_EQUAL(gpmm_set_unmap(set, 0x1000, 0x100), error);
	CU_ASSERT_EQUAL(gpmm_set_protect(set, 0x1000, 0x100, gpmm_protect_to,
					 &flags), error);
	CU_ASSERT_EQUAL(gpmm_set_clear(set), error);
	CU_ASSERT_EQUAL(gpmm_set_split(set, 0x1100), error);
	CU_ASSERT_EQUAL(gpmm_set_shrink_left(set, 0x1000, 0x100), error);
	CU_ASSERT_EQUAL(gpmm_set_shrink_right(set, 0x1000, 0x100), error);
	CU_ASSERT_EQUAL(gpmm_set_merge(set, 0x1000, 0x100), error);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), error);
	CU_ASSERT_EQUAL(gpmm_set_repair(set), error);
	CU_ASSERT_EQUAL(gpmm_set_drain(set), error);
	CU_ASSERT_EQUAL(gpmm_txn_begin(set, &txn), error);
}

/* An update that leaves a section open. */
static bool update_and_stay(void *arg, const struct gpmm_area *area,
			    uint32_t *flags)
{
	gpmm_read_lock();
	*flags = area->flags + *(uint32_t *)arg;
	return true;
}

/* Of an area as a whole, and of a part, whether it changes anything or not. */
static void refuse_to_stay(uint32_t more)
{
	for (uint64_t size = 0x800; size <= 0x1000; size += 0x800) {
		CU_ASSERT_EQUAL(gpmm_set_protect(lab.set, 0x1000, size,
						 update_and_stay, &more),
				-EDEADLK);
		gpmm_read_unlock();
		CU_ASSERT(lab_unchanged(&lab));
	}
}

static void test_no_change_inside_a_section(void)
{
	struct gpmm_txn *txn;

	init_pages();
	gpmm_read_lock();
	refuse_all(-EDEADLK);
	gpmm_read_unlock();
	CU_ASSERT(lab_unchanged(&lab));
	refuse_to_stay(0);
	refuse_to_stay(1);
	/* A section opened after begin: the commit fails, and ends it. */
	CU_ASSERT_EQUAL_FATAL(gpmm_txn_begin(lab.set, &txn), 0);
	CU_ASSERT_EQUAL(gpmm_txn_clear(txn), 0);
	gpmm_read_lock();
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), -EDEADLK);
	gpmm_read_unlock();
	CU_ASSERT(lab_unchanged(&lab));
	CU_ASSERT_EQUAL(gpmm_set_unmap(lab.set, 0x1000, 0x100), 0);
	fini_pages();
}

static void test_no_writer_inside_a_writer(void)
{
	struct gpmm_txn *txn;

	init_pages();
	CU_ASSERT_EQUAL_FATAL(gpmm_txn_begin(lab.set, &txn), 0);
	refuse_all(-EDEADLK);
	gpmm_txn_abort(txn);
	CU_ASSERT(lab_unchanged(&lab));
	fini_pages();
}

static int change_while_visiting(void *arg, const struct gpmm_area *area)
{
	(void)area;
	refuse_all(-EDEADLK);
	++*(int *)arg;
	return 0;
}

static bool change_while_updating(void *arg, const struct gpmm_area *area,
				  uint32_t *flags)
{
	struct gpmm_area found;

	CU_ASSERT_EQUAL(*flags, area->flags);
	CU_ASSERT(gpmm_set_find(lab.set, area->start, &found) &&
		  area_equal(&found, area));
	return change_while_visiting(arg, area);
}

static void change_while_told(struct mock *mock, enum mock_kind kind)
{
	(void)kind;
	CU_ASSERT(gpmm_set_find(lab.set, 0x1000, NULL));
	CU_ASSERT_FALSE(gpmm_set_is_poisoned(lab.set, 0, MOCK_SIZE));
	refuse_all(-EDEADLK);
	++*(int *)mock->peek_arg;
}

static void test_no_change_from_a_callback(void)
{
	struct gpmm_area area;
	int calls = 0;

	init_pages();
	CU_ASSERT_EQUAL(gpmm_set_for_each(lab.set, GPMM_RANGE_ALL,
					  change_while_visiting, &calls), 0);
	CU_ASSERT_EQUAL(gpmm_set_protect(lab.set, 0x1000, 0x1000,
					 change_while_updating, &calls), 0);
	CU_ASSERT(lab_unchanged(&lab));
	CU_ASSERT_EQUAL(calls, 2);
	lab.mock[LAB_TXN].peek = change_while_told;
	lab.mock[LAB_TXN].peek_arg = &calls;
	area = lab_area(&lab, LAB_TXN, 0x4000, 0x1000, 1, -1);
	CU_ASSERT_EQUAL(gpmm_set_map(lab.set, &area, 0), 0);
	CU_ASSERT_EQUAL(calls, 2 + 4);
	lab.mock[LAB_TXN].peek = NULL;
	fini_pages();
}

static char memory[0x1000];

static struct gpmm_area user_area(void (*release)(void *arg, void *addr,
						  uint64_t size), void *arg)
{
	struct gpmm_area area = area_of(0x7000, sizeof(memory), 1);
	struct gpmm_host_options options = {
		.kind = GPMM_HOST_USER,
		.size = sizeof(memory),
		.user = memory,
		.release = release,
		.release_arg = arg,
	};

	CU_ASSERT_EQUAL_FATAL(gpmm_host_create(&options, &area.host), 0);
	return area;
}

static void change_while_released(void *arg, void *addr, uint64_t size)
{
	(void)addr;
	CU_ASSERT_EQUAL(put(lab.set, 0x8000, size, 2), 0);
	CU_ASSERT_EQUAL(gpmm_set_unmap(lab.set, 0x8000, size), 0);
	CU_ASSERT_EQUAL(gpmm_set_drain(lab.set), -EDEADLK);
	++*(int *)arg;
}

static void change_while_aborted(void *arg, void *addr, uint64_t size)
{
	(void)addr;
	CU_ASSERT_EQUAL(put(lab.set, 0x8000, size, 2), 0);
	CU_ASSERT_EQUAL(gpmm_set_unmap(lab.set, 0x8000, size), 0);
	CU_ASSERT_EQUAL(gpmm_set_drain(lab.set), 0);
	++*(int *)arg;
}

static void test_a_release_may_change_the_set(void)
{
	struct gpmm_area area;
	int calls = 0;

	init_pages();
	area = user_area(change_while_released, &calls);
	CU_ASSERT_EQUAL(gpmm_set_map(lab.set, &area, 0), 0);
	gpmm_host_put(area.host);
	CU_ASSERT_EQUAL(calls, 0);
	CU_ASSERT_EQUAL(gpmm_set_unmap(lab.set, area.start, area.size), 0);
	CU_ASSERT_EQUAL(gpmm_set_drain(lab.set), 0);
	CU_ASSERT_EQUAL(calls, 1);
	CU_ASSERT(lab_unchanged(&lab));
	fini_pages();
}

/* The transaction's reference is the last. */
static void test_abort_releases_without_the_lock(void)
{
	struct gpmm_area area;
	struct gpmm_txn *txn;
	int calls = 0;

	init_pages();
	area = user_area(change_while_aborted, &calls);
	CU_ASSERT_EQUAL_FATAL(gpmm_txn_begin(lab.set, &txn), 0);
	CU_ASSERT_EQUAL(gpmm_txn_map(txn, &area, 0), 0);
	gpmm_host_put(area.host);
	gpmm_txn_abort(txn);
	CU_ASSERT_EQUAL(calls, 1);
	CU_ASSERT(lab_unchanged(&lab));
	fini_pages();
}

static void count_release(void *arg, void *addr, uint64_t size)
{
	(void)addr;
	(void)size;
	++*(int *)arg;
}

/* Of its own, so that it can be told when that goes. */
static void map_and_unmap_another(void *arg, void *addr, uint64_t size)
{
	struct gpmm_area area = user_area(count_release, arg);

	(void)addr;
	(void)size;
	CU_ASSERT_EQUAL(gpmm_set_map(lab.set, &area, 0), 0);
	gpmm_host_put(area.host);
	CU_ASSERT_EQUAL(gpmm_set_unmap(lab.set, area.start, area.size), 0);
}

/* Where limbo is full a writer waits, but a release callback cannot. */
static void test_what_a_release_leaves_goes_too(void)
{
	struct gpmm_set_options options = { .granule = 0x100, .limbo_max = 1 };
	struct gpmm_area area;
	int calls = 0;

	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&options, &lab.set), 0);
	area = user_area(map_and_unmap_another, &calls);
	CU_ASSERT_EQUAL(gpmm_set_map(lab.set, &area, 0), 0);
	gpmm_host_put(area.host);
	CU_ASSERT_EQUAL(gpmm_set_unmap(lab.set, area.start, area.size), 0);
	CU_ASSERT_EQUAL(calls, 1);
	CU_ASSERT_EQUAL(gpmm_set_destroy(lab.set), 0);
}

static struct gpmm_set *other_set(void)
{
	struct gpmm_set_options options = { .granule = 0x100, .limbo_max = 1 };
	struct gpmm_set *set = NULL;

	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&options, &set), 0);
	return set;
}

/* @arg: another set, whose limbo is full at once. */
static void change_another(void *arg, void *addr, uint64_t size)
{
	struct gpmm_set_stats stats;
	struct gpmm_set *set = *(struct gpmm_set **)arg;

	(void)addr;
	CU_ASSERT_EQUAL(put(set, 0, size, 1), 0);
	CU_ASSERT_EQUAL(gpmm_set_unmap(set, 0, size), 0);
	gpmm_set_get_stats(set, &stats);
	CU_ASSERT_EQUAL(stats.stalls, 0);
}

/* And so it is after a release within the release. */
static void destroy_one_and_change_another(void *arg, void *addr, uint64_t size)
{
	struct gpmm_set *set = other_set();
	struct gpmm_area area;
	int calls = 0;

	area = user_area(count_release, &calls);
	CU_ASSERT_EQUAL(gpmm_set_map(set, &area, 0), 0);
	gpmm_host_put(area.host);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
	CU_ASSERT_EQUAL(calls, 1);
	change_another(arg, addr, size);
}

/* Two sets whose releases changed each other would wait for each other. */
static void test_a_release_waits_for_no_other_set(void)
{
	static void (*const releases[])(void *, void *, uint64_t) = {
		change_another, destroy_one_and_change_another,
	};
	struct gpmm_set *other;
	struct gpmm_area area;

	for (int i = 0; i < 2; i++) {
		other = other_set();
		lab.set = other_set();
		area = user_area(releases[i], &other);
		CU_ASSERT_EQUAL(gpmm_set_map(lab.set, &area, 0), 0);
		gpmm_host_put(area.host);
		CU_ASSERT_EQUAL(gpmm_set_destroy(lab.set), 0);
		CU_ASSERT_EQUAL(gpmm_set_destroy(other), 0);
	}
}

static void note_grace_periods(void *arg, void *addr, uint64_t size)
{
	(void)addr;
	(void)size;
	*(unsigned long *)arg = gpmm__rcu_grace_periods;
}

/* Somebody may still be touching what it found in a section. */
static void test_abandon_waits_for_readers(void)
{
	unsigned long before, at_release = 0;
	struct gpmm_area area = user_area(note_grace_periods, &at_release);
	struct gpmm_set *set;

	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(NULL, &set), 0);
	CU_ASSERT_EQUAL(gpmm_set_map(set, &area, 0), 0);
	gpmm_host_put(area.host);
	CU_ASSERT_EQUAL(gpmm_set_drain(set), 0);
	before = gpmm__rcu_grace_periods;
	gpmm_set_abandon(set);
	CU_ASSERT(at_release > before);
}

int main(void)
{
	static const struct suite_test tests[] = {
		{ "the first page and the last", test_first_and_last_page },
		{ "the first byte and the last", test_first_and_last_byte },
		{ "walks keep within their range",
		  test_walks_keep_within_their_range },
		{ "changes at the end of the space",
		  test_changes_at_the_end },
		{ "the whole space is two areas", test_the_whole_space },
		{ "the last byte is not before the first",
		  test_the_last_byte_is_not_before_the_first },
		{ "all of the space but a page",
		  test_almost_the_whole_space },
		{ "where keys become wider", test_the_seam_of_key_widths },
		{ "the top grows and shrinks",
		  test_the_top_grows_and_shrinks },
		{ "a top that goes leaves what it held alone",
		  test_the_top_goes_whole },
		{ "writers keep their own top", test_the_writers_top_stays },
		{ "what readers hold stays as it is",
		  test_what_readers_hold_stays },
		{ "what fills a hole merges", test_what_fills_a_hole_merges },
		{ "holes at the ends", test_holes_at_the_ends },
		{ "bad options are refused", test_bad_options },
		{ "bad maps are refused", test_bad_maps },
		{ "memory outside its host is refused", test_bad_memory },
		{ "memory without an address begins where its host does",
		  test_memory_without_an_address_begins_where_its_host_does },
		{ "bad backends are refused", test_bad_backends },
		{ "bad ranges are refused", test_bad_ranges },
		{ "bad cuts are refused", test_bad_cuts },
		{ "bad questions are refused", test_bad_questions },
		{ "no change inside a read section",
		  test_no_change_inside_a_section },
		{ "no writer inside a writer",
		  test_no_writer_inside_a_writer },
		{ "a release callback may change the set, not drain it",
		  test_a_release_may_change_the_set },
		{ "an abort releases without the lock",
		  test_abort_releases_without_the_lock },
		{ "a release callback waits for no other set",
		  test_a_release_waits_for_no_other_set },
		{ "what a release callback leaves in limbo goes, too",
		  test_what_a_release_leaves_goes_too },
		{ "abandon waits for readers", test_abandon_waits_for_readers },
		{ "no change from a callback",
		  test_no_change_from_a_callback },
		{ 0 },
	};

	return suite_run("set_ends", tests);
}
