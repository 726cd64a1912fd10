/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an edit needs, before anything changes.
 */
#include <errno.h>

#include "nested/table.h"

static bool live_occupied(const struct gpmm_nested *t, const uint64_t *table,
			  unsigned int level, struct span span)
{
	struct span piece;

	for_each_piece(piece, span, level) {
		uint64_t entry =
			entry_load(&table[table_index(t, piece.first, level)]);

		if (entry_is_empty(&t->f, entry))
			continue;
		if (!entry_is_table(&t->f, entry, level) ||
		    live_occupied(t, table_of(t, entry), level - 1, piece))
			return true;
	}
	return false;
}

static bool occupied(const struct gpmm_nested *t, struct span span,
		     size_t edits);

/* What @op leaves of @span to be looked up in the edits before it. */
static bool beside_occupied(const struct gpmm_nested *t, struct span span,
			    struct span op, size_t edits)
{
	if (span.first < op.first &&
	    occupied(t, (struct span){ span.first, op.first - 1 }, edits))
		return true;
	return span.last > op.last &&
	       occupied(t, (struct span){ op.last + 1, span.last }, edits);
}

/* Would anything be mapped in @span after the first @edits edits? */
static bool occupied(const struct gpmm_nested *t, struct span span,
		     size_t edits)
{
	while (edits--) {
		const struct nested_op *op = &t->edits[edits];

		if (op->kind == OP_PROTECT || !span_overlaps(op->span, span))
			continue;
		if (op->kind == OP_MAP)
			return true;
		return beside_occupied(t, span, op->span, edits);
	}
	return gpmm__lazy_overlaps(t, span) ||
	       live_occupied(t, t->root, t->f.levels, span);
}

/*
 * A whole piece that no edit has to look into: its leaves are large enough,
 * or go.
 */
static bool passes_over(const struct gpmm_nested *t, const struct nested_op *op,
			struct span piece, unsigned int level)
{
	if (op_fits(op, piece, level))
		return true;
	return op->kind != OP_MAP && piece_is_whole(piece, level) &&
	       op->max_leaf >= t->f.max_leaf;
}

/* No edit before has come where @op does; what is there is as it was. */
static bool is_alone(const struct gpmm_nested *t, const struct nested_op *op)
{
	return !t->edit_count || !span_overlaps(t->hull, op->span);
}

/*
 * Does the edit at the hull's nearer edge make the table that @op needs at
 * @gpa? It ends in the same entry, so it does not fill it; and it was a map,
 * or there is a leaf, which it cuts.
 */
static bool is_planned(const struct gpmm_nested *t, uint64_t gpa,
		       unsigned int level, const struct nested_op *op)
{
	bool above = op->span.first > t->hull.last;
	uint64_t edge = above ? t->hull.last : t->hull.first;

	if (!t->edit_count || !is_alone(t, op))
		return false;
	if (op->kind == OP_MAP && !(above ? t->maps_last : t->maps_first))
		return false;
	return edge >> level_shift(level) == gpa >> level_shift(level);
}

/*
 * Tables that @op makes below @table. NULL: the worst there could be, which
 * is nothing for a map, and one large leaf for what cuts it.
 */
static size_t tables_needed(const struct gpmm_nested *t, const uint64_t *table,
			    unsigned int level, struct span span,
			    const struct nested_op *op)
{
	struct span piece;
	size_t count = 0;

	if (level == 1)
		return 0;
	for_each_piece(piece, span, level) {
		uint64_t *below = NULL, entry;

		if (passes_over(t, op, piece, level))
			continue;
		if (table) {
			entry = entry_load(
				&table[table_index(t, piece.first, level)]);
			if (entry_is_table(&t->f, entry, level))
				below = table_of(t, entry);
			else if (op->kind != OP_MAP &&
				 entry_is_empty(&t->f, entry))
				continue;
		}
		count += !below && !is_planned(t, piece.first, level, op);
		count += tables_needed(t, below, level - 1, piece, op);
	}
	return count;
}

int gpmm__plan(const struct gpmm_nested *t, const struct nested_op *op,
	       size_t *tables)
{
	bool alone = is_alone(t, op);

	*tables = 0;
	if (op->kind == OP_MAP &&
	    occupied(t, op->span, alone ? 0 : t->edit_count))
		return -EEXIST;
	if (op->kind != OP_MAP || !(op->flags & GPMM_LAZY))
		*tables = tables_needed(t, alone ? t->root : NULL,
					t->f.levels, op->span, op);
	return 0;
}

size_t gpmm__plan_leaf(const struct gpmm_nested *t, const struct nested_op *op)
{
	return tables_needed(t, t->root, t->f.levels, op->span, op);
}
