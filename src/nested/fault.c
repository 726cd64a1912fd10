/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Faults in lazy ranges. The frame is allocated and cleared without the lock,
 * so that many faults do that at once; whoever comes second gives his back.
 */
#include <errno.h>
#include <string.h>

#include "nested/table.h"
#include "util/rcu.h"

/* What may be done about a fault at @gpa; 0: put a frame there. */
static int judge(const struct gpmm_nested *t, gpmm_gpa_t gpa, uint32_t access,
		 bool *there)
{
	const struct lazy *lazy = gpmm__lazy_find(t, gpa);
	struct gpmm_nested_hit hit;
	uint32_t allowed;

	*there = !gpmm_nested_walk(t, gpa, access, &hit);
	if (*there)
		return 0;
	if (hit.cause != GPMM_NESTED_NOT_PRESENT)
		return hit.cause == GPMM_NESTED_WIDTH ? -ENOENT : -EACCES;
	/* A leaf without access: it is there, and forbidden. */
	if (!entry_is_empty(&t->f, hit.entry))
		return -EACCES;
	if (!lazy)
		return -ENOENT;
	allowed = lazy->flags & 15;
	if ((allowed & GPMM_EXEC) && t->f.perm_pos[2] == t->f.perm_pos[3])
		allowed |= GPMM_USER_EXEC;
	return !allowed || (access & ~allowed) ? -EACCES : 0;
}

static int judge_locked(struct gpmm_nested *t, gpmm_gpa_t gpa,
			uint32_t access, bool *there)
{
	int ret = gpmm__nested_lock(t);

	if (ret)
		return ret;
	ret = judge(t, gpa, access, there);
	lock_release(&t->lock);
	return ret;
}

/* Map @hpa at @gpa, which is empty, as the table's own. */
static int put(struct gpmm_nested *t, gpmm_gpa_t gpa, gpmm_hpa_t hpa)
{
	struct nested_op op = {
		.kind = OP_MAP,
		.hpa = hpa,
		.max_leaf = 1,
		.span = { gpa, gpa + (FRAME_SIZE - 1) },
	};
	size_t tables = gpmm__plan_leaf(t, &op);
	int ret;

	op.flags = gpmm__lazy_find(t, gpa)->flags;
	ret = gpmm__nested_encode(t, op.flags, &op.bits);
	if (!ret)
		ret = gpmm__frames_room(t, tables + 1);
	if (!ret)
		ret = gpmm__frames_reserve(t, tables);
	if (ret)
		return ret;
	op.bits |= t->f.owned;
	t->owned++;
	gpmm__edit(t, &op);
	gpmm__nested_flush(t);
	return 0;
}

/* Return: 1 where @hpa is in the tables now. */
static int put_locked(struct gpmm_nested *t, gpmm_gpa_t gpa, uint32_t access,
		      gpmm_hpa_t hpa)
{
	bool there;
	int ret = gpmm__nested_lock(t);

	if (ret)
		return ret;
	ret = judge(t, gpa, access, &there);
	if (!ret && !there) {
		ret = put(t, align_down(gpa, FRAME_SIZE), hpa);
		if (!ret)
			ret = 1;
	}
	gpmm__nested_unlock(t);
	return ret;
}

int gpmm_nested_handle_fault(struct gpmm_nested *t, gpmm_gpa_t gpa,
			     uint32_t access)
{
	struct gpmm_nested_hit hit;
	bool there = false;
	gpmm_hpa_t hpa;
	int ret;

	if (rcu_inside(NULL))
		return -EDEADLK;
	/* Another thread may have answered it. */
	if (!gpmm_nested_walk(t, gpa, access, &hit))
		return 0;
	ret = judge_locked(t, gpa, access, &there);
	if (ret || there)
		return ret;
	ret = t->ops.alloc(t->ctx, 0, &hpa);
	if (ret)
		return ret;
	memset(table_va(t, hpa), 0, FRAME_SIZE);
	ret = put_locked(t, gpa, access, hpa);
	if (ret == 1)
		return 0;
	t->ops.free(t->ctx, hpa, 0);
	return ret;
}
