/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bochs with VMX and EPT. Intel SDM vol. 3C, "Virtual Machine Control
 * Structures" and appendix B "Field Encoding in VMCS"; vol. 4 for the MSRs.
 * The guest is 32-bit protected mode without paging (unrestricted guest).
 */
#include <stdbool.h>

#include "emu_x86.h"

#define FEATURE_CONTROL	0x3a
#define VMX_BASIC	0x480
#define VMX_PIN		0x481
#define VMX_CPU		0x482
#define VMX_EXIT	0x483
#define VMX_ENTRY	0x484
#define VMX_CPU2	0x48b
#define VMX_EPT_CAP	0x48c

#define EXIT_VMCALL	18

static uint8_t vmxon_page[4096] __attribute__((aligned(4096)));
static uint8_t vmcs_page[4096] __attribute__((aligned(4096)));
static uint64_t eptp;

void emu_putc(char c)
{
	outb(0xe9, c);
}

/* Bochs ends where its port 0x8900 gets this word. */
void emu_exit(void)
{
	for (const char *word = "Shutdown"; *word; word++)
		outb(0x8900, *word);
	for (;;)
		__asm__ volatile("hlt");
}

void emu_flush(void)
{
	struct { uint64_t eptp, zero; } descriptor = { eptp, 0 };

	__asm__ volatile("invept %0, %1"
			 :: "m"(descriptor), "r"(UINT64_C(2)) : "memory");
}

static void vmwrite(uint64_t field, uint64_t value)
{
	__asm__ volatile("vmwrite %1, %0" :: "r"(field), "rm"(value) : "cc");
}

static uint64_t vmread(uint64_t field)
{
	uint64_t value;

	__asm__ volatile("vmread %1, %0" : "=rm"(value) : "r"(field) : "cc");
	return value;
}

/* @want with what the CPU insists on. */
static uint32_t allowed(uint32_t msr, uint32_t want)
{
	uint64_t limits = rdmsr(msr);

	return (want | (uint32_t)limits) & (uint32_t)(limits >> 32);
}

static void set_controls(const struct emu_header *header)
{
	vmwrite(0x4000, allowed(VMX_PIN, 0));
	vmwrite(0x4002, allowed(VMX_CPU, UINT32_C(1) << 31));
	vmwrite(0x401e, allowed(VMX_CPU2, 1 << 1 | 1 << 7));
	vmwrite(0x400c, allowed(VMX_EXIT, 1 << 9));	/* 64-bit host */
	vmwrite(0x4012, allowed(VMX_ENTRY, 0));
	for (uint64_t field = 0x4004; field <= 0x400a; field += 2)
		vmwrite(field, 0);
	vmwrite(0x400e, 0);
	vmwrite(0x4010, 0);
	vmwrite(0x4014, 0);
	vmwrite(0x4016, 0);
	vmwrite(0x2800, UINT64_MAX);
	vmwrite(0x201a, header->root);
	for (uint64_t field = 0x6000; field <= 0x6006; field += 2)
		vmwrite(field, 0);
}

static uint64_t read_cr(int n)
{
	uint64_t value;

	if (n == 0)
		__asm__ volatile("mov %%cr0, %0" : "=r"(value));
	else if (n == 3)
		__asm__ volatile("mov %%cr3, %0" : "=r"(value));
	else
		__asm__ volatile("mov %%cr4, %0" : "=r"(value));
	return value;
}

extern char gdt[];

static void set_host(void)
{
	for (uint64_t field = 0xc00; field <= 0xc0a; field += 2)
		vmwrite(field, 0x10);
	vmwrite(0xc02, 0x08);
	vmwrite(0xc0c, 0x18);
	vmwrite(0x6c00, read_cr(0));
	vmwrite(0x6c02, read_cr(3));
	vmwrite(0x6c04, read_cr(4));
	for (uint64_t field = 0x6c06; field <= 0x6c12; field += 2)
		vmwrite(field, 0);
	vmwrite(0x6c0c, (uintptr_t)gdt);
	vmwrite(0x4c00, 0);
}

static void set_guest(void)
{
	for (uint64_t i = 0; i < 8; i++) {
		vmwrite(0x800 + 2 * i, i == 1 ? 0x08 : 0x10);
		vmwrite(0x4800 + 2 * i, 0xffffffff);
		vmwrite(0x4814 + 2 * i, i == 1 ? 0xc09b : 0xc093);
		vmwrite(0x6806 + 2 * i, 0);
	}
	vmwrite(0x80c, 0);			/* no LDT; a TSS is a must */
	vmwrite(0x4820, 1 << 16);
	vmwrite(0x80e, 0x18);
	vmwrite(0x480e, 0x67);
	vmwrite(0x4822, 0x8b);
	for (uint64_t field = 0x4810; field <= 0x4812; field += 2)
		vmwrite(field, 0);		/* GDT, IDT */
	vmwrite(0x6816, 0);
	vmwrite(0x6818, 0);
	vmwrite(0x4824, 0);
	vmwrite(0x4826, 0);
	vmwrite(0x482a, 0);
	vmwrite(0x2802, 0);
	vmwrite(0x6800, 0x31);			/* PE, ET, NE */
	vmwrite(0x6802, 0);
	vmwrite(0x6804, 0x2000);		/* VMXE */
	vmwrite(0x681a, 0x400);
	vmwrite(0x681c, 0);
	vmwrite(0x6820, 2);
	vmwrite(0x6822, 0);
	vmwrite(0x6824, 0);
	vmwrite(0x6826, 0);
}

/* The operand is an address in memory. CF or ZF is failure. */
#define VMX_OP(name, address) ({					\
	uint64_t operand = (uintptr_t)(address);			\
	uint8_t bad;							\
									\
	__asm__ volatile(name " %1\n\tsetbe %0"				\
			 : "=q"(bad) : "m"(operand) : "cc", "memory");	\
	bad;								\
})

static const char *start_vmx(void)
{
	uint32_t revision;

	if (!(cpuid_ecx(1) & 1 << 5))
		return "this CPU has no VMX";
	if (!(rdmsr(FEATURE_CONTROL) & 1))
		wrmsr(FEATURE_CONTROL, 5);
	__asm__ volatile("mov %0, %%cr4" :: "r"(read_cr(4) | 0x2000));
	revision = rdmsr(VMX_BASIC);
	*(uint32_t *)vmxon_page = revision;
	*(uint32_t *)vmcs_page = revision;
	if (VMX_OP("vmxon", vmxon_page) || VMX_OP("vmclear", vmcs_page) ||
	    VMX_OP("vmptrld", vmcs_page))
		return "VMXON fails";
	return 0;
}

const char *emu_setup(const struct emu_header *header)
{
	const char *why = start_vmx();
	uint64_t can;

	if (why)
		return why;
	can = rdmsr(VMX_EPT_CAP);
	if ((header->root & 1 << 6) && !(can & 1 << 21))
		return "this CPU keeps no accessed and dirty bits in EPT";
	if (!(can & 1) || !(can & 1 << 16) || !(can & 1 << 17))
		return "this CPU has no large or no execute-only EPT leaves";
	eptp = header->root;
	set_controls(header);
	set_host();
	set_guest();
	emu_flush();
	return 0;
}

/* Enter with edi and eax; back at the label with all else forgotten. */
static bool enter(uint64_t *value, uint64_t gpa)
{
	static bool launched;
	uint8_t bad;

	__asm__ volatile(
		"push %%rbp\n\t"
		"mov $0x6c14, %%edx\n\t"
		"vmwrite %%rsp, %%rdx\n\t"
		"lea 2f(%%rip), %%rcx\n\t"
		"mov $0x6c16, %%edx\n\t"
		"vmwrite %%rcx, %%rdx\n\t"
		"test %%bl, %%bl\n\t"
		"jnz 1f\n\t"
		"vmlaunch\n\t"
		"mov $1, %%bl\n\t"
		"jmp 3f\n"
		"1:\tvmresume\n\t"
		"mov $1, %%bl\n\t"
		"jmp 3f\n"
		"2:\txor %%ebx, %%ebx\n"
		"3:\tpop %%rbp"
		: "+a"(*value), "=b"(bad), "+D"(gpa)
		: "b"(launched)
		: "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13",
		  "r14", "r15", "memory", "cc");
	launched = true;
	return !bad;
}

struct emu_result emu_access(uint64_t gpa, uint64_t access, uint64_t value)
{
	struct emu_result result = { .fault = 1 };

	vmwrite(0x681e, entry_of(access));
	if (!enter(&value, gpa)) {
		result.reason = vmread(0x4400) | UINT64_C(1) << 32;
		return result;
	}
	result.reason = vmread(0x4402);
	result.fault = result.reason != EXIT_VMCALL;
	result.qualification = vmread(0x6400);
	result.gpa = vmread(0x2400);
	result.value = value;
	return result;
}

/* vmcall */
void emu_put_code(void *at)
{
	volatile uint8_t *code = at;

	code[0] = 0x0f;
	code[1] = 0x01;
	code[2] = 0xc1;
}

/* A misconfiguration has none; bits 7 and 8 tell of linear addresses. */
uint64_t emu_mask(const struct emu_case *c)
{
	return c->reason == 49 ? 0 : 0x3f;
}
