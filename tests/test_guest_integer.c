/* SPDX-License-Identifier: BSD-3-Clause */
/* Integers in guest memory: their bytes, their atomicity, their refusals. */
#include "config.h"

#include <errno.h>
#include <pthread.h>

#include "helpers/guest_fixture.h"

#define BASE UINT64_C(0x7f000000)

static const struct {
	enum gpmm_type type;
	unsigned int size;
	uint64_t value;
	unsigned char bytes[8];
} types[] = {
	{ GPMM_U8, 1, 0xab, { 0xab } },
	{ GPMM_LE16, 2, 0x1234, { 0x34, 0x12 } },
	{ GPMM_BE16, 2, 0x1234, { 0x12, 0x34 } },
	{ GPMM_LE32, 4, 0x12345678, { 0x78, 0x56, 0x34, 0x12 } },
	{ GPMM_BE32, 4, 0x12345678, { 0x12, 0x34, 0x56, 0x78 } },
	{ GPMM_LE64, 8, 0x0123456789abcdef,
	  { 0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01 } },
	{ GPMM_BE64, 8, 0x0123456789abcdef,
	  { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef } },
};

#define TYPES (sizeof(types) / sizeof(*types))

static const enum gpmm_order orders[] = { GPMM_RELAXED, GPMM_ACQUIRE,
					  GPMM_RELEASE, GPMM_SEQ_CST,
					  GPMM_ACQ_REL };

static uint64_t above(size_t t)
{
	return types[t].size < 8 ? UINT64_C(0x77) << 8 * types[t].size : 0;
}

/* At every alignment, also across two areas apart in the process. */
static void integers_have_their_type_s_bytes(void)
{
	struct world world;
	int wrong = 0;

	world_make(&world, 0);
	world_ram(&world, BASE, PAGE, GPMM_RW);
	world_ram(&world, BASE + PAGE, PAGE, GPMM_RW);
	for (size_t t = 0; t < TYPES; t++)
		for (size_t o = 0; o < 4; o++)
			for (gpmm_gpa_t at = BASE + PAGE - 16;
			     at < BASE + PAGE + 16; at++) {
				unsigned char bytes[8] = { 0 };
				uint64_t value = 99;

				gpmm_fill(&world.guest, at - 8, 0x5a, 32, NULL);
				world.marks = (struct marks){ 0 };
				/* Bits above the type are ignored. */
				wrong += gpmm_store(&world.guest, at,
					types[t].type, orders[o],
					types[t].value + above(t)) != 0;
				wrong += world.marks.start != at ||
					 world.marks.size != types[t].size;
				gpmm_read(&world.guest, at, bytes, 8, NULL);
				wrong += memcmp(bytes, types[t].bytes,
						types[t].size) != 0;
				wrong += types[t].size < 8 &&
					 bytes[types[t].size] != 0x5a;
				wrong += gpmm_load(&world.guest, at,
						   types[t].type, orders[o],
						   &value) ||
					 value != types[t].value;
			}
	CU_ASSERT_EQUAL(wrong, 0);
	world_end(&world);
}

/* Its alignment in the process says nothing where areas end within it. */
static void an_integer_ends_with_its_area(uint64_t granule)
{
	const gpmm_gpa_t edge = BASE + 4;
	struct gpmm_host_options options = { .size = PAGE };
	struct gpmm_area area = { .start = BASE, .size = 4, .flags = GPMM_RW };
	struct world world;
	uint64_t value = 0;
	char *hva;

	world_make(&world, granule);
	CU_ASSERT_EQUAL_FATAL(gpmm_host_create(&options, &area.host), 0);
	hva = gpmm_host_addr(area.host);
	memset(hva, 'x', 64);
	area.hva = hva;
	CU_ASSERT_EQUAL(gpmm_set_map(world.set, &area, 0), 0);
	CU_ASSERT_EQUAL(gpmm_load(&world.guest, BASE, GPMM_LE64, GPMM_ACQUIRE,
				  &value), -ENXIO);
	CU_ASSERT_EQUAL(gpmm_store(&world.guest, BASE, GPMM_LE64, GPMM_RELEASE,
				   0), -ENXIO);
	CU_ASSERT_EQUAL(hva[4], 'x');
	CU_ASSERT_EQUAL(gpmm_fetch_or(&world.guest, BASE, GPMM_LE64,
				      GPMM_SEQ_CST, 0, &value), -EINVAL);
	area.start = edge;
	area.hva = hva + 32;
	CU_ASSERT_EQUAL(gpmm_set_map(world.set, &area, 0), 0);
	CU_ASSERT_EQUAL(gpmm_store(&world.guest, BASE, GPMM_LE64, GPMM_RELEASE,
				   UINT64_C(0x0807060504030201)), 0);
	CU_ASSERT_EQUAL(memcmp(hva, "\1\2\3\4x", 5), 0);
	CU_ASSERT_EQUAL(memcmp(hva + 32, "\5\6\7\10x", 5), 0);
	CU_ASSERT_EQUAL(gpmm_load(&world.guest, BASE, GPMM_LE64, GPMM_ACQUIRE,
				  &value), 0);
	CU_ASSERT_EQUAL(value, UINT64_C(0x0807060504030201));
	gpmm_host_put(area.host);
	world_end(&world);
}

static void integers_end_with_their_areas(void)
{
	an_integer_ends_with_its_area(1);
	an_integer_ends_with_its_area(4);
}

static void exchange_swaps_only_what_it_expects(void)
{
	struct world world;

	world_make(&world, 0);
	world_ram(&world, BASE, PAGE, GPMM_RW);
	for (size_t i = 0; i < 5 * TYPES; i++) {
		enum gpmm_order order = orders[i / TYPES];
		uint64_t expected = 1, value;
		size_t t = i % TYPES;

		gpmm_fill(&world.guest, BASE, 0, 64, NULL);
		gpmm_store(&world.guest, BASE + 8, types[t].type, GPMM_RELAXED,
			   types[t].value);
		world.marks = (struct marks){ 0 };
		CU_ASSERT_EQUAL(gpmm_compare_exchange(&world.guest, BASE + 8,
			types[t].type, order, &expected, 7), -EAGAIN);
		CU_ASSERT_EQUAL(expected, types[t].value);
		CU_ASSERT_EQUAL(world.marks.calls, 0);
		CU_ASSERT_EQUAL(gpmm_compare_exchange(&world.guest, BASE + 8,
			types[t].type, order, &expected, 7), 0);
		CU_ASSERT_EQUAL(world.marks.size, types[t].size);
		gpmm_load(&world.guest, BASE + 8, types[t].type, GPMM_RELAXED,
			  &value);
		CU_ASSERT_EQUAL(value, 7);
		gpmm_load(&world.guest, BASE + 8 + types[t].size, GPMM_U8,
			  GPMM_RELAXED, &value);
		CU_ASSERT_EQUAL(value, 0);
	}
	world_end(&world);
}

static void fetch_or_sets_bits_and_gives_the_old(void)
{
	struct world world;

	world_make(&world, 0);
	world_ram(&world, BASE, PAGE, GPMM_RW);
	for (size_t i = 0; i < 5 * TYPES; i++) {
		enum gpmm_order order = orders[i / TYPES];
		uint64_t old = 99, value;
		size_t t = i % TYPES;

		gpmm_fill(&world.guest, BASE, 0, 16, NULL);
		CU_ASSERT_EQUAL(gpmm_fetch_or(&world.guest, BASE,
			types[t].type, order, 0x41, &old), 0);
		CU_ASSERT_EQUAL(old, 0);
		CU_ASSERT_EQUAL(gpmm_fetch_or(&world.guest, BASE,
			types[t].type, order, 0x12, &old), 0);
		CU_ASSERT_EQUAL(old, 0x41);
		gpmm_load(&world.guest, BASE, types[t].type, GPMM_RELAXED,
			  &value);
		CU_ASSERT_EQUAL(value, 0x53);
	}
	world_end(&world);
}

static void exchanges_must_be_aligned(void)
{
	uint64_t expected = 0, old;
	struct world world;

	world_make(&world, 0);
	world_ram(&world, BASE, PAGE, GPMM_RW);
	CU_ASSERT_EQUAL(gpmm_compare_exchange(&world.guest, BASE + 4,
		GPMM_LE64, GPMM_SEQ_CST, &expected, 1), -EINVAL);
	CU_ASSERT_EQUAL(gpmm_fetch_or(&world.guest, BASE + 1, GPMM_BE16,
		GPMM_SEQ_CST, 1, &old), -EINVAL);
	CU_ASSERT_EQUAL(world.marks.calls, 0);
	world_end(&world);
}

static void there_are_no_other_types(void)
{
	static const int bad[] = { 0, 3, 5, 6, 7, 9, 15, 16, 19, 32, 33, 128,
				   0x10001, -1 };
	uint64_t value = 0;
	struct world world;

	world_make(&world, 0);
	world_ram(&world, BASE, PAGE, GPMM_RW);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		enum gpmm_type type = (enum gpmm_type)bad[i];

		CU_ASSERT_EQUAL(gpmm_load(&world.guest, BASE, type,
					  GPMM_RELAXED, &value), -EINVAL);
		CU_ASSERT_EQUAL(gpmm_store(&world.guest, BASE, type,
					   GPMM_RELAXED, 1), -EINVAL);
		CU_ASSERT_EQUAL(gpmm_fetch_or(&world.guest, BASE, type,
			GPMM_RELAXED, 1, &value), -EINVAL);
		CU_ASSERT_EQUAL(gpmm_compare_exchange(&world.guest, BASE, type,
			GPMM_RELAXED, &value, 1), -EINVAL);
	}
	CU_ASSERT_EQUAL(gpmm_load(&world.guest, BASE - 8, GPMM_LE64,
				  GPMM_RELAXED, &value), -ENXIO);
	CU_ASSERT_EQUAL(gpmm_load(&world.guest, BASE + PAGE - 4, GPMM_LE64,
				  GPMM_RELAXED, &value), -ENXIO);
	world_end(&world);
}

/* In a set of bytes an address aligned in the guest may not be in the host. */
static void misaligned_host_memory_still_works(void)
{
	static uint64_t memory[8];
	struct gpmm_host_options options = { .kind = GPMM_HOST_USER,
		.size = 32, .user = (char *)memory + 3 };
	struct gpmm_host *host;
	struct world world;
	uint64_t value = 0;

	world_make(&world, 1);
	CU_ASSERT_EQUAL_FATAL(gpmm_host_create(&options, &host), 0);
	world_map(&world, 0x1000, host, GPMM_RW);
	CU_ASSERT_EQUAL(gpmm_store(&world.guest, 0x1008, GPMM_BE32,
				   GPMM_SEQ_CST, 0xdeadbeef), 0);
	CU_ASSERT_EQUAL(gpmm_load(&world.guest, 0x1008, GPMM_BE32,
				  GPMM_SEQ_CST, &value), 0);
	CU_ASSERT_EQUAL(value, 0xdeadbeef);
	CU_ASSERT_EQUAL(((unsigned char *)memory)[3 + 8], 0xde);
	CU_ASSERT_EQUAL(gpmm_fetch_or(&world.guest, 0x1008, GPMM_BE32,
				      GPMM_SEQ_CST, 1, &value), -EINVAL);
	world_end(&world);
}

struct contest {
	struct world *world;
	uint64_t torn;
};

static void *count_up(void *arg)
{
	struct contest *contest = arg;

	gpmm_thread_register();
	for (int i = 0; i < 50000; i++) {
		uint64_t value = 0, pair;

		gpmm_load(&contest->world->guest, BASE, GPMM_LE64,
			  GPMM_RELAXED, &value);
		while (gpmm_compare_exchange(&contest->world->guest, BASE,
					     GPMM_LE64, GPMM_SEQ_CST, &value,
					     value + 1))
			;
		/* Both halves of one store, or of another. */
		gpmm_store(&contest->world->guest, BASE + 8, GPMM_LE64,
			   GPMM_RELAXED, value << 32 | (value & 0xffffffff));
		gpmm_load(&contest->world->guest, BASE + 8, GPMM_LE64,
			  GPMM_RELAXED, &pair);
		contest->torn += pair >> 32 != (pair & 0xffffffff);
	}
	gpmm_thread_unregister();
	return NULL;
}

static void threads_lose_no_exchange(void)
{
	struct contest contests[3];
	pthread_t threads[3];
	struct world world;
	uint64_t value;

	world_make(&world, 0);
	world.guest.mark = NULL;
	world_ram(&world, BASE, PAGE, GPMM_RW);
	for (int i = 0; i < 3; i++) {
		contests[i] = (struct contest){ .world = &world };
		pthread_create(&threads[i], NULL, count_up, &contests[i]);
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
		CU_ASSERT_EQUAL(contests[i].torn, 0);
	}
	gpmm_load(&world.guest, BASE, GPMM_LE64, GPMM_RELAXED, &value);
	CU_ASSERT_EQUAL(value, 150000);
	world_end(&world);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		TEST(integers_have_their_type_s_bytes),
		TEST(integers_end_with_their_areas),
		TEST(exchange_swaps_only_what_it_expects),
		TEST(fetch_or_sets_bits_and_gives_the_old),
		TEST(exchanges_must_be_aligned),
		TEST(there_are_no_other_types),
		TEST(misaligned_host_memory_still_works),
		TEST(threads_lose_no_exchange),
		CU_TEST_INFO_NULL,
	};

	return run_suite("integers in guest memory", tests);
}
