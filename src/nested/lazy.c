/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lazy ranges: where a fault may put a frame. They cost no table, so that
 * they are kept beside the tables: an ascending array (invariant F).
 */
#include <errno.h>
#include <string.h>

#include "nested/table.h"
#include "util/alloc.h"

/* What a leaf put there by a fault needs to know. */
#define LAZY_FLAGS	(GPMM_RWX | GPMM_USER_EXEC | GPMM_MT_MASK | \
			 GPMM_LOG_DIRTY)

/* An edit adds two ranges at most. */
int gpmm__lazy_reserve(struct gpmm_nested *t, size_t edits)
{
	size_t want = t->lazy_len + 2 * edits;
	struct lazy *lazy;

	if (want <= t->lazy_cap)
		return 0;
	want += want / 2;
	lazy = gpmm__realloc(t->lazy, want * sizeof(*lazy));
	if (!lazy)
		return -ENOMEM;
	t->lazy = lazy;
	t->lazy_cap = want;
	return 0;
}

/* The first range that ends at or above @gpa; lazy_len where none does. */
static size_t first_from(const struct gpmm_nested *t, uint64_t gpa)
{
	size_t low = 0, high = t->lazy_len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (t->lazy[middle].span.last < gpa)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct lazy *gpmm__lazy_find(const struct gpmm_nested *t, uint64_t gpa)
{
	size_t at = first_from(t, gpa);

	if (at == t->lazy_len || t->lazy[at].span.first > gpa)
		return NULL;
	return &t->lazy[at];
}

bool gpmm__lazy_overlaps(const struct gpmm_nested *t, struct span span)
{
	size_t at = first_from(t, span.first);

	return at < t->lazy_len && t->lazy[at].span.first <= span.last;
}

static void insert(struct gpmm_nested *t, size_t at, struct lazy lazy)
{
	memmove(&t->lazy[at + 1], &t->lazy[at],
		(t->lazy_len - at) * sizeof(lazy));
	t->lazy[at] = lazy;
	t->lazy_len++;
}

static void remove_from(struct gpmm_nested *t, size_t at, size_t count)
{
	t->lazy_len -= count;
	memmove(&t->lazy[at], &t->lazy[at + count],
		(t->lazy_len - at) * sizeof(*t->lazy));
}

/* See to it that no range goes across @gpa; return the first from it on. */
static size_t cut(struct gpmm_nested *t, uint64_t gpa)
{
	size_t at = first_from(t, gpa);
	struct lazy right;

	if (at == t->lazy_len || t->lazy[at].span.first >= gpa)
		return at;
	right = t->lazy[at];
	right.span.first = gpa;
	t->lazy[at].span.last = gpa - 1;
	insert(t, at + 1, right);
	return at + 1;
}

static bool run_on(const struct lazy *left)
{
	return left->span.last + 1 == left[1].span.first &&
	       left->flags == left[1].flags;
}

/* Merge neighbours that run on from @first - 1 to @end. */
static void merge(struct gpmm_nested *t, size_t first, size_t end)
{
	size_t at = first ? first - 1 : 0;

	while (at < end && at + 1 < t->lazy_len) {
		if (!run_on(&t->lazy[at])) {
			at++;
			continue;
		}
		t->lazy[at].span.last = t->lazy[at + 1].span.last;
		remove_from(t, at + 1, 1);
		end--;
	}
}

void gpmm__lazy_edit(struct gpmm_nested *t, const struct nested_op *op)
{
	size_t first = cut(t, op->span.first);
	size_t end = cut(t, op->span.last + 1);
	uint32_t flags = op->flags & LAZY_FLAGS;

	if (op->kind == OP_MAP) {
		insert(t, first, (struct lazy){ op->span, flags });
		end = first + 1;
	} else if (op->kind == OP_UNMAP) {
		remove_from(t, first, end - first);
		end = first;
	} else {
		for (size_t i = first; i < end; i++)
			t->lazy[i].flags = flags;
	}
	merge(t, first, end);
}
