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

/* gpmm__btree_reserve_local() of a flat leaf, once it is known to fit. */
int gpmm__flat_reserve(struct btree *tree, const struct local_change *change);

/* Make the change that was reserved. Return: the leaf, or its copy. */
void *gpmm__flat_change(struct btree *tree, const struct local_change *change);

#endif
