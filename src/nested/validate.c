/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The invariants of table.h, checked.
 */
#include <errno.h>
#include <stdlib.h>

#include "nested/table.h"
#include "util/alloc.h"

struct validation {
	const struct gpmm_nested *t;
	const char *why;
	gpmm_hpa_t *seen;		/* frames, as they are reached */
	size_t count, room;
	size_t tables, owned;
};

static bool broken(struct validation *v, const char *why)
{
	if (!v->why)
		v->why = why;
	return false;
}

static bool see(struct validation *v, gpmm_hpa_t hpa)
{
	if (v->count == v->room)
		return broken(v, "D: more frames than were counted");
	v->seen[v->count++] = hpa;
	return true;
}

static bool check_owned(struct validation *v, uint64_t entry,
			unsigned int level, uint64_t gpa)
{
	if (level != 1)
		return broken(v, "F: a large leaf is the table's own");
	if (!gpmm__lazy_find(v->t, gpa))
		return broken(v, "F: an own frame outside lazy ranges");
	v->owned++;
	return see(v, entry_addr(&v->t->f, entry));
}

/* A leaf's bits: what its flags encode to, and its address. */
static bool check_bits(struct validation *v, uint64_t entry,
		       unsigned int level)
{
	const struct nested_format *f = &v->t->f;
	uint64_t mine = f->owned | f->small | f->accessed | f->dirty |
			f->soft_dirty;
	uint64_t perm = entry & f->perm_mask;
	unsigned int type = (entry >> f->mt_shift) & f->mt_field;

	if (entry & f->no_access) {
		if (perm)
			return broken(v, "C: no access, and permissions");
		mine |= f->no_access;
	} else if (!(entry & f->valid) ||
		   (f->perm_decode[format_perm_index(f, entry)] &
		    FORMAT_BAD)) {
		return broken(v, "C: a permission the format cannot say");
	}
	if (f->mt_decode[type] & FORMAT_BAD)
		return broken(v, "C: a memory type the format cannot say");
	if ((entry & f->preset) != f->preset || (entry & f->leaf[level]) !=
	    f->leaf[level])
		return broken(v, "C: a bit of every leaf is missing");
	if (entry & ~(mine | f->perm_mask | f->mt_mask | f->preset |
		      f->leaf[level] | f->addr_mask))
		return broken(v, "C: a bit that no leaf has");
	return true;
}

static bool check_leaf(struct validation *v, uint64_t entry,
		       unsigned int level, uint64_t gpa)
{
	const struct nested_format *f = &v->t->f;
	gpmm_hpa_t hpa = entry_addr(f, entry);

	if (level > f->max_leaf)
		return broken(v, "C: a leaf above the highest level for one");
	/* Hardware does not look at a leaf without access. */
	if (!(entry & f->no_access) && (entry & f->leaf_reserved[level]))
		return broken(v, "C: a reserved bit in a leaf");
	if (!is_aligned(hpa, level_size(level)) ||
	    (hpa + (level_size(level) - 1)) >> f->hpa_bits)
		return broken(v, "C: a leaf's address");
	if ((entry & f->small) && level > 1)
		return broken(v, "C: a large leaf where dirty bits are logged");
	if (!check_bits(v, entry, level))
		return false;
	return !(entry & f->owned) || check_owned(v, entry, level, gpa);
}

static bool check_entries(struct validation *v, const uint64_t *table,
			  unsigned int level, uint64_t gpa, size_t entries);

static bool check_table(struct validation *v, uint64_t entry,
			unsigned int level, uint64_t gpa)
{
	const struct nested_format *f = &v->t->f;
	const uint64_t *table = table_of(v->t, entry);
	uint64_t leaf;

	v->tables++;
	if ((entry & ~(f->addr_mask | f->accessed)) != f->table ||
	    (entry & f->table_reserved[level]))
		return broken(v, "C: a reserved bit in a table's entry");
	if (!see(v, entry_addr(f, entry)))
		return false;
	if (v->t->collapse &&
	    gpmm__tidy_uniform(v->t, table, level - 1, &leaf))
		return broken(v, "B: a table that could be a leaf");
	return check_entries(v, table, level - 1, gpa, ENTRIES);
}

static bool check_entries(struct validation *v, const uint64_t *table,
			  unsigned int level, uint64_t gpa, size_t entries)
{
	const struct nested_format *f = &v->t->f;
	bool used = false, ok = true;

	for (size_t i = 0; i < entries && ok; i++) {
		uint64_t entry = entry_load(&table[i]);
		uint64_t at = gpa + i * level_size(level);

		if (!entry)
			continue;
		used = true;
		if (entry == f->stale ||
		    (f->break_before_make && (entry & f->pending)))
			return broken(v, "E: stale or pending");
		ok = entry_is_table(f, entry, level) ?
		     check_table(v, entry, level, at) :
		     check_leaf(v, entry, level, at);
	}
	if (ok && !used && table != v->t->root)
		return broken(v, "A: an empty table");
	return ok;
}

static bool check_lazy(struct validation *v)
{
	const struct lazy *lazy = v->t->lazy;

	for (size_t i = 0; i < v->t->lazy_len; i++) {
		if (lazy[i].span.last < lazy[i].span.first)
			return broken(v, "F: a lazy range is empty");
		if (!i)
			continue;
		if (lazy[i].span.first <= lazy[i - 1].span.last)
			return broken(v, "F: lazy ranges overlap");
		if (lazy[i].span.first == lazy[i - 1].span.last + 1 &&
		    lazy[i].flags == lazy[i - 1].flags)
			return broken(v, "F: lazy ranges that are one");
	}
	return true;
}

static int compare(const void *a, const void *b)
{
	gpmm_hpa_t left = *(const gpmm_hpa_t *)a;
	gpmm_hpa_t right = *(const gpmm_hpa_t *)b;

	return left < right ? -1 : left > right;
}

/* The limbo's frames are no longer among those reached. */
static bool check_frames(struct validation *v)
{
	const struct gpmm_nested *t = v->t;

	if (v->tables + ((size_t)1 << t->root_order) != t->tables ||
	    v->owned != t->owned)
		return broken(v, "D: frames that cannot be reached");
	if (t->tables + t->owned + t->pool_len + t->limbo_len > t->limbo_cap &&
	    t->limbo_cap)
		return broken(v, "G: the limbo is too small");
	for (size_t i = 0; i < t->limbo_len; i++)
		v->seen[v->count++] = t->limbo[i];
	qsort(v->seen, v->count, sizeof(*v->seen), compare);
	for (size_t i = 1; i < v->count; i++)
		if (v->seen[i] == v->seen[i - 1])
			return broken(v, "D: a frame is in two places");
	return true;
}

static int validate(struct validation *v)
{
	const struct gpmm_nested *t = v->t;

	v->room = t->tables + t->owned;
	v->seen = gpmm__alloc((v->room + t->limbo_len) * sizeof(*v->seen));
	if (!v->seen)
		return -ENOMEM;
	if (check_lazy(v) &&
	    check_entries(v, t->root, t->f.levels, 0, root_entries(t)))
		check_frames(v);
	gpmm__free(v->seen);
	return v->why ? -EUCLEAN : 0;
}

int gpmm_nested_validate(struct gpmm_nested *t, const char **why)
{
	struct validation v = { .t = t };
	int ret = gpmm__nested_lock(t);

	if (ret)
		return ret;
	ret = validate(&v);
	lock_release(&t->lock);
	if (ret && why)
		*why = v.why;
	return ret;
}
