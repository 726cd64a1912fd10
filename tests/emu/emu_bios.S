/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A boot sector: 64 KiB of program from sector 1 on go to 1 MiB, 64 KiB of
 * tables from sector 129 on to EMU_BASE; then to the program's start32, which
 * lies behind its multiboot header of 32 bytes.
 */
	.code16
	.globl	_start
	.text
_start:
	ljmp	$0, $1f
1:	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %ss
	mov	$0x7c00, %sp
	mov	$8, %bx			/* times 32 sectors, 16 KiB */
2:	mov	$0x42, %ah
	mov	$packet, %si
	int	$0x13
	jc	bad
	addw	$0x400, packet + 6
	addw	$32, packet + 8
	dec	%bx
	jnz	2b
	in	$0x92, %al
	or	$2, %al
	out	%al, $0x92		/* A20 */
	cli
	lgdt	pointer
	mov	%cr0, %eax
	or	$1, %eax
	mov	%eax, %cr0
	ljmp	$8, $4f
bad:	mov	$'B', %al
	out	%al, $0xe9
3:	hlt
	jmp	3b

	.code32
4:	mov	$16, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	cld
	mov	$0x10000, %esi
	mov	$0x100000, %edi
	mov	$0x4000, %ecx
	rep movsl
	mov	$0x1000000, %edi
	mov	$0x4000, %ecx
	rep movsl
	mov	$0x100020, %eax
	jmp	*%eax

packet:	.byte	16, 0
	.word	32, 0, 0x1000
	.quad	1
	.balign	8
gdt:	.quad	0
	.quad	0x00cf9b000000ffff
	.quad	0x00cf93000000ffff
pointer:
	.word	23
	.long	gdt
	.org	510
	.word	0xaa55

	.section .note.GNU-stack, "", %progbits
