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

static inline struct gpmm_hit find_hit(const struct gpmm_set *set,
				       gpmm_gpa_t gpa)
{
	return set_hit(set, gpa);
}

static inline bool allows(struct gpmm_hit hit, uint32_t access)
{
	return (gpmm_hit_flags(hit) & (access | GPMM_PRIVATE)) == access;
}

/* The area with host memory around @gpa, if its flags allow @access. */
static inline int find_allowed(const struct gpmm_set *set, gpmm_gpa_t gpa,
			       uint32_t access, struct gpmm_hit *hit)
{
	*hit = find_hit(set, gpa);
	if (!hit->record)
		return -ENXIO;
	if (!gpmm_hit_host(*hit))
		return -ENODEV;
	return allows(*hit, access) ? 0 : -EACCES;
}

static inline int find_memory(const struct gpmm_set *set, gpmm_gpa_t gpa,
			      uint32_t access, struct gpmm_area *area)
{
	struct gpmm_hit hit;
	int ret = find_allowed(set, gpa, access, &hit);

	if (!ret)
		gpmm_hit_area(set, hit, area);
	return ret;
}

/*
 * The common case of an access, in few instructions: the more of them, the
 * fewer accesses does the processor have under way at a time. A section of
 * the library's own, then [gpa, gpa + size) within one area that allows it.
 * Whatever is not that common, errors too, is the slow path's.
 */
#if defined(GPMM_DOUBLE) || defined(RCU_TSAN)

static inline bool quick_enter(const struct gpmm_set *set)
{
#ifndef GPMM_DOUBLE
	if (set->flavor)
		return false;
#endif
	(void)set;
	rcu_enter();
	return true;
}

static inline void quick_leave(void)
{
	rcu_leave();
}

#else

/* Where the system lacks membarrier(2) a section is not that quick. */
static inline bool quick_enter(const struct gpmm_set *set)
{
	unsigned long ctr;

	if (__builtin_expect(set->flavor || !urcu_memb_has_sys_membarrier, 0))
		return false;
	ctr = URCU_TLS(urcu_memb_reader).ctr;
	if (__builtin_expect(ctr & URCU_GP_CTR_NEST_MASK, 0))
		ctr += URCU_GP_COUNT;
	else
		ctr = __atomic_load_n(&urcu_memb_gp.ctr, __ATOMIC_RELAXED);
	__atomic_store_n(&URCU_TLS(urcu_memb_reader).ctr, ctr,
			 __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return true;
}

static __attribute__((noinline, cold)) void quick_wake(void)
{
	urcu_common_wake_up_gp(&urcu_memb_gp);
}

/*
 * liburcu's with one question where that has three: who leaves an inner
 * section may wake a waiting writer too, who looks again.
 */
static inline void quick_leave(void)
{
	unsigned long ctr = URCU_TLS(urcu_memb_reader).ctr;

	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(&URCU_TLS(urcu_memb_reader).ctr, ctr - URCU_GP_COUNT,
			 __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (__builtin_expect(uatomic_read(&urcu_memb_gp.futex) == -1, 0))
		quick_wake();
}

#endif

static inline bool has_memory(struct gpmm_hit hit, uint32_t access)
{
	return hit.record && gpmm_hit_host(hit) && allows(hit, access);
}

/*
 * Loaded anew after a lookup: what is kept in a register meanwhile costs a
 * push and a pop.
 */
static inline const struct gpmm_set *set_anew(const struct gpmm_guest *guest)
{
	return __atomic_load_n(&guest->set, __ATOMIC_RELAXED);
}

/* Return: whether *@hva is the address. */
static inline bool find_whole(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
			      uint64_t size, uint32_t access, char **hva)
{
	struct gpmm_hit hit = find_hit(guest->set, gpa);

	/* size - 1: true for a size of 0. */
	if (__builtin_expect(!has_memory(hit, access) ||
			     size > SECTION_BYTES ||
			     size - 1 >= gpmm_hit_bytes(set_anew(guest), hit,
							gpa), 0))
		return false;
	*hva = gpmm_hit_hva(hit, gpa);
	return true;
}

static inline int find_run(const struct gpmm_set *set, gpmm_gpa_t gpa,
			   uint32_t access, struct gpmm_run *run)
{
	struct gpmm_hit hit;
	int ret = find_allowed(set, gpa, access, &hit);

	if (ret)
		return ret;
	run->hva = gpmm_hit_hva(hit, gpa);
	run->size = gpmm_hit_bytes(set, hit, gpa);
	run->flags = gpmm_hit_flags(hit);
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
