/* SPDX-License-Identifier: BSD-3-Clause */
/* Areas that must be in several places at once. */
#include <errno.h>
#include <string.h>

#include "helpers/suite.h"
#include "helpers/world.h"
#include "util/alloc.h"

/* Three tables behind one backend; the middle one has transactions. */
struct fan {
	struct mock mock[3];
	struct gpmm_backend *be;
	struct gpmm_set *set;
};

static void fan_open(struct fan *f)
{
	struct gpmm_set_options options = { .granule = 1 };
	struct gpmm_backend *members[3];
	int i;

	for (i = 0; i < 3; i++) {
		mock_init_at(&f->mock[i], 0, 1, MOCK_SIZE, i == 1);
		members[i] = &f->mock[i].be;
	}
	CU_ASSERT_EQUAL_FATAL(gpmm_fanout_create(members, 3, &f->be), 0);
	options.backend = f->be;
	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&options, &f->set), 0);
}

static void fan_close(struct fan *f)
{
	int i;

	CU_ASSERT_EQUAL(gpmm_set_destroy(f->set), 0);
	gpmm_fanout_destroy(f->be);
	for (i = 0; i < 3; i++) {
		CU_ASSERT(mock_all(&f->mock[i], 0, MOCK_SIZE, 0));
		CU_ASSERT_PTR_NULL(f->mock[i].complaint);
		mock_fini(&f->mock[i]);
	}
}

static bool all_have(struct fan *f, gpmm_gpa_t start, uint64_t size,
		     uint8_t byte)
{
	return mock_all(&f->mock[0], start, size, byte) &&
	       mock_all(&f->mock[1], start, size, byte) &&
	       mock_all(&f->mock[2], start, size, byte);
}

static void test_all_have_it(void)
{
	uint32_t flags = 2;
	struct fan f;

	fan_open(&f);
	CU_ASSERT_EQUAL(put(f.set, 0x1000, 0x3000, 1), 0);
	CU_ASSERT(all_have(&f, 0x1000, 0x3000, 1));
	CU_ASSERT_EQUAL(gpmm_set_protect(f.set, 0x2000, 0x1000,
					 gpmm_protect_to, &flags), 0);
	CU_ASSERT(all_have(&f, 0x2000, 0x1000, 2));
	CU_ASSERT_EQUAL(gpmm_set_unmap(f.set, 0x1800, 0x1000), 0);
	CU_ASSERT(all_have(&f, 0x1000, 0x800, 1));
	CU_ASSERT(all_have(&f, 0x1800, 0x1000, 0));
	CU_ASSERT(all_have(&f, 0x2800, 0x800, 2));
	fan_close(&f);
}

/* Whoever fails, at whatever, the others have nothing of it. */
static void test_a_failure_of_one_is_undone_in_all(void)
{
	static const unsigned int kinds[] = { MOCK_UNMAP, MOCK_MAP,
					      MOCK_BEGIN, MOCK_COMMIT };
	unsigned int struck = 0;
	struct fan f;
	int i, k;

	fan_open(&f);
	CU_ASSERT_EQUAL(put(f.set, 0x1000, 0x2000, 1), 0);
	for (i = 0; i < 3; i++)
		for (k = 0; k < 4; k++) {
			mock_fail(&f.mock[i], kinds[k], 0, 1, -EPERM);
			if (i != 1 && k > 1) {
				mock_heal(&f.mock[i]);
				continue;
			}
			struck++;
			CU_ASSERT_EQUAL(put_over(f.set, 0x2000, 0x2000, 3),
					-EPERM);
			CU_ASSERT(HOLDS(f.set, { 0x1000, 0x2000, 1 }));
			CU_ASSERT(all_have(&f, 0x1000, 0x2000, 1));
			CU_ASSERT(all_have(&f, 0x3000, 0x1000, 0));
		}
	CU_ASSERT_EQUAL(struck, 8);
	CU_ASSERT_EQUAL(put_over(f.set, 0x2000, 0x2000, 3), 0);
	CU_ASSERT(all_have(&f, 0x2000, 0x2000, 3));
	fan_close(&f);
}

static bool refuse(struct gpmm_backend *be, const struct gpmm_area *left,
		   const struct gpmm_area *right)
{
	(void)be;
	(void)left;
	(void)right;
	return false;
}

static void test_areas_merge_where_all_agree(void)
{
	struct fan f;

	fan_open(&f);
	CU_ASSERT_EQUAL(put(f.set, 0x1000, 0x1000, 1), 0);
	CU_ASSERT_EQUAL(put(f.set, 0x2000, 0x1000, 1), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(f.set), 1);
	f.mock[2].ops.can_merge = refuse;
	CU_ASSERT_EQUAL(put(f.set, 0x3000, 0x1000, 1), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(f.set), 2);
	f.mock[2].ops.can_merge = NULL;
	CU_ASSERT_EQUAL(gpmm_set_merge(f.set, 0, MOCK_SIZE), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(f.set), 1);
	fan_close(&f);
}

static void test_an_area_names_the_fanout(void)
{
	struct gpmm_area area;
	struct fan f;

	fan_open(&f);
	CU_ASSERT_EQUAL(put(f.set, 0x1000, 0x1000, 1), 0);
	CU_ASSERT_FATAL(gpmm_set_find(f.set, 0x1000, &area));
	CU_ASSERT_PTR_EQUAL(area.backend, f.be);
	fan_close(&f);
}

static void test_granule_is_the_largest(void)
{
	struct mock fine, coarse;
	struct gpmm_backend *two[2] = { &fine.be, &coarse.be }, *fanout;

	mock_init_at(&fine, 0, 0x100, 256, false);
	mock_init_at(&coarse, 0, 0x1000, 16, false);
	CU_ASSERT_EQUAL_FATAL(gpmm_fanout_create(two, 2, &fanout), 0);
	CU_ASSERT_EQUAL(fanout->granule, 0x1000);
	gpmm_fanout_destroy(fanout);
	mock_fini(&fine);
	mock_fini(&coarse);
}

static void test_a_fanout_of_fanouts(void)
{
	struct mock mock[3];
	struct gpmm_backend *two[2], *inner, *outer;
	struct gpmm_set_options options = { .granule = 1 };
	struct gpmm_set *set;
	int i;

	for (i = 0; i < 3; i++)
		mock_init_at(&mock[i], 0, 1, MOCK_SIZE, i != 1);
	two[0] = &mock[0].be;
	two[1] = &mock[1].be;
	CU_ASSERT_EQUAL_FATAL(gpmm_fanout_create(two, 2, &inner), 0);
	two[0] = inner;
	two[1] = &mock[2].be;
	CU_ASSERT_EQUAL_FATAL(gpmm_fanout_create(two, 2, &outer), 0);
	options.backend = outer;
	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&options, &set), 0);
	mock_fail(&mock[2], MOCK_COMMIT, 0, 1, -EPERM);
	CU_ASSERT_EQUAL(put(set, 0x1000, 0x1000, 5), -EPERM);
	for (i = 0; i < 3; i++)
		CU_ASSERT(mock_all(&mock[i], 0, MOCK_SIZE, 0));
	CU_ASSERT_EQUAL(put(set, 0x1000, 0x1000, 5), 0);
	for (i = 0; i < 3; i++)
		CU_ASSERT(mock_all(&mock[i], 0x1000, 0x1000, 5));
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
	gpmm_fanout_destroy(outer);
	gpmm_fanout_destroy(inner);
	for (i = 0; i < 3; i++) {
		CU_ASSERT_PTR_NULL(mock[i].complaint);
		mock_fini(&mock[i]);
	}
}

/* A backend may stand behind a fan-out and alone in one transaction. */
static void test_a_member_may_have_areas_of_its_own(void)
{
	struct gpmm_area own = area_of(0x8000, 0x1000, 4);
	struct gpmm_area both = area_of(0x1000, 0x1000, 1);
	struct gpmm_txn *txn;
	struct fan f;

	fan_open(&f);
	own.backend = &f.mock[1].be;
	CU_ASSERT_EQUAL_FATAL(gpmm_txn_begin(f.set, &txn), 0);
	CU_ASSERT_EQUAL(gpmm_txn_map(txn, &both, 0), 0);
	CU_ASSERT_EQUAL(gpmm_txn_map(txn, &own, 0), 0);
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
	CU_ASSERT(all_have(&f, 0x1000, 0x1000, 1));
	CU_ASSERT(mock_all(&f.mock[1], 0x8000, 0x1000, 4));
	CU_ASSERT(mock_all(&f.mock[0], 0x8000, 0x1000, 0));
	CU_ASSERT_EQUAL(f.mock[1].begins, 1);
	CU_ASSERT_EQUAL(f.mock[1].commits, 1);
	fan_close(&f);
}

/* Unmap the first @n of those that lie 0x1000 apart, and map the last again. */
static bool swap_without_memory(struct fan *f, int n)
{
	struct gpmm_area last = area_of((uint64_t)n * 0x1000, 0x800, 1);
	struct gpmm_txn *txn;
	bool struck;
	int i, ret;

	CU_ASSERT_EQUAL_FATAL(gpmm_txn_begin(f->set, &txn), 0);
	for (i = 1; i <= n; i++)
		CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, (uint64_t)i * 0x1000,
					       0x800), 0);
	gpmm__alloc_left = 0;
	ret = gpmm_txn_map(txn, &last, 0);
	gpmm__alloc_left = -1;
	struck = ret == -ENOMEM;
	CU_ASSERT(struck || !ret);
	if (struck)
		CU_ASSERT_EQUAL(gpmm_txn_map(txn, &last, 0), 0);
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
	return struck;
}

/* What the members before were to be told of it is forgotten. */
static void test_a_map_without_memory_is_asked_for_again(void)
{
	int n, i, struck = 0;

	for (n = 1; n <= 10; n++) {
		struct fan f;

		fan_open(&f);
		for (i = 1; i <= 10; i++)
			CU_ASSERT_EQUAL(put(f.set, (uint64_t)i * 0x1000, 0x800,
					    1), 0);
		struck += swap_without_memory(&f, n);
		CU_ASSERT(all_have(&f, 0x1000, (uint64_t)(n - 1) * 0x1000, 0));
		CU_ASSERT(all_have(&f, (uint64_t)n * 0x1000, 0x800, 1));
		fan_close(&f);
	}
	CU_ASSERT(struck >= 2);
}

static char order[16];

static void note(struct mock *mock, enum mock_kind kind)
{
	char call[3] = { kind == MOCK_BEGIN ? 'b' : 'c',
			 *(const char *)mock->peek_arg };

	if (kind == MOCK_BEGIN || kind == MOCK_COMMIT)
		strncat(order, call, sizeof(order) - strlen(order) - 1);
}

/* Two sets that share both do not wait for each other, see backend.h. */
static void test_all_begin_in_one_order_and_commit_in_theirs(void)
{
	struct mock mock[2];
	struct gpmm_backend *two[2] = { &mock[1].be, &mock[0].be }, *fanout;
	struct gpmm_set_options options = { .granule = 1 };
	struct gpmm_set *set;
	int i;

	for (i = 0; i < 2; i++) {
		mock_init_at(&mock[i], 0, 1, MOCK_SIZE, true);
		mock[i].peek = note;
		mock[i].peek_arg = &"01"[i];
	}
	CU_ASSERT_EQUAL_FATAL(gpmm_fanout_create(two, 2, &fanout), 0);
	options.backend = fanout;
	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&options, &set), 0);
	*order = 0;
	CU_ASSERT_EQUAL(put(set, 0x1000, 0x1000, 5), 0);
	CU_ASSERT_STRING_EQUAL(order, "b0b1c1c0");
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
	gpmm_fanout_destroy(fanout);
	for (i = 0; i < 2; i++) {
		CU_ASSERT_PTR_NULL(mock[i].complaint);
		mock_fini(&mock[i]);
	}
}

static void test_misuse(void)
{
	struct gpmm_backend *one[1] = { gpmm_backend_none() }, *fanout = NULL;
	struct gpmm_backend *two[2], *again;
	struct mock mock;

	CU_ASSERT_EQUAL(gpmm_fanout_create(one, 0, &fanout), -EINVAL);
	mock_init(&mock);
	mock.ops.abi = GPMM_BACKEND_ABI + 1;
	one[0] = &mock.be;
	CU_ASSERT_EQUAL(gpmm_fanout_create(one, 1, &fanout), -EINVAL);
	CU_ASSERT_PTR_NULL(fanout);
	mock.ops.abi = GPMM_BACKEND_ABI;
	CU_ASSERT_EQUAL(gpmm_fanout_create(one, 1, &fanout), 0);
	gpmm_fanout_destroy(NULL);
	/* Nobody is to be told twice, not even through another fan-out. */
	two[0] = &mock.be;
	two[1] = &mock.be;
	CU_ASSERT_EQUAL(gpmm_fanout_create(two, 2, &again), -EINVAL);
	two[1] = fanout;
	CU_ASSERT_EQUAL(gpmm_fanout_create(two, 2, &again), -EINVAL);
	gpmm_fanout_destroy(fanout);
	mock_fini(&mock);
}

int main(void)
{
	static const struct suite_test tests[] = {
		{ "all members have what the set has", test_all_have_it },
		{ "a failure of one is undone in all",
		  test_a_failure_of_one_is_undone_in_all },
		{ "areas merge where all members agree",
		  test_areas_merge_where_all_agree },
		{ "an area names the fan-out", test_an_area_names_the_fanout },
		{ "its granule is the largest", test_granule_is_the_largest },
		{ "a fan-out of fan-outs", test_a_fanout_of_fanouts },
		{ "a member may have areas of its own",
		  test_a_member_may_have_areas_of_its_own },
		{ "a map that finds no memory may be asked for again",
		  test_a_map_without_memory_is_asked_for_again },
		{ "all begin in one order and commit in theirs",
		  test_all_begin_in_one_order_and_commit_in_theirs },
		{ "misuse is refused", test_misuse },
		{ 0 },
	};

	return suite_run("txn_fanout", tests);
}
