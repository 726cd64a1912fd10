/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RCU behind a few inlines. The release build uses liburcu's memb flavour,
 * inlined: an un-inlined rcu_read_lock() costs several times the lookup's own
 * section. The double build has one thread: a grace period is over when no
 * section is open.
 *
 * Publishing and reading go through C11 atomics of our own and not liburcu's
 * macros, which ThreadSanitizer cannot follow; grace periods are told to it.
 */
#ifndef GPMM_UTIL_RCU_H
#define GPMM_UTIL_RCU_H

#include <stdbool.h>
#include <stdint.h>

struct rcu_flavor_struct;

#if defined(__SANITIZE_THREAD__)
#define RCU_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RCU_TSAN 1
#endif
#endif

#ifdef RCU_TSAN
void __tsan_acquire(void *tag);
void __tsan_release(void *tag);
extern char gpmm__rcu_tag;
#define rcu_tsan_acquire()	__tsan_acquire(&gpmm__rcu_tag)
#define rcu_tsan_release()	__tsan_release(&gpmm__rcu_tag)
#else
#define rcu_tsan_acquire()	((void)0)
#define rcu_tsan_release()	((void)0)
#endif

#ifdef GPMM_DOUBLE
#include "util/point.h"

/* Of the thread that runs; a test with several keeps the others'. */
extern unsigned int gpmm__rcu_nesting;
extern unsigned long gpmm__rcu_grace_periods;
/* Is any thread in a section? NULL: there is one thread. */
extern bool (*gpmm__rcu_busy)(void);

static inline void rcu_enter(void)
{
	gpmm__rcu_nesting++;
	point(false);
}

static inline void rcu_leave(void)
{
	gpmm__rcu_nesting--;
	point(false);
}

static inline bool rcu_inside(const struct rcu_flavor_struct *flavor)
{
	(void)flavor;
	return gpmm__rcu_nesting > 0;
}

#else

#define URCU_INLINE_SMALL_FUNCTIONS
#include <urcu/urcu-memb.h>
#include <urcu/static/urcu-memb.h>

static inline void rcu_enter(void)
{
	_urcu_memb_read_lock();
}

static inline void rcu_leave(void)
{
	rcu_tsan_release();
	_urcu_memb_read_unlock();
}

/* Is the caller inside a section? @flavor: NULL for memb. */
static inline bool rcu_inside(const struct rcu_flavor_struct *flavor)
{
	return flavor ? flavor->read_ongoing() : _urcu_memb_read_ongoing();
}

#endif

/* Wait for a grace period. Context: not-reader. @flavor: NULL for memb. */
void gpmm__rcu_wait(const struct rcu_flavor_struct *flavor);

/* A published word: rcu_publish() pairs with rcu_read(). */
static inline void rcu_publish(uintptr_t *word, uintptr_t value)
{
#ifdef GPMM_DOUBLE
	point(false);
#endif
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
#ifdef GPMM_DOUBLE
	point(false);
#endif
}

static inline uintptr_t rcu_read(const uintptr_t *word)
{
#ifdef GPMM_DOUBLE
	point(false);
#endif
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

#endif
