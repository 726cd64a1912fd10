/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where slabs come from. A small set's are allocated one by one. A large one's
 * are cut from chunks that the kernel can back with a huge page each: there,
 * a lookup's time is mostly that of finding its pages.
 */
#ifndef GPMM_CORE_CHUNK_H
#define GPMM_CORE_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHUNK_BYTES	(UINT64_C(2) << 20)	/* a huge page */
#define SLAB_ALIGN	16384
/*
 * glibc keeps 16 bytes before each allocation: with that much left over,
 * aligned slabs lie side by side and not every other slab's length apart.
 */
#define SLAB_BYTES	(SLAB_ALIGN - 16)

struct chunk;

struct chunks {
	struct chunk *open;	/* those with free slabs */
	size_t bytes;		/* all that is allocated */
	bool leave;		/* no slab is to be cut from one for now */
};

/* @chunk: receives the slab's; NULL for one of its own. NULL: no memory. */
void *gpmm__slab_alloc(struct chunks *chunks, struct chunk **chunk);
void gpmm__slab_free(struct chunks *chunks, struct chunk *chunk, void *slab);

#endif
