/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes that KVM has kept: its ring, and behind it a queue of what was taken
 * out of the ring when a zone moved or went. Entries of the queue move along
 * with the windows that they were for. Called with the backend's lock held.
 */
#ifndef GPMM_KVM_COALESCED_H
#define GPMM_KVM_COALESCED_H

#include "kvm/kvm_sys.h"
#include "util/lock.h"
#include "util/vec.h"

struct kept_write {
	void *owner;		/* of the window; NULL: not known */
	struct kvm_coalesced_mmio write;
};

struct coalesced {
	struct kvm_coalesced_mmio_ring *ring;
	uint32_t max;		/* entries of it */
	VEC(struct kept_write) queue;
	size_t next;		/* the first not yet harvested */
	/* Held from the first to the last call of a harvest; outermost. */
	struct lock harvesting;
};

int gpmm__coalesced_init(struct coalesced *coalesced);
void gpmm__coalesced_fini(struct coalesced *coalesced);

/* Have room for all that the ring may have. Return: 0 or -ENOMEM. */
int gpmm__coalesced_room(struct coalesced *coalesced);

/* Empty the ring into the queue, which has room. @owner_at: whose is it? */
void gpmm__coalesced_fetch(struct coalesced *coalesced,
			   void *(*owner_at)(void *arg, uint64_t gpa),
			   void *arg);

/* The owner's windows have moved. */
void gpmm__coalesced_move(struct coalesced *coalesced, const void *owner,
			  uint64_t distance);

/* Return: whether there was one. */
bool gpmm__coalesced_take(struct coalesced *coalesced,
			  struct kvm_coalesced_mmio *write);

#endif
