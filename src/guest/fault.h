/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Instructions that may fault, and where to go on when they do.
 *
 * A stretch of instructions between FAULT_FROM and FAULT_TO is entered in a
 * table. A fault on one of them resumes behind the stretch, with all other
 * registers as they were; so it ends with what tells that none happened. That
 * costs the good path nothing but a register.
 */
#ifndef GPMM_GUEST_FAULT_H
#define GPMM_GUEST_FAULT_H

#if defined(__x86_64__)
#define FAULT_RECOVERY 1

#define FAULT_FROM	"661:\n\t"
#define FAULT_TO	"662:\n\t"				\
			".pushsection gpmm_faults, \"a\"\n\t"	\
			".balign 4\n\t"				\
			".long 661b - ., 662b - .\n\t"		\
			".popsection\n\t"
#endif

#endif
