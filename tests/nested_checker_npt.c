/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The long-mode format as a nested walk reads it: APM volume 2, figures 5-17
 * and following (4, 2 and 1 level entries), 5.4.1 "Field Definitions", 15.25.5
 * "Nested versus Guest Page Faults, Fault Ordering": every access is a user
 * one; 7.8.1 for PAT's reset value.
 */
#include "helpers/nested_checker.h"

static const enum seen_type pat_reset[8] = {
	SEEN_WB, SEEN_WT, SEEN_UC, SEEN_UC, SEEN_WB, SEEN_WT, SEEN_UC, SEEN_UC
};

struct level {
	const char *name;
	int shift;
	uint64_t must_be_zero_large;
	int may_be_large;
};

static const struct level levels[5] = {
	{ "PTE", 12, 0, 0 },
	{ "PDE", 21, 0x1fe000, 1 },
	{ "PDPE", 30, 0x3fffe000, 1 },
	{ "PML4E", 39, 0, 0 },
	{ "PML5E", 48, 0, 0 },
};

static struct seen page(struct seen seen, uint64_t e, const struct level *l,
			int writable, int executable)
{
	unsigned int pat = ((e >> 3) & 1) | ((e >> 4) & 1) << 1;

	pat |= ((e >> (l->shift == 12 ? 7 : 12)) & 1) << 2;
	seen.kind = SEEN_LEAF;
	seen.hpa = (e & 0x000ffffffffff000) & ~(seen.size - 1);
	seen.type = pat_reset[pat];
	seen.perm = SEEN_R;
	if (writable)
		seen.perm |= SEEN_W;
	if (executable)
		seen.perm |= SEEN_X | SEEN_U;
	seen.accessed = (e >> 5) & 1;
	seen.dirty = (e >> 6) & 1;
	return seen;
}

struct seen npt_checker(const struct checked *c, uint64_t gpa)
{
	uint64_t base = c->root;
	int writable = 1, executable = 1;

	for (int i = c->levels - 1;; i--) {
		const struct level *l = &levels[i];
		uint64_t e = c->at(c->arg, base)[(gpa >> l->shift) % 512];
		struct seen seen = {
			.gpa = gpa & -((uint64_t)1 << l->shift),
			.size = (uint64_t)1 << l->shift,
		};

		if (!(e & 1))
			return seen;
		seen.kind = SEEN_FAULTY;
		if ((e & 0x000fffffffffffff) >> c->phys_bits)
			return seen;
		/* Without U a nested walk always faults. */
		if (!(e & 4))
			return seen;
		writable &= (e >> 1) & 1;
		executable &= !(e >> 63);
		if (i == 0)
			return page(seen, e, l, writable, executable);
		if (e & 0x80) {
			if (!l->may_be_large || (e & l->must_be_zero_large))
				return seen;
			return page(seen, e, l, writable, executable);
		}
		base = e & 0x000ffffffffff000;
	}
}
