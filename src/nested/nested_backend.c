/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table as a set's backend. begin to published is a transaction of the
 * table; all that can fail does so in the calls between, where only frames
 * are reserved. It is made in published and not in commit, which comes while
 * other backends' commits may still fail: until then nothing is to be undone,
 * frames of lazy areas with what guests wrote there least of all.
 */
#include <errno.h>
#include <stddef.h>

#include <gpmm/backend.h>

#include "nested/table.h"
#include "util/rcu.h"

static struct gpmm_nested *table(struct gpmm_backend *be)
{
	return be->ctx;
}

/* Contiguous runs of what is behind @area, one edit each. */
static int map_host(struct gpmm_nested *t, const struct gpmm_area *area)
{
	uint64_t done = 0;
	int ret = 0;

	if (!t->ops.hpa)
		return -EINVAL;
	while (done < area->size && !ret) {
		gpmm_gpa_t gpa = area->start + done;
		uint64_t run = 0;
		gpmm_hpa_t hpa;

		ret = t->ops.hpa(t->ctx, area, gpa, &hpa, &run);
		if (ret)
			break;
		if (run > area->size - done)
			run = area->size - done;
		ret = gpmm_nested_map(t, gpa, hpa, run, area->flags);
		done += run;
	}
	return ret;
}

/* What is in the tables: nothing for windows, GPMM_LAZY, or host memory. */
enum content { NOTHING, LAZY, HOST };

static enum content content(const struct gpmm_area *area, uint32_t flags)
{
	if (flags & GPMM_MMIO)
		return NOTHING;
	if (flags & GPMM_LAZY)
		return LAZY;
	return area->host ? HOST : NOTHING;
}

static int be_map(struct gpmm_backend *be, const struct gpmm_area *area)
{
	struct gpmm_nested *t = table(be);
	enum content is = content(area, area->flags);
	size_t before = t->edit_count;
	int ret;

	if (t->undoing || is == NOTHING)
		return 0;
	if (is == LAZY)
		return gpmm_nested_map(t, area->start, 0, area->size,
				       area->flags);
	ret = map_host(t, area);
	/* What the runs before it reserved stays in the pool until the end. */
	if (ret)
		t->edit_count = before;
	return ret;
}

static int be_unmap(struct gpmm_backend *be, const struct gpmm_area *area)
{
	struct gpmm_nested *t = table(be);

	return t->undoing ? 0 : gpmm_nested_unmap(t, area->start, area->size);
}

static int be_protect(struct gpmm_backend *be, const struct gpmm_area *area,
		      uint32_t new_flags)
{
	struct gpmm_nested *t = table(be);
	enum content was = content(area, area->flags);
	enum content is = content(area, new_flags);
	struct gpmm_area new = *area;

	if (t->undoing || (was == NOTHING && is == NOTHING))
		return 0;
	if (was == is)
		return gpmm_nested_protect(t, area->start, area->size,
					   new_flags);
	/* What a lazy area holds is nowhere else. */
	if (was == LAZY || is == LAZY)
		return -EINVAL;
	if (is == NOTHING)
		return be_unmap(be, area);
	new.flags = new_flags;
	return be_map(be, &new);
}

/*
 * Where the lock says that it is this thread's, and the transaction was
 * committed but not published, the set has come to undo it: forget it, and
 * the inverse calls have nothing to do.
 */
static int lock_for_undo(struct gpmm_nested *t, int ret)
{
	if (ret != -EDEADLK || !t->committed)
		return ret;
	gpmm__nested_end(t, false);
	t->committed = false;
	t->undoing = true;
	return 0;
}

static int be_begin(struct gpmm_backend *be)
{
	struct gpmm_nested *t = table(be);
	int ret;

	if (rcu_inside(NULL))
		return -EDEADLK;
	ret = lock_acquire(&t->lock);
	if (ret)
		return lock_for_undo(t, ret);
	t->open = true;
	if (t->has_worker)
		return 0;
	ret = gpmm__worker_get();
	t->has_worker = !ret;
	if (ret)
		gpmm_nested_abort(t);
	return ret;
}

/* The lock stays until published: what was reserved is not to be changed. */
static int be_commit(struct gpmm_backend *be)
{
	struct gpmm_nested *t = table(be);

	t->open = false;
	t->committed = true;
	return 0;
}

/* The set's lock is held: the wait for a grace period is another's. */
static void be_published(struct gpmm_backend *be)
{
	struct gpmm_nested *t = table(be);
	bool drain;

	gpmm__nested_end(t, true);
	t->committed = t->undoing = false;
	drain = t->limbo_len && !t->draining;
	if (drain)
		t->draining = true;
	lock_release(&t->lock);
	if (drain)
		gpmm__worker_add(&t->drain, WORK_SOON);
}

static void be_abort(struct gpmm_backend *be)
{
	struct gpmm_nested *t = table(be);

	t->undoing = false;
	gpmm_nested_abort(t);
}

static const struct gpmm_backend_ops backend_ops = {
	.abi = GPMM_BACKEND_ABI,
	.name = "nested",
	.map = be_map,
	.unmap = be_unmap,
	.protect = be_protect,
	.begin = be_begin,
	.commit = be_commit,
	.abort = be_abort,
	.published = be_published,
};

static void drain(struct work *work)
{
	struct gpmm_nested *t = (struct gpmm_nested *)
		((char *)work - offsetof(struct gpmm_nested, drain));

	if (lock_acquire(&t->lock))
		return;
	t->draining = false;
	lock_release(&t->lock);
	gpmm_nested_drain(t);
}

void gpmm__nested_backend_fini(struct gpmm_nested *t)
{
	if (!t->has_worker)
		return;
	gpmm__worker_cancel(&t->drain);
	gpmm__worker_put();
}

void gpmm__nested_backend_init(struct gpmm_nested *t)
{
	t->drain.run = drain;
	t->backend = (struct gpmm_backend){
		.ops = &backend_ops,
		.ctx = t,
		.granule = FRAME_SIZE,
	};
}

struct gpmm_backend *gpmm_nested_backend(struct gpmm_nested *t)
{
	return &t->backend;
}
