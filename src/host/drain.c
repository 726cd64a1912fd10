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

/*
 * A grace period waited for by a thread of its own: liburcu can only wait
 * without a bound. Shared by that thread and the drain, under the pins' lock.
 */
struct grace {
	const struct rcu_flavor_struct *flavor;
	unsigned int refs;
	bool over;
};

static void put_locked(struct grace *grace)
{
	if (!--grace->refs)
		gpmm__free(grace);
}

static void *wait_for_readers(void *arg)
{
	struct grace *grace = arg;

	gpmm__rcu_wait(grace->flavor);
	gpmm__pins_lock();
	grace->over = true;
	gpmm__pins_changed_locked();
	put_locked(grace);
	gpmm__pins_unlock();
	return NULL;
}

/* Detached, and deaf to the embedder's signals. */
static int spawn(struct grace *grace)
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
	ret = pthread_create(&thread, &attr, wait_for_readers, grace);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return -ret;
}

static int start(const struct gpmm_set *set, struct grace **grace)
{
	struct grace *new = gpmm__alloc(sizeof(*new));
	int ret;

	if (!new)
		return -ENOMEM;
	*new = (struct grace){ .flavor = set->flavor, .refs = 2 };
	ret = spawn(new);
	if (ret) {
		gpmm__free(new);
		return ret;
	}
	*grace = new;
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
static void wait_locked(const struct grace *grace, struct gpmm_host *host,
			uint64_t offset, uint64_t size,
			const struct timespec *deadline,
			struct gpmm_certificate *out)
{
	bool time_left = true;

	for (;;) {
		out->readers = !grace->over;
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
	struct grace *grace;
	int ret;

	if (!size)
		size = gpmm_host_size(host) - offset;
	if (!range_is_valid(host, offset, size))
		return -EINVAL;
	if (rcu_inside(set->flavor))
		return -EDEADLK;
	ret = start(set, &grace);
	if (ret)
		return ret;
	gpmm__pins_lock();
	gpmm__pins_attend_locked(1);
	wait_locked(grace, host, offset, size, &deadline, out);
	gpmm__pins_attend_locked(-1);
	put_locked(grace);
	gpmm__pins_unlock();
	return out->done ? 0 : -ETIMEDOUT;
}
