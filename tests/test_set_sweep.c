/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every change, with its Nth allocation and each backend's Nth call failing,
 * for every N: it says so, nothing at all has changed, and then it succeeds.
 */
#include <errno.h>
#include <stdio.h>

#include "helpers/lab.h"
#include "helpers/suite.h"
#include "util/alloc.h"

#define HIGH (UINT64_C(1) << 50)

static struct lab lab;
static unsigned long points;	/* places where something was made to fail */

/* What each change should come to. */
static struct snapshot outcome;

static void note_outcome(const struct lab_change *change, unsigned int more)
{
	lab_fill(&lab, more);
	CU_ASSERT_EQUAL(change->run(&lab), 0);
	snapshot_take(&outcome, lab.set);
	lab_empty(&lab);
}

/* After a failure: nothing happened, and the change can still be made. */
static void check_failed(const struct lab_change *change, const char *what,
			 unsigned long n)
{
	bool same = lab_unchanged(&lab);

	points++;
	if (!same)
		printf("    %s: not as before when %s %lu failed\n",
		       change->name, what, n);
	CU_ASSERT(same);
	CU_ASSERT_EQUAL(change->run(&lab), 0);
	CU_ASSERT(snapshot_holds(&outcome, lab.set));
}

/* ----------------------------------------------------------- allocations */

/* Return: whether the Nth allocation came to be asked for. */
static bool fail_alloc(const struct lab_change *change, unsigned int more,
		       unsigned long n, bool stay)
{
	bool struck;
	int ret;

	lab_fill(&lab, more);
	lab_remember(&lab);
	gpmm__alloc_calls = 0;
	gpmm__alloc_left = (long)n;
	gpmm__alloc_stay = stay;
	ret = change->run(&lab);
	struck = gpmm__alloc_calls > n;
	gpmm__alloc_left = -1;
	gpmm__alloc_stay = false;
	CU_ASSERT_EQUAL(ret, struck ? -ENOMEM : 0);
	if (ret)
		check_failed(change, "allocation", n);
	lab_forget(&lab);
	lab_empty(&lab);
	return struck;
}

static void sweep_alloc(const struct lab_change *change, unsigned int more,
			bool stay)
{
	unsigned long n = 0;

	note_outcome(change, more);
	while (fail_alloc(change, more, n, stay))
		n++;
	snapshot_free(&outcome);
}

static void sweep_allocs(gpmm_gpa_t base, unsigned int more, bool stay)
{
	const struct lab_change *change;

	points = 0;
	lab_open(&lab, base);
	for (change = lab_changes; change->name; change++)
		sweep_alloc(change, more, stay);
	lab_close(&lab);
	printf("\n    %lu failures ", points);
	CU_ASSERT(points > 10);
}

static void test_allocations(void)
{
	sweep_allocs(0, 0, false);
	sweep_allocs(HIGH, 0, false);
}

static void test_allocations_large(void)
{
	sweep_allocs(0, 600, false);
	sweep_allocs(HIGH, 600, false);
}

static void test_no_more_memory_ever(void)
{
	sweep_allocs(0, 40, true);
	sweep_allocs(HIGH, 40, true);
}

/* -------------------------------------------------------------- backends */

/* From the first failure on there is no memory either: undoing needs none. */
static void take_memory(struct mock *mock, enum mock_kind kind)
{
	(void)kind;
	if (mock->failed && mock->peek_arg)
		gpmm__alloc_left = 0;
}

static bool fail_call(const struct lab_change *change, unsigned int more,
		      int which, unsigned long n, bool starve)
{
	struct mock *mock = &lab.mock[which];
	int i, ret;

	lab_fill(&lab, more);
	lab_remember(&lab);
	for (i = 0; i < LAB_MOCKS; i++) {
		lab.mock[i].peek = take_memory;
		lab.mock[i].peek_arg = starve ? &lab : NULL;
	}
	mock_fail(mock, MOCK_FALLIBLE, n, 1, -EPERM);
	gpmm__alloc_stay = true;
	ret = change->run(&lab);
	gpmm__alloc_left = -1;
	gpmm__alloc_stay = false;
	mock_heal(mock);
	CU_ASSERT_EQUAL(ret, mock->failed ? -EPERM : 0);
	i = mock->failed;
	mock->failed = 0;
	if (i)
		check_failed(change, "call", n);
	lab_forget(&lab);
	lab_empty(&lab);
	return i;
}

static void sweep_calls(gpmm_gpa_t base, unsigned int more, bool starve)
{
	const struct lab_change *change;
	unsigned long n;
	int which;

	points = 0;
	lab_open(&lab, base);
	for (change = lab_changes; change->name; change++) {
		note_outcome(change, more);
		for (which = 0; which < LAB_MOCKS; which++)
			for (n = 0; fail_call(change, more, which, n, starve);)
				n++;
		snapshot_free(&outcome);
	}
	lab_close(&lab);
	printf("\n    %lu failures ", points);
	CU_ASSERT(points > 100);
}

static void test_calls(void)
{
	sweep_calls(0, 0, false);
	sweep_calls(HIGH, 0, false);
}

static void test_calls_large(void)
{
	sweep_calls(0, 100, false);
}

static void test_undo_without_memory(void)
{
	sweep_calls(0, 20, true);
}

/* ----------------------------------------------------------------- life */

static void test_create(void)
{
	struct gpmm_set_options options = { .granule = 1 };
	struct gpmm_set *const none = (void *)1;
	struct gpmm_set *set;
	int ret, n = 0;

	do {
		set = none;
		gpmm__alloc_calls = 0;
		gpmm__alloc_left = n;
		ret = gpmm_set_create(&options, &set);
		gpmm__alloc_left = -1;
		CU_ASSERT(ret == 0 || ret == -ENOMEM);
		CU_ASSERT(!ret == !(gpmm__alloc_calls > (unsigned)n));
	} while (++n < 100 && ret);
	CU_ASSERT(n > 1);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
}

static void test_create_fanout(void)
{
	struct gpmm_backend *fanout, *two[2];
	struct mock mock;
	int ret, n = 0;

	mock_init(&mock);
	two[0] = &mock.be;
	two[1] = gpmm_backend_none();
	do {
		fanout = NULL;
		gpmm__alloc_left = n;
		ret = gpmm_fanout_create(two, 2, &fanout);
		gpmm__alloc_left = -1;
		CU_ASSERT(ret == 0 || ret == -ENOMEM);
	} while (++n < 100 && ret);
	CU_ASSERT(n > 1);
	gpmm_fanout_destroy(fanout);
	mock_fini(&mock);
}

/* destroy is clear: what fails leaves a set that still works. */
static void test_destroy(void)
{
	unsigned long n;
	int ret;

	lab_open(&lab, 0);
	for (n = 0, ret = -1; ret; n++) {
		lab_fill(&lab, 0);
		lab_remember(&lab);
		gpmm__alloc_left = (long)n;
		ret = gpmm_set_destroy(lab.set);
		gpmm__alloc_left = -1;
		if (ret) {
			CU_ASSERT_EQUAL(ret, -ENOMEM);
			CU_ASSERT(lab_unchanged(&lab));
			lab_empty(&lab);
		}
		lab_forget(&lab);
	}
	lab_close(&lab);
}

int main(void)
{
	static const struct suite_test tests[] = {
		{ "the Nth allocation fails", test_allocations },
		{ "the Nth allocation fails, many areas",
		  test_allocations_large },
		{ "all allocations fail from the Nth on",
		  test_no_more_memory_ever },
		{ "the Nth call of a backend fails", test_calls },
		{ "the Nth call of a backend fails, many areas",
		  test_calls_large },
		{ "undoing needs no memory", test_undo_without_memory },
		{ "create fails cleanly", test_create },
		{ "a fan-out's creation fails cleanly", test_create_fanout },
		{ "destroy fails cleanly", test_destroy },
		{ 0 },
	};

	return suite_run("set_sweep", tests);
}
