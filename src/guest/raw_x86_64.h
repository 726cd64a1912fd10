/* SPDX-License-Identifier: BSD-3-Clause */
/* Accesses that may fault, on x86-64 (raw.h). */
#ifndef GPMM_GUEST_RAW_X86_64_H
#define GPMM_GUEST_RAW_X86_64_H

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

#include "guest/raw_ends.h"

/*
 * As far as the architecture goes where it stops is exact: the way to the
 * bytes done when a block has faulted, and of long copies where it is quick.
 */
static inline size_t raw_copy_bytes(char *to, const char *from, size_t size)
{
	__asm__ volatile(FAULT_FROM
			 "rep movsb\n\t"
			 FAULT_TO
			 : "+D"(to), "+S"(from), "+c"(size)
			 : : "memory");
	return size;
}

#define RAW_LONG 1

/* Nothing is left to do after it, so nothing is kept meanwhile: raw.h. */
size_t gpmm__raw_copy_long(char *to, const char *from, size_t size);

static inline size_t raw_copy_long(char *to, const char *from, size_t size)
{
	return gpmm__raw_copy_long(to, from, size);
}

static inline size_t raw_fill_blocks(char *to, int byte, size_t size)
{
	(void)to;
	(void)byte;
	(void)size;
	return 0;
}

static inline size_t raw_fill_bytes(char *to, int byte, size_t size)
{
	__asm__ volatile(FAULT_FROM
			 "rep stosb\n\t"
			 FAULT_TO
			 : "+D"(to), "+c"(size)
			 : "a"(byte)
			 : "memory");
	return size;
}

#endif
