/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the guest of the rig does. rdi: an address; rsi: the doorbell, whose
 * store ends a routine with its data as the result.
 *
 * watch, for ever: goes over rcx pages from rdi on. The first word of each,
 * masked with rbx, must be rdx; the doorbell gets a word that is not. The
 * second word of each is counted up; so is the word at r8, once a round.
 *
 * reader: as watch, but writes nothing to the pages.
 *
 * writer, for ever: counts rax up and stores it in the first word of one of
 * rcx (a power of two) pages from rdi on, picked pseudo-randomly; the word at
 * r8 gets the count after each store.
 */
#include "helpers/kvm_guest_code.h"

__asm__(
"	.section .rodata\n"
"	.globl kvm_guest_code, kvm_guest_code_end\n"
"	.globl kvm_guest_code_load, kvm_guest_code_store\n"
"	.globl kvm_guest_code_touch, kvm_guest_code_watch\n"
"	.globl kvm_guest_code_reader, kvm_guest_code_writer\n"
"kvm_guest_code:\n"
"kvm_guest_code_load:\n"
"	mov	(%rdi), %rax\n"
"	mov	%rax, (%rsi)\n"
"kvm_guest_code_store:\n"
"	mov	%rax, (%rdi)\n"
"	mov	(%rdi), %rax\n"
"	mov	%rax, (%rsi)\n"
"kvm_guest_code_touch:\n"
"	mov	%rax, (%rdi)\n"
"	add	$4096, %rdi\n"
"	dec	%rcx\n"
"	jnz	kvm_guest_code_touch\n"
"	mov	%rax, (%rsi)\n"
"kvm_guest_code_watch:\n"
"	mov	%rdi, %r9\n"
"	mov	%rcx, %r10\n"
"1:	mov	(%r9), %rax\n"
"	mov	%rax, %r11\n"
"	and	%rbx, %r11\n"
"	cmp	%rdx, %r11\n"
"	jne	2f\n"
"	incq	8(%r9)\n"
"	add	$4096, %r9\n"
"	dec	%r10\n"
"	jnz	1b\n"
"	incq	(%r8)\n"
"	jmp	kvm_guest_code_watch\n"
"2:	mov	%rax, (%rsi)\n"
"	jmp	kvm_guest_code_watch\n"
"kvm_guest_code_reader:\n"
"	mov	%rdi, %r9\n"
"	mov	%rcx, %r10\n"
"4:	mov	(%r9), %rax\n"
"	mov	%rax, %r11\n"
"	and	%rbx, %r11\n"
"	cmp	%rdx, %r11\n"
"	jne	5f\n"
"	add	$4096, %r9\n"
"	dec	%r10\n"
"	jnz	4b\n"
"	incq	(%r8)\n"
"	jmp	kvm_guest_code_reader\n"
"5:	mov	%rax, (%rsi)\n"
"	jmp	kvm_guest_code_reader\n"
"kvm_guest_code_writer:\n"
"	mov	%rcx, %r10\n"
"	dec	%r10\n"
"3:	inc	%rax\n"
"	imul	$0x1e3779b1, %rax, %r9\n"
"	shr	$12, %r9\n"
"	and	%r10, %r9\n"
"	shl	$12, %r9\n"
"	mov	%rax, (%rdi, %r9)\n"
"	mov	%rax, (%r8)\n"
"	jmp	3b\n"
"kvm_guest_code_end:\n"
"	.text\n");

const uint8_t *const kvm_guest_routines[KVM_GUEST_ROUTINES] = {
	[KVM_GUEST_LOAD] = kvm_guest_code_load,
	[KVM_GUEST_STORE] = kvm_guest_code_store,
	[KVM_GUEST_TOUCH] = kvm_guest_code_touch,
	[KVM_GUEST_WATCH] = kvm_guest_code_watch,
	[KVM_GUEST_READER] = kvm_guest_code_reader,
	[KVM_GUEST_WRITER] = kvm_guest_code_writer,
};
