/* SPDX-License-Identifier: BSD-3-Clause */
/* For CPUs without vectors of a cache line. */
#include "core/btree_flat.h"
#include "core/lanes.h"
#include "core/splice.h"

/* The hole from before item @i to @key; nothing is before the first. */
static inline int32_t hole_to(const struct leaf_narrow *leaf, unsigned int i,
			      int32_t key)
{
	return i ? key - (int32_t)leaf->record[i - 1].last : 0;
}

/* The largest hole that ends at one of items [from, to). */
static int32_t leaf_hole(const struct leaf_narrow *leaf, unsigned int from,
			 unsigned int to)
{
	int32_t most = 0;

	for (unsigned int i = from; i < to; i++)
		most = larger(most, hole_to(leaf, i, leaf->key[i]));
	return most;
}

/* The largest hole beside what comes where items [at, b) give way. */
static inline int32_t hole_beside(const struct leaf_narrow *leaf,
				  unsigned int len, unsigned int at,
				  unsigned int b, const struct item *item)
{
	int32_t before;

	if (!item)
		return b < len ? hole_to(leaf, at, leaf->key[b]) : 0;
	before = hole_to(leaf, at, (int32_t)item->first - 1);
	return b < len ? larger(before, leaf->key[b] - (int32_t)item->last) :
			 before;
}

/*
 * Items [at, b) are to give way to @item, if any. The leaf is read before it is
 * written: to read what was just moved would wait for the stores.
 */
static inline void foresee_leaf(const struct leaf_narrow *leaf,
				unsigned int len, unsigned int at,
				unsigned int b, const struct item *item,
				struct summary *kept)
{
	int32_t before = leaf_hole(leaf, at, b < len ? b + 1 : len);
	int32_t after = hole_beside(leaf, len, at, b, item);

	if (!follow_gap(&kept->gap, before, after))
		kept->gap = larger(after,
				   larger(leaf_hole(leaf, 0, at),
					  leaf_hole(leaf, b + 1, len)));
	if (!at)
		kept->key = item ? (int32_t)item->first - 1 : leaf->key[b];
	if (b == len)
		kept->last = (int32_t)(item ? item->last :
					      leaf->record[at - 1].last);
}

static void insert_any(struct leaf_narrow *to, const struct leaf_narrow *from,
		       unsigned int at, const struct item *item,
		       struct summary *kept)
{
	unsigned int len = node_len(LEAF_NARROW, from);
	int32_t key;

	if (kept)
		foresee_leaf(from, len, at, at, item, kept);
	if (to != from)
		node_copy(to->record, from->record, sizeof(to->record));
	memmove(&to->record[at + 1], &from->record[at],
		(len - at) * sizeof(*to->record));
	narrow_put(&key, &to->record[at], item);
	lanes_insert(to->key, from->key, at, key);
}

static void remove_any(struct leaf_narrow *to, const struct leaf_narrow *from,
		       unsigned int at, const struct item *item,
		       struct summary *kept)
{
	unsigned int len = node_len(LEAF_NARROW, from);

	(void)item;
	if (kept)
		foresee_leaf(from, len, at, at + 1, NULL, kept);
	if (to != from)
		node_copy(to->record, from->record, sizeof(to->record));
	memmove(&to->record[at], &from->record[at + 1],
		(len - at - 1) * sizeof(*to->record));
	lanes_remove(to->key, from->key, at);
}

static void replace_any(struct leaf_narrow *to, const struct leaf_narrow *from,
			unsigned int at, const struct item *item,
			struct summary *kept)
{
	if (kept)
		foresee_leaf(from, node_len(LEAF_NARROW, from), at, at + 1,
			     item, kept);
	if (to != from)
		node_copy(to, from, sizeof(*to));
	narrow_put(&to->key[at], &to->record[at], item);
}

/* What stays is not stored: the next search would wait (map_one(), plan.c). */
static void put_child_any(const struct inner_arrays *inner, unsigned int i,
			  const struct summary *now)
{
	inner->child[i] = now->child;
	if (inner->key[i] != now->key)
		inner->key[i] = now->key;
	if (inner->last[i] != (uint32_t)now->last)
		inner->last[i] = (uint32_t)now->last;
	if (inner->gap[i] != (uint32_t)now->gap)
		inner->gap[i] = (uint32_t)now->gap;
}

/* The largest hole inside and between children [from, to). */
static int32_t holes_of(const struct inner_narrow *inner, unsigned int from,
			unsigned int to)
{
	int32_t most = 0;

	for (unsigned int i = from;
	     i < to && inner->key[i] != NARROW_FILLER; i++) {
		most = larger(most, (int32_t)inner->gap[i]);
		if (i > from)
			most = larger(most, inner->key[i] -
					    (int32_t)inner->last[i - 1]);
	}
	return most;
}

static void inner_any(struct inner_narrow *to, const struct inner_narrow *from,
		      unsigned int i, const struct summary *now,
		      struct summary *kept)
{
	const struct inner_arrays arrays = narrow_arrays(INNER_NARROW, to);

	/* Read before it is written, as above. */
	if (!follow_child(from, i, now, kept))
		kept->gap = larger(hole_about(from, i, now->key, now->last,
					      now->gap),
				   larger(holes_of(from, 0, i),
					  holes_of(from, i + 1, INNER_CAP)));
	if (to != from)
		node_copy(to, from, sizeof(*to));
	put_child_any(&arrays, i, now);
}

static void flat_insert_any(struct leaf_flat *leaf, unsigned int at,
			    const struct item *item)
{
	flat_open(leaf, leaf, at, at, 1);
	flat_put(leaf, at, item);
}

static void flat_remove_any(struct leaf_flat *leaf, unsigned int at,
			    const struct item *item)
{
	(void)item;
	flat_open(leaf, leaf, at, at + 1, 0);
}

/* Of four lines, only one is searched. */
static unsigned int count_any(const int32_t *key, int32_t query)
{
	unsigned int line = (unsigned int)(key[15] < query) +
			    (key[31] < query) + (key[47] < query);

	return line * 16 + narrow_count(&key[line * 16], 16, query);
}

static void lanes_any(int32_t *key, uint8_t *places, unsigned int at,
		      int32_t new, uint8_t place)
{
	unsigned int behind = FLAT_CAP - 1 - at;

	memmove(&key[at + 1], &key[at], behind * sizeof(*key));
	memmove(&places[at + 1], &places[at], behind);
	key[at] = new;
	places[at] = place;
}

static void copy_any(void *to, const void *from, size_t size)
{
	memcpy(to, from, size);
}

const struct splice_path gpmm__splice_any = {
	.leaf = { insert_any, remove_any, replace_any },
	.inner = inner_any,
	.put_child = put_child_any,
	.flat = { flat_insert_any, flat_remove_any, flat_put },
	.count = count_any,
	.lanes = lanes_any,
	.copy = copy_any,
};
