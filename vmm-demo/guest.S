/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The guest. It is linked into the demo as data (guest_start to guest_end),
 * copied into the ROM and runs there, at any address, in 64-bit mode at CPL 3.
 * It may touch RAM, the device and the console's port, and nothing else: there
 * is no kernel under it, and a fault ends the machine.
 *
 * %r12: the device; %r13: checks that failed; %rbx, %rbp: kept across calls.
 */
#include "guest.h"

	.section .rodata.guest, "a", @progbits
	.globl	guest_start, guest_end
	.hidden	guest_start, guest_end
	.balign	8

/* %rsi = a string, which lies behind the code. */
.macro	text string:req
	.subsection 1
9:	.asciz	"\string"
	.subsection 0
	lea	9b(%rip), %rsi
.endm

/* Report a check; it passed if %rax is 0. */
.macro	check string:req
	text	"\string"
	call	report
.endm

/* %rax = 0 if the last comparison found its operands equal. */
.macro	zero_if_equal
	setne	%al
	movzbl	%al, %eax
.endm

guest_start:
	mov	$DEVICE_BASE, %r12d
	xor	%r13d, %r13d
	text	"hello: 64-bit code at CPL "
	call	puts
	mov	%cs, %eax
	and	$3, %eax
	add	$'0', %eax
	outb	%al, $CONSOLE_PORT
	text	", running from ROM\n"
	call	puts

device:
	movabs	$DEVICE_ID, %rax
	mov	%rax, DEV_SCRATCH(%r12)
	mov	DEV_ID(%r12), %rbx
	xor	DEV_SCRATCH(%r12), %rbx
	mov	%rbx, %rax
	check	"device: its id, and a register that keeps what is written"

/* Both are filled before either is read, so that one over the other shows. */
ram:
	mov	$LOW_FREE, %edi
	mov	DEV_LOW_END(%r12), %rsi
	mov	%rdi, %rdx
	call	fill
	mov	high_base(%rip), %rdi
	mov	DEV_HIGH_END(%r12), %rsi
	mov	%rdi, %rdx
	call	fill
	mov	$LOW_FREE, %edi
	mov	DEV_LOW_END(%r12), %rsi
	mov	%rdi, %rdx
	call	verify
	check	"low RAM: every word filled and read back"
	mov	high_base(%rip), %rdi
	mov	DEV_HIGH_END(%r12), %rsi
	mov	%rdi, %rdx
	call	verify
	check	"high RAM: every word filled and read back"

rom:
	call	sum_rom
	check	"ROM: its words add up to 0"
	mov	$(ROM_BASE + ROM_SIZE - 8), %edi
	mov	(%rdi), %rbx
	mov	%rbx, %rax
	not	%rax
	mov	%rax, (%rdi)
	cmp	%rbx, (%rdi)
	zero_if_equal
	check	"ROM: a write changes nothing"

holes:
	mov	DEV_RESERVED(%r12), %rdi
	call	is_void
	check	"reserved hole: reads as all ones"
	mov	$NOTHING_BASE, %edi
	movq	$0, (%rdi)
	call	is_void
	check	"nothing: a write is lost, a read is all ones"

plug:
	mov	$DIMM_SIZE, %eax
	mov	%rax, DEV_PLUG(%r12)
	mov	DEV_DIMM(%r12), %rbx
	test	%rbx, %rbx
	setz	%al
	movzbl	%al, %eax
	check	"hotplug: I asked for a DIMM and got one"
	test	%rbx, %rbx
	jz	done
	mov	%rbx, %rdi
	lea	DIMM_SIZE(%rbx), %rsi
	mov	%rbx, %rdx
	call	fill
	mov	%rbx, %rdi
	lea	DIMM_SIZE(%rbx), %rsi
	mov	%rbx, %rdx
	call	verify
	check	"DIMM: every word filled and read back"

seal:
	movq	$1, DEV_SEAL(%r12)
	mov	DIMM_SIZE / 2(%rbx), %rax
	movq	$0, DIMM_SIZE / 2(%rbx)
	cmp	%rax, DIMM_SIZE / 2(%rbx)
	zero_if_equal
	check	"sealed DIMM: a write to its middle changes nothing"
	mov	(%rbx), %rdx
	movq	$0, (%rbx)
	mov	(%rbx), %rax
	mov	%rdx, (%rbx)
	check	"sealed DIMM: a write to its start does"
	movq	$0, DEV_SEAL(%r12)
	mov	DIMM_SIZE / 2(%rbx), %rdx
	movq	$0, DIMM_SIZE / 2(%rbx)
	mov	DIMM_SIZE / 2(%rbx), %rax
	mov	%rdx, DIMM_SIZE / 2(%rbx)
	check	"unsealed DIMM: a write to its middle does again"

/* Now the VMM does not wait: it changes the DIMM while it is being read. */
churn:
	movq	$CHURN_ROUNDS, DEV_CHURN(%r12)
1:	mov	%rbx, %rdi
	lea	DIMM_SIZE(%rbx), %rsi
	mov	%rbx, %rdx
	call	verify
	test	%eax, %eax
	jnz	2f
	mov	DEV_CHURN(%r12), %rdx
	test	%rdx, %rdx
	jnz	1b
2:	check	"churned DIMM: split and merged while I read, never a hole"

/* %rbx: where the DIMM was, %rbp: where it is. */
move:
	movq	$1, DEV_MOVE(%r12)
	mov	DEV_DIMM(%r12), %rbp
	mov	%rbp, %rdi
	lea	DIMM_SIZE(%rbp), %rsi
	mov	%rbx, %rdx
	call	verify
	cmp	%rbp, %rbx
	sete	%dl
	or	%dl, %al
	check	"moved DIMM: every word is at the new place"
	mov	%rbx, %rdi
	call	is_void
	check	"moved DIMM: the old place is empty"

unplug:
	movq	$1, DEV_UNPLUG(%r12)
	mov	%rbp, %rdi
	call	is_void
	check	"unplugged DIMM: its place is empty"

done:
	mov	%r13, DEV_DONE(%r12)
	jmp	done

	.balign	8
high_base:
	.quad	HIGH_BASE

/* Fill [%rdi, %rsi) as if it started at %rdx. */
fill:
	movabs	$PATTERN, %r8
1:	cmp	%rsi, %rdi
	jae	2f
	call	alive
	mov	%rdx, %rax
	xor	%r8, %rax
	mov	%rax, (%rdi)
	add	$8, %rdi
	add	$8, %rdx
	jmp	1b
2:	ret

/* %rax = 0 if [%rdi, %rsi) is as fill left it. */
verify:
	movabs	$PATTERN, %r8
1:	cmp	%rsi, %rdi
	jae	2f
	call	alive
	mov	%rdx, %rax
	xor	%r8, %rax
	cmp	%rax, (%rdi)
	jne	3f
	add	$8, %rdi
	add	$8, %rdx
	jmp	1b
2:	xor	%eax, %eax
	ret
3:	mov	%rdi, DEV_WRONG(%r12)
	mov	$1, %eax
	ret

/* Tell the VMM now and then, by the address in %rdi, that all is well. */
alive:
	test	$(ALIVE_EVERY - 1), %edi
	jnz	1f
	mov	%rdi, DEV_ALIVE(%r12)
1:	ret

/* %rax = the sum of the ROM's words. */
sum_rom:
	mov	$ROM_BASE, %edi
	mov	$(ROM_SIZE / 8), %ecx
	xor	%eax, %eax
1:	add	(%rdi), %rax
	add	$8, %rdi
	dec	%ecx
	jnz	1b
	ret

/* %rax = 0 if the word at %rdi reads as all ones. */
is_void:
	mov	(%rdi), %rax
	not	%rax
	ret

/* Print %rsi, and whether %rax is 0; count it if not. */
report:
	mov	%rax, %r14
	call	puts
	text	" ... ok\n"
	test	%r14, %r14
	jz	puts
	inc	%r13
	text	" ... WRONG\n"

puts:
	mov	(%rsi), %al
	test	%al, %al
	jz	1f
	outb	%al, $CONSOLE_PORT
	inc	%rsi
	jmp	puts
1:	ret

	.subsection 2
	.balign	8
guest_end:

	.section .note.GNU-stack, "", @progbits
