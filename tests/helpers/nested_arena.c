/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/nested_arena.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <CUnit/Basic.h>

#define FRAME	4096
#define POISON	0xfd

const struct nested_name nested_formats[7] = {
	{ GPMM_NESTED_EPT4, "ept4" },
	{ GPMM_NESTED_EPT5, "ept5" },
	{ GPMM_NESTED_NPT4, "npt4" },
	{ GPMM_NESTED_NPT5, "npt5" },
	{ GPMM_NESTED_STAGE2, "stage2" },
	{ GPMM_NESTED_SV39X4, "sv39x4" },
	{ GPMM_NESTED_SV48X4, "sv48x4" },
};

void nested_arena_init(struct nested_arena *arena, size_t frames)
{
	memset(arena, 0, sizeof(*arena));
	arena->frames = frames;
	arena->base = UINT64_C(0x40000000);
	arena->left = -1;
	arena->memory = mmap(NULL, frames * FRAME, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			     0);
	if (arena->memory == MAP_FAILED)
		abort();
	arena->used = calloc(frames, 1);
	if (!arena->used)
		abort();
	pthread_mutex_init(&arena->lock, NULL);
}

void nested_arena_fini(struct nested_arena *arena)
{
	munmap(arena->memory, arena->frames * FRAME);
	free(arena->used);
	pthread_mutex_destroy(&arena->lock);
}

void nested_arena_end(struct nested_arena *arena, struct gpmm_nested *t)
{
	const char *why = "";

	CU_ASSERT_EQUAL(gpmm_nested_validate(t, &why), 0);
	gpmm_nested_destroy(t);
	CU_ASSERT_EQUAL(arena->out, 0);
	nested_arena_fini(arena);
}

void *nested_arena_va(struct nested_arena *arena, gpmm_hpa_t pa)
{
	return arena->memory + (pa - arena->base);
}

static bool is_free(struct nested_arena *arena, size_t at, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (arena->used[at + i])
			return false;
	return true;
}

/* Round robin: what came back is not the next to go out. */
static int take_locked(struct nested_arena *arena, size_t count, size_t *at)
{
	for (size_t tried = 0; tried < arena->frames; tried += count) {
		size_t here = (arena->next + count - 1) / count * count;

		if (here + count > arena->frames)
			here = 0;
		arena->next = here + count;
		if (!is_free(arena, here, count))
			continue;
		memset(arena->used + here, 1, count);
		arena->out += count;
		*at = here;
		return 0;
	}
	return -ENOMEM;
}

static int arena_alloc(void *ctx, unsigned int order, gpmm_hpa_t *pa)
{
	struct nested_arena *arena = ctx;
	int ret = -ENOMEM;
	size_t at;

	pthread_mutex_lock(&arena->lock);
	arena->calls++;
	if (arena->left)
		ret = take_locked(arena, (size_t)1 << order, &at);
	if (arena->left > 0)
		arena->left--;
	pthread_mutex_unlock(&arena->lock);
	if (ret)
		return ret;
	memset(arena->memory + at * FRAME, POISON, (size_t)FRAME << order);
	*pa = arena->base + at * FRAME;
	return 0;
}

static void arena_free(void *ctx, gpmm_hpa_t pa, unsigned int order)
{
	struct nested_arena *arena = ctx;
	size_t at = (pa - arena->base) / FRAME, count = (size_t)1 << order;

	if (at + count > arena->frames)
		abort();
	memset(arena->memory + at * FRAME, POISON, count * FRAME);
	pthread_mutex_lock(&arena->lock);
	for (size_t i = 0; i < count; i++)
		if (!arena->used[at + i])
			abort();
	memset(arena->used + at, 0, count);
	arena->out -= count;
	pthread_mutex_unlock(&arena->lock);
}

static void *arena_va(void *ctx, gpmm_hpa_t pa)
{
	return nested_arena_va(ctx, pa);
}

static void arena_flush(void *ctx, const struct gpmm_range *ranges,
			size_t count)
{
	struct nested_arena *arena = ctx;

	arena->flushes++;
	arena->all += !count;
	arena->count = count;
	memcpy(arena->ranges, ranges, count * sizeof(*ranges));
	if (arena->on_flush)
		arena->on_flush(arena);
}

static const struct gpmm_nested_ops arena_ops = {
	.abi = GPMM_NESTED_ABI,
	.alloc = arena_alloc,
	.free = arena_free,
	.va = arena_va,
	.flush = arena_flush,
};

struct gpmm_nested_options nested_arena_options(struct nested_arena *arena,
						enum gpmm_nested_format format,
						unsigned int how)
{
	return (struct gpmm_nested_options){
		.format = format,
		.how = how,
		.ops = &arena_ops,
		.ctx = arena,
	};
}
