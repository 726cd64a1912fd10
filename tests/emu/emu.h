/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The part of the bare-metal programs that every machine shares (emu_main.c)
 * and what each provides (emu_<machine>.c, emu_<machine>.S).
 */
#ifndef EMU_H
#define EMU_H

#include "emu_case.h"

struct emu_result {
	uint64_t fault;			/* 0: the access was made */
	uint64_t reason, qualification, gpa;
	uint64_t value;			/* read */
};

void emu_putc(char c);
/* End the emulator. */
void emu_exit(void) __attribute__((noreturn));
/* Switch second-stage translation on. NULL, or why it cannot be. */
const char *emu_setup(const struct emu_header *header);
/* Make an access in the guest. */
struct emu_result emu_access(uint64_t gpa, uint64_t access, uint64_t value);
/* Write code to @at that ends the guest's run with success. */
void emu_put_code(void *at);
/* Bits of the qualification that are compared. */
uint64_t emu_mask(const struct emu_case *c);
/* Drop cached translations. */
void emu_flush(void);

void emu_main(void);

#endif
