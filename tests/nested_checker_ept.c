/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * EPT as the SDM's volume 3C has it: 29.3.2 "EPT Translation Mechanism",
 * 29.3.3.1 "EPT Misconfigurations", tables 29-1 to 29-7 (numbers of the 2023
 * edition; 28 in older ones).
 */
#include "helpers/nested_checker.h"

static int type_of(unsigned int code, enum seen_type *type)
{
	switch (code) {
	case 0: *type = SEEN_UC; return 1;
	case 1: *type = SEEN_WC; return 1;
	case 4: *type = SEEN_WT; return 1;
	case 5: *type = SEEN_WP; return 1;
	case 6: *type = SEEN_WB; return 1;
	default: return 0;		/* 2, 3 and 7 are reserved */
	}
}

/* Bits MAXPHYADDR to 51 of any entry in use. */
static int beyond_width(const struct checked *c, uint64_t e)
{
	uint64_t address = e & 0x000ffffffffff000;

	return c->phys_bits < 52 && address >> c->phys_bits;
}

static struct seen leaf(const struct checked *c, struct seen seen, uint64_t e,
			unsigned int perm)
{
	seen.kind = SEEN_FAULTY;
	if (!type_of((e >> 3) & 7, &seen.type))
		return seen;
	seen.hpa = e & 0x000ffffffffff000;
	if (seen.hpa & (seen.size - 1))
		return seen;
	seen.kind = SEEN_LEAF;
	seen.perm = perm & 7;
	if (c->user_exec ? perm & 0x400 : perm & 4)
		seen.perm |= SEEN_U;
	if (c->ad) {
		seen.accessed = !!(e & 0x100);
		seen.dirty = !!(e & 0x200);
	}
	return seen;
}

struct seen ept_checker(const struct checked *c, uint64_t gpa)
{
	uint64_t table = c->root;
	unsigned int perm = 0x407;
	int low = 12 + 9 * (c->levels - 1);

	for (;; low -= 9) {
		uint64_t e = c->at(c->arg, table)[(gpa >> low) & 0x1ff];
		unsigned int present = c->user_exec ? 0x407 : 7;
		struct seen seen = {
			.gpa = gpa >> low << low,
			.size = (uint64_t)1 << low,
			.kind = SEEN_NOTHING,
		};

		if (!(e & present))
			return seen;
		seen.kind = SEEN_FAULTY;
		if ((e & 3) == 2 || beyond_width(c, e))
			return seen;
		perm &= e;
		if (low == 12)
			return leaf(c, seen, e, perm);
		if (e & 0x80) {
			if (low > 30)
				return seen;
			return leaf(c, seen, e, perm);
		}
		/* Bits 6:3 of what points to a table. */
		if (e & 0x78)
			return seen;
		table = e & 0x000ffffffffff000;
	}
}
