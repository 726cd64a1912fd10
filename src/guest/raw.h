/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Accesses to host memory that may fault, and say so instead.
 *
 * The memory is the guest's and changes under us: these are assembly, so that
 * the compiler neither repeats nor splits an access, and so that the race
 * detector does not take the guest for a bug of ours. Processors without such
 * assembly get plain accesses, which die of a fault.
 */
#ifndef GPMM_GUEST_RAW_H
#define GPMM_GUEST_RAW_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/fault.h"

/*
 * Return: bytes, at the end, that were not done; 0: all were. Aligned ones of
 * 1, 2, 4 and 8 bytes are single accesses.
 */
size_t gpmm__raw_copy(void *to, const void *from, size_t size);
size_t gpmm__raw_fill(void *to, int byte, size_t size);

#ifdef FAULT_RECOVERY

/* Loads are ordered as any caller may ask by the processor itself. */
#define RAW_LOAD(bits, instruction, modifier)				\
static inline int raw_load##bits(const void *from, uint##bits##_t *value, \
				 int order)				\
{									\
	uint64_t got;							\
	int ret;							\
									\
	(void)order;							\
	__asm__ volatile("movl %3, %0\n\t"				\
			 FAULT_FROM					\
			 instruction " %2, %" modifier "1\n\t"		\
			 "xorl %0, %0\n\t"				\
			 FAULT_TO					\
			 : "=&r"(ret), "=&r"(got)			\
			 : "m"(*(const uint##bits##_t *)from),		\
			   "i"(-EFAULT)					\
			 : "memory", "cc");				\
	*value = (uint##bits##_t)got;					\
	return ret;							\
}

/* An exchange is what orders a store before later loads. */
#define RAW_STORE(bits, suffix, modifier, class)			\
static inline int raw_store##bits(void *to, uint##bits##_t value,	\
				  int order)				\
{									\
	int ret;							\
									\
	if (order == __ATOMIC_SEQ_CST)					\
		__asm__ volatile("movl %3, %0\n\t"			\
				 FAULT_FROM				\
				 "xchg" suffix " %" modifier "1, %2\n\t" \
				 "xorl %0, %0\n\t"			\
				 FAULT_TO				\
				 : "=&r"(ret), "+&" class(value),	\
				   "+m"(*(uint##bits##_t *)to)		\
				 : "i"(-EFAULT) : "memory", "cc");	\
	else								\
		__asm__ volatile("movl %3, %0\n\t"			\
				 FAULT_FROM				\
				 "mov" suffix " %" modifier "2, %1\n\t"	\
				 "xorl %0, %0\n\t"			\
				 FAULT_TO				\
				 : "=&r"(ret),				\
				   "=m"(*(uint##bits##_t *)to)		\
				 : class(value), "i"(-EFAULT)		\
				 : "memory", "cc");			\
	return ret;							\
}

/* Return: 0, -EAGAIN where *@expected was not there, -EFAULT. */
#define RAW_EXCHANGE(bits, suffix, modifier, class)			\
static inline int raw_exchange##bits(void *at, uint##bits##_t *expected, \
				     uint##bits##_t desired, int order)	\
{									\
	uint##bits##_t old = *expected;					\
	int ret;							\
									\
	(void)order;							\
	__asm__ volatile("movl %4, %0\n\t"				\
			 FAULT_FROM					\
			 "lock cmpxchg" suffix " %" modifier "3, %2\n\t" \
			 "movl $0, %0\n\t"				\
			 FAULT_TO					\
			 : "=&r"(ret), "+&a"(old),			\
			   "+m"(*(uint##bits##_t *)at)			\
			 : class(desired), "i"(-EFAULT)			\
			 : "memory", "cc");				\
	if (!ret && old != *expected)					\
		ret = -EAGAIN;						\
	*expected = old;						\
	return ret;							\
}

RAW_LOAD(8, "movzbl", "k")
RAW_LOAD(16, "movzwl", "k")
RAW_LOAD(32, "movl", "k")
RAW_LOAD(64, "movq", "q")
RAW_STORE(8, "b", "b", "q")
RAW_STORE(16, "w", "w", "r")
RAW_STORE(32, "l", "k", "r")
RAW_STORE(64, "q", "q", "r")
RAW_EXCHANGE(8, "b", "b", "q")
RAW_EXCHANGE(16, "w", "w", "r")
RAW_EXCHANGE(32, "l", "k", "r")
RAW_EXCHANGE(64, "q", "q", "r")

#undef RAW_LOAD
#undef RAW_STORE
#undef RAW_EXCHANGE

/* Two pieces of @width that meet or overlap. Return: 0 or not. */
#define RAW_ENDS(bits)							\
static inline int raw_ends##bits(char *to, const char *from, size_t size) \
{									\
	size_t second = size - bits / 8;				\
	uint##bits##_t a, b;						\
									\
	if (raw_load##bits(from, &a, __ATOMIC_RELAXED))			\
		return 1;						\
	if (!second)							\
		return raw_store##bits(to, a, __ATOMIC_RELAXED);	\
	if (raw_load##bits(from + second, &b, __ATOMIC_RELAXED))	\
		return 1;						\
	if (raw_store##bits(to, a, __ATOMIC_RELAXED))			\
		return 1;						\
	return raw_store##bits(to + second, b, __ATOMIC_RELAXED);	\
}

RAW_ENDS(8)
RAW_ENDS(16)
RAW_ENDS(32)
RAW_ENDS(64)

static inline int raw_ends128(char *to, const char *from, size_t size)
{
	int ret;

	__asm__ volatile("movl $1, %0\n\t"
			 FAULT_FROM
			 "movups (%2), %%xmm0\n\t"
			 "movups -16(%2,%3), %%xmm1\n\t"
			 "movups %%xmm0, (%1)\n\t"
			 "movups %%xmm1, -16(%1,%3)\n\t"
			 "xorl %0, %0\n\t"
			 FAULT_TO
			 : "=&r"(ret)
			 : "r"(to), "r"(from), "r"(size)
			 : "memory", "cc", "xmm0", "xmm1");
	return ret;
}

/* From 33 to 64 bytes. */
static inline int raw_ends256(char *to, const char *from, size_t size)
{
	int ret;

	__asm__ volatile("movl $1, %0\n\t"
			 FAULT_FROM
			 "movups (%2), %%xmm0\n\t"
			 "movups 16(%2), %%xmm1\n\t"
			 "movups -32(%2,%3), %%xmm2\n\t"
			 "movups -16(%2,%3), %%xmm3\n\t"
			 "movups %%xmm0, (%1)\n\t"
			 "movups %%xmm1, 16(%1)\n\t"
			 "movups %%xmm2, -32(%1,%3)\n\t"
			 "movups %%xmm3, -16(%1,%3)\n\t"
			 "xorl %0, %0\n\t"
			 FAULT_TO
			 : "=&r"(ret)
			 : "r"(to), "r"(from), "r"(size)
			 : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3");
	return ret;
}

#define RAW_SHORT 64

/* At most RAW_SHORT bytes. Return: 0, or not where some may be missing. */
static inline int raw_copy_short(char *to, const char *from, size_t size)
{
	if (size > 32)
		return raw_ends256(to, from, size);
	if (size >= 16)
		return raw_ends128(to, from, size);
	if (size >= 8)
		return raw_ends64(to, from, size);
	if (size >= 4)
		return raw_ends32(to, from, size);
	if (size >= 2)
		return raw_ends16(to, from, size);
	return size ? raw_ends8(to, from, size) : 0;
}

#undef RAW_ENDS

/* A copy of few bytes is done here, without a call. */
static inline size_t raw_copy(void *to, const void *from, size_t size)
{
	if (size <= RAW_SHORT && __builtin_expect(!raw_copy_short(to, from,
								  size), 1))
		return 0;
	return gpmm__raw_copy(to, from, size);
}

#else

static inline size_t raw_copy(void *to, const void *from, size_t size)
{
	return gpmm__raw_copy(to, from, size);
}

/* A compiler that knows the order only at run time takes the strongest. */
#define RAW(bits)							\
static inline int raw_load##bits(const void *from, uint##bits##_t *value, \
				 int order)				\
{									\
	*value = __atomic_load_n((const uint##bits##_t *)from, order);	\
	return 0;							\
}									\
									\
static inline int raw_store##bits(void *to, uint##bits##_t value,	\
				  int order)				\
{									\
	__atomic_store_n((uint##bits##_t *)to, value, order);		\
	return 0;							\
}									\
									\
static inline int raw_exchange##bits(void *at, uint##bits##_t *expected, \
				     uint##bits##_t desired, int order)	\
{									\
	(void)order;							\
	return __atomic_compare_exchange_n((uint##bits##_t *)at,	\
					   expected, desired, 0,	\
					   __ATOMIC_SEQ_CST,		\
					   __ATOMIC_SEQ_CST) ?		\
	       0 : -EAGAIN;						\
}

RAW(8)
RAW(16)
RAW(32)
RAW(64)

#undef RAW

#endif
#endif
