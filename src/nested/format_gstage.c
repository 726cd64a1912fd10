/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RISC-V G-stage: Sv39x4 and Sv48x4. The RISC-V Instruction Set Manual,
 * volume II, "Hypervisor Extension": "Guest Physical Address Translation"
 * (root of 16 KiB, two more bits of address, U must be set) and hgatp;
 * "Supervisor-Level ISA", "Sv39": entries and reserved encodings; "Svpbmt".
 */
#include <errno.h>

#include "nested/format.h"

#define G_VALID		FORMAT_BIT(0)
#define G_READ		FORMAT_BIT(1)
#define G_WRITE		FORMAT_BIT(2)
#define G_EXEC		FORMAT_BIT(3)
#define G_RWX		(G_READ | G_WRITE | G_EXEC)
#define G_USER		FORMAT_BIT(4)
#define G_ACCESSED	FORMAT_BIT(6)
#define G_DIRTY		FORMAT_BIT(7)
#define G_ADDR		FORMAT_BITS(53, 10)
#define G_PBMT_SHIFT	61

#define PBMT_PMA	0
#define PBMT_NC		1
#define PBMT_IO		2

#define CAUSE_FETCH	20
#define CAUSE_LOAD	21
#define CAUSE_STORE	23

/* hgatp: MODE 63:60 (8: Sv39x4, 9: Sv48x4), VMID, PPN 43:0. */
static void g_root(const struct nested_format *f,
		   struct gpmm_nested_root *root)
{
	uint64_t mode = f->levels == 4 ? 9 : 8;

	root->value = mode << 60 | root->hpa >> 12;
}

static void g_explain(const struct nested_format *f, gpmm_gpa_t gpa,
		      uint32_t access, uint64_t perm,
		      struct gpmm_nested_hit *hit)
{
	(void)f;
	(void)perm;
	if (access & (GPMM_EXEC | GPMM_USER_EXEC))
		hit->reason = CAUSE_FETCH;
	else
		hit->reason = access & GPMM_WRITE ? CAUSE_STORE : CAUSE_LOAD;
	hit->qualification = gpa >> 2;
}

static const char *g_why(const struct nested_format *f, uint32_t flags)
{
	(void)f;
	if ((flags & GPMM_WRITE) && !(flags & GPMM_READ))
		return "G-stage: writable but not readable is reserved";
	if ((flags & GPMM_USER_EXEC) && !(flags & GPMM_EXEC))
		return "G-stage: user execution has no bit of its own";
	return "G-stage: Svpbmt has no write-through and write-protected";
}

static uint64_t g_perm(unsigned int flags)
{
	uint64_t bits = G_VALID | G_USER;

	if (!flags)
		return 0;
	if ((flags & GPMM_WRITE) && !(flags & GPMM_READ))
		return FORMAT_REFUSED;
	if ((flags & GPMM_USER_EXEC) && !(flags & GPMM_EXEC))
		return FORMAT_REFUSED;
	if (flags & GPMM_READ)
		bits |= G_READ;
	if (flags & GPMM_WRITE)
		bits |= G_WRITE;
	if (flags & GPMM_EXEC)
		bits |= G_EXEC;
	return bits;
}

static void g_perms(struct nested_format *f)
{
	f->valid = G_VALID;
	f->table = G_VALID;
	f->perm_pos[0] = 1;
	f->perm_pos[1] = 2;
	f->perm_pos[2] = 3;
	f->perm_pos[3] = 3;
	f->perm_mask = G_VALID | G_USER | G_RWX;
	for (unsigned int flags = 0; flags < 16; flags++)
		f->perm_encode[flags] = g_perm(flags);
}

static void g_types(struct nested_format *f)
{
	f->mt_shift = G_PBMT_SHIFT;
	f->mt_field = 3;
	f->mt_mask = UINT64_C(3) << G_PBMT_SHIFT;
	f->mt_encode[0] = PBMT_PMA;
	f->mt_encode[1] = (uint64_t)PBMT_IO << G_PBMT_SHIFT;
	f->mt_encode[2] = (uint64_t)PBMT_NC << G_PBMT_SHIFT;
	f->mt_encode[3] = FORMAT_REFUSED;
	f->mt_encode[4] = FORMAT_REFUSED;
	f->mt_decode[PBMT_PMA] = GPMM_MT_WB;
	f->mt_decode[PBMT_NC] = GPMM_MT_WC;
	f->mt_decode[PBMT_IO] = GPMM_MT_UC;
	f->mt_decode[3] = FORMAT_BAD;
}

static void g_reserved(struct nested_format *f)
{
	uint64_t high = FORMAT_BITS(60, 54) | FORMAT_BIT(63);

	/* The entry holds frame numbers: bit 10 is address bit 12. */
	if (f->hpa_bits < 56)
		high |= FORMAT_BITS(53, f->hpa_bits - 2);
	f->leaf_reserved[1] = high;
	f->leaf_reserved[2] = high | FORMAT_BITS(18, 10);
	f->leaf_reserved[3] = high | FORMAT_BITS(27, 10);
	for (unsigned int level = 2; level <= FORMAT_LEVELS; level++)
		f->table_reserved[level] = high | FORMAT_BITS(62, 61) |
					   G_USER | G_ACCESSED | G_DIRTY;
}

int gpmm__format_gstage(const struct gpmm_nested_options *options,
			struct nested_format *f)
{
	unsigned int bits = options->format == GPMM_NESTED_SV48X4 ? 50 : 41;

	if (options->how & GPMM_NESTED_USER_EXEC)
		return -EINVAL;
	if (gpmm__format_widths(options, bits, bits, 56, f))
		return -EINVAL;
	f->levels = bits == 50 ? 4 : 3;
	f->addr_mask = G_ADDR;
	f->addr_shift = 2;
	f->leaf_mask = G_RWX;
	for (unsigned int level = 1; level <= FORMAT_LEVELS; level++)
		f->leaf_must[level] = G_USER;
	if (options->how & GPMM_NESTED_AD) {
		f->accessed = G_ACCESSED;
		f->dirty = G_DIRTY;
	} else {
		f->preset = G_ACCESSED | G_DIRTY;
	}
	/* RSW, bits 9:8; an entry with V clear is all software's. */
	f->owned = FORMAT_BIT(8);
	f->small = FORMAT_BIT(9);
	f->no_access = FORMAT_BIT(54);
	f->stale = FORMAT_BIT(55);
	f->pending = FORMAT_BIT(56);
	f->flush_new = true;
	f->root = g_root;
	f->explain = g_explain;
	f->why = g_why;
	g_perms(f);
	g_types(f);
	g_reserved(f);
	gpmm__format_decode(f);
	return 0;
}
