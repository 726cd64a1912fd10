/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where threads meet: published words, sections, grace periods, locks. In the
 * double build a test may take over there, and run its "threads" one at a time
 * in an order of its choice. The release build has none of it.
 */
#ifndef GPMM_UTIL_POINT_H
#define GPMM_UTIL_POINT_H

#ifdef GPMM_DOUBLE
#include <stdbool.h>

/* Which of its threads a test is running; 0 as long as it has one. */
extern unsigned int gpmm__point_self;

/*
 * Called at each point, where set; it may return much later.
 * @stuck: the caller cannot go on before another thread has
 */
extern void (*gpmm__point_hook)(bool stuck);

static inline void point(bool stuck)
{
	if (gpmm__point_hook)
		gpmm__point_hook(stuck);
}
#endif

#endif
