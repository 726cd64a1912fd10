/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Dirty rings, one a vCPU: KVM writes the slot's number and the page's, which
 * are turned into guest addresses here. Called with the backend's lock held.
 */
#ifndef GPMM_KVM_DIRTY_RING_H
#define GPMM_KVM_DIRTY_RING_H

#include <gpmm/dirty.h>

#include "kvm/slots.h"
#include "util/vec.h"

struct dirty_ring {
	struct kvm_dirty_gfn *entries;
	uint32_t next;		/* the first not yet harvested */
	bool found;		/* and KVM goes on there */
	struct dirty_ring *more;
};

/*
 * Until KVM has reset an entry, writes to its page are not logged again. So
 * what was taken is kept until then, and given to the sink only after: who
 * reads the page then misses nothing.
 */
struct dirty_rings {
	uint32_t size;		/* bytes; 0: there are none */
	uint32_t cap;		/* KVM_CAP_DIRTY_LOG_RING, or its successor */
	uint32_t count;		/* entries of each, a power of two */
	uint32_t page;		/* bytes */
	struct dirty_ring *first;
	bool unreset;		/* entries were taken, and KVM not told */
	/* Guest addresses of those entries; there is room for all rings. */
	VEC(uint64_t) taken;
	struct kvm_region *by_id;	/* what a slot's number stands for */
};

/* @size: 0 for the default. Return: 0, -EOPNOTSUPP, -ENOMEM, the kernel's. */
int gpmm__rings_init(struct dirty_rings *rings, struct slots *slots,
		     uint32_t size);
/* Turn them on, if there are to be any. Return: 0 or -errno. */
int gpmm__rings_enable(struct dirty_rings *rings, struct kvm_sys *sys);
void gpmm__rings_fini(struct dirty_rings *rings);

/* Nothing happens where there are none. Return: 0 or -errno. */
int gpmm__rings_add(struct dirty_rings *rings, struct dirty_ring *ring,
		    int vcpu_fd);
void gpmm__rings_remove(struct dirty_rings *rings, struct dirty_ring *ring);

/* The planned changes have been made. */
void gpmm__rings_rename(struct dirty_rings *rings, const struct slots *slots);

/* Give all entries to the sink (to nobody where it is empty). */
int gpmm__rings_drain(struct dirty_rings *rings, struct slots *slots,
		      const struct gpmm_dirty_sink *sink);

#endif
