/* SPDX-License-Identifier: BSD-3-Clause */
#include "util/lock.h"
#include "util/standing.h"

#ifndef GPMM_DOUBLE

/* Does the caller hold it, or is it free by now? Return: as lock_acquire(). */
static int try(struct lock *lock)
{
	static const struct timespec past;

	return -pthread_mutex_timedlock(&lock->mutex, &past);
}

int gpmm__lock_wait(struct lock *lock)
{
	int ret = try(lock);

	if (ret != -ETIMEDOUT)
		return ret;
	gpmm__step_out();
	ret = -pthread_mutex_lock(&lock->mutex);
	gpmm__step_in();
	return ret;
}

#endif
