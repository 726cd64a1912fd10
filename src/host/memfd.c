/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared memory behind a sealed descriptor, for other processes to map. */
#include "config.h"

#include <sys/mman.h>

#include "host/host.h"

#define SIZE_2M (UINT64_C(1) << 21)

static int create(struct gpmm_host *host)
{
	host->map_flags = MAP_SHARED | MAP_NORESERVE;
	/* Huge pages must agree with the file's, too: a hole goes before. */
	if (host->options.flags & GPMM_HOST_THP)
		host->options.offset = host->options.gpa % SIZE_2M;
	return gpmm__host_open_sealed(host, 0);
}

const struct host_provider gpmm__host_memfd = {
	.flags = GPMM_HOST_THP | GPMM_HOST_LOCK | GPMM_HOST_NODUMP |
		 GPMM_HOST_GUARD,
	.maps = true,
	.grows = true,
	.create = create,
	.destroy = gpmm__host_close,
	.discard = gpmm__host_punch,
};
