/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the demo prints: each line under the name of who says it.
 */
#ifndef SAY_H
#define SAY_H

#include <stddef.h>
#include <stdint.h>

/* A line of the VMM's. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line on standard error, and the end: the demo cannot run. */
_Noreturn void cannot(int error, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Characters that the guest has written; shown a line at a time. */
void say_guest(const uint8_t *text, size_t count);
/* Show what the guest has said of a line that it did not end. */
void say_guest_rest(void);

/* @bytes as "64 MiB", in a buffer that lasts for four calls. */
const char *pretty(uint64_t bytes);

#endif
