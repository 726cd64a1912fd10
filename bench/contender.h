/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A contender: one way to keep areas and to look addresses up in them.
 *
 * Its loops are its own, made by loops.h around an inlined find, so that no
 * contender pays for a call that another is spared (gpmm pays for the calls
 * into its shared library, as any user would).
 */
#ifndef BENCH_CONTENDER_H
#define BENCH_CONTENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "areas.h"
#include "harness.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a lookup delivers: all that is known of an area. */
struct bench_found {
	uint64_t start, size, hva;
	uint64_t owner;		/* of the host memory: a pointer or a handle */
	uint32_t flags;
};

/*
 * Return: the sum of what the lookups delivered; where each waits for the one
 * before, what the last did.
 */
typedef uint64_t bench_loop(void *map, const uint64_t *addr, size_t count);

struct bench_contender {
	/* Bounds are called KIND.KEYS.BITS.WIDTH. */
	const char *name;
	/* A static array without concurrency: nobody beats it. */
	bool bound;
	/* Readers may look while a writer writes. */
	bool concurrent;
	/* Can this CPU run it? NULL: yes. */
	bool (*usable)(void);

	/* The owner to be found of an area; NULL: its id. */
	uint64_t (*owner)(const struct bench_area *area);
	/* Areas in ascending order; or mapped one by one by @order. */
	void *(*build)(const struct bench_areas *areas, const uint32_t *order);
	void (*destroy)(void *map);
	/* Around a thread's reading; NULL: nothing to do. */
	void (*enter)(void);
	void (*leave)(void);
	/*
	 * Wait for what changes leave to other threads, so that it is not done
	 * on the next contender's time; NULL: nothing is left.
	 */
	void (*settle)(void *map);

	bool (*find)(void *map, uint64_t addr, struct bench_found *found);
	/* Each lookup waits for the one before, in a section of its own. */
	bench_loop *latency;
	/* No lookup waits for another; a section each. */
	bench_loop *throughput;
	/* The same, 64 in a section; NULL: sections are not to be had. */
	bench_loop *batch;
	/* As many empty sections as lookups; NULL: there are none. */
	bench_loop *section;
	/* Each timed by itself. */
	void (*timed)(void *map, const uint64_t *addr, size_t count,
		      struct bench_hist *hist);

	/* NULL: cannot change. */
	void (*map)(void *map, const struct bench_area *area);
	void (*unmap)(void *map, const struct bench_area *area);
	/* Unmap all of them, then map them again, as one; NULL: one by one. */
	void (*cycle)(void *map, const struct bench_area *const *areas,
		      size_t count);
	/* The bounds are as they were, the host address is another. */
	void (*replace)(void *map, const struct bench_area *area);
	void (*protect)(void *map, const struct bench_area *area,
			uint32_t flags);
	/* Lowest hole of @size bytes, or UINT64_MAX; NULL: cannot. */
	uint64_t (*find_free)(void *map, uint64_t size);
	/* Sum of all areas' host addresses, in one section; NULL: cannot. */
	uint64_t (*iterate)(void *map);
};

extern const struct bench_contender bench_gpmm;
extern const struct bench_contender bench_gpmm_find;
extern const struct bench_contender bench_gpmm_qsbr;
extern const struct bench_contender bench_sorted_rwlock;
extern const struct bench_contender bench_sorted_cmov_rwlock;
extern const struct bench_contender bench_sorted_rcu;
extern const struct bench_contender bench_tsearch;
extern const struct bench_contender bench_judy;
extern const struct bench_contender bench_absl;
extern const struct bench_contender bench_absl_bare;
extern const struct bench_contender bench_eytzinger_64;
extern const struct bench_contender bench_eytzinger_32;
/* Ends with one that has no name. */
extern const struct bench_contender bench_strees[];

/*
 * Memory of an array: whole cache lines, and huge pages where it is large,
 * which a large set has, too. Ends the program where there is none.
 */
void *bench_alloc(size_t size);

#define BENCH_CONTENDERS_MAX 40

/*
 * All of them that this machine and the command line allow, gpmm first.
 * Return: how many.
 */
size_t bench_contenders(const struct bench_contender **list);

/* Keep those of @list for which @test holds. Return: how many. */
size_t bench_contenders_keep(const struct bench_contender **list,
			     size_t count,
			     bool (*test)(const struct bench_contender *));

/* Ends the program where an answer is wrong, one alone or in a loop. */
void bench_verify(const struct bench_contender *contender, void *map,
		  const struct bench_areas *areas,
		  const struct bench_probes *probes);

#ifdef __cplusplus
}
#endif
#endif
