/* SPDX-License-Identifier: BSD-3-Clause */
#include "thread.h"

#include <signal.h>

#include "say.h"

void thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg)
{
	sigset_t alarm, before;
	int ret;

	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm, &before);
	ret = pthread_create(thread, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ret)
		cannot(ret, "no thread");
}
