/* SPDX-License-Identifier: BSD-3-Clause */
/* Preallocation: how much faster two threads are than one. */
#include <string.h>
#include <sys/mman.h>

#include <gpmm/host.h>

#include "harness.h"

#define MIB (UINT64_C(1) << 20)

static double preallocate(uint64_t size, uint32_t flags, unsigned int threads)
{
	struct gpmm_host_options options = { .size = size, .flags = flags,
					     .prealloc_threads = threads };
	uint64_t start = bench_now(), end;
	struct gpmm_host *host;

	if (gpmm_host_create(&options, &host))
		bench_die("cannot preallocate %llu MiB",
			  (unsigned long long)(size / MIB));
	end = bench_now();
	gpmm_host_put(host);
	return (double)(end - start);
}

/* What a VMM without a library does: touch all of it. */
static double touch(uint64_t size, uint32_t flags, unsigned int threads)
{
	uint64_t start = bench_now(), end;
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
	end = bench_now();
	munmap(memory, size);
	return (double)(end - start);
}

/* One of two, by turns; ns are per MiB. */
static void run(const char *what, uint64_t size, uint32_t flags)
{
	static const struct {
		const char *name;
		unsigned int threads;
		double (*fn)(uint64_t, uint32_t, unsigned int);
	} entries[] = {
		{ "gpmm", 1, preallocate },
		{ "gpmm", 2, preallocate },
		{ "touch", 1, touch },
	};
	struct bench_samples ns[3] = { { .count = 0 } };

	for (int rep = 0; rep < bench_options.reps; rep++)
		for (size_t i = 0; i < 3; i++)
			bench_samples_add(&ns[i],
				entries[i].fn(size, flags,
					      entries[i].threads) /
				(double)(size / MIB));
	for (size_t i = 0; i < 3; i++) {
		struct bench_row row = bench_row("prealloc", what,
						 entries[i].name,
						 (int)entries[i].threads,
						 size / MIB);

		row.ns = &ns[i];
		bench_print(&row);
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
