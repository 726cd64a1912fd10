/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the kernel would not let us undo. A slot that could not be restored is
 * missing, one that could not be deleted is a stray. The ranges of both are
 * refused to transactions, which work elsewhere; each new transaction first
 * tries to repair them.
 */
#ifndef GPMM_KVM_LOST_H
#define GPMM_KVM_LOST_H

#include "kvm/slots.h"

/* Remember a change whose undo failed. There is room: gpmm__slots_plan(). */
void gpmm__lost_add(struct slots *slots, const struct slot_change *change);

/* It has been undone after all. */
void gpmm__lost_found(struct slots *slots, const struct slot_change *change);

/* Is any byte of [first, last] lost? */
bool gpmm__lost_overlaps(const struct slots *slots, uint64_t first,
			 uint64_t last);

#endif
