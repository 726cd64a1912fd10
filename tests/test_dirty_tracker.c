/* SPDX-License-Identifier: BSD-3-Clause */
/* The tracker and its clients, over a source that the test controls. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <gpmm/dirty.h>

#include "dirty/tracker.h"
#include "helpers/child.h"
#include "helpers/kvm_suite.h"

#define PAGE UINT64_C(4096)
#define START (UINT64_C(1000) * PAGE)
#define PAGES 500

/* --------------------------------------------------------------- source --- */

/* Bit n is the page START + n - 3 pages: words never fall together. */
struct source {
	struct gpmm_dirty_source source;
	struct gpmm_dirty_sink sink;
	uint64_t bits[9];
	unsigned int collected;
	int error;
};

static int attach(struct gpmm_dirty_source *at,
		  const struct gpmm_dirty_sink *sink)
{
	struct source *source = (struct source *)at;

	if (source->sink.mark)
		return -EBUSY;
	source->sink = *sink;
	return 0;
}

static void detach(struct gpmm_dirty_source *at)
{
	((struct source *)at)->sink.mark = NULL;
}

static int collect(struct gpmm_dirty_source *at, struct gpmm_range range)
{
	struct source *source = (struct source *)at;

	(void)range;
	source->collected++;
	if (source->error)
		return source->error;
	source->sink.mark_bits(source->sink.arg, START - 3 * PAGE,
			       source->bits, 64 * 8 + 30);
	memset(source->bits, 0, sizeof(source->bits));
	return 0;
}

static const struct gpmm_dirty_source_ops source_ops = {
	attach, detach, collect,
};

static struct source sources[2];
static struct gpmm_dirty *dirty;

static void setup(void)
{
	struct gpmm_dirty_source *list[2] = {
		&sources[0].source, &sources[1].source,
	};
	const struct gpmm_range range = { START, PAGES * PAGE };

	for (int i = 0; i < 2; i++)
		sources[i] = (struct source){ .source = { &source_ops } };
	CU_ASSERT_EQUAL_FATAL(gpmm_dirty_create(range, list, 2, &dirty), 0);
}

static void teardown(void)
{
	gpmm_dirty_destroy(dirty);
	CU_ASSERT_PTR_NULL(sources[0].sink.mark);
}

static struct gpmm_dirty_client *new_client(void)
{
	struct gpmm_dirty_client *client;

	CU_ASSERT_EQUAL_FATAL(gpmm_dirty_client_create(dirty, &client), 0);
	return client;
}

/* -------------------------------------------------------------- harvest --- */

struct harvest {
	bool pages[PAGES];
	unsigned int count;
	unsigned int runs;
	unsigned int refuse_at;	/* run number; 0: none */
};

static int note(void *arg, gpmm_gpa_t start, uint64_t size)
{
	struct harvest *harvest = arg;
	uint64_t page = (start - START) / PAGE;

	if (++harvest->runs == harvest->refuse_at)
		return -ECONNRESET;
	for (; size; size -= PAGE, page++) {
		CU_ASSERT_FALSE(harvest->pages[page]);
		harvest->pages[page] = true;
		harvest->count++;
	}
	return 0;
}

static struct harvest harvest_in(struct gpmm_dirty_client *client,
				 uint64_t first, uint64_t count)
{
	const struct gpmm_range range = { START + first * PAGE, count * PAGE };
	struct harvest harvest = { .count = 0 };

	CU_ASSERT_EQUAL(gpmm_dirty_harvest(client, range, note, &harvest), 0);
	return harvest;
}

static struct harvest harvest_all(struct gpmm_dirty_client *client)
{
	struct harvest harvest = { .count = 0 };

	CU_ASSERT_EQUAL(gpmm_dirty_harvest(client, GPMM_RANGE_ALL, note,
					   &harvest), 0);
	return harvest;
}

static void mark(uint64_t page, uint64_t count)
{
	gpmm_dirty_mark(dirty, START + page * PAGE, count * PAGE);
}

/* ---------------------------------------------------------------- tests --- */

static void test_marks_are_harvested_once_as_runs(void)
{
	struct gpmm_dirty_client *client;
	struct harvest harvest;

	setup();
	client = new_client();
	mark(0, 1);
	mark(60, 10);
	mark(127, 1);
	mark(128, 200);
	mark(499, 1);
	gpmm_dirty_mark(dirty, START + 5 * PAGE + 4095, 2);
	harvest = harvest_all(client);
	CU_ASSERT_EQUAL(harvest.count, 1 + 10 + 201 + 1 + 2);
	CU_ASSERT_EQUAL(harvest.runs, 5);
	CU_ASSERT(harvest.pages[5] && harvest.pages[6] && harvest.pages[327]);
	CU_ASSERT_EQUAL(harvest_all(client).count, 0);
	gpmm_dirty_client_destroy(client);
	teardown();
}

static void test_marks_outside_of_the_range_are_ignored(void)
{
	struct gpmm_dirty_client *client;

	setup();
	client = new_client();
	gpmm_dirty_mark(dirty, 0, START);
	gpmm_dirty_mark(dirty, START + PAGES * PAGE, PAGE);
	gpmm_dirty_mark(dirty, START, 0);
	gpmm_dirty_mark(dirty, UINT64_MAX - 10, 100);
	CU_ASSERT_EQUAL(harvest_all(client).count, 0);
	gpmm_dirty_mark(dirty, 0, UINT64_MAX);
	CU_ASSERT_EQUAL(harvest_all(client).count, PAGES);
	gpmm_dirty_client_destroy(client);
	teardown();
}

static void test_every_client_sees_every_write_since_it_came(void)
{
	struct gpmm_dirty_client *one, *two;
	struct harvest harvest;

	setup();
	mark(1, 1);
	sources[0].bits[0] |= 1 << (3 + 2);
	one = new_client();
	CU_ASSERT_EQUAL(harvest_all(one).count, 0);
	mark(3, 1);
	sources[1].bits[0] |= 1 << (3 + 4);
	two = new_client();
	mark(5, 1);
	harvest = harvest_all(two);
	CU_ASSERT_EQUAL(harvest.count, 1);
	CU_ASSERT(harvest.pages[5]);
	harvest = harvest_all(one);
	CU_ASSERT_EQUAL(harvest.count, 3);
	CU_ASSERT(harvest.pages[3] && harvest.pages[4] && harvest.pages[5]);
	gpmm_dirty_client_destroy(one);
	mark(7, 1);
	CU_ASSERT_EQUAL(harvest_all(two).count, 1);
	gpmm_dirty_client_destroy(two);
	/* What nobody asked for does not wait for the next. */
	mark(8, 1);
	one = new_client();
	CU_ASSERT_EQUAL(harvest_all(one).count, 0);
	gpmm_dirty_client_destroy(one);
	teardown();
}

static void test_a_harvest_is_the_union_of_all_sources(void)
{
	struct gpmm_dirty_client *client;
	struct harvest harvest;

	setup();
	client = new_client();
	sources[0].bits[0] = UINT64_C(1) << 63 | 7;
	sources[0].bits[8] = ~UINT64_C(0);
	sources[1].bits[1] = 1;
	sources[1].bits[7] = UINT64_C(1) << 50;
	mark(60, 1);
	mark(100, 1);
	harvest = harvest_all(client);
	/* 60, 61, 100, 495 and what of the last word is inside: none. */
	CU_ASSERT_EQUAL(harvest.count, 4);
	CU_ASSERT(harvest.pages[60] && harvest.pages[61] &&
		  harvest.pages[100] && harvest.pages[495]);
	gpmm_dirty_client_destroy(client);
	teardown();
}

static void test_a_range_leaves_the_rest_for_later(void)
{
	struct gpmm_dirty_client *client;

	setup();
	client = new_client();
	mark(10, 300);
	CU_ASSERT_EQUAL(harvest_in(client, 100, 50).count, 50);
	CU_ASSERT_EQUAL(harvest_in(client, 100, 50).count, 0);
	CU_ASSERT_EQUAL(harvest_in(client, 0, 8).count, 0);
	CU_ASSERT_EQUAL(harvest_in(client, 0, 12).count, 2);
	CU_ASSERT_EQUAL(harvest_in(client, 300, 200).count, 10);
	CU_ASSERT_EQUAL(harvest_all(client).count, 238);
	gpmm_dirty_client_destroy(client);
	teardown();
}

static int note_run(void *arg, gpmm_gpa_t start, uint64_t size)
{
	struct gpmm_range *run = arg;

	CU_ASSERT_EQUAL(run->size, 0);
	*run = (struct gpmm_range){ start, size };
	return 0;
}

/* Far above others, and within a range that has others above it. */
static void test_a_lone_page_is_found_wherever_it_is(void)
{
	const struct gpmm_range range = { 0, 5 * 64 * 64 * PAGE };
	struct gpmm_dirty_client *client;
	struct gpmm_dirty *wide;

	CU_ASSERT_EQUAL_FATAL(gpmm_dirty_create(range, NULL, 0, &wide), 0);
	CU_ASSERT_EQUAL(gpmm_dirty_client_create(wide, &client), 0);
	for (uint64_t page = 7; page < 5 * 64 * 64; page += 64 * 64 - 9) {
		struct gpmm_range run = { .size = 0 };
		const struct gpmm_range below = { 0, page / 2 * PAGE };

		gpmm_dirty_mark(wide, page * PAGE, 1);
		CU_ASSERT_EQUAL(gpmm_dirty_harvest(client, below, note_run,
						   &run), 0);
		CU_ASSERT_EQUAL(run.size, 0);
		CU_ASSERT_EQUAL(gpmm_dirty_harvest(client, range, note_run,
						   &run), 0);
		CU_ASSERT_EQUAL(run.start, page * PAGE);
		CU_ASSERT_EQUAL(run.size, PAGE);
	}
	gpmm_dirty_client_destroy(client);
	gpmm_dirty_destroy(wide);
}

static void test_what_is_put_back_comes_again_to_that_client(void)
{
	struct gpmm_dirty_client *one, *two;

	setup();
	one = new_client();
	two = new_client();
	mark(10, 5);
	CU_ASSERT_EQUAL(harvest_all(one).count, 5);
	CU_ASSERT_EQUAL(harvest_all(two).count, 5);
	gpmm_dirty_put_back(one, START + 11 * PAGE, 2 * PAGE);
	CU_ASSERT_EQUAL(harvest_all(two).count, 0);
	CU_ASSERT_EQUAL(harvest_all(one).count, 2);
	gpmm_dirty_put_back(one, START + 11 * PAGE + 5, 0);
	gpmm_dirty_put_back(one, START + 11 * PAGE, -PAGE);
	CU_ASSERT_EQUAL(harvest_all(one).count, 0);
	gpmm_dirty_client_destroy(one);
	gpmm_dirty_client_destroy(two);
	teardown();
}

/* Whichever run is refused, what was given and what is left are all. */
static void test_a_refused_run_loses_nothing(void)
{
	struct gpmm_dirty_client *client;

	setup();
	client = new_client();
	for (unsigned int at = 1; at <= 6; at++) {
		struct harvest given = { .refuse_at = at };
		struct harvest rest;

		for (int page = 0; page < 6; page++)
			mark(page * 20, 10);
		CU_ASSERT_EQUAL(gpmm_dirty_harvest(client, GPMM_RANGE_ALL,
						   note, &given), -ECONNRESET);
		CU_ASSERT_EQUAL(given.count, 10 * (at - 1));
		rest = harvest_all(client);
		CU_ASSERT_EQUAL(given.count + rest.count, 60);
	}
	gpmm_dirty_client_destroy(client);
	teardown();
}

static void test_a_failing_source_loses_nothing(void)
{
	struct gpmm_dirty_client *client, *none;
	struct harvest harvest = { .count = 0 };

	setup();
	client = new_client();
	mark(1, 1);
	sources[0].bits[0] = 1 << (3 + 2);
	sources[1].bits[0] = 1 << (3 + 3);
	sources[1].error = -EIO;
	CU_ASSERT_EQUAL(gpmm_dirty_harvest(client, GPMM_RANGE_ALL, note,
					   &harvest), -EIO);
	CU_ASSERT_EQUAL(gpmm_dirty_client_create(dirty, &none), -EIO);
	CU_ASSERT_EQUAL(harvest.count, 0);
	sources[1].error = 0;
	CU_ASSERT_EQUAL(harvest_all(client).count, 3);
	gpmm_dirty_client_destroy(client);
	teardown();
}

static void test_bad_ranges_and_taken_sources_are_refused(void)
{
	struct gpmm_dirty_source *list[] = { &sources[0].source };
	struct source unused = { .source = { &source_ops } };
	struct gpmm_dirty_source *both[] = {
		&unused.source, &sources[0].source,
	};
	struct gpmm_dirty_client *client;
	struct gpmm_dirty *other;

	setup();
	CU_ASSERT_EQUAL(gpmm_dirty_create((struct gpmm_range){ 0, 0 }, NULL,
					  0, &other), -EINVAL);
	CU_ASSERT_EQUAL(gpmm_dirty_create((struct gpmm_range){ 1, PAGE }, NULL,
					  0, &other), -EINVAL);
	CU_ASSERT_EQUAL(gpmm_dirty_create((struct gpmm_range){ 0, PAGE }, list,
					  1, &other), -EBUSY);
	/* Which leaves those before it free. */
	CU_ASSERT_EQUAL(gpmm_dirty_create((struct gpmm_range){ 0, PAGE }, both,
					  2, &other), -EBUSY);
	CU_ASSERT_PTR_NULL(unused.sink.mark);
	client = new_client();
	CU_ASSERT_EQUAL(gpmm_dirty_harvest(client, (struct gpmm_range){
					   START, 100 }, note, NULL), -EINVAL);
	CU_ASSERT_EQUAL(gpmm_dirty_harvest(client, (struct gpmm_range){
					   0, PAGE }, note, NULL), 0);
	gpmm_dirty_client_destroy(client);
	teardown();
}

static void test_the_last_page_of_all_can_be_tracked(void)
{
	const struct gpmm_range range = { -(5 * PAGE), 5 * PAGE };
	struct gpmm_dirty_client *client;
	struct gpmm_dirty *top;
	struct harvest harvest = { .refuse_at = 1 };

	CU_ASSERT_EQUAL_FATAL(gpmm_dirty_create(range, NULL, 0, &top), 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_dirty_client_create(top, &client), 0);
	CU_ASSERT_EQUAL(gpmm_dirty_harvest(client, range, note, &harvest), 0);
	gpmm_dirty_mark(top, UINT64_MAX, 1);
	CU_ASSERT_EQUAL(gpmm_dirty_harvest(client, GPMM_RANGE_ALL, note,
					   &harvest), -ECONNRESET);
	gpmm_dirty_client_destroy(client);
	gpmm_dirty_destroy(top);
}

/* Bits past the last page are nobody's, nor are pages past the range. */
static void test_a_source_may_reach_past_the_range(void)
{
	const struct gpmm_range range = { -(67 * PAGE), 64 * PAGE };
	struct source source = { .source = { &source_ops } };
	struct gpmm_dirty_source *list = &source.source;
	const uint64_t bits[] = { UINT64_MAX };
	struct gpmm_dirty_client *client;
	struct gpmm_dirty *top;

	setup();
	client = new_client();
	sources[0].sink.mark_bits(dirty, START + 7 * PAGE, bits, 3);
	CU_ASSERT_EQUAL(harvest_all(client).count, 3);
	gpmm_dirty_client_destroy(client);
	teardown();
	CU_ASSERT_EQUAL_FATAL(gpmm_dirty_create(range, &list, 1, &top), 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_dirty_client_create(top, &client), 0);
	source.sink.mark_bits(top, -(10 * PAGE), bits, 10);
	CU_ASSERT_EQUAL(top->pending.bits[0], UINT64_MAX << 57);
	CU_ASSERT_EQUAL(top->pending.summary[0], 1);
	gpmm_dirty_client_destroy(client);
	gpmm_dirty_destroy(top);
}

/* ------------------------------------------------------------- threads --- */

#define WRITERS 2
#define WRITES 300000

/* Each page is a counter for each writer, and copies of two clients. */
static uint64_t pages[PAGES][WRITERS];
static unsigned int at_work;

struct copier {
	pthread_t thread;
	struct gpmm_dirty_client *client;
	uint64_t copy[PAGES][WRITERS];
	unsigned int harvests;
};

static void *write_and_mark(void *arg)
{
	uintptr_t n = (uintptr_t)arg;
	uint64_t seed = n + 1;

	for (uint64_t i = 1; i <= WRITES; i++) {
		uint64_t page;

		seed = seed * UINT64_C(6364136223846793005) + 1;
		page = (seed >> 33) % PAGES;
		__atomic_store_n(&pages[page][n], i, __ATOMIC_RELAXED);
		mark(page, 1);
	}
	__atomic_fetch_sub(&at_work, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static int copy(void *arg, gpmm_gpa_t start, uint64_t size)
{
	struct copier *copier = arg;
	uint64_t page = (start - START) / PAGE;

	for (; size; size -= PAGE, page++)
		for (int n = 0; n < WRITERS; n++)
			copier->copy[page][n] =
				__atomic_load_n(&pages[page][n],
						__ATOMIC_RELAXED);
	return 0;
}

static void *copy_all(void *arg)
{
	struct copier *copier = arg;
	bool last;

	do {
		last = !__atomic_load_n(&at_work, __ATOMIC_SEQ_CST);
		gpmm_dirty_harvest(copier->client, GPMM_RANGE_ALL, copy,
				   copier);
		copier->harvests++;
	} while (!last);
	return NULL;
}

static void test_no_write_is_lost_between_racing_harvests(void)
{
	static struct copier copiers[2];
	pthread_t writers[WRITERS];

	setup();
	at_work = WRITERS;
	for (int i = 0; i < 2; i++) {
		copiers[i].client = new_client();
		pthread_create(&copiers[i].thread, NULL, copy_all,
			       &copiers[i]);
	}
	for (uintptr_t i = 0; i < WRITERS; i++)
		pthread_create(&writers[i], NULL, write_and_mark, (void *)i);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(writers[i], NULL);
	for (int i = 0; i < 2; i++) {
		pthread_join(copiers[i].thread, NULL);
		CU_ASSERT_EQUAL(memcmp(copiers[i].copy, pages, sizeof(pages)),
				0);
		CU_ASSERT(copiers[i].harvests > 1);
		gpmm_dirty_client_destroy(copiers[i].client);
	}
	teardown();
}

static void wait_for(const uint64_t *step, uint64_t round)
{
	for (unsigned int i = 1;
	     __atomic_load_n(step, __ATOMIC_SEQ_CST) < round; i++)
		if (i % 64 == 0)
			sched_yield();
}

/* Another thread and this one go through the rounds; each is to be right. */
static void race(uint64_t rounds, void *(*other)(void *arg),
		 bool (*run)(struct gpmm_dirty_client *client, uint64_t round))
{
	struct gpmm_dirty_client *client;
	unsigned int wrong = 0;
	pthread_t thread;

	setup();
	client = new_client();
	pthread_create(&thread, NULL, other, NULL);
	for (uint64_t round = 1; round <= rounds; round++)
		wrong += !run(client, round);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(wrong, 0);
	gpmm_dirty_client_destroy(client);
	teardown();
}

/*
 * Two words in turn, so that what is said above them is raced for, too: each
 * page is marked once a round, and comes in one of the round's harvests.
 */
#define ROUNDS 20000

static uint64_t round_begun, round_marked;

static void *mark_in_rounds(void *arg)
{
	(void)arg;
	for (uint64_t round = 1; round <= ROUNDS; round++) {
		wait_for(&round_begun, round);
		for (uint64_t page = 0; page < 64; page++) {
			mark(page, 1);
			mark(64 + page, 1);
		}
		__atomic_store_n(&round_marked, round, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static int count(void *arg, gpmm_gpa_t start, uint64_t size)
{
	uint8_t *times = arg;

	for (; size; size -= PAGE, start += PAGE)
		times[(start - START) / PAGE]++;
	return 0;
}

/* Return: whether each page came once. */
static bool harvest_round(struct gpmm_dirty_client *client, uint64_t round)
{
	uint8_t times[PAGES] = { 0 };
	bool once = true;
	bool last = false;

	__atomic_store_n(&round_begun, round, __ATOMIC_SEQ_CST);
	for (unsigned int i = 1; !last; i++) {
		last = __atomic_load_n(&round_marked, __ATOMIC_SEQ_CST) ==
		       round;
		gpmm_dirty_harvest(client, GPMM_RANGE_ALL, count, times);
		/* The marker may wait for this processor. */
		if (i % 64 == 0)
			sched_yield();
	}
	for (uint64_t page = 0; page < 2 * 64; page++)
		once &= times[page] == 1;
	return once;
}

static void test_a_mark_comes_once_in_racing_harvests(void)
{
	race(ROUNDS, mark_in_rounds, harvest_round);
}

/*
 * Two who mark say so in the same word above, at the same time: neither takes
 * back what the other has said.
 */
#define PAIR_ROUNDS (6 * ROUNDS)

static uint64_t even_begun, odd_begun, odd_marked;

static void mark_every_other_word(uint64_t word)
{
	for (; word < PAGES / 64; word += 2)
		mark(word * 64, 1);
}

static void *mark_odd_words(void *arg)
{
	(void)arg;
	for (uint64_t round = 1; round <= PAIR_ROUNDS; round++) {
		__atomic_store_n(&odd_begun, round, __ATOMIC_SEQ_CST);
		wait_for(&even_begun, round);
		mark_every_other_word(1);
		__atomic_store_n(&odd_marked, round, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

/* Return: whether every word's mark came. */
static bool mark_even_words(struct gpmm_dirty_client *client, uint64_t round)
{
	uint8_t times[PAGES] = { 0 };
	bool all = true;

	__atomic_store_n(&even_begun, round, __ATOMIC_SEQ_CST);
	wait_for(&odd_begun, round);
	mark_every_other_word(0);
	wait_for(&odd_marked, round);
	gpmm_dirty_harvest(client, GPMM_RANGE_ALL, count, times);
	for (uint64_t word = 0; word < PAGES / 64; word++)
		all &= times[word * 64] == 1;
	return all;
}

static void test_two_who_mark_lose_nothing_of_each_other(void)
{
	race(PAIR_ROUNDS, mark_odd_words, mark_even_words);
}

/*
 * A client comes while a device writes and marks. What it then reads is what
 * was written, or the mark is its: also where the write waits in the processor
 * behind others that miss the caches, and the mark's question goes ahead.
 */
#define COMING_ROUNDS 3000
#define COLD (UINT64_C(64) << 20)
#define MISSES 48

static uint64_t coming, written, device_page;
static char *cold;

static void *write_as_clients_come(void *arg)
{
	uint32_t at = 1;

	(void)arg;
	for (uint64_t round = 1; round <= COMING_ROUNDS; round++) {
		wait_for(&coming, round);
		for (volatile uint64_t i = round * 7 % 200; i; i--)
			;
		for (int i = 0; i < MISSES; i++) {
			at = at * 1664525 + 1013904223;
			((volatile char *)cold)[at % COLD] = 1;
		}
		__atomic_store_n(&device_page, round, __ATOMIC_RELAXED);
		mark(0, 1);
		__atomic_store_n(&written, round, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* Return: whether it has the write. */
static bool come(uint64_t round)
{
	struct gpmm_dirty_client *client;
	uint8_t times[PAGES] = { 0 };
	uint64_t seen;
	int ret;

	__atomic_store_n(&coming, round, __ATOMIC_SEQ_CST);
	for (volatile uint64_t i = round * 13 % 1500; i; i--)
		;
	ret = gpmm_dirty_client_create(dirty, &client);
	seen = __atomic_load_n(&device_page, __ATOMIC_RELAXED);
	CU_ASSERT_EQUAL_FATAL(ret, 0);
	wait_for(&written, round);
	gpmm_dirty_harvest(client, GPMM_RANGE_ALL, count, times);
	gpmm_dirty_client_destroy(client);
	return seen == round || times[0];
}

static void test_a_client_that_comes_reads_what_it_is_not_told(void)
{
	unsigned int wrong = 0;
	pthread_t thread;

	setup();
	cold = calloc(1, COLD);
	CU_ASSERT_PTR_NOT_NULL_FATAL(cold);
	memset(cold, 1, COLD);
	pthread_create(&thread, NULL, write_as_clients_come, NULL);
	for (uint64_t round = 1; round <= COMING_ROUNDS; round++)
		wrong += !come(round);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(wrong, 0);
	free(cold);
	teardown();
}

/* Whether there has been a client yet, or is one no longer. */
static int mark_without_clients(rlim_t limit)
{
	struct gpmm_dirty_client *client;
	bool taken;

	(void)limit;
	if (!lose_membarrier())
		return CHILD_SKIPS;
	setup();
	mark(3, 1);
	taken = dirty->pending.bits[0] == 1 << 3;
	client = new_client();
	taken &= harvest_all(client).count == 0;
	gpmm_dirty_client_destroy(client);
	mark(4, 1);
	taken &= dirty->pending.bits[0] == 1 << 4;
	teardown();
	return !taken;
}

/* A mark of before a client comes is as good as one of after. */
static void test_without_membarrier_all_marks_are_taken(void)
{
	in_a_child(mark_without_clients, 0);
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* An embedder may forbid more and more calls as it goes. */
static int come_with_less(rlim_t limit)
{
	struct gpmm_dirty_client *client;
	uint64_t begin;
	bool waited;

	(void)limit;
	setup();
	if (!lose_membarrier())
		return CHILD_SKIPS;
	begin = now();
	client = new_client();
	waited = now() - begin >= 20000000;
	gpmm_dirty_client_destroy(client);
	teardown();
	return !waited;
}

static void test_a_client_waits_for_late_stores_without_membarrier(void)
{
	in_a_child(come_with_less, 0);
}

SUITE("dirty tracker",
	TEST(test_marks_are_harvested_once_as_runs),
	TEST(test_marks_outside_of_the_range_are_ignored),
	TEST(test_every_client_sees_every_write_since_it_came),
	TEST(test_a_harvest_is_the_union_of_all_sources),
	TEST(test_a_range_leaves_the_rest_for_later),
	TEST(test_a_lone_page_is_found_wherever_it_is),
	TEST(test_what_is_put_back_comes_again_to_that_client),
	TEST(test_a_refused_run_loses_nothing),
	TEST(test_a_failing_source_loses_nothing),
	TEST(test_bad_ranges_and_taken_sources_are_refused),
	TEST(test_the_last_page_of_all_can_be_tracked),
	TEST(test_a_source_may_reach_past_the_range),
	TEST(test_no_write_is_lost_between_racing_harvests),
	TEST(test_a_mark_comes_once_in_racing_harvests),
	TEST(test_two_who_mark_lose_nothing_of_each_other),
	TEST(test_a_client_that_comes_reads_what_it_is_not_told),
	TEST(test_without_membarrier_all_marks_are_taken),
	TEST(test_a_client_waits_for_late_stores_without_membarrier))
