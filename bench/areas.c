/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <stdlib.h>

#include "areas.h"
#include "harness.h"

static void *must_alloc(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size);

	if (!memory)
		bench_die("out of memory");
	return memory;
}

static double unit(uint64_t *state)
{
	return (double)(bench_random(state) >> 11) * 0x1p-53;
}

/* Bytes, whole pages, log-uniform from a page to @max. */
static uint64_t random_size(uint64_t *state, uint64_t max)
{
	double pages = exp(unit(state) * log((double)(max / BENCH_PAGE)));

	return (uint64_t)pages * BENCH_PAGE;
}

/* Return: where the last area ends. */
static uint64_t fill(struct bench_areas *areas, uint64_t max)
{
	uint64_t at = 0, state = areas->count;
	size_t i;

	for (i = 0; i < areas->count; i++) {
		struct bench_area *area = &areas->area[i];

		area->start = at;
		area->size = random_size(&state, max);
		area->hva = BENCH_HVA + at + (i & 1) * BENCH_PAGE;
		area->flags = i % 4 ? 3 : 7;
		area->id = (uint32_t)i;
		at += area->size;
		if (bench_random(&state) & 1)
			at += random_size(&state, max);
	}
	return at;
}

struct bench_areas bench_areas_make(size_t count)
{
	struct bench_areas areas = {
		must_alloc(count, sizeof(struct bench_area)), count,
	};
	uint64_t max = UINT64_C(1) << 30;

	while (fill(&areas, max) > BENCH_SPACE)
		max /= 2;
	return areas;
}

void bench_areas_free(struct bench_areas *areas)
{
	free(areas->area);
}

struct bench_area bench_area_variant(const struct bench_area *area,
				     unsigned int variant)
{
	struct bench_area other = *area;

	other.hva += (variant & 1) * 2 * BENCH_PAGE;
	return other;
}

uint32_t *bench_shuffle(size_t count, uint64_t seed)
{
	uint32_t *order = must_alloc(count, sizeof(*order));
	size_t i;

	for (i = 0; i < count; i++) {
		size_t j = bench_random(&seed) % (i + 1);

		order[i] = order[j];
		order[j] = (uint32_t)i;
	}
	return order;
}

/* ---- probes ---- */

struct gap {
	uint64_t start, size;
};

/* Between the areas only: behind the last, no search is needed. */
static size_t find_gaps(const struct bench_areas *areas, struct gap *gaps)
{
	size_t i, count = 0;

	for (i = 1; i < areas->count; i++) {
		uint64_t end = areas->area[i - 1].start +
			       areas->area[i - 1].size;

		if (areas->area[i].start > end)
			gaps[count++] = (struct gap){
				end, areas->area[i].start - end,
			};
	}
	return count;
}

static double *zipf_sums(size_t count)
{
	double sum = 0, *sums = must_alloc(count, sizeof(*sums));
	size_t i;

	for (i = 0; i < count; i++)
		sums[i] = sum += pow((double)(i + 1), -0.99);
	return sums;
}

static size_t zipf_rank(const double *sums, size_t count, double at)
{
	size_t low = 0, high = count - 1;

	at *= sums[count - 1];
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (sums[middle] < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct source {
	const struct bench_areas *areas;
	enum bench_pattern pattern;
	uint64_t state;
	double *sums;
	uint32_t *order;
	size_t at;		/* sequential: the area, and bytes into it */
	uint64_t into;
};

#define STREAM_PAGES 16

static uint64_t next_sequential(struct source *source, uint32_t *id)
{
	const struct bench_area *area = &source->areas->area[source->at];
	uint64_t addr = area->start + source->into;

	*id = area->id;
	source->into += BENCH_PAGE;
	if (source->into >= area->size ||
	    source->into >= STREAM_PAGES * BENCH_PAGE) {
		source->into = 0;
		source->at = (source->at + 1) % source->areas->count;
	}
	return addr;
}

static uint64_t next_hit(struct source *source, uint32_t *id)
{
	const struct bench_areas *areas = source->areas;
	size_t i;

	if (source->pattern == BENCH_SEQUENTIAL)
		return next_sequential(source, id);
	if (source->pattern == BENCH_ZIPF)
		i = source->order[zipf_rank(source->sums, areas->count,
					    unit(&source->state))];
	else
		i = bench_random(&source->state) % areas->count;
	*id = (uint32_t)i;
	return areas->area[i].start +
	       bench_random(&source->state) % areas->area[i].size;
}

static void fill_probes(struct bench_probes *probes, struct source *source,
			const struct gap *gaps, size_t gap_count)
{
	size_t i;

	for (i = 0; i < probes->count; i++) {
		const struct gap *gap;

		if (!gap_count || bench_random(&source->state) % 10) {
			probes->addr[i] = next_hit(source, &probes->id[i]);
			continue;
		}
		gap = &gaps[bench_random(&source->state) % gap_count];
		probes->addr[i] = gap->start +
				  bench_random(&source->state) % gap->size;
		probes->id[i] = BENCH_MISS;
	}
}

struct bench_probes bench_probes_make(const struct bench_areas *areas,
				      enum bench_pattern pattern, bool misses)
{
	size_t count = (size_t)bench_scale(1 << 12, BENCH_PROBES / 2,
					    BENCH_PROBES);
	struct bench_probes probes = {
		must_alloc(count, sizeof(uint64_t)),
		must_alloc(count, sizeof(uint32_t)), count,
	};
	struct gap *gaps = must_alloc(areas->count, sizeof(*gaps));
	struct source source = {
		.areas = areas, .pattern = pattern, .state = 7,
		.sums = zipf_sums(areas->count),
		.order = bench_shuffle(areas->count, 11),
	};

	fill_probes(&probes, &source, gaps,
		    misses ? find_gaps(areas, gaps) : 0);
	free(source.sums);
	free(source.order);
	free(gaps);
	return probes;
}

void bench_probes_free(struct bench_probes *probes)
{
	free(probes->addr);
	free(probes->id);
}
