/* SPDX-License-Identifier: BSD-3-Clause */
/* Starts at EL2 with the MMU off; the guest runs at EL1 with its own off. */
	.section .start, "ax"
	.globl	_start
_start:
	ldr	x0, =stack_top
	mov	sp, x0
	ldr	x0, =vectors
	msr	vbar_el2, x0
	isb
	bl	emu_main
1:	b	1b

	.text
/* emu_enter(entry x0, gpa x1, value x2, struct emu_trap *x3) */
	.globl	emu_enter
emu_enter:
	stp	x19, x20, [sp, #-112]!
	stp	x21, x22, [sp, #16]
	stp	x23, x24, [sp, #32]
	stp	x25, x26, [sp, #48]
	stp	x27, x28, [sp, #64]
	stp	x29, x30, [sp, #80]
	str	x3, [sp, #96]
	msr	elr_el2, x0
	mov	x4, #0x3c5
	msr	spsr_el2, x4
	mov	x0, x1
	mov	x1, x2
	isb
	eret

/* What the guest runs: gpa in x0, value in x1. */
	.globl	guest_load, guest_store, guest_jump
guest_load:
	ldr	w1, [x0]
	hvc	#0
guest_store:
	str	w1, [x0]
	hvc	#0
guest_jump:
	br	x0

back:
	ldr	x3, [sp, #96]
	str	x1, [x3]
	mrs	x4, esr_el2
	str	x4, [x3, #8]
	mrs	x4, hpfar_el2
	str	x4, [x3, #16]
	ldp	x21, x22, [sp, #16]
	ldp	x23, x24, [sp, #32]
	ldp	x25, x26, [sp, #48]
	ldp	x27, x28, [sp, #64]
	ldp	x29, x30, [sp, #80]
	ldp	x19, x20, [sp], #112
	ret

dead:
	mov	x0, #0x09000000
	mov	w1, #'!'
	str	w1, [x0]
1:	b	1b

	.balign	2048
vectors:
	.rept	8
	b	dead
	.balign	128
	.endr
	b	back			/* synchronous, from a lower level */
	.balign	128
	.rept	7
	b	dead
	.balign	128
	.endr

	.bss
	.balign	16
	.skip	16384
stack_top:

	.section .note.GNU-stack, "", %progbits
