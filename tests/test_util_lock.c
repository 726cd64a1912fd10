/* SPDX-License-Identifier: BSD-3-Clause */
/* Whoever waits for a lock is out of where it stood; on the double. */
#include "helpers/suite.h"
#include "util/lock.h"
#include "util/standing.h"

static struct lock lock;
static int out;		/* steps out, less those in */
static unsigned int waits;

static void step_out(void)
{
	CU_ASSERT_EQUAL(out++, 0);
}

static void step_in(void)
{
	CU_ASSERT(lock.held);
	CU_ASSERT_EQUAL(out--, 1);
}

static const struct standing standing = { step_out, step_in };

/* The other thread lets go of the lock the second time it is waited for. */
static void other_runs(bool stuck)
{
	if (!stuck)
		return;
	CU_ASSERT_EQUAL(out, 1);
	if (++waits < 2)
		return;
	gpmm__point_self = 1;
	lock_release(&lock);
	gpmm__point_self = 0;
}

static void setup(void)
{
	CU_ASSERT_EQUAL_FATAL(lock_init(&lock), 0);
	out = waits = 0;
	gpmm__standing = &standing;
	gpmm__point_hook = other_runs;
}

static void teardown(void)
{
	lock_release(&lock);
	lock_fini(&lock);
	gpmm__standing = NULL;
	gpmm__point_hook = NULL;
	CU_ASSERT_EQUAL(out, 0);
}

static void test_who_waits_is_out(void)
{
	setup();
	gpmm__point_self = 1;
	CU_ASSERT_EQUAL(lock_acquire(&lock), 0);
	gpmm__point_self = 0;
	CU_ASSERT_EQUAL(lock_acquire(&lock), 0);
	CU_ASSERT_EQUAL(waits, 2);
	CU_ASSERT_EQUAL(out, 0);
	teardown();
}

static void test_who_would_wait_for_itself_stays(void)
{
	setup();
	CU_ASSERT_EQUAL(lock_acquire(&lock), 0);
	CU_ASSERT_EQUAL(lock_acquire(&lock), -EDEADLK);
	CU_ASSERT_EQUAL(waits, 0);
	teardown();
}

int main(void)
{
	static const struct suite_test tests[] = {
		{ "who waits is out until it has the lock",
		  test_who_waits_is_out },
		{ "who would wait for itself does not step out",
		  test_who_would_wait_for_itself_stays },
		{ 0 },
	};

	return suite_run("util_lock", tests);
}
