/* SPDX-License-Identifier: BSD-3-Clause */
/* Options that act on mapped memory: NUMA policy, advice, locking. */
#include "config.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/host.h"

static int numa_mode(enum gpmm_numa numa)
{
	switch (numa) {
	case GPMM_NUMA_BIND:
		return MPOL_BIND;
	case GPMM_NUMA_PREFERRED:
		return MPOL_PREFERRED;
	case GPMM_NUMA_INTERLEAVE:
		return MPOL_INTERLEAVE;
	default:
		return -1;
	}
}

/*
 * The system call itself: libnuma has no call that sets a policy and says
 * whether it could. Pages of a file that lie elsewhere already are moved, and
 * it is an error where they cannot be.
 */
static int set_policy(const struct gpmm_host *host, void *addr, uint64_t size)
{
	unsigned long nodes[] = { host->options.numa_nodes, 0 };
	int mode = numa_mode(host->options.numa);

	if (host->options.numa == GPMM_NUMA_DEFAULT)
		return 0;
	/* The kernel takes one node less than it is told. */
	if (syscall(SYS_mbind, addr, size, mode, nodes, 65UL,
		    MPOL_MF_STRICT | MPOL_MF_MOVE))
		return -errno;
	return 0;
}

static int advise(void *addr, uint64_t size, int advice)
{
	if (!madvise(addr, size, advice))
		return 0;
	/* A kernel built without it. */
	return errno == EINVAL ? -EOPNOTSUPP : -errno;
}

int gpmm__host_tune(struct gpmm_host *host, uint64_t offset, uint64_t size)
{
	static const struct {
		uint32_t flag;
		int advice;
	} table[] = {
		{ GPMM_HOST_THP, MADV_HUGEPAGE },
		{ GPMM_HOST_KSM, MADV_MERGEABLE },
		{ GPMM_HOST_NODUMP, MADV_DONTDUMP },
	};
	void *addr = (char *)host->addr + offset;
	int ret = set_policy(host, addr, size);

	for (size_t i = 0; !ret && i < sizeof(table) / sizeof(*table); i++)
		if (host->options.flags & table[i].flag)
			ret = advise(addr, size, table[i].advice);
	return ret;
}

int gpmm__host_lock(struct gpmm_host *host, uint64_t offset, uint64_t size)
{
	if (!(host->options.flags & GPMM_HOST_LOCK))
		return 0;
	if (!mlock((char *)host->addr + offset, size))
		return 0;
	/* Nothing at all may be locked. */
	return errno == EPERM ? -ENOMEM : -errno;
}
