/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * AMD nested paging: the long-mode format. AMD APM vol. 2, 5.3 "Long-Mode
 * Page Translation" and 5.4 "Page-Translation-Table Entry Fields"; 15.25
 * "Nested Paging": nested walks are user-mode accesses (15.25.5), so every
 * entry has U; EXITINFO1 is 15.25.6.
 *
 * The same tables serve as a guest's own: U is set, so that its user mode
 * may walk them.
 */
#include <errno.h>

#include "nested/format.h"

#define PTE_PRESENT	FORMAT_BIT(0)
#define PTE_WRITE	FORMAT_BIT(1)
#define PTE_USER	FORMAT_BIT(2)
#define PTE_PWT		FORMAT_BIT(3)
#define PTE_PCD		FORMAT_BIT(4)
#define PTE_ACCESSED	FORMAT_BIT(5)
#define PTE_DIRTY	FORMAT_BIT(6)
#define PTE_LARGE	FORMAT_BIT(7)
#define PTE_NX		FORMAT_BIT(63)
#define PTE_ADDR	FORMAT_BITS(51, 12)

#define EXIT_NPF	0x400

static void npt_root(const struct nested_format *f,
		     struct gpmm_nested_root *root)
{
	(void)f;
	root->value = root->hpa;
}

/*
 * EXITINFO1: the page-fault error code (vol. 2, 8.4.2),
 * and bit 32: it was the guest's final address.
 */
static void npt_explain(const struct nested_format *f, gpmm_gpa_t gpa,
			uint32_t access, uint64_t perm,
			struct gpmm_nested_hit *hit)
{
	(void)f;
	(void)gpa;
	(void)perm;
	hit->reason = EXIT_NPF;
	hit->qualification = FORMAT_BIT(32) | FORMAT_BIT(2);
	if (hit->cause != GPMM_NESTED_NOT_PRESENT &&
	    hit->cause != GPMM_NESTED_WIDTH)
		hit->qualification |= FORMAT_BIT(0);
	if (access & GPMM_WRITE)
		hit->qualification |= FORMAT_BIT(1);
	if (hit->cause == GPMM_NESTED_RESERVED)
		hit->qualification |= FORMAT_BIT(3);
	if (access & (GPMM_EXEC | GPMM_USER_EXEC))
		hit->qualification |= FORMAT_BIT(4);
}

static const char *npt_why(const struct nested_format *f, uint32_t flags)
{
	(void)f;
	if (!(flags & GPMM_READ))
		return "NPT: what is present is readable";
	if ((flags & GPMM_USER_EXEC) && !(flags & GPMM_EXEC))
		return "NPT: user execution has no bit of its own";
	return "NPT: with PAT's reset value there is only WB, WT and UC";
}

static uint64_t npt_perm(unsigned int flags)
{
	uint64_t bits = PTE_PRESENT | PTE_USER;

	if (!flags)
		return 0;
	if (!(flags & GPMM_READ))
		return FORMAT_REFUSED;
	if ((flags & GPMM_USER_EXEC) && !(flags & GPMM_EXEC))
		return FORMAT_REFUSED;
	if (flags & GPMM_WRITE)
		bits |= PTE_WRITE;
	if (!(flags & GPMM_EXEC))
		bits |= PTE_NX;
	return bits;
}

static void npt_perms(struct nested_format *f)
{
	f->valid = PTE_PRESENT;
	f->table = PTE_PRESENT | PTE_WRITE | PTE_USER;
	f->perm_pos[0] = 2;		/* readable is: present for users */
	f->perm_pos[1] = 1;
	f->perm_pos[2] = 63;
	f->perm_pos[3] = 63;
	f->perm_invert = PTE_NX;
	f->perm_mask = PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_NX;
	f->perm_inherit = PTE_WRITE | PTE_USER | PTE_NX;
	for (unsigned int flags = 0; flags < 16; flags++)
		f->perm_encode[flags] = npt_perm(flags);
}

/* APM vol. 2, 7.8 "Page-Attribute Table": PAT's value after reset. */
static void npt_types(struct nested_format *f)
{
	f->mt_shift = 3;
	f->mt_field = 3;
	f->mt_mask = PTE_PWT | PTE_PCD;
	f->mt_encode[GPMM_MT_WB >> GPMM_MT_SHIFT] = 0;
	f->mt_encode[GPMM_MT_UC >> GPMM_MT_SHIFT] = PTE_PCD | PTE_PWT;
	f->mt_encode[GPMM_MT_WC >> GPMM_MT_SHIFT] = FORMAT_REFUSED;
	f->mt_encode[GPMM_MT_WT >> GPMM_MT_SHIFT] = PTE_PWT;
	f->mt_encode[GPMM_MT_WP >> GPMM_MT_SHIFT] = FORMAT_REFUSED;
	f->mt_decode[0] = GPMM_MT_WB;
	f->mt_decode[1] = GPMM_MT_WT;
	f->mt_decode[2] = GPMM_MT_UC;	/* UC-, which an MTRR may make WC */
	f->mt_decode[3] = GPMM_MT_UC;
}

static void npt_reserved(struct nested_format *f)
{
	uint64_t high = f->hpa_bits < 52 ? FORMAT_BITS(51, f->hpa_bits) : 0;

	f->leaf_reserved[1] = high;
	f->leaf_reserved[2] = high | FORMAT_BITS(20, 13);
	f->leaf_reserved[3] = high | FORMAT_BITS(29, 13);
	for (unsigned int level = 2; level <= FORMAT_LEVELS; level++)
		f->table_reserved[level] = high;
	f->table_reserved[4] |= PTE_LARGE;
	f->table_reserved[5] |= PTE_LARGE;
}

int gpmm__format_npt(const struct gpmm_nested_options *options,
		     struct nested_format *f)
{
	bool five = options->format == GPMM_NESTED_NPT5;

	if (options->how & GPMM_NESTED_USER_EXEC)
		return -EINVAL;
	f->levels = five ? 5 : 4;
	f->addr_mask = PTE_ADDR;
	f->leaf[2] = PTE_LARGE;
	f->leaf[3] = PTE_LARGE;
	f->leaf_mask = PTE_LARGE;
	if (options->how & GPMM_NESTED_AD) {
		f->accessed = PTE_ACCESSED;
		f->dirty = PTE_DIRTY;
	} else {
		f->preset = PTE_ACCESSED | PTE_DIRTY;
	}
	/* Bits 52 to 58 are for software. */
	f->owned = FORMAT_BIT(52);
	f->small = FORMAT_BIT(53);
	f->no_access = FORMAT_BIT(54);
	f->stale = FORMAT_BIT(55);
	f->pending = FORMAT_BIT(56);
	f->root = npt_root;
	f->explain = npt_explain;
	f->why = npt_why;
	if (gpmm__format_widths(options, 32, five ? 57 : 48, 52, f))
		return -EINVAL;
	npt_perms(f);
	/* The hardware would set it, and validate should find no surprise. */
	f->table |= f->preset & PTE_ACCESSED;
	npt_types(f);
	npt_reserved(f);
	gpmm__format_decode(f);
	/* Without U it is forbidden, not misconfigured. */
	for (unsigned int i = 0; i < 16; i++)
		if (f->perm_decode[i] & FORMAT_BAD)
			f->perm_decode[i] = 0;
	return 0;
}
