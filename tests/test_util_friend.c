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

static struct lock lock, inner;

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
	CU_ASSERT_EQUAL_FATAL(lock_init_inner(&inner), 0);
}

static void teardown(void)
{
	lock_fini(&inner);
	lock_fini(&lock);
}

/* By friendship, and not by the mutex? */
static bool is_inside(const struct lock *held)
{
	return gpmm__seat && gpmm__seat->inside[held->depth] == held;
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

/* Inside of one lock by friendship, others like it are taken by their mutex. */
static void one_of_two(struct lock *first, struct lock *second)
{
	take_often(second, MANY);
	take_often(first, MANY);
	for (unsigned int i = 0; i < 2 * MANY; i++) {
		CU_ASSERT_EQUAL(lock_acquire(first), 0);
		CU_ASSERT_TRUE(is_inside(first));
		CU_ASSERT_EQUAL(lock_acquire(second), 0);
		CU_ASSERT_EQUAL(lock_acquire(second), -EDEADLK);
		CU_ASSERT_EQUAL(lock_acquire(first), -EDEADLK);
		CU_ASSERT_EQUAL(pthread_mutex_trylock(&second->mutex), EBUSY);
		lock_release(second);
		CU_ASSERT_TRUE(is_inside(first));
		lock_release(first);
	}
}

static void test_a_friend_is_inside_of_one_lock_of_a_depth(void)
{
	struct lock other;

	setup();
	CU_ASSERT_EQUAL_FATAL(lock_init(&other), 0);
	one_of_two(&lock, &other);
	lock_fini(&other);
	CU_ASSERT_EQUAL_FATAL(lock_init_inner(&other), 0);
	one_of_two(&inner, &other);
	lock_fini(&other);
	teardown();
}

static void take_both(void)
{
	CU_ASSERT_EQUAL(lock_acquire(&lock), 0);
	CU_ASSERT_EQUAL(lock_acquire(&inner), 0);
}

static void release_both(void)
{
	lock_release(&inner);
	lock_release(&lock);
}

static void befriend_both(void)
{
	for (unsigned int i = 0; i < MANY; i++) {
		take_both();
		release_both();
	}
	CU_ASSERT_PTR_EQUAL(lock.friend, gpmm__seat);
	CU_ASSERT_PTR_EQUAL(inner.friend, gpmm__seat);
}

static void test_a_friend_is_inside_of_two_locks(void)
{
	setup();
	befriend_both();
	take_both();
	CU_ASSERT_TRUE(is_inside(&lock));
	CU_ASSERT_TRUE(is_inside(&inner));
	CU_ASSERT_EQUAL(lock_acquire(&inner), -EDEADLK);
	CU_ASSERT_EQUAL(lock_acquire(&lock), -EDEADLK);
	lock_release(&inner);
	CU_ASSERT_TRUE(is_inside(&lock));
	CU_ASSERT_FALSE(is_inside(&inner));
	lock_release(&lock);
	CU_ASSERT_FALSE(is_inside(&lock));
	/* And in whichever order. */
	CU_ASSERT_EQUAL(lock_acquire(&inner), 0);
	CU_ASSERT_EQUAL(lock_acquire(&lock), 0);
	CU_ASSERT_TRUE(is_inside(&inner) && is_inside(&lock));
	lock_release(&inner);
	CU_ASSERT_TRUE(is_inside(&lock));
	lock_release(&lock);
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

/* Takes the lock @arg, which another thread is inside of. */
static void *come(void *arg)
{
	static const struct standing standing = { step_out, step_in };

	gpmm__standing = &standing;
	wait_for(&held);
	CU_ASSERT_EQUAL(lock_acquire(arg), 0);
	set(&came);
	lock_release(arg);
	gpmm__standing = NULL;
	return NULL;
}

/* Has someone asked for the friend to leave? */
static bool is_waited_for(void)
{
	return __atomic_load_n(&gpmm__seat->waited, __ATOMIC_ACQUIRE);
}

static void let_come(pthread_t *thread, struct lock *taken)
{
	held = came = stepped = false;
	out = 0;
	CU_ASSERT_EQUAL_FATAL(pthread_create(thread, NULL, come, taken), 0);
}

static void test_who_waits_for_a_friend_is_out(void)
{
	pthread_t thread;

	setup();
	take_often(&lock, MANY);
	let_come(&thread, &lock);
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

/* Until all that has woken up has gone back to sleep, as far as can be told. */
static void let_look(void)
{
	for (unsigned int i = 0; i < 1000; i++)
		sched_yield();
}

/* The friend leaves @left first, which nobody waits for. */
static void leave_other_first(struct lock *waited, struct lock *left)
{
	pthread_t thread;

	setup();
	befriend_both();
	let_come(&thread, waited);
	take_both();
	CU_ASSERT_TRUE_FATAL(is_inside(waited) && is_inside(left));
	set(&held);
	wait_for(&stepped);
	lock_release(left);
	let_look();
	CU_ASSERT_FALSE(is_set(&came));
	/* It is the friend's all along. */
	CU_ASSERT_EQUAL(lock_acquire(left), 0);
	CU_ASSERT_TRUE(is_inside(left));
	lock_release(left);
	let_look();
	CU_ASSERT_FALSE(is_set(&came));
	lock_release(waited);
	pthread_join(thread, NULL);
	CU_ASSERT_TRUE(came);
	CU_ASSERT_FALSE(is_waited_for());
	teardown();
}

static void test_who_waits_waits_for_one_lock(void)
{
	leave_other_first(&lock, &inner);
	leave_other_first(&inner, &lock);
}

static void *come_through(void *arg)
{
	CU_ASSERT_EQUAL(lock_acquire(arg), 0);
	lock_release(arg);
	return NULL;
}

/* Inside of the one lock, the friend does not hold up who wants the other. */
static void test_a_friend_holds_only_what_it_is_inside_of(void)
{
	struct lock *locks[] = { &lock, &inner };
	pthread_t thread;

	for (unsigned int i = 0; i < 2; i++) {
		setup();
		befriend_both();
		CU_ASSERT_EQUAL(lock_acquire(locks[i]), 0);
		CU_ASSERT_TRUE(is_inside(locks[i]));
		CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL,
						     come_through,
						     locks[!i]), 0);
		pthread_join(thread, NULL);
		CU_ASSERT_TRUE(is_inside(locks[i]));
		CU_ASSERT_PTR_EQUAL(locks[!i]->friend, NOBODY);
		lock_release(locks[i]);
		teardown();
	}
}

/* --------------------------------------------------------------- races --- */

#define RACERS	3

/* What a lock guards. */
struct guarded {
	unsigned int inside, wrong;
	unsigned long count;
};

static struct {
	struct guarded outer, inner;
	time_t end;
} race;

static void touch(struct guarded *guarded)
{
	guarded->wrong += guarded->inside++;
	guarded->count++;
	guarded->wrong += --guarded->inside;
}

static void enter_inner(void)
{
	CU_ASSERT_EQUAL_FATAL(lock_acquire(&inner), 0);
	touch(&race.inner);
	lock_release(&inner);
}

/* The inner lock alone now and then, as a backend's is. */
static void enter(unsigned long turn)
{
	CU_ASSERT_EQUAL_FATAL(lock_acquire(&lock), 0);
	touch(&race.outer);
	enter_inner();
	touch(&race.outer);
	lock_release(&lock);
	if (turn % 64 == 0)
		enter_inner();
}

/* Some rarely and some again and again, so that friends come and go. */
static void *run(void *arg)
{
	unsigned long bursts[RACERS] = { 1, MANY, 3 * MANY }, count = 0;
	unsigned long burst = bursts[(uintptr_t)arg];

	while (time(NULL) < race.end) {
		for (unsigned long i = 0; i < burst; i++)
			enter(count++);
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
	CU_ASSERT_EQUAL(race.outer.wrong, 0);
	CU_ASSERT_EQUAL(race.inner.wrong, 0);
	CU_ASSERT_EQUAL(race.outer.count, 2 * sum);
	CU_ASSERT_TRUE(race.inner.count > sum);
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

static pthread_key_t leaving;

static void *end_inside(void *arg)
{
	take_often(arg, MANY);
	pthread_setspecific(leaving, arg);
	CU_ASSERT_EQUAL(lock_acquire(arg), 0);
	CU_ASSERT_TRUE(is_inside(arg));
	return gpmm__seat;
}

/* The destructor of a thread's own may be the last to run. */
static void leave_as_it_ends(struct lock *held_yet)
{
	void *seat = NULL, *next = NULL;
	pthread_t thread;

	setup();
	CU_ASSERT_EQUAL_FATAL(pthread_key_create(&leaving, leave), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, end_inside,
					     held_yet), 0);
	pthread_join(thread, &seat);
	CU_ASSERT_EQUAL(lock_acquire(held_yet), 0);
	lock_release(held_yet);
	/* And stands up after. */
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, befriend, &lock),
			      0);
	pthread_join(thread, &next);
	CU_ASSERT_PTR_EQUAL(seat, next);
	pthread_key_delete(leaving);
	teardown();
}

static void test_a_thread_may_leave_as_it_ends(void)
{
	leave_as_it_ends(&lock);
	leave_as_it_ends(&inner);
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
	*seen = race.outer.count;
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
	race.outer.count = 7;
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
		{ "a friend is inside of one lock of a depth at a time",
		  test_a_friend_is_inside_of_one_lock_of_a_depth },
		{ "a friend is inside of two locks, one within the other",
		  test_a_friend_is_inside_of_two_locks },
		{ "who waits for a friend to leave is out",
		  test_who_waits_for_a_friend_is_out },
		{ "who waits for a friend waits for one lock",
		  test_who_waits_waits_for_one_lock },
		{ "a friend holds only what it is inside of",
		  test_a_friend_holds_only_what_it_is_inside_of },
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
