/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The KVM backend over a fake kernel: which ioctls a transaction makes, and
 * that one which fails has changed nothing. Runs on the double, where
 * allocations can fail too.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helpers/kvm_fake.h"
#include "helpers/kvm_suite.h"
#include "kvm/kvm_backend.h"
#include "util/alloc.h"

#define PAGE UINT64_C(4096)
#define HVA UINT64_C(0x100000000)

static struct kvm_fake fake;
static struct gpmm_backend *be;

static void setup_with(const struct gpmm_kvm_options *options)
{
	struct kvm_sys sys = kvm_fake_sys(&fake);

	CU_ASSERT_EQUAL_FATAL(gpmm__kvm_create_on(&sys, options, &be), 0);
}

static void setup(void)
{
	kvm_fake_init(&fake);
	setup_with(NULL);
}

static void teardown(void)
{
	gpmm_kvm_destroy(be);
}

/* An area of @count pages at @page whose memory is that of page @host. */
static struct gpmm_area at(uint64_t page, uint64_t count, uint64_t host,
			   uint32_t flags)
{
	return (struct gpmm_area){
		.start = page * PAGE,
		.size = count * PAGE,
		.flags = flags,
		.hva = (void *)(uintptr_t)(HVA + host * PAGE),
	};
}

static void begin(void)
{
	CU_ASSERT_EQUAL_FATAL(be->ops->begin(be), 0);
}

static int commit(void)
{
	return be->ops->commit(be);
}

static int map(struct gpmm_area area)
{
	return be->ops->map(be, &area);
}

static int unmap(struct gpmm_area area)
{
	return be->ops->unmap(be, &area);
}

static int protect(struct gpmm_area area, uint32_t flags)
{
	return be->ops->protect(be, &area, flags);
}

static int map_alone(struct gpmm_area area)
{
	int ret;

	begin();
	ret = map(area);
	if (!ret)
		return commit();
	be->ops->abort(be);
	return ret;
}

/* Commit; return how many ioctls that made. */
static unsigned long cost(void)
{
	unsigned long before = fake.changes;

	CU_ASSERT_EQUAL(commit(), 0);
	return fake.changes - before;
}

static bool slot_is(uint64_t page, uint64_t count, uint64_t host,
		    uint32_t flags)
{
	int id = kvm_fake_find(&fake, page * PAGE);
	const struct kvm_region *slot = &fake.slots[id < 0 ? 0 : id];

	return id >= 0 && slot->gpa == page * PAGE &&
	       slot->size == count * PAGE && slot->hva == HVA + host * PAGE &&
	       slot->flags == flags;
}

/* --------------------------------------------------------- one by one --- */

static void test_map_makes_one_slot(void)
{
	setup();
	begin();
	CU_ASSERT_EQUAL(map(at(1, 4, 0, GPMM_RWX)), 0);
	CU_ASSERT_EQUAL(fake.changes, 0);
	CU_ASSERT_EQUAL(cost(), 1);
	CU_ASSERT(slot_is(1, 4, 0, 0));
	CU_ASSERT_EQUAL(kvm_fake_find(&fake, PAGE), 0);
	teardown();
}

static void test_flags_become_slot_flags(void)
{
	setup();
	begin();
	map(at(0, 1, 0, GPMM_READ));
	map(at(1, 1, 5, GPMM_RW | GPMM_LOG_DIRTY));
	map(at(2, 1, 9, GPMM_READ | GPMM_LOG_DIRTY));
	CU_ASSERT_EQUAL(cost(), 3);
	CU_ASSERT(slot_is(0, 1, 0, KVM_MEM_READONLY));
	CU_ASSERT(slot_is(1, 1, 5, KVM_MEM_LOG_DIRTY_PAGES));
	CU_ASSERT(slot_is(2, 1, 9, KVM_MEM_READONLY));
	teardown();
}

static void test_windows_and_inaccessible_areas_have_no_slot(void)
{
	struct gpmm_area window = { .start = 0, .size = PAGE };

	setup();
	begin();
	CU_ASSERT_EQUAL(map(window), 0);
	CU_ASSERT_EQUAL(map(at(1, 1, 0, 0)), 0);
	CU_ASSERT_EQUAL(cost(), 0);
	begin();
	CU_ASSERT_EQUAL(protect(at(1, 1, 0, 0), GPMM_RW), 0);
	CU_ASSERT_EQUAL(protect(window, GPMM_RW), 0);
	CU_ASSERT_EQUAL(cost(), 1);
	CU_ASSERT(slot_is(1, 1, 0, 0));
	begin();
	CU_ASSERT_EQUAL(protect(at(1, 1, 0, GPMM_RW), 0), 0);
	CU_ASSERT_EQUAL(unmap(window), 0);
	CU_ASSERT_EQUAL(cost(), 1);
	CU_ASSERT_EQUAL(kvm_fake_count(&fake), 0);
	teardown();
}

static void test_misaligned_areas_are_refused(void)
{
	struct gpmm_area area = at(1, 1, 0, GPMM_RW);

	setup();
	begin();
	area.hva = (char *)area.hva + 8;
	CU_ASSERT_EQUAL(map(area), -EINVAL);
	area = at(1, 1, 0, GPMM_RW);
	area.size = 100;
	CU_ASSERT_EQUAL(map(area), -EINVAL);
	area.size = 0;
	CU_ASSERT_EQUAL(map(area), -EINVAL);
	CU_ASSERT_EQUAL(cost(), 0);
	teardown();
}

static void test_areas_that_run_on_share_a_slot(void)
{
	setup();
	begin();
	map(at(0, 2, 0, GPMM_RW));
	map(at(2, 2, 2, GPMM_RW));
	CU_ASSERT_EQUAL(cost(), 1);
	CU_ASSERT_EQUAL(map_alone(at(4, 2, 4, GPMM_RW)), 0);
	CU_ASSERT(slot_is(0, 6, 0, 0));
	CU_ASSERT_EQUAL(kvm_fake_count(&fake), 1);
	/* Host addresses that do not run on, and other flags, stay apart. */
	CU_ASSERT_EQUAL(map_alone(at(6, 1, 7, GPMM_RW)), 0);
	CU_ASSERT_EQUAL(map_alone(at(7, 1, 8, GPMM_READ)), 0);
	CU_ASSERT_EQUAL(kvm_fake_count(&fake), 3);
	teardown();
}

/* At the lowest page there is, and at the highest. */
static void test_areas_at_the_ends_share_a_slot_too(void)
{
	const uint64_t top = (UINT64_C(1) << 52) - 2;

	setup();
	CU_ASSERT_EQUAL(map_alone(at(0, 1, 0, GPMM_RW)), 0);
	CU_ASSERT_EQUAL(map_alone(at(1, 1, 1, GPMM_RW)), 0);
	CU_ASSERT(slot_is(0, 2, 0, 0));
	CU_ASSERT_EQUAL(map_alone(at(top + 1, 1, 9, GPMM_RW)), 0);
	CU_ASSERT_EQUAL(map_alone(at(top, 1, 8, GPMM_RW)), 0);
	CU_ASSERT(slot_is(top, 2, 8, 0));
	teardown();
}

static void test_nomerge_areas_keep_slots_of_their_own(void)
{
	setup();
	begin();
	map(at(0, 2, 0, GPMM_RW));
	map(at(2, 2, 2, GPMM_RW | GPMM_NOMERGE));
	map(at(4, 2, 4, GPMM_RW));
	CU_ASSERT_EQUAL(cost(), 3);
	CU_ASSERT(slot_is(2, 2, 2, 0));
	teardown();
}

static void test_nomerge_lasts_beyond_the_first_operation(void)
{
	setup();
	begin();
	map(at(0, 2, 0, GPMM_RW | GPMM_NOMERGE));
	map(at(2, 2, 2, GPMM_RW));
	CU_ASSERT_EQUAL(cost(), 2);
	CU_ASSERT(slot_is(0, 2, 0, 0) && slot_is(2, 2, 2, 0));
	begin();
	unmap(at(2, 2, 2, GPMM_RW));
	map(at(4, 2, 2, GPMM_RW | GPMM_NOMERGE));
	CU_ASSERT_EQUAL(cost(), 1);
	CU_ASSERT_EQUAL(map_alone(at(6, 2, 4, GPMM_RW)), 0);
	CU_ASSERT(slot_is(4, 2, 2, 0) && slot_is(6, 2, 4, 0));
	teardown();
}

/* Told later it is the same: a slot that was alone stays as it is. */
static void test_protect_may_say_nomerge(void)
{
	setup();
	map_alone(at(0, 4, 0, GPMM_RW));
	begin();
	protect(at(0, 4, 0, GPMM_RW), GPMM_RW | GPMM_NOMERGE);
	CU_ASSERT_EQUAL(cost(), 0);
	map_alone(at(4, 4, 4, GPMM_RW));
	CU_ASSERT(slot_is(0, 4, 0, 0) && slot_is(4, 4, 4, 0));
	begin();
	protect(at(0, 4, 0, GPMM_RW | GPMM_NOMERGE), GPMM_RW);
	CU_ASSERT_EQUAL(commit(), 0);
	CU_ASSERT(slot_is(0, 8, 0, 0));
	begin();
	protect(at(2, 2, 2, GPMM_RW), GPMM_RW | GPMM_NOMERGE);
	CU_ASSERT_EQUAL(commit(), 0);
	CU_ASSERT_EQUAL(kvm_fake_count(&fake), 3);
	teardown();
}

static void test_map_and_unmap_in_one_transaction_make_no_ioctl(void)
{
	setup();
	begin();
	map(at(3, 5, 0, GPMM_RW));
	unmap(at(3, 5, 0, GPMM_RW));
	CU_ASSERT_EQUAL(cost(), 0);
	map_alone(at(3, 5, 0, GPMM_RW));
	begin();
	unmap(at(4, 2, 1, GPMM_RW));
	map(at(4, 2, 1, GPMM_RW));
	protect(at(3, 1, 0, GPMM_RW), GPMM_READ);
	protect(at(3, 1, 0, GPMM_READ), GPMM_RW);
	CU_ASSERT_EQUAL(cost(), 0);
	CU_ASSERT(slot_is(3, 5, 0, 0));
	teardown();
}

static void test_split_deletes_and_makes_both_halves_anew(void)
{
	setup();
	map_alone(at(0, 10, 0, GPMM_RW));
	begin();
	unmap(at(4, 2, 4, GPMM_RW));
	CU_ASSERT_EQUAL(cost(), 3);
	CU_ASSERT(slot_is(0, 4, 0, 0));
	CU_ASSERT(slot_is(6, 4, 6, 0));
	CU_ASSERT_EQUAL(kvm_fake_find(&fake, 4 * PAGE), -1);
	begin();
	unmap(at(0, 1, 0, GPMM_RW));
	CU_ASSERT_EQUAL(cost(), 2);
	CU_ASSERT(slot_is(1, 3, 1, 0));
	teardown();
}

static void test_protect_splits_in_three_and_back(void)
{
	setup();
	map_alone(at(0, 10, 0, GPMM_RW));
	begin();
	protect(at(4, 2, 4, GPMM_RW), GPMM_READ);
	CU_ASSERT_EQUAL(cost(), 4);
	CU_ASSERT(slot_is(4, 2, 4, KVM_MEM_READONLY));
	begin();
	protect(at(4, 2, 4, GPMM_READ), GPMM_RW);
	CU_ASSERT_EQUAL(cost(), 4);
	CU_ASSERT(slot_is(0, 10, 0, 0));
	teardown();
}

static void test_flags_that_slots_do_not_know_cost_nothing(void)
{
	setup();
	map_alone(at(0, 10, 0, GPMM_RW));
	begin();
	protect(at(4, 2, 4, GPMM_RW), GPMM_RWX | 1u << 20);
	CU_ASSERT_EQUAL(cost(), 0);
	teardown();
}

static void test_dirty_log_is_switched_in_place(void)
{
	setup();
	map_alone(at(0, 10, 0, GPMM_RW));
	begin();
	protect(at(0, 10, 0, GPMM_RW), GPMM_RW | GPMM_LOG_DIRTY);
	CU_ASSERT_EQUAL(cost(), 1);
	CU_ASSERT(slot_is(0, 10, 0, KVM_MEM_LOG_DIRTY_PAGES));
	begin();
	protect(at(0, 10, 0, GPMM_RW | GPMM_LOG_DIRTY), GPMM_RW);
	CU_ASSERT_EQUAL(cost(), 1);
	CU_ASSERT(slot_is(0, 10, 0, 0));
	teardown();
}

static void test_memory_that_moves_keeps_its_slot(void)
{
	setup();
	map_alone(at(0, 4, 0, GPMM_RW));
	map_alone(at(30, 4, 50, GPMM_RW));
	begin();
	unmap(at(30, 4, 50, GPMM_RW));
	map(at(10, 4, 50, GPMM_RW | GPMM_LOG_DIRTY));
	CU_ASSERT_EQUAL(cost(), 1);
	CU_ASSERT(slot_is(10, 4, 50, KVM_MEM_LOG_DIRTY_PAGES));
	CU_ASSERT_EQUAL(kvm_fake_find(&fake, 10 * PAGE), 1);
	teardown();
}

/* Whatever the map's blocks are like where it goes. */
static void test_a_slot_may_move_among_many(void)
{
	setup();
	for (int i = 0; i < 3 * SLOT_BLOCK; i++)
		CU_ASSERT_EQUAL(map_alone(at(10 * i, 2, 10 * i, GPMM_RW)), 0);
	for (int i = 0; i < 3 * SLOT_BLOCK; i++) {
		begin();
		unmap(at(10 * i, 2, 10 * i, GPMM_RW));
		map(at(5, 2, 10 * i, GPMM_RW));
		CU_ASSERT_EQUAL(cost(), 1);
		CU_ASSERT(slot_is(5, 2, 10 * i, 0));
		begin();
		unmap(at(5, 2, 10 * i, GPMM_RW));
		map(at(10 * i, 2, 10 * i, GPMM_RW));
		CU_ASSERT_EQUAL(cost(), 1);
		CU_ASSERT(slot_is(10 * i, 2, 10 * i, 0));
	}
	teardown();
}

static void test_memory_that_moves_to_be_read_only_has_a_new_slot(void)
{
	setup();
	map_alone(at(0, 4, 0, GPMM_RW));
	begin();
	unmap(at(0, 4, 0, GPMM_RW));
	map(at(10, 4, 0, GPMM_READ));
	CU_ASSERT_EQUAL(cost(), 2);
	CU_ASSERT(slot_is(10, 4, 0, KVM_MEM_READONLY));
	CU_ASSERT_EQUAL(kvm_fake_count(&fake), 1);
	teardown();
}

/* They are unmapped each @told, modulo 8, after the one before. */
static void move_a_chain(bool down, int told)
{
	setup();
	for (int i = 0; i < 8; i++)
		map_alone(at(10 + i, 1, 100 - 10 * i, GPMM_RW));
	begin();
	for (int n = 0, i = 0; n < 8; n++, i = (i + told) % 8)
		unmap(at(10 + i, 1, 100 - 10 * i, GPMM_RW));
	for (int i = 0; i < 8; i++)
		map(at((down ? 9 : 11) + i, 1, 100 - 10 * i, GPMM_RW));
	CU_ASSERT_EQUAL(cost(), 8);
	for (int i = 0; i < 8; i++)
		CU_ASSERT(slot_is((down ? 9 : 11) + i, 1, 100 - 10 * i, 0));
	teardown();
}

/* Each moves to where its neighbour was, in either direction. */
static void test_chains_of_moves_cost_one_ioctl_each(void)
{
	for (int told = 1; told < 8; told += 2) {
		move_a_chain(false, told);
		move_a_chain(true, told);
	}
}

static void test_slots_that_trade_places_break_the_ring(void)
{
	setup();
	map_alone(at(0, 4, 0, GPMM_RW));
	map_alone(at(10, 4, 50, GPMM_RW));
	begin();
	unmap(at(0, 4, 0, GPMM_RW));
	unmap(at(10, 4, 50, GPMM_RW));
	map(at(10, 4, 0, GPMM_RW));
	map(at(0, 4, 50, GPMM_RW));
	CU_ASSERT_EQUAL(cost(), 3);
	CU_ASSERT(slot_is(10, 4, 0, 0));
	CU_ASSERT(slot_is(0, 4, 50, 0));
	teardown();
}

#define TRADERS 40

static uint64_t any(uint64_t below);

/* Each goes to the place of another: how many rings does that make? */
static unsigned long trade(int *to)
{
	bool seen[TRADERS] = { false };
	unsigned long rings = 0;

	for (int i = 0; i < TRADERS; i++)
		to[i] = i;
	for (int i = TRADERS - 1; i > 0; i--) {
		int j = any(i + 1);
		int moved = to[i];

		to[i] = to[j];
		to[j] = moved;
	}
	for (int i = 0; i < TRADERS; i++) {
		rings += !seen[i] && to[i] != i;
		for (int j = i; !seen[j]; j = to[j])
			seen[j] = true;
	}
	return rings;
}

static struct gpmm_area trader(int place, int host)
{
	return at(2 * place, 1, 2 * host, GPMM_RW);
}

/* One ioctl for each that moves, and one more for each ring of them. */
static void test_each_ring_costs_one_ioctl_more(void)
{
	int to[TRADERS];

	for (int i = 0; i < 200; i++) {
		unsigned long most;

		setup();
		for (int n = 0; n < TRADERS; n++)
			CU_ASSERT_EQUAL(map_alone(trader(n, n)), 0);
		most = trade(to);
		begin();
		for (int n = 0; n < TRADERS; n++)
			unmap(trader(n, n));
		for (int n = 0; n < TRADERS; n++)
			map(trader(to[n], n));
		for (int n = 0; n < TRADERS; n++)
			most += to[n] != n;
		CU_ASSERT_EQUAL(cost(), most);
		for (int n = 0; n < TRADERS; n++)
			CU_ASSERT(slot_is(2 * to[n], 1, 2 * n, 0));
		teardown();
	}
}

/* A slot goes to where many were that go, among others to its own place. */
static void test_a_slot_takes_the_place_of_many(void)
{
	setup();
	map_alone(at(0, 16, 100, GPMM_RW));
	for (int i = 0; i < 8; i++)
		map_alone(at(20 + 2 * i, 1, 200 + 2 * i, GPMM_RW));
	begin();
	unmap(at(0, 16, 100, GPMM_RW));
	for (int i = 0; i < 8; i++)
		unmap(at(20 + 2 * i, 1, 200 + 2 * i, GPMM_RW));
	map(at(20, 16, 100, GPMM_RW));
	for (int i = 0; i < 8; i++)
		map(at(i == 5 ? 3 : 60 + 2 * i, 1, 200 + 2 * i, GPMM_RW));
	CU_ASSERT_EQUAL(cost(), 10);
	CU_ASSERT(slot_is(20, 16, 100, 0));
	for (int i = 0; i < 8; i++)
		CU_ASSERT(slot_is(i == 5 ? 3 : 60 + 2 * i, 1, 200 + 2 * i, 0));
	teardown();
}

static void test_memory_mapped_twice_is_two_slots(void)
{
	setup();
	map_alone(at(0, 4, 7, GPMM_RW));
	map_alone(at(10, 4, 7, GPMM_RW));
	begin();
	unmap(at(0, 4, 7, GPMM_RW));
	map(at(20, 4, 7, GPMM_RW));
	CU_ASSERT_EQUAL(cost(), 1);
	CU_ASSERT(slot_is(10, 4, 7, 0));
	CU_ASSERT(slot_is(20, 4, 7, 0));
	teardown();
}

/* Whichever of them goes, also where others do in the same transaction. */
static void test_of_memory_mapped_twice_the_other_stays(void)
{
	for (int gone = 0; gone < 2; gone++) {
		setup();
		map_alone(at(0, 4, 7, GPMM_RW));
		map_alone(at(10, 4, 7, GPMM_RW));
		begin();
		unmap(at(0, 4, 7, GPMM_RW));
		unmap(at(10, 4, 7, GPMM_RW));
		map(at(gone ? 0 : 10, 4, 7, GPMM_RW));
		CU_ASSERT_EQUAL(cost(), 1);
		CU_ASSERT(slot_is(gone ? 0 : 10, 4, 7, 0));
		CU_ASSERT_EQUAL(kvm_fake_count(&fake), 1);
		teardown();
	}
}

static void test_lowest_free_number_is_used_again(void)
{
	setup();
	for (int i = 0; i < 6; i++)
		map_alone(at(10 * i, 1, 10 * i + 1, GPMM_RW));
	begin();
	unmap(at(40, 1, 41, GPMM_RW));
	unmap(at(10, 1, 11, GPMM_RW));
	commit();
	map_alone(at(100, 1, 0, GPMM_RW));
	map_alone(at(200, 1, 0, GPMM_RW));
	map_alone(at(300, 1, 0, GPMM_RW));
	CU_ASSERT_EQUAL(kvm_fake_find(&fake, 100 * PAGE), 1);
	CU_ASSERT_EQUAL(kvm_fake_find(&fake, 200 * PAGE), 4);
	CU_ASSERT_EQUAL(kvm_fake_find(&fake, 300 * PAGE), 6);
	teardown();
}

/* 4 TiB in one slot, so an area of 9 takes three. */
static void test_areas_beyond_the_largest_slot_take_several(void)
{
	const uint64_t slot = (UINT64_C(1) << 42) / PAGE;

	setup();
	begin();
	CU_ASSERT_EQUAL(map(at(0, 2 * slot + 10, 0, GPMM_RW)), 0);
	CU_ASSERT_EQUAL(cost(), 3);
	CU_ASSERT(slot_is(slot, slot, slot, 0));
	CU_ASSERT(slot_is(2 * slot, 10, 2 * slot, 0));
	begin();
	CU_ASSERT_EQUAL(unmap(at(2 * slot, 10, 2 * slot, GPMM_RW)), 0);
	CU_ASSERT_EQUAL(cost(), 1);
	teardown();
}

/* --------------------------------------------------------------- limits --- */

static bool same_slot(const struct kvm_region *a, const struct kvm_region *b)
{
	return a->gpa == b->gpa && a->size == b->size && a->hva == b->hva &&
	       a->flags == b->flags;
}

static bool same_slots(const struct kvm_region *before)
{
	for (int i = 0; i < FAKE_SLOTS; i++)
		if (!same_slot(&before[i], &fake.slots[i]))
			return false;
	return true;
}

static void test_exhaustion_is_enospc_and_changes_nothing(void)
{
	const struct gpmm_kvm_options options = {
		.first_slot = 2, .slot_count = 4,
	};
	struct kvm_fake before;

	kvm_fake_init(&fake);
	setup_with(&options);
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(map_alone(at(10 * i, 3, 10 * i + 1, GPMM_RW)),
				0);
	CU_ASSERT_EQUAL(kvm_fake_find(&fake, 0), 2);
	before = fake;
	CU_ASSERT_EQUAL(map_alone(at(90, 1, 0, GPMM_RW)), -ENOSPC);
	begin();
	unmap(at(11, 1, 12, GPMM_RW));
	CU_ASSERT_EQUAL(commit(), -ENOSPC);
	CU_ASSERT_EQUAL(fake.changes, before.changes);
	CU_ASSERT(same_slots(before.slots));
	/* A change that needs no more slots than it frees goes through. */
	begin();
	unmap(at(0, 3, 1, GPMM_RW));
	unmap(at(11, 1, 12, GPMM_RW));
	CU_ASSERT_EQUAL(commit(), 0);
	teardown();
}

static struct gpmm_kvm_vcpu *vcpu;

static int add_vcpu(void)
{
	const struct gpmm_kvm_vcpu_options options = { .signal = SIGUSR1 };

	return gpmm_kvm_vcpu_create(be, &options, &vcpu);
}

/* By what lies elsewhere in host memory. */
static void replace(uint64_t memory, uint64_t by)
{
	begin();
	CU_ASSERT_EQUAL(unmap(at(0, 1, memory, GPMM_RWX)), 0);
	CU_ASSERT_EQUAL(map(at(0, 1, by, GPMM_RWX)), 0);
	CU_ASSERT_EQUAL(commit(), 0);
}

static int added;

static void add_amid(void)
{
	added = add_vcpu();
}

/* ... and none comes while a slot is away: who adds one needs the lock. */
static void test_only_vcpus_close_the_gate(void)
{
	setup();
	CU_ASSERT_EQUAL(map_alone(at(0, 1, 0, GPMM_RWX)), 0);
	fake.on_change = add_amid;
	added = 0;
	replace(0, 8);
	fake.on_change = NULL;
	CU_ASSERT_EQUAL(added, -EDEADLK);
	CU_ASSERT_FALSE(to_kvm(be)->gate.closed);
	be->ops->published(be);
	CU_ASSERT_EQUAL_FATAL(add_vcpu(), 0);
	replace(8, 0);
	CU_ASSERT(to_kvm(be)->gate.closed);
	be->ops->published(be);
	CU_ASSERT_FALSE(to_kvm(be)->gate.closed);
	gpmm_kvm_vcpu_destroy(vcpu);
	replace(0, 8);
	CU_ASSERT_FALSE(to_kvm(be)->gate.closed);
	be->ops->published(be);
	teardown();
}

/*
 * A set that undoes a commit is owed what there was, and its vCPUs are not
 * left standing where that fails.
 */
static void test_an_undo_may_use_the_reserve(void)
{
	const struct gpmm_kvm_options options = { .slot_count = 4 };

	kvm_fake_init(&fake);
	setup_with(&options);
	CU_ASSERT_EQUAL_FATAL(add_vcpu(), 0);
	CU_ASSERT_EQUAL(map_alone(at(0, 1, 0, GPMM_RWX)), 0);
	CU_ASSERT_EQUAL(map_alone(at(1, 1, 8, GPMM_RWX)), 0);
	be->ops->published(be);
	CU_ASSERT_EQUAL(gpmm_kvm_set_reserve(be, 3), 0);
	begin();
	CU_ASSERT_EQUAL(unmap(at(0, 1, 0, GPMM_RWX)), 0);
	CU_ASSERT_EQUAL(unmap(at(1, 1, 8, GPMM_RWX)), 0);
	CU_ASSERT_EQUAL(map(at(0, 2, 16, GPMM_RWX)), 0);
	CU_ASSERT_EQUAL(commit(), 0);
	CU_ASSERT(to_kvm(be)->gate.closed);
	begin();
	CU_ASSERT_EQUAL(unmap(at(0, 2, 16, GPMM_RWX)), 0);
	CU_ASSERT_EQUAL(map(at(1, 1, 8, GPMM_RWX)), 0);
	CU_ASSERT_EQUAL(map(at(0, 1, 0, GPMM_RWX)), 0);
	CU_ASSERT_EQUAL(commit(), 0);
	be->ops->published(be);
	CU_ASSERT(slot_is(0, 1, 0, 0) && slot_is(1, 1, 8, 0));
	gpmm_kvm_vcpu_destroy(vcpu);
	teardown();
}

/* The plan of an undo, a large one, finds no memory. */
static void test_an_undo_that_fails_opens_the_gate(void)
{
	uint64_t page;

	setup();
	CU_ASSERT_EQUAL_FATAL(add_vcpu(), 0);
	begin();
	for (page = 0; page < 20; page++)
		CU_ASSERT_EQUAL(map(at(page, 1, 2 * page, GPMM_RWX)), 0);
	CU_ASSERT_EQUAL(commit(), 0);
	be->ops->published(be);
	begin();
	for (page = 0; page < 20; page++)
		CU_ASSERT_EQUAL(unmap(at(page, 1, 2 * page, GPMM_RWX)), 0);
	CU_ASSERT_EQUAL(map(at(0, 20, 100, GPMM_RWX)), 0);
	CU_ASSERT_EQUAL(commit(), 0);
	CU_ASSERT(to_kvm(be)->gate.closed);
	begin();
	CU_ASSERT_EQUAL(unmap(at(0, 20, 100, GPMM_RWX)), 0);
	for (page = 0; page < 19; page++)
		CU_ASSERT_EQUAL(map(at(page, 1, 2 * page, GPMM_RWX)), 0);
	gpmm__free(to_kvm(be)->slots.by_host[0].at);
	to_kvm(be)->slots.by_host[0] = (struct slot_array){ 0 };
	gpmm__alloc_left = 0;
	CU_ASSERT_EQUAL(commit(), -ENOMEM);
	gpmm__alloc_left = -1;
	CU_ASSERT_FALSE(to_kvm(be)->gate.closed);
	gpmm_kvm_vcpu_destroy(vcpu);
	teardown();
}

static void test_reserve_is_kept_back(void)
{
	const struct gpmm_kvm_options options = {
		.slot_count = 4, .reserve = 2,
	};

	kvm_fake_init(&fake);
	setup_with(&options);
	CU_ASSERT_EQUAL(map_alone(at(0, 1, 0, GPMM_RW)), 0);
	CU_ASSERT_EQUAL(map_alone(at(10, 1, 0, GPMM_RW)), 0);
	CU_ASSERT_EQUAL(map_alone(at(20, 1, 0, GPMM_RW)), -ENOSPC);
	CU_ASSERT_EQUAL(gpmm_kvm_set_reserve(be, 4), -EINVAL);
	CU_ASSERT_EQUAL(gpmm_kvm_set_reserve(be, 0), 0);
	CU_ASSERT_EQUAL(map_alone(at(20, 1, 0, GPMM_RW)), 0);
	CU_ASSERT_EQUAL(map_alone(at(30, 1, 0, GPMM_RW)), 0);
	/* With the reserve back it is over its budget, and may still shrink. */
	CU_ASSERT_EQUAL(gpmm_kvm_set_reserve(be, 2), 0);
	begin();
	unmap(at(30, 1, 0, GPMM_RW));
	map(at(40, 1, 5, GPMM_RW));
	CU_ASSERT_EQUAL(commit(), 0);
	/* What it gave back is kept back again, once nothing can be undone. */
	begin();
	unmap(at(20, 1, 0, GPMM_RW));
	unmap(at(40, 1, 5, GPMM_RW));
	CU_ASSERT_EQUAL(commit(), 0);
	be->ops->published(be);
	CU_ASSERT_EQUAL(map_alone(at(20, 1, 0, GPMM_RW)), -ENOSPC);
	teardown();
}

static void test_options_beyond_the_machine_are_refused(void)
{
	const struct gpmm_kvm_options bad[] = {
		{ .first_slot = FAKE_SLOTS },
		{ .slot_count = FAKE_SLOTS + 1 },
		{ .first_slot = 10, .slot_count = FAKE_SLOTS },
		{ .slot_count = 5, .reserve = 5 },
		{ .address_space = 1 },
		{ .address_space = 1 << 16 },
		{ .ring_size = FAKE_PAGE },
	};
	struct kvm_sys sys = kvm_fake_sys(&fake);

	kvm_fake_init(&fake);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CU_ASSERT_EQUAL(gpmm__kvm_create_on(&sys, &bad[i], &be),
				-EINVAL);
}

static void test_slots_go_to_the_address_space_that_was_asked_for(void)
{
	struct gpmm_kvm_options options = { .address_space = 1 };

	kvm_fake_init(&fake);
	fake.spaces = 2;
	setup_with(&options);
	CU_ASSERT_EQUAL(map_alone(at(0, 1, 0, GPMM_RW)), 0);
	CU_ASSERT_EQUAL(fake.space, 1);
	teardown();
}

/* ----------------------------------------------------------- the model --- */

#define PAGES 48
#define HOSTS 3

/* What each page of the guest is: 0 is nothing. */
struct page {
	uint64_t host;		/* page number in host memory */
	uint32_t flags;
};

static struct page model[PAGES];
static uint64_t seed;

static uint64_t any(uint64_t below)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (seed >> 33) % below;
}

static uint32_t wanted_flags(uint32_t flags)
{
	if (!(flags & GPMM_WRITE))
		return KVM_MEM_READONLY;
	return flags & GPMM_LOG_DIRTY ? KVM_MEM_LOG_DIRTY_PAGES : 0;
}

static bool page_agrees(uint64_t page)
{
	int id = kvm_fake_find(&fake, page * PAGE);
	const struct kvm_region *slot = &fake.slots[id < 0 ? 0 : id];

	if (!model[page].flags)
		return id < 0;
	return id >= 0 && slot->flags == wanted_flags(model[page].flags) &&
	       slot->hva + (page * PAGE - slot->gpa) ==
	       HVA + model[page].host * PAGE;
}

static bool runs_on(uint64_t page)
{
	return model[page - 1].flags && model[page].flags &&
	       model[page].host == model[page - 1].host + 1 &&
	       wanted_flags(model[page].flags) ==
	       wanted_flags(model[page - 1].flags);
}

/* Every page is what it is to be, in as few slots as can be. */
static bool agrees(void)
{
	struct gpmm_kvm_stats stats;
	unsigned int slots = 0;

	for (uint64_t i = 0; i < PAGES; i++) {
		if (!page_agrees(i))
			return false;
		slots += model[i].flags && !(i && runs_on(i));
	}
	gpmm_kvm_get_stats(be, &stats);
	return slots == kvm_fake_count(&fake) && slots == stats.slots;
}

static uint32_t any_flags(void)
{
	static const uint32_t flags[] = {
		GPMM_READ, GPMM_RW, GPMM_RWX, GPMM_RW | GPMM_LOG_DIRTY,
	};

	return flags[any(4)];
}

static bool is_free(uint64_t page, uint64_t count)
{
	for (uint64_t i = page; i < page + count; i++)
		if (model[i].flags)
			return false;
	return true;
}

/* How many pages from @page on could be one area. */
static uint64_t run_at(uint64_t page)
{
	uint64_t count = 1;

	while (page + count < PAGES && runs_on(page + count) &&
	       model[page + count].flags == model[page].flags)
		count++;
	return count;
}

static void model_set(uint64_t page, uint64_t count, uint64_t host,
		      uint32_t flags)
{
	for (uint64_t i = 0; i < count; i++)
		model[page + i] = (struct page){ host + i, flags };
}

static int random_map(void)
{
	uint64_t page = any(PAGES);
	uint64_t count = 1 + any(PAGES - page);
	uint64_t host = page + any(HOSTS) * 1000;
	uint32_t flags = any_flags();
	int ret;

	ret = map(at(page, count, host, flags));
	if (!is_free(page, count))
		return ret == -EEXIST ? 0 : ret ? ret : -1;
	if (!ret)
		model_set(page, count, host, flags);
	return ret;
}

static int random_change(bool protects)
{
	uint64_t page = any(PAGES);
	struct page old = model[page];
	uint32_t flags = protects ? any_flags() : 0;
	uint64_t count;
	int ret;

	if (!old.flags)
		return 0;
	count = 1 + any(run_at(page));
	if (protects)
		ret = protect(at(page, count, old.host, old.flags), flags);
	else
		ret = unmap(at(page, count, old.host, old.flags));
	if (!ret)
		model_set(page, count, old.host, flags);
	return ret;
}

static int random_op(void)
{
	uint64_t kind = any(4);

	return kind < 2 ? random_map() : random_change(kind == 2);
}

/* Return: 0 where it was committed, else its error. */
static int random_transaction(void)
{
	uint64_t count = 1 + any(6);
	int ret = be->ops->begin(be);

	if (ret)
		return ret;
	while (count-- && !ret)
		ret = random_op();
	if (!ret)
		return commit();
	be->ops->abort(be);
	return ret;
}

/* A pairing of slots before and after; each has one partner at most. */
struct pairing {
	const struct kvm_region *before;
	bool paired[2][FAKE_SLOTS];
	unsigned long ioctls;
	unsigned long moves;
};

/* Pair what KVM could change in place; @same: only what is equal already. */
static void pair(struct pairing *to, bool same)
{
	for (int i = 0; i < FAKE_SLOTS; i++)
		for (int j = 0; j < FAKE_SLOTS && !to->paired[0][i]; j++) {
			const struct kvm_region *a = &to->before[i];
			const struct kvm_region *b = &fake.slots[j];

			if (to->paired[1][j] || !a->size || !b->size ||
			    a->size != b->size || a->hva != b->hva ||
			    (a->flags ^ b->flags) & KVM_MEM_READONLY ||
			    (same && (a->gpa != b->gpa ||
				      a->flags != b->flags)))
				continue;
			to->paired[0][i] = to->paired[1][j] = true;
			to->ioctls += !same;
			to->moves += a->gpa != b->gpa;
		}
}

/*
 * Did @ioctls suffice? One for each slot that goes, comes or changes; slots
 * that move in a ring, two of them at least, need one more.
 */
static bool are_fewest(const struct kvm_region *before, unsigned long ioctls)
{
	struct pairing pairing = { .before = before };

	pair(&pairing, true);
	pair(&pairing, false);
	for (int i = 0; i < FAKE_SLOTS; i++) {
		pairing.ioctls += before[i].size && !pairing.paired[0][i];
		pairing.ioctls += fake.slots[i].size && !pairing.paired[1][i];
	}
	return ioctls >= pairing.ioctls &&
	       ioctls <= pairing.ioctls + pairing.moves / 2;
}

static void test_random_transactions_make_the_fewest_ioctls(void)
{
	struct kvm_region before[FAKE_SLOTS];

	setup();
	memset(model, 0, sizeof(model));
	seed = 5;
	for (int i = 0; i < 5000; i++) {
		unsigned long made = fake.changes;

		memcpy(before, fake.slots, sizeof(before));
		CU_ASSERT_EQUAL_FATAL(random_transaction(), 0);
		CU_ASSERT_FATAL(are_fewest(before, fake.changes - made));
	}
	teardown();
}

static void test_random_transactions_agree_with_the_model(void)
{
	setup();
	memset(model, 0, sizeof(model));
	seed = 1;
	for (int i = 0; i < 20000; i++) {
		CU_ASSERT_EQUAL_FATAL(random_transaction(), 0);
		if (!agrees()) {
			printf("transaction %d\n", i);
			CU_FAIL_FATAL("slots differ from the model");
		}
	}
	teardown();
}

static void test_random_transactions_can_be_aborted(void)
{
	struct page before[PAGES];

	setup();
	memset(model, 0, sizeof(model));
	seed = 2;
	for (int i = 0; i < 2000; i++) {
		memcpy(before, model, sizeof(model));
		begin();
		for (int j = 0; j < 4; j++)
			CU_ASSERT_EQUAL_FATAL(random_op(), 0);
		be->ops->abort(be);
		memcpy(model, before, sizeof(model));
		CU_ASSERT_EQUAL_FATAL(random_transaction(), 0);
		CU_ASSERT_FATAL(agrees());
	}
	teardown();
}

/* --------------------------------------------------------------- sweeps --- */

static struct page model_before[PAGES];
static struct kvm_region slots_before[FAKE_SLOTS];

static void snapshot(void)
{
	memcpy(model_before, model, sizeof(model));
	memcpy(slots_before, fake.slots, sizeof(slots_before));
}

static bool as_before(void)
{
	memcpy(model, model_before, sizeof(model));
	return same_slots(slots_before) && agrees();
}

/*
 * One random transaction again and again, the Nth call failing, until N is
 * more than it makes; @arm sets N.
 */
static unsigned long sweep_one(void (*arm)(long left), int error)
{
	uint64_t start = seed;
	unsigned long failures = 0;

	for (long n = 0;; n++) {
		int ret;

		seed = start;
		snapshot();
		arm(n);
		ret = random_transaction();
		arm(-1);
		if (!ret)
			break;
		failures++;
		CU_ASSERT_EQUAL_FATAL(ret, error);
		CU_ASSERT_FATAL(as_before());
	}
	CU_ASSERT_FATAL(agrees());
	return failures;
}

static void sweep(void (*arm)(long left), int error, int transactions)
{
	unsigned long failures = 0;

	setup();
	memset(model, 0, sizeof(model));
	seed = 3;
	for (int i = 0; i < transactions; i++)
		failures += sweep_one(arm, error);
	/* About one failure a transaction, or nothing was tested. */
	CU_ASSERT(failures > (unsigned long)transactions);
	teardown();
}

static void arm_ioctl(long left)
{
	fake.left = left;
	fake.error = -ENOSPC;
}

static void test_any_ioctl_may_fail_and_nothing_has_changed(void)
{
	sweep(arm_ioctl, -ENOSPC, 2000);
}

static void arm_allocation(long left)
{
	gpmm__alloc_left = left;
}

static void test_any_allocation_may_fail_and_nothing_has_changed(void)
{
	sweep(arm_allocation, -ENOMEM, 500);
}

/* The Nth ioctl and all after it, undos too; then the kernel recovers. */
static void test_what_cannot_be_undone_is_refused_then_repaired(void)
{
	unsigned long lost = 0;

	setup();
	memset(model, 0, sizeof(model));
	seed = 4;
	for (int i = 0; i < 2000; i++) {
		int ret;

		snapshot();
		fake.left = any(5);
		fake.stay = true;
		ret = random_transaction();
		lost += ret == -EIO;
		/* Still failing: what is lost is refused, or all succeeds. */
		if (ret) {
			memcpy(model, model_before, sizeof(model));
			CU_ASSERT_NOT_EQUAL(random_transaction(), -EINVAL);
			memcpy(model, model_before, sizeof(model));
		}
		fake.left = -1;
		begin();
		CU_ASSERT_EQUAL_FATAL(commit(), 0);
		if (ret) {
			CU_ASSERT_FATAL(as_before());
		} else {
			CU_ASSERT_FATAL(agrees());
		}
	}
	CU_ASSERT(lost > 100);
	teardown();
}

/* A read-only slot is not logged, whatever its area says. */
static void test_what_is_no_change_to_a_slot_may_be_lost(void)
{
	setup();
	map_alone(at(0, 2, 0, GPMM_READ));
	begin();
	CU_ASSERT_EQUAL(protect(at(0, 2, 0, GPMM_READ), GPMM_RW), 0);
	fake.left = 1;
	fake.stay = true;
	CU_ASSERT_EQUAL(commit(), -EIO);
	begin();
	CU_ASSERT_EQUAL(protect(at(0, 2, 0, GPMM_READ),
				GPMM_READ | GPMM_LOG_DIRTY), 0);
	CU_ASSERT_EQUAL(cost(), 0);
	teardown();
}

static void test_elsewhere_works_while_a_range_is_lost(void)
{
	setup();
	map_alone(at(0, 10, 0, GPMM_RW));
	fake.left = 1;
	fake.stay = true;
	begin();
	unmap(at(4, 1, 4, GPMM_RW));
	CU_ASSERT_EQUAL(commit(), -EIO);
	/* Each transaction tries to repair; let only that fail. */
	fake.left = 0;
	fake.stay = false;
	CU_ASSERT_EQUAL(map_alone(at(30, 1, 0, GPMM_RW)), 0);
	CU_ASSERT_EQUAL(kvm_fake_find(&fake, 0), -1);
	/* Also right beside it, though it runs on. */
	fake.left = 0;
	CU_ASSERT_EQUAL(map_alone(at(10, 1, 10, GPMM_RW)), 0);
	CU_ASSERT(slot_is(10, 1, 10, 0));
	fake.left = 0;
	begin();
	CU_ASSERT_EQUAL(unmap(at(4, 1, 4, GPMM_RW)), -EIO);
	be->ops->abort(be);
	begin();
	CU_ASSERT_EQUAL(unmap(at(4, 1, 4, GPMM_RW)), 0);
	CU_ASSERT_EQUAL(commit(), 0);
	CU_ASSERT(slot_is(0, 4, 0, 0));
	teardown();
}

/* One that is made and stays, for what comes next and the undo are refused. */
static void leave_a_stray(uint64_t page)
{
	begin();
	CU_ASSERT_EQUAL(map(at(page, 1, 2 * page, GPMM_RW)), 0);
	CU_ASSERT_EQUAL(map(at(page + 1, 1, 3 * page, GPMM_RW)), 0);
	CU_ASSERT_EQUAL(commit(), -EIO);
}

static void test_a_stray_keeps_its_number_and_its_range(void)
{
	setup();
	fake.left = 1;
	fake.stay = true;
	leave_a_stray(20);
	fake.left = 0;
	fake.stay = false;
	CU_ASSERT_EQUAL(map_alone(at(40, 1, 0, GPMM_RW)), 0);
	CU_ASSERT_EQUAL(kvm_fake_find(&fake, 20 * PAGE), 0);
	CU_ASSERT_EQUAL(kvm_fake_find(&fake, 40 * PAGE), 1);
	fake.left = 0;
	CU_ASSERT_EQUAL(map_alone(at(20, 1, 7, GPMM_RW)), -EIO);
	CU_ASSERT_EQUAL(map_alone(at(20, 1, 7, GPMM_RW)), 0);
	CU_ASSERT_EQUAL(kvm_fake_find(&fake, 20 * PAGE), 0);
	CU_ASSERT(slot_is(20, 1, 7, 0));
	teardown();
}

/* The kernel refuses to repair, makes one slot, and does nothing more. */
static unsigned long refusals;

static void make_one(void)
{
	fake.left = refusals-- ? 0 : -1;
}

static void test_what_is_lost_may_become_much(void)
{
	setup();
	for (unsigned int lost = 0; lost < 20; lost++) {
		refusals = lost;
		fake.on_change = make_one;
		leave_a_stray(2 * lost);
		CU_ASSERT_EQUAL_FATAL(kvm_fake_count(&fake), lost + 1);
	}
	fake.on_change = NULL;
	fake.left = -1;
	CU_ASSERT_EQUAL(map_alone(at(0, 1, 0, GPMM_RW)), 0);
	CU_ASSERT_EQUAL(kvm_fake_count(&fake), 1);
	CU_ASSERT(slot_is(0, 1, 0, 0));
	teardown();
}

static void do_nothing(void *arg)
{
	(void)arg;
}

static uint64_t stalls(void)
{
	struct gpmm_kvm_stats stats;

	gpmm_kvm_get_stats(be, &stats);
	return stats.stalls.count;
}

static void move_slot(uint64_t from, uint64_t to)
{
	begin();
	CU_ASSERT_EQUAL(unmap(at(from, 10, 0, GPMM_RW)), 0);
	CU_ASSERT_EQUAL(map(at(to, 10, 0, GPMM_RW)), 0);
	CU_ASSERT_EQUAL(cost(), 1);
	be->ops->published(be);
}

/* What lies in both places is gone for a moment. */
static void test_a_move_over_itself_closes_the_gate(void)
{
	const struct gpmm_kvm_vcpu_options options = { .kick = do_nothing };
	struct gpmm_kvm_vcpu *vcpu;

	setup();
	CU_ASSERT_EQUAL_FATAL(gpmm_kvm_vcpu_create(be, &options, &vcpu), 0);
	CU_ASSERT_EQUAL(map_alone(at(0, 10, 0, GPMM_RW)), 0);
	move_slot(0, 20);
	CU_ASSERT_EQUAL(stalls(), 0);
	move_slot(20, 29);
	CU_ASSERT_EQUAL(stalls(), 1);
	/* What comes after it does not. */
	CU_ASSERT_EQUAL(map_alone(at(50, 1, 90, GPMM_RW)), 0);
	be->ops->published(be);
	CU_ASSERT_EQUAL(stalls(), 1);
	gpmm_kvm_vcpu_destroy(vcpu);
	teardown();
}

SUITE("kvm slots",
	TEST(test_map_makes_one_slot),
	TEST(test_flags_become_slot_flags),
	TEST(test_windows_and_inaccessible_areas_have_no_slot),
	TEST(test_misaligned_areas_are_refused),
	TEST(test_areas_that_run_on_share_a_slot),
	TEST(test_areas_at_the_ends_share_a_slot_too),
	TEST(test_nomerge_areas_keep_slots_of_their_own),
	TEST(test_nomerge_lasts_beyond_the_first_operation),
	TEST(test_protect_may_say_nomerge),
	TEST(test_map_and_unmap_in_one_transaction_make_no_ioctl),
	TEST(test_split_deletes_and_makes_both_halves_anew),
	TEST(test_protect_splits_in_three_and_back),
	TEST(test_flags_that_slots_do_not_know_cost_nothing),
	TEST(test_dirty_log_is_switched_in_place),
	TEST(test_memory_that_moves_keeps_its_slot),
	TEST(test_a_slot_may_move_among_many),
	TEST(test_memory_that_moves_to_be_read_only_has_a_new_slot),
	TEST(test_chains_of_moves_cost_one_ioctl_each),
	TEST(test_slots_that_trade_places_break_the_ring),
	TEST(test_each_ring_costs_one_ioctl_more),
	TEST(test_a_slot_takes_the_place_of_many),
	TEST(test_memory_mapped_twice_is_two_slots),
	TEST(test_of_memory_mapped_twice_the_other_stays),
	TEST(test_lowest_free_number_is_used_again),
	TEST(test_areas_beyond_the_largest_slot_take_several),
	TEST(test_exhaustion_is_enospc_and_changes_nothing),
	TEST(test_reserve_is_kept_back),
	TEST(test_only_vcpus_close_the_gate),
	TEST(test_an_undo_may_use_the_reserve),
	TEST(test_an_undo_that_fails_opens_the_gate),
	TEST(test_options_beyond_the_machine_are_refused),
	TEST(test_slots_go_to_the_address_space_that_was_asked_for),
	TEST(test_random_transactions_agree_with_the_model),
	TEST(test_random_transactions_make_the_fewest_ioctls),
	TEST(test_random_transactions_can_be_aborted),
	TEST(test_any_ioctl_may_fail_and_nothing_has_changed),
	TEST(test_any_allocation_may_fail_and_nothing_has_changed),
	TEST(test_what_cannot_be_undone_is_refused_then_repaired),
	TEST(test_what_is_no_change_to_a_slot_may_be_lost),
	TEST(test_elsewhere_works_while_a_range_is_lost),
	TEST(test_a_stray_keeps_its_number_and_its_range),
	TEST(test_what_is_lost_may_become_much),
	TEST(test_a_move_over_itself_closes_the_gate))
