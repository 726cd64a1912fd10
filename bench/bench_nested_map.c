/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Filling and emptying nested tables (EPT): 1 GiB in 4K leaves against a plain
 * loop that stores the same 262,144 entries into tables that are there; 1 TiB
 * in 1G leaves; one page split out of a 1G leaf.
 */
#include <gpmm/thread.h>

#include "nested_frames.h"

#define G1	(UINT64_C(1) << 30)
#define T1	(UINT64_C(1) << 40)
#define ENTRIES	(G1 / FRAME)
/* Not aligned to 2M, so that leaves are 4K. */
#define HPA	(16 * G1 + FRAME)
#define LEAF	UINT64_C(0x37)	/* EPT: read, write, execute, write-back */

static struct nested_frames frames;
static struct gpmm_nested *table;
static uint64_t *prepared[512];

static struct bench_samples loop_map, loop_unmap, map, unmap, drain, huge,
	split;

static void prepare_loop(void)
{
	uint8_t *memory = aligned_alloc(FRAME, 512 * FRAME);

	if (!memory)
		bench_die("no memory");
	memset(memory, 1, 512 * FRAME);
	for (size_t i = 0; i < 512; i++)
		prepared[i] = (uint64_t *)(memory + i * FRAME);
}

/* Not inlined, so that every call is the same loop. */
static __attribute__((noinline)) void loop(uint64_t entry, uint64_t step)
{
	for (size_t i = 0; i < 512; i++, entry += 512 * step) {
		uint64_t *slots = prepared[i];

		for (size_t j = 0; j < 512; j++)
			slots[j] = entry + j * step;
	}
}

static void must(int ret)
{
	if (ret)
		bench_die("a change of the table fails: %d", ret);
}

static void check_mapped(void)
{
	struct gpmm_nested_hit hit;

	for (uint64_t at = 0; at < G1; at += 511 * FRAME)
		if (gpmm_nested_walk(table, at, GPMM_READ, &hit) ||
		    hit.hpa != HPA + at || hit.level != 1 ||
		    hit.entry != prepared[at >> 21][at >> 12 & 511])
			bench_die("a wrong answer");
}

static double per_entry(uint64_t from)
{
	return (double)(bench_now() - from) / ENTRIES;
}

static void time_loop(void)
{
	uint64_t from;

	loop(0, 0);
	from = bench_now();
	loop(HPA | LEAF, FRAME);
	bench_samples_add(&loop_map, per_entry(from));
	from = bench_now();
	loop(0, 0);
	bench_samples_add(&loop_unmap, per_entry(from));
	loop(HPA | LEAF, FRAME);
}

static void time_gpmm(void)
{
	uint64_t from = bench_now();

	must(gpmm_nested_map(table, 0, HPA, G1, GPMM_RWX));
	bench_samples_add(&map, per_entry(from));
	check_mapped();
	from = bench_now();
	must(gpmm_nested_unmap(table, 0, G1));
	bench_samples_add(&unmap, per_entry(from));
	/* And a grace period, and the frames' way back. */
	must(gpmm_nested_drain(table));
	bench_samples_add(&drain, per_entry(from));
}

/* Each beside tables that it has just used: those of both fit in no L2. */
static void time_1g(void)
{
	time_loop();
	must(gpmm_nested_map(table, 0, HPA, G1, GPMM_RWX));
	must(gpmm_nested_unmap(table, 0, G1));
	must(gpmm_nested_drain(table));
	time_gpmm();
}

static void time_1t(void)
{
	uint64_t from = bench_now();

	must(gpmm_nested_map(table, 0, 0, T1, GPMM_RWX));
	bench_samples_add(&huge, bench_now() - from);
	must(gpmm_nested_unmap(table, 0, T1));
}

static unsigned long split_tables;

static void time_split(void)
{
	unsigned long before;
	uint64_t from;

	must(gpmm_nested_map(table, 0, 0, G1, GPMM_RWX));
	before = frames.taken;
	from = bench_now();
	must(gpmm_nested_unmap(table, 7 * FRAME, FRAME));
	bench_samples_add(&split, bench_now() - from);
	split_tables = frames.taken - before;
	must(gpmm_nested_unmap(table, 0, G1));
	must(gpmm_nested_drain(table));
}

static void print(const char *what, const char *name, size_t entries,
		  const struct bench_samples *samples)
{
	struct bench_row row = bench_row("nested_map", what, name, 1, entries);

	row.ns = samples;
	bench_print(&row);
}

int main(int argc, char **argv)
{
	struct bench_row row = bench_row("nested_map", "1G-split-4K/tables",
					 "gpmm", 1, 1);

	bench_init(argc, argv);
	bench_pin(0);
	gpmm_thread_register();
	frames_init(&frames);
	prepare_loop();
	table = frames_table(&frames);
	for (int i = 0; i < bench_turns(); i++) {
		time_1g();
		time_1t();
		time_split();
	}
	print("1G-in-4K/map", "loop", ENTRIES, &loop_map);
	print("1G-in-4K/map", "gpmm", ENTRIES, &map);
	print("1G-in-4K/unmap", "loop", ENTRIES, &loop_unmap);
	print("1G-in-4K/unmap", "gpmm", ENTRIES, &unmap);
	print("1G-in-4K/unmap-drain", "gpmm", ENTRIES, &drain);
	print("1T-in-1G/map", "gpmm", T1 / G1, &huge);
	print("1G-split-4K/unmap", "gpmm", 1, &split);
	row.bytes = (double)split_tables * FRAME;
	bench_print(&row);
	gpmm_nested_destroy(table);
	gpmm_thread_unregister();
	return 0;
}
