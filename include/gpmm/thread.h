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
 * it exits. Threads that only write need not register.
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
 * against liburcu's headers, and links liburcu-memb, too, may define this
 * before it includes any header of gpmm, and has both inlined.
 */
#ifdef GPMM_INLINE_SECTIONS
#include <urcu/urcu-memb.h>
#include <urcu/static/urcu-memb.h>
#define gpmm_read_lock()	_urcu_memb_read_lock()
#define gpmm_read_unlock()	_urcu_memb_read_unlock()
#endif

#endif
