/* SPDX-License-Identifier: BSD-3-Clause */
/* A lock that one thread keeps taking no longer costs it the mutex. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "helpers/child.h"
#include "helpers/flag.h"
#include "helpers/suite.h"
#include "util/barrier.h"
#include "util/lock.h"
#include "util/standing.h"

#define MANY	1000	/* in a row make a friend */

static struct lock lock;

static void take_often(struct lock *taken, unsigned int n)
{
	while (n--) {
		CU_ASSERT_EQUAL_FATAL(lock_acquire(taken), 0);
		lock_release(taken);
	}
}

static void setup(void)
{
	CU_ASSERT_EQUAL_FATAL(lock_init(&lock), 0);
}

static void teardown(void)
{
	lock_fini(&lock);
}

/* By friendship, and not by the mutex? */
static bool is_inside(const struct lock *held)
{
	return gpmm__seat && gpmm__seat->inside == held;
}

static void test_many_times_in_a_row_make_a_friend(void)
{
	setup();
	take_often(&lock, 10);
	CU_ASSERT_EQUAL(lock_acquire(&lock), 0);
	CU_ASSERT_FALSE(is_inside(&lock));
	lock_release(&lock);
	take_often(&lock, MANY);
	CU_ASSERT_EQUAL(lock_acquire(&lock), 0);
	CU_ASSERT_TRUE(is_inside(&lock));
	CU_ASSERT_EQUAL(pthread_mutex_trylock(&lock.mutex), 0);
	pthread_mutex_unlock(&lock.mutex);
	lock_release(&lock);
	CU_ASSERT_FALSE(is_inside(&lock));
	teardown();
}

static void test_who_holds_it_is_told_in_either_way(void)
{
	setup();
	CU_ASSERT_EQUAL(lock_acquire(&lock), 0);
	CU_ASSERT_EQUAL(lock_acquire(&lock), -EDEADLK);
	lock_release(&lock);
	take_often(&lock, MANY);
	CU_ASSERT_EQUAL(lock_acquire(&lock), 0);
	CU_ASSERT_TRUE(is_inside(&lock));
	CU_ASSERT_EQUAL(lock_acquire(&lock), -EDEADLK);
	CU_ASSERT_TRUE(is_inside(&lock));
	lock_release(&lock);
	teardown();
}

/* Inside of one lock by friendship, others are taken by their mutex. */
static void test_a_friend_is_inside_of_one_lock(void)
{
	struct lock inner;

	setup();
	CU_ASSERT_EQUAL_FATAL(lock_init(&inner), 0);
	take_often(&inner, MANY);
	take_often(&lock, MANY);
	for (unsigned int i = 0; i < 2 * MANY; i++) {
		CU_ASSERT_EQUAL(lock_acquire(&lock), 0);
		CU_ASSERT_TRUE(is_inside(&lock));
		CU_ASSERT_EQUAL(lock_acquire(&inner), 0);
		CU_ASSERT_EQUAL(lock_acquire(&inner), -EDEADLK);
		CU_ASSERT_EQUAL(lock_acquire(&lock), -EDEADLK);
		CU_ASSERT_EQUAL(pthread_mutex_trylock(&inner.mutex), EBUSY);
		lock_release(&inner);
		CU_ASSERT_TRUE(is_inside(&lock));
		lock_release(&lock);
	}
	lock_fini(&inner);
	teardown();
}

/* ------------------------------------------------------------- waiting --- */

static int out;		/* steps out, less those in */
static bool stepped;

static void step_out(void)
{
	CU_ASSERT_EQUAL(out++, 0);
	CU_ASSERT_FALSE(is_set(&stepped));
	set(&stepped);
}

static void step_in(void)
{
	CU_ASSERT_EQUAL(out--, 1);
}

static bool held, came;

static void *come(void *arg)
{
	static const struct standing standing = { step_out, step_in };

	gpmm__standing = &standing;
	wait_for(&held);
	CU_ASSERT_EQUAL(lock_acquire(&lock), 0);
	set(&came);
	lock_release(&lock);
	gpmm__standing = NULL;
	return arg;
}

/* Has someone asked for the friend to leave? */
static bool is_waited_for(void)
{
	return __atomic_load_n(&gpmm__seat->waited, __ATOMIC_ACQUIRE);
}

static void test_who_waits_for_a_friend_is_out(void)
{
	pthread_t thread;

	setup();
	held = came = stepped = false;
	out = 0;
	take_often(&lock, MANY);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, come, NULL), 0);
	CU_ASSERT_EQUAL(lock_acquire(&lock), 0);
	CU_ASSERT_TRUE_FATAL(is_inside(&lock));
	set(&held);
	wait_for(&stepped);
	CU_ASSERT_TRUE(is_waited_for());
	CU_ASSERT_FALSE(is_set(&came));
	lock_release(&lock);
	pthread_join(thread, NULL);
	CU_ASSERT_TRUE(came);
	CU_ASSERT_EQUAL(out, 0);
	CU_ASSERT_FALSE(is_waited_for());
	CU_ASSERT_EQUAL(lock_acquire(&lock), 0);
	CU_ASSERT_FALSE(is_inside(&lock));
	lock_release(&lock);
	teardown();
}

/* --------------------------------------------------------------- races --- */

#define RACERS	3

static struct {
	unsigned int inside, wrong;
	unsigned long count;
	time_t end;
} race;

static void enter(void)
{
	CU_ASSERT_EQUAL_FATAL(lock_acquire(&lock), 0);
	race.wrong += race.inside++;
	race.count++;
	race.wrong += --race.inside;
	lock_release(&lock);
}

/* Some rarely and some again and again, so that friends come and go. */
static void *run(void *arg)
{
	unsigned long bursts[RACERS] = { 1, MANY, 3 * MANY }, count = 0;
	unsigned long burst = bursts[(uintptr_t)arg];

	while (time(NULL) < race.end) {
		for (unsigned long i = 0; i < burst; i++)
			enter();
		count += burst;
		if (burst == 1)
			sched_yield();
	}
	return (void *)count;
}

static void race_for(unsigned int seconds)
{
	pthread_t threads[RACERS];
	unsigned long sum = 0;
	void *count;

	setup();
	memset(&race, 0, sizeof(race));
	race.end = time(NULL) + seconds;
	for (uintptr_t i = 0; i < RACERS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, run,
						     (void *)i), 0);
	for (unsigned int i = 0; i < RACERS; i++) {
		pthread_join(threads[i], &count);
		sum += (unsigned long)count;
	}
	CU_ASSERT_EQUAL(race.wrong, 0);
	CU_ASSERT_EQUAL(race.count, sum);
	teardown();
}

static void test_one_at_a_time_whoever_is_friend(void)
{
	race_for(getenv("GPMM_LONG") ? 60 : 3);
}

/* --------------------------------------------------------------- seats --- */

static void *befriend(void *arg)
{
	take_often(&lock, MANY);
	return arg ? (void *)gpmm__seat : NULL;
}

static void test_who_comes_after_a_thread_has_its_seat(void)
{
	void *seat = NULL, *next = NULL;
	pthread_t thread;

	setup();
	for (unsigned int i = 0; i < 10; i++) {
		CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, befriend,
						     &lock), 0);
		pthread_join(thread, &next);
		CU_ASSERT_PTR_NOT_NULL(next);
		CU_ASSERT(!seat || seat == next);
		seat = next;
	}
	CU_ASSERT_PTR_NOT_EQUAL(seat, gpmm__seat);
	/* Nobody sits in it, and it need not be waited for. */
	CU_ASSERT_EQUAL(lock_acquire(&lock), 0);
	lock_release(&lock);
	teardown();
}

static void leave(void *arg)
{
	lock_release(arg);
}

static void *end_inside(void *arg)
{
	take_often(&lock, MANY);
	pthread_setspecific(*(pthread_key_t *)arg, &lock);
	CU_ASSERT_EQUAL(lock_acquire(&lock), 0);
	CU_ASSERT_TRUE(is_inside(&lock));
	return gpmm__seat;
}

/* The destructor of a thread's own may be the last to run. */
static void test_a_thread_may_leave_as_it_ends(void)
{
	void *seat = NULL, *next = NULL;
	pthread_t thread;
	pthread_key_t key;

	setup();
	CU_ASSERT_EQUAL_FATAL(pthread_key_create(&key, leave), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, end_inside, &key),
			      0);
	pthread_join(thread, &seat);
	CU_ASSERT_EQUAL(lock_acquire(&lock), 0);
	lock_release(&lock);
	/* And stands up after. */
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, befriend, &lock),
			      0);
	pthread_join(thread, &next);
	CU_ASSERT_PTR_EQUAL(seat, next);
	pthread_key_delete(key);
	teardown();
}

/* -------------------------------------------------- without membarrier --- */

/* The seat that a thread may have before is no help. */
static void *take_without(void *arg)
{
	bool *friends = arg;

	take_often(&lock, MANY);
	*friends = lock.friend != NOBODY;
	return NULL;
}

static int run_without(rlim_t limit)
{
	bool friends = true;
	pthread_t thread;

	(void)limit;
	if (!lose_membarrier())
		return CHILD_SKIPS;
	errno = 0;
	if (gpmm__barrier_threads() || errno || lock_init(&lock) ||
	    pthread_create(&thread, NULL, take_without, &friends))
		return 1;
	pthread_join(thread, NULL);
	return friends;
}

static void test_without_membarrier_there_are_no_friends(void)
{
	in_a_child(run_without, 0);
}

static void *take_once(void *arg)
{
	unsigned long *seen = arg;

	if (lock_acquire(&lock))
		return NULL;
	*seen = race.count;
	lock_release(&lock);
	return NULL;
}

/* An embedder may forbid more and more calls as it goes. */
static int run_with_less(rlim_t limit)
{
	unsigned long seen = 0;
	pthread_t thread;

	(void)limit;
	if (lock_init(&lock))
		return 1;
	take_often(&lock, MANY);
	if (lock.friend != gpmm__seat)
		return 1;
	if (!lose_membarrier())
		return CHILD_SKIPS;
	if (lock_acquire(&lock) || !is_inside(&lock) ||
	    pthread_create(&thread, NULL, take_once, &seen))
		return 1;
	race.count = 7;
	lock_release(&lock);
	pthread_join(thread, NULL);
	return seen != 7 || lock.friend != NOBODY;
}

static void test_a_friendship_ends_even_without_membarrier(void)
{
	in_a_child(run_with_less, 0);
}

static void interrupt(int signal)
{
	(void)signal;
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* Signals come to a thread that waits, a gate's for one. */
static int run_interrupted(rlim_t limit)
{
	const struct itimerval often = { { 0, 1000 }, { 0, 1000 } };
	const struct sigaction action = { .sa_handler = interrupt };
	uint64_t begin;

	(void)limit;
	if (!lose_membarrier())
		return CHILD_SKIPS;
	if (sigaction(SIGALRM, &action, NULL) ||
	    setitimer(ITIMER_REAL, &often, NULL))
		return 1;
	begin = now();
	errno = 0;
	gpmm__barrier_must();
	return errno || now() - begin < 20000000;
}

static void test_signals_do_not_cut_it_short(void)
{
	in_a_child(run_interrupted, 0);
}

int main(void)
{
	/* The first wants a process that has no friends yet. */
	static const struct suite_test tests[] = {
		{ "without membarrier there are no friends",
		  test_without_membarrier_there_are_no_friends },
		{ "many times in a row make a friend",
		  test_many_times_in_a_row_make_a_friend },
		{ "who holds it already is told so, however it is held",
		  test_who_holds_it_is_told_in_either_way },
		{ "a friend is inside of one lock at a time",
		  test_a_friend_is_inside_of_one_lock },
		{ "who waits for a friend to leave is out",
		  test_who_waits_for_a_friend_is_out },
		{ "one at a time is inside, whoever is the friend",
		  test_one_at_a_time_whoever_is_friend },
		{ "who comes after a thread has its seat",
		  test_who_comes_after_a_thread_has_its_seat },
		{ "a thread may leave as it ends",
		  test_a_thread_may_leave_as_it_ends },
		{ "a friendship ends even without membarrier",
		  test_a_friendship_ends_even_without_membarrier },
		{ "signals do not cut the wait for stores short",
		  test_signals_do_not_cut_it_short },
		{ 0 },
	};

	return suite_run("util_friend", tests);
}
