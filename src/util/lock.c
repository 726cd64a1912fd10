/* SPDX-License-Identifier: BSD-3-Clause */
#include "util/lock.h"

#ifndef GPMM_DOUBLE

#include <time.h>

#include "util/alloc.h"
#include "util/barrier.h"
#include "util/standing.h"

/*
 * To end a friendship interrupts the CPUs that run the process, once, for some
 * microseconds; the mutex costs the friend some tens of nanoseconds each time.
 */
#define STREAK	256

/* ---------------------------------------------------------------- seats --- */

__thread struct seat *gpmm__seat;

static struct {
	pthread_once_t once;
	pthread_key_t key;
	bool usable;		/* there is a key, and there are barriers */
	pthread_mutex_t mutex;
	struct seat *empty;
} seats = {
	.once = PTHREAD_ONCE_INIT,
	.mutex = PTHREAD_MUTEX_INITIALIZER,
};

/*
 * A thread ends. Whoever sits here next is the friend of its locks, as others
 * may still look at the seat. Where the thread is inside of a lock yet, it may
 * leave in another destructor of its own: ask again after that. Should it never
 * leave, the lock stays held, and the seat taken.
 */
static void stand_up(void *arg)
{
	struct seat *seat = arg;

	if (seat->inside[OUTER] || seat->inside[INNER]) {
		pthread_setspecific(seats.key, seat);
		return;
	}
	gpmm__seat = NULL;
	pthread_mutex_lock(&seats.mutex);
	seat->next = seats.empty;
	seats.empty = seat;
	pthread_mutex_unlock(&seats.mutex);
}

static void init_seats(void)
{
	seats.usable = gpmm__barrier_threads() &&
		       !pthread_key_create(&seats.key, stand_up);
}

/* No thread of the process may look for its destructor any more. */
__attribute__((destructor)) static void fini_seats(void)
{
	if (seats.usable)
		pthread_key_delete(seats.key);
}

static struct seat *new_seat(void)
{
	struct seat *seat = gpmm__alloc_aligned(64, sizeof(*seat));

	if (!seat)
		return NULL;
	seat->inside[OUTER] = NULL;
	seat->inside[INNER] = NULL;
	seat->waited = 0;
	pthread_mutex_init(&seat->mutex, NULL);
	pthread_cond_init(&seat->left, NULL);
	return seat;
}

/* Have a seat. Return: whether there is one. */
static bool sit_down(void)
{
	struct seat *seat;

	if (gpmm__seat)
		return true;
	pthread_once(&seats.once, init_seats);
	if (!seats.usable)
		return false;
	pthread_mutex_lock(&seats.mutex);
	seat = seats.empty;
	if (seat)
		seats.empty = seat->next;
	pthread_mutex_unlock(&seats.mutex);
	if (!seat)
		seat = new_seat();
	if (!seat)
		return false;
	if (pthread_setspecific(seats.key, seat)) {
		stand_up(seat);
		return false;
	}
	gpmm__seat = seat;
	return true;
}

/* -------------------------------------------------------------- leaving --- */

void gpmm__seat_left(struct seat *seat)
{
	pthread_mutex_lock(&seat->mutex);
	pthread_cond_broadcast(&seat->left);
	pthread_mutex_unlock(&seat->mutex);
}

static bool is_inside(const struct seat *seat, const struct lock *lock)
{
	return __atomic_load_n(&seat->inside[lock->depth],
			       __ATOMIC_ACQUIRE) == lock;
}

static void wait_for(struct seat *seat, const struct lock *lock)
{
	gpmm__step_out();
	pthread_mutex_lock(&seat->mutex);
	while (is_inside(seat, lock))
		pthread_cond_wait(&seat->left, &seat->mutex);
	pthread_mutex_unlock(&seat->mutex);
	gpmm__step_in();
}

/* Context: the lock's mutex is held; then the lock is. */
static void end_friendship(struct lock *lock)
{
	struct seat *seat = lock->friend;

	__atomic_store_n(&lock->friend, NOBODY, __ATOMIC_RELAXED);
	if (seat == gpmm__seat)
		return;
	__atomic_fetch_add(&seat->waited, 1, __ATOMIC_SEQ_CST);
	gpmm__barrier_must();
	if (is_inside(seat, lock))
		wait_for(seat, lock);
	__atomic_fetch_sub(&seat->waited, 1, __ATOMIC_RELAXED);
}

/* ------------------------------------------------------------- the lock --- */

static int init(struct lock *lock, enum depth depth)
{
	pthread_mutexattr_t attr;
	int ret = pthread_mutexattr_init(&attr);

	if (ret)
		return -ret;
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
	ret = pthread_mutex_init(&lock->mutex, &attr);
	pthread_mutexattr_destroy(&attr);
	lock->friend = NOBODY;
	lock->last = NULL;
	lock->streak = 0;
	lock->depth = depth;
	return -ret;
}

int lock_init(struct lock *lock)
{
	return init(lock, OUTER);
}

int lock_init_inner(struct lock *lock)
{
	return init(lock, INNER);
}

void lock_fini(struct lock *lock)
{
	pthread_mutex_destroy(&lock->mutex);
}

/* Does the caller hold it, or is it free by now? Return: as lock_acquire(). */
static int try(struct lock *lock)
{
	static const struct timespec past;

	return -pthread_mutex_timedlock(&lock->mutex, &past);
}

static int take_mutex(struct lock *lock)
{
	int ret = -pthread_mutex_trylock(&lock->mutex);

	if (ret != -EBUSY)
		return ret;
	ret = try(lock);
	if (ret != -ETIMEDOUT)
		return ret;
	gpmm__step_out();
	ret = -pthread_mutex_lock(&lock->mutex);
	gpmm__step_in();
	return ret;
}

/* The lock is held by its mutex, and then by friendship. */
static void befriend(struct lock *lock)
{
	struct seat *seat = gpmm__seat;

	__atomic_store_n(&seat->inside[lock->depth], lock, __ATOMIC_RELEASE);
	__atomic_store_n(&lock->friend, seat, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&lock->mutex);
}

/* Count how often the thread took the mutex in a row. */
static bool is_streak(struct lock *lock)
{
	const void *self = &gpmm__seat;

	if (lock->last != self) {
		lock->last = self;
		lock->streak = 0;
	}
	if (++lock->streak < STREAK)
		return false;
	lock->streak = 0;
	return true;
}

int gpmm__lock_acquire(struct lock *lock)
{
	int ret;

	if (gpmm__seat && is_inside(gpmm__seat, lock))
		return -EDEADLK;
	ret = take_mutex(lock);
	if (ret)
		return ret;
	if (lock->friend != NOBODY)
		end_friendship(lock);
	if (is_streak(lock) && sit_down() && !gpmm__seat->inside[lock->depth])
		befriend(lock);
	return 0;
}

#endif
