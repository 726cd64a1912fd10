/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RISC-V G-stage: the algorithm of the privileged manual's 4.3.2 "Virtual
 * Address Translation Process", as 8.5.1 "Guest Physical Address Translation"
 * changes it (wider root index, all accesses as in user mode), with Svpbmt.
 */
#include "helpers/nested_checker.h"

struct pte {
	unsigned int v, r, w, x, u, a, d;
	uint64_t ppn;
	unsigned int reserved, pbmt, n;
};

static struct pte decode(uint64_t bits)
{
	return (struct pte){
		.v = bits & 1,
		.r = bits >> 1 & 1,
		.w = bits >> 2 & 1,
		.x = bits >> 3 & 1,
		.u = bits >> 4 & 1,
		.a = bits >> 6 & 1,
		.d = bits >> 7 & 1,
		.ppn = bits >> 10 & 0xfffffffffff,
		.reserved = bits >> 54 & 0x7f,
		.pbmt = bits >> 61 & 3,
		.n = bits >> 63,
	};
}

static struct seen found(const struct checked *c, struct seen seen,
			 const struct pte *pte, int i)
{
	static const enum seen_type types[3] = { SEEN_WB, SEEN_WC, SEEN_UC };

	/* Step 5: u; step 6: misaligned superpage. */
	if (!pte->u || pte->pbmt == 3)
		return seen;
	if (pte->ppn & (((uint64_t)1 << (9 * i)) - 1))
		return seen;
	/* Step 7, where hardware does not update: a fault. */
	if (!c->ad && (!pte->a || (pte->w && !pte->d)))
		return seen;
	seen.kind = SEEN_LEAF;
	seen.hpa = pte->ppn << 12;
	seen.type = types[pte->pbmt];
	seen.perm = pte->r * SEEN_R | pte->w * SEEN_W |
		    pte->x * (SEEN_X | SEEN_U);
	seen.accessed = pte->a;
	seen.dirty = pte->d;
	return seen;
}

struct seen gstage_checker(const struct checked *c, uint64_t gpa)
{
	uint64_t a = c->root;

	for (int i = c->levels - 1;; i--) {
		int shift = 12 + 9 * i;
		uint64_t vpn = gpa >> shift;
		struct seen seen = {
			.gpa = gpa >> shift << shift,
			.size = (uint64_t)1 << shift,
		};
		struct pte pte;

		if (i < c->levels - 1)
			vpn &= 511;
		pte = decode(c->at(c->arg, a + (vpn * 8 & ~4095ull))
			     [vpn % 512]);
		if (!pte.v)
			return seen;
		seen.kind = SEEN_FAULTY;
		if ((!pte.r && pte.w) || pte.reserved || pte.n ||
		    pte.ppn >> (c->phys_bits - 12))
			return seen;
		if (pte.r || pte.x)
			return found(c, seen, &pte, i);
		/* A pointer: D, A and U are reserved, as is PBMT. */
		if (i == 0 || pte.a || pte.d || pte.u || pte.pbmt)
			return seen;
		a = pte.ppn << 12;
	}
}
