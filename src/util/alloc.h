/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every allocation of the library goes through here, so that the double build
 * (-DGPMM_DOUBLE, tests only) can fail the Nth. In the release build these
 * are the C library's functions and nothing else.
 */
#ifndef GPMM_UTIL_ALLOC_H
#define GPMM_UTIL_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#ifdef GPMM_DOUBLE
/*
 * The number of allocations still to succeed; the next one fails, and so do
 * all after it where @gpmm__alloc_stay is set. Negative: none fails.
 */
extern long gpmm__alloc_left;
extern bool gpmm__alloc_stay;
/* Allocations asked for, failed ones included, since the test cleared it. */
extern unsigned long gpmm__alloc_calls;

bool gpmm__alloc_fails(void);
#else
static inline bool gpmm__alloc_fails(void)
{
	return false;
}
#endif

static inline void *gpmm__alloc(size_t size)
{
	return gpmm__alloc_fails() ? NULL : malloc(size);
}

static inline void *gpmm__zalloc(size_t size)
{
	return gpmm__alloc_fails() ? NULL : calloc(1, size);
}

static inline void *gpmm__realloc(void *old, size_t size)
{
	return gpmm__alloc_fails() ? NULL : realloc(old, size);
}

/* @align: a power of two */
static inline void *gpmm__alloc_aligned(size_t align, size_t size)
{
	void *memory;

	if (gpmm__alloc_fails() || posix_memalign(&memory, align, size))
		return NULL;
	return memory;
}

static inline void gpmm__free(void *memory)
{
	free(memory);
}

#endif
