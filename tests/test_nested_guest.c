/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The NPT format is the long-mode format: a guest under the real /dev/kvm
 * runs on tables that the library wrote into its memory, with CR3 at their
 * root. The CPU walks them: what it reads, writes and fetches, the page-fault
 * error code where it must not, and the accessed and dirty bits it sets.
 *
 * The guest's code runs at CPL 3, natively also where KVM has no hardware
 * virtualization; its page-fault handler at CPL 0 tells the host.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kvm.h>

#include <gpmm/nested.h>

#include "helpers/kvm_suite.h"

#define K4	UINT64_C(0x1000)
#define M2	UINT64_C(0x200000)
#define G1	UINT64_C(0x40000000)

/* Guest-physical memory, and what is in it. */
#define RAM		(2 * G1)
#define GDT		UINT64_C(0x1000)
#define IDT		UINT64_C(0x2000)
#define TSS		UINT64_C(0x3000)
#define CODE		UINT64_C(0x4000)
#define STACK0		UINT64_C(0x6000)	/* grows down */
#define STACK3		UINT64_C(0x8000)
#define RESULT		UINT64_C(0x8000)
#define LOW		UINT64_C(0x9000)	/* mapped one to one */
#define TABLES		UINT64_C(0x1000000)
#define TABLES_END	UINT64_C(0x2000000)
#define DOORBELL	UINT64_C(0x1f0000000)	/* no memory */

extern const uint8_t nested_guest_code[], nested_guest_code_end[];
extern const uint8_t nested_guest_load[], nested_guest_store[];
extern const uint8_t nested_guest_jump[], nested_guest_fault[];

__asm__(
"	.section .rodata\n"
"nested_guest_code:\n"
"nested_guest_load:\n"
"	mov	(%rdi), %rax\n"
"	mov	%rax, (%rsi)\n"
"nested_guest_store:\n"
"	mov	%rax, (%rdi)\n"
"	mov	(%rdi), %rax\n"
"	mov	%rax, (%rsi)\n"
"nested_guest_jump:\n"
"	jmp	*%rdi\n"
"nested_guest_fault:\n"
"	mov	$0x8000, %ebx\n"
"	pop	%rax\n"
"	mov	%rax, (%rbx)\n"
"	mov	%cr2, %rax\n"
"	mov	%rax, 8(%rbx)\n"
"	movabs	$0x1f0000000, %rsi\n"
"	mov	%rax, 8(%rsi)\n"
"nested_guest_code_end:\n"
"	.previous\n");

static struct {
	int kvm, vm, cpu;
	struct kvm_run *run;
	size_t run_size;
	uint8_t *ram;
	struct gpmm_nested *t;
	uint64_t next;		/* frame for tables */
	bool pending, has_1g;
} g;

/* ------------------------------------------------------------- the tables --- */

static int guest_alloc(void *ctx, unsigned int order, gpmm_hpa_t *pa)
{
	(void)ctx;
	(void)order;
	if (g.next == TABLES_END)
		return -ENOMEM;
	*pa = g.next;
	g.next += K4;
	return 0;
}

static void guest_free(void *ctx, gpmm_hpa_t pa, unsigned int order)
{
	(void)ctx;
	(void)pa;
	(void)order;
}

/*
 * KVM may shadow the guest's tables, and does not see the host write them.
 * What it keeps of them goes with the slot.
 */
static int set_slot(uint64_t size)
{
	struct kvm_userspace_memory_region region = {
		.memory_size = size,
		.userspace_addr = (uintptr_t)g.ram,
	};

	return ioctl(g.vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static void guest_flush(void *ctx, const struct gpmm_range *ranges,
			size_t count)
{
	(void)ctx;
	(void)ranges;
	(void)count;
	CU_ASSERT_EQUAL(set_slot(0), 0);
	CU_ASSERT_EQUAL(set_slot(RAM), 0);
}

static const struct gpmm_nested_ops guest_ops = {
	.abi = GPMM_NESTED_ABI,
	.alloc = guest_alloc,
	.free = guest_free,
	.flush = guest_flush,
};

static void map(uint64_t va, uint64_t pa, uint64_t size, uint32_t flags)
{
	CU_ASSERT_EQUAL_FATAL(gpmm_nested_map(g.t, va, pa, size, flags), 0);
}

static void make_tables(void)
{
	const struct gpmm_nested_options options = {
		.format = GPMM_NESTED_NPT4,
		.how = GPMM_NESTED_AD | (g.has_1g ? 0 : GPMM_NESTED_NO_1G),
		.ops = &guest_ops,
		.va_offset = (uintptr_t)g.ram,
		.hpa_bits = 36,
	};

	g.next = TABLES;
	guest_flush(NULL, NULL, 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_nested_create(&options, &g.t), 0);
	map(K4, K4, LOW - K4, GPMM_RWX);
	map(DOORBELL, DOORBELL, K4, GPMM_RW);
}

/* ------------------------------------------------------------ the machine --- */

static void fill_low(void)
{
	const uint64_t handler = CODE + (nested_guest_fault -
					 nested_guest_code);
	uint64_t *gdt = (uint64_t *)(g.ram + GDT);
	uint64_t *gate = (uint64_t *)(g.ram + IDT + 14 * 16);

	gdt[1] = UINT64_C(0x00af9b000000ffff);	/* 0x08: code, CPL 0 */
	gdt[2] = UINT64_C(0x00cf93000000ffff);	/* 0x10: data, CPL 0 */
	gdt[5] = UINT64_C(0x00cff3000000ffff);	/* 0x2b: data, CPL 3 */
	gdt[6] = UINT64_C(0x00affb000000ffff);	/* 0x33: code, CPL 3 */
	/* A 64-bit interrupt gate to 0x08. */
	gate[0] = (handler & 0xffff) | 0x08 << 16 | UINT64_C(0x8e00) << 32 |
		  (handler >> 16 & 0xffff) << 48;
	gate[1] = handler >> 32;
	/* RSP0 */
	memcpy(g.ram + TSS + 4, &(uint64_t){ STACK0 }, 8);
	memcpy(g.ram + CODE, nested_guest_code,
	       nested_guest_code_end - nested_guest_code);
}

static struct kvm_segment segment(uint16_t selector, uint8_t type)
{
	return (struct kvm_segment){
		.limit = 0xffffffff, .selector = selector, .type = type,
		.present = 1, .dpl = 3, .db = type == 3, .s = 1,
		.l = type == 11, .g = 1,
	};
}

static void set_state(const struct kvm_regs *regs)
{
	struct gpmm_nested_root root;
	struct kvm_sregs s;

	gpmm_nested_get_root(g.t, &root);
	CU_ASSERT_EQUAL_FATAL(ioctl(g.cpu, KVM_GET_SREGS, &s), 0);
	s.cs = segment(0x33, 11);
	s.ss = s.ds = s.es = s.fs = s.gs = segment(0x2b, 3);
	s.tr = (struct kvm_segment){
		.base = TSS, .limit = 0x67, .selector = 0x38, .type = 11,
		.present = 1,
	};
	memset(&s.ldt, 0, sizeof(s.ldt));
	s.ldt.unusable = 1;
	s.gdt = (struct kvm_dtable){ .base = GDT, .limit = 0x37 };
	s.idt = (struct kvm_dtable){ .base = IDT, .limit = 15 * 16 - 1 };
	s.cr0 = 0x80050033;
	s.cr3 = root.value;
	s.cr4 = 0x20;
	s.efer = 0xd01;
	CU_ASSERT_EQUAL_FATAL(ioctl(g.cpu, KVM_SET_SREGS, &s), 0);
	CU_ASSERT_EQUAL_FATAL(ioctl(g.cpu, KVM_SET_REGS, regs), 0);
}

/* KVM has them only where it says so; elsewhere a 1G leaf is reserved. */
static bool offers_1g(const struct kvm_cpuid2 *cpuid)
{
	for (unsigned int i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == 0x80000001)
			return cpuid->entries[i].edx & 1 << 26;
	return false;
}

static bool set_cpuid(void)
{
	const unsigned int most = 256;
	struct kvm_cpuid2 *cpuid =
		calloc(1, sizeof(*cpuid) + most * sizeof(*cpuid->entries));
	bool done;

	cpuid->nent = most;
	done = !ioctl(g.kvm, KVM_GET_SUPPORTED_CPUID, cpuid);
	g.has_1g = offers_1g(cpuid);
	done = done && !ioctl(g.cpu, KVM_SET_CPUID2, cpuid);
	free(cpuid);
	return done;
}

static const char *make_machine(void)
{
	g.kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (g.kvm < 0)
		return "no /dev/kvm that this user may open";
	g.vm = ioctl(g.kvm, KVM_CREATE_VM, 0);
	if (g.vm < 0)
		return "KVM_CREATE_VM fails";
	g.ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (g.ram == MAP_FAILED)
		return "no memory for the guest";
	if (set_slot(RAM))
		return "KVM refuses the guest's memory";
	g.cpu = ioctl(g.vm, KVM_CREATE_VCPU, 0);
	if (g.cpu < 0 || !set_cpuid())
		return "KVM_CREATE_VCPU fails";
	g.run_size = ioctl(g.kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	g.run = mmap(NULL, g.run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		     g.cpu, 0);
	if (g.run == MAP_FAILED)
		return "kvm_run cannot be mapped";
	fill_low();
	return NULL;
}

/* ---------------------------------------------------------------- running --- */

struct outcome {
	bool fault;
	uint64_t value;		/* without a fault */
	uint64_t code, cr2;	/* with one */
};

static void complete(void)
{
	if (!g.pending)
		return;
	g.run->immediate_exit = 1;
	ioctl(g.cpu, KVM_RUN, 0);
	g.run->immediate_exit = 0;
	g.pending = false;
}

static struct outcome run(const uint8_t *routine, uint64_t rdi, uint64_t rax)
{
	const uint64_t *result = (const uint64_t *)(g.ram + RESULT);
	const struct kvm_regs regs = {
		.rip = CODE + (routine - nested_guest_code),
		.rsp = STACK3, .rflags = 0x3202, .rsi = DOORBELL,
		.rdi = rdi, .rax = rax,
	};
	struct outcome outcome = { 0 };

	complete();
	set_state(&regs);
	while (ioctl(g.cpu, KVM_RUN, 0) && errno == EINTR)
		;
	CU_ASSERT_EQUAL_FATAL(g.run->exit_reason, KVM_EXIT_MMIO);
	CU_ASSERT_EQUAL_FATAL(g.run->mmio.phys_addr & ~8, DOORBELL);
	g.pending = true;
	outcome.fault = g.run->mmio.phys_addr & 8;
	memcpy(&outcome.value, g.run->mmio.data, 8);
	outcome.code = result[0];
	outcome.cr2 = result[1];
	return outcome;
}

static uint64_t *ram_at(uint64_t pa)
{
	return (uint64_t *)(g.ram + pa);
}

static void expect_load(uint64_t va, uint64_t pa)
{
	struct outcome outcome;

	*ram_at(pa) = pa ^ 0x5a5a5a5a12345678;
	outcome = run(nested_guest_load, va, 0);
	CU_ASSERT_FALSE(outcome.fault);
	CU_ASSERT_EQUAL(outcome.value, pa ^ 0x5a5a5a5a12345678);
}

static void expect_store(uint64_t va, uint64_t pa)
{
	struct outcome outcome = run(nested_guest_store, va, va ^ 77);

	CU_ASSERT_FALSE(outcome.fault);
	CU_ASSERT_EQUAL(*ram_at(pa), va ^ 77);
}

/* The page-fault error code, and that the walker says the same. */
static void expect_fault(const uint8_t *routine, uint64_t va, uint32_t access,
			 uint64_t code)
{
	struct outcome outcome = run(routine, va, 1);
	struct gpmm_nested_hit hit;

	CU_ASSERT(outcome.fault);
	CU_ASSERT_EQUAL(outcome.code, code);
	CU_ASSERT_EQUAL(outcome.cr2, va);
	CU_ASSERT_EQUAL(gpmm_nested_walk(g.t, va, access, &hit), -EFAULT);
	CU_ASSERT_EQUAL((uint32_t)hit.qualification, code);
}

static unsigned int level(uint64_t va)
{
	struct gpmm_nested_hit hit;

	CU_ASSERT_EQUAL_FATAL(gpmm_nested_walk(g.t, va, 0, &hit), 0);
	return hit.level;
}

/* ------------------------------------------------------------------ tests --- */

#define VA4K	UINT64_C(0x123456789000)
#define VA2M	(UINT64_C(0x40) << 32)
#define VA1G	(UINT64_C(0x7fff) << 32)
#define PA4K	UINT64_C(0x3005000)
#define PA2M	UINT64_C(0x4000000)

static void the_cpu_reads_and_writes_through_every_leaf(void)
{
	make_tables();
	map(VA4K, PA4K, K4, GPMM_RW);
	map(VA2M, PA2M, M2, GPMM_RW);
	map(VA1G, G1, G1, GPMM_RW);
	CU_ASSERT_EQUAL(level(VA4K), 1);
	CU_ASSERT_EQUAL(level(VA2M), 2);
	CU_ASSERT_EQUAL(level(VA1G), g.has_1g ? 3 : 2);
	if (!g.has_1g)
		printf("(this KVM offers no 1G leaves) ");
	expect_load(VA4K + 8, PA4K + 8);
	expect_store(VA4K + K4 - 8, PA4K + K4 - 8);
	expect_load(VA2M, PA2M);
	expect_store(VA2M + M2 - 8, PA2M + M2 - 8);
	expect_load(VA1G + 3 * M2, G1 + 3 * M2);
	expect_store(VA1G + G1 - 8, 2 * G1 - 8);
	gpmm_nested_destroy(g.t);
}

static void the_cpu_faults_as_the_walker_says(void)
{
	make_tables();
	map(VA4K, PA4K, K4, GPMM_READ);
	map(VA2M, PA2M, M2, GPMM_RW);
	map(VA1G, G1, G1, GPMM_READ | GPMM_EXEC);
	expect_fault(nested_guest_load, VA4K + K4, GPMM_READ, 0x4);
	expect_fault(nested_guest_store, VA4K + K4, GPMM_WRITE, 0x6);
	expect_fault(nested_guest_store, VA4K, GPMM_WRITE, 0x7);
	expect_fault(nested_guest_store, VA1G + M2, GPMM_WRITE, 0x7);
	expect_fault(nested_guest_jump, VA2M, GPMM_EXEC, 0x15);
	expect_fault(nested_guest_jump, VA2M + M2, GPMM_EXEC, 0x14);
	CU_ASSERT_EQUAL(gpmm_nested_protect(g.t, VA2M, K4, 0), 0);
	expect_fault(nested_guest_load, VA2M, GPMM_READ, 0x4);
	expect_load(VA2M + K4, PA2M + K4);
	gpmm_nested_destroy(g.t);
}

static void the_cpu_fetches_where_it_may(void)
{
	/* mov %rax, (%rsi) */
	static const uint8_t ring[] = { 0x48, 0x89, 0x06 };
	struct outcome outcome;

	make_tables();
	map(VA2M, PA2M, M2, GPMM_READ | GPMM_EXEC);
	memcpy(g.ram + PA2M + 64, ring, sizeof(ring));
	outcome = run(nested_guest_jump, VA2M + 64, 4711);
	CU_ASSERT_FALSE(outcome.fault);
	CU_ASSERT_EQUAL(outcome.value, 4711);
	gpmm_nested_destroy(g.t);
}

static void what_is_split_or_moved_is_what_the_cpu_sees(void)
{
	make_tables();
	map(VA1G, G1, G1, GPMM_RW);
	CU_ASSERT_EQUAL(gpmm_nested_begin(g.t), 0);
	CU_ASSERT_EQUAL(gpmm_nested_unmap(g.t, VA1G + 5 * K4, K4), 0);
	map(VA1G + 5 * K4, PA4K, K4, GPMM_RW);
	CU_ASSERT_EQUAL(gpmm_nested_protect(g.t, VA1G + M2, M2, GPMM_READ), 0);
	gpmm_nested_commit(g.t);
	expect_load(VA1G + 4 * K4, G1 + 4 * K4);
	expect_store(VA1G + 5 * K4, PA4K);
	expect_load(VA1G + 6 * K4, G1 + 6 * K4);
	expect_fault(nested_guest_store, VA1G + M2, GPMM_WRITE, 0x7);
	expect_load(VA1G + M2, G1 + M2);
	expect_store(VA1G + 2 * M2, G1 + 2 * M2);
	gpmm_nested_destroy(g.t);
}

static int64_t harvest(uint64_t va, uint64_t size, unsigned int what,
		       uint64_t *bits)
{
	*bits = 0;
	return gpmm_nested_harvest(g.t, va, size, what, bits);
}

static void the_cpu_marks_what_it_touches(void)
{
	uint64_t bits;

	make_tables();
	map(VA4K, PA4K, 8 * K4, GPMM_RW);
	CU_ASSERT_EQUAL(harvest(VA4K, 8 * K4, GPMM_NESTED_ACCESSED, &bits), 0);
	expect_load(VA4K + K4, PA4K + K4);
	expect_store(VA4K + 3 * K4, PA4K + 3 * K4);
	CU_ASSERT_EQUAL(harvest(VA4K, 8 * K4, GPMM_NESTED_ACCESSED |
				GPMM_NESTED_CLEAR, &bits), 2);
	CU_ASSERT_EQUAL(bits, 1 << 1 | 1 << 3);
	CU_ASSERT_EQUAL(harvest(VA4K, 8 * K4, GPMM_NESTED_DIRTY |
				GPMM_NESTED_CLEAR, &bits), 1);
	CU_ASSERT_EQUAL(bits, 1 << 3);
	CU_ASSERT_EQUAL(harvest(VA4K, 8 * K4, GPMM_NESTED_DIRTY, &bits), 0);
	expect_store(VA4K + 3 * K4, PA4K + 3 * K4);
	expect_store(VA4K + 7 * K4, PA4K + 7 * K4);
	CU_ASSERT_EQUAL(harvest(VA4K, 8 * K4, GPMM_NESTED_DIRTY, &bits), 2);
	CU_ASSERT_EQUAL(bits, 1 << 3 | 1 << 7);
	gpmm_nested_destroy(g.t);
}

static void a_large_leaf_is_marked_whole(void)
{
	static uint64_t bits[8];

	make_tables();
	map(VA2M, PA2M, M2, GPMM_RW);
	expect_store(VA2M + 9 * K4, PA2M + 9 * K4);
	CU_ASSERT_EQUAL(gpmm_nested_harvest(g.t, VA2M, M2, GPMM_NESTED_DIRTY |
					    GPMM_NESTED_CLEAR, bits), 512);
	/* Logged, the next write is known to the page. */
	CU_ASSERT_EQUAL(gpmm_nested_protect(g.t, VA2M, M2,
					    GPMM_RW | GPMM_LOG_DIRTY), 0);
	expect_store(VA2M + 9 * K4, PA2M + 9 * K4);
	memset(bits, 0, sizeof(bits));
	CU_ASSERT_EQUAL(gpmm_nested_harvest(g.t, VA2M, M2, GPMM_NESTED_DIRTY,
					    bits), 1);
	CU_ASSERT_EQUAL(bits[0], 1 << 9);
	gpmm_nested_destroy(g.t);
}

static void a_reserved_bit_faults_as_the_walker_says(void)
{
	struct gpmm_nested_hit hit;
	uint64_t *slot = NULL;

	make_tables();
	map(VA2M, PA2M, M2, GPMM_RW);
	gpmm_nested_walk(g.t, VA2M, 0, &hit);
	for (uint64_t *at = ram_at(TABLES); at < ram_at(g.next); at++)
		if (*at == hit.entry)
			slot = at;
	CU_ASSERT_PTR_NOT_NULL_FATAL(slot);
	*slot |= 1 << 13;	/* below a 2M address */
	guest_flush(NULL, NULL, 0);
	expect_fault(nested_guest_load, VA2M, GPMM_READ, 0xd);
	gpmm_nested_destroy(g.t);
}

SUITE_IF(make_machine(), "nested tables walked by the CPU",
	 TEST(the_cpu_reads_and_writes_through_every_leaf),
	 TEST(the_cpu_faults_as_the_walker_says),
	 TEST(the_cpu_fetches_where_it_may),
	 TEST(what_is_split_or_moved_is_what_the_cpu_sees),
	 TEST(the_cpu_marks_what_it_touches),
	 TEST(a_large_leaf_is_marked_whole),
	 TEST(a_reserved_bit_faults_as_the_walker_says))
