/* SPDX-License-Identifier: BSD-3-Clause */
/* What benchmarks of gpmm alone share with the contender. */
#ifndef BENCH_GPMM_SET_H
#define BENCH_GPMM_SET_H

#include <gpmm/set.h>

#include "contender.h"

/* Ends the program where @ret is an error of @what. */
void bench_must(int ret, const char *what);

struct gpmm_area bench_gpmm_area(const struct bench_area *area);

/* What a lookup of the area delivers as its owner. */
uint64_t bench_gpmm_owner(const struct bench_area *area);

/* Wait until no node waits for a grace period. */
void bench_gpmm_settle(void *set);

static inline bool bench_gpmm_give(void *set, struct gpmm_hit hit,
				   struct bench_found *found)
{
	if (!hit.record)
		return false;
	found->start = hit.start;
	found->size = gpmm_hit_size(set, hit);
	found->hva = (uintptr_t)gpmm_hit_hva(hit, hit.start);
	found->owner = (uintptr_t)gpmm_hit_host(hit);
	found->flags = gpmm_hit_flags(hit);
	return true;
}

/* The way of an embedder who wants it quick. Inside a read section. */
static inline bool bench_gpmm_look(void *set, uint64_t addr,
				   struct bench_found *found)
{
	return bench_gpmm_give(set, gpmm_set_hit_rcu(set, addr), found);
}

/* @order: NULL for ascending; one transaction; @options: may be NULL */
struct gpmm_set *bench_gpmm_build(const struct bench_areas *areas,
				  const uint32_t *order,
				  const struct gpmm_set_options *options);

#endif
