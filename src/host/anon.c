/* SPDX-License-Identifier: BSD-3-Clause */
/* Private anonymous memory. */
#include "config.h"

#include <sys/mman.h>

#include "host/host.h"

static int create(struct gpmm_host *host,
		  const struct gpmm_host_options *options)
{
	(void)options;
	return gpmm__host_map(host, MAP_PRIVATE | MAP_ANONYMOUS |
			      MAP_NORESERVE, -1);
}

const struct host_provider gpmm__host_anon = {
	.create = create,
	.destroy = gpmm__host_unmap,
};
