/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading, writing, filling, comparing, copying: whole, in part, refused. */
#include "config.h"

#include <errno.h>

#include <urcu/urcu-bp.h>

#include "helpers/guest_fixture.h"

/* Three neighbours in the guest, apart in the process: 2, 1 and 3 pages. */
#define BASE UINT64_C(0x100000)
#define SIZE (6 * PAGE)

static void make_three(struct world *world)
{
	world_make(world, 0);
	world_ram(world, BASE + 3 * PAGE, 3 * PAGE, GPMM_RW);
	world_ram(world, BASE, 2 * PAGE, GPMM_RW);
	world_ram(world, BASE + 2 * PAGE, PAGE, GPMM_RW);
}

static unsigned char pattern(uint64_t i)
{
	return (unsigned char)(i * 167 + (i >> 8) * 13 + 1);
}

static void what_is_written_is_read_at_every_edge(void)
{
	unsigned char out[SIZE], in[SIZE];
	static const uint64_t sizes[] = {
		0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65,
		127, 128, 129, 255, 256, 257, 300, 1000, PAGE - 1, PAGE,
		PAGE + 1, 2 * PAGE + 77 };
	struct world world;
	int wrong = 0;

	make_three(&world);
	for (uint64_t i = 0; i < SIZE; i++)
		out[i] = pattern(i);
	for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++)
		for (uint64_t shift = 0; shift < 40; shift++) {
			gpmm_gpa_t at = BASE + 2 * PAGE - 20 + shift;
			uint64_t n = sizes[s], done = 99;

			memset(in, 0xee, sizeof(in));
			world.marks = (struct marks){ 0 };
			wrong += gpmm_fill(&world.guest, at - 64, 0x11,
					   n + 128, NULL) != 0;
			world.marks = (struct marks){ 0 };
			wrong += gpmm_write(&world.guest, at, out + shift, n,
					    &done) || done != n;
			wrong += world.marks.size != n || world.marks.torn;
			wrong += n && world.marks.start != at;
			wrong += gpmm_read(&world.guest, at, in, n, &done) ||
				 done != n;
			wrong += memcmp(in, out + shift, n) != 0;
			wrong += in[n] != 0xee;
			wrong += gpmm_read(&world.guest, at + n, in, 1, NULL) ||
				 in[0] != 0x11;
			wrong += gpmm_read(&world.guest, at - 1, in, 1, NULL) ||
				 in[0] != 0x11;
		}
	CU_ASSERT_EQUAL(wrong, 0);
	world_end(&world);
}

static void access_stops_at_a_hole_and_says_where(void)
{
	unsigned char buffer[SIZE + PAGE] = { 0 };
	struct world world;
	uint64_t done;
	int result;

	make_three(&world);
	CU_ASSERT_EQUAL(gpmm_read(&world.guest, BASE + 10, buffer, SIZE,
				  &done), -ENXIO);
	CU_ASSERT_EQUAL(done, SIZE - 10);
	CU_ASSERT_EQUAL(gpmm_write(&world.guest, BASE + 10, buffer, SIZE,
				   &done), -ENXIO);
	CU_ASSERT_EQUAL(done, SIZE - 10);
	CU_ASSERT_EQUAL(world.marks.size, SIZE - 10);
	CU_ASSERT_EQUAL(gpmm_fill(&world.guest, BASE + SIZE - 1, 1, 2, &done),
			-ENXIO);
	CU_ASSERT_EQUAL(done, 1);
	CU_ASSERT_EQUAL(gpmm_compare(&world.guest, BASE, buffer, SIZE + 1,
				     &result, &done), 0);
	CU_ASSERT_EQUAL(result, 1);
	CU_ASSERT_EQUAL(done, SIZE - 1);
	CU_ASSERT_EQUAL(gpmm_read(&world.guest, BASE - 1, buffer, 1, &done),
			-ENXIO);
	CU_ASSERT_EQUAL(done, 0);
	world_end(&world);
}

static void hostile_ranges_fail_cleanly(void)
{
	static const struct gpmm_range bad[] = {
		{ BASE, UINT64_MAX }, { UINT64_MAX, 2 }, { 1, UINT64_MAX },
		{ -UINT64_C(1), UINT64_MAX },
	};
	unsigned char buffer[8];
	struct world world;
	uint64_t done, value;
	int result;

	make_three(&world);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		gpmm_gpa_t at = bad[i].start;
		uint64_t n = bad[i].size;
		int want = at + (n - 1) < at ? -EINVAL : -ENXIO;

		done = 99;
		CU_ASSERT_EQUAL(gpmm_fill(&world.guest, at, 0, n, &done), want);
		CU_ASSERT_EQUAL(gpmm_copy(&world.guest, at, BASE, n, NULL),
				-EINVAL);
		if (want != -EINVAL)
			continue;
		CU_ASSERT_EQUAL(done, 0);
		CU_ASSERT_EQUAL(gpmm_read(&world.guest, at, buffer, n, &done),
				-EINVAL);
		CU_ASSERT_EQUAL(gpmm_write(&world.guest, at, buffer, n, &done),
				-EINVAL);
		CU_ASSERT_EQUAL(gpmm_compare(&world.guest, at, buffer, n,
					     &result, &done), -EINVAL);
		CU_ASSERT_EQUAL(done, 0);
	}
	CU_ASSERT_EQUAL(gpmm_load(&world.guest, UINT64_MAX, GPMM_LE16,
				  GPMM_RELAXED, &value), -EINVAL);
	CU_ASSERT_EQUAL(gpmm_read(&world.guest, 0, NULL, 0, &done), 0);
	CU_ASSERT_EQUAL(done, 0);
	CU_ASSERT_EQUAL(gpmm_copy(&world.guest, 0, 0, 0, &done), 0);
	world_end(&world);
}

static void the_last_byte_of_the_address_space_is_there(void)
{
	unsigned char in[4], out[4] = { 1, 2, 3, 4 };
	struct world world;
	uint64_t done;

	world_make(&world, 0);
	world_ram(&world, -PAGE, PAGE, GPMM_RW);
	CU_ASSERT_EQUAL(gpmm_write(&world.guest, -UINT64_C(4), out, 4, &done),
			0);
	CU_ASSERT_EQUAL(done, 4);
	CU_ASSERT_EQUAL(gpmm_read(&world.guest, -UINT64_C(4), in, 4, &done),
			0);
	CU_ASSERT_EQUAL(memcmp(in, out, 4), 0);
	CU_ASSERT_EQUAL(gpmm_read(&world.guest, -UINT64_C(4), in, 5, &done),
			-EINVAL);
	world_end(&world);
}

static void flags_say_what_is_allowed(void)
{
	static const struct {
		uint32_t flags;
		int read, write;
	} cases[] = {
		{ GPMM_RW, 0, 0 },
		{ GPMM_READ | GPMM_EXEC, 0, -EACCES },
		{ GPMM_WRITE, -EACCES, 0 },
		{ GPMM_EXEC, -EACCES, -EACCES },
		{ GPMM_RW | GPMM_PRIVATE, -EACCES, -EACCES },
	};
	struct world world;

	world_make(&world, 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		gpmm_gpa_t at = BASE + i * PAGE;
		char *hva = world_ram(&world, at, PAGE, cases[i].flags);
		uint64_t byte = 0, value;

		CU_ASSERT_EQUAL(gpmm_read(&world.guest, at, &byte, 1, NULL),
				cases[i].read);
		CU_ASSERT_EQUAL(gpmm_load(&world.guest, at, GPMM_LE64,
					  GPMM_ACQUIRE, &value),
				cases[i].read);
		CU_ASSERT_EQUAL(gpmm_fill(&world.guest, at, 7, 1, NULL),
				cases[i].write);
		CU_ASSERT_EQUAL(gpmm_store(&world.guest, at + 8, GPMM_LE64,
					   GPMM_RELEASE, 7), cases[i].write);
		CU_ASSERT_EQUAL(gpmm_fetch_or(&world.guest, at, GPMM_U8,
					      GPMM_SEQ_CST, 8, &value),
				cases[i].read ? cases[i].read :
						cases[i].write);
		if (cases[i].write)
			CU_ASSERT_EQUAL(hva[0] | hva[8], 0);
	}
	world_end(&world);
}

static void a_window_is_no_memory(void)
{
	struct gpmm_area window = { .start = BASE, .size = PAGE,
				    .flags = GPMM_RW | GPMM_MMIO };
	struct world world;
	char byte;

	world_make(&world, 0);
	CU_ASSERT_EQUAL(gpmm_set_map(world.set, &window, 0), 0);
	CU_ASSERT_EQUAL(gpmm_read(&world.guest, BASE, &byte, 1, NULL),
			-ENODEV);
	CU_ASSERT_EQUAL(gpmm_fill(&world.guest, BASE, 0, 1, NULL), -ENODEV);
	world_end(&world);
}

static void compare_finds_the_first_difference(void)
{
	unsigned char buffer[SIZE];
	struct world world;
	int wrong = 0;

	make_three(&world);
	for (uint64_t i = 0; i < SIZE; i++)
		buffer[i] = pattern(i);
	CU_ASSERT_EQUAL(gpmm_write(&world.guest, BASE, buffer, SIZE, NULL), 0);
	for (uint64_t at = 0; at <= SIZE; at += at % PAGE < 2 ? 1 : 509) {
		uint64_t done = 99, n = SIZE;
		int result = 99, want = 0;

		if (at < SIZE) {
			want = buffer[at] < 128 ? -1 : 1;
			buffer[at] ^= 128;
		}
		wrong += gpmm_compare(&world.guest, BASE, buffer, n, &result,
				      &done) || result != want || done != at;
		if (at < SIZE)
			buffer[at] ^= 128;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	world_end(&world);
}

static void guest_memory_is_copied_across_areas(void)
{
	unsigned char out[2 * PAGE], in[2 * PAGE];
	struct world world;
	uint64_t done;

	make_three(&world);
	for (uint64_t i = 0; i < sizeof(out); i++)
		out[i] = pattern(i);
	CU_ASSERT_EQUAL(gpmm_write(&world.guest, BASE + 100, out, sizeof(out),
				   NULL), 0);
	world.marks = (struct marks){ 0 };
	CU_ASSERT_EQUAL(gpmm_copy(&world.guest, BASE + 3 * PAGE + 7,
				  BASE + 100, sizeof(out), &done), 0);
	CU_ASSERT_EQUAL(done, sizeof(out));
	CU_ASSERT_EQUAL(world.marks.start, BASE + 3 * PAGE + 7);
	CU_ASSERT_EQUAL(world.marks.size, sizeof(out));
	CU_ASSERT_EQUAL(gpmm_read(&world.guest, BASE + 3 * PAGE + 7, in,
				  sizeof(in), NULL), 0);
	CU_ASSERT_EQUAL(memcmp(in, out, sizeof(in)), 0);
	CU_ASSERT_EQUAL(gpmm_copy(&world.guest, BASE, BASE + 1, 2, NULL),
			-EINVAL);
	CU_ASSERT_EQUAL(gpmm_copy(&world.guest, BASE + 1, BASE, 2, NULL),
			-EINVAL);
	CU_ASSERT_EQUAL(gpmm_copy(&world.guest, BASE, BASE + SIZE - 5, 10,
				  &done), -ENXIO);
	CU_ASSERT_EQUAL(done, 5);
	CU_ASSERT_EQUAL(gpmm_copy(&world.guest, BASE + SIZE - 5, BASE, 10,
				  &done), -ENXIO);
	CU_ASSERT_EQUAL(done, 5);
	world_end(&world);
}

static void long_accesses_are_whole(void)
{
	uint64_t size = UINT64_C(5) << 20, done;
	unsigned char *buffer = malloc(size);
	struct world world;
	char *hva;
	int result;

	world_make(&world, 0);
	hva = world_ram(&world, BASE, size, GPMM_RW);
	for (uint64_t i = 0; i < size; i++)
		buffer[i] = pattern(i);
	CU_ASSERT_EQUAL(gpmm_write(&world.guest, BASE, buffer, size, &done),
			0);
	CU_ASSERT_EQUAL(done, size);
	CU_ASSERT_EQUAL(memcmp(hva, buffer, size), 0);
	CU_ASSERT_EQUAL(world.marks.size, size);
	CU_ASSERT_FALSE(world.marks.torn);
	CU_ASSERT_EQUAL(gpmm_compare(&world.guest, BASE, buffer, size,
				     &result, &done), 0);
	CU_ASSERT_EQUAL(result, 0);
	memset(buffer, 0, size);
	CU_ASSERT_EQUAL(gpmm_read(&world.guest, BASE, buffer, size, &done), 0);
	CU_ASSERT_EQUAL(memcmp(hva, buffer, size), 0);
	free(buffer);
	world_end(&world);
}

static unsigned int sections_left;

static void leave_and_count(void)
{
	sections_left++;
	urcu_bp_read_unlock();
}

/* So that they hold up no writer for long. */
static void long_accesses_leave_their_section(void)
{
	struct rcu_flavor_struct counted = urcu_bp_flavor;
	struct gpmm_set_options options = { .flavor = &counted };
	const uint64_t size = UINT64_C(8) << 20;
	struct world world = { .set = NULL };

	counted.read_unlock = leave_and_count;
	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&options, &world.set), 0);
	world.guest.set = world.set;
	world_ram(&world, BASE, 2 * size, GPMM_RW);
	sections_left = 0;
	CU_ASSERT_EQUAL(gpmm_fill(&world.guest, BASE, 'x', size, NULL), 0);
	CU_ASSERT(sections_left >= 4);
	sections_left = 0;
	CU_ASSERT_EQUAL(gpmm_copy(&world.guest, BASE + size, BASE, size, NULL),
			0);
	CU_ASSERT(sections_left >= 4);
	world_end(&world);
}

/* Writes must be told of in a section, and in one of the set's own. */
static void note_section(void *arg, gpmm_gpa_t start, uint64_t size)
{
	unsigned int *inside = arg;

	(void)start;
	(void)size;
	*inside += urcu_bp_read_ongoing() != 0;
}

static void a_set_of_the_embedder_s_flavour_is_accessed_alike(void)
{
	struct gpmm_set_options options = { .flavor = &urcu_bp_flavor };
	unsigned int inside = 0;
	struct world world = { .guest = { .mark = note_section,
					  .mark_arg = &inside } };
	uint64_t value = 0, old = 0;
	char bytes[3 * PAGE];
	int result = 1;

	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&options, &world.set), 0);
	world.guest.set = world.set;
	for (int i = 0; i < 3; i++)
		world_ram(&world, BASE + i * PAGE, PAGE, GPMM_RW);
	memset(bytes, 'b', sizeof(bytes));
	CU_ASSERT_EQUAL(gpmm_write(&world.guest, BASE, bytes, 8, NULL), 0);
	CU_ASSERT_EQUAL(gpmm_write(&world.guest, BASE, bytes, 3 * PAGE, NULL),
			0);
	CU_ASSERT_EQUAL(gpmm_store(&world.guest, BASE + 8, GPMM_BE32,
				   GPMM_SEQ_CST, 0x01020304), 0);
	CU_ASSERT_EQUAL(inside, 1 + 3 + 1);
	CU_ASSERT_EQUAL(gpmm_load(&world.guest, BASE + 8, GPMM_LE32,
				  GPMM_ACQUIRE, &value), 0);
	CU_ASSERT_EQUAL(value, 0x04030201);
	CU_ASSERT_EQUAL(gpmm_load(&world.guest, BASE + PAGE - 3, GPMM_LE64,
				  GPMM_ACQUIRE, &value), 0);
	CU_ASSERT_EQUAL(value, UINT64_C(0x6262626262626262));
	CU_ASSERT_EQUAL(gpmm_fetch_or(&world.guest, BASE, GPMM_U8,
				      GPMM_SEQ_CST, 1, &old), 0);
	CU_ASSERT_EQUAL(old, 'b');
	CU_ASSERT_EQUAL(gpmm_fill(&world.guest, BASE, 'b', 16, NULL), 0);
	CU_ASSERT_EQUAL(gpmm_compare(&world.guest, BASE, bytes, 3 * PAGE,
				     &result, NULL), 0);
	CU_ASSERT_EQUAL(result, 0);
	CU_ASSERT_EQUAL(gpmm_read(&world.guest, BASE + PAGE, bytes, 64, NULL),
			0);
	CU_ASSERT_EQUAL(gpmm_load(&world.guest, BASE + 3 * PAGE, GPMM_U8,
				  GPMM_RELAXED, &value), -ENXIO);
	CU_ASSERT_FALSE(urcu_bp_read_ongoing());
	world_end(&world);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		TEST(what_is_written_is_read_at_every_edge),
		TEST(access_stops_at_a_hole_and_says_where),
		TEST(hostile_ranges_fail_cleanly),
		TEST(the_last_byte_of_the_address_space_is_there),
		TEST(flags_say_what_is_allowed),
		TEST(a_window_is_no_memory),
		TEST(compare_finds_the_first_difference),
		TEST(guest_memory_is_copied_across_areas),
		TEST(long_accesses_are_whole),
		TEST(long_accesses_leave_their_section),
		TEST(a_set_of_the_embedder_s_flavour_is_accessed_alike),
		CU_TEST_INFO_NULL,
	};

	return run_suite("guest access", tests);
}
