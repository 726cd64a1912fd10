/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Making an edit. Nothing here can fail: the frames are in the pool.
 *
 * A table that is not linked yet is changed with plain stores (@fresh);
 * hardware and walkers may be reading any other.
 */
#include <string.h>

#include "nested/table.h"

/* Bits whose change needs no break-before-make. */
static uint64_t mild_bits(const struct nested_format *f)
{
	return f->perm_mask | f->accessed | f->dirty | f->soft_dirty |
	       f->owned | f->small | f->no_access;
}

/* What to store instead of @new while caches may still hold @old. */
static uint64_t broken(struct gpmm_nested *t, uint64_t old, uint64_t new)
{
	const struct nested_format *f = &t->f;

	/* Where @old is not valid, something else may have been before it. */
	if (!old || ((old & f->valid) && !((old ^ new) & ~mild_bits(f))))
		return new;
	if (new & f->valid)
		new = (new & ~f->valid) | f->pending;
	else if (!new)
		new = f->stale;
	else
		return new;
	t->unfinished = true;
	return new;
}

bool gpmm__edit_replace(struct gpmm_nested *t, uint64_t *slot, uint64_t *old,
			uint64_t new, struct span where)
{
	const struct nested_format *f = &t->f;
	uint64_t stored = f->break_before_make ? broken(t, *old, new) : new;

	if (!entry_swap(slot, old, stored))
		return false;
	if ((*old & f->valid) || (f->flush_new && (new & f->valid)))
		gpmm__nested_touch(t, where);
	return true;
}

/* For entries whose accessed and dirty bits are of no matter. */
static void replace(struct gpmm_nested *t, uint64_t *slot, uint64_t new,
		    struct span where, bool fresh)
{
	uint64_t old = entry_load(slot);

	if (fresh) {
		*slot = new;
		return;
	}
	while (!gpmm__edit_replace(t, slot, &old, new, where))
		;
}

/* The frames below an entry that goes, its own table's or leaf's included. */
static void retire(struct gpmm_nested *t, uint64_t entry, unsigned int level)
{
	const uint64_t *table;

	if (!entry_is_table(&t->f, entry, level)) {
		if (entry & t->f.owned) {
			t->owned--;
			gpmm__frames_retire(t, entry_addr(&t->f, entry));
		}
		return;
	}
	table = table_of(t, entry);
	/* Only leaves that are the table's own are worth reading. */
	if (level > 2 || t->owned)
		for (unsigned int i = 0; i < ENTRIES; i++)
			retire(t, entry_load(&table[i]), level - 1);
	t->tables--;
	gpmm__frames_retire(t, entry_addr(&t->f, entry));
}

/* A table in place of @entry: empty, or the leaf cut in pieces. */
static uint64_t *make_table(struct gpmm_nested *t, uint64_t entry,
			    unsigned int level, uint64_t *link)
{
	gpmm_hpa_t hpa;
	uint64_t *table = gpmm__frames_take(t, &hpa);

	*link = t->f.table | entry_of_addr(&t->f, hpa);
	if (entry_is_empty(&t->f, entry)) {
		memset(table, 0, FRAME_SIZE);
		return table;
	}
	for (unsigned int i = 0; i < ENTRIES; i++)
		table[i] = entry_split(&t->f, entry, level,
				       i * level_size(level - 1));
	return table;
}

/* Hardware has marked the large leaf since it was cut in pieces. */
static void add_ad(struct gpmm_nested *t, uint64_t *table, unsigned int level,
		   uint64_t ad)
{
	for (unsigned int i = 0; i < ENTRIES; i++) {
		if (entry_is_empty(&t->f, table[i]))
			continue;
		if (entry_is_table(&t->f, table[i], level))
			add_ad(t, table_of(t, table[i]), level - 1, ad);
		else
			table[i] = entry_add_ad(&t->f, table[i], ad);
	}
}

static void link_table(struct gpmm_nested *t, uint64_t *slot, uint64_t old,
		       uint64_t link, unsigned int level, struct span where,
		       bool fresh)
{
	if (fresh) {
		*slot = link;
		return;
	}
	while (!gpmm__edit_replace(t, slot, &old, link, where))
		add_ad(t, table_of(t, link), level - 1, entry_ad(&t->f, old));
}

static struct span whole_entry(uint64_t gpa, unsigned int level)
{
	uint64_t first = align_down(gpa, level_size(level));

	return (struct span){ first, first + (level_size(level) - 1) };
}

/* ------------------------------------------------------------------ map --- */

/* An entry that is not 0: stale, or a table emptied by an earlier edit. */
static void map_over(struct gpmm_nested *t, uint64_t *slot, uint64_t leaf,
		     unsigned int level, struct span where)
{
	uint64_t old = entry_load(slot);

	if (!entry_is_empty(&t->f, old))
		retire(t, old, level);
	replace(t, slot, leaf, where, false);
}

/* @count leaves in a row from @slot on. */
static void fill(struct gpmm_nested *t, uint64_t *slot, size_t count,
		 uint64_t leaf, unsigned int level, struct span where,
		 bool fresh)
{
	const uint64_t step = entry_of_addr(&t->f, level_size(level));

	if (fresh) {
		for (size_t i = 0; i < count; i++)
			slot[i] = leaf + i * step;
		return;
	}
	for (size_t i = 0; i < count; i++, leaf += step) {
		if (!entry_load(&slot[i]))
			entry_store(&slot[i], leaf);
		else
			map_over(t, &slot[i], leaf, level,
				 whole_entry(where.first +
					     i * level_size(level), level));
	}
	if (t->f.flush_new && (leaf & t->f.valid))
		gpmm__nested_touch(t, where);
}

/* All of @span that leaves of @level can take from @piece on. */
static void map_run(struct gpmm_nested *t, uint64_t *slot, unsigned int level,
		    struct span *piece, uint64_t last,
		    const struct nested_op *op, bool fresh)
{
	size_t count = (last - piece->first + 1) >> level_shift(level);
	gpmm_hpa_t hpa = op->hpa + (piece->first - op->span.first);

	piece->last = piece->first + count * level_size(level) - 1;
	fill(t, slot, count, entry_leaf(&t->f, level, hpa, op->bits), level,
	     *piece, fresh);
}

static void map_level(struct gpmm_nested *t, uint64_t *table,
		      unsigned int level, struct span span,
		      const struct nested_op *op, bool fresh)
{
	struct span piece;

	for_each_piece(piece, span, level) {
		uint64_t *slot = &table[table_index(t, piece.first, level)];
		uint64_t entry, link, *below;

		if (op_fits(op, piece, level)) {
			map_run(t, slot, level, &piece, span.last, op, fresh);
			continue;
		}
		entry = fresh ? *slot : entry_load(slot);
		if (entry_is_table(&t->f, entry, level)) {
			map_level(t, table_of(t, entry), level - 1, piece, op,
				  fresh);
			continue;
		}
		below = make_table(t, 0, level, &link);
		map_level(t, below, level - 1, piece, op, true);
		link_table(t, slot, entry, link, level, piece, fresh);
	}
}

/* ---------------------------------------------------- unmap and protect --- */

static uint64_t protected(const struct gpmm_nested *t, uint64_t entry,
			  unsigned int level, const struct nested_op *op)
{
	const struct nested_format *f = &t->f;
	uint64_t new = (entry & (f->addr_mask | f->owned)) | f->leaf[level] |
		       op->bits;

	return entry_add_ad(f, new, entry_ad(f, entry));
}

static void change_leaf(struct gpmm_nested *t, uint64_t *slot, uint64_t entry,
			unsigned int level, const struct nested_op *op,
			struct span where, bool fresh)
{
	if (op->kind == OP_UNMAP) {
		retire(t, entry, level);
		replace(t, slot, 0, where, fresh);
	} else if (fresh) {
		*slot = protected(t, entry, level, op);
	} else {
		while (!gpmm__edit_replace(t, slot, &entry,
					   protected(t, entry, level, op),
					   where))
			;
	}
}

static void change_level(struct gpmm_nested *t, uint64_t *table,
			 unsigned int level, struct span span,
			 const struct nested_op *op, bool fresh);

static void split_leaf(struct gpmm_nested *t, uint64_t *slot, uint64_t entry,
		       unsigned int level, const struct nested_op *op,
		       struct span piece, bool fresh)
{
	uint64_t link, *below = make_table(t, entry, level, &link);

	change_level(t, below, level - 1, piece, op, true);
	link_table(t, slot, entry, link, level,
		   whole_entry(piece.first, level), fresh);
}

static void change_level(struct gpmm_nested *t, uint64_t *table,
			 unsigned int level, struct span span,
			 const struct nested_op *op, bool fresh)
{
	struct span piece;

	for_each_piece(piece, span, level) {
		uint64_t *slot = &table[table_index(t, piece.first, level)];
		uint64_t entry = entry_load(slot);

		if (entry_is_empty(&t->f, entry))
			continue;
		if (entry_is_table(&t->f, entry, level)) {
			if (op->kind == OP_UNMAP &&
			    piece_is_whole(piece, level))
				change_leaf(t, slot, entry, level, op, piece,
					    fresh);
			else
				change_level(t, table_of(t, entry), level - 1,
					     piece, op, fresh);
		} else if (op_fits(op, piece, level)) {
			change_leaf(t, slot, entry, level, op, piece, fresh);
		} else {
			split_leaf(t, slot, entry, level, op, piece, fresh);
		}
	}
}

void gpmm__edit(struct gpmm_nested *t, const struct nested_op *op)
{
	if (op->kind != OP_MAP) {
		change_level(t, t->root, t->f.levels, op->span, op, false);
		gpmm__lazy_edit(t, op);
	} else if (op->flags & GPMM_LAZY) {
		gpmm__lazy_edit(t, op);
	} else {
		map_level(t, t->root, t->f.levels, op->span, op, false);
	}
}
