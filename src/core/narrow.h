/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looking into a narrow tree's nodes, inlined: most trees are narrow, and a
 * change of one area spent most of its time in asking what class a node is of.
 */
#ifndef GPMM_CORE_NARROW_H
#define GPMM_CORE_NARROW_H

#include "core/btree.h"

/* The first granule of item @i of a leaf that is not wide; false: no such. */
static inline bool narrow_first(enum node_class class, const void *node,
				unsigned int i, uint64_t *first)
{
	const int32_t *key = node;

	if (i == node_cap(class) || key[i] == NARROW_FILLER)
		return false;
	*first = (uint64_t)(key[i] + 1);
	return true;
}

/* gpmm__cursor_first(), inlined where it need not leave a narrow leaf. */
static inline bool cursor_first(const struct gpmm_iter *cursor,
				uint64_t *first)
{
	uintptr_t root = cursor->root;

	if (root_node(root) && !root_is_wide(root) &&
	    narrow_first(narrow_leaf_class(root), cursor->node[0],
			 cursor->at[0], first))
		return true;
	return gpmm__cursor_first(cursor, first);
}

#endif
