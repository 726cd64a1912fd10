/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Read sections.
 *
 * Readers of a set are protected by RCU (liburcu's memb flavour): a thread
 * registers once, and then reads as often as it likes without taking a lock
 * or writing a shared cache line. A registered thread that sits in KVM_RUN,
 * or in any other system call outside a read section, holds up nobody.
 *
 * An embedder that uses liburcu's memb flavour itself shares registration and
 * sections with gpmm: rcu_register_thread() and rcu_read_lock() of urcu-memb
 * are the same as these. A set that was created with another flavour
 * (gpmm_set_options.flavor) is read in that flavour's own sections instead.
 */
#ifndef GPMM_THREAD_H
#define GPMM_THREAD_H

#include <gpmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * gpmm_thread_register - let this thread open read sections
 *
 * Every thread that reads a set registers first, once, and unregisters before
 * it exits. Threads that only write need not register. Nothing notices a thread
 * that forgot: what it reads may be freed under it.
 *
 * Context: any thread, not-reader, not yet registered.
 */
void gpmm_thread_register(void);

/*
 * gpmm_thread_unregister - undo gpmm_thread_register()
 *
 * Context: registered, not-reader.
 */
void gpmm_thread_unregister(void);

/*
 * gpmm_read_lock, gpmm_read_unlock - a read section
 *
 * What a lookup returned inside a section (areas, host memory behind them)
 * stays valid until its end. Sections nest, and must be short: they hold back
 * the release of unmapped host memory. A thread inside one must not commit
 * (refused with -EDEADLK) nor destroy.
 *
 * Context: registered.
 */
void gpmm_read_lock(void);
void gpmm_read_unlock(void);

#ifdef __cplusplus
}
#endif

/*
 * A call costs as much as a lookup in a small set. An embedder that is built
 * against liburcu's headers, and links liburcu-memb, too (pkg-config --cflags
 * --libs gpmm liburcu-memb), may define this before it includes any header of
 * gpmm, and has both inlined. They are liburcu's then, under the LGPL; what has
 * them inlined is to be built anew for each of its releases.
 */
#ifdef GPMM_INLINE_SECTIONS
#include <urcu/urcu-memb.h>
#include <urcu/static/urcu-memb.h>
#define gpmm_read_lock()	_urcu_memb_read_lock()
#define gpmm_read_unlock()	gpmm_read_unlock_inline()

static __attribute__((noinline, cold, unused)) void gpmm_read_unlock_slow(void)
{
	_urcu_memb_read_unlock();
}

static __attribute__((noinline, cold, unused)) void gpmm_read_wake(void)
{
	urcu_common_wake_up_gp(&urcu_memb_gp);
}

/*
 * _urcu_memb_read_unlock() with one question where that has three: who leaves
 * an inner section may wake a waiting writer too, who looks again.
 */
static inline __attribute__((always_inline)) void
gpmm_read_unlock_inline(void)
{
	unsigned long ctr = URCU_TLS(urcu_memb_reader).ctr;

	if (__builtin_expect(!urcu_memb_has_sys_membarrier, 0)) {
		gpmm_read_unlock_slow();
		return;
	}
	cmm_barrier();
	CMM_ACCESS_ONCE(URCU_TLS(urcu_memb_reader).ctr) = ctr - URCU_GP_COUNT;
	cmm_barrier();
	if (__builtin_expect(uatomic_read(&urcu_memb_gp.futex) == -1, 0))
		gpmm_read_wake();
}
#endif

#endif
