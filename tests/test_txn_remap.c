/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Areas that a transaction unmaps and then maps again, or others in their
 * exact places: the tree changes as little as it must, and nobody can tell
 * otherwise.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/btree_check.h"
#include "core/set.h"
#include "helpers/lab.h"
#include "helpers/model.h"
#include "helpers/rng.h"
#include "helpers/suite.h"
#include "host/host.h"

#define PAGE	UINT64_C(0x1000)
#define STRIDE	UINT64_C(0x4000)
#define TIB8	(NARROW_LAST * PAGE + PAGE)

/* One leaf, a flat one, several, a tall top over them, and one level more. */
static const unsigned int sizes[] = { 10, 40, 200, 700, 3000 };
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]), MOST = 3000 };

/* ------------------------------------------------------------- shorthands */

static struct gpmm_txn *begin(struct gpmm_set *set)
{
	struct gpmm_txn *txn = NULL;

	CU_ASSERT_EQUAL_FATAL(gpmm_txn_begin(set, &txn), 0);
	return txn;
}

static int put_page(struct gpmm_txn *txn, gpmm_gpa_t at, uint32_t flags)
{
	struct gpmm_area area = area_of(at, PAGE, flags);

	return gpmm_txn_map(txn, &area, 0);
}

static void put_in(struct gpmm_txn *txn, unsigned int i, uint32_t flags)
{
	CU_ASSERT_EQUAL(put_page(txn, i * STRIDE, flags), 0);
}

static void take_out(struct gpmm_txn *txn, unsigned int i)
{
	CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, i * STRIDE, PAGE), 0);
}

/* Areas 0 to @n - 1, a stride apart, with flags of 1. */
static struct gpmm_set *make_set(unsigned int n)
{
	struct gpmm_set *set;
	struct gpmm_txn *txn;

	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(NULL, &set), 0);
	txn = begin(set);
	for (unsigned int i = 0; i < n; i++)
		put_in(txn, i, 1);
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
	return set;
}

static bool sees(struct gpmm_view view, unsigned int i, uint32_t flags)
{
	struct gpmm_area area;

	return gpmm_view_find(view, i * STRIDE, &area) &&
	       area.start == i * STRIDE && area.size == PAGE &&
	       area.flags == flags;
}

/* What is done first is done at once: flags of area 0. */
static struct gpmm_txn *begin_changed(struct gpmm_set *set)
{
	struct gpmm_txn *txn = begin(set);
	uint32_t flags = sees(gpmm_txn_view(txn), 0, 8) ? 9 : 8;

	CU_ASSERT_EQUAL(gpmm_txn_protect(txn, 0, PAGE, gpmm_protect_to,
					 &flags), 0);
	CU_ASSERT(txn->changed);
	return txn;
}

static unsigned int waiting(const struct gpmm_set *set)
{
	return set->txn.pending ? set->txn.pending->len : 0;
}

/* Once nothing waits, no nodes are kept for it. */
static bool keeps_none(const struct btree *tree)
{
	size_t sum = 0;

	for (unsigned int class = 0; class < NODE_CLASSES; class++)
		sum += tree->kept[class];
	return !sum;
}

/* Is the transaction's tree whole, and does it have this many areas? */
static bool is_whole(struct gpmm_txn *txn, size_t n)
{
	size_t items = 0;

	return !gpmm__btree_check(gpmm_txn_view(txn).root, &items) &&
	       items == n && txn->areas == n && keeps_none(&txn->tree);
}

static void close_set(struct gpmm_set *set)
{
	CU_ASSERT_EQUAL(gpmm__set_check(set), 0);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

/* ---------------------------------------------------------- the same area */

static const struct gpmm_record *record_of(struct gpmm_set *set, unsigned int i)
{
	return set_hit(set, i * STRIDE).record;
}

/* Areas on either side of the middle, all of which may wait at once. */
static unsigned int nth_of_three(unsigned int n, unsigned int i)
{
	return n / 2 - 1 + i;
}

static void check_same_nodes(unsigned int n)
{
	struct gpmm_set *set = make_set(n);
	const struct gpmm_record *record[3];
	struct gpmm_txn *txn;
	unsigned int i;
	size_t retired;

	for (i = 0; i < 3; i++)
		record[i] = record_of(set, nth_of_three(n, i));
	txn = begin_changed(set);
	retired = set->txn.tree.retired.bytes;
	for (i = 0; i < 3; i++)
		take_out(txn, nth_of_three(n, i));
	CU_ASSERT_EQUAL(waiting(set), 3);
	for (i = 3; i--;)
		put_in(txn, nth_of_three(n, i), 1);
	CU_ASSERT(is_whole(txn, n));
	CU_ASSERT_EQUAL(set->txn.tree.retired.bytes, retired);
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
	/* Of a leaf that is no flat one area 0 has made a copy. */
	for (i = 0; n > LEAF_CAP && i < 3; i++)
		CU_ASSERT_PTR_EQUAL(record_of(set, nth_of_three(n, i)),
				    record[i]);
	CU_ASSERT_EQUAL(gpmm_set_len(set), n);
	close_set(set);
}

static void test_same_area_leaves_nodes(void)
{
	for (unsigned int i = 0; i < SIZES; i++)
		check_same_nodes(sizes[i]);
}

/* A flat leaf's block has a place taken for area 0 alone. */
static void test_same_area_takes_no_place(void)
{
	struct gpmm_set *set = make_set(40);
	const struct leaf_flat *leaf;
	struct gpmm_txn *txn;
	uint32_t used;

	txn = begin_changed(set);
	leaf = root_node(gpmm_txn_view(txn).root);
	used = leaf->used;
	take_out(txn, 5);
	put_in(txn, 5, 1);
	CU_ASSERT_EQUAL(((struct leaf_flat *)
			 root_node(gpmm_txn_view(txn).root))->used, used);
	take_out(txn, 5);
	put_in(txn, 5, 2);
	CU_ASSERT_EQUAL(((struct leaf_flat *)
			 root_node(gpmm_txn_view(txn).root))->used, used + 1);
	gpmm_txn_abort(txn);
	close_set(set);
}

static uint32_t places_used(const struct gpmm_set *set)
{
	return ((struct leaf_flat *)root_node(set->txn.tree.root))->used;
}

/* One half could merge with the other; what came in its place could not. */
static void test_same_area_again_takes_no_place(void)
{
	struct gpmm_set *set = make_set(40);
	struct gpmm_txn *txn;
	uint32_t used;

	CU_ASSERT_EQUAL(put(set, 50 * STRIDE, 2 * PAGE, 1), 0);
	CU_ASSERT_EQUAL(gpmm_set_split(set, 50 * STRIDE + PAGE), 0);
	txn = begin_changed(set);
	take_out(txn, 50);
	put_in(txn, 50, 2);
	used = places_used(set);
	take_out(txn, 50);
	put_in(txn, 50, 2);
	CU_ASSERT_EQUAL(waiting(set), 1);
	CU_ASSERT_EQUAL(places_used(set), used);
	CU_ASSERT(is_whole(txn, 42));
	gpmm_txn_abort(txn);
	close_set(set);
}

/* ------------------------------------------------------------------ another */

/* Each that is not quite as what was there. */
static struct gpmm_area variant(struct lab *lab, unsigned int i)
{
	struct gpmm_area area = lab_area(lab, LAB_TXN, 0x6000, 0x1000, 2, 1);

	if (i == 1)
		area.flags = 1;
	if (i == 2)
		area = lab_area(lab, LAB_TXN, 0x6000, 0x1000, 2, 0);
	if (i == 3)
		area.hva = (char *)area.hva + 0x800;
	if (i == 4)
		area.backend = &lab->mock[LAB_PLAIN].be;
	if (i == 5)
		area = lab_area(lab, LAB_TXN, 0x6000, 0x1000, 2, -1);
	if (i == 6) {
		area = lab_area(lab, LAB_TXN, 0x6000, 0x1000, 2, -1);
		area.owner = lab;
	}
	return area;
}
enum { VARIANTS = 7 };

static bool has(struct gpmm_view view, const struct gpmm_area *expected)
{
	struct gpmm_area area;

	return gpmm_view_find(view, expected->start, &area) &&
	       area_equal(&area, expected);
}

static void check_variant(struct lab *lab, unsigned int from, unsigned int to)
{
	struct gpmm_area was = variant(lab, from), is = variant(lab, to);
	struct gpmm_txn *txn;

	CU_ASSERT_EQUAL(gpmm_set_map(lab->set, &was, GPMM_MAP_REPLACE), 0);
	txn = begin(lab->set);
	CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, lab->base + 0x9000, 0x1000), 0);
	CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, is.start, is.size), 0);
	CU_ASSERT_EQUAL(waiting(lab->set), 1);
	CU_ASSERT_EQUAL(gpmm_txn_map(txn, &is, 0), 0);
	CU_ASSERT_EQUAL(waiting(lab->set), 1);
	CU_ASSERT(has(gpmm_set_view_rcu(lab->set), &was));
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
	CU_ASSERT(has(gpmm_set_view_rcu(lab->set), &is));
}

static void test_another_area_is_seen_whole(void)
{
	static const unsigned int more[] = { 0, 40, 300 };
	struct lab lab;

	lab_open(&lab, 0);
	for (unsigned int i = 0; i < 3; i++)
		for (unsigned int v = 0; v < VARIANTS * VARIANTS; v++) {
			lab_fill(&lab, more[i]);
			check_variant(&lab, v / VARIANTS, v % VARIANTS);
			lab_empty(&lab);
		}
	lab_close(&lab);
}

/* --------------------------------------------------------- every sequence */

/* Three areas side by side, and one more on either side that is not like. */
enum {
	ALTERNATE,	/* the one in the middle is not like the others */
	UNMERGED,	/* alike, in a set that merges nothing */
	SPLIT,		/* alike, halves that were split */
	NOMERGE,	/* alike, with GPMM_NOMERGE */
	HOLE,		/* alike, without the one in the middle */
	STYLES,
};

struct row {
	struct gpmm_set *set;
	gpmm_gpa_t base;	/* of the one before the three */
	unsigned int n;
	unsigned int style;
	struct model was, now;
};

enum { CELLS = 10, REQUESTS = 15 };

/* In cells, two an area; flags of 0 unmap. The last takes a view. */
static const struct {
	unsigned int from, cells;
	uint32_t flags;
	unsigned int how;
} row_requests[REQUESTS] = {
	{ 2, 2, 0, 0 }, { 4, 2, 0, 0 }, { 6, 2, 0, 0 },
	{ 2, 2, 1, 0 }, { 4, 2, 1, 0 }, { 6, 2, 1, 0 },
	{ 2, 2, 2, 0 }, { 4, 2, 2, 0 }, { 6, 2, 2, 0 },
	{ 4, 2, 2, GPMM_MAP_REPLACE },	/* over one */
	{ 3, 2, 1, GPMM_MAP_REPLACE },	/* over halves of two */
	{ 3, 2, 1, 0 },
	{ 5, 1, 0, 0 },			/* half of one */
	{ 2, 4, 0, 0 },			/* two, or one and nothing */
	{ 0, 0, 0, 0 },
};

static void row_map(struct row *row, struct gpmm_area area, unsigned int how)
{
	int ret;

	if (row->style == NOMERGE)
		area.flags |= GPMM_NOMERGE;
	row->now.merged = false;
	ret = gpmm_txn_map(&row->set->txn, &area, how);
	CU_ASSERT_EQUAL(ret, model_map(&row->now, &area, how));
	if (row->now.merged)
		model_settle(&row->now, gpmm_txn_view(&row->set->txn));
}

static void row_request(struct row *row, unsigned int i)
{
	gpmm_gpa_t start = row->base + row_requests[i].from * PAGE;
	uint64_t size = row_requests[i].cells * PAGE;
	uint32_t flags = row_requests[i].flags;

	if (!size) {
		gpmm_txn_view(&row->set->txn);
	} else if (flags) {
		row_map(row, area_of(start, size, flags), row_requests[i].how);
	} else {
		CU_ASSERT_EQUAL(gpmm_txn_unmap(&row->set->txn, start, size), 0);
		CU_ASSERT_EQUAL(model_unmap(&row->now, start, size), 0);
	}
}

/* Is what the transaction has there the model, and are the others there? */
static bool row_agrees(const struct row *row)
{
	struct gpmm_view view = gpmm_txn_view(&row->set->txn);
	gpmm_gpa_t end = row->base + CELLS * PAGE;
	struct gpmm_area area, expected;
	struct gpmm_iter it;
	uint32_t i = 0;

	gpmm_iter_init(&it, view, row->base);
	while (model_next(&row->now, &i, &expected))
		if (!gpmm_iter_next(&it, &area) ||
		    !area_equal(&area, &expected))
			return false;
	if (gpmm_iter_next(&it, &area) && area.start < end)
		return false;
	return is_whole(&row->set->txn,
			row->n - 5 + model_len(&row->now));
}

static void row_sequence(struct row *row, unsigned int length,
			 unsigned int code)
{
	unsigned int left = code;
	uint32_t flags = 16;
	gpmm_gpa_t far = (row->n - 1) * 2 * PAGE;

	begin(row->set);
	CU_ASSERT_EQUAL(gpmm_txn_protect(&row->set->txn, far, 2 * PAGE,
					 gpmm_protect_to, &flags), 0);
	model_copy(&row->now, &row->was);
	for (unsigned int i = 0; i < length; i++, left /= REQUESTS)
		row_request(row, left % REQUESTS);
	if (!row_agrees(row)) {
		printf("    style %u of %u: code %u\n", row->style, row->n,
		       code);
		CU_FAIL("a sequence comes to something else");
	}
	gpmm_txn_abort(&row->set->txn);
}

/* Cut them where they have merged. */
static void row_split(struct row *row)
{
	for (unsigned int cell = 4; cell <= 6; cell += 2) {
		gpmm_gpa_t at = row->base + cell * PAGE;

		CU_ASSERT_EQUAL(gpmm_txn_split(&row->set->txn, at), 0);
		CU_ASSERT_EQUAL(model_split(&row->now, at), 0);
	}
}

/* Area @i of all, the three of which it is about from area @at on. */
static void row_put(struct row *row, unsigned int i, unsigned int at)
{
	bool middle = i == at + 1, one = i >= at && i < at + 3;
	uint32_t flags = one ? 1 + (row->style == ALTERNATE && middle) :
			       4 << i % 2;
	struct gpmm_area area = area_of(i * 2 * PAGE, 2 * PAGE, flags);

	if (row->style == HOLE && middle)
		return;
	if (i + 1 >= at && i <= at + 3)
		row_map(row, area, 0);
	else
		CU_ASSERT_EQUAL(gpmm_txn_map(&row->set->txn, &area, 0), 0);
}

/* @n areas side by side. */
static void row_open(struct row *row, unsigned int n, unsigned int at,
		     unsigned int style)
{
	struct gpmm_set_options options = { .no_merge = style == UNMERGED };
	struct gpmm_backend *none = gpmm_backend_none();

	*row = (struct row){ .base = (at - 1) * 2 * PAGE, .n = n,
			     .style = style };
	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&options, &row->set), 0);
	model_init(&row->was, row->base, PAGE, CELLS, style == UNMERGED, none);
	model_init(&row->now, row->base, PAGE, CELLS, style == UNMERGED, none);
	begin(row->set);
	for (unsigned int i = 0; i < n; i++)
		row_put(row, i, at);
	if (style == SPLIT)
		row_split(row);
	CU_ASSERT_EQUAL_FATAL(gpmm_txn_commit(&row->set->txn), 0);
	model_copy(&row->was, &row->now);
	CU_ASSERT_EQUAL_FATAL(gpmm_set_len(row->set), n - (style == HOLE));
	CU_ASSERT_EQUAL_FATAL(model_len(&row->was), 5 - (style == HOLE));
}

static void row_close(struct row *row)
{
	close_set(row->set);
	model_fini(&row->was);
	model_fini(&row->now);
}

static void check_sequences(unsigned int n, unsigned int at)
{
	unsigned int length = env_long() ? 5 : 4, codes = 1;
	struct row row;

	for (unsigned int i = 0; i < length; i++)
		codes *= REQUESTS;
	for (unsigned int style = 0; style < STYLES; style++) {
		row_open(&row, n, at, style);
		for (unsigned int code = 0; code < codes; code++)
			row_sequence(&row, length, code);
		row_close(&row);
	}
}

static void test_every_sequence(void)
{
	check_sequences(12, 4);
	check_sequences(40, 4);
	check_sequences(100, 4);
}

/* The first leaf ends behind the first, and behind the second. */
static void test_every_sequence_in_two_leaves(void)
{
	check_sequences(100, 15);
	check_sequences(100, 14);
}

/* ---------------------------------------------------------------- how many */

static void test_again_and_again(void)
{
	for (unsigned int s = 0; s < SIZES; s++) {
		struct gpmm_set *set = make_set(sizes[s]);
		unsigned int at = sizes[s] / 2, i;
		struct gpmm_txn *txn = begin_changed(set);

		for (i = 0; i < 50; i++) {
			take_out(txn, at);
			CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, at * STRIDE,
						       PAGE), 0);
			CU_ASSERT_EQUAL(set->txn.pending->gone, 1);
			/* Nothing is nothing. */
			CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, at * STRIDE + PAGE,
						       PAGE), 0);
			put_in(txn, at, 1 + i % 2);
			CU_ASSERT_EQUAL(waiting(set), 1);
			CU_ASSERT_EQUAL(set->txn.pending->gone, 0);
		}
		CU_ASSERT_EQUAL(txn->areas, sizes[s]);
		CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
		CU_ASSERT(sees(gpmm_set_view_rcu(set), at, 2));
		close_set(set);
	}
}

/* Of 3000 areas every tenth, in one way or another, ends up as it was. */
static void remap_many(struct gpmm_set *set, unsigned int group, uint32_t flags)
{
	struct gpmm_txn *txn = begin_changed(set);

	for (unsigned int i = 1; i + group < MOST; i += group) {
		for (unsigned int k = i; k < i + group; k += 10)
			take_out(txn, k);
		CU_ASSERT(waiting(set) <= PENDING_CAP);
		for (unsigned int k = i; k < i + group; k += 10)
			put_in(txn, k, flags);
	}
	CU_ASSERT(is_whole(txn, MOST));
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
}

static void test_more_than_can_wait(void)
{
	static const unsigned int groups[] = { 10, 500, 640, 650, 660, 1400 };
	struct gpmm_set *set = make_set(MOST);

	for (unsigned int i = 0; i < 6; i++)
		for (uint32_t flags = 1; flags < 4; flags++) {
			unsigned int end = (MOST - 2) / groups[i] * groups[i];

			remap_many(set, groups[i], flags);
			for (unsigned int k = 1; k < end; k += 10)
				CU_ASSERT(sees(gpmm_set_view_rcu(set), k,
					       flags));
			CU_ASSERT_EQUAL(gpmm__set_check(set), 0);
		}
	close_set(set);
}

/*
 * It is no laying out anew: after a while each goes at once. What went before
 * a view was looked at does not count.
 */
static void test_only_taking_away(void)
{
	struct gpmm_set *set = make_set(MOST);
	struct gpmm_txn *txn = begin_changed(set);
	unsigned int i, waited = 0;

	for (i = 1; i < MOST; i += 10) {
		if (i == 51)
			gpmm_txn_view(txn);
		take_out(txn, i);
		waited += waiting(set) > 0;
	}
	CU_ASSERT_EQUAL(waited, 5 + PENDING_CAP);
	CU_ASSERT(is_whole(txn, MOST - MOST / 10));
	/* The next is a new one. */
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(set), MOST - MOST / 10);
	txn = begin_changed(set);
	take_out(txn, 2);
	CU_ASSERT_EQUAL(waiting(set), 1);
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(set), MOST - MOST / 10 - 1);
	close_set(set);
}

/* Who maps others elsewhere takes away as well; what comes back counts not. */
static void test_what_comes_back_was_not_taken_away(void)
{
	struct gpmm_set *set = make_set(MOST);
	struct gpmm_txn *txn = begin_changed(set);

	for (unsigned int i = 1; i <= 3 * PENDING_CAP; i++) {
		take_out(txn, i * 10);
		put_in(txn, i * 10, 1);
	}
	CU_ASSERT_EQUAL(set->txn.pending->gone, 0);
	take_out(txn, 5);
	CU_ASSERT(waiting(set) > 0);
	gpmm_txn_abort(txn);
	close_set(set);
}

/* What was there for a while is nothing that another could merge with. */
static void test_neighbour_of_what_has_gone_again(void)
{
	struct gpmm_set *set = make_set(40);
	struct gpmm_txn *txn = begin_changed(set);

	take_out(txn, 5);
	put_in(txn, 5, 2);
	take_out(txn, 5);
	CU_ASSERT_EQUAL(put_page(txn, 5 * STRIDE + PAGE, 2), 0);
	CU_ASSERT_EQUAL(put_page(txn, 5 * STRIDE - PAGE, 2), 0);
	CU_ASSERT(is_whole(txn, 41));
	gpmm_txn_abort(txn);
	close_set(set);
}

/* Those of a set that merges nothing, and the next leaf's, are no hindrance. */
static void test_neighbours_alike_in_a_set_that_merges_nothing(void)
{
	struct gpmm_set_options options = { .no_merge = true };
	struct gpmm_set *set;
	struct gpmm_txn *txn;

	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&options, &set), 0);
	for (unsigned int i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(put(set, i * PAGE, PAGE, 1), 0);
	txn = begin_changed(set);
	for (unsigned int i = 14; i < 18; i++)
		CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, i * PAGE, PAGE), 0);
	for (unsigned int i = 14; i < 18; i++)
		CU_ASSERT_EQUAL(put_page(txn, i * PAGE, 1 + i / 16), 0);
	CU_ASSERT_EQUAL(waiting(set), 4);
	CU_ASSERT(is_whole(txn, 100));
	gpmm_txn_abort(txn);
	close_set(set);
}

/* --------------------------------------------------------------- leaves */

/*
 * All but two of @n become others at once: the leaf's block has no room for
 * them, and where @n is large nor has the next. All may go before the first
 * comes back. One more comes meanwhile, or does not.
 */
static void replace_round(struct gpmm_set *set, unsigned int n,
			  unsigned int round)
{
	struct gpmm_txn *txn = begin_changed(set);
	bool more = round % 2, all = round & 2;
	struct snapshot before;
	unsigned int i;

	snapshot_take(&before, set);
	for (i = 1; all && i < n - 1; i++)
		take_out(txn, i);
	if (more && all)
		CU_ASSERT_EQUAL(put_page(txn, 2 * PAGE, 1), 0);
	for (i = 1; i < n - 1; i++) {
		if (!all)
			take_out(txn, i);
		put_in(txn, i, 1 + (i + round) % 3);
	}
	CU_ASSERT_EQUAL(waiting(set), n - 2);
	if (more && !all)
		CU_ASSERT_EQUAL(put_page(txn, 2 * PAGE, 1), 0);
	CU_ASSERT_EQUAL(waiting(set), n - 2);
	CU_ASSERT(is_whole(txn, n + more));
	CU_ASSERT(snapshot_holds(&before, set));
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
	for (i = 1; i < n - 1; i++)
		CU_ASSERT(sees(gpmm_set_view_rcu(set), i, 1 + (i + round) % 3));
	CU_ASSERT_EQUAL(gpmm__set_check(set), 0);
	CU_ASSERT_EQUAL(gpmm_set_unmap(set, 2 * PAGE, PAGE), 0);
	snapshot_free(&before);
}

static void test_flat_leaf_round_after_round(void)
{
	for (unsigned int n = 18; n < FLAT_CAP; n++) {
		struct gpmm_set *set = make_set(n);

		for (unsigned int round = 0; round < 20; round++)
			replace_round(set, n, round);
		close_set(set);
	}
}

/* All but one may wait in a tree of one leaf; what stays is never empty. */
static void test_all_of_one_leaf(void)
{
	static const unsigned int few[] = { 1, 2, 3, 10, 16, 17, 40, 64 };

	for (unsigned int s = 0; s < 8; s++) {
		struct gpmm_set *set = make_set(few[s]);
		struct gpmm_txn *txn = begin_changed(set);
		unsigned int i;

		for (i = 0; i < few[s]; i++) {
			take_out(txn, i);
			CU_ASSERT_EQUAL(waiting(set),
					i + 1 < few[s] ? i + 1 : 0);
		}
		CU_ASSERT_EQUAL(txn->areas, 0);
		for (i = few[s]; i--;)
			put_in(txn, i, 1);
		CU_ASSERT(is_whole(txn, few[s]));
		CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
		CU_ASSERT_EQUAL(gpmm_set_len(set), few[s]);
		close_set(set);
	}
}

/*
 * Where all but the first child goes at once, that is the top, and published:
 * what waits copies it. What comes beside finds the copy.
 */
static void check_top_that_is_left(unsigned int n, unsigned int left)
{
	struct gpmm_set *set = make_set(n);
	struct gpmm_txn *txn;

	CU_ASSERT_EQUAL(gpmm_set_unmap(set, 8 * STRIDE, PAGE), 0);
	txn = begin(set);
	CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, left * STRIDE,
				       (n - left) * STRIDE), 0);
	CU_ASSERT_FALSE(node_is_of(root_node(set->txn.tree.root),
				   set->txn.tree.stamp));
	take_out(txn, 5);
	put_in(txn, 5, 2);
	CU_ASSERT_EQUAL(put_page(txn, 7 * STRIDE + 2 * PAGE, 3), 0);
	CU_ASSERT_EQUAL(waiting(set), 1);
	CU_ASSERT(is_whole(txn, left));
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
	CU_ASSERT(sees(gpmm_set_view_rcu(set), 5, 2));
	close_set(set);
}

static void test_top_that_is_left(void)
{
	check_top_that_is_left(65, 16);
	check_top_that_is_left(3000, 512);
}

enum { LEAF_AT = 32 };	/* the first area of the third leaf */

/* How what was taken out of the leaf comes back. */
static void refill(struct gpmm_txn *txn, unsigned int k, unsigned int how)
{
	for (unsigned int i = 0; i < k; i++)
		if (how == 1 || how == 2 || (how == 3 && i % 2))
			put_in(txn, LEAF_AT + i, how);
}

/* A leaf of @len among others, of which @k go, and come back or not. */
static void check_leaf(unsigned int len, unsigned int k, unsigned int how)
{
	unsigned int n = 112 - (LEAF_CAP - len), i;
	unsigned int back = how == 3 ? k / 2 : how ? k : 0;
	struct gpmm_set *set = make_set(112);
	struct gpmm_txn *txn;

	for (i = len; i < LEAF_CAP; i++)
		CU_ASSERT_EQUAL(gpmm_set_unmap(set, (LEAF_AT + i) * STRIDE,
					       PAGE), 0);
	txn = begin_changed(set);
	for (i = 0; i < k; i++)
		take_out(txn, LEAF_AT + i);
	if (k <= len - LEAF_MIN)
		CU_ASSERT_EQUAL(waiting(set), k);
	if (k == len - LEAF_MIN + 1)
		CU_ASSERT_EQUAL(waiting(set), 0);
	refill(txn, k, how);
	CU_ASSERT(is_whole(txn, n - k + back));
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(set), n - k + back);
	close_set(set);
}

static void test_leaf_near_its_least(void)
{
	for (unsigned int len = LEAF_MIN; len <= LEAF_CAP; len++)
		for (unsigned int k = 1; k <= len; k++)
			for (unsigned int how = 0; how < 4; how++)
				check_leaf(len, k, how);
}

/* Others come into a full leaf, and it splits, while its areas wait. */
static void test_leaf_fills_while_areas_wait(void)
{
	for (unsigned int s = 0; s < SIZES; s++) {
		struct gpmm_set *set = make_set(sizes[s]);
		unsigned int i, waited = 0;
		struct gpmm_txn *txn;
		size_t len;

		CU_ASSERT_EQUAL(gpmm_set_unmap(set, 9 * STRIDE, 3 * STRIDE), 0);
		len = gpmm_set_len(set);
		txn = begin_changed(set);
		take_out(txn, 2);
		take_out(txn, 4);
		put_in(txn, 4, 2);
		for (i = 0; i < 24; i++) {
			CU_ASSERT_EQUAL(put_page(txn, (1 + i % 8) * STRIDE +
						      (1 + i / 8) * PAGE,
						 4 << i / 8), 0);
			waited += waiting(set) > 0;
		}
		/* A flat leaf has room for all of them. */
		CU_ASSERT(sizes[s] == 40 ? waited == 24 :
					   waited > 0 && waited < 24);
		CU_ASSERT(is_whole(txn, len - 1 + 24));
		CU_ASSERT(sees(gpmm_txn_view(txn), 4, 2));
		CU_ASSERT_FALSE(gpmm_view_find(gpmm_txn_view(txn), 2 * STRIDE,
					       NULL));
		CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
		close_set(set);
	}
}

/* No edge of what is gone is cut, wherever its backend would have it. */
static void test_part_of_what_is_gone(void)
{
	struct gpmm_set *set = make_set(40);
	struct gpmm_area area = area_of(2 * PAGE, 2 * PAGE, 1);
	struct gpmm_txn *txn;
	struct mock coarse;

	mock_init_at(&coarse, 0, 2 * PAGE, 2, false);
	area.backend = &coarse.be;
	CU_ASSERT_EQUAL(gpmm_set_map(set, &area, 0), 0);
	txn = begin_changed(set);
	CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, 3 * PAGE, PAGE), -EINVAL);
	CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, 2 * PAGE, 2 * PAGE), 0);
	CU_ASSERT_EQUAL(waiting(set), 1);
	CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, 3 * PAGE, PAGE), 0);
	CU_ASSERT_EQUAL(put_page(txn, 3 * PAGE, 2), 0);
	CU_ASSERT(is_whole(txn, 41));
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
	CU_ASSERT(found(set, 3 * PAGE, 3 * PAGE, PAGE, 2));
	close_set(set);
	CU_ASSERT_PTR_NULL(coarse.complaint);
	mock_fini(&coarse);
}

static void test_clear_while_areas_wait(void)
{
	for (unsigned int s = 0; s < SIZES; s++) {
		struct gpmm_set *set = make_set(sizes[s]);
		struct gpmm_txn *txn = begin_changed(set);

		take_out(txn, 2);
		take_out(txn, 4);
		put_in(txn, 4, 2);
		CU_ASSERT_EQUAL(gpmm_txn_clear(txn), 0);
		CU_ASSERT(is_whole(txn, 0));
		put_in(txn, 2, 3);
		CU_ASSERT(is_whole(txn, 1));
		CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
		CU_ASSERT(sees(gpmm_set_view_rcu(set), 2, 3));
		close_set(set);
	}
}

/* ----------------------------------------------------------------- edges */

/* The first granule, and the last that narrow keys reach. */
static void test_first_and_last_granule(void)
{
	for (unsigned int s = 0; s < SIZES; s++) {
		struct gpmm_set *set = make_set(sizes[s]);
		uint32_t flags;

		CU_ASSERT_EQUAL(put(set, TIB8 - PAGE, PAGE, 1), 0);
		CU_ASSERT_EQUAL(put(set, TIB8 - 2 * PAGE, PAGE, 5), 0);
		for (unsigned int i = sizes[s]; i < sizes[s] + 8; i++)
			CU_ASSERT_EQUAL(put(set, i * STRIDE, PAGE, 1), 0);
		for (flags = 1; flags < 5; flags++) {
			struct gpmm_txn *txn = begin(set);

			take_out(txn, 1);
			take_out(txn, 0);
			CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, TIB8 - PAGE, PAGE),
					0);
			CU_ASSERT_EQUAL(waiting(set), 2);
			CU_ASSERT_EQUAL(put_page(txn, TIB8 - PAGE,
						 flags + flags / 4), 0);
			put_in(txn, 0, flags);
			put_in(txn, 1, 9);
			CU_ASSERT(is_whole(txn, sizes[s] + 10 - flags / 4));
			CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
			CU_ASSERT(found(set, 0, 0, PAGE, flags));
		}
		CU_ASSERT(found(set, TIB8 - 1, TIB8 - 2 * PAGE, 2 * PAGE, 5));
		close_set(set);
	}
}

/* Keys become wide while areas wait; from then on none does. */
static void test_keys_become_wide(void)
{
	for (unsigned int s = 0; s < SIZES; s++) {
		struct gpmm_set *set = make_set(sizes[s]);
		struct gpmm_txn *txn = begin_changed(set);

		take_out(txn, 2);
		take_out(txn, 4);
		put_in(txn, 4, 3);
		take_out(txn, 5);
		put_in(txn, 5, 1);
		CU_ASSERT_EQUAL(put_page(txn, TIB8, 1), 0);
		CU_ASSERT_EQUAL(waiting(set), 0);
		take_out(txn, 6);
		CU_ASSERT_EQUAL(waiting(set), 0);
		put_in(txn, 6, 3);
		CU_ASSERT(is_whole(txn, sizes[s]));
		CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
		CU_ASSERT(sees(gpmm_set_view_rcu(set), 4, 3));
		CU_ASSERT(sees(gpmm_set_view_rcu(set), 5, 1));
		CU_ASSERT(sees(gpmm_set_view_rcu(set), 6, 3));
		CU_ASSERT_FALSE(gpmm_set_find(set, 2 * STRIDE, NULL));
		close_set(set);
	}
}

/*
 * Keys are to become wide, first of all or after another change, the Nth
 * allocation fails, and the transaction goes on, with @more or at once to its
 * end. Return: whether one failed.
 */
static bool widen_without_memory(unsigned int n, long nth, bool first,
				 bool more)
{
	struct gpmm_set *set = make_set(n);
	struct gpmm_txn *txn = begin(set);
	bool failed;

	if (!first)
		put_in(txn, n++, 2);
	gpmm__alloc_left = nth;
	failed = put_page(txn, TIB8, 1);
	gpmm__alloc_left = -1;
	if (more) {
		put_in(txn, n, 2);
		CU_ASSERT(is_whole(txn, n + 1 + !failed));
	}
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(set), n + more + !failed);
	CU_ASSERT_EQUAL(gpmm_set_find(set, TIB8, NULL), !failed);
	CU_ASSERT_EQUAL(gpmm__set_check(set), 0);
	CU_ASSERT_EQUAL(put(set, (n + 1) * STRIDE, PAGE, 2), 0);
	close_set(set);
	return failed;
}

static void test_keys_become_wide_without_memory(void)
{
	static const unsigned int areas[] = { 0, 1, 10, 40, 200, 700 };
	long nth;

	for (unsigned int i = 0; i < 24; i++) {
		for (nth = 0; widen_without_memory(areas[i / 4], nth, i & 1,
						   i & 2); nth++)
			;
		CU_ASSERT(nth > 3);
	}
}

/* ----------------------------------------------------------------- views */

static void test_view_sees_everything(void)
{
	struct gpmm_hole hole = { .size = STRIDE, .limit = GPMM_RANGE_ALL };

	for (unsigned int s = 0; s < SIZES; s++) {
		struct gpmm_set *set = make_set(sizes[s]);
		struct gpmm_txn *txn = begin_changed(set);
		gpmm_gpa_t at = 0;

		take_out(txn, 5);
		take_out(txn, 3);
		put_in(txn, 3, 2);
		CU_ASSERT_EQUAL(gpmm_view_find_free(gpmm_txn_view(txn), &hole,
						    &at), 0);
		CU_ASSERT_EQUAL(at, 4 * STRIDE + PAGE);
		CU_ASSERT(sees(gpmm_txn_view(txn), 3, 2));
		CU_ASSERT_FALSE(gpmm_view_overlaps(gpmm_txn_view(txn),
						   5 * STRIDE, STRIDE));
		/* Nobody else does. */
		CU_ASSERT(sees(gpmm_set_view_rcu(set), 5, 1));
		CU_ASSERT(sees(gpmm_set_view_rcu(set), 3, 1));
		CU_ASSERT_EQUAL(gpmm_set_len(set), sizes[s]);
		put_in(txn, 5, 1);
		CU_ASSERT(is_whole(txn, sizes[s]));
		CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
		close_set(set);
	}
}

static void test_abort_leaves_everything(void)
{
	for (unsigned int s = 0; s < SIZES; s++) {
		struct gpmm_set *set = make_set(sizes[s]);
		uint64_t generation = gpmm_set_generation(set);
		struct gpmm_txn *txn = begin_changed(set);
		struct snapshot before;

		snapshot_take(&before, set);
		take_out(txn, 5);
		take_out(txn, 3);
		put_in(txn, 3, 2);
		take_out(txn, 4);
		put_in(txn, 4, 1);
		gpmm_txn_abort(txn);
		CU_ASSERT_EQUAL(waiting(set), 0);
		CU_ASSERT(snapshot_holds(&before, set));
		CU_ASSERT_EQUAL(gpmm_set_generation(set), generation);
		snapshot_free(&before);
		/* The next transaction knows nothing of it. */
		txn = begin_changed(set);
		CU_ASSERT_EQUAL(put_page(txn, 5 * STRIDE, 2), -EEXIST);
		CU_ASSERT(is_whole(txn, sizes[s]));
		CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
		close_set(set);
	}
}

/* -------------------------------------------------------------- backends */

/* Three areas: one goes, one comes back, and one becomes another, twice. */
static int remap_three(struct gpmm_set *set)
{
	struct gpmm_area same = area_of(0x1000, 0x100, 1);
	struct gpmm_area other = area_of(0x2000, 0x100, 2);
	struct gpmm_txn *txn = begin(set);

	CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, 0x3000, 0x100), 0);
	CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, 0x2000, 0x100), 0);
	CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, 0x1000, 0x100), 0);
	CU_ASSERT_EQUAL(gpmm_txn_map(txn, &same, 0), 0);
	CU_ASSERT_EQUAL(gpmm_txn_map(txn, &other, 0), 0);
	CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, 0x2000, 0x100), 0);
	CU_ASSERT_EQUAL(gpmm_txn_map(txn, &other, 0), 0);
	return gpmm_txn_commit(txn);
}

/* A word a call: capital for flags of 2, and where, and ! where it failed. */
static void tell_calls(const struct mock *mock, char *text)
{
	for (size_t i = 0; i < mock->log.count; i++) {
		const struct mock_call *call = &mock->log.call[i];
		char letter = call->kind == MOCK_MAP ? 'm' : 'u';

		if (call->area.flags == 2)
			letter += 'A' - 'a';
		CU_ASSERT_EQUAL(call->area.size, 0x100);
		text += sprintf(text, "%c%x%s ", letter,
				(unsigned int)(call->area.start >> 12),
				call->ret ? "!" : "");
	}
}

/* What is told until the Nth call fails, and then to undo it. */
static const char *const told[] = {
	"u3! ",
	"u3 u2! m3 ",
	"u3 u2 u1! m2 m3 ",
	"u3 u2 u1 m1! m1 m2 m3 ",
	"u3 u2 u1 m1 M2! u1 m1 m2 m3 ",
	"u3 u2 u1 m1 M2 U2! U2 u1 m1 m2 m3 ",
	"u3 u2 u1 m1 M2 U2 M2! M2 U2 u1 m1 m2 m3 ",
	"u3 u2 u1 m1 M2 U2 M2 ",
};
enum { CALLS = 7 };

static void check_told(unsigned long n)
{
	char text[256] = "";
	struct world w;
	int ret;

	world_open(&w);
	CU_ASSERT_EQUAL(put(w.set, 0x1000, 0x100, 1), 0);
	CU_ASSERT_EQUAL(put(w.set, 0x2000, 0x100, 1), 0);
	CU_ASSERT_EQUAL(put(w.set, 0x3000, 0x100, 1), 0);
	w.mock.logging = true;
	mock_fail(&w.mock, MOCK_ACTS, n, 1, -EPERM);
	ret = remap_three(w.set);
	mock_heal(&w.mock);
	w.mock.logging = false;
	CU_ASSERT_EQUAL(ret, n < CALLS ? -EPERM : 0);
	tell_calls(&w.mock, text);
	CU_ASSERT_STRING_EQUAL(text, told[n]);
	CU_ASSERT_EQUAL(gpmm__set_check(w.set), 0);
	CU_ASSERT(ret ? HOLDS(w.set, { 0x1000, 0x100, 1 }, { 0x2000, 0x100, 1 },
			      { 0x3000, 0x100, 1 }) :
			HOLDS(w.set, { 0x1000, 0x100, 1 },
			      { 0x2000, 0x100, 2 }));
	world_close(&w);
}

static void test_backends_are_told_each_request(void)
{
	for (unsigned long n = 0; n <= CALLS; n++)
		check_told(n);
}

/* ----------------------------------------------------------------- memory */

static void on_release(void *arg, void *addr, uint64_t size)
{
	(void)addr;
	(void)size;
	++*(unsigned int *)arg;
}

static struct gpmm_host *make_host(unsigned int *released)
{
	struct gpmm_host_options options = {
		.kind = GPMM_HOST_USER,
		.size = 4 * PAGE,
		.user = (void *)UINT64_C(0x100000000000),
		.release = on_release,
		.release_arg = released,
	};
	struct gpmm_host *host = NULL;

	CU_ASSERT_EQUAL_FATAL(gpmm_host_create(&options, &host), 0);
	return host;
}

enum ending { COMMIT, ABORT, FAIL, ENDINGS };

/* To fail is to fail at the last of @calls. */
static void finish(struct world *w, struct gpmm_txn *txn, enum ending ending,
		   size_t calls)
{
	if (ending == ABORT) {
		gpmm_txn_abort(txn);
		return;
	}
	if (ending == FAIL)
		mock_fail(&w->mock, MOCK_ACTS, calls - 1, 1, -EPERM);
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), ending == FAIL ? -EPERM : 0);
	mock_heal(&w->mock);
}

/* A letter a request: 'u'nmap, map the 's'ame, map an'o'ther of the memory. */
static void run_letters(struct gpmm_txn *txn, const char *letters,
			struct gpmm_area area)
{
	for (; *letters; letters++) {
		area.flags = *letters == 'o' ? 2 : 1;
		CU_ASSERT_EQUAL(*letters == 'u' ?
				gpmm_txn_unmap(txn, area.start, area.size) :
				gpmm_txn_map(txn, &area, 0), 0);
	}
}

/* Nobody but the set has the memory: it is released once, when it is gone. */
static void check_memory(const char *letters, enum ending ending)
{
	bool stays = ending != COMMIT || letters[strlen(letters) - 1] != 'u';
	struct gpmm_area area = area_of(0x1000, 0x1000, 1);
	unsigned int released = 0;
	struct gpmm_txn *txn;
	struct world w;

	world_open(&w);
	CU_ASSERT_EQUAL(put(w.set, 0x4000, 0x100, 1), 0);
	CU_ASSERT_EQUAL(put(w.set, 0x5000, 0x100, 1), 0);
	area.host = make_host(&released);
	CU_ASSERT_EQUAL(gpmm_set_map(w.set, &area, 0), 0);
	gpmm_host_put(area.host);
	txn = begin(w.set);
	CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, 0x5000, 0x100), 0);
	run_letters(txn, letters, area);
	CU_ASSERT_EQUAL(waiting(w.set), 1);
	finish(&w, txn, ending, 1 + strlen(letters));
	CU_ASSERT_EQUAL(gpmm_set_drain(w.set), 0);
	CU_ASSERT_EQUAL(released, !stays);
	if (stays)
		CU_ASSERT_EQUAL(area.host->refs, 1);
	CU_ASSERT_EQUAL(gpmm_set_unmap(w.set, 0x1000, 0x1000), 0);
	CU_ASSERT_EQUAL(gpmm_set_drain(w.set), 0);
	CU_ASSERT_EQUAL(released, 1);
	world_close(&w);
}

static void test_memory_is_kept_and_released(void)
{
	static const char *const all[] = { "u", "us", "uo", "usu", "uou",
					   "usus", "usuo", "uous", "uouo",
					   "uouou", "ususu", NULL };

	for (unsigned int i = 0; all[i]; i++)
		for (unsigned int ending = 0; ending < ENDINGS; ending++)
			check_memory(all[i], ending);
}

/* -------------------------------------------------------- failing requests */

struct request {
	bool map;
	bool replace;
	uint64_t at, size;
	int which, host;
	uint32_t flags;
};

/* Of what lab_fill() makes. The areas from 0xc000 on are 4 bytes apart. */
static const struct request requests[] = {
	{ false, false, 0x9000, 0x1000, 0, 0, 0 },
	{ false, false, 0x6000, 0x1000, 0, 0, 0 },
	{ false, false, 0xa000, 0x800, 0, 0, 0 },
	{ false, false, 0xc008, 2, 0, 0, 0 },
	{ false, false, 0xc040, 2, 0, 0, 0 },
	{ true, false, 0x6000, 0x1000, LAB_TXN, 1, 2 },
	{ true, false, 0xc008, 2, LAB_MOCKS, 1, 1 },
	{ true, false, 0xa000, 0x800, LAB_TXN, 0, 1 },
	{ true, false, 0xc00c, 1, LAB_TXN, 0, 3 },
	{ false, false, 0xa000, 0x800, 0, 0, 0 },
	{ true, false, 0xa000, 0x800, LAB_MOCKS, -1, 2 },
	{ false, false, 0x6000, 0x1000, 0, 0, 0 },
	{ false, false, 0x6000, 0x1000, 0, 0, 0 },
	{ true, true, 0x6000, 0x1000, LAB_PLAIN, 0, 1 },
	{ true, true, 0xc040, 2, LAB_PLAIN, -1, 1 },
	{ false, false, 0xa400, 0x400, 0, 0, 0 },
	{ false, false, 0x6000, 0x1000, 0, 0, 0 },
	{ true, true, 0x5800, 0x1000, LAB_PLAIN, 1, 2 },
};
enum { ALL = sizeof(requests) / sizeof(requests[0]) };

static int ask(struct lab *lab, struct gpmm_txn *txn, const struct request *r)
{
	struct gpmm_area area = lab_area(lab, r->which, r->at, r->size,
					 r->flags, r->host);

	return r->map ? gpmm_txn_map(txn, &area,
				     r->replace ? GPMM_MAP_REPLACE : 0) :
			gpmm_txn_unmap(txn, lab->base + r->at, r->size);
}

static bool view_holds(const struct snapshot *s, struct gpmm_view view)
{
	struct snapshot now;
	bool same;

	snapshot_view(&now, view);
	same = now.count == s->count;
	for (size_t i = 0; same && i < now.count; i++)
		same = area_equal(&now.area[i], &s->area[i]);
	snapshot_free(&now);
	return same;
}

/* What the transaction is to show after each request. */
static struct snapshot shown[ALL];
static int given[ALL];

static void show_all(struct lab *lab, unsigned int more)
{
	struct gpmm_txn *txn;

	lab_fill(lab, more);
	txn = begin(lab->set);
	for (unsigned int i = 0; i < ALL; i++) {
		given[i] = ask(lab, txn, &requests[i]);
		snapshot_view(&shown[i], gpmm_txn_view(txn));
	}
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
	CU_ASSERT(snapshot_holds(&shown[ALL - 1], lab->set));
	lab_empty(lab);
}

/* Ask for the Ith with its Nth allocation failing. Return: whether it did. */
static bool ask_starved(struct lab *lab, struct gpmm_txn *txn, unsigned int i,
			unsigned long n)
{
	bool struck;
	int ret;

	gpmm__alloc_calls = 0;
	gpmm__alloc_left = (long)n;
	ret = ask(lab, txn, &requests[i]);
	struck = gpmm__alloc_calls > n;
	gpmm__alloc_left = -1;
	CU_ASSERT_EQUAL(ret, struck ? -ENOMEM : given[i]);
	return struck;
}

/* The Ith request fails; then all goes on, or not. */
static bool fail_one(struct lab *lab, unsigned int more, unsigned int at,
		     unsigned long n, unsigned int how)
{
	struct gpmm_txn *txn;
	bool struck;

	lab_fill(lab, more);
	lab_remember(lab);
	txn = begin(lab->set);
	for (unsigned int i = 0; i < at; i++)
		CU_ASSERT_EQUAL(ask(lab, txn, &requests[i]), given[i]);
	struck = ask_starved(lab, txn, at, n);
	if (how == 1 && struck && at)
		CU_ASSERT(view_holds(&shown[at - 1], gpmm_txn_view(txn)));
	for (unsigned int i = at + !struck; i < ALL; i++)
		CU_ASSERT_EQUAL(ask(lab, txn, &requests[i]), given[i]);
	if (how == 2) {
		gpmm_txn_abort(txn);
		CU_ASSERT(lab_unchanged(lab));
	} else {
		CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
		CU_ASSERT(snapshot_holds(&shown[ALL - 1], lab->set));
	}
	lab_forget(lab);
	lab_empty(lab);
	return struck;
}

static unsigned long fail_each(struct lab *lab, unsigned int more)
{
	unsigned long n, points = 0;

	show_all(lab, more);
	for (unsigned int i = 0; i < ALL; i++)
		for (unsigned int how = 0; how < 3; how++)
			for (n = 0; fail_one(lab, more, i, n, how); n++)
				points++;
	for (unsigned int i = 0; i < ALL; i++)
		snapshot_free(&shown[i]);
	return points;
}

static void test_failing_allocations(void)
{
	static const unsigned int more[] = { 6, 20, 40, 120, 800 };
	unsigned long points = 0;
	struct lab lab;

	lab_open(&lab, 0);
	for (unsigned int i = 0; i < 5; i++)
		points += fail_each(&lab, more[i]);
	lab_close(&lab);
	printf("\n    %lu failures ", points);
	CU_ASSERT(points > 100);
}

/* Ask until it is granted; each time its Nth allocation fails first. */
static unsigned int insist(struct gpmm_txn *txn, const struct gpmm_area *area,
			   bool map, long n)
{
	unsigned int failures = 0;
	int ret;

	do {
		gpmm__alloc_left = failures ? -1 : n;
		ret = map ? gpmm_txn_map(txn, area, 0) :
			    gpmm_txn_unmap(txn, area->start, area->size);
	} while (ret == -ENOMEM && !failures++);
	gpmm__alloc_left = -1;
	CU_ASSERT_EQUAL(ret, 0);
	return failures;
}

/* So often that all that grows with the requests does so in each of them. */
static void test_failing_allocations_again_and_again(void)
{
	for (long n = 0; n < 3; n++) {
		struct gpmm_area area = area_of(0x1000, 0x1000, 1);
		unsigned int released = 0, failures = 0, i;
		struct gpmm_txn *txn;
		struct world w;

		world_open(&w);
		area.host = make_host(&released);
		CU_ASSERT_EQUAL(gpmm_set_map(w.set, &area, 0), 0);
		CU_ASSERT_EQUAL(put(w.set, 0x4000, 0x100, 1), 0);
		CU_ASSERT_EQUAL(put(w.set, 0x5000, 0x1000, 1), 0);
		w.mock.logging = true;
		txn = begin(w.set);
		CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, 0x5000, 0x1000), 0);
		for (i = 0; i < 300; i++) {
			failures += insist(txn, &area, false, n);
			area.flags = 1 + i / 2 % 2;
			failures += insist(txn, &area, true, n);
		}
		CU_ASSERT_EQUAL(waiting(w.set), 1);
		CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
		CU_ASSERT(n ? failures > 0 : failures > 10);
		CU_ASSERT_EQUAL(w.mock.log.count, 601);
		for (i = 1; i < w.mock.log.count; i++)
			CU_ASSERT_EQUAL(w.mock.log.call[i].kind,
					i % 2 ? MOCK_UNMAP : MOCK_MAP);
		CU_ASSERT_EQUAL(area.host->refs, 2);
		gpmm_host_put(area.host);
		world_close(&w);
		CU_ASSERT_EQUAL(released, 1);
	}
}

int main(void)
{
	static const struct suite_test tests[] = {
		{ "the same area in its place leaves the nodes as they are",
		  test_same_area_leaves_nodes },
		{ "the same area takes no place in a flat leaf's block",
		  test_same_area_takes_no_place },
		{ "nor does the same again where another was before",
		  test_same_area_again_takes_no_place },
		{ "another area in its place is seen whole, at commit",
		  test_another_area_is_seen_whole },
		{ "every sequence of requests comes to what they come to alone",
		  test_every_sequence },
		{ "and does so where one leaf ends and the next begins",
		  test_every_sequence_in_two_leaves },
		{ "an area goes and comes again and again",
		  test_again_and_again },
		{ "more areas go than can wait", test_more_than_can_wait },
		{ "who only takes away is let alone",
		  test_only_taking_away },
		{ "what comes back was not taken away",
		  test_what_comes_back_was_not_taken_away },
		{ "what has gone again has no neighbours to merge with",
		  test_neighbour_of_what_has_gone_again },
		{ "neighbours alike are no hindrance where nothing merges",
		  test_neighbours_alike_in_a_set_that_merges_nothing },
		{ "a flat leaf's records come round after round",
		  test_flat_leaf_round_after_round },
		{ "all of one leaf goes", test_all_of_one_leaf },
		{ "what is left of the tree is copied once",
		  test_top_that_is_left },
		{ "a leaf is left no smaller than it may be",
		  test_leaf_near_its_least },
		{ "a leaf fills and splits while areas wait",
		  test_leaf_fills_while_areas_wait },
		{ "a part of what is gone is nothing",
		  test_part_of_what_is_gone },
		{ "all goes while areas wait", test_clear_while_areas_wait },
		{ "the first and the last granule", test_first_and_last_granule },
		{ "keys become wide while areas wait", test_keys_become_wide },
		{ "keys are to become wide, and there is no memory",
		  test_keys_become_wide_without_memory },
		{ "a view sees everything that waits",
		  test_view_sees_everything },
		{ "abort leaves everything", test_abort_leaves_everything },
		{ "backends are told each request, and to undo it",
		  test_backends_are_told_each_request },
		{ "memory is released once, and not before it is gone",
		  test_memory_is_kept_and_released },
		{ "the Nth allocation of a request fails",
		  test_failing_allocations },
		{ "the Nth allocation of each of many requests fails",
		  test_failing_allocations_again_and_again },
		{ 0 },
	};

	return suite_run("txn_remap", tests);
}
