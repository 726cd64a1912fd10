/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Accesses as read sections: they nest in the caller's own, and whoever waits
 * for one is woken when it ends.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "helpers/entries.h"
#include "helpers/guest_fixture.h"
#include "util/rcu.h"

#define BASE UINT64_C(0x100000)

/* Each kind that has a quick way. */
static int access_all(const struct gpmm_guest *guest)
{
	uint64_t value = 0;

	return gpmm_read(guest, BASE, &value, sizeof(value), NULL) ||
	       gpmm_write(guest, BASE, &value, sizeof(value), NULL) ||
	       gpmm_load(guest, BASE, GPMM_LE64, GPMM_RELAXED, &value) ||
	       gpmm_store(guest, BASE, GPMM_LE64, GPMM_RELAXED, value);
}

static void note_section(void *arg, gpmm_gpa_t start, uint64_t size)
{
	unsigned int *inside = arg;

	(void)start;
	(void)size;
	*inside += rcu_inside(NULL);
}

static void an_access_leaves_the_caller_s_section_open(void)
{
	unsigned int inside = 0;
	struct world world;

	world_make(&world, 0);
	world_ram(&world, BASE, PAGE, GPMM_RW);
	world.guest.mark = note_section;
	world.guest.mark_arg = &inside;
	CU_ASSERT_EQUAL(access_all(&world.guest), 0);
	CU_ASSERT_EQUAL(inside, 2);
	CU_ASSERT_FALSE(rcu_inside(NULL));
	gpmm_read_lock();
	gpmm_read_lock();
	CU_ASSERT_EQUAL(access_all(&world.guest), 0);
	gpmm_read_unlock();
	CU_ASSERT(rcu_inside(NULL));
	CU_ASSERT_EQUAL(access_all(&world.guest), 0);
	CU_ASSERT(rcu_inside(NULL));
	gpmm_read_unlock();
	CU_ASSERT_FALSE(rcu_inside(NULL));
	CU_ASSERT_EQUAL(inside, 6);
	world_end(&world);
}

/* ------------------------------------------------------------ who waits --- */

static bool in_section;
static int waiter;

static void wait_for_sleep(void *arg, gpmm_gpa_t start, uint64_t size)
{
	(void)arg;
	(void)start;
	(void)size;
	__atomic_store_n(&in_section, true, __ATOMIC_RELEASE);
	while (state_of(waiter) != 'S')
		sched_yield();
}

static void *write_slowly(void *arg)
{
	gpmm_thread_register();
	CU_ASSERT_EQUAL(gpmm_write(arg, BASE, "", 1, NULL), 0);
	gpmm_thread_unregister();
	return NULL;
}

static void who_waits_for_an_access_is_woken(void)
{
	struct world world;
	pthread_t thread;

	world_make(&world, 0);
	world_ram(&world, BASE, PAGE, GPMM_RW);
	world.guest.mark = wait_for_sleep;
	waiter = gettid();
	for (int i = 0; i < 10; i++) {
		in_section = false;
		pthread_create(&thread, NULL, write_slowly, &world.guest);
		while (!__atomic_load_n(&in_section, __ATOMIC_ACQUIRE))
			sched_yield();
		gpmm__rcu_wait(NULL);
		pthread_join(thread, NULL);
	}
	world_end(&world);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		TEST(an_access_leaves_the_caller_s_section_open),
		TEST(who_waits_for_an_access_is_woken),
		CU_TEST_INFO_NULL,
	};

	return run_suite("guest sections", tests);
}
