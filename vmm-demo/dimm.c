/* SPDX-License-Identifier: BSD-3-Clause */
#include "dimm.h"

#include <errno.h>

#include "guest.h"

#define DIMM_FLAGS	(GPMM_RWX | KIND(KIND_DIMM))
#define LARGE_PAGE	(UINT64_C(2) << 20)

/* Put @area into the lowest hole at or above @hint that takes it. */
static int map_above(struct machine *machine, struct gpmm_txn *txn,
		     struct gpmm_area *area, gpmm_gpa_t hint)
{
	struct gpmm_hole hole = {
		.size = area->size,
		.align = LARGE_PAGE,
		.limit = { HIGH_BASE, machine->top - HIGH_BASE },
		.hint = hint,
	};
	int ret = gpmm_view_find_free(gpmm_txn_view(txn), &hole, &area->start);

	return ret ? ret : gpmm_txn_map(txn, area, 0);
}

static int finish(struct gpmm_txn *txn, int ret)
{
	if (!ret)
		return gpmm_txn_commit(txn);
	gpmm_txn_abort(txn);
	return ret;
}

int dimm_plug(struct machine *machine, struct dimm *dimm, uint64_t size)
{
	struct gpmm_host_options options = {
		.kind = GPMM_HOST_ANON,
		.size = size,
	};
	struct gpmm_area area = { .size = size, .flags = DIMM_FLAGS };
	struct gpmm_txn *txn;
	int ret;

	if (dimm->start)
		return -EBUSY;
	ret = gpmm_host_create(&options, &area.host);
	if (ret)
		return ret;
	area.hva = gpmm_host_addr(area.host);
	ret = gpmm_txn_begin(machine->set, &txn);
	if (!ret)
		ret = finish(txn, map_above(machine, txn, &area, HIGH_BASE));
	gpmm_host_put(area.host);
	if (!ret)
		*dimm = (struct dimm){ area.start, size };
	return ret;
}

int dimm_seal(struct machine *machine, struct dimm *dimm, bool seal)
{
	uint32_t flags = seal ? DIMM_FLAGS & ~GPMM_WRITE : DIMM_FLAGS;

	return gpmm_set_protect(machine->set, dimm->start + dimm->size / 4,
				dimm->size / 2, gpmm_protect_to, &flags);
}

/* The same host memory at another place: its contents move along. */
int dimm_move(struct machine *machine, struct dimm *dimm)
{
	gpmm_gpa_t end = dimm->start + dimm->size;
	struct gpmm_area area;
	struct gpmm_txn *txn;
	int ret = gpmm_txn_begin(machine->set, &txn);

	if (ret)
		return ret;
	/* Sealed, it is several areas, and stays where it is. */
	if (!gpmm_view_find(gpmm_txn_view(txn), dimm->start, &area) ||
	    area.start != dimm->start || area.size != dimm->size)
		return finish(txn, -EBUSY);
	ret = gpmm_txn_unmap(txn, dimm->start, dimm->size);
	if (!ret)
		ret = map_above(machine, txn, &area, end);
	ret = finish(txn, ret);
	if (!ret)
		dimm->start = area.start;
	return ret;
}

int dimm_unplug(struct machine *machine, struct dimm *dimm)
{
	int ret = gpmm_set_unmap(machine->set, dimm->start, dimm->size);

	if (!ret)
		*dimm = (struct dimm){ 0 };
	return ret;
}
