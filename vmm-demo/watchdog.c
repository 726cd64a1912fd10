/* SPDX-License-Identifier: BSD-3-Clause */
#include "watchdog.h"

#include <errno.h>
#include <linux/kvm.h>
#include <signal.h>
#include <sys/time.h>

#include "say.h"

static struct kvm_run *watched;
static volatile sig_atomic_t patted, barked;

/* immediate_exit also stops a KVM_RUN that the signal came just before. */
static void look(int signal)
{
	(void)signal;
	if (!patted) {
		barked = 1;
		watched->immediate_exit = 1;
	}
	patted = 0;
}

void watchdog_start(struct kvm_run *run, double seconds)
{
	struct sigaction action = {
		.sa_handler = look,
		.sa_flags = SA_RESTART,	/* KVM_RUN ends all the same */
	};
	long us = (long)(seconds * 1e6);
	struct timeval period = { us / 1000000, us % 1000000 };
	struct itimerval timer = { period, period };

	watched = run;
	patted = 1;
	if (sigaction(SIGALRM, &action, NULL) ||
	    setitimer(ITIMER_REAL, &timer, NULL))
		cannot(errno, "no timer");
}

void watchdog_pat(void)
{
	patted = 1;
	barked = 0;
	watched->immediate_exit = 0;
}

bool watchdog_barked(void)
{
	return barked;
}

void watchdog_stop(void)
{
	static const struct itimerval never;

	setitimer(ITIMER_REAL, &never, NULL);
}
