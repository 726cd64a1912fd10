/* SPDX-License-Identifier: BSD-3-Clause */
/* A byte-granular set over one mock page table, and shorthands for it. */
#ifndef TESTS_WORLD_H
#define TESTS_WORLD_H

#include <gpmm/gpmm.h>

#include "helpers/mock_backend.h"

struct world {
	struct mock mock;
	struct gpmm_set *set;
};

/* A start, a size and flags: what most tests know of an area. */
struct piece {
	gpmm_gpa_t start;
	uint64_t size;
	uint32_t flags;
};

void world_open(struct world *world);
/* Destroys the set and asserts that the table is empty and all went well. */
void world_close(struct world *world);

/* Map memoryless areas of the set's own backend. */
int put(struct gpmm_set *set, gpmm_gpa_t start, uint64_t size,
	uint32_t flags);
int put_over(struct gpmm_set *set, gpmm_gpa_t start, uint64_t size,
	     uint32_t flags);
struct gpmm_area area_of(gpmm_gpa_t start, uint64_t size, uint32_t flags);

/* Is what the set holds, in order, exactly this? */
bool holds(struct gpmm_set *set, const struct piece *pieces, size_t n);
#define HOLDS(set, ...)                                                     \
	holds(set, (const struct piece[]){ __VA_ARGS__ },                   \
	      sizeof((const struct piece[]){ __VA_ARGS__ }) /               \
		      sizeof(struct piece))

/* Is there an area at @addr, and is it this one? */
bool found(struct gpmm_set *set, gpmm_gpa_t addr, gpmm_gpa_t start,
	   uint64_t size, uint32_t flags);

/* Everything of a set, to compare with later. */
struct snapshot {
	struct gpmm_area *area;
	size_t count;
};

void snapshot_take(struct snapshot *snapshot, const struct gpmm_set *set);
void snapshot_view(struct snapshot *snapshot, struct gpmm_view view);
/* Does the set hold exactly that, however it is asked? */
bool snapshot_holds(const struct snapshot *snapshot,
		    const struct gpmm_set *set);
void snapshot_free(struct snapshot *snapshot);

#endif
