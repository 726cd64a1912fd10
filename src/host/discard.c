/* SPDX-License-Identifier: BSD-3-Clause */
/* Giving memory back: the check common to all kinds, and their two ways. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "host/host.h"
#include "host/pin.h"
#include "util/range.h"

int gpmm__host_punch(struct gpmm_host *host, uint64_t offset, uint64_t size)
{
	int ret;

	do {
		ret = fallocate(host->fd,
				FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				host->options.offset + offset, size);
	} while (ret && errno == EINTR);
	/* A device has no holes either. */
	return !ret ? 0 : errno == ENODEV ? -EOPNOTSUPP : -errno;
}

int gpmm__host_dontneed(struct gpmm_host *host, uint64_t offset, uint64_t size)
{
	if (!madvise((char *)host->addr + offset, size, MADV_DONTNEED))
		return 0;
	/* The range is as it should be: the embedder has locked it. */
	return errno == EINVAL ? -EBUSY : -errno;
}

static int check(struct gpmm_host *host, uint64_t offset, uint64_t size)
{
	uint64_t all = gpmm_host_size(host);

	if (!gpmm__host_provider(host->options.kind)->discard)
		return -EOPNOTSUPP;
	if (!is_aligned(offset | size, host->page_size))
		return -EINVAL;
	if (offset > all || size > all - offset)
		return -EINVAL;
	return host->options.flags & GPMM_HOST_LOCK ? -EBUSY : 0;
}

int gpmm_host_discard(struct gpmm_host *host, uint64_t offset, uint64_t size)
{
	int ret = check(host, offset, size);

	if (ret || !size)
		return ret;
	ret = gpmm__pins_discard_begin(host, offset, size);
	if (ret)
		return ret;
	ret = gpmm__host_provider(host->options.kind)->discard(host, offset,
							       size);
	if (!ret)
		__atomic_fetch_add(&host->discarded, size, __ATOMIC_RELAXED);
	gpmm__pins_discard_end(host);
	return ret;
}
