/* SPDX-License-Identifier: BSD-3-Clause */
/* A file of the embedder's, mapped shared or private. */
#include "config.h"

#include <errno.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "host/host.h"
#include "util/range.h"

/* A file that another process made of huge pages has pages of that size. */
static int page_size_of(int fd, uint64_t *page)
{
	struct statfs fs;

	*page = gpmm__host_base_page();
	if (fstatfs(fd, &fs))
		return -errno;
	if (fs.f_type == HUGETLBFS_MAGIC)
		*page = fs.f_bsize;
	return 0;
}

/* What lies past the end of a file would raise SIGBUS. */
static int check_length(const struct gpmm_host *host)
{
	uint64_t end = host->options.offset + host->size;
	struct stat st;

	if (fstat(host->fd, &st))
		return -errno;
	if (end < host->size || end > INT64_MAX)
		return -EINVAL;
	if (S_ISREG(st.st_mode) && (uint64_t)st.st_size < end)
		return -ENXIO;
	return 0;
}

static int check(struct gpmm_host *host)
{
	int ret = page_size_of(host->fd, &host->page_size);

	if (ret)
		return ret;
	if (!is_aligned(host->size | host->options.offset, host->page_size))
		return -EINVAL;
	if (host->page_size > gpmm__host_base_page() &&
	    !is_aligned(host->options.gpa, host->page_size))
		return -EINVAL;
	return check_length(host);
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
