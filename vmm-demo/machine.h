/* SPDX-License-Identifier: BSD-3-Clause */
/* A virtual machine: KVM's descriptors, and its memory in a gpmm set. */
#ifndef MACHINE_H
#define MACHINE_H

#include <stdint.h>

#include <gpmm/gpmm.h>

#include "options.h"

/* What an area is for: the embedder's own bits of its flags. */
#define KIND_OF(flags) ((flags) >> GPMM_EMBEDDER_SHIFT)
#define KIND(kind) ((uint32_t)(kind) << GPMM_EMBEDDER_SHIFT)
enum {
	KIND_RAM = 1,
	KIND_ROM,
	KIND_DIMM,
	KIND_DEVICE,
	KIND_RESERVED,
	KINDS,
};

struct machine {
	const struct options *options;
	int kvm_fd;
	int vm_fd;
	struct gpmm_backend *memslots;
	struct gpmm_set *set;
	uint64_t *low;			/* low RAM, as this process sees it */
	gpmm_gpa_t reserved;		/* the hole above high RAM */
	gpmm_gpa_t top;			/* the guest's page tables end here */
};

/*
 * Make the machine and all of its memory, with @device behind the window at
 * DEVICE_BASE; ends the process where it cannot.
 */
void machine_create(struct machine *machine, const struct options *options,
		    struct gpmm_mmio *device);
void machine_destroy(struct machine *machine);

#endif
