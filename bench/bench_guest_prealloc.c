/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Preallocation: how much faster two threads are than one. Cases that end in
 * /cpu give the CPU time of all threads: what two take more than one is what
 * they cost each other, also on a machine that is busy with something else.
 */
#include <string.h>
#include <sys/mman.h>

#include <gpmm/host.h>

#include "harness.h"

#define MIB (UINT64_C(1) << 20)

struct times {
	double wall, cpu;	/* ns */
};

static struct times now(void)
{
	struct timespec cpu;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	return (struct times){
		.wall = (double)bench_now(),
		.cpu = (double)cpu.tv_sec * 1e9 + (double)cpu.tv_nsec,
	};
}

static struct times since(struct times start)
{
	struct times end = now();

	return (struct times){ end.wall - start.wall, end.cpu - start.cpu };
}

static struct times preallocate(uint64_t size, uint32_t flags,
				unsigned int threads)
{
	struct gpmm_host_options options = { .size = size, .flags = flags,
					     .prealloc_threads = threads };
	struct times start = now(), taken;
	struct gpmm_host *host;

	if (gpmm_host_create(&options, &host))
		bench_die("cannot preallocate %llu MiB",
			  (unsigned long long)(size / MIB));
	taken = since(start);
	gpmm_host_put(host);
	return taken;
}

/* What a VMM without a library does: touch all of it. */
static struct times touch(uint64_t size, uint32_t flags, unsigned int threads)
{
	struct times start = now(), taken;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	(void)threads;
	if (memory == MAP_FAILED)
		bench_die("cannot map %llu MiB",
			  (unsigned long long)(size / MIB));
	if (flags & GPMM_HOST_THP)
		madvise(memory, size, MADV_HUGEPAGE);
	for (uint64_t i = 0; i < size; i += 4096)
		((volatile char *)memory)[i] = 0;
	taken = since(start);
	munmap(memory, size);
	return taken;
}

/* They take turns. */
static const struct entry {
	const char *name;
	unsigned int threads;
	struct times (*fn)(uint64_t, uint32_t, unsigned int);
} entries[] = {
	{ "gpmm", 1, preallocate },
	{ "gpmm", 2, preallocate },
	{ "touch", 1, touch },
};
#define ENTRIES (sizeof(entries) / sizeof(*entries))

/*
 * All of it in parts: a virtual machine's host may take back memory that has
 * been free for a second or two, and whoever gets it next waits for the host.
 */
#define PART (512 * MIB)

static void run_rep(uint64_t size, uint32_t flags, struct times *taken)
{
	for (uint64_t done = 0; done < size; done += PART)
		for (size_t i = 0; i < ENTRIES; i++) {
			const struct entry *entry = &entries[i];
			uint64_t left = size - done;
			struct times part =
				entry->fn(left < PART ? left : PART, flags,
					  entry->threads);

			taken[i].wall += part.wall;
			taken[i].cpu += part.cpu;
		}
}

static void print(const char *what, const struct entry *entry, uint64_t size,
		  const struct bench_samples *ns)
{
	struct bench_row row = bench_row("prealloc", what, entry->name,
					 (int)entry->threads, size / MIB);

	row.ns = ns;
	bench_print(&row);
}

/* ns are per MiB. */
static void run(const char *what, uint64_t size, uint32_t flags)
{
	struct bench_samples ns[ENTRIES] = { { .count = 0 } };
	struct bench_samples cpu[ENTRIES] = { { .count = 0 } };
	double mib = (double)(size / MIB);
	char what_cpu[64];

	for (int rep = 0; rep < bench_options.reps; rep++) {
		struct times taken[ENTRIES] = { { 0 } };

		run_rep(size, flags, taken);
		for (size_t i = 0; i < ENTRIES; i++) {
			bench_samples_add(&ns[i], taken[i].wall / mib);
			bench_samples_add(&cpu[i], taken[i].cpu / mib);
		}
	}
	snprintf(what_cpu, sizeof(what_cpu), "%s/cpu", what);
	for (size_t i = 0; i < ENTRIES; i++) {
		print(what, &entries[i], size, &ns[i]);
		print(what_cpu, &entries[i], size, &cpu[i]);
	}
}

int main(int argc, char **argv)
{
	uint64_t size;

	bench_init(argc, argv);
	size = (uint64_t)bench_scale(64, 1024, 4096) * MIB;
	run("small-pages", size, 0);
	run("thp", size, GPMM_HOST_THP);
	return 0;
}
