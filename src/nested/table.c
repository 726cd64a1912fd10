/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The life of a table, and the calls that change it.
 */
#include <errno.h>
#include <string.h>

#include "nested/table.h"
#include "util/alloc.h"
#include "util/rcu.h"

#define LIMBO_MAX 1024

#define ALL_OPTIONS (GPMM_NESTED_AD | GPMM_NESTED_USER_EXEC | \
		     GPMM_NESTED_NO_COLLAPSE | GPMM_NESTED_NO_1G | \
		     GPMM_NESTED_NO_2M)

/* ----------------------------------------------------------------- life --- */

static int check_options(const struct gpmm_nested_options *options)
{
	const struct gpmm_nested_ops *ops = options->ops;

	if (!ops || ops->abi != GPMM_NESTED_ABI || !ops->alloc ||
	    !ops->free || !ops->flush)
		return -EINVAL;
	return options->how & ~ALL_OPTIONS ? -EINVAL : 0;
}

static int init_locks(struct gpmm_nested *t)
{
	int ret = lock_init(&t->lock);

	if (ret)
		return ret;
	ret = lock_init(&t->drain_lock);
	if (ret)
		lock_fini(&t->lock);
	return ret;
}

static int init_root(struct gpmm_nested *t)
{
	size_t bytes = root_entries(t) * sizeof(uint64_t);
	int ret;

	while (FRAME_SIZE << t->root_order < bytes)
		t->root_order++;
	ret = t->ops.alloc(t->ctx, t->root_order, &t->root_hpa);
	if (ret)
		return ret;
	t->root = table_va(t, t->root_hpa);
	memset(t->root, 0, FRAME_SIZE << t->root_order);
	t->tables = (size_t)1 << t->root_order;
	return 0;
}

/* All bits that say something of the leaf but its address. */
static uint64_t leaf_bits(const struct nested_format *f, unsigned int level)
{
	uint64_t bits = f->valid | f->leaf_must[level] |
			f->leaf_reserved[level] | f->mt_field << f->mt_shift;

	for (unsigned int i = 0; i < 4; i++)
		bits |= UINT64_C(1) << f->perm_pos[i];
	return level > 1 ? bits | f->leaf_mask : bits;
}

static void init_usual(struct gpmm_nested *t)
{
	const struct nested_format *f = &t->f;
	uint64_t bits, test;

	if (gpmm__nested_encode(t, GPMM_RWX | GPMM_USER_EXEC, &bits))
		gpmm__nested_encode(t, GPMM_RWX, &bits);
	t->usual_flags = f->perm_decode[format_perm_index(f, bits)];
	for (unsigned int level = 1; level <= FORMAT_LEVELS; level++) {
		test = level <= 3 ? leaf_bits(f, level) : 0;
		t->usual[level] = (struct usual_leaf){
			.test = test,
			/* No entry has bits that are not asked for. */
			.bits = test ? (bits | f->leaf[level]) & test : 1,
		};
	}
}

static int init(struct gpmm_nested *t,
		const struct gpmm_nested_options *options)
{
	int ret = gpmm__nested_format(options, &t->f);

	if (ret)
		return ret;
	t->ops = *options->ops;
	t->ctx = options->ctx;
	t->va_offset = options->va_offset;
	t->plain = !t->ops.va && !t->f.addr_shift;
	init_usual(t);
	t->collapse = !(options->how & GPMM_NESTED_NO_COLLAPSE);
	t->limbo_max = options->limbo_max ? options->limbo_max : LIMBO_MAX;
	gpmm__nested_backend_init(t);
	ret = init_locks(t);
	if (ret)
		return ret;
	ret = init_root(t);
	if (ret) {
		lock_fini(&t->drain_lock);
		lock_fini(&t->lock);
	}
	return ret;
}

int gpmm_nested_create(const struct gpmm_nested_options *options,
		       struct gpmm_nested **nested)
{
	struct gpmm_nested *t;
	int ret = check_options(options);

	if (ret)
		return ret;
	t = gpmm__zalloc(sizeof(*t));
	if (!t)
		return -ENOMEM;
	ret = init(t, options);
	if (ret) {
		gpmm__free(t);
		return ret;
	}
	*nested = t;
	return 0;
}

static void free_below(struct gpmm_nested *t, uint64_t *table,
		       unsigned int level, size_t entries)
{
	for (size_t i = 0; i < entries; i++) {
		uint64_t entry = table[i];

		if (entry_is_table(&t->f, entry, level)) {
			free_below(t, table_of(t, entry), level - 1, ENTRIES);
			t->ops.free(t->ctx, entry_addr(&t->f, entry), 0);
		} else if (entry & t->f.owned) {
			t->ops.free(t->ctx, entry_addr(&t->f, entry), 0);
		}
	}
}

void gpmm_nested_destroy(struct gpmm_nested *t)
{
	if (!t)
		return;
	gpmm__nested_backend_fini(t);
	gpmm__frames_free_limbo(t);
	free_below(t, t->root, t->f.levels, root_entries(t));
	t->ops.free(t->ctx, t->root_hpa, t->root_order);
	lock_fini(&t->drain_lock);
	lock_fini(&t->lock);
	gpmm__free(t->limbo);
	gpmm__free(t->lazy);
	gpmm__free(t->edits);
	gpmm__free(t);
}

void gpmm_nested_get_root(const struct gpmm_nested *t,
			  struct gpmm_nested_root *root)
{
	*root = (struct gpmm_nested_root){
		.hpa = t->root_hpa,
		.size = FRAME_SIZE << t->root_order,
		.levels = t->f.levels,
		.gpa_bits = t->f.gpa_bits,
	};
	t->f.root(&t->f, root);
}

void gpmm_nested_get_stats(struct gpmm_nested *t,
			   struct gpmm_nested_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	if (gpmm__nested_lock(t))
		return;
	*stats = (struct gpmm_nested_stats){
		.tables = t->tables,
		.owned = t->owned,
		.limbo = t->limbo_len,
		.lazy = t->lazy_len,
		.flushes = t->flushes,
	};
	lock_release(&t->lock);
}

/* ------------------------------------------------------------- changing --- */

static int change_alone(struct gpmm_nested *t, struct nested_op *op)
{
	int ret = gpmm__nested_add(t, op);

	gpmm__nested_end(t, !ret);
	gpmm__nested_unlock(t);
	return ret;
}

/*
 * An edit of the transaction that this thread has open, or one of its own.
 * The lock knows its holder: where it says -EDEADLK, open is this thread's.
 */
static int change(struct gpmm_nested *t, struct nested_op *op)
{
	int ret;

	if (rcu_inside(NULL))
		return -EDEADLK;
	ret = lock_acquire(&t->lock);
	if (!ret)
		return change_alone(t, op);
	return ret == -EDEADLK && t->open ? gpmm__nested_add(t, op) : ret;
}

int gpmm_nested_map(struct gpmm_nested *t, gpmm_gpa_t gpa, gpmm_hpa_t hpa,
		    uint64_t size, uint32_t flags)
{
	struct nested_op op = { .kind = OP_MAP, .flags = flags };
	struct span to;

	if (gpmm__nested_check(t, gpa, size, &op.span))
		return -EINVAL;
	if (flags & GPMM_LAZY)
		return change(t, &op);
	if (!is_aligned(hpa, FRAME_SIZE) || !range_to_span(hpa, size, &to) ||
	    to.last >> t->f.hpa_bits)
		return -EINVAL;
	op.hpa = hpa;
	return change(t, &op);
}

int gpmm_nested_unmap(struct gpmm_nested *t, gpmm_gpa_t gpa, uint64_t size)
{
	struct nested_op op = { .kind = OP_UNMAP };

	if (!size)
		return 0;
	if (gpmm__nested_check(t, gpa, size, &op.span))
		return -EINVAL;
	return change(t, &op);
}

int gpmm_nested_protect(struct gpmm_nested *t, gpmm_gpa_t gpa, uint64_t size,
			uint32_t flags)
{
	struct nested_op op = { .kind = OP_PROTECT, .flags = flags };

	if (!size)
		return 0;
	if (gpmm__nested_check(t, gpa, size, &op.span))
		return -EINVAL;
	return change(t, &op);
}
