/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A format of nested page tables as data. The engine knows no architecture:
 * it asks these words. Each format file fills one in for the options given.
 *
 * Levels count as on x86: 1 is the 4 KiB level, the root is @levels.
 */
#ifndef GPMM_NESTED_FORMAT_H
#define GPMM_NESTED_FORMAT_H

#include <gpmm/nested.h>

/* A permission or memory type that the format cannot say. */
#define FORMAT_REFUSED	UINT64_MAX
/* In a decode table: the hardware calls this value a misconfiguration. */
#define FORMAT_BAD	(UINT32_C(1) << 31)

#define FORMAT_LEVELS	5
#define FORMAT_BIT(n)	(UINT64_C(1) << (n))
/* Bits @high to @low inclusive. */
#define FORMAT_BITS(high, low) \
	((UINT64_MAX >> (63 - (high))) & (UINT64_MAX << (low)))

struct nested_format {
	unsigned int levels;
	unsigned int gpa_bits;
	unsigned int hpa_bits;
	unsigned int max_leaf;		/* highest level with leaves */

	/* An address is (entry & addr_mask) << addr_shift. */
	uint64_t addr_mask;
	unsigned int addr_shift;

	/* The hardware looks at an entry where any of these is set. */
	uint64_t valid;
	/* Bits of an entry that points to a table, besides its address. */
	uint64_t table;
	/* Bits of a leaf by level, besides all else. */
	uint64_t leaf[FORMAT_LEVELS + 1];
	/* Above level 1 a leaf has (entry ^ leaf_invert) & leaf_mask. */
	uint64_t leaf_mask, leaf_invert;
	/* Must be 0, by level; above max_leaf a leaf is an error itself. */
	uint64_t leaf_reserved[FORMAT_LEVELS + 1];
	uint64_t table_reserved[FORMAT_LEVELS + 1];
	/*
	 * An entry that equals @table in these bits, by level, points to a
	 * table and restricts nothing: the walk needs no other test.
	 */
	uint64_t table_test[FORMAT_LEVELS + 1];
	/* Must be set in a leaf, by level. */
	uint64_t leaf_must[FORMAT_LEVELS + 1];

	/*
	 * Read, write, execute, user-execute: the entry's bit of each (after
	 * perm_invert), and the bits to set for every combination.
	 */
	unsigned int perm_pos[4];
	uint64_t perm_invert;
	uint64_t perm_mask;		/* all bits that perm_encode may set */
	uint64_t perm_encode[16];
	uint32_t perm_decode[16];
	/* Tables' entries restrict leaves below them in these bits. */
	uint64_t perm_inherit;

	unsigned int mt_shift;
	uint64_t mt_field;		/* (entry >> mt_shift) & mt_field */
	uint64_t mt_mask;		/* all bits that mt_encode may set */
	uint64_t mt_encode[5];		/* by GPMM_MT_ */
	uint32_t mt_decode[16];

	/* Set in a leaf that is made; all of it where hardware keeps none. */
	uint64_t preset;
	/* Kept by hardware; 0 where it keeps none. */
	uint64_t accessed, dirty;
	/* Remembers dirty where write permission and dirty share a bit. */
	uint64_t soft_dirty;

	/* Ignored by hardware in valid leaves. */
	uint64_t owned;			/* the frame is the table's own */
	uint64_t small;			/* GPMM_LOG_DIRTY: stays 4 KiB */
	/* Ours in entries that hardware does not look at. */
	uint64_t no_access;		/* a leaf whose permissions are none */
	uint64_t stale;			/* alone: was valid before the flush */
	uint64_t pending;		/* becomes valid after the flush */

	/* Changing a valid entry needs invalid, flush, valid. */
	bool break_before_make;
	/* Caches may hold entries that are not valid. */
	bool flush_new;

	void (*root)(const struct nested_format *f,
		     struct gpmm_nested_root *root);
	/* Fill in @hit's reason and qualification. @perm: combined bits. */
	void (*explain)(const struct nested_format *f, gpmm_gpa_t gpa,
			uint32_t access, uint64_t perm,
			struct gpmm_nested_hit *hit);
	/* Why the flags are refused. */
	const char *(*why)(const struct nested_format *f, uint32_t flags);
};

/* Return: 0 or -EINVAL. */
int gpmm__nested_format(const struct gpmm_nested_options *options,
			struct nested_format *f);
int gpmm__format_ept(const struct gpmm_nested_options *options,
		     struct nested_format *f);
int gpmm__format_npt(const struct gpmm_nested_options *options,
		     struct nested_format *f);
int gpmm__format_stage2(const struct gpmm_nested_options *options,
			struct nested_format *f);
int gpmm__format_gstage(const struct gpmm_nested_options *options,
			struct nested_format *f);

/* Widths within the format's @gpa_max and @hpa_max; 0 in options means that. */
int gpmm__format_widths(const struct gpmm_nested_options *options,
			unsigned int gpa_min, unsigned int gpa_max,
			unsigned int hpa_max, struct nested_format *f);
/* Fill perm_decode from perm_encode; what nothing encodes is bad. */
void gpmm__format_decode(struct nested_format *f);

/* Permissions of an entry as an index of perm_decode. */
static inline unsigned int format_perm_index(const struct nested_format *f,
					     uint64_t entry)
{
	entry ^= f->perm_invert;
	return ((entry >> f->perm_pos[0]) & 1) |
	       ((entry >> f->perm_pos[1]) & 1) << 1 |
	       ((entry >> f->perm_pos[2]) & 1) << 2 |
	       ((entry >> f->perm_pos[3]) & 1) << 3;
}

#endif
