/* SPDX-License-Identifier: BSD-3-Clause */
#include "kvm/slot_map.h"

#include <errno.h>
#include <string.h>

#include "util/alloc.h"

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

static __attribute__((noinline)) size_t search_run(struct slot_map *map,
						   uint64_t gpa)
{
	map->found = search(map, gpa);
	return map->found;
}

static inline size_t find_run(struct slot_map *map, uint64_t gpa)
{
	return is_in(map, map->found, gpa) ? map->found : search_run(map, gpa);
}

/* How many of the block begin at or below @gpa. */
static size_t count_up_to(const struct slot_block *block, uint64_t gpa)
{
	size_t count = 0;
	size_t i;

	for (i = 0; i < block->count; i++)
		count += block->at[i].gpa <= gpa;
	return count;
}

/* All its lines at once, instead of one after the other. */
static void prefetch(const struct slot_block *block)
{
	const char *lines = (const char *)block;
	size_t at;

#pragma GCC unroll 6
	for (at = 0; at < sizeof(*block); at += 64)
		__builtin_prefetch(lines + at);
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
	const struct slot_block *block;
	size_t run, at;

	if (!map->count)
		return NULL;
	run = find_run(map, first);
	block = map->runs[run].block;
	prefetch(block);
	at = count_up_to(block, first);
	walk->map = map;
	walk->last = last;
	enter_run(walk, run);
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

static void look_beside(const struct slot_map *map, size_t run,
			struct slot_entry *at, struct slot_spot *spot)
{
	struct slot_block *block = map->runs[run].block;

	if (at > block->at)
		spot->below = at - 1;
	else if (run)
		spot->below = last_of(map, run - 1);
	at += spot->there != NULL;
	if (at < block->at + block->count)
		spot->above = at;
	else if (run + 1 < map->count)
		spot->above = map->runs[run + 1].block->at;
}

void gpmm__slot_map_spot(struct slot_map *map, uint64_t first, uint64_t last,
			 struct slot_spot *spot)
{
	struct slot_block *block;
	struct slot_entry *at;
	size_t run;

	*spot = (struct slot_spot){ NULL, NULL, NULL };
	if (!map->count)
		return;
	run = find_run(map, first);
	block = map->runs[run].block;
	prefetch(block);
	at = block->at + count_up_to(block, first);
	if (at > block->at && at[-1].gpa == first)
		at--;
	if (at < block->at + block->count && at->gpa == first &&
	    at->last == last)
		spot->there = at;
	look_beside(map, run, at, spot);
}

struct slot_entry *gpmm__slot_map_entry(struct slot_map *map,
					const struct slot *slot)
{
	struct slot_block *block =
		map->runs[find_run(map, slot->at.gpa)].block;

	return &block->at[count_up_to(block, slot->at.gpa) - 1];
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
	low->count = kept;
	map->runs[run + 1].gpa = high->at->gpa;
}

/* Does it come after all there are? Slots that come in order fill blocks. */
static bool is_next(const struct slot_map *map, size_t run, uint64_t gpa)
{
	return !map->count ||
	       (run == map->count - 1 && last_of(map, run)->gpa < gpa);
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
	block->at[at].gpa = gpa;
	block->at[at].slot = slot;
	tell(&block->at[at], slot);
	block->count++;
	map->runs[run].gpa = block->at->gpa;
}

static void drop_run(struct slot_map *map, size_t run)
{
	struct slot_run *at = map->runs + run;

	give_block(map, at->block);
	map->count--;
	memmove(at, at + 1, (map->count - run) * sizeof(*at));
}

void gpmm__slot_map_remove(struct slot_map *map, struct slot_entry *entry)
{
	size_t run = find_run(map, entry->gpa);
	struct slot_block *block = map->runs[run].block;
	size_t at = entry - block->at;

	shift(block, at + 1, block, at);
	block->count--;
	map->runs[run].gpa = block->at->gpa;
	if (!block->count)
		drop_run(map, run);
}

/* Is it as well there, between the same two, if it begins at @gpa instead? */
static bool keeps_place(const struct slot_map *map, size_t run,
			const struct slot_entry *entry, uint64_t gpa)
{
	const struct slot_block *block = map->runs[run].block;

	return is_in(map, run, gpa) &&
	       (entry == block->at || entry[-1].gpa < gpa) &&
	       (entry == last_of(map, run) || gpa < entry[1].gpa);
}

void gpmm__slot_map_move(struct slot_map *map, struct slot_entry *entry,
			 uint64_t gpa)
{
	size_t run = find_run(map, entry->gpa);
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
