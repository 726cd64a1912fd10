/* SPDX-License-Identifier: BSD-3-Clause */
#include "kvm/slot_map.h"

#include <errno.h>
#include <string.h>

#include "util/alloc.h"

/* -------------------------------------------------------------- finding --- */

/* How many of the RUNS_BEHIND runs that are @step apart begin up to @gpa. */
static size_t count_runs(const struct slot_run *run, size_t step, uint64_t gpa)
{
	size_t count = 0;
	size_t i;

#pragma GCC unroll 7
	for (i = 1; i <= RUNS_BEHIND; i++)
		count += run[i * step].gpa <= gpa;
	return count;
}

/*
 * The last run that begins at or below @gpa, or the first: by eighths, for the
 * lines of one round are waited for together.
 */
size_t gpmm__slot_map_search(struct slot_map *map, uint64_t gpa)
{
	const struct slot_run *run = map->runs;
	size_t left = map->count;

	while (left > RUNS_BEHIND + 1) {
		size_t step = left / (RUNS_BEHIND + 1);
		size_t up = count_runs(run, step, gpa);

		run += up * step;
		left = up < RUNS_BEHIND ? step : left - up * step;
	}
	run += count_runs(run, 1, gpa);
	map->found = run - map->runs;
	return map->found;
}

static void enter_run(struct slot_walk *walk, size_t run)
{
	struct slot_block *block = walk->map->runs[run].block;

	walk->run = run;
	walk->at = block->at;
	walk->end = block->at + block->count;
}

struct slot *gpmm__slot_walk_cross(struct slot_walk *walk)
{
	if (walk->run + 1 == walk->map->count)
		return NULL;
	enter_run(walk, walk->run + 1);
	return walk->at->gpa <= walk->last ? walk->at->slot : NULL;
}

struct slot *gpmm__slot_walk_start(struct slot_walk *walk,
				   struct slot_map *map, uint64_t first,
				   uint64_t last)
{
	const uint64_t from = first - (first == NOWHERE);
	size_t at;

	if (!map->count)
		return NULL;
	walk->map = map;
	walk->last = last;
	enter_run(walk, slot_map_run(map, from));
	at = slot_block_count(map->runs[walk->run].block, from);
	/* The last that begins at or below @first may end below it. */
	if (at && walk->at[at - 1].last >= first)
		at--;
	walk->at += at;
	if (walk->at == walk->end)
		return gpmm__slot_walk_cross(walk);
	return walk->at->gpa <= last ? walk->at->slot : NULL;
}

static struct slot_entry *last_of(const struct slot_map *map, size_t run)
{
	struct slot_block *block = map->runs[run].block;

	return &block->at[block->count - 1];
}

struct slot_entry *gpmm__slot_map_before(const struct slot_map *map, size_t run)
{
	return run ? last_of(map, run - 1) : NULL;
}

struct slot_entry *gpmm__slot_map_after(const struct slot_map *map, size_t run)
{
	return run + 1 < map->count ? map->runs[run + 1].block->at : NULL;
}

struct slot_entry *gpmm__slot_map_entry(struct slot_map *map,
					const struct slot *slot)
{
	struct slot_block *block =
		map->runs[slot_map_run(map, slot->at.gpa)].block;

	return &block->at[slot_block_count(block, slot->at.gpa) - 1];
}

/* ----------------------------------------------------------------- room --- */

static int grow(struct slot_map *map, size_t count)
{
	size_t room = count > map->room * 2 ? count : map->room * 2;
	struct slot_run *grown;
	size_t i;

	if (count <= map->room)
		return 0;
	grown = gpmm__realloc(map->runs,
			      (room + RUNS_BEHIND) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	for (i = 0; !map->room && i < RUNS_BEHIND; i++)
		grown[i].gpa = NOWHERE;
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

void gpmm__slot_map_shrink(struct slot_map *map, size_t spares)
{
	while (map->spares > spares)
		gpmm__free(take_block(map));
}

void gpmm__slot_map_free(struct slot_map *map)
{
	size_t run, i;

	for (run = 0; run < map->count; run++) {
		struct slot_block *block = map->runs[run].block;

		for (i = 0; i < block->count; i++)
			gpmm__free(block->at[i].slot);
		gpmm__free(block);
	}
	gpmm__slot_map_shrink(map, 0);
	gpmm__free(map->runs);
}

/* -------------------------------------------------------------- changes --- */

/* All that is in the block from its @count'th on is free. */
static void cut_off(struct slot_block *block, size_t count)
{
	block->count = count;
	for (; count < SLOT_BLOCK; count++)
		block->at[count].gpa = NOWHERE;
}

/* Move the runs from @from on, and what is behind the last, to @to. */
static void shift_runs(struct slot_map *map, size_t from, size_t to)
{
	memmove(map->runs + to, map->runs + from,
		(map->count - from + RUNS_BEHIND) * sizeof(*map->runs));
	map->count += to - from;
}

/* An empty block, in front of which are @run others. */
static struct slot_block *add_run(struct slot_map *map, size_t run)
{
	struct slot_block *block = take_block(map);

	shift_runs(map, run, run + 1);
	cut_off(block, 0);
	map->runs[run].block = block;
	return block;
}

/* Move all from @from on to where @to begins, in the same block or another. */
static void shift(struct slot_block *block, size_t from,
		  struct slot_block *other, size_t to)
{
	memmove(other->at + to, block->at + from,
		(block->count - from) * sizeof(*block->at));
}

static void tell(struct slot_entry *entry, const struct slot *slot)
{
	entry->last = region_last(&slot->at);
	entry->id = slot->id;
	entry->flags = slot->at.flags;
}

/* Move all but @kept of a block into a new one after it. */
static void split(struct slot_map *map, size_t run, size_t kept)
{
	struct slot_block *low = map->runs[run].block;
	struct slot_block *high = add_run(map, run + 1);

	shift(low, kept, high, 0);
	high->count = low->count - kept;
	cut_off(low, kept);
	map->runs[run + 1].gpa = high->at->gpa;
}

/* Does it come after all there are? Slots that come in order fill blocks. */
static bool is_next(const struct slot_map *map, size_t run, uint64_t gpa)
{
	return run == map->count - 1 && last_of(map, run)->gpa < gpa;
}

/* The run that @gpa goes to, with room in it. */
static size_t make_place(struct slot_map *map, uint64_t gpa)
{
	size_t run = map->count ? slot_map_run(map, gpa) : 0;

	if (map->count && map->runs[run].block->count < SLOT_BLOCK)
		return run;
	if (!map->count || is_next(map, run, gpa)) {
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
	size_t at = slot_block_count(block, gpa);

	shift(block, at, block, at + 1);
	block->at[at].gpa = gpa;
	block->at[at].slot = slot;
	tell(&block->at[at], slot);
	block->count++;
	map->runs[run].gpa = block->at->gpa;
}

static void drop_run(struct slot_map *map, size_t run)
{
	give_block(map, map->runs[run].block);
	shift_runs(map, run + 1, run);
}

void gpmm__slot_map_remove(struct slot_map *map, struct slot_entry *entry)
{
	size_t run = slot_map_run(map, entry->gpa);
	struct slot_block *block = map->runs[run].block;
	size_t at = entry - block->at;

	shift(block, at + 1, block, at);
	block->at[--block->count].gpa = NOWHERE;
	map->runs[run].gpa = block->at->gpa;
	if (!block->count)
		drop_run(map, run);
}

/* Is it as well there, between the same two, if it begins at @gpa instead? */
static bool keeps_place(const struct slot_map *map, size_t run,
			const struct slot_entry *entry, uint64_t gpa)
{
	const struct slot_block *block = map->runs[run].block;

	return slot_run_has(map, run, gpa) &&
	       (entry == block->at || entry[-1].gpa < gpa) &&
	       (entry == last_of(map, run) || gpa < entry[1].gpa);
}

void gpmm__slot_map_move(struct slot_map *map, struct slot_entry *entry,
			 uint64_t gpa)
{
	size_t run = slot_map_run(map, entry->gpa);
	struct slot *slot = entry->slot;

	slot->at.gpa = gpa;
	if (!keeps_place(map, run, entry, gpa)) {
		gpmm__slot_map_remove(map, entry);
		gpmm__slot_map_insert(map, slot);
		return;
	}
	entry->gpa = gpa;
	entry->last = region_last(&slot->at);
	map->runs[run].gpa = map->runs[run].block->at->gpa;
}

void gpmm__slot_map_changed(struct slot_map *map, const struct slot *slot)
{
	tell(gpmm__slot_map_entry(map, slot), slot);
}
