/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames for the nested tables' benchmarks: a stack of frames that have all
 * been touched, physical addresses an offset from virtual ones.
 */
#ifndef BENCH_NESTED_FRAMES_H
#define BENCH_NESTED_FRAMES_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <gpmm/nested.h>

#include "harness.h"

#define FRAMES	4096
#define FRAME	UINT64_C(4096)

struct nested_frames {
	uint8_t *memory;
	uint64_t free[FRAMES];
	size_t count;
	unsigned long taken;	/* calls of alloc */
};

static inline int frames_alloc(void *ctx, unsigned int order, gpmm_hpa_t *pa)
{
	struct nested_frames *frames = ctx;

	if (order || !frames->count)
		return -ENOMEM;
	*pa = frames->free[--frames->count];
	frames->taken++;
	return 0;
}

static inline void frames_free(void *ctx, gpmm_hpa_t pa, unsigned int order)
{
	struct nested_frames *frames = ctx;

	(void)order;
	frames->free[frames->count++] = pa;
}

static inline void frames_flush(void *ctx, const struct gpmm_range *ranges,
				size_t count)
{
	(void)ctx;
	(void)ranges;
	(void)count;
}

static inline void frames_init(struct nested_frames *frames)
{
	frames->memory = aligned_alloc(FRAME, FRAMES * FRAME);
	if (!frames->memory)
		bench_die("no memory");
	memset(frames->memory, 1, FRAMES * FRAME);
	frames->count = 0;
	for (size_t i = FRAMES; i-- > 0;)
		frames->free[frames->count++] = (i + 1) * FRAME;
}

static inline struct gpmm_nested *frames_table(struct nested_frames *frames)
{
	static const struct gpmm_nested_ops ops = {
		.abi = GPMM_NESTED_ABI,
		.alloc = frames_alloc,
		.free = frames_free,
		.flush = frames_flush,
	};
	const struct gpmm_nested_options options = {
		.format = GPMM_NESTED_EPT4,
		.ops = &ops,
		.ctx = frames,
		.va_offset = (uintptr_t)frames->memory - FRAME,
	};
	struct gpmm_nested *table;

	if (gpmm_nested_create(&options, &table))
		bench_die("gpmm_nested_create fails");
	return table;
}

#endif
