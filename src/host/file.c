/* SPDX-License-Identifier: BSD-3-Clause */
/* A file of the embedder's, mapped shared or private. */
#include "config.h"

#include <errno.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/vfs.h>

#include "host/host.h"
#include "util/range.h"

/*
 * A file that another process made of huge pages has pages of that size. What
 * the page cache holds of other files lies where the kernel likes: it ignores
 * a policy then, without a word.
 */
static int check_file_system(struct gpmm_host *host)
{
	struct statfs fs;

	if (fstatfs(host->fd, &fs))
		return -errno;
	if (fs.f_type == HUGETLBFS_MAGIC)
		host->page_size = fs.f_bsize;
	else if (fs.f_type != TMPFS_MAGIC && host->options.numa &&
		 !(host->options.flags & GPMM_HOST_PRIVATE))
		return -EOPNOTSUPP;
	return 0;
}

static int check(struct gpmm_host *host)
{
	int ret = check_file_system(host);

	if (ret)
		return ret;
	if (!is_aligned(host->size | host->options.offset, host->page_size))
		return -EINVAL;
	if (host->page_size > gpmm__host_base_page() &&
	    !is_aligned(host->options.gpa, host->page_size))
		return -EINVAL;
	return gpmm__host_check_length(host);
}

static int create(struct gpmm_host *host)
{
	uint32_t flags = host->options.flags;
	int ret;

	if (flags & GPMM_HOST_KSM && !(flags & GPMM_HOST_PRIVATE))
		return -EINVAL;
	ret = gpmm__host_adopt_fd(host);
	if (ret)
		return ret;
	ret = check(host);
	if (ret)
		gpmm__host_close(host);
	host->map_flags = flags & GPMM_HOST_PRIVATE ? MAP_PRIVATE : MAP_SHARED;
	if (flags & GPMM_HOST_READONLY)
		host->prot = PROT_READ;
	return ret;
}

/*
 * Dropping a private mapping's pages would bring the file's contents back and
 * leave its page cache: anonymous memory takes their place, of small pages
 * for huge ones too.
 */
static int replace(struct gpmm_host *host, uint64_t offset, uint64_t size)
{
	void *addr = mmap((char *)host->addr + offset, size, host->prot,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
			  MAP_FIXED, -1, 0);

	if (addr == MAP_FAILED)
		return -errno;
	return gpmm__host_tune(host, offset, size);
}

static int discard(struct gpmm_host *host, uint64_t offset, uint64_t size)
{
	uint32_t flags = host->options.flags;

	if (flags & GPMM_HOST_READONLY)
		return -EROFS;
	if (!(flags & GPMM_HOST_PRIVATE))
		return gpmm__host_punch(host, offset, size);
	return replace(host, offset, size);
}

const struct host_provider gpmm__host_file = {
	.flags = GPMM_HOST_PRIVATE | GPMM_HOST_READONLY | GPMM_HOST_THP |
		 GPMM_HOST_KSM | GPMM_HOST_LOCK | GPMM_HOST_NODUMP |
		 GPMM_HOST_GUARD,
	.maps = true,
	.create = create,
	.destroy = gpmm__host_close,
	.discard = discard,
};
