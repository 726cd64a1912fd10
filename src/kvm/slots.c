/* SPDX-License-Identifier: BSD-3-Clause */
#include "kvm/slots.h"

#include <errno.h>
#include <string.h>

#include "kvm/lost.h"
#include "util/alloc.h"

int gpmm__slots_init(struct slots *slots, struct kvm_sys *sys, uint32_t first,
		     uint32_t count)
{
	int ret;

	memset(slots, 0, sizeof(*slots));
	slots->sys = sys;
	ret = gpmm__change_array_room(&slots->changes, 1);
	if (ret)
		return ret;
	ret = gpmm__slot_ids_init(&slots->ids, first, count);
	if (ret)
		gpmm__free(slots->changes.at);
	return ret;
}

void gpmm__slots_fini(struct slots *slots)
{
	gpmm__slot_map_free(&slots->live);
	gpmm__slot_ids_fini(&slots->ids);
	gpmm__free(slots->by_host[0].at);
	gpmm__free(slots->by_host[1].at);
	gpmm__free(slots->changes.at);
	gpmm__free(slots->lost.at);
}

int gpmm__array_grow(void **at, size_t *room, size_t count, size_t each)
{
	size_t more = *room ? *room : 8;
	void *grown;

	while (more < count)
		more *= 2;
	grown = gpmm__realloc(*at, more * each);
	if (!grown)
		return -ENOMEM;
	*at = grown;
	*room = more;
	return 0;
}

void gpmm__slot_array_sort(struct slot_array *array,
			   int (*compare)(const void *, const void *))
{
	struct slot **at = array->at;
	size_t i = 1;

	while (i < array->count && compare(&at[i - 1], &at[i]) <= 0)
		i++;
	if (i < array->count)
		qsort(at, array->count, sizeof(*at), compare);
}

/* Undo the first @count changes, last first. Return: whether all succeeded. */
static bool undo(struct slots *slots, size_t count)
{
	bool whole = true;

	while (count--) {
		const struct slot_change *change = &slots->changes.at[count];

		if (!slot_set(slots, change->id, &change->from))
			continue;
		gpmm__lost_add(slots, change);
		whole = false;
	}
	return whole;
}

int gpmm__slots_undo(struct slots *slots, size_t count, int error)
{
	gpmm__slots_unplan(slots);
	return undo(slots, count) ? error : -EIO;
}

void gpmm__slots_repair(struct slots *slots)
{
	struct change_array *lost = &slots->lost;
	size_t kept = 0;
	size_t i;

	for (i = 0; i < lost->count; i++) {
		struct slot_change change = lost->at[i];

		if (slot_set(slots, change.id, &change.from))
			lost->at[kept++] = change;
		else
			gpmm__lost_found(slots, &change);
	}
	lost->count = kept;
}
