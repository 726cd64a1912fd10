/* SPDX-License-Identifier: BSD-3-Clause */
/* What the demo tells at its end. */
#ifndef REPORT_H
#define REPORT_H

#include "access.h"
#include "device.h"
#include "observer.h"
#include "vcpu.h"

/* The memory map as the set has it, a line an area. */
void report_map(const struct machine *machine);

/* The exits by kind. */
void report_accesses(const struct accesses *accesses);

/* The verdict and what stands against it. Return: whether it is PASS. */
bool report_verdict(enum outcome outcome, const struct accesses *accesses,
		    const struct device *device,
		    const struct observer *observer);

#endif
