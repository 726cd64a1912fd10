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

/*
 * What there is to a transaction so far. Of one slot all is in
 * slots->changes.at[0], but for the host memory of what was before.
 */
enum txn_kind {
	TXN_EMPTY,
	TXN_SWITCH,	/* a slot's flags, in place; it is planned already */
	TXN_ONE,	/* a slot comes, goes or moves */
	TXN_PIECES,
};

/* Of most transactions the first cache line is all that matters. */
struct kvm_txn {
	struct slots *slots;
	enum txn_kind kind;
	uint32_t flags;		/* of what is switched */
	bool nomerge;		/* of what the one slot becomes */
	struct slot *old;	/* what it is; NULL: it comes */
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
	txn->kind = TXN_EMPTY;
	txn->exchange.hole = false;
	if (__builtin_expect(!slots->lost.count, 1))
		return;
	gpmm__slots_repair(slots);
	if (slots->lost.count)
		txn->kind = TXN_PIECES;
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
 * The same where it is all there is to the transaction so far, and there is a
 * slot that only has its log turned on or off. Return: whether that is so.
 */
bool gpmm__kvm_txn_switch(struct kvm_txn *txn, uint64_t gpa, uint64_t size,
			  uint64_t hva, uint32_t flags, bool nomerge);

/*
 * gpmm__kvm_txn_plan - settle what is to be done
 *
 * Return: 0 with slots->changes and exchange->hole set; -ENOSPC, -ENOMEM.
 */
int gpmm__kvm_txn_plan(struct kvm_txn *txn);

static inline int kvm_txn_plan(struct kvm_txn *txn)
{
	return txn->kind == TXN_SWITCH ? 0 : gpmm__kvm_txn_plan(txn);
}

/* The planned changes have been applied: the new slots take over. */
void gpmm__kvm_txn_done(struct kvm_txn *txn);

static inline void kvm_txn_done(struct kvm_txn *txn)
{
	if (__builtin_expect(txn->kind != TXN_SWITCH, 0)) {
		gpmm__kvm_txn_done(txn);
		return;
	}
	txn->entry->flags = txn->flags;
	txn->old->at.flags = txn->flags;
	txn->old->nomerge = txn->nomerge;
}

/* Forget it: before a plan, or after one that was not applied. */
void gpmm__kvm_txn_drop(struct kvm_txn *txn);

void gpmm__kvm_txn_fini(struct kvm_txn *txn);

#endif
