/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A random walk of a set beside the model: every step is one operation, asked
 * of both, and some looking. What is drawn comes from a seed or from bytes
 * that a fuzzer made. For the double build: it makes allocations fail.
 */
#ifndef TESTS_WALK_H
#define TESTS_WALK_H

#include <gpmm/gpmm.h>

#include "helpers/mock_backend.h"
#include "helpers/model.h"
#include "helpers/rng.h"

struct walk_shape {
	uint64_t granule;
	gpmm_gpa_t base;	/* a multiple of 4 granules */
	uint32_t cells;
	uint32_t longest;	/* cells of the longest range to change */
	uint32_t areas;		/* to begin with */
	bool no_merge;
	size_t limbo_max;
};

enum {
	WALK_MOCKS = 5,
	WALK_BACKENDS = 5,
	WALK_HOSTS = 3,
	WALK_GONE = 8,
};

struct walk {
	struct walk_shape shape;
	struct gpmm_set *set;
	struct gpmm_txn *txn;
	struct model now;	/* with the open transaction's changes */
	struct model then;	/* what readers see while one is open */
	uint64_t nodes;		/* a sum over all they may be reading */
	/* Unmapped in the transaction as they were, and not mapped again. */
	struct gpmm_area gone[WALK_GONE];
	uint32_t gone_count;

	/* At once; transactional; coarse, and picky about merges; two in one */
	struct mock mock[WALK_MOCKS];
	struct gpmm_backend *fanout;
	struct gpmm_backend *backend[WALK_BACKENDS];
	struct gpmm_host *host[WALK_HOSTS];
	unsigned int released;

	struct rng rng;
	const uint8_t *bytes;	/* drawn from before the generator, if set */
	size_t left;
	bool dry;		/* the bytes ran out */

	bool alloc_armed;
	unsigned long steps;
	unsigned long failures;	/* injected ones that struck */
	char said[160];		/* the library's last message */
	char why[512];		/* what went wrong */
};

/* Each returns 0, or -1 with @why; after -1 only walk_close() may follow. */
int walk_open(struct walk *walk, const struct walk_shape *shape,
	      uint64_t seed);
int walk_step(struct walk *walk);
/* Compare everything there is, backends too. */
int walk_check(struct walk *walk);
/* Also checks that nothing is left of anything. */
int walk_close(struct walk *walk);

/* Take what is drawn from here until it ends. */
void walk_feed(struct walk *walk, const uint8_t *bytes, size_t size);

#endif
