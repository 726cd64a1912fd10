/* SPDX-License-Identifier: BSD-3-Clause */
#include "kvm/slot_map.h"

#include <errno.h>
#include <string.h>

#include "util/alloc.h"

/* The double keeps none, so that each transaction's allocations can fail. */
#ifdef GPMM_DOUBLE
#define SPARES_KEPT 0
#else
#define SPARES_KEPT 4
#endif

/* -------------------------------------------------------------- finding --- */

/* How many of @n runs, @step apart, begin at or below @gpa. */
static size_t count_runs(const struct slot_run *run, size_t step, size_t n,
			 uint64_t gpa)
{
	size_t count = 0;
	size_t i;

	for (i = 0; i < n; i++)
		count += run[i * step].gpa <= gpa;
	return count;
}

/*
 * The last run that begins at or below @gpa, or the first: by eighths, for the
 * lines of one round are waited for together.
 */
static size_t search(const struct slot_map *map, uint64_t gpa)
{
	const struct slot_run *run = map->runs;
	size_t left = map->count;
	size_t up;

	while (left > 8) {
		size_t step = left / 8;

		up = count_runs(run + step, step, 7, gpa);
		run += up * step;
		left = up < 7 ? step : left - 7 * step;
	}
	up = left ? count_runs(run + 1, 1, left - 1, gpa) : 0;
	return run + up - map->runs;
}

static bool is_in(const struct slot_map *map, size_t run, uint64_t gpa)
{
	return run < map->count && map->runs[run].gpa <= gpa &&
	       (run == map->count - 1 || gpa < map->runs[run + 1].gpa);
}

static size_t find_run(struct slot_map *map, uint64_t gpa)
{
	if (!is_in(map, map->found, gpa))
		map->found = search(map, gpa);
	return map->found;
}

/* How many of the block begin at or below @gpa. */
static size_t count_up_to(const struct slot_block *block, uint64_t gpa)
{
	size_t count = 0;
	size_t i;

	for (i = 0; i < block->count; i++)
		count += block->gpa[i] <= gpa;
	return count;
}

/* All its lines at once, instead of one after the other. */
static void prefetch(const struct slot_block *block)
{
	const char *lines = (const char *)block;
	size_t at;

	for (at = 0; at < sizeof(*block); at += 64)
		__builtin_prefetch(lines + at);
}

static struct slot *walk_get(struct slot_walk *walk)
{
	const struct slot_map *map = walk->map;
	const struct slot_block *block = map->runs[walk->run].block;

	if (walk->at == block->count) {
		if (++walk->run == map->count)
			return NULL;
		walk->at = 0;
		block = map->runs[walk->run].block;
	}
	return block->gpa[walk->at] <= walk->last ? block->slot[walk->at] :
						    NULL;
}

struct slot *gpmm__slot_walk_start(struct slot_walk *walk,
				   struct slot_map *map, uint64_t first,
				   uint64_t last)
{
	const struct slot_block *block;
	size_t run, at;

	if (!map->count)
		return NULL;
	run = find_run(map, first);
	block = map->runs[run].block;
	prefetch(block);
	at = count_up_to(block, first);
	if (at && block->last[at - 1] >= first)
		at--;
	*walk = (struct slot_walk){ map, run, at, last };
	return walk_get(walk);
}

struct slot *gpmm__slot_walk_next(struct slot_walk *walk)
{
	walk->at++;
	return walk_get(walk);
}

/* ----------------------------------------------------------------- room --- */

static int grow(struct slot_map *map, size_t count)
{
	size_t room = count > map->room * 2 ? count : map->room * 2;
	struct slot_run *grown;

	if (count <= map->room)
		return 0;
	grown = gpmm__realloc(map->runs, room * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	map->runs = grown;
	map->room = room;
	return 0;
}

static void give_block(struct slot_map *map, struct slot_block *block)
{
	block->next = map->spare;
	map->spare = block;
	map->spares++;
}

static struct slot_block *take_block(struct slot_map *map)
{
	struct slot_block *block = map->spare;

	map->spare = block->next;
	map->spares--;
	return block;
}

/*
 * Each slot may meet a full block; but beyond the blocks that there are only
 * those are full to which at least a half has been added.
 */
static size_t most_blocks(const struct slot_map *map, size_t more)
{
	size_t most = map->count + more / (SLOT_BLOCK / 2) + 1;

	return more < most ? more : most;
}

int gpmm__slot_map_grow(struct slot_map *map, size_t more)
{
	size_t blocks = most_blocks(map, more);

	while (map->spares < blocks) {
		struct slot_block *block =
			gpmm__alloc_aligned(64, sizeof(*block));

		if (!block)
			return -ENOMEM;
		give_block(map, block);
	}
	return grow(map, map->count + blocks);
}

static void shrink(struct slot_map *map, size_t spares)
{
	while (map->spares > spares)
		gpmm__free(take_block(map));
}

void gpmm__slot_map_trim(struct slot_map *map)
{
	shrink(map, SPARES_KEPT);
}

void gpmm__slot_map_free(struct slot_map *map)
{
	size_t run, i;

	for (run = 0; run < map->count; run++) {
		struct slot_block *block = map->runs[run].block;

		for (i = 0; i < block->count; i++)
			gpmm__free(block->slot[i]);
		gpmm__free(block);
	}
	shrink(map, 0);
	gpmm__free(map->runs);
}

/* -------------------------------------------------------------- changes --- */

/* An empty block, in front of which are @run others. */
static struct slot_block *add_run(struct slot_map *map, size_t run)
{
	struct slot_run *at = map->runs + run;

	memmove(at + 1, at, (map->count - run) * sizeof(*at));
	map->count++;
	at->block = take_block(map);
	at->block->count = 0;
	return at->block;
}

/* Move all from @from on to where @to begins, in the same block or another. */
static void shift(struct slot_block *block, size_t from,
		  struct slot_block *other, size_t to)
{
	size_t n = block->count - from;

	memmove(other->gpa + to, block->gpa + from, n * sizeof(*block->gpa));
	memmove(other->last + to, block->last + from,
		n * sizeof(*block->last));
	memmove(other->slot + to, block->slot + from,
		n * sizeof(*block->slot));
	memmove(other->id + to, block->id + from, n * sizeof(*block->id));
	memmove(other->flags + to, block->flags + from,
		n * sizeof(*block->flags));
}

/* Move all but @kept of a block into a new one after it. */
static void split(struct slot_map *map, size_t run, size_t kept)
{
	struct slot_block *low = map->runs[run].block;
	struct slot_block *high = add_run(map, run + 1);

	shift(low, kept, high, 0);
	high->count = low->count - kept;
	low->count = kept;
	map->runs[run + 1].gpa = *high->gpa;
}

/* Does it come after all there are? Slots that come in order fill blocks. */
static bool is_next(const struct slot_map *map, size_t run, uint64_t gpa)
{
	return !map->count || (run == map->count - 1 &&
			       map->runs[run].block->gpa[SLOT_BLOCK - 1] < gpa);
}

/* The run that @gpa goes to, with room in it. */
static size_t make_place(struct slot_map *map, uint64_t gpa)
{
	size_t run = find_run(map, gpa);

	if (map->count && map->runs[run].block->count < SLOT_BLOCK)
		return run;
	if (is_next(map, run, gpa)) {
		add_run(map, map->count);
		return map->count - 1;
	}
	split(map, run, SLOT_BLOCK / 2);
	return run + (map->runs[run + 1].gpa < gpa);
}

void gpmm__slot_map_insert(struct slot_map *map, struct slot *slot)
{
	uint64_t gpa = slot->at.gpa;
	size_t run = make_place(map, gpa);
	struct slot_block *block = map->runs[run].block;
	size_t at = count_up_to(block, gpa);

	shift(block, at, block, at + 1);
	block->gpa[at] = gpa;
	block->last[at] = region_last(&slot->at);
	block->slot[at] = slot;
	block->id[at] = slot->id;
	block->flags[at] = slot->at.flags;
	block->count++;
	map->runs[run].gpa = *block->gpa;
}

static void drop_run(struct slot_map *map, size_t run)
{
	struct slot_run *at = map->runs + run;

	give_block(map, at->block);
	map->count--;
	memmove(at, at + 1, (map->count - run) * sizeof(*at));
}

void gpmm__slot_map_remove(struct slot_map *map, const struct slot *slot)
{
	size_t run = find_run(map, slot->at.gpa);
	struct slot_block *block = map->runs[run].block;
	size_t at = count_up_to(block, slot->at.gpa);

	shift(block, at, block, at - 1);
	block->count--;
	map->runs[run].gpa = *block->gpa;
	if (!block->count)
		drop_run(map, run);
}

void gpmm__slot_map_changed(struct slot_map *map, const struct slot *slot)
{
	struct slot_block *block =
		map->runs[find_run(map, slot->at.gpa)].block;
	size_t at = count_up_to(block, slot->at.gpa) - 1;

	block->last[at] = region_last(&slot->at);
	block->id[at] = slot->id;
	block->flags[at] = slot->at.flags;
}
