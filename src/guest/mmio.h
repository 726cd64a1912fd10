/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef GPMM_GUEST_MMIO_H
#define GPMM_GUEST_MMIO_H

#include <gpmm/mmio.h>

struct gpmm_mmio {
	const struct gpmm_mmio_ops *ops;
	void *arg;
	gpmm_gpa_t base;
	void (*release)(void *arg);
	/*
	 * One of the embedder's and one for each access under way. Taken in
	 * the read section that found the window, it keeps the window though
	 * that section is left before the callback.
	 */
	uint32_t refs;
};

/* Context: reader. */
void gpmm__mmio_get(struct gpmm_mmio *mmio);
void gpmm__mmio_put(struct gpmm_mmio *mmio);

/*
 * The widest piece that an access of @size bytes at @offset may begin with; 0:
 * the rules allow none.
 */
unsigned int gpmm__mmio_width(const struct gpmm_mmio_ops *ops, uint64_t offset,
			      uint64_t size);

#endif
