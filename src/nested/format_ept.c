/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Intel EPT. Intel SDM vol. 3C, chapter "VMX Support for Address
 * Translation", section "The Extended Page Table Mechanism (EPT)": tables
 * "Format of an EPT PML4 Entry" to "Format of an EPT Page-Table Entry";
 * "EPT Misconfigurations"; "EPT Violations"; "Accessed and Dirty Flags for
 * EPT". Chapter "VM Exits": "Exit Qualification for EPT Violations".
 */
#include <errno.h>

#include "nested/format.h"

#define EPT_READ	FORMAT_BIT(0)
#define EPT_WRITE	FORMAT_BIT(1)
#define EPT_EXEC	FORMAT_BIT(2)
#define EPT_RWX		(EPT_READ | EPT_WRITE | EPT_EXEC)
#define EPT_TYPE_SHIFT	3
#define EPT_LARGE	FORMAT_BIT(7)
#define EPT_ACCESSED	FORMAT_BIT(8)
#define EPT_DIRTY	FORMAT_BIT(9)
#define EPT_USER_EXEC	FORMAT_BIT(10)
#define EPT_ADDR	FORMAT_BITS(51, 12)

/* Memory types: SDM vol. 3A, "Memory Cache Control", MTRR encodings. */
#define TYPE_UC		0
#define TYPE_WC		1
#define TYPE_WT		4
#define TYPE_WP		5
#define TYPE_WB		6

#define EXIT_VIOLATION	48
#define EXIT_MISCONFIG	49

/*
 * EPTP: bits 2:0 memory type of the tables, 5:3 levels less one, 6 enables
 * accessed and dirty (SDM, "Extended-Page-Table Pointer").
 */
static void ept_root(const struct nested_format *f,
		     struct gpmm_nested_root *root)
{
	root->value = root->hpa | TYPE_WB | (uint64_t)(f->levels - 1) << 3;
	if (f->dirty)
		root->value |= FORMAT_BIT(6);
}

static void ept_explain(const struct nested_format *f, gpmm_gpa_t gpa,
			uint32_t access, uint64_t perm,
			struct gpmm_nested_hit *hit)
{
	bool user_exec = f->valid & EPT_USER_EXEC;

	(void)gpa;
	if (hit->cause == GPMM_NESTED_MISCONFIGURED ||
	    hit->cause == GPMM_NESTED_RESERVED) {
		hit->reason = EXIT_MISCONFIG;
		return;
	}
	hit->reason = EXIT_VIOLATION;
	if (access & GPMM_READ)
		hit->qualification |= FORMAT_BIT(0);
	if (access & GPMM_WRITE)
		hit->qualification |= FORMAT_BIT(1);
	if (access & (GPMM_EXEC | GPMM_USER_EXEC))
		hit->qualification |= FORMAT_BIT(2);
	hit->qualification |= (perm & EPT_RWX) << 3;
	if (user_exec && (perm & EPT_USER_EXEC))
		hit->qualification |= FORMAT_BIT(6);
}

static const char *ept_why(const struct nested_format *f, uint32_t flags)
{
	(void)f;
	if ((flags & GPMM_WRITE) && !(flags & GPMM_READ))
		return "EPT: writable but not readable is a misconfiguration";
	if (((flags & GPMM_MT_MASK) >> GPMM_MT_SHIFT) > 4)
		return "EPT: no such memory type";
	return "EPT: user execution alone needs mode-based execute control";
}

static uint64_t ept_perm(unsigned int flags, bool user_exec)
{
	uint64_t bits = flags & (GPMM_READ | GPMM_WRITE | GPMM_EXEC);

	if ((flags & GPMM_WRITE) && !(flags & GPMM_READ))
		return FORMAT_REFUSED;
	if (!(flags & GPMM_USER_EXEC))
		return bits;
	if (user_exec)
		return bits | EPT_USER_EXEC;
	return flags & GPMM_EXEC ? bits : FORMAT_REFUSED;
}

static void ept_perms(struct nested_format *f, bool user_exec)
{
	static const unsigned int pos[4] = { 0, 1, 2, 10 };

	f->valid = EPT_RWX | (user_exec ? EPT_USER_EXEC : 0);
	f->table = f->valid;
	f->perm_mask = f->valid;
	f->perm_inherit = f->valid;
	for (unsigned int i = 0; i < 4; i++)
		f->perm_pos[i] = pos[i];
	/* Without the control bit 10 is ignored: let it follow bit 2. */
	if (!user_exec)
		f->perm_pos[3] = 2;
	for (unsigned int flags = 0; flags < 16; flags++)
		f->perm_encode[flags] = ept_perm(flags, user_exec);
}

static void ept_types(struct nested_format *f)
{
	static const uint8_t types[5] = {
		TYPE_WB, TYPE_UC, TYPE_WC, TYPE_WT, TYPE_WP
	};

	f->mt_shift = EPT_TYPE_SHIFT;
	f->mt_field = 7;
	f->mt_mask = UINT64_C(7) << EPT_TYPE_SHIFT;
	for (unsigned int i = 0; i < 16; i++)
		f->mt_decode[i] = FORMAT_BAD;
	for (unsigned int i = 0; i < 5; i++) {
		f->mt_encode[i] = (uint64_t)types[i] << EPT_TYPE_SHIFT;
		f->mt_decode[types[i]] = i << GPMM_MT_SHIFT;
	}
}

static void ept_reserved(struct nested_format *f)
{
	uint64_t high = f->hpa_bits < 52 ? FORMAT_BITS(51, f->hpa_bits) : 0;

	f->leaf_reserved[1] = high;
	f->leaf_reserved[2] = high | FORMAT_BITS(20, 12);
	f->leaf_reserved[3] = high | FORMAT_BITS(29, 12);
	for (unsigned int level = 2; level <= FORMAT_LEVELS; level++)
		f->table_reserved[level] = high | FORMAT_BITS(6, 3);
}

int gpmm__format_ept(const struct gpmm_nested_options *options,
		     struct nested_format *f)
{
	bool five = options->format == GPMM_NESTED_EPT5;

	f->levels = five ? 5 : 4;
	f->addr_mask = EPT_ADDR;
	f->leaf[2] = EPT_LARGE;
	f->leaf[3] = EPT_LARGE;
	f->leaf_mask = EPT_LARGE;
	if (options->how & GPMM_NESTED_AD) {
		f->accessed = EPT_ACCESSED;
		f->dirty = EPT_DIRTY;
	}
	/* Bits 52 to 56 are ignored in leaves, whatever is enabled. */
	f->owned = FORMAT_BIT(52);
	f->small = FORMAT_BIT(53);
	f->no_access = FORMAT_BIT(54);
	f->stale = FORMAT_BIT(55);
	f->pending = FORMAT_BIT(56);
	f->root = ept_root;
	f->explain = ept_explain;
	f->why = ept_why;
	if (gpmm__format_widths(options, 32, five ? 57 : 48, 52, f))
		return -EINVAL;
	ept_perms(f, options->how & GPMM_NESTED_USER_EXEC);
	ept_types(f);
	ept_reserved(f);
	gpmm__format_decode(f);
	/* Tables above may leave a leaf with nothing. */
	f->perm_decode[0] = 0;
	return 0;
}
