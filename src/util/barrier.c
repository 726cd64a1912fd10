/* SPDX-License-Identifier: BSD-3-Clause */
#include "util/barrier.h"

#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PRIVATE_EXPEDITED		(1 << 3)
#define REGISTER_PRIVATE_EXPEDITED	(1 << 4)

/* To register again is quick. */
bool gpmm__barrier_threads(void)
{
	int saved = errno;
	bool done = !syscall(SYS_membarrier, REGISTER_PRIVATE_EXPEDITED, 0) &&
		    !syscall(SYS_membarrier, PRIVATE_EXPEDITED, 0);

	errno = saved;
	return done;
}

void gpmm__barrier_must(void)
{
	struct timespec left = { .tv_nsec = 20000000 };
	int saved = errno;

	if (!gpmm__barrier_threads())
		while (nanosleep(&left, &left) && errno == EINTR)
			;
	errno = saved;
}
