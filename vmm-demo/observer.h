/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A thread that reads the set without pause while the guest runs and the VMM
 * changes it: no lock is taken, and no snapshot may show half a change.
 */
#ifndef OBSERVER_H
#define OBSERVER_H

#include <pthread.h>
#include <stdatomic.h>

#include "machine.h"

struct observer {
	const struct machine *machine;
	pthread_t thread;
	atomic_bool stop;
	unsigned int phase;	/* the DIMM: not yet, there, gone */
	uint64_t snapshots;
	uint64_t torn;		/* snapshots that were not whole */
};

/* Ends the process where there is no thread to be had. */
void observer_start(struct observer *observer, const struct machine *machine);
/* Its counts are final once this returns. */
void observer_stop(struct observer *observer);

#endif
