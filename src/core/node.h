/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nodes of the tree: their layout and the few moves that know it.
 *
 * A tree is narrow as long as everything in it lies in the first 2^31
 * granules (8 TiB of 4 KiB pages): keys are 32 bits, and one cache line holds
 * all of a leaf's. Above that it is wide, with 64-bit keys. Leaves and inner
 * nodes of both forms make four classes; everything outside this file and
 * find_body.h works with items and is told the class.
 *
 * Narrow keys hold the first granule minus 1, and unused lanes the largest
 * key: the number of keys below a query is then the number of items that start
 * at or before it, without masks. The largest query is not above the filler.
 *
 * A narrow tree's top may be larger than other nodes, as a scan of 64 keys
 * costs less than one more level: a flat leaf has four times a leaf's items, a
 * tall node twice an inner node's.
 *
 * To copy all of a flat leaf's records with every change would be to write 32
 * cache lines, and readers would lose as many. So they stand apart in a block
 * that the versions of a leaf share, each at a place of its own: a change takes
 * places that no version before it has, until there are no more of them and the
 * block is copied.
 */
#ifndef GPMM_CORE_NODE_H
#define GPMM_CORE_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <gpmm/hit.h>

#include "util/inline.h"

#define NARROW_LAST	((uint64_t)INT32_MAX)	/* highest granule */
#define NARROW_FILLER	INT32_MAX

enum {
	LEAF_CAP = 16,
	FLAT_CAP = 64,
	FLAT_PLACES = 160,	/* of a flat leaf's block */
	INNER_CAP = 32,
	TALL_CAP = 64,
	/* Fewer than these, off the right edge, and a node is mended. */
	LEAF_MIN = 7,
	INNER_MIN = 10,
};

enum node_class {
	LEAF_NARROW,
	INNER_NARROW,
	LEAF_WIDE,
	INNER_WIDE,
	LEAF_FLAT,
	INNER_TALL,
	RECORD_BLOCK,	/* of a flat leaf, and no node by itself */
	NODE_CLASSES,
};

/*
 * What a node holds: an area (leaf) or a subtree (inner), in granules, last
 * inclusive. An area's @link is its host address minus its guest address, in
 * bytes, or where it has no host memory its owner.
 */
struct item {
	uint64_t first;
	uint64_t last;
	union {
		struct {
			uint64_t link;
			struct gpmm_host *host;
			struct gpmm_backend *backend;
			uint32_t flags;
			/* Of a plan's items only, see plan.h. */
			bool touched;
			bool carried;
		};
		struct {
			void *child;
			uint64_t gap;	/* the largest hole inside */
		};
	};
};

struct leaf_narrow {
	int32_t key[LEAF_CAP];
	struct gpmm_record record[LEAF_CAP];
};

struct inner_narrow {
	int32_t key[INNER_CAP];
	void *child[INNER_CAP];
	uint32_t gap[INNER_CAP];
	uint32_t last[INNER_CAP];
};

struct inner_tall {
	int32_t key[TALL_CAP];
	void *child[TALL_CAP];
	uint32_t gap[TALL_CAP];
	uint32_t last[TALL_CAP];
};

struct record_block {
	struct gpmm_record record[FLAT_PLACES];
};

struct leaf_flat {
	int32_t key[FLAT_CAP];
	/*
	 * Of each item's record in the block. Unused lanes have one below
	 * @used, too: a search for a hole reads four records at a time, and
	 * those above may be being written.
	 */
	uint8_t place[FLAT_CAP];
	struct record_block *block;
	uint32_t used;		/* no version has the places from here on */
	uint32_t len;
} __attribute__((aligned(64)));	/* whole cache lines: see splice.h */

struct leaf_wide {
	uint64_t key[LEAF_CAP];
	struct gpmm_wide_record record[LEAF_CAP];
	uint32_t len;
};

struct inner_wide {
	uint64_t key[INNER_CAP];
	void *child[INNER_CAP];
	uint64_t gap[INNER_CAP];
	uint64_t last[INNER_CAP];
	uint32_t len;
};

_Static_assert(sizeof(struct leaf_narrow) == 576, "nine cache lines");
_Static_assert(TALL_CAP == FLAT_CAP, "one count does for both");
_Static_assert(sizeof(struct inner_narrow) == 640, "ten cache lines");

#ifdef GPMM_DOUBLE
/* Nodes looked at, by readers and writers, since a test cleared it. */
extern unsigned long gpmm__btree_visits;
#define node_visit()	((void)gpmm__btree_visits++)
#else
#define node_visit()	((void)0)
#endif

static inline struct gpmm_record *flat_record(const struct leaf_flat *leaf,
					      size_t i)
{
	return &leaf->block->record[leaf->place[i]];
}

/* Places for the unused lanes, once the length is known. */
static inline void flat_end_places(struct leaf_flat *leaf)
{
	memset(&leaf->place[leaf->len], 0, FLAT_CAP - leaf->len);
}

static inline void narrow_put(int32_t *key, struct gpmm_record *record,
			      const struct item *item)
{
	*key = (int32_t)item->first - 1;
	*record = (struct gpmm_record){
		.last = (uint32_t)item->last,
		.flags = item->flags,
		.link = item->link,
		.host = item->host,
		.backend = item->backend,
	};
}

/* Of a narrow leaf, flat or not. */
static inline struct gpmm_record *narrow_record(enum node_class class,
						const void *leaf, size_t i)
{
	if (class == LEAF_FLAT)
		return flat_record(leaf, i);
	return &((struct leaf_narrow *)leaf)->record[i];
}

static inline void narrow_get(enum node_class class, const void *leaf,
			      unsigned int i, struct item *item)
{
	const struct gpmm_record *record = narrow_record(class, leaf, i);

	item->first = (uint64_t)(((const int32_t *)leaf)[i] + 1);
	item->last = record->last;
	item->link = record->link;
	item->host = record->host;
	item->backend = record->backend;
	item->flags = record->flags;
}

static inline enum node_class node_class(bool wide, unsigned int height)
{
	return (wide ? LEAF_WIDE : LEAF_NARROW) + (height > 0);
}

static inline bool node_is_inner(enum node_class class)
{
	return class & 1;
}

static inline bool node_is_wide(enum node_class class)
{
	return class & 2;
}

static inline unsigned int node_cap(enum node_class class)
{
	if (class == LEAF_FLAT)
		return FLAT_CAP;
	if (class == INNER_TALL)
		return TALL_CAP;
	return node_is_inner(class) ? INNER_CAP : LEAF_CAP;
}

static inline unsigned int node_min(enum node_class class)
{
	return node_is_inner(class) ? INNER_MIN : LEAF_MIN;
}

static inline size_t node_size(enum node_class class)
{
	static const uint16_t size[NODE_CLASSES] = {
		sizeof(struct leaf_narrow),
		sizeof(struct inner_narrow),
		(sizeof(struct leaf_wide) + 63) / 64 * 64,
		(sizeof(struct inner_wide) + 63) / 64 * 64,
		sizeof(struct leaf_flat),
		sizeof(struct inner_tall),
		sizeof(struct record_block),
	};

	return size[class];
}

/* The query that counts narrow keys of items at or before @granule. */
static inline int32_t narrow_at(uint64_t granule)
{
	return granule > NARROW_LAST ? NARROW_FILLER : (int32_t)granule;
}

/* How many narrow keys lie below @query. The keys ascend. */
static inline unsigned int narrow_count_portable(const int32_t *key,
						 unsigned int lanes,
						 int32_t query)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < lanes; i++)
		count += key[i] < query;
	return count;
}

#ifdef __SSE2__
/* One bit for each of 16 keys, set where it lies below. */
static inline uint32_t narrow_below16(const int32_t *key, __m128i query)
{
	const __m128i *keys = (const __m128i *)key;
	__m128i low = _mm_packs_epi32(
			_mm_cmpgt_epi32(query, _mm_load_si128(keys)),
			_mm_cmpgt_epi32(query, _mm_load_si128(keys + 1)));
	__m128i high = _mm_packs_epi32(
			_mm_cmpgt_epi32(query, _mm_load_si128(keys + 2)),
			_mm_cmpgt_epi32(query, _mm_load_si128(keys + 3)));

	return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(low, high));
}

/* Keys ascend, so the lanes below are the lowest: count trailing ones. */
static inline unsigned int narrow_count(const int32_t *key, unsigned int lanes,
					int32_t query)
{
	__m128i q = _mm_set1_epi32(query);
	uint64_t mask = narrow_below16(key, q);

	if (lanes > 16)
		mask |= (uint64_t)narrow_below16(key + 16, q) << 16;
	if (lanes > 32) {
		mask |= (uint64_t)narrow_below16(key + 32, q) << 32;
		mask |= (uint64_t)narrow_below16(key + 48, q) << 48;
	}
	return ~mask ? (unsigned int)__builtin_ctzll(~mask) : 64;
}
#else
#define narrow_count	narrow_count_portable
#endif

/* How many of @len wide keys are at or below @query. */
static inline unsigned int wide_count(const uint64_t *key, unsigned int len,
				      uint64_t query)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < len; i++)
		count += key[i] <= query;
	return count;
}

/*
 * Copy a node. By the C library, whose vectors are the widest: gcc would make
 * four times as many stores of it where it knows the size (single.c says why
 * that counts).
 */
static inline void node_copy(void *to, const void *from, size_t size)
{
	__asm__("" : "+r" (size));
	memcpy(to, from, size);
}

/* How many items of the node start at or before @granule. */
unsigned int gpmm__node_count(enum node_class class, const void *node,
			      uint64_t granule);

static inline unsigned int node_len(enum node_class class, const void *node)
{
	switch (class) {
	case LEAF_NARROW:
		return narrow_count(node, LEAF_CAP, NARROW_FILLER);
	case INNER_NARROW:
		return narrow_count(node, INNER_CAP, NARROW_FILLER);
	case INNER_TALL:
		return narrow_count(node, TALL_CAP, NARROW_FILLER);
	case LEAF_FLAT:
		return ((const struct leaf_flat *)node)->len;
	case LEAF_WIDE:
		return ((const struct leaf_wide *)node)->len;
	default:
		return ((const struct inner_wide *)node)->len;
	}
}

/* Whole cache lines: of a narrow leaf those that are used. */
static inline size_t leaf_bytes(const struct leaf_narrow *leaf)
{
	size_t records = node_len(LEAF_NARROW, leaf) *
			 sizeof(struct gpmm_record);

	return sizeof(leaf->key) + ((records + 63) & ~(size_t)63);
}

static inline void *node_child(enum node_class class, const void *node,
			       unsigned int i)
{
	if (class == INNER_NARROW)
		return ((const struct inner_narrow *)node)->child[i];
	if (class == INNER_TALL)
		return ((const struct inner_tall *)node)->child[i];
	return ((const struct inner_wide *)node)->child[i];
}

/* The arrays of a narrow inner node, tall or not. */
struct inner_arrays {
	int32_t *key;
	void **child;
	uint32_t *gap;
	uint32_t *last;
};

static inline struct inner_arrays narrow_arrays(enum node_class class,
						const void *node)
{
	struct inner_narrow *inner = (struct inner_narrow *)node;
	struct inner_tall *tall = (struct inner_tall *)node;

	if (class == INNER_TALL)
		return (struct inner_arrays){ tall->key, tall->child,
					      tall->gap, tall->last };
	return (struct inner_arrays){ inner->key, inner->child, inner->gap,
				      inner->last };
}

void gpmm__node_get(enum node_class class, const void *node, unsigned int i,
		    struct item *item);
void gpmm__node_put(enum node_class class, void *node, unsigned int i,
		    const struct item *item);

/*
 * Copy @n items, which may overlap; lengths are left alone. The two classes
 * are the same, or both narrow leaves, or both narrow inner nodes. A flat leaf
 * that they go to is new.
 */
void gpmm__node_move(enum node_class class, void *to, unsigned int at,
		     enum node_class from_class, const void *from,
		     unsigned int start, unsigned int n);

/* Say how many items a node has now; a flat leaf is new. */
void gpmm__node_set_len(enum node_class class, void *node, unsigned int len);

/*
 * What a parent keeps of @node, which is not empty. The caller knows its
 * length: to count it from keys just written would stall on their stores.
 */
void gpmm__node_summary(enum node_class class, void *node, unsigned int len,
			struct item *item);

#endif
