/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The slots of one VM that are ours, and how a set of them is exchanged for
 * another.
 *
 * What KVM does in place: another guest address, the dirty log on or off.
 * Everything else about a slot (size, host address, read-only) is fixed while
 * it lives: it is deleted and made anew, and guests see a hole meanwhile.
 *
 * Invariants, outside of gpmm__slots_exchange():
 * A  Every slot of @live exists in the VM exactly as @at says, but for those
 *    that are missing, and nothing else of ours exists but strays (lost.h).
 * B  A number is taken in @ids if and only if a slot of @live or a stray has
 *    it.
 */
#ifndef GPMM_KVM_SLOTS_H
#define GPMM_KVM_SLOTS_H

#include "kvm/kvm_sys.h"
#include "kvm/slot_ids.h"
#include "kvm/slot_map.h"

/* One ioctl: slot @id goes from one state to another (size 0: no slot). */
struct slot_change {
	uint32_t id;
	struct kvm_region from;
	struct kvm_region to;
	bool stray;		/* lost, and holds its number (lost.c) */
};

/* An array that only grows. */
struct slot_array {
	struct slot **at;
	size_t count;
	size_t room;
};

struct change_array {
	size_t count;
	struct slot_change *at;
	size_t room;
};

/* What most transactions touch comes first. */
struct slots {
	struct kvm_sys *sys;
	uint32_t address_space;	/* already shifted into place */
	uint32_t reserve;	/* numbers kept back */
	struct slot_ids ids;
	uint32_t owed;		/* slots that an undo would want back; atomic */
	struct change_array changes;	/* scratch of an exchange */
	struct slot_map live;
	struct change_array lost;	/* undos that failed, see lost.h */
	/* More scratch, kept for the next one. */
	struct slot_array by_host[2];
};

/* @before: out of the live tree; @after: to be. Both by guest address. */
struct exchange {
	bool hole;	/* a range that goes overlaps one that comes */
	struct slot_array *before;
	struct slot_array *after;
	size_t deletes;
	size_t creates;
};

int gpmm__slots_init(struct slots *slots, struct kvm_sys *sys, uint32_t first,
		     uint32_t count);
void gpmm__slots_fini(struct slots *slots);

/* Until 0 is owed, @count slots may be had whatever the reserve. */
static inline void gpmm__slots_owe(struct slots *slots, uint32_t count)
{
	__atomic_store_n(&slots->owed, count, __ATOMIC_RELAXED);
}

/* Return: 0 or -ENOMEM. */
int gpmm__array_grow(void **at, size_t *room, size_t count, size_t each);

static inline int gpmm__slot_array_room(struct slot_array *array, size_t count)
{
	return count <= array->room ? 0 :
		gpmm__array_grow((void **)&array->at, &array->room, count,
				 sizeof(*array->at));
}

/* As qsort(3), but most are in order as they are. */
void gpmm__slot_array_sort(struct slot_array *array,
			   int (*compare)(const void *, const void *));

static inline int gpmm__change_array_room(struct change_array *array,
					  size_t count)
{
	return count <= array->room ? 0 :
		gpmm__array_grow((void **)&array->at, &array->room, count,
				 sizeof(*array->at));
}

/*
 * gpmm__slots_plan - the fewest ioctls that lead from before to after
 *
 * Fills slots->changes, in an order in which no slot ever overlaps another,
 * and takes the numbers of new slots.
 *
 * Return: 0; -ENOSPC, -ENOMEM with nothing taken.
 */
int gpmm__slots_plan(struct slots *slots, struct exchange *exchange);

/* The flags that KVM can change of a slot. */
#define SLOT_SWITCHES ((uint32_t)KVM_MEM_LOG_DIRTY_PAGES)

/* Can KVM change a slot, but for its number, without deleting it? */
bool gpmm__slot_in_place(const struct kvm_region *from,
			 const struct kvm_region *to);

/*
 * The same as gpmm__slots_plan() where one slot comes or goes. The first of
 * slots->changes says so already, but for the number of one that comes.
 */
int gpmm__slots_plan_one(struct slots *slots, struct exchange *exchange);

/* Give back what gpmm__slots_plan() took. */
void gpmm__slots_unplan(struct slots *slots);

/* Make a slot what is wanted, or delete it (size 0). Return: 0 or -errno. */
static inline int slot_set(struct slots *slots, uint32_t id,
			   const struct kvm_region *to)
{
	static const struct kvm_region none;

	return kvm_set_region(slots->sys, slots->address_space | id,
				    to->size ? to : &none);
}

/*
 * Undo the first @count of the planned ioctls, in reverse, and give the plan
 * back. Return: @error; -EIO where an undo failed.
 */
__attribute__((cold)) int gpmm__slots_undo(struct slots *slots, size_t count,
					   int error);

/*
 * Make the planned ioctls. Inline, for the sake of the return: see kvm_sys.h.
 * Return: 0; what the failing one returned, with all undone; -EIO where an
 * undo failed too.
 */
static inline int slots_apply(struct slots *slots)
{
	size_t i;

	for (i = 0; i < slots->changes.count; i++) {
		const struct slot_change *change = &slots->changes.at[i];
		int ret = slot_set(slots, change->id, &change->to);

		if (__builtin_expect(ret, 0))
			return gpmm__slots_undo(slots, i, ret);
	}
	return 0;
}

/* Try again what could not be undone. */
__attribute__((cold)) void gpmm__slots_repair(struct slots *slots);

#endif
