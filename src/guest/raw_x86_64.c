/* SPDX-License-Identifier: BSD-3-Clause */
/* Long copies that may fault, on x86-64. */
#include "guest/raw.h"

#if defined(__x86_64__) && defined(FAULT_TABLE)

/*
 * Blocks, as long as there are whole ones. Return: bytes copied; a block that
 * faults is not counted, and comes again bytewise.
 *
 * On an AMD EPYC with AVX-512, 4 KiB in the first-level cache take 36-42 ns by
 * 32-byte moves, 70 by 16-byte moves, 42-60 by rep movsb, 45-59 by glibc's
 * memcpy; 1 MiB is the same by all of them (a loop over each, 41 runs; the
 * whole access: bench/bench_guest_access).
 */
__attribute__((target("avx")))
static size_t copy_blocks_avx(char *to, const char *from, size_t size)
{
	size_t done = 0;
	int ret = 0;

	for (; size - done >= 128; done += 128) {
		__asm__ volatile("movl $1, %0\n\t"
				 FAULT_FROM
				 "vmovdqu (%2), %%ymm0\n\t"
				 "vmovdqu 32(%2), %%ymm1\n\t"
				 "vmovdqu 64(%2), %%ymm2\n\t"
				 "vmovdqu 96(%2), %%ymm3\n\t"
				 "vmovdqu %%ymm0, (%1)\n\t"
				 "vmovdqu %%ymm1, 32(%1)\n\t"
				 "vmovdqu %%ymm2, 64(%1)\n\t"
				 "vmovdqu %%ymm3, 96(%1)\n\t"
				 "xorl %0, %0\n\t"
				 FAULT_TO
				 : "=&r"(ret)
				 : "r"(to + done), "r"(from + done)
				 : "memory", "cc", "xmm0", "xmm1", "xmm2",
				   "xmm3");
		if (__builtin_expect(ret, 0))
			break;
	}
	__asm__ volatile("vzeroupper" : : : "xmm0", "xmm1", "xmm2", "xmm3");
	return done;
}

static size_t copy_blocks(char *to, const char *from, size_t size)
{
	size_t done = 0;
	int ret;

	for (; size - done >= 32; done += 32) {
		__asm__ volatile("movl $1, %0\n\t"
				 FAULT_FROM
				 "movups (%2), %%xmm0\n\t"
				 "movups 16(%2), %%xmm1\n\t"
				 "movups %%xmm0, (%1)\n\t"
				 "movups %%xmm1, 16(%1)\n\t"
				 "xorl %0, %0\n\t"
				 FAULT_TO
				 : "=&r"(ret)
				 : "r"(to + done), "r"(from + done)
				 : "memory", "cc", "xmm0", "xmm1");
		if (__builtin_expect(ret, 0))
			break;
	}
	return done;
}

size_t gpmm__raw_copy_blocks(char *to, const char *from, size_t size)
{
	size_t done = 0;

	if (size >= 256 && __builtin_cpu_supports("avx"))
		done = copy_blocks_avx(to, from, size);
	if (size - done > RAW_SHORT)
		done += copy_blocks(to + done, from + done, size - done);
	return done;
}

#endif
