/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Accessed and dirty bits, read and cleared by range.
 */
#include <errno.h>

#include "nested/table.h"

struct harvest {
	struct gpmm_nested *t;
	struct span span;
	uint64_t mask;		/* the bits looked for */
	bool clear;
	uint64_t *bitmap;
	int64_t found;		/* pages */
};

static void set_bits(struct harvest *h, struct span span)
{
	uint64_t first = (span.first - h->span.first) / FRAME_SIZE;
	uint64_t last = (span.last - h->span.first) / FRAME_SIZE;

	for (uint64_t bit = first; bit <= last; bit++)
		h->bitmap[bit / 64] |= UINT64_C(1) << (bit % 64);
	h->found += last - first + 1;
}

/*
 * Permissions where write permission is the dirty bit stay with the bit that
 * says that hardware may set it.
 */
static void harvest_leaf(struct harvest *h, uint64_t *slot, uint64_t entry,
			 unsigned int level, struct span piece)
{
	struct gpmm_nested *t = h->t;

	if (!(entry & h->mask))
		return;
	set_bits(h, piece);
	if (!h->clear || !piece_is_whole(piece, level))
		return;
	__atomic_fetch_and(slot, ~h->mask, __ATOMIC_ACQ_REL);
	if (entry & t->f.valid)
		gpmm__nested_touch(t, piece);
}

static void harvest_level(struct harvest *h, uint64_t *table,
			  unsigned int level, struct span span)
{
	const struct nested_format *f = &h->t->f;
	struct span piece;

	for_each_piece(piece, span, level) {
		uint64_t *slot = &table[table_index(h->t, piece.first, level)];
		uint64_t entry = entry_load(slot);

		if (entry_is_table(f, entry, level))
			harvest_level(h, table_of(h->t, entry), level - 1,
				      piece);
		else if (!entry_is_empty(f, entry))
			harvest_leaf(h, slot, entry, level, piece);
	}
}

static int check_what(const struct gpmm_nested *t, unsigned int what)
{
	switch (what & ~GPMM_NESTED_CLEAR) {
	case GPMM_NESTED_ACCESSED:
	case GPMM_NESTED_DIRTY:
		return t->f.dirty ? 0 : -ENOTSUP;
	default:
		return -EINVAL;
	}
}

int64_t gpmm_nested_harvest(struct gpmm_nested *t, gpmm_gpa_t gpa,
			    uint64_t size, unsigned int what,
			    uint64_t *bitmap)
{
	struct harvest h = {
		.t = t,
		.mask = what & GPMM_NESTED_DIRTY ?
			t->f.dirty | t->f.soft_dirty : t->f.accessed,
		.clear = what & GPMM_NESTED_CLEAR,
		.bitmap = bitmap,
	};
	int ret = check_what(t, what);

	if (ret || !size)
		return ret;
	if (gpmm__nested_check(t, gpa, size, &h.span))
		return -EINVAL;
	ret = gpmm__nested_lock(t);
	if (ret)
		return ret;
	harvest_level(&h, t->root, t->f.levels, h.span);
	gpmm__nested_flush(t);
	gpmm__nested_unlock(t);
	return h.found;
}
