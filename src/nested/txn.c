/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Transactions: calls plan and reserve, commit edits, tidies and flushes.
 */
#include <errno.h>

#include "nested/table.h"
#include "util/alloc.h"
#include "util/rcu.h"

int gpmm__nested_check(const struct gpmm_nested *t, uint64_t gpa,
		       uint64_t size, struct span *span)
{
	if (!is_aligned(gpa | size, FRAME_SIZE) ||
	    !range_to_span(gpa, size, span))
		return -EINVAL;
	return span->last >> t->f.gpa_bits ? -EINVAL : 0;
}

/* The bits of a leaf besides its address and its level's. */
int gpmm__nested_encode(const struct gpmm_nested *t, uint32_t flags,
			uint64_t *bits)
{
	const struct nested_format *f = &t->f;
	unsigned int type = (flags & GPMM_MT_MASK) >> GPMM_MT_SHIFT;
	uint64_t perm = f->perm_encode[flags & 15];

	if (perm == FORMAT_REFUSED || type > 4 ||
	    f->mt_encode[type] == FORMAT_REFUSED)
		return -EINVAL;
	*bits = perm | f->mt_encode[type] | f->preset;
	if (!perm)
		*bits |= f->no_access;
	if (flags & GPMM_LOG_DIRTY)
		*bits |= f->small;
	return 0;
}

int gpmm_nested_check_flags(const struct gpmm_nested *t, uint32_t flags,
			    const char **why)
{
	uint64_t bits;
	int ret = gpmm__nested_encode(t, flags, &bits);

	if (ret && why)
		*why = t->f.why(&t->f, flags);
	return ret;
}

/* ------------------------------------------------------------- planning --- */

static int make_room(struct gpmm_nested *t)
{
	size_t cap = t->edit_cap ? 2 * t->edit_cap : 8;
	struct nested_op *edits;

	if (t->edit_count < t->edit_cap)
		return 0;
	edits = gpmm__realloc(t->edits, cap * sizeof(*edits));
	if (!edits)
		return -ENOMEM;
	t->edits = edits;
	t->edit_cap = cap;
	return 0;
}

static void extend_hull(struct gpmm_nested *t, const struct nested_op *op)
{
	bool maps = op->kind == OP_MAP && !(op->flags & GPMM_LAZY);

	if (!t->edit_count || op->span.first <= t->hull.first) {
		t->hull.first = op->span.first;
		t->maps_first = maps;
	}
	if (!t->edit_count || op->span.last >= t->hull.last) {
		t->hull.last = op->span.last;
		t->maps_last = maps;
	}
}

static unsigned int max_leaf(const struct gpmm_nested *t,
			     const struct nested_op *op)
{
	if (op->kind == OP_UNMAP)
		return FORMAT_LEVELS;
	return op->flags & GPMM_LOG_DIRTY ? 1 : t->f.max_leaf;
}

/* Add an edit to the transaction; a failure leaves it as it was. */
int gpmm__nested_add(struct gpmm_nested *t, struct nested_op *op)
{
	size_t tables;
	int ret = 0;

	if (op->kind != OP_UNMAP)
		ret = gpmm__nested_encode(t, op->flags, &op->bits);
	op->max_leaf = max_leaf(t, op);
	if (!ret)
		ret = gpmm__plan(t, op, &tables);
	if (!ret)
		ret = make_room(t);
	if (!ret)
		ret = gpmm__lazy_reserve(t, t->edit_count + 1);
	if (!ret)
		ret = gpmm__frames_reserve(t, tables);
	if (ret)
		return ret;
	extend_hull(t, op);
	t->edits[t->edit_count++] = *op;
	return 0;
}

/* -------------------------------------------------------------- flushing --- */

/* Caches may hold something of @span that the edit has changed. */
void gpmm__nested_touch(struct gpmm_nested *t, struct span span)
{
	if (!t->has_changed) {
		t->changed = span;
		t->has_changed = true;
		return;
	}
	if (span.first < t->changed.first)
		t->changed.first = span.first;
	if (span.last > t->changed.last)
		t->changed.last = span.last;
}

/* Does @b touch @a, so that one range says both? */
static bool touches(struct gpmm_range a, struct gpmm_range b)
{
	return b.start <= a.start + a.size && a.start <= b.start + b.size;
}

static void join(struct gpmm_range *a, struct gpmm_range b)
{
	uint64_t end = a->start + a->size, b_end = b.start + b.size;

	if (b.start < a->start)
		a->start = b.start;
	a->size = (b_end > end ? b_end : end) - a->start;
}

/* A range ends below 2^57: nothing here wraps. */
static void collect_changed(struct gpmm_nested *t)
{
	struct gpmm_range range = { t->changed.first,
				    t->changed.last - t->changed.first + 1 };
	size_t last = t->flush_count - 1;

	if (!t->has_changed || t->flush_count > GPMM_NESTED_FLUSH_MAX)
		return;
	t->has_changed = false;
	if (t->flush_count && touches(t->flush[last], range))
		join(&t->flush[last], range);
	else if (t->flush_count < GPMM_NESTED_FLUSH_MAX)
		t->flush[t->flush_count++] = range;
	else
		t->flush_count++;
}

void gpmm__nested_flush(struct gpmm_nested *t)
{
	size_t count;

	collect_changed(t);
	count = t->flush_count;
	t->flush_count = 0;
	t->has_changed = false;
	if (!count)
		return;
	t->flushes++;
	t->ops.flush(t->ctx, t->flush,
		     count > GPMM_NESTED_FLUSH_MAX ? 0 : count);
}

/* ---------------------------------------------------------- transactions --- */

int gpmm__nested_lock(struct gpmm_nested *t)
{
	return rcu_inside(NULL) ? -EDEADLK : lock_acquire(&t->lock);
}

void gpmm__nested_unlock(struct gpmm_nested *t)
{
	bool crowded = t->limbo_len >= t->limbo_max;

	lock_release(&t->lock);
	if (crowded)
		gpmm_nested_drain(t);
}

/*
 * What an edit retires is in the limbo before the flush; nobody can free it
 * before that, as it takes the lock.
 */
static void apply(struct gpmm_nested *t)
{
	for (size_t i = 0; i < t->edit_count; i++) {
		gpmm__edit(t, &t->edits[i]);
		collect_changed(t);
	}
	for (size_t i = 0; i < t->edit_count; i++) {
		gpmm__tidy(t, &t->edits[i]);
		collect_changed(t);
	}
	gpmm__nested_flush(t);
	for (size_t i = 0; i < t->edit_count && t->unfinished; i++)
		gpmm__tidy_finish(t, t->edits[i].span);
	t->unfinished = false;
}

/* Make the edits, or forget them. */
void gpmm__nested_end(struct gpmm_nested *t, bool make)
{
	t->open = false;
	if (make)
		apply(t);
	gpmm__frames_give_back(t);
	t->edit_count = 0;
}

int gpmm_nested_begin(struct gpmm_nested *t)
{
	int ret = gpmm__nested_lock(t);

	if (!ret)
		t->open = true;
	return ret;
}

void gpmm_nested_commit(struct gpmm_nested *t)
{
	gpmm__nested_end(t, true);
	gpmm__nested_unlock(t);
}

void gpmm_nested_abort(struct gpmm_nested *t)
{
	gpmm__nested_end(t, false);
	lock_release(&t->lock);
}
