/* SPDX-License-Identifier: BSD-3-Clause */
/* Host memory's life: creation, references, the last put. */
#include <assert.h>
#include <errno.h>

#include "host/host.h"
#include "util/alloc.h"
#include "util/range.h"

static const struct host_provider *provider_of(enum gpmm_host_kind kind)
{
	switch (kind) {
	case GPMM_HOST_ANON:
		return &gpmm__host_anon;
	case GPMM_HOST_MEMFD:
		return &gpmm__host_memfd;
	case GPMM_HOST_USER:
		return &gpmm__host_user;
	default:
		return NULL;
	}
}

static bool size_is_valid(const struct gpmm_host_options *options)
{
	if (!options->size || options->size > INT64_MAX)
		return false;
	return options->kind == GPMM_HOST_USER ||
	       is_aligned(options->size, gpmm__host_page_size());
}

int gpmm_host_create(const struct gpmm_host_options *options,
		     struct gpmm_host **host)
{
	const struct host_provider *provider = provider_of(options->kind);
	struct gpmm_host *new;
	int ret;

	if (!provider)
		return -EOPNOTSUPP;
	if (!size_is_valid(options))
		return -EINVAL;
	new = gpmm__alloc(sizeof(*new));
	if (!new)
		return -ENOMEM;
	*new = (struct gpmm_host){
		.kind = options->kind,
		.fd = -1,
		.size = options->size,
		.refs = 1,
		.release = options->release,
		.release_arg = options->release_arg,
	};
	ret = provider->create(new, options);
	if (ret) {
		gpmm__free(new);
		return ret;
	}
	*host = new;
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
static void destroy(struct gpmm_host *host)
{
	struct gpmm_host gone = *host;

	provider_of(host->kind)->destroy(host);
	gpmm__free(host);
	if (gone.release)
		gone.release(gone.release_arg, gone.addr, gone.size);
}

void gpmm_host_put(struct gpmm_host *host)
{
	if (!host)
		return;
	if (__atomic_sub_fetch(&host->refs, 1, __ATOMIC_ACQ_REL))
		return;
	destroy(host);
}

void *gpmm_host_addr(const struct gpmm_host *host)
{
	return host->addr;
}

uint64_t gpmm_host_size(const struct gpmm_host *host)
{
	return host->size;
}

int gpmm_host_fd(const struct gpmm_host *host)
{
	return host->fd;
}

enum gpmm_host_kind gpmm_host_kind(const struct gpmm_host *host)
{
	return host->kind;
}
