/* SPDX-License-Identifier: BSD-3-Clause */
/* Pins, scatter lists and files: memory in use beyond a read section. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "helpers/guest_fixture.h"

#define BASE UINT64_C(0x800000)

static void count_release(void *arg, void *addr, uint64_t size)
{
	(void)addr;
	(void)size;
	++*(int *)arg;
}

static void map_counted_at(struct world *world, gpmm_gpa_t start,
			   int *released)
{
	struct gpmm_host_options options = { .size = 2 * PAGE,
		.release = count_release, .release_arg = released };
	struct gpmm_host *host = NULL;

	CU_ASSERT_EQUAL_FATAL(gpmm_host_create(&options, &host), 0);
	world_map(world, start, host, GPMM_RW);
}

static void map_counted(struct world *world, int *released)
{
	map_counted_at(world, BASE, released);
}

static struct gpmm_holder *hold(void)
{
	struct gpmm_holder *holder = NULL;

	CU_ASSERT_EQUAL_FATAL(gpmm_holder_create("test", &holder), 0);
	return holder;
}

static void a_pin_survives_the_unmapping(void)
{
	struct gpmm_holder *holder = hold();
	struct gpmm_pin pin;
	struct world world;
	int released = 0;

	world_make(&world, 0);
	map_counted(&world, &released);
	CU_ASSERT_EQUAL(gpmm_pin(&world.guest, holder, BASE + 100, 9 * PAGE,
				 GPMM_RW, &pin), 0);
	CU_ASSERT_EQUAL(pin.size, 2 * PAGE - 100);
	CU_ASSERT_EQUAL(gpmm_set_unmap(world.set, BASE, 2 * PAGE), 0);
	CU_ASSERT_EQUAL(gpmm_set_drain(world.set), 0);
	CU_ASSERT_EQUAL(released, 0);
	*(char *)pin.addr = 1;
	gpmm_pin_release(&world.guest, &pin, 50);
	CU_ASSERT_EQUAL(released, 1);
	CU_ASSERT_EQUAL(world.marks.start, BASE + 100);
	CU_ASSERT_EQUAL(world.marks.size, 50);
	gpmm_holder_destroy(holder);
	world_end(&world);
}

static void note_release(void *arg, gpmm_gpa_t start, uint64_t size)
{
	(void)start;
	(void)size;
	CU_ASSERT_EQUAL(*(int *)arg, 0);
}

/* Who waits for the pin, and harvests then, has the mark. */
static void a_mark_comes_before_the_unpin(void)
{
	struct gpmm_holder *holder = hold();
	struct gpmm_pin pin;
	struct world world;
	int released = 0;

	world_make(&world, 0);
	world.guest.mark = note_release;
	world.guest.mark_arg = &released;
	map_counted(&world, &released);
	CU_ASSERT_EQUAL(gpmm_pin(&world.guest, holder, BASE, PAGE, GPMM_RW,
				 &pin), 0);
	CU_ASSERT_EQUAL(gpmm_set_unmap(world.set, BASE, 2 * PAGE), 0);
	CU_ASSERT_EQUAL(gpmm_set_drain(world.set), 0);
	gpmm_pin_release(&world.guest, &pin, 1);
	CU_ASSERT_EQUAL(released, 1);
	gpmm_holder_destroy(holder);
	world_end(&world);
}

static void memory_without_pins_goes_with_its_area(void)
{
	struct world world;
	int released = 0;

	world_make(&world, 0);
	map_counted(&world, &released);
	CU_ASSERT_EQUAL(gpmm_set_unmap(world.set, BASE, PAGE), 0);
	CU_ASSERT_EQUAL(gpmm_set_drain(world.set), 0);
	CU_ASSERT_EQUAL(released, 0);
	CU_ASSERT_EQUAL(gpmm_set_unmap(world.set, BASE, 2 * PAGE), 0);
	CU_ASSERT_EQUAL(gpmm_set_drain(world.set), 0);
	CU_ASSERT_EQUAL(released, 1);
	world_end(&world);
}

static void pins_are_refused_where_access_is(void)
{
	struct gpmm_holder *holder = hold();
	struct gpmm_pin pin;
	struct world world;

	world_make(&world, 0);
	world_ram(&world, BASE, PAGE, GPMM_READ);
	CU_ASSERT_EQUAL(gpmm_pin(&world.guest, holder, BASE, 8, GPMM_RW, &pin),
			-EACCES);
	CU_ASSERT_EQUAL(gpmm_pin(&world.guest, holder, BASE - 1, 8, GPMM_READ,
				 &pin), -ENXIO);
	CU_ASSERT_EQUAL(gpmm_pin(&world.guest, holder, BASE, 0, GPMM_READ,
				 &pin), -EINVAL);
	CU_ASSERT_EQUAL(gpmm_pin(&world.guest, holder, BASE, UINT64_MAX,
				 GPMM_READ, &pin), -EINVAL);
	gpmm_holder_destroy(holder);
	world_end(&world);
}

/* Two areas that meet at BASE + 2 pages, and ranges over them. */
static const struct gpmm_range list[] = {
	{ BASE + 10, 20 }, { BASE, 0 }, { BASE + 2 * PAGE - 5, 15 },
	{ BASE + 3 * PAGE, PAGE },
};
static const uint64_t list_pieces[] = { 20, 5, 10, PAGE };

static void a_scatter_list_covers_its_ranges_in_order(void)
{
	struct gpmm_holder *holder = hold();
	struct gpmm_pin pins[4];
	struct iovec iov[4];
	struct world world;
	size_t count = 0;
	char *low, *high;

	world_make(&world, 0);
	low = world_ram(&world, BASE, 2 * PAGE, GPMM_RW);
	high = world_ram(&world, BASE + 2 * PAGE, 2 * PAGE, GPMM_RW);
	CU_ASSERT_EQUAL(gpmm_gather(&world.guest, holder, list, 4, GPMM_WRITE,
				    iov, pins, 4, &count), 0);
	CU_ASSERT_EQUAL_FATAL(count, 4);
	for (size_t i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(iov[i].iov_len, list_pieces[i]);
	CU_ASSERT_PTR_EQUAL(iov[0].iov_base, low + 10);
	CU_ASSERT_PTR_EQUAL(iov[1].iov_base, low + 2 * PAGE - 5);
	CU_ASSERT_PTR_EQUAL(iov[2].iov_base, high);
	CU_ASSERT_PTR_EQUAL(iov[3].iov_base, high + PAGE);
	/* Of the pieces 20, 5, 10, ... the first 27 bytes were written. */
	gpmm_gather_release(&world.guest, pins, count, 27);
	CU_ASSERT_EQUAL(world.marks.size, 27);
	CU_ASSERT_EQUAL(world.marks.calls, 3);
	gpmm_holder_destroy(holder);
	world_end(&world);
}

static void a_list_too_short_is_told_the_length(void)
{
	struct gpmm_holder *holder = hold();
	struct gpmm_pin pins[4];
	struct iovec iov[4];
	struct world world;
	int released = 0;

	world_make(&world, 0);
	map_counted(&world, &released);
	world_ram(&world, BASE + 2 * PAGE, 2 * PAGE, GPMM_RW);
	for (size_t capacity = 0; capacity < 4; capacity++) {
		size_t count = 0;

		CU_ASSERT_EQUAL(gpmm_gather(&world.guest, holder, list, 4,
			GPMM_WRITE, iov, pins, capacity, &count), -ENOSPC);
		CU_ASSERT_EQUAL(count, 4);
	}
	/* Nothing stayed pinned. */
	CU_ASSERT_EQUAL(gpmm_set_clear(world.set), 0);
	CU_ASSERT_EQUAL(gpmm_set_drain(world.set), 0);
	CU_ASSERT_EQUAL(released, 1);
	gpmm_holder_destroy(holder);
	world_end(&world);
}

static void a_list_that_leaves_memory_pins_nothing(void)
{
	static const struct gpmm_range bad[][2] = {
		{ { BASE, PAGE }, { BASE + 2 * PAGE - 1, 2 } },
		{ { BASE, PAGE }, { 0, 1 } },
		{ { BASE, PAGE }, { UINT64_MAX, 2 } },
		{ { BASE, PAGE }, { BASE + 1, UINT64_MAX } },
		{ { BASE, UINT64_MAX - BASE }, { BASE, 1 } },
	};
	struct gpmm_holder *holder = hold();
	struct gpmm_pin pins[8];
	struct iovec iov[8];
	struct world world;
	int released = 0;
	size_t count;

	world_make(&world, 0);
	map_counted(&world, &released);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CU_ASSERT_TRUE(gpmm_gather(&world.guest, holder, bad[i], 2,
					   GPMM_WRITE, iov, pins, 8,
					   &count) < 0);
	CU_ASSERT_EQUAL(world.marks.calls, 0);
	CU_ASSERT_EQUAL(gpmm_set_clear(world.set), 0);
	CU_ASSERT_EQUAL(gpmm_set_drain(world.set), 0);
	CU_ASSERT_EQUAL(released, 1);
	gpmm_holder_destroy(holder);
	world_end(&world);
}

/* ------------------------------------------------------------- files --- */

enum { AREAS = 40 };

static void files_are_read_and_written_across_areas(void)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	uint64_t size = AREAS * PAGE - 100, done;
	struct world world;
	char *out = malloc(size), *in = malloc(size);

	world_make(&world, 0);
	for (uint64_t i = 0; i < AREAS; i++)
		world_ram(&world, BASE + i * PAGE, PAGE, GPMM_RW);
	for (uint64_t i = 0; i < size; i++)
		out[i] = (char)(i * 31 + i / PAGE);
	CU_ASSERT_EQUAL(pwrite(fd, out, size, 5), (ssize_t)size);
	CU_ASSERT_EQUAL(gpmm_read_from(&world.guest, fd, 5, BASE + 50, size,
				       &done), 0);
	CU_ASSERT_EQUAL(done, size);
	CU_ASSERT_EQUAL(world.marks.start, BASE + 50);
	CU_ASSERT_EQUAL(world.marks.size, size);
	CU_ASSERT_FALSE(world.marks.torn);
	CU_ASSERT_EQUAL(gpmm_read(&world.guest, BASE + 50, in, size, NULL), 0);
	CU_ASSERT_EQUAL(memcmp(in, out, size), 0);
	CU_ASSERT_EQUAL(ftruncate(fd, 0), 0);
	CU_ASSERT_EQUAL(gpmm_write_to(&world.guest, fd, -1, BASE + 50, size,
				      &done), 0);
	CU_ASSERT_EQUAL(done, size);
	memset(in, 0, size);
	CU_ASSERT_EQUAL(pread(fd, in, size, 0), (ssize_t)size);
	CU_ASSERT_EQUAL(memcmp(in, out, size), 0);
	/* The end of the file. */
	CU_ASSERT_EQUAL(gpmm_read_from(&world.guest, fd, (off_t)size - 9, BASE,
				       PAGE, &done), 0);
	CU_ASSERT_EQUAL(done, 9);
	/* The end of guest memory. */
	CU_ASSERT_EQUAL(gpmm_write_to(&world.guest, fd, 0,
				      BASE + (AREAS - 1) * PAGE, 2 * PAGE,
				      &done), -ENXIO);
	CU_ASSERT_EQUAL(done, PAGE);
	CU_ASSERT_EQUAL(gpmm_read_from(&world.guest, -1, 0, BASE, 1, &done),
			-EBADF);
	CU_ASSERT_EQUAL(gpmm_read_from(&world.guest, fd, -2, BASE, 1, &done),
			-EINVAL);
	CU_ASSERT_EQUAL(gpmm_read_from(&world.guest, fd, 0, UINT64_MAX, 2,
				       &done), -EINVAL);
	free(out);
	free(in);
	close(fd);
	world_end(&world);
}

static void a_pipe_gives_what_it_has(void)
{
	struct world world;
	uint64_t done;
	int fds[2];
	char in[5];

	world_make(&world, 0);
	world_ram(&world, BASE, PAGE, GPMM_RW);
	CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
	CU_ASSERT_EQUAL(write(fds[1], "hello", 5), 5);
	CU_ASSERT_EQUAL(gpmm_read_from(&world.guest, fds[0], -1, BASE + 3,
				       100, &done), 0);
	CU_ASSERT_EQUAL(done, 5);
	CU_ASSERT_EQUAL(gpmm_read(&world.guest, BASE + 3, in, 5, NULL), 0);
	CU_ASSERT_EQUAL(memcmp(in, "hello", 5), 0);
	CU_ASSERT_EQUAL(world.marks.start, BASE + 3);
	CU_ASSERT_EQUAL(world.marks.size, 5);
	close(fds[0]);
	close(fds[1]);
	world_end(&world);
}

static void files_leave_no_pin(void)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	struct world world;
	int released = 0;

	world_make(&world, 0);
	for (int i = 0; i < 3; i++)
		map_counted_at(&world, BASE + 2 * i * PAGE, &released);
	CU_ASSERT_EQUAL(gpmm_write_to(&world.guest, fd, 0, BASE, 6 * PAGE,
				      NULL), 0);
	CU_ASSERT_EQUAL(gpmm_read_from(&world.guest, fd, 0, BASE, 6 * PAGE,
				       NULL), 0);
	CU_ASSERT_EQUAL(gpmm_set_drain(world.set), 0);
	CU_ASSERT_EQUAL(released, 0);
	CU_ASSERT_EQUAL(gpmm_set_unmap(world.set, BASE, 6 * PAGE), 0);
	CU_ASSERT_EQUAL(gpmm_set_drain(world.set), 0);
	CU_ASSERT_EQUAL(released, 3);
	close(fd);
	world_end(&world);
}

/* As a pipe has more room than one system call has pieces. */
static void make_areas(struct world *world)
{
	world_make(world, 0);
	for (uint64_t i = 0; i < AREAS; i++)
		world_ram(world, BASE + i * PAGE, PAGE, GPMM_RW);
}

static void what_a_pipe_has_is_not_waited_beyond(void)
{
	static char bytes[AREAS * 4096];
	struct world world;
	uint64_t done;
	int fds[2];

	make_areas(&world);
	CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
	CU_ASSERT_TRUE_FATAL(fcntl(fds[1], F_SETPIPE_SZ, 64 * 4096) > 0);
	/* A hang ends the test. */
	alarm(30);
	for (ssize_t pages = 1; pages < AREAS; pages++) {
		CU_ASSERT_EQUAL(write(fds[1], bytes, pages * PAGE),
				pages * (ssize_t)PAGE);
		CU_ASSERT_EQUAL(gpmm_read_from(&world.guest, fds[0], -1, BASE,
					       AREAS * PAGE, &done), 0);
		CU_ASSERT_EQUAL(done, pages * PAGE);
	}
	alarm(0);
	close(fds[0]);
	close(fds[1]);
	world_end(&world);
}

static void a_file_that_is_not_ready_says_so(void)
{
	struct world world;
	uint64_t done;
	int fds[2];

	make_areas(&world);
	CU_ASSERT_EQUAL_FATAL(pipe2(fds, O_NONBLOCK), 0);
	CU_ASSERT_TRUE_FATAL(fcntl(fds[1], F_SETPIPE_SZ, 16 * 4096) > 0);
	CU_ASSERT_EQUAL(gpmm_read_from(&world.guest, fds[0], -1, BASE, PAGE,
				       &done), -EAGAIN);
	CU_ASSERT_EQUAL(done, 0);
	CU_ASSERT_EQUAL(gpmm_write_to(&world.guest, fds[1], -1, BASE,
				      AREAS * PAGE, &done), 0);
	CU_ASSERT_EQUAL(done, 16 * PAGE);
	CU_ASSERT_EQUAL(gpmm_write_to(&world.guest, fds[1], -1, BASE, PAGE,
				      &done), -EAGAIN);
	CU_ASSERT_EQUAL(done, 0);
	close(fds[0]);
	close(fds[1]);
	world_end(&world);
}

static void interrupt(int signal)
{
	(void)signal;
}

struct waiting {
	struct world *world;
	int fd;
	int over;	/* atomic */
	int ret;
	uint64_t done;
};

static void *wait_for_bytes(void *arg)
{
	struct waiting *waiting = arg;

	gpmm_thread_register();
	waiting->ret = gpmm_read_from(&waiting->world->guest, waiting->fd, -1,
				      BASE, PAGE, &waiting->done);
	gpmm_thread_unregister();
	__atomic_store_n(&waiting->over, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void a_signal_ends_the_wait(void)
{
	struct sigaction action = { .sa_handler = interrupt }, old;
	struct world world;
	struct waiting waiting = { .world = &world, .done = 1 };
	pthread_t thread;
	int fds[2];

	make_areas(&world);
	CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
	waiting.fd = fds[0];
	sigaction(SIGUSR1, &action, &old);
	pthread_create(&thread, NULL, wait_for_bytes, &waiting);
	while (!__atomic_load_n(&waiting.over, __ATOMIC_SEQ_CST)) {
		pthread_kill(thread, SIGUSR1);
		sched_yield();
	}
	pthread_join(thread, NULL);
	sigaction(SIGUSR1, &old, NULL);
	CU_ASSERT_EQUAL(waiting.ret, -EINTR);
	CU_ASSERT_EQUAL(waiting.done, 0);
	close(fds[0]);
	close(fds[1]);
	world_end(&world);
}

static void files_may_be_direct(void)
{
	int fd = open(".", O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);
	uint64_t done, value;
	struct world world;
	int ret;

	if (fd < 0) {
		printf("(no O_DIRECT here) ");
		return;
	}
	make_areas(&world);
	for (uint64_t i = 0; i < AREAS; i++)
		gpmm_store(&world.guest, BASE + i * PAGE, GPMM_LE64,
			   GPMM_RELAXED, i + 1);
	CU_ASSERT_EQUAL(gpmm_write_to(&world.guest, fd, 0, BASE, AREAS * PAGE,
				      &done), 0);
	CU_ASSERT_EQUAL(done, AREAS * PAGE);
	gpmm_fill(&world.guest, BASE, 0, AREAS * PAGE, NULL);
	CU_ASSERT_EQUAL(gpmm_read_from(&world.guest, fd, 0, BASE, AREAS * PAGE,
				       &done), 0);
	CU_ASSERT_EQUAL(done, AREAS * PAGE);
	for (uint64_t i = 0; i < AREAS; i++) {
		gpmm_load(&world.guest, BASE + i * PAGE, GPMM_LE64,
			  GPMM_RELAXED, &value);
		CU_ASSERT_EQUAL(value, i + 1);
	}
	/* At the end of the file; and not as most files want it. */
	CU_ASSERT_EQUAL(gpmm_read_from(&world.guest, fd, AREAS * 4096, BASE,
				       PAGE, &done), 0);
	CU_ASSERT_EQUAL(done, 0);
	ret = gpmm_read_from(&world.guest, fd, 1, BASE + 1, 511, &done);
	CU_ASSERT_TRUE(ret == -EINVAL ? !done : !ret && done == 511);
	close(fd);
	world_end(&world);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		TEST(a_pin_survives_the_unmapping),
		TEST(a_mark_comes_before_the_unpin),
		TEST(memory_without_pins_goes_with_its_area),
		TEST(pins_are_refused_where_access_is),
		TEST(a_scatter_list_covers_its_ranges_in_order),
		TEST(a_list_too_short_is_told_the_length),
		TEST(a_list_that_leaves_memory_pins_nothing),
		TEST(files_are_read_and_written_across_areas),
		TEST(a_pipe_gives_what_it_has),
		TEST(files_leave_no_pin),
		TEST(what_a_pipe_has_is_not_waited_beyond),
		TEST(a_file_that_is_not_ready_says_so),
		TEST(a_signal_ends_the_wait),
		TEST(files_may_be_direct),
		CU_TEST_INFO_NULL,
	};

	return run_suite("pins and scatter lists", tests);
}
