/* SPDX-License-Identifier: BSD-3-Clause */
/* The device behind the MMIO window: guest.h lists its registers. */
#ifndef DEVICE_H
#define DEVICE_H

#include "churn.h"

struct device {
	struct gpmm_mmio *mmio;	/* the window that its registers are in */
	struct machine *machine;
	struct dimm dimm;
	struct churn churn;
	uint64_t scratch;
	uint64_t failed;	/* checks, as the guest counts them */
	int error;		/* of a change that the guest did not wait for */
	bool done;		/* the guest rang the doorbell */
};

void device_init(struct device *device, struct machine *machine);

/* Take it out of the machine, whose set is still there. */
void device_fini(struct device *device);

/* Wait for what it still does. */
void device_stop(struct device *device);

#endif
