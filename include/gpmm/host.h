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
 * each area in a set has one. Once the last is dropped it is unmapped, or as
 * soon after as no pin holds it (pin.h).
 */
struct gpmm_host;

enum gpmm_host_kind {
	GPMM_HOST_ANON,		/* private anonymous memory */
	GPMM_HOST_MEMFD,	/* shared, sealed against shrink and grow */
	GPMM_HOST_HUGETLB,	/* shared huge pages, sealed likewise */
	GPMM_HOST_FILE,		/* a file, shared or private */
	GPMM_HOST_USER,		/* the embedder's own pointer */
	GPMM_HOST_GUEST_MEMFD,	/* KVM's guest_memfd */
};

/* FILE: writes stay in this process (MAP_PRIVATE). */
#define GPMM_HOST_PRIVATE	(UINT32_C(1) << 0)
/* FILE: mapped for reading only. */
#define GPMM_HOST_READONLY	(UINT32_C(1) << 1)
/* Ask for transparent huge pages. */
#define GPMM_HOST_THP		(UINT32_C(1) << 2)
/* ANON, private FILE: let equal pages be shared (KSM). */
#define GPMM_HOST_KSM		(UINT32_C(1) << 3)
/* All of it resident now and for good (mlock). */
#define GPMM_HOST_LOCK		(UINT32_C(1) << 4)
/* Leave it out of core dumps. */
#define GPMM_HOST_NODUMP	(UINT32_C(1) << 5)
/* An inaccessible page before and behind it. */
#define GPMM_HOST_GUARD		(UINT32_C(1) << 6)
/*
 * HUGETLB: do not set huge pages aside at once. Without it memory that is not
 * there fails gpmm_host_create(); with it, an access finds out.
 */
#define GPMM_HOST_NORESERVE	(UINT32_C(1) << 7)

enum gpmm_numa {
	GPMM_NUMA_DEFAULT,	/* the thread's own policy */
	GPMM_NUMA_BIND,		/* from these nodes only */
	GPMM_NUMA_PREFERRED,	/* from this node (one), if it has any left */
	GPMM_NUMA_INTERLEAVE,	/* from these nodes by turns */
};

/*
 * Zero is a good value of every member but @size (and @fd and @user, where one
 * is needed); what a kind cannot do is refused (-EINVAL), never ignored. USER
 * and GUEST_MEMFD take no @flags, no @numa and no @prealloc_threads. Only @fd
 * where the kind has none, and @gpa of USER, are not looked at.
 */
struct gpmm_host_options {
	enum gpmm_host_kind kind;
	/* Bytes, a multiple of the page size, HUGETLB's own (USER: any). */
	uint64_t size;
	/* GPMM_HOST_USER: the memory; its owner frees it, in @release. */
	void *user;
	/*
	 * Called once it is gone (USER: once it is no longer used), on
	 * whatever thread dropped the last reference or pin; may be NULL.
	 */
	void (*release)(void *arg, void *addr, uint64_t size);
	void *release_arg;

	uint32_t flags;		/* GPMM_HOST_PRIVATE and so on */
	/* FILE, GUEST_MEMFD: borrowed for the call, duplicated. */
	int fd;
	/* FILE, GUEST_MEMFD: where in it, in bytes, a page multiple. */
	uint64_t offset;
	/* HUGETLB: bytes of one page, as the host has them; 0: 2 MiB. */
	uint64_t page_size;
	/*
	 * Where the guest will see the first byte. Host addresses are placed
	 * so that they agree with guest addresses modulo 1 GiB where there is
	 * 1 GiB (with @reserve), modulo 2 MiB where there are 2 MiB: KVM turns
	 * large pages off for a slot that does not. MEMFD with GPMM_HOST_THP
	 * starts as far into its file as that takes: see gpmm_host_offset(). A
	 * multiple of the page size, as @size is.
	 */
	gpmm_gpa_t gpa;
	/*
	 * ANON, MEMFD, HUGETLB: bytes of address space to keep behind it, for
	 * gpmm_host_grow(); a multiple of the page size.
	 */
	uint64_t reserve;

	/*
	 * The system knows no policy for a shared FILE but in tmpfs and
	 * hugetlbfs (-EOPNOTSUPP); of a private one it holds for the pages
	 * that were written. HUGETLB that is bound is made resident at once,
	 * unless GPMM_HOST_NORESERVE.
	 */
	enum gpmm_numa numa;
	uint64_t numa_nodes;	/* bit n: node n */

	/* Make all of it resident, in so many threads; 0: on first access. */
	unsigned int prealloc_threads;
	/*
	 * Told the bytes done of all @size, ascending, one call at a time, on
	 * any of those threads; may be NULL. Return: false to give up, and
	 * gpmm_host_create() fails with -ECANCELED.
	 */
	bool (*progress)(void *arg, uint64_t done, uint64_t size);
	void *progress_arg;
};

/*
 * gpmm_host_create - allocate or adopt host memory
 * @host: receives it, with one reference
 *
 * Every option has taken effect when it returns 0. New memory reads as zeros.
 *
 * Context: any; with @prealloc_threads, not-reader.
 * Owns: the caller owns *@host and drops it with gpmm_host_put().
 * Return: 0; -EINVAL; -ENOMEM (also: no huge pages left, or too little may be
 * locked); -EOPNOTSUPP where this host lacks the kind, the page size or an
 * option; -ENXIO where a file is too short; -ECANCELED; or what the system
 * said.
 */
int gpmm_host_create(const struct gpmm_host_options *options,
		     struct gpmm_host **host);

/* Take a reference. Context: any. Return: @host. */
struct gpmm_host *gpmm_host_get(struct gpmm_host *host);

/* Drop a reference; the last one unmaps. NULL is ignored. Context: any. */
void gpmm_host_put(struct gpmm_host *host);

/*
 * Where it is mapped, and its size in bytes. A guest_memfd that the kernel
 * does not let us map has an address at which nothing can be accessed.
 * Context: any, with a reference.
 */
void *gpmm_host_addr(const struct gpmm_host *host);
uint64_t gpmm_host_size(const struct gpmm_host *host);

/*
 * The file behind it, or -1, and where in the file it starts. Borrowed.
 * Context: any, with a reference.
 */
int gpmm_host_fd(const struct gpmm_host *host);
uint64_t gpmm_host_offset(const struct gpmm_host *host);

/* As it was created. Context: any, with a reference. */
enum gpmm_host_kind gpmm_host_kind(const struct gpmm_host *host);

/*
 * Bytes of one page of it: what discards are aligned to. Context: any, with a
 * reference.
 */
uint64_t gpmm_host_page_size(const struct gpmm_host *host);

/*
 * gpmm_host_grow - make it larger, in place
 * @size: bytes it shall have; no less than now
 *
 * ANON, MEMFD and HUGETLB, up to the size and reserve they were created with.
 * What was done to the old memory (policy, locking) is done to the new.
 *
 * Context: any; not concurrently with itself.
 * Return: 0; -EINVAL; -ENOSPC beyond the reserve; -EOPNOTSUPP for other
 * kinds; as gpmm_host_create(). On failure the size is as before.
 */
int gpmm_host_grow(struct gpmm_host *host, uint64_t size);

/*
 * gpmm_host_discard - give memory back to the system; it then reads as zeros
 * @offset: bytes from the start of @host, like @size a multiple of
 *	gpmm_host_page_size()
 *
 * Does what frees memory for the kind: a hole is punched in a shared file (and
 * in guest_memfd), private pages are dropped, a private file's pages are
 * replaced by anonymous ones. Pins and discards of the same memory take turns.
 *
 * Context: not-reader.
 * Return: 0, also for @size 0; -EINVAL misaligned or outside; -EBUSY where a
 * pin holds any of it, or it is locked (GPMM_HOST_LOCK; of ANON also what the
 * embedder has locked: of the others the system frees that all the same);
 * -EOPNOTSUPP where nothing would be freed (USER, a device, or a file system
 * without holes); -EROFS for GPMM_HOST_READONLY; or what the system said.
 */
int gpmm_host_discard(struct gpmm_host *host, uint64_t offset, uint64_t size);

struct gpmm_host_stats {
	uint64_t count;		/* of struct gpmm_host */
	uint64_t mapped;	/* bytes */
	/*
	 * Bytes in memory now, as mincore(2) knows it: of a shared file, what
	 * the page cache holds; 0 for guest_memfd that is not mapped.
	 */
	uint64_t resident;
	uint64_t discarded;	/* bytes in all discards so far */
};

/* Figures of one. Context: any, with a reference. */
void gpmm_host_get_stats(struct gpmm_host *host, struct gpmm_host_stats *stats);

/* Figures of all there are of a kind. Context: not-reader. */
void gpmm_host_get_kind_stats(enum gpmm_host_kind kind,
			      struct gpmm_host_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
