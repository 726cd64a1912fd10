/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Three threads in every order that takes at most two preemptions. They are
 * coroutines, switched where threads meet (util/point.h); what goes wrong is
 * told with the schedule that did it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <gpmm/gpmm.h>

#include "helpers/suite.h"
#include "util/rcu.h"

#define PAGE	UINT64_C(4096)

enum {
	THREADS = 3,
	PREEMPTIONS = 2,
	STACK = 256 << 10,
	HOSTS = 8,
};

/* ------------------------------------------------------------- scheduler */

struct thread {
	ucontext_t context;
	void (*run)(void);
	bool over;
	unsigned int nesting;	/* of read sections, while others run */
};

struct preemption {
	unsigned int step;
	unsigned int to;
};

static struct thread threads[THREADS];
static char stacks[THREADS][STACK];
static ucontext_t main_context;
static struct preemption plan[PREEMPTIONS];
static unsigned int planned;
static unsigned int step;	/* points passed in this run */
static unsigned int waits;	/* in a row without anybody getting on */
static const char *violation;	/* the first of this run */

static void violate(const char *what)
{
	if (!violation)
		violation = what;
}

static void switch_to(unsigned int to)
{
	unsigned int from = gpmm__point_self;

	if (to == from)
		return;
	threads[from].nesting = gpmm__rcu_nesting;
	gpmm__rcu_nesting = threads[to].nesting;
	gpmm__point_self = to;
	swapcontext(&threads[from].context, &threads[to].context);
}

/* The next thread round that is not over; the same where there is none. */
static unsigned int next_thread(void)
{
	unsigned int i, to;

	for (i = 1; i < THREADS; i++) {
		to = (gpmm__point_self + i) % THREADS;
		if (!threads[to].over)
			return to;
	}
	return gpmm__point_self;
}

static void at_point(bool stuck)
{
	unsigned int i;

	waits = stuck ? waits + 1 : 0;
	if (waits > 1000) {
		fprintf(stderr, "all threads wait for each other\n");
		abort();
	}
	if (stuck) {
		switch_to(next_thread());
		return;
	}
	step++;
	for (i = 0; i < planned; i++)
		if (plan[i].step == step && !threads[plan[i].to].over)
			switch_to(plan[i].to);
}

/* Is any thread but this one in a section? */
static bool others_read(void)
{
	unsigned int i;

	for (i = 0; i < THREADS; i++)
		if (i != gpmm__point_self && threads[i].nesting)
			return true;
	return false;
}

static void start_thread(void)
{
	unsigned int self = gpmm__point_self, to;

	threads[self].run();
	threads[self].over = true;
	waits = 0;
	to = next_thread();
	if (to == self)
		setcontext(&main_context);
	switch_to(to);
}

/* By itself, because getcontext() is one of those that return twice. */
static void make_thread(struct thread *thread, char *stack)
{
	getcontext(&thread->context);
	thread->context.uc_stack.ss_sp = stack;
	thread->context.uc_stack.ss_size = STACK;
	makecontext(&thread->context, start_thread, 0);
	thread->over = false;
	thread->nesting = 0;
}

static void run_threads(void)
{
	unsigned int i;

	for (i = 0; i < THREADS; i++)
		make_thread(&threads[i], stacks[i]);
	step = waits = 0;
	violation = NULL;
	gpmm__point_self = 0;
	gpmm__rcu_nesting = 0;
	gpmm__rcu_busy = others_read;
	gpmm__point_hook = at_point;
	swapcontext(&main_context, &threads[0].context);
	gpmm__point_hook = NULL;
	gpmm__rcu_busy = NULL;
	gpmm__point_self = 0;
}

/* ----------------------------------------------------------------- world */

static struct gpmm_set *set;
static uint8_t memory[HOSTS][4096] __attribute__((aligned(4096)));
static unsigned int used;	/* of memory */

/* Memory that is gone reads as 0, which no area promises. */
static void release_memory(void *arg, void *addr, uint64_t size)
{
	(void)arg;
	memset(addr, 0, size);
}

/* A page of memory of its own, the flags saying what it holds. */
static void put_page(struct gpmm_txn *txn, gpmm_gpa_t start, uint8_t byte)
{
	struct gpmm_host_options options = {
		.kind = GPMM_HOST_USER,
		.size = PAGE,
		.user = memset(memory[used++], byte, PAGE),
		.release = release_memory,
	};
	struct gpmm_area area = { .start = start, .size = PAGE,
				  .flags = byte };

	if (gpmm_host_create(&options, &area.host))
		abort();
	area.hva = gpmm_host_addr(area.host);
	if (txn ? gpmm_txn_map(txn, &area, GPMM_MAP_REPLACE) :
		  gpmm_set_map(set, &area, GPMM_MAP_REPLACE))
		violate("a replace failed");
	gpmm_host_put(area.host);
}

/* Pages 1 and 3 always hold the same; so does what readers see of them. */
static void put_twins(uint8_t byte)
{
	struct gpmm_txn *txn;

	if (gpmm_txn_begin(set, &txn)) {
		violate("no transaction");
		return;
	}
	put_page(txn, 1 * PAGE, byte);
	put_page(txn, 3 * PAGE, byte);
	if (gpmm_txn_commit(txn))
		violate("a commit failed");
}

static bool is_right(const struct gpmm_area *area)
{
	return *(uint8_t *)area->hva == area->flags;
}

static void read_twins(void)
{
	struct gpmm_area one, two;
	struct gpmm_view view;

	gpmm_read_lock();
	view = gpmm_set_view_rcu(set);
	if (!gpmm_view_find(view, 1 * PAGE, &one))
		violate("a replace showed a hole");
	point(false);
	if (!gpmm_view_find(view, 3 * PAGE, &two))
		violate("a replace showed a hole");
	if (one.flags != two.flags)
		violate("half a transaction was seen");
	point(false);
	if (!is_right(&one) || !is_right(&two))
		violate("memory went from under a reader");
	gpmm_read_unlock();
}

static void walk_twins(void)
{
	struct gpmm_area area;
	struct gpmm_iter it;
	unsigned int count = 0;

	gpmm_read_lock();
	gpmm_iter_init(&it, gpmm_set_view_rcu(set), 0);
	point(false);
	while (gpmm_iter_next(&it, &area)) {
		if (!is_right(&area))
			violate("memory went from under a walk");
		count++;
		point(false);
	}
	gpmm_read_unlock();
	if (count != 2)
		violate("a walk lost an area");
}

/* What was found stays true as long as the generation read before it does. */
static void keep_by_generation(void)
{
	uint64_t generation = gpmm_set_generation(set);
	struct gpmm_area area;

	gpmm_read_lock();
	if (!gpmm_set_find_rcu(set, 1 * PAGE, &area))
		violate("a replace showed a hole");
	gpmm_read_unlock();
	gpmm_read_lock();
	if (gpmm_set_generation(set) == generation && !is_right(&area))
		violate("a generation outlived its memory");
	gpmm_read_unlock();
}

static void replace_twins(void)
{
	put_twins(2);
}

static void replace_and_drain(void)
{
	put_twins(3);
	gpmm_set_drain(set);
}

/* What no reader may do, and what this test must therefore see. */
static void read_too_late(void)
{
	struct gpmm_area area;

	gpmm_read_lock();
	if (!gpmm_set_find_rcu(set, 1 * PAGE, &area))
		violate("a replace showed a hole");
	gpmm_read_unlock();
	if (!is_right(&area))
		violate("memory was used after its section");
}

/* --------------------------------------------------------------- explore */

static unsigned long schedules;
static unsigned long violations;

static void tell(void)
{
	unsigned int i;

	printf("\n    %s:", violation);
	for (i = 0; i < planned; i++)
		printf(" at step %u to thread %u", plan[i].step, plan[i].to);
}

/* Return: how many steps it took. */
static unsigned int run_once(bool expected)
{
	if (gpmm_set_create(NULL, &set))
		abort();
	used = 0;
	put_twins(1);
	run_threads();
	schedules++;
	if (violation && !violations++ && !expected)
		tell();
	if (gpmm_set_destroy(set))
		abort();
	return step;
}

static void explore(bool expected)
{
	unsigned int steps = run_once(expected);
	unsigned int from = planned ? plan[planned - 1].step : 0;
	unsigned int at, to;

	if (planned == PREEMPTIONS)
		return;
	for (at = from + 1; at <= steps; at++)
		for (to = 0; to < THREADS; to++) {
			plan[planned++] = (struct preemption){ at, to };
			explore(expected);
			planned--;
		}
}

static void explore_threads(void (*a)(void), void (*b)(void),
			    void (*c)(void), bool expected)
{
	threads[0].run = a;
	threads[1].run = b;
	threads[2].run = c;
	schedules = violations = planned = 0;
	explore(expected);
	printf("\n    %lu schedules ", schedules);
	CU_ASSERT(schedules > 1000);
	CU_ASSERT_EQUAL(violations > 0, expected);
}

static void test_two_readers_and_a_writer(void)
{
	explore_threads(read_twins, walk_twins, replace_twins, false);
}

static void test_a_reader_and_two_writers(void)
{
	explore_threads(replace_twins, read_twins, replace_and_drain, false);
}

static void test_a_generation_vouches(void)
{
	explore_threads(replace_and_drain, keep_by_generation, walk_twins,
			false);
}

static void test_a_reader_who_is_too_late(void)
{
	explore_threads(read_too_late, replace_twins, replace_and_drain,
			true);
}

int main(void)
{
	static const struct suite_test tests[] = {
		{ "two readers and a writer", test_two_readers_and_a_writer },
		{ "a reader and two writers", test_a_reader_and_two_writers },
		{ "what a generation vouches for is there",
		  test_a_generation_vouches },
		{ "a reader who is too late is found out",
		  test_a_reader_who_is_too_late },
		{ 0 },
	};

#ifdef RCU_TSAN
	puts("SKIP: one thread on many stacks, which ThreadSanitizer loses");
	return 77;
#endif
	return suite_run("set_schedules", tests);
}
