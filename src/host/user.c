/* SPDX-License-Identifier: BSD-3-Clause */
/* The embedder's own memory: adopted, never unmapped here. */
#include <errno.h>

#include "host/host.h"

static int create(struct gpmm_host *host)
{
	uintptr_t first = (uintptr_t)host->options.user;

	if (!first || first + (host->size - 1) < first)
		return -EINVAL;
	host->addr = host->options.user;
	return 0;
}

/* No discard: what would free memory here only its owner knows. */
const struct host_provider gpmm__host_user = {
	.create = create,
};
