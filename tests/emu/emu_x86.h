/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by the x86 programs: SVM under QEMU, VMX under Bochs. */
#ifndef EMU_X86_H
#define EMU_X86_H

#include "emu.h"

/* 32-bit code: address in edi, value in eax. */
extern const char guest_load[], guest_store[], guest_jump[];

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" :: "c"(msr), "a"((uint32_t)value),
			 "d"((uint32_t)(value >> 32)));
}

static inline uint32_t cpuid_ecx(uint32_t leaf)
{
	uint32_t a = leaf, b, c = 0, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return c;
}

static inline void outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" :: "a"(value), "Nd"(port));
}

static inline uint32_t entry_of(uint64_t access)
{
	const char *code = access == EMU_READ ? guest_load :
			   access == EMU_WRITE ? guest_store : guest_jump;

	return (uint32_t)(uintptr_t)code;
}

#endif
