/* SPDX-License-Identifier: BSD-3-Clause */
/* Every option of host memory, as the kernel tells what it did. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include <unistd.h>

#include <CUnit/Basic.h>

#include <gpmm/host.h>

#include "helpers/child.h"
#include "helpers/entries.h"

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

/*
 * The line of @file with @key, of the mapping around @addr; numa_maps has only
 * where one starts, so the last that does so before it.
 */
static bool mapping_has(const char *file, const void *addr, const char *key,
			const char *word)
{
	char line[1024];
	bool here = false, has = false;
	FILE *in = fopen(file, "r");

	CU_ASSERT_PTR_NOT_NULL_FATAL(in);
	while (fgets(line, sizeof(line), in)) {
		uintptr_t start, end = UINTPTR_MAX;
		bool heads = strspn(line, "0123456789abcdef") > 5;

		if (heads && sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &start,
				    &end) > 0)
			here = (uintptr_t)addr >= start &&
			       (uintptr_t)addr < end;
		if (heads && here)
			has = false;
		if (here && strstr(line, key) && strstr(line, word))
			has = true;
	}
	fclose(in);
	return has;
}

static bool has_flag_at(const void *addr, const char *flag)
{
	return mapping_has("/proc/self/smaps", addr, "VmFlags:", flag);
}

static bool has_flag(const struct gpmm_host *host, const char *flag)
{
	return has_flag_at(gpmm_host_addr(host), flag) &&
	       has_flag_at((char *)gpmm_host_addr(host) +
			   gpmm_host_size(host) - 1, flag);
}

static bool is_bound(const struct gpmm_host *host)
{
	return mapping_has("/proc/self/numa_maps", gpmm_host_addr(host), "",
			   "bind:0");
}

static void addresses_are_congruent_with_the_guests(void)
{
	struct {
		uint64_t size, gpa, modulo, reserve;
	} cases[] = {
		{ 4 * MIB, 0x100000, 2 * MIB, 0 },
		{ 2 * MIB, 0x1ff000, 2 * MIB, 0 },
		{ GIB, 0x7ff00000, GIB, 0 },
		{ MIB, 0x1ff000, 2 * MIB, 3 * MIB },
		{ 2 * MIB, 0x7ff00000, GIB, GIB },
		{ 3 * GIB, UINT64_C(0x140000000), GIB, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct gpmm_host *host = make((struct gpmm_host_options){
			.size = cases[i].size, .gpa = cases[i].gpa,
			.reserve = cases[i].reserve });

		CU_ASSERT_EQUAL(((uintptr_t)gpmm_host_addr(host) -
				 cases[i].gpa) % cases[i].modulo, 0);
		CU_ASSERT_TRUE(is_readable((char *)gpmm_host_addr(host) +
					   cases[i].size - 1));
		gpmm_host_put(host);
	}
}

static bool is_taken(void *addr)
{
	unsigned char in;

	return !mincore(addr, 1, &in);
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
	/* Nobody else's memory can come there. */
	CU_ASSERT_TRUE(is_taken(addr - 4096));
	CU_ASSERT_TRUE(is_taken(addr + 64 * KIB));
	gpmm_host_put(host);
}

static void all_address_space_is_given_back(void)
{
	uint64_t before = 0;

	for (uint64_t i = 0; i < 16; i++) {
		struct gpmm_host *host = make((struct gpmm_host_options){
			.size = 3 * MIB, .gpa = i * 0x1f000, .reserve = MIB,
			.flags = GPMM_HOST_GUARD });

		CU_ASSERT_EQUAL(gpmm_host_grow(host, 4 * MIB), 0);
		gpmm_host_put(host);
		/* What the first calls take of libraries' memory is not. */
		if (!i)
			before = address_space();
	}
	CU_ASSERT_EQUAL(address_space(), before);
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

static void advice_holds_for_what_a_discard_puts_there(void)
{
	struct gpmm_host_options options = {
		.kind = GPMM_HOST_FILE, .size = 64 * KIB,
		.flags = GPMM_HOST_PRIVATE | GPMM_HOST_NODUMP,
		.fd = memfd_create("test", MFD_CLOEXEC) };
	struct gpmm_host *host;

	CU_ASSERT_EQUAL_FATAL(ftruncate(options.fd, 64 * KIB), 0);
	host = make(options);
	CU_ASSERT_TRUE(has_flag(host, " dd"));
	CU_ASSERT_EQUAL(gpmm_host_discard(host, 4096, 4096), 0);
	CU_ASSERT_TRUE(has_flag_at((char *)gpmm_host_addr(host) + 4096,
				   " dd"));
	gpmm_host_put(host);
	close(options.fd);
}

/* In a process that may lock @limit bytes, and is not root. */
static int lock_too_much(rlim_t limit)
{
	struct gpmm_host_options options = { .size = MIB,
					     .flags = GPMM_HOST_LOCK };
	struct gpmm_host *host = NULL;
	uint64_t before;

	if (!give_up(RLIMIT_MEMLOCK, limit))
		return CHILD_SKIPS;
	/* What the first call takes of libraries' memory is not counted. */
	if (create(options, &host) != -ENOMEM || host)
		return 1;
	before = address_space();
	if (create(options, &host) != -ENOMEM || host)
		return 2;
	return address_space() == before ? 0 : 3;
}

static void locking_more_than_allowed_is_an_error(void)
{
	static const rlim_t limits[] = { 0, 64 * KIB };

	if (!mlock_locks()) {
		printf("(no mlock here) ");
		return;
	}
	for (size_t i = 0; i < 2; i++)
		in_a_child(lock_too_much, limits[i]);
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
	CU_ASSERT_TRUE(is_bound(host));
	gpmm_host_put(host);
	options.numa = GPMM_NUMA_INTERLEAVE;
	host = make(options);
	CU_ASSERT_TRUE(mapping_has("/proc/self/numa_maps",
				   gpmm_host_addr(host), "", "interleave"));
	gpmm_host_put(host);
	options.numa = GPMM_NUMA_PREFERRED;
	host = make(options);
	CU_ASSERT_TRUE(mapping_has("/proc/self/numa_maps",
				   gpmm_host_addr(host), "", "prefer"));
	gpmm_host_put(host);
	options.numa_nodes = 3;
	CU_ASSERT_EQUAL(create(options, &host), -EINVAL);
	options.numa_nodes = 0;
	CU_ASSERT_EQUAL(create(options, &host), -EINVAL);
	options.numa = GPMM_NUMA_INTERLEAVE;
	options.numa_nodes = UINT64_C(1) << 63;
	CU_ASSERT_EQUAL(create(options, &host), -EINVAL);
	options.numa_nodes = 0;
	CU_ASSERT_EQUAL(create(options, &host), -EINVAL);
	options.numa = GPMM_NUMA_DEFAULT;
	options.numa_nodes = 1;
	CU_ASSERT_EQUAL(create(options, &host), -EINVAL);
}

/* Where the system has no policy to bind with it is an error as well. */
static void a_file_is_bound_or_refused(void)
{
	struct gpmm_host_options options = {
		.kind = GPMM_HOST_FILE, .size = 64 * KIB,
		.fd = memfd_create("test", MFD_CLOEXEC),
		.numa = GPMM_NUMA_BIND, .numa_nodes = 1 };
	struct gpmm_host *host;
	struct statfs fs;
	int ret;

	CU_ASSERT_EQUAL_FATAL(ftruncate(options.fd, 64 * KIB), 0);
	ret = create(options, &host);
	close(options.fd);
	if (ret == -ENOSYS || ret == -EPERM) {
		printf("(no mbind here) ");
		return;
	}
	CU_ASSERT_EQUAL_FATAL(ret, 0);
	CU_ASSERT_TRUE(is_bound(host));
	gpmm_host_put(host);
	options.fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (options.fd < 0 || fstatfs(options.fd, &fs) ||
	    fs.f_type == TMPFS_MAGIC) {
		printf("(no other file system here) ");
		return;
	}
	CU_ASSERT_EQUAL_FATAL(ftruncate(options.fd, 64 * KIB), 0);
	CU_ASSERT_EQUAL(create(options, &host), -EOPNOTSUPP);
	CU_ASSERT_PTR_NULL(host);
	options.flags = GPMM_HOST_PRIVATE;
	host = make(options);
	CU_ASSERT_TRUE(is_bound(host));
	gpmm_host_put(host);
	close(options.fd);
}

/* Whether the kernel may write to a byte. */
static bool is_writable(void *addr)
{
	int pipes[2];
	bool writable;

	CU_ASSERT_EQUAL_FATAL(pipe(pipes), 0);
	CU_ASSERT_EQUAL(write(pipes[1], "", 1), 1);
	writable = read(pipes[0], addr, 1) == 1;
	close(pipes[0]);
	close(pipes[1]);
	return writable;
}

static void a_file_may_be_for_reading_only(void)
{
	struct gpmm_host_options options = {
		.kind = GPMM_HOST_FILE, .size = 64 * KIB,
		.fd = memfd_create("test", MFD_CLOEXEC),
		.flags = GPMM_HOST_READONLY, .prealloc_threads = 1 };
	struct gpmm_host *host;
	struct gpmm_host_stats stats;

	CU_ASSERT_EQUAL_FATAL(ftruncate(options.fd, 64 * KIB), 0);
	host = make(options);
	gpmm_host_get_stats(host, &stats);
	CU_ASSERT_EQUAL(stats.resident, 64 * KIB);
	CU_ASSERT_TRUE(is_readable(gpmm_host_addr(host)));
	CU_ASSERT_FALSE(is_writable(gpmm_host_addr(host)));
	gpmm_host_put(host);
	close(options.fd);
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
	sigset_t blocked;

	for (size_t i = 0; i < 4; i++) {
		struct seen seen = { 0 };
		struct gpmm_host_stats stats;
		struct gpmm_host *host = make((struct gpmm_host_options){
			.kind = kinds[i % 2], .size = 36 * MIB,
			.prealloc_threads = i < 2 ? 1 : 3,
			.progress = note_progress, .progress_arg = &seen });

		gpmm_host_get_stats(host, &stats);
		CU_ASSERT_EQUAL(stats.resident, 36 * MIB);
		CU_ASSERT_EQUAL(seen.last, 36 * MIB);
		CU_ASSERT_EQUAL(seen.calls, 3);
		gpmm_host_put(host);
	}
	/* Signals were kept from the helpers, and from nobody else since. */
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	CU_ASSERT_FALSE(sigismember(&blocked, SIGTERM));
}

/* No thread goes on, nothing stays mapped or open. */
static void prealloc_can_be_given_up(void)
{
	int threads = count_entries("/proc/self/task");
	int files = count_entries("/proc/self/fd");
	uint64_t before = 0;

	for (int i = 0; i < 4; i++) {
		struct seen seen = { .give_up_at = 1 };
		struct gpmm_host_options options = {
			.kind = i & 1 ? GPMM_HOST_MEMFD : GPMM_HOST_ANON,
			.size = 256 * MIB, .prealloc_threads = 2,
			.progress = note_progress, .progress_arg = &seen };
		struct gpmm_host *host;

		CU_ASSERT_EQUAL(create(options, &host), -ECANCELED);
		CU_ASSERT_PTR_NULL(host);
		CU_ASSERT_EQUAL(seen.calls, 1);
		/* Stacks of threads are kept from the first time on. */
		if (i == 1)
			before = address_space();
	}
	CU_ASSERT_EQUAL(count_entries("/proc/self/task"), threads);
	CU_ASSERT_EQUAL(count_entries("/proc/self/fd"), files);
	CU_ASSERT_TRUE(address_space() < before + 64 * MIB / 4096);
}

static void growth_can_be_given_up(void)
{
	struct seen seen = { .give_up_at = 2 };
	struct gpmm_host *host = make((struct gpmm_host_options){
		.kind = GPMM_HOST_MEMFD, .size = MIB, .reserve = 128 * MIB,
		.prealloc_threads = 2, .progress = note_progress,
		.progress_arg = &seen });
	char *addr = gpmm_host_addr(host);
	struct stat st;

	addr[0] = 1;
	CU_ASSERT_EQUAL(gpmm_host_grow(host, 129 * MIB), -ECANCELED);
	CU_ASSERT_EQUAL(seen.calls, 2);
	CU_ASSERT_EQUAL(gpmm_host_size(host), MIB);
	CU_ASSERT_FALSE(is_readable(addr + MIB));
	CU_ASSERT_EQUAL(fstat(gpmm_host_fd(host), &st), 0);
	CU_ASSERT_EQUAL(st.st_blocks * UINT64_C(512), MIB);
	seen.last = MIB;
	CU_ASSERT_EQUAL(gpmm_host_grow(host, 2 * MIB), 0);
	CU_ASSERT_EQUAL(addr[0], 1);
	CU_ASSERT_EQUAL(addr[2 * MIB - 1], 0);
	gpmm_host_put(host);
}

/* In a process that may start @limit threads, none. */
static int prealloc_alone(rlim_t limit)
{
	struct seen seen = { 0 };
	struct gpmm_host_options options = {
		.size = 36 * MIB, .prealloc_threads = 3,
		.progress = note_progress, .progress_arg = &seen };
	struct gpmm_host *host = NULL;

	if (!give_up(RLIMIT_NPROC, limit))
		return CHILD_SKIPS;
	if (create(options, &host))
		return 1;
	gpmm_host_put(host);
	return seen.last == 36 * MIB && seen.calls == 3 ? 0 : 2;
}

static void prealloc_does_without_threads(void)
{
	in_a_child(prealloc_alone, 0);
}

static void huge_pages_of_a_file_can_be_congruent(void)
{
	struct gpmm_host *host = make((struct gpmm_host_options){
		.kind = GPMM_HOST_MEMFD, .size = 4 * MIB, .reserve = 2 * MIB,
		.gpa = 0x1ff000, .flags = GPMM_HOST_THP });
	char *addr = gpmm_host_addr(host), byte = 9;
	uint64_t offset = gpmm_host_offset(host);

	CU_ASSERT_EQUAL((uintptr_t)addr % (2 * MIB), 0x1ff000);
	CU_ASSERT_EQUAL(offset % (2 * MIB), 0x1ff000);
	CU_ASSERT_EQUAL(gpmm_host_grow(host, 6 * MIB), 0);
	addr[6 * MIB - 1] = 5;
	CU_ASSERT_EQUAL(pread(gpmm_host_fd(host), &byte, 1,
			      (off_t)(offset + 6 * MIB - 1)), 1);
	CU_ASSERT_EQUAL(byte, 5);
	CU_ASSERT_EQUAL(gpmm_host_discard(host, 6 * MIB - 4096, 4096), 0);
	CU_ASSERT_EQUAL(addr[6 * MIB - 1], 0);
	gpmm_host_put(host);
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
		struct gpmm_host_stats stats;

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
		CU_ASSERT_TRUE(has_flag(host, " dd"));
		CU_ASSERT_EQUAL(gpmm_host_grow(host, 4 * MIB), 0);
		CU_ASSERT_TRUE(has_flag(host, " dd"));
		gpmm_host_get_stats(host, &stats);
		CU_ASSERT_EQUAL(stats.mapped, 4 * MIB);
		CU_ASSERT_TRUE(stats.resident && stats.resident < 4 * MIB);
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
		{ .kind = GPMM_HOST_FILE, .flags = GPMM_HOST_KSM },
		{ .kind = GPMM_HOST_USER, .user = memory,
		  .flags = GPMM_HOST_LOCK },
		{ .kind = GPMM_HOST_USER, .user = memory,
		  .prealloc_threads = 1 },
		{ .kind = GPMM_HOST_USER, .user = memory, .reserve = 4096 },
		{ .kind = GPMM_HOST_FILE, .reserve = 4096 },
		{ .kind = GPMM_HOST_MEMFD, .offset = 4096 },
		{ .kind = GPMM_HOST_USER, .user = memory, .offset = 4096 },
		{ .user = memory },
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

/* ----------------------------------------------------------- huge pages --- */

static uint64_t pool_figure(uint64_t page, const char *name)
{
	uint64_t pages = 0;
	char path[128];
	FILE *in;

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%"
		 PRIu64 "kB/%s", page / KIB, name);
	in = fopen(path, "r");
	if (in && fscanf(in, "%" SCNu64, &pages) != 1)
		pages = 0;
	if (in)
		fclose(in);
	return pages;
}

static uint64_t free_pages(uint64_t page)
{
	return pool_figure(page, "free_hugepages");
}

/* The pool is everybody's: who changes it or counts it locks it. */
static int lock_pool(uint64_t page)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%"
		 PRIu64 "kB/nr_hugepages", page / KIB);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		flock(fd, LOCK_EX);
	return fd;
}

static void resize_pool(int fd, uint64_t pages)
{
	char text[32];
	int size = snprintf(text, sizeof(text), "%" PRIu64, pages);

	/* Where it is refused the pages are missed afterwards. */
	if (pwrite(fd, text, (size_t)size, 0) != size)
		return;
}

static void note_log(void *arg, enum gpmm_log_level level, const char *message)
{
	if (level == GPMM_LOG_WARNING && strstr(message, "huge pages"))
		(*(int *)arg)++;
}

static void an_empty_pool_is_an_error_at_once(void)
{
	struct gpmm_host_options options = {
		.kind = GPMM_HOST_HUGETLB,
	};
	struct gpmm_host *host;
	int pool = lock_pool(2 * MIB), logged = 0, ret;
	uint64_t before;

	options.size = (free_pages(2 * MIB) + 1000) * 2 * MIB;
	gpmm_log_set(note_log, &logged);
	ret = create(options, &host);
	gpmm_log_set(NULL, NULL);
	if (ret == -EOPNOTSUPP) {
		printf("(no hugetlb here) ");
		close(pool);
		return;
	}
	CU_ASSERT_EQUAL(ret, -ENOMEM);
	CU_ASSERT_PTR_NULL(host);
	CU_ASSERT_EQUAL(logged, 1);
	options.flags = GPMM_HOST_NORESERVE;
	CU_ASSERT_EQUAL(create(options, &host), 0);
	gpmm_host_put(host);
	options.prealloc_threads = 2;
	before = free_pages(2 * MIB);
	CU_ASSERT_EQUAL(create(options, &host), -ENOMEM);
	CU_ASSERT_EQUAL(free_pages(2 * MIB), before);
	options.prealloc_threads = 0;
	options.size = 2 * MIB + 4096;
	CU_ASSERT_EQUAL(create(options, &host), -EINVAL);
	options.size = 2 * MIB;
	options.page_size = 3 * MIB;
	CU_ASSERT_EQUAL(create(options, &host), -EINVAL);
	options.page_size = 64 * KIB;
	CU_ASSERT_EQUAL(create(options, &host), -EOPNOTSUPP);
	close(pool);
}

/* Clearing a page of 1 GiB takes a second: one must do. */
static void use_huge_pages(uint64_t page, uint64_t count)
{
	struct gpmm_host_options options = {
		.kind = GPMM_HOST_HUGETLB, .size = count * page,
		.gpa = 5 * page, .page_size = page == 2 * MIB ? 0 : page,
		.flags = GPMM_HOST_GUARD | GPMM_HOST_NODUMP,
		.prealloc_threads = 1 };
	uint64_t before = free_pages(page), last = options.size - page;
	struct gpmm_host *host = make(options);
	struct gpmm_host_stats stats;
	char *addr = gpmm_host_addr(host);

	CU_ASSERT_EQUAL(gpmm_host_page_size(host), page);
	CU_ASSERT_EQUAL(((uintptr_t)addr - options.gpa) % page, 0);
	CU_ASSERT_EQUAL(free_pages(page), before - count);
	CU_ASSERT_TRUE(has_flag(host, " dd"));
	CU_ASSERT_TRUE(has_flag(host, " ht"));
	CU_ASSERT_FALSE(is_readable(addr - 1));
	CU_ASSERT_FALSE(is_readable(addr + options.size));
	addr[0] = addr[last + page - 1] = 1;
	gpmm_host_get_stats(host, &stats);
	CU_ASSERT_EQUAL(stats.resident, count * page);
	CU_ASSERT_EQUAL(gpmm_host_discard(host, last + 4096, 4096), -EINVAL);
	CU_ASSERT_EQUAL(gpmm_host_discard(host, last, page), 0);
	gpmm_host_get_stats(host, &stats);
	CU_ASSERT_EQUAL(stats.resident, last);
	if (last) {
		CU_ASSERT_EQUAL(addr[0], 1);
		CU_ASSERT_EQUAL(addr[last + page - 1], 0);
	}
	gpmm_host_put(host);
	CU_ASSERT_EQUAL(free_pages(page), before);
}

static uint64_t reserved_pages(uint64_t page)
{
	return pool_figure(page, "resv_hugepages");
}

/* Set aside as they are mapped, unless asked not to; bound ones are taken. */
static void reserve_huge_pages(uint64_t page)
{
	struct gpmm_host_options options = { .kind = GPMM_HOST_HUGETLB,
		.size = page, .page_size = page };
	uint64_t set_aside = reserved_pages(page), unused = free_pages(page);
	struct gpmm_host *host = make(options);

	CU_ASSERT_EQUAL(reserved_pages(page), set_aside + 1);
	CU_ASSERT_EQUAL(free_pages(page), unused);
	gpmm_host_put(host);
	CU_ASSERT_EQUAL(reserved_pages(page), set_aside);
	options.numa = GPMM_NUMA_BIND;
	options.numa_nodes = 1;
	if (!create(options, &host)) {
		CU_ASSERT_EQUAL(free_pages(page), unused - 1);
		gpmm_host_put(host);
	}
	options.flags = GPMM_HOST_NORESERVE;
	if (!create(options, &host)) {
		CU_ASSERT_EQUAL(free_pages(page), unused);
		CU_ASSERT_EQUAL(reserved_pages(page), set_aside);
		gpmm_host_put(host);
	}
}

/* All that grows is set aside at once as well, or refused. */
static void grow_by_huge_pages(uint64_t page)
{
	struct gpmm_host *host = make((struct gpmm_host_options){
		.kind = GPMM_HOST_HUGETLB, .size = page, .page_size = page,
		.reserve = (free_pages(page) + 1) * page });
	uint64_t most = page + (free_pages(page) + 1) * page;

	CU_ASSERT_EQUAL(gpmm_host_grow(host, most), -ENOMEM);
	CU_ASSERT_EQUAL(gpmm_host_size(host), page);
	CU_ASSERT_EQUAL(gpmm_host_grow(host, 2 * page), 0);
	CU_ASSERT_EQUAL(gpmm_host_size(host), 2 * page);
	gpmm_host_put(host);
}

/* A file of huge pages, mapped privately: it keeps what it has. */
static void discard_of_a_huge_file(void)
{
	struct gpmm_host_options options = { .kind = GPMM_HOST_FILE,
		.size = 2 * MIB, .flags = GPMM_HOST_PRIVATE,
		.fd = memfd_create("test", MFD_HUGETLB | MFD_CLOEXEC) };
	struct gpmm_host *host;
	char *shared, *addr;

	CU_ASSERT_EQUAL_FATAL(ftruncate(options.fd, 2 * MIB), 0);
	shared = mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED,
		      options.fd, 0);
	CU_ASSERT_PTR_NOT_EQUAL_FATAL(shared, MAP_FAILED);
	shared[5] = 'f';
	host = make(options);
	addr = gpmm_host_addr(host);
	CU_ASSERT_EQUAL(gpmm_host_page_size(host), 2 * MIB);
	CU_ASSERT_EQUAL(addr[5], 'f');
	addr[5] = 'p';
	CU_ASSERT_EQUAL(gpmm_host_discard(host, 0, 4096), -EINVAL);
	CU_ASSERT_EQUAL(gpmm_host_discard(host, 0, 2 * MIB), 0);
	CU_ASSERT_EQUAL(addr[5], 0);
	addr[5] = 'n';
	CU_ASSERT_EQUAL(gpmm_host_discard(host, 0, 2 * MIB), 0);
	CU_ASSERT_EQUAL(addr[5], 0);
	CU_ASSERT_EQUAL(shared[5], 'f');
	gpmm_host_put(host);
	munmap(shared, 2 * MIB);
	close(options.fd);
}

/* Host addresses could not agree with such guest addresses. */
static void refuse_a_huge_file_beside(uint64_t page)
{
	struct gpmm_host_options options = { .kind = GPMM_HOST_FILE,
		.size = page, .gpa = page + 4096,
		.fd = memfd_create("test", MFD_HUGETLB | MFD_CLOEXEC |
				   (unsigned int)__builtin_ctzll(page) <<
				   MAP_HUGE_SHIFT) };
	struct gpmm_host *host;

	CU_ASSERT_EQUAL(ftruncate(options.fd, (off_t)page), 0);
	CU_ASSERT_EQUAL(create(options, &host), -EINVAL);
	close(options.fd);
}

/* Needs no page of the pool: that comes with the first access. */
static void lay_out_huge_pages(uint64_t page)
{
	struct gpmm_host_options options = { .kind = GPMM_HOST_HUGETLB,
		.size = 2 * page, .page_size = page, .gpa = 3 * page,
		.flags = GPMM_HOST_NORESERVE };
	struct gpmm_host *host;
	char size[32];

	if (create(options, &host) == -EOPNOTSUPP) {
		printf("(no pool of %" PRIu64 " MiB here) ", page / MIB);
		return;
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(host);
	refuse_a_huge_file_beside(page);
	snprintf(size, sizeof(size), " %" PRIu64 " kB", page / KIB);
	CU_ASSERT_TRUE(mapping_has("/proc/self/smaps", gpmm_host_addr(host),
				   "KernelPageSize:", size));
	CU_ASSERT_EQUAL((uintptr_t)gpmm_host_addr(host) % page, 0);
	CU_ASSERT_EQUAL(gpmm_host_page_size(host), page);
	gpmm_host_put(host);
	options.gpa += page / 2;
	CU_ASSERT_EQUAL(create(options, &host), -EINVAL);
	options.gpa = 0;
	options.size += page / 2;
	CU_ASSERT_EQUAL(create(options, &host), -EINVAL);
}

/* A pool that was enlarged; given back though a test ends early. */
static struct {
	int fd;
	uint64_t pages;
} lent = { .fd = -1 };

static void give_back(void)
{
	if (lent.fd < 0)
		return;
	resize_pool(lent.fd, lent.pages);
	close(lent.fd);
	lent.fd = -1;
}

/* Pages of a size, added to the pool for as long as it takes. */
static void huge_pages_of(uint64_t page)
{
	int fd = lock_pool(page);
	uint64_t there = pool_figure(page, "nr_hugepages");
	uint64_t spare = free_pages(page);

	lay_out_huge_pages(page);
	if (fd >= 0 && spare < 2) {
		lent.fd = fd;
		lent.pages = there;
		resize_pool(fd, there + 2 - spare);
	}
	if (free_pages(page) < 2) {
		printf("(no huge pages of %" PRIu64 " MiB here) ", page / MIB);
	} else {
		use_huge_pages(page, page == GIB ? 1 : 2);
		reserve_huge_pages(page);
		grow_by_huge_pages(page);
		if (page == 2 * MIB)
			discard_of_a_huge_file();
	}
	if (lent.fd < 0)
		close(fd);
	give_back();
}

static void huge_pages_of_2m_back_the_memory(void)
{
	huge_pages_of(2 * MIB);
}

static void huge_pages_of_1g_back_the_memory(void)
{
	huge_pages_of(GIB);
}

int main(void)
{
	CU_pSuite suite;
	unsigned int failures;

	CU_initialize_registry();
	suite = CU_add_suite("host options", NULL, NULL);
	CU_ADD_TEST(suite, addresses_are_congruent_with_the_guests);
	CU_ADD_TEST(suite, guard_pages_stand_on_both_sides);
	CU_ADD_TEST(suite, all_address_space_is_given_back);
	CU_ADD_TEST(suite, advice_reaches_the_kernel);
	CU_ADD_TEST(suite, advice_holds_for_what_a_discard_puts_there);
	CU_ADD_TEST(suite, locking_more_than_allowed_is_an_error);
	CU_ADD_TEST(suite, a_numa_binding_holds_or_is_an_error);
	CU_ADD_TEST(suite, prealloc_makes_all_resident_and_tells);
	CU_ADD_TEST(suite, a_file_is_bound_or_refused);
	CU_ADD_TEST(suite, a_file_may_be_for_reading_only);
	CU_ADD_TEST(suite, prealloc_can_be_given_up);
	CU_ADD_TEST(suite, growth_can_be_given_up);
	CU_ADD_TEST(suite, prealloc_does_without_threads);
	CU_ADD_TEST(suite, huge_pages_of_a_file_can_be_congruent);
	CU_ADD_TEST(suite, memory_grows_in_place_within_its_reserve);
	CU_ADD_TEST(suite, what_a_kind_cannot_do_is_refused);
	CU_ADD_TEST(suite, an_empty_pool_is_an_error_at_once);
	CU_ADD_TEST(suite, huge_pages_of_2m_back_the_memory);
	CU_ADD_TEST(suite, huge_pages_of_1g_back_the_memory);
	CU_basic_run_tests();
	give_back();
	failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures != 0;
}
