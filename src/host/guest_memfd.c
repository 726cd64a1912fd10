/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * KVM's guest_memfd: memory that the host may be unable to see. Where the
 * kernel lets it be mapped it is. Otherwise it has an address nevertheless,
 * of nothing accessible, so that areas of it split and merge like others.
 */
#include "config.h"

#include <errno.h>
#include <sys/mman.h>

#include "host/host.h"
#include "util/range.h"

static int map(struct gpmm_host *host)
{
	int ret = gpmm__host_check_length(host);

	if (!ret)
		ret = gpmm__host_reserve(host);
	if (ret)
		return ret;
	host->map_flags = MAP_SHARED;
	ret = gpmm__host_map(host, 0, host->size);
	host->is_blind = ret == -ENODEV;
	if (!ret || host->is_blind)
		return 0;
	gpmm__host_unreserve(host);
	return ret;
}

static int create(struct gpmm_host *host)
{
	int ret;

	if (!is_aligned(host->options.offset, host->page_size))
		return -EINVAL;
	ret = gpmm__host_adopt_fd(host);
	if (ret)
		return ret;
	ret = map(host);
	if (ret)
		gpmm__host_close(host);
	return ret;
}

static void destroy(struct gpmm_host *host)
{
	gpmm__host_unreserve(host);
	gpmm__host_close(host);
}

const struct host_provider gpmm__host_guest_memfd = {
	.create = create,
	.destroy = destroy,
	.discard = gpmm__host_punch,
};
