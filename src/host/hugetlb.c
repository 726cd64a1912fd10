/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Huge pages from the host's pool, shared. Mapping sets the pages aside, so
 * that a pool too small is an error here and not a SIGBUS later. It does so
 * wherever they lie: memory that is bound to nodes must be made resident for
 * that.
 */
#include "config.h"

#include <errno.h>
#include <sys/mman.h>

#include "host/host.h"
#include "util/range.h"

#define PAGE_2M (UINT64_C(1) << 21)

static int create(struct gpmm_host *host)
{
	uint64_t page = host->options.page_size;
	int ret;

	page = page ? page : PAGE_2M;
	if (!is_power_of_two(page) || page <= gpmm__host_base_page() ||
	    !is_aligned(host->size | host->options.reserve, page) ||
	    !is_aligned(host->options.gpa, page))
		return -EINVAL;
	host->page_size = page;
	host->map_flags = MAP_SHARED;
	if (host->options.flags & GPMM_HOST_NORESERVE)
		host->map_flags |= MAP_NORESERVE;
	else if (host->options.numa == GPMM_NUMA_BIND &&
		 !host->options.prealloc_threads)
		host->options.prealloc_threads = 1;
	ret = gpmm__host_open_sealed(host, MFD_HUGETLB |
		(unsigned int)__builtin_ctzll(page) << MAP_HUGE_SHIFT);
	/* No pool of such pages: ENOENT or ENODEV, by kernel. */
	return ret == -ENOENT || ret == -ENODEV ? -EOPNOTSUPP : ret;
}

const struct host_provider gpmm__host_hugetlb = {
	.flags = GPMM_HOST_LOCK | GPMM_HOST_NODUMP | GPMM_HOST_GUARD |
		 GPMM_HOST_NORESERVE,
	.maps = true,
	.grows = true,
	.create = create,
	.destroy = gpmm__host_close,
	.discard = gpmm__host_punch,
};
