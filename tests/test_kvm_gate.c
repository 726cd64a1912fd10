/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guests that look without pause while slots are split, shrunk, merged,
 * protected and replaced under them: behind the gate they see no hole, and
 * without it they do.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <gpmm/kvm.h>

#include "helpers/kvm_guest.h"
#include "helpers/kvm_suite.h"
#include "util/lock.h"

#define PAGE UINT64_C(4096)
#define GPA UINT64_C(0x40000000)
#define FIRST_SLOT 1

/*
 * Pages 0 to 7 are read and written by the first vCPU, 8 to 15 only read, by
 * the second; 16 and 17 come and go. Memory holds two copies of them all.
 */
#define WRITTEN 8
#define LOOKED_AT 16
#define PAGES 18
#define COPY 32
#define MAGIC UINT64_C(0x1234567800)

static struct kvm_guest guest;
static struct gpmm_backend *be;
static uint64_t *memory;

/* ---------------------------------------------------------------- vCPUs --- */

struct runner {
	pthread_t thread;
	struct kvm_guest_vcpu *vcpu;
	struct gpmm_kvm_vcpu *gated;	/* NULL: runs past the gate */
	enum kvm_guest_routine routine;
	struct kvm_guest_args args;
	bool stop;
	uint64_t holes;		/* MMIO exits and internal errors */
	uint64_t wrong;		/* values that the guest may not read */
};

static void no_op(int signal)
{
	(void)signal;
}

static struct kvm_guest_result run_once(struct runner *runner)
{
	if (!runner->gated)
		return kvm_guest_run(runner->vcpu);
	return kvm_guest_exit(runner->vcpu,
			      gpmm_kvm_run(runner->gated, runner->vcpu->fd));
}

static void look_at(struct runner *runner, struct kvm_guest_result result)
{
	if (result.error == -EINTR)
		return;
	if (result.exit == KVM_GUEST_DONE) {
		__atomic_fetch_add(&runner->wrong, 1, __ATOMIC_RELAXED);
		return;
	}
	__atomic_fetch_add(&runner->holes, 1, __ATOMIC_RELAXED);
	if (result.exit == KVM_GUEST_OTHER)
		kvm_guest_prepare(runner->vcpu, runner->routine,
				  &runner->args);
}

static void *run(void *arg)
{
	struct runner *runner = arg;

	kvm_guest_prepare(runner->vcpu, runner->routine, &runner->args);
	while (!__atomic_load_n(&runner->stop, __ATOMIC_SEQ_CST))
		look_at(runner, run_once(runner));
	return NULL;
}

static uint64_t rounds(unsigned int n)
{
	return __atomic_load_n(&kvm_guest_scratch(&guest)[8 * n],
			       __ATOMIC_RELAXED);
}

static void start_with(struct runner *runner, unsigned int n, bool gated,
		       void *(*body)(void *))
{
	const struct gpmm_kvm_vcpu_options options = {
		.immediate_exit = &guest.vcpus[n].run->immediate_exit,
		.signal = SIGUSR1,
	};

	*runner = (struct runner){
		.vcpu = &guest.vcpus[n],
		.routine = n ? KVM_GUEST_READER : KVM_GUEST_WATCH,
		.args = {
			.rdi = GPA + (n ? WRITTEN * PAGE : 0),
			.rcx = n ? LOOKED_AT - WRITTEN : WRITTEN,
			.rbx = ~UINT64_C(0xff),
			.rdx = MAGIC,
			.r8 = KVM_GUEST_SCRATCH + 64 * n,
		},
	};
	if (gated)
		CU_ASSERT_EQUAL_FATAL(gpmm_kvm_vcpu_create(be, &options,
							   &runner->gated), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&runner->thread, NULL, body,
					     runner), 0);
	while (!rounds(n))
		sched_yield();
}

static void start(struct runner *runner, unsigned int n, bool gated)
{
	start_with(runner, n, gated, run);
}

static void stop(struct runner *runner)
{
	__atomic_store_n(&runner->stop, true, __ATOMIC_SEQ_CST);
	__atomic_store_n(&runner->vcpu->run->immediate_exit, 1,
			 __ATOMIC_SEQ_CST);
	pthread_kill(runner->thread, SIGUSR1);
	pthread_join(runner->thread, NULL);
	runner->vcpu->run->immediate_exit = 0;
	gpmm_kvm_vcpu_destroy(runner->gated);
}

/* -------------------------------------------------------------- changes --- */

static struct gpmm_area at(uint64_t page, uint64_t count, uint64_t host,
			   uint32_t flags)
{
	return (struct gpmm_area){
		.start = GPA + page * PAGE,
		.size = count * PAGE,
		.flags = flags,
		.hva = (char *)memory + host * PAGE,
	};
}

static void map(uint64_t page, uint64_t count, uint64_t host, uint32_t flags)
{
	const struct gpmm_area area = at(page, count, host, flags);

	CU_ASSERT_EQUAL_FATAL(be->ops->map(be, &area), 0);
}

static void unmap(uint64_t page, uint64_t count, uint64_t host, uint32_t flags)
{
	const struct gpmm_area area = at(page, count, host, flags);

	CU_ASSERT_EQUAL_FATAL(be->ops->unmap(be, &area), 0);
}

static void begin(void)
{
	CU_ASSERT_EQUAL_FATAL(be->ops->begin(be), 0);
}

static void commit(void)
{
	CU_ASSERT_EQUAL_FATAL(be->ops->commit(be), 0);
	be->ops->published(be);
}

/* Pages from @page on take their memory from the other copy. */
static void replace(uint64_t page, uint64_t count, bool back)
{
	unmap(page, count, page + (back ? COPY : 0), GPMM_RW);
	map(page, count, page + (back ? 0 : COPY), GPMM_RW);
}

/* The steps of a round; each leaves pages 0 to 15 what they may be. */
static void change(unsigned int step)
{
	const struct gpmm_area rom = at(10, 3, 10, step % 8 == 2 ?
					GPMM_RW : GPMM_READ);

	begin();
	switch (step % 8) {
	case 0:		/* shrink */
		unmap(16, 2, 16, GPMM_RW);
		break;
	case 1:		/* grow again */
		map(16, 2, 16, GPMM_RW);
		break;
	case 2:		/* protect, which splits */
		be->ops->protect(be, &rom, GPMM_READ);
		break;
	case 3:		/* and merges */
		be->ops->protect(be, &rom, GPMM_RW);
		break;
	case 4:		/* replace, where it is written */
		replace(3, 2, false);
		break;
	case 5:
		replace(3, 2, true);
		break;
	case 6:		/* split into slots of their own */
		unmap(0, 9, 0, GPMM_RW);
		map(0, 9, 0, GPMM_RW | GPMM_NOMERGE);
		break;
	case 7:		/* and merge them */
		unmap(0, 9, 0, GPMM_RW);
		map(0, 9, 0, GPMM_RW);
		break;
	}
	commit();
}

/* ---------------------------------------------------------------- setup --- */

static void setup(void)
{
	const struct gpmm_kvm_options options = { .first_slot = FIRST_SLOT };
	const struct sigaction action = { .sa_handler = no_op };
	const char *problem = kvm_guest_init(&guest, 2);

	if (problem)
		CU_FAIL_FATAL(problem);
	sigaction(SIGUSR1, &action, NULL);
	memory = mmap(NULL, 2 * COPY * PAGE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_PTR_NOT_EQUAL_FATAL(memory, MAP_FAILED);
	for (uint64_t i = 0; i < 2 * COPY; i++)
		memory[i * PAGE / 8] = MAGIC + i;
	CU_ASSERT_EQUAL_FATAL(gpmm_kvm_create(guest.vm_fd, &options, &be), 0);
	begin();
	map(0, PAGES, 0, GPMM_RW);
	commit();
}

static void teardown(void)
{
	gpmm_kvm_destroy(be);
	kvm_guest_fini(&guest);
	munmap(memory, 2 * COPY * PAGE);
}

/* How often the first vCPU has counted page @page up, in either copy. */
static uint64_t written(uint64_t page)
{
	return memory[page * PAGE / 8 + 1] +
	       memory[(page + COPY) * PAGE / 8 + 1];
}

/*
 * 10,000 changes take some 3 s on two idle cores; on crowded ones each kick
 * waits for its vCPU's turn, and all of them are left to the long tier.
 */
static time_t started;

static bool is_too_late(unsigned int changes)
{
	return !getenv("GPMM_LONG") && changes >= 200 &&
	       time(NULL) > started + 5;
}

/* Else a writer in haste finds them still on their way in each time. */
static void let_guests_run(void)
{
	uint64_t before[2] = { rounds(0), rounds(1) };

	while (rounds(0) == before[0] || rounds(1) == before[1])
		sched_yield();
}

/* ---------------------------------------------------------------- tests --- */

static void test_guests_behind_the_gate_see_no_hole(void)
{
	struct gpmm_kvm_stats stats;
	struct runner runners[2];
	unsigned int changes = 0;

	setup();
	started = time(NULL);
	start(&runners[0], 0, true);
	start(&runners[1], 1, true);
	for (; changes < 10000 && !is_too_late(changes); changes++) {
		change(changes);
		if (changes % 50 == 0)
			let_guests_run();
	}
	gpmm_kvm_get_stats(be, &stats);
	for (int i = 0; i < 2; i++) {
		stop(&runners[i]);
		CU_ASSERT_EQUAL(runners[i].holes, 0);
		CU_ASSERT_EQUAL(runners[i].wrong, 0);
	}
	/* No write went astray either, whichever copy was there. */
	for (uint64_t i = 0; i < WRITTEN; i++) {
		CU_ASSERT(written(i) - rounds(0) <= 1);
	}
	CU_ASSERT_EQUAL(stats.stalls.count, changes);
	CU_ASSERT(stats.stalls.max_ns > 0);
	CU_ASSERT(stats.stalls.total_ns >= stats.stalls.max_ns);
	CU_ASSERT(stats.stalls.kicks >= changes / 50);
	printf("%u changes, %llu kicks, held %llu us on average, %llu most; ",
	       changes, (unsigned long long)stats.stalls.kicks,
	       (unsigned long long)(stats.stalls.total_ns / 1000 / changes),
	       (unsigned long long)(stats.stalls.max_ns / 1000));
	teardown();
}

static uint64_t holes(const struct runner *runners)
{
	return __atomic_load_n(&runners[0].holes, __ATOMIC_RELAXED) +
	       __atomic_load_n(&runners[1].holes, __ATOMIC_RELAXED);
}

static void test_guests_past_the_gate_see_holes(void)
{
	struct runner runners[2];

	setup();
	start(&runners[0], 0, false);
	start(&runners[1], 1, false);
	for (unsigned int i = 0; i < 10000 && holes(runners) < 10; i++)
		change(i);
	CU_ASSERT(holes(runners) > 0);
	stop(&runners[0]);
	stop(&runners[1]);
	teardown();
}

/* A log that is switched, memory that moves, a slot elsewhere: no pause. */
static void test_changes_without_a_hole_hold_nobody(void)
{
	const struct gpmm_area ram = at(0, PAGES, 0, GPMM_RW);
	struct gpmm_kvm_stats stats;
	struct runner runner;

	setup();
	start(&runner, 0, true);
	begin();
	map(40, 2, 40, GPMM_RW);
	commit();
	begin();
	unmap(40, 2, 40, GPMM_RW);
	map(44, 2, 40, GPMM_RW);
	commit();
	begin();
	be->ops->protect(be, &ram, GPMM_RW | GPMM_LOG_DIRTY);
	commit();
	begin();
	unmap(44, 2, 40, GPMM_RW);
	commit();
	gpmm_kvm_get_stats(be, &stats);
	CU_ASSERT_EQUAL(stats.stalls.count, 0);
	CU_ASSERT_EQUAL(stats.stalls.kicks, 0);
	stop(&runner);
	CU_ASSERT_EQUAL(runner.holes, 0);
	teardown();
}

/* ------------------------------------------------------------ deadlocks --- */

/* What stands for the set's lock: both writers' threads run vCPUs too. */
static struct lock writers;
static unsigned int changes_left;
static bool is_split;

/* Split the last pages off and merge them again, at the moment's state. */
static void change_one(bool *split)
{
	begin();
	if (*split)
		map(16, 2, 16, GPMM_RW);
	else
		unmap(16, 2, 16, GPMM_RW);
	*split = !*split;
	commit();
}

static bool is_work_left(void)
{
	return __atomic_load_n(&changes_left, __ATOMIC_SEQ_CST) > 0;
}

static void *run_and_change(void *arg)
{
	struct runner *runner = arg;
	bool more = true;

	kvm_guest_prepare(runner->vcpu, runner->routine, &runner->args);
	while (more) {
		look_at(runner, run_once(runner));
		lock_acquire(&writers);
		more = is_work_left();
		if (more) {
			change_one(&is_split);
			__atomic_fetch_sub(&changes_left, 1, __ATOMIC_SEQ_CST);
		}
		lock_release(&writers);
	}
	return NULL;
}

/* Both are interrupted again and again, and commit at each return. */
static void test_vcpu_threads_that_commit_are_served(void)
{
	struct runner runners[2];

	setup();
	lock_init(&writers);
	changes_left = 100;
	is_split = false;
	start_with(&runners[0], 0, true, run_and_change);
	start_with(&runners[1], 1, true, run_and_change);
	while (is_work_left()) {
		pthread_kill(runners[0].thread, SIGUSR1);
		pthread_kill(runners[1].thread, SIGUSR1);
		sched_yield();
	}
	for (int i = 0; i < 2; i++) {
		stop(&runners[i]);
		CU_ASSERT_EQUAL(runners[i].holes, 0);
		CU_ASSERT_EQUAL(runners[i].wrong, 0);
	}
	lock_fini(&writers);
	teardown();
}

static void test_a_thread_between_enter_and_leave_may_commit(void)
{
	const struct gpmm_kvm_vcpu_options options = { .signal = SIGUSR1 };
	struct gpmm_kvm_vcpu *vcpu;
	struct gpmm_kvm_stats stats;
	bool split = false;

	setup();
	CU_ASSERT_EQUAL_FATAL(gpmm_kvm_vcpu_create(be, &options, &vcpu), 0);
	gpmm_kvm_enter(vcpu);
	change_one(&split);
	change_one(&split);
	gpmm_kvm_leave(vcpu);
	gpmm_kvm_get_stats(be, &stats);
	CU_ASSERT_EQUAL(stats.stalls.count, 2);
	CU_ASSERT_EQUAL(stats.stalls.kicks, 0);
	gpmm_kvm_vcpu_destroy(vcpu);
	teardown();
}

static void test_a_vcpu_that_cannot_be_kicked_is_refused(void)
{
	struct gpmm_kvm_vcpu_options options = { 0 };
	struct gpmm_kvm_vcpu *vcpu;

	setup();
	CU_ASSERT_EQUAL(gpmm_kvm_vcpu_create(be, &options, &vcpu), -EINVAL);
	/* Which nobody looks at who is in the guest already. */
	options.immediate_exit = &guest.vcpus[0].run->immediate_exit;
	CU_ASSERT_EQUAL(gpmm_kvm_vcpu_create(be, &options, &vcpu), -EINVAL);
	teardown();
}

/* Its KVM_RUN is a wait for a word that the kick sets. */
static bool kicked;

static void kick(void *arg)
{
	__atomic_store_n((bool *)arg, true, __ATOMIC_SEQ_CST);
}

static void *wait_for_kick(void *arg)
{
	struct gpmm_kvm_vcpu *vcpu = arg;

	gpmm_kvm_enter(vcpu);
	__atomic_store_n(&changes_left, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&kicked, __ATOMIC_SEQ_CST))
		sched_yield();
	gpmm_kvm_leave(vcpu);
	return NULL;
}

static void test_the_embedders_own_kick_is_called(void)
{
	const struct gpmm_kvm_vcpu_options options = {
		.kick = kick, .arg = &kicked,
	};
	struct gpmm_kvm_vcpu *vcpu;
	pthread_t thread;
	bool split = false;

	setup();
	kicked = false;
	changes_left = 0;
	CU_ASSERT_EQUAL_FATAL(gpmm_kvm_vcpu_create(be, &options, &vcpu), 0);
	pthread_create(&thread, NULL, wait_for_kick, vcpu);
	while (!__atomic_load_n(&changes_left, __ATOMIC_SEQ_CST))
		sched_yield();
	change_one(&split);
	pthread_join(thread, NULL);
	CU_ASSERT(kicked);
	gpmm_kvm_vcpu_destroy(vcpu);
	teardown();
}

static unsigned int signals;

static void count_signal(int signal)
{
	(void)signal;
	__atomic_fetch_add(&signals, 1, __ATOMIC_SEQ_CST);
}

/* The first comes just before its KVM_RUN, which it so does not end. */
static void *need_two_signals(void *arg)
{
	struct gpmm_kvm_vcpu *vcpu = arg;

	gpmm_kvm_enter(vcpu);
	__atomic_store_n(&changes_left, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&signals, __ATOMIC_SEQ_CST) < 2)
		sched_yield();
	gpmm_kvm_leave(vcpu);
	return NULL;
}

static void test_a_signal_that_ended_nothing_is_sent_again(void)
{
	const struct gpmm_kvm_vcpu_options options = { .signal = SIGUSR2 };
	const struct sigaction action = { .sa_handler = count_signal };
	struct gpmm_kvm_vcpu *vcpu;
	pthread_t thread;
	bool split = false;

	setup();
	sigaction(SIGUSR2, &action, NULL);
	signals = 0;
	changes_left = 0;
	CU_ASSERT_EQUAL_FATAL(gpmm_kvm_vcpu_create(be, &options, &vcpu), 0);
	pthread_create(&thread, NULL, need_two_signals, vcpu);
	while (!__atomic_load_n(&changes_left, __ATOMIC_SEQ_CST))
		sched_yield();
	/* A hang ends the test. */
	alarm(30);
	change_one(&split);
	alarm(0);
	pthread_join(thread, NULL);
	CU_ASSERT(signals >= 2);
	gpmm_kvm_vcpu_destroy(vcpu);
	teardown();
}

static const char *missing(void)
{
	const char *problem = kvm_guest_init(&guest, 2);

	kvm_guest_fini(&guest);
	return problem;
}

SUITE_IF(missing(), "kvm gate",
	TEST(test_guests_behind_the_gate_see_no_hole),
	TEST(test_guests_past_the_gate_see_holes),
	TEST(test_changes_without_a_hole_hold_nobody),
	TEST(test_vcpu_threads_that_commit_are_served),
	TEST(test_a_thread_between_enter_and_leave_may_commit),
	TEST(test_a_vcpu_that_cannot_be_kicked_is_refused),
	TEST(test_the_embedders_own_kick_is_called),
	TEST(test_a_signal_that_ended_nothing_is_sent_again))
