/* SPDX-License-Identifier: BSD-3-Clause */
/* Starts in M mode; the guest runs in VS mode with its own paging off. */
	.section .start, "ax"
	.globl	_start
_start:
	la	sp, stack_top
	la	t0, trapped
	csrw	mtvec, t0
	call	emu_main
1:	j	1b

	.text
/* emu_enter(entry a0, gpa a1, value a2, struct emu_trap *a3) */
	.globl	emu_enter
emu_enter:
	addi	sp, sp, -128
	sd	ra, 0(sp)
	sd	s0, 8(sp)
	sd	s1, 16(sp)
	sd	s2, 24(sp)
	sd	s3, 32(sp)
	sd	s4, 40(sp)
	sd	s5, 48(sp)
	sd	s6, 56(sp)
	sd	s7, 64(sp)
	sd	s8, 72(sp)
	sd	s9, 80(sp)
	sd	s10, 88(sp)
	sd	s11, 96(sp)
	sd	a3, 104(sp)
	sd	gp, 112(sp)
	csrw	mepc, a0
	csrw	mscratch, sp
	/* MPP = S, MPV = 1 */
	li	t0, 3 << 11
	csrc	mstatus, t0
	li	t0, 1 << 11
	csrs	mstatus, t0
	li	t0, 1 << 39
	csrs	mstatus, t0
	mv	a0, a1
	mv	a1, a2
	mret

	.globl	guest_load, guest_store, guest_jump
guest_load:
	lw	a1, 0(a0)
	ecall
guest_store:
	sw	a1, 0(a0)
	ecall
guest_jump:
	jr	a0

	.balign	4
trapped:
	csrr	sp, mscratch
	ld	a3, 104(sp)
	sd	a1, 0(a3)
	csrr	t0, mcause
	sd	t0, 8(a3)
	csrr	t0, 0x34b		/* mtval2 */
	sd	t0, 16(a3)
	ld	ra, 0(sp)
	ld	s0, 8(sp)
	ld	s1, 16(sp)
	ld	s2, 24(sp)
	ld	s3, 32(sp)
	ld	s4, 40(sp)
	ld	s5, 48(sp)
	ld	s6, 56(sp)
	ld	s7, 64(sp)
	ld	s8, 72(sp)
	ld	s9, 80(sp)
	ld	s10, 88(sp)
	ld	s11, 96(sp)
	ld	gp, 112(sp)
	addi	sp, sp, 128
	ret

	.bss
	.balign	16
	.skip	16384
stack_top:

	.section .note.GNU-stack, "", %progbits
