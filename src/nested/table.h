/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine's inside.
 *
 * Invariants, outside of a commit (gpmm_nested_validate() checks them):
 *  A  Every table but the root has an entry that is not empty.
 *  B  Unless collapsing is off, no table's leaves could be one large leaf.
 *  C  Every entry is 0, a leaf without access, or what the format allows:
 *     no reserved bit, aligned, within the width, a permission and a memory
 *     type that the format can say.
 *  D  Frames: tables + owned is what can be reached, each once; none of the
 *     limbo's can be reached.
 *  E  No entry is stale or pending. (Formats with break_before_make only, in
 *     a commit: stale was valid, and caches may still hold it; pending is
 *     what will be made valid once the flush has returned.)
 *  F  A leaf with the owned bit is 4 KiB, in a lazy range. Lazy ranges are
 *     ascending, disjoint, and differ where they touch.
 *  G  limbo_cap is at least tables + owned + pool + limbo_len, so that a
 *     frame can always be retired without allocating.
 *
 * LOCKING: lock guards all but what walkers read: root, f, ops and what is
 * made from them (constant) and the entries themselves (entry_load()).
 * drain_lock is taken before lock and keeps the first entries of the limbo
 * where they are during a grace period.
 */
#ifndef GPMM_NESTED_TABLE_H
#define GPMM_NESTED_TABLE_H

#include <gpmm/nested.h>

#include "nested/entry.h"
#include "nested/format.h"
#include "util/lock.h"
#include "util/range.h"
#include "util/worker.h"

enum op_kind { OP_MAP, OP_UNMAP, OP_PROTECT };

/* A change, planned by the call and made by commit. */
struct nested_op {
	enum op_kind kind;
	struct span span;
	gpmm_hpa_t hpa;		/* map */
	uint32_t flags;		/* map, protect */
	uint64_t bits;		/* of the new leaves, without their address */
	unsigned int max_leaf;	/* highest level of leaf it leaves behind */
};

struct lazy {
	struct span span;
	uint32_t flags;
};

/* A leaf with all permissions and write-back memory: it has @bits of @test. */
struct usual_leaf {
	uint64_t test, bits;
};

struct gpmm_nested {
	struct gpmm_backend backend;
	struct nested_format f;
	/* For the walk, made from the format and the options. */
	struct usual_leaf usual[FORMAT_LEVELS + 1];	/* by level */
	uint32_t usual_flags;
	bool plain;		/* a table is at its address + va_offset */
	struct gpmm_nested_ops ops;
	void *ctx;
	uint64_t va_offset;
	uint64_t *root;
	gpmm_hpa_t root_hpa;
	unsigned int root_order;
	bool collapse;
	size_t limbo_max;

	struct lock drain_lock;
	struct lock lock;

	/* The transaction. */
	bool open;			/* by gpmm_nested_begin() */
	bool committed;			/* by a set, not yet published */
	bool undoing;			/* a set, which has not published */
	struct nested_op *edits;
	size_t edit_count, edit_cap;
	struct span hull;		/* of all edits */
	bool maps_first, maps_last;	/* a map is at the hull's edge */
	bool unfinished;		/* something is stale or pending */
	struct span changed;		/* by the edit being made */
	bool has_changed;
	struct gpmm_range flush[GPMM_NESTED_FLUSH_MAX];
	size_t flush_count;		/* above the maximum: all */

	size_t tables, owned;
	size_t pool_len;	/* frames reserved for the transaction */
	/*
	 * Frames retired, to be freed after the flush and a grace period;
	 * the pool at its end.
	 */
	gpmm_hpa_t *limbo;
	size_t limbo_len, limbo_cap;
	uint64_t flushes;
	/* A set's changes may not wait: the worker drains for them. */
	struct work drain;
	bool has_worker, draining;

	struct lazy *lazy;
	size_t lazy_len, lazy_cap;
};

static inline uint64_t *table_va(const struct gpmm_nested *t, gpmm_hpa_t hpa)
{
	if (t->ops.va)
		return t->ops.va(t->ctx, hpa);
	return (uint64_t *)(uintptr_t)(hpa + t->va_offset);
}

static inline uint64_t *table_of(const struct gpmm_nested *t, uint64_t entry)
{
	return table_va(t, entry_addr(&t->f, entry));
}

/* The root's index needs no mask: a gpa's width is the table's. */
static inline unsigned int table_index(const struct gpmm_nested *t,
				       uint64_t gpa, unsigned int level)
{
	uint64_t index = gpa >> level_shift(level);

	return level == t->f.levels ? index : index & (ENTRIES - 1);
}

/* Entries of the root that a gpa can reach; a narrow one reaches the first. */
static inline size_t root_entries(const struct gpmm_nested *t)
{
	unsigned int shift = level_shift(t->f.levels);

	return t->f.gpa_bits > shift ? (size_t)1 << (t->f.gpa_bits - shift) : 1;
}

/* Pieces of a span that lie within one entry each. */
static inline struct span piece_at(struct span span, unsigned int level,
				   uint64_t at)
{
	uint64_t last = at | (level_size(level) - 1);

	return (struct span){ at, last < span.last ? last : span.last };
}

#define for_each_piece(piece, span, level)				\
	for (bool more_ = ((piece) = piece_at(span, level, (span).first), \
			   true);					\
	     more_;							\
	     more_ = (piece).last != (span).last &&			\
		     ((piece) = piece_at(span, level, (piece).last + 1), true))

static inline bool piece_is_whole(struct span piece, unsigned int level)
{
	return piece.last - piece.first == level_size(level) - 1;
}

/* Would @op put (or leave) one leaf of @level over the whole of @piece? */
static inline bool op_fits(const struct nested_op *op, struct span piece,
			   unsigned int level)
{
	uint64_t hpa = op->hpa + (piece.first - op->span.first);

	if (level > op->max_leaf || !piece_is_whole(piece, level))
		return false;
	return op->kind != OP_MAP || is_aligned(hpa, level_size(level));
}

/* frames.c */
int gpmm__frames_reserve(struct gpmm_nested *t, size_t count);
uint64_t *gpmm__frames_take(struct gpmm_nested *t, gpmm_hpa_t *hpa);
void gpmm__frames_give_back(struct gpmm_nested *t);
int gpmm__frames_room(struct gpmm_nested *t, size_t more);
void gpmm__frames_retire(struct gpmm_nested *t, gpmm_hpa_t hpa);
void gpmm__frames_free_limbo(struct gpmm_nested *t);

/* plan.c: what an edit needs; -EEXIST where a map is in the way */
int gpmm__plan(const struct gpmm_nested *t, const struct nested_op *op,
	       size_t *tables);
/* Only how many tables, where no transaction is open. */
size_t gpmm__plan_leaf(const struct gpmm_nested *t,
		       const struct nested_op *op);

/* edit.c: make an edit; cannot fail */
void gpmm__edit(struct gpmm_nested *t, const struct nested_op *op);
/* Replace an entry; false and *@old anew where hardware was quicker. */
bool gpmm__edit_replace(struct gpmm_nested *t, uint64_t *slot, uint64_t *old,
			uint64_t new, struct span where);

/* tidy.c */
void gpmm__tidy(struct gpmm_nested *t, const struct nested_op *op);
bool gpmm__tidy_uniform(const struct gpmm_nested *t, const uint64_t *table,
			unsigned int level, uint64_t *leaf);
void gpmm__tidy_finish(struct gpmm_nested *t, struct span span);

/* txn.c */
int gpmm__nested_check(const struct gpmm_nested *t, uint64_t gpa,
		       uint64_t size, struct span *span);
int gpmm__nested_add(struct gpmm_nested *t, struct nested_op *op);
void gpmm__nested_touch(struct gpmm_nested *t, struct span span);
int gpmm__nested_encode(const struct gpmm_nested *t, uint32_t flags,
			uint64_t *bits);
void gpmm__nested_flush(struct gpmm_nested *t);
void gpmm__nested_end(struct gpmm_nested *t, bool make);
/* Return: 0, or -EDEADLK, also from inside a read section. */
int gpmm__nested_lock(struct gpmm_nested *t);
/* Drop the lock, and then wait where many frames do. */
void gpmm__nested_unlock(struct gpmm_nested *t);

/* lazy.c */
int gpmm__lazy_reserve(struct gpmm_nested *t, size_t edits);
const struct lazy *gpmm__lazy_find(const struct gpmm_nested *t, uint64_t gpa);
bool gpmm__lazy_overlaps(const struct gpmm_nested *t, struct span span);
void gpmm__lazy_edit(struct gpmm_nested *t, const struct nested_op *op);

/* nested_backend.c */
void gpmm__nested_backend_init(struct gpmm_nested *t);
void gpmm__nested_backend_fini(struct gpmm_nested *t);

#endif
