/* SPDX-License-Identifier: BSD-3-Clause */
/* Accesses that may fault, on 64-bit Arm (raw.h). */
#ifndef GPMM_GUEST_RAW_AARCH64_H
#define GPMM_GUEST_RAW_AARCH64_H

#define RAW_LOAD_BY(bits, instruction)					\
	__asm__ volatile("mov %w0, %3\n\t"				\
			 FAULT_FROM					\
			 instruction ", %2\n\t"				\
			 "mov %w0, wzr\n\t"				\
			 FAULT_TO					\
			 : "=&r"(ret), "=&r"(got)			\
			 : "Q"(*(const uint##bits##_t *)from),		\
			   "i"(-EFAULT)					\
			 : "memory")

/* A load-acquire is not reordered with a store-release before it. */
#define RAW_LOAD(bits, suffix, modifier)				\
static inline int raw_load##bits(const void *from, uint##bits##_t *value, \
				 int order)				\
{									\
	uint64_t got;							\
	int ret;							\
									\
	if (order == __ATOMIC_RELAXED)					\
		RAW_LOAD_BY(bits, "ldr" suffix " %" modifier "1");	\
	else								\
		RAW_LOAD_BY(bits, "ldar" suffix " %" modifier "1");	\
	*value = (uint##bits##_t)got;					\
	return ret;							\
}

#define RAW_STORE_BY(bits, instruction)					\
	__asm__ volatile("mov %w0, %3\n\t"				\
			 FAULT_FROM					\
			 instruction ", %1\n\t"				\
			 "mov %w0, wzr\n\t"				\
			 FAULT_TO					\
			 : "=&r"(ret), "=Q"(*(uint##bits##_t *)to)	\
			 : "r"((uint64_t)value), "i"(-EFAULT)		\
			 : "memory")

#define RAW_STORE(bits, suffix, modifier)				\
static inline int raw_store##bits(void *to, uint##bits##_t value,	\
				  int order)				\
{									\
	int ret;							\
									\
	if (order == __ATOMIC_RELAXED)					\
		RAW_STORE_BY(bits, "str" suffix " %" modifier "2");	\
	else								\
		RAW_STORE_BY(bits, "stlr" suffix " %" modifier "2");	\
	return ret;							\
}

#define RAW_EXCHANGE(bits, suffix, modifier)				\
static inline int raw_exchange##bits(void *at, uint##bits##_t *expected, \
				     uint##bits##_t desired, int order)	\
{									\
	uint64_t old;							\
	int ret, failed;						\
									\
	(void)order;							\
	__asm__ volatile("mov %w0, %6\n\t"				\
			 FAULT_FROM					\
			 "1: ldaxr" suffix " %" modifier "1, %3\n\t"	\
			 "cmp %" modifier "1, %" modifier "4\n\t"	\
			 "b.ne 2f\n\t"					\
			 "stlxr" suffix " %w2, %" modifier "5, %3\n\t"	\
			 "cbnz %w2, 1b\n\t"				\
			 "2: mov %w0, wzr\n\t"				\
			 FAULT_TO					\
			 : "=&r"(ret), "=&r"(old), "=&r"(failed),	\
			   "+Q"(*(uint##bits##_t *)at)			\
			 : "r"((uint64_t)*expected),			\
			   "r"((uint64_t)desired), "i"(-EFAULT)		\
			 : "memory", "cc");				\
	if (ret)							\
		return ret;						\
	if ((uint##bits##_t)old == *expected)				\
		return 0;						\
	*expected = (uint##bits##_t)old;				\
	return -EAGAIN;							\
}

RAW_LOAD(8, "b", "w")
RAW_LOAD(16, "h", "w")
RAW_LOAD(32, "", "w")
RAW_LOAD(64, "", "x")
RAW_STORE(8, "b", "w")
RAW_STORE(16, "h", "w")
RAW_STORE(32, "", "w")
RAW_STORE(64, "", "x")
RAW_EXCHANGE(8, "b", "w")
RAW_EXCHANGE(16, "h", "w")
RAW_EXCHANGE(32, "", "w")
RAW_EXCHANGE(64, "", "x")

#undef RAW_LOAD_BY
#undef RAW_LOAD
#undef RAW_STORE_BY
#undef RAW_STORE
#undef RAW_EXCHANGE

static inline int raw_ends128(char *to, const char *from, size_t size)
{
	int ret;

	__asm__ volatile("mov %w0, 1\n\t"
			 FAULT_FROM
			 "ldr q0, [%1]\n\t"
			 "ldur q1, [%2, -16]\n\t"
			 "str q0, [%3]\n\t"
			 "stur q1, [%4, -16]\n\t"
			 "mov %w0, wzr\n\t"
			 FAULT_TO
			 : "=&r"(ret)
			 : "r"(from), "r"(from + size), "r"(to),
			   "r"(to + size)
			 : "memory", "v0", "v1");
	return ret;
}

/* From 33 to 64 bytes. */
static inline int raw_ends256(char *to, const char *from, size_t size)
{
	int ret;

	__asm__ volatile("mov %w0, 1\n\t"
			 FAULT_FROM
			 "ldp q0, q1, [%1]\n\t"
			 "ldp q2, q3, [%2, -32]\n\t"
			 "stp q0, q1, [%3]\n\t"
			 "stp q2, q3, [%4, -32]\n\t"
			 "mov %w0, wzr\n\t"
			 FAULT_TO
			 : "=&r"(ret)
			 : "r"(from), "r"(from + size), "r"(to),
			   "r"(to + size)
			 : "memory", "v0", "v1", "v2", "v3");
	return ret;
}

#include "guest/raw_ends.h"

/* The registers move on only once a block is through. */
static inline size_t raw_copy_blocks(char *to, const char *from, size_t size)
{
	size_t left = size;

	if (size < 64)
		return 0;
	__asm__ volatile(FAULT_FROM
			 "1: ldp q0, q1, [%1]\n\t"
			 "ldp q2, q3, [%1, 32]\n\t"
			 "stp q0, q1, [%0]\n\t"
			 "stp q2, q3, [%0, 32]\n\t"
			 "add %1, %1, 64\n\t"
			 "add %0, %0, 64\n\t"
			 "sub %2, %2, 64\n\t"
			 "cmp %2, 64\n\t"
			 "b.hs 1b\n\t"
			 FAULT_TO
			 : "+r"(to), "+r"(from), "+r"(left)
			 : : "memory", "cc", "v0", "v1", "v2", "v3");
	return size - left;
}

static inline size_t raw_copy_bytes(char *to, const char *from, size_t size)
{
	unsigned int byte;

	if (!size)
		return 0;
	__asm__ volatile(FAULT_FROM
			 "1: ldrb %w3, [%1]\n\t"
			 "strb %w3, [%0]\n\t"
			 "add %1, %1, 1\n\t"
			 "add %0, %0, 1\n\t"
			 "subs %2, %2, 1\n\t"
			 "b.ne 1b\n\t"
			 FAULT_TO
			 : "+r"(to), "+r"(from), "+r"(size), "=&r"(byte)
			 : : "memory", "cc");
	return size;
}

static inline size_t raw_fill_blocks(char *to, int byte, size_t size)
{
	uint64_t word = (unsigned char)byte * UINT64_C(0x0101010101010101);
	size_t left = size;

	if (size < 32)
		return 0;
	__asm__ volatile(FAULT_FROM
			 "1: stp %2, %2, [%0]\n\t"
			 "stp %2, %2, [%0, 16]\n\t"
			 "add %0, %0, 32\n\t"
			 "sub %1, %1, 32\n\t"
			 "cmp %1, 32\n\t"
			 "b.hs 1b\n\t"
			 FAULT_TO
			 : "+r"(to), "+r"(left)
			 : "r"(word)
			 : "memory", "cc");
	return size - left;
}

static inline size_t raw_fill_bytes(char *to, int byte, size_t size)
{
	if (!size)
		return 0;
	__asm__ volatile(FAULT_FROM
			 "1: strb %w2, [%0]\n\t"
			 "add %0, %0, 1\n\t"
			 "subs %1, %1, 1\n\t"
			 "b.ne 1b\n\t"
			 FAULT_TO
			 : "+r"(to), "+r"(size)
			 : "r"(byte)
			 : "memory", "cc");
	return size;
}

#endif
