/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Translating through nested tables (EPT, four levels, 4K leaves) against
 * four loads of the same entries, each depending on the one before it. Each
 * address depends on the last answer.
 */
#include <gpmm/thread.h>

#include "nested_frames.h"

#define PROBES	(1u << 16)
#define G1	(UINT64_C(1) << 30)
#define HPA	(16 * G1 + FRAME)
#define ADDR	UINT64_C(0x000ffffffffff000)

static struct nested_frames frames;
static struct gpmm_nested *table;
static uint64_t probes[PROBES];
static const uint64_t *root;
static uint64_t offset;

static uint64_t four_loads(uint64_t gpa)
{
	const uint64_t *at = root;
	uint64_t entry;

	entry = at[gpa >> 39 & 511];
	at = (const uint64_t *)(uintptr_t)((entry & ADDR) + offset);
	entry = at[gpa >> 30 & 511];
	at = (const uint64_t *)(uintptr_t)((entry & ADDR) + offset);
	entry = at[gpa >> 21 & 511];
	at = (const uint64_t *)(uintptr_t)((entry & ADDR) + offset);
	entry = at[gpa >> 12 & 511];
	return (entry & ADDR) | (gpa & (FRAME - 1));
}

static uint64_t walk(uint64_t gpa)
{
	struct gpmm_nested_hit hit;

	return gpmm_nested_walk(table, gpa, GPMM_READ, &hit) ? 0 : hit.hpa;
}

static uint64_t translate(uint64_t gpa)
{
	gpmm_hpa_t hpa;

	return gpmm_nested_translate(table, gpa, GPMM_READ, 1, &hpa, NULL) ?
	       0 : hpa;
}

struct entry {
	const char *name;
	uint64_t (*run)(uint64_t gpa);
	struct bench_samples ns;
};

static struct entry entries[] = {
	{ .name = "four-loads", .run = four_loads },
	{ .name = "gpmm", .run = translate },
	{ .name = "gpmm-walk", .run = walk },
};

#define ENTRIES (sizeof(entries) / sizeof(*entries))

static void make_probes(uint64_t size)
{
	uint64_t state = 1;

	for (size_t i = 0; i < PROBES; i++)
		probes[i] = bench_random(&state) % size & ~UINT64_C(7);
}

static void check_answers(void)
{
	for (size_t i = 0; i < PROBES; i++)
		for (size_t j = 0; j < ENTRIES; j++)
			if (entries[j].run(probes[i]) != HPA + probes[i])
				bench_die("%s: a wrong answer",
					  entries[j].name);
}

static void time_entry(struct entry *entry)
{
	static double chunk[PROBES / BENCH_CHUNK];
	const uint64_t zero = bench_zero();
	uint64_t last = 0;

	for (size_t i = 0; i < PROBES / BENCH_CHUNK; i++) {
		const uint64_t *probe = probes + i * BENCH_CHUNK;
		uint64_t from = bench_now();

		for (size_t j = 0; j < BENCH_CHUNK; j++)
			last = entry->run(probe[j] + (last & zero));
		chunk[i] = (double)(bench_now() - from) / BENCH_CHUNK;
	}
	bench_keep(last);
	bench_samples_add(&entry->ns,
			  bench_median(chunk, PROBES / BENCH_CHUNK));
}

static void measure(const char *what, uint64_t size)
{
	make_probes(size);
	check_answers();
	for (size_t j = 0; j < ENTRIES; j++)
		entries[j].ns.count = 0;
	for (int i = 0; i < bench_turns(); i++)
		for (size_t j = 0; j < ENTRIES; j++)
			time_entry(&entries[j]);
	for (size_t j = 0; j < ENTRIES; j++) {
		struct bench_row row = bench_row("nested_walk", what,
						 entries[j].name, 1,
						 size / FRAME);

		row.ns = &entries[j].ns;
		bench_print(&row);
	}
}

int main(int argc, char **argv)
{
	struct gpmm_nested_root at;

	bench_init(argc, argv);
	bench_pin(0);
	gpmm_thread_register();
	frames_init(&frames);
	table = frames_table(&frames);
	if (gpmm_nested_map(table, 0, HPA, G1, GPMM_RWX))
		bench_die("gpmm_nested_map fails");
	gpmm_nested_get_root(table, &at);
	offset = (uintptr_t)frames.memory - FRAME;
	root = (const uint64_t *)(uintptr_t)(at.hpa + offset);
	measure("latency/2M", G1 / 512);
	measure("latency/64M", G1 / 16);
	measure("latency/1G", G1);
	gpmm_nested_destroy(table);
	gpmm_thread_unregister();
	return 0;
}
