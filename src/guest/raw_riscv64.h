/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Accesses that may fault, on 64-bit RISC-V (raw.h). Misaligned ones may be
 * emulated, slowly, and are avoided.
 */
#ifndef GPMM_GUEST_RAW_RISCV64_H
#define GPMM_GUEST_RAW_RISCV64_H

/* Fences as the manual maps C11's orders to them (RVWMO, table A.6). */
static inline void raw_fence_before_load(int order)
{
	if (order == __ATOMIC_SEQ_CST)
		__asm__ volatile("fence rw, rw" : : : "memory");
}

static inline void raw_fence_after_load(int order)
{
	if (order != __ATOMIC_RELAXED)
		__asm__ volatile("fence r, rw" : : : "memory");
}

static inline void raw_fence_before_store(int order)
{
	if (order != __ATOMIC_RELAXED)
		__asm__ volatile("fence rw, w" : : : "memory");
}

/* For loads that are ordered by a fence before or by none. */
static inline void raw_fence_after_store(int order)
{
	if (order == __ATOMIC_SEQ_CST)
		__asm__ volatile("fence rw, rw" : : : "memory");
}

#define RAW_LOAD(bits, instruction)					\
static inline int raw_load##bits(const void *from, uint##bits##_t *value, \
				 int order)				\
{									\
	uint64_t got;							\
	int ret;							\
									\
	raw_fence_before_load(order);					\
	__asm__ volatile("li %0, %3\n\t"				\
			 FAULT_FROM					\
			 instruction " %1, %2\n\t"			\
			 "li %0, 0\n\t"					\
			 FAULT_TO					\
			 : "=&r"(ret), "=&r"(got)			\
			 : "m"(*(const uint##bits##_t *)from),		\
			   "i"(-EFAULT)					\
			 : "memory");					\
	raw_fence_after_load(order);					\
	*value = (uint##bits##_t)got;					\
	return ret;							\
}

#define RAW_STORE(bits, instruction)					\
static inline int raw_store##bits(void *to, uint##bits##_t value,	\
				  int order)				\
{									\
	int ret;							\
									\
	raw_fence_before_store(order);					\
	__asm__ volatile("li %0, %3\n\t"				\
			 FAULT_FROM					\
			 instruction " %2, %1\n\t"			\
			 "li %0, 0\n\t"					\
			 FAULT_TO					\
			 : "=&r"(ret), "=m"(*(uint##bits##_t *)to)	\
			 : "r"((uint64_t)value), "i"(-EFAULT)		\
			 : "memory");					\
	raw_fence_after_store(order);					\
	return ret;							\
}

RAW_LOAD(8, "lbu")
RAW_LOAD(16, "lhu")
RAW_LOAD(32, "lwu")
RAW_LOAD(64, "ld")
RAW_STORE(8, "sb")
RAW_STORE(16, "sh")
RAW_STORE(32, "sw")
RAW_STORE(64, "sd")

#undef RAW_LOAD
#undef RAW_STORE

/* lr.w extends the sign: both sides of the comparison are as int32_t. */
#define RAW_EXCHANGE(bits, suffix)					\
static inline int raw_exchange##bits(void *at, uint##bits##_t *expected, \
				     uint##bits##_t desired, int order)	\
{									\
	int64_t wanted = (int##bits##_t)*expected, old;			\
	int ret, failed;						\
									\
	(void)order;							\
	__asm__ volatile("li %0, %6\n\t"				\
			 FAULT_FROM					\
			 "1: lr." suffix ".aqrl %1, %3\n\t"		\
			 "bne %1, %4, 2f\n\t"				\
			 "sc." suffix ".rl %2, %5, %3\n\t"		\
			 "bnez %2, 1b\n\t"				\
			 "2: li %0, 0\n\t"				\
			 FAULT_TO					\
			 : "=&r"(ret), "=&r"(old), "=&r"(failed),	\
			   "+A"(*(uint##bits##_t *)at)			\
			 : "r"(wanted), "r"((uint64_t)desired),		\
			   "i"(-EFAULT)					\
			 : "memory");					\
	if (ret)							\
		return ret;						\
	if (old == wanted)						\
		return 0;						\
	*expected = (uint##bits##_t)old;				\
	return -EAGAIN;							\
}

RAW_EXCHANGE(32, "w")
RAW_EXCHANGE(64, "d")

#undef RAW_EXCHANGE

/* Part of a word, which stays within its page: the rest must be as it was. */
static inline int raw_exchange_part(void *at, unsigned int bits,
				    uint32_t *expected, uint32_t desired)
{
	uint32_t *whole = (uint32_t *)((uintptr_t)at & ~(uintptr_t)3);
	unsigned int shift = ((uintptr_t)at & 3) * 8;
	uint32_t mask = ((UINT32_C(1) << bits) - 1) << shift;
	uint32_t old, new;
	int ret = raw_load32(whole, &old, __ATOMIC_RELAXED);

	while (!ret && (old & mask) == *expected << shift) {
		new = (old & ~mask) | desired << shift;
		ret = raw_exchange32(whole, &old, new, __ATOMIC_SEQ_CST);
		if (!ret)
			return 0;
		ret = ret == -EAGAIN ? 0 : ret;
	}
	if (ret)
		return ret;
	*expected = (old & mask) >> shift;
	return -EAGAIN;
}

#define RAW_EXCHANGE(bits)						\
static inline int raw_exchange##bits(void *at, uint##bits##_t *expected, \
				     uint##bits##_t desired, int order)	\
{									\
	uint32_t old = *expected;					\
	int ret = raw_exchange_part(at, bits, &old, desired);		\
									\
	(void)order;							\
	*expected = (uint##bits##_t)old;				\
	return ret;							\
}

RAW_EXCHANGE(8)
RAW_EXCHANGE(16)

#undef RAW_EXCHANGE

static inline size_t raw_copy_bytes(char *to, const char *from, size_t size)
{
	unsigned long byte;

	if (!size)
		return 0;
	__asm__ volatile(FAULT_FROM
			 "1: lbu %3, 0(%1)\n\t"
			 "sb %3, 0(%0)\n\t"
			 "addi %1, %1, 1\n\t"
			 "addi %0, %0, 1\n\t"
			 "addi %2, %2, -1\n\t"
			 "bnez %2, 1b\n\t"
			 FAULT_TO
			 : "+r"(to), "+r"(from), "+r"(size), "=&r"(byte)
			 : : "memory");
	return size;
}

#include "guest/raw_whole.h"

static inline size_t raw_unaligned(const void *at)
{
	return -(uintptr_t)at & 7;
}

/* The registers move on only once a block is through. */
static inline size_t raw_copy_words(char *to, const char *from, size_t size)
{
	size_t left = size;
	uint64_t a, b, c, d;

	if (size < 32)
		return 0;
	__asm__ volatile(FAULT_FROM
			 "1: ld %3, 0(%1)\n\t"
			 "ld %4, 8(%1)\n\t"
			 "ld %5, 16(%1)\n\t"
			 "ld %6, 24(%1)\n\t"
			 "sd %3, 0(%0)\n\t"
			 "sd %4, 8(%0)\n\t"
			 "sd %5, 16(%0)\n\t"
			 "sd %6, 24(%0)\n\t"
			 "addi %1, %1, 32\n\t"
			 "addi %0, %0, 32\n\t"
			 "addi %2, %2, -32\n\t"
			 "bgeu %2, %7, 1b\n\t"
			 FAULT_TO
			 : "+r"(to), "+r"(from), "+r"(left), "=&r"(a),
			   "=&r"(b), "=&r"(c), "=&r"(d)
			 : "r"((size_t)32)
			 : "memory");
	return size - left;
}

/* By words where both sides are aligned alike; otherwise none. */
static inline size_t raw_copy_blocks(char *to, const char *from, size_t size)
{
	size_t head = raw_unaligned(to);

	if (head != raw_unaligned(from) || size < 32 + head)
		return 0;
	if (raw_copy_bytes(to, from, head))
		return 0;
	return head + raw_copy_words(to + head, from + head, size - head);
}

static inline size_t raw_fill_bytes(char *to, int byte, size_t size)
{
	if (!size)
		return 0;
	__asm__ volatile(FAULT_FROM
			 "1: sb %2, 0(%0)\n\t"
			 "addi %0, %0, 1\n\t"
			 "addi %1, %1, -1\n\t"
			 "bnez %1, 1b\n\t"
			 FAULT_TO
			 : "+r"(to), "+r"(size)
			 : "r"(byte)
			 : "memory");
	return size;
}

static inline size_t raw_fill_blocks(char *to, int byte, size_t size)
{
	uint64_t word = (unsigned char)byte * UINT64_C(0x0101010101010101);
	size_t head = raw_unaligned(to), left = size - head;

	if (size < 8 + head || raw_fill_bytes(to, byte, head))
		return 0;
	to += head;
	__asm__ volatile(FAULT_FROM
			 "1: sd %2, 0(%0)\n\t"
			 "addi %0, %0, 8\n\t"
			 "addi %1, %1, -8\n\t"
			 "bgeu %1, %3, 1b\n\t"
			 FAULT_TO
			 : "+r"(to), "+r"(left)
			 : "r"(word), "r"((size_t)8)
			 : "memory");
	return size - left;
}

#endif
