/* SPDX-License-Identifier: BSD-3-Clause */
/* The backend that is never told anything, since it has nothing to do. */
#ifndef GPMM_CORE_NONE_H
#define GPMM_CORE_NONE_H

#include <stdbool.h>

#include <gpmm/backend.h>

extern const struct gpmm_backend_ops gpmm__none_ops
	__attribute__((visibility("hidden")));

static inline bool backend_is_none(const struct gpmm_backend *be)
{
	return be->ops == &gpmm__none_ops;
}

#endif
