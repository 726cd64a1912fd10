/* SPDX-License-Identifier: BSD-3-Clause */
/* Flat leaves, each a whole tree, and the blocks that their records are in. */
#ifndef GPMM_CORE_BTREE_FLAT_H
#define GPMM_CORE_BTREE_FLAT_H

#include "core/btree.h"

/*
 * A new leaf with a block of its own, in which the records lie in order.
 * Both are reserved.
 */
void *gpmm__flat_make(struct btree *tree);

/* Is there no place left for @n more records? */
static inline bool flat_needs_block(const struct leaf_flat *leaf, size_t n)
{
	return leaf->used + n > FLAT_PLACES;
}

/* The leaf with items [a, b) gone and room for @n in their place. */
static ALWAYS_INLINE void flat_open(struct leaf_flat *to,
				    const struct leaf_flat *from,
				    unsigned int a, unsigned int b,
				    unsigned int n)
{
	unsigned int len = from->len, behind = len - b;

	if (to != from)
		memcpy(to, from, sizeof(*to));
	to->len = a + n + behind;
	if (a + n != b) {
		memmove(&to->key[a + n], &from->key[b],
			behind * sizeof(*to->key));
		memmove(&to->place[a + n], &from->place[b], behind);
	}
	for (unsigned int i = to->len; i < len; i++)
		to->key[i] = NARROW_FILLER;
}

/* An item comes where there is room. Its record has a place nobody looks at. */
static inline void flat_put(struct leaf_flat *leaf, unsigned int i,
			    const struct item *item)
{
	leaf->place[i] = (uint8_t)leaf->used++;
	narrow_put(&leaf->key[i], flat_record(leaf, i), item);
}

/* gpmm__btree_reserve_local() of a flat leaf, once it is known to fit. */
int gpmm__flat_reserve(struct btree *tree, const struct local_change *change);

/* Make the change that was reserved. Return: the leaf, or its copy. */
void *gpmm__flat_change(struct btree *tree, const struct local_change *change);

#endif
