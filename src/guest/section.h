/* SPDX-License-Identifier: BSD-3-Clause */
/* Read sections and lookups as every access makes them. */
#ifndef GPMM_GUEST_SECTION_H
#define GPMM_GUEST_SECTION_H

#include <errno.h>

#include <gpmm/guest.h>

#include "core/find.h"
#include "core/set.h"
#include "util/rcu.h"

/*
 * Bytes after which a long access leaves its section for a moment: 20 us of
 * copying, so that it holds up a grace period no more than a lookup would.
 */
#define SECTION_BYTES (UINT64_C(1) << 20)

static inline void section_enter(const struct gpmm_set *set)
{
#ifndef GPMM_DOUBLE
	if (__builtin_expect(set->flavor != NULL, 0)) {
		set->flavor->read_lock();
		return;
	}
#endif
	(void)set;
	rcu_enter();
}

static inline void section_leave(const struct gpmm_set *set)
{
#ifndef GPMM_DOUBLE
	if (__builtin_expect(set->flavor != NULL, 0)) {
		set->flavor->read_unlock();
		return;
	}
#endif
	(void)set;
	rcu_leave();
}

/* The area with host memory around @gpa, if its flags allow @access. */
static inline int find_memory(const struct gpmm_set *set, gpmm_gpa_t gpa,
			      uint32_t access, struct gpmm_area *area)
{
	if (!gpmm__find(rcu_read(&set->root), set->shift, gpa, area))
		return -ENXIO;
	if (!area->host)
		return -ENODEV;
	if ((area->flags & (access | GPMM_PRIVATE)) != access)
		return -EACCES;
	return 0;
}

/*
 * The common case of an access: [gpa, gpa + size) within one area that allows
 * it, in few instructions. The rest, errors too, is the slow path's.
 * Return: the address, or NULL.
 */
static inline char *find_whole(const struct gpmm_set *set, gpmm_gpa_t gpa,
			       uint64_t size, uint32_t access)
{
	struct gpmm_area area;
	uint64_t offset;

	if (!gpmm__find(rcu_read(&set->root), set->shift, gpa, &area) ||
	    !area.host ||
	    (area.flags & (access | GPMM_PRIVATE)) != access)
		return NULL;
	offset = gpa - area.start;
	/* True for a size of 0. */
	if (size - 1 >= area.size - offset ||
	    __builtin_expect(size > SECTION_BYTES, 0))
		return NULL;
	return (char *)area.hva + offset;
}

static inline int find_run(const struct gpmm_set *set, gpmm_gpa_t gpa,
			   uint32_t access, struct gpmm_run *run)
{
	struct gpmm_area area;
	int ret = find_memory(set, gpa, access, &area);

	if (ret)
		return ret;
	run->hva = (char *)area.hva + (gpa - area.start);
	run->size = area.size - (gpa - area.start);
	run->flags = area.flags;
	return 0;
}

static inline void mark(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
			uint64_t size)
{
	if (guest->mark && size)
		guest->mark(guest->mark_arg, gpa, size);
}

static inline bool range_wraps(gpmm_gpa_t gpa, uint64_t size)
{
	return size && gpa + (size - 1) < gpa;
}

#endif
