/* SPDX-License-Identifier: BSD-3-Clause */
/* The thread that all sets of the process share: nobody keeps it to himself. */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <time.h>

#include "helpers/flag.h"
#include "helpers/suite.h"
#include "util/worker.h"

#define LEAST_LINGER_NS	UINT64_C(9000000)
#define MOST	1000

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ------------------------------------------------------- taking turns --- */

/* Work that comes again until the other has run, or it has lost patience. */
struct again {
	struct work work;
	struct work other;
	unsigned int runs;
	uint64_t last, least;
	bool other_ran, done;
};

static struct again again;

static void run_other(struct work *work)
{
	(void)work;
	set(&again.other_ran);
}

static void run_again(struct work *work)
{
	uint64_t at = now();

	if (!again.runs)
		gpmm__worker_add(&again.other, WORK_SOON);
	else if (at - again.last < again.least)
		again.least = at - again.last;
	again.last = at;
	if (++again.runs == MOST || (again.runs > 3 && again.other_ran))
		set(&again.done);
	else
		gpmm__worker_add(work, WORK_SOON);
}

static void go_again(void)
{
	again = (struct again){
		.work.run = run_again,
		.other.run = run_other,
		.least = UINT64_MAX,
	};
	CU_ASSERT_EQUAL_FATAL(gpmm__worker_get(), 0);
	gpmm__worker_add(&again.work, WORK_SOON);
	wait_for(&again.done);
	gpmm__worker_cancel(&again.work);
	gpmm__worker_cancel(&again.other);
	gpmm__worker_put();
}

static void test_what_comes_again_waits_its_turn(void)
{
	go_again();
	CU_ASSERT(again.other_ran);
	CU_ASSERT(again.runs < 10);
}

static void test_what_comes_again_is_lingered_over(void)
{
	go_again();
	CU_ASSERT(again.least >= LEAST_LINGER_NS);
}

/* ------------------------------------------------------- later, sooner --- */

static struct {
	struct work work;
	unsigned int runs;
	bool ran;
	uint64_t start;
} later;

static void run_later(struct work *work)
{
	(void)work;
	later.runs++;
	set(&later.ran);
}

static void start_later(void)
{
	later.work.run = run_later;
	later.runs = 0;
	__atomic_store_n(&later.ran, false, __ATOMIC_RELAXED);
	CU_ASSERT_EQUAL_FATAL(gpmm__worker_get(), 0);
	later.start = now();
	gpmm__worker_add(&later.work, WORK_LATER);
}

/* Unless this machine has slept for as long. */
static bool is_early(void)
{
	return now() - later.start < WORK_LATER_MS * UINT64_C(900000);
}

static void end_later(unsigned int runs)
{
	bool early = is_early();

	gpmm__worker_cancel(&later.work);
	CU_ASSERT(!early || later.runs == runs);
	gpmm__worker_put();
}

static void test_what_is_due_later_holds_nothing_up(void)
{
	start_later();
	go_again();
	CU_ASSERT(again.other_ran);
	CU_ASSERT(again.runs < 10);
	end_later(0);
}

static void test_later_it_runs(void)
{
	start_later();
	wait_for(&later.ran);
	CU_ASSERT(!is_early());
	end_later(1);
}

/* It is one piece, however often it is handed in. */
static void test_the_sooner_counts(void)
{
	start_later();
	gpmm__worker_add(&later.work, WORK_SOON);
	wait_for(&later.ran);
	go_again();
	end_later(1);
}

static void test_the_later_does_not_count(void)
{
	start_later();
	gpmm__worker_add(&later.work, WORK_SOON);
	gpmm__worker_add(&later.work, WORK_LATER);
	wait_for(&later.ran);
	go_again();
	end_later(1);
}

/* After it was cancelled it is handed in as if it were new. */
static void test_cancelled_it_comes_again(void)
{
	start_later();
	gpmm__worker_cancel(&later.work);
	gpmm__worker_add(&later.work, WORK_SOON);
	wait_for(&later.ran);
	end_later(1);
}

/* ---------------------------------------------------------- cancelling --- */

/* Three pieces of one round; the first of them waits to be told. */
static struct {
	struct work opener, first, second, last;
	bool started, go_on, second_ran, last_ran;
} row;

static void run_opener(struct work *work)
{
	(void)work;
	gpmm__worker_add(&row.first, WORK_SOON);
	gpmm__worker_add(&row.second, WORK_SOON);
	gpmm__worker_add(&row.last, WORK_SOON);
}

static void run_first(struct work *work)
{
	(void)work;
	set(&row.started);
	wait_for(&row.go_on);
}

static void run_second(struct work *work)
{
	(void)work;
	set(&row.second_ran);
}

static void run_last(struct work *work)
{
	(void)work;
	set(&row.last_ran);
}

static void test_cancelled_in_its_round(void)
{
	row.opener.run = run_opener;
	row.first.run = run_first;
	row.second.run = run_second;
	row.last.run = run_last;
	CU_ASSERT_EQUAL_FATAL(gpmm__worker_get(), 0);
	gpmm__worker_add(&row.opener, WORK_SOON);
	wait_for(&row.started);
	gpmm__worker_cancel(&row.second);
	set(&row.go_on);
	wait_for(&row.last_ran);
	CU_ASSERT_FALSE(is_set(&row.second_ran));
	gpmm__worker_cancel(&row.last);
	gpmm__worker_put();
}

static struct {
	struct work work;
	bool started, ended;
} slow;

static void run_slow(struct work *work)
{
	uint64_t from = now();

	set(&slow.started);
	while (now() - from < 1000000)
		;
	gpmm__worker_add(work, WORK_SOON);
	set(&slow.ended);
}

/* It hands itself in as it ends: that is taken off, too. */
static void test_cancel_waits_for_what_runs(void)
{
	slow.work.run = run_slow;
	CU_ASSERT_EQUAL_FATAL(gpmm__worker_get(), 0);
	gpmm__worker_add(&slow.work, WORK_SOON);
	wait_for(&slow.started);
	gpmm__worker_cancel(&slow.work);
	CU_ASSERT(is_set(&slow.ended));
	__atomic_store_n(&slow.started, false, __ATOMIC_RELAXED);
	go_again();
	CU_ASSERT_FALSE(is_set(&slow.started));
	gpmm__worker_put();
}

/* ------------------------------------------------------------- signals --- */

static struct {
	struct work work;
	sigset_t blocked;
	bool ran;
} mask;

static void note_mask(struct work *work)
{
	(void)work;
	pthread_sigmask(SIG_SETMASK, NULL, &mask.blocked);
	set(&mask.ran);
}

static void test_signals_are_for_others(void)
{
	sigset_t own;

	mask.work.run = note_mask;
	CU_ASSERT_EQUAL_FATAL(gpmm__worker_get(), 0);
	gpmm__worker_add(&mask.work, WORK_SOON);
	wait_for(&mask.ran);
	gpmm__worker_put();
	CU_ASSERT(sigismember(&mask.blocked, SIGINT));
	CU_ASSERT(sigismember(&mask.blocked, SIGUSR1));
	CU_ASSERT(sigismember(&mask.blocked, SIGRTMAX));
	pthread_sigmask(SIG_SETMASK, NULL, &own);
	CU_ASSERT_FALSE(sigismember(&own, SIGUSR1));
}

int main(void)
{
	static const struct suite_test tests[] = {
		{ "what comes again waits its turn",
		  test_what_comes_again_waits_its_turn },
		{ "what comes again is lingered over",
		  test_what_comes_again_is_lingered_over },
		{ "what is due later holds nothing up",
		  test_what_is_due_later_holds_nothing_up },
		{ "later it runs", test_later_it_runs },
		{ "handed in again, the sooner counts",
		  test_the_sooner_counts },
		{ "handed in again, the later does not count",
		  test_the_later_does_not_count },
		{ "cancelled, it is handed in as if new",
		  test_cancelled_it_comes_again },
		{ "work is cancelled in its round",
		  test_cancelled_in_its_round },
		{ "a cancel waits for what runs",
		  test_cancel_waits_for_what_runs },
		{ "the thread takes no signals",
		  test_signals_are_for_others },
		{ 0 },
	};

	return suite_run("util_worker", tests);
}
