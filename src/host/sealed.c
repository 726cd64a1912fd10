/* SPDX-License-Identifier: BSD-3-Clause */
/* Descriptors: sealed files of our own, and duplicates of the embedder's. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
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

int gpmm__host_open_sealed(struct gpmm_host *host, unsigned int memfd_flags)
{
	int ret;

	host->fd = memfd_create("gpmm", memfd_flags | MFD_CLOEXEC |
				MFD_ALLOW_SEALING);
	if (host->fd < 0)
		return -errno;
	ret = size_and_seal(host->fd, host->options.offset + host->size +
			    host->options.reserve);
	if (ret)
		close(host->fd);
	return ret;
}

int gpmm__host_adopt_fd(struct gpmm_host *host)
{
	host->fd = fcntl(host->options.fd, F_DUPFD_CLOEXEC, 0);
	return host->fd < 0 ? -errno : 0;
}

/* What lies past the end of a file would raise SIGBUS. */
int gpmm__host_check_length(const struct gpmm_host *host)
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

void gpmm__host_close(struct gpmm_host *host)
{
	close(host->fd);
}
