/* SPDX-License-Identifier: BSD-3-Clause */
/* Translations: what they give, and that a kept one notices every change. */
#include "config.h"

#include <errno.h>
#include <pthread.h>

#include "helpers/guest_fixture.h"

#define BASE UINT64_C(0x200000)

static void a_run_ends_with_its_area(void)
{
	struct gpmm_run run = { 0 };
	struct world world;
	char *low, *high;

	world_make(&world, 0);
	low = world_ram(&world, BASE, 4 * PAGE, GPMM_RW);
	high = world_ram(&world, BASE + 4 * PAGE, PAGE, GPMM_READ);
	gpmm_read_lock();
	CU_ASSERT_EQUAL(gpmm_translate(&world.guest, BASE + PAGE + 5,
				       GPMM_READ, &run), 0);
	CU_ASSERT_PTR_EQUAL(run.hva, low + PAGE + 5);
	CU_ASSERT_EQUAL(run.size, 3 * PAGE - 5);
	CU_ASSERT_EQUAL(run.flags & GPMM_RW, GPMM_RW);
	CU_ASSERT_EQUAL(gpmm_translate(&world.guest, BASE + 5 * PAGE - 1,
				       GPMM_READ, &run), 0);
	CU_ASSERT_PTR_EQUAL(run.hva, high + PAGE - 1);
	CU_ASSERT_EQUAL(run.size, 1);
	CU_ASSERT_EQUAL(gpmm_translate(&world.guest, BASE + 4 * PAGE,
				       GPMM_RW, &run), -EACCES);
	CU_ASSERT_EQUAL(gpmm_translate(&world.guest, BASE - 1, GPMM_READ,
				       &run), -ENXIO);
	CU_ASSERT_EQUAL(run.size, 1);
	gpmm_read_unlock();
	world_end(&world);
}

static void a_host_address_leads_back(void)
{
	struct world world;
	gpmm_gpa_t gpa = 1;
	char *hva;

	world_make(&world, 0);
	/* A hole kept reserved, as large as the process, has no memory. */
	CU_ASSERT_EQUAL(gpmm_set_map(world.set, &(struct gpmm_area){
			.start = UINT64_C(1) << 40,
			.size = UINT64_C(1) << 48 }, 0), 0);
	world_ram(&world, BASE, 4 * PAGE, GPMM_RW);
	hva = world_ram(&world, BASE + 8 * PAGE, 4 * PAGE, GPMM_RW);
	CU_ASSERT_EQUAL(gpmm_set_unmap(world.set, BASE + 9 * PAGE, PAGE), 0);
	CU_ASSERT_EQUAL(gpmm_translate_hva(&world.guest, hva + 77, &gpa), 0);
	CU_ASSERT_EQUAL(gpa, BASE + 8 * PAGE + 77);
	CU_ASSERT_EQUAL(gpmm_translate_hva(&world.guest, hva + 4 * PAGE - 1,
					   &gpa), 0);
	CU_ASSERT_EQUAL(gpa, BASE + 12 * PAGE - 1);
	CU_ASSERT_EQUAL(gpmm_translate_hva(&world.guest, hva + PAGE, &gpa),
			-ENXIO);
	CU_ASSERT_EQUAL(gpmm_translate_hva(&world.guest, &world, &gpa),
			-ENXIO);
	world_end(&world);
}

static void of_several_guest_addresses_the_lowest_is_told(void)
{
	struct gpmm_area again = { .start = BASE, .size = PAGE,
				   .flags = GPMM_READ };
	struct gpmm_area found;
	struct world world;
	gpmm_gpa_t gpa = 1;
	char *hva;

	world_make(&world, 0);
	hva = world_ram(&world, BASE + 8 * PAGE, 4 * PAGE, GPMM_RW);
	gpmm_read_lock();
	CU_ASSERT_TRUE(gpmm_set_find_rcu(world.set, BASE + 8 * PAGE, &found));
	again.host = gpmm_host_get(found.host);
	gpmm_read_unlock();
	again.hva = hva + PAGE;
	CU_ASSERT_EQUAL(gpmm_set_map(world.set, &again, 0), 0);
	gpmm_host_put(again.host);
	CU_ASSERT_EQUAL(gpmm_translate_hva(&world.guest, hva + PAGE + 3, &gpa),
			0);
	CU_ASSERT_EQUAL(gpa, BASE + 3);
	CU_ASSERT_EQUAL(gpmm_translate_hva(&world.guest, hva + 2 * PAGE, &gpa),
			0);
	CU_ASSERT_EQUAL(gpa, BASE + 10 * PAGE);
	world_end(&world);
}

static void *cached(struct gpmm_cache *cache, gpmm_gpa_t gpa, uint64_t size)
{
	void *hva;

	gpmm_read_lock();
	hva = gpmm_cached(cache, gpa, size);
	gpmm_read_unlock();
	return hva;
}

static void a_cache_follows_every_change(void)
{
	struct world world;
	struct gpmm_cache cache = { .guest = &world.guest,
				    .access = GPMM_RW };
	uint32_t read_only = GPMM_READ | GPMM_NOMERGE;
	char *first, *second;

	world_make(&world, 0);
	CU_ASSERT_PTR_NULL(cached(&cache, BASE, 8));
	first = world_ram(&world, BASE, 4 * PAGE, GPMM_RW);
	CU_ASSERT_PTR_EQUAL(cached(&cache, BASE + 8, 8), first + 8);
	CU_ASSERT_PTR_EQUAL(cached(&cache, BASE + 4 * PAGE - 8, 8),
			    first + 4 * PAGE - 8);
	CU_ASSERT_PTR_NULL(cached(&cache, BASE + 4 * PAGE - 8, 9));
	cache.size = 0;
	CU_ASSERT_PTR_EQUAL(cached(&cache, BASE + 4 * PAGE - 8, 8),
			    first + 4 * PAGE - 8);
	CU_ASSERT_PTR_NULL(cached(&cache, BASE + 4 * PAGE, 1));
	CU_ASSERT_PTR_NULL(cached(&cache, BASE, UINT64_MAX));
	CU_ASSERT_PTR_NULL(cached(&cache, BASE, 0));
	CU_ASSERT_PTR_NULL(cached(&cache, BASE - 1, 2));
	CU_ASSERT_EQUAL(gpmm_set_protect(world.set, BASE, PAGE,
					 gpmm_protect_to, &read_only), 0);
	CU_ASSERT_PTR_NULL(cached(&cache, BASE, 1));
	CU_ASSERT_PTR_EQUAL(cached(&cache, BASE + PAGE, 1), first + PAGE);
	CU_ASSERT_EQUAL(gpmm_set_unmap(world.set, BASE, 4 * PAGE), 0);
	CU_ASSERT_PTR_NULL(cached(&cache, BASE + PAGE, 1));
	CU_ASSERT_PTR_NULL(cached(&cache, BASE + PAGE, 1));
	second = world_ram(&world, BASE, 4 * PAGE, GPMM_RW);
	CU_ASSERT_PTR_EQUAL(cached(&cache, BASE + PAGE, 1), second + PAGE);
	world_end(&world);
}

/* Two sets of bytes by turns; a stale pointer would read the other's. */
struct swap {
	struct world world;
	int stop;
};

static void *swap_memory(void *arg)
{
	struct swap *swap = arg;

	for (unsigned char n = 0;
	     !__atomic_load_n(&swap->stop, __ATOMIC_RELAXED); n++) {
		struct gpmm_host_options options = { .size = PAGE };
		struct gpmm_area area = { .start = BASE, .size = PAGE,
					  .flags = GPMM_RW };

		if (gpmm_host_create(&options, &area.host))
			continue;
		area.hva = gpmm_host_addr(area.host);
		memset(area.hva, n | 1, PAGE);
		gpmm_set_map(swap->world.set, &area, GPMM_MAP_REPLACE);
		gpmm_host_put(area.host);
	}
	return NULL;
}

static void a_cached_pointer_lives_as_long_as_its_section(void)
{
	struct swap swap = { .stop = 0 };
	struct gpmm_cache cache = { .guest = &swap.world.guest,
				    .access = GPMM_RW };
	uint64_t refills = 0, last = 0;
	pthread_t thread;
	int wrong = 0;

	world_make(&swap.world, 0);
	memset(world_ram(&swap.world, BASE, PAGE, GPMM_RW), 1, PAGE);
	pthread_create(&thread, NULL, swap_memory, &swap);
	for (int i = 0; i < 20000 || refills < 100; i++) {
		volatile unsigned char *byte;

		gpmm_read_lock();
		byte = gpmm_cached(&cache, BASE + 64, 8);
		wrong += !byte || byte[0] != byte[7] || !byte[0];
		gpmm_read_unlock();
		refills += cache.generation != last;
		last = cache.generation;
	}
	__atomic_store_n(&swap.stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(wrong, 0);
	world_end(&swap.world);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		TEST(a_run_ends_with_its_area),
		TEST(a_host_address_leads_back),
		TEST(of_several_guest_addresses_the_lowest_is_told),
		TEST(a_cache_follows_every_change),
		TEST(a_cached_pointer_lives_as_long_as_its_section),
		CU_TEST_INFO_NULL,
	};

	return run_suite("translation", tests);
}
