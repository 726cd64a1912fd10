/* SPDX-License-Identifier: BSD-3-Clause */
/* Placing host memory in the process's address space. */
#include "config.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/host.h"
#include "util/range.h"

#define SIZE_2M (UINT64_C(1) << 21)
#define SIZE_1G (UINT64_C(1) << 30)

uint64_t gpmm__host_base_page(void)
{
	return sysconf(_SC_PAGESIZE);
}

/* Modulo what host and guest addresses shall agree, once it has grown. */
static uint64_t congruence(const struct gpmm_host *host)
{
	uint64_t most = host->size + host->options.reserve;

	if (most >= SIZE_1G || host->page_size >= SIZE_1G)
		return SIZE_1G;
	if (most >= SIZE_2M || host->page_size >= SIZE_2M)
		return SIZE_2M;
	return gpmm__host_base_page();
}

static void trim(uint64_t from, uint64_t to)
{
	if (to > from)
		munmap((void *)(uintptr_t)from, to - from);
}

static void *take(uint64_t size)
{
	void *base = mmap(NULL, size, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return base == MAP_FAILED ? NULL : base;
}

/* The lowest address from @from on that agrees with @gpa. */
static uint64_t place(uint64_t from, uint64_t align, gpmm_gpa_t gpa)
{
	return from + ((gpa - from) & (align - 1));
}

int gpmm__host_reserve(struct gpmm_host *host)
{
	uint64_t guard = host->options.flags & GPMM_HOST_GUARD ?
			 gpmm__host_base_page() : 0;
	uint64_t align = congruence(host);
	uint64_t size = host->size + host->options.reserve + 2 * guard;
	uint64_t base, addr;

	base = (uintptr_t)take(size + align);
	if (!base)
		return -ENOMEM;
	addr = place(base + guard, align, host->options.gpa);
	trim(base, addr - guard);
	trim(addr - guard + size, base + size + align);
	host->base = (void *)(uintptr_t)(addr - guard);
	host->base_size = size;
	host->addr = (void *)(uintptr_t)addr;
	return 0;
}

int gpmm__host_map(struct gpmm_host *host, uint64_t offset, uint64_t size)
{
	void *addr = mmap((char *)host->addr + offset, size, host->prot,
			  host->map_flags | MAP_FIXED, host->fd,
			  host->options.offset + offset);

	return addr == MAP_FAILED ? -errno : 0;
}

void gpmm__host_unmap(struct gpmm_host *host, uint64_t offset, uint64_t size)
{
	mmap((char *)host->addr + offset, size, PROT_NONE, MAP_PRIVATE |
	     MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

void gpmm__host_unreserve(struct gpmm_host *host)
{
	munmap(host->base, host->base_size);
}
