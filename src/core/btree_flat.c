/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>

#include "core/btree_flat.h"

void *gpmm__flat_make(struct btree *tree)
{
	struct leaf_flat *leaf = gpmm__pool_take(tree->pool, LEAF_FLAT,
						 tree->stamp);

	leaf->block = gpmm__pool_take(tree->pool, RECORD_BLOCK, tree->stamp);
	for (unsigned int i = 0; i < FLAT_CAP; i++)
		leaf->place[i] = (uint8_t)i;
	return leaf;
}

int gpmm__flat_reserve(struct btree *tree, const struct local_change *change)
{
	bool block = flat_needs_block(change->way->node[0], change->n);
	int ret = pool_reserve(tree->pool, LEAF_FLAT, change->shared);

	return ret ? ret : btree_reserve_nodes(tree, RECORD_BLOCK, block);
}

/* A new block for a leaf, without records of items [a, b). */
static void renew_block(struct btree *tree, struct leaf_flat *leaf,
			unsigned int a, unsigned int b)
{
	struct record_block *block = gpmm__pool_take(tree->pool, RECORD_BLOCK,
						     tree->stamp);

	leaf->used = 0;
	for (unsigned int i = 0; i < leaf->len; i++) {
		if (i >= a && i < b)
			continue;
		block->record[leaf->used] = *flat_record(leaf, i);
		leaf->place[i] = (uint8_t)leaf->used++;
	}
	flat_end_places(leaf);
	btree_release_one(tree, leaf->block);
	leaf->block = block;
}

/* Records stay where they are; new ones come into places nobody looks at. */
void *gpmm__flat_change(struct btree *tree, const struct local_change *change)
{
	struct leaf_flat *from = change->way->node[0], *to = from;
	unsigned int n = (unsigned int)change->n, a = change->place;

	assert(!change->gone);
	node_visit();
	if (change->shared) {
		node_list_add(&tree->retired, from);
		to = gpmm__pool_take(tree->pool, LEAF_FLAT, tree->stamp);
	}
	flat_open(to, from, a, a + (unsigned int)change->removed, n);
	if (flat_needs_block(to, n))
		renew_block(tree, to, a, a + n);
	for (unsigned int i = 0; i < n; i++)
		flat_put(to, a + i, &change->items[i]);
	return to;
}
