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
		.log = log, .ring_size = FAKE_PAGE,
	};
	struct kvm_sys sys = kvm_fake_sys(&fake);

	return gpmm__kvm_create_on(&sys, &options, &be);
}

static void kick(void *arg)
{
	(void)arg;
}

/* With a vCPU behind the gate, so that logs of deleted slots are trusted. */
static void setup(enum gpmm_kvm_log log)
{
	struct gpmm_kvm_vcpu_options options = { .kick = kick };
	const struct gpmm_range range = { 0, PAGES * PAGE };
	struct gpmm_dirty_source *source;

	kvm_fake_init(&fake);
	if (log == GPMM_KVM_LOG_RING) {
		fake.ring = FAKE_PAGE;
		CU_ASSERT_FATAL(kvm_fake_add_ring(&fake, &run));
		options.fd = fake.ring_fd;
		options.run = &run;
	}
	CU_ASSERT_EQUAL_FATAL(create(log), 0);
	source = gpmm_kvm_dirty_source(be);
	CU_ASSERT_EQUAL_FATAL(gpmm_dirty_create(range, &source, 1, &dirty), 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_dirty_client_create(dirty, &client), 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_kvm_vcpu_create(be, &options, &vcpu), 0);
}

static void teardown(void)
{
	gpmm_kvm_vcpu_destroy(vcpu);
	gpmm_dirty_client_destroy(client);
	gpmm_dirty_destroy(dirty);
	gpmm_kvm_destroy(be);
	if (fake.entries)
		kvm_fake_remove_ring(&fake);
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
		CU_ASSERT_EQUAL(harvest(), bit(4) | bit(21) | bit(31));
		write_page(47);
		/* shrunk. */
		begin();
		unmap(46, 2);
		CU_ASSERT_EQUAL(commit(), 0);
		CU_ASSERT_EQUAL(harvest(), bit(47));
		teardown();
	}
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

/* The same of a transaction that splits: what was written is harvested. */
static void test_any_ioctl_of_a_split_may_fail(void)
{
	for (int i = 0; i < KINDS; i++) {
		int ret, n;

		setup(kinds[i]);
		fill();
		for (n = 0; ; n++) {
			write_page(3);
			write_page(40);
			fake.left = n;
			begin();
			unmap(24, 1);
			ret = commit();
			fake.left = -1;
			CU_ASSERT_EQUAL(kvm_fake_find(&fake, 24 * PAGE) < 0,
					!ret);
			CU_ASSERT_EQUAL(kvm_fake_count(&fake), ret ? 1 : 2);
			CU_ASSERT_EQUAL(harvest() & (bit(3) | bit(40)),
					bit(3) | bit(40));
			/* Where the log could not be had the split goes on. */
			if (!ret && n > 4)
				break;
			if (ret)
				continue;
			begin();
			map(24, 1);
			CU_ASSERT_EQUAL(commit(), 0);
			harvest();
		}
		teardown();
	}
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
	TEST(test_logs_follow_the_guest_address),
	TEST(test_a_moved_slot_gives_what_it_had_at_its_old_address),
	TEST(test_past_the_gate_all_of_a_deleted_slot_counts),
	TEST(test_what_the_host_lacks_is_refused),
	TEST(test_a_vcpu_without_a_ring_is_refused),
	TEST(test_a_backend_serves_one_tracker),
	TEST(test_any_ioctl_of_a_harvest_may_fail),
	TEST(test_any_ioctl_of_a_split_may_fail),
	TEST(test_a_full_ring_survives_a_reset_that_fails),
	TEST(test_a_ring_that_goes_is_harvested_first),
	TEST(test_any_allocation_of_a_harvest_may_fail))
