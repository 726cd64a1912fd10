/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/node.h"

#ifdef GPMM_DOUBLE
unsigned long gpmm__btree_visits;
#endif

unsigned int gpmm__node_count(enum node_class class, const void *node,
			      uint64_t granule)
{
	switch (class) {
	case LEAF_NARROW:
		return narrow_count(node, LEAF_CAP, narrow_at(granule));
	case INNER_NARROW:
		return narrow_count(node, INNER_CAP, narrow_at(granule));
	case LEAF_FLAT:
	case INNER_TALL:
		return narrow_count(node, FLAT_CAP, narrow_at(granule));
	default:
		return wide_count(node, node_len(class, node), granule);
	}
}

static void get_inner_narrow(struct inner_arrays inner, unsigned int i,
			     struct item *item)
{
	item->first = (uint64_t)(inner.key[i] + 1);
	item->last = inner.last[i];
	item->child = inner.child[i];
	item->gap = inner.gap[i];
}

static void get_leaf_wide(const struct leaf_wide *leaf, unsigned int i,
			  struct item *item)
{
	const struct gpmm_record *record = &leaf->record[i].record;

	item->first = leaf->key[i];
	item->last = leaf->record[i].last;
	item->link = record->link;
	item->host = record->host;
	item->backend = record->backend;
	item->flags = record->flags;
}

void gpmm__node_get(enum node_class class, const void *node, unsigned int i,
		    struct item *item)
{
	const struct inner_wide *wide = node;

	switch (class) {
	case LEAF_NARROW:
	case LEAF_FLAT:
		narrow_get(class, node, i, item);
		break;
	case INNER_NARROW:
	case INNER_TALL:
		get_inner_narrow(narrow_arrays(class, node), i, item);
		break;
	case LEAF_WIDE:
		get_leaf_wide(node, i, item);
		break;
	default:
		item->first = wide->key[i];
		item->last = wide->last[i];
		item->child = wide->child[i];
		item->gap = wide->gap[i];
	}
}

static void put_inner_narrow(struct inner_arrays inner, unsigned int i,
			     const struct item *item)
{
	inner.key[i] = (int32_t)item->first - 1;
	inner.last[i] = (uint32_t)item->last;
	inner.child[i] = item->child;
	inner.gap[i] = (uint32_t)item->gap;
}

static void put_leaf_wide(struct leaf_wide *leaf, unsigned int i,
			  const struct item *item)
{
	leaf->key[i] = item->first;
	leaf->record[i] = (struct gpmm_wide_record){
		.record = {
			.last = UINT32_MAX,
			.flags = item->flags,
			.link = item->link,
			.host = item->host,
			.backend = item->backend,
		},
		.last = item->last,
	};
}

void gpmm__node_put(enum node_class class, void *node, unsigned int i,
		    const struct item *item)
{
	struct inner_wide *wide = node;

	switch (class) {
	case LEAF_NARROW:
	case LEAF_FLAT:
		narrow_put((int32_t *)node + i, narrow_record(class, node, i),
			   item);
		break;
	case INNER_NARROW:
	case INNER_TALL:
		put_inner_narrow(narrow_arrays(class, node), i, item);
		break;
	case LEAF_WIDE:
		put_leaf_wide(node, i, item);
		break;
	default:
		wide->key[i] = item->first;
		wide->last[i] = item->last;
		wide->child[i] = item->child;
		wide->gap[i] = item->gap;
	}
}

#define MOVE(member)							\
	memmove(&to->member[at], &from->member[start],			\
		n * sizeof(to->member[0]))

static void move_leaf_narrow(struct leaf_narrow *to, unsigned int at,
			     const struct leaf_narrow *from,
			     unsigned int start, unsigned int n)
{
	MOVE(key);
	MOVE(record);
}

/* To or from a flat leaf, which is another. */
static void copy_leaf_flat(enum node_class class, int32_t *to, unsigned int at,
			   enum node_class from_class, const int32_t *from,
			   unsigned int start, unsigned int n)
{
	memcpy(&to[at], &from[start], n * sizeof(*to));
	for (unsigned int i = 0; i < n; i++)
		*narrow_record(class, to, at + i) =
			*narrow_record(from_class, from, start + i);
}

static void move_leaf_wide(struct leaf_wide *to, unsigned int at,
			   const struct leaf_wide *from, unsigned int start,
			   unsigned int n)
{
	MOVE(key);
	MOVE(record);
}

static void move_inner_narrow(struct inner_arrays to, unsigned int at,
			      struct inner_arrays from, unsigned int start,
			      unsigned int n)
{
	memmove(&to.key[at], &from.key[start], n * sizeof(*to.key));
	memmove(&to.child[at], &from.child[start], n * sizeof(*to.child));
	memmove(&to.gap[at], &from.gap[start], n * sizeof(*to.gap));
	memmove(&to.last[at], &from.last[start], n * sizeof(*to.last));
}

static void move_inner_wide(struct inner_wide *to, unsigned int at,
			    const struct inner_wide *from, unsigned int start,
			    unsigned int n)
{
	MOVE(key);
	MOVE(child);
	MOVE(gap);
	MOVE(last);
}

void gpmm__node_move(enum node_class class, void *to, unsigned int at,
		     enum node_class from_class, const void *from,
		     unsigned int start, unsigned int n)
{
	if (class == LEAF_FLAT || from_class == LEAF_FLAT) {
		copy_leaf_flat(class, to, at, from_class, from, start, n);
		return;
	}
	switch (class) {
	case LEAF_NARROW:
		move_leaf_narrow(to, at, from, start, n);
		break;
	case INNER_NARROW:
	case INNER_TALL:
		move_inner_narrow(narrow_arrays(class, to), at,
				  narrow_arrays(from_class, from), start, n);
		break;
	case LEAF_WIDE:
		move_leaf_wide(to, at, from, start, n);
		break;
	default:
		move_inner_wide(to, at, from, start, n);
	}
}

void gpmm__node_set_len(enum node_class class, void *node, unsigned int len)
{
	struct leaf_flat *flat = node;
	int32_t *key = node;

	switch (class) {
	case LEAF_FLAT:
		flat->used = len;
		flat->len = len;
		flat_end_places(flat);
		/* fall through */
	case LEAF_NARROW:
	case INNER_NARROW:
	case INNER_TALL:
		for (unsigned int i = len; i < node_cap(class); i++)
			key[i] = NARROW_FILLER;
		break;
	case LEAF_WIDE:
		((struct leaf_wide *)node)->len = len;
		break;
	default:
		((struct inner_wide *)node)->len = len;
	}
}

static uint32_t gap_leaf_narrow(const struct leaf_narrow *leaf, int len)
{
	int32_t gap = 0;

	for (int i = 0; i < len - 1; i++) {
		int32_t hole = leaf->key[i + 1] - (int32_t)leaf->record[i].last;

		gap = hole > gap ? hole : gap;
	}
	return (uint32_t)gap;
}

/* Vectors of the compiler's, which has them for every machine. */
typedef int32_t lanes4 __attribute__((vector_size(16)));
typedef uint32_t ulanes4 __attribute__((vector_size(16)));
typedef ulanes4 loose_lanes4 __attribute__((aligned(4), may_alias));

static inline lanes4 max4(lanes4 a, lanes4 b)
{
	lanes4 more = a > b;

	return (a & more) | (b & ~more);
}

/*
 * The largest of four lanes' holes between children and holes inside them,
 * lanes from @len on left out; the hole after the last child counts as none.
 */
static inline lanes4 gap4(struct inner_arrays inner, int i, int len)
{
	lanes4 at = { i, i + 1, i + 2, i + 3 };
	ulanes4 next = *(const loose_lanes4 *)&inner.key[i + 1];
	ulanes4 last = *(const loose_lanes4 *)&inner.last[i];
	ulanes4 gap = *(const loose_lanes4 *)&inner.gap[i];

	return max4((lanes4)(next - last) & (at < len - 1),
		    (lanes4)gap & (at < len));
}

/* This is most of what a change costs above the leaf. The last lane's next
 * key is the first child's address, and left out. */
static uint32_t gap_inner_narrow(struct inner_arrays inner, int len)
{
	lanes4 gap = { 0 };
	int32_t most;

	for (int i = 0; i < len; i += 4)
		gap = max4(gap, gap4(inner, i, len));
	most = gap[0];
	for (int i = 1; i < 4; i++)
		most = gap[i] > most ? gap[i] : most;
	return (uint32_t)most;
}

static uint64_t gap_leaf_wide(const struct leaf_wide *leaf)
{
	uint64_t gap = 0;

	for (unsigned int i = 0; i + 1 < leaf->len; i++) {
		uint64_t hole = leaf->key[i + 1] - leaf->record[i].last - 1;

		gap = hole > gap ? hole : gap;
	}
	return gap;
}

static uint64_t gap_inner_wide(const struct inner_wide *inner)
{
	uint64_t gap = inner->gap[0];

	for (unsigned int i = 0; i + 1 < inner->len; i++) {
		uint64_t hole = inner->key[i + 1] - inner->last[i] - 1;

		gap = hole > gap ? hole : gap;
		gap = inner->gap[i + 1] > gap ? inner->gap[i + 1] : gap;
	}
	return gap;
}

static uint64_t node_gap(enum node_class class, const void *node,
			 unsigned int len)
{
	switch (class) {
	case LEAF_FLAT:
	case INNER_TALL:
		return 0;	/* it has no parent to ask */
	case LEAF_NARROW:
		return gap_leaf_narrow(node, (int)len);
	case INNER_NARROW:
		return gap_inner_narrow(narrow_arrays(class, node), (int)len);
	case LEAF_WIDE:
		return gap_leaf_wide(node);
	default:
		return gap_inner_wide(node);
	}
}

void gpmm__node_summary(enum node_class class, void *node, unsigned int len,
			struct item *item)
{
	struct item end;

	node_visit();
	gpmm__node_get(class, node, 0, &end);
	item->first = end.first;
	gpmm__node_get(class, node, len - 1, &end);
	item->last = end.last;
	item->gap = node_gap(class, node, len);
	item->child = node;
}
