/* SPDX-License-Identifier: BSD-3-Clause */
/* The map of a VM's slots, beside an array with a place for each address. */
#include <stdlib.h>
#include <string.h>

#include "helpers/kvm_suite.h"
#include "helpers/rng.h"
#include "kvm/slot_ids.h"
#include "kvm/slot_map.h"
#include "util/alloc.h"

/* Each slot has some of the 4 bytes from 4 * its place on. */
#define PLACES 2048
#define STRIDE 4
#define SIZE 3

static struct slot_map map;
static struct slot *model[PLACES];

static struct slot *make(size_t place)
{
	struct slot *slot = gpmm__zalloc(sizeof(*slot));

	if (!slot)
		abort();
	slot->at.gpa = place * STRIDE;
	slot->at.size = SIZE;
	slot->at.flags = place % 7;
	slot->id = place;
	return slot;
}

static void insert(size_t place)
{
	CU_ASSERT_EQUAL_FATAL(gpmm__slot_map_room(&map, 1), 0);
	model[place] = make(place);
	gpmm__slot_map_insert(&map, model[place]);
}

static void change(size_t place, uint64_t size)
{
	model[place]->at.size = size;
	model[place]->at.flags++;
	model[place]->id += 3;
	gpmm__slot_map_changed(&map, model[place]);
}

static void drop(size_t place)
{
	gpmm__slot_map_remove(&map, gpmm__slot_map_entry(&map, model[place]));
	gpmm__free(model[place]);
	model[place] = NULL;
}

static void move(size_t from, size_t to)
{
	CU_ASSERT_EQUAL_FATAL(gpmm__slot_map_room(&map, 1), 0);
	gpmm__slot_map_move(&map, gpmm__slot_map_entry(&map, model[from]),
			    to * STRIDE);
	model[to] = model[from];
	model[from] = NULL;
}

/* To a place beside it, or anywhere. */
static void move_some(struct rng *rng, size_t from)
{
	size_t to = (from + rng_below(rng, 5) - 2) % PLACES;

	if (rng_below(rng, 4) == 0)
		to = rng_below(rng, PLACES);
	if (!model[to])
		move(from, to);
}

static bool meets(size_t place, uint64_t first, uint64_t last)
{
	return model[place] && place * STRIDE <= last &&
	       first < place * STRIDE + model[place]->at.size;
}

/* Does the slot's block say of it what is so? */
static bool is_told(const struct slot_walk *walk, const struct slot *slot)
{
	const struct slot_entry *entry = walk->at;

	return entry->slot == slot && entry->gpa == slot->at.gpa &&
	       entry->last == region_last(&slot->at) && entry->id == slot->id &&
	       entry->flags == slot->at.flags;
}

/* Does a walk give the model's slots in their order, and no other? */
static bool agrees(uint64_t first, uint64_t last)
{
	struct slot_walk walk;
	struct slot *slot = gpmm__slot_walk_start(&walk, &map, first, last);

	for (size_t i = 0; i < PLACES; i++) {
		if (!meets(i, first, last))
			continue;
		if (slot != model[i] || !is_told(&walk, slot))
			return false;
		slot = slot_walk_next(&walk);
	}
	return !slot;
}

static bool is_free_from(const struct slot_block *block, size_t at)
{
	for (; at < SLOT_BLOCK; at++)
		if (block->at[at].gpa != NOWHERE)
			return false;
	return true;
}

/*
 * G: blocks ascend, none is empty, and each begins where its run says; what is
 * behind is nowhere.
 */
static bool is_sound(void)
{
	const struct slot_run *run = map.runs;

	for (size_t i = 0; i < map.count; i++, run++)
		if (!run->block->count || run->block->at->gpa != run->gpa ||
		    (i && run[-1].gpa >= run->gpa) ||
		    !is_free_from(run->block, run->block->count))
			return false;
	for (size_t i = 0; run && i < RUNS_BEHIND; i++)
		if (run[i].gpa != NOWHERE)
			return false;
	return true;
}

/* The last of the model's slots that begins below a place, or the next. */
static const struct slot *beside(size_t place, bool below)
{
	if (below)
		while (place && !model[place - 1])
			place--;
	else
		do
			place++;
		while (place < PLACES && !model[place]);
	if (place == (below ? 0 : PLACES))
		return NULL;
	return model[below ? place - 1 : place];
}

static const struct slot *slot_of(const struct slot_entry *entry)
{
	return entry ? entry->slot : NULL;
}

static bool agrees_at(size_t place)
{
	const struct slot *slot = model[place];
	uint64_t size = slot ? slot->at.size : 1;
	struct slot_spot spot;

	spot = slot_map_spot(&map, place * STRIDE, place * STRIDE + size - 1);
	if (slot_of(spot.there) != slot ||
	    slot_of(spot.below) != beside(place, true) ||
	    slot_of(spot.above) != beside(place, false))
		return false;
	spot = slot_map_spot(&map, place * STRIDE, place * STRIDE + size);
	return !spot.there &&
	       slot_of(spot.below) == beside(place, true) &&
	       slot_of(spot.above) == (slot ? slot : beside(place, false));
}

static bool agrees_everywhere(struct rng *rng)
{
	for (int i = 0; i < 20; i++)
		if (!agrees_at(rng_below(rng, PLACES)))
			return false;
	for (int i = 0; i < 20; i++) {
		uint64_t first = rng_below(rng, PLACES * STRIDE);

		if (!agrees(first, first + rng_below(rng, 200)))
			return false;
	}
	return is_sound() && agrees(0, UINT64_MAX) &&
	       agrees(UINT64_MAX, UINT64_MAX);
}

static void forget(void)
{
	gpmm__slot_map_free(&map);
	memset(&map, 0, sizeof(map));
	memset(model, 0, sizeof(model));
}

static void test_random_changes_agree_with_the_model(void)
{
	struct rng rng = { 1 };

	CU_ASSERT(agrees(0, UINT64_MAX));
	for (int i = 0; i < 200000; i++) {
		size_t place = rng_below(&rng, PLACES);
		/* Now more come than go, now fewer. */
		bool come = rng_below(&rng, 8) < (i / 20000 % 2 ? 2u : 6u);

		if (come && model[place])
			change(place, 1 + rng_below(&rng, STRIDE));
		else if (come)
			insert(place);
		else if (model[place] && rng_below(&rng, 2))
			move_some(&rng, place);
		else if (model[place])
			drop(place);
		if (i % 1000 == 0)
			CU_ASSERT_FATAL(agrees_everywhere(&rng));
	}
	forget();
}

static void test_slots_in_order_fill_blocks(void)
{
	for (size_t i = 0; i < PLACES; i++)
		insert(i);
	CU_ASSERT_EQUAL(map.count, (PLACES + SLOT_BLOCK - 1) / SLOT_BLOCK);
	CU_ASSERT(agrees(0, UINT64_MAX));
	forget();
}

static void test_slots_in_descending_order_half_fill_blocks(void)
{
	for (size_t i = PLACES; i--;)
		insert(i);
	CU_ASSERT(map.count <= PLACES / (SLOT_BLOCK / 2) + 1);
	CU_ASSERT(agrees(0, UINT64_MAX));
	forget();
}

/* From full blocks on, so that as many as can be are split. */
static void insert_between(size_t distance)
{
	size_t most = 0;

	for (size_t i = 0; i < PLACES; i += 2)
		insert(i);
	for (size_t i = 1; i < PLACES; i += distance)
		most++;
	CU_ASSERT_EQUAL_FATAL(gpmm__slot_map_room(&map, most), 0);
	gpmm__alloc_left = 0;
	gpmm__alloc_stay = true;
	CU_ASSERT_EQUAL(gpmm__slot_map_room(&map, most), 0);
	gpmm__alloc_left = -1;
	for (size_t i = 1; i < PLACES; i += distance) {
		size_t room = map.room;

		model[i] = make(i);
		CU_ASSERT_PTR_NOT_NULL_FATAL(map.spare);
		gpmm__slot_map_insert(&map, model[i]);
		CU_ASSERT(map.count <= room);
	}
	CU_ASSERT(agrees(0, UINT64_MAX));
	gpmm__alloc_stay = false;
	forget();
}

/* Each below the one before: all of them meet the same block, full again. */
static void insert_below(size_t count)
{
	size_t place = PLACES;

	for (int i = 0; i < SLOT_BLOCK; i++)
		insert(--place);
	CU_ASSERT_EQUAL_FATAL(gpmm__slot_map_room(&map, count), 0);
	while (count--) {
		place--;
		model[place] = make(place);
		CU_ASSERT_PTR_NOT_NULL_FATAL(map.spare);
		gpmm__slot_map_insert(&map, model[place]);
	}
	CU_ASSERT(agrees(0, UINT64_MAX));
	forget();
}

static void test_room_is_enough_wherever_slots_go(void)
{
	for (size_t distance = 2; distance <= 64; distance += 2)
		insert_between(distance);
	for (size_t count = 1; count <= PLACES - SLOT_BLOCK; count += 10)
		insert_below(count);
}

static void test_without_memory_nothing_changes(void)
{
	size_t failures = 0;

	for (size_t i = 0; i < PLACES; i++) {
		slot_map_trim(&map);
		gpmm__alloc_left = 0;
		if (!gpmm__slot_map_room(&map, 1)) {
			gpmm__alloc_left = -1;
			continue;
		}
		failures++;
		CU_ASSERT_FATAL(agrees(0, UINT64_MAX));
		insert(i);
	}
	CU_ASSERT_EQUAL(failures, PLACES);
	forget();
}

static void test_the_lowest_number_comes_again_however_many(void)
{
	const uint32_t first = 3, count = 200;
	struct slot_ids ids;

	CU_ASSERT_EQUAL_FATAL(gpmm__slot_ids_init(&ids, first, count), 0);
	for (uint32_t i = 0; i < count; i++)
		CU_ASSERT_EQUAL(gpmm__slot_ids_take(&ids), first + i);
	gpmm__slot_ids_give(&ids, first + 190);
	gpmm__slot_ids_give(&ids, first + 70);
	gpmm__slot_ids_give(&ids, first + 5);
	CU_ASSERT_EQUAL(gpmm__slot_ids_take(&ids), first + 5);
	CU_ASSERT_EQUAL(gpmm__slot_ids_take(&ids), first + 70);
	CU_ASSERT_EQUAL(gpmm__slot_ids_take(&ids), first + 190);
	CU_ASSERT_EQUAL(ids.live, count);
	gpmm__slot_ids_fini(&ids);
}

SUITE("kvm slot map",
	TEST(test_random_changes_agree_with_the_model),
	TEST(test_slots_in_order_fill_blocks),
	TEST(test_slots_in_descending_order_half_fill_blocks),
	TEST(test_room_is_enough_wherever_slots_go),
	TEST(test_without_memory_nothing_changes),
	TEST(test_the_lowest_number_comes_again_however_many))
