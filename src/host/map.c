/* SPDX-License-Identifier: BSD-3-Clause */
/* Placing host memory in the process's address space. */
#include "config.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/host.h"
#include "util/range.h"

#define HUGE_2M (UINT64_C(1) << 21)

uint64_t gpmm__host_page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

static uint64_t alignment(uint64_t size)
{
	return size >= HUGE_2M ? HUGE_2M : gpmm__host_page_size();
}

static void trim(char *from, char *to)
{
	if (to > from)
		munmap(from, to - from);
}

/* Address space alone, aligned. Return: NULL where there is none. */
static void *reserve(uint64_t size, uint64_t align)
{
	uint64_t slack = align - gpmm__host_page_size();
	uint64_t up;
	char *base;

	base = mmap(NULL, size + slack, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return NULL;
	align_up((uintptr_t)base, align, &up);
	trim(base, (char *)(uintptr_t)up);
	trim((char *)(uintptr_t)up + size, base + size + slack);
	return (void *)(uintptr_t)up;
}

int gpmm__host_map(struct gpmm_host *host, int flags, int fd)
{
	void *addr = reserve(host->size, alignment(host->size));
	int ret;

	if (!addr)
		return -ENOMEM;
	if (mmap(addr, host->size, PROT_READ | PROT_WRITE, flags | MAP_FIXED,
		 fd, 0) == MAP_FAILED) {
		ret = -errno;
		munmap(addr, host->size);
		return ret;
	}
	host->addr = addr;
	return 0;
}

void gpmm__host_unmap(struct gpmm_host *host)
{
	munmap(host->addr, host->size);
}
