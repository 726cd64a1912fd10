/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * References on host memory that a set has let go of, until readers have left
 * what was mapped.
 *
 * They are counted by host, and an area that is mapped takes one back where
 * there is one: when it is let go of again, readers have more time, not less.
 * An atomic operation instead would wait for all stores before it, which wait
 * for the readers' CPUs (single.c).
 *
 * LOCKING: as of the batch that they are part of.
 */
#ifndef GPMM_CORE_HOST_REFS_H
#define GPMM_CORE_HOST_REFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gpmm/host.h>

#include "util/inline.h"
#include "util/vec.h"

#define HOST_REFS_BITS	7

struct host_refs {
	/* Each host has one place: its own while @count is not 0. */
	struct {
		struct gpmm_host *host;
		size_t count;
	} way[1 << HOST_REFS_BITS];
	VEC(struct gpmm_host *) others;		/* whose place another has */
};

static inline unsigned int host_refs_way(const struct gpmm_host *host)
{
	return (unsigned int)((uintptr_t)host * UINT64_C(0x9e3779b97f4a7c15) >>
			      (64 - HOST_REFS_BITS));
}

/* Make room for @n more. Return: 0 or -ENOMEM. */
static inline int host_refs_reserve(struct host_refs *refs, size_t n)
{
	return vec_reserve(&refs->others, n);
}

/* Let go of one; there is room. */
static ALWAYS_INLINE void host_refs_add(struct host_refs *refs,
					struct gpmm_host *host)
{
	unsigned int i = host_refs_way(host);

	if (!refs->way[i].count)
		refs->way[i].host = host;
	if (refs->way[i].host == host)
		refs->way[i].count++;
	else
		vec_push(&refs->others, host);
}

/* A reference on @host for an area: one of these, or a new one. */
static ALWAYS_INLINE void host_refs_get(struct host_refs *refs,
					struct gpmm_host *host)
{
	unsigned int i = host_refs_way(host);

	if (refs->way[i].host == host && refs->way[i].count)
		refs->way[i].count--;
	else
		gpmm_host_get(host);
}

bool gpmm__host_refs_is_empty(const struct host_refs *refs);

/* Put them all. Context: without the set's lock. */
void gpmm__host_refs_put(struct host_refs *refs);

/* There are none. */
static inline void host_refs_fini(struct host_refs *refs)
{
	vec_free(&refs->others);
}

#endif
