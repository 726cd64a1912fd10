/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One thread for the process that does what may wait: it lingers before each
 * piece of work, so that what piles up meanwhile is done in one go, and every
 * piece that is due has its turn in each round. However many pieces there are,
 * to hand one in is O(1). In the double build there is no thread, and work is
 * done where it is handed in.
 */
#ifndef GPMM_UTIL_WORKER_H
#define GPMM_UTIL_WORKER_H

#include <stdint.h>

/* For how long a piece waits at most. */
enum work_delay {
	WORK_SOON,	/* what piles up meanwhile is worth a round */
	WORK_LATER,	/* somebody may come to want what it would take away */
	WORK_NEVER,
};

#define WORK_SOON_MS	10
#define WORK_LATER_MS	1000

struct work {
	struct work *next;
	struct work *prev;
	void (*run)(struct work *work);
	uint64_t due;	/* ns in CLOCK_MONOTONIC; 0: not handed in */
	enum work_delay delay;
};

/* Start the thread, or count one more user. Return: 0 or -errno. */
int gpmm__worker_get(void);

/* One user less; the last stops the thread. Its work is cancelled before. */
void gpmm__worker_put(void);

/*
 * Have @work run after a delay, which is not WORK_NEVER, or sooner where it is
 * to run sooner already.
 */
void gpmm__worker_add(struct work *work, enum work_delay delay);

/* The time in ms. In the double build it is later with each call. */
uint64_t gpmm__worker_ms(void);

/* On return @work neither is handed in nor runs. */
void gpmm__worker_cancel(struct work *work);

#endif
