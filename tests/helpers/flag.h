/* SPDX-License-Identifier: BSD-3-Clause */
/* What one thread says to another once. */
#ifndef TESTS_FLAG_H
#define TESTS_FLAG_H

#include <sched.h>
#include <stdbool.h>

static inline bool is_set(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

static inline void set(bool *flag)
{
	__atomic_store_n(flag, true, __ATOMIC_RELEASE);
}

static inline void wait_for(const bool *flag)
{
	while (!is_set(flag))
		sched_yield();
}

#endif
