/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Host memory: what stands behind RAM and ROM.
 */
#ifndef GPMM_HOST_H
#define GPMM_HOST_H

#include <gpmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A run of host memory, reference-counted: the creator has one reference,
 * each area in a set has one, each pin has one. The last put unmaps it.
 */
struct gpmm_host;

enum gpmm_host_kind {
	GPMM_HOST_ANON,		/* private anonymous memory */
	GPMM_HOST_MEMFD,	/* shared, sealed against shrink and grow */
	GPMM_HOST_HUGETLB,	/* shared huge pages */
	GPMM_HOST_FILE,		/* a file, shared or private */
	GPMM_HOST_USER,		/* the embedder's own pointer */
	GPMM_HOST_GUEST_MEMFD,	/* KVM's guest_memfd */
};

struct gpmm_host_options {
	enum gpmm_host_kind kind;
	uint64_t size;		/* bytes, a multiple of the page size */
	/* GPMM_HOST_USER: the memory; its owner frees it, in @release. */
	void *user;
	/* Called once the last reference is gone; may be NULL. Any kind. */
	void (*release)(void *arg, void *addr, uint64_t size);
	void *release_arg;
};

/*
 * gpmm_host_create - allocate or adopt host memory
 * @host: receives it, with one reference
 *
 * Context: any.
 * Owns: the caller owns *@host and drops it with gpmm_host_put().
 * Return: 0; -EINVAL; -ENOMEM; -EOPNOTSUPP where this host lacks the kind.
 */
int gpmm_host_create(const struct gpmm_host_options *options,
		     struct gpmm_host **host);

/* Take a reference. Context: any. Return: @host. */
struct gpmm_host *gpmm_host_get(struct gpmm_host *host);

/* Drop a reference; the last one unmaps. NULL is ignored. Context: any. */
void gpmm_host_put(struct gpmm_host *host);

/* Where it is mapped, and its size in bytes. Context: any, with a reference. */
void *gpmm_host_addr(const struct gpmm_host *host);
uint64_t gpmm_host_size(const struct gpmm_host *host);

/* The file behind it, or -1. Borrowed. Context: any, with a reference. */
int gpmm_host_fd(const struct gpmm_host *host);

enum gpmm_host_kind gpmm_host_kind(const struct gpmm_host *host);

#ifdef __cplusplus
}
#endif
#endif
