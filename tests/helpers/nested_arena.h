/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames for tables under test: an arena whose physical addresses are not its
 * virtual ones, that counts what is out, fails when told to, poisons what
 * goes out and comes back, and remembers flushes.
 */
#ifndef NESTED_ARENA_H
#define NESTED_ARENA_H

#include <pthread.h>

#include <gpmm/nested.h>

#define K4	UINT64_C(0x1000)
#define M2	UINT64_C(0x200000)
#define G1	UINT64_C(0x40000000)

struct nested_arena {
	unsigned char *memory;
	size_t frames;
	gpmm_hpa_t base;		/* of the first frame, 16 KiB aligned */
	unsigned char *used;		/* a byte a frame */
	size_t next;
	long left;			/* allocations to succeed; -1: all */
	pthread_mutex_t lock;

	size_t out;			/* frames that are out */
	unsigned long calls;		/* of alloc */
	unsigned long flushes;		/* calls of flush */
	unsigned long all;		/* of them, for everything */
	size_t count;			/* ranges of the last */
	struct gpmm_range ranges[GPMM_NESTED_FLUSH_MAX];
	void (*on_flush)(struct nested_arena *arena);
	void *arg;
};

void nested_arena_init(struct nested_arena *arena, size_t frames);
void nested_arena_fini(struct nested_arena *arena);
/* The same, after @t was found whole and destroyed, and every frame is back. */
void nested_arena_end(struct nested_arena *arena, struct gpmm_nested *t);
struct gpmm_nested_options nested_arena_options(struct nested_arena *arena,
						enum gpmm_nested_format format,
						unsigned int how);
void *nested_arena_va(struct nested_arena *arena, gpmm_hpa_t pa);

struct nested_name {
	enum gpmm_nested_format format;
	const char *name;
};

extern const struct nested_name nested_formats[7];

#endif
