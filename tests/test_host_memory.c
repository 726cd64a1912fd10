/* SPDX-License-Identifier: BSD-3-Clause */
/* Host memory of every kind: what it is, and when it goes. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <CUnit/Basic.h>

#include <gpmm/area.h>
#include <gpmm/host.h>

#include "util/alloc.h"

#define MIB (UINT64_C(1) << 20)

struct released {
	int calls;
	void *addr;
	uint64_t size;
};

static void note_release(void *arg, void *addr, uint64_t size)
{
	struct released *released = arg;

	released->calls++;
	released->addr = addr;
	released->size = size;
}

static bool is_mapped(void *addr)
{
	unsigned char resident;

	return !mincore(addr, 1, &resident);
}

static struct gpmm_host *make(enum gpmm_host_kind kind, uint64_t size)
{
	struct gpmm_host_options options = { .kind = kind, .size = size };
	struct gpmm_host *host = NULL;

	CU_ASSERT_EQUAL_FATAL(gpmm_host_create(&options, &host), 0);
	return host;
}

static void memory_is_zero_writable_and_2m_aligned(void)
{
	static const enum gpmm_host_kind kinds[] = { GPMM_HOST_ANON,
						     GPMM_HOST_MEMFD };

	for (size_t i = 0; i < 2; i++) {
		struct gpmm_host *host = make(kinds[i], 6 * MIB);
		char *addr = gpmm_host_addr(host);

		CU_ASSERT_EQUAL((uintptr_t)addr % (2 * MIB), 0);
		CU_ASSERT_EQUAL(gpmm_host_size(host), 6 * MIB);
		CU_ASSERT_EQUAL(gpmm_host_kind(host), kinds[i]);
		CU_ASSERT_EQUAL(addr[6 * MIB - 1], 0);
		memset(addr, 0x5a, 6 * MIB);
		CU_ASSERT_EQUAL(addr[6 * MIB - 1], 0x5a);
		gpmm_host_put(host);
		CU_ASSERT_FALSE(is_mapped(addr));
	}
}

static void memfd_is_the_mapped_memory_and_keeps_its_size(void)
{
	struct gpmm_host *host = make(GPMM_HOST_MEMFD, MIB);
	int fd = gpmm_host_fd(host);
	char byte = 0x77;

	CU_ASSERT_EQUAL(pwrite(fd, &byte, 1, MIB - 1), 1);
	CU_ASSERT_EQUAL(((char *)gpmm_host_addr(host))[MIB - 1], 0x77);
	CU_ASSERT_EQUAL(ftruncate(fd, MIB / 2), -1);
	CU_ASSERT_EQUAL(ftruncate(fd, 2 * MIB), -1);
	CU_ASSERT_EQUAL(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	CU_ASSERT_EQUAL(fcntl(fd, F_GET_SEALS),
			F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	CU_ASSERT_EQUAL(fcntl(fd, F_GETFD), FD_CLOEXEC);
	gpmm_host_put(host);
	CU_ASSERT_EQUAL(fcntl(fd, F_GETFD), -1);
}

static void anonymous_memory_has_no_file(void)
{
	struct gpmm_host *host = make(GPMM_HOST_ANON, MIB);

	CU_ASSERT_EQUAL(gpmm_host_fd(host), -1);
	gpmm_host_put(host);
}

static void user_memory_is_handed_back_by_the_last_put(void)
{
	static char memory[100];
	struct released released = { 0 };
	struct gpmm_host_options options = {
		.kind = GPMM_HOST_USER,
		.size = sizeof(memory),
		.user = memory,
		.release = note_release,
		.release_arg = &released,
	};
	struct gpmm_host *host;

	CU_ASSERT_EQUAL_FATAL(gpmm_host_create(&options, &host), 0);
	CU_ASSERT_PTR_EQUAL(gpmm_host_addr(host), memory);
	CU_ASSERT_PTR_EQUAL(gpmm_host_get(host), host);
	gpmm_host_put(host);
	CU_ASSERT_EQUAL(released.calls, 0);
	gpmm_host_put(host);
	CU_ASSERT_EQUAL(released.calls, 1);
	CU_ASSERT_PTR_EQUAL(released.addr, memory);
	CU_ASSERT_EQUAL(released.size, sizeof(memory));
	gpmm_host_put(NULL);
}

static void malformed_options_are_refused(void)
{
	static char memory[16];
	struct gpmm_host_options options = { .kind = GPMM_HOST_ANON };
	struct gpmm_host *host = NULL;

	CU_ASSERT_EQUAL(gpmm_host_create(&options, &host), -EINVAL);
	options.size = 4095;
	CU_ASSERT_EQUAL(gpmm_host_create(&options, &host), -EINVAL);
	options.size = -UINT64_C(4096);
	CU_ASSERT_EQUAL(gpmm_host_create(&options, &host), -EINVAL);
	options.size = INT64_MAX & -UINT64_C(4096);
	CU_ASSERT_EQUAL(gpmm_host_create(&options, &host), -ENOMEM);
	options.kind = GPMM_HOST_USER;
	options.size = 16;
	CU_ASSERT_EQUAL(gpmm_host_create(&options, &host), -EINVAL);
	options.user = memory;
	options.size = INT64_MAX;
	options.user = (void *)(UINTPTR_MAX - 100);
	CU_ASSERT_EQUAL(gpmm_host_create(&options, &host), -EINVAL);
	options.kind = 1000;
	CU_ASSERT_EQUAL(gpmm_host_create(&options, &host), -EOPNOTSUPP);
	CU_ASSERT_PTR_NULL(host);
}

static void a_pin_outlives_every_other_reference(void)
{
	struct gpmm_host *host = make(GPMM_HOST_ANON, MIB);
	struct gpmm_area area = { .size = MIB, .host = host,
				  .hva = gpmm_host_addr(host) };
	struct gpmm_area window = { .size = MIB };

	gpmm_area_pin(&area);
	gpmm_host_put(host);
	CU_ASSERT_TRUE(is_mapped(area.hva));
	gpmm_area_unpin(&area);
	CU_ASSERT_FALSE(is_mapped(area.hva));
	gpmm_area_pin(&window);
	gpmm_area_unpin(&window);
}

/* Of a size that no file may have, and one that no address space has. */
static void a_file_too_large_is_closed_again(void)
{
	struct gpmm_host_options options = {
		.kind = GPMM_HOST_MEMFD, .flags = GPMM_HOST_THP,
		.size = INT64_MAX & -UINT64_C(4096), .gpa = 0x100000 };
	struct gpmm_host *host = NULL;
	int before = dup(0), after;

	close(before);
	CU_ASSERT_EQUAL(gpmm_host_create(&options, &host), -EINVAL);
	options.gpa = 0;
	CU_ASSERT_NOT_EQUAL(gpmm_host_create(&options, &host), 0);
	CU_ASSERT_PTR_NULL(host);
	after = dup(0);
	CU_ASSERT_EQUAL(after, before);
	close(after);
}

static void *get_and_put(void *arg)
{
	for (int i = 0; i < 100000; i++) {
		gpmm_host_get(arg);
		gpmm_host_put(arg);
	}
	gpmm_host_put(arg);
	return NULL;
}

static void references_count_across_threads(void)
{
	struct released released = { 0 };
	struct gpmm_host_options options = {
		.kind = GPMM_HOST_ANON,
		.size = MIB,
		.release = note_release,
		.release_arg = &released,
	};
	struct gpmm_host *host;
	pthread_t threads[4];

	CU_ASSERT_EQUAL_FATAL(gpmm_host_create(&options, &host), 0);
	for (int i = 0; i < 4; i++) {
		gpmm_host_get(host);
		pthread_create(&threads[i], NULL, get_and_put, host);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	CU_ASSERT_EQUAL(released.calls, 0);
	gpmm_host_put(host);
	CU_ASSERT_EQUAL(released.calls, 1);
}

static void a_failed_allocation_leaves_nothing_behind(void)
{
	struct gpmm_host_options options = { .kind = GPMM_HOST_MEMFD,
					     .size = MIB };
	struct gpmm_host *host = NULL;
	int before = dup(0);
	int ret, n = 0;

	close(before);
	do {
		gpmm__alloc_left = n;
		ret = gpmm_host_create(&options, &host);
		if (ret)
			CU_ASSERT_EQUAL(ret, -ENOMEM);
	} while (ret && n++ < 10);
	gpmm__alloc_left = -1;
	CU_ASSERT_TRUE(n > 0 && n < 10);
	gpmm_host_put(host);
	n = dup(0);
	CU_ASSERT_EQUAL(n, before);
	close(n);
}

int main(void)
{
	CU_pSuite suite;
	unsigned int failures;

	CU_initialize_registry();
	suite = CU_add_suite("host memory", NULL, NULL);
	CU_ADD_TEST(suite, memory_is_zero_writable_and_2m_aligned);
	CU_ADD_TEST(suite, memfd_is_the_mapped_memory_and_keeps_its_size);
	CU_ADD_TEST(suite, anonymous_memory_has_no_file);
	CU_ADD_TEST(suite, user_memory_is_handed_back_by_the_last_put);
	CU_ADD_TEST(suite, malformed_options_are_refused);
	CU_ADD_TEST(suite, a_pin_outlives_every_other_reference);
	CU_ADD_TEST(suite, a_file_too_large_is_closed_again);
	CU_ADD_TEST(suite, references_count_across_threads);
	CU_ADD_TEST(suite, a_failed_allocation_leaves_nothing_behind);
	CU_basic_run_tests();
	failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures != 0;
}
