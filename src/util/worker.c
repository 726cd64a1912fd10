/* SPDX-License-Identifier: BSD-3-Clause */
#include "util/worker.h"

#ifdef GPMM_DOUBLE

int gpmm__worker_get(void)
{
	return 0;
}

void gpmm__worker_put(void)
{
}

void gpmm__worker_add(struct work *work, unsigned int ms)
{
	(void)ms;
	work->run(work);
}

void gpmm__worker_cancel(struct work *work)
{
	(void)work;
}

#else

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>

#include "util/standing.h"

#define NS_A_MS		UINT64_C(1000000)
#define NS_A_S		UINT64_C(1000000000)

static struct {
	pthread_mutex_t lock;
	/* Work came, or the thread is to stop. Counts in CLOCK_MONOTONIC. */
	pthread_cond_t wake;
	pthread_cond_t idle;	/* a piece of work has run */
	pthread_t thread;
	unsigned int users;
	bool stop;
	struct work *queue;	/* handed in; what is due is the next round */
	struct work *round;	/* still to run in this one */
	struct work *running;
} worker = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.idle = PTHREAD_COND_INITIALIZER,
};

/* Starting and stopping; the thread itself takes worker.lock only. */
static pthread_mutex_t life = PTHREAD_MUTEX_INITIALIZER;

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_A_S + (uint64_t)ts.tv_nsec;
}

/* When something is due first. Context: worker.lock held; there is some. */
static uint64_t first_due_locked(void)
{
	uint64_t due = UINT64_MAX;

	for (const struct work *work = worker.queue; work; work = work->next)
		if (work->due < due)
			due = work->due;
	return due;
}

/* Wait for something to be due, or for other news. Context: worker.lock held. */
static void linger_locked(void)
{
	uint64_t due = first_due_locked();
	struct timespec until = {
		.tv_sec = (time_t)(due / NS_A_S),
		.tv_nsec = (long)(due % NS_A_S),
	};

	if (due > now())
		pthread_cond_timedwait(&worker.wake, &worker.lock, &until);
}

/* What is due makes the next round. Context: worker.lock held. */
static void start_round_locked(void)
{
	struct work **from = &worker.queue, **to = &worker.round;
	uint64_t at = now();

	while (*from) {
		struct work *work = *from;

		if (work->due > at) {
			from = &work->next;
			continue;
		}
		*from = work->next;
		*to = work;
		to = &work->next;
	}
	*to = NULL;
}

/*
 * What is handed in meanwhile waits for another round: a piece that comes
 * again and again neither keeps others from their turn nor goes unlingered.
 * Context: worker.lock held; released while the work runs.
 */
static void run_round_locked(void)
{
	start_round_locked();
	while (worker.round) {
		struct work *work = worker.round;

		worker.round = work->next;
		worker.running = work;
		work->due = 0;
		pthread_mutex_unlock(&worker.lock);
		work->run(work);
		pthread_mutex_lock(&worker.lock);
		worker.running = NULL;
		pthread_cond_broadcast(&worker.idle);
	}
}

static void *work_on(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&worker.lock);
	while (!worker.stop) {
		if (!worker.queue) {
			pthread_cond_wait(&worker.wake, &worker.lock);
			continue;
		}
		linger_locked();
		run_round_locked();
	}
	pthread_mutex_unlock(&worker.lock);
	return NULL;
}

/* Setting the system's time back must not hold up work. */
static int init_wake(void)
{
	pthread_condattr_t attr;
	int ret = pthread_condattr_init(&attr);

	if (ret)
		return ret;
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	ret = pthread_cond_init(&worker.wake, &attr);
	pthread_condattr_destroy(&attr);
	return ret;
}

/* The embedder's signals are not for this thread. */
static int start_thread(void)
{
	sigset_t all, old;
	int ret = init_wake();

	if (ret)
		return -ret;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&worker.thread, NULL, work_on, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ret)
		pthread_cond_destroy(&worker.wake);
	return -ret;
}

int gpmm__worker_get(void)
{
	int ret = 0;

	pthread_mutex_lock(&life);
	if (!worker.users)
		ret = start_thread();
	if (!ret)
		worker.users++;
	pthread_mutex_unlock(&life);
	return ret;
}

static void stop_thread(void)
{
	pthread_mutex_lock(&worker.lock);
	worker.stop = true;
	pthread_cond_broadcast(&worker.wake);
	pthread_mutex_unlock(&worker.lock);
	pthread_join(worker.thread, NULL);
	pthread_cond_destroy(&worker.wake);
	worker.stop = false;
}

void gpmm__worker_put(void)
{
	pthread_mutex_lock(&life);
	if (!--worker.users)
		stop_thread();
	pthread_mutex_unlock(&life);
}

void gpmm__worker_add(struct work *work, unsigned int ms)
{
	uint64_t due = now() + ms * NS_A_MS;

	pthread_mutex_lock(&worker.lock);
	if (!work->due) {
		work->next = worker.queue;
		worker.queue = work;
	}
	if (!work->due || work->due > due)
		work->due = due;
	pthread_cond_signal(&worker.wake);
	pthread_mutex_unlock(&worker.lock);
}

static void take_off(struct work **list, const struct work *work)
{
	for (struct work **at = list; *at; at = &(*at)->next) {
		if (*at == work) {
			*at = work->next;
			break;
		}
	}
}

void gpmm__worker_cancel(struct work *work)
{
	/* What runs may wait for whoever stands where. */
	gpmm__step_out();
	pthread_mutex_lock(&worker.lock);
	/* First: it may hand itself in again. */
	while (worker.running == work)
		pthread_cond_wait(&worker.idle, &worker.lock);
	take_off(&worker.queue, work);
	take_off(&worker.round, work);
	work->due = 0;
	pthread_mutex_unlock(&worker.lock);
	gpmm__step_in();
}

#endif
