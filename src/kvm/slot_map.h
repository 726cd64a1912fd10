/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The VM's slots in the order of their guest addresses: blocks of some, and an
 * array of where each block begins. After an ioctl all of it is out of the
 * caches, so what counts is how often a lookup waits for lines, one after the
 * other: among 4096 slots five times, where a binary tree has twelve nodes. A
 * slot itself is the coldest, as nobody else uses its line: where it is changed
 * as a whole its block says all there is to know. As many are compared as there
 * may be, without a branch for each.
 *
 * Invariant:
 * G  Blocks ascend by guest address, as do the slots in each; none is empty,
 *    and its run says where it begins. What a block says of a slot is so. What
 *    is free in a block begins at NOWHERE, as do RUNS_BEHIND that are behind
 *    the last run.
 */
#ifndef GPMM_KVM_SLOT_MAP_H
#define GPMM_KVM_SLOT_MAP_H

#include "kvm/slot_tree.h"

/* So that a block has six cache lines. */
#define SLOT_BLOCK 11

/* As many runs are compared at once. */
#define RUNS_BEHIND 7

/* No slot begins there, for it would have a single byte. */
#define NOWHERE UINT64_MAX

/* What there is to know of a slot: it comes with one line. */
struct slot_entry {
	uint64_t gpa;
	uint64_t last;
	struct slot *slot;
	uint32_t id;
	uint32_t flags;
};

struct slot_block {
	struct slot_entry at[SLOT_BLOCK];
	size_t count;
	struct slot_block *next;	/* spare */
};

struct slot_run {
	uint64_t gpa;
	struct slot_block *block;
};

struct slot_map {
	struct slot_run *runs;
	size_t count;
	size_t room;
	size_t found;			/* a run; changes stay near each other */
	struct slot_block *spare;
	size_t spares;
};

/* Make room for @more slots. Return: 0 or -ENOMEM. */
int gpmm__slot_map_grow(struct slot_map *map, size_t more);

static inline int gpmm__slot_map_room(struct slot_map *map, size_t more)
{
	return more <= map->spares && map->count + more <= map->room ? 0 :
		gpmm__slot_map_grow(map, more);
}

/* Entries stay where they are as long as no slot comes, goes or moves. */
struct slot_entry *gpmm__slot_map_entry(struct slot_map *map,
					const struct slot *slot);

/* Precondition: room, and no slot in the way. */
void gpmm__slot_map_insert(struct slot_map *map, struct slot *slot);
void gpmm__slot_map_remove(struct slot_map *map, struct slot_entry *entry);

/* Change its guest address. Precondition: as if it came anew. */
void gpmm__slot_map_move(struct slot_map *map, struct slot_entry *entry,
			 uint64_t gpa);

/* Anything but its guest address has changed. */
void gpmm__slot_map_changed(struct slot_map *map, const struct slot *slot);

/* The run that a slot which begins at @gpa is in, or would be. */
size_t gpmm__slot_map_search(struct slot_map *map, uint64_t gpa);

/* Is that this one? */
static inline bool slot_run_has(const struct slot_map *map, size_t run,
				uint64_t gpa)
{
	return run < map->count && map->runs[run].gpa <= gpa &&
	       gpa < map->runs[run + 1].gpa;
}

/* The same, most often without. Precondition of both: there are runs. */
static inline size_t slot_map_run(struct slot_map *map, uint64_t gpa)
{
	return __builtin_expect(slot_run_has(map, map->found, gpa), 1) ?
		map->found : gpmm__slot_map_search(map, gpa);
}

/* How many of the block begin at or below @gpa, which is not NOWHERE. */
static inline size_t slot_block_count(const struct slot_block *block,
				      uint64_t gpa)
{
	size_t count = 0;

#pragma GCC unroll 11
	for (size_t i = 0; i < SLOT_BLOCK; i++)
		count += block->at[i].gpa <= gpa;
	return count;
}

/* What is at a range and beside it; NULL: nothing. */
struct slot_spot {
	struct slot_entry *there;	/* that is exactly the range */
	struct slot_entry *below;	/* the last that begins below it */
	struct slot_entry *above;	/* the first other that does not */
};

/* The last slot of the run before, the first of the one after; or NULL. */
struct slot_entry *gpmm__slot_map_before(const struct slot_map *map,
					 size_t run);
struct slot_entry *gpmm__slot_map_after(const struct slot_map *map, size_t run);

static inline struct slot_spot slot_map_spot(struct slot_map *map,
					     uint64_t first, uint64_t last)
{
	struct slot_spot spot = { NULL, NULL, NULL };
	struct slot_block *block;
	struct slot_entry *at;
	size_t run;

	if (!map->count)
		return spot;
	run = slot_map_run(map, first);
	block = map->runs[run].block;
	at = block->at + slot_block_count(block, first);
	spot.above = at < block->at + block->count ? at :
		gpmm__slot_map_after(map, run);
	if (at > block->at && at[-1].gpa == first) {
		at--;
		if (at->last == last)
			spot.there = at;
		else
			spot.above = at;
	}
	spot.below = at > block->at ? at - 1 : gpmm__slot_map_before(map, run);
	return spot;
}

/* Free all spare blocks but some, where there are more. */
void gpmm__slot_map_shrink(struct slot_map *map, size_t spares);

/* The double keeps none, so that each transaction's allocations can fail. */
#ifdef GPMM_DOUBLE
#define SPARES_KEPT 0
#else
#define SPARES_KEPT 4
#endif

/* Free the room that is not used. */
static inline void slot_map_trim(struct slot_map *map)
{
	if (map->spares > SPARES_KEPT)
		gpmm__slot_map_shrink(map, SPARES_KEPT);
}

/* Free every slot and the map. */
void gpmm__slot_map_free(struct slot_map *map);

/* A walk over the slots that meet a range; no slot comes or goes meanwhile. */
struct slot_walk {
	const struct slot_map *map;
	size_t run;
	struct slot_entry *at;		/* of the run's block */
	struct slot_entry *end;
	uint64_t last;
};

/* Return: the first slot that has a byte of [first, last], or NULL. */
struct slot *gpmm__slot_walk_start(struct slot_walk *walk,
				   struct slot_map *map, uint64_t first,
				   uint64_t last);
/* It has come to the end of a block. */
struct slot *gpmm__slot_walk_cross(struct slot_walk *walk);

/* Return: the next one, or NULL. */
static inline struct slot *slot_walk_next(struct slot_walk *walk)
{
	if (++walk->at == walk->end)
		return gpmm__slot_walk_cross(walk);
	return walk->at->gpa <= walk->last ? walk->at->slot : NULL;
}

/* Return: a slot that has a byte of [first, last], the lowest, or NULL. */
static inline struct slot *gpmm__slot_map_find(struct slot_map *map,
					       uint64_t first, uint64_t last)
{
	struct slot_walk walk;

	return gpmm__slot_walk_start(&walk, map, first, last);
}

#endif
