/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "core/fanout.h"
#include "core/tell.h"
#include "util/alloc.h"

struct fanout {
	struct gpmm_backend be;
	size_t count;
	struct gpmm_backend *member[];
};

static const struct fanout *fanout_of(const struct gpmm_backend *be)
{
	return (const struct fanout *)((const char *)be -
				       offsetof(struct fanout, be));
}

static bool can_merge(struct gpmm_backend *be, const struct gpmm_area *left,
		      const struct gpmm_area *right)
{
	const struct fanout *fanout = fanout_of(be);

	for (size_t i = 0; i < fanout->count; i++) {
		struct gpmm_backend *member = fanout->member[i];

		if (member->ops->can_merge &&
		    !member->ops->can_merge(member, left, right))
			return false;
	}
	return true;
}

const struct gpmm_backend_ops gpmm__fanout_ops = {
	.abi = GPMM_BACKEND_ABI,
	.name = "fan-out",
	.can_merge = can_merge,
};

size_t gpmm__fanout_members(const struct gpmm_backend *fanout,
			    struct gpmm_backend *const **members)
{
	*members = fanout_of(fanout)->member;
	return fanout_of(fanout)->count;
}

/* There is room. Return: 0; -EINVAL where it would be told all twice. */
static int add_member(struct fanout *fanout, struct gpmm_backend *be)
{
	for (size_t i = 0; i < fanout->count; i++)
		if (fanout->member[i] == be)
			return -EINVAL;
	fanout->member[fanout->count++] = be;
	return 0;
}

int gpmm_fanout_create(struct gpmm_backend *const *backends, size_t count,
		       struct gpmm_backend **fanout)
{
	struct gpmm_backend *const *members;
	struct fanout *made;
	size_t all = 0;

	if (!count)
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		if (!backends[i] || !gpmm__backend_is_valid(backends[i]))
			return -EINVAL;
		all += backend_members(&backends[i], &members);
	}
	made = gpmm__zalloc(sizeof(*made) + all * sizeof(made->member[0]));
	if (!made)
		return -ENOMEM;
	made->be.ops = &gpmm__fanout_ops;
	for (size_t i = 0; i < count; i++) {
		size_t n = backend_members(&backends[i], &members);

		for (size_t j = 0; j < n; j++)
			if (add_member(made, members[j]))
				goto twice;
		if (backends[i]->granule > made->be.granule)
			made->be.granule = backends[i]->granule;
	}
	*fanout = &made->be;
	return 0;
twice:
	gpmm__free(made);
	return -EINVAL;
}

void gpmm_fanout_destroy(struct gpmm_backend *fanout)
{
	if (fanout)
		gpmm__free((struct fanout *)fanout_of(fanout));
}
