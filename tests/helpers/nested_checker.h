/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Walkers written from the manuals alone, to check the engine's tables by.
 * They share nothing with src/nested, nor with each other.
 */
#ifndef NESTED_CHECKER_H
#define NESTED_CHECKER_H

#include <stdint.h>

enum seen_kind {
	SEEN_NOTHING,		/* a hole of @size */
	SEEN_LEAF,
	SEEN_FAULTY,		/* what hardware would call malformed */
};

/* Bits of seen.perm, as GPMM_READ and so on: the answers' only link. */
#define SEEN_R	1
#define SEEN_W	2
#define SEEN_X	4
#define SEEN_U	8		/* execution in user mode */

enum seen_type { SEEN_WB, SEEN_UC, SEEN_WC, SEEN_WT, SEEN_WP };

struct seen {
	enum seen_kind kind;
	uint64_t gpa;		/* of the entry's first byte */
	uint64_t size;		/* that the entry stands for */
	uint64_t hpa;		/* of the entry's first byte */
	unsigned int perm;
	enum seen_type type;
	int accessed, dirty;
};

struct checked {
	uint64_t root;		/* physical address */
	int levels;
	int gpa_bits;
	int phys_bits;
	int user_exec;		/* its feature is on */
	int ad;			/* hardware keeps accessed and dirty bits */
	/* Where physical memory can be read. */
	const uint64_t *(*at)(void *arg, uint64_t physical);
	void *arg;
};

typedef struct seen checker_fn(const struct checked *c, uint64_t gpa);

checker_fn ept_checker, npt_checker, stage2_checker, gstage_checker;

#endif
