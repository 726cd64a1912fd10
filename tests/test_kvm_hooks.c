/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hooks on windows over a fake kernel: they are where their owner's areas are,
 * and an ioctl that fails, at any position, has changed nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <gpmm/kvm.h>

#include "helpers/kvm_fake.h"
#include "helpers/kvm_suite.h"
#include "kvm/kvm_backend.h"
#include "util/alloc.h"

#define PAGE UINT64_C(4096)
#define HVA UINT64_C(0x100000000)

static struct kvm_fake fake;
static struct gpmm_backend *be;
static char owners[3];
static int fd;

static void setup(void)
{
	struct kvm_sys sys = kvm_fake_sys(&fake);

	kvm_fake_init(&fake);
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL_FATAL(gpmm__kvm_create_on(&sys, NULL, &be), 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_kvm_set_coalesced_ring(be,
			(struct kvm_run *)fake.run), 0);
}

static void teardown(void)
{
	gpmm_kvm_destroy(be);
	close(fd);
}

/* @count pages at @page that belong to owner @who. */
static struct gpmm_area window(uint64_t page, uint64_t count, int who)
{
	return (struct gpmm_area){
		.start = page * PAGE,
		.size = count * PAGE,
		.flags = GPMM_MMIO,
		.owner = &owners[who],
	};
}

static struct gpmm_area ram(uint64_t page, uint64_t count)
{
	return (struct gpmm_area){
		.start = page * PAGE,
		.size = count * PAGE,
		.flags = GPMM_RW,
		.hva = (void *)(uintptr_t)(HVA + page * PAGE),
	};
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

static void map(struct gpmm_area area)
{
	CU_ASSERT_EQUAL_FATAL(be->ops->map(be, &area), 0);
}

static void unmap(struct gpmm_area area)
{
	CU_ASSERT_EQUAL_FATAL(be->ops->unmap(be, &area), 0);
}

static void map_alone(struct gpmm_area area)
{
	begin();
	map(area);
	CU_ASSERT_EQUAL_FATAL(commit(), 0);
}

static void unmap_alone(struct gpmm_area area)
{
	begin();
	unmap(area);
	CU_ASSERT_EQUAL_FATAL(commit(), 0);
}

static struct gpmm_kvm_hook *event_at(uint64_t gpa, int who)
{
	const struct gpmm_kvm_event event = {
		.owner = &owners[who], .gpa = gpa, .size = 4, .fd = fd,
	};
	struct gpmm_kvm_hook *hook = NULL;

	CU_ASSERT_EQUAL_FATAL(gpmm_kvm_attach_event(be, &event, &hook), 0);
	return hook;
}

static struct gpmm_kvm_hook *zone_at(uint64_t gpa, uint32_t size, int who)
{
	struct gpmm_kvm_hook *hook = NULL;

	CU_ASSERT_EQUAL_FATAL(gpmm_kvm_attach_coalesced(be, &owners[who], gpa,
							size, &hook), 0);
	return hook;
}

static bool has_event(uint64_t gpa)
{
	for (unsigned int i = 0; i < fake.nr_events; i++)
		if (fake.events[i].addr == gpa && fake.events[i].fd >= 0)
			return true;
	return false;
}

static bool has_zone(uint64_t gpa, uint32_t size)
{
	for (unsigned int i = 0; i < fake.nr_events; i++)
		if (fake.events[i].addr == gpa && fake.events[i].fd < 0 &&
		    fake.events[i].len == size)
			return true;
	return false;
}

/* ------------------------------------------------------- where they are --- */

static void test_a_hook_is_there_as_long_as_its_window_is(void)
{
	struct gpmm_kvm_hook *hook;

	setup();
	hook = event_at(4 * PAGE + 8, 0);
	CU_ASSERT_EQUAL(fake.nr_events, 0);
	map_alone(window(4, 2, 0));
	CU_ASSERT(has_event(4 * PAGE + 8));
	unmap_alone(window(4, 2, 0));
	CU_ASSERT_EQUAL(fake.nr_events, 0);
	map_alone(window(4, 2, 0));
	CU_ASSERT(has_event(4 * PAGE + 8));
	CU_ASSERT_EQUAL(gpmm_kvm_detach(hook), 0);
	CU_ASSERT_EQUAL(fake.nr_events, 0);
	teardown();
}

static void test_a_hook_on_a_mapped_window_is_there_at_once(void)
{
	setup();
	map_alone(window(4, 2, 0));
	event_at(5 * PAGE, 0);
	CU_ASSERT(has_event(5 * PAGE));
	/* Another's window, and memory, are none of its. */
	event_at(7 * PAGE, 0);
	map_alone(window(7, 1, 1));
	map_alone(ram(8, 1));
	event_at(8 * PAGE, 0);
	CU_ASSERT_EQUAL(fake.nr_events, 1);
	teardown();
}

static void test_hooks_move_with_their_window(void)
{
	setup();
	map_alone(window(4, 4, 0));
	event_at(5 * PAGE + 16, 0);
	zone_at(7 * PAGE, 64, 0);
	begin();
	unmap(window(4, 4, 0));
	map(window(40, 4, 0));
	CU_ASSERT_EQUAL(commit(), 0);
	CU_ASSERT_EQUAL(fake.nr_events, 2);
	CU_ASSERT(has_event(41 * PAGE + 16));
	CU_ASSERT(has_zone(43 * PAGE, 64));
	/* By less than its size, down, */
	begin();
	unmap(window(40, 4, 0));
	map(window(39, 4, 0));
	CU_ASSERT_EQUAL(commit(), 0);
	CU_ASSERT(has_event(40 * PAGE + 16));
	/* taken out and put in later, */
	unmap_alone(window(39, 4, 0));
	map_alone(window(80, 4, 0));
	CU_ASSERT(has_event(81 * PAGE + 16));
	/* and in pieces, the last of which comes first. */
	begin();
	unmap(window(80, 1, 0));
	unmap(window(81, 3, 0));
	map(window(22, 2, 0));
	map(window(20, 2, 0));
	CU_ASSERT_EQUAL(commit(), 0);
	CU_ASSERT_EQUAL(fake.nr_events, 2);
	CU_ASSERT(has_event(21 * PAGE + 16));
	CU_ASSERT(has_zone(23 * PAGE, 64));
	teardown();
}

/* What is attached while it is out moves along as if it had been before. */
static void test_a_window_that_is_out_lies_where_it_was(void)
{
	setup();
	map_alone(window(4, 2, 0));
	event_at(4 * PAGE, 0);
	unmap_alone(window(4, 2, 0));
	event_at(5 * PAGE, 0);
	map_alone(window(20, 2, 0));
	CU_ASSERT(has_event(20 * PAGE) && has_event(21 * PAGE));
	teardown();
}

static void test_hooks_stay_while_their_window_is_cut(void)
{
	setup();
	map_alone(window(4, 8, 0));
	event_at(4 * PAGE, 0);
	event_at(11 * PAGE, 0);
	event_at(7 * PAGE, 0);
	unmap_alone(window(6, 2, 0));
	CU_ASSERT_EQUAL(fake.nr_events, 2);
	CU_ASSERT(has_event(4 * PAGE) && has_event(11 * PAGE));
	/* Its left end goes, then it moves: by as much as what is left. */
	unmap_alone(window(4, 1, 0));
	CU_ASSERT_EQUAL(fake.nr_events, 1);
	begin();
	unmap(window(5, 1, 0));
	unmap(window(8, 4, 0));
	map(window(25, 1, 0));
	map(window(28, 4, 0));
	CU_ASSERT_EQUAL(commit(), 0);
	CU_ASSERT_EQUAL(fake.nr_events, 1);
	CU_ASSERT(has_event(31 * PAGE));
	/* What was cut out comes back. */
	begin();
	map(window(24, 1, 0));
	map(window(26, 2, 0));
	CU_ASSERT_EQUAL(commit(), 0);
	CU_ASSERT_EQUAL(fake.nr_events, 3);
	CU_ASSERT(has_event(24 * PAGE) && has_event(27 * PAGE));
	teardown();
}

static void test_a_zone_is_where_it_is_covered_an_event_if_it_is_whole(void)
{
	setup();
	map_alone(window(4, 8, 0));
	zone_at(5 * PAGE, 4 * PAGE, 0);
	event_at(6 * PAGE - 2, 0);
	CU_ASSERT(has_zone(5 * PAGE, 4 * PAGE));
	unmap_alone(window(6, 1, 0));
	CU_ASSERT_EQUAL(fake.nr_events, 2);
	CU_ASSERT(has_zone(5 * PAGE, PAGE));
	CU_ASSERT(has_zone(7 * PAGE, 2 * PAGE));
	map_alone(window(6, 1, 0));
	CU_ASSERT_EQUAL(fake.nr_events, 2);
	CU_ASSERT(has_zone(5 * PAGE, 4 * PAGE) && has_event(6 * PAGE - 2));
	teardown();
}

static void test_windows_may_change_places(void)
{
	setup();
	map_alone(window(4, 2, 0));
	map_alone(window(8, 2, 1));
	event_at(4 * PAGE, 0);
	event_at(8 * PAGE, 1);
	zone_at(4 * PAGE + 64, 8, 0);
	zone_at(8 * PAGE + 64, 8, 1);
	begin();
	unmap(window(4, 2, 0));
	unmap(window(8, 2, 1));
	map(window(8, 2, 0));
	map(window(4, 2, 1));
	CU_ASSERT_EQUAL(commit(), 0);
	CU_ASSERT_EQUAL(fake.nr_events, 4);
	CU_ASSERT(has_event(4 * PAGE) && has_event(8 * PAGE));
	teardown();
}

/* A window of mmio.h is another after it moved: hooks wait for both. */
static void test_a_window_may_change_its_owner(void)
{
	struct gpmm_kvm_hook *old;

	setup();
	map_alone(window(4, 2, 0));
	old = event_at(4 * PAGE, 0);
	event_at(9 * PAGE, 1);
	begin();
	unmap(window(4, 2, 0));
	map(window(9, 2, 1));
	CU_ASSERT_EQUAL(commit(), 0);
	CU_ASSERT_EQUAL(fake.nr_events, 1);
	CU_ASSERT(has_event(9 * PAGE));
	CU_ASSERT_EQUAL(gpmm_kvm_detach(old), 0);
	CU_ASSERT(has_event(9 * PAGE));
	teardown();
}

static void test_what_ends_as_it_was_makes_no_ioctl(void)
{
	unsigned long before;

	setup();
	map_alone(window(4, 4, 0));
	event_at(5 * PAGE, 0);
	before = fake.changes;
	begin();
	unmap(window(4, 4, 0));
	map(window(4, 4, 0));
	map(window(20, 4, 0));
	unmap(window(20, 4, 0));
	CU_ASSERT_EQUAL(commit(), 0);
	begin();
	unmap(window(4, 4, 0));
	be->ops->abort(be);
	map_alone(window(30, 1, 0));
	map_alone(window(31, 1, 2));
	CU_ASSERT_EQUAL(fake.changes, before);
	CU_ASSERT(has_event(5 * PAGE));
	teardown();
}

/* ------------------------------------------------------------- refusals --- */

static int try_event(struct gpmm_kvm_event event)
{
	struct gpmm_kvm_hook *hook;

	return gpmm_kvm_attach_event(be, &event, &hook);
}

static int try_zone(void *owner, uint64_t gpa, uint32_t size)
{
	struct gpmm_kvm_hook *hook;

	return gpmm_kvm_attach_coalesced(be, owner, gpa, size, &hook);
}

static void test_malformed_hooks_are_refused(void)
{
	void *who = &owners[0];

	setup();
	CU_ASSERT_EQUAL(try_event((struct gpmm_kvm_event){
			NULL, PAGE, 4, fd, false, 0 }), -EINVAL);
	CU_ASSERT_EQUAL(try_event((struct gpmm_kvm_event){
			who, PAGE, 3, fd, false, 0 }), -EINVAL);
	CU_ASSERT_EQUAL(try_event((struct gpmm_kvm_event){
			who, PAGE, 16, fd, false, 0 }), -EINVAL);
	CU_ASSERT_EQUAL(try_event((struct gpmm_kvm_event){
			who, PAGE, 0, fd, true, 5 }), -EINVAL);
	CU_ASSERT_EQUAL(try_event((struct gpmm_kvm_event){
			who, UINT64_MAX, 8, fd, false, 0 }), -EINVAL);
	CU_ASSERT_EQUAL(try_event((struct gpmm_kvm_event){
			who, PAGE, 8, -1, false, 0 }), -EBADF);
	CU_ASSERT_EQUAL(try_zone(NULL, PAGE, 8), -EINVAL);
	CU_ASSERT_EQUAL(try_zone(who, PAGE, 0), -EINVAL);
	zone_at(PAGE, 64, 0);
	CU_ASSERT_EQUAL(try_zone(who, PAGE + 60, 8), -EEXIST);
	CU_ASSERT_EQUAL(try_zone(&owners[1], PAGE + 60, 8), 0);
	CU_ASSERT_EQUAL(gpmm_kvm_detach(NULL), 0);
	teardown();
}

static void test_events_tell_widths_and_values_apart(void)
{
	setup();
	map_alone(window(1, 1, 0));
	CU_ASSERT_EQUAL(try_event((struct gpmm_kvm_event){
			&owners[0], PAGE, 4, fd, true, 1 }), 0);
	CU_ASSERT_EQUAL(try_event((struct gpmm_kvm_event){
			&owners[0], PAGE, 4, fd, true, 2 }), 0);
	CU_ASSERT_EQUAL(try_event((struct gpmm_kvm_event){
			&owners[0], PAGE, 4, fd, true, 2 }), -EEXIST);
	CU_ASSERT_EQUAL(try_event((struct gpmm_kvm_event){
			&owners[0], PAGE + 8, 0, fd, false, 0 }), 0);
	CU_ASSERT(kvm_fake_mmio(&fake, PAGE, 4, 2));
	CU_ASSERT_FALSE(kvm_fake_mmio(&fake, PAGE, 4, 3));
	CU_ASSERT_FALSE(kvm_fake_mmio(&fake, PAGE, 2, 2));
	CU_ASSERT(kvm_fake_mmio(&fake, PAGE + 8, 2, 9));
	teardown();
}

static void test_what_the_host_lacks_is_refused(void)
{
	struct kvm_sys sys = kvm_fake_sys(&fake);

	setup();
	teardown();
	fake.has_any_size = fake.has_coalesced = false;
	CU_ASSERT_EQUAL_FATAL(gpmm__kvm_create_on(&sys, NULL, &be), 0);
	CU_ASSERT_EQUAL(try_event((struct gpmm_kvm_event){
			&owners[0], PAGE, 0, 0, false, 0 }), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(try_event((struct gpmm_kvm_event){
			&owners[0], PAGE, 8, 0, false, 0 }), 0);
	CU_ASSERT_EQUAL(gpmm_kvm_set_coalesced_ring(be,
			(struct kvm_run *)fake.run), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(try_zone(&owners[0], PAGE, 8), -EOPNOTSUPP);
	gpmm_kvm_destroy(be);
	kvm_fake_init(&fake);
	fake.has_event = false;
	CU_ASSERT_EQUAL_FATAL(gpmm__kvm_create_on(&sys, NULL, &be), 0);
	CU_ASSERT_EQUAL(try_event((struct gpmm_kvm_event){
			&owners[0], PAGE, 8, 0, false, 0 }), -EOPNOTSUPP);
	/* The ring is to be told first, which is a question, too. */
	fake.questions_fail = true;
	fake.left = 0;
	CU_ASSERT_EQUAL(gpmm_kvm_set_coalesced_ring(be,
			(struct kvm_run *)fake.run), -ENOMEM);
	CU_ASSERT_EQUAL(try_zone(&owners[0], PAGE, 8), -EINVAL);
	gpmm_kvm_destroy(be);
}

/* -------------------------------------------------------------- harvest --- */

struct harvest {
	uint64_t gpa[512];
	uint64_t value[512];
	size_t count;
	size_t most;
};

static int take(void *arg, const struct gpmm_kvm_access *access)
{
	struct harvest *harvest = arg;

	CU_ASSERT(access->write && !access->fault && access->size <= 8);
	harvest->gpa[harvest->count] = access->gpa;
	harvest->value[harvest->count] = 0;
	memcpy(&harvest->value[harvest->count++], access->data, access->size);
	return harvest->count == harvest->most ? -EINTR : 0;
}

static int harvest_into(struct harvest *harvest)
{
	harvest->count = 0;
	return gpmm_kvm_harvest_coalesced(be, take, harvest);
}

static void test_kept_writes_are_harvested_in_order(void)
{
	static struct harvest harvest;

	setup();
	harvest.most = 0;
	map_alone(window(4, 1, 0));
	zone_at(4 * PAGE, 64, 0);
	/* Twice around the ring, which at last is full. */
	for (uint64_t round = 0; round < 4; round++) {
		for (uint64_t i = 0; i < 100; i++)
			CU_ASSERT(kvm_fake_mmio(&fake, 4 * PAGE + 4, 2, i));
		CU_ASSERT_EQUAL(harvest_into(&harvest), 0);
		CU_ASSERT_EQUAL_FATAL(harvest.count, 100);
		for (uint64_t i = 0; i < 100; i++)
			CU_ASSERT_EQUAL(harvest.value[i], i);
		CU_ASSERT_EQUAL(harvest.gpa[0], 4 * PAGE + 4);
	}
	for (size_t i = 0; kvm_fake_mmio(&fake, 4 * PAGE, 8, i); i++)
		harvest.most = i + 1;
	CU_ASSERT_EQUAL(harvest.most, 169);
	CU_ASSERT_EQUAL(harvest_into(&harvest), -EINTR);
	CU_ASSERT_EQUAL(harvest.count, 169);
	CU_ASSERT_EQUAL(harvest_into(&harvest), 0);
	CU_ASSERT_EQUAL(harvest.count, 0);
	teardown();
}

static void test_a_refused_harvest_keeps_the_rest(void)
{
	static struct harvest harvest;

	setup();
	map_alone(window(4, 1, 0));
	zone_at(4 * PAGE, 64, 0);
	for (uint64_t i = 0; i < 5; i++)
		kvm_fake_mmio(&fake, 4 * PAGE, 8, i);
	harvest.most = 2;
	CU_ASSERT_EQUAL(harvest_into(&harvest), -EINTR);
	harvest.most = 0;
	kvm_fake_mmio(&fake, 4 * PAGE, 8, 5);
	CU_ASSERT_EQUAL(harvest_into(&harvest), 0);
	CU_ASSERT_EQUAL(harvest.count, 4);
	CU_ASSERT_EQUAL(harvest.value[0], 2);
	CU_ASSERT_EQUAL(harvest.value[3], 5);
	teardown();
}

static void test_a_harvest_without_memory_takes_nothing(void)
{
	static struct harvest harvest;

	setup();
	map_alone(window(4, 1, 0));
	zone_at(4 * PAGE, 64, 0);
	kvm_fake_mmio(&fake, 4 * PAGE, 8, 7);
	harvest.most = 0;
	gpmm__alloc_left = 0;
	CU_ASSERT_EQUAL(harvest_into(&harvest), -ENOMEM);
	gpmm__alloc_left = -1;
	CU_ASSERT_EQUAL(harvest.count, 0);
	CU_ASSERT_EQUAL(harvest_into(&harvest), 0);
	CU_ASSERT_EQUAL(harvest.value[0], 7);
	teardown();
}

/* They are the device's, wherever that is by the time of the harvest. */
static void test_kept_writes_follow_their_window(void)
{
	static struct harvest harvest;
	struct gpmm_kvm_hook *hook;

	setup();
	harvest.most = 0;
	map_alone(window(4, 2, 0));
	map_alone(window(8, 2, 1));
	hook = zone_at(4 * PAGE, 64, 0);
	zone_at(8 * PAGE, 64, 1);
	kvm_fake_mmio(&fake, 4 * PAGE + 8, 8, 1);
	kvm_fake_mmio(&fake, 8 * PAGE + 8, 8, 2);
	begin();
	unmap(window(4, 2, 0));
	unmap(window(8, 2, 1));
	map(window(8, 2, 0));
	map(window(4, 2, 1));
	CU_ASSERT_EQUAL(commit(), 0);
	kvm_fake_mmio(&fake, 4 * PAGE + 8, 8, 3);
	begin();
	unmap(window(8, 2, 0));
	map(window(40, 2, 0));
	CU_ASSERT_EQUAL(commit(), 0);
	kvm_fake_mmio(&fake, 40 * PAGE + 8, 8, 4);
	/* Those of a hook that went are kept, too. */
	CU_ASSERT_EQUAL(gpmm_kvm_detach(hook), 0);
	CU_ASSERT_EQUAL(harvest_into(&harvest), 0);
	CU_ASSERT_EQUAL_FATAL(harvest.count, 4);
	for (uint64_t i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(harvest.value[i], i + 1);
	CU_ASSERT_EQUAL(harvest.gpa[0], 40 * PAGE + 8);
	CU_ASSERT_EQUAL(harvest.gpa[1], 4 * PAGE + 8);
	CU_ASSERT_EQUAL(harvest.gpa[2], 4 * PAGE + 8);
	CU_ASSERT_EQUAL(harvest.gpa[3], 40 * PAGE + 8);
	teardown();
}

/* Between a zone's coming and the end of the commit guests write there. */
static unsigned int until_last;

static void write_before_last(void)
{
	if (--until_last)
		return;
	CU_ASSERT_NOT_EQUAL(kvm_fake_mmio(&fake, 4 * PAGE + 8, 8, 1),
			    kvm_fake_mmio(&fake, 8 * PAGE + 8, 8, 2));
}

static void test_writes_to_a_zone_that_has_just_come_are_its_own(void)
{
	static struct harvest harvest;

	setup();
	harvest.most = 0;
	map_alone(window(4, 2, 0));
	map_alone(window(8, 2, 1));
	zone_at(4 * PAGE, 64, 0);
	zone_at(8 * PAGE, 64, 1);
	begin();
	unmap(window(4, 2, 0));
	unmap(window(8, 2, 1));
	map(window(8, 2, 0));
	map(window(4, 2, 1));
	until_last = 4;
	fake.on_change = write_before_last;
	CU_ASSERT_EQUAL(commit(), 0);
	fake.on_change = NULL;
	CU_ASSERT_EQUAL(until_last, 0);
	CU_ASSERT_EQUAL(harvest_into(&harvest), 0);
	CU_ASSERT_EQUAL(harvest.count, 1);
	CU_ASSERT_EQUAL(harvest.gpa[0], (harvest.value[0] == 1 ? 4 : 8) *
			PAGE + 8);
	teardown();
}

/* The embedder may have zones of ports on the same ring. */
static void test_writes_to_ports_are_no_window_s(void)
{
	struct kvm_coalesced_mmio_ring *ring = (void *)(fake.run + FAKE_PAGE);
	static struct harvest harvest;

	setup();
	harvest.most = 0;
	map_alone(window(4, 1, 0));
	zone_at(4 * PAGE, 64, 0);
	kvm_fake_mmio(&fake, 4 * PAGE, 1, 1);
	kvm_fake_mmio(&fake, 4 * PAGE, 1, 2);
	ring->coalesced_mmio[0].pio = 1;
	CU_ASSERT_EQUAL(harvest_into(&harvest), 0);
	CU_ASSERT_EQUAL(harvest.count, 1);
	CU_ASSERT_EQUAL(harvest.value[0], 2);
	teardown();
}

static int next_fd(void)
{
	int next = dup(fd);

	close(next);
	return next;
}

static void test_descriptors_go_with_their_hooks(void)
{
	struct gpmm_kvm_hook *hook;
	int next;

	setup();
	next = next_fd();
	hook = event_at(4 * PAGE, 0);
	CU_ASSERT_NOT_EQUAL(next_fd(), next);
	CU_ASSERT_EQUAL(fcntl(hook->event.fd, F_GETFD), FD_CLOEXEC);
	CU_ASSERT_EQUAL(gpmm_kvm_detach(hook), 0);
	CU_ASSERT_EQUAL(next_fd(), next);
	event_at(4 * PAGE, 0);
	gpmm_kvm_destroy(be);
	CU_ASSERT_EQUAL(next_fd(), next);
	close(fd);
}

static int harvest_again(void *arg, const struct gpmm_kvm_access *access)
{
	(void)access;
	CU_ASSERT_EQUAL(harvest_into(arg), -EDEADLK);
	unmap_alone(window(4, 1, 0));
	return 0;
}

static void test_a_callback_may_change_the_map_but_not_harvest(void)
{
	static struct harvest harvest;

	setup();
	map_alone(window(4, 1, 0));
	zone_at(4 * PAGE, 64, 0);
	kvm_fake_mmio(&fake, 4 * PAGE, 8, 7);
	CU_ASSERT_EQUAL(gpmm_kvm_harvest_coalesced(be, harvest_again,
						   &harvest), 0);
	CU_ASSERT_EQUAL(fake.nr_events, 0);
	teardown();
}

/* ----------------------------------------------------------- the model --- */

#define PAGES 32
#define FIRST 1000		/* page */
#define HOOKS 9

/* Who owns each page from FIRST on: -1 nobody. */
static int model[PAGES];
static struct {
	struct gpmm_kvm_hook *hook;
	int who;
	uint64_t gpa;
	uint64_t size;
	bool zone;
} model_hooks[HOOKS];
static bool model_known[3];
static uint64_t model_lowest[3];
static bool model_lifted[3];
static uint64_t seed;

static uint64_t any(uint64_t below)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (seed >> 33) % below;
}

static void model_attach(int i)
{
	const bool zone = i % 3 == 0;
	const uint64_t gpa = (FIRST + any(PAGES)) * PAGE + 16 * i;
	const uint64_t size = zone ? 2 * PAGE - 64 : 4;

	model_hooks[i].who = i / 3;
	model_hooks[i].gpa = gpa;
	model_hooks[i].size = size;
	model_hooks[i].zone = zone;
	model_hooks[i].hook = zone ? zone_at(gpa, size, i / 3) :
				     event_at(gpa, i / 3);
}

/* They drift away from windows that are cut before they are moved. */
static void model_attach_anew(int i)
{
	CU_ASSERT_EQUAL_FATAL(gpmm_kvm_detach(model_hooks[i].hook), 0);
	model_attach(i);
}

static void model_init(void)
{
	setup();
	memset(model_known, 0, sizeof(model_known));
	memset(model_lowest, 0, sizeof(model_lowest));
	for (int i = 0; i < PAGES; i++)
		model[i] = -1;
	for (int i = 0; i < HOOKS; i++)
		model_attach(i);
}

/* The lowest page of an owner, or -1. */
static int lowest(int who)
{
	for (int i = 0; i < PAGES; i++)
		if (model[i] == who)
			return i;
	return -1;
}

static void model_begin(void)
{
	for (int i = 0; i < 3; i++)
		model_lifted[i] = lowest(i) < 0;
}

static void model_set(int page, int count, int who)
{
	int old = model[page];

	for (int i = page; i < page + count; i++)
		model[i] = who;
	if (old >= 0 && lowest(old) < 0)
		model_lifted[old] = true;
}

/* Owners that were lifted have moved, and their hooks with them. */
static void model_commit(void)
{
	for (int who = 0; who < 3; who++) {
		int page = lowest(who);
		uint64_t by = (FIRST + page) * PAGE - model_lowest[who];

		if (page < 0)
			continue;
		model_lowest[who] = (FIRST + page) * PAGE;
		if (model_lifted[who] && model_known[who])
			for (int i = 0; i < HOOKS; i++)
				if (model_hooks[i].who == who)
					model_hooks[i].gpa += by;
		model_known[who] = true;
	}
}

static int page_owner(uint64_t gpa)
{
	return gpa / PAGE - FIRST < PAGES ? model[gpa / PAGE - FIRST] : -1;
}

/* How many posts hook @i must have, all of which are there; or -1. */
static int posts_of(int i)
{
	uint64_t gpa = model_hooks[i].gpa;
	uint64_t end = gpa + model_hooks[i].size;
	int posts = 0;

	while (gpa < end) {
		uint64_t from = gpa;

		while (gpa < end && page_owner(gpa) == model_hooks[i].who)
			gpa = (gpa / PAGE + 1) * PAGE < end ?
			      (gpa / PAGE + 1) * PAGE : end;
		if (gpa == from) {
			gpa = (gpa / PAGE + 1) * PAGE;
			continue;
		}
		if (!model_hooks[i].zone && gpa - from < model_hooks[i].size)
			continue;
		if (model_hooks[i].zone ? !has_zone(from, gpa - from) :
					  !has_event(from))
			return -1;
		posts++;
	}
	return posts;
}

static bool agrees(void)
{
	unsigned int count = 0;

	for (int i = 0; i < HOOKS; i++) {
		int posts = posts_of(i);

		if (posts < 0)
			return false;
		count += posts;
	}
	return count == fake.nr_events;
}

/* Map a hole, or unmap a part of what one owner has; 0 or the error. */
static int random_op(void)
{
	int page = any(PAGES), who = model[page], count = 1;
	int most = 1 + any(8);
	struct gpmm_area area;
	int ret;

	while (count < most && page + count < PAGES &&
	       model[page + count] == who)
		count++;
	if (who < 0) {
		area = window(FIRST + page, count, any(3));
		ret = be->ops->map(be, &area);
		if (!ret)
			model_set(page, count, (char *)area.owner - owners);
	} else {
		area = window(FIRST + page, count, who);
		ret = be->ops->unmap(be, &area);
		if (!ret)
			model_set(page, count, -1);
	}
	return ret;
}

/* All of an owner's areas go, and come back elsewhere where there is room. */
static int random_move(void)
{
	int who = any(3);
	int by = (int)any(7) - 3;
	int old[PAGES];
	int ret = 0;

	memcpy(old, model, sizeof(old));
	for (int i = 0; i < PAGES && !ret; i++)
		if (old[i] == who) {
			struct gpmm_area area = window(FIRST + i, 1, who);

			ret = be->ops->unmap(be, &area);
			model_set(i, 1, -1);
		}
	for (int i = PAGES; i-- && !ret;)
		if (old[i] == who && i + by >= 0 && i + by < PAGES &&
		    model[i + by] < 0) {
			struct gpmm_area area = window(FIRST + i + by, 1,
						       who);

			ret = be->ops->map(be, &area);
			model_set(i + by, 1, who);
		}
	return ret;
}

/* Slots change in it, too, so that either may fail after the other. */
static int random_transaction(bool slots)
{
	struct gpmm_area area = ram(any(8), 1 + any(4));
	uint64_t count = 1 + any(5);
	int ret = be->ops->begin(be);

	if (ret)
		return ret;
	model_begin();
	while (count-- && !ret)
		ret = any(4) ? random_op() : random_move();
	if (!ret && slots) {
		ret = be->ops->map(be, &area);
		if (ret == -EEXIST)
			ret = be->ops->unmap(be, &area);
	}
	if (ret) {
		be->ops->abort(be);
		return ret;
	}
	ret = commit();
	if (!ret)
		model_commit();
	return ret;
}

static void test_random_changes_agree_with_the_model(void)
{
	unsigned int most = 0;

	seed = 1;
	model_init();
	for (int i = 0; i < 10000; i++) {
		model_attach_anew(any(HOOKS));
		CU_ASSERT_EQUAL_FATAL(random_transaction(false), 0);
		most = fake.nr_events > most ? fake.nr_events : most;
		CU_ASSERT_FATAL(agrees());
	}
	CU_ASSERT(most > HOOKS / 2);
	teardown();
}

/* --------------------------------------------------------------- sweeps --- */

static struct {
	int model[PAGES];
	struct kvm_fake_event events[FAKE_EVENTS];
	unsigned int nr_events;
	struct kvm_region slots[FAKE_SLOTS];
} before;

static void snapshot(void)
{
	memcpy(before.model, model, sizeof(model));
	memcpy(before.events, fake.events, sizeof(before.events));
	before.nr_events = fake.nr_events;
	memcpy(before.slots, fake.slots, sizeof(before.slots));
}

/* What is in the VM is as it was, if in another order. */
static bool as_before(void)
{
	memcpy(model, before.model, sizeof(model));
	if (memcmp(before.slots, fake.slots, sizeof(before.slots)) ||
	    before.nr_events != fake.nr_events)
		return false;
	for (unsigned int i = 0; i < before.nr_events; i++)
		if (before.events[i].fd >= 0 ?
		    !has_event(before.events[i].addr) :
		    !has_zone(before.events[i].addr, before.events[i].len))
			return false;
	return agrees();
}

static void arm_ioctl(long left)
{
	fake.left = left;
	fake.error = -ENOSPC;
}

static void arm_allocation(long left)
{
	gpmm__alloc_left = left;
}

static unsigned long sweep_one(void (*arm)(long left), int error)
{
	uint64_t start = seed;
	long n = 0;
	int ret;

	for (;; n++) {
		seed = start;
		snapshot();
		arm(n);
		ret = random_transaction(true);
		arm(-1);
		if (!ret)
			break;
		CU_ASSERT_EQUAL_FATAL(ret, error);
		CU_ASSERT_FATAL(as_before());
	}
	CU_ASSERT_FATAL(agrees());
	return n;
}

static void sweep(void (*arm)(long left), int error, int transactions,
		  unsigned long least)
{
	unsigned long failures = 0;

	seed = 2;
	model_init();
	for (int i = 0; i < transactions; i++) {
		model_attach_anew(any(HOOKS));
		failures += sweep_one(arm, error);
	}
	CU_ASSERT(failures > least);
	teardown();
}

static void test_any_ioctl_may_fail_and_nothing_has_changed(void)
{
	sweep(arm_ioctl, -ENOSPC, 2000, 4000);
}

static void test_any_allocation_may_fail_and_nothing_has_changed(void)
{
	sweep(arm_allocation, -ENOMEM, 1000, 300);
}

/* The Nth ioctl and all after it, undos too; then the kernel recovers. */
static void test_what_cannot_be_undone_is_refused_then_repaired(void)
{
	unsigned long lost = 0, refused = 0;

	seed = 3;
	model_init();
	for (int i = 0; i < 3000; i++) {
		int ret;

		model_attach_anew(any(HOOKS));
		snapshot();
		fake.left = any(8);
		fake.stay = true;
		ret = random_transaction(false);
		lost += ret == -EIO;
		/* Still failing: only what needs no ioctl goes through. */
		if (ret) {
			memcpy(model, before.model, sizeof(model));
			ret = random_transaction(false);
			refused += ret == -EIO;
		}
		fake.left = -1;
		begin();
		CU_ASSERT_EQUAL_FATAL(commit(), 0);
		CU_ASSERT_EQUAL(to_kvm(be)->hooks.lost, 0);
		if (ret) {
			CU_ASSERT_FATAL(as_before());
		} else {
			CU_ASSERT_FATAL(agrees());
		}
	}
	CU_ASSERT(lost > 100);
	CU_ASSERT(refused > 20);
	teardown();
}

/* The slot is refused, and then the hook that went before it. */
static void test_a_hook_may_be_lost_for_a_slot(void)
{
	setup();
	map_alone(window(4, 2, 0));
	event_at(4 * PAGE, 0);
	fake.left = 1;
	fake.stay = true;
	begin();
	unmap(window(4, 2, 0));
	map(ram(10, 2));
	CU_ASSERT_EQUAL(commit(), -EIO);
	CU_ASSERT_EQUAL(fake.nr_events, 0);
	fake.left = -1;
	map_alone(ram(10, 2));
	CU_ASSERT(has_event(4 * PAGE));
	teardown();
}

static void test_elsewhere_works_while_a_hook_is_lost(void)
{
	struct gpmm_kvm_event byte = {
		.owner = &owners[0], .gpa = 4 * PAGE,
	};
	struct gpmm_kvm_hook *hook;

	setup();
	byte.fd = fd;
	map_alone(window(4, 2, 0));
	map_alone(window(8, 2, 1));
	event_at(4 * PAGE + 16, 0);
	CU_ASSERT_EQUAL(gpmm_kvm_attach_event(be, &byte, &hook), 0);
	event_at(8 * PAGE, 1);
	fake.left = 1;
	fake.stay = true;
	begin();
	unmap(window(4, 2, 0));
	CU_ASSERT_EQUAL(commit(), -EIO);
	/* It tries to repair, and may not. */
	begin();
	CU_ASSERT_EQUAL(be->ops->unmap(be, &(struct gpmm_area){
			.start = 4 * PAGE, .size = 2 * PAGE,
			.owner = &owners[0] }), -EIO);
	be->ops->abort(be);
	fake.stay = false;
	fake.left = 0;
	unmap_alone(window(8, 2, 1));
	CU_ASSERT_FALSE(has_event(8 * PAGE));
	fake.left = -1;
	CU_ASSERT_EQUAL(gpmm_kvm_detach(hook), 0);
	unmap_alone(window(4, 2, 0));
	CU_ASSERT_EQUAL(fake.nr_events, 0);
	teardown();
}

/* A zone in two posts: each ioctl fails, and then its undo as well. */
static void test_attach_and_detach_fail_whole(void)
{
	struct gpmm_kvm_hook *hook;

	setup();
	map_alone(window(4, 1, 0));
	map_alone(window(6, 1, 0));
	for (int n = 0; n < 2; n++) {
		fake.left = n;
		CU_ASSERT_EQUAL(try_zone(&owners[0], 4 * PAGE, 3 * PAGE),
				-ENOMEM);
		CU_ASSERT_EQUAL(fake.nr_events, 0);
	}
	CU_ASSERT_EQUAL(try_zone(&owners[0], 4 * PAGE, 3 * PAGE), 0);
	CU_ASSERT_EQUAL(fake.nr_events, 2);
	teardown();
	setup();
	map_alone(window(4, 1, 0));
	map_alone(window(6, 1, 0));
	hook = zone_at(4 * PAGE, 3 * PAGE, 0);
	fake.left = 1;
	CU_ASSERT_EQUAL(gpmm_kvm_detach(hook), -ENOMEM);
	CU_ASSERT(has_zone(4 * PAGE, PAGE) && has_zone(6 * PAGE, PAGE));
	fake.left = 1;
	fake.stay = true;
	CU_ASSERT_EQUAL(gpmm_kvm_detach(hook), -EIO);
	CU_ASSERT_EQUAL(gpmm_kvm_detach(hook), -EIO);
	fake.left = -1;
	CU_ASSERT_EQUAL(gpmm_kvm_detach(hook), 0);
	CU_ASSERT_EQUAL(fake.nr_events, 0);
	teardown();
}

/* A zone in two posts of which one cannot come, nor then the other go. */
static void leave_behind(void)
{
	map_alone(window(4, 1, 0));
	map_alone(window(6, 1, 0));
	fake.left = 1;
	fake.stay = true;
	CU_ASSERT_EQUAL(try_zone(&owners[0], 4 * PAGE, 3 * PAGE), -EIO);
	CU_ASSERT_EQUAL(fake.nr_events, 1);
	CU_ASSERT(has_zone(6 * PAGE, PAGE));
	fake.left = 0;
	fake.stay = false;
}

/* An attach whose undo fails leaves a post that a transaction removes. */
static void test_what_an_attach_left_behind_is_repaired(void)
{
	setup();
	leave_behind();
	/* Nobody's hook comes back where its owner's windows do. */
	map_alone(window(9, 1, 0));
	CU_ASSERT_EQUAL(fake.nr_events, 1);
	unmap_alone(window(4, 1, 0));
	CU_ASSERT_EQUAL(fake.nr_events, 0);
	CU_ASSERT_PTR_NULL(to_kvm(be)->hooks.windows.owners);
	teardown();
}

static unsigned long doomed;	/* changes that fail, bit n: the nth next */

static void fail_the_doomed(void)
{
	if (doomed & 1)
		fake.left = 0;
	doomed >>= 1;
}

/* A zone is not put back beside a part of it that could not be removed. */
static void test_a_zone_whose_part_is_lost_comes_back_whole(void)
{
	setup();
	map_alone(window(4, 8, 0));
	zone_at(5 * PAGE, 4 * PAGE, 0);
	fake.on_change = fail_the_doomed;
	/* It goes, a part comes, the other does not; that part stays, */
	doomed = 0xc;
	begin();
	unmap(window(6, 1, 0));
	CU_ASSERT_EQUAL(commit(), -EIO);
	/* and stays, */
	doomed = 0x1;
	map_alone(window(20, 1, 1));
	CU_ASSERT_EQUAL(fake.nr_events, 1);
	/* and goes. */
	map_alone(window(21, 1, 1));
	CU_ASSERT_EQUAL(fake.nr_events, 1);
	CU_ASSERT(has_zone(5 * PAGE, 4 * PAGE));
	CU_ASSERT_EQUAL(to_kvm(be)->hooks.lost, 0);
	unmap_alone(window(4, 8, 0));
	CU_ASSERT_EQUAL(fake.nr_events, 0);
	teardown();
}

/* To remove what was left removes what is there again in its place, too. */
static void test_what_an_attach_left_behind_does_not_take_the_next_along(void)
{
	setup();
	leave_behind();
	/* As long as it cannot be removed nothing comes there, */
	CU_ASSERT_EQUAL(try_zone(&owners[0], 4 * PAGE, 3 * PAGE), -EIO);
	CU_ASSERT_EQUAL(fake.nr_events, 1);
	/* but elsewhere, */
	fake.left = 0;
	CU_ASSERT_EQUAL(try_zone(&owners[0], 4 * PAGE, PAGE / 2), 0);
	/* and then it does. */
	CU_ASSERT_EQUAL(try_zone(&owners[0], 5 * PAGE, 2 * PAGE), 0);
	map_alone(window(9, 1, 1));
	CU_ASSERT_EQUAL(fake.nr_events, 2);
	CU_ASSERT(has_zone(4 * PAGE, PAGE / 2));
	CU_ASSERT(has_zone(6 * PAGE, PAGE));
	teardown();
}

SUITE("kvm hooks",
	TEST(test_a_hook_is_there_as_long_as_its_window_is),
	TEST(test_a_hook_on_a_mapped_window_is_there_at_once),
	TEST(test_hooks_move_with_their_window),
	TEST(test_a_window_that_is_out_lies_where_it_was),
	TEST(test_hooks_stay_while_their_window_is_cut),
	TEST(test_a_zone_is_where_it_is_covered_an_event_if_it_is_whole),
	TEST(test_windows_may_change_places),
	TEST(test_a_window_may_change_its_owner),
	TEST(test_what_ends_as_it_was_makes_no_ioctl),
	TEST(test_malformed_hooks_are_refused),
	TEST(test_events_tell_widths_and_values_apart),
	TEST(test_what_the_host_lacks_is_refused),
	TEST(test_kept_writes_are_harvested_in_order),
	TEST(test_a_refused_harvest_keeps_the_rest),
	TEST(test_a_harvest_without_memory_takes_nothing),
	TEST(test_kept_writes_follow_their_window),
	TEST(test_writes_to_a_zone_that_has_just_come_are_its_own),
	TEST(test_writes_to_ports_are_no_window_s),
	TEST(test_descriptors_go_with_their_hooks),
	TEST(test_a_callback_may_change_the_map_but_not_harvest),
	TEST(test_random_changes_agree_with_the_model),
	TEST(test_any_ioctl_may_fail_and_nothing_has_changed),
	TEST(test_any_allocation_may_fail_and_nothing_has_changed),
	TEST(test_what_cannot_be_undone_is_refused_then_repaired),
	TEST(test_a_hook_may_be_lost_for_a_slot),
	TEST(test_elsewhere_works_while_a_hook_is_lost),
	TEST(test_attach_and_detach_fail_whole),
	TEST(test_what_an_attach_left_behind_is_repaired),
	TEST(test_a_zone_whose_part_is_lost_comes_back_whole),
	TEST(test_what_an_attach_left_behind_does_not_take_the_next_along))
