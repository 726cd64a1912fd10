/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The walk, as hardware makes it.
 */
#include <errno.h>

#include "nested/table.h"
#include "util/inline.h"
#include "util/rcu.h"

/* Where a walk has ended. */
struct walk {
	uint64_t entry;
	uint64_t perm;		/* the bits that all entries agreed on */
	unsigned int level;
	uint32_t flags;		/* of the leaf, where there is no fault */
	enum gpmm_nested_cause cause;
};

/* Tables above may hide that the entry itself is not allowed. */
static bool perm_is_bad(const struct nested_format *f, uint64_t entry)
{
	return f->perm_inherit &&
	       (f->perm_decode[format_perm_index(f, entry)] & FORMAT_BAD);
}

static bool table_is_odd(const struct nested_format *f, uint64_t entry,
			 struct walk *walk)
{
	if (entry & f->table_reserved[walk->level])
		walk->cause = GPMM_NESTED_RESERVED;
	else if (perm_is_bad(f, entry))
		walk->cause = GPMM_NESTED_MISCONFIGURED;
	else
		return false;
	return true;
}

/* The walk where a table's entry is not what the engine writes. */
static struct walk descend_odd(const struct gpmm_nested *t, gpmm_gpa_t gpa)
{
	const struct nested_format *f = &t->f;
	const uint64_t *table = t->root;
	struct walk walk = { .perm = UINT64_MAX };
	uint64_t entry;

	for (walk.level = f->levels;; walk.level--) {
		entry = entry_load(&table[table_index(t, gpa, walk.level)]);
		walk.entry = entry;
		walk.perm &= (entry ^ f->perm_invert) | ~f->perm_inherit;
		if (!(entry & f->valid)) {
			walk.cause = GPMM_NESTED_NOT_PRESENT;
			return walk;
		}
		if (walk.level == 1 ||
		    ((entry ^ f->leaf_invert) & f->leaf_mask)) {
			if (perm_is_bad(f, entry))
				walk.cause = GPMM_NESTED_MISCONFIGURED;
			return walk;
		}
		if (table_is_odd(f, entry, &walk))
			return walk;
		table = table_of(t, entry);
	}
}

/* The same in a section of its own: what is usual has left it by then. */
static __attribute__((noinline)) struct walk
descend_slowly(const struct gpmm_nested *t, gpmm_gpa_t gpa)
{
	struct walk walk;

	rcu_enter();
	walk = descend_odd(t, gpa);
	rcu_leave();
	return walk;
}

/* The entry that decides; what it says is for others to judge. */
struct last {
	uint64_t entry;
	unsigned int level;
};

static inline uint64_t root_entry(const struct gpmm_nested *t, gpmm_gpa_t gpa)
{
	return entry_load(&t->root[gpa >> level_shift(t->f.levels)]);
}

/* Does the entry point to a table, and restrict nothing? */
static inline bool goes_on(const struct nested_format *f, uint64_t entry,
			   unsigned int level)
{
	return (entry & f->table_test[level]) == f->table;
}

/* From table to table, wherever they lie. */
static __attribute__((noinline)) struct last
descend_any(const struct gpmm_nested *t, gpmm_gpa_t gpa)
{
	struct last last = { root_entry(t, gpa), t->f.levels };
	const uint64_t *table;

	while (last.level > 1 && goes_on(&t->f, last.entry, last.level)) {
		table = table_of(t, last.entry);
		last.level--;
		last.entry = entry_load(&table[table_index(t, gpa,
							   last.level)]);
	}
	return last;
}

/*
 * The next entry, where a table's address is what the entry says. All but that
 * address is added up before: it is then all that the load waits for.
 */
static inline uint64_t next_entry(const struct gpmm_nested *t, gpmm_gpa_t gpa,
				  uint64_t entry, unsigned int level)
{
	uint64_t at = t->va_offset + sizeof(entry) *
		      (gpa >> level_shift(level) & (ENTRIES - 1));

	__asm__("" : "+r" (at));
	return entry_load((const uint64_t *)(uintptr_t)
			  ((entry & t->f.addr_mask) + at));
}

/*
 * The same as descend_any(), in as few instructions as can be: the fewer there
 * are, the sooner the processor comes to the loads of the next walk.
 */
static ALWAYS_INLINE struct last
descend(const struct gpmm_nested *t, gpmm_gpa_t gpa)
{
	uint64_t entry;

	if (__builtin_expect(!t->plain, 0))
		return descend_any(t, gpa);
	entry = root_entry(t, gpa);
#define STEP_FROM(level)						\
	if (!goes_on(&t->f, entry, level))				\
		return (struct last){ entry, level };			\
	entry = next_entry(t, gpa, entry, (level) - 1)
	switch (t->f.levels) {
	case 5:
		STEP_FROM(5);
		/* fall through */
	case 4:
		STEP_FROM(4);
		/* fall through */
	default:
		STEP_FROM(3);
		STEP_FROM(2);
	}
#undef STEP_FROM
	return (struct last){ entry, 1 };
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

/* The walk where its last entry is no usual leaf. */
static ALWAYS_INLINE struct walk
judge(const struct gpmm_nested *t, gpmm_gpa_t gpa, uint32_t access,
      struct last last)
{
	const struct nested_format *f = &t->f;
	struct walk walk = { .entry = last.entry, .level = last.level,
			     .perm = last.entry ^ f->perm_invert };

	if (!(last.entry & f->valid))
		walk.cause = GPMM_NESTED_NOT_PRESENT;
	else if (last.level > 1 &&
		 !((last.entry ^ f->leaf_invert) & f->leaf_mask))
		walk = descend_slowly(t, gpa);
	if (walk.cause)
		return walk;
	walk.flags = walk_flags(f, &walk);
	walk.cause = leaf_check(f, &walk, access, walk.flags);
	return walk;
}

static ALWAYS_INLINE struct walk
find_leaf(const struct gpmm_nested *t, gpmm_gpa_t gpa, uint32_t access)
{
	const struct usual_leaf *usual;
	struct last last;

	if (gpa >> t->f.gpa_bits)
		return (struct walk){ .cause = GPMM_NESTED_WIDTH,
				      .level = t->f.levels };
	rcu_enter();
	last = descend(t, gpa);
	rcu_leave();
	usual = &t->usual[last.level];
	if (__builtin_expect((last.entry & usual->test) == usual->bits &&
			     !(access & ~t->usual_flags), 1))
		return (struct walk){ .entry = last.entry,
				      .level = last.level,
				      .flags = t->usual_flags };
	return judge(t, gpa, access, last);
}

/* As little as can be after the last load. */
static inline gpmm_hpa_t leaf_hpa(const struct gpmm_nested *t, gpmm_gpa_t gpa,
				  const struct walk *walk)
{
	uint64_t within = level_size(walk->level) - 1;

	if (__builtin_expect(t->f.addr_shift, 0))
		return (entry_addr(&t->f, walk->entry) & ~within) |
		       (gpa & within);
	return (walk->entry & (t->f.addr_mask & ~within)) | (gpa & within);
}

static inline uint64_t leaf_left(gpmm_gpa_t gpa, const struct walk *walk)
{
	return level_size(walk->level) - (gpa & (level_size(walk->level) - 1));
}

int gpmm_nested_walk(const struct gpmm_nested *t, gpmm_gpa_t gpa,
		     uint32_t access, struct gpmm_nested_hit *hit)
{
	struct walk walk = find_leaf(t, gpa, access);

	if (walk.cause) {
		explain(t, gpa, access, &walk, hit);
		return -EFAULT;
	}
	*hit = (struct gpmm_nested_hit){
		.level = walk.level,
		.entry = walk.entry,
		.hpa = leaf_hpa(t, gpa, &walk),
		.left = leaf_left(gpa, &walk),
		.flags = walk.flags,
		.accessed = walk.entry & t->f.accessed,
		.dirty = entry_ad(&t->f, walk.entry) & t->f.dirty,
	};
	return 0;
}

/* How far leaves after the first, of @flags, go on where it ends. */
static __attribute__((noinline)) uint64_t
reach(const struct gpmm_nested *t, gpmm_gpa_t gpa, gpmm_hpa_t hpa,
      uint32_t access, uint32_t flags, uint64_t reached, uint64_t limit)
{
	struct gpmm_nested_hit next;

	while (reached < limit &&
	       !gpmm_nested_walk(t, gpa + reached, access, &next) &&
	       next.hpa == hpa + reached &&
	       !((next.flags ^ flags) & GPMM_MT_MASK))
		reached += next.left;
	return reached < limit ? reached : limit;
}

int gpmm_nested_translate(const struct gpmm_nested *t, gpmm_gpa_t gpa,
			  uint32_t access, uint64_t limit, gpmm_hpa_t *hpa,
			  uint64_t *left)
{
	struct walk walk = find_leaf(t, gpa, access);

	if (walk.cause)
		return -EFAULT;
	*hpa = leaf_hpa(t, gpa, &walk);
	if (left)
		*left = reach(t, gpa, *hpa, access, walk.flags,
			      leaf_left(gpa, &walk), limit);
	return 0;
}
