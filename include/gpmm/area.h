/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An area: one run of guest-physical memory with the same attributes.
 */
#ifndef GPMM_AREA_H
#define GPMM_AREA_H

#include <gpmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gpmm_backend;
struct gpmm_host;

/*
 * Flags of an area. The set stores and compares them; backends and guest
 * access give them their meaning. Bits 16 to 31 are the embedder's.
 */
#define GPMM_READ	(UINT32_C(1) << 0)
#define GPMM_WRITE	(UINT32_C(1) << 1)
#define GPMM_EXEC	(UINT32_C(1) << 2)
/* Execution in guest user mode, where a format tells it apart. */
#define GPMM_USER_EXEC	(UINT32_C(1) << 3)
/* Memory type, bits 4 to 6; 0 is write-back. */
#define GPMM_MT_SHIFT	4
#define GPMM_MT_MASK	(UINT32_C(7) << GPMM_MT_SHIFT)
#define GPMM_MT_WB	(UINT32_C(0) << GPMM_MT_SHIFT)
#define GPMM_MT_UC	(UINT32_C(1) << GPMM_MT_SHIFT)
#define GPMM_MT_WC	(UINT32_C(2) << GPMM_MT_SHIFT)
#define GPMM_MT_WT	(UINT32_C(3) << GPMM_MT_SHIFT)
#define GPMM_MT_WP	(UINT32_C(4) << GPMM_MT_SHIFT)
/* Writes are tracked by the backend (KVM: KVM_MEM_LOG_DIRTY_PAGES). */
#define GPMM_LOG_DIRTY	(UINT32_C(1) << 7)
/* Never merged with a neighbour. */
#define GPMM_NOMERGE	(UINT32_C(1) << 8)
/* A device's window: no host memory, accesses go to its owner. */
#define GPMM_MMIO	(UINT32_C(1) << 9)
/* Backed on first access (nested page tables). */
#define GPMM_LAZY	(UINT32_C(1) << 10)
/* Private memory of a confidential guest (KVM: guest_memfd). */
#define GPMM_PRIVATE	(UINT32_C(1) << 11)
#define GPMM_EMBEDDER_SHIFT	16

#define GPMM_RW		(GPMM_READ | GPMM_WRITE)
#define GPMM_RWX	(GPMM_READ | GPMM_WRITE | GPMM_EXEC)

/*
 * Areas are values: the library copies them in and out. Inside a set an area
 * is immutable; split, shrink and merge make new ones.
 *
 * An area with @host is RAM or ROM: byte start + n of the guest is byte
 * hva + n of the process. One without is a device's window or a hole kept
 * reserved, and @owner is the embedder's (ignored where there is @host). Memory
 * that the embedder has allocated itself needs a @host, too: GPMM_HOST_USER.
 * What is found in a set has @hva where it has @host, and else not.
 */
struct gpmm_area {
	gpmm_gpa_t start;		/* first byte */
	uint64_t size;			/* bytes; never 0 in a set */
	uint32_t flags;			/* GPMM_READ and so on */
	uint32_t reserved;		/* 0 */
	struct gpmm_backend *backend;	/* NULL at map: the set's default */
	struct gpmm_host *host;		/* NULL: no memory behind it */
	void *hva;			/* of @start; at map NULL: @host's */
	void *owner;			/* NULL with @host */
};

/* The last byte of an area. Context: any. */
static inline gpmm_gpa_t gpmm_area_last(const struct gpmm_area *area)
{
	return area->start + (area->size - 1);
}

/* Whether @addr lies in the area. Context: any. */
static inline bool gpmm_area_contains(const struct gpmm_area *area,
				      gpmm_gpa_t addr)
{
	return addr - area->start < area->size;
}

/*
 * gpmm_area_pin - keep an area's host memory beyond the read section
 *
 * Takes a reference on the area's host memory (nothing to do where it has
 * none), so that @area->hva stays valid until gpmm_area_unpin() though the
 * area may be unmapped meanwhile. Where that memory is being discarded it waits
 * for the end of that.
 *
 * Context: reader: inside the section in which @area was found.
 */
void gpmm_area_pin(const struct gpmm_area *area);

/*
 * gpmm_area_unpin - drop a pin
 * @area: as it was pinned, in a copy perhaps
 *
 * Context: any thread. The last drop may unmap the memory.
 */
void gpmm_area_unpin(const struct gpmm_area *area);

#ifdef __cplusplus
}
#endif
#endif
