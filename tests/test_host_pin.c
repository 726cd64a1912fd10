/* SPDX-License-Identifier: BSD-3-Clause */
/* Pins: they keep the memory and no more; the last one lets it go. */
#include "config.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/Basic.h>

#include <gpmm/host.h>
#include <gpmm/pin.h>

#include "util/alloc.h"

#define SIZE UINT64_C(0x10000)
#define START UINT64_C(0x40000000)

static void count_release(void *arg, void *addr, uint64_t size)
{
	(void)addr;
	(void)size;
	__atomic_fetch_add((int *)arg, 1, __ATOMIC_SEQ_CST);
}

static struct gpmm_area make(int *released)
{
	struct gpmm_host_options options = { .size = SIZE,
		.release = count_release, .release_arg = released };
	struct gpmm_area area = { .start = START, .size = SIZE };

	CU_ASSERT_EQUAL_FATAL(gpmm_host_create(&options, &area.host), 0);
	area.hva = gpmm_host_addr(area.host);
	return area;
}

static struct gpmm_holder *hold(const char *label)
{
	struct gpmm_holder *holder = NULL;

	CU_ASSERT_EQUAL_FATAL(gpmm_holder_create(label, &holder), 0);
	return holder;
}

static void memory_goes_with_the_last_pin(void)
{
	struct gpmm_holder *a = hold("a"), *b = hold("b");
	struct gpmm_pin pin[3];
	int released = 0;
	struct gpmm_area area = make(&released);

	CU_ASSERT_EQUAL(gpmm_pin_area(a, &area, START, SIZE, &pin[0]), 0);
	CU_ASSERT_EQUAL(gpmm_pin_area(a, &area, START + 5, 3, &pin[1]), 0);
	CU_ASSERT_EQUAL(gpmm_pin_area(b, &area, START + SIZE - 1, 1, &pin[2]),
			0);
	CU_ASSERT_PTR_EQUAL(pin[1].addr, (char *)area.hva + 5);
	CU_ASSERT_EQUAL(pin[1].size, 3);
	gpmm_host_put(area.host);
	gpmm_unpin(&pin[0]);
	gpmm_unpin(&pin[2]);
	CU_ASSERT_EQUAL(released, 0);
	*(char *)pin[1].addr = 1;
	gpmm_unpin(&pin[1]);
	CU_ASSERT_EQUAL(released, 1);
	gpmm_holder_destroy(a);
	gpmm_holder_destroy(b);
}

static void memory_goes_at_once_without_pins(void)
{
	struct gpmm_holder *holder = hold("device");
	int first = 0, second = 0;
	struct gpmm_area a = make(&first), b = make(&second);
	struct gpmm_pin pin;

	CU_ASSERT_EQUAL(gpmm_pin_area(holder, &a, START, 1, &pin), 0);
	gpmm_host_put(b.host);
	CU_ASSERT_EQUAL(second, 1);
	gpmm_unpin(&pin);
	gpmm_host_put(a.host);
	CU_ASSERT_EQUAL(first, 1);
	gpmm_holder_destroy(holder);
}

static void hostile_ranges_pin_nothing(void)
{
	static const struct gpmm_range bad[] = {
		{ START, 0 }, { START, SIZE + 1 }, { START + SIZE, 1 },
		{ START - 1, 2 }, { START + 1, UINT64_MAX },
		{ START + 1, SIZE }, { 0, SIZE },
	};
	struct gpmm_holder *holder = hold("device");
	struct gpmm_area window = { .start = START, .size = SIZE };
	int released = 0;
	struct gpmm_area area = make(&released);
	struct gpmm_pin pin;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CU_ASSERT_EQUAL(gpmm_pin_area(holder, &area, bad[i].start,
					      bad[i].size, &pin), -EINVAL);
	CU_ASSERT_EQUAL(gpmm_pin_area(holder, &window, START, 1, &pin),
			-EINVAL);
	gpmm_host_put(area.host);
	CU_ASSERT_EQUAL(released, 1);
	gpmm_holder_destroy(holder);
}

static void a_holder_takes_any_number_of_pins(void)
{
	enum { COUNT = 1000 };
	struct gpmm_holder *holder = hold("many");
	struct gpmm_pin *pins = calloc(COUNT, sizeof(*pins));
	int released = 0;
	struct gpmm_area area = make(&released);
	int failed = 0;

	for (int i = 0; i < COUNT; i++)
		failed += gpmm_pin_area(holder, &area, START + i, 1,
					&pins[i]) != 0;
	gpmm_host_put(area.host);
	for (int i = 0; i < COUNT; i++) {
		failed += released;
		gpmm_unpin(&pins[(i * 7) % COUNT]);
	}
	CU_ASSERT_EQUAL(failed, 0);
	CU_ASSERT_EQUAL(released, 1);
	free(pins);
	gpmm_holder_destroy(holder);
}

static void a_failed_allocation_pins_nothing(void)
{
	struct gpmm_holder *holder = NULL;
	int released = 0;
	struct gpmm_area area = make(&released);
	struct gpmm_pin pin;

	gpmm__alloc_left = 0;
	CU_ASSERT_EQUAL(gpmm_holder_create("x", &holder), -ENOMEM);
	CU_ASSERT_PTR_NULL(holder);
	holder = hold("a label that is too long to be kept whole");
	gpmm__alloc_left = 0;
	CU_ASSERT_EQUAL(gpmm_pin_area(holder, &area, START, 1, &pin), -ENOMEM);
	gpmm_host_put(area.host);
	CU_ASSERT_EQUAL(released, 1);
	gpmm_holder_destroy(holder);
}

/* Whatever the order, none of them is looked into any more. */
static void holders_go_in_any_order(void)
{
	struct gpmm_holder *holder[3];
	int released = 0;
	struct gpmm_area area = make(&released);
	struct gpmm_pin pin;

	mallopt(M_PERTURB, 0x5a);
	for (int first = 0; first < 3; first++) {
		for (int i = 0; i < 3; i++) {
			holder[i] = hold("device");
			CU_ASSERT_EQUAL(gpmm_pin_area(holder[i], &area, START,
						      1, &pin), 0);
			gpmm_unpin(&pin);
		}
		for (int i = 0; i < 3; i++) {
			gpmm_holder_destroy(holder[(first + 3 - i) % 3]);
			CU_ASSERT_EQUAL(gpmm_host_discard(area.host, 0, SIZE),
					0);
		}
	}
	mallopt(M_PERTURB, 0);
	gpmm_host_put(area.host);
	CU_ASSERT_EQUAL(released, 1);
}

/* One thread pins and unpins; the other drops the last reference meanwhile. */
struct race {
	struct gpmm_area area;
	pthread_barrier_t barrier;
	int released;
	int too_early;
};

static void *pin_and_touch(void *arg)
{
	struct gpmm_holder *holder = hold("racer");
	struct race *race = arg;
	struct gpmm_pin pin;

	for (int i = 0; i < 2000; i++) {
		pthread_barrier_wait(&race->barrier);
		gpmm_pin_area(holder, &race->area, START, SIZE, &pin);
		pthread_barrier_wait(&race->barrier);
		*(volatile char *)pin.addr = 1;
		race->too_early += __atomic_load_n(&race->released,
						   __ATOMIC_SEQ_CST) != i;
		gpmm_unpin(&pin);
		pthread_barrier_wait(&race->barrier);
	}
	gpmm_holder_destroy(holder);
	return NULL;
}

static void put_and_unpin_race_to_one_release(void)
{
	struct race race = { 0 };
	pthread_t thread;
	int wrong = 0;

	pthread_barrier_init(&race.barrier, NULL, 2);
	pthread_create(&thread, NULL, pin_and_touch, &race);
	for (int i = 0; i < 2000; i++) {
		race.area = make(&race.released);
		pthread_barrier_wait(&race.barrier);
		pthread_barrier_wait(&race.barrier);
		gpmm_host_put(race.area.host);
		pthread_barrier_wait(&race.barrier);
		wrong += __atomic_load_n(&race.released,
					 __ATOMIC_SEQ_CST) != i + 1;
	}
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(race.too_early, 0);
	pthread_barrier_destroy(&race.barrier);
}

/* Pinned bytes never change under discarders that run flat out. */
struct fight {
	struct gpmm_area area;
	int stop;
	int refused, done;
};

static void *discard_all_day(void *arg)
{
	struct fight *fight = arg;

	while (!__atomic_load_n(&fight->stop, __ATOMIC_RELAXED)) {
		int *count = gpmm_host_discard(fight->area.host, 0, SIZE) ?
			     &fight->refused : &fight->done;

		__atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void pins_and_discards_take_turns(void)
{
	struct gpmm_holder *holder = hold("device");
	struct fight fight = { 0 };
	struct gpmm_pin pin;
	int released = 0, lost = 0;
	pthread_t threads[2];

	fight.area = make(&released);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, discard_all_day, &fight);
	while (__atomic_load_n(&fight.done, __ATOMIC_RELAXED) < 1000 ||
	       __atomic_load_n(&fight.refused, __ATOMIC_RELAXED) < 1000) {
		volatile char *byte;

		gpmm_pin_area(holder, &fight.area, START + 4096, 4096, &pin);
		byte = pin.addr;
		*byte = 'k';
		for (int j = 0; j < 20; j++)
			lost += *byte != 'k';
		gpmm_unpin(&pin);
	}
	__atomic_store_n(&fight.stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	CU_ASSERT_EQUAL(lost, 0);
	gpmm_host_put(fight.area.host);
	CU_ASSERT_EQUAL(released, 1);
	gpmm_holder_destroy(holder);
}

int main(void)
{
	CU_pSuite suite;
	unsigned int failures;

	CU_initialize_registry();
	suite = CU_add_suite("pins", NULL, NULL);
	CU_ADD_TEST(suite, memory_goes_with_the_last_pin);
	CU_ADD_TEST(suite, memory_goes_at_once_without_pins);
	CU_ADD_TEST(suite, hostile_ranges_pin_nothing);
	CU_ADD_TEST(suite, a_holder_takes_any_number_of_pins);
	CU_ADD_TEST(suite, a_failed_allocation_pins_nothing);
	CU_ADD_TEST(suite, holders_go_in_any_order);
	CU_ADD_TEST(suite, put_and_unpin_race_to_one_release);
	CU_ADD_TEST(suite, pins_and_discards_take_turns);
	CU_basic_run_tests();
	failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures != 0;
}
