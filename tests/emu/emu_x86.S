/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * To long mode, from where multiboot (QEMU -kernel) leaves off; nested_bios.S
 * comes to start32 from a boot sector. Memory below 4 GiB is mapped one to
 * one in 2M pages.
 */
	.section .start, "ax"
	.code32
	.globl	start32
multiboot:
	.long	0x1badb002
	.long	0x00010000		/* addresses follow */
	.long	-(0x1badb002 + 0x00010000)
	.long	multiboot
	.long	multiboot
	.long	load_end
	.long	bss_end
	.long	start32
start32:
	cli
	lgdt	gdt_pointer
	mov	$stack_top, %esp
	/* PML4 -> PDPT -> 4 PDs */
	mov	$pdpt + 7, %eax
	mov	%eax, pml4
	mov	$pds + 7, %eax
	mov	$pdpt, %edi
	mov	$4, %ecx
1:	mov	%eax, (%edi)
	add	$4096, %eax
	add	$8, %edi
	loop	1b
	mov	$0x87, %eax
	mov	$pds, %edi
	mov	$2048, %ecx
2:	mov	%eax, (%edi)
	add	$0x200000, %eax
	add	$8, %edi
	loop	2b
	mov	%cr4, %eax
	or	$0x20, %eax
	mov	%eax, %cr4
	mov	$pml4, %eax
	mov	%eax, %cr3
	mov	$0xc0000080, %ecx
	rdmsr
	or	$0x900, %eax		/* LME, NXE */
	wrmsr
	mov	%cr0, %eax
	or	$0x80000021, %eax	/* PG, NE, PE */
	and	$0x9fffffff, %eax	/* caches on */
	mov	%eax, %cr0
	ljmp	$0x08, $start64

	.code64
start64:
	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	$0x18, %eax
	ltr	%ax
	call	emu_main
3:	hlt
	jmp	3b

	.balign	8
	.globl	gdt, gdt_pointer
gdt:
	.quad	0
	.quad	0x00af9b000000ffff	/* 0x08: 64-bit code */
	.quad	0x00cf93000000ffff	/* 0x10: data */
	.quad	0x0000890000000067	/* 0x18: a TSS at 0, never used */
	.quad	0
gdt_pointer:
	.word	39
	.long	gdt
	.long	0

	.text
	.code32
	.globl	guest_load, guest_store, guest_jump
guest_load:
	mov	(%edi), %eax
	GUEST_END
guest_store:
	mov	%eax, (%edi)
	GUEST_END
guest_jump:
	jmp	*%edi
	.code64

	.bss
	.balign	4096
pml4:	.skip	4096
pdpt:	.skip	4096
pds:	.skip	16384
	.skip	16384
	.globl	stack_top
stack_top:

	.section .note.GNU-stack, "", %progbits
