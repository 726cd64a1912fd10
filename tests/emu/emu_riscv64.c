/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * QEMU's virt machine, -bios none, -cpu rv64,h=true. RISC-V volume II,
 * "Hypervisor Extension": hgatp, mtval2, causes 10, 20, 21 and 23.
 */
#include "emu.h"

struct emu_trap {
	uint64_t a1, cause, tval2;
};

void emu_enter(void (*entry)(void), uint64_t gpa, uint64_t value,
	       struct emu_trap *trap);
void guest_load(void), guest_store(void), guest_jump(void);

#define CAUSE_ECALL_VS 10

void emu_putc(char c)
{
	*(volatile uint8_t *)0x10000000 = c;
}

void emu_exit(void)
{
	*(volatile uint32_t *)0x100000 = 0x5555;
	for (;;)
		;
}

/* hfence.gvma zero, zero */
void emu_flush(void)
{
	__asm__ volatile(".insn r 0x73, 0, 0x31, x0, x0, x0" ::: "memory");
}

const char *emu_setup(const struct emu_header *header)
{
	uint64_t isa, got;

	__asm__("csrr %0, misa" : "=r"(isa));
	if (!(isa >> ('H' - 'A') & 1))
		return "this CPU has no hypervisor extension";
	/* One PMP entry that allows everything. */
	__asm__ volatile("csrw pmpaddr0, %0" :: "r"(-1L));
	__asm__ volatile("csrw pmpcfg0, %0" :: "r"(0x1fL));
	__asm__ volatile("csrw medeleg, zero");
	__asm__ volatile("csrw 0x280, zero");		/* vsatp */
	__asm__ volatile("csrw 0x680, %0" :: "r"(header->root));
	__asm__("csrr %0, 0x680" : "=r"(got));
	emu_flush();
	return got == header->root ? 0 : "this CPU has no such hgatp mode";
}

struct emu_result emu_access(uint64_t gpa, uint64_t access, uint64_t value)
{
	struct emu_trap trap;

	emu_enter(access == EMU_READ ? guest_load :
		  access == EMU_WRITE ? guest_store : guest_jump,
		  gpa, value, &trap);
	return (struct emu_result){
		.fault = trap.cause != CAUSE_ECALL_VS,
		.reason = trap.cause,
		.qualification = trap.tval2,
		.gpa = trap.tval2 << 2,
		.value = trap.a1,
	};
}

void emu_put_code(void *at)
{
	*(volatile uint32_t *)at = 0x00000073;	/* ecall */
	__asm__ volatile("fence.i" ::: "memory");
}

uint64_t emu_mask(const struct emu_case *c)
{
	(void)c;
	return UINT64_MAX;
}
