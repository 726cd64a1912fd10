/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The writers' mutex. It knows its owner, so that a writer who would wait for
 * itself is told; one who waits for another steps out of where others wait for
 * it (standing.h). The double build has one thread, or those of a test that
 * takes turns between them (point.h).
 */
#ifndef GPMM_UTIL_LOCK_H
#define GPMM_UTIL_LOCK_H

#include <assert.h>
#include <errno.h>
#include <stdbool.h>

#ifdef GPMM_DOUBLE
#include "util/point.h"
#include "util/standing.h"

struct lock {
	bool held;
	unsigned int owner;
};

static inline int lock_init(struct lock *lock)
{
	lock->held = false;
	return 0;
}

static inline void lock_fini(struct lock *lock)
{
	assert(!lock->held);
	(void)lock;
}

static inline int lock_acquire(struct lock *lock)
{
	bool waits;

	point(false);
	waits = lock->held;
	if (waits && lock->owner == gpmm__point_self)
		return -EDEADLK;
	if (waits)
		gpmm__step_out();
	while (lock->held)
		point(true);
	lock->held = true;
	lock->owner = gpmm__point_self;
	if (waits)
		gpmm__step_in();
	return 0;
}

static inline void lock_release(struct lock *lock)
{
	assert(lock->held);
	lock->held = false;
	point(false);
}

#else
#include <pthread.h>

struct lock {
	pthread_mutex_t mutex;
};

/* Return: 0 or -errno. */
static inline int lock_init(struct lock *lock)
{
	pthread_mutexattr_t attr;
	int ret = pthread_mutexattr_init(&attr);

	if (ret)
		return -ret;
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
	ret = pthread_mutex_init(&lock->mutex, &attr);
	pthread_mutexattr_destroy(&attr);
	return -ret;
}

static inline void lock_fini(struct lock *lock)
{
	pthread_mutex_destroy(&lock->mutex);
}

/* What lock_acquire() does where the lock is held. */
int gpmm__lock_wait(struct lock *lock);

/* Return: 0, or -EDEADLK where the caller holds it. */
static inline int lock_acquire(struct lock *lock)
{
	if (__builtin_expect(pthread_mutex_trylock(&lock->mutex), 0))
		return gpmm__lock_wait(lock);
	return 0;
}

static inline void lock_release(struct lock *lock)
{
	int ret = pthread_mutex_unlock(&lock->mutex);

	assert(!ret);
	(void)ret;
}

#endif
#endif
