/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The walk, as hardware makes it.
 */
#include <errno.h>

#include "nested/table.h"
#include "util/rcu.h"

/* Where a walk has ended. */
struct walk {
	uint64_t entry;
	uint64_t perm;		/* the bits that all entries agreed on */
	unsigned int level;
	enum gpmm_nested_cause cause;
};

static bool table_is_odd(const struct nested_format *f, uint64_t entry,
			 struct walk *walk)
{
	if (entry & f->table_reserved[walk->level])
		walk->cause = GPMM_NESTED_RESERVED;
	else if (f->perm_inherit &&
		 (f->perm_decode[format_perm_index(f, entry)] & FORMAT_BAD))
		walk->cause = GPMM_NESTED_MISCONFIGURED;
	else
		return false;
	return true;
}

/* Find the entry that decides; its contents are leaf_check()'s. */
static inline void descend(const struct gpmm_nested *t, gpmm_gpa_t gpa,
			   struct walk *walk)
{
	const struct nested_format *f = &t->f;
	const uint64_t *table = t->root;
	unsigned int level = f->levels;
	uint64_t perm = UINT64_MAX, entry;
	size_t index = gpa >> level_shift(level);

	for (;;) {
		entry = entry_load(&table[index]);
		perm &= (entry ^ f->perm_invert) | ~f->perm_inherit;
		if (!(entry & f->valid)) {
			walk->cause = GPMM_NESTED_NOT_PRESENT;
			break;
		}
		if (level == 1 || ((entry ^ f->leaf_invert) & f->leaf_mask))
			break;
		walk->level = level;
		if ((entry & (f->table | f->table_reserved[level])) !=
			    f->table &&
		    table_is_odd(f, entry, walk))
			break;
		table = table_of(t, entry);
		level--;
		index = (gpa >> level_shift(level)) & (ENTRIES - 1);
	}
	walk->entry = entry;
	walk->level = level;
	walk->perm = perm;
}

static uint32_t walk_flags(const struct nested_format *f,
			   const struct walk *walk)
{
	uint64_t perm = (walk->entry & ~f->perm_inherit) |
			((walk->perm ^ f->perm_invert) & f->perm_inherit);
	unsigned int type = (walk->entry >> f->mt_shift) & f->mt_field;

	return f->perm_decode[format_perm_index(f, perm)] | f->mt_decode[type];
}

static enum gpmm_nested_cause leaf_check(const struct nested_format *f,
					 const struct walk *walk,
					 uint32_t access, uint32_t flags)
{
	uint64_t entry = walk->entry;

	if (walk->level > 3 || (entry & f->leaf_reserved[walk->level]))
		return GPMM_NESTED_RESERVED;
	if (flags & FORMAT_BAD)
		return GPMM_NESTED_MISCONFIGURED;
	if (~entry & f->leaf_must[walk->level])
		return GPMM_NESTED_MISCONFIGURED;
	if (access & ~flags)
		return GPMM_NESTED_PERMISSION;
	return GPMM_NESTED_OK;
}

static void explain(const struct gpmm_nested *t, gpmm_gpa_t gpa,
		    uint32_t access, const struct walk *walk,
		    struct gpmm_nested_hit *hit)
{
	*hit = (struct gpmm_nested_hit){
		.cause = walk->cause,
		.level = walk->level,
		.entry = walk->entry,
	};
	t->f.explain(&t->f, gpa, access, walk->perm ^ t->f.perm_invert, hit);
}

static inline int decide(const struct gpmm_nested *t, gpmm_gpa_t gpa,
			 uint32_t access, struct walk *walk,
			 struct gpmm_nested_hit *hit)
{
	const struct nested_format *f = &t->f;
	uint64_t within = level_size(walk->level) - 1;
	uint32_t flags = walk_flags(f, walk);

	if (!walk->cause)
		walk->cause = leaf_check(f, walk, access, flags);
	if (walk->cause) {
		explain(t, gpa, access, walk, hit);
		return -EFAULT;
	}
	*hit = (struct gpmm_nested_hit){
		.level = walk->level,
		.entry = walk->entry,
		.hpa = (entry_addr(f, walk->entry) & ~within) | (gpa & within),
		.left = within + 1 - (gpa & within),
		.flags = flags,
		.accessed = walk->entry & f->accessed,
		.dirty = entry_ad(f, walk->entry) & f->dirty,
	};
	return 0;
}

int gpmm_nested_walk(const struct gpmm_nested *t, gpmm_gpa_t gpa,
		     uint32_t access, struct gpmm_nested_hit *hit)
{
	struct walk walk = { 0 };

	if (gpa >> t->f.gpa_bits) {
		walk.cause = GPMM_NESTED_WIDTH;
		walk.level = t->f.levels;
		explain(t, gpa, access, &walk, hit);
		return -EFAULT;
	}
	rcu_enter();
	descend(t, gpa, &walk);
	rcu_leave();
	return decide(t, gpa, access, &walk, hit);
}

/* How far leaves after the first go on where it ends. */
static uint64_t reach(const struct gpmm_nested *t, gpmm_gpa_t gpa,
		      uint32_t access, uint64_t limit,
		      const struct gpmm_nested_hit *first)
{
	struct gpmm_nested_hit next;
	uint64_t reached = first->left;

	while (reached < limit &&
	       !gpmm_nested_walk(t, gpa + reached, access, &next) &&
	       next.hpa == first->hpa + reached &&
	       !((next.flags ^ first->flags) & GPMM_MT_MASK))
		reached += next.left;
	return reached;
}

int gpmm_nested_translate(const struct gpmm_nested *t, gpmm_gpa_t gpa,
			  uint32_t access, uint64_t limit, gpmm_hpa_t *hpa,
			  uint64_t *left)
{
	struct gpmm_nested_hit hit;
	int ret = gpmm_nested_walk(t, gpa, access, &hit);
	uint64_t reached;

	if (ret)
		return ret;
	*hpa = hit.hpa;
	if (!left)
		return 0;
	reached = hit.left;
	if (reached < limit)
		reached = reach(t, gpa, access, limit, &hit);
	*left = reached < limit ? reached : limit;
	return 0;
}
