/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * KVM's dirty logs over a fake kernel: what it lacks is refused, and an ioctl
 * that fails, at any position, loses no write.
 */
#include <errno.h>
#include <string.h>

#include <gpmm/dirty.h>
#include <gpmm/kvm.h>

#include "helpers/kvm_fake.h"
#include "helpers/kvm_suite.h"
#include "kvm/kvm_backend.h"
#include "util/alloc.h"

#define PAGE UINT64_C(4096)
#define PAGES 48
#define HVA UINT64_C(0x100000000)
#define LOGGED (GPMM_RW | GPMM_LOG_DIRTY)

static struct kvm_fake fake;
static struct gpmm_backend *be;
static struct gpmm_dirty *dirty;
static struct gpmm_dirty_client *client;
static struct gpmm_kvm_vcpu *vcpu;

static struct kvm_run run;

static int create(enum gpmm_kvm_log log)
{
	const struct gpmm_kvm_options options = {
		.log = log,
		.ring_size = log == GPMM_KVM_LOG_RING ? FAKE_PAGE : 0,
	};
	struct kvm_sys sys = kvm_fake_sys(&fake);

	return gpmm__kvm_create_on(&sys, &options, &be);
}

static void kick(void *arg)
{
	(void)arg;
}

/* A backend and a vCPU behind its gate. */
static void setup_alone(enum gpmm_kvm_log log)
{
	struct gpmm_kvm_vcpu_options options = { .kick = kick };

	kvm_fake_init(&fake);
	if (log == GPMM_KVM_LOG_RING) {
		fake.ring = FAKE_PAGE;
		CU_ASSERT_FATAL(kvm_fake_add_ring(&fake, &run));
		options.fd = fake.ring_fd;
		options.run = &run;
	}
	CU_ASSERT_EQUAL_FATAL(create(log), 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_kvm_vcpu_create(be, &options, &vcpu), 0);
}

static void teardown_alone(void)
{
	gpmm_kvm_vcpu_destroy(vcpu);
	gpmm_kvm_destroy(be);
	if (fake.entries)
		kvm_fake_remove_ring(&fake);
}

static void setup(enum gpmm_kvm_log log)
{
	const struct gpmm_range range = { 0, PAGES * PAGE };
	struct gpmm_dirty_source *source;

	setup_alone(log);
	source = gpmm_kvm_dirty_source(be);
	CU_ASSERT_EQUAL_FATAL(gpmm_dirty_create(range, &source, 1, &dirty), 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_dirty_client_create(dirty, &client), 0);
}

static void teardown(void)
{
	gpmm_dirty_client_destroy(client);
	gpmm_dirty_destroy(dirty);
	teardown_alone();
}

static struct gpmm_area at(uint64_t page, uint64_t count, uint32_t flags)
{
	return (struct gpmm_area){
		.start = page * PAGE,
		.size = count * PAGE,
		.flags = flags,
		.hva = (void *)(uintptr_t)(HVA + page * PAGE),
	};
}

static void map(uint64_t page, uint64_t count)
{
	const struct gpmm_area area = at(page, count, LOGGED);

	CU_ASSERT_EQUAL_FATAL(be->ops->map(be, &area), 0);
}

static void unmap(uint64_t page, uint64_t count)
{
	const struct gpmm_area area = at(page, count, LOGGED);

	CU_ASSERT_EQUAL_FATAL(be->ops->unmap(be, &area), 0);
}

static void begin(void)
{
	CU_ASSERT_EQUAL_FATAL(be->ops->begin(be), 0);
}

static int commit(void)
{
	int ret = be->ops->commit(be);

	if (!ret)
		be->ops->published(be);
	return ret;
}

static void write_page(uint64_t page)
{
	kvm_fake_write(&fake, page * PAGE);
}

static int note(void *arg, gpmm_gpa_t start, uint64_t size)
{
	uint64_t *pages = arg;

	for (; size; size -= PAGE, start += PAGE)
		*pages |= UINT64_C(1) << start / PAGE;
	return 0;
}

static uint64_t harvest_in(uint64_t page, uint64_t count)
{
	const struct gpmm_range range = { page * PAGE, count * PAGE };
	uint64_t pages = 0;

	CU_ASSERT_EQUAL(gpmm_dirty_harvest(client, range, note, &pages), 0);
	return pages;
}

static uint64_t harvest(void)
{
	return harvest_in(0, PAGES);
}

static uint64_t bit(uint64_t page)
{
	return UINT64_C(1) << page;
}

/* Map all, and have all logs clean. */
static void fill(void)
{
	begin();
	map(0, PAGES);
	CU_ASSERT_EQUAL_FATAL(commit(), 0);
	harvest();
}

static const enum gpmm_kvm_log kinds[] = {
	GPMM_KVM_LOG_BITMAP, GPMM_KVM_LOG_MANUAL, GPMM_KVM_LOG_RING,
};
#define KINDS 3

/* ---------------------------------------------------------------- tests --- */

static void test_guests_writes_are_harvested_once(void)
{
	for (int i = 0; i < KINDS; i++) {
		setup(kinds[i]);
		fill();
		CU_ASSERT_EQUAL(harvest(), 0);
		write_page(3);
		write_page(40);
		CU_ASSERT_EQUAL(harvest(), bit(3) | bit(40));
		CU_ASSERT_EQUAL(harvest(), 0);
		write_page(3);
		CU_ASSERT_EQUAL(harvest(), bit(3));
		teardown();
	}
}

static void test_a_manual_log_starts_full_where_it_can(void)
{
	setup(GPMM_KVM_LOG_MANUAL);
	begin();
	map(0, PAGES);
	CU_ASSERT_EQUAL(commit(), 0);
	CU_ASSERT_EQUAL(harvest(), bit(PAGES) - 1);
	teardown();
	kvm_fake_init(&fake);
	fake.manual = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE;
	CU_ASSERT_EQUAL(create(GPMM_KVM_LOG_MANUAL), 0);
	CU_ASSERT_EQUAL(fake.log, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE);
	gpmm_kvm_destroy(be);
}

/* Nothing was logged, nor harvested, before. */
static void test_a_slot_made_anew_may_be_the_first_that_is_logged(void)
{
	const struct gpmm_area area = at(0, PAGES, GPMM_READ);

	setup(GPMM_KVM_LOG_MANUAL);
	begin();
	CU_ASSERT_EQUAL(be->ops->map(be, &area), 0);
	CU_ASSERT_EQUAL(commit(), 0);
	begin();
	CU_ASSERT_EQUAL(be->ops->protect(be, &area, LOGGED), 0);
	CU_ASSERT_EQUAL(commit(), 0);
	CU_ASSERT_EQUAL(harvest(), bit(PAGES) - 1);
	CU_ASSERT_EQUAL(harvest(), 0);
	teardown();
}

static void test_logs_follow_the_guest_address(void)
{
	for (int i = 0; i < KINDS; i++) {
		setup(kinds[i]);
		fill();
		write_page(3);
		write_page(20);
		/* Split, */
		begin();
		unmap(10, 2);
		CU_ASSERT_EQUAL(commit(), 0);
		write_page(30);
		CU_ASSERT_EQUAL(harvest(), bit(3) | bit(20) | bit(30));
		write_page(4);
		write_page(21);
		/* merged, */
		begin();
		map(10, 2);
		CU_ASSERT_EQUAL(commit(), 0);
		write_page(31);
		CU_ASSERT_EQUAL(harvest(), bit(4) | bit(21) | bit(31) |
				(kinds[i] == GPMM_KVM_LOG_MANUAL ?
				 bit(10) | bit(11) : 0));
		write_page(47);
		/* shrunk. */
		begin();
		unmap(46, 2);
		CU_ASSERT_EQUAL(commit(), 0);
		CU_ASSERT_EQUAL(harvest(), bit(47));
		teardown();
	}
}

/* Also where what was logged becomes one slot with it, behind the gate. */
static void start_beside(uint64_t page)
{
	const struct gpmm_area more = at(page, 8, GPMM_RW);
	const uint64_t started = bit(page + 8) - bit(page);

	setup(GPMM_KVM_LOG_MANUAL);
	begin();
	if (page)
		map(0, page);
	CU_ASSERT_EQUAL(be->ops->map(be, &more), 0);
	map(page + 8, PAGES - page - 8);
	CU_ASSERT_EQUAL(commit(), 0);
	harvest();
	write_page(page + 8);
	write_page(40);
	begin();
	CU_ASSERT_EQUAL(be->ops->protect(be, &more, LOGGED), 0);
	CU_ASSERT_EQUAL(commit(), 0);
	CU_ASSERT_EQUAL(kvm_fake_count(&fake), 1);
	CU_ASSERT_EQUAL(harvest(), bit(page + 8) | bit(40) | started);
	CU_ASSERT_EQUAL(harvest(), 0);
	teardown();
}

static void test_a_manual_log_starts_full_beside_one_that_goes_on(void)
{
	for (uint64_t page = 0; page < 32; page += 4)
		start_beside(page);
}

static void move_a_slot(enum gpmm_kvm_log kind)
{
	struct gpmm_area area = at(0, 4, LOGGED);

	setup(kind);
	begin();
	be->ops->map(be, &area);
	CU_ASSERT_EQUAL(commit(), 0);
	write_page(2);
	begin();
	be->ops->unmap(be, &area);
	area.start = 20 * PAGE;
	be->ops->map(be, &area);
	CU_ASSERT_EQUAL(commit(), 0);
	write_page(21);
	CU_ASSERT_EQUAL(harvest() & (bit(2) | bit(21)), bit(2) | bit(21));
	teardown();
}

static void test_a_moved_slot_gives_what_it_had_at_its_old_address(void)
{
	for (int i = 0; i < KINDS; i++)
		move_a_slot(kinds[i]);
}

/* Nobody holds the guests: a write may come between harvest and delete. */
static void test_past_the_gate_all_of_a_deleted_slot_counts(void)
{
	setup(GPMM_KVM_LOG_BITMAP);
	gpmm_kvm_vcpu_destroy(vcpu);
	vcpu = NULL;
	fill();
	begin();
	unmap(10, 2);
	CU_ASSERT_EQUAL(commit(), 0);
	CU_ASSERT_EQUAL(harvest(), bit(PAGES) - 1);
	teardown();
}

static void test_what_the_host_lacks_is_refused(void)
{
	kvm_fake_init(&fake);
	fake.manual = 0;
	CU_ASSERT_EQUAL(create(GPMM_KVM_LOG_MANUAL), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(create(GPMM_KVM_LOG_RING), -EOPNOTSUPP);
	fake.ring = FAKE_PAGE / 2;
	CU_ASSERT_EQUAL(create(GPMM_KVM_LOG_RING), -EINVAL);
	CU_ASSERT_EQUAL(create(17), -EINVAL);
	kvm_fake_init(&fake);
	fake.left = 0;
	fake.error = -EPERM;
	CU_ASSERT_EQUAL(create(GPMM_KVM_LOG_MANUAL), -EPERM);
	fake.left = 0;
	fake.ring = FAKE_PAGE;
	CU_ASSERT_EQUAL(create(GPMM_KVM_LOG_RING), -EPERM);
	CU_ASSERT_EQUAL(fake.left, -1);
}

/* It needs a kvm_run, and a descriptor that can be mapped. */
static void test_a_vcpu_without_a_ring_is_refused(void)
{
	struct gpmm_kvm_vcpu_options options = { .kick = kick, .fd = -1 };
	struct gpmm_kvm_vcpu *other;

	setup(GPMM_KVM_LOG_RING);
	CU_ASSERT_EQUAL(gpmm_kvm_vcpu_create(be, &options, &other), -EINVAL);
	options.run = &run;
	for (int n = 0; n < 2; n++) {
		gpmm__alloc_left = n;
		CU_ASSERT_EQUAL(gpmm_kvm_vcpu_create(be, &options, &other),
				-ENOMEM);
		CU_ASSERT_EQUAL(gpmm__alloc_left, -1);
	}
	CU_ASSERT_EQUAL(gpmm_kvm_vcpu_create(be, &options, &other), -EBADF);
	fill();
	write_page(7);
	CU_ASSERT_EQUAL(harvest(), bit(7));
	teardown();
}

static void test_a_backend_serves_one_tracker(void)
{
	struct gpmm_dirty_source *source;
	struct gpmm_dirty *other;

	setup(GPMM_KVM_LOG_BITMAP);
	source = gpmm_kvm_dirty_source(be);
	CU_ASSERT_EQUAL(gpmm_dirty_create((struct gpmm_range){ 0, PAGE },
					  &source, 1, &other), -EBUSY);
	/* One after the other. */
	gpmm_dirty_client_destroy(client);
	gpmm_dirty_destroy(dirty);
	CU_ASSERT_EQUAL_FATAL(gpmm_dirty_create((struct gpmm_range){
				0, PAGES * PAGE }, &source, 1, &dirty), 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_dirty_client_create(dirty, &client), 0);
	fill();
	write_page(3);
	CU_ASSERT_EQUAL(harvest(), bit(3));
	teardown();
}

/* -------------------------------------------------------------- sweeps --- */

/* Two slots with writes in both; the Nth ioctl of a harvest fails. */
static void test_any_ioctl_of_a_harvest_may_fail(void)
{
	for (int i = 0; i < KINDS; i++) {
		const int calls[KINDS] = { 2, 4, 1 };
		uint64_t pages;
		int ret, n;

		setup(kinds[i]);
		fill();
		begin();
		unmap(24, 1);
		CU_ASSERT_EQUAL(commit(), 0);
		harvest();
		for (n = 0; ; n++) {
			const struct gpmm_range all = { 0, PAGES * PAGE };

			write_page(3);
			write_page(40);
			pages = 0;
			fake.left = n;
			ret = gpmm_dirty_harvest(client, all, note, &pages);
			fake.left = -1;
			if (!ret)
				break;
			CU_ASSERT_EQUAL_FATAL(ret, -ENOMEM);
			CU_ASSERT_EQUAL(pages, 0);
			CU_ASSERT_EQUAL(harvest(), bit(3) | bit(40));
		}
		CU_ASSERT_EQUAL(n, calls[i]);
		CU_ASSERT_EQUAL(pages, bit(3) | bit(40));
		/* And writes after it are seen again. */
		CU_ASSERT_EQUAL(harvest(), 0);
		write_page(3);
		CU_ASSERT_EQUAL(harvest(), bit(3));
		teardown();
	}
}

/* What happens to two slots, pages 0 to 19 and 28 to 47; it is undone, too. */
static void split(void)
{
	unmap(5, 1);
}

static void shrink(void)
{
	unmap(0, 1);
	unmap(47, 1);
}

static void merge(void)
{
	map(20, 8);
}

static void move(void)
{
	struct gpmm_area area = at(28, 20, LOGGED);

	unmap(28, 20);
	area.start = 24 * PAGE;
	CU_ASSERT_EQUAL_FATAL(be->ops->map(be, &area), 0);
}

static void end_log(void)
{
	const struct gpmm_area area = at(28, 20, LOGGED);

	CU_ASSERT_EQUAL_FATAL(be->ops->protect(be, &area, GPMM_RW), 0);
}

static void (*const changes[])(void) = {
	split, shrink, merge, move, end_log,
};
#define CHANGES (sizeof(changes) / sizeof(*changes))

static bool same_slots(const struct kvm_fake *before)
{
	return !memcmp(before->slots, fake.slots, sizeof(fake.slots));
}

static void fill_two_slots(void)
{
	begin();
	map(0, 20);
	map(28, 20);
	CU_ASSERT_EQUAL_FATAL(commit(), 0);
}

/* The Nth ioctl fails. Return: whether there were so many. */
static bool fails_at(void (*change)(void), int n)
{
	static struct kvm_fake before;
	bool ended = change == end_log;
	int ret;

	write_page(3);
	write_page(40);
	before = fake;
	fake.left = n;
	begin();
	change();
	ret = commit();
	fake.left = -1;
	CU_ASSERT(!ret || ret == -ENOMEM);
	CU_ASSERT(!ret || same_slots(&before));
	/* What was written stays, and what is written now is seen. */
	write_page(4);
	write_page(44);
	CU_ASSERT_EQUAL(harvest() & (bit(3) | bit(4) | bit(40)),
			bit(3) | bit(4) | bit(40));
	write_page(44);
	if (ret || (change != move && !ended))
		CU_ASSERT_EQUAL(harvest(), bit(44));
	return fake.changes - before.changes > (unsigned long)n + 1 || ret;
}

static void any_ioctl_of_a_change_may_fail(bool gated)
{
	for (size_t i = 0; i < KINDS * CHANGES; i++) {
		bool more = gated || kinds[i % KINDS] != GPMM_KVM_LOG_RING;

		for (int n = 0; more; n++) {
			setup(kinds[i % KINDS]);
			if (!gated) {
				gpmm_kvm_vcpu_destroy(vcpu);
				vcpu = NULL;
			}
			fill_two_slots();
			harvest();
			more = fails_at(changes[i / KINDS], n);
			teardown();
		}
	}
}

/* Where a log could not be had the change goes on all the same. */
static void test_any_ioctl_of_a_change_may_fail(void)
{
	any_ioctl_of_a_change_may_fail(true);
}

static void test_past_the_gate_any_ioctl_may_fail_too(void)
{
	any_ioctl_of_a_change_may_fail(false);
}

/* What the kernel would not restore has no log, and the others go on. */
static void test_a_slot_that_is_lost_stops_no_harvest(void)
{
	setup(GPMM_KVM_LOG_BITMAP);
	fill_two_slots();
	write_page(3);
	write_page(40);
	/* The harvest of its log and its deletion; then nothing works. */
	fake.left = 2;
	fake.stay = true;
	begin();
	split();
	CU_ASSERT_EQUAL(commit(), -EIO);
	fake.left = -1;
	write_page(41);
	CU_ASSERT_EQUAL(harvest(), bit(3) | bit(40) | bit(41));
	begin();
	CU_ASSERT_EQUAL(commit(), 0);
	write_page(4);
	CU_ASSERT_EQUAL(harvest(), bit(4));
	teardown();
}

/* ---------------------------------------------------- order of things --- */

/* Who takes what was given, at once, and what it has then. */
static uint64_t given;

static void give(void *arg, gpmm_gpa_t start, uint64_t size)
{
	(void)arg;
	note(&given, start, size);
}

static void give_bits(void *arg, gpmm_gpa_t start, const uint64_t *bits,
		      uint64_t pages)
{
	for (uint64_t i = 0; i < pages; i++)
		if (bits[i / 64] >> i % 64 & 1)
			give(arg, start + i * PAGE, PAGE);
}

static const struct gpmm_dirty_sink sink = { give, give_bits, NULL };

static void setup_sink(enum gpmm_kvm_log log)
{
	struct gpmm_dirty_source *source;

	setup_alone(log);
	source = gpmm_kvm_dirty_source(be);
	CU_ASSERT_EQUAL_FATAL(source->ops->attach(source, &sink), 0);
	fill_two_slots();
	given = 0;
}

/* A harvest on its way takes the pages and reads them. */
static void take_given(void)
{
	given = 0;
}

/* Guests run on, and write until the slot is gone. */
static void test_what_guests_write_until_a_log_ends_is_given(void)
{
	for (size_t i = 0; i < KINDS * CHANGES; i++) {
		void (*change)(void) = changes[i / KINDS];

		/* A ring's vCPU is behind the gate, which closes for a hole. */
		if (kinds[i % KINDS] == GPMM_KVM_LOG_RING && change != end_log)
			continue;
		setup_sink(kinds[i % KINDS]);
		if (kinds[i % KINDS] != GPMM_KVM_LOG_RING) {
			gpmm_kvm_vcpu_destroy(vcpu);
			vcpu = NULL;
		}
		fake.on_change = take_given;
		begin();
		change();
		CU_ASSERT_EQUAL(commit(), 0);
		if (change != end_log && change != move)
			CU_ASSERT_EQUAL(given & bit(3), bit(3));
		if (change != split)
			CU_ASSERT_EQUAL(given & bit(40), bit(40));
		teardown_alone();
	}
}

/* Until then a write to the page would not be logged again. */
static void reset_comes_first(void)
{
	CU_ASSERT_EQUAL(given, 0);
}

static void test_a_ring_gives_pages_after_their_reset(void)
{
	setup_sink(GPMM_KVM_LOG_RING);
	write_page(3);
	write_page(40);
	fake.on_change = reset_comes_first;
	fake.left = 0;
	CU_ASSERT_EQUAL(gpmm_kvm_drain_rings(be), -ENOMEM);
	CU_ASSERT_EQUAL(given, 0);
	write_page(4);
	CU_ASSERT_EQUAL(gpmm_kvm_drain_rings(be), 0);
	CU_ASSERT_EQUAL(given, bit(3) | bit(4) | bit(40));
	teardown_alone();
}

static void test_a_reset_that_is_interrupted_goes_on(void)
{
	setup_sink(GPMM_KVM_LOG_RING);
	write_page(3);
	fake.left = 0;
	fake.error = -EINTR;
	CU_ASSERT_EQUAL(gpmm_kvm_drain_rings(be), 0);
	CU_ASSERT_EQUAL(fake.left, -1);
	CU_ASSERT_EQUAL(given, bit(3));
	teardown_alone();
}

/*
 * A reset that failed is owed: without it the vCPU would stay full, and later
 * writes to the pages that were taken would not be logged.
 */
static void test_a_full_ring_survives_a_reset_that_fails(void)
{
	uint64_t round;

	setup(GPMM_KVM_LOG_RING);
	fill();
	/* As a guest that finds its entries reset by others fills a ring. */
	for (round = 0; !kvm_fake_ring_is_full(&fake); round++) {
		write_page(round % PAGES);
		fake.dirty[0] = 0;
	}
	fake.left = 0;
	fake.error = -EIO;
	CU_ASSERT_EQUAL(gpmm_kvm_run(vcpu, fake.ring_fd), -EIO);
	CU_ASSERT(kvm_fake_ring_is_full(&fake));
	CU_ASSERT_EQUAL(gpmm_kvm_run(vcpu, fake.ring_fd), -EINTR);
	CU_ASSERT_FALSE(kvm_fake_ring_is_full(&fake));
	CU_ASSERT_EQUAL(gpmm_kvm_run(vcpu, fake.ring_fd), 0);
	CU_ASSERT_EQUAL(run.exit_reason, KVM_EXIT_HLT);
	CU_ASSERT_EQUAL(harvest(), bit(PAGES) - 1);
	write_page(5);
	fake.left = 0;
	CU_ASSERT_EQUAL(gpmm_kvm_drain_rings(be), -EIO);
	write_page(5);
	CU_ASSERT_EQUAL(gpmm_kvm_drain_rings(be), 0);
	CU_ASSERT_EQUAL(harvest(), bit(5));
	write_page(5);
	CU_ASSERT_EQUAL(harvest(), bit(5));
	teardown();
}

/* The last entries of a vCPU that goes stay, also where the reset fails. */
static void test_a_ring_that_goes_is_harvested_first(void)
{
	setup(GPMM_KVM_LOG_RING);
	fill();
	write_page(5);
	fake.left = 0;
	gpmm_kvm_vcpu_destroy(vcpu);
	vcpu = NULL;
	CU_ASSERT_EQUAL(fake.left, -1);
	CU_ASSERT_EQUAL(harvest(), bit(5));
	teardown();
}

static void tell_of_vcpu_again(void)
{
	const struct gpmm_kvm_vcpu_options options = {
		.kick = kick, .fd = fake.ring_fd, .run = &run,
	};

	gpmm_kvm_vcpu_destroy(vcpu);
	CU_ASSERT_EQUAL_FATAL(gpmm_kvm_vcpu_create(be, &options, &vcpu), 0);
}

/* KVM's vCPU, and so its place in the ring, outlives what is told of it. */
static void test_a_ring_is_harvested_from_where_it_stands(void)
{
	setup(GPMM_KVM_LOG_RING);
	fill();
	for (unsigned int page = 0; page < 2 * FAKE_RING; page += 3) {
		tell_of_vcpu_again();
		CU_ASSERT_EQUAL(harvest(), 0);
		for (unsigned int i = 0; i < 3; i++)
			write_page((page + i) % PAGES);
		if (page % 2)
			tell_of_vcpu_again();
		CU_ASSERT_EQUAL(harvest(), UINT64_C(7) << page % PAGES);
	}
	CU_ASSERT_EQUAL(fake.reset, fake.pushed);
	teardown();
}

static void test_any_allocation_of_a_harvest_may_fail(void)
{
	const struct gpmm_range all = { 0, PAGES * PAGE };
	uint64_t pages = 0;

	setup(GPMM_KVM_LOG_BITMAP);
	begin();
	map(0, PAGES);
	CU_ASSERT_EQUAL(commit(), 0);
	/* Its bitmap was made with the slot's log: have it made again. */
	gpmm__free(to_kvm(be)->log.bitmap);
	to_kvm(be)->log.bitmap = NULL;
	to_kvm(be)->log.room = 0;
	write_page(5);
	gpmm__alloc_left = 0;
	CU_ASSERT_EQUAL(gpmm_dirty_harvest(client, all, note, &pages),
			-ENOMEM);
	CU_ASSERT_EQUAL(gpmm__alloc_left, -1);
	CU_ASSERT_EQUAL(harvest(), bit(5));
	teardown();
}

SUITE("kvm log",
	TEST(test_guests_writes_are_harvested_once),
	TEST(test_a_manual_log_starts_full_where_it_can),
	TEST(test_a_manual_log_starts_full_beside_one_that_goes_on),
	TEST(test_a_slot_made_anew_may_be_the_first_that_is_logged),
	TEST(test_logs_follow_the_guest_address),
	TEST(test_a_moved_slot_gives_what_it_had_at_its_old_address),
	TEST(test_past_the_gate_all_of_a_deleted_slot_counts),
	TEST(test_what_the_host_lacks_is_refused),
	TEST(test_a_vcpu_without_a_ring_is_refused),
	TEST(test_a_backend_serves_one_tracker),
	TEST(test_any_ioctl_of_a_harvest_may_fail),
	TEST(test_any_ioctl_of_a_change_may_fail),
	TEST(test_past_the_gate_any_ioctl_may_fail_too),
	TEST(test_a_slot_that_is_lost_stops_no_harvest),
	TEST(test_what_guests_write_until_a_log_ends_is_given),
	TEST(test_a_ring_gives_pages_after_their_reset),
	TEST(test_a_reset_that_is_interrupted_goes_on),
	TEST(test_a_full_ring_survives_a_reset_that_fails),
	TEST(test_a_ring_that_goes_is_harvested_first),
	TEST(test_a_ring_is_harvested_from_where_it_stands),
	TEST(test_any_allocation_of_a_harvest_may_fail))
