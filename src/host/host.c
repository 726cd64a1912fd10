/* SPDX-License-Identifier: BSD-3-Clause */
/* Host memory's life: creation, growth, references, the end. */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <sys/mman.h>

#include "host/host.h"
#include "host/pin.h"
#include "util/alloc.h"
#include "util/log.h"
#include "util/range.h"

const struct host_provider *gpmm__host_provider(enum gpmm_host_kind kind)
{
	switch (kind) {
	case GPMM_HOST_ANON:
		return &gpmm__host_anon;
	case GPMM_HOST_MEMFD:
		return &gpmm__host_memfd;
	case GPMM_HOST_HUGETLB:
		return &gpmm__host_hugetlb;
	case GPMM_HOST_FILE:
		return &gpmm__host_file;
	case GPMM_HOST_USER:
		return &gpmm__host_user;
	case GPMM_HOST_GUEST_MEMFD:
		return &gpmm__host_guest_memfd;
	}
	return NULL;
}

static bool sizes_are_valid(const struct gpmm_host_options *options)
{
	uint64_t all = options->size + options->reserve;
	uint64_t page = gpmm__host_base_page();

	if (!options->size || all < options->size || all > INT64_MAX)
		return false;
	if (options->kind == GPMM_HOST_USER)
		return true;
	return is_aligned(options->size | options->reserve | options->gpa,
			  page);
}

static bool source_is_valid(const struct gpmm_host_options *options)
{
	enum gpmm_host_kind kind = options->kind;

	if (options->user && kind != GPMM_HOST_USER)
		return false;
	return !options->offset || kind == GPMM_HOST_FILE ||
	       kind == GPMM_HOST_GUEST_MEMFD;
}

static bool numa_is_valid(const struct gpmm_host_options *options)
{
	uint64_t nodes = options->numa_nodes;

	if (options->numa > GPMM_NUMA_INTERLEAVE)
		return false;
	/* The kernel would take the first of several, and any for none. */
	if (options->numa == GPMM_NUMA_PREFERRED)
		return is_power_of_two(nodes);
	return (options->numa == GPMM_NUMA_DEFAULT) == !nodes;
}

/* Nothing asked for is ignored: what the kind cannot do is refused. */
static bool options_are_valid(const struct host_provider *provider,
			      const struct gpmm_host_options *options)
{
	if (options->flags & ~provider->flags)
		return false;
	if (options->reserve && !provider->grows)
		return false;
	if (!provider->maps && (options->numa || options->prealloc_threads))
		return false;
	if (!source_is_valid(options) || !numa_is_valid(options))
		return false;
	if (options->page_size && options->kind != GPMM_HOST_HUGETLB)
		return false;
	return sizes_are_valid(options);
}

/* Map a stretch and make every option take effect on it. */
static int furnish(struct gpmm_host *host, uint64_t offset, uint64_t size)
{
	int ret = gpmm__host_map(host, offset, size);

	if (ret == -ENOMEM && host->options.kind == GPMM_HOST_HUGETLB)
		gpmm__log(GPMM_LOG_WARNING,
			  "no huge pages left: %llu wanted, of %llu bytes each",
			  (unsigned long long)(size / host->page_size),
			  (unsigned long long)host->page_size);
	if (!ret)
		ret = gpmm__host_tune(host, offset, size);
	if (!ret)
		ret = gpmm__host_prealloc(host, offset, size);
	if (!ret)
		ret = gpmm__host_lock(host, offset, size);
	return ret;
}

static int map_all(struct gpmm_host *host)
{
	int ret = gpmm__host_reserve(host);

	if (ret)
		return ret;
	ret = furnish(host, 0, host->size);
	if (ret)
		gpmm__host_unreserve(host);
	return ret;
}

static int bring_up(const struct host_provider *provider,
		    struct gpmm_host *host)
{
	int ret = provider->create(host);

	if (ret || !provider->maps)
		return ret;
	ret = map_all(host);
	if (ret && provider->destroy)
		provider->destroy(host);
	return ret;
}

int gpmm_host_create(const struct gpmm_host_options *options,
		     struct gpmm_host **host)
{
	const struct host_provider *provider =
		gpmm__host_provider(options->kind);
	struct gpmm_host *new;
	int ret;

	if (!provider)
		return -EOPNOTSUPP;
	if (!options_are_valid(provider, options))
		return -EINVAL;
	new = gpmm__alloc(sizeof(*new));
	if (!new)
		return -ENOMEM;
	*new = (struct gpmm_host){
		.options = *options,
		.fd = -1,
		.size = options->size,
		.page_size = gpmm__host_base_page(),
		.prot = PROT_READ | PROT_WRITE,
		.refs = 1,
	};
	ret = bring_up(provider, new);
	if (ret) {
		gpmm__free(new);
		return ret;
	}
	gpmm__host_register(new);
	*host = new;
	return 0;
}

int gpmm_host_grow(struct gpmm_host *host, uint64_t size)
{
	uint64_t old = host->size;
	int ret;

	if (!gpmm__host_provider(host->options.kind)->grows)
		return -EOPNOTSUPP;
	if (size < old || !is_aligned(size, host->page_size))
		return -EINVAL;
	if (size - host->options.size > host->options.reserve)
		return -ENOSPC;
	if (size == old)
		return 0;
	ret = furnish(host, old, size - old);
	if (ret) {
		gpmm__host_unmap(host, old, size - old);
		/* What was made resident before it failed. */
		if (host->fd >= 0)
			gpmm__host_punch(host, old, size - old);
		return ret;
	}
	__atomic_store_n(&host->size, size, __ATOMIC_RELEASE);
	return 0;
}

struct gpmm_host *gpmm_host_get(struct gpmm_host *host)
{
	uint32_t old = __atomic_fetch_add(&host->refs, 1, __ATOMIC_RELAXED);

	assert(old);
	(void)old;
	return host;
}

/* The callback comes last: a USER owner frees the memory in it. */
void gpmm__host_destroy(struct gpmm_host *host)
{
	const struct host_provider *provider =
		gpmm__host_provider(host->options.kind);
	struct gpmm_host gone = *host;

	gpmm__host_unregister(host);
	if (provider->maps)
		gpmm__host_unreserve(host);
	if (provider->destroy)
		provider->destroy(host);
	gpmm__free(host);
	if (gone.options.release)
		gone.options.release(gone.options.release_arg, gone.addr,
				     gone.size);
}

void gpmm_host_put(struct gpmm_host *host)
{
	if (!host)
		return;
	if (__atomic_sub_fetch(&host->refs, 1, __ATOMIC_ACQ_REL))
		return;
	if (gpmm__pins_release(host))
		gpmm__host_destroy(host);
}

void *gpmm_host_addr(const struct gpmm_host *host)
{
	return host->addr;
}

uint64_t gpmm_host_size(const struct gpmm_host *host)
{
	return __atomic_load_n(&host->size, __ATOMIC_ACQUIRE);
}

int gpmm_host_fd(const struct gpmm_host *host)
{
	return host->fd;
}

uint64_t gpmm_host_offset(const struct gpmm_host *host)
{
	return host->options.offset;
}

enum gpmm_host_kind gpmm_host_kind(const struct gpmm_host *host)
{
	return host->options.kind;
}

uint64_t gpmm_host_page_size(const struct gpmm_host *host)
{
	return host->page_size;
}
