/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Windows: areas without memory that have an owner. The backend remembers
 * where they are for the hooks (hook.h) that follow them. Called with the
 * backend's lock held.
 *
 * They are changed as the transaction tells of them, with a journal beside
 * it: a rollback takes nodes that were kept for it, and so cannot fail.
 */
#ifndef GPMM_KVM_WINDOW_H
#define GPMM_KVM_WINDOW_H

#include "kvm/slot_tree.h"
#include "util/vec.h"

struct gpmm_kvm_hook;

/* An owner with hooks. */
struct window_owner {
	struct window_owner *next;
	void *owner;
	struct gpmm_kvm_hook *hooks;
	uint64_t mapped;	/* bytes of it */
	uint64_t lowest;	/* address; the last there was */
	bool known;		/* there has been any */
	/* Of this transaction: */
	bool touched;
	bool lifted;		/* at a time nothing was mapped */
	uint64_t from;		/* what it maps does not lie below */
	uint64_t new_lowest;
	uint64_t distance;	/* that it moves, modulo 2^64 */
};

struct window_edit {
	uint64_t gpa;
	uint64_t size;
	void *owner;
	bool mapped;		/* else unmapped */
};

struct windows {
	VEC(struct window_edit) journal;
	struct slot_tree tree;	/* at.hva is the owner */
	struct spare_slots spare;
	size_t unmapped;	/* edits of the journal that unmap */
	struct window_owner *owners;
};

void gpmm__windows_fini(struct windows *windows);

/* Return: 0 or -ENOMEM with nothing changed. */
int gpmm__window_map(struct windows *windows, uint64_t gpa, uint64_t size,
		     void *owner);
int gpmm__window_unmap(struct windows *windows, uint64_t gpa, uint64_t size,
		       void *owner);

/* The owner, made where it has no hooks yet; NULL: no memory. */
struct window_owner *gpmm__window_owner(struct windows *windows, void *owner);
/* Forget it: it has no hooks. */
void gpmm__window_owner_drop(struct windows *windows,
			     struct window_owner *owner);

/* Where a transaction has moved a touched owner to, as far as it got. */
void gpmm__window_settle(struct windows *windows,
			 struct window_owner *owner);

/*
 * The first stretch at or above *@first, up to @last, that is the owner's:
 * becomes [*@first, *@end]. Return: whether there is one.
 */
bool gpmm__window_next(struct windows *windows,
		       const struct window_owner *owner, uint64_t *first,
		       uint64_t last, uint64_t *end);

/* The end of a transaction: it holds, or all is as it was before. */
void gpmm__windows_done(struct windows *windows);
void gpmm__windows_drop(struct windows *windows);

#endif
