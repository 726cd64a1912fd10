/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Instructions that may fault, and where to go on when they do.
 *
 * Where accesses are in assembly a stretch between FAULT_FROM and FAULT_TO is
 * entered in a table. A fault on one of its instructions resumes behind the
 * stretch, with all other registers as they were; so it ends with what tells
 * that none happened. That costs the good path nothing but a register.
 *
 * On other processors an access leaves a record of itself with its thread,
 * and a fault jumps back to it.
 */
#ifndef GPMM_GUEST_FAULT_H
#define GPMM_GUEST_FAULT_H

/* GPMM_FAULT_JUMPS: for tests of the other way on these, too. */
#if !defined(GPMM_FAULT_JUMPS) && defined(__LP64__) &&			\
	(defined(__x86_64__) || defined(__aarch64__) || defined(__riscv))
#define FAULT_TABLE 1

#define FAULT_FROM	"661:\n\t"
#define FAULT_TO	"662:\n\t"				\
			".pushsection gpmm_faults, \"a\"\n\t"	\
			".balign 4\n\t"				\
			".long 661b - ., 662b - .\n\t"		\
			".popsection\n\t"

#else

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

struct fault_span {
	const void *start;
	size_t size;
};

/* An access under way: only faults on its spans are its own. */
struct fault_record {
	jmp_buf resume;
	struct fault_span spans[2];
	struct fault_record *outer;	/* what a signal interrupted */
};

extern __thread struct fault_record *gpmm__fault_record
	__attribute__((visibility("hidden")));

#endif
#endif
