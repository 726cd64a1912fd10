/* SPDX-License-Identifier: BSD-3-Clause */
/* An area's pin: a reference on the memory behind it. */
#include <gpmm/area.h>

#include "host/host.h"

void gpmm_area_pin(const struct gpmm_area *area)
{
	if (!area->host)
		return;
	gpmm_host_get(area->host);
	__atomic_fetch_add(&area->host->area_pins, 1, __ATOMIC_RELAXED);
}

void gpmm_area_unpin(const struct gpmm_area *area)
{
	if (!area->host)
		return;
	__atomic_fetch_sub(&area->host->area_pins, 1, __ATOMIC_RELEASE);
	gpmm_host_put(area->host);
}
