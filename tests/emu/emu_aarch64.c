/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * QEMU's virt machine with virtualization=on. Arm ARM: VTCR_EL2, HCR_EL2,
 * ESR_EL2, HPFAR_EL2 in D17.2; PSCI for the end.
 */
#include "emu.h"

struct emu_trap {
	uint64_t x1, esr, hpfar;
};

void emu_enter(void (*entry)(void), uint64_t gpa, uint64_t value,
	       struct emu_trap *trap);
void guest_load(void), guest_store(void), guest_jump(void);

#define EC_HVC 0x16

void emu_putc(char c)
{
	*(volatile uint32_t *)0x09000000 = (uint8_t)c;
}

void emu_exit(void)
{
	register uint64_t x0 __asm__("x0") = 0x84000008;	/* SYSTEM_OFF */

	__asm__ volatile("smc #0" : "+r"(x0));
	for (;;)
		;
}

void emu_flush(void)
{
	__asm__ volatile("dsb ish\n\ttlbi vmalls12e1is\n\tdsb ish\n\tisb"
			 ::: "memory");
}

const char *emu_setup(const struct emu_header *header)
{
	const uint64_t marks = 1 << 21 | 1 << 22;	/* HA, HD */
	uint64_t features, control = header->control;

	__asm__("mrs %0, id_aa64mmfr1_el1" : "=r"(features));
	if ((control & marks) && (features & 15) < 2)
		return "this CPU keeps no dirty state (HAFDBS)";
	/* PS is no less than the guest's width: 48 bits or 40. */
	control |= (control & 63) < 24 ? 5 << 16 : 2 << 16;
	/* RES1, inner shareable, write-back tables. */
	control |= UINT64_C(1) << 31 | 3 << 12 | 1 << 10 | 1 << 8;
	__asm__ volatile("msr vtcr_el2, %0" :: "r"(control));
	__asm__ volatile("msr vttbr_el2, %0" :: "r"(header->root));
	__asm__ volatile("msr sctlr_el1, %0" :: "r"(UINT64_C(0x30d00800)));
	/* VM, RW */
	__asm__ volatile("msr hcr_el2, %0\n\tisb"
			 :: "r"(UINT64_C(1) << 31 | 1));
	emu_flush();
	return 0;
}

struct emu_result emu_access(uint64_t gpa, uint64_t access, uint64_t value)
{
	struct emu_trap trap;

	emu_enter(access == EMU_READ ? guest_load :
		  access == EMU_WRITE ? guest_store : guest_jump,
		  gpa, value, &trap);
	return (struct emu_result){
		.fault = trap.esr >> 26 != EC_HVC,
		.reason = trap.esr >> 26 & 0x3f,
		.qualification = trap.esr,
		.gpa = (trap.hpfar >> 4 & 0xfffffffff) << 12,
		.value = trap.x1,
	};
}

void emu_put_code(void *at)
{
	*(volatile uint32_t *)at = 0xd4000002;	/* hvc #0 */
	__asm__ volatile("dsb ish\n\tic iallu\n\tdsb ish\n\tisb" ::: "memory");
}

/* EC, WnR and the status code; what describes the instruction is not ours. */
uint64_t emu_mask(const struct emu_case *c)
{
	(void)c;
	return UINT64_C(0x3f) << 26 | 0x7f;
}
