/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One thread for the process that does what may wait: it lingers before each
 * piece of work, so that what piles up meanwhile is done in one go, and every
 * piece that is due has its turn in each round. In the double build there is no
 * thread, and work is done where it is handed in.
 */
#ifndef GPMM_UTIL_WORKER_H
#define GPMM_UTIL_WORKER_H

#include <stdint.h>

/* What piles up for as long is worth a round. */
#define WORKER_LINGER_MS	10

struct work {
	struct work *next;
	void (*run)(struct work *work);
	uint64_t due;	/* ns in CLOCK_MONOTONIC; 0: not handed in */
};

/* Start the thread, or count one more user. Return: 0 or -errno. */
int gpmm__worker_get(void);

/* One user less; the last stops the thread. Its work is cancelled before. */
void gpmm__worker_put(void);

/* Have @work run in @ms, or sooner where it is to run sooner already. */
void gpmm__worker_add(struct work *work, unsigned int ms);

/* On return @work neither is handed in nor runs. */
void gpmm__worker_cancel(struct work *work);

#endif
