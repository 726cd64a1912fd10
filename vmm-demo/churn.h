/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A thread that seals and unseals the DIMM while the guest reads it. Each
 * change deletes memslots and makes others in their place, for which KVM has
 * no atomic way: it is gpmm's gate that keeps the guest from seeing the hole.
 */
#ifndef CHURN_H
#define CHURN_H

#include <pthread.h>
#include <stdatomic.h>

#include "dimm.h"

struct churn {
	struct machine *machine;
	struct dimm dimm;
	pthread_t thread;
	atomic_uint left;	/* rounds */
	bool running;		/* until churn_join() */
	int error;		/* a negative errno ended it early */
};

/* Return: 0; -EBUSY while one runs. */
int churn_start(struct churn *churn, struct machine *machine,
		const struct dimm *dimm, unsigned int rounds);

/* Wait until it has done its rounds, where it runs. Return: its error or 0. */
int churn_join(struct churn *churn);

#endif
