/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Areas that a transaction maps in order: many at once cost little, and come to
 * exactly what mapping each by itself does, whatever comes between them.
 * GPMM_SEED replays the random part; GPMM_LONG=1 makes it twenty times longer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/set.h"
#include "helpers/model.h"
#include "helpers/rng.h"
#include "helpers/suite.h"
#include "helpers/world.h"
#include "host/host.h"

#define PAGE	UINT64_C(4096)
/* Granules have 32-bit keys up to here. */
#define NARROW	(UINT64_C(1) << 31)

struct shape {
	uint64_t granule;
	gpmm_gpa_t base;
	uint32_t cells;
	bool no_merge;
};

static const struct shape pages = { PAGE, 0, 8192, false };
static const struct shape pages_unmerged = { PAGE, 0, 8192, true };
static const struct shape pages_high = { PAGE, UINT64_C(1) << 50, 8192, false };
static const struct shape pages_across = { PAGE, (NARROW - 300) * PAGE, 8192,
					   false };
static const struct shape bytes_at_top = { 1, -UINT64_C(8192), 8192, false };
static const struct shape bytes_at_top_unmerged = { 1, -UINT64_C(8192), 8192,
						    true };

static const struct shape *const shapes[] = {
	&pages, &pages_unmerged, &pages_high, &pages_across, &bytes_at_top,
	&bytes_at_top_unmerged,
};

enum { SHAPES = sizeof(shapes) / sizeof(shapes[0]) };

static void open_shape(struct world *w, const struct shape *shape)
{
	struct gpmm_set_options options = {
		.granule = shape->granule,
		.no_merge = shape->no_merge,
	};

	mock_init_at(&w->mock, shape->base, shape->granule, shape->cells,
		     false);
	w->mock.logging = true;
	options.backend = &w->mock.be;
	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&options, &w->set), 0);
}

static bool table_is_empty(const struct mock *mock)
{
	uint32_t i;

	for (i = 0; i < mock->cells; i++)
		if (mock->bytes[i])
			return false;
	return true;
}

static void close_shape(struct world *w)
{
	CU_ASSERT_EQUAL(gpmm__set_check(w->set), 0);
	CU_ASSERT_EQUAL(gpmm_set_destroy(w->set), 0);
	CU_ASSERT(table_is_empty(&w->mock));
	CU_ASSERT_PTR_NULL(w->mock.complaint);
	mock_fini(&w->mock);
}

static struct gpmm_area cells_of(const struct shape *shape, uint32_t cell,
				 uint32_t cells, uint32_t flags)
{
	return area_of(shape->base + cell * shape->granule,
		       cells * shape->granule, flags);
}

static struct gpmm_txn *begin(struct gpmm_set *set)
{
	struct gpmm_txn *txn = NULL;

	CU_ASSERT_EQUAL_FATAL(gpmm_txn_begin(set, &txn), 0);
	return txn;
}

static int txn_put(struct gpmm_txn *txn, gpmm_gpa_t start, uint64_t size)
{
	struct gpmm_area area = area_of(start, size, 1);

	return gpmm_txn_map(txn, &area, 0);
}

/* ----------------------------------------------------------------- twins */

/* One set changed by one transaction, another by one for each change. */
struct twins {
	const struct shape *shape;
	struct world one, each;
	struct gpmm_txn *txn;		/* NULL: both by one for each */
};

static void twins_open(struct twins *t, const struct shape *shape)
{
	t->shape = shape;
	t->txn = NULL;
	open_shape(&t->one, shape);
	open_shape(&t->each, shape);
}

static void twins_begin(struct twins *t)
{
	t->txn = begin(t->one.set);
}

/* Map in both. Return: what both say. */
static int twins_map_how(struct twins *t, uint32_t cell, uint32_t cells,
			 uint32_t flags, unsigned int how)
{
	struct gpmm_area area = cells_of(t->shape, cell, cells, flags);
	int ret = gpmm_set_map(t->each.set, &area, how);

	CU_ASSERT_EQUAL(t->txn ? gpmm_txn_map(t->txn, &area, how) :
				 gpmm_set_map(t->one.set, &area, how), ret);
	return ret;
}

static int twins_map(struct twins *t, uint32_t cell, uint32_t cells,
		     uint32_t flags)
{
	return twins_map_how(t, cell, cells, flags, 0);
}

static void twins_unmap(struct twins *t, uint32_t cell, uint32_t cells)
{
	struct gpmm_area area = cells_of(t->shape, cell, cells, 0);

	CU_ASSERT_EQUAL(gpmm_txn_unmap(t->txn, area.start, area.size), 0);
	CU_ASSERT_EQUAL(gpmm_set_unmap(t->each.set, area.start, area.size), 0);
}

/* @n areas of @cells, @step apart, in order; none is like the next. */
static void twins_run(struct twins *t, uint32_t cell, uint32_t step,
		      uint32_t cells, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		CU_ASSERT_EQUAL(twins_map(t, cell + i * step, cells,
					  1 + i % 2), 0);
}

/* But for the backend, which is each set's own. */
static bool same_area(struct gpmm_area a, const struct gpmm_area *b)
{
	a.backend = b->backend;
	return area_equal(&a, b);
}

struct other {
	struct gpmm_view view;
	gpmm_gpa_t from;	/* where the next area is to be looked for */
	size_t count;
};

static int differs(void *arg, const struct gpmm_area *area)
{
	struct other *other = arg;
	struct gpmm_area its;

	if (!gpmm_view_next(other->view, other->from, &its) ||
	    !same_area(its, area) ||
	    !gpmm_view_find(other->view, gpmm_area_last(area), NULL))
		return 1;
	other->from = gpmm_area_last(area) + 1;
	other->count++;
	return 0;
}

static bool same_areas(const struct gpmm_set *a, const struct gpmm_set *b)
{
	struct other other = { .from = 0 };
	bool same;

	gpmm_read_lock();
	other.view = gpmm_set_view_rcu(b);
	same = !gpmm_set_for_each(a, GPMM_RANGE_ALL, differs, &other);
	gpmm_read_unlock();
	return same && other.count == gpmm_set_len(a) &&
	       other.count == gpmm_set_len(b);
}

static bool same_calls(const struct mock_log *a, const struct mock_log *b)
{
	size_t i;

	for (i = 0; i < a->count && i < b->count; i++)
		if (a->call[i].kind != b->call[i].kind ||
		    !same_area(a->call[i].area, &b->call[i].area))
			return false;
	return a->count == b->count;
}

static void twins_close(struct twins *t)
{
	CU_ASSERT_EQUAL(gpmm_txn_commit(t->txn), 0);
	CU_ASSERT(same_areas(t->one.set, t->each.set));
	CU_ASSERT(same_calls(&t->one.mock.log, &t->each.mock.log));
	close_shape(&t->one);
	close_shape(&t->each);
}

/* ------------------------------------------------------------- any number */

static void test_any_number(void)
{
	static const uint32_t numbers[] = { 1, 16, 17, 18, 33, 64, 65, 81, 82,
					    145, 528, 529, 530, 1042, 2700 };
	struct twins t;
	size_t i;
	int s;

	for (s = 0; s < SHAPES; s++)
		for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
			twins_open(&t, shapes[s]);
			twins_begin(&t);
			twins_run(&t, 1, 3, 2 + i % 2, numbers[i]);
			twins_close(&t);
		}
}

static void test_up_to_the_last_byte(void)
{
	struct twins t;
	int touching;

	for (touching = 0; touching < 2; touching++) {
		twins_open(&t, &bytes_at_top_unmerged);
		twins_begin(&t);
		twins_run(&t, 8192 - 200, 2, 1 + touching, 99);
		CU_ASSERT_EQUAL(twins_map(&t, 8190, 1, 3), 0);
		CU_ASSERT_EQUAL(twins_map(&t, 8191, 1, 3), 0);
		CU_ASSERT_EQUAL(twins_map(&t, 8191, 1, 3), -EEXIST);
		twins_close(&t);
		twins_open(&t, &bytes_at_top);
		twins_begin(&t);
		twins_run(&t, 8192 - 200, 2, 1 + touching, 99);
		CU_ASSERT_EQUAL(twins_map(&t, 8190, 1, 3), 0);
		CU_ASSERT_EQUAL(twins_map(&t, 8191, 1, 3), 0);
		CU_ASSERT_EQUAL(twins_map(&t, 0, 1, 3), 0);
		twins_close(&t);
	}
}

/* Narrow leaves hold 16 areas, one flat one 64. */
static void test_small_sets_grow(void)
{
	uint32_t before, n, at;
	struct twins t;

	for (before = 1; before <= 90; before = before * 2 + before % 3)
		for (n = 17; n < 160; n += 11)
			for (at = 0; at <= before; at += before) {
				twins_open(&t, &pages);
				twins_run(&t, 0, 2, 2, at);
				twins_run(&t, 4096, 2, 2, before - at);
				twins_begin(&t);
				twins_run(&t, 1024, 3, 2, n);
				twins_close(&t);
			}
}

/* Into the hole at @hole of a tree of a few levels. */
static void fill_hole(const struct shape *shape, uint32_t hole, uint32_t step,
		      uint32_t n)
{
	struct twins t;

	twins_open(&t, shape);
	twins_run(&t, 0, 2, 1, hole / 2);
	twins_run(&t, hole + 3000, 2, 1, (8192 - hole - 3000) / 2);
	twins_begin(&t);
	twins_run(&t, hole + 1, step, step, n);
	twins_close(&t);
}

static void test_into_a_large_set(void)
{
	static const uint32_t holes[] = { 0, 60, 2600, 5100, 5190 };
	size_t i;

	for (i = 0; i < sizeof(holes) / sizeof(holes[0]); i++) {
		fill_hole(&pages, holes[i], 1, 2990);
		fill_hole(&pages, holes[i], 2, 700);
		fill_hole(&pages_high, holes[i], 3, 600);
		fill_hole(&bytes_at_top, holes[i], 4, 100);
	}
}

/* ---------------------------------------------------------- the hole's end */

/* A run up to an area of 3s at 400, and one more: @cells at @cell. */
static int end_of_hole(const struct shape *shape, uint32_t cell,
		       uint32_t cells, uint32_t flags, unsigned int how)
{
	struct twins t;
	int ret;

	twins_open(&t, shape);
	CU_ASSERT_EQUAL(twins_map(&t, 400, 10, 3), 0);
	CU_ASSERT_EQUAL(twins_map(&t, 420, 10, 2), 0);
	twins_begin(&t);
	twins_run(&t, 300, 2, 2, 49);
	ret = twins_map_how(&t, cell, cells, flags, how);
	twins_map(&t, 410, 2, 1);
	twins_map(&t, 412, 8, 2);
	twins_run(&t, 500, 2, 2, 40);
	twins_close(&t);
	return ret;
}

static void test_end_of_the_hole(void)
{
	int s;

	for (s = 0; s < SHAPES; s++) {
		const struct shape *shape = shapes[s];

		CU_ASSERT_EQUAL(end_of_hole(shape, 398, 1, 3, 0), 0);
		CU_ASSERT_EQUAL(end_of_hole(shape, 398, 2, 3, 0), 0);
		CU_ASSERT_EQUAL(end_of_hole(shape, 398, 2, 4, 0), 0);
		CU_ASSERT_EQUAL(end_of_hole(shape, 398, 3, 4, 0), -EEXIST);
		CU_ASSERT_EQUAL(end_of_hole(shape, 398, 20, 3, 0), -EEXIST);
		CU_ASSERT_EQUAL(end_of_hole(shape, 410, 5, 3, 0), 0);
		CU_ASSERT_EQUAL(end_of_hole(shape, 398, 3, 4,
					    GPMM_MAP_REPLACE), 0);
		CU_ASSERT_EQUAL(end_of_hole(shape, 398, 3, 3,
					    GPMM_MAP_REPLACE), 0);
		CU_ASSERT_EQUAL(end_of_hole(shape, 398, 12, 3,
					    GPMM_MAP_REPLACE), 0);
		CU_ASSERT_EQUAL(end_of_hole(shape, 390, 8, 1,
					    GPMM_MAP_REPLACE), 0);
	}
}

/* What the hole was may not be what it is after something else. */
static void test_a_hole_that_gets_smaller(void)
{
	struct twins t;

	twins_open(&t, &pages);
	twins_begin(&t);
	twins_run(&t, 0, 2, 2, 40);
	CU_ASSERT_EQUAL(twins_map(&t, 100, 2, 3), 0);
	CU_ASSERT_EQUAL(twins_map(&t, 90, 1, 3), 0);
	CU_ASSERT_EQUAL(twins_map(&t, 95, 6, 3), -EEXIST);
	CU_ASSERT_EQUAL(twins_map(&t, 95, 5, 3), 0);
	twins_run(&t, 200, 2, 2, 40);
	CU_ASSERT_EQUAL(twins_map(&t, 279, 2, 3), -EEXIST);
	twins_run(&t, 280, 2, 2, 20);
	CU_ASSERT_EQUAL(twins_map(&t, 50, 1, 3), -EEXIST);
	CU_ASSERT_EQUAL(twins_map(&t, 250, 40, 3), -EEXIST);
	twins_unmap(&t, 270, 10);
	CU_ASSERT_EQUAL(twins_map(&t, 270, 10, 3), 0);
	twins_run(&t, 330, 2, 2, 40);
	twins_unmap(&t, 282, 2);
	twins_run(&t, 600, 2, 1, 20);
	CU_ASSERT_EQUAL(twins_map(&t, 282, 2, 4), 0);
	CU_ASSERT_EQUAL(twins_map(&t, 282, 2, 4), -EEXIST);
	twins_close(&t);
}

/*
 * What replaces the area at the hole's end is not in it, and what was to come
 * into another hole, for which there was no memory, says nothing of its end.
 */
static void test_a_replace_ends_a_streak(void)
{
	struct gpmm_area far = cells_of(&pages, 8000, 2, 3);
	struct twins t;

	twins_open(&t, &pages);
	twins_run(&t, 500, 2, 1, 500);
	CU_ASSERT_EQUAL(twins_map(&t, 400, 2, 3), 0);
	CU_ASSERT_EQUAL(twins_map(&t, 420, 2, 3), 0);
	twins_begin(&t);
	twins_run(&t, 300, 2, 2, RUN_STREAK + 1);
	CU_ASSERT_EQUAL(t.txn->run.streak, RUN_STREAK);
	gpmm__alloc_left = 0;
	CU_ASSERT_EQUAL(gpmm_txn_map(t.txn, &far, 0), -ENOMEM);
	gpmm__alloc_left = -1;
	CU_ASSERT_EQUAL(twins_map_how(&t, 398, 6, 4, GPMM_MAP_REPLACE), 0);
	CU_ASSERT_EQUAL(twins_map(&t, 420, 2, 4), -EEXIST);
	CU_ASSERT_EQUAL(twins_map(&t, 404, 2, 1), 0);
	twins_close(&t);
}

/* ------------------------------------------------------------------ merging */

static void test_alike_areas_become_one(void)
{
	struct twins t;
	uint32_t i;
	int s;

	for (s = 0; s < SHAPES; s++) {
		twins_open(&t, shapes[s]);
		twins_begin(&t);
		twins_run(&t, 0, 2, 2, 40);
		CU_ASSERT_EQUAL(twins_map(&t, 80, 2, 2), 0);
		twins_run(&t, 82, 2, 2, 40);
		for (i = 0; i < 40; i++)
			CU_ASSERT_EQUAL(twins_map(&t, 162 + i, 1, 3), 0);
		for (i = 0; i < 40; i++)
			CU_ASSERT_EQUAL(twins_map(&t, 202 + i, 1,
						  3 | GPMM_NOMERGE), 0);
		for (i = 0; i < 400; i++)
			CU_ASSERT_EQUAL(twins_map(&t, 242 + i, 1,
						  1 + i % 19 / 18), 0);
		CU_ASSERT_EQUAL(gpmm_set_len(t.each.set),
				shapes[s]->no_merge ? 561 : 164);
		twins_close(&t);
	}
}

static unsigned long asked;

static bool count_merges(struct gpmm_backend *be, const struct gpmm_area *left,
			 const struct gpmm_area *right)
{
	(void)be;
	(void)left;
	(void)right;
	asked++;
	return false;
}

static void test_backend_is_asked_about_alike_areas_alone(void)
{
	struct twins t;

	twins_open(&t, &pages);
	t.one.mock.ops.can_merge = count_merges;
	twins_begin(&t);
	asked = 0;
	twins_run(&t, 0, 2, 2, 40);
	CU_ASSERT_EQUAL(asked, 0);
	CU_ASSERT_EQUAL(gpmm_set_map(t.each.set,
		&(struct gpmm_area){ .start = 80 * PAGE, .size = 2 * PAGE,
				     .flags = 2 | GPMM_NOMERGE }, 0), 0);
	CU_ASSERT_EQUAL(gpmm_txn_map(t.txn,
		&(struct gpmm_area){ .start = 80 * PAGE, .size = 2 * PAGE,
				     .flags = 2 }, 0), 0);
	CU_ASSERT_EQUAL(asked, 1);
	CU_ASSERT_EQUAL(gpmm_txn_commit(t.txn), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(t.one.set), 41);
	close_shape(&t.one);
	close_shape(&t.each);
}

/* ------------------------------------------------------------------- order */

static void test_other_orders(void)
{
	struct twins t;
	uint32_t i;
	int s;

	for (s = 0; s < SHAPES; s++) {
		twins_open(&t, shapes[s]);
		twins_begin(&t);
		for (i = 0; i < 100; i++)	/* two runs, by turns */
			CU_ASSERT_EQUAL(twins_map(&t, i / 2 * 3 + i % 2 * 900,
						  2, 1 + i / 2 % 2), 0);
		for (i = 100; i--;)		/* downwards */
			CU_ASSERT_EQUAL(twins_map(&t, 300 + i * 2, 2,
						  1 + i % 2), 0);
		twins_run(&t, 2000, 4, 2, 60);	/* and between those */
		twins_run(&t, 2002, 4, 2, 60);
		twins_run(&t, 600, 2, 1, 100);
		twins_close(&t);
	}
}

static void test_replace_where_nothing_is(void)
{
	struct twins t;
	uint32_t i;

	twins_open(&t, &pages);
	twins_begin(&t);
	for (i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(twins_map_how(&t, i * 2, 2, 1 + i % 2,
					      GPMM_MAP_REPLACE), 0);
	CU_ASSERT_EQUAL(twins_map_how(&t, 190, 20, 3, GPMM_MAP_REPLACE), 0);
	twins_run(&t, 210, 2, 2, 40);
	twins_close(&t);
}

/* ----------------------------------------------------------- other changes */

/* Each to do with the areas from cell 60 on, but the one that is all. */
static int change(struct gpmm_txn *txn, const struct shape *shape, int kind)
{
	gpmm_gpa_t at = shape->base + 60 * shape->granule;
	uint64_t cell = shape->granule;
	uint32_t flags = 4;

	switch (kind) {
	case 0:
		return gpmm_txn_protect(txn, at, 4 * cell, gpmm_protect_to,
					&flags);
	case 1:
		return gpmm_txn_split(txn, at + cell);
	case 2:
		return gpmm_txn_merge(txn, at, 20 * cell);
	case 3:
		return gpmm_txn_unmap(txn, at + cell, 8 * cell);
	case 4:
		return gpmm_txn_unmap(txn, at, 2 * cell);
	case 5:
		return gpmm_txn_shrink_left(txn, at, cell);
	case 6:
		return gpmm_txn_shrink_right(txn, at, cell);
	default:
		return gpmm_txn_clear(txn);
	}
}

static void twins_change(struct twins *t, int kind)
{
	struct gpmm_txn *txn = begin(t->each.set);

	CU_ASSERT_EQUAL(change(txn, t->shape, kind), 0);
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
	CU_ASSERT_EQUAL(change(t->txn, t->shape, kind), 0);
}

/* Up to cell 80 and over 60; two are alike where nothing merges by itself. */
static void change_between(const struct shape *shape, int kind)
{
	struct twins t;

	twins_open(&t, shape);
	twins_begin(&t);
	twins_run(&t, 0, 2, 2, 38);
	CU_ASSERT_EQUAL(twins_map(&t, 76, 2, 3), 0);
	CU_ASSERT_EQUAL(twins_map(&t, 78, 2, 3), 0);
	twins_change(&t, kind);
	twins_map(&t, 60, 1, 5);
	twins_map(&t, 61, 1, 5);
	twins_run(&t, 80, 2, 2, 40);
	twins_change(&t, kind);
	twins_run(&t, 160, 2, 2, 40);
	twins_close(&t);
}

static void test_other_changes_between(void)
{
	int s, kind;

	for (s = 0; s < SHAPES; s++)
		for (kind = 0; kind < 4; kind++)
			change_between(shapes[s], kind);
	for (kind = 4; kind < 8; kind++)
		change_between(&pages, kind);
}

/* What the last area was like is not what it is like. */
static void test_the_last_changes(void)
{
	struct twins t;

	twins_open(&t, &pages);
	twins_begin(&t);
	twins_run(&t, 0, 2, 2, 31);
	twins_change(&t, 0);		/* 60 and 61 */
	CU_ASSERT_EQUAL(twins_map(&t, 62, 2, 4), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(t.each.set), 31);
	twins_run(&t, 64, 2, 2, 31);
	CU_ASSERT_EQUAL(twins_map(&t, 126, 2, 1), 0);
	twins_unmap(&t, 126, 2);
	CU_ASSERT_EQUAL(twins_map(&t, 128, 2, 1), 0);
	CU_ASSERT_EQUAL(twins_map(&t, 126, 2, 1), 0);
	twins_close(&t);
}

/* ---------------------------------------------------------------- failures */

/* Each is refused, for the first reason there is, and changes nothing. */
static void refuse_all(struct twins *t, uint32_t cell)
{
	struct gpmm_area area = cells_of(t->shape, cell, 2, 1);

	CU_ASSERT_EQUAL(twins_map(t, cell + 1, 2, 1), -EINVAL);
	CU_ASSERT_EQUAL(twins_map(t, cell, 3, 1), -EINVAL);
	CU_ASSERT_EQUAL(twins_map(t, cell, 0, 1), -EINVAL);
	CU_ASSERT_EQUAL(gpmm_txn_map(t->txn, &area, 8), -EINVAL);
	area.start++;
	CU_ASSERT_EQUAL(gpmm_txn_map(t->txn, &area, 0), -EINVAL);
	CU_ASSERT_EQUAL(gpmm_txn_unmap(t->txn, area.start, PAGE), -EINVAL);
	CU_ASSERT_EQUAL(gpmm_txn_split(t->txn, area.start), -EINVAL);
	CU_ASSERT_EQUAL(gpmm_txn_protect(t->txn, 0, PAGE, NULL, NULL),
			-EINVAL);
	CU_ASSERT_EQUAL(twins_map(t, cell, 2, 1), 0);
	CU_ASSERT_EQUAL(twins_map(t, cell + 1, 2, 1), -EINVAL);
	CU_ASSERT_EQUAL(twins_map(t, cell, 2, 1), -EEXIST);
}

static void test_refused_between(void)
{
	struct twins t;
	uint32_t i;

	twins_open(&t, &pages);
	t.one.mock.be.granule = t.each.mock.be.granule = 2 * PAGE;
	twins_begin(&t);
	for (i = 1; i < 20; i++) {
		twins_run(&t, i * 80, 2, 2, i * 2);
		refuse_all(&t, i * 80 + i * 4);
	}
	twins_close(&t);
}

/* One area is poisoned, which the second's failure leaves behind. */
static void poison(struct world *w, const struct gpmm_area *area)
{
	struct gpmm_area second = *area;
	struct gpmm_txn *txn = begin(w->set);

	second.start += 4 * area->size;
	CU_ASSERT_EQUAL(gpmm_txn_map(txn, area, 0), 0);
	CU_ASSERT_EQUAL(gpmm_txn_map(txn, &second, 0), 0);
	mock_fail(&w->mock, MOCK_MAP | MOCK_UNMAP, 1, 2, -EPERM);
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), -EIO);
	mock_heal(&w->mock);
	CU_ASSERT(gpmm_set_is_poisoned(w->set, area->start, area->size));
}

static void test_poison_between(void)
{
	struct gpmm_area bad = area_of(0x2000, 0x100, 1);
	struct gpmm_txn *txn;
	gpmm_gpa_t at;
	struct world w;

	world_open(&w);
	poison(&w, &bad);
	txn = begin(w.set);
	for (at = 0; at < 0x4000; at += 0x80) {
		struct gpmm_area area = area_of(at, 0x80, 1 + at / 0x80 % 2);

		CU_ASSERT_EQUAL(gpmm_txn_map(txn, &area, 0),
				at - 0x2000 < 0x100 ? -EIO : 0);
	}
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(w.set), 126);
	CU_ASSERT_FALSE(gpmm_set_overlaps(w.set, 0x2000, 0x100));
	CU_ASSERT_EQUAL(gpmm_set_repair(w.set), 0);
	world_close(&w);
}

/* -------------------------------------------------------------------- views */

struct tally {
	gpmm_gpa_t next;	/* one area each 0x20, from 0 on */
	bool wrong;
};

static int count(void *arg, const struct gpmm_area *area)
{
	struct tally *tally = arg;

	tally->wrong |= area->start != tally->next || area->size != 0x10;
	tally->next += 0x20;
	return 0;
}

static bool shows(struct gpmm_txn *txn, uint32_t n)
{
	struct tally tally = { 0, false };

	gpmm_view_for_each(gpmm_txn_view(txn), GPMM_RANGE_ALL, count, &tally);
	return !tally.wrong && tally.next == n * 0x20u;
}

static bool shows_without_memory(struct gpmm_txn *txn, uint32_t n)
{
	bool ret;

	gpmm__alloc_left = 0;
	gpmm__alloc_stay = true;
	ret = shows(txn, n);
	gpmm__alloc_left = -1;
	gpmm__alloc_stay = false;
	return ret;
}

static void test_views_show_everything(void)
{
	struct gpmm_txn *txn;
	struct world w;
	uint32_t n, i;

	world_open(&w);
	for (n = 1; n < 700; n += n / 5 + 1) {
		txn = begin(w.set);
		for (i = 0; i < n; i++)
			CU_ASSERT_EQUAL(txn_put(txn, i * 0x20, 0x10), 0);
		CU_ASSERT(shows_without_memory(txn, n));
		for (; i < n + 40; i++) {
			CU_ASSERT_EQUAL(txn_put(txn, i * 0x20, 0x10), 0);
			if (i % 19 == 0)
				CU_ASSERT(shows_without_memory(txn, i + 1));
		}
		CU_ASSERT(gpmm_set_is_empty(w.set));
		gpmm_txn_abort(txn);
	}
	world_close(&w);
}

/* ------------------------------------------------- memory that is not there */

#define HOST_BASE	((char *)0x100000000000)
#define HOST_SIZE	UINT64_C(0x100000)

static struct gpmm_host *open_host(void)
{
	struct gpmm_host_options options = {
		.kind = GPMM_HOST_USER,
		.size = HOST_SIZE,
		.user = HOST_BASE,
	};
	struct gpmm_host *host = NULL;

	CU_ASSERT_EQUAL_FATAL(gpmm_host_create(&options, &host), 0);
	return host;
}

static struct gpmm_area hosted(struct gpmm_host *host, uint32_t i)
{
	return (struct gpmm_area){ .start = i * 0x20, .size = 0x10,
				   .flags = 1, .host = host,
				   .hva = HOST_BASE + i * 0x20 };
}

/* Map some areas one by one, to begin with. */
static void put_some(struct world *w, struct gpmm_host *host, uint32_t n)
{
	struct gpmm_area area;
	uint32_t i;

	for (i = 0; i < n; i++) {
		area = hosted(host, i);
		CU_ASSERT_EQUAL(gpmm_set_map(w->set, &area, 0), 0);
	}
	CU_ASSERT_EQUAL(gpmm_set_drain(w->set), 0);
}

struct shortage {
	uint32_t before;	/* areas that are there */
	uint32_t more;		/* that are mapped in order */
	bool stay;		/* every allocation fails, from the Nth on */
	bool look;		/* at what is there after the failure */
	bool give_up;
};

/* Map areas, of which one fails at allocation @n. Return: whether one does. */
static bool map_starved(const struct shortage *s, struct gpmm_host *host,
			struct gpmm_txn *txn, long n)
{
	bool struck = false;
	uint32_t i;
	int ret;

	gpmm__alloc_left = n;
	gpmm__alloc_stay = s->stay;
	for (i = s->before; i < s->before + s->more; i++) {
		struct gpmm_area area = hosted(host, i);

		ret = gpmm_txn_map(txn, &area, 0);
		if (ret) {
			CU_ASSERT_EQUAL(ret, -ENOMEM);
			CU_ASSERT_FALSE(struck);
			CU_ASSERT_EQUAL(host->refs, 1 + i);
			gpmm__alloc_left = -1;
			gpmm__alloc_stay = false;
			struck = true;
			if (s->look)
				CU_ASSERT(shows_without_memory(txn, i));
			if (s->give_up)
				break;
			CU_ASSERT_EQUAL(gpmm_txn_map(txn, &area, 0), 0);
		}
	}
	gpmm__alloc_left = -1;
	gpmm__alloc_stay = false;
	return struck;
}

static bool starve(const struct shortage *s, struct gpmm_host *host, long n)
{
	/* A small table: there are hundreds of these. */
	const struct shape shape = { 16, 0, 4096, false };
	uint32_t left = s->before;
	struct gpmm_txn *txn;
	struct world w;
	bool struck;

	open_shape(&w, &shape);
	put_some(&w, host, s->before);
	txn = begin(w.set);
	struck = map_starved(s, host, txn, n);
	if (struck && s->give_up) {
		gpmm_txn_abort(txn);
	} else {
		left += s->more;
		CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
	}
	CU_ASSERT_EQUAL(gpmm_set_len(w.set), left);
	CU_ASSERT_EQUAL(w.mock.acts, left);
	CU_ASSERT_EQUAL(host->refs, 1 + left);
	CU_ASSERT(shows(txn = begin(w.set), left));
	gpmm_txn_abort(txn);
	close_shape(&w);
	CU_ASSERT_EQUAL(host->refs, 1);
	return struck;
}

static void test_every_allocation(void)
{
	static const struct shortage shortages[] = {
		{ .before = 0, .more = 230 },
		{ .before = 0, .more = 230, .stay = true },
		{ .before = 1, .more = 170, .give_up = true },
		{ .before = 50, .more = 170, .look = true },
		{ .before = 700, .more = 230, .look = true, .stay = true },
		{ .before = 700, .more = 700 },
		{ .before = 700, .more = 120, .give_up = true, .stay = true },
	};
	struct gpmm_host *host = open_host();
	unsigned long points = 0;
	size_t i;
	long n;

	for (i = 0; i < sizeof(shortages) / sizeof(shortages[0]); i++) {
		for (n = 0; starve(&shortages[i], host, n); n++)
			points++;
		CU_ASSERT(n > 10);
	}
	printf("\n    %lu failures ", points);
	gpmm_host_put(host);
}

/* ---------------------------------------------------------------- endings */

static void test_abort_gives_references_back(void)
{
	static const uint32_t numbers[] = { 1, 17, 18, 81, 529, 1200 };
	struct gpmm_host *host = open_host();
	struct gpmm_txn *txn;
	struct world w;
	uint32_t i;
	size_t j;

	world_open(&w);
	put_some(&w, host, 3);
	for (j = 0; j < sizeof(numbers) / sizeof(numbers[0]); j++) {
		txn = begin(w.set);
		for (i = 3; i < 3 + numbers[j]; i++) {
			struct gpmm_area area = hosted(host, i);

			CU_ASSERT_EQUAL(gpmm_txn_map(txn, &area, 0), 0);
			CU_ASSERT_EQUAL(host->refs, i + 2);
		}
		gpmm_txn_abort(txn);
		CU_ASSERT_EQUAL(host->refs, 4);
		CU_ASSERT_EQUAL(w.mock.acts, 3);
		CU_ASSERT_EQUAL(gpmm_set_len(w.set), 3);
		CU_ASSERT_EQUAL(gpmm__set_check(w.set), 0);
	}
	world_close(&w);
	CU_ASSERT_EQUAL(host->refs, 1);
	gpmm_host_put(host);
}

/* The backend has enough at the @skip-th area. */
static void commit_in_vain(struct world *w, struct gpmm_host *host,
			   unsigned long skip)
{
	struct gpmm_txn *txn = begin(w->set);
	struct gpmm_area area;
	uint32_t i;

	for (i = 3; i < 123; i++) {
		area = hosted(host, i);
		CU_ASSERT_EQUAL(gpmm_txn_map(txn, &area, 0), 0);
	}
	mock_fail(&w->mock, MOCK_MAP, skip, 1, -EPERM);
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), -EPERM);
	mock_heal(&w->mock);
	CU_ASSERT_EQUAL(host->refs, 4);
	CU_ASSERT_EQUAL(gpmm_set_len(w->set), 3);
	CU_ASSERT_EQUAL(gpmm__set_check(w->set), 0);
	CU_ASSERT(mock_all(&w->mock, 0x60, MOCK_SIZE - 0x60, 0));
}

static void test_commit_fails(void)
{
	struct gpmm_host *host = open_host();
	struct world w;

	world_open(&w);
	put_some(&w, host, 3);
	commit_in_vain(&w, host, 0);
	commit_in_vain(&w, host, 60);
	commit_in_vain(&w, host, 119);
	world_close(&w);
	gpmm_host_put(host);
}

/* A streak ends with its transaction: the hole it was in may be no more. */
static void next_transaction(struct world *w, uint32_t n, bool commit)
{
	struct gpmm_txn *txn = begin(w->set);

	CU_ASSERT_EQUAL(txn_put(txn, 0x8000, 0x10), 0);
	for (uint32_t i = 0; i < n; i++)
		CU_ASSERT_EQUAL(txn_put(txn, i * 0x20, 0x10), 0);
	if (!commit)
		gpmm_txn_abort(txn);
	CU_ASSERT_EQUAL(commit ? gpmm_txn_commit(txn) : 0, 0);
	txn = begin(w->set);
	CU_ASSERT_EQUAL(txn_put(txn, 0x4000, 0x10), 0);
	CU_ASSERT_EQUAL(txn_put(txn, 0x3ff0, 0x20), -EEXIST);
	CU_ASSERT_EQUAL(txn_put(txn, 0x9000, 0x10), 0);
	CU_ASSERT_EQUAL(txn_put(txn, 0x3ff0, 0x8), 0);
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(w->set), 3 + (commit ? n + 1 : 0));
	CU_ASSERT_EQUAL(gpmm_set_clear(w->set), 0);
}

static void test_the_next_transaction(void)
{
	struct world w;
	uint32_t n;

	world_open(&w);
	for (n = 0; n < 90; n++) {
		next_transaction(&w, n, true);
		next_transaction(&w, n, false);
	}
	world_close(&w);
}

/* -------------------------------------------------------------------- cost */

/*
 * Nodes looked at to map @n areas from @start on, by one transaction, of so
 * many @kinds by turns.
 */
static unsigned long cost(struct gpmm_set *set, gpmm_gpa_t start, uint32_t n,
			  uint32_t kinds, uint32_t flags)
{
	struct gpmm_txn *txn = begin(set);
	struct gpmm_area area;
	unsigned long visits;
	uint32_t i;
	int ret = 0;

	gpmm__btree_visits = 0;
	for (i = 0; i < n; i++) {
		area = area_of(start + i * PAGE, PAGE, i % kinds | flags);
		ret |= gpmm_txn_map(txn, &area, 0);
	}
	CU_ASSERT_EQUAL(ret, 0);
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
	visits = gpmm__btree_visits;
	CU_ASSERT_EQUAL(gpmm__set_check(set), 0);
	return visits;
}

/* One way down the tree is one node a level at the least. */
static void test_many_cost_little(void)
{
	uint32_t n = env_long() ? 1000000 : 200000;
	unsigned long empty, between, single;
	struct gpmm_set *set;
	uint32_t i;

	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(NULL, &set), 0);
	empty = cost(set, 0, n, 2, 0);
	CU_ASSERT(cost(set, 3 * n * PAGE, n, 2, 0) < n / 8);
	between = cost(set, n * PAGE, n, 2, 0);
	CU_ASSERT_EQUAL(gpmm_set_len(set), 3 * n);
	gpmm__btree_visits = 0;
	for (i = 0; i < n / 10; i++)
		CU_ASSERT_EQUAL(put(set, (5 * n + i) * PAGE, PAGE, i % 2), 0);
	single = gpmm__btree_visits;
	printf("\n    nodes for %u: %lu, between others %lu, singly %lu ", n,
	       empty, between, single * 10);
	CU_ASSERT(empty < n / 8 && between < n / 8);
	CU_ASSERT(single >= n / 10);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

static void test_alike_cost_little_unmerged(void)
{
	struct gpmm_set_options options = { .no_merge = true };
	struct gpmm_set *set;

	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&options, &set), 0);
	CU_ASSERT(cost(set, 0, 20000, 1, 0) < 20000 / 8);
	CU_ASSERT_EQUAL(gpmm_set_len(set), 20000);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(NULL, &set), 0);
	CU_ASSERT(cost(set, 0, 20000, 1, GPMM_NOMERGE) < 20000 / 8);
	CU_ASSERT_EQUAL(gpmm_set_len(set), 20000);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

/* What fails in between, or is looked at, ends it; it begins anew. */
static void test_it_begins_anew(void)
{
	struct gpmm_txn *txn;
	struct gpmm_set *set;
	uint32_t i;
	int ret = 0;

	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(NULL, &set), 0);
	txn = begin(set);
	gpmm__btree_visits = 0;
	for (i = 0; i < 20000; i++) {
		struct gpmm_area area = area_of(i * PAGE, PAGE, i % 2);

		ret |= gpmm_txn_map(txn, &area, 0);
		if (i % 1000 == 999)
			CU_ASSERT_EQUAL(gpmm_txn_map(txn, &area, 0), -EEXIST);
		if (i % 1000 == 499)
			CU_ASSERT(gpmm_view_find(gpmm_txn_view(txn), i * PAGE,
						 &area));
	}
	CU_ASSERT_EQUAL(ret, 0);
	CU_ASSERT(gpmm__btree_visits < 20000 / 2);
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(set), 20000);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

/* Nodes looked at to give area @i others flags. */
static unsigned long protect_cost(struct gpmm_txn *txn, uint32_t i,
				  uint32_t flags)
{
	gpmm__btree_visits = 0;
	CU_ASSERT_EQUAL(gpmm_txn_protect(txn, i * PAGE, PAGE, gpmm_protect_to,
					 &flags), 0);
	return gpmm__btree_visits;
}

/*
 * The first change copies the way down to a leaf; another there, after which
 * what is kept of the leaf is the same, looks at no node above it again.
 */
static void test_way_is_copied_once(void)
{
	const uint32_t n = 3000, middle = n / 2 / LEAF_CAP * LEAF_CAP + 5;
	unsigned long first, again;
	struct gpmm_txn *txn;
	struct gpmm_set *set;

	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(NULL, &set), 0);
	cost(set, 0, n, 2, 0);
	txn = begin(set);
	CU_ASSERT_EQUAL(root_height(txn->tree.root), 2);
	first = protect_cost(txn, middle, 4);
	again = protect_cost(txn, middle, 5);
	CU_ASSERT_EQUAL(again + 2, first);
	CU_ASSERT_EQUAL(protect_cost(txn, middle, 4), again);
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
	CU_ASSERT_EQUAL(gpmm__set_check(set), 0);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

static void test_memory(void)
{
	struct gpmm_set_stats before, after;
	struct gpmm_txn *txn;
	struct gpmm_set *set;
	uint32_t i;
	int ret = 0;

	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(NULL, &set), 0);
	CU_ASSERT_EQUAL(put(set, 0, PAGE, 1), 0);
	CU_ASSERT_EQUAL(gpmm_set_drain(set), 0);
	gpmm_set_get_stats(set, &before);
	txn = begin(set);
	for (i = 1; i < 100000; i++)
		ret |= txn_put(txn, 2 * i * PAGE, PAGE);
	CU_ASSERT_EQUAL(ret, 0);
	CU_ASSERT(set->txn.run.items.len <= RUN_CAP);
	gpmm_txn_abort(txn);
	CU_ASSERT_EQUAL(gpmm_set_drain(set), 0);
	gpmm_set_get_stats(set, &after);
	CU_ASSERT_EQUAL(after.total_bytes, before.total_bytes);
	CU_ASSERT_EQUAL(after.areas, 1);
	CU_ASSERT_EQUAL(set->txn.run.items.cap, 0);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

/* ------------------------------------------------------------------ random */

/* A set and its model, with the transaction's changes and without. */
struct pair {
	struct world w;
	struct model now, then;
	struct gpmm_txn *txn;
	struct rng rng;
};

static uint32_t draw(struct pair *p, uint32_t n)
{
	return rng_below(&p->rng, n);
}

static gpmm_gpa_t addr_of(const struct pair *p, uint32_t cell)
{
	return p->now.base + cell * p->now.granule;
}

/* Now and then one of the next allocations fails; then it is tried again. */
static int pair_try_map(struct pair *p, const struct gpmm_area *area,
			unsigned int how)
{
	int ret;

	if (!draw(p, 30))
		gpmm__alloc_left = draw(p, 4);
	ret = gpmm_txn_map(p->txn, area, how);
	gpmm__alloc_left = -1;
	return ret == -ENOMEM ? gpmm_txn_map(p->txn, area, how) : ret;
}

static void pair_map(struct pair *p, uint32_t cell, uint32_t cells,
		     uint32_t flags)
{
	unsigned int how = draw(p, 4) ? 0 : GPMM_MAP_REPLACE;
	struct gpmm_area area;

	if (cells > p->now.cells - cell)
		cells = p->now.cells - cell;
	area = area_of(addr_of(p, cell), cells * p->now.granule, flags);
	CU_ASSERT_EQUAL(pair_try_map(p, &area, how),
			model_map(&p->now, &area, how));
}

static void pair_unmap(struct pair *p, uint32_t cell, uint32_t cells)
{
	uint64_t size = cells * p->now.granule;

	CU_ASSERT_EQUAL(gpmm_txn_unmap(p->txn, addr_of(p, cell), size),
			model_unmap(&p->now, addr_of(p, cell), size));
}

/* The model takes its word for a change. */
static bool repaint(void *arg, const struct gpmm_area *area, uint32_t *flags)
{
	*flags = *(uint32_t *)arg;
	return *flags != area->flags;
}

static void pair_protect(struct pair *p, uint32_t cell, uint32_t cells)
{
	uint64_t size = cells * p->now.granule;
	uint32_t flags = 1 + draw(p, 2);

	CU_ASSERT_EQUAL(gpmm_txn_protect(p->txn, addr_of(p, cell), size,
					 repaint, &flags),
			model_protect(&p->now, addr_of(p, cell), size,
				      repaint, &flags));
}

static void pair_compare(struct pair *p)
{
	gpmm_gpa_t where;

	CU_ASSERT_PTR_NULL(model_differs(&p->now, gpmm_txn_view(p->txn),
					 &where));
}

static void pair_anything(struct pair *p)
{
	uint32_t cells = 1 + draw(p, 40);
	uint32_t cell = draw(p, p->now.cells - cells);

	switch (draw(p, 8)) {
	case 0:
		pair_protect(p, cell, cells);
		break;
	case 1:
		pair_compare(p);
		break;
	case 2:
	case 3:
		pair_map(p, cell, cells, 1 + draw(p, 2));
		break;
	default:
		pair_unmap(p, cell, cells);
	}
}

/* Areas in order, from anywhere on, with this and that between them. */
static void pair_run(struct pair *p)
{
	uint32_t cell = draw(p, p->now.cells), gap = draw(p, 3);
	uint32_t n = draw(p, 8) ? draw(p, 100) : 900;
	uint32_t noise = draw(p, 2) ? 25 : 1000;
	uint32_t like = draw(p, 2) ? 40 : 2;

	for (; n && cell < p->now.cells; n--) {
		uint32_t cells = 1 + draw(p, 2);

		if (!draw(p, noise))
			pair_anything(p);
		pair_map(p, cell, cells, draw(p, like) ? 1 + n % 2 : 1);
		cell += cells + draw(p, gap + 1);
	}
}

static void pair_end(struct pair *p)
{
	int ret;

	if (!draw(p, 8)) {
		gpmm_txn_abort(p->txn);
		model_copy(&p->now, &p->then);
		return;
	}
	if (!draw(p, 6))
		mock_fail(&p->w.mock, MOCK_ACTS, draw(p, 200), 1, -EPERM);
	ret = gpmm_txn_commit(p->txn);
	mock_heal(&p->w.mock);
	CU_ASSERT_EQUAL(ret, p->w.mock.failed ? -EPERM : 0);
	p->w.mock.failed = 0;
	if (ret)
		model_copy(&p->now, &p->then);
	else
		model_copy(&p->then, &p->now);
}

static void pair_transaction(struct pair *p)
{
	gpmm_gpa_t where;
	uint32_t n;

	p->txn = begin(p->w.set);
	if (!draw(p, 20)) {
		CU_ASSERT_EQUAL(gpmm_txn_clear(p->txn), 0);
		model_clear(&p->now);
	}
	for (n = 1 + draw(p, 4); n--;) {
		pair_run(p);
		if (!draw(p, 2))
			pair_unmap(p, draw(p, 100), 1 + draw(p, 1900));
	}
	pair_end(p);
	CU_ASSERT_EQUAL(gpmm__set_check(p->w.set), 0);
	gpmm_read_lock();
	CU_ASSERT_PTR_NULL(model_differs(&p->now,
					 gpmm_set_view_rcu(p->w.set), &where));
	gpmm_read_unlock();
}

static void test_beside_the_model(void)
{
	int n = env_long() ? 1200 : 60, s, i;
	uint64_t seed = env_seed();
	static struct pair p;
	struct shape shape;

	for (s = 0; s < SHAPES; s++) {
		shape = *shapes[s];
		if (shape.base + shape.granule * shape.cells == 0)
			shape.base += shape.granule * (shape.cells - 2048);
		shape.cells = 2048;
		open_shape(&p.w, &shape);
		p.w.mock.logging = false;
		p.rng.state = seed + (unsigned int)s;
		model_init(&p.now, shape.base, shape.granule, shape.cells,
			   shape.no_merge, &p.w.mock.be);
		model_init(&p.then, shape.base, shape.granule, shape.cells,
			   shape.no_merge, &p.w.mock.be);
		for (i = 0; i < n; i++)
			pair_transaction(&p);
		model_fini(&p.now);
		model_fini(&p.then);
		close_shape(&p.w);
	}
}

int main(void)
{
	static const struct suite_test tests[] = {
		{ "any number in order is as each by itself",
		  test_any_number },
		{ "areas in order up to the last byte there is",
		  test_up_to_the_last_byte },
		{ "a small set grows by areas in order", test_small_sets_grow },
		{ "areas in order go into a hole of a large set",
		  test_into_a_large_set },
		{ "the last one in a hole may touch, join or overlap the next",
		  test_end_of_the_hole },
		{ "a hole gets smaller, or other, between two areas",
		  test_a_hole_that_gets_smaller },
		{ "a replace ends a streak", test_a_replace_ends_a_streak },
		{ "areas alike that run on become one",
		  test_alike_areas_become_one },
		{ "the backend is asked about merging those alone",
		  test_backend_is_asked_about_alike_areas_alone },
		{ "half in order, backwards, by turns", test_other_orders },
		{ "a replace of nothing is a map",
		  test_replace_where_nothing_is },
		{ "any other change finds those before it",
		  test_other_changes_between },
		{ "the last one changes before the next comes",
		  test_the_last_changes },
		{ "what is refused in between changes nothing",
		  test_refused_between },
		{ "poison in between is refused alone", test_poison_between },
		{ "a view shows everything, and needs no memory",
		  test_views_show_everything },
		{ "the Nth allocation fails, and it goes on",
		  test_every_allocation },
		{ "abort gives the references back",
		  test_abort_gives_references_back },
		{ "a commit that fails leaves nothing", test_commit_fails },
		{ "the next transaction knows nothing of it",
		  test_the_next_transaction },
		{ "many in order cost little", test_many_cost_little },
		{ "areas alike cost as little where none merge",
		  test_alike_cost_little_unmerged },
		{ "after something else it begins anew", test_it_begins_anew },
		{ "a way is copied once", test_way_is_copied_once },
		{ "few wait at once, and drain gives their memory back",
		  test_memory },
		{ "a random mix is the model", test_beside_the_model },
		{ 0 },
	};

	return suite_run("txn_order", tests);
}
