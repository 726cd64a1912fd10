/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Entries of a table, in whatever format.
 *
 * Besides what hardware looks at (f->valid), an entry can be: 0, nothing; a
 * leaf without access (f->no_access); and, between a transaction's changes
 * and the end of its flush, pending or stale (table.h, invariant E).
 */
#ifndef GPMM_NESTED_ENTRY_H
#define GPMM_NESTED_ENTRY_H

#include "nested/format.h"
#include "util/range.h"

#define FRAME_SIZE	UINT64_C(4096)
#define ENTRIES		512

static inline unsigned int level_shift(unsigned int level)
{
	return 12 + 9 * (level - 1);
}

static inline uint64_t level_size(unsigned int level)
{
	return UINT64_C(1) << level_shift(level);
}

/* Pairs with entry_store() and entry_swap(): a table is whole once linked. */
static inline uint64_t entry_load(const uint64_t *slot)
{
	return __atomic_load_n(slot, __ATOMIC_ACQUIRE);
}

static inline void entry_store(uint64_t *slot, uint64_t entry)
{
	__atomic_store_n(slot, entry, __ATOMIC_RELEASE);
}

/* False, and *@old as it is now, where hardware has changed the entry. */
static inline bool entry_swap(uint64_t *slot, uint64_t *old, uint64_t new)
{
	return __atomic_compare_exchange_n(slot, old, new, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static inline gpmm_hpa_t entry_addr(const struct nested_format *f,
				    uint64_t entry)
{
	return (entry & f->addr_mask) << f->addr_shift;
}

static inline uint64_t entry_of_addr(const struct nested_format *f,
				     gpmm_hpa_t hpa)
{
	return hpa >> f->addr_shift;
}

static inline bool entry_is_empty(const struct nested_format *f,
				  uint64_t entry)
{
	return !entry || entry == f->stale;
}

/* @level: above 1. @entry: not empty */
static inline bool entry_is_table(const struct nested_format *f,
				  uint64_t entry, unsigned int level)
{
	if (level == 1 || (entry & (f->valid | f->pending)) == 0)
		return false;
	return !((entry ^ f->leaf_invert) & f->leaf_mask);
}

/* Everything of a leaf but its address and what depends on the level. */
static inline uint64_t entry_leaf(const struct nested_format *f,
				  unsigned int level, gpmm_hpa_t hpa,
				  uint64_t bits)
{
	return f->leaf[level] | entry_of_addr(f, hpa) | bits;
}

/*
 * Add accessed and dirty bits. Where dirty is write permission, what may not
 * be written remembers it elsewhere.
 */
static inline uint64_t entry_add_ad(const struct nested_format *f,
				    uint64_t entry, uint64_t ad)
{
	bool writable = ((entry ^ f->perm_invert) >> f->perm_pos[1]) & 1;

	if (f->soft_dirty && (ad & f->dirty) && !writable)
		ad = (ad & ~f->dirty) | f->soft_dirty;
	return entry | ad;
}

/* Accessed and dirty bits, wherever dirty is remembered. */
static inline uint64_t entry_ad(const struct nested_format *f, uint64_t entry)
{
	uint64_t ad = entry & (f->accessed | f->dirty);

	return entry & f->soft_dirty ? ad | f->dirty : ad;
}

/* The leaf @entry of @level cut to one of the next level, @at bytes in. */
static inline uint64_t entry_split(const struct nested_format *f,
				   uint64_t entry, unsigned int level,
				   uint64_t at)
{
	return ((entry & ~f->leaf[level]) | f->leaf[level - 1]) +
	       entry_of_addr(f, at);
}

#endif
