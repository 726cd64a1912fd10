/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * QEMU's TCG with SVM: AMD APM volume 2, 15.5 "VMRUN", appendix B "Layout of
 * VMCB". The guest is 32-bit protected mode without paging.
 */
#include "emu_x86.h"

#define EFER		0xc0000080
#define EFER_SVME	0x1000
#define VM_HSAVE_PA	0xc0010117
#define EXIT_VMMCALL	0x81

static uint8_t vmcb[4096] __attribute__((aligned(4096)));
static uint8_t host_save[4096] __attribute__((aligned(4096)));

#define VMCB(offset, type) (*(volatile type *)(vmcb + (offset)))

void emu_putc(char c)
{
	outb(0xe9, c);
}

void emu_exit(void)
{
	outb(0xf4, 0);
	for (;;)
		__asm__ volatile("hlt");
}

/* Flushed with each VMRUN. */
void emu_flush(void)
{
}

static void segment(unsigned int offset, uint16_t selector, uint16_t attr)
{
	VMCB(offset, uint16_t) = selector;
	VMCB(offset + 2, uint16_t) = attr;
	VMCB(offset + 4, uint32_t) = 0xffffffff;
	VMCB(offset + 8, uint64_t) = 0;
}

const char *emu_setup(const struct emu_header *header)
{
	if (!(cpuid_ecx(0x80000001) & 1 << 2))
		return "this CPU has no SVM";
	wrmsr(EFER, rdmsr(EFER) | EFER_SVME);
	wrmsr(VM_HSAVE_PA, (uintptr_t)host_save);
	VMCB(0x00c, uint32_t) = UINT32_C(1) << 31;	/* shutdown */
	VMCB(0x010, uint32_t) = 3;			/* VMRUN, VMMCALL */
	VMCB(0x058, uint32_t) = 1;			/* ASID */
	VMCB(0x05c, uint8_t) = 1;			/* flush all */
	VMCB(0x090, uint64_t) = 1;			/* nested paging */
	VMCB(0x0b0, uint64_t) = header->root;
	segment(0x410, 0x08, 0xc9b);
	for (unsigned int at = 0x400; at <= 0x450; at += 0x10)
		if (at != 0x410)
			segment(at, 0x10, 0xc93);
	VMCB(0x4d0, uint64_t) = EFER_SVME;
	VMCB(0x558, uint64_t) = 0x11;			/* PE, ET */
	VMCB(0x560, uint64_t) = 0x400;
	VMCB(0x568, uint64_t) = 0xffff0ff0;
	VMCB(0x570, uint64_t) = 2;
	VMCB(0x668, uint64_t) = UINT64_C(0x0007040600070406);
	return 0;
}

struct emu_result emu_access(uint64_t gpa, uint64_t access, uint64_t value)
{
	struct emu_result result;

	VMCB(0x578, uint64_t) = entry_of(access);
	VMCB(0x5f8, uint64_t) = value;
	__asm__ volatile("clgi\n\tpush %%rbp\n\tvmrun\n\tpop %%rbp\n\tstgi"
			 : "+D"(gpa)
			 : "a"(vmcb)
			 : "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10",
			   "r11", "r12", "r13", "r14", "r15", "memory");
	result.reason = VMCB(0x070, uint64_t);
	result.fault = result.reason != EXIT_VMMCALL;
	result.qualification = VMCB(0x078, uint64_t);
	result.gpa = VMCB(0x080, uint64_t);
	result.value = VMCB(0x5f8, uint64_t);
	return result;
}

/* vmmcall */
void emu_put_code(void *at)
{
	volatile uint8_t *code = at;

	code[0] = 0x0f;
	code[1] = 0x01;
	code[2] = 0xd9;
}

/* QEMU 7.2 leaves P out where a reserved bit is set; CPUs do not. */
uint64_t emu_mask(const struct emu_case *c)
{
	return c->qualification & 1 << 3 ? ~UINT64_C(1) : UINT64_MAX;
}
