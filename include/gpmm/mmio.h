/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices' windows: areas without memory, whose accesses are calls.
 */
#ifndef GPMM_MMIO_H
#define GPMM_MMIO_H

#include <gpmm/guest.h>
#include <gpmm/set.h>
#include <gpmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A device's callbacks. @offset is in bytes from the window's base; @width is
 * 1, 2, 4 or 8 bytes; values are little-endian integers of that width.
 *
 * They run outside any read section, without a lock, on every thread that
 * makes an access, several at a time: they may block, and change the set.
 * Return: 0 or -errno, which ends the access and is returned by it.
 */
struct gpmm_mmio_ops {
	/* Absent: reads, writes are -EACCES. */
	int (*read)(void *arg, uint64_t offset, unsigned int width,
		    uint64_t *value);
	int (*write)(void *arg, uint64_t offset, unsigned int width,
		     uint64_t value);
	/*
	 * Bytes; 0: 1 and 8. Wider accesses are cut into pieces, largest
	 * first; one that cannot be cut to this is -EINVAL.
	 */
	uint8_t min_width;
	uint8_t max_width;
	/* Pieces need not be aligned to their width. */
	bool unaligned;
};

/*
 * A window: the owner of areas with GPMM_MMIO. All areas with that flag and an
 * owner have one of these where gpmm_io_read() and gpmm_io_write() are used.
 */
struct gpmm_mmio;

/*
 * gpmm_mmio_create - a window on a device
 * @base: the guest address of offset 0, so that parts of a window that was
 *	split know where they lie
 * @release: called with @arg once no callback runs and none ever will; may be
 *	NULL
 *
 * Context: any.
 * Owns: borrows @ops and @arg until @release; the caller owns *@mmio.
 * Return: 0, -EINVAL, -ENOMEM.
 */
int gpmm_mmio_create(const struct gpmm_mmio_ops *ops, void *arg,
		     gpmm_gpa_t base, void (*release)(void *arg),
		     struct gpmm_mmio **mmio);

/*
 * The area a window needs to be mapped, of the set's default backend. Context:
 * any.
 */
struct gpmm_area gpmm_mmio_area(struct gpmm_mmio *mmio, uint64_t size);

/*
 * gpmm_mmio_retire - remove a window for good
 * @set: the set it was unmapped from, before; NULL: no set has it, as it was
 *	never mapped, or its set is destroyed
 *
 * After it returns no access finds the window. Those that found it before may
 * still be in its callbacks; the last of them is followed by the window's
 * release. So it may be called from a callback of the window itself.
 *
 * Context: not-reader. Owns: takes @mmio, where it returns 0.
 * Return: 0, or -EDEADLK inside a read section.
 */
int gpmm_mmio_retire(const struct gpmm_set *set, struct gpmm_mmio *mmio);

/*
 * gpmm_io_read, gpmm_io_write - access whatever is there
 *
 * Memory as gpmm_read() and gpmm_write() do; windows through their callbacks,
 * in pieces that keep their rules; where nothing is, by the context's
 * @unassigned. What an exit of a vCPU asks for, and a device's DMA that may
 * reach other devices. A bad buffer is -EFAULT; a window's callback that read
 * for it has run.
 *
 * Context: registered, not-reader.
 * Return: 0; the errors of guest.h (-ENODEV: an area with neither memory nor a
 * window); -EINVAL; what a callback returned.
 */
int gpmm_io_read(const struct gpmm_guest *guest, gpmm_gpa_t gpa, void *buffer,
		 uint64_t size, uint64_t *done);
int gpmm_io_write(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
		  const void *buffer, uint64_t size, uint64_t *done);

#ifdef __cplusplus
}
#endif
#endif
