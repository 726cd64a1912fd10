/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

#include "core/chunk.h"
#include "util/alloc.h"

#define SLABS		(CHUNK_BYTES / SLAB_ALIGN)
/* From then on a chunk more is a small part of what the set has. */
#define LARGE_BYTES	(4 * CHUNK_BYTES)
struct chunk {
	struct chunk *next;	/* of those with free slabs */
	struct chunk *prev;
	char *base;
	unsigned int free_count;
	uint64_t free[SLABS / 64];	/* one bit for each slab */
};

static void link_chunk(struct chunks *chunks, struct chunk *chunk)
{
	chunk->prev = NULL;
	chunk->next = chunks->open;
	if (chunk->next)
		chunk->next->prev = chunk;
	chunks->open = chunk;
}

static void unlink_chunk(struct chunks *chunks, struct chunk *chunk)
{
	if (chunk->prev)
		chunk->prev->next = chunk->next;
	else
		chunks->open = chunk->next;
	if (chunk->next)
		chunk->next->prev = chunk->prev;
}

/* Refused, it is as good as slabs one by one. */
static void ask_for_huge(void *base)
{
	int kept = errno;

	madvise(base, CHUNK_BYTES, MADV_HUGEPAGE);
	errno = kept;
}

static struct chunk *make_chunk(struct chunks *chunks)
{
	struct chunk *chunk = gpmm__alloc(sizeof(*chunk));

	if (!chunk)
		return NULL;
	chunk->base = gpmm__alloc_aligned(CHUNK_BYTES, CHUNK_BYTES);
	if (!chunk->base) {
		gpmm__free(chunk);
		return NULL;
	}
	ask_for_huge(chunk->base);
	chunk->free_count = SLABS;
	for (unsigned int i = 0; i < SLABS / 64; i++)
		chunk->free[i] = UINT64_MAX;
	chunks->bytes += CHUNK_BYTES;
	link_chunk(chunks, chunk);
	return chunk;
}

static void *take_slab(struct chunks *chunks, struct chunk *chunk)
{
	unsigned int word = 0, bit;

	while (!chunk->free[word])
		word++;
	bit = (unsigned int)__builtin_ctzll(chunk->free[word]);
	chunk->free[word] &= chunk->free[word] - 1;
	if (!--chunk->free_count)
		unlink_chunk(chunks, chunk);
	return chunk->base + (word * 64 + bit) * (size_t)SLAB_ALIGN;
}

static void give_slab(struct chunks *chunks, struct chunk *chunk, void *slab)
{
	size_t i = (size_t)((char *)slab - chunk->base) / SLAB_ALIGN;

	chunk->free[i / 64] |= UINT64_C(1) << i % 64;
	if (!chunk->free_count++)
		link_chunk(chunks, chunk);
	if (chunk->free_count < SLABS)
		return;
	unlink_chunk(chunks, chunk);
	chunks->bytes -= CHUNK_BYTES;
	gpmm__free(chunk->base);
	gpmm__free(chunk);
}

void *gpmm__slab_alloc(struct chunks *chunks, struct chunk **chunk)
{
	void *slab;

	*chunk = chunks->leave ? NULL : chunks->open;
	if (!*chunk && !chunks->leave && chunks->bytes >= LARGE_BYTES)
		*chunk = make_chunk(chunks);
	if (*chunk)
		return take_slab(chunks, *chunk);
	slab = gpmm__alloc_aligned(SLAB_ALIGN, SLAB_BYTES);
	if (slab)
		chunks->bytes += SLAB_ALIGN;
	return slab;
}

void gpmm__slab_free(struct chunks *chunks, struct chunk *chunk, void *slab)
{
	if (chunk) {
		give_slab(chunks, chunk, slab);
		return;
	}
	chunks->bytes -= SLAB_ALIGN;
	gpmm__free(slab);
}
