/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Accesses to host memory that may fault, and say so instead.
 *
 * The memory is the guest's and changes under us: where there is assembly for
 * the processor it keeps the compiler from repeating or splitting an access,
 * and the race detector from taking the guest for a bug of ours.
 *
 * Each processor's header has, for 8, 16, 32 and 64 bits:
 *
 *   raw_load, raw_store	aligned, in the order named; 0 or -EFAULT
 *   raw_exchange		aligned, in any order; 0, -EAGAIN where
 *				*@expected was not there, or -EFAULT
 *
 * and, as pieces for what is below:
 *
 *   raw_copy_short	at most RAW_SHORT bytes. Return: 0, or not where some
 *			may be missing; RAW_INLINE: short enough to inline
 *   raw_copy_blocks	as many whole blocks as there are before a fault.
 *   raw_fill_blocks	Return: bytes done
 *   raw_copy_bytes	exactly up to the fault. Return: bytes not done
 *   raw_fill_bytes
 *   raw_copy_long	the same for more than RAW_SHORT bytes, where RAW_LONG
 *			says that it is not made of those
 */
#ifndef GPMM_GUEST_RAW_H
#define GPMM_GUEST_RAW_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/fault.h"

/*
 * Return: bytes, at the end, that were not done; 0: all were. Where a side of
 * a copy of 1, 2, 4 or 8 bytes is aligned it is accessed once.
 */
size_t gpmm__raw_copy(void *to, const void *from, size_t size);
size_t gpmm__raw_fill(void *to, int byte, size_t size);

#if !defined(FAULT_TABLE)
#include "guest/raw_portable.h"
#elif defined(__x86_64__)
#include "guest/raw_x86_64.h"
#elif defined(__aarch64__)
#include "guest/raw_aarch64.h"
#else
#include "guest/raw_riscv64.h"
#endif

static inline size_t raw_copy(void *to, const void *from, size_t size)
{
#ifdef RAW_INLINE
	if (size <= RAW_SHORT && __builtin_expect(!raw_copy_short(to, from,
								  size), 1))
		return 0;
#endif
	return gpmm__raw_copy(to, from, size);
}

#endif
