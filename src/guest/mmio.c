/* SPDX-License-Identifier: BSD-3-Clause */
/* Windows on devices: their life and their rules. */
#include <errno.h>

#include "core/set.h"
#include "guest/mmio.h"
#include "util/alloc.h"
#include "util/range.h"
#include "util/rcu.h"

static unsigned int min_width(const struct gpmm_mmio_ops *ops)
{
	return ops->min_width ? ops->min_width : 1;
}

static unsigned int max_width(const struct gpmm_mmio_ops *ops)
{
	return ops->max_width ? ops->max_width : 8;
}

static bool ops_are_valid(const struct gpmm_mmio_ops *ops)
{
	unsigned int min = min_width(ops), max = max_width(ops);

	return is_power_of_two(min) && is_power_of_two(max) && min <= max &&
	       max <= 8;
}

int gpmm_mmio_create(const struct gpmm_mmio_ops *ops, void *arg,
		     gpmm_gpa_t base, void (*release)(void *arg),
		     struct gpmm_mmio **mmio)
{
	struct gpmm_mmio *new;

	if (!ops_are_valid(ops))
		return -EINVAL;
	new = gpmm__alloc(sizeof(*new));
	if (!new)
		return -ENOMEM;
	*new = (struct gpmm_mmio){ ops, arg, base, release, 1 };
	*mmio = new;
	return 0;
}

struct gpmm_area gpmm_mmio_area(struct gpmm_mmio *mmio, uint64_t size)
{
	return (struct gpmm_area){
		.start = mmio->base,
		.size = size,
		.flags = GPMM_MMIO | GPMM_NOMERGE,
		.owner = mmio,
	};
}

void gpmm__mmio_get(struct gpmm_mmio *mmio)
{
	__atomic_fetch_add(&mmio->refs, 1, __ATOMIC_RELAXED);
}

void gpmm__mmio_put(struct gpmm_mmio *mmio)
{
	void (*release)(void *arg) = mmio->release;
	void *arg = mmio->arg;

	if (__atomic_sub_fetch(&mmio->refs, 1, __ATOMIC_ACQ_REL))
		return;
	gpmm__free(mmio);
	if (release)
		release(arg);
}

/* A grace period later nobody finds it: the references only fall. */
int gpmm_mmio_retire(const struct gpmm_set *set, struct gpmm_mmio *mmio)
{
	if (set && rcu_inside(set->flavor))
		return -EDEADLK;
	if (set)
		gpmm__rcu_wait(set->flavor);
	gpmm__mmio_put(mmio);
	return 0;
}

unsigned int gpmm__mmio_width(const struct gpmm_mmio_ops *ops, uint64_t offset,
			      uint64_t size)
{
	unsigned int width = max_width(ops);

	while (width > size ||
	       (!ops->unaligned && !is_aligned(offset, width)))
		width /= 2;
	return width < min_width(ops) ? 0 : width;
}
