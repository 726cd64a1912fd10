/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What nested_emu_tables writes and the bare-metal programs read: a page of
 * cases at EMU_BASE, the tables above it, and room for data above those.
 */
#ifndef EMU_CASE_H
#define EMU_CASE_H

#include <stdint.h>

#if defined(__aarch64__) && !defined(EMU_HOST)
#define EMU_BASE	UINT64_C(0x44000000)
#elif defined(__riscv) && !defined(EMU_HOST)
#define EMU_BASE	UINT64_C(0x84000000)
#else
#define EMU_BASE	UINT64_C(0x01000000)
#endif

#define EMU_MAGIC	UINT64_C(0x6d6d7067)
#define EMU_READ	1
#define EMU_WRITE	2
#define EMU_EXEC	4

struct emu_case {
	uint64_t gpa;
	uint64_t access;
	uint64_t fault;			/* 0: it is allowed */
	uint64_t reason, qualification;	/* of the fault */
	uint64_t hpa;			/* where an allowed access must go */
	uint64_t slot;			/* physical address of its leaf */
	uint64_t set, clear;		/* bits of the leaf afterwards */
};

struct emu_header {
	uint64_t magic;
	uint64_t root;			/* gpmm_nested_root.value */
	uint64_t control;		/* gpmm_nested_root.control */
	uint64_t count;
	struct emu_case cases[50];
};

#endif
