/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A backend that fails, and then fails to undo: exactly what it was left with
 * is poisoned, everything else goes on, and a repair puts it right.
 */
#include <errno.h>
#include <stdio.h>

#include "helpers/lab.h"
#include "helpers/suite.h"
#include "host/host.h"
#include "util/alloc.h"

enum { ALWAYS = 1000000 };

/* Is [start, start + size) poisoned, each byte of it, and nothing beside? */
static bool poisoned_exactly(struct gpmm_set *set, gpmm_gpa_t start,
			     uint64_t size)
{
	gpmm_gpa_t at;

	for (at = 0; at < MOCK_SIZE; at += 0x100)
		if (gpmm_set_is_poisoned(set, at, 0x100) !=
		    (at - start < size))
			return false;
	return gpmm_set_is_poisoned(set, start, 1) &&
	       gpmm_set_is_poisoned(set, start + size - 1, 1) &&
	       !gpmm_set_is_poisoned(set, start - 1, 1) &&
	       !gpmm_set_is_poisoned(set, start + size, 1) &&
	       gpmm_set_is_poisoned(set, 0, MOCK_SIZE) &&
	       !gpmm_set_is_poisoned(set, start, 0);
}

/* Two areas, of which the second cannot be told, nor the first undone. */
static int map_two_at(struct gpmm_set *set, gpmm_gpa_t at)
{
	struct gpmm_area one = area_of(at, 0x1000, 1);
	struct gpmm_area two = area_of(at + 0x2000, 0x1000, 1);
	struct gpmm_txn *txn;

	CU_ASSERT_EQUAL_FATAL(gpmm_txn_begin(set, &txn), 0);
	CU_ASSERT_EQUAL(gpmm_txn_map(txn, &one, 0), 0);
	CU_ASSERT_EQUAL(gpmm_txn_map(txn, &two, 0), 0);
	return gpmm_txn_commit(txn);
}

static int map_two(struct gpmm_set *set)
{
	return map_two_at(set, 0x1000);
}

static void test_map_that_cannot_be_undone(void)
{
	struct world w;

	world_open(&w);
	mock_fail(&w.mock, MOCK_FALLIBLE, 1, ALWAYS, -EPERM);
	CU_ASSERT_EQUAL(map_two(w.set), -EIO);
	CU_ASSERT_EQUAL(gpmm_set_len(w.set), 0);
	CU_ASSERT(mock_all(&w.mock, 0x1000, 0x1000, 1));
	CU_ASSERT(poisoned_exactly(w.set, 0x1000, 0x1000));
	CU_ASSERT_EQUAL(gpmm_set_repair(w.set), -EPERM);
	CU_ASSERT(poisoned_exactly(w.set, 0x1000, 0x1000));
	mock_heal(&w.mock);
	CU_ASSERT_EQUAL(gpmm_set_repair(w.set), 0);
	CU_ASSERT_FALSE(gpmm_set_is_poisoned(w.set, 0, MOCK_SIZE));
	CU_ASSERT(mock_all(&w.mock, 0, MOCK_SIZE, 0));
	CU_ASSERT_EQUAL(map_two(w.set), 0);
	CU_ASSERT_EQUAL(gpmm_set_repair(w.set), 0);
	world_close(&w);
}

/* What is let go of has its room before anybody is told. */
static void test_repair_without_memory(void)
{
	struct world w;

	world_open(&w);
	mock_fail(&w.mock, MOCK_FALLIBLE, 1, 2, -EPERM);
	CU_ASSERT_EQUAL(map_two(w.set), -EIO);
	mock_heal(&w.mock);
	w.mock.acts = 0;
	gpmm__alloc_left = 0;
	CU_ASSERT_EQUAL(gpmm_set_repair(w.set), -ENOMEM);
	gpmm__alloc_left = -1;
	CU_ASSERT_EQUAL(w.mock.acts, 0);
	CU_ASSERT(poisoned_exactly(w.set, 0x1000, 0x1000));
	CU_ASSERT_EQUAL(gpmm_set_repair(w.set), 0);
	CU_ASSERT_FALSE(gpmm_set_is_poisoned(w.set, 0, MOCK_SIZE));
	world_close(&w);
}

/* Three areas of which an unmap takes the first two and stops. */
static void poison_second(struct world *w)
{
	world_open(w);
	CU_ASSERT_EQUAL(put(w->set, 0x1000, 0x1000, 1), 0);
	CU_ASSERT_EQUAL(put(w->set, 0x3000, 0x1000, 2), 0);
	CU_ASSERT_EQUAL(put(w->set, 0x5000, 0x1000, 3), 0);
	mock_fail(&w->mock, MOCK_FALLIBLE, 2, 2, -EPERM);
	CU_ASSERT_EQUAL(gpmm_set_unmap(w->set, 0, MOCK_SIZE), -EIO);
	CU_ASSERT_EQUAL(w->mock.failed, 2);
	mock_heal(&w->mock);
}

static void test_readers_see_the_set_as_before(void)
{
	struct world w;

	poison_second(&w);
	CU_ASSERT(HOLDS(w.set, { 0x1000, 0x1000, 1 }, { 0x3000, 0x1000, 2 },
			{ 0x5000, 0x1000, 3 }));
	CU_ASSERT(mock_all(&w.mock, 0x1000, 0x1000, 1));
	CU_ASSERT(mock_all(&w.mock, 0x3000, 0x1000, 0));
	CU_ASSERT(mock_all(&w.mock, 0x5000, 0x1000, 3));
	CU_ASSERT(poisoned_exactly(w.set, 0x3000, 0x1000));
	CU_ASSERT_EQUAL(gpmm_set_repair(w.set), 0);
	CU_ASSERT(mock_all(&w.mock, 0x3000, 0x1000, 2));
	world_close(&w);
}

static void test_changes_that_touch_poison_fail(void)
{
	uint32_t flags = 1;
	struct world w;

	poison_second(&w);
	w.mock.acts = 0;
	CU_ASSERT_EQUAL(gpmm_set_unmap(w.set, 0x3fff, 1), -EIO);
	CU_ASSERT_EQUAL(gpmm_set_unmap(w.set, 0, 0x3001), -EIO);
	CU_ASSERT_EQUAL(gpmm_set_protect(w.set, 0x3800, 0x4000,
					 gpmm_protect_to, &flags), -EIO);
	CU_ASSERT_EQUAL(put_over(w.set, 0x2800, 0x1000, 4), -EIO);
	CU_ASSERT_EQUAL(gpmm_set_clear(w.set), -EIO);
	CU_ASSERT_EQUAL(gpmm_set_shrink_left(w.set, 0x3000, 0x800), -EIO);
	CU_ASSERT_EQUAL(gpmm_set_shrink_right(w.set, 0x3000, 0x800), -EIO);
	CU_ASSERT_EQUAL(gpmm_set_split(w.set, 0x3800), -EIO);
	CU_ASSERT_EQUAL(gpmm_set_merge(w.set, 0x3800, 0x3000), -EIO);
	CU_ASSERT_EQUAL(w.mock.acts, 0);
	CU_ASSERT_EQUAL(gpmm_set_len(w.set), 3);
	CU_ASSERT_EQUAL(gpmm_set_repair(w.set), 0);
	CU_ASSERT_EQUAL(gpmm_set_shrink_left(w.set, 0x3000, 0x800), 0);
	world_close(&w);
}

/* Not even as a whole, once changes elsewhere have been made. */
static void test_whole_areas_that_touch_poison(void)
{
	uint32_t flags = 1;
	struct world w;

	poison_second(&w);
	mock_fail(&w.mock, MOCK_FALLIBLE, 1, 2, -EPERM);
	CU_ASSERT_EQUAL(map_two_at(w.set, 0x9000), -EIO);
	mock_heal(&w.mock);
	CU_ASSERT_EQUAL(put(w.set, 0xe000, 0x1000, 1), 0);
	w.mock.acts = 0;
	CU_ASSERT_EQUAL(gpmm_set_unmap(w.set, 0x3000, 0x1000), -EIO);
	CU_ASSERT_EQUAL(gpmm_set_protect(w.set, 0x3000, 0x1000,
					 gpmm_protect_to, &flags), -EIO);
	CU_ASSERT_EQUAL(put(w.set, 0x9000, 0x1000, 1), -EIO);
	CU_ASSERT_EQUAL(w.mock.acts, 0);
	CU_ASSERT_EQUAL(gpmm_set_repair(w.set), 0);
	CU_ASSERT_EQUAL(put(w.set, 0x9000, 0x1000, 1), 0);
	CU_ASSERT_EQUAL(gpmm_set_unmap(w.set, 0x3000, 0x1000), 0);
	world_close(&w);
}

static void test_everything_else_works(void)
{
	uint32_t flags = 5;
	struct world w;

	poison_second(&w);
	CU_ASSERT_EQUAL(gpmm_set_unmap(w.set, 0x1800, 0x1800), 0);
	CU_ASSERT_EQUAL(gpmm_set_protect(w.set, 0x4000, 0x1800,
					 gpmm_protect_to, &flags), 0);
	CU_ASSERT_EQUAL(put(w.set, 0x8000, 0x1000, 1), 0);
	CU_ASSERT(HOLDS(w.set, { 0x1000, 0x800, 1 }, { 0x3000, 0x1000, 2 },
			{ 0x5000, 0x800, 5 }, { 0x5800, 0x800, 3 },
			{ 0x8000, 0x1000, 1 }));
	CU_ASSERT(poisoned_exactly(w.set, 0x3000, 0x1000));
	CU_ASSERT_EQUAL(gpmm_set_repair(w.set), 0);
	world_close(&w);
}

static void test_protect_that_cannot_be_undone(void)
{
	uint32_t flags = 6;
	struct world w;

	world_open(&w);
	CU_ASSERT_EQUAL(put(w.set, 0x1000, 0x2000, 1), 0);
	CU_ASSERT_EQUAL(put(w.set, 0x4000, 0x2000, 2), 0);
	mock_fail(&w.mock, MOCK_PROTECT, 1, 2, -EPERM);
	CU_ASSERT_EQUAL(gpmm_set_protect(w.set, 0x2000, 0x3000,
					 gpmm_protect_to, &flags), -EIO);
	CU_ASSERT(HOLDS(w.set, { 0x1000, 0x2000, 1 }, { 0x4000, 0x2000, 2 }));
	CU_ASSERT(poisoned_exactly(w.set, 0x2000, 0x1000));
	CU_ASSERT(mock_all(&w.mock, 0x2000, 0x1000, 6));
	mock_heal(&w.mock);
	CU_ASSERT_EQUAL(gpmm_set_repair(w.set), 0);
	CU_ASSERT(mock_all(&w.mock, 0x1000, 0x2000, 1));
	world_close(&w);
}

/* What a backend may still have in use is not released. */
static void test_memory_of_poison_is_kept(void)
{
	struct lab lab;
	struct gpmm_area one, two;
	struct gpmm_txn *txn;
	uint32_t refs;

	lab_open(&lab, 0);
	lab_fill(&lab, 0);
	one = lab_area(&lab, LAB_PLAIN, 0xb000, 0x400, 1, 0);
	two = lab_area(&lab, LAB_PLAIN, 0xb800, 0x400, 1, 1);
	refs = lab.host[0]->refs;
	CU_ASSERT_EQUAL_FATAL(gpmm_txn_begin(lab.set, &txn), 0);
	CU_ASSERT_EQUAL(gpmm_txn_map(txn, &one, 0), 0);
	CU_ASSERT_EQUAL(gpmm_txn_map(txn, &two, 0), 0);
	mock_fail(&lab.mock[LAB_PLAIN], MOCK_FALLIBLE, 1, 2, -EPERM);
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), -EIO);
	mock_heal(&lab.mock[LAB_PLAIN]);
	CU_ASSERT_EQUAL(lab.host[0]->refs, refs + 1);
	/* The worker comes for it; here that is at once. */
	CU_ASSERT_EQUAL(gpmm_set_repair(lab.set), 0);
	CU_ASSERT_EQUAL(lab.host[0]->refs, refs);
	lab_empty(&lab);
	lab_close(&lab);
}

/* Poison that nobody repaired goes with the set. */
static void test_memory_of_poison_is_released(void)
{
	struct gpmm_area one;
	struct gpmm_txn *txn;
	struct lab lab;

	lab_open(&lab, 0);
	lab_fill(&lab, 0);
	one = lab_area(&lab, LAB_PLAIN, 0xb000, 0x400, 1, 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_txn_begin(lab.set, &txn), 0);
	CU_ASSERT_EQUAL(gpmm_txn_map(txn, &one, 0), 0);
	CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, lab.base + 0x1000, 0x1000), 0);
	mock_fail(&lab.mock[LAB_PLAIN], MOCK_FALLIBLE, 1, 2, -EPERM);
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), -EIO);
	gpmm_set_abandon(lab.set);
	CU_ASSERT_EQUAL(lab.host[0]->refs, 1);
	CU_ASSERT_EQUAL(lab.host[1]->refs, 1);
	lab_close(&lab);
}

/* A second failure adds to the first, and a repair may do half. */
static void test_poison_adds_up(void)
{
	struct world w;

	poison_second(&w);
	CU_ASSERT_EQUAL(put(w.set, 0x8000, 0x1000, 1), 0);
	CU_ASSERT_EQUAL(put(w.set, 0xa000, 0x1000, 1), 0);
	mock_fail(&w.mock, MOCK_FALLIBLE, 1, 2, -EPERM);
	CU_ASSERT_EQUAL(gpmm_set_unmap(w.set, 0x8000, 0x8000), -EIO);
	mock_heal(&w.mock);
	CU_ASSERT(gpmm_set_is_poisoned(w.set, 0x3000, 0x1000));
	CU_ASSERT(gpmm_set_is_poisoned(w.set, 0x8000, 0x1000));
	CU_ASSERT_FALSE(gpmm_set_is_poisoned(w.set, 0xa000, 0x1000));
	mock_fail(&w.mock, MOCK_FALLIBLE, 1, 1, -ENOSPC);
	CU_ASSERT_EQUAL(gpmm_set_repair(w.set), -ENOSPC);
	CU_ASSERT_NOT_EQUAL(gpmm_set_is_poisoned(w.set, 0x3000, 0x1000),
			    gpmm_set_is_poisoned(w.set, 0x8000, 0x1000));
	CU_ASSERT_EQUAL(gpmm_set_repair(w.set), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(w.set), 5);
	world_close(&w);
}

/*
 * One backend's area takes the place of another's, and a third call fails: what
 * the new one cannot undo does not keep the old one from it. A repair says what
 * failed first, though the next does not.
 */
static void test_poison_is_each_backend_s_own(void)
{
	struct gpmm_area mine = area_of(0x1000, 0x1000, 1), far;
	struct mock other;
	struct gpmm_txn *txn;
	struct world w;

	world_open(&w);
	mock_init(&other);
	CU_ASSERT_EQUAL(put(w.set, 0x1000, 0x1000, 2), 0);
	mine.backend = &other.be;
	far = area_of(0x8000, 0x1000, 1);
	far.backend = &other.be;
	CU_ASSERT_EQUAL_FATAL(gpmm_txn_begin(w.set, &txn), 0);
	CU_ASSERT_EQUAL(gpmm_txn_map(txn, &mine, GPMM_MAP_REPLACE), 0);
	CU_ASSERT_EQUAL(gpmm_txn_map(txn, &far, 0), 0);
	far = area_of(0xa000, 0x1000, 3);
	CU_ASSERT_EQUAL(gpmm_txn_map(txn, &far, 0), 0);
	mock_fail(&w.mock, MOCK_FALLIBLE, 1, 1, -ENOSPC);
	mock_fail(&other, MOCK_FALLIBLE, 2, 2, -EPERM);
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), -EIO);
	CU_ASSERT(mock_all(&w.mock, 0x1000, 0x1000, 2));
	CU_ASSERT(gpmm_set_is_poisoned(w.set, 0x1000, 0x1000));
	CU_ASSERT(gpmm_set_is_poisoned(w.set, 0x8000, 0x1000));
	mock_fail(&other, MOCK_FALLIBLE, 0, 1, -EPERM);
	CU_ASSERT_EQUAL(gpmm_set_repair(w.set), -EPERM);
	CU_ASSERT_FALSE(gpmm_set_is_poisoned(w.set, 0x1000, 0x1000));
	CU_ASSERT(gpmm_set_is_poisoned(w.set, 0x8000, 0x1000));
	CU_ASSERT_EQUAL(gpmm_set_repair(w.set), 0);
	CU_ASSERT(mock_all(&other, 0, MOCK_SIZE, 0));
	CU_ASSERT_PTR_NULL(other.complaint);
	world_close(&w);
	mock_fini(&other);
}

/* More is poisoned at once than before; without memory it is not even tried. */
static void test_much_more_poison(void)
{
	enum { MORE = 200 };
	struct gpmm_txn *txn;
	struct world w;
	uint32_t i;

	for (int starved = 0; starved < 2; starved++) {
		poison_second(&w);
		CU_ASSERT_EQUAL_FATAL(gpmm_txn_begin(w.set, &txn), 0);
		for (i = 0; i <= MORE; i++) {
			struct gpmm_area area = area_of(0x8000 + i * 0x20,
							0x10, 1);

			CU_ASSERT_EQUAL(gpmm_txn_map(txn, &area, 0), 0);
		}
		w.mock.acts = 0;
		mock_fail(&w.mock, MOCK_FALLIBLE, MORE, ALWAYS, -EPERM);
		gpmm__alloc_left = starved ? 0 : -1;
		CU_ASSERT_EQUAL(gpmm_txn_commit(txn),
				starved ? -ENOMEM : -EIO);
		gpmm__alloc_left = -1;
		CU_ASSERT_EQUAL(!w.mock.acts, starved);
		mock_heal(&w.mock);
		for (i = 0; i <= MORE; i++)
			CU_ASSERT_EQUAL(gpmm_set_is_poisoned(w.set,
							     0x8000 + i * 0x20,
							     0x20),
					!starved && i < MORE);
		CU_ASSERT(gpmm_set_is_poisoned(w.set, 0x3000, 0x1000));
		CU_ASSERT_EQUAL(gpmm_set_repair(w.set), 0);
		CU_ASSERT_EQUAL(gpmm_set_len(w.set), 3);
		world_close(&w);
	}
}

/* The first committed, the second did not, and the first will not go back. */
static void fail_commit(unsigned int undo_kinds)
{
	struct gpmm_set *set;
	struct gpmm_area a = area_of(0x1000, 0x1000, 1);
	struct gpmm_area b = area_of(0x2000, 0x1000, 1);
	struct mock one, two;
	struct gpmm_txn *txn;

	mock_init_at(&one, 0, 1, MOCK_SIZE, true);
	mock_init_at(&two, 0, 1, MOCK_SIZE, true);
	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(
		&(struct gpmm_set_options){ .granule = 1 }, &set), 0);
	a.backend = &one.be;
	b.backend = &two.be;
	CU_ASSERT_EQUAL_FATAL(gpmm_txn_begin(set, &txn), 0);
	CU_ASSERT_EQUAL(gpmm_txn_map(txn, &a, 0), 0);
	CU_ASSERT_EQUAL(gpmm_txn_map(txn, &b, 0), 0);
	mock_fail(&two, MOCK_COMMIT, 0, 1, -ENOSPC);
	mock_fail(&one, undo_kinds,
		  undo_kinds & (MOCK_BEGIN | MOCK_COMMIT) ? 1 : 0, 1, -EPERM);
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), undo_kinds ? -EIO : -ENOSPC);
	CU_ASSERT_EQUAL(gpmm_set_len(set), 0);
	CU_ASSERT_EQUAL(gpmm_set_is_poisoned(set, 0x1000, 0x1000),
			undo_kinds != 0);
	CU_ASSERT_FALSE(gpmm_set_is_poisoned(set, 0x2000, 0x1000));
	CU_ASSERT(mock_all(&two, 0, MOCK_SIZE, 0));
	CU_ASSERT_FALSE(one.in_txn || two.in_txn);
	mock_heal(&one);
	CU_ASSERT_EQUAL(gpmm_set_repair(set), 0);
	CU_ASSERT(mock_all(&one, 0, MOCK_SIZE, 0));
	CU_ASSERT_PTR_NULL(one.complaint);
	CU_ASSERT_PTR_NULL(two.complaint);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
	mock_fini(&one);
	mock_fini(&two);
}

static void test_commit_that_cannot_be_undone(void)
{
	fail_commit(0);
	fail_commit(MOCK_BEGIN);
	fail_commit(MOCK_UNMAP);
	fail_commit(MOCK_COMMIT);
}

/* [0x1000, 0x3000) anew, and then something that fails. */
static int replace_and_fail(struct gpmm_set *set)
{
	struct gpmm_area area = area_of(0x1000, 0x2000, 2);
	struct gpmm_txn *txn;

	CU_ASSERT_EQUAL_FATAL(gpmm_txn_begin(set, &txn), 0);
	CU_ASSERT_EQUAL(gpmm_txn_map(txn, &area, GPMM_MAP_REPLACE), 0);
	CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, 0x8000, 0x1000), 0);
	return gpmm_txn_commit(txn);
}

/* A replacement that stays is in the way of what it replaced. */
static void test_nothing_is_undone_onto_poison(void)
{
	struct world w;

	world_open(&w);
	CU_ASSERT_EQUAL(put(w.set, 0x1000, 0x1000, 1), 0);
	CU_ASSERT_EQUAL(put(w.set, 0x8000, 0x1000, 1), 0);
	w.mock.refused = 0;
	/* unmap, map; then an unmap fails, and undoing the map. */
	mock_fail(&w.mock, MOCK_ACTS, 2, 2, -EPERM);
	CU_ASSERT_EQUAL(replace_and_fail(w.set), -EIO);
	mock_heal(&w.mock);
	CU_ASSERT_EQUAL(w.mock.refused, 0);
	CU_ASSERT(poisoned_exactly(w.set, 0x1000, 0x2000));
	CU_ASSERT(mock_all(&w.mock, 0x1000, 0x2000, 2));
	CU_ASSERT_EQUAL(gpmm_set_repair(w.set), 0);
	CU_ASSERT(mock_all(&w.mock, 0x1000, 0x1000, 1));
	CU_ASSERT(mock_all(&w.mock, 0x2000, 0x1000, 0));
	world_close(&w);
}

/* ----------------------------------------------------------------- sweep */

static unsigned long points;

/* A table may differ from the set's idea of it in poisoned places alone. */
static bool differs_in_poison_alone(const struct lab *lab)
{
	uint32_t at;
	int i;

	for (i = 0; i < LAB_MOCKS; i++)
		for (at = 0; at < MOCK_SIZE; at++)
			if (lab->bytes[i][at] != lab->mock[i].bytes[at] &&
			    !gpmm_set_is_poisoned(lab->set, lab->base + at, 1))
				return false;
	return true;
}

static void heal_all(struct lab *lab)
{
	int i;

	for (i = 0; i < LAB_MOCKS; i++) {
		mock_heal(&lab->mock[i]);
		lab->mock[i].failed = 0;
	}
}

/* From the Nth call on, @which refuses everything, undoing too. */
static bool break_down(struct lab *lab, const struct lab_change *change,
		       int which, unsigned long n)
{
	bool struck, poisoned;
	int ret;

	lab_fill(lab, 0);
	lab_remember(lab);
	mock_fail(&lab->mock[which], MOCK_FALLIBLE, n, ALWAYS, -EPERM);
	ret = change->run(lab);
	struck = lab->mock[which].failed;
	poisoned = gpmm_set_is_poisoned(lab->set, lab->base, MOCK_SIZE);
	points += poisoned;
	CU_ASSERT_EQUAL(ret, !struck ? 0 : poisoned ? -EIO : -EPERM);
	heal_all(lab);
	if (ret) {
		CU_ASSERT(lab_areas_unchanged(lab));
		CU_ASSERT(differs_in_poison_alone(lab));
		CU_ASSERT_EQUAL(gpmm_set_repair(lab->set), 0);
		CU_ASSERT_FALSE(gpmm_set_is_poisoned(lab->set, lab->base,
						     MOCK_SIZE));
		CU_ASSERT_EQUAL(gpmm_set_drain(lab->set), 0);
		CU_ASSERT(lab_unchanged(lab));
		CU_ASSERT_EQUAL(change->run(lab), 0);
	}
	lab_forget(lab);
	lab_empty(lab);
	return struck;
}

static void test_break_downs(void)
{
	const struct lab_change *change;
	struct lab lab;
	unsigned long n;
	int which;

	lab_open(&lab, 0);
	for (change = lab_changes; change->name; change++)
		for (which = 0; which < LAB_MOCKS; which++)
			for (n = 0; break_down(&lab, change, which, n); n++)
				;
	lab_close(&lab);
	printf("\n    %lu poisonings ", points);
	CU_ASSERT(points > 10);
}

int main(void)
{
	static const struct suite_test tests[] = {
		{ "a map that cannot be undone",
		  test_map_that_cannot_be_undone },
		{ "a repair without memory changes nothing",
		  test_repair_without_memory },
		{ "readers see the set as before",
		  test_readers_see_the_set_as_before },
		{ "changes that touch poison fail",
		  test_changes_that_touch_poison_fail },
		{ "whole areas that touch poison stay",
		  test_whole_areas_that_touch_poison },
		{ "everything else works", test_everything_else_works },
		{ "a protect that cannot be undone",
		  test_protect_that_cannot_be_undone },
		{ "memory of poison is kept until a repair",
		  test_memory_of_poison_is_kept },
		{ "memory of poison is released with the set",
		  test_memory_of_poison_is_released },
		{ "poison adds up, and is repaired piece by piece",
		  test_poison_adds_up },
		{ "poison is each backend's own",
		  test_poison_is_each_backend_s_own },
		{ "much more poison at once, or no memory for it",
		  test_much_more_poison },
		{ "a commit that cannot be undone",
		  test_commit_that_cannot_be_undone },
		{ "nothing is undone onto what stays",
		  test_nothing_is_undone_onto_poison },
		{ "a backend breaks down at its Nth call, for every N",
		  test_break_downs },
		{ 0 },
	};

	return suite_run("set_poison", tests);
}
