/* SPDX-License-Identifier: BSD-3-Clause */
/* Private anonymous memory. */
#include "config.h"

#include <sys/mman.h>

#include "host/host.h"

static int create(struct gpmm_host *host)
{
	host->map_flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	return 0;
}

const struct host_provider gpmm__host_anon = {
	.flags = GPMM_HOST_THP | GPMM_HOST_KSM | GPMM_HOST_LOCK |
		 GPMM_HOST_NODUMP | GPMM_HOST_GUARD,
	.maps = true,
	.grows = true,
	.create = create,
	.discard = gpmm__host_dontneed,
};
