/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of host memory: what the providers of each kind share. */
#ifndef GPMM_HOST_INSIDE_H
#define GPMM_HOST_INSIDE_H

#include <sys/types.h>

#include <gpmm/host.h>

struct gpmm_host {
	struct gpmm_host_options options;	/* as created; fd is ours */
	int fd;			/* -1: none */
	void *addr;
	uint64_t size;		/* bytes at @addr */
	uint64_t page_size;
	int prot, map_flags;	/* of mmap(2) */
	bool is_blind;		/* nothing accessible at @addr */

	/* The address space it has: guards, memory, reserve. */
	void *base;
	uint64_t base_size;

	uint32_t refs;
	uint32_t area_pins;	/* of @refs, those that gpmm_area_pin() took */
	uint64_t discarded;

	/* Under the pins' lock; @discarding is also read without (pin.c). */
	uint32_t discarding;
	uint32_t discard_turn;
	struct gpmm_host *next_zombie;

	/* Under the register's lock (account.c). */
	struct gpmm_host *next, **link;
};

/* What a kind does for itself; @create and @destroy undo each other. */
struct host_provider {
	uint32_t flags;		/* GPMM_HOST_ flags it can do */
	bool maps;		/* the library maps it: numa, prealloc, ... */
	bool grows;
	/* Sets fd, page_size, map_flags and prot; addr, where not @maps. */
	int (*create)(struct gpmm_host *host);
	/* Undoes @create once the memory is unmapped; may be NULL. */
	void (*destroy)(struct gpmm_host *host);
	/* Absent: a discard would free nothing. */
	int (*discard)(struct gpmm_host *host, uint64_t offset, uint64_t size);
};

extern const struct host_provider gpmm__host_anon;
extern const struct host_provider gpmm__host_memfd;
extern const struct host_provider gpmm__host_hugetlb;
extern const struct host_provider gpmm__host_file;
extern const struct host_provider gpmm__host_user;
extern const struct host_provider gpmm__host_guest_memfd;

const struct host_provider *gpmm__host_provider(enum gpmm_host_kind kind);

/* Bytes of the base page. */
uint64_t gpmm__host_base_page(void);

/* map.c: take address space; map part of it; give it all back. */
int gpmm__host_reserve(struct gpmm_host *host);
int gpmm__host_map(struct gpmm_host *host, uint64_t offset, uint64_t size);
/* Make [offset, size) inaccessible again. */
void gpmm__host_unmap(struct gpmm_host *host, uint64_t offset, uint64_t size);
void gpmm__host_unreserve(struct gpmm_host *host);

/* tune.c: options that act on what is mapped. */
int gpmm__host_tune(struct gpmm_host *host, uint64_t offset, uint64_t size);
int gpmm__host_lock(struct gpmm_host *host, uint64_t offset, uint64_t size);

/* prealloc.c: make [offset, size) resident. */
int gpmm__host_prealloc(struct gpmm_host *host, uint64_t offset,
			uint64_t size);

/* sealed.c: a file of all the memory, reserve included. */
int gpmm__host_open_sealed(struct gpmm_host *host, unsigned int memfd_flags);
int gpmm__host_adopt_fd(struct gpmm_host *host);
int gpmm__host_check_length(const struct gpmm_host *host);
void gpmm__host_close(struct gpmm_host *host);

/* discard.c */
int gpmm__host_punch(struct gpmm_host *host, uint64_t offset, uint64_t size);
int gpmm__host_dontneed(struct gpmm_host *host, uint64_t offset,
			uint64_t size);

/* account.c */
void gpmm__host_register(struct gpmm_host *host);
void gpmm__host_unregister(struct gpmm_host *host);

/* host.c: unmap, close and free, once neither reference nor pin is left. */
void gpmm__host_destroy(struct gpmm_host *host);

#endif
