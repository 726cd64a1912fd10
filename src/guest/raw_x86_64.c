/* SPDX-License-Identifier: BSD-3-Clause */
/* Long copies that may fault, on x86-64. */
#include "guest/raw.h"

#if defined(__x86_64__) && defined(FAULT_TABLE)

#include <cpuid.h>

/*
 * One vector, after which the target is aligned; blocks of four; the last
 * four, which may overlap the others. The registers move on only once a block
 * is through: where one faults it comes again bytewise, to where it stops
 * exactly.
 */
#define COPY(move, register, width, ...)				\
	__asm__ volatile(FAULT_FROM					\
			 move " (%0), %%" register "0\n\t"		\
			 move " %%" register "0, (%1)\n\t"		\
			 "addq %3, %0\n\t"				\
			 "addq %3, %1\n\t"				\
			 "subq %3, %2\n\t"				\
			 "cmpq $4*%c4, %2\n\t"				\
			 "jbe 2f\n\t"					\
			 ".p2align 4\n\t"				\
			 "1:\n\t"					\
			 move " (%0), %%" register "0\n\t"		\
			 move " %c4(%0), %%" register "1\n\t"		\
			 move " 2*%c4(%0), %%" register "2\n\t"		\
			 move " 3*%c4(%0), %%" register "3\n\t"		\
			 move " %%" register "0, (%1)\n\t"		\
			 move " %%" register "1, %c4(%1)\n\t"		\
			 move " %%" register "2, 2*%c4(%1)\n\t"		\
			 move " %%" register "3, 3*%c4(%1)\n\t"		\
			 "addq $4*%c4, %0\n\t"				\
			 "addq $4*%c4, %1\n\t"				\
			 "subq $4*%c4, %2\n\t"				\
			 "cmpq $4*%c4, %2\n\t"				\
			 "ja 1b\n\t"					\
			 "2:\n\t"					\
			 move " -4*%c4(%0,%2), %%" register "0\n\t"	\
			 move " -3*%c4(%0,%2), %%" register "1\n\t"	\
			 move " -2*%c4(%0,%2), %%" register "2\n\t"	\
			 move " -%c4(%0,%2), %%" register "3\n\t"	\
			 move " %%" register "0, -4*%c4(%1,%2)\n\t"	\
			 move " %%" register "1, -3*%c4(%1,%2)\n\t"	\
			 move " %%" register "2, -2*%c4(%1,%2)\n\t"	\
			 move " %%" register "3, -%c4(%1,%2)\n\t"	\
			 "xorl %k2, %k2\n\t"				\
			 FAULT_TO					\
			 __VA_ARGS__					\
			 : "+r"(from), "+r"(to), "+r"(size)		\
			 : "r"(width - ((size_t)to & (width - 1))),	\
			   "i"(width)					\
			 : "memory", "cc", "xmm0", "xmm1", "xmm2",	\
			   "xmm3");					\
	return size ? raw_copy_bytes(to, from, size) : 0

/* At least 128 bytes. */
__attribute__((target("avx")))
static size_t copy_avx(char *to, const char *from, size_t size)
{
	COPY("vmovdqu", "ymm", 32, "vzeroupper\n\t");
}

/* At least 64 bytes. */
static size_t copy_sse(char *to, const char *from, size_t size)
{
	COPY("movups", "xmm", 16, "");
}

/*
 * Bytes from which on a processor's own way is the best there is: a line that
 * it writes whole it need not read first. Of Intel's Sapphire Rapids a write
 * of 1 MiB takes two thirds of the time (bench_guest_access --areas=64,
 * write/1MiB/far). Others stay with vectors: AMD's processors say the same of
 * themselves and can be many times slower by it (glibc's bug 30994).
 */
static size_t least_movsb = SIZE_MAX;

/* As CPUID's leaf 7 says: "rep movsb" is fast, and where it is short, too. */
#define ERMS	(1u << 9)	/* in ebx */
#define FSRM	(1u << 4)	/* in edx */

__attribute__((constructor)) static void choose_movsb(void)
{
	unsigned int a, b, c, d;

	__builtin_cpu_init();
	if (!__builtin_cpu_is("intel") ||
	    !__get_cpuid_count(7, 0, &a, &b, &c, &d))
		return;
	if (d & FSRM)
		least_movsb = 2048;
	else if (b & ERMS)
		least_movsb = 8192;
}

size_t gpmm__raw_copy_long(char *to, const char *from, size_t size)
{
	if (size >= least_movsb)
		return raw_copy_bytes(to, from, size);
	if (size >= 256 && __builtin_cpu_supports("avx"))
		return copy_avx(to, from, size);
	return copy_sse(to, from, size);
}

#endif
