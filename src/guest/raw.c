/* SPDX-License-Identifier: BSD-3-Clause */
/* Copying and filling memory that may fault. */
#include "guest/raw.h"

/* A block that faults comes again bytewise, to where it stops exactly. */
size_t gpmm__raw_copy(void *target, const void *source, size_t size)
{
	const char *from = source;
	char *to = target;
	size_t done = 0;

	if (size > RAW_SHORT) {
		done = raw_copy_blocks(to, from, size);
		if (__builtin_expect(done == size, 1))
			return 0;
	}
	if (size - done <= RAW_SHORT &&
	    !raw_copy_short(to + done, from + done, size - done))
		return 0;
	return raw_copy_bytes(to + done, from + done, size - done);
}

size_t gpmm__raw_fill(void *target, int byte, size_t size)
{
	char *to = target;
	size_t done = raw_fill_blocks(to, byte, size);

	return raw_fill_bytes(to + done, byte, size - done);
}
