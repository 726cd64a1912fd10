/* SPDX-License-Identifier: BSD-3-Clause */
#include "util/alloc.h"

#ifdef GPMM_DOUBLE
long gpmm__alloc_left = -1;
bool gpmm__alloc_stay;
unsigned long gpmm__alloc_calls;

bool gpmm__alloc_fails(void)
{
	__atomic_fetch_add(&gpmm__alloc_calls, 1, __ATOMIC_RELAXED);
	if (gpmm__alloc_left < 0)
		return false;
	if (gpmm__alloc_left > 0) {
		gpmm__alloc_left--;
		return false;
	}
	if (!gpmm__alloc_stay)
		gpmm__alloc_left = -1;
	return true;
}
#else
typedef int gpmm__alloc_is_inline;
#endif
