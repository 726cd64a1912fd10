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
 * A fan-out's members, which are told in its place: it is never called itself.
 * So it is undone, and poisoned, by the same code as everything else.
 * Return: how many.
 */
size_t gpmm__fanout_members(const struct gpmm_backend *fanout,
			    struct gpmm_backend *const **members);

/* The same of any backend, which may stand for itself alone. */
static inline size_t backend_members(struct gpmm_backend *const *be,
				     struct gpmm_backend *const **members)
{
	if (backend_is_fanout(*be))
		return gpmm__fanout_members(*be, members);
	*members = be;
	return 1;
}

#endif
