/* SPDX-License-Identifier: BSD-3-Clause */
/* Every option of host memory, as the kernel tells what it did. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CUnit/Basic.h>

#include <gpmm/host.h>

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static int create(struct gpmm_host_options options, struct gpmm_host **host)
{
	*host = NULL;
	return gpmm_host_create(&options, host);
}

static struct gpmm_host *make(struct gpmm_host_options options)
{
	struct gpmm_host *host;

	CU_ASSERT_EQUAL_FATAL(create(options, &host), 0);
	return host;
}

/* Whether a byte can be read, as the kernel sees it. */
static bool is_readable(const void *addr)
{
	int pipes[2];
	bool readable;

	CU_ASSERT_EQUAL_FATAL(pipe(pipes), 0);
	readable = write(pipes[1], addr, 1) == 1;
	close(pipes[0]);
	close(pipes[1]);
	return readable;
}

/* The line of /proc/self/@file with @key, of the mapping that starts at @addr. */
static bool mapping_has(const char *file, const void *addr, const char *key,
			const char *word)
{
	char line[1024], start[32];
	bool here = false, has = false;
	FILE *in = fopen(file, "r");

	CU_ASSERT_PTR_NOT_NULL_FATAL(in);
	snprintf(start, sizeof(start), "%" PRIxPTR, (uintptr_t)addr);
	while (!has && fgets(line, sizeof(line), in)) {
		size_t hex = strspn(line, "0123456789abcdef");

		if (hex > 5)
			here = !strncmp(line, start, strlen(start));
		has = here && strstr(line, key) && strstr(line, word);
	}
	fclose(in);
	return has;
}

static bool has_flag(const struct gpmm_host *host, const char *flag)
{
	return mapping_has("/proc/self/smaps", gpmm_host_addr(host),
			   "VmFlags:", flag);
}

static void addresses_are_congruent_with_the_guests(void)
{
	struct {
		uint64_t size, gpa, modulo;
	} cases[] = {
		{ 4 * MIB, 0x100000, 2 * MIB },
		{ 2 * MIB, 0x1ff000, 2 * MIB },
		{ GIB, 0x7ff00000, GIB },
		{ 3 * GIB, UINT64_C(0x140000000), GIB },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct gpmm_host *host = make((struct gpmm_host_options){
			.size = cases[i].size, .gpa = cases[i].gpa });

		CU_ASSERT_EQUAL(((uintptr_t)gpmm_host_addr(host) -
				 cases[i].gpa) % cases[i].modulo, 0);
		CU_ASSERT_TRUE(is_readable((char *)gpmm_host_addr(host) +
					   cases[i].size - 1));
		gpmm_host_put(host);
	}
}

static void guard_pages_stand_on_both_sides(void)
{
	struct gpmm_host *host = make((struct gpmm_host_options){
		.kind = GPMM_HOST_MEMFD, .size = 64 * KIB,
		.flags = GPMM_HOST_GUARD });
	char *addr = gpmm_host_addr(host);

	CU_ASSERT_TRUE(is_readable(addr));
	CU_ASSERT_TRUE(is_readable(addr + 64 * KIB - 1));
	CU_ASSERT_FALSE(is_readable(addr - 1));
	CU_ASSERT_FALSE(is_readable(addr + 64 * KIB));
	gpmm_host_put(host);
}

/* Sanitizers make a call that does nothing of mlock(2). */
static bool mlock_locks(void)
{
	char *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS,
			  -1, 0);
	bool locks = !mlock(page, 4096) &&
		     mapping_has("/proc/self/smaps", page, "VmFlags:", " lo");

	munmap(page, 4096);
	return locks;
}

static void advice_reaches_the_kernel(void)
{
	static const struct {
		uint32_t flag;
		const char *word;
	} cases[] = {
		{ GPMM_HOST_THP, " hg" },
		{ GPMM_HOST_KSM, " mg" },
		{ GPMM_HOST_NODUMP, " dd" },
		{ GPMM_HOST_LOCK, " lo" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct gpmm_host_options options = {
			.size = 64 * KIB, .flags = cases[i].flag };
		struct gpmm_host *host;
		int ret = create(options, &host);

		if (ret == -EOPNOTSUPP ||
		    (cases[i].flag == GPMM_HOST_LOCK && !mlock_locks())) {
			printf("(no%s here) ", cases[i].word);
			gpmm_host_put(host);
			continue;
		}
		CU_ASSERT_EQUAL_FATAL(ret, 0);
		CU_ASSERT_TRUE(has_flag(host, cases[i].word));
		gpmm_host_put(host);
		options.flags = GPMM_HOST_GUARD;
		host = make(options);
		CU_ASSERT_FALSE(has_flag(host, cases[i].word));
		gpmm_host_put(host);
	}
}

static void locking_more_than_allowed_is_an_error(void)
{
	struct rlimit old, none = { 0, 0 };
	struct gpmm_host *host;

	if (!geteuid()) {
		printf("(root may lock anything) ");
		return;
	}
	getrlimit(RLIMIT_MEMLOCK, &old);
	none.rlim_max = old.rlim_max;
	setrlimit(RLIMIT_MEMLOCK, &none);
	CU_ASSERT_NOT_EQUAL(create((struct gpmm_host_options){ .size = MIB,
				   .flags = GPMM_HOST_LOCK }, &host), 0);
	CU_ASSERT_PTR_NULL(host);
	setrlimit(RLIMIT_MEMLOCK, &old);
}

static void a_numa_binding_holds_or_is_an_error(void)
{
	struct gpmm_host_options options = {
		.kind = GPMM_HOST_MEMFD, .size = MIB,
		.numa = GPMM_NUMA_BIND, .numa_nodes = 1 };
	struct gpmm_host *host;
	int ret = create(options, &host);

	if (ret == -ENOSYS || ret == -EPERM) {
		printf("(no mbind here) ");
		return;
	}
	CU_ASSERT_EQUAL_FATAL(ret, 0);
	CU_ASSERT_TRUE(mapping_has("/proc/self/numa_maps",
				   gpmm_host_addr(host), "", "bind:0"));
	gpmm_host_put(host);
	options.numa = GPMM_NUMA_INTERLEAVE;
	host = make(options);
	CU_ASSERT_TRUE(mapping_has("/proc/self/numa_maps",
				   gpmm_host_addr(host), "", "interleave"));
	gpmm_host_put(host);
	options.numa_nodes = UINT64_C(1) << 63;
	CU_ASSERT_EQUAL(create(options, &host), -EINVAL);
	options.numa_nodes = 0;
	CU_ASSERT_EQUAL(create(options, &host), -EINVAL);
	options.numa = GPMM_NUMA_DEFAULT;
	options.numa_nodes = 1;
	CU_ASSERT_EQUAL(create(options, &host), -EINVAL);
}

struct seen {
	uint64_t last, calls, give_up_at;
};

static bool note_progress(void *arg, uint64_t done, uint64_t size)
{
	struct seen *seen = arg;

	CU_ASSERT_TRUE(done > seen->last && done <= size);
	seen->last = done;
	return ++seen->calls != seen->give_up_at;
}

static void prealloc_makes_all_resident_and_tells(void)
{
	static const enum gpmm_host_kind kinds[] = { GPMM_HOST_ANON,
						     GPMM_HOST_MEMFD };

	for (size_t i = 0; i < 4; i++) {
		struct seen seen = { 0 };
		struct gpmm_host_stats stats;
		struct gpmm_host *host = make((struct gpmm_host_options){
			.kind = kinds[i % 2], .size = 132 * MIB,
			.prealloc_threads = i < 2 ? 1 : 3,
			.progress = note_progress, .progress_arg = &seen });

		gpmm_host_get_stats(host, &stats);
		CU_ASSERT_EQUAL(stats.resident, 132 * MIB);
		CU_ASSERT_EQUAL(seen.last, 132 * MIB);
		CU_ASSERT_EQUAL(seen.calls, 3);
		gpmm_host_put(host);
	}
}

static void prealloc_can_be_given_up(void)
{
	struct seen seen = { .give_up_at = 1 };
	struct gpmm_host *host;

	CU_ASSERT_EQUAL(create((struct gpmm_host_options){
		.size = 256 * MIB, .prealloc_threads = 2,
		.progress = note_progress, .progress_arg = &seen }, &host),
		-ECANCELED);
	CU_ASSERT_PTR_NULL(host);
	CU_ASSERT_EQUAL(seen.calls, 1);
}

static void memory_grows_in_place_within_its_reserve(void)
{
	static const enum gpmm_host_kind kinds[] = { GPMM_HOST_ANON,
						     GPMM_HOST_MEMFD };

	for (size_t i = 0; i < 2; i++) {
		struct gpmm_host *host = make((struct gpmm_host_options){
			.kind = kinds[i], .size = MIB, .reserve = 3 * MIB,
			.flags = GPMM_HOST_NODUMP });
		char *addr = gpmm_host_addr(host);

		CU_ASSERT_FALSE(is_readable(addr + MIB));
		addr[0] = 7;
		CU_ASSERT_EQUAL(gpmm_host_grow(host, 4 * MIB + 4096), -ENOSPC);
		CU_ASSERT_EQUAL(gpmm_host_grow(host, MIB - 4096), -EINVAL);
		CU_ASSERT_EQUAL(gpmm_host_grow(host, 2 * MIB + 1), -EINVAL);
		CU_ASSERT_EQUAL(gpmm_host_grow(host, MIB), 0);
		CU_ASSERT_EQUAL(gpmm_host_grow(host, 2 * MIB), 0);
		CU_ASSERT_PTR_EQUAL(gpmm_host_addr(host), addr);
		CU_ASSERT_EQUAL(gpmm_host_size(host), 2 * MIB);
		CU_ASSERT_TRUE(is_readable(addr + 2 * MIB - 1));
		CU_ASSERT_FALSE(is_readable(addr + 2 * MIB));
		addr[2 * MIB - 1] = 1;
		CU_ASSERT_EQUAL(gpmm_host_grow(host, 4 * MIB), 0);
		CU_ASSERT_EQUAL(addr[0], 7);
		gpmm_host_put(host);
	}
}

static void what_a_kind_cannot_do_is_refused(void)
{
	static char memory[4096];
	struct gpmm_host_options bad[] = {
		{ .flags = GPMM_HOST_PRIVATE },
		{ .flags = GPMM_HOST_READONLY },
		{ .flags = GPMM_HOST_NORESERVE },
		{ .flags = UINT32_C(1) << 31 },
		{ .kind = GPMM_HOST_MEMFD, .flags = GPMM_HOST_KSM },
		{ .kind = GPMM_HOST_USER, .user = memory,
		  .flags = GPMM_HOST_LOCK },
		{ .kind = GPMM_HOST_USER, .user = memory,
		  .prealloc_threads = 1 },
		{ .kind = GPMM_HOST_USER, .user = memory, .reserve = 4096 },
		{ .kind = GPMM_HOST_FILE, .reserve = 4096 },
		{ .numa = 99 },
		{ .page_size = 4096 },
		{ .gpa = 1 },
		{ .reserve = 1 },
		{ .reserve = -UINT64_C(4096) },
	};
	struct gpmm_host *host;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		bad[i].size = 4096;
		CU_ASSERT_EQUAL(create(bad[i], &host), -EINVAL);
		CU_ASSERT_PTR_NULL(host);
	}
}

static uint64_t free_huge_pages(void)
{
	uint64_t pages = 0;
	FILE *in = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/"
			 "free_hugepages", "r");

	if (in && fscanf(in, "%" SCNu64, &pages) != 1)
		pages = 0;
	if (in)
		fclose(in);
	return pages;
}

static void note_log(void *arg, enum gpmm_log_level level, const char *message)
{
	if (level == GPMM_LOG_ERROR && strstr(message, "huge pages"))
		(*(int *)arg)++;
}

static void an_empty_pool_is_an_error_at_once(void)
{
	struct gpmm_host_options options = {
		.kind = GPMM_HOST_HUGETLB,
		.size = (free_huge_pages() + 1000) * 2 * MIB };
	struct gpmm_host *host;
	int logged = 0, ret;

	gpmm_log_set(note_log, &logged);
	ret = create(options, &host);
	gpmm_log_set(NULL, NULL);
	if (ret == -EOPNOTSUPP) {
		printf("(no hugetlb here) ");
		return;
	}
	CU_ASSERT_EQUAL(ret, -ENOMEM);
	CU_ASSERT_PTR_NULL(host);
	CU_ASSERT_EQUAL(logged, 1);
	options.flags = GPMM_HOST_NORESERVE;
	CU_ASSERT_EQUAL(create(options, &host), 0);
	gpmm_host_put(host);
	options.prealloc_threads = 2;
	CU_ASSERT_EQUAL(create(options, &host), -ENOMEM);
	options.prealloc_threads = 0;
	options.size = 2 * MIB + 4096;
	CU_ASSERT_EQUAL(create(options, &host), -EINVAL);
	options.size = 2 * MIB;
	options.page_size = 3 * MIB;
	CU_ASSERT_EQUAL(create(options, &host), -EINVAL);
	options.page_size = 64 * KIB;
	CU_ASSERT_EQUAL(create(options, &host), -EOPNOTSUPP);
}

static void huge_pages_back_the_memory(void)
{
	struct gpmm_host_options options = {
		.kind = GPMM_HOST_HUGETLB, .size = 4 * MIB,
		.flags = GPMM_HOST_GUARD | GPMM_HOST_NODUMP,
		.prealloc_threads = 1 };
	struct gpmm_host_stats stats;
	struct gpmm_host *host;
	uint64_t before = free_huge_pages();

	if (before < 2) {
		printf("(the pool of huge pages is empty) ");
		return;
	}
	host = make(options);
	CU_ASSERT_EQUAL(gpmm_host_page_size(host), 2 * MIB);
	CU_ASSERT_EQUAL(free_huge_pages(), before - 2);
	memset(gpmm_host_addr(host), 1, 4 * MIB);
	gpmm_host_get_stats(host, &stats);
	CU_ASSERT_EQUAL(stats.resident, 4 * MIB);
	CU_ASSERT_EQUAL(gpmm_host_discard(host, 4096, 4096), -EINVAL);
	CU_ASSERT_EQUAL(gpmm_host_discard(host, 2 * MIB, 2 * MIB), 0);
	gpmm_host_get_stats(host, &stats);
	CU_ASSERT_EQUAL(stats.resident, 2 * MIB);
	CU_ASSERT_EQUAL(((char *)gpmm_host_addr(host))[0], 1);
	CU_ASSERT_EQUAL(((char *)gpmm_host_addr(host))[2 * MIB], 0);
	gpmm_host_put(host);
	CU_ASSERT_EQUAL(free_huge_pages(), before);
}

int main(void)
{
	CU_pSuite suite;
	unsigned int failures;

	CU_initialize_registry();
	suite = CU_add_suite("host options", NULL, NULL);
	CU_ADD_TEST(suite, addresses_are_congruent_with_the_guests);
	CU_ADD_TEST(suite, guard_pages_stand_on_both_sides);
	CU_ADD_TEST(suite, advice_reaches_the_kernel);
	CU_ADD_TEST(suite, locking_more_than_allowed_is_an_error);
	CU_ADD_TEST(suite, a_numa_binding_holds_or_is_an_error);
	CU_ADD_TEST(suite, prealloc_makes_all_resident_and_tells);
	CU_ADD_TEST(suite, prealloc_can_be_given_up);
	CU_ADD_TEST(suite, memory_grows_in_place_within_its_reserve);
	CU_ADD_TEST(suite, what_a_kind_cannot_do_is_refused);
	CU_ADD_TEST(suite, an_empty_pool_is_an_error_at_once);
	CU_ADD_TEST(suite, huge_pages_back_the_memory);
	CU_basic_run_tests();
	failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures != 0;
}
