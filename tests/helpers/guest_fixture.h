/* SPDX-License-Identifier: BSD-3-Clause */
/* A set with memory in it, for the tests of guest access. */
#ifndef TESTS_GUEST_FIXTURE_H
#define TESTS_GUEST_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/Basic.h>

#include <gpmm/gpmm.h>

#define PAGE UINT64_C(4096)

/* What mark was told: the bytes, and whether pieces ascended without a gap. */
struct marks {
	uint64_t start, size;
	unsigned int calls;
	bool torn;
};

static inline void note_mark(void *arg, gpmm_gpa_t start, uint64_t size)
{
	struct marks *marks = arg;

	if (!marks->calls++)
		marks->start = start;
	else
		marks->torn |= start != marks->start + marks->size;
	marks->size += size;
}

struct world {
	struct gpmm_set *set;
	struct gpmm_guest guest;
	struct marks marks;
};

static inline void world_make(struct world *world, uint64_t granule)
{
	struct gpmm_set_options options = { .granule = granule };

	memset(world, 0, sizeof(*world));
	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&options, &world->set), 0);
	world->guest.set = world->set;
	world->guest.mark = note_mark;
	world->guest.mark_arg = &world->marks;
}

static inline void world_end(struct world *world)
{
	CU_ASSERT_EQUAL(gpmm_set_destroy(world->set), 0);
}

/* Map @host at @start; the set alone keeps a reference. */
static inline void world_map(struct world *world, gpmm_gpa_t start,
			     struct gpmm_host *host, uint32_t flags)
{
	struct gpmm_area area = {
		.start = start,
		.size = gpmm_host_size(host),
		.flags = flags,
		.host = host,
		.hva = gpmm_host_addr(host),
	};

	CU_ASSERT_EQUAL_FATAL(gpmm_set_map(world->set, &area, 0), 0);
	gpmm_host_put(host);
}

/* Map new memory; returns where. */
static inline char *world_ram(struct world *world, gpmm_gpa_t start,
			      uint64_t size, uint32_t flags)
{
	struct gpmm_host_options options = { .size = size,
					     .flags = GPMM_HOST_GUARD };
	struct gpmm_host *host = NULL;
	char *addr;

	CU_ASSERT_EQUAL_FATAL(gpmm_host_create(&options, &host), 0);
	addr = gpmm_host_addr(host);
	world_map(world, start, host, flags | GPMM_NOMERGE);
	return addr;
}

static inline int run_suite(const char *name, const CU_TestInfo *tests)
{
	CU_pSuite suite;
	unsigned int failures;

	gpmm_thread_register();
	CU_initialize_registry();
	suite = CU_add_suite(name, NULL, NULL);
	for (; tests->pName; tests++)
		CU_add_test(suite, tests->pName, tests->pTestFunc);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	gpmm_thread_unregister();
	return failures != 0;
}

#define TEST(function) { #function, function }

#endif
