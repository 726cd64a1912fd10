/* SPDX-License-Identifier: BSD-3-Clause */
/* Copying and filling memory that may fault. */
#include "guest/raw.h"

#ifndef RAW_LONG
/* A block that faults comes again bytewise, to where it stops exactly. */
static size_t raw_copy_long(char *to, const char *from, size_t size)
{
	size_t done = raw_copy_blocks(to, from, size);

	if (size - done <= RAW_SHORT &&
	    !raw_copy_short(to + done, from + done, size - done))
		return 0;
	return raw_copy_bytes(to + done, from + done, size - done);
}
#endif

size_t gpmm__raw_copy(void *to, const void *from, size_t size)
{
	if (size > RAW_SHORT)
		return raw_copy_long(to, from, size);
	if (!raw_copy_short(to, from, size))
		return 0;
	return raw_copy_bytes(to, from, size);
}

size_t gpmm__raw_fill(void *target, int byte, size_t size)
{
	char *to = target;
	size_t done = raw_fill_blocks(to, byte, size);

	return raw_fill_bytes(to + done, byte, size - done);
}
