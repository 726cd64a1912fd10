/* SPDX-License-Identifier: BSD-3-Clause */
/* What the guest does that memory does not answer: KVM's exits, by kind. */
#ifndef ACCESS_H
#define ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "machine.h"

enum access {
	ACCESS_CONSOLE,		/* a byte to the console's port */
	ACCESS_PORT,		/* another port: nobody is there */
	ACCESS_DEVICE,		/* the device's window */
	ACCESS_READ_ONLY,	/* a write to memory that may only be read */
	ACCESS_RESERVED,	/* a range that is kept free of memory */
	ACCESS_NOTHING,		/* no area at all */
	ACCESS_BROKEN,		/* memory that should have answered itself */
	ACCESSES,
};

struct accesses {
	struct machine *machine;
	uint64_t count[ACCESSES];
};

void access_memory(struct accesses *accesses,
		   const struct gpmm_kvm_access *access);

/* @data: @count items of @size bytes each, in or out */
void access_port(struct accesses *accesses, uint16_t port, uint8_t *data,
		 uint32_t size, uint32_t count, bool write);

#endif
