/* SPDX-License-Identifier: BSD-3-Clause */
#include "kvm/lost.h"

#include <inttypes.h>

#include "util/log.h"

static void mark(struct slots *slots, const struct slot_change *change,
		 bool missing)
{
	gpmm__slot_map_find(&slots->live, change->from.gpa,
			    change->from.gpa)->missing = missing;
}

/*
 * A slot that was created has a number that is free again, unless it came
 * from one that the same plan deleted: that one has it back.
 */
void gpmm__lost_add(struct slots *slots, const struct slot_change *change)
{
	struct slot_change *lost = &slots->lost.at[slots->lost.count++];

	*lost = *change;
	lost->stray = !change->from.size &&
		      !gpmm__slot_ids_taken(&slots->ids, change->id);
	if (change->from.size)
		mark(slots, change, true);
	if (lost->stray)
		gpmm__slot_ids_take_this(&slots->ids, change->id);
	gpmm__log(GPMM_LOG_ERROR, "kvm: slot %" PRIu32 " cannot be restored",
		  change->id);
}

void gpmm__lost_found(struct slots *slots, const struct slot_change *change)
{
	if (change->from.size)
		mark(slots, change, false);
	if (change->stray)
		gpmm__slot_ids_give(&slots->ids, change->id);
}

static bool touches(const struct kvm_region *region, uint64_t first,
		    uint64_t last)
{
	return region->size && region->gpa <= last &&
	       first <= region_last(region);
}

bool gpmm__lost_overlaps(const struct slots *slots, uint64_t first,
			 uint64_t last)
{
	const struct slot_change *at = slots->lost.at;
	size_t i;

	for (i = 0; i < slots->lost.count; i++)
		if (touches(&at[i].from, first, last) ||
		    touches(&at[i].to, first, last))
			return true;
	return false;
}
