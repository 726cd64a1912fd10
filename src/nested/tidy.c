/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * After the edits: empty tables go, and those whose leaves could be one large
 * leaf collapse (invariants A and B). After the flush: what was broken is
 * made (invariant E).
 */
#include "nested/table.h"

/* An entry as it will be when the transaction has ended. */
static uint64_t settled(const struct nested_format *f, uint64_t entry)
{
	return entry & f->pending ? (entry & ~f->pending) | f->valid : entry;
}

static bool table_is_empty(const struct gpmm_nested *t, const uint64_t *table)
{
	/* The last first: tables fill from the front. */
	if (!entry_is_empty(&t->f, entry_load(&table[ENTRIES - 1])))
		return false;
	for (unsigned int i = 0; i < ENTRIES - 1; i++)
		if (!entry_is_empty(&t->f, entry_load(&table[i])))
			return false;
	return true;
}

/* Could @first be the first of 512 leaves of @level that make one? */
static bool may_collapse(const struct gpmm_nested *t, uint64_t first,
			 unsigned int level)
{
	const struct nested_format *f = &t->f;

	if (entry_is_empty(f, first) || entry_is_table(f, first, level))
		return false;
	if ((first & (f->owned | f->small)) || level >= f->max_leaf)
		return false;
	return is_aligned(entry_addr(f, first), level_size(level + 1));
}

/*
 * Hardware may mark a leaf after it was read here: one that can be written
 * becomes dirty rather than lose that.
 */
static uint64_t collapsed(const struct nested_format *f, uint64_t first,
			  unsigned int level, uint64_t ad)
{
	uint64_t leaf = first & ~(f->leaf[level] | f->accessed | f->dirty |
				  f->soft_dirty);
	bool writable = ((leaf ^ f->perm_invert) >> f->perm_pos[1]) & 1;

	ad |= f->accessed;
	if (writable && (leaf & f->valid))
		ad |= f->dirty;
	return entry_add_ad(f, leaf | f->leaf[level + 1], ad);
}

/* @level: of @table. @leaf: receives the large leaf that says the same. */
bool gpmm__tidy_uniform(const struct gpmm_nested *t, const uint64_t *table,
			unsigned int level, uint64_t *leaf)
{
	const struct nested_format *f = &t->f;
	const uint64_t marks = f->accessed | f->dirty | f->soft_dirty;
	const uint64_t step = entry_of_addr(f, level_size(level));
	const uint64_t first = settled(f, entry_load(table));
	uint64_t ad = 0;

	if (!may_collapse(t, first, level))
		return false;
	/* From the end: tables fill from the front. */
	for (unsigned int i = ENTRIES; i-- > 0;) {
		uint64_t entry = settled(f, entry_load(&table[i]));

		if ((entry & ~marks) != (first & ~marks) + i * step)
			return false;
		ad |= entry_ad(f, entry);
	}
	*leaf = collapsed(f, first, level, ad);
	return true;
}

static void swap_out(struct gpmm_nested *t, uint64_t *slot, uint64_t new,
		     struct span where)
{
	uint64_t old = entry_load(slot);
	gpmm_hpa_t hpa = entry_addr(&t->f, old);

	while (!gpmm__edit_replace(t, slot, &old, new, where))
		;
	t->tables--;
	gpmm__frames_retire(t, hpa);
}

/* @below: the table that @slot of @level points to */
static void settle(struct gpmm_nested *t, uint64_t *slot,
		   const uint64_t *below, unsigned int level, uint64_t gpa)
{
	uint64_t first = align_down(gpa, level_size(level)), leaf;
	struct span where = { first, first + (level_size(level) - 1) };

	if (table_is_empty(t, below))
		swap_out(t, slot, 0, where);
	else if (t->collapse &&
		 gpmm__tidy_uniform(t, below, level - 1, &leaf))
		swap_out(t, slot, leaf, where);
}

static void tidy_level(struct gpmm_nested *t, uint64_t *table,
		       unsigned int level, struct span span, bool edges)
{
	struct span piece;

	if (level == 1)
		return;
	for_each_piece(piece, span, level) {
		uint64_t *slot = &table[table_index(t, piece.first, level)];
		uint64_t entry = entry_load(slot);

		/* Inside its edges the edit left nothing to do. */
		if (edges && piece_is_whole(piece, level))
			continue;
		if (!entry_is_table(&t->f, entry, level))
			continue;
		tidy_level(t, table_of(t, entry), level - 1, piece, edges);
		settle(t, slot, table_of(t, entry), level, piece.first);
	}
}

/*
 * A map puts the largest leaves there are, and an unmap takes whole tables:
 * only tables that they share with their neighbours are to be looked at. The
 * inside of a protect may have become alike.
 */
void gpmm__tidy(struct gpmm_nested *t, const struct nested_op *op)
{
	tidy_level(t, t->root, t->f.levels, op->span, op->kind != OP_PROTECT);
}

static void finish_level(struct gpmm_nested *t, uint64_t *table,
			 unsigned int level, struct span span)
{
	const struct nested_format *f = &t->f;
	struct span piece;

	for_each_piece(piece, span, level) {
		uint64_t *slot = &table[table_index(t, piece.first, level)];
		uint64_t entry = entry_load(slot);

		if (entry_is_table(f, entry, level))
			finish_level(t, table_of(t, entry), level - 1, piece);
		if (entry == f->stale)
			entry_store(slot, 0);
		else if (entry & f->pending)
			entry_store(slot, settled(f, entry));
	}
}

void gpmm__tidy_finish(struct gpmm_nested *t, struct span span)
{
	finish_level(t, t->root, t->f.levels, span);
}
