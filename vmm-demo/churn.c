/* SPDX-License-Identifier: BSD-3-Clause */
#include "churn.h"

#include <errno.h>
#include <time.h>

#include "thread.h"

/* Let the guest run for a millisecond on what it has now. */
static void breathe(void)
{
	const struct timespec time = { .tv_nsec = 1000000 };

	nanosleep(&time, NULL);
}

static int change_twice(struct churn *churn)
{
	int ret = dimm_seal(churn->machine, &churn->dimm, true);

	breathe();
	if (!ret)
		ret = dimm_seal(churn->machine, &churn->dimm, false);
	breathe();
	return ret;
}

static void *run(void *arg)
{
	struct churn *churn = arg;

	while (atomic_load(&churn->left) && !churn->error) {
		churn->error = change_twice(churn);
		atomic_fetch_sub(&churn->left, 1);
	}
	atomic_store(&churn->left, 0);
	return NULL;
}

int churn_start(struct churn *churn, struct machine *machine,
		const struct dimm *dimm, unsigned int rounds)
{
	if (churn->running)
		return -EBUSY;
	churn->machine = machine;
	churn->dimm = *dimm;
	churn->error = 0;
	atomic_store(&churn->left, rounds);
	churn->running = true;
	thread_start(&churn->thread, run, churn);
	return 0;
}

int churn_join(struct churn *churn)
{
	if (!churn->running)
		return 0;
	pthread_join(churn->thread, NULL);
	churn->running = false;
	return churn->error;
}
