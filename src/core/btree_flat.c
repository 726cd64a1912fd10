/* SPDX-License-Identifier: BSD-3-Clause */
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

static bool needs_block(const struct leaf_flat *leaf, size_t n)
{
	return leaf->used + n > FLAT_PLACES;
}

int gpmm__flat_reserve(struct btree *tree, const struct local_change *change)
{
	bool block = needs_block(change->way->node[0], change->n);
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

/* The leaf with items [a, b) gone and room for @n in their place. */
static void open_up(struct leaf_flat *to, const struct leaf_flat *from,
		    unsigned int a, unsigned int b, unsigned int n)
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

/* Records stay where they are; new ones come into places nobody looks at. */
void *gpmm__flat_change(struct btree *tree, const struct local_change *change)
{
	struct leaf_flat *from = change->way->node[0], *to = from;
	unsigned int n = (unsigned int)change->n, a = change->place;

	node_visit();
	if (change->shared) {
		node_list_add(&tree->retired, from);
		to = gpmm__pool_take(tree->pool, LEAF_FLAT, tree->stamp);
	}
	open_up(to, from, a, a + (unsigned int)change->removed, n);
	if (needs_block(to, n))
		renew_block(tree, to, a, a + n);
	for (unsigned int i = 0; i < n; i++) {
		to->place[a + i] = (uint8_t)to->used++;
		narrow_put(&to->key[a + i], flat_record(to, a + i),
			   &change->items[i]);
	}
	return to;
}
