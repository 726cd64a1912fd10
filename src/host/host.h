/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of host memory: what the providers of each kind share. */
#ifndef GPMM_HOST_INSIDE_H
#define GPMM_HOST_INSIDE_H

#include <gpmm/host.h>

struct gpmm_host {
	enum gpmm_host_kind kind;
	int fd;			/* -1: none */
	void *addr;
	uint64_t size;		/* bytes at @addr */
	uint32_t refs;
	uint32_t area_pins;	/* of @refs, those that gpmm_area_pin() took */
	void (*release)(void *arg, void *addr, uint64_t size);
	void *release_arg;
};

/* What a kind does for itself; @create and @destroy undo each other. */
struct host_provider {
	/* Fills in fd and addr; on failure leaves nothing behind. */
	int (*create)(struct gpmm_host *host,
		      const struct gpmm_host_options *options);
	void (*destroy)(struct gpmm_host *host);
};

extern const struct host_provider gpmm__host_anon;
extern const struct host_provider gpmm__host_memfd;
extern const struct host_provider gpmm__host_user;

/*
 * Map @host->size bytes of @fd (-1: anonymous) with @flags of mmap(2), on a
 * 2 MiB boundary where they are that many: then guest and host addresses can
 * agree modulo 2 MiB, without which KVM turns large pages off for a slot.
 */
int gpmm__host_map(struct gpmm_host *host, int flags, int fd);
void gpmm__host_unmap(struct gpmm_host *host);

uint64_t gpmm__host_page_size(void);

#endif
