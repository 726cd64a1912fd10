/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Dirty tracking of a guest that really runs, by every kind of log that the
 * host has: nothing it writes is lost, whatever happens to its slots.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include <gpmm/gpmm.h>

#include "helpers/kvm_guest.h"
#include "helpers/kvm_suite.h"

#define PAGE UINT64_C(4096)
#define GPA UINT64_C(0x40000000)
#define PAGES 256
#define LOGGED (GPMM_RW | GPMM_LOG_DIRTY)
#define VCPUS 2
#define WRITERS 2
#define CLIENTS 2

static struct kvm_guest guest;
static struct gpmm_backend *be;
static struct gpmm_set *set;
static struct gpmm_host *host;
static struct gpmm_kvm_vcpu *gated[VCPUS];
static struct gpmm_dirty *dirty;
static char *memory;
static uint64_t size;

static struct gpmm_area at(uint64_t page, uint64_t count, uint64_t from)
{
	return (struct gpmm_area){
		.start = GPA + page * PAGE,
		.size = count * PAGE,
		.flags = LOGGED,
		.host = host,
		.hva = memory + from * PAGE,
	};
}

static void map(uint64_t page, uint64_t count)
{
	const struct gpmm_area area = at(page, count, page);

	CU_ASSERT_EQUAL_FATAL(gpmm_set_map(set, &area, 0), 0);
}

static void unmap(uint64_t page, uint64_t count)
{
	CU_ASSERT_EQUAL_FATAL(gpmm_set_unmap(set, GPA + page * PAGE,
					     count * PAGE), 0);
}

/* Pages at @from lie at @to then, with the memory of @memory_page. */
static void move(uint64_t from, uint64_t to, uint64_t count,
		 uint64_t memory_page)
{
	const struct gpmm_area area = at(to, count, memory_page);
	struct gpmm_txn *txn;

	CU_ASSERT_EQUAL_FATAL(gpmm_txn_begin(set, &txn), 0);
	CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, GPA + from * PAGE, count * PAGE),
			0);
	CU_ASSERT_EQUAL(gpmm_txn_map(txn, &area, 0), 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_txn_commit(txn), 0);
}

static void no_op(int signal)
{
	(void)signal;
}

static void add_gated(unsigned int n)
{
	const struct gpmm_kvm_vcpu_options options = {
		.immediate_exit = &guest.vcpus[n].run->immediate_exit,
		.signal = SIGUSR1,
		.fd = guest.vcpus[n].fd,
		.run = guest.vcpus[n].run,
	};

	CU_ASSERT_EQUAL_FATAL(gpmm_kvm_vcpu_create(be, &options, &gated[n]),
			      0);
}

/* Return: false where the host lacks the log. */
static bool setup(enum gpmm_kvm_log log, uint64_t pages)
{
	const struct gpmm_kvm_options options = { .first_slot = 1, .log = log };
	const struct sigaction action = { .sa_handler = no_op };
	const struct gpmm_range range = { GPA, pages * PAGE };
	struct gpmm_host_options host_options = { .kind = GPMM_HOST_ANON };
	struct gpmm_set_options set_options = { 0 };
	struct gpmm_dirty_source *source;
	int ret;

	sigaction(SIGUSR1, &action, NULL);
	CU_ASSERT_PTR_NULL_FATAL(kvm_guest_init_vm(&guest));
	ret = gpmm_kvm_create(guest.vm_fd, &options, &be);
	if (ret == -EOPNOTSUPP) {
		kvm_guest_fini(&guest);
		return false;
	}
	CU_ASSERT_EQUAL_FATAL(ret, 0);
	CU_ASSERT_PTR_NULL_FATAL(kvm_guest_add_vcpus(&guest, VCPUS));
	size = pages * PAGE;
	host_options.size = size;
	CU_ASSERT_EQUAL_FATAL(gpmm_host_create(&host_options, &host), 0);
	memory = gpmm_host_addr(host);
	set_options.backend = be;
	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&set_options, &set), 0);
	for (unsigned int i = 0; i < VCPUS; i++)
		add_gated(i);
	map(0, pages);
	source = gpmm_kvm_dirty_source(be);
	CU_ASSERT_EQUAL_FATAL(gpmm_dirty_create(range, &source, 1, &dirty), 0);
	return true;
}

static void teardown(void)
{
	for (unsigned int i = 0; i < VCPUS; i++)
		gpmm_kvm_vcpu_destroy(gated[i]);
	gpmm_dirty_destroy(dirty);
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
	gpmm_host_put(host);
	gpmm_kvm_destroy(be);
	kvm_guest_fini(&guest);
}

static struct gpmm_dirty_client *new_client(void)
{
	struct gpmm_dirty_client *client;

	CU_ASSERT_EQUAL_FATAL(gpmm_dirty_client_create(dirty, &client), 0);
	return client;
}

/* A guest writes @value to @count pages. Return: whether nothing hindered it. */
static bool try_touch(unsigned int n, uint64_t page, uint64_t count,
		      uint64_t value)
{
	const struct kvm_guest_args args = {
		.rdi = GPA + page * PAGE, .rcx = count, .rax = value,
	};
	struct kvm_guest_vcpu *vcpu = &guest.vcpus[n];
	struct kvm_guest_result result;

	kvm_guest_prepare(vcpu, KVM_GUEST_TOUCH, &args);
	do
		result = kvm_guest_exit(vcpu, gpmm_kvm_run(gated[n], vcpu->fd));
	while (result.error == -EINTR);
	return result.exit == KVM_GUEST_DONE;
}

static void touch(uint64_t page, uint64_t count)
{
	CU_ASSERT_FATAL(try_touch(0, page, count, 7));
}

struct harvest {
	bool *pages;
	uint64_t count;
};

static int note(void *arg, gpmm_gpa_t start, uint64_t length)
{
	struct harvest *harvest = arg;

	for (; length; length -= PAGE, start += PAGE, harvest->count++)
		harvest->pages[(start - GPA) / PAGE] = true;
	return 0;
}

static uint64_t harvest(struct gpmm_dirty_client *client, bool *pages)
{
	struct harvest harvest = { .pages = pages };

	memset(pages, 0, size / PAGE);
	CU_ASSERT_EQUAL(gpmm_dirty_harvest(client, GPMM_RANGE_ALL, note,
					   &harvest), 0);
	return harvest.count;
}

/* ----------------------------------------------------------- each log --- */

static void check_writes_are_seen_once(void)
{
	struct gpmm_dirty_client *client = new_client();
	bool pages[PAGES];

	harvest(client, pages);		/* a log may start full */
	CU_ASSERT_EQUAL(harvest(client, pages), 0);
	touch(3, 1);
	touch(70, 5);
	CU_ASSERT(harvest(client, pages) < PAGES / 2);
	CU_ASSERT(pages[3] && pages[70] && pages[74]);
	CU_ASSERT_EQUAL(harvest(client, pages), 0);
	touch(3, 1);
	harvest(client, pages);
	CU_ASSERT(pages[3]);
	gpmm_dirty_client_destroy(client);
}

static void check_writes_outlive_their_slot(void)
{
	struct gpmm_dirty_client *client = new_client();
	bool pages[PAGES];

	harvest(client, pages);
	touch(3, 1);
	touch(100, 1);
	unmap(40, 2);
	touch(200, 1);
	CU_ASSERT(harvest(client, pages) < PAGES / 2);
	CU_ASSERT(pages[3] && pages[100] && pages[200]);
	touch(4, 1);
	map(40, 2);
	touch(201, 1);
	CU_ASSERT(harvest(client, pages) < PAGES / 2);
	CU_ASSERT(pages[4] && pages[201]);
	gpmm_dirty_client_destroy(client);
}

/* What was written at the old address is there, and the log goes on. */
static void check_writes_outlive_a_move(void)
{
	struct gpmm_dirty_client *client = new_client();
	bool pages[PAGES];

	unmap(100, 100);
	harvest(client, pages);
	touch(210, 1);
	move(200, 120, 56, 200);
	touch(121, 1);
	harvest(client, pages);
	CU_ASSERT(pages[210] && pages[121]);
	harvest(client, pages);
	touch(130, 1);
	CU_ASSERT(harvest(client, pages) < 56);
	CU_ASSERT(pages[130]);
	move(120, 200, 56, 200);
	map(100, 100);
	gpmm_dirty_client_destroy(client);
}

static int protect(uint64_t page, uint64_t count, uint32_t flags)
{
	return gpmm_set_protect(set, GPA + page * PAGE, count * PAGE,
				gpmm_protect_to, &flags);
}

static void check_writes_outlive_their_log(void)
{
	struct gpmm_dirty_client *client = new_client();
	bool pages[PAGES];

	harvest(client, pages);
	touch(7, 1);
	CU_ASSERT_EQUAL(protect(0, PAGES, GPMM_RW), 0);
	touch(9, 1);
	harvest(client, pages);
	CU_ASSERT(pages[7]);
	CU_ASSERT_EQUAL(harvest(client, pages), 0);
	CU_ASSERT_EQUAL(protect(0, PAGES, LOGGED), 0);
	harvest(client, pages);
	touch(8, 1);
	CU_ASSERT(harvest(client, pages) < PAGES / 2);
	CU_ASSERT(pages[8]);
	gpmm_dirty_client_destroy(client);
}

static void check_a_range_is_harvested_alone(void)
{
	struct gpmm_dirty_client *client = new_client();
	struct harvest part = { .count = 0 };
	bool pages[PAGES];

	harvest(client, pages);
	touch(0, PAGES);
	part.pages = pages;
	memset(pages, 0, sizeof(pages));
	CU_ASSERT_EQUAL(gpmm_dirty_harvest(client, (struct gpmm_range){
			GPA + 100 * PAGE, 20 * PAGE }, note, &part), 0);
	CU_ASSERT_EQUAL(part.count, 20);
	CU_ASSERT(pages[100] && pages[119] && !pages[99] && !pages[120]);
	touch(110, 1);
	CU_ASSERT(harvest(client, pages) >= PAGES - 19);
	CU_ASSERT(pages[110]);
	gpmm_dirty_client_destroy(client);
}

/* In words of 64 pages: what is not harvested is neither cleared nor guarded. */
static void check_the_rest_of_a_log_goes_on(void)
{
	struct gpmm_dirty_client *client = new_client();
	bool pages[PAGES];
	struct harvest part = { .pages = pages };
	uint64_t bits[PAGES / 64];
	const struct kvm_dirty_log raw = { .slot = 1, .dirty_bitmap = bits };

	harvest(client, pages);
	touch(0, PAGES);
	CU_ASSERT_EQUAL(gpmm_dirty_harvest(client, (struct gpmm_range){
			GPA + 100 * PAGE, 20 * PAGE }, note, &part), 0);
	CU_ASSERT_EQUAL_FATAL(ioctl(guest.vm_fd, KVM_GET_DIRTY_LOG, &raw), 0);
	CU_ASSERT_EQUAL(bits[0], UINT64_MAX);
	CU_ASSERT_EQUAL(bits[1], 0);
	CU_ASSERT_EQUAL(bits[2], UINT64_MAX);
	CU_ASSERT_EQUAL(bits[3], UINT64_MAX);
	gpmm_dirty_client_destroy(client);
}

static void check(enum gpmm_kvm_log log)
{
	if (!setup(log, PAGES)) {
		printf("the host lacks it: ");
		return;
	}
	check_writes_are_seen_once();
	check_writes_outlive_their_slot();
	check_writes_outlive_a_move();
	check_writes_outlive_their_log();
	check_a_range_is_harvested_alone();
	if (log == GPMM_KVM_LOG_MANUAL)
		check_the_rest_of_a_log_goes_on();
	teardown();
}

static void test_bitmap_log(void)
{
	check(GPMM_KVM_LOG_BITMAP);
}

static void test_manual_log(void)
{
	check(GPMM_KVM_LOG_MANUAL);
}

static void test_ring_log(void)
{
	check(GPMM_KVM_LOG_RING);
}

/* More pages than a ring has entries. */
static void test_a_full_ring_is_emptied_and_nothing_lost(void)
{
	const uint64_t many = 10000;
	struct gpmm_dirty_client *client;
	bool *pages;

	if (!setup(GPMM_KVM_LOG_RING, many))
		return;
	pages = calloc(many, sizeof(*pages));
	client = new_client();
	touch(0, many);
	CU_ASSERT_EQUAL(harvest(client, pages), many);
	touch(5, 3);
	harvest(client, pages);
	CU_ASSERT(pages[5] && pages[7]);
	gpmm_dirty_client_destroy(client);
	free(pages);
	teardown();
}

/* KVM's place in a ring stays, whoever is told of its vCPU and when. */
static void test_a_ring_is_found_where_it_stands(void)
{
	struct gpmm_dirty_client *client;
	bool pages[PAGES];

	if (!setup(GPMM_KVM_LOG_RING, PAGES))
		return;
	client = new_client();
	for (uint64_t page = 0; page < PAGES; page += 16) {
		for (unsigned int i = 0; i < VCPUS; i++) {
			gpmm_kvm_vcpu_destroy(gated[i]);
			add_gated(i);
		}
		touch(page, 5);
		CU_ASSERT(harvest(client, pages) >= 5);
		CU_ASSERT(pages[page] && pages[page + 4]);
	}
	gpmm_dirty_client_destroy(client);
	teardown();
}

/* -------------------------------------------------------------- stress --- */

/*
 * In rounds: vCPUs and a device write each page once, so that no later write
 * makes up for one that is lost, while other threads split and merge the slots
 * and each client copies what it harvests. At the end of each round every copy
 * is the memory.
 */
#define CHUNK 8			/* pages; the last two are the device's */
#define GUESTS_PART 6

static struct {
	pthread_barrier_t barrier;
	unsigned int writing;	/* threads that have not ended; atomic */
	uint64_t number;
	bool stop;		/* atomic */
	time_t end;
} rounds;

static bool is_set(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_SEQ_CST);
}

/* Return: whether there is another. */
static bool next_round(void)
{
	if (pthread_barrier_wait(&rounds.barrier)) {
		rounds.writing = VCPUS + 1;
		rounds.number++;
		__atomic_store_n(&rounds.stop, time(NULL) >= rounds.end,
				 __ATOMIC_SEQ_CST);
	}
	pthread_barrier_wait(&rounds.barrier);
	return !is_set(&rounds.stop);
}

static void end_writing(void)
{
	__atomic_fetch_sub(&rounds.writing, 1, __ATOMIC_SEQ_CST);
}

static bool is_writing(void)
{
	return __atomic_load_n(&rounds.writing, __ATOMIC_SEQ_CST) > 0;
}

/* Return: how often something hindered the guest. */
static void *run_vcpu(void *arg)
{
	uintptr_t n = (uintptr_t)arg;
	uintptr_t hindered = 0;

	do {
		for (uint64_t page = n * CHUNK; page < PAGES;
		     page += VCPUS * CHUNK)
			hindered += !try_touch(n, page, GUESTS_PART,
					       rounds.number);
		end_writing();
	} while (next_round());
	return (void *)hindered;
}

/* It writes, then marks. */
static void *run_device(void *arg)
{
	(void)arg;
	do {
		for (uint64_t page = 0; page < PAGES; page++) {
			if (page % CHUNK < GUESTS_PART)
				continue;
			__atomic_store_n((uint64_t *)(memory + page * PAGE),
					 rounds.number, __ATOMIC_RELAXED);
			gpmm_dirty_mark(dirty, GPA + page * PAGE, 8);
			sched_yield();
		}
		end_writing();
	} while (next_round());
	return NULL;
}

struct copier {
	pthread_t thread;
	struct gpmm_dirty_client *client;
	uint64_t copy[PAGES];	/* each page's first word: all that is written */
	uint64_t harvests;
	bool last;		/* of the round */
	uint64_t wrong;
};

static uint64_t word_of(uint64_t page)
{
	return __atomic_load_n((uint64_t *)(memory + page * PAGE),
			       __ATOMIC_RELAXED);
}

static int copy(void *arg, gpmm_gpa_t start, uint64_t length)
{
	struct copier *copier = arg;
	uint64_t page = (start - GPA) / PAGE;

	for (; length; length -= PAGE, page++)
		copier->copy[page] = word_of(page);
	/* Now and then the send fails. */
	return copier->harvests % 7 == 3 && !copier->last ? -ECONNRESET : 0;
}

static void harvest_once(struct copier *copier, bool last)
{
	copier->last = last;
	gpmm_dirty_harvest(copier->client, GPMM_RANGE_ALL, copy, copier);
	copier->harvests++;
}

static void *run_copier(void *arg)
{
	struct copier *copier = arg;

	do {
		while (is_writing())
			harvest_once(copier, false);
		harvest_once(copier, true);
		for (uint64_t page = 0; page < PAGES; page++)
			copier->wrong += copier->copy[page] != word_of(page);
	} while (next_round());
	return NULL;
}

/* Each in its part of the pages. Return: how often it was refused. */
static void *run_changer(void *arg)
{
	const uint64_t part = PAGES / WRITERS;
	uintptr_t refused = 0;

	for (uint64_t step = 0; !is_set(&rounds.stop); step++) {
		uint64_t page = (uintptr_t)arg * part + step * 37 % (part - 8);

		refused += protect(page, 8, LOGGED | GPMM_NOMERGE) != 0;
		refused += protect(page, 8, LOGGED) != 0;
	}
	return (void *)refused;
}

static void start(pthread_t *threads, uintptr_t count, void *(*run)(void *))
{
	for (uintptr_t i = 0; i < count; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, run,
						     (void *)i), 0);
}

static void join(pthread_t *threads, unsigned int count)
{
	void *problems;

	for (unsigned int i = 0; i < count; i++) {
		pthread_join(threads[i], &problems);
		CU_ASSERT_PTR_NULL(problems);
	}
}

static void stress(enum gpmm_kvm_log log, unsigned int seconds)
{
	static struct copier copiers[CLIENTS];
	pthread_t vcpus[VCPUS], device, changers[WRITERS];

	if (!setup(log, PAGES))
		return;
	rounds.writing = VCPUS + 1;
	rounds.number = 1;
	rounds.stop = false;
	rounds.end = time(NULL) + seconds;
	pthread_barrier_init(&rounds.barrier, NULL, VCPUS + 1 + CLIENTS);
	for (int i = 0; i < CLIENTS; i++) {
		copiers[i] = (struct copier){ .client = new_client() };
		pthread_create(&copiers[i].thread, NULL, run_copier,
			       &copiers[i]);
	}
	start(vcpus, VCPUS, run_vcpu);
	start(&device, 1, run_device);
	start(changers, WRITERS, run_changer);
	join(vcpus, VCPUS);
	join(&device, 1);
	join(changers, WRITERS);
	for (int i = 0; i < CLIENTS; i++) {
		pthread_join(copiers[i].thread, NULL);
		CU_ASSERT_EQUAL(copiers[i].wrong, 0);
		gpmm_dirty_client_destroy(copiers[i].client);
	}
	printf("%llu rounds; ", (unsigned long long)rounds.number);
	pthread_barrier_destroy(&rounds.barrier);
	teardown();
}

/* The long tier's three runs take five minutes together. */
static unsigned int stress_seconds(void)
{
	return getenv("GPMM_LONG") ? 100 : 1;
}

static void test_bitmap_log_loses_nothing_under_stress(void)
{
	stress(GPMM_KVM_LOG_BITMAP, stress_seconds());
}

static void test_manual_log_loses_nothing_under_stress(void)
{
	stress(GPMM_KVM_LOG_MANUAL, stress_seconds());
}

static void test_ring_log_loses_nothing_under_stress(void)
{
	stress(GPMM_KVM_LOG_RING, stress_seconds());
}

static const char *missing(void)
{
	const char *problem = kvm_guest_init(&guest, VCPUS);

	kvm_guest_fini(&guest);
	return problem;
}

SUITE_IF(missing(), "kvm dirty",
	TEST(test_bitmap_log),
	TEST(test_manual_log),
	TEST(test_ring_log),
	TEST(test_a_full_ring_is_emptied_and_nothing_lost),
	TEST(test_a_ring_is_found_where_it_stands),
	TEST(test_bitmap_log_loses_nothing_under_stress),
	TEST(test_manual_log_loses_nothing_under_stress),
	TEST(test_ring_log_loses_nothing_under_stress))
