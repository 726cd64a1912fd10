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

void gpmm__worker_add(struct work *work, enum work_delay delay)
{
	(void)delay;
	work->run(work);
}

uint64_t gpmm__worker_ms(void)
{
	static uint64_t ms;

	return ms += WORK_LATER_MS;
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

struct works {
	struct work *first;
	struct work *last;
};

static struct {
	pthread_mutex_t lock;
	/* Work came that is due first, or the thread is to stop. */
	pthread_cond_t wake;
	pthread_cond_t idle;	/* a piece of work has run */
	pthread_t thread;
	unsigned int users;
	bool stop;
	struct works queue[WORK_NEVER];	/* of each delay, the first due first */
	struct works round;	/* still to run in this one */
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

uint64_t gpmm__worker_ms(void)
{
	return now() / NS_A_MS;
}

static void append(struct works *works, struct work *work)
{
	work->next = NULL;
	work->prev = works->last;
	if (works->last)
		works->last->next = work;
	else
		works->first = work;
	works->last = work;
}

static void take_off(struct works *works, struct work *work)
{
	if (work->next)
		work->next->prev = work->prev;
	else
		works->last = work->prev;
	if (work->prev)
		work->prev->next = work->next;
	else
		works->first = work->next;
}

/* When something is due first. Context: worker.lock held. */
static uint64_t first_due_locked(void)
{
	uint64_t due = UINT64_MAX;

	for (enum work_delay delay = 0; delay < WORK_NEVER; delay++) {
		const struct work *first = worker.queue[delay].first;

		if (first && first->due < due)
			due = first->due;
	}
	return due;
}

/* Wait for something to be due, or for news. Context: worker.lock held. */
static void linger_locked(void)
{
	uint64_t due = first_due_locked();
	struct timespec until = {
		.tv_sec = (time_t)(due / NS_A_S),
		.tv_nsec = (long)(due % NS_A_S),
	};

	if (due == UINT64_MAX)
		pthread_cond_wait(&worker.wake, &worker.lock);
	else if (due > now())
		pthread_cond_timedwait(&worker.wake, &worker.lock, &until);
}

/* What is due makes the next round. Context: worker.lock held. */
static void start_round_locked(void)
{
	uint64_t at = now();

	for (enum work_delay delay = 0; delay < WORK_NEVER; delay++) {
		struct works *queue = &worker.queue[delay];

		while (queue->first && queue->first->due <= at) {
			struct work *work = queue->first;

			take_off(queue, work);
			work->delay = WORK_NEVER;
			append(&worker.round, work);
		}
	}
}

/*
 * What is handed in meanwhile waits for another round: a piece that comes
 * again and again neither keeps others from their turn nor goes unlingered.
 * Context: worker.lock held; released while the work runs.
 */
static void run_round_locked(void)
{
	start_round_locked();
	while (worker.round.first) {
		struct work *work = worker.round.first;

		take_off(&worker.round, work);
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

/* Where work stands that has been handed in. Context: worker.lock held. */
static struct works *works_of_locked(const struct work *work)
{
	return work->delay < WORK_NEVER ? &worker.queue[work->delay] :
					  &worker.round;
}

void gpmm__worker_add(struct work *work, enum work_delay delay)
{
	static const uint64_t ms[WORK_NEVER] = {
		[WORK_SOON] = WORK_SOON_MS, [WORK_LATER] = WORK_LATER_MS,
	};
	uint64_t due;

	pthread_mutex_lock(&worker.lock);
	due = now() + ms[delay] * NS_A_MS;
	if (!work->due || due < work->due) {
		bool news = due < first_due_locked();

		if (work->due)
			take_off(works_of_locked(work), work);
		work->due = due;
		work->delay = delay;
		append(&worker.queue[delay], work);
		if (news)
			pthread_cond_signal(&worker.wake);
	}
	pthread_mutex_unlock(&worker.lock);
}

void gpmm__worker_cancel(struct work *work)
{
	/* What runs may wait for whoever stands where. */
	gpmm__step_out();
	pthread_mutex_lock(&worker.lock);
	/* First: it may hand itself in again. */
	while (worker.running == work)
		pthread_cond_wait(&worker.idle, &worker.lock);
	if (work->due)
		take_off(works_of_locked(work), work);
	work->due = 0;
	pthread_mutex_unlock(&worker.lock);
	gpmm__step_in();
}

#endif
