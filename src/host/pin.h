/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pins as the rest of host memory sees them.
 *
 * A holder's pins are slots that name the memory. Only its thread writes them;
 * whoever wants to free or discard memory reads all of them. Both sides are
 * ordered by sequentially consistent accesses to two words:
 *
 *  - to pin is to fill a slot and then look at the host's "discarding"; to
 *    discard is to set that and then look at the slots: one sees the other;
 *  - to unpin is to clear a slot and then look at "attention"; to wait for
 *    pins is to raise that and then look at the slots: one sees the other.
 *
 * Freeing needs no such pair when pinning: it comes after the grace period
 * that follows the unmapping, and so sees every pin taken in a section that
 * could find the area.
 */
#ifndef GPMM_HOST_PIN_H
#define GPMM_HOST_PIN_H

#include <time.h>

#include <gpmm/pin.h>

/*
 * No reference is left. Return: true where no pin is either and the caller
 * destroys @host; else the last unpin does.
 */
bool gpmm__pins_release(struct gpmm_host *host);

/* Return: -EBUSY where a pin holds any of it; else _end() follows. */
int gpmm__pins_discard_begin(struct gpmm_host *host, uint64_t offset,
			     uint64_t size);
void gpmm__pins_discard_end(struct gpmm_host *host);

/* Wait out a discard that may not have seen a pin just taken. */
void gpmm__pins_settle(struct gpmm_host *host);

/* gpmm_area_unpin(), but for the reference. */
void gpmm__pins_area_unpin(struct gpmm_host *host);

/* The pins' lock, and waiting under it for what gpmm__pins_changed() tells. */
void gpmm__pins_lock(void);
void gpmm__pins_unlock(void);
/* Return: false once @deadline (CLOCK_MONOTONIC) has passed. */
bool gpmm__pins_wait_locked(const struct timespec *deadline);
void gpmm__pins_changed_locked(void);

/*
 * Have unpins report from now on, until it is called with -1; count and list
 * the pins of a stretch of @host. Both with the lock held.
 */
void gpmm__pins_attend_locked(int by);
void gpmm__pins_list_locked(const struct gpmm_host *host, uint64_t offset,
			    uint64_t size, struct gpmm_certificate *out);

#endif
