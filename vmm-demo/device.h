/* SPDX-License-Identifier: BSD-3-Clause */
/* The device behind the MMIO window: guest.h lists its registers. */
#ifndef DEVICE_H
#define DEVICE_H

#include "dimm.h"

struct device {
	struct machine *machine;
	struct dimm dimm;
	uint64_t scratch;
	uint64_t failed;	/* checks, as the guest counts them */
	bool done;		/* the guest rang the doorbell */
};

/* @offset: of the register in the window, in bytes */
uint64_t device_read(struct device *device, uint64_t offset);
void device_write(struct device *device, uint64_t offset, uint64_t value);

#endif
