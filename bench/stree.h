/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bound: a static S-tree searched with SIMD.
 *
 * Layers of nodes of B keys, top first, all children implied by position
 * (child i of node k is node k * (B + 1) + i of the next layer); the last
 * layer holds every start in order, so that the rank in it is the record's
 * place. A key is what it stands for minus 1 and room is padded with the
 * maximum, so that the place in a node is the number of keys below the query.
 */
#ifndef BENCH_STREE_H
#define BENCH_STREE_H

#include <stdlib.h>
#include <string.h>

#include "loops.h"

#define STREE_LAYERS 8

struct stree {
	unsigned int layers;
	const void *layer[STREE_LAYERS];
	struct bench_area *area;	/* [0] is empty */
	void *keys;
};

/* Builds with @fanout keys a node of @bytes each (4: page frames). */
struct stree *stree_build(const struct bench_areas *areas, size_t fanout,
			  size_t bytes);
void stree_destroy(void *stree);

static inline bool stree_take(const struct stree *stree, size_t rank,
			      uint64_t addr, struct bench_found *found)
{
	const struct bench_area *area = &stree->area[rank];

	return bench_take(area, addr, found);
}

/*
 * A search with @fanout keys a node; count(keys, query) tells how many of
 * them are below the query.
 */
#define STREE_FIND(prefix, attributes, fanout, type, shift, count)	\
attributes static inline bool prefix##_look(void *map, uint64_t addr,	\
					    struct bench_found *found)	\
{									\
	const struct stree *stree = map;				\
	type query = (type)(addr >> (shift));				\
	unsigned int i, last = stree->layers - 1;			\
	size_t k = 0;							\
									\
	for (i = 0; i < last; i++)					\
		k = k * ((fanout) + 1) +				\
		    count((const type *)stree->layer[i] + k * (fanout),	\
			  query, fanout);				\
	k = k * (fanout) +						\
	    count((const type *)stree->layer[last] + k * (fanout),	\
		  query, fanout);					\
	return stree_take(stree, k, addr, found);			\
}									\
BENCH_LOOPS(prefix, attributes, stree_nothing, stree_nothing,		\
	    prefix##_look)						\
static void *prefix##_build(const struct bench_areas *areas,		\
			    const uint32_t *order)			\
{									\
	(void)order;							\
	return stree_build(areas, fanout, sizeof(type));		\
}

static inline void stree_nothing(void *map)
{
	(void)map;
}

#define STREE_CONTENDER(prefix, title, test)				\
	{								\
		.name = title, .bound = true, .usable = test,		\
		.build = prefix##_build, .destroy = stree_destroy,	\
		BENCH_LOOPS_OF(prefix),					\
	}

#endif
