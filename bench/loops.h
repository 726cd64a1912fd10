/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The measured loops around a contender's find.
 *
 * BENCH_LOOPS(prefix, attributes, open, close, find) makes prefix_latency and
 * its like. open(map) and close(map) are a read section, find(map, addr,
 * &found) a lookup inside one.
 *
 * Every lookup delivers all that is known of an area into a sum that the
 * compiler must keep; in the dependent loop the next address is made from it.
 */
#ifndef BENCH_LOOPS_H
#define BENCH_LOOPS_H

#include "contender.h"

#define BENCH_SECTION 64

static inline uint64_t bench_sum(bool hit, const struct bench_found *found)
{
	return hit ? (found->hva + found->start) +
		     (found->size + found->owner) + found->flags : 1;
}

/* How every peer's lookup ends, once it has the area that may hold @addr. */
static inline bool bench_take(const struct bench_area *area, uint64_t addr,
			      struct bench_found *found)
{
	if (addr - area->start >= area->size)
		return false;
	found->start = area->start;
	found->size = area->size;
	found->hva = area->hva;
	found->owner = area->id;
	found->flags = area->flags;
	return true;
}

/* Not every contender needs every loop. */
#define BENCH_LOOP __attribute__((unused)) static

#define BENCH_LOOPS(prefix, attributes, open, close, find)		\
attributes BENCH_LOOP bool prefix##_find(void *map, uint64_t addr,	\
				     struct bench_found *found)		\
{									\
	bool hit;							\
									\
	open(map);							\
	hit = find(map, addr, found);					\
	close(map);							\
	return hit;							\
}									\
									\
attributes BENCH_LOOP uint64_t prefix##_latency(void *map, const uint64_t *addr,\
					size_t count)			\
{									\
	uint64_t zero = bench_zero(), sum = 0;				\
	struct bench_found found;					\
	size_t i;							\
	bool hit;							\
									\
	for (i = 0; i < count; i++) {					\
		open(map);						\
		hit = find(map, addr[i] + (sum & zero), &found);	\
		sum = bench_sum(hit, &found);				\
		close(map);						\
	}								\
	bench_keep(sum);						\
	return sum;							\
}									\
									\
attributes BENCH_LOOP uint64_t prefix##_throughput(void *map,		\
					   const uint64_t *addr,	\
					   size_t count)		\
{									\
	struct bench_found found;					\
	uint64_t sum = 0;						\
	size_t i;							\
	bool hit;							\
									\
	for (i = 0; i < count; i++) {					\
		open(map);						\
		hit = find(map, addr[i], &found);			\
		sum += bench_sum(hit, &found);				\
		close(map);						\
	}								\
	bench_keep(sum);						\
	return sum;							\
}									\
									\
attributes BENCH_LOOP uint64_t prefix##_batch(void *map, const uint64_t *addr,\
				      size_t count)			\
{									\
	struct bench_found found;					\
	uint64_t sum = 0;						\
	size_t i, j;							\
	bool hit;							\
									\
	for (i = 0; i < count; i += BENCH_SECTION) {			\
		open(map);						\
		for (j = i; j < count && j < i + BENCH_SECTION; j++) {	\
			hit = find(map, addr[j], &found);		\
			sum += bench_sum(hit, &found);			\
		}							\
		close(map);						\
	}								\
	bench_keep(sum);						\
	return sum;							\
}									\
									\
attributes BENCH_LOOP uint64_t prefix##_section(void *map,			\
					const uint64_t *addr,		\
					size_t count)			\
{									\
	size_t i;							\
									\
	for (i = 0; i < count; i++) {					\
		open(map);						\
		bench_keep(addr[i]);					\
		close(map);						\
	}								\
	return 0;							\
}									\
									\
attributes BENCH_LOOP void prefix##_timed(void *map, const uint64_t *addr,\
				      size_t count,			\
				      struct bench_hist *hist)		\
{									\
	struct bench_found found;					\
	uint64_t ticks, sum = 0;					\
	size_t i;							\
	bool hit;							\
									\
	for (i = 0; i < count; i++) {					\
		ticks = bench_ticks();					\
		open(map);						\
		hit = find(map, addr[i], &found);			\
		sum += bench_sum(hit, &found);				\
		close(map);						\
		bench_hist_add(hist, bench_ticks() - ticks);		\
	}								\
	bench_keep(sum);						\
}

#define BENCH_LOOPS_OF(prefix)						\
	.find = prefix##_find, .latency = prefix##_latency,		\
	.throughput = prefix##_throughput, .timed = prefix##_timed

#endif
