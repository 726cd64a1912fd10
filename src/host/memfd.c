/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared memory behind a sealed descriptor, for other processes to map. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/host.h"

/*
 * The seals keep whoever the descriptor is handed to from shrinking the file
 * under the guest (an access would raise SIGBUS) or growing it.
 */
static int size_and_seal(int fd, uint64_t size)
{
	if (ftruncate(fd, size))
		return -errno;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return -errno;
	return 0;
}

static int create(struct gpmm_host *host,
		  const struct gpmm_host_options *options)
{
	int fd = memfd_create("gpmm", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int ret;

	(void)options;
	if (fd < 0)
		return -errno;
	ret = size_and_seal(fd, host->size);
	if (!ret)
		ret = gpmm__host_map(host, MAP_SHARED | MAP_NORESERVE, fd);
	if (ret) {
		close(fd);
		return ret;
	}
	host->fd = fd;
	return 0;
}

static void destroy(struct gpmm_host *host)
{
	gpmm__host_unmap(host);
	close(host->fd);
}

const struct host_provider gpmm__host_memfd = {
	.create = create,
	.destroy = destroy,
};
