/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Arm stage 2, VMSAv8-64, 4K granule. Arm ARM (DDI 0487), chapter D8 "The
 * AArch64 Virtual Memory System Architecture": "VMSAv8-64 descriptor
 * formats" (table, block, page), "Stage 2 attribute fields" and "Stage 2
 * memory type and Cacheability attributes", "Stage 2 execute permissions"
 * (XN[1:0], FEAT_XNX), "Hardware management of the Access flag and dirty
 * state", "Concatenated translation tables", "Using break-before-make when
 * updating translation table entries". ESR_EL2 is in D17 (EC, DFSC, IFSC).
 *
 * Arm's lookup level 3 is level 1 here: Arm's = 4 - ours.
 */
#include <errno.h>

#include "nested/format.h"

#define S2_VALID	FORMAT_BIT(0)
#define S2_TABLE	FORMAT_BIT(1)	/* and page, at the last level */
#define S2_ATTR_SHIFT	2
#define S2_READ		FORMAT_BIT(6)
#define S2_WRITE	FORMAT_BIT(7)
#define S2_SH_INNER	FORMAT_BITS(9, 8)
#define S2_SH_OUTER	FORMAT_BIT(9)
#define S2_AF		FORMAT_BIT(10)
#define S2_DBM		FORMAT_BIT(51)
#define S2_XN0		FORMAT_BIT(53)
#define S2_XN1		FORMAT_BIT(54)
#define S2_ADDR		FORMAT_BITS(47, 12)

#define ATTR_DEVICE	0x0		/* Device-nGnRnE */
#define ATTR_NC		0x5		/* Normal, not cacheable */
#define ATTR_WT		0xa		/* Normal, write-through */
#define ATTR_WB		0xf		/* Normal, write-back */

#define EC_INSTRUCTION	0x20
#define EC_DATA		0x24
#define FSC_ADDRESS	0x00		/* size; plus the level */
#define FSC_TRANSLATION	0x04
#define FSC_PERMISSION	0x0c

static void s2_root(const struct nested_format *f,
		    struct gpmm_nested_root *root)
{
	root->value = root->hpa;
	/* VTCR_EL2: T0SZ 5:0, SL0 7:6 (2: level 0, 1: level 1), TG0 15:14 */
	root->control = (64 - f->gpa_bits) |
			(uint64_t)(f->levels - 2) << 6;
	if (f->dirty)
		root->control |= FORMAT_BIT(21) | FORMAT_BIT(22);
}

static unsigned int s2_fault(const struct gpmm_nested_hit *hit)
{
	unsigned int level = 4 - hit->level;

	switch (hit->cause) {
	case GPMM_NESTED_WIDTH:
		return FSC_TRANSLATION;		/* at level 0 */
	case GPMM_NESTED_PERMISSION:
		return FSC_PERMISSION | level;
	case GPMM_NESTED_RESERVED:
		/* A block where there are none is as good as not valid. */
		if (hit->level > 3 && !(hit->entry & S2_TABLE))
			return FSC_TRANSLATION | level;
		return FSC_ADDRESS | level;
	default:
		return FSC_TRANSLATION | level;
	}
}

static void s2_explain(const struct nested_format *f, gpmm_gpa_t gpa,
		       uint32_t access, uint64_t perm,
		       struct gpmm_nested_hit *hit)
{
	bool fetch = access & (GPMM_EXEC | GPMM_USER_EXEC);

	(void)f;
	(void)gpa;
	(void)perm;
	hit->reason = fetch ? EC_INSTRUCTION : EC_DATA;
	hit->qualification = (uint64_t)hit->reason << 26 | FORMAT_BIT(25) |
			     s2_fault(hit);
	if (access & GPMM_WRITE)
		hit->qualification |= FORMAT_BIT(6);	/* WnR */
}

static const char *s2_why(const struct nested_format *f, uint32_t flags)
{
	(void)f;
	if ((flags & GPMM_USER_EXEC) && !(flags & GPMM_EXEC))
		return "stage 2: user execution alone needs FEAT_XNX";
	return "stage 2: no write-protected memory type";
}

static uint64_t s2_exec(unsigned int flags, bool user_exec)
{
	bool kernel = flags & GPMM_EXEC, user = flags & GPMM_USER_EXEC;

	if (!user_exec) {
		if (user && !kernel)
			return FORMAT_REFUSED;
		return kernel ? 0 : S2_XN1;
	}
	if (kernel)
		return user ? 0 : S2_XN1 | S2_XN0;
	return user ? S2_XN0 : S2_XN1;
}

static uint64_t s2_perm(unsigned int flags, bool user_exec, uint64_t write)
{
	uint64_t bits = s2_exec(flags, user_exec);

	if (!flags)
		return 0;
	if (bits == FORMAT_REFUSED)
		return bits;
	bits |= S2_VALID;
	if (flags & GPMM_READ)
		bits |= S2_READ;
	if (flags & GPMM_WRITE)
		bits |= write;
	return bits;
}

static void s2_perms(struct nested_format *f, bool user_exec)
{
	uint64_t write = f->dirty ? S2_DBM : S2_WRITE;

	f->valid = S2_VALID;
	f->table = S2_VALID | S2_TABLE;
	f->perm_pos[0] = 6;
	f->perm_pos[1] = f->dirty ? 51 : 7;
	f->perm_pos[2] = 54;
	f->perm_pos[3] = user_exec ? 53 : 54;
	f->perm_mask = S2_VALID | S2_READ | S2_WRITE | S2_DBM | S2_XN0 | S2_XN1;
	for (unsigned int flags = 0; flags < 16; flags++)
		f->perm_encode[flags] = s2_perm(flags, user_exec, write);
}

static void s2_types(struct nested_format *f)
{
	const uint64_t normal = S2_SH_INNER;

	f->mt_shift = S2_ATTR_SHIFT;
	f->mt_field = 0xf;
	f->mt_mask = UINT64_C(0xf) << S2_ATTR_SHIFT | S2_SH_INNER;
	for (unsigned int i = 0; i < 16; i++)
		f->mt_decode[i] = FORMAT_BAD;
	f->mt_encode[0] = (uint64_t)ATTR_WB << S2_ATTR_SHIFT | normal;
	f->mt_encode[1] = (uint64_t)ATTR_DEVICE << S2_ATTR_SHIFT | S2_SH_OUTER;
	f->mt_encode[2] = (uint64_t)ATTR_NC << S2_ATTR_SHIFT | S2_SH_OUTER;
	f->mt_encode[3] = (uint64_t)ATTR_WT << S2_ATTR_SHIFT | normal;
	f->mt_encode[4] = FORMAT_REFUSED;
	f->mt_decode[ATTR_WB] = GPMM_MT_WB;
	f->mt_decode[ATTR_DEVICE] = GPMM_MT_UC;
	f->mt_decode[ATTR_NC] = GPMM_MT_WC;
	f->mt_decode[ATTR_WT] = GPMM_MT_WT;
}

/* Other RES0 bits are ignored by hardware; an address too wide is not. */
static void s2_reserved(struct nested_format *f)
{
	uint64_t high = f->hpa_bits < 48 ? FORMAT_BITS(47, f->hpa_bits) : 0;

	for (unsigned int level = 1; level <= FORMAT_LEVELS; level++) {
		f->leaf_reserved[level] = high;
		f->table_reserved[level] = high;
	}
}

int gpmm__format_stage2(const struct gpmm_nested_options *options,
			struct nested_format *f)
{
	if (gpmm__format_widths(options, 32, 48, 48, f))
		return -EINVAL;
	f->levels = f->gpa_bits > 43 ? 4 : 3;
	f->addr_mask = S2_ADDR;
	f->leaf[1] = S2_TABLE;
	f->leaf_must[1] = S2_TABLE;
	f->leaf_mask = S2_TABLE;
	f->leaf_invert = S2_TABLE;
	if (options->how & GPMM_NESTED_AD) {
		f->accessed = S2_AF;
		f->dirty = S2_WRITE;
		f->soft_dirty = FORMAT_BIT(57);
	} else {
		f->preset = S2_AF;
	}
	/* Bits 55 to 58 are for software in valid entries. */
	f->owned = FORMAT_BIT(55);
	f->small = FORMAT_BIT(56);
	f->no_access = FORMAT_BIT(59);
	f->stale = FORMAT_BIT(60);
	f->pending = FORMAT_BIT(61);
	f->break_before_make = true;
	f->root = s2_root;
	f->explain = s2_explain;
	f->why = s2_why;
	s2_perms(f, options->how & GPMM_NESTED_USER_EXEC);
	s2_types(f);
	s2_reserved(f);
	gpmm__format_decode(f);
	return 0;
}
