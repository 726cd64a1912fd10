/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From two pictures of the same ranges, before and after, to ioctls. What is
 * in both makes none; what differs only in its guest address or in its dirty
 * log is changed in place, one ioctl; the rest is deleted and made anew.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/slots.h"

/* ------------------------------------------------------------- pairing --- */

static int compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

/*
 * Slots of a guest_memfd cannot be moved either. What they are of the file goes
 * with the host address, which no other file has as long as there is the slot.
 */
bool gpmm__slot_in_place(const struct kvm_region *from,
			 const struct kvm_region *to)
{
	return from->hva == to->hva && from->size == to->size &&
	       !((from->flags ^ to->flags) & ~SLOT_SWITCHES) &&
	       (!(from->flags & KVM_MEM_GUEST_MEMFD) || from->gpa == to->gpa);
}

/* The same, as an order in which those are equal. */
static int compare_kind(const struct slot *a, const struct slot *b)
{
	int ret = compare(a->at.hva, b->at.hva);

	if (!ret)
		ret = compare(a->at.size, b->at.size);
	if (!ret)
		ret = compare(a->at.flags & ~SLOT_SWITCHES,
			      b->at.flags & ~SLOT_SWITCHES);
	if (!ret && a->at.flags & KVM_MEM_GUEST_MEMFD)
		ret = compare(a->at.gpa, b->at.gpa);
	return ret;
}

static int compare_host(const void *left, const void *right)
{
	const struct slot *a = *(struct slot *const *)left;
	const struct slot *b = *(struct slot *const *)right;
	int ret = compare_kind(a, b);

	return ret ? ret : compare(a->at.gpa, b->at.gpa);
}

static int sort_by_host(struct slot_array *sorted,
			const struct slot_array *slots)
{
	if (gpmm__slot_array_room(sorted, slots->count))
		return -ENOMEM;
	sorted->count = slots->count;
	if (slots->count)
		memcpy(sorted->at, slots->at,
		       slots->count * sizeof(*slots->at));
	gpmm__slot_array_sort(sorted, compare_host);
	return 0;
}

static void match(struct slot *before, struct slot *after)
{
	before->match = after;
	after->match = before;
	after->id = before->id;
}

static bool pairable(const struct slot *a, const struct slot *b, bool same_gpa)
{
	return !a->match && !b->match && (!same_gpa || a->at.gpa == b->at.gpa);
}

/*
 * Walk both arrays, sorted alike, and pair what is of one kind: first what
 * also has one guest address, then the rest, as memory may be mapped twice.
 */
static void pair(struct slot_array *before, struct slot_array *after,
		 bool same_gpa)
{
	size_t i = 0;
	size_t j = 0;

	while (i < before->count && j < after->count) {
		struct slot *a = before->at[i];
		struct slot *b = after->at[j];
		int order = compare_kind(a, b);

		if (!order && pairable(a, b, same_gpa)) {
			match(a, b);
			i++;
			j++;
			continue;
		}
		if (!order)
			order = a->match ? -1 : b->match ? 1 :
				compare(a->at.gpa, b->at.gpa);
		if (order < 0)
			i++;
		else
			j++;
	}
}

/* Are they few, and none of one kind? So it is where a slot is cut. */
static bool none_alike(const struct exchange *exchange)
{
	const struct slot_array *before = exchange->before;
	const struct slot_array *after = exchange->after;

	if (before->count * after->count > 4)
		return false;
	for (size_t i = 0; i < before->count; i++)
		for (size_t j = 0; j < after->count; j++)
			if (gpmm__slot_in_place(&before->at[i]->at,
						&after->at[j]->at))
				return false;
	return true;
}

static int pair_all(struct slots *slots, struct exchange *exchange)
{
	struct slot_array *by_host = slots->by_host;

	if (none_alike(exchange))
		return 0;
	if (sort_by_host(&by_host[0], exchange->before) ||
	    sort_by_host(&by_host[1], exchange->after))
		return -ENOMEM;
	pair(&by_host[0], &by_host[1], true);
	pair(&by_host[0], &by_host[1], false);
	return 0;
}

/* ------------------------------------------------------------ ordering --- */

static void add_change(struct slots *slots, uint32_t id,
		       const struct slot *before, const struct slot *after)
{
	struct slot_change *change = &slots->changes.at[slots->changes.count++];

	change->id = id;
	change->stray = false;
	change->from.size = 0;
	change->to.size = 0;
	if (before)
		change->from = before->at;
	if (after)
		change->to = after->at;
}

static bool same_region(const struct kvm_region *a, const struct kvm_region *b)
{
	return a->gpa == b->gpa && a->size == b->size && a->hva == b->hva &&
	       a->flags == b->flags;
}

/* The first slot above @from still to move that lies where @slot wants to. */
static struct slot *find_blocker(const struct slot_array *moves,
				 const struct slot *slot, uint64_t from)
{
	const struct kvm_region *to = &slot->match->at;
	size_t low = 0;
	size_t high = moves->count;

	if (from < to->gpa)
		from = to->gpa;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (region_last(&moves->at[middle]->at) < from)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < moves->count && moves->at[low]->at.gpa <= region_last(to);
	     low++)
		if (moves->at[low] != slot && !moves->at[low]->taken)
			return moves->at[low];
	return NULL;
}

/* Slots in a ring wait for each other: delete one and make it anew. */
static void break_ring(struct slots *slots, struct slot *slot,
		       struct exchange *exchange)
{
	add_change(slots, slot->id, slot, NULL);
	exchange->deletes++;
	slot->match->match = NULL;
	slot->match = NULL;
	slot->taken = true;
}

/* Unless it is deleted. Return: the slot that waits for it, or NULL. */
static struct slot *make_move(struct slots *slots, struct slot *slot)
{
	if (!slot->taken)
		add_change(slots, slot->id, slot, slot->match);
	slot->taken = true;
	return slot->waiter == slot ? NULL : slot->waiter;
}

/*
 * Move a slot, after those in its way and in theirs: by @waiter they are a
 * stack, whose lowest waits for itself. What lies below @from is settled.
 */
static void move_slot(struct slots *slots, const struct slot_array *moves,
		      struct slot *slot, struct exchange *exchange)
{
	uint64_t from = 0;

	slot->waiter = slot;
	while (slot) {
		struct slot *blocker = slot->taken ? NULL :
			find_blocker(moves, slot, from);

		from = blocker ? blocker->at.gpa : slot->at.gpa;
		if (!blocker) {
			slot = make_move(slots, slot);
		} else if (blocker->waiter) {
			break_ring(slots, blocker, exchange);
		} else {
			blocker->waiter = slot;
			slot = blocker;
			from = 0;
		}
	}
}

static void emit_deletes(struct slots *slots, struct exchange *exchange)
{
	size_t i;

	for (i = 0; i < exchange->before->count; i++) {
		struct slot *slot = exchange->before->at[i];

		if (slot->match)
			continue;
		add_change(slots, slot->id, slot, NULL);
		exchange->deletes++;
	}
}

/* slot->taken tells here which moves are done; all of them end so. */
static void emit_moves(struct slots *slots, struct exchange *exchange)
{
	struct slot_array *moves = &slots->by_host[0];
	size_t i;

	moves->count = 0;
	for (i = 0; i < exchange->before->count; i++) {
		struct slot *slot = exchange->before->at[i];

		if (!slot->match || same_region(&slot->at, &slot->match->at))
			continue;
		slot->taken = false;
		slot->waiter = NULL;
		moves->at[moves->count++] = slot;
	}
	for (i = 0; i < moves->count; i++)
		if (!moves->at[i]->taken)
			move_slot(slots, moves, moves->at[i], exchange);
}

static void emit_creates(struct slots *slots, struct exchange *exchange)
{
	size_t i;

	for (i = 0; i < exchange->after->count; i++) {
		struct slot *slot = exchange->after->at[i];

		if (slot->match)
			continue;
		slot->id = gpmm__slot_ids_take(&slots->ids);
		add_change(slots, slot->id, NULL, slot);
	}
}

/* ------------------------------------------------------------- budget --- */

static size_t count_creates(const struct exchange *exchange)
{
	size_t creates = 0;
	size_t i;

	for (i = 0; i < exchange->after->count; i++)
		creates += !exchange->after->at[i]->match;
	return creates;
}

/*
 * A change that takes no more slots than it gives back always may, and so may
 * an undo.
 */
static bool within_budget(const struct slots *slots,
			  const struct exchange *exchange)
{
	size_t used = slots->ids.live - exchange->deletes + exchange->creates;

	if (exchange->creates <= exchange->deletes ||
	    used <= __atomic_load_n(&slots->owed, __ATOMIC_RELAXED))
		return true;
	return used + slots->reserve <= slots->ids.count;
}

static void give_deleted(struct slots *slots)
{
	size_t i;

	for (i = 0; i < slots->changes.count; i++)
		if (!slots->changes.at[i].to.size)
			gpmm__slot_ids_give(&slots->ids,
					    slots->changes.at[i].id);
}

void gpmm__slots_unplan(struct slots *slots)
{
	const struct slot_change *at = slots->changes.at;
	size_t i;

	for (i = 0; i < slots->changes.count; i++)
		if (!at[i].from.size)
			gpmm__slot_ids_give(&slots->ids, at[i].id);
	for (i = 0; i < slots->changes.count; i++)
		if (!at[i].to.size)
			gpmm__slot_ids_take_this(&slots->ids, at[i].id);
}

/* --------------------------------------------------------------- holes --- */

static bool stays(const struct slot *slot)
{
	return slot->match && slot->match->at.gpa == slot->at.gpa;
}

/*
 * Both arrays are sorted by guest address: one walk over the two. What stays
 * overlaps nothing but itself.
 */
static bool makes_hole(const struct exchange *exchange)
{
	const struct slot_array *before = exchange->before;
	const struct slot_array *after = exchange->after;
	size_t i = 0;
	size_t j = 0;

	while (i < before->count && j < after->count) {
		const struct slot *gone = before->at[i];
		const struct slot *come = after->at[j];

		if (!stays(gone) && region_overlaps(&gone->at, &come->at))
			return true;
		if (region_last(&gone->at) < region_last(&come->at))
			i++;
		else
			j++;
	}
	return false;
}

int gpmm__slots_plan(struct slots *slots, struct exchange *exchange)
{
	size_t most = exchange->before->count + exchange->after->count;

	slots->changes.count = 0;
	exchange->deletes = 0;
	exchange->creates = 0;
	if (gpmm__change_array_room(&slots->changes, most) ||
	    gpmm__change_array_room(&slots->lost, slots->lost.count + most))
		return -ENOMEM;
	if (pair_all(slots, exchange))
		return -ENOMEM;
	emit_deletes(slots, exchange);
	emit_moves(slots, exchange);
	exchange->creates = count_creates(exchange);
	if (!within_budget(slots, exchange))
		return -ENOSPC;
	exchange->hole = makes_hole(exchange);
	give_deleted(slots);
	emit_creates(slots, exchange);
	return 0;
}

int gpmm__slots_plan_one(struct slots *slots, struct exchange *exchange)
{
	struct slot_change *change = slots->changes.at;

	exchange->deletes = change->from.size > 0;
	exchange->creates = change->to.size > 0;
	slots->changes.count = exchange->deletes + exchange->creates;
	if (!within_budget(slots, exchange))
		return -ENOSPC;
	if (exchange->deletes)
		gpmm__slot_ids_give(&slots->ids, change->id);
	if (exchange->creates)
		change->id = gpmm__slot_ids_take(&slots->ids);
	return 0;
}
