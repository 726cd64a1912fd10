/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A transaction on slots: nothing is told to KVM until its commit, which
 * compares the ranges it touched before and after. Most change, make, move or
 * delete one slot that is merged with none: as long as there is no more to it,
 * that is a change ready to be made, and the pictures stay empty.
 */
#ifndef GPMM_KVM_TXN_H
#define GPMM_KVM_TXN_H

#include "kvm/slots.h"

/* Of most transactions the first cache line is all that matters. */
struct kvm_txn {
	struct slots *slots;
	/*
	 * All of it is slots->changes.at[0], without the host memory of what
	 * was before; from nothing to nothing is empty.
	 */
	bool single;
	bool nomerge;		/* of what that slot becomes */
	struct slot *old;	/* what it is; NULL: it comes, or is not */
	struct slot_entry *entry;	/* of @old, in the map */
	struct spare_slots spare;
	struct exchange exchange;
	/* The slots of every range touched, as they are in the VM ... */
	struct slot_array before;
	/* ... and as they are to be, in pieces, then put together. */
	struct slot_tree pieces;
	struct slot_array after;
};

static inline void kvm_txn_begin(struct kvm_txn *txn, struct slots *slots)
{
	txn->slots = slots;
	txn->old = NULL;
	slots->changes.at->from.size = 0;
	slots->changes.at->to.size = 0;
	if (slots->lost.count)
		gpmm__slots_repair(slots);
	txn->single = !slots->lost.count;
}

/* Return: 0; -ENOMEM, -EEXIST, -EIO (lost.h), with nothing changed. */
int gpmm__kvm_txn_add(struct kvm_txn *txn, const struct kvm_region *region,
		      bool nomerge);
int gpmm__kvm_txn_cut(struct kvm_txn *txn, uint64_t first, uint64_t last);
/*
 * The same as to cut the region's range and add the region, but whole. Where
 * there are slots the memory is theirs.
 */
int gpmm__kvm_txn_replace(struct kvm_txn *txn, const struct kvm_region *region,
			  bool nomerge);

/*
 * gpmm__kvm_txn_plan - settle what is to be done
 *
 * Return: 0 with slots->changes and exchange->hole set; -ENOSPC, -ENOMEM.
 */
int gpmm__kvm_txn_plan(struct kvm_txn *txn);

/* The planned changes have been applied: the new slots take over. */
void gpmm__kvm_txn_done(struct kvm_txn *txn);

/* Forget it: before a plan, or after one that was not applied. */
void gpmm__kvm_txn_drop(struct kvm_txn *txn);

void gpmm__kvm_txn_fini(struct kvm_txn *txn);

#endif
