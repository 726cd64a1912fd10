/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Drains: they end in time, and say who holds what. Read sections are inlined
 * here, as an embedder may have them.
 */
#define GPMM_INLINE_SECTIONS
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "helpers/entries.h"
#include "helpers/guest_fixture.h"

#define BASE UINT64_C(0x900000)
#define SIZE (8 * PAGE)

static struct gpmm_host *map(struct world *world)
{
	struct gpmm_host_options options = { .size = SIZE };
	struct gpmm_host *host = NULL;

	world_make(world, 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_host_create(&options, &host), 0);
	world_map(world, BASE, gpmm_host_get(host), GPMM_RW);
	return host;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

static struct gpmm_holder *hold(const char *label)
{
	struct gpmm_holder *holder = NULL;

	CU_ASSERT_EQUAL_FATAL(gpmm_holder_create(label, &holder), 0);
	return holder;
}

static void nothing_held_is_done(void)
{
	struct gpmm_certificate certificate = { .capacity = 0 };
	struct world world;
	struct gpmm_host *host = map(&world);

	CU_ASSERT_EQUAL(gpmm_set_unmap(world.set, BASE, SIZE), 0);
	CU_ASSERT_EQUAL(gpmm_drain(world.set, host, 0, 0, 30000, &certificate),
			0);
	CU_ASSERT_TRUE(certificate.done);
	CU_ASSERT_FALSE(certificate.readers);
	CU_ASSERT_EQUAL(certificate.pins + certificate.area_pins, 0);
	CU_ASSERT_EQUAL(gpmm_drain(world.set, host, PAGE, PAGE, 30000, NULL),
			0);
	CU_ASSERT_EQUAL(gpmm_drain(world.set, host, SIZE, 0, 0, NULL),
			-EINVAL);
	CU_ASSERT_EQUAL(gpmm_drain(world.set, host, SIZE - PAGE, 2 * PAGE, 0,
				   NULL), -EINVAL);
	CU_ASSERT_EQUAL(gpmm_drain(world.set, host, 1, UINT64_MAX, 0, NULL),
			-EINVAL);
	gpmm_host_put(host);
	world_end(&world);
}

static void the_certificate_names_who_holds_what(void)
{
	struct gpmm_holding holdings[1];
	struct gpmm_certificate certificate = { .holdings = holdings,
						.capacity = 1 };
	struct gpmm_holder *net = hold("net");
	struct gpmm_holder *disk =
		hold("disk: a label that is too long to be kept whole");
	struct gpmm_pin a, b;
	struct world world;
	struct gpmm_host *host = map(&world);
	uint64_t before = now_ns();

	CU_ASSERT_EQUAL(gpmm_pin(&world.guest, disk, BASE + PAGE + 7, 100,
				 GPMM_READ, &a), 0);
	CU_ASSERT_EQUAL(gpmm_pin(&world.guest, net, BASE + 5 * PAGE, 1,
				 GPMM_READ, &b), 0);
	CU_ASSERT_EQUAL(gpmm_set_unmap(world.set, BASE, SIZE), 0);
	CU_ASSERT_EQUAL(gpmm_drain(world.set, host, 0, 4 * PAGE, 30,
				   &certificate), -ETIMEDOUT);
	CU_ASSERT_TRUE(now_ns() - before >= 30000000);
	CU_ASSERT_FALSE(certificate.done);
	CU_ASSERT_FALSE(certificate.readers);
	CU_ASSERT_EQUAL(certificate.pins, 1);
	CU_ASSERT_STRING_EQUAL(holdings[0].label,
			       "disk: a label that is too long ");
	CU_ASSERT_EQUAL(holdings[0].thread, syscall(SYS_gettid));
	CU_ASSERT_EQUAL(holdings[0].gpa, BASE + PAGE + 7);
	CU_ASSERT_EQUAL(holdings[0].size, 100);
	CU_ASSERT_PTR_EQUAL(holdings[0].addr, a.addr);
	CU_ASSERT_TRUE(holdings[0].since_ns + 100000000 > before &&
		       holdings[0].since_ns <= now_ns());
	CU_ASSERT_EQUAL(gpmm_drain(world.set, host, 0, 0, 1, &certificate),
			-ETIMEDOUT);
	CU_ASSERT_EQUAL(certificate.pins, 2);
	CU_ASSERT_EQUAL(gpmm_drain(world.set, host, 2 * PAGE, 3 * PAGE, 30000,
				   &certificate), 0);
	gpmm_unpin(&a);
	gpmm_unpin(&b);
	CU_ASSERT_EQUAL(gpmm_drain(world.set, host, 0, 0, 30000, &certificate),
			0);
	gpmm_holder_destroy(disk);
	gpmm_holder_destroy(net);
	gpmm_host_put(host);
	world_end(&world);
}

struct worker {
	struct world *world;
	pthread_barrier_t barrier;
	pthread_t thread;
	bool in_section;
};

/* Holds something until the drain is under way, then lets go. */
static void *hold_on(void *arg)
{
	struct gpmm_holder *holder = hold("worker");
	struct worker *worker = arg;
	struct gpmm_pin pin;

	gpmm_thread_register();
	if (worker->in_section) {
		gpmm_read_lock();
		/* The end of an inner one is not that of the outer. */
		gpmm_read_lock();
		gpmm_read_unlock();
	} else
		CU_ASSERT_EQUAL(gpmm_pin(&worker->world->guest, holder, BASE,
					 SIZE, GPMM_RW, &pin), 0);
	pthread_barrier_wait(&worker->barrier);
	pthread_barrier_wait(&worker->barrier);
	if (worker->in_section)
		gpmm_read_unlock();
	else
		gpmm_unpin(&pin);
	gpmm_thread_unregister();
	gpmm_holder_destroy(holder);
	return NULL;
}

/* Return: what is held, once it is. */
static struct gpmm_host *start_worker(struct worker *worker)
{
	struct gpmm_host *host = map(worker->world);

	pthread_barrier_init(&worker->barrier, NULL, 2);
	pthread_create(&worker->thread, NULL, hold_on, worker);
	pthread_barrier_wait(&worker->barrier);
	return host;
}

/* Let it go: then a drain is done. */
static void end_worker(struct worker *worker, struct gpmm_host *host)
{
	struct gpmm_certificate certificate = { .capacity = 0 };

	pthread_barrier_wait(&worker->barrier);
	CU_ASSERT_EQUAL(gpmm_drain(worker->world->set, host, 0, 0, 30000,
				   &certificate), 0);
	CU_ASSERT_TRUE(certificate.done);
	pthread_join(worker->thread, NULL);
	pthread_barrier_destroy(&worker->barrier);
	gpmm_host_put(host);
	world_end(worker->world);
}

static void a_drain_ends_when_the_last_lets_go(bool in_section)
{
	struct gpmm_certificate certificate = { .capacity = 0 };
	struct world world;
	struct worker worker = { .world = &world, .in_section = in_section };
	struct gpmm_host *host = start_worker(&worker);

	CU_ASSERT_EQUAL(gpmm_set_unmap(world.set, BASE, SIZE), 0);
	CU_ASSERT_EQUAL(gpmm_drain(world.set, host, 0, 0, 20, &certificate),
			-ETIMEDOUT);
	CU_ASSERT_EQUAL(certificate.readers, in_section);
	CU_ASSERT_EQUAL(certificate.pins, !in_section);
	end_worker(&worker, host);
}

struct sleeper {
	struct gpmm_pin pin;
	int tid;	/* of who drains */
	int threads;	/* without the one that waits for readers */
};

/* Let go once the drain sleeps and no reader's end will wake it. */
static void *unpin_in_its_sleep(void *arg)
{
	struct sleeper *sleeper = arg;

	while (state_of(sleeper->tid) != 'S' ||
	       count_entries("/proc/self/task") != sleeper->threads)
		sched_yield();
	gpmm_unpin(&sleeper->pin);
	return NULL;
}

static void a_drain_that_sleeps_is_woken_by_the_last_unpin(void)
{
	struct world world;
	struct sleeper sleeper = { .tid = (int)syscall(SYS_gettid) };
	struct gpmm_holder *holder = hold("sleeper");
	struct gpmm_host *host = map(&world);
	uint64_t before = now_ns();
	sigset_t blocked;
	pthread_t thread;

	CU_ASSERT_EQUAL(gpmm_pin(&world.guest, holder, BASE, 1, GPMM_READ,
				 &sleeper.pin), 0);
	CU_ASSERT_EQUAL(gpmm_set_unmap(world.set, BASE, SIZE), 0);
	sleeper.threads = count_entries("/proc/self/task") + 1;
	pthread_create(&thread, NULL, unpin_in_its_sleep, &sleeper);
	CU_ASSERT_EQUAL(gpmm_drain(world.set, host, 0, 0, 30000, NULL), 0);
	CU_ASSERT_TRUE(now_ns() - before < UINT64_C(20000000000));
	pthread_join(thread, NULL);
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	CU_ASSERT_FALSE(sigismember(&blocked, SIGTERM));
	gpmm_holder_destroy(holder);
	gpmm_host_put(host);
	world_end(&world);
}

static void a_drain_waits_for_pins_and_no_longer(void)
{
	a_drain_ends_when_the_last_lets_go(false);
}

static void a_reader_that_stays_is_told_of_and_not_waited_for(void)
{
	a_drain_ends_when_the_last_lets_go(true);
}

static void asking_again_costs_no_more_threads(void)
{
	struct gpmm_certificate certificate = { .capacity = 0 };
	struct world world;
	struct worker worker = { .world = &world, .in_section = true };
	struct gpmm_host *host = start_worker(&worker);
	int before = count_entries("/proc/self/task");

	CU_ASSERT_EQUAL(gpmm_set_unmap(world.set, BASE, SIZE), 0);
	for (int i = 0; i < 30; i++) {
		CU_ASSERT_EQUAL(gpmm_drain(world.set, host, 0, 0, 0,
					   &certificate), -ETIMEDOUT);
		CU_ASSERT_TRUE(certificate.readers);
	}
	/* The set's own may have started meanwhile. */
	CU_ASSERT_TRUE(count_entries("/proc/self/task") <= before + 2);
	end_worker(&worker, host);
}

struct readers {
	pthread_barrier_t in, go, out;
	int tid;	/* of who drains */
};

static void *read_until_it_sleeps(void *arg)
{
	struct readers *readers = arg;

	gpmm_thread_register();
	gpmm_read_lock();
	pthread_barrier_wait(&readers->in);
	pthread_barrier_wait(&readers->go);
	while (state_of(readers->tid) != 'S')
		sched_yield();
	gpmm_read_unlock();
	gpmm_thread_unregister();
	return NULL;
}

static void *read_until_the_end(void *arg)
{
	struct readers *readers = arg;

	gpmm_thread_register();
	gpmm_read_lock();
	pthread_barrier_wait(&readers->in);
	pthread_barrier_wait(&readers->out);
	gpmm_read_unlock();
	gpmm_thread_unregister();
	return NULL;
}

static void wait_until_others_sleep(int tid)
{
	int awake;

	do {
		DIR *dir = opendir("/proc/self/task");
		struct dirent *entry;

		awake = 0;
		CU_ASSERT_PTR_NOT_NULL_FATAL(dir);
		while ((entry = readdir(dir))) {
			int other = atoi(entry->d_name);

			awake += other && other != tid &&
				 state_of(other) == 'R';
		}
		closedir(dir);
		sched_yield();
	} while (awake);
}

/* The first drain's grace period does not wait for who comes during it. */
static void a_drain_waits_for_readers_from_before_itself(void)
{
	struct gpmm_certificate certificate = { .capacity = 0 };
	struct readers readers = { .tid = (int)syscall(SYS_gettid) };
	struct world world;
	struct gpmm_host *host = map(&world);
	pthread_t first, second;

	pthread_barrier_init(&readers.in, NULL, 2);
	pthread_barrier_init(&readers.go, NULL, 2);
	pthread_barrier_init(&readers.out, NULL, 2);
	pthread_create(&first, NULL, read_until_it_sleeps, &readers);
	pthread_barrier_wait(&readers.in);
	CU_ASSERT_EQUAL(gpmm_drain(world.set, host, 0, 0, 0, NULL),
			-ETIMEDOUT);
	wait_until_others_sleep(readers.tid);
	pthread_create(&second, NULL, read_until_the_end, &readers);
	pthread_barrier_wait(&readers.in);
	pthread_barrier_wait(&readers.go);
	CU_ASSERT_EQUAL(gpmm_drain(world.set, host, 0, 0, 100, &certificate),
			-ETIMEDOUT);
	CU_ASSERT_TRUE(certificate.readers);
	pthread_join(first, NULL);
	pthread_barrier_wait(&readers.out);
	CU_ASSERT_EQUAL(gpmm_drain(world.set, host, 0, 0, 30000, NULL), 0);
	pthread_join(second, NULL);
	pthread_barrier_destroy(&readers.in);
	pthread_barrier_destroy(&readers.go);
	pthread_barrier_destroy(&readers.out);
	gpmm_host_put(host);
	world_end(&world);
}

struct leaver {
	struct world *world;
	struct gpmm_holder *holder;
	struct gpmm_pin pin;
	int tid, failed;
};

static void *pin_and_leave(void *arg)
{
	struct leaver *leaver = arg;

	gpmm_thread_register();
	leaver->tid = (int)syscall(SYS_gettid);
	leaver->failed = gpmm_holder_create("gone", &leaver->holder) ||
			 gpmm_pin(&leaver->world->guest, leaver->holder, BASE,
				  PAGE, GPMM_RW, &leaver->pin);
	gpmm_thread_unregister();
	return NULL;
}

/* A device's thread that crashed, say: who cleans up lets go for it. */
static void a_pin_outlives_its_thread(void)
{
	struct gpmm_holding holding;
	struct gpmm_certificate certificate = { &holding, 1, .done = true };
	struct world world;
	struct gpmm_host *host = map(&world);
	struct leaver leaver = { .world = &world };
	pthread_t thread;

	pthread_create(&thread, NULL, pin_and_leave, &leaver);
	pthread_join(thread, NULL);
	CU_ASSERT_FALSE_FATAL(leaver.failed);
	CU_ASSERT_EQUAL(gpmm_set_unmap(world.set, BASE, SIZE), 0);
	CU_ASSERT_EQUAL(gpmm_drain(world.set, host, 0, 0, 1, &certificate),
			-ETIMEDOUT);
	CU_ASSERT_EQUAL(certificate.pins, 1);
	CU_ASSERT_STRING_EQUAL(holding.label, "gone");
	CU_ASSERT_EQUAL(holding.thread, leaver.tid);
	*(volatile char *)leaver.pin.addr = 1;
	gpmm_unpin(&leaver.pin);
	gpmm_holder_destroy(leaver.holder);
	CU_ASSERT_EQUAL(gpmm_drain(world.set, host, 0, 0, 30000, &certificate),
			0);
	gpmm_host_put(host);
	world_end(&world);
}

static void nameless_pins_count(void)
{
	struct gpmm_certificate certificate = { .capacity = 0 };
	struct gpmm_area area;
	struct world world;
	struct gpmm_host *host = map(&world);

	gpmm_read_lock();
	CU_ASSERT_TRUE(gpmm_set_find_rcu(world.set, BASE, &area));
	gpmm_area_pin(&area);
	CU_ASSERT_EQUAL(gpmm_drain(world.set, host, 0, 0, 1, NULL), -EDEADLK);
	gpmm_read_unlock();
	CU_ASSERT_EQUAL(gpmm_set_unmap(world.set, BASE, SIZE), 0);
	CU_ASSERT_EQUAL(gpmm_drain(world.set, host, 0, 0, 1, &certificate),
			-ETIMEDOUT);
	CU_ASSERT_EQUAL(certificate.area_pins, 1);
	gpmm_area_unpin(&area);
	CU_ASSERT_EQUAL(gpmm_drain(world.set, host, 0, 0, 30000, &certificate),
			0);
	gpmm_host_put(host);
	world_end(&world);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		/* It counts threads: one of a drain before may be leaving. */
		TEST(a_drain_that_sleeps_is_woken_by_the_last_unpin),
		TEST(nothing_held_is_done),
		TEST(the_certificate_names_who_holds_what),
		TEST(a_drain_waits_for_pins_and_no_longer),
		TEST(a_reader_that_stays_is_told_of_and_not_waited_for),
		TEST(a_drain_waits_for_readers_from_before_itself),
		TEST(asking_again_costs_no_more_threads),
		TEST(a_pin_outlives_its_thread),
		TEST(nameless_pins_count),
		CU_TEST_INFO_NULL,
	};

	/* Where a reader wakes nobody, writers wait for ever. */
	alarm(60);
	return run_suite("drain", tests);
}
