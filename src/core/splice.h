/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One item more, less, or another in a node, and what a parent then keeps of
 * that: in whole cache lines where the CPU has vectors of that length.
 *
 * What a change has stored is copied soon after, in the longest vectors. A load
 * that is longer than a store before it waits until that, and all before it,
 * has reached the cache: so for lines that the readers' CPUs still have. One of
 * the same line as a whole does not. A pair beside a reader takes 169 ns for 238
 * at 8 areas, 379 for 407 at 512 (bench/bench_set_change --quick --only=gpmm,
 * least of four by turns; GPMM_SIMD=avx2 for what it takes without).
 */
#ifndef GPMM_CORE_SPLICE_H
#define GPMM_CORE_SPLICE_H

#include "core/summary.h"

/* An item comes before the one at a place, or that goes, or is replaced. */
enum splice_how { SPLICE_INSERT, SPLICE_REMOVE, SPLICE_REPLACE, SPLICE_HOWS };

/* What it is where @removed items give way to @n, each one at most. */
static inline enum splice_how splice_how(size_t removed, size_t n)
{
	if (!removed)
		return SPLICE_INSERT;
	return n ? SPLICE_REPLACE : SPLICE_REMOVE;
}

struct splice_path {
	/*
	 * @to: @from itself or other memory. @item: what comes. @kept: what the
	 * parent keeps of @from, and receives what it is to keep of @to, but
	 * for the child; NULL: there is no parent.
	 */
	void (*leaf[SPLICE_HOWS])(struct leaf_narrow *to,
				  const struct leaf_narrow *from,
				  unsigned int at, const struct item *item,
				  struct summary *kept);
	/* Child @i becomes @now. The rest as above, and there is a parent. */
	void (*inner)(struct inner_narrow *to, const struct inner_narrow *from,
		      unsigned int i, const struct summary *now,
		      struct summary *kept);
	/*
	 * The same in place, in a node of either size, and nothing is worked
	 * out. @inner: by address, as a copy would be of what was just stored.
	 */
	void (*put_child)(const struct inner_arrays *inner, unsigned int i,
			  const struct summary *now);
	/* In place; there is one for the record. */
	void (*flat[SPLICE_HOWS])(struct leaf_flat *leaf, unsigned int at,
				  const struct item *item);
	/* How many of the keys, or of a tall node's, lie below @query? */
	unsigned int (*count)(const int32_t *key, int32_t query);
	/* The first of it: a key and its place come, and the last go. */
	void (*lanes)(int32_t *key, uint8_t *places, unsigned int at,
		      int32_t new, uint8_t place);
	/* @size: whole cache lines */
	void (*copy)(void *to, const void *from, size_t size);
};

extern const struct splice_path gpmm__splice_any
	__attribute__((visibility("hidden")));
#ifdef __x86_64__
extern const struct splice_path gpmm__splice_avx512
	__attribute__((visibility("hidden")));
#endif

#endif
