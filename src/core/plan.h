/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Plans: from a snapshot and a request to what is to change, without changing
 * anything: what to tell the backends (edits), and which items of the tree
 * give way to which others.
 *
 * References: every item of a tree owns a reference on its host memory. An
 * item that is planned in the place of an old one carries that one's over
 * where it can; whatever an old item had and nobody carries is dropped.
 *
 * Items merge only where one of the two is touched: new, or changed.
 */
#ifndef GPMM_CORE_PLAN_H
#define GPMM_CORE_PLAN_H

#include <gpmm/set.h>

#include "core/node.h"
#include "util/range.h"
#include "util/vec.h"

enum edit_op {
	EDIT_MAP,
	EDIT_UNMAP,
	EDIT_PROTECT,
	EDIT_UNDONE,
};

/* One call to a backend. */
struct edit {
	enum edit_op op;
	uint32_t new_flags;	/* of EDIT_PROTECT */
	bool stuck;		/* undoing it has failed */
	struct gpmm_area area;	/* as it is before, or with MAP after, the edit */
};

struct plan {
	/* The snapshot that the next request starts from. */
	uintptr_t root;
	unsigned int shift;
	bool merge;		/* neighbours that run on become one */

	/* These grow with each request of a transaction. */
	VEC(struct edit) edits;
	VEC(struct gpmm_host *) dropped;	/* NULL: kept after all */

	/*
	 * Of the last request: the items that start in [first, last], @removed
	 * of them, give way to @items. Unless @changed, nothing does.
	 */
	bool changed;
	/*
	 * @at: the way to the last of them, or to where the items go. Where
	 * @local they are all in one leaf, from @place on.
	 */
	struct gpmm_iter at;
	void *leaf;
	unsigned int place;
	bool local;
	uint64_t first;
	uint64_t last;
	size_t removed;
	uint64_t next;		/* what is behind a mapped item starts there */
	VEC(struct item) items;
	size_t kept;		/* items up to the last that is not as before */
	size_t removed_kept;	/* old items up to there */
};

/* What is returned where a request is to be planned, or made, in another way. */
#define PLAN_NOT	1

/*
 * Each plans one request. Spans are in granules. On failure what the request
 * added is to be taken back with gpmm__plan_rewind().
 * Return: 0; -ENOMEM; -EINVAL where a cut is off a backend's granule; or as
 * the function of this name in <gpmm/set.h>.
 */
int gpmm__plan_map(struct plan *plan, const struct item *item, bool replace);
int gpmm__plan_unmap(struct plan *plan, struct span span);
int gpmm__plan_protect(struct plan *plan, struct span span,
		       gpmm_protect_fn *update, void *arg);
int gpmm__plan_split(struct plan *plan, uint64_t at);
int gpmm__plan_merge(struct plan *plan, struct span span);

/*
 * Plan a map where nothing is in the way, and nothing to merge with, not even
 * to ask a backend about. Return: as gpmm__plan_map(), or PLAN_NOT.
 */
int gpmm__plan_map_alone(struct plan *plan, const struct item *item);

/* Empty an array; keep a little memory for the next transaction. */
#define SCRATCH_BYTES	32768
#define scratch_reset(vec)						\
	do {								\
		(vec)->len = 0;						\
		if ((vec)->cap * sizeof(*(vec)->v) > SCRATCH_BYTES)	\
			vec_free(vec);					\
	} while (0)

struct plan_mark {
	size_t edits;
	size_t dropped;
};

static inline struct plan_mark gpmm__plan_mark(const struct plan *plan)
{
	return (struct plan_mark){ plan->edits.len, plan->dropped.len };
}

static inline void gpmm__plan_rewind(struct plan *plan, struct plan_mark mark)
{
	plan->edits.len = mark.edits;
	plan->dropped.len = mark.dropped;
}

/* Forget everything. */
static inline void gpmm__plan_reset(struct plan *plan)
{
	scratch_reset(&plan->edits);
	scratch_reset(&plan->dropped);
	scratch_reset(&plan->items);
}

void gpmm__plan_fini(struct plan *plan);

#endif
