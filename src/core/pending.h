/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Areas that a transaction has unmapped, and its tree still holds.
 *
 * Who lays guest memory out anew unmaps areas to map others, or the same, in
 * their places. To take each out and put one in would be two changes of the
 * tree; so the first waits. What then comes into the same place is one change
 * with it, and where it is the very area that was there, there is none: its
 * nodes are neither copied nor retired, and readers keep their lines.
 *
 * The first change of a transaction is made at once, as most make but one, and
 * so is all that is no plain map or unmap, after what is pending.
 *
 * Invariants:
 *  F  each pending area is an item of the tree, a whole one, and the tree is
 *     narrow
 *  G  taking all of them out, in any order, leaves no leaf too small: each is a
 *     change within its leaf, for which nodes are kept
 */
#ifndef GPMM_CORE_PENDING_H
#define GPMM_CORE_PENDING_H

#include "core/btree.h"
#include "core/plan.h"
#include "util/range.h"

struct gpmm_txn;

#define PENDING_CAP	FLAT_CAP

struct pending_area {
	struct gpmm_record record;	/* in the tree */
	size_t dropped;		/* of the plan's: its host, when it is gone */
	bool gone;		/* unmapped; else it is mapped again */
	bool alone;		/* merges with nothing beside it in the tree */
};

struct pending {
	unsigned int len;
	unsigned int at;	/* of them at or below what was asked for */
	unsigned int gone;	/* of them unmapped now */
	bool given_up;		/* in this transaction no more areas wait */
	/* As in a flat leaf: ascending, with fillers. */
	int32_t key[PENDING_CAP] __attribute__((aligned(64)));
	uint8_t place[PENDING_CAP];
	struct pending_area area[PENDING_CAP];
};

static inline bool pending_is_open(const struct pending *pending)
{
	return pending && pending->len;
}

/* Has it been, in this transaction? */
static inline bool pending_was_open(const struct pending *pending)
{
	return pending && (pending->len || pending->given_up);
}

/*
 * Unmap a span: let it wait where it is one area, or make it gone again where
 * that is pending. Where it touches what is pending in another way, all that is
 * applied. Return: as planning it, or PLAN_NOT.
 */
int gpmm__pending_unmap(struct gpmm_txn *txn, struct span span);

/* ---- What follows is for where pending_is_open(). ---- */

/* It does not touch what is pending. */
#define PENDING_NOT	2

/*
 * Map an item in the place of a pending area. Return: as planning it, PLAN_NOT
 * where it is to be planned once what is pending is applied, or PENDING_NOT.
 */
int gpmm__pending_map(struct gpmm_txn *txn, const struct item *item);

/* Take what is gone out of the tree. Cannot fail. */
void gpmm__pending_apply(struct gpmm_txn *txn);

/*
 * The same for want of room for another: if then nothing was mapped over any,
 * the transaction only takes away, and waits no more.
 */
void gpmm__pending_make_room(struct gpmm_txn *txn);

/* Forget what is pending. Precondition: pending_was_open() */
void gpmm__pending_reset(struct gpmm_txn *txn);

#endif
