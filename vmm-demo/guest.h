/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the guest and the VMM agree on: where things lie, and the device's
 * registers. Read by the assembler too, so macros only.
 */
#ifndef GUEST_H
#define GUEST_H

/* Guest-physical layout; low RAM starts at 0 and ends at LOW_MAX at most. */
#define PAGE_TABLES	0x1000
#define STACK_TOP	0x80000		/* grows down to the page tables */
#define LOW_FREE	0x80000		/* RAM from here on is the guest's */
#define LOW_MAX		0xc0000000
#define NOTHING_BASE	0xc8000000	/* nobody maps anything here */
#define DEVICE_BASE	0xd0000000
#define DEVICE_SIZE	0x1000
#define KVM_PAGES_BASE	0xfffbc000	/* KVM's own, on VMX */
#define KVM_PAGES_SIZE	0x4000
#define ROM_BASE	0xffff0000
#define ROM_SIZE	0x10000
#define HIGH_BASE	0x100000000
#define RESERVED_SIZE	0x1000000	/* right above high RAM */

/* The console: every byte written to this port is a character. */
#define CONSOLE_PORT	0xe9

/* The device's registers, 8 bytes each: offsets from DEVICE_BASE. */
#define DEV_ID		0x00	/* r: DEVICE_ID */
#define DEV_SCRATCH	0x08	/* rw: keeps what is written */
#define DEV_LOW_END	0x10	/* r: where low RAM ends */
#define DEV_HIGH_END	0x18	/* r: where high RAM ends */
#define DEV_RESERVED	0x20	/* r: start of the reserved hole */
#define DEV_ALIVE	0x28	/* w: the guest is still at work */
#define DEV_DIMM	0x30	/* r: where the DIMM is, 0: nowhere */
#define DEV_PLUG	0x38	/* w: bytes: plug a DIMM so large */
#define DEV_SEAL	0x40	/* w: 1: its middle half read-only; 0: not */
#define DEV_CHURN	0x48	/* w: seal and unseal it so often, meanwhile */
				/* r: how often it is still to be done */
#define DEV_MOVE	0x50	/* w: move it, with what is in it */
#define DEV_UNPLUG	0x58	/* w: take it out */
#define DEV_WRONG	0x60	/* w: the word there is not what it was */
#define DEV_DONE	0x68	/* w: the doorbell: so many checks failed */

#define DEVICE_ID	0x6f6d65646d6d7067	/* "gpmmdemo" */
#define DIMM_SIZE	0x1000000
#define CHURN_ROUNDS	20

/*
 * The word at address a is filled with a ^ PATTERN, so that an alias of any
 * other address shows.
 */
#define PATTERN		0x5a5aa5a51234fedc
/* The guest says that it is alive each time it has passed so many bytes. */
#define ALIVE_EVERY	0x4000000

#endif
