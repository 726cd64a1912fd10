/* SPDX-License-Identifier: BSD-3-Clause */
/* The embedder's own memory: adopted, never unmapped here. */
#include <errno.h>

#include "host/host.h"

static int create(struct gpmm_host *host,
		  const struct gpmm_host_options *options)
{
	uintptr_t first = (uintptr_t)options->user;

	if (!first || first + (host->size - 1) < first)
		return -EINVAL;
	host->addr = options->user;
	return 0;
}

static void destroy(struct gpmm_host *host)
{
	(void)host;
}

const struct host_provider gpmm__host_user = {
	.create = create,
	.destroy = destroy,
};
