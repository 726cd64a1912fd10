/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "config.h"

#include "contender.h"

static const struct bench_contender *const all[] = {
	&bench_gpmm,
	&bench_gpmm_find,
	&bench_gpmm_qsbr,
	&bench_sorted_rwlock,
	&bench_sorted_cmov_rwlock,
	&bench_sorted_rcu,
#ifdef HAVE_JUDY
	&bench_judy,
#endif
#ifdef HAVE_ABSL
	&bench_absl,
	&bench_absl_bare,
#endif
	&bench_tsearch,
	&bench_eytzinger_64,
	&bench_eytzinger_32,
};

#define HUGE_PAGE	((size_t)2 << 20)

void *bench_alloc(size_t size)
{
	size_t align = size < HUGE_PAGE ? 64 : HUGE_PAGE;
	void *memory;

	size = (size + align - 1) & ~(align - 1);
	memory = aligned_alloc(align, size);
	if (!memory)
		bench_die("out of memory");
	if (align == HUGE_PAGE)
		madvise(memory, size, MADV_HUGEPAGE);
	return memory;
}

static bool too_wide(const char *name)
{
	if (!bench_options.width)
		return false;
	return strstr(name, ".avx512") ||
	       (strcmp(bench_options.width, "avx2") && strstr(name, ".avx2"));
}

static bool wanted(const struct bench_contender *contender)
{
	if (bench_options.only && !strstr(contender->name, bench_options.only))
		return false;
	if (too_wide(contender->name))
		return false;
	return !contender->usable || contender->usable();
}

size_t bench_contenders(const struct bench_contender **list)
{
	const struct bench_contender *stree;
	size_t i, count = 0;

	for (i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (wanted(all[i]))
			list[count++] = all[i];
	for (stree = bench_strees; stree->name; stree++)
		if (wanted(stree))
			list[count++] = stree;
	return count;
}

size_t bench_contenders_keep(const struct bench_contender **list,
			     size_t count,
			     bool (*test)(const struct bench_contender *))
{
	size_t i, kept = 0;

	for (i = 0; i < count; i++)
		if (test(list[i]))
			list[kept++] = list[i];
	return kept;
}

static uint64_t owner(const struct bench_contender *contender,
		      const struct bench_area *area)
{
	return contender->owner ? contender->owner(area) : area->id;
}

static void verify_one(const struct bench_contender *contender, void *map,
		       uint64_t addr, const struct bench_area *expected)
{
	struct bench_found found = { .start = 0 };
	bool hit = contender->find(map, addr, &found);

	if (hit != !!expected)
		bench_die("%s: %s at %#llx", contender->name,
			  hit ? "found what is not there" : "missed",
			  (unsigned long long)addr);
	if (hit && (found.start != expected->start ||
		    found.size != expected->size ||
		    found.hva != expected->hva ||
		    found.flags != expected->flags ||
		    found.owner != owner(contender, expected)))
		bench_die("%s: wrong area at %#llx", contender->name,
			  (unsigned long long)addr);
}

static void verify_edges(const struct bench_contender *contender, void *map,
			 const struct bench_areas *areas, size_t i)
{
	const struct bench_area *area = &areas->area[i];
	uint64_t end = area->start + area->size;

	verify_one(contender, map, area->start, area);
	verify_one(contender, map, end - 1, area);
	if (i + 1 == areas->count)
		verify_one(contender, map, end, NULL);
	else if (area[1].start > end)
		verify_one(contender, map, end, NULL);
}

static uint64_t sum_of(const struct bench_contender *contender,
		       const struct bench_areas *areas,
		       const struct bench_probes *probes, size_t i)
{
	const struct bench_area *area;

	if (probes->id[i] == BENCH_MISS)
		return 1;
	area = &areas->area[probes->id[i]];
	return area->start + area->size + area->hva + area->flags +
	       owner(contender, area);
}

/* The loops are what is timed: they must deliver the same. */
static void verify_loops(const struct bench_contender *contender, void *map,
			 const struct bench_areas *areas,
			 const struct bench_probes *probes)
{
	uint64_t last = 0, sum = 0;
	size_t i;

	for (i = 0; i < BENCH_CHUNK; i++)
		sum += last = sum_of(contender, areas, probes, i);
	if (contender->latency(map, probes->addr, BENCH_CHUNK) != last ||
	    contender->throughput(map, probes->addr, BENCH_CHUNK) != sum ||
	    (contender->batch &&
	     contender->batch(map, probes->addr, BENCH_CHUNK) != sum))
		bench_die("%s: a loop delivers something else",
			  contender->name);
}

void bench_verify(const struct bench_contender *contender, void *map,
		  const struct bench_areas *areas,
		  const struct bench_probes *probes)
{
	size_t i;

	if (contender->enter)
		contender->enter();
	for (i = 0; i < areas->count; i++)
		verify_edges(contender, map, areas, i);
	for (i = 0; probes && i < probes->count; i++)
		verify_one(contender, map, probes->addr[i],
			   probes->id[i] == BENCH_MISS ? NULL :
			   &areas->area[probes->id[i]]);
	if (probes)
		verify_loops(contender, map, areas, probes);
	if (contender->leave)
		contender->leave();
}
