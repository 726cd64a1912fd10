/* SPDX-License-Identifier: BSD-3-Clause */
/* An area's pin: a reference on the memory behind it, counted apart. */
#include "host/host.h"
#include "host/pin.h"

void gpmm_area_pin(const struct gpmm_area *area)
{
	if (!area->host)
		return;
	gpmm_host_get(area->host);
	__atomic_fetch_add(&area->host->area_pins, 1, __ATOMIC_SEQ_CST);
	gpmm__pins_settle(area->host);
}

void gpmm_area_unpin(const struct gpmm_area *area)
{
	if (!area->host)
		return;
	gpmm__pins_area_unpin(area->host);
	gpmm_host_put(area->host);
}
