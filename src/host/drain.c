/* SPDX-License-Identifier: BSD-3-Clause */
/* Waiting, for a bounded time, until nobody reaches host memory. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "core/set.h"
#include "host/host.h"
#include "host/pin.h"
#include "util/alloc.h"
#include "util/rcu.h"
#include "util/standing.h"

/*
 * A thread that waits for grace periods, for all drains of a flavour: liburcu
 * can only wait without a bound, and a reader that stays must not cost a
 * thread each time somebody asks. Under the pins' lock.
 */
struct waiter {
	const struct rcu_flavor_struct *flavor;
	unsigned int refs;	/* the thread's and the drains' */
	uint64_t asked, over;	/* grace periods; one may answer several */
	struct waiter *next;
};

static struct waiter *waiters;	/* whose threads run */

static void put_locked(struct waiter *waiter)
{
	if (!--waiter->refs)
		gpmm__free(waiter);
}

static void forget_locked(const struct waiter *waiter)
{
	struct waiter **link = &waiters;

	while (*link != waiter)
		link = &(*link)->next;
	*link = waiter->next;
}

static void *wait_for_readers(void *arg)
{
	struct waiter *waiter = arg;

	gpmm__pins_lock();
	while (waiter->over < waiter->asked) {
		uint64_t turn = waiter->asked;

		gpmm__pins_unlock();
		gpmm__rcu_wait(waiter->flavor);
		gpmm__pins_lock();
		waiter->over = turn;
		gpmm__pins_changed_locked();
	}
	forget_locked(waiter);
	put_locked(waiter);
	gpmm__pins_unlock();
	return NULL;
}

/* Detached, and deaf to the embedder's signals. */
static int spawn(struct waiter *waiter)
{
	pthread_attr_t attr;
	sigset_t all, old;
	pthread_t thread;
	int ret;

	ret = pthread_attr_init(&attr);
	if (ret)
		return -ret;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&thread, &attr, wait_for_readers, waiter);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return -ret;
}

static int create_locked(const struct rcu_flavor_struct *flavor,
			 struct waiter **waiter)
{
	struct waiter *new = gpmm__alloc(sizeof(*new));
	int ret;

	if (!new)
		return -ENOMEM;
	*new = (struct waiter){ .flavor = flavor, .refs = 1, .next = waiters };
	ret = spawn(new);
	if (ret) {
		gpmm__free(new);
		return ret;
	}
	waiters = new;
	*waiter = new;
	return 0;
}

/* Ask for a grace period from now on; over once @over has come to @turn. */
static int ask_locked(const struct rcu_flavor_struct *flavor,
		      struct waiter **waiter, uint64_t *turn)
{
	struct waiter *found = waiters;
	int ret = 0;

	while (found && found->flavor != flavor)
		found = found->next;
	if (!found)
		ret = create_locked(flavor, &found);
	if (ret)
		return ret;
	found->refs++;
	*turn = ++found->asked;
	*waiter = found;
	return 0;
}

static struct timespec deadline_in(unsigned int ms)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += ms / 1000;
	at.tv_nsec += ms % 1000 * 1000000L;
	if (at.tv_nsec >= 1000000000L) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000L;
	}
	return at;
}

/* One more look after the time is up, so that the certificate is of then. */
static void wait_locked(const struct waiter *waiter, uint64_t turn,
			struct gpmm_host *host, uint64_t offset, uint64_t size,
			const struct timespec *deadline,
			struct gpmm_certificate *out)
{
	bool time_left = true;

	for (;;) {
		out->readers = waiter->over < turn;
		gpmm__pins_list_locked(host, offset, size, out);
		out->done = !out->readers && !out->pins && !out->area_pins;
		if (out->done || !time_left)
			return;
		time_left = gpmm__pins_wait_locked(deadline);
	}
}

static bool range_is_valid(const struct gpmm_host *host, uint64_t offset,
			   uint64_t size)
{
	uint64_t all = gpmm_host_size(host);

	return offset < all && size <= all - offset;
}

int gpmm_drain(const struct gpmm_set *set, struct gpmm_host *host,
	       uint64_t offset, uint64_t size, unsigned int timeout_ms,
	       struct gpmm_certificate *certificate)
{
	struct timespec deadline = deadline_in(timeout_ms);
	struct gpmm_certificate nowhere = { .capacity = 0 };
	struct gpmm_certificate *out = certificate ? certificate : &nowhere;
	struct waiter *waiter;
	uint64_t turn;
	int ret;

	if (!size)
		size = gpmm_host_size(host) - offset;
	if (!range_is_valid(host, offset, size))
		return -EINVAL;
	if (rcu_inside(set->flavor))
		return -EDEADLK;
	gpmm__step_out();
	gpmm__pins_lock();
	ret = ask_locked(set->flavor, &waiter, &turn);
	if (!ret) {
		gpmm__pins_attend_locked(1);
		wait_locked(waiter, turn, host, offset, size, &deadline, out);
		gpmm__pins_attend_locked(-1);
		put_locked(waiter);
		ret = out->done ? 0 : -ETIMEDOUT;
	}
	gpmm__pins_unlock();
	gpmm__step_in();
	return ret;
}
