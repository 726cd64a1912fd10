/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hits: what a lookup finds, seen where it lies in the set.
 *
 * Nothing is copied and nothing is computed that is not asked for, which
 * makes this the quickest way to ask what lies at an address:
 *
 *	gpmm_read_lock();
 *	hit = gpmm_set_hit_rcu(set, gpa);
 *	if (hit.record && gpmm_hit_host(hit) &&
 *	    gpmm_hit_bytes(set, hit, gpa) >= 8)
 *		value = *(uint64_t *)gpmm_hit_hva(hit, gpa);
 *	gpmm_read_unlock();
 *
 * A hit is valid inside the read section in which it was found. Flags are not
 * looked at, and writes are marked dirty by who makes them; gpmm_read(),
 * gpmm_write() and their like (guest.h) do all that.
 */
#ifndef GPMM_HIT_H
#define GPMM_HIT_H

#include <stddef.h>

#include <gpmm/area.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gpmm_set;

/* An area inside a set: immutable, and the library's. Use what is below. */
struct gpmm_record {
	uint32_t last;		/* granule; UINT32_MAX: see below */
	uint32_t flags;
	uint64_t link;		/* see gpmm_hit_hva(), gpmm_hit_owner() */
	struct gpmm_host *host;
	struct gpmm_backend *backend;
};

/* The same where a set's keys are 64 bits wide. */
struct gpmm_wide_record {
	struct gpmm_record record;
	uint64_t last;
};

struct gpmm_hit {
	const struct gpmm_record *record;	/* NULL: nothing lies there */
	gpmm_gpa_t start;			/* of the area */
};

/* How a set begins; the library's. */
struct gpmm_set_face {
	uintptr_t root;
	struct gpmm_hit (*find)(uintptr_t root, unsigned int shift,
				gpmm_gpa_t addr);
	unsigned int shift;	/* log2 of the granule */
};

/*
 * gpmm_set_hit_rcu - what lies at @addr?
 *
 * Context: reader. Return: the hit, its @record NULL where there is none.
 */
static inline struct gpmm_hit gpmm_set_hit_rcu(const struct gpmm_set *set,
					       gpmm_gpa_t addr)
{
	const struct gpmm_set_face *face = (const struct gpmm_set_face *)set;

	return __atomic_load_n(&face->find, __ATOMIC_RELAXED)(
		__atomic_load_n(&face->root, __ATOMIC_ACQUIRE), face->shift,
		addr);
}

/*
 * gpmm_set_hits_rcu - what lies at each of @n addresses?
 * @hits: receives the answers, in order
 *
 * The lookups go side by side and share what they can, all on one snapshot:
 * for descriptor chains and other scatter lists.
 *
 * Context: reader.
 */
void gpmm_set_hits_rcu(const struct gpmm_set *set, const gpmm_gpa_t *addrs,
		       size_t n, struct gpmm_hit *hits);

/*
 * What is known of a hit. Context: reader, the section of the hit; @hit has a
 * record.
 */

/* GPMM_READ and so on. */
static inline uint32_t gpmm_hit_flags(struct gpmm_hit hit)
{
	return hit.record->flags;
}

/* NULL where there is no host memory behind the area. */
static inline struct gpmm_host *gpmm_hit_host(struct gpmm_hit hit)
{
	return hit.record->host;
}

/* Where @gpa of the area lies in the process. The area has host memory. */
static inline void *gpmm_hit_hva(struct gpmm_hit hit, gpmm_gpa_t gpa)
{
	return (void *)(uintptr_t)(hit.record->link + gpa);
}

/* The embedder's owner. The area has no host memory. */
static inline void *gpmm_hit_owner(struct gpmm_hit hit)
{
	return (void *)(uintptr_t)hit.record->link;
}

/* Bytes of the area from @gpa, which lies in it, to its end. */
static inline uint64_t gpmm_hit_bytes(const struct gpmm_set *set,
				      struct gpmm_hit hit, gpmm_gpa_t gpa)
{
	const struct gpmm_set_face *face = (const struct gpmm_set_face *)set;
	uint64_t end = (uint64_t)hit.record->last + 1;

	if (__builtin_expect((uint32_t)end == 0, 0))
		end = ((const struct gpmm_wide_record *)hit.record)->last + 1;
	return (end << face->shift) - gpa;
}

/* Bytes of the whole area. */
static inline uint64_t gpmm_hit_size(const struct gpmm_set *set,
				     struct gpmm_hit hit)
{
	return gpmm_hit_bytes(set, hit, hit.start);
}

/* Copy all of it out. */
static inline void gpmm_hit_area(const struct gpmm_set *set,
				 struct gpmm_hit hit, struct gpmm_area *area)
{
	const struct gpmm_record *record = hit.record;
	int memory = record->host != NULL;

	area->start = hit.start;
	area->size = gpmm_hit_size(set, hit);
	area->flags = record->flags;
	area->reserved = 0;
	area->backend = record->backend;
	area->host = record->host;
	area->hva = memory ? gpmm_hit_hva(hit, hit.start) : NULL;
	area->owner = memory ? NULL : gpmm_hit_owner(hit);
}

#ifdef __cplusplus
}
#endif
#endif
