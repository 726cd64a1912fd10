/* SPDX-License-Identifier: BSD-3-Clause */
#include "kvm/slot_tree.h"

#include <errno.h>

#include "util/alloc.h"

/* xorshift: the shape must be random, not secret. */
static uint32_t next_weight(struct slot_tree *tree)
{
	uint32_t x = tree->seed ? tree->seed : UINT32_C(2463534242);

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return tree->seed = x;
}

/*
 * Cut @root in two: what starts below @gpa, and the rest.
 *
 * Return: the last slot that starts below, or @prev where there is none.
 */
static struct slot *split(struct slot *root, uint64_t gpa, struct slot **below,
			  struct slot **rest, struct slot *prev)
{
	while (root) {
		if (root->at.gpa < gpa) {
			prev = root;
			*below = root;
			below = &root->right;
			root = *below;
		} else {
			*rest = root;
			rest = &root->left;
			root = *rest;
		}
	}
	*below = NULL;
	*rest = NULL;
	return prev;
}

/* All of @low starts below all of @high. */
static struct slot *join(struct slot *low, struct slot *high)
{
	struct slot *root;
	struct slot **link = &root;

	while (low && high) {
		if (low->weight >= high->weight) {
			*link = low;
			link = &low->right;
			low = *link;
		} else {
			*link = high;
			link = &high->left;
			high = *link;
		}
	}
	*link = low ? low : high;
	return root;
}

static struct slot **child(struct slot *slot, uint64_t gpa)
{
	return gpa < slot->at.gpa ? &slot->left : &slot->right;
}

static void link_after(struct slot_tree *tree, struct slot *slot,
		       struct slot *prev)
{
	struct slot **link = prev ? &prev->next : &tree->lowest;

	slot->prev = prev;
	slot->next = *link;
	if (slot->next)
		slot->next->prev = slot;
	*link = slot;
}

static void unlink_slot(struct slot_tree *tree, const struct slot *slot)
{
	*(slot->prev ? &slot->prev->next : &tree->lowest) = slot->next;
	if (slot->next)
		slot->next->prev = slot->prev;
}

void gpmm__slot_insert(struct slot_tree *tree, struct slot *slot)
{
	struct slot **link = &tree->root;
	struct slot *prev = NULL;

	slot->weight = next_weight(tree);
	while (*link && (*link)->weight >= slot->weight) {
		if ((*link)->at.gpa <= slot->at.gpa)
			prev = *link;
		link = child(*link, slot->at.gpa);
	}
	prev = split(*link, slot->at.gpa, &slot->left, &slot->right, prev);
	*link = slot;
	link_after(tree, slot, prev);
	tree->count++;
}

void gpmm__slot_remove(struct slot_tree *tree, struct slot *slot)
{
	struct slot **link = &tree->root;

	while (*link != slot)
		link = child(*link, slot->at.gpa);
	*link = join(slot->left, slot->right);
	unlink_slot(tree, slot);
	if (tree->last == slot)
		tree->last = slot->next;
	tree->count--;
}

static bool is_first(const struct slot *slot, uint64_t addr)
{
	return region_last(&slot->at) >= addr &&
	       (!slot->prev || region_last(&slot->prev->at) < addr);
}

struct slot *gpmm__slot_first(struct slot_tree *tree, uint64_t addr)
{
	struct slot *at = tree->root;
	struct slot *found = NULL;

	if (tree->last && is_first(tree->last, addr))
		return tree->last;
	while (at) {
		if (region_last(&at->at) >= addr) {
			found = at;
			at = at->left;
		} else {
			at = at->right;
		}
	}
	if (found)
		tree->last = found;
	return found;
}

void gpmm__slot_free_all(struct slot_tree *tree)
{
	struct slot *slot;

	while ((slot = tree->lowest)) {
		tree->lowest = slot->next;
		gpmm__free(slot);
	}
	tree->root = NULL;
	tree->last = NULL;
	tree->count = 0;
}

int gpmm__spare_grow(struct spare_slots *spare, size_t count)
{
	while (spare->count < count) {
		struct slot *slot = gpmm__alloc_aligned(64, sizeof(*slot));

		if (!slot)
			return -ENOMEM;
		gpmm__spare_give(spare, slot);
	}
	return 0;
}

void gpmm__spare_shrink(struct spare_slots *spare, size_t count)
{
	while (spare->count > count)
		gpmm__free(gpmm__spare_take(spare));
}
