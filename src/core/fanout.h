/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef GPMM_CORE_FANOUT_H
#define GPMM_CORE_FANOUT_H

#include <stdbool.h>

#include <gpmm/backend.h>

extern const struct gpmm_backend_ops gpmm__fanout_ops
	__attribute__((visibility("hidden")));

static inline bool backend_is_fanout(const struct gpmm_backend *be)
{
	return be->ops == &gpmm__fanout_ops;
}

/*
 * The backends that stand for *@be in a transaction: its members where it is a
 * fan-out, which is never called itself, or else *@be alone. So a fan-out is
 * undone, and poisoned, by the same code as everything else.
 * Return: how many.
 */
size_t gpmm__fanout_members(const struct gpmm_backend *fanout,
			    struct gpmm_backend *const **members);

static inline size_t backend_members(struct gpmm_backend *const *be,
				     struct gpmm_backend *const **members)
{
	if (backend_is_fanout(*be))
		return gpmm__fanout_members(*be, members);
	*members = be;
	return 1;
}

#endif
