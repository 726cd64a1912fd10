/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A module of RAM that comes, moves and goes while the guest runs. Each
 * function is one transaction: readers of the set see it whole or not at all,
 * and where it fails nothing has changed.
 */
#ifndef DIMM_H
#define DIMM_H

#include "machine.h"

/* The address space kept free for it: it moves before it goes. */
#define DIMM_ROOM	(4 * (uint64_t)DIMM_SIZE)

struct dimm {
	gpmm_gpa_t start;	/* 0: not plugged */
	uint64_t size;		/* bytes */
};

/* Return: 0 or a negative errno. */
int dimm_plug(struct machine *machine, struct dimm *dimm, uint64_t size);
int dimm_seal(struct machine *machine, struct dimm *dimm, bool seal);
int dimm_move(struct machine *machine, struct dimm *dimm);
int dimm_unplug(struct machine *machine, struct dimm *dimm);

#endif
