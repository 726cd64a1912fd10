/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Slots in the order of their guest addresses, for transactions and windows: a
 * treap, so that a change costs a short walk and allocates nothing, and a
 * list, so that the next one costs none. Slots of a tree never overlap. Those
 * of the VM are in a map (slot_map.h).
 */
#ifndef GPMM_KVM_SLOT_TREE_H
#define GPMM_KVM_SLOT_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kvm/kvm_sys.h"

struct slot {
	/* A cache line: what those of the VM have. */
	struct kvm_region at;
	uint32_t id;		/* the slot's number in the VM */
	bool nomerge;		/* of an area with GPMM_NOMERGE */
	bool taken;		/* a transaction has its copy of it */
	bool missing;		/* the VM lacks it: an undo failed (lost.h) */
	struct slot *match;	/* in a plan: the same slot before or after */
	struct slot *waiter;	/* and which waits for this to have moved */
	/* What those of a tree have besides. */
	struct slot *left;
	struct slot *right;
	struct slot *prev;
	struct slot *next;
	uint32_t weight;
};

struct slot_tree {
	struct slot *root;
	struct slot *lowest;
	struct slot *last;	/* found; changes stay near each other */
	size_t count;
	uint32_t seed;
};

static inline uint64_t region_last(const struct kvm_region *region)
{
	return region->gpa + (region->size - 1);
}

static inline bool region_overlaps(const struct kvm_region *a,
				   const struct kvm_region *b)
{
	return a->gpa <= region_last(b) && b->gpa <= region_last(a);
}

void gpmm__slot_insert(struct slot_tree *tree, struct slot *slot);
void gpmm__slot_remove(struct slot_tree *tree, struct slot *slot);

/* Return: the first slot that ends at or above @addr, or NULL. */
struct slot *gpmm__slot_first(struct slot_tree *tree, uint64_t addr);

/* Free every slot of the tree, which is empty afterwards. */
void gpmm__slot_free_all(struct slot_tree *tree);

/* Nodes at hand for what must not fail, by @match. */
struct spare_slots {
	struct slot *first;
	size_t count;
};

int gpmm__spare_grow(struct spare_slots *spare, size_t count);

/* Have @count nodes. Return: 0 or -ENOMEM. */
static inline int spare_have(struct spare_slots *spare, size_t count)
{
	return count <= spare->count ? 0 : gpmm__spare_grow(spare, count);
}

static inline struct slot *gpmm__spare_take(struct spare_slots *spare)
{
	struct slot *slot = spare->first;

	spare->first = slot->match;
	spare->count--;
	return slot;
}

static inline void gpmm__spare_give(struct spare_slots *spare,
				    struct slot *slot)
{
	slot->match = spare->first;
	spare->first = slot;
	spare->count++;
}

/* Free all but @count, where there are more. */
void gpmm__spare_shrink(struct spare_slots *spare, size_t count);

/* The double keeps none, so that each transaction's allocations can fail. */
#ifdef GPMM_DOUBLE
#define SPARE_KEPT 0
#else
#define SPARE_KEPT 16
#endif

/* Free all but a few that the next transaction will want. */
static inline void spare_trim(struct spare_slots *spare)
{
	if (spare->count > SPARE_KEPT)
		gpmm__spare_shrink(spare, SPARE_KEPT);
}

#endif
