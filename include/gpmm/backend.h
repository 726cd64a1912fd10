/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mapping backends: what makes a set's areas real for a guest.
 *
 * A set calls its backends under its lock, one transaction at a time, in this
 * order: begin; any number of map, unmap, protect in the transaction's order;
 * commit; published. If anything fails before the transaction is published
 * the set undoes it: backends that have not committed are told abort, those
 * that have (and those without begin/commit, whose calls act at once) are
 * told the inverse calls in reverse order, in a transaction of their own. A
 * begin or a commit that failed is not followed by abort.
 *
 * Of several backends in a transaction all begin, the lowest in memory first,
 * before any is told more, and commit in the order of their first calls. So a
 * backend that several sets share may hold a lock from begin to commit.
 *
 * A backend must make each call, or with begin/commit each transaction, whole
 * or not at all: a call that fails has changed nothing.
 */
#ifndef GPMM_BACKEND_H
#define GPMM_BACKEND_H

#include <gpmm/area.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of struct gpmm_backend_ops that this header describes. */
#define GPMM_BACKEND_ABI 1

/*
 * Context of every call: callback, with the set's lock held: they must not
 * change the set they serve. Reading it is allowed. Areas passed are valid
 * during the call only.
 *
 * A call without a cause of its own fails with -EIO.
 */
struct gpmm_backend_ops {
	uint32_t abi;		/* GPMM_BACKEND_ABI */
	const char *name;	/* for messages and tables; static */

	/* Make @area reachable. Nothing of this backend's overlaps it. */
	int (*map)(struct gpmm_backend *be, const struct gpmm_area *area);
	/*
	 * Make @area unreachable. It is a whole area or the part of one that
	 * goes: what remains of it left and right stays mapped.
	 */
	int (*unmap)(struct gpmm_backend *be, const struct gpmm_area *area);
	/* Change the flags of @area (whole or part) to @new_flags. */
	int (*protect)(struct gpmm_backend *be, const struct gpmm_area *area,
		       uint32_t new_flags);

	/*
	 * Optional, but begin needs commit and abort. Between begin and commit
	 * a backend may act at once or collect. Once commit succeeded nothing
	 * can fail any more: all of it is in effect, or will be when published
	 * returns. After commit failed, or after abort, nothing is.
	 */
	int (*begin)(struct gpmm_backend *be);
	int (*commit)(struct gpmm_backend *be);
	void (*abort)(struct gpmm_backend *be);
	/*
	 * Optional: readers now see the transaction (also called after an
	 * undo's commit, when they still see the old one). Cannot fail.
	 */
	void (*published)(struct gpmm_backend *be);

	/*
	 * Optional: may @left and @right, neighbours of this backend with
	 * equal flags whose host addresses run on, become one area? Absent:
	 * they may. Merging calls nothing else.
	 */
	bool (*can_merge)(struct gpmm_backend *be, const struct gpmm_area *left,
			  const struct gpmm_area *right);
};

/*
 * A backend: embed it in your own structure (recover that with offsetof), or
 * use @ctx. Wherever a set has areas of it, it must be there until
 * gpmm_set_destroy() has returned; or gpmm_set_drain(), after they were all
 * unmapped.
 */
struct gpmm_backend {
	const struct gpmm_backend_ops *ops;
	void *ctx;		/* the implementer's */
	uint64_t granule;	/* bytes, a power of two; 0 or 1: any */
};

/*
 * gpmm_backend_none - the backend of windows and reserved ranges
 *
 * Accepts everything and does nothing. One for the process.
 *
 * Context: any.
 */
struct gpmm_backend *gpmm_backend_none(void);

/*
 * gpmm_fanout_create - one backend in front of several
 * @backends: told in this order, undone in reverse
 * @count: 1 or more; none of them twice, nor in a fan-out among them
 * @fanout: receives the backend
 *
 * For areas that must be in several places at once: memslots and an IOMMU,
 * say. A failure of one is undone in those before it. Its granule is the
 * largest of theirs; areas merge where all of them agree.
 *
 * Context: any.
 * Owns: borrows the backends until destroyed; the caller owns *@fanout.
 * Return: 0, -EINVAL, -ENOMEM.
 */
int gpmm_fanout_create(struct gpmm_backend *const *backends, size_t count,
		       struct gpmm_backend **fanout);

/*
 * gpmm_fanout_destroy - free a fan-out; its backends live on
 *
 * Context: any; no set may still have areas of it. NULL is ignored.
 */
void gpmm_fanout_destroy(struct gpmm_backend *fanout);

#ifdef __cplusplus
}
#endif
#endif
