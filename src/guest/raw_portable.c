/* SPDX-License-Identifier: BSD-3-Clause */
/* Accesses under a record of where to go back to. */
#include <string.h>

#include "guest/raw.h"

#ifndef FAULT_TABLE

/* Blocks of a copy; one that faults is not counted. */
#define BLOCK 256

__thread struct fault_record *gpmm__fault_record;

/* For signal handlers of this thread; the compiler alone must keep to it. */
static void set_record(struct fault_record *record)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	gpmm__fault_record = record;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

int gpmm__fault_try(fault_step *step, void *arg, struct fault_span a,
		    struct fault_span b)
{
	struct fault_record record = { .spans = { a, b },
				       .outer = gpmm__fault_record };

	if (_setjmp(record.resume)) {
		set_record(record.outer);
		return -EFAULT;
	}
	set_record(&record);
	step(arg);
	set_record(record.outer);
	return 0;
}

struct bytes {
	char *to;
	const char *from;
	int byte;
	size_t size;
	volatile size_t done;
};

static int try_bytes(fault_step *step, struct bytes *bytes)
{
	struct fault_span to = { bytes->to, bytes->size };
	struct fault_span from = { bytes->from, bytes->size };

	return gpmm__fault_try(step, bytes, to, bytes->from ? from : to);
}

static void block_step(void *arg)
{
	struct bytes *bytes = arg;

	for (; bytes->size - bytes->done >= BLOCK; bytes->done += BLOCK)
		memcpy(bytes->to + bytes->done, bytes->from + bytes->done,
		       BLOCK);
}

typedef volatile uint64_t __attribute__((may_alias)) word;

/* Whole words where it can be: a guest that writes them sees none torn. */
static void copy_words(struct bytes *bytes)
{
	if (((uintptr_t)bytes->to | (uintptr_t)bytes->from) % sizeof(word))
		return;
	for (; bytes->size - bytes->done >= sizeof(word);
	     bytes->done += sizeof(word))
		*(word *)(bytes->to + bytes->done) =
			*(const word *)(bytes->from + bytes->done);
}

static void copy_step(void *arg)
{
	struct bytes *bytes = arg;

	copy_words(bytes);
	for (; bytes->done < bytes->size; bytes->done++)
		((volatile char *)bytes->to)[bytes->done] =
			((const volatile char *)bytes->from)[bytes->done];
}

static void fill_step(void *arg)
{
	struct bytes *bytes = arg;

	for (; bytes->done < bytes->size; bytes->done++)
		((volatile char *)bytes->to)[bytes->done] = (char)bytes->byte;
}

size_t gpmm__raw_copy_blocks(char *to, const char *from, size_t size)
{
	struct bytes bytes = { .to = to, .from = from, .size = size };

	try_bytes(block_step, &bytes);
	return bytes.done;
}

size_t gpmm__raw_copy_bytes(char *to, const char *from, size_t size)
{
	struct bytes bytes = { .to = to, .from = from, .size = size };

	try_bytes(copy_step, &bytes);
	return size - bytes.done;
}

size_t gpmm__raw_fill_bytes(char *to, int byte, size_t size)
{
	struct bytes bytes = { .to = to, .byte = byte, .size = size };

	try_bytes(fill_step, &bytes);
	return size - bytes.done;
}

#endif
