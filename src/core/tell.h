/* SPDX-License-Identifier: BSD-3-Clause */
/* Telling backends what changes, and undoing what was told. */
#ifndef GPMM_CORE_TELL_H
#define GPMM_CORE_TELL_H

#include <errno.h>

#include <gpmm/backend.h>

#include "core/plan.h"

enum teller_state {
	TELLER_AT_ONCE,		/* has no transactions */
	TELLER_NEW,		/* has not begun */
	TELLER_BEGUN,
	TELLER_COMMITTED,
	TELLER_OVER,		/* has failed: nothing is in effect */
};

/* A backend with a part in a transaction that has more to it than its edits:
 * it has begin and commit, or wants to hear of the publication. */
struct teller {
	struct gpmm_backend *be;
	enum teller_state state;
};

struct tell {
	struct edit *edits;
	size_t n;
	struct gpmm_backend *sole;	/* has begin and all edits, no teller */
	VEC(struct teller) tellers;
};

/* A backend's word for success is 0 only. */
static inline int tell_error(int ret)
{
	return ret > 0 ? -EIO : ret;
}

/* One call to the area's backend. */
static inline int tell_call(enum edit_op op, const struct gpmm_area *area,
			    uint32_t new_flags)
{
	struct gpmm_backend *be = area->backend;

	switch (op) {
	case EDIT_MAP:
		return tell_error(be->ops->map(be, area));
	case EDIT_UNMAP:
		return tell_error(be->ops->unmap(be, area));
	default:
		return tell_error(be->ops->protect(be, area, new_flags));
	}
}

/*
 * All that a transaction tells its only backend, which has begin: that, commit
 * and abort make it whole, and there is nothing to undo. Inlined, as after a
 * system call each return from a function that was entered before it is taken
 * for another one.
 */
static ALWAYS_INLINE int tell_one(enum edit_op op,
				  const struct gpmm_area *area,
				  uint32_t new_flags)
{
	struct gpmm_backend *be = area->backend;
	int ret = tell_error(be->ops->begin(be));

	if (ret)
		return ret;
	ret = tell_call(op, area, new_flags);
	if (!ret)
		return tell_error(be->ops->commit(be));
	be->ops->abort(be);
	return ret;
}

static inline void tell_sole_published(struct gpmm_backend *be)
{
	if (be->ops->published)
		be->ops->published(be);
}

/* Is this a backend that a set can work with? */
bool gpmm__backend_is_valid(const struct gpmm_backend *be);

/* Make room, so that telling itself needs no memory. Return: 0 or -ENOMEM. */
int gpmm__tell_prepare(struct tell *tell);

/*
 * Tell every edit. On failure what was told is undone, and the edits whose
 * undoing failed are moved to the front of @edits, *@stuck of them.
 * Context: locked. Return: 0; what the backend returned; -EIO if any is stuck.
 */
int gpmm__tell(struct tell *tell, size_t *stuck);

/* Tell that readers now see it. */
void gpmm__tell_published(const struct tell *tell);

/*
 * Undo @n edits, the last first; those that fail, and earlier ones of the same
 * backend beneath them, are moved to the front, *@stuck of them, the others
 * behind. Return: 0 or the first failure.
 */
int gpmm__tell_inverse(struct edit *edits, size_t n, size_t *stuck);

#endif
