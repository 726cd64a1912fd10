/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef GPMM_CORE_FANOUT_H
#define GPMM_CORE_FANOUT_H

#include <gpmm/backend.h>

/*
 * The backends that stand for @be in a transaction: its members where it is a
 * fan-out, which is never called itself, or else @be alone. So a fan-out is
 * undone, and poisoned, by the same code as everything else.
 * Return: how many.
 */
size_t gpmm__backend_members(struct gpmm_backend *const *be,
			     struct gpmm_backend *const **members);

bool gpmm__backend_is_fanout(const struct gpmm_backend *be);

#endif
