/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames: reserved in a pool before a change, taken from it while the change
 * is made, retired to the limbo, and freed after a grace period.
 */
#include <errno.h>
#include <string.h>

#include "nested/table.h"
#include "util/alloc.h"
#include "util/rcu.h"

/*
 * The pool grows down from the limbo's end: a frame is not touched before it
 * is used, and invariant G has room for both.
 */
static gpmm_hpa_t *pool_at(const struct gpmm_nested *t, size_t i)
{
	return &t->limbo[t->limbo_cap - 1 - i];
}

/* Invariant G. */
int gpmm__frames_room(struct gpmm_nested *t, size_t more)
{
	size_t want = t->tables + t->owned + t->pool_len + t->limbo_len + more;
	gpmm_hpa_t *limbo;

	if (want <= t->limbo_cap)
		return 0;
	want += want / 2;
	limbo = gpmm__realloc(t->limbo, want * sizeof(*limbo));
	if (!limbo)
		return -ENOMEM;
	memmove(limbo + want - t->pool_len,
		limbo + t->limbo_cap - t->pool_len,
		t->pool_len * sizeof(*limbo));
	t->limbo = limbo;
	t->limbo_cap = want;
	return 0;
}

static int reserve_one(struct gpmm_nested *t)
{
	int ret = t->ops.alloc(t->ctx, 0, pool_at(t, t->pool_len));

	if (!ret)
		t->pool_len++;
	return ret;
}

static gpmm_hpa_t pop(struct gpmm_nested *t)
{
	return *pool_at(t, --t->pool_len);
}

int gpmm__frames_reserve(struct gpmm_nested *t, size_t count)
{
	size_t before = t->pool_len;
	int ret = gpmm__frames_room(t, count);

	for (size_t i = 0; i < count && !ret; i++)
		ret = reserve_one(t);
	if (!ret)
		return 0;
	while (t->pool_len > before)
		t->ops.free(t->ctx, pop(t), 0);
	return ret;
}

/* The contents are whatever they are. */
uint64_t *gpmm__frames_take(struct gpmm_nested *t, gpmm_hpa_t *hpa)
{
	*hpa = pop(t);
	t->tables++;
	return table_va(t, *hpa);
}

void gpmm__frames_give_back(struct gpmm_nested *t)
{
	while (t->pool_len)
		t->ops.free(t->ctx, pop(t), 0);
}

/* The caller has counted it out of tables or owned. */
void gpmm__frames_retire(struct gpmm_nested *t, gpmm_hpa_t hpa)
{
	t->limbo[t->limbo_len++] = hpa;
}

static void free_first(struct gpmm_nested *t, size_t count)
{
	for (size_t i = 0; i < count; i++)
		t->ops.free(t->ctx, t->limbo[i], 0);
	t->limbo_len -= count;
	if (t->limbo_len)
		memmove(t->limbo, t->limbo + count,
			t->limbo_len * sizeof(*t->limbo));
}

/* Nobody reads any more. */
void gpmm__frames_free_limbo(struct gpmm_nested *t)
{
	free_first(t, t->limbo_len);
}

/*
 * What is in the limbo when the lock is dropped has been flushed, and stays
 * first in it while drain_lock is held.
 */
static int drain_locked(struct gpmm_nested *t)
{
	size_t count;
	int ret = lock_acquire(&t->lock);

	if (ret)
		return ret;
	count = t->limbo_len;
	lock_release(&t->lock);
	if (!count)
		return 0;
	gpmm__rcu_wait(NULL);
	ret = lock_acquire(&t->lock);
	if (ret)
		return ret;
	free_first(t, count);
	lock_release(&t->lock);
	return 0;
}

int gpmm_nested_drain(struct gpmm_nested *t)
{
	int ret;

	if (rcu_inside(NULL))
		return -EDEADLK;
	ret = lock_acquire(&t->drain_lock);
	if (ret)
		return ret;
	ret = drain_locked(t);
	lock_release(&t->drain_lock);
	return ret;
}
