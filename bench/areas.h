/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The model: areas made from a seed, and the addresses to look up in them with
 * the answers known by construction.
 */
#ifndef BENCH_AREAS_H
#define BENCH_AREAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BENCH_PAGE	UINT64_C(4096)
/* Page frames below this fit in 31 bits. */
#define BENCH_SPACE	(UINT64_C(1) << 43)
/* Where host memory would be; benchmarks never touch it. */
#define BENCH_HVA	(UINT64_C(1) << 44)

/* What a peer keeps of an area, and what every lookup must deliver. */
struct bench_area {
	uint64_t start;		/* bytes */
	uint64_t size;
	uint64_t hva;
	uint32_t flags;
	uint32_t id;		/* its place in the model; a peer's handle */
};

struct bench_areas {
	struct bench_area *area;	/* ascending */
	size_t count;
};

/*
 * @count areas of sizes from 4 KiB up to 1 GiB (less where so many would not
 * fit in 8 TiB), log-uniform; every other one, by chance, has a gap of such a
 * size behind it. Neighbours' host addresses never run on.
 */
struct bench_areas bench_areas_make(size_t count);
void bench_areas_free(struct bench_areas *areas);

/*
 * The same area with host memory elsewhere: @variant 0 is the area itself. No
 * variant of an area runs on from any of its neighbours'.
 */
struct bench_area bench_area_variant(const struct bench_area *area,
				     unsigned int variant);

enum bench_pattern {
	BENCH_UNIFORM,	/* every area alike, every page of it alike */
	BENCH_ZIPF,	/* areas by Zipf's law, exponent 0.99, in no order */
	BENCH_SEQUENTIAL,	/* page after page, area after area */
};

/* At most; a quick run makes do with half, a smoke test with few. */
#define BENCH_PROBES	(1u << 18)
#define BENCH_MISS	UINT32_MAX

/* More than a branch predictor learns. */
struct bench_probes {
	uint64_t *addr;
	uint32_t *id;		/* the answer: an area's place or BENCH_MISS */
	size_t count;
};

/* @misses: one lookup in ten falls into a gap, where there is one */
struct bench_probes bench_probes_make(const struct bench_areas *areas,
				      enum bench_pattern pattern, bool misses);
void bench_probes_free(struct bench_probes *probes);

/* A random order of 0 to @count - 1. */
uint32_t *bench_shuffle(size_t count, uint64_t seed);

#ifdef __cplusplus
}
#endif
#endif
