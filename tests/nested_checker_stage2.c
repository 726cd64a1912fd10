/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Arm stage 2, 4K granule, from DDI 0487: D8.2 "Translation process"
 * (concatenation), D8.3.1 descriptor formats, D8.4.2 stage 2 permissions,
 * D8.6.5 stage 2 memory types. Lookup levels are Arm's: 0 to 3.
 */
#include "helpers/nested_checker.h"

#define DESCRIPTOR_INVALID(d)	(((d) & 1) == 0)
#define DESCRIPTOR_BIT1(d)	(((d) >> 1) & 1)
#define OUTPUT(d)		((d) & 0x0000fffffffff000)

static int mem_attr(uint64_t d, enum seen_type *type)
{
	switch ((d >> 2) & 0xf) {
	case 0x0:
		*type = SEEN_UC;
		return 1;
	case 0x5:
		*type = SEEN_WC;
		return 1;
	case 0xa:
		*type = SEEN_WT;
		return (d >> 8 & 3) == 3;
	case 0xf:
		*type = SEEN_WB;
		return (d >> 8 & 3) == 3;
	default:
		return 0;
	}
}

/* XN[1:0] at 54:53: 00 both, 01 EL0 only, 10 none, 11 EL1 only. */
static unsigned int executable(const struct checked *c, uint64_t d)
{
	unsigned int xn = (d >> 53) & 3;

	if (!c->user_exec)
		return xn & 2 ? 0 : SEEN_X | SEEN_U;
	switch (xn) {
	case 0: return SEEN_X | SEEN_U;
	case 1: return SEEN_U;
	case 2: return 0;
	default: return SEEN_X;
	}
}

static struct seen output(const struct checked *c, struct seen seen,
			  uint64_t d)
{
	int s2ap_write = (d >> 7) & 1, dbm = (d >> 51) & 1;

	seen.kind = SEEN_FAULTY;
	if (!mem_attr(d, &seen.type))
		return seen;
	/* Without hardware management a clear AF faults. */
	if (!c->ad && !((d >> 10) & 1))
		return seen;
	if (OUTPUT(d) & (seen.size - 1))
		return seen;
	seen.kind = SEEN_LEAF;
	seen.hpa = OUTPUT(d);
	seen.perm = executable(c, d);
	if ((d >> 6) & 1)
		seen.perm |= SEEN_R;
	/* D8.4.6: writable-clean is DBM without S2AP[1]. */
	if (s2ap_write || (c->ad && dbm))
		seen.perm |= SEEN_W;
	seen.accessed = (d >> 10) & 1;
	seen.dirty = s2ap_write;
	return seen;
}

struct seen stage2_checker(const struct checked *c, uint64_t gpa)
{
	int lookup = 4 - c->levels, first = 1;
	uint64_t table = c->root;

	for (;; lookup++, first = 0) {
		int shift = 39 - 9 * lookup;
		/* Concatenated tables are one after the other. */
		uint64_t index = first ? gpa >> shift : (gpa >> shift) & 511;
		uint64_t d = c->at(c->arg, table + 4096 * (index / 512))
			     [index % 512];
		struct seen seen = {
			.gpa = gpa & ~(((uint64_t)1 << shift) - 1),
			.size = (uint64_t)1 << shift,
		};

		if (DESCRIPTOR_INVALID(d))
			return seen;
		seen.kind = SEEN_FAULTY;
		if (OUTPUT(d) >> c->phys_bits)
			return seen;
		if (lookup == 3) {
			if (!DESCRIPTOR_BIT1(d))
				return seen;
			return output(c, seen, d);
		}
		if (!DESCRIPTOR_BIT1(d)) {
			if (lookup == 0)
				return seen;
			return output(c, seen, d);
		}
		table = OUTPUT(d);
	}
}
