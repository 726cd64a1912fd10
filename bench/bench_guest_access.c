/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guest memory against what it stands on: a lookup and memcpy, memcpy alone,
 * and a sorted array under a rwlock doing the same.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <sys/mman.h>

/* What it is compared with has the cheapest sections there are. */
#define GPMM_INLINE_SECTIONS
#include <gpmm/guest.h>
#include <gpmm/hit.h>
#include <gpmm/host.h>
#include <gpmm/thread.h>

#include "contender.h"
#include "sorted.h"

#define MIB (UINT64_C(1) << 20)
#define BUFFER MIB

/* Guest memory of equal areas that never run on, in one piece of ours. */
struct memory {
	struct gpmm_set *set;
	struct gpmm_guest guest;
	struct gpmm_host *host;
	struct gpmm_holder *holder;
	struct gpmm_cache cache;
	struct sorted *sorted;
	pthread_rwlock_t lock;
	char *hva;
	uint64_t size, area_size;
	uint64_t reach;		/* bytes that are accessed, about */
	char *buffer;
};

/* One run of accesses: of @size bytes at each address. */
typedef void access_fn(struct memory *memory, const uint64_t *gpa,
		       size_t count, size_t size);

/* The area's place in the process: they lie in reverse order. */
static uint64_t offset_of(const struct memory *memory, uint64_t gpa)
{
	uint64_t start = gpa - gpa % memory->area_size;

	return memory->size - memory->area_size - start + (gpa - start);
}

/* ------------------------------------------------------------- copying --- */

static void read_gpmm(struct memory *memory, const uint64_t *gpa,
		      size_t count, size_t size)
{
	for (size_t i = 0; i < count; i++)
		if (gpmm_read(&memory->guest, gpa[i], memory->buffer, size,
			      NULL))
			bench_die("gpmm_read failed");
}

static void write_gpmm(struct memory *memory, const uint64_t *gpa,
		       size_t count, size_t size)
{
	for (size_t i = 0; i < count; i++)
		if (gpmm_write(&memory->guest, gpa[i], memory->buffer, size,
			       NULL))
			bench_die("gpmm_write failed");
}

/* The quickest lookup there is, and what an access must ask of it. */
static inline char *find(struct memory *memory, uint64_t gpa, uint64_t size,
			 uint32_t access)
{
	struct gpmm_hit hit = gpmm_set_hit_rcu(memory->set, gpa);

	if (!hit.record || !gpmm_hit_host(hit) ||
	    (gpmm_hit_flags(hit) & (access | GPMM_PRIVATE)) != access ||
	    size > gpmm_hit_bytes(memory->set, hit, gpa))
		bench_die("nothing there");
	return gpmm_hit_hva(hit, gpa);
}

static void read_find(struct memory *memory, const uint64_t *gpa,
		      size_t count, size_t size)
{
	for (size_t i = 0; i < count; i++) {
		gpmm_read_lock();
		memcpy(memory->buffer, find(memory, gpa[i], size, GPMM_READ),
		       size);
		gpmm_read_unlock();
	}
}

static void write_find(struct memory *memory, const uint64_t *gpa,
		       size_t count, size_t size)
{
	for (size_t i = 0; i < count; i++) {
		gpmm_read_lock();
		memcpy(find(memory, gpa[i], size, GPMM_WRITE), memory->buffer,
		       size);
		gpmm_read_unlock();
	}
}

static void read_memcpy(struct memory *memory, const uint64_t *gpa,
			size_t count, size_t size)
{
	for (size_t i = 0; i < count; i++)
		memcpy(memory->buffer,
		       memory->hva + offset_of(memory, gpa[i]), size);
}

static void write_memcpy(struct memory *memory, const uint64_t *gpa,
			 size_t count, size_t size)
{
	for (size_t i = 0; i < count; i++)
		memcpy(memory->hva + offset_of(memory, gpa[i]),
		       memory->buffer, size);
}

static inline char *find_sorted(struct memory *memory, uint64_t gpa)
{
	struct bench_found found;

	if (!sorted_find(memory->sorted, gpa, &found))
		bench_die("nothing there");
	return (char *)(uintptr_t)found.hva + (gpa - found.start);
}

static void read_sorted(struct memory *memory, const uint64_t *gpa,
			size_t count, size_t size)
{
	for (size_t i = 0; i < count; i++) {
		pthread_rwlock_rdlock(&memory->lock);
		memcpy(memory->buffer, find_sorted(memory, gpa[i]), size);
		pthread_rwlock_unlock(&memory->lock);
	}
}

static void write_sorted(struct memory *memory, const uint64_t *gpa,
			 size_t count, size_t size)
{
	for (size_t i = 0; i < count; i++) {
		pthread_rwlock_rdlock(&memory->lock);
		memcpy(find_sorted(memory, gpa[i]), memory->buffer, size);
		pthread_rwlock_unlock(&memory->lock);
	}
}

/* ------------------------------------------------------------ integers --- */

static void load_gpmm(struct memory *memory, const uint64_t *gpa,
		      size_t count, size_t size)
{
	uint64_t sum = 0, value = 0;

	(void)size;
	for (size_t i = 0; i < count; i++) {
		gpmm_load(&memory->guest, gpa[i], GPMM_LE64, GPMM_ACQUIRE,
			  &value);
		sum += value;
	}
	bench_keep(sum);
}

static void load_find(struct memory *memory, const uint64_t *gpa,
		      size_t count, size_t size)
{
	uint64_t sum = 0;

	(void)size;
	for (size_t i = 0; i < count; i++) {
		gpmm_read_lock();
		sum += __atomic_load_n((uint64_t *)find(memory, gpa[i], 8,
							GPMM_READ),
				       __ATOMIC_ACQUIRE);
		gpmm_read_unlock();
	}
	bench_keep(sum);
}

static void load_sorted(struct memory *memory, const uint64_t *gpa,
			size_t count, size_t size)
{
	uint64_t sum = 0;

	(void)size;
	for (size_t i = 0; i < count; i++) {
		pthread_rwlock_rdlock(&memory->lock);
		sum += __atomic_load_n((uint64_t *)find_sorted(memory, gpa[i]),
				       __ATOMIC_ACQUIRE);
		pthread_rwlock_unlock(&memory->lock);
	}
	bench_keep(sum);
}

/*
 * The same one after another: where the next load goes only the value of the
 * last one tells (whose top bit is never set).
 */
static void chase_gpmm(struct memory *memory, const uint64_t *gpa,
		       size_t count, size_t size)
{
	uint64_t value = 0;

	(void)size;
	for (size_t i = 0; i < count; i++)
		gpmm_load(&memory->guest, gpa[i + (value >> 63)], GPMM_LE64,
			  GPMM_ACQUIRE, &value);
	bench_keep(value);
}

static void chase_find(struct memory *memory, const uint64_t *gpa,
		       size_t count, size_t size)
{
	uint64_t value = 0;

	(void)size;
	for (size_t i = 0; i < count; i++) {
		gpmm_read_lock();
		value = __atomic_load_n((uint64_t *)find(memory,
			gpa[i + (value >> 63)], 8, GPMM_READ),
			__ATOMIC_ACQUIRE);
		gpmm_read_unlock();
	}
	bench_keep(value);
}

static void store_gpmm(struct memory *memory, const uint64_t *gpa,
		       size_t count, size_t size)
{
	(void)size;
	for (size_t i = 0; i < count; i++)
		gpmm_store(&memory->guest, gpa[i], GPMM_LE64, GPMM_RELEASE, i);
}

/* A ring's entries, in one area: the translation only. */
static void translate_cached(struct memory *memory, const uint64_t *gpa,
			     size_t count, size_t size)
{
	uint64_t sum = 0;

	gpmm_read_lock();
	for (size_t i = 0; i < count; i++)
		sum += (uintptr_t)gpmm_cached(&memory->cache,
					      gpa[i] % memory->area_size &
					      ~(uint64_t)63, size);
	gpmm_read_unlock();
	bench_keep(sum);
}

/* The same without a translation: what the loop itself costs. */
static void translate_nothing(struct memory *memory, const uint64_t *gpa,
			      size_t count, size_t size)
{
	uint64_t sum = 0;

	(void)size;
	gpmm_read_lock();
	for (size_t i = 0; i < count; i++) {
		sum += (uintptr_t)memory->hva +
		       (gpa[i] % memory->area_size & ~(uint64_t)63);
		bench_keep(sum);
	}
	gpmm_read_unlock();
}

static void pin_and_unpin(struct memory *memory, const uint64_t *gpa,
			  size_t count, size_t size)
{
	struct gpmm_pin pin;

	for (size_t i = 0; i < count; i++) {
		if (gpmm_pin(&memory->guest, memory->holder, gpa[i], size,
			     GPMM_RW, &pin))
			bench_die("gpmm_pin failed");
		gpmm_unpin(&pin);
	}
}

/* --------------------------------------------------------------- cases --- */

#define ENTRIES 4

struct entry {
	const char *name;
	access_fn *access;
};

struct test {
	const char *what;
	size_t size;
	struct entry entries[ENTRIES];
};

#define COPIES(verb)							\
	{ { "gpmm", verb##_gpmm }, { "find-memcpy", verb##_find },	\
	  { "memcpy", verb##_memcpy }, { "sorted-rwlock", verb##_sorted } }

static const struct test tests[] = {
	{ "read/64", 64, COPIES(read) },
	{ "write/64", 64, COPIES(write) },
	{ "read/4KiB", 4096, COPIES(read) },
	{ "write/4KiB", 4096, COPIES(write) },
	{ "read/1MiB", MIB, COPIES(read) },
	{ "write/1MiB", MIB, COPIES(write) },
	{ "load/8", 8, { { "gpmm", load_gpmm }, { "find-load", load_find },
			 { "sorted-rwlock", load_sorted } } },
	{ "chase/8", 8, { { "gpmm", chase_gpmm },
			  { "find-load", chase_find } } },
	{ "store/8", 8, { { "gpmm", store_gpmm } } },
	{ "cached", 8, { { "gpmm", translate_cached },
			 { "nothing", translate_nothing } } },
	{ "pin", 64, { { "gpmm", pin_and_unpin } } },
};

#define ADDRESSES (1u << 16)

/* Aligned to 8, in any area, from its start as far as @reach is for all. */
static void choose(const struct memory *memory, size_t size, uint64_t *gpa)
{
	uint64_t state = size, areas = memory->size / memory->area_size;
	uint64_t room = memory->reach / areas;
	uint64_t slack = room > size ? (room - size) / 8 + 1 : 1;

	for (size_t i = 0; i < ADDRESSES; i++) {
		uint64_t area = bench_random(&state) % areas;

		gpa[i] = area * memory->area_size +
			 bench_random(&state) % slack * 8;
	}
}

static size_t chunk_of(size_t size)
{
	size_t count = (64 << 10) / size;

	return count < 4 ? 4 : count > BENCH_CHUNK ? BENCH_CHUNK : count;
}

/*
 * A run of chunks, long enough that caches hold what the entry itself left
 * there and not the one before: writes pay for the lines they push out.
 * @turn: chunks of @gpa used so far, so that no entry finds in a cache what
 * another has just read.
 */
static double time_entry(const struct entry *entry, struct memory *memory,
			 const uint64_t *gpa, size_t size, size_t *turn)
{
	static double ns[ADDRESSES / 4];
	size_t chunk = chunk_of(size), chunks = ADDRESSES / chunk;
	size_t most = (size_t)bench_scale(8, 512, 4096);

	if (size == MIB && most > 64)
		most = 64;
	chunks = chunks < most ? chunks : most;
	for (size_t i = 0; i < chunks; i++) {
		const uint64_t *at = gpa + (*turn)++ * chunk % ADDRESSES;
		uint64_t start = bench_now();

		entry->access(memory, at, chunk, size);
		ns[i] = (double)(bench_now() - start) / (double)chunk;
	}
	return bench_median(ns, chunks);
}

/* A reading of gpmm's must be what lies there. */
static void check(struct memory *memory, const uint64_t *gpa, size_t size)
{
	for (size_t i = 0; i < 100; i++) {
		gpmm_read(&memory->guest, gpa[i], memory->buffer, size, NULL);
		for (size_t j = 0; j < size; j += 8)
			if (memcmp(memory->buffer + j, memory->hva +
				   offset_of(memory, gpa[i] + j), 8))
				bench_die("gpmm_read read something else");
	}
}

static void run_test(const struct test *test, struct memory *memory,
		     const char *spread, size_t areas, uint64_t *gpa)
{
	struct bench_samples ns[ENTRIES] = { { .count = 0 } };
	size_t entries = 0, turn = 0;
	char what[64];

	while (entries < ENTRIES && test->entries[entries].name)
		entries++;
	choose(memory, test->size, gpa);
	check(memory, gpa, test->size);
	/* Each comes first in its turn. */
	for (size_t i = 0; i < (size_t)bench_options.reps * entries; i++) {
		size_t e = (i + i / entries) % entries;

		bench_samples_add(&ns[e], time_entry(&test->entries[e], memory,
						     gpa, test->size, &turn));
	}
	snprintf(what, sizeof(what), "%s/%s", test->what, spread);
	for (size_t i = 0; i < entries; i++) {
		struct bench_row row = bench_row("guest", what,
						 test->entries[i].name, 1,
						 areas);

		row.ns = &ns[i];
		bench_print(&row);
	}
}

/* -------------------------------------------------------------- memory --- */

static void map_areas(struct memory *memory, size_t areas)
{
	struct bench_areas model = { .count = areas };

	model.area = calloc(areas, sizeof(*model.area));
	for (size_t i = 0; i < areas; i++) {
		uint64_t start = i * memory->area_size;
		struct gpmm_area area = {
			.start = start,
			.size = memory->area_size,
			.flags = GPMM_RW,
			.host = memory->host,
			.hva = memory->hva + offset_of(memory, start),
		};

		if (gpmm_set_map(memory->set, &area, 0))
			bench_die("gpmm_set_map failed");
		model.area[i] = (struct bench_area){
			.start = start, .size = memory->area_size,
			.hva = (uintptr_t)area.hva };
	}
	memory->sorted = sorted_alloc(areas);
	sorted_fill(memory->sorted, &model);
	free(model.area);
}

static void make(struct memory *memory, size_t areas, uint64_t area_size,
		 uint64_t reach)
{
	struct gpmm_host_options options = { .size = areas * area_size,
		.flags = GPMM_HOST_THP, .prealloc_threads = 1 };
	uint64_t *words;

	*memory = (struct memory){ .size = options.size,
				   .area_size = area_size, .reach = reach };
	pthread_rwlock_init(&memory->lock, NULL);
	if (gpmm_host_create(&options, &memory->host) ||
	    gpmm_set_create(NULL, &memory->set) ||
	    gpmm_holder_create("bench", &memory->holder))
		bench_die("out of memory");
	memory->hva = gpmm_host_addr(memory->host);
	words = (uint64_t *)memory->hva;
	for (uint64_t i = 0; i < memory->size / 8; i++)
		words[i] = i;
	memory->guest.set = memory->set;
	memory->cache.guest = &memory->guest;
	memory->cache.access = GPMM_RW;
	memory->buffer = aligned_alloc(4096, BUFFER);
	memset(memory->buffer, 1, BUFFER);
	map_areas(memory, areas);
}

static void unmake(struct memory *memory)
{
	gpmm_set_destroy(memory->set);
	gpmm_host_put(memory->host);
	gpmm_holder_destroy(memory->holder);
	pthread_rwlock_destroy(&memory->lock);
	free(memory->sorted);
	free(memory->buffer);
}

/* @size: bytes of all areas together; @reach: of those that are accessed */
static void run(size_t areas, const char *spread, uint64_t size,
		uint64_t reach)
{
	uint64_t *gpa = calloc(ADDRESSES, sizeof(*gpa));
	struct memory memory;

	make(&memory, areas, size / areas, reach);
	/* What crosses areas a plain lookup and memcpy cannot do. */
	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++)
		if (tests[i].size <= memory.area_size)
			run_test(&tests[i], &memory, spread, areas, gpa);
	unmake(&memory);
	free(gpa);
}

int main(int argc, char **argv)
{
	static const size_t counts[] = { 64, 4096 };
	uint64_t far;

	bench_init(argc, argv);
	far = (uint64_t)bench_scale(64, 256, 1024) * MIB;
	bench_pin(0);
	gpmm_thread_register();
	if (gpmm_fault_install())
		bench_die("no fault recovery");
	for (size_t i = 0; i < 2; i++) {
		size_t n = counts[i];

		if (bench_options.areas && bench_options.areas != n)
			continue;
		/* What caches near the CPU hold, and more than any does. */
		run(n, "near", n * 4096 < 2 * MIB ? 2 * MIB : n * 4096, MIB);
		run(n, "far", far, far);
	}
	gpmm_thread_unregister();
	return 0;
}
