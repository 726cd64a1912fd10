/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an inner node of a narrow tree keeps of a child, and how it follows from
 * a change of the child. Only where the largest hole may have shrunk is the
 * whole node scanned; AVX-512 scans each node that it copies.
 */
#ifndef GPMM_CORE_SUMMARY_H
#define GPMM_CORE_SUMMARY_H

#include "core/node.h"

/* @gap in granules, as key - last is. */
struct summary {
	void *child;
	int32_t key;
	int32_t last;
	int32_t gap;
};

static inline int32_t larger(int32_t a, int32_t b)
{
	return a > b ? a : b;
}

/* What a parent is to keep of a leaf of @len items, but for @child. */
static inline void summarize_leaf(const struct leaf_narrow *leaf,
				  unsigned int len, struct summary *kept)
{
	int32_t gap = 0;

	for (unsigned int i = 1; i < len; i++)
		gap = larger(gap, leaf->key[i] -
				  (int32_t)leaf->record[i - 1].last);
	kept->key = leaf->key[0];
	kept->last = (int32_t)leaf->record[len - 1].last;
	kept->gap = gap;
}

/*
 * Some holes of a node change, of which @before is the largest and @after will
 * be. Return: false where its largest hole, @gap, could not be told from that,
 * and is as before.
 */
static inline bool follow_gap(int32_t *gap, int32_t before, int32_t after)
{
	if (after >= *gap)
		*gap = after;
	else if (before == *gap)
		return false;
	return true;
}

static inline bool is_last(const struct inner_narrow *inner, unsigned int i)
{
	return i + 1 == INNER_CAP || inner->key[i + 1] == NARROW_FILLER;
}

/* The largest hole inside and beside child @i, of such a key, last and gap. */
static inline int32_t hole_about(const struct inner_narrow *inner,
				 unsigned int i, int32_t key, int32_t last,
				 int32_t gap)
{
	if (i)
		gap = larger(gap, key - (int32_t)inner->last[i - 1]);
	if (!is_last(inner, i))
		gap = larger(gap, inner->key[i + 1] - last);
	return gap;
}

/*
 * Child @i is to be @now: bring @kept up to date. Return: as follow_gap(); key
 * and last are right in any case.
 */
static inline bool follow_child(const struct inner_narrow *inner,
				unsigned int i, const struct summary *now,
				struct summary *kept)
{
	int32_t before = hole_about(inner, i, inner->key[i],
				    (int32_t)inner->last[i],
				    (int32_t)inner->gap[i]);
	int32_t after = hole_about(inner, i, now->key, now->last, now->gap);

	if (!i)
		kept->key = now->key;
	if (is_last(inner, i))
		kept->last = now->last;
	return follow_gap(&kept->gap, before, after);
}

#endif
