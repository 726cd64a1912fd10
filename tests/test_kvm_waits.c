/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads that wait in the library between enter and leave, for what the thread
 * holds that waits for them to leave: none of it is a deadlock. The kernel is a
 * fake one: what matters is who waits for whom.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <gpmm/gpmm.h>

#include "helpers/kvm_fake.h"
#include "helpers/kvm_suite.h"
#include "helpers/rng.h"
#include "host/pin.h"
#include "kvm/kvm_backend.h"

#define PAGE UINT64_C(4096)
#define AREA (8 * PAGE)
#define GPA(set) ((1 + (set)) * UINT64_C(0x10000000))

/* Sets over: the first backend, the second, the first again, and all three. */
enum { FIRST, SECOND, SHARED, BOTH, SETS };

#define ACTORS 3

static struct kvm_fake fakes[2];
static struct gpmm_backend *kvm[2];
static struct gpmm_backend *both;
static struct gpmm_set *sets[SETS];
static struct gpmm_host *host;
static struct gpmm_dirty *dirty;

/* A thread with a vCPU behind each gate. */
struct actor {
	pthread_t thread;
	unsigned int n;
	struct gpmm_kvm_vcpu *vcpus[2];
	struct gpmm_dirty_client *client;
	struct rng rng;
	bool kicked;
	bool running[2];	/* "in KVM_RUN", behind each gate */
	bool was_inside;	/* after it had waited */
};

static struct actor actors[ACTORS];
static bool entered, committed;
static unsigned int wrong;

static bool get(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_SEQ_CST);
}

static void set(bool *flag, bool value)
{
	__atomic_store_n(flag, value, __ATOMIC_SEQ_CST);
}

static void wait_for(const bool *flag)
{
	while (!get(flag))
		sched_yield();
}

/* Go on when @count have come. */
static void meet(unsigned int count)
{
	static unsigned int come, times;
	unsigned int now = __atomic_load_n(&times, __ATOMIC_SEQ_CST);

	if (__atomic_add_fetch(&come, 1, __ATOMIC_SEQ_CST) == count) {
		__atomic_store_n(&come, 0, __ATOMIC_SEQ_CST);
		__atomic_store_n(&times, now + 1, __ATOMIC_SEQ_CST);
	}
	while (__atomic_load_n(&times, __ATOMIC_SEQ_CST) == now)
		sched_yield();
}

static void note(bool right)
{
	if (!right)
		__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
}

/* ------------------------------------------------- a backend that fails --- */

static unsigned int commits_to_fail;

static int accept_area(struct gpmm_backend *be, const struct gpmm_area *area)
{
	(void)be;
	(void)area;
	return 0;
}

static int accept_flags(struct gpmm_backend *be, const struct gpmm_area *area,
			uint32_t flags)
{
	(void)be;
	(void)area;
	(void)flags;
	return 0;
}

static int fail_begin(struct gpmm_backend *be)
{
	(void)be;
	return 0;
}

/* What else happens when the first two have committed. */
static void (*half_way)(void);

static int fail_commit(struct gpmm_backend *be)
{
	(void)be;
	if (half_way)
		half_way();
	if (!commits_to_fail)
		return 0;
	commits_to_fail--;
	return -ENXIO;
}

static void fail_abort(struct gpmm_backend *be)
{
	(void)be;
}

static const struct gpmm_backend_ops fail_ops = {
	.abi = GPMM_BACKEND_ABI,
	.name = "failing",
	.map = accept_area,
	.unmap = accept_area,
	.protect = accept_flags,
	.begin = fail_begin,
	.commit = fail_commit,
	.abort = fail_abort,
};

static struct gpmm_backend failing = { .ops = &fail_ops };

/* ---------------------------------------------------------------- setup --- */

static void is_stuck(int signal)
{
	static const char message[] = "\nFAIL: a deadlock\n";

	(void)signal;
	_exit(write(STDERR_FILENO, message, sizeof(message) - 1) < 0 ? 2 : 1);
}

static struct gate *gate_of(unsigned int n)
{
	return &to_kvm(kvm[n])->gate;
}

/* Slots change while the gate is closed and nobody runs, or in one step. */
static void see_nobody_run(unsigned int n)
{
	if (!gate_get(&gate_of(n)->closed))
		return;
	for (int i = 0; i < ACTORS; i++)
		note(!get(&actors[i].running[n]));
}

static void on_first(void)
{
	see_nobody_run(0);
}

static void on_second(void)
{
	see_nobody_run(1);
}

static void make_backend(unsigned int n)
{
	struct kvm_sys sys;

	kvm_fake_init(&fakes[n]);
	sys = kvm_fake_sys(&fakes[n]);
	CU_ASSERT_EQUAL_FATAL(gpmm__kvm_create_on(&sys, NULL, &kvm[n]), 0);
	fakes[n].on_change = n ? on_second : on_first;
}

/* Two pages in the middle become others, which cuts the slot around them. */
static int change(unsigned int n, unsigned int who)
{
	const struct gpmm_area area = {
		.start = GPA(n) + 3 * PAGE,
		.size = 2 * PAGE,
		.flags = GPMM_RW,
		.host = host,
		.hva = (char *)gpmm_host_addr(host) + (10 + who * 2) * PAGE,
	};

	return gpmm_set_map(sets[n], &area, GPMM_MAP_REPLACE);
}

static void make_set(unsigned int n, struct gpmm_backend *backend)
{
	const struct gpmm_set_options options = { .backend = backend };
	const struct gpmm_area area = {
		.start = GPA(n),
		.size = AREA,
		.flags = GPMM_RW,
		.host = host,
		.hva = gpmm_host_addr(host),
	};

	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&options, &sets[n]), 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_set_map(sets[n], &area, 0), 0);
}

static void kick(void *arg)
{
	set(arg, true);
}

static void make_actor(unsigned int n)
{
	struct actor *actor = &actors[n];
	const struct gpmm_kvm_vcpu_options options = {
		.kick = kick, .arg = &actor->kicked,
	};

	*actor = (struct actor){ .n = n, .rng = { n } };
	for (int i = 0; i < 2; i++)
		CU_ASSERT_EQUAL_FATAL(gpmm_kvm_vcpu_create(kvm[i], &options,
					&actor->vcpus[i]), 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_dirty_client_create(dirty, &actor->client),
			      0);
}

static void setup_over(struct gpmm_dirty_source *source)
{
	const struct gpmm_host_options memory = {
		.kind = GPMM_HOST_ANON, .size = 64 * PAGE,
	};
	struct gpmm_backend *all[3];

	signal(SIGALRM, is_stuck);
	alarm(100);
	CU_ASSERT_EQUAL_FATAL(gpmm_host_create(&memory, &host), 0);
	for (unsigned int i = 0; i < 2; i++) {
		make_backend(i);
		all[i] = kvm[i];
	}
	all[2] = &failing;
	CU_ASSERT_EQUAL_FATAL(gpmm_fanout_create(all, 3, &both), 0);
	make_set(FIRST, kvm[0]);
	make_set(SECOND, kvm[1]);
	make_set(SHARED, kvm[0]);
	make_set(BOTH, both);
	if (!source)
		source = gpmm_kvm_dirty_source(kvm[0]);
	CU_ASSERT_EQUAL_FATAL(gpmm_dirty_create((struct gpmm_range){
				GPA(FIRST), AREA }, &source, 1, &dirty), 0);
	for (unsigned int i = 0; i < ACTORS; i++)
		make_actor(i);
	entered = committed = false;
	wrong = 0;
	half_way = NULL;
	commits_to_fail = 0;
}

static void setup(void)
{
	setup_over(NULL);
}

static void teardown(void)
{
	for (unsigned int i = 0; i < ACTORS; i++) {
		gpmm_dirty_client_destroy(actors[i].client);
		for (int j = 0; j < 2; j++)
			gpmm_kvm_vcpu_destroy(actors[i].vcpus[j]);
	}
	gpmm_dirty_destroy(dirty);
	for (int i = 0; i < SETS; i++)
		CU_ASSERT_EQUAL(gpmm_set_destroy(sets[i]), 0);
	gpmm_fanout_destroy(both);
	gpmm_kvm_destroy(kvm[0]);
	gpmm_kvm_destroy(kvm[1]);
	gpmm_host_put(host);
	CU_ASSERT_EQUAL(wrong, 0);
	alarm(0);
}

static bool is_inside(const struct actor *actor, unsigned int n)
{
	return gate_get(&actor->vcpus[n]->inside);
}

/* ------------------------------------------- one waits, another commits --- */

/*
 * An actor enters; once it is kicked, which is when the closer waits for it to
 * leave, it does what waits for the closer, or for a third that does.
 */
struct wait {
	struct actor *actor;
	void (*wait)(struct actor *actor);
};

static void *enter_and_wait(void *arg)
{
	const struct wait *wait = arg;
	struct actor *actor = wait->actor;

	gpmm_kvm_enter(actor->vcpus[0]);
	set(&entered, true);
	wait_for(&actor->kicked);
	wait->wait(actor);
	actor->was_inside = is_inside(actor, 0);
	gpmm_kvm_leave(actor->vcpus[0]);
	return NULL;
}

static void commit_while(void (*wait)(struct actor *actor))
{
	struct wait arg = { &actors[0], wait };

	CU_ASSERT_EQUAL_FATAL(pthread_create(&actors[0].thread, NULL,
					     enter_and_wait, &arg), 0);
	wait_for(&entered);
	CU_ASSERT_EQUAL(change(FIRST, 1), 0);
	set(&committed, true);
	pthread_join(actors[0].thread, NULL);
	CU_ASSERT(actors[0].was_inside);
}

static void wait_for_set(struct actor *actor)
{
	note(change(FIRST, actor->n) == 0);
}

static void test_for_the_set(void)
{
	setup();
	commit_while(wait_for_set);
	teardown();
}

static void wait_for_backend(struct actor *actor)
{
	struct gpmm_kvm_stats stats;

	(void)actor;
	gpmm_kvm_get_stats(kvm[0], &stats);
	note(gpmm_kvm_drain_rings(kvm[0]) == 0);
}

static void test_for_the_backend(void)
{
	setup();
	commit_while(wait_for_backend);
	teardown();
}

/* A source whose harvest lasts until the closer has committed. */
static bool collecting;
static bool slow;

static int attach(struct gpmm_dirty_source *source,
		  const struct gpmm_dirty_sink *sink)
{
	(void)source;
	(void)sink;
	return 0;
}

static void detach(struct gpmm_dirty_source *source)
{
	(void)source;
}

static int collect(struct gpmm_dirty_source *source, struct gpmm_range range)
{
	(void)source;
	(void)range;
	if (!get(&slow))
		return 0;
	set(&collecting, true);
	wait_for(&committed);
	return 0;
}

static const struct gpmm_dirty_source_ops slow_ops = {
	attach, detach, collect,
};

static int take_all(void *arg, gpmm_gpa_t start, uint64_t size)
{
	(void)arg;
	(void)start;
	(void)size;
	return 0;
}

static void *harvest(void *arg)
{
	struct actor *actor = arg;

	note(gpmm_dirty_harvest(actor->client, GPMM_RANGE_ALL, take_all,
				NULL) == 0);
	return NULL;
}

static void wait_for_tracker(struct actor *actor)
{
	harvest(actor);
}

static void test_for_a_tracker(void)
{
	struct gpmm_dirty_source source = { &slow_ops };

	collecting = slow = false;
	setup_over(&source);
	set(&slow, true);
	pthread_create(&actors[1].thread, NULL, harvest, &actors[1]);
	wait_for(&collecting);
	commit_while(wait_for_tracker);
	pthread_join(actors[1].thread, NULL);
	teardown();
}

/* Memory whose release lasts until the closer has committed. */
static struct gpmm_set *doomed;	/* over no backend */
static bool releasing;

static void release(void *arg, void *addr, uint64_t size)
{
	(void)arg;
	(void)addr;
	(void)size;
	set(&releasing, true);
	wait_for(&committed);
}

static void make_doomed(void)
{
	const struct gpmm_set_options options = { 0 };
	const struct gpmm_host_options memory = {
		.kind = GPMM_HOST_USER,
		.size = PAGE,
		.user = gpmm_host_addr(host),
		.release = release,
	};
	struct gpmm_area area = {
		.start = GPA(0), .size = PAGE, .flags = GPMM_RW,
		.backend = gpmm_backend_none(),
	};

	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&options, &doomed), 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_host_create(&memory, &area.host), 0);
	area.hva = gpmm_host_addr(area.host);
	CU_ASSERT_EQUAL_FATAL(gpmm_set_map(doomed, &area, 0), 0);
	gpmm_host_put(area.host);
}

static void wait_for_worker(struct actor *actor)
{
	(void)actor;
	wait_for(&releasing);
	note(gpmm_set_destroy(doomed) == 0);
	note(get(&committed));
}

static void test_for_the_worker(void)
{
	setup();
	releasing = false;
	make_doomed();
	CU_ASSERT_EQUAL_FATAL(gpmm_set_unmap(doomed, GPA(0), PAGE), 0);
	commit_while(wait_for_worker);
	teardown();
}

/* A reader who stays until the closer has committed. */
static bool reading;

static void *read_on(void *arg)
{
	(void)arg;
	gpmm_thread_register();
	gpmm_read_lock();
	set(&reading, true);
	wait_for(&committed);
	gpmm_read_unlock();
	gpmm_thread_unregister();
	return NULL;
}

static void wait_for_reader(struct actor *actor)
{
	(void)actor;
	note(gpmm_set_unmap(doomed, GPA(0), PAGE) == 0);
	note(gpmm_set_drain(doomed) == 0);
	note(get(&committed));
}

static void test_for_readers(void)
{
	pthread_t reader;

	setup();
	make_doomed();
	/* Or the worker waits for them first, and the actor for it. */
	CU_ASSERT_EQUAL(gpmm_set_drain(doomed), 0);
	reading = false;
	pthread_create(&reader, NULL, read_on, NULL);
	wait_for(&reading);
	commit_while(wait_for_reader);
	pthread_join(reader, NULL);
	CU_ASSERT_EQUAL(gpmm_set_destroy(doomed), 0);
	teardown();
}

/* A pin that stays until the closer has committed. */
static bool pinned;

static void *pin_on(void *arg)
{
	const struct gpmm_area area = {
		.start = GPA(0), .size = PAGE, .host = host,
		.hva = gpmm_host_addr(host),
	};
	struct gpmm_holder *holder;
	struct gpmm_pin pin;

	(void)arg;
	note(gpmm_holder_create("device", &holder) == 0);
	note(gpmm_pin_area(holder, &area, GPA(0), PAGE, &pin) == 0);
	set(&pinned, true);
	wait_for(&committed);
	gpmm_unpin(&pin);
	gpmm_holder_destroy(holder);
	return NULL;
}

static void wait_for_pin(struct actor *actor)
{
	(void)actor;
	note(gpmm_drain(sets[FIRST], host, 0, PAGE, 1000000, NULL) == 0);
	note(get(&committed));
}

static void test_for_a_pin(void)
{
	pthread_t device;

	setup();
	pinned = false;
	pthread_create(&device, NULL, pin_on, NULL);
	wait_for(&pinned);
	commit_while(wait_for_pin);
	pthread_join(device, NULL);
	teardown();
}

/* A discard that is under way until the closer has committed. */
static bool discarding;

static void *discard_on(void *arg)
{
	(void)arg;
	note(gpmm__pins_discard_begin(host, 0, PAGE) == 0);
	set(&discarding, true);
	wait_for(&committed);
	gpmm__pins_discard_end(host);
	return NULL;
}

static void wait_to_pin(struct actor *actor)
{
	const struct gpmm_area area = {
		.start = GPA(0), .size = PAGE, .host = host,
		.hva = gpmm_host_addr(host),
	};

	(void)actor;
	gpmm_area_pin(&area);
	note(get(&committed));
	gpmm_area_unpin(&area);
}

static void wait_to_discard(struct actor *actor)
{
	(void)actor;
	note(gpmm_host_discard(host, 63 * PAGE, PAGE) == 0);
	note(get(&committed));
}

static void commit_in_discard(void (*wait)(struct actor *actor))
{
	pthread_t discarder;

	setup();
	discarding = false;
	pthread_create(&discarder, NULL, discard_on, NULL);
	wait_for(&discarding);
	commit_while(wait);
	pthread_join(discarder, NULL);
	teardown();
}

static void test_for_a_discard(void)
{
	commit_in_discard(wait_to_pin);
	commit_in_discard(wait_to_discard);
}

/* Memory that takes until the closer has committed to be there. */
static bool take_time(void *arg, uint64_t done, uint64_t size)
{
	(void)arg;
	(void)done;
	(void)size;
	wait_for(&committed);
	return true;
}

static void wait_for_memory(struct actor *actor)
{
	const struct gpmm_host_options options = {
		.kind = GPMM_HOST_ANON,
		.size = PAGE,
		.prealloc_threads = 1,
		.progress = take_time,
	};
	struct gpmm_host *memory;

	(void)actor;
	note(gpmm_host_create(&options, &memory) == 0);
	gpmm_host_put(memory);
}

static void test_for_memory(void)
{
	setup();
	commit_while(wait_for_memory);
	teardown();
}

/* One thread in one gate as two vCPUs. */
static void wait_for_gate(struct actor *actor)
{
	gpmm_kvm_enter(actors[1].vcpus[0]);
	note(is_inside(actor, 0) && is_inside(&actors[1], 0));
	gpmm_kvm_leave(actors[1].vcpus[0]);
}

static void test_for_the_gate_as_another_vcpu(void)
{
	setup();
	commit_while(wait_for_gate);
	teardown();
}

/* Back inside with the set, and where it enters then. */
static void wait_and_enter(struct actor *actor)
{
	struct gpmm_txn *txn;

	note(gpmm_txn_begin(sets[FIRST], &txn) == 0);
	note(is_inside(actor, 0));
	gpmm_kvm_enter(actor->vcpus[1]);
	note(is_inside(actor, 0) && is_inside(actor, 1));
	/* Which waits for nobody. */
	note(gpmm_set_unmap(sets[FIRST], 0, PAGE) == -EDEADLK);
	note(is_inside(actor, 0) && is_inside(actor, 1));
	gpmm_kvm_leave(actor->vcpus[1]);
	gpmm_txn_abort(txn);
}

static void test_for_the_set_and_enters_then(void)
{
	setup();
	commit_while(wait_and_enter);
	teardown();
}

/* --------------------------------------- closers that wait for each other --- */

/* Each closes one gate, meets the other, and wants what that has closed. */
static void *close_and_enter(void *arg)
{
	struct actor *actor = arg;

	gpmm__gate_close(gate_of(actor->n));
	meet(2);
	gpmm_kvm_enter(actor->vcpus[!actor->n]);
	gpmm_kvm_leave(actor->vcpus[!actor->n]);
	gpmm__gate_open(gate_of(actor->n));
	return NULL;
}

static void *close_both(void *arg)
{
	struct actor *actor = arg;

	gpmm__gate_close(gate_of(actor->n));
	meet(2);
	gpmm__gate_close(gate_of(!actor->n));
	gpmm__gate_open(gate_of(!actor->n));
	gpmm__gate_open(gate_of(actor->n));
	return NULL;
}

static void two_do(void *(*body)(void *arg))
{
	setup();
	for (int i = 0; i < 2; i++)
		pthread_create(&actors[i].thread, NULL, body, &actors[i]);
	/* The other may have closed the gate of the one that is done. */
	for (int i = 0; i < 2; i++)
		pthread_join(actors[i].thread, NULL);
	for (int i = 0; i < 2; i++)
		CU_ASSERT_FALSE(gate_get(&gate_of(i)->closed));
	teardown();
}

static void test_closers_enter_the_gate_of_each_other(void)
{
	two_do(close_and_enter);
}

static void test_closers_close_the_gate_of_each_other(void)
{
	two_do(close_both);
}

static bool is_half_way;

/* Until the other closer has the backend that the undo needs. */
static void let_another_begin(void)
{
	pthread_mutex_t *mutex = &to_kvm(kvm[0])->lock.mutex;

	half_way = NULL;
	set(&is_half_way, true);
	while (!pthread_mutex_trylock(mutex)) {
		pthread_mutex_unlock(mutex);
		sched_yield();
	}
}

static void *change_shared(void *arg)
{
	(void)arg;
	wait_for(&is_half_way);
	note(change(SHARED, 2) == 0);
	return NULL;
}

/*
 * One set's transaction has closed the gate and is to be undone; another's has
 * the backend by now, and is to close the gate.
 */
static void test_an_undo_waits_for_another_closer(void)
{
	pthread_t other;

	setup();
	is_half_way = false;
	half_way = let_another_begin;
	commits_to_fail = 1;
	pthread_create(&other, NULL, change_shared, NULL);
	CU_ASSERT_EQUAL(change(BOTH, 1), -ENXIO);
	pthread_join(other, NULL);
	CU_ASSERT_FALSE(gpmm_set_is_poisoned(sets[BOTH], GPA(BOTH), AREA));
	CU_ASSERT_FALSE(gate_get(&gate_of(0)->closed));
	CU_ASSERT_FALSE(gate_get(&gate_of(1)->closed));
	teardown();
}

/* Who would wait for itself does not wait, and lets nobody in. */
static void ask_for_the_set(void)
{
	note(change(BOTH, 2) == -EDEADLK);
	note(gate_get(&gate_of(0)->closed) && gate_get(&gate_of(1)->closed));
}

static void test_a_closer_who_is_refused_keeps_it_closed(void)
{
	setup();
	half_way = ask_for_the_set;
	CU_ASSERT_EQUAL(change(BOTH, 1), 0);
	half_way = NULL;
	teardown();
}

/* ------------------------------------------------------- all at once --- */

static unsigned int rounds, done;
static time_t deadline;		/* a busy machine's rounds are long */
static bool over;

static uint32_t below(struct actor *actor, uint32_t n)
{
	return rng_below(&actor->rng, n);
}

static void act(struct actor *actor)
{
	unsigned int n = below(actor, 8);
	int ret;

	switch (n) {
	case 4:
		harvest(actor);
		break;
	case 5:
		wait_for_backend(actor);
		break;
	case 6:
		note(gpmm_set_drain(sets[below(actor, SETS)]) == 0);
		break;
	case 7:
		break;
	default:
		ret = change(n, actor->n);
		note(!ret || (n == BOTH && ret == -ENXIO));
	}
}

/* What stands for KVM_RUN, until kicked or for a while. */
static void run(struct actor *actor, unsigned int n)
{
	set(&actor->running[n], true);
	for (int i = 0; i < 20 && !get(&actor->kicked); i++)
		sched_yield();
	set(&actor->running[n], false);
}

/* Into the gates in any order, out of them in any. */
static void act_inside(struct actor *actor)
{
	unsigned int first = below(actor, 2);
	unsigned int last = below(actor, 2);

	gpmm_kvm_enter(actor->vcpus[first]);
	gpmm_kvm_enter(actor->vcpus[!first]);
	meet(ACTORS);
	act(actor);
	set(&actor->kicked, false);
	run(actor, 0);
	act(actor);
	run(actor, 1);
	gpmm_kvm_leave(actor->vcpus[last]);
	act(actor);
	run(actor, !last);
	gpmm_kvm_leave(actor->vcpus[!last]);
	if (!actor->n)
		set(&over, ++done == rounds || time(NULL) >= deadline);
	meet(ACTORS);
}

static void *act_in_rounds(void *arg)
{
	struct actor *actor = arg;

	while (!get(&over))
		act_inside(actor);
	return NULL;
}

/* Now and then what both backends have committed is to be undone. */
static void fail_at_times(void)
{
	static unsigned int times;

	commits_to_fail = times++ % 4 == 0;
}

static void test_all_inside_two_gates_commit(void)
{
	struct gpmm_kvm_stats stats;

	setup();
	half_way = fail_at_times;
	rounds = env_long() ? 50000 : 2000;
	deadline = time(NULL) + (env_long() ? 250 : 20);
	alarm(env_long() ? 500 : 100);
	for (int i = 0; i < ACTORS; i++)
		pthread_create(&actors[i].thread, NULL, act_in_rounds,
			       &actors[i]);
	for (int i = 0; i < ACTORS; i++)
		pthread_join(actors[i].thread, NULL);
	for (int i = 0; i < 2; i++) {
		gpmm_kvm_get_stats(kvm[i], &stats);
		CU_ASSERT(stats.stalls.count > done / 2);
		CU_ASSERT(stats.stalls.kicks > 0);
	}
	for (int i = 0; i < SETS; i++)
		CU_ASSERT_FALSE(gpmm_set_is_poisoned(sets[i], GPA(i), AREA));
	half_way = NULL;
	commits_to_fail = 0;
	teardown();
}

SUITE("kvm waits",
	TEST(test_for_the_set),
	TEST(test_for_the_backend),
	TEST(test_for_a_tracker),
	TEST(test_for_readers),
	TEST(test_for_the_worker),
	TEST(test_for_a_pin),
	TEST(test_for_a_discard),
	TEST(test_for_memory),
	TEST(test_for_the_gate_as_another_vcpu),
	TEST(test_for_the_set_and_enters_then),
	TEST(test_closers_enter_the_gate_of_each_other),
	TEST(test_closers_close_the_gate_of_each_other),
	TEST(test_an_undo_waits_for_another_closer),
	TEST(test_a_closer_who_is_refused_keeps_it_closed),
	TEST(test_all_inside_two_gates_commit))
