/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * absl::btree_map from an area's start to its record: under an absl::Mutex's
 * reader lock, and bare (nobody else may look).
 */
#include <absl/container/btree_map.h>
#include <absl/synchronization/mutex.h>

#include "loops.h"

namespace {

using Tree = absl::btree_map<uint64_t, bench_area>;

struct Map {
	absl::Mutex mutex;
	Tree tree;
};

void *build(const struct bench_areas *areas, const uint32_t *order)
{
	Map *map = new Map;
	size_t i;

	for (i = 0; i < areas->count; i++) {
		const bench_area &area = areas->area[order ? order[i] : i];

		map->tree.emplace(area.start, area);
	}
	return map;
}

void destroy(void *map)
{
	delete static_cast<Map *>(map);
}

inline void section_open(void *map)
{
	static_cast<Map *>(map)->mutex.ReaderLock();
}

inline void section_close(void *map)
{
	static_cast<Map *>(map)->mutex.ReaderUnlock();
}

inline void nothing(void *)
{
}

inline bool look(void *map, uint64_t addr, struct bench_found *found)
{
	const Tree &tree = static_cast<Map *>(map)->tree;
	auto it = tree.upper_bound(addr);

	if (it == tree.begin())
		return false;
	--it;
	return bench_take(&it->second, addr, found);
}

BENCH_LOOPS(absl_mutex, , section_open, section_close, look)
BENCH_LOOPS(absl_bare, , nothing, nothing, look)

void bare_map(void *map, const struct bench_area *area)
{
	static_cast<Map *>(map)->tree.emplace(area->start, *area);
}

void bare_unmap(void *map, const struct bench_area *area)
{
	static_cast<Map *>(map)->tree.erase(area->start);
}

void bare_replace(void *map, const struct bench_area *area)
{
	static_cast<Map *>(map)->tree.find(area->start)->second = *area;
}

void bare_protect(void *map, const struct bench_area *area, uint32_t flags)
{
	static_cast<Map *>(map)->tree.find(area->start)->second.flags = flags;
}

uint64_t bare_iterate(void *map)
{
	uint64_t sum = 0;

	for (const auto &pair : static_cast<Map *>(map)->tree)
		sum += pair.second.hva;
	return sum;
}

/* What a tree without augmentation can do: look at each gap in turn. */
uint64_t locked_find_free(void *map, uint64_t size)
{
	absl::ReaderMutexLock lock(&static_cast<Map *>(map)->mutex);
	uint64_t end = 0;

	for (const auto &pair : static_cast<Map *>(map)->tree) {
		if (pair.first - end >= size)
			break;
		end = pair.first + pair.second.size;
	}
	return end;
}

void locked_map(void *map, const struct bench_area *area)
{
	absl::MutexLock lock(&static_cast<Map *>(map)->mutex);

	bare_map(map, area);
}

void locked_unmap(void *map, const struct bench_area *area)
{
	absl::MutexLock lock(&static_cast<Map *>(map)->mutex);

	bare_unmap(map, area);
}

void locked_replace(void *map, const struct bench_area *area)
{
	absl::MutexLock lock(&static_cast<Map *>(map)->mutex);

	bare_replace(map, area);
}

void locked_protect(void *map, const struct bench_area *area, uint32_t flags)
{
	absl::MutexLock lock(&static_cast<Map *>(map)->mutex);

	bare_protect(map, area, flags);
}

uint64_t locked_iterate(void *map)
{
	absl::ReaderMutexLock lock(&static_cast<Map *>(map)->mutex);

	return bare_iterate(map);
}

/* C++14 has no designated initialisers: members by name, one by one. */
bench_contender make_bare(void)
{
	bench_contender contender = bench_contender();

	contender.name = "absl-bare";
	contender.build = build;
	contender.destroy = destroy;
	contender.find = absl_bare_find;
	contender.latency = absl_bare_latency;
	contender.throughput = absl_bare_throughput;
	contender.timed = absl_bare_timed;
	contender.map = bare_map;
	contender.unmap = bare_unmap;
	contender.replace = bare_replace;
	contender.protect = bare_protect;
	contender.iterate = bare_iterate;
	return contender;
}

bench_contender make_mutex(void)
{
	bench_contender contender = bench_contender();

	contender.name = "absl-mutex";
	contender.concurrent = true;
	contender.build = build;
	contender.destroy = destroy;
	contender.find = absl_mutex_find;
	contender.latency = absl_mutex_latency;
	contender.throughput = absl_mutex_throughput;
	contender.batch = absl_mutex_batch;
	contender.section = absl_mutex_section;
	contender.timed = absl_mutex_timed;
	contender.map = locked_map;
	contender.unmap = locked_unmap;
	contender.replace = locked_replace;
	contender.protect = locked_protect;
	contender.find_free = locked_find_free;
	contender.iterate = locked_iterate;
	return contender;
}

}

extern "C" {
extern const bench_contender bench_absl = make_mutex();
extern const bench_contender bench_absl_bare = make_bare();
}
